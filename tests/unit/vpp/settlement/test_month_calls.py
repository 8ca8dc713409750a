"""Events that a site was called for stand in its month: by the plan's import, and as settled, by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from energy.core.site import DrTerms
from energy.core.slots import jst_midnight
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import SqlStore
from tests.unit.vpp.settlement.accounts import FIRST, SITE, store_of
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_settled import SettledSite
from vpp.settlement.month import MonthAccount, MonthTerms, document, month_account

HALF = timedelta(minutes=30)
DAY = FIRST + timedelta(days=7)  # a Monday after five working days
START = jst_midnight(DAY) + timedelta(hours=17)
END = START + 2 * HALF
OWN = replace(SITE, dr=DrTerms(reward_yen_per_kwh=60.0, adjustment="none"))
PLACES = slice(7 * 48 + 34, 7 * 48 + 36)


def lived(*, promised_days: int = 8) -> SqlStore:
    """Eight days of 10 kWh a half hour; in the event 7 were metered and 6 planned."""
    days = []
    for in_event in (7.0, 6.0):
        load = np.full(8 * 48, 10.0)
        load[PLACES] = in_event
        nothing = np.zeros(8 * 48)
        days.append({"load": load, "imported": load, "pv": nothing, "charge": nothing, "discharge": nothing})
    return store_of(*days, promised_days=promised_days)


def called(store: SqlStore, kw: int, *, stop: datetime | None = None) -> EventBook:
    book, told = EventBook(store), START - timedelta(hours=6)
    event = DrEvent(
        id="e-1", product=Product.ECONOMIC, modification=0, start=START, end=END,
        target_kw=Decimal(kw), announced_at=told,
    )  # fmt: skip
    book.announce(event, at=told, actor="desk")
    book.nominate("e-1", [Resource(site=SITE.id, kw=Decimal(kw))], at=told, actor="desk")
    if stop is not None:
        book.cancel("e-1", at=stop, actor="desk")
    return book


def settle(book: EventBook, kwh: str | None, yen: str) -> None:
    delivered = None if kwh is None else Decimal(kwh)
    one = SettledSite(site=SITE.id, delivered_kwh=delivered, yen=Decimal(yen), yen_per_kwh=Decimal(60))
    book.settle("e-1", [one], yen_per_kwh=None, at=END + HALF, actor="desk")


def month(store: SqlStore) -> MonthAccount:
    return month_account(store, OWN, "2026-08", MonthTerms(), from_day=FIRST, last_day=DAY)


@pytest.mark.parametrize(
    ("kw", "paid", "promised_yen"),
    [
        (20, "360", 480),  # 10 - 7 = 3 kWh each, 6 x 60 yen; by the plan 10 - 6 = 4 each, 8 x 60
        (7, "360", 420),  # no half hour counts for more than the 3.5 kWh that were called: 7 x 60
        (4, "240", 240),  # 2 kWh each were called: the plan would have been paid no more
    ],
)
def test_what_the_plan_would_have_been_paid_is_held_against_what_was(
    kw: int, paid: str, promised_yen: int
) -> None:
    store = lived()
    before = month(store)
    settle(called(store, kw), "6", paid)
    made = month(store)
    line = next(one for one in made.lines if one.name == "called")
    assert line.yen == promised_yen - int(paid)
    assert (line.facts["planned"], line.facts["delivered"], line.facts["paid"]) == ("8.0", "6.0", paid)
    assert before.promised_yen - made.promised_yen == promised_yen
    assert before.settled_yen - made.settled_yen == int(paid)
    assert sum(one.yen for one in made.lines) == made.settled_yen - made.promised_yen
    assert any(fact.rule.startswith("dr_baseline_days") for fact in made.rules)
    assert any(one["name"] == "called" for one in document(made)["lines"])


def test_a_day_without_a_promise_is_taken_as_it_came() -> None:
    store = lived(promised_days=7)
    settle(called(store, 20), "6", "360")
    made = month(store)
    assert next(one.yen for one in made.lines if one.name == "called") == 0


def test_an_event_that_nobody_has_settled_is_counted_and_in_no_figure() -> None:
    store = lived()
    before = month(store)
    book = called(store, 20)
    waiting = month(store)
    assert ("unsettled", 1) in [(one.name, one.count) for one in waiting.notes]
    assert (waiting.lines, waiting.settled_yen) == (before.lines, before.settled_yen)
    settle(book, None, "0")  # it could not be measured: nothing was paid, and nothing is promised
    made = month(store)
    assert next(one.yen for one in made.lines if one.name == "called") == 0
    assert made.settled_yen == before.settled_yen


def test_an_event_that_was_stopped_before_anything_counted_is_not_waited_for() -> None:
    store = lived()
    called(store, 20, stop=START - HALF)
    assert [one for one in month(store).notes if one.name == "unsettled"] == []
