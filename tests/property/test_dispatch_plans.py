"""Whatever a site looks like, there is a plan, and it passes a check that knows nothing of the optimiser."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dispatch.checks import check_plan
from dispatch.planner import Planner
from dispatch.rules import charge_on_arrival_plan, rules_plan
from energy.core.plan import (
    CarProblem,
    Plan,
    PlanSource,
    Problem,
    Promise,
    StorageProblem,
    ZoneProblem,
    problem_from_json,
    problem_to_json,
)
from energy.core.units import AssetId
from tests.unit.dispatch.problems import battery, car, limits, problem, pv, zone

PLANNER = Planner()  # one for all examples: templates are shared, plans must not be
N = 8
ODD = settings(max_examples=60, deadline=None, derandomize=True)


def series(low: float, high: float) -> st.SearchStrategy[tuple[float, ...]]:
    return st.lists(st.floats(low, high).map(lambda value: round(value, 3)), min_size=N, max_size=N).map(
        tuple
    )


def flags() -> st.SearchStrategy[tuple[bool, ...]]:
    return st.lists(st.booleans(), min_size=N, max_size=N).map(tuple)


@st.composite
def cars(draw: st.DrawFn, name: str) -> CarProblem:
    capacity = draw(st.sampled_from([20.0, 40.0, 66.0]))
    floor, ceiling = draw(st.floats(0.0, 0.5)) * capacity, draw(st.floats(0.6, 1.0)) * capacity
    away = draw(
        st.lists(st.tuples(st.integers(0, N - 1), st.integers(1, 4), st.floats(0.0, 20.0)), max_size=2)
    )
    plugged, drive, promises = [True] * N, [0.0] * N, {}
    for leaves, length, energy in away:
        if not all(plugged[leaves : leaves + length]):
            continue
        for t in range(leaves, min(N, leaves + length)):
            plugged[t], drive[t] = False, round(energy / length, 3)
        if draw(st.booleans()):
            promises[leaves] = Promise(index=leaves, soc_kwh=draw(st.floats(0.0, ceiling)))
    if draw(st.booleans()):
        promises[N] = Promise(index=N, soc_kwh=draw(st.floats(0.0, ceiling)))
    return car(
        N,
        id=AssetId(name),
        capacity_kwh=capacity,
        soc0_kwh=draw(st.floats(0.0, 1.0)) * capacity,
        floor_kwh=floor,
        ceiling_kwh=ceiling,
        max_discharge_kw=draw(st.sampled_from([0.0, 3.0, 6.0])),
        charge_efficiency=draw(st.floats(0.7, 1.0)),
        discharge_efficiency=draw(st.floats(0.7, 1.0)),
        wear_yen_per_kwh=draw(st.sampled_from([0.0, 5.0])),
        plugged=tuple(plugged),
        drive_kwh=tuple(drive),
        may_discharge=draw(flags()),
        promises=tuple(promises.values()),
        discharge_value_yen_per_kwh=draw(series(-5.0, 40.0)),
    )


@st.composite
def zones(draw: st.DrawFn, name: str) -> ZoneProblem:
    low = draw(series(5.0, 25.0))
    return zone(
        N,
        id=AssetId(name),
        temp0_c=draw(st.floats(-5.0, 40.0)),
        capacitance_kwh_per_k=draw(st.floats(0.5, 20.0)),
        loss_kw_per_k=draw(st.one_of(st.just(0.0), st.floats(0.05, 3.0))),
        mode_sign=tuple(draw(st.lists(st.sampled_from([-1, 0, 1]), min_size=N, max_size=N))),
        cop=draw(series(1.0, 5.0)),
        gain_kw=draw(series(-2.0, 15.0)),
        low_c=low,
        high_c=tuple(value + draw(st.floats(0.0, 10.0)) for value in low),
    )


@st.composite
def batteries(draw: st.DrawFn) -> StorageProblem:
    return battery(soc0_kwh=draw(st.floats(0.0, 20.0)), wear_yen_per_kwh=draw(st.sampled_from([0.0, 3.0])))


@st.composite
def problems(draw: st.DrawFn) -> Problem:
    load = draw(series(0.0, 300.0))
    sun = draw(series(0.0, 200.0))
    exports = draw(st.sampled_from([0.0, 0.0, 30.0, 250.0]))
    array = pv(
        list(sun),
        p10_kw=tuple(0.5 * value for value in sun),
        p90_kw=tuple(1.2 * value for value in sun),
        curtailable=exports < 200.0 or draw(st.booleans()),
    )
    return problem(
        list(load),
        load_p90_kw=tuple(value * 1.1 for value in load),
        outdoor_c=draw(series(-10.0, 40.0)),
        price_yen_per_kwh=draw(series(-10.0, 80.0)),
        tight=draw(flags()),
        limits=limits(
            contract_kw=draw(st.floats(20.0, 350.0)),
            peak_memory_kw=draw(st.floats(0.0, 300.0)),
            peak_yen_per_kw=draw(st.sampled_from([0.0, 1_700.0, 20_400.0])),
            import_margin_kw=0.0 if exports else draw(st.sampled_from([0.0, 5.0, 50.0])),
            max_export_kw=exports,
        ),
        sell_yen_per_kwh=draw(st.one_of(st.just(()), series(-10.0, 80.0))),
        end_value_yen_per_kwh=draw(st.sampled_from([None, 0.0, 12.0])),
        cars=tuple(draw(cars(f"car-{k}")) for k in range(draw(st.integers(0, 2)))),
        zones=tuple(draw(zones(f"zone-{k}")) for k in range(draw(st.integers(0, 2)))),
        pv=(array,) if draw(st.booleans()) else (),
        batteries=(draw(batteries()),) if draw(st.booleans()) else (),
    )


@ODD
@given(problems())
def test_every_problem_has_a_plan_that_passes_the_check(site: Problem) -> None:
    refused = sum(count for name, count in PLANNER.counts.items() if name.startswith("refused"))
    plan = PLANNER.plan(site)
    assert plan.source in (PlanSource.OPTIMAL, PlanSource.INCUMBENT)
    assert check_plan(site, plan) == ()
    assert sum(n for name, n in PLANNER.counts.items() if name.startswith("refused")) == refused
    assert not [short for short in plan.shortfalls if short.kind == "export"]


@ODD
@given(problems())
def test_rules_and_charging_on_arrival_keep_every_hard_limit_too(site: Problem) -> None:
    for plan in (rules_plan(site), charge_on_arrival_plan(site)):
        assert plan.source is PlanSource.RULES
        assert check_plan(site, plan) == ()


@ODD
@given(problems())
def test_no_plan_by_rules_is_better_than_the_optimal_one(site: Problem) -> None:
    best = PLANNER.plan(site)
    if best.source is PlanSource.OPTIMAL and best.gap == 0.0:
        other = rules_plan(site)
        assert best.objective_yen <= other.objective_yen + 1.0 + 1e-5 * abs(other.objective_yen)


@settings(max_examples=15, deadline=None, derandomize=True)
@given(problems())
def test_a_problem_survives_json_and_gives_the_same_plan(site: Problem) -> None:
    again = problem_from_json(problem_to_json(site))
    assert again == site
    first, second = PLANNER.plan(site), Planner().plan(again)
    assert replace(first, solve_ms=0.0) == replace(second, solve_ms=0.0)


def _spoilt(plan: Plan, k: int, power_kw: float) -> Plan:
    points = list(plan.setpoints)
    points[k] = replace(points[k], power_kw=points[k].power_kw + power_kw)
    return replace(plan, setpoints=tuple(points))


@ODD
@given(problems(), st.data())
def test_a_power_that_was_tampered_with_is_noticed(site: Problem, data: Any) -> None:
    plan = PLANNER.plan(site)
    assume(plan.setpoints)
    k = data.draw(st.integers(0, len(plan.setpoints) - 1))
    change = data.draw(st.sampled_from([-7.0, -0.5, -0.01, 0.01, 0.5, 7.0]))
    kinds = {violation.kind for violation in check_plan(site, _spoilt(plan, k, change))}
    assert "balance" in kinds  # the import does not follow from the powers any more


@ODD
@given(problems(), st.data())
def test_a_missing_a_doubled_and_a_foreign_setpoint_are_noticed(site: Problem, data: Any) -> None:
    plan = PLANNER.plan(site)
    assume(plan.setpoints)
    k = data.draw(st.integers(0, len(plan.setpoints) - 1))
    points = plan.setpoints
    for changed in (
        points[:k] + points[k + 1 :],
        (*points, points[k]),
        (*points, replace(points[k], asset=AssetId("stranger"))),
        (*points[:k], replace(points[k], power_kw=float("nan")), *points[k + 1 :]),
    ):
        kinds = {violation.kind for violation in check_plan(site, replace(plan, setpoints=changed))}
        assert kinds <= {"completeness", "number"}
        assert kinds


@ODD
@given(problems())
def test_a_shortfall_that_is_kept_quiet_is_noticed(site: Problem) -> None:
    plan = rules_plan(site)
    for short in plan.shortfalls:
        same = (short.asset, short.kind)
        quiet = tuple(
            other
            for other in plan.shortfalls
            if (other.asset, other.kind) != same or (short.kind == "departure" and other.index != short.index)
        )
        if short.amount > 0.01:
            found = check_plan(site, replace(plan, shortfalls=quiet))
            assert short.kind in {violation.kind for violation in found if violation.asset == short.asset}


@ODD
@given(problems())
def test_energy_is_conserved_over_the_horizon(site: Problem) -> None:
    plan = PLANNER.plan(site)
    flows = plan.trajectory
    assets = np.sum([[p.power_kw for p in plan.of(a)] for a in {p.asset for p in plan.setpoints}], axis=0)
    assert np.allclose(np.asarray(flows.import_kw), np.asarray(flows.load_kw) + assets, atol=1e-4)
