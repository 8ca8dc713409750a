"""What stations say and are told, whatever the version of OCPP: the dialects translate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Literal, Protocol

from devices.natures import ChargerState

__all__ = [
    "Booted",
    "Desk",
    "Dialect",
    "Event",
    "Goal",
    "Metered",
    "NeedsSaid",
    "Payload",
    "Purpose",
    "StatusSaid",
    "TransactionSaid",
    "instant",
    "kilo",
    "stamp",
    "totals",
]

Payload = dict[str, Any]  # JSON as it travels; its schema is checked at the link


@dataclass(frozen=True, slots=True)
class Booted:
    """A station has started, and says what it is."""

    maker: str
    model: str
    firmware: str | None


@dataclass(frozen=True, slots=True)
class StatusSaid:
    """State of a connector; None where the version does not tell."""

    number: int
    state: ChargerState | None
    plugged: bool | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Metered:
    """Meter values: ``power_w``, ``soc_percent``, ``import_wh``, ``export_wh``, ``current_a``."""

    number: int
    values: Mapping[str, float]
    at: datetime
    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class TransactionSaid:
    """A charge begins, goes on or ends."""

    number: int | None
    id: str
    kind: Literal["started", "updated", "ended"]
    at: datetime
    state: ChargerState | None = None
    sequence: int | None = None
    import_wh: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NeedsSaid:
    """Whether the car at a connector can give back (ISO 15118)."""

    number: int
    bidirectional: bool


Event = Booted | StatusSaid | Metered | TransactionSaid | NeedsSaid


class Purpose(StrEnum):
    """What a charging profile is for."""

    STATION = "station"  # most that the whole station may draw
    SAFE = "safe"  # what holds while nobody speaks
    ORDER = "order"  # what was ordered, until its lease ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A limit or setpoint for a connector (0: the station).

    Parameters
    ----------
    value : float
        In ``unit``; negative gives back.
    begins : datetime or None
        Start; None holds from the start of each charge on.
    lasts_s : int or None
        Length of the lease; None has no end. [s]
    """

    number: int
    purpose: Purpose
    value: float
    unit: Literal["W", "A"]
    transaction: str | None = None
    begins: datetime | None = None
    lasts_s: int | None = None

    @property
    def profile_id(self) -> int:
        """The same goal of the same connector replaces the one before."""
        return 1000 + 10 * self.number + list(Purpose).index(self.purpose)


class Desk(Protocol):
    """What a dialect asks the house while it answers a station."""

    @property
    def now(self) -> datetime:
        """Current instant, UTC."""
        ...

    @property
    def heartbeat_s(self) -> int:
        """How often a station should say something. [s]"""
        ...

    def accepts(self, token: str) -> bool:
        """Whether a driver's identifier may start a charge."""
        ...

    def transaction_for(self, number: int, token: str, at: datetime, import_wh: float) -> int:
        """Number of a charge that begins (OCPP 1.6); the same again if the same message comes twice."""
        ...


class Dialect(Protocol):
    """One version of OCPP."""

    version: str
    gives_back: bool  # whether setpoints may be negative

    def heard(self, action: str, payload: Payload, desk: Desk) -> tuple[Payload, tuple[Event, ...]] | None:
        """The answer to a station's message and what it says; None if we do not know it."""
        ...

    def set_profile(self, goal: Goal) -> tuple[str, Payload]:
        """The message that installs a limit or setpoint."""
        ...

    def clear_profile(self, goal: Goal) -> tuple[str, Payload]:
        """The message that removes it."""
        ...

    def ask_limit(self, goal: Goal) -> tuple[str, Payload]:
        """The message that asks what holds now."""
        ...

    def limit_in(self, answer: Payload) -> tuple[float, str] | None:
        """What holds now and its unit, from the answer; None if the station does not say."""
        ...

    def start(self, goal: Goal, token: str) -> tuple[str, Payload]:
        """The message that starts a charge."""
        ...

    def stop(self, transaction: str) -> tuple[str, Payload]:
        """The message that ends a charge."""
        ...

    def settings(self, *, meter_s: int, heartbeat_s: int) -> list[tuple[str, Payload]]:
        """Messages that make a station report what we need."""
        ...

    def ask_again(self, number: int) -> list[tuple[str, Payload]]:
        """Messages that make a station say how things stand."""
        ...


def stamp(at: datetime) -> str:
    """An instant as OCPP writes it."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def instant(text: str | None, otherwise: datetime) -> datetime:
    """An instant as a station wrote it; one without zone is UTC, one that is none is now."""
    try:
        read = datetime.fromisoformat(text or "")
    except ValueError:
        return otherwise
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


_KILO: Final = {"kW": 1000.0, "kWh": 1000.0, "kVA": 1000.0}


def kilo(unit: str | None) -> float:
    """Factor from a unit as written to W or Wh."""
    return _KILO.get(unit or "", 1.0)


# OCPP 1.6, 7.31 and OCPP 2.0.1 part 2, 3.61: measurands; import is into the car.
_MEANT: Final = {
    "Power.Active.Import": ("power_w", 1.0),
    "Power.Active.Export": ("power_w", -1.0),
    "Current.Import": ("current_a", 1.0),
    "Current.Export": ("current_a", -1.0),
    "Energy.Active.Import.Register": ("import_wh", 1.0),
    "Energy.Active.Export.Register": ("export_wh", 1.0),
    "SoC": ("soc_percent", 1.0),
}


def totals(samples: list[tuple[str, str | None, float]]) -> dict[str, float]:
    """Values by their meaning, from (measurand, phase, value in W, Wh, A or %).

    A value of the whole connector stands above those of its phases; without one the phases are added.
    Currents are not added: the mean of the phases tells the power of a balanced car.
    """
    found: dict[str, float] = {}
    for measurand, (name, sign) in _MEANT.items():
        mine = [(phase, value) for what, phase, value in samples if what == measurand]
        whole = [value for phase, value in mine if phase is None]
        phases = [value for phase, value in mine if phase in ("L1", "L2", "L3", "L1-N", "L2-N", "L3-N")]
        if not whole and not phases:
            continue
        value = whole[-1] if whole else sum(phases)
        if not whole and name == "current_a":
            value /= len(phases)
        found[name] = found.get(name, 0.0) + sign * value
    return found
