"""Days of a site that declares everything a plan can heed, through the closed loop, held against twins."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import pytest

from devices.twins.site import SiteTruth, TwinSite
from dispatch.checks import Violation, check_plan
from dispatch.planner import Planner
from energy.core.plan import Plan, Problem
from energy.core.series import Grid
from energy.core.slots import jst_midnight
from energy.core.units import AssetId
from energy.store import open_store
from vpp.loop.operate import SiteOperator
from vpp.settlement.dr_events import EventBook
from vpp.simulation.perfect import perfect_foresight
from vpp.simulation.review import Reviewer
from vpp.simulation.scenario import load_scenario
from vpp.simulation.simulate import ScenarioRun

pytestmark = pytest.mark.e2e

SCENARIO, FOLDER = load_scenario("tight-evening")
SITE = SCENARIO.site
BATTERY, FEEDER = SITE.batteries[0], SITE.feeders[0]
WORKSHOP, OFFICE = SITE.zones


@dataclass
class Day:
    """What a day brought: every plan with its problem, and what the equipment did in every minute."""

    plans: list[tuple[Problem, Plan]] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    truths: list[SiteTruth] = field(default_factory=list)
    shares: list[dict[str, float]] = field(default_factory=list)
    run: ScenarioRun | None = None

    @property
    def operator(self) -> SiteOperator:
        assert self.run is not None
        return self.run.operator


@pytest.fixture(scope="module", params=["2026-02-03", "2026-07-14"])
def day(request: pytest.FixtureRequest) -> Iterator[Day]:
    seen, begins = Day(), jst_midnight(date.fromisoformat(request.param))
    made, stepped = Planner.plan, TwinSite.step

    def plan(self: Planner, problem: Problem, *, previous: Plan | None = None) -> Plan:
        one = made(self, problem, previous=previous)
        if problem.divisions:  # else it is the plan without an event, by which the adjustment is counted
            seen.plans.append((problem, one))
        seen.violations += check_plan(problem, one)
        return one

    def step(self: TwinSite, *given: float, **world: float) -> None:
        stepped(self, *given, **world)  # type: ignore[arg-type] # passed on as it came
        seen.truths.append(self.truth())
        assert self.adaptor is not None
        seen.shares.append({room.zone.id: room.share for room in self.adaptor.rooms})

    with pytest.MonkeyPatch.context() as patch, open_store("sqlite://", durability="process") as store:
        patch.setattr(Planner, "plan", plan)
        patch.setattr(TwinSite, "step", step)
        end = begins + timedelta(days=1)
        seen.run = ScenarioRun(SCENARIO, FOLDER, "optimal", begins, end, store, wire=False)
        asyncio.run(seen.run.run())
        yield seen


def runs_of(states: list[bool]) -> list[tuple[bool, int]]:
    """Stretches of equal states with their lengths."""
    runs: list[tuple[bool, int]] = []
    for state in states:
        if runs and runs[-1][0] is state:
            runs[-1] = state, runs[-1][1] + 1
        else:
            runs.append((state, 1))
    return runs


def test_every_plan_of_the_day_passes_the_checker_and_none_is_a_fallback(day: Day) -> None:
    assert len(day.plans) == 48
    assert day.violations == []
    assert {plan.source.value for _, plan in day.plans} <= {"optimal", "incumbent"}
    assert day.operator.counts["unconfirmed"] == 0


def test_the_problem_holds_what_the_site_declares(day: Day) -> None:
    for number, (problem, plan) in enumerate(day.plans):
        assert problem.divisions[:3] == (3, 2, 1)
        assert problem.feeders[0].limit_kw == FEEDER.limit_kw
        assert problem.batteries[0].reserve_kwh == pytest.approx(0.3 * 30.0)
        assert problem.zones[0].stages_kw == (4.0, 8.0, 12.0)
        assert problem.zones[1].min_power_kw == 2.0
        assert problem.submitted is not None
        assert problem.change_yen_per_kwh == (2.0 if number else 0.0)  # the first has none to leave
        first = plan.of(AssetId("workshop"))[0]
        assert len(first.steps_kw) == 3
        assert set(first.steps_kw) <= {0.0, 4.0, 8.0, 12.0}
    noon = day.plans[25][0].submitted  # tomorrow was promised at 11:30
    assert noon is not None
    assert noon.short_yen_per_kwh[0] == 3.0
    assert noon.short_yen_per_kwh[-30] == 3.0
    assert noon.long_yen_per_kwh[-1] == 0.0  # the day after tomorrow is not


def test_the_battery_keeps_its_reserve_and_is_used(day: Day) -> None:
    states = [truth.batteries["battery"].soc for truth in day.truths]
    assert min(states) >= BATTERY.reserve_soc
    assert max(states) - min(states) > 0.05
    given = day.truths[-1].batteries["battery"].discharge_kwh
    assert given > 1.0


def test_the_cable_carries_no_more_than_it_can(day: Day) -> None:
    flows = [
        truth.batteries["battery"].power_kw + sum(car.power_kw for car in truth.cars.values())
        for truth in day.truths
    ]
    assert max(flows) <= FEEDER.limit_kw + 0.01
    assert min(flows) >= -15.01


def test_units_run_at_their_stages_and_for_their_minimum_times(day: Day) -> None:
    assert {round(12.0 * share["workshop"], 6) for share in day.shares} <= {0.0, 4.0, 8.0, 12.0}
    running = [6.0 * share["office"] for share in day.shares if share["office"] > 0.0]
    assert min(running) >= 2.0 - 1e-9
    for zone in (WORKSHOP, OFFICE):
        stretches = runs_of([share[zone.id] > 0.0 for share in day.shares])
        assert len(stretches) > 3
        least = {True: zone.unit.min_on_minutes, False: zone.unit.min_off_minutes}
        for on, minutes in stretches[1:-1]:
            assert minutes >= least[on]


def test_the_event_is_planned_for_from_its_announcement_on_and_settled_when_it_is_over(day: Day) -> None:
    assert day.run is not None
    call = next(one for one in SCENARIO.world.calls if day.run.start <= one.start < day.run.end)
    assert day.operator.counts["calls_not_planned"] == 0
    for problem, plan in day.plans:
        heard = problem.made_at >= call.known_at and problem.grid.start < call.end
        if heard:
            assert [event.id for event in problem.events] == [call.id]
            assert plan.trajectory.event_yen != 0.0
        else:
            assert problem.events == ()
    book = EventBook(day.run.store)
    settled = book.settlement(call.id)
    assert settled is not None
    assert settled.version == 1  # twice is once
    assert settled.sites[0].called_kwh == 30
    assert settled.sites[0].method
    assert settled.sites[0].delivered_kwh is not None
    assert settled.delivered_kwh > 0
    assert settled.yen > 0


def test_perfect_foresight_hears_the_same_call_and_nobody_is_better_than_it(day: Day) -> None:
    assert day.run is not None
    grid = Grid.between(day.run.start, day.run.end)
    reviewer = Reviewer(SITE, grid, day.run.store)
    ours = reviewer.result("optimal", day.run.score, day.operator.counts, 0.0)
    with open_store("sqlite://") as empty:
        bound = perfect_foresight(SCENARIO, Reviewer(SITE, grid, empty), day.run.world)
    for one in (ours, bound):
        print(f"{one.summary.controller}: {one.summary.score_yen} yen, events {one.summary.events_yen} yen")
    (call,), (known,) = ours.calls, bound.calls
    assert (call.id, call.asked_kw, call.method) == (known.id, known.asked_kw, known.method)
    assert call.method == "high4of5"
    assert bound.summary.events_yen >= ours.summary.events_yen > 0
    assert bound.summary.score_yen <= ours.summary.score_yen
    below = sum(usual - kw for usual, kw in zip(call.baseline_kw, call.import_kw, strict=True)) / 2.0
    assert call.delivered_kwh == pytest.approx(below)
    assert call.rebound_kwh is not None
    assert call.yen <= 60 * 30  # no more is paid than was called for


def test_the_battery_is_part_of_the_trace(day: Day) -> None:
    assert day.run is not None
    grid = Grid.between(day.run.start, day.run.end)
    counts = day.operator.counts
    trace = Reviewer(SITE, grid, day.run.store).result("optimal", day.run.score, counts, 0.0).trace
    shown = trace.batteries["battery"]
    assert shown.soc[-1] == pytest.approx(day.truths[-1].batteries["battery"].soc, abs=1e-6)
    assert min(shown.power_kw) < 0.0 < max(shown.power_kw)
    assert any(reason is not None for reason in trace.reasons["battery"])


def test_rooms_are_comfortable_and_cars_leave_as_promised(day: Day) -> None:
    assert day.run is not None
    assert day.run.score.comfort_worst_degc < 0.3
    assert day.run.score.missed == 0
    assert max(truth.import_kw for truth in day.truths) <= SITE.contract_kw
