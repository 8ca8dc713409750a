"""Events in the bound: what perfect foresight could have earned by the rules of the settlement.

The events, their prices and the baseline are those of every other controller. What only honour forbids, the
bound does: it loads the adjustment window where that pays. So no controller can be paid more for these days.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from energy.core.plan import Plan, Problem
from energy.core.plan_parts import DrEvent
from energy.core.series import Series, Unit
from energy.core.slots import JST, SLOT_LENGTH
from energy.store import Store, open_store, points_of
from vpp.loop.called import with_calls
from vpp.simulation.callreview import reviewed_calls
from vpp.simulation.results import CallResult, CoinGrant
from vpp.simulation.scenario import DrCall, Scenario
from vpp.simulation.scenecalls import announce_calls, settle_calls
from vpp.simulation.simworld import SimulatedWorld
from vpp.site.recorder import SiteSeries

__all__ = ["settled_as_planned", "with_known_calls"]


def with_known_calls(
    problem: Problem, scenario: Scenario, world: SimulatedWorld, plan: Callable[[Problem], Plan]
) -> Problem:
    """The problem of all days with all events of theirs, known from the first instant on.

    The days before an event that lie inside the run are those of the plan without events.
    """
    calls = _inside(scenario, world)
    if not calls:
        return problem
    idle = plan(problem)
    drawn = np.array(idle.trajectory.import_kw) * problem.grid.hours
    days = {call.start.astimezone(JST).date() for call in calls}
    for k, at in enumerate(problem.grid.times()):
        if at.astimezone(JST).date() in days:  # the day itself is still to come
            drawn[k] = np.nan
    with open_store("sqlite://", durability="process") as store:
        _tell(store, scenario, world, Series(problem.grid, drawn, Unit.KWH))
        called = with_calls(
            problem,
            scenario.site,
            store,
            plan=lambda _: idle,
            counts=Counter(),
            known_at=world.end,
        )
    return replace(problem, events=tuple(_as_settled(event, problem) for event in called.events))


def settled_as_planned(
    store: Store,
    scenario: Scenario,
    world: SimulatedWorld,
    import_kwh: Series,
    grants: Iterable[CoinGrant],
) -> tuple[CallResult, ...]:
    """What the events come to if the meter shows what was planned; an empty store takes the readings."""
    calls = _inside(scenario, world)
    if not calls:
        return ()
    _tell(store, scenario, world, import_kwh)
    for call in calls:
        settle_calls(store, scenario, call.end)
    return reviewed_calls(store, scenario.site, world.end, grants)


def _inside(scenario: Scenario, world: SimulatedWorld) -> list[DrCall]:
    """Calls whose hours are simulated whole, in the order of their announcements."""
    calls = [one for one in scenario.world.calls if world.start <= one.start and one.end <= world.end]
    return sorted(calls, key=lambda one: one.known_at)


def _tell(store: Store, scenario: Scenario, world: SimulatedWorld, import_kwh: Series) -> None:
    """Announce the events, and give the store the meter's readings before and in the run."""
    name = SiteSeries(scenario.site.id)["meter", "import_kwh"]
    for readings in (world.past_import(), import_kwh):
        store.append(points_of(name, readings, known_at=lambda at: at + SLOT_LENGTH, source="bound"))
    for call in _inside(scenario, world):
        announce_calls(store, scenario, call.known_at)


def _as_settled(event: DrEvent, problem: Problem) -> DrEvent:
    """The event as the settlement pays it: whatever the window shows."""
    window, contract_kw = event.adjustment, problem.limits.contract_kw
    return replace(event, adjustment=None if window is None else replace(window, most_kw=contract_kw))
