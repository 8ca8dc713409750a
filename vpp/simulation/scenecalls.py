"""Demand-response events of a scenario: announced, answered and settled as those of a running service.

They stand in the event book of the store like any other, so that plans, control and ``vpp dr`` see nothing
special.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from energy.core.series import Grid, Unit
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.market.rules import BaselineDays, rule_row
from energy.store import Store
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_life import EventState
from vpp.settlement.dr_measuring import enrolled
from vpp.settlement.dr_settling import settle_from_readings, settlement_rules
from vpp.simulation.scenario import DrCall, Scenario
from vpp.site.recorder import SiteSeries

__all__ = ["announce_calls", "settle_calls"]

_ACTOR = "scenario"


def announce_calls(store: Store, scenario: Scenario, now: datetime) -> None:
    """Announce what is due by an instant, and call the site for it; twice is once."""
    book = EventBook(store)
    for call in scenario.world.calls:
        if not call.known_at <= now < call.end or book.find(call.id) is not None:
            continue
        book.announce(_event(call), at=now, actor=_ACTOR)
        book.answer(call.id, takes_part=True, at=now, actor=_ACTOR)
        book.nominate(call.id, [Resource(site=scenario.site.id, kw=call.kw)], at=now, actor=_ACTOR)


def settle_calls(store: Store, scenario: Scenario, now: datetime) -> None:
    """Measure and settle the events that are over, from the readings of the site's meter; twice is once."""
    book, site = EventBook(store), scenario.site
    for call in scenario.world.calls:
        event = book.find(call.id)
        if event is None or now < call.end or event.state is EventState.SETTLED:
            continue
        how = enrolled(site)
        days = rule_row(BaselineDays, event.day).values.lookback_days + 1
        grid = Grid.between(event.start - timedelta(days=days), event.end)
        meter = store.as_of(now).series(SiteSeries(site.id)["meter", "import_kwh"], grid, Unit.KWH)
        settled = settle_from_readings(store, event, site.id, meter, how)
        rules = settlement_rules(event)
        book.settle(call.id, [settled], yen_per_kwh=how.yen_per_kwh, at=now, actor=_ACTOR, rules=rules)


def _event(call: DrCall) -> DrEvent:
    return DrEvent(
        id=call.id,
        product=Product.ECONOMIC,
        modification=0,
        start=call.start,
        end=call.end,
        target_kw=call.kw,
        announced_at=call.known_at,
    )
