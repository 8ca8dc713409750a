"""What the operator of a site gives to its planner, and what of the forecasts it keeps."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

import vpp.loop.operate
from devices.gateway import Gateway
from dispatch.planner import Planner
from energy.core.clock import ManualClock
from energy.core.plan import Plan, Problem
from energy.core.series import Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import SLOT_LENGTH, Slot
from energy.store import open_store, points_of
from tests.unit.vpp.forecasts.past import SITE, midnight, put_load, rhythm
from vpp.forecasts.issued import LOAD, Horizon, latest_issued
from vpp.loop.operate import Mode, SiteOperator
from vpp.site.recorder import SiteSeries

BARE = replace(SITE, vehicles=(), zones=(), trips={}, chargers=())
DAYS = 3  # enough for the simplest method


class Listener(Planner):
    """A planner that remembers what it was asked."""

    asked: list[Problem]

    def plan(self, problem: Problem, *, previous: Plan | None = None) -> Plan:
        self.asked.append(problem)
        return super().plan(problem, previous=previous)


def first_problem(
    mode: Mode, monkeypatch: pytest.MonkeyPatch, *, site: Site = BARE, days: int = DAYS
) -> tuple[Problem, float]:
    """What the planner was asked at the first slot, and the widest band that was kept. [kW]"""
    listener = Listener()
    listener.asked = []
    monkeypatch.setattr(vpp.loop.operate, "Planner", lambda **_: listener)
    now = midnight(days)
    clock = ManualClock(now)
    with open_store("sqlite://") as store:
        put_load(store, rhythm(days, noise_kw=8.0))
        mild = Series(Grid(midnight(0), days * 48), np.full(days * 48, 20.0), Unit.CELSIUS)
        name = SiteSeries(site.id)["weather", "outdoor_c"]
        store.append(points_of(name, mild, known_at=lambda at: at + SLOT_LENGTH, source="test"))
        operator = SiteOperator(
            site=site, mode=mode, store=store, clock=clock, equipment=Gateway((), clock=clock), trips=()
        )
        with store.transaction():
            operator.begin(Slot(now), {})
        issued = latest_issued(store.as_of(now), site.id, LOAD, Horizon.INTRADAY)
    assert issued is not None
    return listener.asked[0], float(np.max(np.subtract(issued.p90, issued.p50)))


def test_the_plan_sees_the_spread_of_the_forecast(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, kept_kw = first_problem("optimal", monkeypatch)
    assert max(np.subtract(problem.load_p90_kw, problem.load_p50_kw)) >= kept_kw > 1.0


def test_a_plan_from_medians_sees_none_of_it_but_the_forecast_is_kept_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, _ = first_problem("optimal", monkeypatch)
    problem, kept_kw = first_problem("optimal-p50", monkeypatch)
    assert problem.load_p10_kw == problem.load_p50_kw == problem.load_p90_kw == whole.load_p50_kw
    assert kept_kw > 1.0


def test_on_the_last_day_of_a_month_the_plan_knows_what_the_next_month_remembers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    memory = {"2025-06": Decimal(250), "2025-12": Decimal(200)}
    site = replace(BARE, peak_memory_kw=memory)
    last, _ = first_problem("optimal", monkeypatch, site=site, days=20)  # 31 May: June 2025 drops out
    assert (last.limits.peak_memory_kw, last.limits.memory_until) == (250.0, 48)
    assert [(one.level_kw, one.first) for one in last.limits.steps] == [(200.0, 0), (200.0, 48)]
    early, _ = first_problem("optimal", monkeypatch, site=site, days=DAYS)
    assert (early.limits.memory_until, early.limits.steps) == (None, ())
