"""The independent check: each kind of broken plan is caught by its own name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from dispatch.assemble import told
from dispatch.checks import check_plan, check_told, require_valid
from dispatch.refine import refine
from dispatch.rules import rules_plan, rules_schedule
from dispatch.shortfalls import expect
from energy.core.errors import InvalidPlanError
from energy.core.plan import Plan, Problem
from energy.core.plan_parts import DemandStep, DrEvent, Feeder, SubmittedPlan
from energy.core.series import FloatArray
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


# --- what was agreed, units, and divided half-hours ------------------------------------------------------

AGREED = replace(
    problem(
        100.0,
        N,
        cars=(car(N, min_power_kw=2.0),),
        zones=(zone(N, stages_kw=(6.0, 16.0), min_on_h=1.0, min_off_h=1.0, least_kw=(0.0,) * N),),
        batteries=(battery(),),
        limits=limits(contract_kw=300.0, steps=(DemandStep(level_kw=125.0, yen_per_kw=50.0, target=True),)),
    ),
    feeders=(Feeder(id="west", members=(LEAF, BATTERY), limit_kw=7.0, back_kw=5.0),),
    events=(
        DrEvent(
            id="dr",
            first=2,
            last=4,
            baseline_kw=(110.0, 110.0),
            reward_yen_per_kwh=20.0,
            most_kw=30.0,
            recovery_kw=(118.0,),
            negative_counts=True,
        ),
    ),
    submitted=SubmittedPlan(
        import_kw=(105.0,) * N, short_yen_per_kwh=(9.0,) * N, long_yen_per_kwh=(1.0,) * N
    ),
)


def test_a_plan_that_keeps_what_was_agreed_breaks_nothing() -> None:
    for site in (AGREED, refine(AGREED, (6, 2))):
        assert check_plan(site, rules_plan(site)) == ()


@pytest.mark.parametrize(
    ("asset", "index", "power_kw", "kind"),
    [
        (LEAF, 0, 1.0, "stage"),  # below the charger's least power
        (HALL, 0, 9.0, "stage"),
        (HALL, 4, 16.0, "recovery"),
        (BATTERY, 0, 10.0, "feeder"),
        (BATTERY, 0, -8.0, "feeder"),
    ],
)
def test_each_limit_that_was_agreed_is_caught(asset: AssetId, index: int, power_kw: float, kind: str) -> None:
    idle = rules_plan(AGREED)
    assert kind not in kinds(idle, AGREED)
    broken = changed(idle, asset, index, power_kw)
    if kind == "recovery":
        broken = changed(broken, BATTERY, index, 10.0)
    assert kind in kinds(broken, AGREED)


def test_a_unit_that_runs_too_shortly_is_caught() -> None:
    broken = rules_plan(AGREED)
    for index in range(N):
        broken = changed(broken, HALL, index, 6.0 if index == 3 else 0.0)
    found = [one for one in check_plan(AGREED, broken) if one.kind == "minimum_time"]
    assert [one.index for one in found] == [4]
    assert "ran for 30.0 min only" in found[0].text


@pytest.mark.parametrize("name", ["event_yen", "imbalance_yen"])
def test_money_that_does_not_add_up_is_caught(name: str) -> None:
    plan = rules_plan(AGREED)
    flows = replace(plan.trajectory, **{name: getattr(plan.trajectory, name) + 5.0})
    assert kinds(replace(plan, trajectory=flows), AGREED) == {"balance"}


def test_a_mean_that_is_not_that_of_its_steps_is_caught() -> None:
    site = refine(AGREED, (6, 2))
    plan = rules_plan(site)
    first = plan.of(HALL)[0]
    wrong = replace(first, power_kw=first.power_kw + 1.0)
    points = tuple(wrong if point == first else point for point in plan.setpoints)
    assert "balance" in kinds(replace(plan, setpoints=points), site)
    bare = tuple(replace(point, steps_kw=()) for point in plan.setpoints)
    assert kinds(replace(plan, setpoints=bare), site) == {"completeness"}


def test_a_schedule_that_nobody_sends_is_checked_like_its_plan() -> None:
    schedule = rules_schedule(SITE, peak_quantile_share=0.9)
    said = told(SITE, schedule, expect(SITE, schedule))
    assert check_told(SITE, said) == ()
    plan = rules_plan(SITE)
    for asset, power in said.power_kw.items():
        assert power == pytest.approx([point.power_kw for point in plan.of(asset)], abs=1e-6)
    too_much = replace(schedule, car_kw=schedule.car_kw + 6.5)
    wrong = check_told(SITE, told(SITE, too_much, expect(SITE, too_much)))
    assert {"power", "away"} <= {one.kind for one in wrong}


@pytest.mark.parametrize("table", ["power_kw", "mean_kw", "expected"])
def test_a_schedule_that_leaves_an_asset_or_a_half_hour_out_is_not_taken_for_checked(table: str) -> None:
    schedule = rules_schedule(SITE, peak_quantile_share=0.9)
    said = told(SITE, schedule, expect(SITE, schedule))
    rows: dict[AssetId, FloatArray] = getattr(said, table)

    def kinds_with(changed: dict[AssetId, FloatArray]) -> set[str]:
        said = told(SITE, schedule, expect(SITE, schedule))
        getattr(said, table).clear()
        getattr(said, table).update(changed)
        return {one.kind for one in check_told(SITE, said)}

    less = {asset: row for asset, row in rows.items() if asset != LEAF}
    for broken in (less, rows | {LEAF: rows[LEAF][1:]}, rows | {AssetId("nobody"): rows[LEAF]}):
        assert kinds_with(broken) == {"completeness"}
    if table != "expected":
        assert kinds_with(rows | {LEAF: rows[LEAF] * float("nan")}) == {"number"}
