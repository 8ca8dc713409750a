"""What was agreed about the connection, as data: events, a submitted plan, further prices of demand, feeders.

Also what each of them costs for a net power, in its own arithmetic and not the model's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dispatch.template import BoolArray
from dispatch.terms import Asset, demand_kw, share_of_slot, slots_of
from energy.core.plan import Problem
from energy.core.plan_parts import DemandStep, DrEvent, SubmittedPlan
from energy.core.series import FloatArray

__all__ = [
    "agreed_yen",
    "called_as_tight",
    "calm_kw",
    "event_values",
    "event_yen",
    "feeder_limits_kw",
    "imbalance_yen",
    "in_event",
    "members_of",
    "recovery_limit_kw",
    "reduction_kw",
    "step_excess_kw",
    "step_values",
    "submitted_values",
]

_DEEPEST_KW = 1e5  # no demand is so far above a baseline
Values = dict[str, FloatArray | float]


def in_event(problem: Problem) -> BoolArray:
    """Half-hours of an event."""
    inside = np.zeros(problem.grid.count, dtype=bool)
    for event in problem.events:
        inside[event.first : event.last] = True
    return inside


def called_as_tight(problem: Problem) -> Problem:
    """The problem with the hours of its events taken for tight ones: what rules of thumb know of an event."""
    if not problem.events:
        return problem
    called = in_event(problem)[slots_of(problem)] | np.asarray(problem.tight, dtype=bool)
    return replace(problem, tight=tuple(called.tolist()))


def calm_kw(problem: Problem) -> FloatArray:
    """Demand that is asked of the hours around an event, per interval; infinite where nothing is. [kW]

    In an event nothing: as little as promises leave. In its window and after it, what was agreed.
    """
    limit = np.where(in_event(problem), 0.0, np.inf)
    for event in problem.events:
        limit = np.minimum(limit, recovery_limit_kw(problem, event))
    for step in problem.limits.steps:
        if step.last is not None and step.yen_per_kw > 0.0:  # those of memory and target have no end
            inside = _inside(problem, step.first, step.last)
            limit = np.minimum(limit, np.where(inside, step.level_kw, np.inf))
    asked: FloatArray = limit[slots_of(problem)]
    return asked


def _so_far_kw(problem: Problem) -> float:
    """Demand that the half-hour that has begun has drawn before. [kW]"""
    return problem.limits.demand_so_far_kwh / problem.grid.hours


def step_values(problem: Problem, step: DemandStep, margin_kw: FloatArray) -> Values:
    """Data of a further price of demand; room for forecast errors is left as below the peak."""
    inside = _inside(problem, step.first, step.last)
    level = np.where(inside, step.level_kw - margin_kw, 0.0)
    level[0] -= _so_far_kw(problem) * inside[0]
    return {
        "counts": share_of_slot(problem) * inside[slots_of(problem)],
        "level_kw": np.where(inside, level, 0.0),
        "step_yen_per_kw": step.yen_per_kw,
    }


def _inside(problem: Problem, first: int, last: int | None) -> np.ndarray:
    inside = np.zeros(problem.grid.count, dtype=bool)
    inside[first:last] = True
    return inside


def step_excess_kw(problem: Problem, step: DemandStep, demand: FloatArray) -> float:
    """By how much demand is above a level in the half-hours that count. [kW]"""
    over = demand[_inside(problem, step.first, step.last)] - step.level_kw
    return max(0.0, float(over.max(initial=0.0)))


def event_values(problem: Problem, event: DrEvent) -> Values:
    """Data of an event; half-hours outside of it, of its window and of its recovery count nothing."""
    share, slots, n = share_of_slot(problem), slots_of(problem), problem.grid.count
    inside = _inside(problem, event.first, event.last)
    baseline, weight, window, recovery = np.zeros(n), np.zeros(n), np.zeros(n), np.zeros(n)
    baseline[event.first : event.last] = event.baseline_kw
    adjustment, window_kw = event.adjustment, 0.0
    if adjustment is not None:
        weight[inside] = adjustment.weights or 1.0
        baseline += weight * adjustment.most_kw
        window[adjustment.first : adjustment.last] = 1.0 / adjustment.slots
        gone = adjustment.so_far_kw - sum(adjustment.usual_kw) + _so_far_kw(problem) * bool(window[0])
        window_kw = adjustment.most_kw - gone / adjustment.slots
    baseline[0] -= _so_far_kw(problem) * inside[0]
    after = _inside(problem, event.last, event.last + len(event.recovery_kw))
    recovery[after] = event.recovery_kw[: int(after.sum())]
    return {
        "counts": share * inside[slots],
        "window": share * window[slots],
        "after": share * after[slots],
        "window_kw": window_kw,
        "inside": weight,
        "baseline_kw": baseline,
        "most_kw": inside * event.most_kw,
        "deepest_kw": inside * _DEEPEST_KW,
        "recovery_kw": recovery,
        "earned_yen_per_kw": -problem.grid.hours * event.reward_yen_per_kwh,
        "beyond_yen_per_kw": problem.grid.hours * event.recovery_yen_per_kwh,
    }


def reduction_kw(event: DrEvent, demand: FloatArray) -> FloatArray:
    """What an event pays for, per half-hour of it, for the demand of all half-hours. [kW]

    ``min(most, baseline + weight * a - demand)``, negative above the baseline; ``a`` is the adjustment that
    the demand of the window gives, at most that of a site where nobody moved anything.
    """
    shift: FloatArray | float = 0.0
    if event.adjustment is not None:
        window = event.adjustment
        ahead = float(np.sum(demand[window.first : window.last] - np.asarray(window.usual_kw)))
        moved = min(window.most_kw, (window.so_far_kw + ahead) / window.slots)
        shift = moved * np.asarray(window.weights or 1.0)
    below = np.asarray(event.baseline_kw) + shift - demand[event.first : event.last]
    paid: FloatArray = np.minimum(below, event.most_kw)
    return paid


def event_yen(problem: Problem, net_kw: FloatArray) -> float:
    """What all events pay for a net power. [yen]"""
    demand, total = demand_kw(problem, net_kw), 0.0
    for event in problem.events:
        paid = problem.grid.hours * float(reduction_kw(event, demand).sum())
        total += event.reward_yen_per_kwh * (paid if event.negative_counts else max(0.0, paid))
    return total


def recovery_limit_kw(problem: Problem, event: DrEvent) -> FloatArray:
    """Demand that the half-hours after an event shall not exceed; infinite elsewhere. [kW]"""
    limit = np.full(problem.grid.count, np.inf)
    after = limit[event.last : event.last + len(event.recovery_kw)]
    after[:] = event.recovery_kw[: len(after)]
    return limit


def submitted_values(problem: Problem, submitted: SubmittedPlan) -> Values:
    """Data of the submitted plan."""
    wanted = np.array(submitted.import_kw, dtype=float)
    wanted[0] -= _so_far_kw(problem)
    return {
        "submitted_kw": wanted,
        "short_yen_per_kw": problem.grid.hours * np.asarray(submitted.short_yen_per_kwh),
        "long_yen_per_kw": problem.grid.hours * np.asarray(submitted.long_yen_per_kwh),
    }


def imbalance_yen(problem: Problem, net_kw: FloatArray) -> float:
    """What a net power costs beside the submitted plan. [yen]"""
    if problem.submitted is None:
        return 0.0
    off = demand_kw(problem, net_kw) - np.asarray(problem.submitted.import_kw)
    short = np.maximum(off, 0.0) * np.asarray(problem.submitted.short_yen_per_kwh)
    long = np.maximum(-off, 0.0) * np.asarray(problem.submitted.long_yen_per_kwh)
    return problem.grid.hours * float(np.sum(short + long))


def agreed_yen(problem: Problem, net_kw: FloatArray, guarded_kw: FloatArray) -> float:
    """All of it together, what events earn taken off. [yen]

    Parameters
    ----------
    guarded_kw : ndarray
        Demand with room for forecast errors, per half-hour. [kW]
    """
    demand = demand_kw(problem, net_kw)
    total = imbalance_yen(problem, net_kw) - event_yen(problem, net_kw)
    for event in problem.events:
        beyond = np.maximum(0.0, demand - recovery_limit_kw(problem, event))
        total += problem.grid.hours * event.recovery_yen_per_kwh * float(beyond.sum())
    return total + sum(
        step.yen_per_kw * step_excess_kw(problem, step, guarded_kw) for step in problem.limits.steps
    )


def members_of(problem: Problem, assets: Sequence[Asset]) -> FloatArray:
    """Whether each asset hangs on each feeder, one row per asset. [-]"""
    rows = [[float(asset.id in feeder.members) for feeder in problem.feeders] for asset in assets]
    return np.array(rows)


def feeder_limits_kw(problem: Problem) -> tuple[FloatArray, FloatArray]:
    """What each feeder carries towards and away from its assets, one row per feeder. [kW]

    What its own load takes is gone, but never so much that idle assets would break it; what nothing can hold
    back may always leave.
    """
    towards, away = [], []
    for feeder in problem.feeders:
        load = np.asarray(feeder.load_kw) if feeder.load_kw else np.zeros(problem.count)
        fixed = np.zeros(problem.count)
        for array in problem.pv:
            if array.id in feeder.members and not array.curtailable:
                fixed = fixed + np.asarray(array.p50_kw)
        zones = [zone for zone in problem.zones if zone.id in feeder.members and zone.least_kw]
        held = sum((np.asarray(zone.least_kw) for zone in zones), np.zeros(problem.count))
        towards.append(np.maximum(feeder.limit_kw - load, np.maximum(0.0, held)))
        away.append(np.maximum(feeder.back_kw + load, fixed))
    return np.array(towards), np.array(away)
