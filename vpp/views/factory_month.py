"""A factory's month as its manager reads it: the peak, what was kept, the bill so far, events and coins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from energy.core.errors import VppError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import JST, SLOTS_PER_DAY, jst_midnight
from energy.ledger import Journal
from energy.market.bill import Bill, period_bill
from energy.market.demand import PeakMemory, first_day, month_shift
from energy.store import Snapshot, Store
from vpp.settlement.dr_events import EventBook
from vpp.site.recorder import SiteSeries
from vpp.views.kept import Kept, kept_in_month

__all__ = ["DayOfMonth", "FactoryMonth", "MonthEvent", "coins_of_month", "factory_month"]

_DAY: Final = timedelta(days=1)
Floats = tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class DayOfMonth:
    """A day: its highest demand and its energy as far as they were metered. [kW, kWh]"""

    day: date
    peak_kw: float | None
    kwh: float
    missing: int


@dataclass(frozen=True, slots=True)
class MonthEvent:
    """An event of the month; kWh and yen are None until it is settled."""

    start: datetime
    end: datetime
    kwh: Decimal | None
    yen: Decimal | None
    out: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryMonth:
    """A month until an instant.

    Parameters
    ----------
    days : tuple of DayOfMonth
        Whole days that are over; a month without a reading has none with a peak.
    peak_demand_kw, peak_target_kw : tuple of float or None
        The 48 half hours of the day of the peak. [kW]
    bill : Bill or None
        Of the whole days so far, the basic charge by its share of the month; None if a reading is missing: a
        bill is not guessed.
    """

    site: Site
    month: str
    kept: Kept
    days: tuple[DayOfMonth, ...]
    peak_day: date | None
    peak_demand_kw: Floats
    peak_target_kw: Floats
    bill: Bill | None
    events: tuple[MonthEvent, ...]
    coins: int

    @property
    def empty(self) -> bool:
        """Whether nothing was metered at all."""
        return self.kept.peak is None

    @property
    def missing(self) -> int:
        """Half hours without a reading on whole days."""
        return sum(day.missing for day in self.days)

    @property
    def event_yen(self) -> Decimal:
        """What settled events paid. [yen]"""
        return sum((one.yen for one in self.events if one.yen is not None), Decimal(0))


def factory_month(store: Store, site: Site, month: str, now: datetime) -> FactoryMonth:
    """A month of a site as an instant knows it.

    Raises
    ------
    DataError
        If the text is no month.
    """
    known = store.as_of(now)
    kept = kept_in_month(known, site, month, now)
    first = jst_midnight(kept.start.astimezone(JST).date())
    first += _DAY if first < kept.start else timedelta(0)
    whole = max(0, (kept.end - first) // _DAY)
    grid, names = Grid(first, whole * SLOTS_PER_DAY), SiteSeries(site.id)
    imported = np.zeros(0)
    if whole:
        imported = known.series(names["meter", "import_kwh"], grid, Unit.KWH).values
    days = tuple(_day(first + k * _DAY, one) for k, one in enumerate(imported.reshape(whole, SLOTS_PER_DAY)))
    peak_day = None if kept.peak is None else kept.peak.at.astimezone(JST).date()
    return FactoryMonth(
        site=site,
        month=month,
        kept=kept,
        days=days,
        peak_day=peak_day,
        peak_demand_kw=_of_day(known, site, peak_day, ("meter", "import_kwh"), 2.0),
        peak_target_kw=_of_day(known, site, peak_day, ("guard", "target_kw"), 1.0),
        bill=_bill(site, grid, imported),
        events=_events(store, site, month, now),
        coins=coins_of_month(store, site, month, now),
    )


def _day(start: datetime, kwh: FloatArray) -> DayOfMonth:
    missing = int(np.isnan(kwh).sum())
    peak = None if missing == len(kwh) else float(2.0 * np.nanmax(kwh))
    return DayOfMonth(start.astimezone(JST).date(), peak, float(np.nansum(kwh)), missing)


def _of_day(known: Snapshot, site: Site, day: date | None, name: tuple[str, str], times: float) -> Floats:
    if day is None:
        return ()
    grid = Grid(jst_midnight(day), SLOTS_PER_DAY)
    series = known.series(SiteSeries(site.id)[name], grid, Unit.RATIO)
    return tuple(None if np.isnan(one) else float(one) * times for one in series.values)


def _bill(site: Site, grid: Grid, imported: FloatArray) -> Bill | None:
    if not grid.count or np.isnan(imported).any():
        return None
    try:
        return period_bill(
            site.tariff, Series(grid, imported, Unit.KWH), PeakMemory(dict(site.peak_memory_kw))
        )
    except VppError:  # a tariff that needs market prices, or has none for this month: no bill is said
        return None


def _events(store: Store, site: Site, month: str, now: datetime) -> tuple[MonthEvent, ...]:
    """Events that the site was called for, with what was settled."""
    book, found = EventBook(store), []
    start, end = jst_midnight(first_day(month)), jst_midnight(first_day(month_shift(month, 1)))
    for event in book.events(known_at=now):
        out = site.id in event.opted_out
        if not start <= event.start < end or not (out or any(call.site == site.id for call in event.calls)):
            continue
        settled = book.settlement(event.id)
        mine = next((one for one in settled.sites if one.site == site.id), None) if settled else None
        found.append(
            MonthEvent(
                event.start,
                event.end,
                None if mine is None else mine.delivered_kwh,
                None if mine is None else mine.yen,
                out,
            )
        )
    return tuple(found)


def coins_of_month(store: Store, site: Site, month: str, now: datetime) -> int:
    """Points that the cars of a site earned in a month by events."""
    cars, total = {vehicle.id for vehicle in site.vehicles}, 0
    for entry in Journal(store).entries(prefix="grant/"):
        here = entry.facts.get("site") or site.id
        counts = here == site.id and entry.facts.get("vehicle") in cars and entry.at <= now
        if counts and f"{entry.at.astimezone(JST):%Y-%m}" == month:
            total += sum(posting.points for posting in entry.postings if posting.points > 0)
    return total
