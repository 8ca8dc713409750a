"""Bad input, one by one: refused by name before the solver, or planned sensibly; never zeros."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dispatch.checks import check_plan
from dispatch.planner import Planner
from dispatch.solve import Solution
from energy.core.errors import DataError
from energy.core.plan import Problem, Promise
from energy.core.plan_parts import Adjustment, DemandStep, DrEvent, Feeder, SubmittedPlan
from energy.core.units import AssetId
from tests.unit.dispatch.problems import battery, car, limits, problem, trip, zone

NAN, INF = float("nan"), float("inf")
BASE = problem(100.0, 4)
EVENT = DrEvent(id="dr", first=1, last=3, baseline_kw=(90.0, 90.0), reward_yen_per_kwh=30.0, most_kw=10.0)
WINDOW = Adjustment(first=0, last=1, usual_kw=(90.0,), slots=1)
WEST = Feeder(id="west", members=(AssetId("leaf"),), limit_kw=5.0, back_kw=5.0)
GIVEN = SubmittedPlan(import_kw=(100.0,) * 4, short_yen_per_kwh=(5.0,) * 4, long_yen_per_kwh=(5.0,) * 4)


def never(*_: object, **__: object) -> Solution:
    raise AssertionError("the solver was asked")


def events(**changes: Any) -> Problem:
    return replace(BASE, events=(replace(EVENT, **changes),))


def feeders(**changes: Any) -> Problem:
    return replace(BASE, cars=(car(4),), feeders=(replace(WEST, **changes),))


def submitted(**changes: Any) -> Problem:
    return replace(BASE, submitted=replace(GIVEN, **changes))


def hall(**changes: Any) -> Problem:
    return replace(BASE, zones=(zone(4, **changes),))


@pytest.mark.parametrize(
    ("site", "told"),
    [
        (replace(BASE, price_yen_per_kwh=(20.0, NAN, 20.0, 20.0)), r"price_yen_per_kwh\[1\] is nan"),
        (replace(BASE, price_yen_per_kwh=(1e9,) * 4), r"price_yen_per_kwh\[0\] is 1e\+09 yen/kWh"),
        (replace(BASE, cars=(car(4, promises=(Promise(index=2, soc_kwh=99.0),)),)), "promised are 99.0 kWh"),
        (hall(low_c=(25.0,) * 4), "upside down"),
        (replace(BASE, batteries=(battery(capacity_kwh=0.0, soc0_kwh=0.0),)), "capacity_kwh is 0.0"),
        (replace(BASE, cars=(car(4, capacity_kwh=0.0),)), "capacity_kwh is 0.0"),
        (problem(100.0, 5_000), "5000 intervals are more than 1488"),
        (replace(BASE, cars=(car(4),), batteries=(battery(id="leaf"),)), "2 assets have this id"),
        (replace(BASE, divisions=(2, 2)), "divisions has 2 values"),
        (replace(BASE, divisions=(2, 0, 1, 1)), r"divisions\[1\] is 0"),
        (replace(BASE, divisions=(2, 1, 1, 1)), "has 4 values, the horizon 5 intervals"),
        (replace(problem(1.0, 1_000), divisions=(4,) * 1_000), "4000 intervals are more than"),
        (replace(BASE, change_yen_per_kwh=NAN), "change_yen_per_kwh is nan"),
        (replace(BASE, cars=(car(4, planned_kw=(1.0,) * 5),)), "planned_kw has 5 values"),
        (replace(BASE, cars=(car(4, planned_kw=(NAN,)),)), r"planned_kw\[0\] is nan"),
        (replace(BASE, cars=(car(4, min_power_kw=7.0),)), "least power of 7 kW is above"),
        (events(first=3, last=3), "half-hours 3 to 3 do not lie in order"),
        (events(last=9), "half-hours 1 to 9 do not lie in order"),
        (events(baseline_kw=(90.0,)), "baseline_kw has 1 values"),
        (events(baseline_kw=(90.0, INF)), r"baseline_kw\[1\] is inf"),
        (events(reward_yen_per_kwh=1e9), "reward_yen_per_kwh is 1e"),
        (events(reward_yen_per_kwh=-1.0), "reward_yen_per_kwh is -1.0, below 0"),
        (events(most_kw=NAN), "most_kw is nan"),
        (events(adjustment=replace(WINDOW, slots=0)), "adjustment.slots is 0"),
        (events(adjustment=replace(WINDOW, last=2, usual_kw=(1.0, 1.0), slots=2)), "does not end before"),
        (replace(BASE, events=(EVENT, EVENT)), "2 events or feeders have this id"),
        (feeders(members=(AssetId("tram"),)), "tram hangs on this feeder, but there is no such asset"),
        (feeders(members=(AssetId("leaf"),) * 2), "leaf hangs on this feeder 2 times"),
        (feeders(limit_kw=-1.0), "limit_kw is -1.0, below 0"),
        (feeders(load_kw=(1.0,)), "load_kw has 1 values"),
        (submitted(import_kw=(1.0,)), "import_kw has 1 values"),
        (submitted(long_yen_per_kwh=(-9.0,) * 4), "pays 4 yen/kWh for being off either way"),
        (submitted(short_yen_per_kwh=(1e9,) * 4), "a price of half-hour 0 is 1e"),
        (replace(BASE, limits=limits(memory_until=0)), "memory_until is 0"),
        (
            replace(BASE, limits=limits(steps=(DemandStep(level_kw=NAN, yen_per_kw=1.0),))),
            "level_kw is nan",
        ),
        (
            replace(BASE, limits=limits(steps=(DemandStep(level_kw=1.0, yen_per_kw=1.0, first=4),))),
            "half-hours 4 to 4 do not lie in order",
        ),
        (hall(stages_kw=(6.0, 4.0, 16.0)), "stages 6, 4, 16 kW do not rise"),
        (hall(stages_kw=(6.0, 12.0)), "do not rise from above 0 to 16 kW"),
        (hall(stages_kw=(16.0,), min_power_kw=2.0), "stages or a least power, not both"),
        (hall(min_power_kw=20.0), "least power of 20 kW is above its 16 kW"),
        (hall(min_on_h=1.0), "minimum times need stages_kw or min_power_kw"),
        (hall(stages_kw=(8.0, 16.0), least_kw=(5.0, 0.0, 0.0, 0.0)), "which is no stage of the unit"),
        (hall(defrost=(1.0,) * 4), "defrost is 1.0, not below 1"),
        (hall(in_state_h=NAN), "in_state_h is nan"),
        (hall(whole_steps=-1), "whole_steps is -1"),
    ],
)
def test_bad_input_is_refused_by_name_before_the_solver(site: Problem, told: str) -> None:
    with pytest.raises(DataError, match=told) as caught:
        Planner(solver=never).plan(site)
    assert caught.value.lines()[2]  # what to do


@pytest.mark.parametrize(
    "site",
    [
        problem(100.0, 1, cars=(car(1, promises=(Promise(index=1, soc_kwh=30.0),)),), zones=(zone(1),)),
        problem(100.0, 4, cars=(car(4, plugged=(False,) * 4, promises=(Promise(index=2, soc_kwh=30.0),)),)),
        problem(100.0, 8, cars=(trip(trip(car(8), 2, 6, 8.0, 30.0), 4, 7, 3.0, 30.0),)),
        problem(0.0, 4, cars=(car(4, max_charge_kw=0.0, max_discharge_kw=0.0),)),
        problem(100.0, 4, limits=limits(contract_kw=0.0), cars=(car(4, soc0_kwh=0.0),)),
        events(baseline_kw=(0.0, 0.0), negative_counts=True),
        feeders(limit_kw=0.0, back_kw=0.0),
        hall(max_electric_kw=0.0),
    ],
    ids=[
        "one slot", "never there", "leaves before it is back", "dead charger", "no contract", "no baseline",
        "cut feeder", "no unit",
    ],
)  # fmt: skip
def test_odd_input_is_planned_and_what_cannot_be_kept_is_named(site: Problem) -> None:
    plan = Planner().plan(site)
    assert plan.source == "optimal"
    assert check_plan(site, plan) == ()
    promised = any(
        promise.soc_kwh > one.soc0_kwh for one in site.cars for promise in one.promises if promise.index > 0
    )
    assert not promised or any(short.kind == "departure" for short in plan.shortfalls)
