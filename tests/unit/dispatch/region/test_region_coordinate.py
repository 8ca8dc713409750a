"""A region planned by prices: as good as one large program, never below its own bound, kept by every site."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dispatch.checks import Violation
from dispatch.region.checks import require_region, shared_yen
from dispatch.region.coordinate import Coordinator
from dispatch.region.limits import SharedLimit
from dispatch.region.messages import Card
from dispatch.region.outcome import CoordinatorSettings, RegionPlan
from dispatch.region.work import forget
from dispatch.templates import TemplateCache
from energy.core.errors import InvalidPlanError
from energy.core.series import FloatArray
from energy.core.units import AssetId
from tests.bench.region_monolith import monolith, solved
from tests.unit.dispatch.region.region_helpers import (
    WORK,
    Watched,
    coordinator,
    drawn,
    no_limits,
    region_request,
)
from vpp.region.crew import InlineCrew
from vpp.region.plan import blocks_of
from vpp.region.shared import RegionRules

TIGHT = CoordinatorSettings(gap=4e-3)


@pytest.fixture(scope="module")
def planned() -> Coordinator:
    request = region_request(10)
    return coordinator(drawn(request), request.grid)


def optimum(sites: list, worked: Coordinator, limits: tuple) -> float:
    moved = np.array([card.flexible for card in worked.cards])
    program = monolith(
        sites, moved, limits, TemplateCache(64), alone_kw=worked.alone_kw,
        alone_drop_kw=worked.alone_droppable_kw, alone_yen=worked.alone_yen,
    )  # fmt: skip
    best, _ = solved(program, "ipm")
    return best


def test_the_bounds_enclose_the_optimum_of_one_large_program(planned: Coordinator) -> None:
    request = region_request(10)
    plan = planned.plan(TIGHT)
    best = optimum(drawn(request), planned, plan.limits)
    assert plan.gap <= TIGHT.gap
    assert plan.lower_yen <= best + 1e-6 * abs(best)
    assert plan.upper_yen >= best - 1e-6 * abs(best)
    assert plan.violation == 0.0
    assert plan.upper_yen < plan.alone_yen
    require_region(plan, hours=0.5)


def test_every_round_the_bounds_only_come_closer(planned: Coordinator) -> None:
    request = region_request(10, seed=6)
    plan = coordinator(drawn(request), request.grid).plan(TIGHT)
    lower = [step.lower_yen for step in plan.trace]
    upper = [step.upper_yen for step in plan.trace]
    assert lower == sorted(lower)
    assert np.all(np.diff(upper) <= 1e-5 * np.abs(upper[:-1]))


def test_with_nothing_shared_every_site_does_what_it_does_alone() -> None:
    request = region_request(6)
    plan = coordinator(drawn(request), request.grid, limits=no_limits).plan(TIGHT)
    assert plan.gap <= 1e-6
    assert plan.upper_yen == pytest.approx(plan.alone_yen, rel=1e-6)


def test_what_sites_do_alone_proves_a_bound_before_anybody_is_asked() -> None:
    request = region_request(8)
    stopped = coordinator(drawn(request), request.grid).plan(replace(TIGHT, gap=0.0), stop=lambda: True)
    best = coordinator(drawn(request), request.grid).plan(replace(TIGHT, rounds=30))
    assert stopped.rounds == 0
    assert 0.9 * best.upper_yen < stopped.lower_yen <= best.upper_yen
    assert stopped.lower_yen <= stopped.alone_yen


def test_where_a_limit_pays_for_using_less_what_sites_do_alone_proves_nothing() -> None:
    def paid(cards: tuple[Card, ...], alone: FloatArray, drop: FloatArray) -> list[SharedLimit]:
        slots = np.arange(alone.shape[1])
        return [
            SharedLimit(
                name="paid", kind="balance", members=np.ones(len(cards), dtype=bool), slots=slots,
                level_kw=alone.sum(axis=0), promise=False,
                above_yen=np.full(len(slots), 5.0), below_yen=np.full(len(slots), -3.0),
            )
        ]  # fmt: skip

    request = region_request(4)
    worked = coordinator(drawn(request), request.grid, limits=paid)
    stopped = worked.plan(replace(TIGHT, gap=0.0), stop=lambda: True)
    assert not np.isfinite(stopped.lower_yen)
    assert worked.plan(TIGHT).gap <= TIGHT.gap


def test_it_can_be_stopped_at_any_moment_and_still_has_a_plan_that_all_sites_keep() -> None:
    request = region_request(8)
    for rounds in (0, 1, 2):
        worked = coordinator(drawn(request), request.grid)
        plan = worked.plan(replace(TIGHT, gap=0.0, rounds=rounds))
        require_region(plan, hours=0.5)
        assert plan.violation == 0.0
        assert np.isfinite(plan.upper_yen)
    stopped = coordinator(drawn(request), request.grid).plan(replace(TIGHT, gap=0.0), stop=lambda: True)
    assert len(stopped.trace) == 0
    assert stopped.violation == 0.0


def test_a_second_plan_goes_on_from_the_prices_and_bids_of_the_first() -> None:
    request = region_request(10)
    worked = coordinator(drawn(request), request.grid)
    first = worked.plan(TIGHT)
    fresh = len(first.trace)
    called = RegionRules(seed=1, dr_share=0.08)
    worked.set_limits(called)
    again = worked.plan(TIGHT)
    cold = coordinator(drawn(request), request.grid, limits=called).plan(TIGHT)
    assert again.gap <= TIGHT.gap
    assert len(again.trace) < fresh
    assert len(again.trace) < len(cold.trace)
    assert again.upper_yen == pytest.approx(cold.upper_yen, rel=1e-2)
    assert again.total_s < first.total_s + cold.total_s  # it is counted from its own beginning


def test_cells_of_several_sites_come_to_the_same_within_the_gap() -> None:
    request = region_request(8, exchangeable=True)
    one = coordinator(drawn(request), request.grid).plan(replace(TIGHT, cell=1))
    many = coordinator(drawn(request), request.grid).plan(replace(TIGHT, cell=4))
    assert one.gap <= TIGHT.gap
    assert many.gap <= TIGHT.gap
    assert one.lower_yen <= many.upper_yen
    assert many.lower_yen <= one.upper_yen


def test_a_process_that_forgot_everything_comes_to_exactly_the_same() -> None:
    request = region_request(6)
    short = replace(TIGHT, rounds=3)
    kept = coordinator(drawn(request), request.grid).plan(short)

    class Forgetful(Watched):
        def run(self, function, calls, *, at):  # type: ignore[no-untyped-def]
            answers = []
            for call in calls:
                forget()
                answers.append(function(*call))
            return answers

    lost = coordinator(drawn(request), request.grid, crew=Forgetful()).plan(short)
    np.testing.assert_array_equal(lost.power_kw, kept.power_kw)
    assert lost.upper_yen == kept.upper_yen
    assert lost.lower_yen == kept.lower_yen


def test_a_plan_that_hides_a_missed_limit_or_a_cost_is_refused(planned: Coordinator) -> None:
    plan = planned.plan(TIGHT)
    yen, _ = shared_yen(plan, hours=0.5)
    assert plan.upper_yen == pytest.approx(float(plan.site_yen.sum()) + yen)
    moved = plan.power_kw.copy()
    moved[:, 20] += 500.0
    with pytest.raises(InvalidPlanError, match="unsaid"):
        require_region(replace(plan, power_kw=moved), hours=0.5)
    with pytest.raises(InvalidPlanError, match="own bound"):
        require_region(replace(plan, lower_yen=plan.upper_yen + 1000.0), hours=0.5)


def test_a_fault_without_an_amount_in_one_site_is_a_violation_of_the_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    request = region_request(4)
    worked = coordinator(drawn(request), request.grid)
    lacking = Violation("completeness", AssetId("car-1"), 3, 0.0, "needs exactly one setpoint")
    monkeypatch.setattr("dispatch.region.priced.check_told", lambda *_: (lacking,))
    assert worked.plan(replace(TIGHT, rounds=1)).violation > 0.0


def test_sites_asked_again_under_other_limits_do_not_answer_the_prices_of_before() -> None:
    request, few = region_request(4), replace(TIGHT, gap=0.0, rounds=2)
    blocks = blocks_of(request, 1)

    def planned_with(error: float) -> RegionPlan:
        rules = RegionRules(seed=1, error=error)
        return Coordinator(blocks, request.grid, rules, InlineCrew(), work=WORK).plan(few)

    planned_with(0.03)
    again = planned_with(0.2)
    forget()
    fresh = planned_with(0.2)
    assert (again.lower_yen, again.upper_yen) == (fresh.lower_yen, fresh.upper_yen)
    assert np.array_equal(again.power_kw, fresh.power_kw)
