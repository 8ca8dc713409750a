"""From what is known to a problem: bands, promises, prices, events."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from dispatch.checks import check_plan
from dispatch.planner import Planner
from dispatch.terms import peak_margin_kw
from energy.core.assets import expand_trips
from energy.core.forecast import QuantileForecast
from energy.core.plan import Problem, problem_from_json, problem_to_json
from energy.core.plan_parts import Feeder
from energy.core.series import Grid, Unit
from energy.core.slots import Slot, parse_jst
from energy.core.units import AssetId
from energy.ledger import TightEvent, TightLevel
from vpp.simulation.scenario import load_scenario
from vpp.site.planning import (
    Agreements,
    Outlook,
    Reserves,
    SiteState,
    build_problem,
    in_steps,
    peak_price_yen_per_kw,
)

SCENARIO = load_scenario("kitakata")[0]
SITE = SCENARIO.site
NOW = parse_jst("2026-08-05 06:00")
GRID = Grid(NOW, 96)
EVENT = TightEvent(
    id="tight",
    start=Slot(parse_jst("2026-08-05 16:00")),
    end=Slot(parse_jst("2026-08-05 19:00")),
    level=TightLevel.WARNING,
    known_at=parse_jst("2026-08-04 16:00"),
)


def certain(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> QuantileForecast:
    return QuantileForecast("load", NOW, GRID, Unit.KW, values, values, values, "test")


OUTLOOK = Outlook(
    load=certain(np.full(96, 120.0)),
    pv=certain(np.linspace(0, 80, 96)),
    outdoor_c=np.full(96, 30.0),
    ghi_w_m2=np.full(96, 500.0),
)


def problem(**changes: object) -> Problem:
    return with_outlook(OUTLOOK, **changes)


def with_outlook(
    outlook: Outlook, *, now: datetime = NOW, agreed: Agreements | None = None, **changes: object
) -> Problem:
    state = SiteState(
        soc_kwh={AssetId(car.id): 0.7 * car.capacity_kwh for car in SITE.vehicles},
        absent=frozenset({AssetId("commuter")}),
        room_c={AssetId(zone.id): 25.0 for zone in SITE.zones},
        peak_memory_kw=230.0,
    )
    trips = [
        trip
        for car, patterns in SITE.trips.items()
        for trip in expand_trips(car, patterns, NOW, parse_jst("2026-08-09 00:00"))
    ]
    return build_problem(
        SITE,
        replace(state, **changes),  # type: ignore[arg-type] # named by the caller
        outlook,
        now=now,
        trips=trips,
        events=[EVENT],
        coin=SCENARIO.coin,
        agreed=agreed or Agreements(),
    )


def slot_at(text: str) -> int:
    return GRID.index(parse_jst(text))


def test_a_kilowatt_of_new_peak_costs_twelve_months() -> None:
    assert peak_price_yen_per_kw(SITE, NOW) == pytest.approx(20_400)  # RULES-JP T24: 30 kW are 612,000 yen


def test_bands_hold_while_people_are_in_and_keep_a_reserve() -> None:
    zone = problem().zones[0]
    before, first = slot_at("2026-08-05 07:00"), slot_at("2026-08-05 07:30")
    assert zone.high_c[before] > 35  # ends at 07:30, nobody is in
    assert (zone.low_c[first], zone.high_c[first]) == pytest.approx((20.4, 27.1))  # ends at 08:00
    assert zone.high_c[slot_at("2026-08-05 19:00")] > 35
    assert set(zone.mode_sign) == {-1}


def test_gains_come_from_people_machines_and_sun() -> None:
    zone = problem().zones[0]
    hall = SITE.zones[0]
    sun = hall.solar_aperture_m2 * 0.5
    assert zone.gain_kw[slot_at("2026-08-05 06:00")] == pytest.approx(hall.base_gain_kw + sun)
    working = hall.base_gain_kw + hall.occupied_gain_kw + sun
    assert zone.gain_kw[slot_at("2026-08-05 10:00")] == pytest.approx(working)


def test_promises_carry_the_registers_resolution() -> None:
    leaf = next(car for car in problem().cars if car.id == "leaf")
    first = leaf.promises[0]
    assert first.index == slot_at("2026-08-05 10:00")
    assert first.soc_kwh == pytest.approx(0.61 * 40)


def test_only_the_employees_car_is_paid_and_only_while_supply_is_tight() -> None:
    cars = {car.id: car for car in problem().cars}
    values = cars[AssetId("commuter")].discharge_value_yen_per_kwh
    assert values[slot_at("2026-08-05 16:00")] == 20
    assert values[slot_at("2026-08-05 15:30")] == values[slot_at("2026-08-05 19:00")] == 0
    assert set(cars[AssetId("leaf")].discharge_value_yen_per_kwh) == {0.0}


def test_a_car_that_is_not_at_its_plug_is_not_planned_now() -> None:
    leaf = next(car for car in problem(absent=frozenset({AssetId("leaf")})).cars if car.id == "leaf")
    assert leaf.plugged[:2] == (False, True)


def test_a_driver_who_opted_out_is_not_asked() -> None:
    leaf = next(car for car in problem(opted_out=frozenset({AssetId("leaf")})).cars if car.id == "leaf")
    assert not any(leaf.may_discharge)


def test_a_plan_from_medians_leaves_no_room_below_the_peak() -> None:
    load, sun = np.linspace(80, 300, 96), np.linspace(0, 80, 96)
    outlook = Outlook(
        load=QuantileForecast("load", NOW, GRID, Unit.KW, load - 20, load, load + 30, "test"),
        pv=QuantileForecast("pv", NOW, GRID, Unit.KW, 0.5 * sun, sun, 1.2 * sun, "test"),
        outdoor_c=np.full(96, 30.0),
        ghi_w_m2=np.full(96, 500.0),
    )
    known, medians = with_outlook(outlook), with_outlook(outlook.medians())
    assert medians.load_p50_kw == known.load_p50_kw
    assert medians.pv[0].p50_kw == known.pv[0].p50_kw
    assert peak_margin_kw(known, 1.0) == pytest.approx(np.hypot(30.0, 0.5 * sun))
    assert not peak_margin_kw(medians, 1.0).any()


def test_the_bound_plans_without_reserves() -> None:
    assert Reserves().band_k > Reserves(band_k=0.0, promise=0.0).band_k


def test_the_problem_goes_through_json_and_its_plan_passes_the_check() -> None:
    made = problem()
    assert problem_from_json(problem_to_json(made)) == made
    plan = Planner().plan(made)
    assert check_plan(made, plan) == ()
    assert plan.source.value == "optimal"
    assert math.isclose(sum(made.tight), 6)


def month_end(**changes: object) -> Problem:
    """Two days from noon of the last day of August."""
    now = parse_jst("2026-08-31 12:00")
    grid = Grid(now, 96)
    load = QuantileForecast("load", now, grid, Unit.KW, *(np.full(96, 120.0),) * 3, "test")
    outlook = replace(OUTLOOK, load=load, pv=None)
    return with_outlook(outlook, now=now, **changes)  # type: ignore[arg-type] # named by the caller


def test_a_month_that_drops_out_within_the_horizon_takes_its_peak_with_it() -> None:
    limits = month_end(next_memory_kw=200.0).limits
    assert limits.memory_until == 24
    assert limits.peak_yen_per_kw == pytest.approx(1_700)  # of this month's bill only
    assert [(step.level_kw, step.first) for step in limits.steps] == [(200.0, 0), (200.0, 24)]
    assert sum(step.yen_per_kw for step in limits.steps) + 0.0 == pytest.approx(20_400)
    for same in (None, 230.0):
        assert month_end(next_memory_kw=same).limits.steps == ()
    assert problem(next_memory_kw=200.0).limits.memory_until is None  # the month goes on


def test_agreements_reach_the_problem_and_its_plan() -> None:
    leaf = AssetId("leaf")
    cable = Feeder(id="west", members=(leaf,), limit_kw=4.0, back_kw=4.0)
    first = Planner().plan(problem())
    agreed = Agreements(
        feeders=(cable,), target_kw=150.0, divisions=(6, 3), in_force=first, change_yen_per_kwh=1.0
    )
    made = in_steps(problem(agreed=agreed), agreed)
    assert made.divisions[:3] == (6, 3, 1)
    assert made.limits.steps[0].target
    assert made.change_yen_per_kwh == 1.0
    assert len(made.cars[0].planned_kw) == made.count
    plan = Planner().plan(made)
    assert check_plan(made, plan) == ()
    assert max(abs(point.power_kw) for point in plan.of(leaf)) <= 4.0 + 1e-6
