"""The compiled model against a second formulation, and the two ways in which a linear program cheats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dispatch.compile import compile_template
from dispatch.fill import TieBreaks, structure_of, values_of
from dispatch.optimise import Answer, optimise
from dispatch.schedule import settle, soc_path
from dispatch.shortfalls import objective_yen
from dispatch.solve import SolverSettings, SolveStatus, solve
from dispatch.template import Structure
from dispatch.templates import TemplateCache
from dispatch.terms import slack_prices
from energy.core.errors import PlanError
from energy.core.plan import Problem, Promise
from energy.core.units import AssetId
from tests.unit.dispatch.problems import battery, car, factory, floats, limits, problem, pv, trip, zone
from tests.unit.dispatch.reference import least_cost

TEMPLATES = TemplateCache()
NO_TIES = TieBreaks(early_yen_per_kwh=0.0, smooth_yen_per_kw=0.0)


def answered(site: Problem, *, ties: TieBreaks = NO_TIES, method: str = "simplex") -> Answer:
    template = TEMPLATES.of(structure_of(site))
    answer = optimise(site, template, SolverSettings(method=method), peak_quantile_share=0.3, ties=ties)
    assert answer is not None
    return answer


def random_site(seed: int, *, n: int = 16) -> Problem:
    """A site with everything on it; prices, loads and limits at random."""
    rng = np.random.default_rng(seed)
    load, sun = rng.uniform(20.0, 120.0, n), rng.uniform(0.0, 60.0, n)
    value = np.where(rng.random(n) < 0.3, 20.0, 0.0)
    first = trip(car(n, id=AssetId("first"), discharge_value_yen_per_kwh=floats(value)), 6, 10, 8.0, 26.0)
    second = car(n, id=AssetId("second"), soc0_kwh=30.0, promises=(Promise(index=12, soc_kwh=36.0),))
    rooms = tuple(
        zone(n, id=AssetId(f"room-{k}"), temp0_c=17.0 + 3.0 * k, cop=floats(rng.uniform(2.0, 4.0, n)))
        for k in range(2)
    )
    return problem(
        list(load),
        load_p90_kw=floats(1.1 * load),
        outdoor_c=floats(rng.uniform(-5.0, 8.0, n)),
        price_yen_per_kwh=floats(rng.uniform(5.0, 40.0, n)),
        limits=limits(
            peak_memory_kw=float(rng.uniform(60.0, 140.0)), contract_kw=float(rng.uniform(90.0, 200.0))
        ),
        cars=(first, second),
        zones=rooms,
        batteries=(battery(),),
        pv=(pv(list(sun), p10_kw=floats(0.4 * sun), p90_kw=floats(1.2 * sun)),),
    )


@pytest.mark.parametrize("seed", range(12))
def test_compiled_model_costs_what_an_independent_formulation_costs(seed: int) -> None:
    site = random_site(seed)
    prices = slack_prices(site)
    expected = least_cost(
        site,
        share=0.3,
        contract_yen_per_kw=prices.contract_yen_per_kw,
        departure_yen_per_kwh=prices.departure_yen_per_kwh,
    )
    template = TEMPLATES.of(structure_of(site))
    data = template.vector(values_of(site, peak_quantile_share=0.3, ties=NO_TIES))
    solution = solve(template, data, SolverSettings())
    assert solution.status is SolveStatus.OPTIMAL
    assert solution.objective_yen == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_cost_of_the_schedule_is_the_objective_of_the_model(seed: int) -> None:
    site = random_site(seed)
    template = TEMPLATES.of(structure_of(site))
    data = template.vector(values_of(site, peak_quantile_share=0.3, ties=NO_TIES))
    solution = solve(template, data, SolverSettings())
    answer = answered(site)
    told = objective_yen(site, answer.schedule, peak_quantile_share=0.3)
    assert told == pytest.approx(solution.objective_yen, rel=1e-6)


@pytest.mark.parametrize("seed", range(4))
def test_simplex_and_interior_point_agree(seed: int) -> None:
    site = random_site(seed)
    costs = [
        objective_yen(site, answered(site, method=method).schedule, peak_quantile_share=0.3)
        for method in ("simplex", "ipm")
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-6)


def test_settling_changes_nothing_in_an_optimal_schedule() -> None:
    site = factory(48, zones=3)
    schedule = answered(site).schedule
    again = settle(site, schedule)
    for name in ("car_kw", "hvac_kw", "pv_kw", "battery_kw"):
        assert getattr(again, name) == pytest.approx(getattr(schedule, name), abs=1e-9)


def test_tie_breaks_cost_nobody_anything_worth_naming() -> None:
    site = factory(48, zones=3)
    with_ties = objective_yen(site, answered(site, ties=TieBreaks()).schedule, peak_quantile_share=0.3)
    without = objective_yen(site, answered(site).schedule, peak_quantile_share=0.3)
    assert without <= with_ties + 1e-6
    assert with_ties - without < 1.0


def test_promised_energy_is_charged_early_when_nothing_speaks_against_it() -> None:
    site = problem(100.0, 12, cars=(car(12, promises=(Promise(index=12, soc_kwh=28.0),)),))
    power = answered(site, ties=TieBreaks()).schedule.car_kw[0]
    assert power[0] == pytest.approx(6.0)
    assert power[3:] == pytest.approx(np.zeros(9), abs=1e-9)


def test_burning_energy_makes_the_direction_binary_only_where_it_pays() -> None:
    site = problem(50.0, 6, cars=(car(6, soc0_kwh=37.5, wear_yen_per_kwh=0.0),))
    site = replace(site, price_yen_per_kwh=(-8.0,) * 3 + (20.0,) * 3)
    answer = answered(site)
    assert answer.rounds > 1
    assert answer.optimal
    assert answer.gap <= 1e-4
    soc = soc_path(site, site.cars[0], answer.schedule.car_kw[0])
    assert soc.max() <= 38.0 + 1e-6


def test_a_car_below_its_floor_is_not_used_as_a_battery_on_the_way_up() -> None:
    low = car(8, soc0_kwh=4.0, wear_yen_per_kwh=0.0)
    site = replace(problem(100.0, 8, cars=(low,)), price_yen_per_kwh=(1.0, 1.0, 900.0, 1.0) + (20.0,) * 4)
    answer = answered(site)
    power = answer.schedule.car_kw[0]
    soc = soc_path(site, low, power)
    assert not ((power < 0.0) & (soc < 12.0)).any()
    assert answer.rounds > 1


def test_a_longer_promise_list_is_data_and_not_structure() -> None:
    one = problem(100.0, 12, cars=(trip(car(12), 2, 4, 1.0, 25.0),))
    two = problem(100.0, 12, cars=(trip(trip(car(12), 2, 4, 1.0, 25.0), 8, 10, 1.0, 27.0),))
    assert structure_of(one) == structure_of(two)


def test_template_is_kept_until_newer_ones_push_it_out() -> None:
    cache = TemplateCache(limit=2)
    first = cache.of(Structure(2))
    cache.of(Structure(3))
    assert cache.of(Structure(2)) is first
    third = cache.of(Structure(3))
    cache.of(Structure(2))
    cache.of(Structure(4))
    assert cache.of(Structure(3)) is not third  # it was the oldest when 4 came


def test_data_that_do_not_belong_to_the_model_are_refused_by_name() -> None:
    template = compile_template(Structure(2))
    values = values_of(problem(10.0, 2), peak_quantile_share=0.0, ties=NO_TIES)
    with pytest.raises(PlanError, match=r"given\.load_kw"):
        template.vector({path: value for path, value in values.items() if path != "given.load_kw"})


def test_limits_of_one_unknown_are_bounds_and_cost_no_row() -> None:
    template = compile_template(Structure(4, cars=1, zones=1, pv=1, batteries=1).whole)
    for path in ("contract", "export", "car[0].charge_kw_limit", "car[0].above_floor", "zone[0].not_too_hot"):
        assert template.rows[path].size == 0
    assert template.rows["balance"].size == 4
    assert template.lazy.sum() == 3 * 2 * 4  # two directions of two batteries and of the connection
    assert template.binary.sum() == 3 * 4
    assert not compile_template(Structure(4, cars=1)).binary.any()  # until they are needed


def test_time_that_ran_out_without_a_solution_is_no_answer() -> None:
    site = factory(48, zones=4)
    template = TEMPLATES.of(structure_of(site))
    hasty = SolverSettings(time_limit_s=0.0)
    assert optimise(site, template, hasty, peak_quantile_share=0.3, ties=TieBreaks()) is None


def test_room_for_errors_above_the_contract_does_not_make_export_pay() -> None:
    sun = pv([45.0], p10_kw=(0.0,))
    site = problem([16.0], pv=(sun,), price_yen_per_kwh=(0.0,))
    site = replace(
        site,
        limits=limits(contract_kw=20.0, peak_yen_per_kw=0.0, import_margin_kw=0.0, max_export_kw=30.0),
    )
    schedule = answered(site).schedule
    assert objective_yen(site, schedule, peak_quantile_share=0.9) == pytest.approx(0.0)


def test_export_without_a_price_earns_nothing() -> None:
    site = problem([0.0, 0.0], pv=(pv([3.0, 3.0], curtailable=False),), price_yen_per_kwh=(9.0, 9.0))
    site = replace(site, limits=limits(import_margin_kw=0.0, max_export_kw=5.0))
    schedule = answered(site).schedule
    assert objective_yen(site, schedule, peak_quantile_share=0.3) == pytest.approx(0.0)
    paid = replace(site, sell_yen_per_kwh=(7.0, 7.0))
    assert objective_yen(paid, schedule, peak_quantile_share=0.3) == pytest.approx(-7.0 * 3.0)
