"""Control rules as small tables: what goes in, what the cars, rooms and the sun must do."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dispatch.checks import check_plan
from dispatch.compile import Template
from dispatch.planner import Planner, PlannerOptions
from dispatch.rules import rules_plan
from dispatch.shift import cut
from dispatch.solve import Solution, SolverSettings, SolveStatus, solve
from energy.core.errors import DataError
from energy.core.plan import (
    Plan,
    PlanSource,
    Problem,
    Promise,
    ReasonCode,
    plan_from_json,
    plan_to_json,
)
from energy.core.plan_parts import DrEvent
from energy.core.series import Grid
from energy.core.units import AssetId
from tests.unit.dispatch.problems import START, battery, car, factory, limits, problem, pv, trip, zone

LEAF, HALL, PV = AssetId("leaf"), AssetId("hall"), AssetId("pv")
PLANNER = Planner()


def made(given: Problem) -> Plan:
    plan = PLANNER.plan(given)
    assert plan.source is PlanSource.OPTIMAL
    assert check_plan(given, plan) == ()
    return plan


def powers(plan: Plan, asset: AssetId) -> np.ndarray:
    return np.array([point.power_kw for point in plan.of(asset)])


def states(plan: Plan, asset: AssetId) -> np.ndarray:
    return np.array([point.expected for point in plan.of(asset)])


def no_answer(template: Template, data: Any, settings: SolverSettings, **_: Any) -> Solution:
    nothing = np.empty(0)
    return Solution(SolveStatus.NOTHING, nothing, np.zeros(len(template.lazy)), 0.0, 0.0, 1.0)


def test_car_is_never_below_promised_soc_at_departure() -> None:
    leaves = trip(car(12, soc0_kwh=16.0), 8, 12, 4.0, 30.0)
    plan = made(problem(100.0, 12, cars=(leaves,)))
    assert states(plan, LEAF)[7] == pytest.approx(30.0, abs=1e-4)
    assert plan.shortfalls == ()


def test_promise_that_cannot_be_reached_in_time_is_planned_as_far_as_possible_and_named() -> None:
    hurried = trip(car(6, soc0_kwh=16.0), 2, 6, 4.0, 30.0)
    plan = made(problem(100.0, 6, cars=(hurried,)))
    (short,) = plan.shortfalls
    assert (short.asset, short.kind, short.index) == (LEAF, "departure", 2)
    assert short.amount == pytest.approx(30.0 - (16.0 + 6.0 * 0.92), abs=1e-3)
    assert powers(plan, LEAF)[:2] == pytest.approx([6.0, 6.0])


def test_departure_right_now_with_too_little_is_named() -> None:
    plan = made(problem(100.0, 4, cars=(car(4, soc0_kwh=20.0, promises=(Promise(index=0, soc_kwh=30.0),)),)))
    assert [(short.kind, short.index, short.amount) for short in plan.shortfalls] == [("departure", 0, 10.0)]


def test_cars_discharge_under_the_peak_and_recharge_in_the_valley() -> None:
    load = [100.0] * 4 + [130.0] * 2 + [100.0] * 6
    one = car(12, promises=(Promise(index=12, soc_kwh=24.0),))
    plan = made(problem(load, cars=(one,), limits=limits(peak_memory_kw=124.0)))
    assert powers(plan, LEAF)[4:6] == pytest.approx([-6.0, -6.0])
    assert max(plan.trajectory.import_kw) <= 124.0 + 1e-6
    assert {point.reason.code for point in plan.of(LEAF)[4:6]} == {"peak"}


def test_shaving_below_the_peak_that_is_paid_anyway_is_worth_nothing() -> None:
    # RULES-JP T24: the memory is 340, this month's forecast 310; shaving to 290 saves nothing.
    plan = made(problem([280.0, 310.0, 310.0, 280.0], cars=(car(4),), limits=limits(peak_memory_kw=340.0)))
    assert powers(plan, LEAF) == pytest.approx([0.0] * 4)
    assert plan.trajectory.peak_yen == 0.0
    assert plan.target_demand_kw == 340.0


@pytest.mark.parametrize(
    ("load_p10_kw", "pv_p90_kw", "memory_kw", "contract_kw", "target_kw"),
    [
        (180.0, 20.0, 230.0, 400.0, 230.0),  # the peak of 240 may not come: nobody raises the target for it
        (230.0, 20.0, 210.0, 400.0, 230.0),  # P10 says that the memory cannot be kept
        (
            230.0,
            40.0,
            210.0,
            400.0,
            round(240.0 - float(np.hypot(10.0, 20.0)) + 0.05, 1),
        ),  # nor with much sun
        (180.0, 20.0, 0.0, 400.0, 180.0),  # a new site: zero is nothing to hold
        (230.0, 20.0, 210.0, 225.0, 225.0),  # never above the contract
    ],
)
def test_the_guard_s_target_is_what_is_paid_or_what_even_a_low_demand_forces(
    load_p10_kw: float, pv_p90_kw: float, memory_kw: float, contract_kw: float, target_kw: float
) -> None:
    sun = replace(pv([20.0] * 4), p90_kw=(pv_p90_kw,) * 4)
    given = problem(
        [100.0, 260.0, 100.0, 100.0],
        load_p10_kw=(100.0, load_p10_kw + 20.0, 100.0, 100.0),
        pv=(sun,),
        limits=limits(peak_memory_kw=memory_kw, contract_kw=contract_kw),
    )
    plan = PLANNER.plan(given)
    assert check_plan(given, plan) == ()
    assert max(plan.trajectory.import_kw) == pytest.approx(240.0)
    assert plan.target_demand_kw == target_kw


def test_thirty_kilowatts_of_a_binding_peak_cost_612000_yen() -> None:
    # RULES-JP T24: 30 kW x 2,000 yen x 0.85 x 12 months.
    binding = limits(peak_memory_kw=310.0, peak_yen_per_kw=2_000 * 0.85 * 12)
    plan = made(problem([340.0] * 2, limits=binding))
    assert plan.trajectory.peak_yen == pytest.approx(612_000.0)


def test_cars_that_all_come_back_from_an_event_stagger_below_the_contract() -> None:
    # RULES-JP T25: base 290 kW + 4 x 6 kW = 314 kW would break a contract of 300 kW.
    tight = (True,) * 6 + (False,) * 14
    cars = tuple(
        car(
            20,
            id=AssetId(f"car-{k}"),
            promises=(Promise(index=20, soc_kwh=24.0),),
            discharge_value_yen_per_kwh=tuple(20.0 if flag else 0.0 for flag in tight),
        )
        for k in range(4)
    )
    site = problem(290.0, 20, cars=cars, tight=tight, limits=limits(contract_kw=300.0, peak_memory_kw=300.0))
    plan = made(site)
    assert min(powers(plan, AssetId("car-0"))[:6]) < -1.0  # they did give back in the event
    assert max(plan.trajectory.import_kw) <= 300.0 + 1e-6
    assert plan.shortfalls == ()


def test_coins_are_not_earned_by_moving_the_same_energy_in_and_out() -> None:
    tight = (True,) * 8
    rewarded = car(8, discharge_value_yen_per_kwh=(30.0,) * 8, promises=(Promise(index=8, soc_kwh=24.0),))
    plan = made(problem(100.0, 8, cars=(rewarded,), tight=tight))
    assert powers(plan, LEAF) == pytest.approx([0.0] * 8)


def test_a_driver_who_opted_out_keeps_what_is_in_the_car() -> None:
    tight = (True,) * 4 + (False,) * 4
    asked = car(8, discharge_value_yen_per_kwh=(20.0,) * 8, may_discharge=(False,) * 8)
    plan = made(problem(100.0, 8, cars=(asked,), tight=tight))
    assert min(powers(plan, LEAF)) == 0.0
    assert plan.of(LEAF)[0].reason.code == "opted_out"


def test_no_battery_charges_and_discharges_at_once_even_where_burning_energy_pays() -> None:
    prices = (-8.0,) * 6
    storage = battery(soc0_kwh=19.0, wear_yen_per_kwh=0.0)
    site = problem(50.0, 6, cars=(car(6, soc0_kwh=37.0, wear_yen_per_kwh=0.0),), batteries=(storage,))
    plan = made(replace(site, price_yen_per_kwh=prices))
    assert plan.gap is not None
    assert 0.0 <= plan.gap * abs(plan.objective_yen) <= 1.0  # the absolute gap in yen
    # Charging at full power all the time is the most that anyone can be paid for, and it does not fit.
    assert plan.objective_yen > -6 * 0.5 * 8.0 * (50.0 + 6.0 + 10.0)


def test_sun_beyond_the_no_export_margin_is_curtailed_and_says_so() -> None:
    plan = made(problem(20.0, 4, pv=(pv([0.0, 10.0, 40.0, 40.0]),)))
    assert powers(plan, PV) == pytest.approx([0.0, -10.0, -15.0, -15.0])
    assert plan.trajectory.curtailed_kw == pytest.approx((0.0, 0.0, 25.0, 25.0))
    reason = plan.of(PV)[2].reason
    assert (reason.code, reason.facts) == ("export", {"curtailed_kw": 25.0, "import_margin_kw": 5.0})


def test_sun_that_would_be_curtailed_goes_into_the_car() -> None:
    leaves = trip(car(8), 6, 8, 3.0, 27.0)
    plan = made(problem(20.0, 8, cars=(leaves,), pv=(pv([0.0, 40.0, 40.0] + [0.0] * 5),)))
    assert powers(plan, LEAF)[1:3].sum() * 0.5 * 0.92 >= 3.0
    assert powers(plan, LEAF)[[0, 3, 4, 5]].max() <= 0.0
    assert "surplus" in {point.reason.code for point in plan.of(LEAF)[1:3]}


def test_discharge_stops_where_the_margin_to_export_begins() -> None:
    # RULES-JP T39: load 100, PV 60, margin 10 leaves 30 kW to give; at PV 95 nothing, the sun is cut to 90.
    strong = battery(capacity_kwh=100.0, soc0_kwh=100.0, reserve_kwh=0.0, max_discharge_kw=50.0)
    dear = problem([100.0, 100.0, 100.0], pv=(pv([60.0, 95.0, 0.0]),), batteries=(strong,))
    dear = replace(dear, price_yen_per_kwh=(90.0, 90.0, 10.0), limits=limits(import_margin_kw=10.0))
    plan = made(dear)
    assert powers(plan, AssetId("battery"))[0] == pytest.approx(-30.0)
    assert plan.trajectory.import_kw[1] == pytest.approx(10.0)
    assert powers(plan, AssetId("battery"))[1] + powers(plan, PV)[1] == pytest.approx(-90.0)


def test_room_that_starts_too_cold_still_gets_a_plan() -> None:
    plan = made(problem(100.0, 8, zones=(zone(8, temp0_c=10.0),)))
    assert powers(plan, HALL)[0] == pytest.approx(16.0)
    assert {short.kind for short in plan.shortfalls} == {"comfort"}
    assert states(plan, HALL)[-1] >= 18.5 - 1e-3


def test_room_is_warmed_ahead_of_a_peak_and_the_reason_says_so() -> None:
    load = [100.0] * 8 + [150.0] * 2 + [100.0] * 4
    plan = made(problem(load, zones=(zone(14),), limits=limits(peak_memory_kw=151.0)))
    assert max(plan.trajectory.import_kw) <= 151.0 + 1e-6
    ahead = [point.reason for point in plan.of(HALL)[:8] if point.reason.code == "pre_condition"]
    assert ahead
    assert ahead[0].facts["because"] == "peak"
    assert ahead[0].facts["at"] == plan.of(HALL)[8].slot.start.isoformat()


def test_cooling_in_summer_keeps_the_room_under_its_upper_limit() -> None:
    summer = zone(
        8, mode_sign=(-1,) * 8, temp0_c=26.0, low_c=(24.0,) * 8, high_c=(27.5,) * 8, gain_kw=(8.0,) * 8
    )
    plan = made(replace(problem(100.0, 8, zones=(summer,)), outdoor_c=(33.0,) * 8))
    assert max(states(plan, HALL)) <= 27.5 + 1e-3
    assert min(powers(plan, HALL)) >= 0.0


def test_uncertain_load_leaves_room_below_the_peak() -> None:
    load = [100.0] * 4 + [120.0] * 2 + [100.0] * 4
    sure = problem(load, cars=(car(10),), limits=limits(peak_memory_kw=121.0))
    unsure = replace(sure, load_p90_kw=tuple(value + 10.0 for value in load))
    assert min(powers(made(sure), LEAF)) == 0.0
    plan = Planner(PlannerOptions(peak_quantile_share=0.3)).plan(unsure)
    assert powers(plan, LEAF)[4:6] == pytest.approx([-2.0, -2.0])  # 120 + 0.3 x 10 - 121
    assert Planner(PlannerOptions(peak_quantile_share=0.0)).plan(unsure).of(LEAF)[4].power_kw == 0.0


def test_plan_does_not_empty_the_car_at_the_end_of_its_horizon() -> None:
    plan = made(replace(problem(100.0, 8, cars=(car(8),)), price_yen_per_kwh=(20.0,) * 6 + (26.0,) * 2))
    assert states(plan, LEAF)[-1] == pytest.approx(24.0, abs=1e-3)


def test_battery_keeps_its_reserve() -> None:
    plan = made(
        problem([100.0, 200.0, 200.0, 100.0], batteries=(battery(),), limits=limits(peak_memory_kw=150.0))
    )
    assert min(states(plan, AssetId("battery"))) >= 4.0 - 1e-3


def test_car_that_came_home_below_its_floor_charges_and_never_gives_back() -> None:
    low = car(8, soc0_kwh=6.0, promises=(Promise(index=8, soc_kwh=14.0),))
    plan = made(
        problem([100.0] * 4 + [140.0] * 2 + [100.0] * 2, cars=(low,), limits=limits(peak_memory_kw=100.0))
    )
    given = powers(plan, LEAF) < 0.0
    assert not (given & (states(plan, LEAF) < 12.0 - 1e-3)).any()
    assert {short.kind for short in plan.shortfalls} >= {"floor"}


def test_contract_that_the_load_alone_breaks_is_named_and_not_made_worse() -> None:
    waiting = car(6, soc0_kwh=20.0, promises=(Promise(index=6, soc_kwh=22.0),))
    plan = made(
        problem([100.0, 160.0, 160.0, 100.0, 100.0, 100.0], cars=(waiting,), limits=limits(contract_kw=150.0))
    )
    (short,) = (short for short in plan.shortfalls if short.kind == "contract")
    assert short.asset == "site"
    assert short.amount == pytest.approx(4.0, abs=1e-3)  # 160 - 6 from the car
    assert not [short for short in plan.shortfalls if short.kind == "departure"]


def test_a_plan_made_inside_its_slot_counts_what_was_imported_before() -> None:
    site = problem([100.0] * 4, cars=(car(4),), limits=limits(peak_memory_kw=120.0, demand_so_far_kwh=48.0))
    late = replace(site, made_at=START + (site.grid.step * 2) / 3)  # 48 kWh in 20 minutes, 10 are left
    plan = made(late)
    assert plan.trajectory.import_kw[0] == pytest.approx(
        94.0
    )  # (120 - 96) x 3 = 72 would be needed: all it has
    assert states(plan, LEAF)[0] == pytest.approx(24.0 - 6.0 / 0.92 / 6.0, abs=1e-4)


def test_the_same_problem_gives_the_same_plan_whatever_was_planned_before() -> None:
    given = factory(48, zones=3)
    fresh = Planner()
    other = Planner()
    for seed in (1, 2):
        other.plan(factory(48, zones=3, seed=seed))
    assert replace(fresh.plan(given), solve_ms=0.0) == replace(other.plan(given), solve_ms=0.0)


def test_one_structure_is_compiled_once() -> None:
    planner = Planner()
    for seed in range(3):
        planner.plan(factory(24, zones=2, seed=seed))
    assert planner.templates.compiled == 1
    assert planner.counts == {"optimal": 3}


def test_plan_survives_json() -> None:
    plan = made(factory(24, zones=2))
    assert plan_from_json(plan_to_json(plan)) == plan


def test_every_asset_has_one_setpoint_with_a_reason_per_interval() -> None:
    given = factory(24, zones=2)
    plan = made(given)
    assert len(plan.setpoints) == 24 * (4 + 2 + 1)
    assert {point.asset for point in plan.at(plan.setpoints[0].slot).values()} == {
        "ariya", "leaf", "sakura", "commuter", "zone-0", "zone-1", "pv",
    }  # fmt: skip


@pytest.mark.parametrize("previous", [False, True])
def test_without_an_answer_the_last_plan_is_moved_on_or_the_rules_take_over(
    previous: bool, caplog: pytest.LogCaptureFixture
) -> None:
    given = factory(24, zones=2, first_hour=9.0)
    before = made(given)
    later = cut(
        given,
        1,
        soc_kwh={one.id: float(states(before, one.id)[0]) for one in given.cars},
        room_c={one.id: float(states(before, one.id)[0]) for one in given.zones},
    )
    silent = Planner(solver=no_answer)
    with caplog.at_level(logging.INFO, logger="dispatch.planner"):
        plan = silent.plan(later, previous=before if previous else None)
    expected = PlanSource.SHIFTED if previous else PlanSource.RULES
    assert plan.source is expected
    assert plan.note
    assert silent.counts == {expected.value: 1}
    assert check_plan(later, plan) == ()
    assert expected.value in caplog.text
    assert plan.gap is None


def test_a_moved_plan_goes_on_by_rules_where_the_old_one_ends() -> None:
    given = problem(100.0, 8, cars=(car(8),), zones=(zone(8),))
    before = made(given)
    moved = replace(given, made_at=given.grid.time(3), grid=Grid(given.grid.time(3), 8))
    plan = Planner(solver=no_answer).plan(moved, previous=before)
    assert plan.source is PlanSource.SHIFTED
    assert powers(plan, HALL)[:5] == pytest.approx(powers(before, HALL)[3:])
    assert states(plan, HALL)[5:] == pytest.approx([20.75] * 3, abs=0.3)  # the middle of the band


def test_a_time_limit_of_nothing_still_gives_a_plan() -> None:
    hasty = Planner(PlannerOptions(solver=SolverSettings(time_limit_s=0.0)))
    plan = hasty.plan(factory(48, zones=4))
    assert plan.source is PlanSource.RULES


def test_a_moved_plan_that_would_break_a_promise_is_not_used() -> None:
    before = made(problem(100.0, 8, cars=(car(8, soc0_kwh=16.0),)))
    now = problem(100.0, 8, cars=(trip(car(8, soc0_kwh=16.0), 6, 8, 2.0, 24.0),))
    plan = Planner(solver=no_answer).plan(now, previous=before)
    assert plan.source is PlanSource.RULES
    assert not [short for short in plan.shortfalls if short.kind == "departure"]


def test_a_plan_of_another_site_is_not_moved_on() -> None:
    given = problem(100.0, 4, cars=(car(4),))
    before = made(given)
    plan = Planner(solver=no_answer).plan(replace(given, site="elsewhere"), previous=before)
    assert plan.source is PlanSource.RULES


def test_a_solution_found_when_time_ran_out_is_called_incumbent() -> None:
    def stopped(*arguments: Any, **named: Any) -> Solution:
        return replace(solve(*arguments, **named), status=SolveStatus.INCUMBENT, gap=0.02)

    plan = Planner(solver=stopped).plan(problem(100.0, 4, cars=(car(4),)))
    assert plan.source is PlanSource.INCUMBENT
    assert plan.gap == 0.02


def test_an_unsound_problem_is_refused_before_anything_is_solved() -> None:
    with pytest.raises(DataError, match=r"load_p50_kw\[1\] is nan"):
        PLANNER.plan(problem([1.0, float("nan"), 2.0]))


def test_a_car_is_kept_ready_when_energy_costs_the_same_all_the_time() -> None:
    lazy = problem(50.0, 8, cars=(car(8, soc0_kwh=20.0),))
    ready = replace(lazy, cars=(replace(lazy.cars[0], ready_kwh=30.0, ready_yen_per_kwh_h=40.0),))
    asset = lazy.cars[0].id
    assert states(made(lazy), asset)[-1] == pytest.approx(20.0, abs=0.1)
    points = made(ready).of(asset)
    assert states(made(ready), asset)[-1] == pytest.approx(30.0, abs=0.1)
    assert points[0].power_kw > 0
    assert points[0].reason.code is ReasonCode.READY


def test_a_room_keeps_a_distance_in_hand_and_gives_it_up_for_a_peak() -> None:
    n = 24
    plain = zone(
        n, mode_sign=(-1,) * n, temp0_c=26.0, low_c=(20.0,) * n, high_c=(27.5,) * n, gain_kw=(8.0,) * n
    )
    careful = replace(plain, ready_k=(1.0,) * n, ready_yen_per_degc_h=30.0)
    calm = replace(problem(100.0, n, zones=(careful,)), outdoor_c=(33.0,) * n)
    assert states(made(calm), HALL)[8] == pytest.approx(26.5, abs=0.05)
    assert states(made(replace(calm, zones=(plain,))), HALL)[8] == pytest.approx(27.5, abs=0.05)
    load = [100.0] * 8 + [120.0] * 2 + [100.0] * 14
    peak = replace(
        problem(load, zones=(careful,), limits=limits(peak_memory_kw=120.0)), outdoor_c=(33.0,) * n
    )
    assert powers(made(peak), HALL)[8:10].sum() < 0.5 * powers(made(calm), HALL)[8:10].sum()


def test_what_a_trip_takes_is_charged_again_within_the_plan() -> None:
    """Two trips ahead, both covered by the charge in hand: the plan says all the same when it is charged."""
    leaf = trip(trip(car(48, soc0_kwh=30.0), 8, 12, 6.0, 24.0), 32, 36, 6.0, 24.0)
    plan = PLANNER.plan(problem(100.0, 48, cars=(leaf,)))
    stored = [point.expected for point in plan.of(AssetId("leaf"))]
    assert stored[-1] == pytest.approx(30.0, abs=0.01)
    assert max(one for one in stored if one is not None) <= 38.0
    charged = sum(max(0.0, point.power_kw) for point in plan.of(AssetId("leaf"))) / 2.0
    assert charged == pytest.approx(12.0 / 0.92, abs=0.05)


def test_rules_and_the_end_of_a_moved_plan_give_back_in_an_event() -> None:
    event = DrEvent(
        id="dr", first=5, last=7, baseline_kw=(100.0, 100.0), reward_yen_per_kwh=50.0, most_kw=20.0
    )
    calm = problem(100.0, 8, cars=(car(8),), batteries=(battery(),))
    called = replace(calm, events=(event,))
    for site, gives in ((calm, False), (called, True)):
        plan = rules_plan(site)
        assert check_plan(site, plan) == ()
        for asset in (AssetId("leaf"), AssetId("battery")):
            assert any(kw < -1.0 for kw in powers(plan, asset)[5:7]) is gives
            assert all(kw > -0.1 for kw in powers(plan, asset)[:5])
    moved = replace(called, made_at=calm.grid.time(5), grid=Grid(calm.grid.time(5), 8))  # from 3 on by rules
    plan = Planner(solver=no_answer).plan(moved, previous=made(calm))
    assert plan.source is PlanSource.SHIFTED
    assert any(kw < -1.0 for kw in powers(plan, AssetId("battery"))[5:7])
