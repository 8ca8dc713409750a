"""An instance through the product's own model, beside the same instance as arrays written by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dispatch.fill import TieBreaks, structure_of
from dispatch.optimise import Found, find, schedule_of
from dispatch.solve import SolverSettings, WarmSolver, solve
from dispatch.templates import TemplateCache
from dispatch.validate import require_sound
from energy.core.errors import DataError
from tests.bench.arrays import Arrays
from tests.bench.instances import instance
from vpp.bench.child import other_data
from vpp.bench.instance import Instance, cost_and_violation, problem_of, read_instance
from vpp.bench.plan import bench_plan

TEMPLATES = TemplateCache()
NO_TIES = TieBreaks(early_yen_per_kwh=0.0, smooth_yen_per_kw=0.0)


def planned(raw: dict[str, Any], *, gap: float = 1e-4) -> tuple[Found, float, float]:
    """The solution, what its powers cost by the instance's own words, and what they break."""
    given = Instance.model_validate(raw)
    problem = require_sound(problem_of(given), any_step=True)
    template = TEMPLATES.of(structure_of(problem))
    settings = SolverSettings(time_limit_s=60.0, relative_gap=gap, absolute_gap_yen=0.0)
    found = find(problem, template, settings, peak_quantile_share=0.0, ties=NO_TIES)
    assert found is not None
    yen, violation = cost_and_violation(given, schedule_of(problem, found).car_kw)
    return found, yen, violation


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("cars", "steps"), [(0, 24), (1, 48), (4, 48), (4, 192), (20, 48)])
def test_objective_is_that_of_the_arrays(cars: int, steps: int, seed: int) -> None:
    raw = instance(cars, steps, seed)
    reference, _, _ = Arrays().solve(raw)
    found, yen, violation = planned(raw)
    assert found.objective_yen == pytest.approx(reference, rel=1e-6)
    assert yen == pytest.approx(reference, rel=1e-6)
    assert violation < 1e-6


def burning(seed: int) -> dict[str, Any]:
    """Negative prices all day, cars that are nearly full: burning energy in the chargers would pay."""
    raw, rng = instance(2, 12, seed, minutes=60), random.Random(seed)
    raw["price_buy"] = [round(rng.uniform(-6.0, -3.0), 3) for _ in range(12)]
    raw["price_sell"] = [round(rng.uniform(-12.0, -8.0), 3) for _ in range(12)]
    raw["demand_charge_per_kw"] = 0.0
    for car in raw["evs"]:
        car["arrival"], car["departure"] = 0, 12
        car["soc_arrival"] = car["soc_target"] = round(0.98 * car["capacity_kwh"], 3)
    return raw


@pytest.mark.parametrize("seed", range(3))
def test_negative_prices_cost_what_whole_directions_cost(seed: int) -> None:
    raw = burning(seed)
    loose, _, _ = Arrays().solve(raw)
    reference, _, _ = Arrays(whole=True, gap=1e-4).solve(raw)
    assert loose < reference * (1.0 - 1e-5)  # the linear program does cheat
    found, yen, violation = planned(raw)
    assert found.honest
    assert found.rounds > 1
    assert abs(found.objective_yen - reference) <= (found.gap + 1e-4) * abs(reference)
    assert yen == pytest.approx(found.objective_yen, rel=1e-6)
    assert violation < 1e-6


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("cars", "steps"), [(1, 48), (4, 48)])
def test_negative_prices_at_noon_cost_what_the_reference_with_binaries_costs(
    cars: int, steps: int, seed: int
) -> None:
    gap = 1e-3
    raw = instance(cars, steps, seed, minutes=30, negative=True)
    reference, _, _ = Arrays(whole=True, gap=gap, time_limit_s=20.0).solve(raw)
    found, yen, violation = planned(raw, gap=gap)
    assert found.honest
    assert found.gap <= gap
    assert abs(found.objective_yen - reference) <= 2.0 * gap * abs(reference)
    assert yen == pytest.approx(found.objective_yen, rel=1e-6)
    assert violation < 1e-6


@pytest.mark.parametrize("seed", range(2))
def test_negative_prices_without_cheating_need_no_binaries(seed: int) -> None:
    raw = instance(4, 48, seed, minutes=30, negative=True)
    reference, _, _ = Arrays().solve(raw)
    found, _, _ = planned(raw)
    if found.rounds == 1:
        assert found.objective_yen == pytest.approx(reference, rel=1e-6)
    assert found.objective_yen >= reference - 1e-6 * abs(reference)


