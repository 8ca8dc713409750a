"""What the equations of an air conditioner's stages and minimum times need, and where a power is possible."""

from __future__ import annotations

import numpy as np

from dispatch.template import BoolArray
from dispatch.terms import hours, room_terms
from energy.core.plan import Problem, ZoneProblem
from energy.core.series import FloatArray

__all__ = [
    "forced_on",
    "lags_of",
    "runs_whole",
    "snap_kw",
    "stages_kw",
    "unit_values",
    "whole_kw",
    "whole_stages",
]

_HOUR = 1e-9  # what rounding may add to a time or a power
_OUTSIDE = 5.0  # degrees off the path that one outside the band is worth, when looking for whole stages


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
    """Intervals in which the unit must run, and must rest, because of how long it has done so before.

    What it takes anyway (it defrosts, a person set it) ends a rest.
    """
    early = (_starts_h(problem) < _still_h(zone) - _HOUR) & runs_whole(zone)
    none = np.zeros_like(early)
    if zone.was_on:
        return early, none
    taken = room_terms(problem, zone).least_kw > 0.0
    return none, early & ~np.logical_or.accumulate(taken)


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
        free = room.least_kw <= 0.0
        reached = (before >= 0) & whole[:, None]
        passed = starts[:, None] - starts[np.maximum(before, 0)]
        values |= {
            "must_run": runs.astype(float),
            "keeps": (reached & (passed < zone.min_on_h - _HOUR)).astype(float).ravel(),
            "rests": (reached & free[:, None] & (passed < zone.min_off_h - _HOUR)).astype(float).ravel(),
            "was_running": float(zone.was_on),
        }
    return values


def snap_kw(problem: Problem, zone: ZoneProblem, power_kw: FloatArray) -> FloatArray:
    """Powers that the unit can run at, whose room follows that of the wanted ones. [kW]

    In each interval the power whose temperature comes closest to the wanted path, among those that break no
    minimum time; what the stages give too much or too little in one interval is made up for in the next.
    """
    if not stages_kw(zone):
        return power_kw
    unit, snapped = _Unit(problem, zone), power_kw.copy()
    for t, wanted in enumerate(power_kw.tolist()):
        options = unit.options(t, wanted, outside=0.0)
        snapped[t] = min(options, key=lambda option: option[1])[0]
        unit.take(t, wanted, snapped[t])
    return snapped


def whole_kw(problem: Problem, power_kw: FloatArray, most_kw: FloatArray) -> FloatArray:
    """Powers that all units can run at, together not above a limit where that can be. [kW]

    Each follows its wanted path as in :func:`snap_kw`, but stays inside its comfort band; where the sum is
    too high, the units step down to whom it makes the least difference. A good guess, no optimum.

    Parameters
    ----------
    power_kw : ndarray, shape (rooms, n)
        What is wanted. [kW]
    most_kw : ndarray, shape (n,)
        Of all rooms together. [kW]
    """
    units = [_Unit(problem, zone) for zone in problem.zones]
    whole = power_kw.copy()
    for t in range(problem.count):
        menus = [
            unit.options(t, kw, outside=_OUTSIDE) for unit, kw in zip(units, power_kw[:, t], strict=True)
        ]
        chosen = [min(menu, key=lambda option: option[1]) for menu in menus]
        while sum(kw for kw, _ in chosen) > most_kw[t] + _HOUR:
            steps = [
                ((cost - now[1]) / (now[0] - kw), k, (kw, cost))
                for k, (now, menu) in enumerate(zip(chosen, menus, strict=True))
                for kw, cost in menu
                if kw < now[0] - _HOUR
            ]
            if not steps:
                break
            _, k, option = min(steps)
            chosen[k] = option
        whole[:, t] = [kw for kw, _ in chosen]
        for unit, wanted, taken in zip(units, power_kw[:, t], whole[:, t], strict=True):
            unit.take(t, float(wanted), float(taken))
    return whole


class _Unit:
    """A unit on its way through the horizon: how warm its room is and would be, and what it may do next."""

    def __init__(self, problem: Problem, zone: ZoneProblem) -> None:
        self._zone, self._levels = zone, stages_kw(zone)
        room = room_terms(problem, zone)
        self._decay, self._drift_c, self._per_kw = room.decay, room.drift_c, room.kelvin_per_kw
        self._least_kw, self._whole = room.least_kw, runs_whole(zone)
        self._runs, self._rests = forced_on(problem, zone)
        self._starts = _starts_h(problem)
        self._on, self._since = zone.was_on, -zone.in_state_h
        self._wanted_c = self._level_c = zone.temp0_c

    def options(self, t: int, wanted_kw: float, *, outside: float) -> list[tuple[float, float]]:
        """Powers that are possible, each with the degrees that it leaves the path and, dearer, the band."""
        zone = self._zone
        if not self._whole[t]:
            return [(float(wanted_kw), 0.0)]
        wanted_c, still = self._next(self._wanted_c, t, wanted_kw), self._next(self._level_c, t, 0.0)
        choices = _choices(zone, self._levels, (wanted_c - still) / self._per_kw[t])
        bound = self._starts[t] - self._since < (zone.min_on_h if self._on else zone.min_off_h) - _HOUR
        if self._runs[t] or (bound and self._on) or self._least_kw[t] > 0.0:
            choices = [kw for kw in choices if kw > 0.0 and kw >= self._least_kw[t] - _HOUR]
        elif self._rests[t] or bound:
            choices = [0.0]
        ends = [self._next(self._level_c, t, kw) for kw in choices]
        return [
            (kw, abs(end - wanted_c) + outside * max(0.0, zone.low_c[t] - end, end - zone.high_c[t]))
            for kw, end in zip(choices, ends, strict=True)
        ]

    def take(self, t: int, wanted_kw: float, power_kw: float) -> None:
        """Step to the end of interval ``t``."""
        self._wanted_c = self._next(self._wanted_c, t, wanted_kw)
        self._level_c = self._next(self._level_c, t, power_kw)
        if self._zone.mode_sign[t] == 0:
            self._on, self._since = False, float(self._starts[t]) - 24.0
        elif self._whole[t] and (power_kw > 0.0) != self._on:
            self._on, self._since = not self._on, float(self._starts[t])

    def _next(self, level_c: float, t: int, power_kw: float) -> float:
        return float(self._decay[t] * level_c + self._drift_c[t] + self._per_kw[t] * power_kw)


def _choices(zone: ZoneProblem, levels: tuple[float, ...], needed_kw: float) -> list[float]:
    """Powers worth trying: nothing, each stage, or what is needed above the least power."""
    if zone.stages_kw:
        return [0.0, *levels]
    return [0.0, float(np.clip(needed_kw, levels[0], zone.max_electric_kw))]


def whole_stages(zone: ZoneProblem, power_kw: FloatArray, *, stages: int) -> FloatArray:
    """Which stages run at a power, stage by stage: what :mod:`dispatch.blocks.unit` calls ``at``. [-]"""
    levels = np.full(stages, np.inf)
    levels[: len(stages_kw(zone))] = stages_kw(zone)
    at: FloatArray = (power_kw >= levels[:, None] - 1e-6).astype(float).ravel()
    return at
