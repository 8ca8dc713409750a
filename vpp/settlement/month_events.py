"""Events in a month's account: what the plans promised to give, what was given, and what was verified."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

import numpy as np
from pydantic import TypeAdapter

from energy.core.errors import DataError
from energy.core.series import Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import Slot, slots_between
from energy.core.units import floor_int
from energy.ledger import CoinRule, Journal, TightEvent
from energy.market.baseline import Baseline, baseline
from energy.market.demand import exact
from energy.market.rule_table import RuleFact
from energy.market.rules import facts_on
from energy.store import Snapshot, Store
from vpp.settlement.dr_measuring import Measuring
from vpp.settlement.promise import DayPromise
from vpp.settlement.waterfall import Step
from vpp.site.recorder import SiteSeries
from vpp.site.records import EVENT

__all__ = ["CalledEvent", "event_rules", "event_steps", "known_events", "settle_call"]

_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
_EVENT: Final = TypeAdapter(TightEvent)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalledEvent:
    """One event: what was promised and what it paid; yen and points are whole."""

    promised_kwh: Decimal
    given_kwh: Decimal
    verified_kwh: Decimal | None
    promised_dr_yen: int
    given_dr_yen: int
    paid_dr_yen: int
    promised_points: int
    points: int


def settle_call(
    known: Snapshot,
    site: Site,
    event: TightEvent,
    events: Sequence[TightEvent],
    *,
    grid: Grid,
    told: Mapping[date, DayPromise],
    how: Measuring,
    coin: CoinRule | None,
    journal: Journal,
) -> CalledEvent:
    """One event of a month, from meters, promises and the journal.

    Parameters
    ----------
    events : sequence of TightEvent
        All known events: earlier ones are no baseline days.
    how : Measuring
        How the site is measured and paid.
    """
    slots = slots_between(event.start.start, event.end.start)
    names = SiteSeries(site.id)
    inside = Grid(slots[0].start, len(slots))
    given = sum(
        (
            exact(float(np.nansum(known.series(names[car.id, "discharge_kwh"], inside, Unit.KWH).values)))
            for car in site.vehicles
        ),
        Decimal(0),
    )
    by_car = {car.id: _planned_discharge(told, slots, car.id) for car in site.vehicles}
    planned = sum(by_car.values(), Decimal(0))
    reached = grid.start - timedelta(days=45)
    meter = known.series(names["meter", "import_kwh"], Grid.between(reached, inside.end), Unit.KWH)
    verified = _verified(event, events, how, meter)
    rate = how.yen_per_kwh or Decimal(0)
    paid = 0 if verified is None else int(how.worth(verified))  # yen are cut, also those that are owed
    employees = [car for car in site.vehicles if car.driver is not None]
    expected = (
        0 if coin is None else sum(floor_int(by_car[car.id] * coin.points_per_kwh) for car in employees)
    )
    return CalledEvent(
        promised_kwh=planned,
        given_kwh=given,
        verified_kwh=verified,
        promised_dr_yen=floor_int(planned * rate),
        given_dr_yen=floor_int(given * rate),
        paid_dr_yen=paid,
        promised_points=expected,
        points=_points(journal, event.id),
    )


def _planned_discharge(told: Mapping[date, DayPromise], slots: Sequence[Slot], car: str) -> Decimal:
    return sum(
        (
            exact(told[slot.local_date].discharge_by_car_kwh.get(car, (0.0,) * 48)[slot.koma - 1])
            for slot in slots
            if slot.local_date in told
        ),
        Decimal(0),
    )


def _verified(
    event: TightEvent, events: Sequence[TightEvent], how: Measuring, meter: Series
) -> Decimal | None:
    """Reduction against the agreed baseline; None where there are too few days. [kWh]"""
    before = frozenset(one.start.local_date for one in events if one.start < event.start)
    try:
        found = baseline(how.request(event.start, event.end, before), meter)
    except DataError:  # a gap inside the event: nothing is paid automatically
        return None
    return found.reduction_kwh if isinstance(found, Baseline) else None


def _points(journal: Journal, event: str) -> int:
    """Points that an event was granted, less what was taken back."""
    return sum(
        posting.points
        for entry in journal.entries()
        if entry.facts.get("event") == event
        for posting in entry.postings
        if posting.account.startswith(("driver/", "company/"))
    )


def event_steps(calls: Sequence[CalledEvent]) -> list[Step]:
    """Lines of the events of a month; none where there was no event."""
    if not calls:
        return []
    planned, given = (
        sum((getattr(one, name) for one in calls), Decimal(0)) for name in ("promised_kwh", "given_kwh")
    )
    verified = sum((one.verified_kwh or Decimal(0) for one in calls), Decimal(0))
    without = sum(1 for one in calls if one.verified_kwh is None)
    delivery = sum(one.promised_dr_yen - one.given_dr_yen for one in calls)
    measured = sum(one.given_dr_yen - one.paid_dr_yen for one in calls)
    points = sum(one.points - one.promised_points for one in calls)
    return [
        Step(
            name="dr_delivery",
            yen=Decimal(delivery),
            facts={"planned": f"{planned:,.1f}", "given": f"{given:,.1f}", "events": str(len(calls))},
        ),
        Step(
            name="dr_baseline",
            yen=Decimal(measured),
            facts={"given": f"{given:,.1f}", "verified": f"{verified:,.1f}", "without": str(without)},
        ),
        Step(
            name="points",
            yen=Decimal(points),
            facts={
                "planned": str(sum(one.promised_points for one in calls)),
                "granted": str(sum(one.points for one in calls)),
            },
        ),
    ]


def event_rules(events: Sequence[TightEvent]) -> list[RuleFact]:
    """The dated rules behind the baselines of some events."""
    ids = ("dr_baseline_days", "dr_baseline_adjustment", "dr_baseline_shortage")
    return [fact for event in events for rule in ids for fact in facts_on(rule, event.start.local_date)]


def known_events(store: Store) -> list[TightEvent]:
    """Every tight-supply event that a store knows of, in order."""
    found = store.as_of(_END_OF_TIME).documents(EVENT)
    return sorted((_EVENT.validate_json(one.body) for one in found), key=lambda event: event.start)
