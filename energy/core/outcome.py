"""Commands to equipment and what became of them.

A command names an asset, never a register. What happened is one of a few small classes, not a bool; readers
``match`` on them and the type checker sees to it that none is forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from energy.core.plan import Reason
from energy.core.units import AssetId

__all__ = [
    "Applied",
    "ChargerPower",
    "ClimateMode",
    "Clipped",
    "Command",
    "CommandSource",
    "DemandStep",
    "GenerationLimit",
    "NotApplied",
    "Order",
    "Outcome",
    "Refused",
    "RoomClimate",
    "Unconfirmed",
    "Unreachable",
]


class CommandSource(StrEnum):
    """Who commands, highest priority first."""

    EMERGENCY = "emergency"
    MANUAL = "manual"
    GUARD = "guard"
    PLAN = "plan"


class ClimateMode(StrEnum):
    """What an air conditioner does."""

    OFF = "off"
    COOL = "cool"
    HEAT = "heat"


@dataclass(frozen=True, slots=True)
class ChargerPower:
    """AC power of a charger, positive when the car charges. [kW]"""

    power_kw: float


@dataclass(frozen=True, slots=True)
class RoomClimate:
    """Mode and setpoint of an air conditioner. [degC]"""

    mode: ClimateMode
    setpoint_c: float


@dataclass(frozen=True, slots=True)
class GenerationLimit:
    """Highest AC power of an inverter; ``None`` releases the limit. [kW]"""

    limit_kw: float | None


@dataclass(frozen=True, slots=True)
class DemandStep:
    """Highest share of its full power that an installation may take, by demand control; 1 releases it. [-]"""

    ratio: float


Order = ChargerPower | RoomClimate | GenerationLimit | DemandStep


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """An order to one asset, with its reason and its end: after ``expires_at`` it binds nobody.

    Parameters
    ----------
    source : CommandSource
        In whose name, which is its priority.
    issuer : str
        Who speaks. Each issuer has one order for an asset, its newest; of several issuers the one with the
        higher priority is heard.
    """

    asset: AssetId
    order: Order
    source: CommandSource
    reason: Reason
    issued_at: datetime
    expires_at: datetime
    issuer: str = "control"


@dataclass(frozen=True, slots=True)
class Applied:
    """Written and read back as asked (or already so)."""

    command: Command


@dataclass(frozen=True, slots=True)
class Clipped:
    """Written and read back at a limit instead of as asked.

    Parameters
    ----------
    command : Command
        What was asked.
    order : Order
        What stands instead.
    limit : str
        What bound.
    more_at : datetime or None
        When more of it can be done, for a limit that passes; None if it stays.
    """

    command: Command
    order: Order
    limit: str
    more_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Not written: read-only, dry run, somebody stands above, or the device said no."""

    command: Command
    why: str


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer; whether the device took it is unknown."""

    command: Command
    why: str


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """Written, but the device reads back something else."""

    command: Command
    read_back: str


@dataclass(frozen=True, slots=True)
class NotApplied:
    """Written and perhaps read back, but in its time the equipment did not do it."""

    command: Command
    why: str


Outcome = Applied | Clipped | Refused | Unreachable | Unconfirmed | NotApplied