def test_selling_above_the_price_is_not_bought_and_sold_at_once() -> None:
    raw = instance(1, 24, 0, minutes=60)
    raw["price_sell"] = [price + 5.0 for price in raw["price_buy"]]
    found, yen, violation = planned(raw)
    assert found.honest
    assert yen == pytest.approx(found.objective_yen, rel=1e-6)
    assert violation < 1e-6


def test_other_data_start_warm_and_cost_what_a_cold_start_costs() -> None:
    given = Instance.model_validate(instance(4, 96, 1))
    template = TEMPLATES.of(structure_of(problem_of(given)))
    warm, rng, settings = WarmSolver(), random.Random(1), SolverSettings()
    for _ in range(4):
        changed = problem_of(other_data(given, rng))
        costs = []
        for solver in (warm, solve):
            found = find(changed, template, settings, peak_quantile_share=0.0, ties=NO_TIES, solver=solver)
            assert found is not None
            costs.append(found.objective_yen)
        assert costs[0] == pytest.approx(costs[1], rel=1e-9)
    assert warm.warm == 3


def test_measuring_gives_every_figure(tmp_path: Path) -> None:
    path = tmp_path / "instance.json"
    path.write_text(json.dumps(instance(2, 24, 0, minutes=60)), encoding="utf-8")
    measured = bench_plan(path, rounds=3).to_json()
    assert list(measured) == [
        "objective", "status", "gap", "compile_s", "cold_s", "cached_s", "resolve_s", "highs_s",
        "peak_rss_mb", "max_violation",
    ]  # fmt: skip
    reference, _, _ = Arrays().solve(instance(2, 24, 0, minutes=60))
    assert measured["objective"] == pytest.approx(reference, rel=1e-6)
    assert measured["status"] == "optimal"
    assert 0.0 < float(measured["compile_s"]) < float(measured["cold_s"])
    assert float(measured["cached_s"]) < float(measured["cold_s"])  # it did not compile
    assert 0.0 < float(measured["highs_s"]) <= float(measured["resolve_s"])
    assert 20.0 < float(measured["peak_rss_mb"]) < 250.0
    assert float(measured["max_violation"]) < 1e-6


def test_powers_that_break_the_instance_are_measured_as_such() -> None:
    given = Instance.model_validate(instance(2, 24, 0, minutes=60))
    idle = np.zeros((2, 24))
    assert cost_and_violation(given, idle)[1] == pytest.approx(
        max(car.soc_target - car.soc_arrival for car in given.evs)
    )
    full = idle + given.evs[0].p_charge_kw + 1.0
    assert cost_and_violation(given, full)[1] >= 1.0


def changed(**changes: Any) -> dict[str, Any]:
    return {**instance(1, 4, 0, minutes=60), **changes}


def car_changed(**changes: Any) -> dict[str, Any]:
    raw = instance(1, 4, 0, minutes=60)
    return {**raw, "evs": [{**raw["evs"][0], **changes}]}


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (changed(price_buy=[1.0, float("nan"), 1.0, 1.0]), "price_buy.1"),
        (changed(load_kw=[1.0, 2.0]), "load_kw has 2 values, the horizon 4 steps"),
        (changed(pv_kw=[-1.0, 0.0, 0.0, 0.0]), "pv_kw.0"),
        (changed(horizon=0), "horizon"),
        (changed(horizon=6000), "horizon"),
        (changed(horizon="many"), "horizon"),
        (changed(colour="red"), "colour"),
        (car_changed(arrival=3, departure=2), "arrives at 3 and leaves at 2"),
        (car_changed(departure=9), "leaves at 9"),
        (car_changed(soc_target=1e3), "soc_target is 1000.0 kWh, above the capacity"),
        (car_changed(capacity_kwh=0.0), "evs.0.capacity_kwh"),
        (car_changed(eff_charge=1.2), "evs.0.eff_charge"),
    ],
)
def test_bad_instances_are_refused_by_the_field(raw: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_instance(path)
    assert told in caught.value.where
    assert caught.value.hint


def test_a_price_of_a_wrong_unit_is_refused_by_the_problem() -> None:
    with pytest.raises(DataError, match=r"price_yen_per_kwh\[0\] is 1e\+09"):
        planned(changed(price_buy=[1e9, 1.0, 1.0, 1.0]))


def test_a_horizon_of_five_thousand_steps_is_refused_by_its_length() -> None:
    with pytest.raises(DataError, match="5000 intervals are more than"):
        planned(instance(1, 5000, 0))


def test_a_horizon_of_one_step_is_planned() -> None:
    raw = instance(1, 1, 0, minutes=60)
    found, yen, violation = planned(raw)
    assert yen == pytest.approx(found.objective_yen)
    assert violation < 1e-6
