"""The promise of a day is the plan of 11:30 of the day before; it is kept once and in whole days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from dispatch.rules import rules_plan
from energy.core.plan import Plan, Problem
from energy.core.series import Grid
from energy.core.slots import Slot, jst_midnight
from energy.store import SqlStore, open_store
from tests.unit.dispatch.problems import car, problem
from vpp.settlement.promise import PROMISE, keep_promise, promises

DAY = date(2026, 8, 4)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = open_store("sqlite://", durability="process")
    yield opened
    opened.close()


def planned(first: Slot, *, load_kw: float = 50.0) -> tuple[Problem, Plan]:
    """Two days from a slot on, with one car."""
    base = problem(load_kw, 96, cars=(car(96),))
    told = replace(base, site="works", made_at=first.start, grid=Grid(first.start, 96))
    return told, rules_plan(told)


def keep(store: SqlStore, first: Slot, **changes: float) -> None:
    keep_promise(store, *planned(first, **changes))


def kept(store: SqlStore) -> dict[date, float]:
    known = store.as_of(jst_midnight(DAY) + timedelta(days=30))
    found = promises(known, "works", DAY - timedelta(days=1), DAY + timedelta(days=1))
    return {day: sum(one.load_kwh) for day, one in found.items()}


def test_the_plan_of_half_past_eleven_promises_the_whole_next_day(store: SqlStore) -> None:
    keep(store, Slot.of(DAY - timedelta(days=1), 24))
    assert kept(store) == {DAY: pytest.approx(50.0 * 24)}
    known = store.as_of(jst_midnight(DAY))
    (one,) = promises(known, "works", DAY, DAY).values()
    assert len(one.import_kwh) == 48
    parts = np.array(one.load_kwh) - one.pv_kwh + one.rooms_kwh + one.charge_kwh - np.array(one.discharge_kwh)
    assert one.import_kwh == pytest.approx(tuple(parts), abs=1e-5)


def test_a_later_plan_does_not_change_what_was_promised(store: SqlStore) -> None:
    keep(store, Slot.of(DAY - timedelta(days=1), 24))
    keep(store, Slot.of(DAY, 1), load_kw=80.0)
    assert kept(store) == {DAY: pytest.approx(50.0 * 24)}


def test_a_first_day_has_the_promise_of_its_own_midnight(store: SqlStore) -> None:
    keep(store, Slot.of(DAY, 1), load_kw=80.0)
    assert kept(store) == {DAY: pytest.approx(80.0 * 24)}


def test_plans_of_other_half_hours_promise_nothing(store: SqlStore) -> None:
    for koma in (2, 23, 25, 48):
        keep(store, Slot.of(DAY, koma))
    assert not store.as_of(jst_midnight(DAY) + timedelta(days=9)).documents(PROMISE)
