"""Called events in a month's account: what the plans' import would have been paid, and what was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from energy.core.series import Grid, Series, Unit
from energy.core.site import Site
from energy.market.rule_table import RuleFact
from energy.store import Snapshot, Store
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import Measuring
from vpp.settlement.dr_settled import SettledSite
from vpp.settlement.dr_settling import agreed, settle_from_readings, settlement_rules
from vpp.settlement.promise import DayPromise
from vpp.settlement.waterfall import Step
from vpp.site.recorder import SiteSeries

__all__ = ["MonthCalls", "call_steps", "month_calls"]

_REACH: Final = timedelta(days=45)  # further back than any baseline looks
_NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """One settled event; yen are whole, cut as in the month's other events."""

    promised_kwh: Decimal
    delivered_kwh: Decimal
    promised_yen: int
    paid_yen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthCalls:
    """The events of a month for which a site was called.

    Parameters
    ----------
    settled : tuple
        By plan and as settled.
    unsettled : int
        Events of the month that nobody has settled yet; they are in no figure.
    rules : tuple of RuleFact
        Dated rules behind the settled ones.
    """

    settled: tuple[_Call, ...] = ()
    unsettled: int = 0
    rules: tuple[RuleFact, ...] = ()

    @property
    def promised_yen(self) -> int:
        """What the plans' import would have been paid. [yen]"""
        return sum(one.promised_yen for one in self.settled)


def month_calls(
    store: Store, known: Snapshot, site: Site, grid: Grid, told: Mapping[date, DayPromise]
) -> MonthCalls:
    """What a site was promised and paid in the events of a month.

    Promised is what the same settlement would have paid had the meter shown the import of the day's plan in
    the event: the same baseline, the same adjustment, the same price. A day without a promise is taken as it
    came. What a newer settlement of an event says holds.

    Parameters
    ----------
    grid : Grid
        Half hours of the month; an event belongs to the month in which it begins.
    told : mapping
        Promises by day.
    """
    book = EventBook(store)
    found, waiting, rules = [], 0, []
    for event in book.events():
        if not grid.start <= event.start < grid.end or not event.paid_slots(site.id):
            continue  # of another month, not called, or stopped before anything counted
        settlement = book.settlement(event.id)
        paid = next((one for one in settlement.sites if one.site == site.id), None) if settlement else None
        if settlement is None or paid is None:
            waiting += 1
            continue
        rules += settlement_rules(event)
        usual = Measuring(yen_per_kwh=settlement.yen_per_kwh, calendar=site.calendar.calendar())
        own = agreed(store, [site.id], event.start, at=event.end, otherwise=[site])
        planned = _by_plan(known, site, event, told)
        promised = settle_from_readings(store, event, site.id, planned, own.get(site.id, usual))
        found.append(_call(paid, promised if paid.delivered_kwh is not None else paid))
    return MonthCalls(settled=tuple(found), unsettled=waiting, rules=tuple(rules))


def _call(paid: SettledSite, promised: SettledSite) -> _Call:
    return _Call(
        promised_kwh=promised.delivered_kwh or _NOTHING,
        delivered_kwh=paid.delivered_kwh or _NOTHING,
        promised_yen=int(promised.yen),
        paid_yen=int(paid.yen),
    )


def _by_plan(known: Snapshot, site: Site, event: DrEvent, told: Mapping[date, DayPromise]) -> Series:
    """The meter, with the import of the day's plan in the half hours of an event. [kWh]"""
    reach = Grid.between(event.start - _REACH, event.end)
    values = known.series(SiteSeries(site.id)["meter", "import_kwh"], reach, Unit.KWH).values.copy()
    for slot in event.slots():
        promise = told.get(slot.local_date)
        if promise is not None:
            values[reach.index(slot.start)] = max(0.0, promise.import_kwh[slot.koma - 1])
    return Series(reach, values, Unit.KWH)


def call_steps(calls: Sequence[_Call]) -> list[Step]:
    """The line of the events; none where there was no settled one."""
    if not calls:
        return []
    planned = sum((one.promised_kwh for one in calls), _NOTHING)
    delivered = sum((one.delivered_kwh for one in calls), _NOTHING)
    return [
        Step(
            name="called",
            yen=Decimal(sum(one.promised_yen - one.paid_yen for one in calls)),
            facts={
                "events": str(len(calls)),
                "planned": f"{planned:,.1f}",
                "delivered": f"{delivered:,.1f}",
                "paid": f"{sum(one.paid_yen for one in calls):,}",
            },
        )
    ]
