"""Events that a site is called for, as its planner sees them: from the event book to the planning problem.

What counts is what the book says at the instant of the plan. A call that was released, cancelled or declined
is not there any more. The baseline is that of the settlement, made of the readings there are by then; the
half-hours of the adjustment window that still lie ahead are left to the plan.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from energy.core.errors import DataError
from energy.core.plan import Plan, Problem
from energy.core.plan_parts import Adjustment as Window
from energy.core.plan_parts import DemandStep
from energy.core.plan_parts import DrEvent as EventProblem
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import DrTerms, Site
from energy.core.slots import SLOT_LENGTH, Slot
from energy.market.baseline import Adjustment, Baseline, Method, baseline
from energy.market.dr_products import Product
from energy.market.rules import BaselineDays, rule_row
from energy.store import Store
from vpp.settlement.dr_event import Call, DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import baseline_request, enrolled
from vpp.site.recorder import SiteSeries

__all__ = ["with_calls"]

# The book keeps acts of one instant a microsecond apart: a cancel of this instant counts in this plan.
_SAME_INSTANT = timedelta(milliseconds=1)


def with_calls(
    problem: Problem,
    site: Site,
    store: Store,
    *,
    plan: Callable[[Problem], Plan],
    counts: Counter[str],
    known_at: datetime | None = None,
) -> Problem:
    """The problem with the events that its site is called for; without a call as it was.

    Parameters
    ----------
    plan : callable
        Makes the plan without the events: what it draws in the adjustment window is what the adjustment
        counts at most, so that loading the window is worth nothing. Asked only where there is a call.
    counts : Counter
        ``calls_not_planned`` counts calls that no plan can serve: the site names no price (``dr``), the
        event asks for more load, or there are too few days for a baseline.
    known_at : datetime, optional
        What is known by then counts; the instant of the plan unless said (a bound knows what will come).
    """
    events = []
    known_at = known_at or problem.made_at
    problem = _after_events(problem, site, store)
    for event, call in _calls(EventBook(store), site, problem.made_at, known_at):
        span = _span(problem.grid, call.start, call.end)
        if span is None:
            continue
        usual = None if event.product is Product.UP else _baseline(store, site, event, known_at)
        if site.dr is None or usual is None:
            counts["calls_not_planned"] += 1
            continue
        events.append((_Called(event, call, usual, site.dr), span))
    if not events:
        return problem
    idle_kw = np.asarray(plan(problem).trajectory.import_kw)
    steps = [one for called, _ in events for one in _window_steps(problem, called, idle_kw)]
    return replace(
        problem,
        events=tuple(_event(problem, called, span, idle_kw) for called, span in events),
        limits=replace(problem.limits, steps=(*problem.limits.steps, *steps)),
    )


def _window_steps(problem: Problem, called: _Called, idle_kw: FloatArray) -> list[DemandStep]:
    """A small price on drawing more in the window than without the event.

    That it earns nothing leaves a tie: what is charged ahead of the event might as well be charged in the
    window, and would lift the baseline that is settled (RULES-JP T31). Gone half-hours cost nothing, but
    stay in the number of rows, so that the structure is the same until the event is over.
    """
    usual = called.usual
    first, last = _ahead(problem.grid, usual)
    yen = called.terms.window_yen_per_kwh * problem.grid.hours
    ahead = [
        DemandStep(level_kw=max(0.0, float(idle_kw[k])), yen_per_kw=yen, first=k, last=k + 1)
        for k in range(first, last)
    ]
    gone = DemandStep(level_kw=problem.limits.contract_kw, yen_per_kw=0.0, first=0, last=1)
    return [*ahead, *(gone for _ in range(len(usual.window) - len(ahead)))]


def _calls(book: EventBook, site: Site, now: datetime, known_at: datetime) -> list[tuple[DrEvent, Call]]:
    """What the site has to do from an instant on, as the book says then."""
    return [
        (event, call)
        for event, call in book.calls(site.id, now, known_at=known_at + _SAME_INSTANT)
        if site.id not in event.opted_out
    ]


@dataclass(frozen=True, slots=True)
class _Usual:
    """The days behind a baseline, and what the day of the event shows so far. [kW]

    ``weights`` say by how much of the adjustment each half-hour is lifted; without a ``window`` by nothing.
    """

    baseline_kw: FloatArray
    window: tuple[Slot, ...]
    window_kw: float
    so_far_kw: float
    weights: FloatArray


@dataclass(frozen=True, slots=True)
class _Called:
    """An event, the site's call, its baseline and what the site is paid."""

    event: DrEvent
    call: Call
    usual: _Usual
    terms: DrTerms


