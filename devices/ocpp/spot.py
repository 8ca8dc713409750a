"""One connector of a station: state, meter, charge, and the order that stands."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from devices.drivers.base import Verdict
from devices.natures import NATURES, ChargerState, Nature
from devices.ocpp.config import Connector
from devices.ocpp.words import Metered, NeedsSaid, StatusSaid, TransactionSaid
from energy.core.errors import RefusedError
from energy.core.measurement import Measurement, Quality
from energy.core.units import AssetId

__all__ = ["Spot", "Told", "Transaction"]

_LATE: Final = timedelta(seconds=60)  # what was taken earlier comes from a queue: history, not the present
_KEYS_KEPT: Final = 32
_IDLE_KW: Final = 0.1  # a paused charger may still warm a battery or its display
_TOLERANCE: Final = 0.1  # of what was told, at least half a kilowatt
_FLOWS: Final = frozenset({ChargerState.CHARGING, ChargerState.DISCHARGING})


@dataclass(frozen=True, slots=True)
class Transaction:
    """A charge that has ended, by the station's own meter. It names no driver.

    Parameters
    ----------
    asset : AssetId
        At which connector.
    id : str
        The station's or our number of it.
    began, ended : datetime
        As the station says, also where it was offline.
    import_kwh : float or None
        Into the car; None where the beginning was not heard. [kWh]
    reason : str or None
        Why it ended, in the words of OCPP.
    """

    asset: AssetId
    id: str
    began: datetime | None
    ended: datetime
    import_kwh: float | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Told:
    """An order that the station has acknowledged."""

    power_kw: float
    at: datetime
    transaction: str | None


class Spot:
    """State of one connector."""

    def __init__(self, number: int, connector: Connector) -> None:
        self.number = number
        self.connector = connector
        self.transaction: str | None = None
        self.bidirectional: bool | None = None
        self.wanted: float | None = None
        self.standing: Told | None = None
        self.started = asyncio.Event()
        self.late = 0  # meter values that were too old to be the present
        self.numbers: OrderedDict[tuple[str, datetime, float], int] = OrderedDict()
        self._began: tuple[datetime, float | None] | None = None
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._sequence = -1
        self._state: ChargerState | None = None
        self._plugged: bool | None = None
        self._values: dict[str, tuple[float, datetime]] = {}

    def remember(self, key: tuple[str, datetime, float], number: int) -> None:
        """Keep the number of a charge, for the message may come again."""
        self.numbers[key] = number
        while len(self.numbers) > _KEYS_KEPT:
            self.numbers.popitem(last=False)

    def knows(self, transaction: str) -> bool:
        """Whether a charge is or was here."""
        return self.transaction == transaction or transaction in self._ended

    # What the station says

    def take(self, event: StatusSaid | NeedsSaid) -> None:
        """A state, or what the car can."""
        if isinstance(event, NeedsSaid):
            self.bidirectional = event.bidirectional
            return
        if event.state is not None or event.plugged is False:
            self._set_state(event.state, event.plugged)
        else:
            self._plugged = event.plugged
            self._state = self._state if self._state in _PLUGGED else ChargerState.WAITING
        if event.plugged is False:
            self.bidirectional, self.transaction, self.standing = None, None, None
            self.started.clear()

    def _set_state(self, state: ChargerState | None, plugged: bool | None) -> None:
        self._state = state
        if plugged is not None:
            self._plugged = plugged

    def charge(self, event: TransactionSaid, now: datetime) -> Transaction | None:
        """A charge begins, goes on or ends; what has ended with it, or None.

        Messages of the past (a queue from offline), twice the same and out of order are no news.
        """
        if event.id in self._ended:
            return None
        if event.kind == "ended":
            return self._has_ended(event)
        if self.transaction != event.id:
            self.transaction, self.standing, self._sequence = event.id, None, -1
            began = (event.at, event.import_wh) if event.kind == "started" else None
            self._began = began
            self.started.set()
        if event.sequence is not None and event.sequence <= self._sequence:
            return None
        self._sequence = self._sequence if event.sequence is None else event.sequence
        if event.state is not None and now - event.at <= _LATE:
            self._set_state(event.state, event.state is not ChargerState.UNPLUGGED)
        return None

    def _has_ended(self, event: TransactionSaid) -> Transaction:
        began, wh = (None, None) if self._began is None or self.transaction != event.id else self._began
        self._ended[event.id] = None
        while len(self._ended) > _KEYS_KEPT:
            self._ended.popitem(last=False)
        if self.transaction == event.id:
            self.transaction, self.standing, self._began = None, None, None
            self.started.clear()
            if self._state in _FLOWS:
                self._set_state(ChargerState.PAUSED, None)
        counted = None if wh is None or event.import_wh is None else (event.import_wh - wh) / 1000.0
        if counted is not None and counted < 0.0:
            counted = None  # its meter has started anew: unknown, never negative
        return Transaction(self.connector.asset, event.id, began, event.at, counted, event.reason)

    def metered(self, event: Metered, now: datetime) -> None:
        """Meter values; those of the past (or of a clock that is late) are not the present."""
        if now - event.at > _LATE:
            self.late += 1
            return
        unknown = event.transaction is not None and event.transaction not in self._ended
        if unknown and self.transaction is None:
            self.transaction = event.transaction  # it began before we did
            self.started.set()
        self._values |= {name: (value, now) for name, value in event.values.items()}

    # The nature

    def must_be_ready(self, where: str) -> None:
        """Refuse an order that nobody can carry out.

        Raises
        ------
        RefusedError
            If no car is there, or the station reports a fault.
        """
        if self._plugged is False or self._state is ChargerState.UNPLUGGED:
            raise RefusedError("no car is plugged", where=where, hint="wait until it is back")
        if self._state is ChargerState.FAULT:
            raise RefusedError("the charger reports a fault", where=where, hint="look at its display")

    def measurements(self, now: datetime, limit: timedelta, *, kw_per_a: float) -> dict[str, Measurement]:
        """The points of the nature ``charger``, each with its own age."""
        power, quality, power_at = self._power(now, limit, kw_per_a)
        found = {
            "power_kw": Measurement("power_kw", power, NATURES[Nature.CHARGER]["power_kw"], power_at, quality)
        }
        soc = self._values.get("soc_percent")
        # A car that gives its charge to the station gives it seldom; without a car there is none.
        known = soc is not None and self._plugged is not False and 0.0 <= soc[0] <= 100.0
        found["soc"] = self._point("soc", soc[0] / 100.0 if known and soc is not None else None, now)
        if soc is not None and now - soc[1] > max(limit, timedelta(minutes=5)):
            found["soc"] = self._point("soc", None, soc[1], Quality.STALE)
        plugged = None if self._plugged is None else float(self._plugged)
        found["plugged"] = self._point("plugged", plugged, now)
        state = self._state
        if state is ChargerState.CHARGING and power is not None and power < -_IDLE_KW:
            state = ChargerState.DISCHARGING
        found["state"] = self._point("state", None if state is None else float(state), now)
        return found

    def _point(
        self, name: str, value: float | None, at: datetime, quality: Quality | None = None
    ) -> Measurement:
        kind = NATURES[Nature.CHARGER][name]
        return Measurement(
            name, value, kind, at, quality or (Quality.INVALID if value is None else Quality.GOOD)
        )

    def _power(
        self, now: datetime, limit: timedelta, kw_per_a: float
    ) -> tuple[float | None, Quality, datetime]:
        """Power, from the meter; estimated from currents, or from a state in which none flows. [kW]"""
        measured, current = self._values.get("power_w"), self._values.get("current_a")
        if measured is not None and now - measured[1] <= limit:
            return measured[0] / 1000.0, Quality.GOOD, measured[1]
        if current is not None and now - current[1] <= limit:
            return current[0] * kw_per_a, Quality.ESTIMATED, current[1]
        if self._state is not None and self._state not in _FLOWS and self._state is not ChargerState.FAULT:
            return 0.0, Quality.ESTIMATED, now
        last = max((value[1] for value in (measured, current) if value is not None), default=now)
        return None, Quality.STALE, last

    def tell(self, power_kw: float, now: datetime) -> None:
        """Note what the station has acknowledged; the time of the first word on it counts for the effect."""
        self.standing = Told(power_kw, now, self.transaction)
        if self._told_first is None or self._told_first[0] != power_kw:
            self._told_first = (power_kw, now)

    _told_first: tuple[float, datetime] | None = None

    def verdict(self, settle: timedelta) -> Verdict:
        """Whether the meter shows what was told. A car that takes less than allowed says nothing."""
        told, measured, first = self.standing, self._values.get("power_w"), self._told_first
        if told is None or first is None or measured is None or measured[1] < first[1] + settle:
            return Verdict()
        power_kw, slack = measured[0] / 1000.0, max(0.5, _TOLERANCE * abs(told.power_kw))
        if power_kw > max(told.power_kw, 0.0) + slack or power_kw < min(told.power_kw, 0.0) - slack:
            return Verdict(False, f"the meter shows {power_kw:g} kW instead of {told.power_kw:g}")
        if told.power_kw < 0.0 and power_kw > 0.5 * told.power_kw:
            return Verdict(False, f"the car gives back {max(0.0, -power_kw):g} kW of {-told.power_kw:g}")
        return Verdict(True) if abs(power_kw - told.power_kw) <= slack else Verdict()


_PLUGGED: Final = frozenset(
    {ChargerState.WAITING, ChargerState.CHARGING, ChargerState.DISCHARGING, ChargerState.PAUSED}
)
