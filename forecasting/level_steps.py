"""A step in the level of a load: a machine that runs since some day, or runs no more.

A forecast learned from a year finds out about a new machine slowly, and then too much: for weeks half of what
it learns from is the old level. Brought to the new level, the past is that of one plant again. A step is only
believed when the past, with all its closures and heat waves, has hardly ever seen the like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from energy.core.series import FloatArray
from forecasting.days import DayKinds

__all__ = ["LevelStep", "level_step"]

BEFORE_DAYS = 35  # days whose like days are the level before
LEAST_LIKE = 3  # such days
SINCE_DAYS = 14  # days after a step that it is measured on
LEAST_SINCE = 2  # the day in progress counts when half of it is known
OLDEST = 60  # after so many days the past has got used to it
RARE = 0.98  # share of the past's own runs of as many days that moved less
FACTOR = 1.5  # times that, to be believed
LEAST_RUNS = 7  # such runs, without which nothing can be said
SAME = 0.5  # share of the step that days after it show, and the day before it does not
MOST = 0.9  # share of the days after it that must
LEAST_SHARE = 0.1  # of the level before; less is not worth a rule
CLOSED = 0.7  # share of the level by which a fall is a closure, not a machine less


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelStep:
    """A level that has moved.

    Parameters
    ----------
    row : int
        First day of the new level.
    offset : float
        New level less the old one. [unit of the panel]
    """

    row: int
    offset: float

    def levelled(self, actual: FloatArray) -> FloatArray:
        """The past at the new level, never below 0, shape (n, slots). [unit of the panel]"""
        out = np.array(actual)
        out[: self.row] = np.maximum(out[: self.row] + self.offset, 0.0)
        return out


def level_step(actual: FloatArray, days: DayKinds) -> LevelStep | None:
    """The newest step in the level of a load, if there is one.

    Parameters
    ----------
    actual : ndarray, shape (n, slots)
        NaN where missing or not known.
    days : DayKinds
        The calendar of the same days.

    Notes
    -----
    Days are compared with the median of like days (the same weekday, or all that work or rest alike) of the
    five weeks before the step. The step is the median of these differences over the first two weeks after it.
    It is believed if it exceeds 1.5 times what 98 % of the past's own runs of as many days were away from the
    weeks before them, if nine in ten days after it show at least half of it, and the day before does not. A
    fall by more than 70 % is a closure, which ends as it began.
    """
    level = _levels(actual, days)
    whole = np.flatnonzero(~np.isnan(level))
    if whole.size < BEFORE_DAYS // 2:
        return None
    newest = int(whole[-1])
    usual: FloatArray | None = None
    best, found = 1.0, None
    for row in range(max(LEAST_LIKE, newest - OLDEST + 1), newest - LEAST_SINCE + 2):
        usual_level = float(np.nanmean(level[max(0, row - BEFORE_DAYS) : row]))
        first = level[row] - _like(level, days, row, row)
        if not abs(first) >= SAME * LEAST_SHARE * usual_level:
            continue
        away = _away(level, days, range(row, min(row + SINCE_DAYS, newest + 1)), row)
        away = away[~np.isnan(away)]
        if away.size < LEAST_SINCE:
            continue
        offset = float(np.median(away))
        day_before = level[row - 1] - _like(level, days, row - 1, row - 1)
        if not _is_step(away, day_before, offset, usual_level):
            continue
        if usual is None:
            usual = _away(level, days, range(newest + 1))
        bound = FACTOR * _usual_run(usual[:row], away.size)
        if abs(offset) > best * bound:
            best, found = abs(offset) / bound, LevelStep(row=row, offset=offset)
    return found


def _levels(actual: FloatArray, days: DayKinds) -> FloatArray:
    """Mean of each day of which half is known; of the newest, still in progress, as if it went on so."""
    known = ~np.isnan(actual)
    level = np.full(len(actual), np.nan)
    usable = known.mean(axis=1) >= 0.5
    level[usable] = np.nanmean(actual[usable], axis=1)
    rows = np.flatnonzero(usable)
    if rows.size and not known[rows[-1]].all():
        last, slots = int(rows[-1]), known[rows[-1]]
        same = np.full(len(actual), np.nan)
        same[rows] = np.nan_to_num(actual[rows][:, slots]).sum(axis=1) / np.maximum(
            known[rows][:, slots].sum(axis=1), 1
        )
        level[last] += _like(level, days, last, last) - _like(same, days, last, last)
    return level


def _like(level: FloatArray, days: DayKinds, row: int, before: int) -> float:
    """Median level of the days like one in the weeks before another. NaN if they are too few.

    Its weekday, if there were three of it; else all that work or rest as it does.
    """
    rows = slice(max(0, before - BEFORE_DAYS), before)
    like = (days.rest[rows] == days.rest[row]) & ~np.isnan(level[rows])
    same = like & (days.weekday[rows] == days.weekday[row])
    found = level[rows][same if same.sum() >= LEAST_LIKE else like]
    return float(np.median(found)) if found.size >= LEAST_LIKE else np.nan


def _away(level: FloatArray, days: DayKinds, rows: range, before: int | None = None) -> FloatArray:
    """Level of days less that of like days of the weeks before a day (if none is given, before each)."""
    return np.array([level[k] - _like(level, days, k, k if before is None else before) for k in rows])


def _is_step(away: FloatArray, day_before: float, offset: float, level: float) -> bool:
    """Whether the days after it show it, the day before does not, and it is worth a rule."""
    if not max(LEAST_SHARE * level, 1e-9) <= abs(offset) or offset < -CLOSED * level:
        return False
    shown = away / offset >= SAME
    return bool(shown[0] and shown.mean() >= MOST and not day_before / offset > SAME)


def _usual_run(away: FloatArray, length: int) -> float:
    """How far runs of so many days of the past usually were from the weeks before them; inf if unknown."""
    away = away[~np.isnan(away)]
    length = min(length, away.size - LEAST_RUNS + 1)  # shorter runs stray further: to be on the safe side
    if length < 1:
        return np.inf
    runs = np.abs(np.median(sliding_window_view(away, length), axis=1))
    return max(float(np.quantile(runs, RARE)), 1e-9)
