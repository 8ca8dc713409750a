"""Every setpoint says why: by table, what happens on the site and what the driver or the manager reads."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from dispatch.planner import Planner
from dispatch.rules import rules_plan
from energy.core.plan import CarProblem, Plan, Problem, Promise, Reason, ReasonCode
from energy.core.units import AssetId
from tests.unit.dispatch.problems import battery, car, factory, limits, problem, pv, trip, zone

LEAF, HALL, PV, BATTERY = AssetId("leaf"), AssetId("hall"), AssetId("pv"), AssetId("battery")
PLANNER = Planner()
TIGHT = (False,) * 4 + (True,) * 4 + (False,) * 4


def rewarded(**changes: object) -> CarProblem:
    value = tuple(20.0 if flag else 0.0 for flag in TIGHT)
    return replace(car(12, discharge_value_yen_per_kwh=value), **changes)  # type: ignore[arg-type]


def codes(site: Problem, asset: AssetId) -> list[str]:
    return [point.reason.code.value for point in PLANNER.plan(site).of(asset)]


def facts(plan: Plan, asset: AssetId, code: ReasonCode) -> dict[str, float | str]:
    return next(point.reason.facts for point in plan.of(asset) if point.reason.code is code)


@pytest.mark.parametrize(
    ("site", "asset", "index", "code"),
    [
        (problem(100.0, 12, cars=(rewarded(),), tight=TIGHT), LEAF, 5, "event"),
        (
            problem(100.0, 12, cars=(rewarded(may_discharge=(False,) * 12),), tight=TIGHT),
            LEAF,
            5,
            "opted_out",
        ),
        (
            problem(100.0, 12, cars=(rewarded(soc0_kwh=12.0),), tight=TIGHT),
            LEAF,
            0,
            "event",
        ),  # fills up for it
        (
            problem(100.0, 12, cars=(rewarded(soc0_kwh=12.0, max_charge_kw=0.0),), tight=TIGHT),
            LEAF,
            5,
            "promise",
        ),
        (problem(100.0, 12, cars=(trip(car(12), 4, 8, 2.0, 26.0),)), LEAF, 0, "promise"),
        (problem(100.0, 12, cars=(trip(car(12), 4, 8, 2.0, 26.0),)), LEAF, 5, "away"),
        (problem(100.0, 12, cars=(trip(car(12), 4, 8, 2.0, 26.0),)), LEAF, 9, "idle"),
        (
            problem(100.0, 12, cars=(car(12, soc0_kwh=6.0, promises=(Promise(index=12, soc_kwh=14.0),)),)),
            LEAF,
            0,
            "promise",
        ),
        (
            problem([100.0] * 6 + [130.0] * 6, cars=(car(12),), limits=limits(peak_memory_kw=128.0)),
            LEAF,
            7,
            "peak",
        ),
        (
            problem(10.0, 12, cars=(trip(car(12), 6, 9, 3.0, 27.0),), pv=(pv([30.0] * 4 + [0.0] * 8),)),
            LEAF,
            0,
            "surplus",
        ),
        (problem(10.0, 12, pv=(pv([30.0] * 12),)), PV, 0, "export"),
        (problem(50.0, 12, pv=(pv([30.0] * 12),)), PV, 0, "idle"),
        (problem(100.0, 12, zones=(zone(12),)), HALL, 11, "comfort"),
        (problem(100.0, 12, zones=(zone(12, mode_sign=(0,) * 12),)), HALL, 3, "idle"),
        (problem(100.0, 12, zones=(zone(12, temp0_c=23.0),)), HALL, 0, "idle"),
    ],
)
def test_what_happens_is_what_the_reason_says(site: Problem, asset: AssetId, index: int, code: str) -> None:
    assert codes(site, asset)[index] == code


def test_dear_hours_are_served_from_cheap_ones_and_both_name_the_price() -> None:
    site = problem(100.0, 8, batteries=(battery(soc0_kwh=10.0),))
    plan = PLANNER.plan(replace(site, price_yen_per_kwh=(10.0,) * 4 + (40.0,) * 4))
    charging = next(point for point in plan.of(BATTERY) if point.power_kw > 0.1)
    giving = next(point for point in plan.of(BATTERY) if point.power_kw < -0.1)
    assert charging.reason.code is giving.reason.code is ReasonCode.PRICE
    assert (charging.reason.facts["now"], charging.reason.facts["later"]) == (10.0, 40.0)
    assert giving.reason.facts["now"] == 40.0


def test_waiting_for_a_cheaper_hour_names_it() -> None:
    site = problem(100.0, 8, cars=(car(8, promises=(Promise(index=8, soc_kwh=26.0),)),))
    plan = PLANNER.plan(replace(site, price_yen_per_kwh=(30.0,) * 4 + (10.0,) * 4))
    waiting = plan.of(LEAF)[0]
    assert waiting.power_kw == 0.0
    assert waiting.reason.code is ReasonCode.PRICE
    assert waiting.reason.facts == {"now": 30.0, "later": 10.0, "at": plan.of(LEAF)[4].slot.start.isoformat()}


def test_facts_of_a_promise_make_a_sentence() -> None:
    plan = PLANNER.plan(problem(100.0, 12, cars=(trip(car(12), 4, 8, 2.0, 26.0),)))
    told = facts(plan, LEAF, ReasonCode.PROMISE)
    assert told == {"soc_percent": 65.0, "at": plan.of(LEAF)[4].slot.start.isoformat(), "price": 20.0}
    assert facts(plan, LEAF, ReasonCode.AWAY) == {"back_at": plan.of(LEAF)[8].slot.start.isoformat()}


def test_facts_of_a_peak_are_the_demand_and_the_limit() -> None:
    site = problem([100.0] * 6 + [130.0] * 2, cars=(car(8),), limits=limits(peak_memory_kw=128.0))
    row = PLANNER.plan(site).of(LEAF)
    giving = next(point for point in row if point.power_kw < 0.0)
    assert giving.reason == Reason(ReasonCode.PEAK, {"demand_kw": 128.0, "limit_kw": 128.0})
    ahead = next(point for point in row if point.power_kw > 0.0)  # what the peak takes is charged before it
    assert ahead.reason.code is ReasonCode.PEAK
    assert ahead.reason.facts["at"] == giving.slot.start.isoformat()


def test_facts_of_an_event_are_the_coins() -> None:
    plan = PLANNER.plan(problem(100.0, 12, cars=(rewarded(),), tight=TIGHT))
    assert plan.of(LEAF)[5].reason.facts == {"coins_per_kwh": 20.0}


def test_room_that_is_held_says_its_temperature_and_limit() -> None:
    plan = PLANNER.plan(problem(100.0, 12, zones=(zone(12),)))
    assert plan.of(HALL)[-1].reason.facts == {"room_c": 18.5, "limit_c": 18.5}


def test_room_given_up_for_the_contract_names_the_peak() -> None:
    cold = zone(6, temp0_c=18.5)
    plan = PLANNER.plan(
        problem(100.0, 6, zones=(cold,), limits=limits(contract_kw=101.0, peak_memory_kw=101.0))
    )
    assert plan.of(HALL)[-1].reason.code is ReasonCode.PEAK
    assert {short.kind for short in plan.shortfalls} == {"comfort"}


def test_facts_are_plain_numbers_and_moments_of_the_horizon() -> None:
    site = factory(48, zones=3)
    plan = PLANNER.plan(replace(site, limits=limits(peak_memory_kw=110.0)))
    for point in plan.setpoints:
        for name, value in point.reason.facts.items():
            assert type(value) in (float, str), (point.reason, name)
            if name in ("at", "back_at"):
                assert plan.grid.start < datetime.fromisoformat(str(value)) <= plan.grid.end


def test_idle_car_close_to_its_floor_says_so() -> None:
    plan = PLANNER.plan(problem(100.0, 4, cars=(car(4, soc0_kwh=12.0),)))
    assert plan.of(LEAF)[0].reason.facts == {"soc_percent": 30.0, "soc_min_percent": 30.0}


def test_rules_hold_rooms_for_comfort_and_claim_no_foresight_of_peaks() -> None:
    site = problem([100.0] * 4 + [150.0] * 4, zones=(zone(8),), limits=limits(peak_memory_kw=120.0))
    assert {point.reason.code.value for point in rules_plan(site).of(HALL)} == {"comfort"}
