"""Each element of the model where its effect can be told by hand, and together against Pyomo's own way."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from dispatch.checks import check_plan
from dispatch.planner import Planner
from dispatch.refine import refine
from dispatch.shift import stay_near
from energy.core.errors import DataError
from energy.core.plan import Plan, Problem, Promise, ReasonCode, problem_from_json, problem_to_json
from energy.core.plan_parts import Adjustment, DemandStep, DrEvent, Feeder, SubmittedPlan
from energy.core.units import AssetId
from tests.unit.dispatch.problems import battery, car, limits, problem, pv, zone

PLANNER = Planner()
BATTERY, HALL, LEAF = AssetId("battery"), AssetId("hall"), AssetId("leaf")


def planned(site: Problem) -> Plan:
    plan = PLANNER.plan(site)
    assert plan.source == "optimal"
    assert check_plan(site, plan) == ()
    return plan


def powers(plan: Plan, asset: AssetId) -> list[float]:
    return [round(point.power_kw, 3) for point in plan.of(asset)]


def free_battery(**changes: object) -> Problem:
    """A full battery without losses at a flat load of 100 kW, worth at the end what energy costs."""
    cell = battery(
        soc0_kwh=20.0,
        reserve_kwh=0.0,
        charge_efficiency=1.0,
        discharge_efficiency=1.0,
        wear_yen_per_kwh=0.5,
    )
    base = problem(
        100.0, 8, batteries=(cell,), end_value_yen_per_kwh=20.0, limits=limits(peak_memory_kw=300.0)
    )
    return replace(base, **changes)  # type: ignore[arg-type] # named by the caller


# --- demand ---------------------------------------------------------------------------------------------


def test_a_battery_keeps_its_reserve_for_a_blackout_through_the_dearest_hour() -> None:
    site = problem(
        100.0,
        4,
        price_yen_per_kwh=(20.0, 500.0, 500.0, 20.0),
        batteries=(battery(reserve_kwh=8.0, soc0_kwh=10.0),),
        limits=limits(peak_memory_kw=300.0),
    )
    assert min(point.expected or 0.0 for point in planned(site).of(BATTERY)) == pytest.approx(8.0, abs=1e-6)


def test_a_peak_counts_against_the_memory_of_its_own_month() -> None:
    loads = [100.0, 130.0, 100.0, 100.0, 130.0, 100.0]
    months = limits(
        peak_memory_kw=140.0,
        peak_yen_per_kw=1_700.0,
        memory_until=3,
        steps=(DemandStep(level_kw=110.0, yen_per_kw=18_700.0, first=3),),
    )
    site = replace(free_battery(), **_loads(loads), limits=months)
    power = powers(planned(site), BATTERY)
    assert power[1] == 0.0  # below the memory that still holds
    assert power[4] == pytest.approx(-10.0)  # all it can against the 20 kW above the next month's


def _loads(loads: list[float]) -> dict[str, object]:
    n = len(loads)
    plain = problem(loads)
    names = ("grid", "load_p10_kw", "load_p50_kw", "load_p90_kw", "outdoor_c", "price_yen_per_kwh", "tight")
    assert plain.grid.count == n
    return {name: getattr(plain, name) for name in names}


def test_a_target_that_a_person_set_is_held_for_its_price_and_named_where_it_is_missed() -> None:
    target = DemandStep(level_kw=95.0, yen_per_kw=5_000.0, target=True)
    held = planned(free_battery(limits=limits(peak_memory_kw=300.0, steps=(target,))))
    assert max(held.trajectory.import_kw) == pytest.approx(95.0, abs=1e-3)
    assert held.shortfalls == ()
    low = replace(target, level_kw=50.0)
    missed = planned(free_battery(limits=limits(peak_memory_kw=300.0, steps=(low,))))
    assert {short.kind for short in missed.shortfalls} == {"target"}


@pytest.mark.parametrize("parts", [(), (3,), (6, 2)])
def test_the_rest_of_a_half_hour_gets_what_its_beginning_left(parts: tuple[int, ...]) -> None:
    # RULES-JP T23: 60 kWh after 12 minutes, 360 kW, target 320: 333.3 kW are allowed, 26.7 must go
    cell = replace(free_battery().batteries[0], max_discharge_kw=40.0)
    site = problem(
        [360.0, 300.0],
        batteries=(cell,),
        limits=limits(peak_memory_kw=320.0, contract_kw=500.0, demand_so_far_kwh=60.0),
        end_value_yen_per_kwh=25.0,
    )
    site = replace(site, made_at=site.grid.start + timedelta(minutes=12))
    first = planned(refine(site, parts) if parts else site).of(BATTERY)[0]
    assert first.power_kw == pytest.approx(-26.667, abs=1e-3)
    assert len(first.steps_kw) == (parts[0] if parts else 0)


# --- what the connection agreed -------------------------------------------------------------------------


def test_cars_behind_one_feeder_share_it_and_are_told_so() -> None:
    cars = tuple(
        car(8, id=AssetId(name), soc0_kwh=20.0, promises=(Promise(index=8, soc_kwh=30.0),)) for name in "ab"
    )
    cable = Feeder(id="west", members=(AssetId("a"), AssetId("b")), limit_kw=7.0, back_kw=7.0)
    plan = planned(problem(50.0, 8, cars=cars, feeders=(cable,)))
    both = np.add(powers(plan, AssetId("a")), powers(plan, AssetId("b")))
    assert both.max() == pytest.approx(7.0, abs=1e-3)
    assert any(
        point.reason.code is ReasonCode.FEEDER and point.reason.facts["feeder"] == "west"
        for point in plan.setpoints
    )


def test_a_feeder_that_is_taken_by_its_own_load_still_lets_its_assets_rest() -> None:
    cable = Feeder(id="west", members=(LEAF,), limit_kw=5.0, back_kw=0.0, load_kw=(9.0,) * 4)
    site = problem(50.0, 4, cars=(car(4, promises=(Promise(index=4, soc_kwh=30.0),)),), feeders=(cable,))
    plan = planned(site)
    assert powers(plan, LEAF) == [0.0] * 4
    assert [short.kind for short in plan.shortfalls] == ["departure"]


def test_a_battery_meets_the_submitted_plan_where_missing_it_costs_more() -> None:
    wanted = (100.0, 94.0, 100.0, 106.0, 100.0, 100.0, 100.0, 100.0)
    given = SubmittedPlan(import_kw=wanted, short_yen_per_kwh=(30.0,) * 8, long_yen_per_kwh=(30.0,) * 8)
    cell = replace(free_battery().batteries[0], soc0_kwh=10.0)
    plan = planned(free_battery(submitted=given, batteries=(cell,)))
    assert powers(plan, BATTERY) == [0.0, -6.0, 0.0, 6.0, 0.0, 0.0, 0.0, 0.0]
    assert plan.trajectory.imbalance_yen == pytest.approx(0.0, abs=1e-6)
    assert plan.of(BATTERY)[1].reason.code is ReasonCode.IMBALANCE
    indifferent = replace(given, short_yen_per_kwh=(0.0,) * 8, long_yen_per_kwh=(0.0,) * 8)
    assert powers(planned(free_battery(submitted=indifferent, batteries=(cell,))), BATTERY) == [0.0] * 8


def event(**changes: object) -> DrEvent:
    base = DrEvent(
        id="dr",
        first=4,
        last=6,
        baseline_kw=(100.0, 100.0),
        reward_yen_per_kwh=60.0,
        most_kw=8.0,
    )
    return replace(base, **changes)  # type: ignore[arg-type] # named by the caller


def test_an_event_is_served_up_to_what_is_paid() -> None:
    plan = planned(free_battery(events=(event(),)))
    assert powers(plan, BATTERY) == [0.0, 0.0, 0.0, 0.0, -8.0, -8.0, 0.0, 0.0]
    assert plan.trajectory.event_yen == pytest.approx(8.0 * 60.0)  # 8 kW for an hour


def test_half_hours_above_the_baseline_take_from_the_others() -> None:
    # RULES-JP T30: the sum counts, no half-hour by itself
    sum_of_both = planned(free_battery(events=(event(baseline_kw=(100.0, 70.0)),)))
    assert sum_of_both.trajectory.event_yen == 0.0  # 8 - 20 kW at best: nobody joins
    assert powers(sum_of_both, BATTERY) == [0.0] * 8
    owed = planned(free_battery(events=(event(baseline_kw=(100.0, 70.0), negative_counts=True),)))
    assert owed.trajectory.event_yen == pytest.approx(-12.0 * 30.0)


def test_load_moved_into_the_adjustment_window_earns_nothing() -> None:
    # RULES-JP T31: charging in the window would lift the baseline
    window = Adjustment(first=0, last=3, usual_kw=(100.0,) * 3, slots=3, most_kw=0.0)
    part = replace(free_battery().batteries[0], soc0_kwh=14.0)
    plain = planned(free_battery(events=(event(),), batteries=(part,)))
    watched = planned(free_battery(events=(event(adjustment=window),), batteries=(part,)))
    assert watched.trajectory.event_yen == pytest.approx(plain.trajectory.event_yen)
    charged = replace(window, usual_kw=(104.0,) * 3, most_kw=-4.0)  # what it is if nothing is moved
    lower = planned(free_battery(events=(event(adjustment=charged),), batteries=(part,)))
    assert max(powers(lower, BATTERY)[:3]) <= 1e-6  # not even then is the window filled for it


def test_load_taken_out_of_the_adjustment_window_costs() -> None:
    window = Adjustment(first=0, last=2, usual_kw=(100.0,) * 2, slots=2, most_kw=0.0)
    dear = (40.0, 40.0, 20.0, 20.0, 20.0, 20.0, 20.0, 20.0)  # giving back in the window would pay a little
    free = planned(free_battery(events=(event(most_kw=4.0),), price_yen_per_kwh=dear))
    assert sum(powers(free, BATTERY)[:2]) == pytest.approx(-20.0)
    bound = planned(free_battery(events=(event(most_kw=4.0, adjustment=window),), price_yen_per_kwh=dear))
    assert sum(powers(bound, BATTERY)[:2]) > -20.0


def test_an_adjustment_by_a_ratio_lifts_each_half_hour_by_its_own_share() -> None:
    # the window shows 120 instead of 100 kW: 20 % more, which is 20 and 10 kW
    window = Adjustment(
        first=0, last=2, usual_kw=(80.0,) * 2, slots=2, most_kw=20.0, weights=(100.0 / 80.0, 50.0 / 80.0)
    )
    one = event(baseline_kw=(100.0, 50.0), most_kw=50.0, adjustment=window, negative_counts=True)
    still = free_battery(events=(one,), batteries=())
    # the load is 100 kW: 25 kW below 125 kW, 37.5 kW above 62.5 kW
    assert planned(still).trajectory.event_yen == pytest.approx((25.0 - 37.5) * 60.0 / 2.0)


def test_cars_do_not_all_recharge_at_once_after_an_event() -> None:
    # RULES-JP T25: 290 kW and four cars at 6 kW would make 314
    cars = tuple(
        car(12, id=AssetId(f"car-{k}"), soc0_kwh=14.0, promises=(Promise(index=12, soc_kwh=24.0),))
        for k in range(4)
    )
    calm = event(first=2, last=4, baseline_kw=(290.0, 290.0), recovery_kw=(302.0,) * 3)
    site = problem(290.0, 12, cars=cars, events=(calm,), limits=limits(peak_memory_kw=320.0))
    plan = planned(site)
    assert max(plan.trajectory.import_kw[4:7]) == pytest.approx(302.0, abs=1e-2)
    assert any(point.reason.code is ReasonCode.REBOUND for point in plan.setpoints)
    assert plan.shortfalls == ()


# --- units and chargers ---------------------------------------------------------------------------------


def hall(count: int, **changes: object) -> Problem:
    unit = replace(zone(count, temp0_c=19.0), **changes)  # type: ignore[arg-type] # named by the caller
    return problem(50.0, count, zones=(unit,), limits=limits(peak_memory_kw=300.0))


def test_a_unit_with_stages_runs_at_these_only() -> None:
    free, staged = planned(hall(12)), planned(hall(12, stages_kw=(6.0, 11.0, 16.0)))
    assert any(0.1 < kw < 5.9 for kw in powers(free, HALL))
    assert set(powers(staged, HALL)) <= {0.0, 6.0, 11.0, 16.0}
    assert staged.gap is not None
    assert staged.gap <= 0.01


def test_stages_are_whole_as_long_as_is_said_and_any_power_will_do_later() -> None:
    power = powers(planned(hall(12, stages_kw=(6.0, 11.0, 16.0), whole_steps=4)), HALL)
    assert set(power[:4]) <= {0.0, 6.0, 11.0, 16.0}
    assert any(0.1 < kw < 5.9 for kw in power[4:])


def test_a_unit_neither_stops_nor_starts_before_its_time() -> None:
    site = refine(hall(8, stages_kw=(9.0, 16.0), min_on_h=0.25, min_off_h=0.4), (6,) * 4)
    plan = planned(site)
    on = np.array([kw > 0.0 for point in plan.of(HALL)[:4] for kw in point.steps_kw])
    changes = np.flatnonzero(np.diff(on.astype(int)))
    runs = np.diff(changes) * 5
    kinds = on[changes[:-1] + 1]
    assert len(changes) >= 2
    assert all(length >= (15 if kind else 24) for length, kind in zip(runs, kinds, strict=True))
    codes = {point.reason.code for point in plan.of(HALL)}
    assert codes <= set(ReasonCode)


def test_a_unit_that_has_just_started_runs_on_and_says_why() -> None:
    warm = {"temp0_c": 22.5, "gain_kw": (20.0,) * 8}
    site = hall(8, min_power_kw=5.0, min_on_h=1.0, was_on=True, in_state_h=0.4)
    site = replace(site, zones=(replace(site.zones[0], **warm),))  # type: ignore[arg-type]
    plan = planned(site)
    assert powers(plan, HALL)[:3] == [5.0, 5.0, 0.0]
    assert plan.of(HALL)[1].reason.code is ReasonCode.MINIMUM_TIME


def test_a_unit_that_defrosts_heats_less_and_takes_its_power_anyway() -> None:
    dry = sum(powers(planned(hall(8)), HALL))
    wet = planned(hall(8, defrost=(0.25,) * 8))
    assert sum(powers(wet, HALL)) == pytest.approx(dry / 0.75, rel=0.02)
    now = planned(hall(8, defrost=(0.5,) + (0.0,) * 7, least_kw=(7.0,) + (0.0,) * 7, temp0_c=23.0))
    assert powers(now, HALL)[0] == 7.0
    assert now.of(HALL)[0].reason.code is ReasonCode.DEFROST


def test_a_charger_rests_below_its_least_power() -> None:
    needy = car(8, soc0_kwh=20.0, min_power_kw=4.0, promises=(Promise(index=8, soc_kwh=23.0),))
    sun = pv([3.0] * 8)  # 3 kW of sun that it cannot take
    site = problem(0.5, 8, cars=(needy,), pv=(sun,), limits=limits(import_margin_kw=0.0))
    plan = planned(site)
    assert all(kw == 0.0 or abs(kw) >= 4.0 - 1e-6 for kw in powers(plan, LEAF))
    assert plan.shortfalls == ()


# --- the plan in force, and divided half-hours ----------------------------------------------------------


def test_a_plan_is_changed_only_for_what_the_change_is_worth() -> None:
    prices = (20.0, 20.0, 20.0, 19.0, 20.0, 20.0, 20.0, 20.0)
    needy = car(8, soc0_kwh=20.0, promises=(Promise(index=8, soc_kwh=22.0),))
    before = planned(problem(50.0, 8, cars=(needy,)))
    site = problem(50.0, 8, cars=(needy,), price_yen_per_kwh=prices)
    assert powers(planned(site), LEAF) != powers(before, LEAF)  # a yen per kWh is enough to move
    stayed = planned(stay_near(site, before, yen_per_kwh=3.0))
    assert powers(stayed, LEAF) == powers(before, LEAF)
    assert stayed.of(LEAF)[0].power_kw > 0.0
    dear = replace(site, price_yen_per_kwh=tuple(price if price < 20.0 else 90.0 for price in prices))
    assert powers(planned(stay_near(dear, before, yen_per_kwh=3.0)), LEAF) != powers(before, LEAF)


def test_a_plan_of_another_site_is_no_plan_in_force() -> None:
    site = problem(50.0, 4, cars=(car(4),))
    other = replace(planned(site), site="elsewhere")
    assert stay_near(site, other, yen_per_kwh=3.0) == site
    assert stay_near(site, None, yen_per_kwh=3.0) == site


def test_dividing_half_hours_keeps_energies_instants_and_the_cost_of_what_stands_still() -> None:
    leaves = car(8, soc0_kwh=24.0, promises=(Promise(index=4, soc_kwh=30.0),))
    leaves = replace(leaves, plugged=(True,) * 4 + (False,) * 4, drive_kwh=(0.0,) * 4 + (1.5,) * 4)
    site = problem(50.0, 8, cars=(leaves,))
    fine = refine(site, (6, 3, 2, 2, 5))
    assert sum(fine.cars[0].drive_kwh) == pytest.approx(6.0)
    assert fine.time(fine.cars[0].promises[0].index) == site.time(4)
    assert fine.time(1) - fine.time(0) == timedelta(minutes=5)
    assert fine.time(fine.count) == site.grid.end
    whole, divided = planned(site), planned(fine)
    assert divided.objective_yen == pytest.approx(whole.objective_yen, abs=0.1)
    assert [len(point.steps_kw) for point in divided.of(LEAF)] == [6, 3, 2, 2, 5, 0, 0, 0]
    assert problem_from_json(problem_to_json(fine)) == fine


def test_dividing_twice_is_refused() -> None:
    fine = refine(problem(50.0, 4), (2,))
    with pytest.raises(DataError, match="cannot be divided"):
        refine(fine, (2,))


def test_inside_a_divided_half_hour_demand_is_its_mean_and_not_its_highest_step() -> None:
    # 30 minutes of which 10 may be 20 kW above the peak, if the others make up for it
    needy = car(6, soc0_kwh=20.0, max_charge_kw=24.0, promises=(Promise(index=2, soc_kwh=20.0 + 4.0 * 0.92),))
    site = refine(problem([100.0, 100.0], cars=(replace(car(2), plugged=(True, True)),)), (3, 3))
    plug = (False, True, False, False, False, False)
    site = replace(
        site,
        cars=(replace(needy, plugged=plug),),
        limits=limits(peak_memory_kw=108.0),
    )
    plan = planned(site)
    assert plan.of(LEAF)[0].steps_kw[1] == pytest.approx(24.0, abs=1e-3)
    assert plan.trajectory.peak_yen == pytest.approx(0.0, abs=1e-3)
