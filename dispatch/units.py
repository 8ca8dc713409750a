"""What the equations of an air conditioner's stages and minimum times need, and where a power is possible."""

from __future__ import annotations

import numpy as np

from dispatch.template import BoolArray
from dispatch.terms import hours, room_terms
from energy.core.plan import Problem, ZoneProblem
from energy.core.series import FloatArray

__all__ = ["forced_on", "lags_of", "runs_whole", "snap_kw", "stages_kw", "unit_values"]

_HOUR = 1e-9  # what rounding may add to a time


def stages_kw(zone: ZoneProblem) -> tuple[float, ...]:
    """Stages of a unit; the least power of one that modulates; empty for one that takes any power."""
    if zone.stages_kw:
        return zone.stages_kw
    return (zone.min_power_kw,) if zone.min_power_kw > 0.0 else ()


def _starts_h(problem: Problem) -> FloatArray:
    length = hours(problem)
    starts: FloatArray = np.cumsum(length) - length
    return starts


def lags_of(problem: Problem, zone: ZoneProblem) -> int:
    """Over how many intervals the unit's minimum times reach; 0 if each interval is longer."""
    longest = max(zone.min_on_h, zone.min_off_h)
    if not stages_kw(zone) or longest <= 0.0:
        return 0
    starts, whole = _starts_h(problem), runs_whole(zone)
    reach = [int(np.sum(whole & (starts >= at) & (starts < at + longest - _HOUR))) for at in starts[whole]]
    return max(reach, default=0) if max(reach, default=0) > 1 else int(_still_h(zone) > 0.0)


def _still_h(zone: ZoneProblem) -> float:
    """How long the unit must stay as it is when the plan begins. [h]"""
    if not stages_kw(zone):
        return 0.0
    return max(0.0, (zone.min_on_h if zone.was_on else zone.min_off_h) - zone.in_state_h)


def runs_whole(zone: ZoneProblem) -> BoolArray:
    """Intervals in which stages, least power and minimum times hold."""
    whole: BoolArray = np.asarray(zone.mode_sign) != 0
    if not stages_kw(zone):
        return np.zeros_like(whole)
    if zone.whole_steps is not None:
        whole[max(0, zone.whole_steps) :] = False
    return whole


def forced_on(problem: Problem, zone: ZoneProblem) -> tuple[BoolArray, BoolArray]:
    """Intervals in which the unit must run, and must rest, because of how long it has done so before."""
    early = (_starts_h(problem) < _still_h(zone) - _HOUR) & runs_whole(zone)
    none = np.zeros_like(early)
    return (early, none) if zone.was_on else (none, early)


def unit_values(
    problem: Problem, zone: ZoneProblem, *, stages: int, lags: int
) -> dict[str, FloatArray | float]:
    """Data of :mod:`dispatch.blocks.unit` for a model with so many stages and lags."""
    levels, room, whole = stages_kw(zone), room_terms(problem, zone), runs_whole(zone)
    runs, rests = forced_on(problem, zone)
    increments = np.zeros(stages)
    increments[: len(levels)] = np.diff((0.0, *levels))
    span = 0.0 if zone.stages_kw else max(0.0, zone.max_electric_kw - zone.min_power_kw)
    may = whole & ~rests
    values: dict[str, FloatArray | float] = {
        "stage_kw": increments,
        "may_run": may.astype(float),
        "slide_most_kw": np.where(whole, np.where(may, span, 0.0), room.max_kw),
        "slide_loose_kw": np.where(whole, 0.0, room.max_kw),
        "slide_span_kw": np.where(whole, span, 0.0),
    }
    if lags:
        starts = _starts_h(problem)
        lag = np.arange(lags)
        before = np.arange(problem.count)[:, None] - lag
        reached = (before >= 0) & whole[:, None]
        passed = starts[:, None] - starts[np.maximum(before, 0)]
        values |= {
            "must_run": runs.astype(float),
            "keeps": (reached & (passed < zone.min_on_h - _HOUR)).astype(float).ravel(),
            "rests": (reached & (passed < zone.min_off_h - _HOUR)).astype(float).ravel(),
            "was_running": float(zone.was_on),
        }
    return values


def snap_kw(problem: Problem, zone: ZoneProblem, power_kw: FloatArray) -> FloatArray:
    """The nearest power that the unit can run at, without breaking a minimum time. [kW]"""
    levels = stages_kw(zone)
    if not levels:
        return power_kw
    snapped, whole = power_kw.copy(), runs_whole(zone)
    runs, rests = forced_on(problem, zone)
    starts, on, since = _starts_h(problem), zone.was_on, -zone.in_state_h
    for t in np.flatnonzero(whole):
        nearest = _nearest(zone, levels, float(power_kw[t]))
        wanted = bool((nearest > 0.0 or runs[t]) and not rests[t])
        least = zone.min_on_h if on else zone.min_off_h
        if wanted != on and starts[t] - since >= least - _HOUR:
            on, since = wanted, float(starts[t])
        snapped[t] = max(nearest, levels[0]) if on else 0.0
    return snapped


def _nearest(zone: ZoneProblem, levels: tuple[float, ...], power_kw: float) -> float:
    if not zone.stages_kw and power_kw >= levels[0]:
        return power_kw
    choices = (0.0, *levels)
    return min(choices, key=lambda level: abs(level - power_kw))
