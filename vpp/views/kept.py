"""What a month of control kept: demand, comfort and departures, from readings and nothing else.

What control saved is a difference to something that did not happen. Here it is only what a meter proves: the
energy that cars gave back is metered by itself, so the demand without it is known half hour by half hour.
What the air conditioners gave way cannot be metered and is not counted (docs/how-to/watch-a-factory.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from energy.core.assets import expand_trips
from energy.core.series import FloatArray, Grid, Unit
from energy.core.site import Site
from energy.core.slots import SLOT_LENGTH, Slot, jst_midnight
from energy.market.demand import PeakMemory, exact, first_day, month_shift, shaved_value_yen
from energy.store import Snapshot
from vpp.simulation.score import PROMISE_TOLERANCE
from vpp.site.climate import comfort_band
from vpp.site.recorder import SiteSeries

__all__ = ["Comfort", "Departures", "Kept", "Missed", "Peak", "kept_in_month"]

_ROUNDED_K: Final = 0.05  # a room's register shows tenths: half a digit is no excursion


@dataclass(frozen=True, slots=True)
class Peak:
    """Highest demand of a stretch, and its half hour. [kW]"""

    kw: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Comfort:
    """Half hours at whose end people were in a room and its temperature was measured.

    Parameters
    ----------
    looked, outside, unmeasured : int
        Such half hours, those outside the band, and those whose temperature is missing.
    worst_k : float
        Furthest outside. [K]
    """

    looked: int
    outside: int
    unmeasured: int
    worst_k: float

    @property
    def minutes_outside(self) -> int:
        """Time outside the band, by half hours. [min]"""
        return self.outside * (SLOT_LENGTH // timedelta(minutes=1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A departure below its promise. [-]"""

    asset: str
    at: datetime
    promised: float
    soc: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Departures:
    """Departures of the calendar; ``unmeasured``: nobody saw the charge of the car then."""

    kept: int
    missed: tuple[Missed, ...]
    unmeasured: int

    @property
    def measured(self) -> int:
        """Departures whose charge is known."""
        return self.kept + len(self.missed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A month of a site until an instant.

    Parameters
    ----------
    peak : Peak or None
        As metered; None where nothing was.
    without : Peak or None
        What it would have been had the cars not given back, everything else as it was.
    given_kwh : float
        What the cars gave back. [kWh]
    avoided_yen_month : Decimal
        What the two peaks differ in the basic charge of this month, the twelve-month memory counted. [yen]
    memory_kw : float
        Highest demand that the contract remembers from the months before. [kW]
    start : datetime
        Begin of the month, or of the first reading of the meter in it.
    missing : int
        Half hours since then without a reading of the meter.
    """

    month: str
    start: datetime
    end: datetime
    peak: Peak | None
    without: Peak | None
    given_kwh: float
    avoided_yen_month: Decimal
    memory_kw: float
    missing: int
    comfort: Comfort
    departures: Departures

    @property
    def began_late(self) -> bool:
        """Whether the meter was read from some day inside the month on only."""
        return self.start > jst_midnight(first_day(self.month))

    @property
    def avoided_kw(self) -> float:
        """How much lower the peak was for what the cars gave back. [kW]"""
        return 0.0 if self.peak is None or self.without is None else self.without.kw - self.peak.kw


def kept_in_month(known: Snapshot, site: Site, month: str, now: datetime) -> Kept:
    """What a month kept, as far as an instant knows it.

    Parameters
    ----------
    month : str
        ``YYYY-MM``, Japan.
    """
    start, end = jst_midnight(first_day(month)), jst_midnight(first_day(month_shift(month, 1)))
    names = SiteSeries(site.id)
    span = known.span(names["meter", "import_kwh"])
    began = start if span is None else max(start, Slot.containing(span[0]).start)
    stop = max(began, min(end, Slot.containing(now).start))
    grid = Grid(began, (stop - began) // SLOT_LENGTH)

    def read(asset: str, quantity: str) -> FloatArray:
        return known.series(names[asset, quantity], grid, Unit.KWH).values

    imported = read("meter", "import_kwh") if grid.count else np.zeros(0)
    given = sum((np.nan_to_num(read(one.id, "discharge_kwh")) for one in site.vehicles), np.zeros(grid.count))
    peak, without = _peak(grid, 2.0 * imported), _peak(grid, 2.0 * (imported + given))
    memory = PeakMemory(dict(site.peak_memory_kw))
    return Kept(
        month=month,
        start=began,
        end=stop,
        peak=peak,
        without=without,
        given_kwh=float(given.sum()),
        avoided_yen_month=_avoided_yen(site, month, memory, peak, without),
        memory_kw=float(memory.peak_kw(month)),
        missing=int(np.isnan(imported).sum()),
        comfort=_comfort(known, site, grid),
        departures=_departures(known, site, began, stop),
    )


def _peak(grid: Grid, demand_kw: FloatArray) -> Peak | None:
    if not np.isfinite(demand_kw).any():
        return None
    highest = int(np.nanargmax(demand_kw))
    return Peak(float(demand_kw[highest]), grid.time(highest))


def _avoided_yen(
    site: Site, month: str, memory: PeakMemory, peak: Peak | None, without: Peak | None
) -> Decimal:
    """What the two peaks differ in the basic charge of the month. [yen]"""
    if peak is None or without is None or site.tariff.contract_kw is not None:
        return Decimal(0)
    from_kw, to_kw = exact(without.kw), exact(peak.kw)
    return shaved_value_yen(site.tariff, memory, month, from_kw=from_kw, to_kw=to_kw, months=1)


def _comfort(known: Snapshot, site: Site, grid: Grid) -> Comfort:
    looked = outside = unmeasured = 0
    worst = 0.0
    for zone in site.zones if grid.count else ():
        rooms = known.series(SiteSeries(site.id)[zone.id, "room_c"], grid, Unit.CELSIUS).values
        for k, room_c in enumerate(rooms):
            band = comfort_band(site, zone, grid.time(k + 1))
            if band is None:
                continue
            if np.isnan(room_c):
                unmeasured += 1
                continue
            excursion = max(band[0] - room_c, room_c - band[1], 0.0)
            looked += 1
            outside += excursion > _ROUNDED_K
            worst = max(worst, float(excursion))
    return Comfort(looked=looked, outside=outside, unmeasured=unmeasured, worst_k=worst)


def _departures(known: Snapshot, site: Site, start: datetime, stop: datetime) -> Departures:
    kept, unmeasured, missed = 0, 0, list[Missed]()
    for vehicle, patterns in site.trips.items():
        for trip in expand_trips(vehicle, patterns, start, stop):
            if not start <= trip.departs < stop:
                continue
            soc = _soc_before(known, site.id, vehicle, trip.departs)
            if soc is None:
                unmeasured += 1
            elif soc >= trip.promise_soc - PROMISE_TOLERANCE:
                kept += 1
            else:
                missed.append(Missed(asset=vehicle, at=trip.departs, promised=trip.promise_soc, soc=soc))
    missed.sort(key=lambda one: one.at)
    return Departures(kept=kept, missed=tuple(missed), unmeasured=unmeasured)


def _soc_before(known: Snapshot, site: str, vehicle: str, departs: datetime) -> float | None:
    """Charge at the last half hour that ended before a departure; None if no car was at the plug then."""
    slot = Slot.containing(departs - timedelta(microseconds=1)).start
    begun = slot if slot + SLOT_LENGTH <= departs else slot - SLOT_LENGTH
    names = SiteSeries(site)
    found = [known.values(names[vehicle, name], begun, begun + SLOT_LENGTH) for name in ("soc", "plugged")]
    if not all(found) or found[1][0].value != 1.0:
        return None
    return found[0][0].value
