"""The independent check: each kind of broken plan is caught by its own name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dispatch.checks import check_plan, require_valid
from dispatch.rules import rules_plan
from energy.core.errors import InvalidPlanError
from energy.core.plan import Plan, Problem
from energy.core.units import AssetId
from tests.unit.dispatch.problems import battery, car, limits, problem, pv, trip, zone

N = 8
SITE = problem(
    100.0,
    N,
    cars=(replace(trip(car(N), 4, 6, 3.0, 26.0), may_discharge=(True,) * 6 + (False,) * 2),),
    zones=(zone(N, mode_sign=(1,) * 7 + (0,)),),
    pv=(pv([10.0] * N),),
    batteries=(battery(),),
    limits=limits(contract_kw=120.0),
)
LEAF, HALL, PV, BATTERY = AssetId("leaf"), AssetId("hall"), AssetId("pv"), AssetId("battery")


def changed(plan: Plan, asset: AssetId, index: int, power_kw: float) -> Plan:
    """The plan with one other power, its import told accordingly, so that only its own limits break."""
    points = [
        replace(point, power_kw=power_kw) if point == plan.of(asset)[index] else point
        for point in plan.setpoints
    ]
    flows = plan.trajectory
    step = power_kw - plan.of(asset)[index].power_kw
    bought = list(flows.import_kw)
    bought[index] += step
    return replace(plan, setpoints=tuple(points), trajectory=replace(flows, import_kw=tuple(bought)))


def kinds(plan: Plan, site: Problem = SITE) -> set[str]:
    return {violation.kind for violation in check_plan(site, plan)}


def test_a_good_plan_breaks_nothing() -> None:
    plan = rules_plan(SITE)
    assert check_plan(SITE, plan) == ()
    assert require_valid(SITE, plan) is plan


@pytest.mark.parametrize(
    ("asset", "index", "power_kw", "kind"),
    [
        (LEAF, 0, 6.5, "power"),
        (LEAF, 0, -6.5, "power"),
        (LEAF, 4, 1.0, "away"),
        (LEAF, 7, -1.0, "opted_out"),
        (LEAF, 3, -6.0, "departure"),
        (HALL, 0, 16.5, "power"),
        (HALL, 0, -0.5, "power"),
        (HALL, 7, 1.0, "power"),
        (HALL, 2, 0.0, "expected"),
        (PV, 0, -11.0, "sun"),
        (PV, 0, 1.0, "sun"),
        (BATTERY, 0, 10.5, "power"),
        (BATTERY, 0, 1.0, "expected"),
    ],
)
def test_each_broken_limit_has_its_name(asset: AssetId, index: int, power_kw: float, kind: str) -> None:
    assert kind in kinds(changed(rules_plan(SITE), asset, index, power_kw))


def test_giving_back_below_the_floor_is_a_violation_and_not_a_shortfall() -> None:
    site = problem(100.0, 4, cars=(car(4, soc0_kwh=13.0),))
    plan = changed(rules_plan(site), LEAF, 0, -6.0)
    assert "floor" in kinds(plan, site)


def test_charging_above_the_ceiling_is_a_violation() -> None:
    site = problem(100.0, 4, cars=(car(4, soc0_kwh=37.9),))
    assert "ceiling" in kinds(changed(rules_plan(site), LEAF, 0, 6.0), site)


def test_reserve_of_a_battery_is_hard() -> None:
    site = problem(100.0, 4, batteries=(battery(soc0_kwh=5.0),))
    assert "floor" in kinds(changed(rules_plan(site), BATTERY, 0, -10.0), site)


def test_room_that_leaves_its_band_unsaid_is_a_violation() -> None:
    site = problem(100.0, 8, zones=(zone(8, temp0_c=18.6),))
    plan = rules_plan(site)
    for t in range(8):
        plan = changed(plan, HALL, t, 0.0)
    assert "comfort" in kinds(plan, site)


def test_import_above_the_contract_unsaid_is_a_violation() -> None:
    site = problem(119.0, 4, cars=(car(4),), limits=limits(contract_kw=120.0))
    assert "contract" in kinds(changed(rules_plan(site), LEAF, 0, 6.0), site)


def test_export_is_a_violation() -> None:
    site = problem(8.0, 4, cars=(car(4),))
    assert "export" in kinds(changed(rules_plan(site), LEAF, 0, -6.0), site)


def _with_flows(**changes: object) -> Callable[[Plan], Plan]:
    return lambda plan: replace(plan, trajectory=replace(plan.trajectory, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (_with_flows(import_kw=(100.0,) * N), "balance"),
        (_with_flows(load_kw=(101.0,) * N), "balance"),
        (_with_flows(pv_kw=(9.0,) * N), "balance"),
        (_with_flows(energy_yen=1.0), "balance"),
        (_with_flows(import_kw=(100.0,) * (N - 1)), "number"),
        (lambda plan: replace(plan, target_demand_kw=100.0), "target"),
        (lambda plan: replace(plan, objective_yen=float("nan")), "number"),
        (lambda plan: replace(plan, site="elsewhere"), "completeness"),
    ],
)
def test_what_the_plan_tells_of_the_site_must_add_up(spoil: Callable[[Plan], Plan], kind: str) -> None:
    assert kind in kinds(spoil(rules_plan(SITE)))


def test_a_refused_plan_names_what_it_breaks() -> None:
    with pytest.raises(InvalidPlanError, match=r"leaf \[4\] power of a car that is away") as error:
        require_valid(SITE, changed(rules_plan(SITE), LEAF, 4, 1.0))
    assert error.value.details["violations"]
