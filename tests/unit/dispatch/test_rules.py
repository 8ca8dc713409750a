"""Plans without a solver: promises, valleys, tight hours, rooms, and a site that nobody plans."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from dispatch.carrules import fill_valley
from dispatch.checks import check_plan
from dispatch.rules import charge_on_arrival_plan, rules_plan
from energy.core.errors import DataError
from energy.core.plan import Plan, PlanSource, Problem, Promise
from energy.core.plan_parts import DemandStep, DrEvent
from energy.core.units import AssetId
from tests.unit.dispatch.problems import battery, car, factory, limits, problem, pv, trip, zone

LEAF, HALL, PV = AssetId("leaf"), AssetId("hall"), AssetId("pv")


def ruled(given: Problem) -> Plan:
    plan = rules_plan(given)
    assert plan.source is PlanSource.RULES
    assert plan.gap is None
    assert check_plan(given, plan) == ()
    return plan


def powers(plan: Plan, asset: AssetId) -> np.ndarray:
    return np.array([point.power_kw for point in plan.of(asset)])


def states(plan: Plan, asset: AssetId) -> np.ndarray:
    return np.array([point.expected for point in plan.of(asset)])


def test_cars_sustain_what_their_batteries_hold_over_a_three_hour_event() -> None:
    # RULES-JP T34: 66, 40, 20 and 20 kWh from 80 to 30 %, 6 kW each: 6 + 6 + 3.07 + 3.07 kW, not 24 kW.
    fleet = {"ariya": 66.0, "leaf": 40.0, "sakura": 20.0, "commuter": 20.0}
    cars = tuple(
        car(6, id=AssetId(name), capacity_kwh=kwh, soc0_kwh=0.8 * kwh, floor_kwh=0.3 * kwh, ceiling_kwh=kwh)
        for name, kwh in fleet.items()
    )
    plan = ruled(problem(200.0, 6, cars=cars, tight=(True,) * 6))
    by_slot = sum(powers(plan, AssetId(name)) for name in fleet)
    assert by_slot == pytest.approx(np.full(6, -18.13), abs=0.01)


def test_cars_come_back_from_an_event_without_breaking_the_contract() -> None:
    # RULES-JP T25, by rules
    tight = (True,) * 6 + (False,) * 14
    cars = tuple(
        car(20, id=AssetId(f"car-{k}"), promises=(Promise(index=20, soc_kwh=24.0),)) for k in range(4)
    )
    site = problem(290.0, 20, cars=cars, tight=tight, limits=limits(contract_kw=300.0, peak_memory_kw=300.0))
    plan = ruled(site)
    assert max(plan.trajectory.import_kw) <= 300.0 + 1e-6
    assert min(plan.trajectory.import_kw[:6]) < 289.0
    assert plan.shortfalls == ()


def test_naive_charging_breaks_the_contract_that_rules_keep() -> None:
    cars = tuple(
        car(8, id=AssetId(f"car-{k}"), soc0_kwh=20.0, promises=(Promise(index=8, soc_kwh=26.0),))
        for k in range(4)
    )
    site = problem(290.0, 8, cars=cars, limits=limits(contract_kw=305.0, peak_memory_kw=300.0))
    assert max(charge_on_arrival_plan(site).trajectory.import_kw) == pytest.approx(314.0)
    assert "contract" in {short.kind for short in charge_on_arrival_plan(site).shortfalls}
    assert ruled(site).shortfalls == ()


def test_promise_is_poured_into_the_valley_of_the_load() -> None:
    load = [120.0, 120.0, 60.0, 60.0, 60.0, 60.0, 120.0, 120.0]
    plan = ruled(problem(load, cars=(car(8, promises=(Promise(index=8, soc_kwh=30.0),)),)))
    power = powers(plan, LEAF)
    assert power[[0, 1, 6, 7]] == pytest.approx([0.0] * 4, abs=1e-6)
    assert power[2:6].sum() * 0.5 * 0.92 == pytest.approx(6.0, abs=1e-3)


def test_charging_avoids_dear_half_hours() -> None:
    prices = (30.0,) * 3 + (10.0,) * 3
    site = problem(100.0, 6, cars=(car(6, promises=(Promise(index=6, soc_kwh=28.0),)),))
    power = powers(ruled(replace(site, price_yen_per_kwh=prices)), LEAF)
    assert power[:3] == pytest.approx([0.0] * 3, abs=1e-6)


def test_peak_limit_gives_way_to_the_promise_and_the_contract_does_not() -> None:
    load = [100.0, 95.0, 100.0, 95.0]
    site = problem(
        load,
        cars=(car(4, promises=(Promise(index=4, soc_kwh=32.0),)),),
        limits=limits(peak_memory_kw=96.0, contract_kw=102.0),
    )
    plan = ruled(site)
    assert plan.trajectory.import_kw == pytest.approx([102.0, 101.0, 102.0, 101.0])
    (short,) = plan.shortfalls
    assert (short.kind, short.index) == ("departure", 4)


def test_car_charges_before_a_trip_what_a_short_stop_cannot_give() -> None:
    one = trip(trip(car(12, soc0_kwh=20.0), 4, 8, 4.0, 20.0), 9, 12, 2.0, 24.0)
    plan = ruled(problem(100.0, 12, cars=(one,)))
    assert plan.shortfalls == ()
    assert states(plan, LEAF)[8] >= 24.0 - 1e-3


def test_car_below_its_floor_is_charged_up_to_it_without_a_promise() -> None:
    plan = ruled(problem(100.0, 8, cars=(car(8, soc0_kwh=8.0),)))
    assert states(plan, LEAF)[-1] == pytest.approx(12.0, abs=1e-3)


def test_room_is_held_in_the_middle_of_its_band_and_made_ready_before_people_come() -> None:
    low = (10.0,) * 8 + (18.5,) * 8
    high = (35.0,) * 8 + (23.0,) * 8
    plan = ruled(problem(100.0, 16, zones=(zone(16, temp0_c=12.0, low_c=low, high_c=high),)))
    room = states(plan, HALL)
    assert room[3] < 15.0  # nobody heats an empty hall in the small hours
    assert room[8:] == pytest.approx(np.full(8, 20.75), abs=0.01)
    assert plan.shortfalls == ()


def test_air_conditioners_are_held_down_together_where_the_contract_binds() -> None:
    halls = tuple(zone(6, id=AssetId(f"hall-{k}"), temp0_c=15.0) for k in range(3))
    plan = ruled(problem(100.0, 6, zones=halls, limits=limits(contract_kw=112.0)))
    assert max(plan.trajectory.import_kw) <= 112.0 + 1e-6
    assert {short.kind for short in plan.shortfalls} == {"comfort"}


def test_unit_that_is_off_stays_off() -> None:
    plan = ruled(problem(100.0, 4, zones=(zone(4, mode_sign=(0,) * 4),)))
    assert powers(plan, HALL) == pytest.approx([0.0] * 4)
    assert {point.reason.code for point in plan.of(HALL)} == {"idle"}


def test_sun_is_curtailed_for_no_export_without_a_solver_too() -> None:
    plan = ruled(problem(20.0, 2, pv=(pv([40.0, 10.0]),)))
    assert powers(plan, PV) == pytest.approx([-15.0, -10.0])


def test_battery_takes_the_sun_and_gives_at_the_peak() -> None:
    storage = battery(max_charge_kw=6.0, max_discharge_kw=6.0)
    plan = ruled(
        problem(
            [20.0, 20.0, 110.0, 90.0],
            pv=(pv([30.0, 0.0, 0.0, 0.0]),),
            batteries=(storage,),
            limits=limits(peak_memory_kw=106.0),
        )
    )
    power = powers(plan, AssetId("battery"))
    assert power[0] == pytest.approx(6.0)
    assert power[2] == pytest.approx(-4.0)


def test_charge_on_arrival_charges_at_full_power_until_the_ceiling() -> None:
    leaves = trip(car(10, soc0_kwh=20.0), 2, 4, 3.0, 26.0)
    plan = charge_on_arrival_plan(problem(100.0, 10, cars=(leaves,)))
    assert plan.note == "charge on arrival"
    assert powers(plan, LEAF)[:5] == pytest.approx([6.0, 6.0, 0.0, 0.0, 6.0])
    assert max(states(plan, LEAF)) <= 38.0 + 1e-6
    assert states(plan, LEAF)[-1] == pytest.approx(38.0, abs=1.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_rules_plan_of_a_factory_keeps_every_promise(sign: int) -> None:
    plan = ruled(factory(96, sign=sign))
    assert not [short for short in plan.shortfalls if short.kind in ("departure", "contract")]


def test_rules_refuse_what_cannot_be_planned() -> None:
    with pytest.raises(DataError, match="horizon is empty"):
        rules_plan(problem([]))


def test_water_runs_into_the_lowest_valley_and_stops_at_the_brim() -> None:
    level, brim, whole = np.array([3.0, 0.0, 5.0]), np.array([2.0, 2.0, 2.0]), np.ones(3)
    assert fill_valley(level, brim, whole, 1.0) == pytest.approx([0.0, 1.0, 0.0])
    assert fill_valley(level, brim, whole, 3.0) == pytest.approx([1.0, 2.0, 0.0])
    assert fill_valley(level, brim, whole, 99.0) == pytest.approx(brim)


def test_rules_and_checks_do_not_load_an_optimiser() -> None:
    code = (
        "import sys, dispatch.rules, dispatch.checks; print(sorted({'pyomo', 'highspy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- events that the site is called for -----------------------------------------------------------------


def called(**changes: object) -> Problem:
    """Sixteen half-hours with an event in the second two hours, and four after it that are held."""
    event = DrEvent(
        id="dr",
        first=4,
        last=8,
        baseline_kw=(100.0,) * 4,
        reward_yen_per_kwh=60.0,
        most_kw=20.0,
        recovery_kw=(104.0,) * 4,
    )
    site = problem(100.0, 16, events=(event,), limits=limits(peak_memory_kw=200.0))
    return replace(site, **changes)  # type: ignore[arg-type] # named by the caller


def test_in_an_event_cars_give_back_and_wait_and_come_back_as_agreed() -> None:
    leaf = car(16, soc0_kwh=24.0, promises=(Promise(index=16, soc_kwh=24.0),))
    without, with_call = (powers(ruled(called(cars=(leaf,), events=e)), LEAF) for e in ((), called().events))
    assert min(without) >= 0.0
    assert max(with_call[4:8]) < 0.0
    assert max(with_call[8:12]) <= 4.0 + 1e-6  # 104 kW were agreed, 100 kW the rest draws
    assert states(ruled(called(cars=(leaf,))), LEAF)[-1] == pytest.approx(24.0)


def test_a_promise_right_after_an_event_is_kept_first() -> None:
    leaf = car(16, soc0_kwh=12.0, promises=(Promise(index=8, soc_kwh=20.0),))
    plan = ruled(called(cars=(leaf,)))
    assert states(plan, LEAF)[7] == pytest.approx(20.0)
    assert plan.shortfalls == ()


def test_in_an_event_rooms_go_to_the_relaxed_edge_of_their_band_and_no_further() -> None:
    hall = zone(16, temp0_c=20.75)  # held in the middle of 18.5 to 23
    usual, eased = (states(ruled(called(zones=(hall,), events=e)), HALL) for e in ((), called().events))
    assert usual == pytest.approx(np.full(16, 20.75), abs=0.01)
    assert eased[:4] == pytest.approx(np.full(4, 20.75), abs=0.01)
    assert eased[7] < 20.0
    assert min(eased) >= 18.5 - 1e-6


def test_a_room_comes_back_within_what_was_agreed_and_then_to_the_middle() -> None:
    hall = zone(16, temp0_c=20.75)
    plan = ruled(called(zones=(hall,)))
    assert max(plan.trajectory.import_kw[8:12]) <= 104.0 + 1e-6
    assert states(plan, HALL)[-1] == pytest.approx(20.75, abs=0.01)


def test_after_an_event_that_is_over_its_hours_are_held_as_well() -> None:
    held = DemandStep(level_kw=103.0, yen_per_kw=100.0, first=0, last=4)
    leaf = car(16, soc0_kwh=14.0, promises=(Promise(index=16, soc_kwh=24.0),), max_charge_kw=6.0)
    site = called(cars=(leaf,), events=(), limits=limits(peak_memory_kw=200.0, steps=(held,)))
    assert max(ruled(site).trajectory.import_kw[:4]) <= 103.0 + 1e-6