def _after_events(problem: Problem, site: Site, store: Store) -> Problem:
    """Hold the demand after an event that has just ended to what is usual in its hours and the hours after.

    While an event lies ahead its own rows look at these hours; once it is over nothing of it is left but this
    price on the highest demand.
    """
    if site.dr is None or not site.dr.recovery_slots:
        return problem
    now = problem.made_at
    steps = []
    for event in EventBook(store).events(known_at=now + _SAME_INSTANT):
        calm = event.end + site.dr.recovery_slots * SLOT_LENGTH
        span = _span(problem.grid, event.end, calm)
        served = any(one.site == site.id and one.end == event.end for one in event.calls)
        if now < event.end or span is None or not served or event.stopped_at is not None:
            continue
        usual = _baseline(store, site, replace(event, end=calm), now)
        if usual is not None:
            moved = usual.so_far_kw / max(1, len(usual.window))
            level = float((usual.baseline_kw + usual.weights * moved).max())
            yen = site.dr.recovery_yen_per_kwh * problem.grid.hours * (span[1] - span[0])
            steps.append(DemandStep(level_kw=max(0.0, level), yen_per_kw=yen, first=span[0], last=span[1]))
    limits = problem.limits
    return replace(problem, limits=replace(limits, steps=(*limits.steps, *steps))) if steps else problem


def _baseline(store: Store, site: Site, event: DrEvent, now: datetime) -> _Usual | None:
    """The settlement's baseline before its adjustment; None if there are too few days."""
    try:
        request = baseline_request(event, enrolled(site), EventBook(store).event_days(site.id, event))
    except DataError:  # longer than a day, or nothing agreed: has no baseline, and is not paid
        return None
    window = request.window()
    lookback = timedelta(days=rule_row(BaselineDays, request.day).values.lookback_days + 1)
    grid = Grid.between(window[0].start - lookback, event.end)
    known = store.as_of(now).series(SiteSeries(site.id)["meter", "import_kwh"], grid, Unit.KWH)
    # The day of the event itself decides nothing but the adjustment, which is reckoned below.
    values = np.array(known.values)
    own = grid.index(window[0].start)
    today = values[own : own + len(window)].copy()
    values[own:] = np.nan_to_num(values[own:])
    found = baseline(request, Series(grid, values, Unit.KWH))
    if not isinstance(found, Baseline):
        return None
    usual_kw = 2.0 * float(found.usual_window_kwh)
    baseline_kw = np.array([2.0 * float(slot.baseline_kwh) for slot in found.slots])
    weights = np.ones(len(baseline_kw))
    if request.method is Method.SAME_DAY:  # nothing is usual: all of the window is the baseline
        usual_kw, baseline_kw = 0.0, 0.0 * baseline_kw
    elif request.adjustment is Adjustment.NONE:
        window, today, weights = [], today[:0], 0.0 * weights
    elif request.adjustment is Adjustment.RATIO:
        weights = baseline_kw / usual_kw if usual_kw > 0.0 else 0.0 * weights
    gone = ~np.isnan(today)
    return _Usual(
        baseline_kw=baseline_kw,
        window=tuple(window),
        window_kw=usual_kw,
        so_far_kw=float((2.0 * today[gone] - usual_kw).sum()),
        weights=weights,
    )


def _event(problem: Problem, called: _Called, span: tuple[int, int], idle_kw: FloatArray) -> EventProblem:
    """The event in the half-hours of a problem.

    After it the site shall draw no more than it would have drawn at most, without the event, in it and in the
    hours after it: what was given away comes back without a new peak.
    """
    event, usual, terms = called.event, called.usual, called.terms
    first, last = span
    skipped = (problem.grid.time(first) - event.start) // SLOT_LENGTH
    here = slice(skipped, skipped + last - first)
    after = idle_kw[last : last + terms.recovery_slots]
    calm_kw = float(max(idle_kw[first : last + terms.recovery_slots], default=0.0))
    return EventProblem(
        id=event.id,
        first=first,
        last=last,
        baseline_kw=tuple(float(one) for one in usual.baseline_kw[here]),
        reward_yen_per_kwh=terms.reward_yen_per_kwh,
        most_kw=float(called.call.kw),
        adjustment=_adjustment(problem.grid, usual, idle_kw, here) if usual.window else None,
        recovery_kw=(calm_kw,) * len(after),
        recovery_yen_per_kwh=terms.recovery_yen_per_kwh,
        negative_counts=terms.negative_counts,
    )


def _adjustment(grid: Grid, usual: _Usual, idle_kw: FloatArray, here: slice) -> Window:
    """The window: what is gone is known, of what lies ahead counts what would be drawn without the event."""
    first, last = _ahead(grid, usual)
    idle = float((idle_kw[first:last] - usual.window_kw).sum())
    count = len(usual.window)
    plain = bool((usual.weights == 1.0).all())
    return Window(
        first=first,
        last=last,
        usual_kw=(usual.window_kw,) * (last - first),
        slots=count,
        so_far_kw=usual.so_far_kw,
        most_kw=(usual.so_far_kw + idle) / count,
        weights=() if plain else tuple(float(one) for one in usual.weights[here]),
    )


def _ahead(grid: Grid, usual: _Usual) -> tuple[int, int]:
    """Half-hours of the window that still lie ahead; none if there is no window."""
    if not usual.window:
        return (0, 0)
    return _span(grid, usual.window[0].start, usual.window[-1].end) or (0, 0)


def _span(grid: Grid, start: datetime, end: datetime) -> tuple[int, int] | None:
    """Half-hours ``first <= k < last`` of a grid in a stretch of time; None if there are none."""
    first = max(0, (start - grid.start) // SLOT_LENGTH)
    last = min(grid.count, (end - grid.start) // SLOT_LENGTH)
    return (first, last) if first < last else None
