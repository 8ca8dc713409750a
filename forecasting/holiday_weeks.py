"""Days around public holidays as they were a year ago: Golden Week, Obon, the days about New Year.

Offices close and families travel on days that no calendar of holidays names. What such a day did a year ago,
on the same date, is known long before it comes; one factor per day brings a series to ordinary days and back,
so that nothing else of a forecast needs to know.
"""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray, DayKinds, IntArray

__all__ = ["holiday_factors"]

NEAR_DAYS = 5  # as far as a public holiday reaches: Mountain Day to Obon, New Year's Day to 28 December
YEAR = 365
SAME_DATE = 2  # days that a date may move to meet a day of the same type
AROUND = (8, 35)  # days before and after whose like days are the ordinary level
LEAST_LIKE = 4  # such days
USUAL_SPREAD = 1.4826  # of a normal distribution, by its median absolute deviation
DOUBT = 1.5  # spreads that a difference must exceed to be more than chance
LIMIT = 0.5  # a closed site is told by its calendar


def holiday_factors(actual: FloatArray, days: DayKinds) -> FloatArray:
    """How many times an ordinary day each day is expected to be, from the year before, shape (n,). [-]

    Parameters
    ----------
    actual : ndarray, shape (n, slots)
        NaN where missing or not known. Of a day only what was ten months and more before it is looked at.
    days : DayKinds
        The calendar of the same days.

    Returns
    -------
    ndarray
        At most 1: 1 for days that are not near a public holiday now or a year before, without a year of
        history, and where the difference a year ago was no more than chance.

    Notes
    -----
    ``a`` is the mean of ``level / median(level of like days 8 to 35 days before and after) - 1``, at most 0,
    over the days within two of the same date a year before that are of the same type and near a holiday. The
    factor is ``1 + a * max(0, 1 - (1.5 s / a)**2)``, ``s`` being the usual spread of that ratio on ordinary
    days of that season: what is within chance is no lesson. Only lower levels are learned: heat waves in a
    week of holidays look like the opposite.
    """
    count = len(actual)
    factors = np.ones(count)
    near = _near_holidays(days)
    a_year_ago = np.r_[np.zeros(min(YEAR, count), dtype=np.bool_), near[:-YEAR]]
    wanted = np.flatnonzero(near | a_year_ago)
    wanted = wanted[wanted >= YEAR - SAME_DATE]
    if not wanted.size:
        return factors
    known = (~np.isnan(actual)).mean(axis=1) > 0.5
    level = np.full(count, np.nan)
    level[known] = np.nanmean(actual[known], axis=1)
    ratio = _ratios(level, days.rest, near, count - YEAR + AROUND[1] + 1)
    for row in wanted:
        dates = np.arange(row - YEAR - SAME_DATE, row - YEAR + SAME_DATE + 1)
        dates = dates[(dates >= 0)]
        found = dates[near[dates] & (days.rest[dates] == days.rest[row]) & ~np.isnan(ratio[dates])]
        first, stop = max(0, row - YEAR - AROUND[1]), row - YEAR + AROUND[1] + 1
        chance = np.abs(ratio[first:stop][~near[first:stop]] - 1.0)
        chance = chance[~np.isnan(chance)]
        if found.size and chance.size >= LEAST_LIKE:
            away = min(0.0, float(ratio[found].mean()) - 1.0)
            spread = USUAL_SPREAD * float(np.median(chance))
            factors[row] = 1.0 + away * max(0.0, 1.0 - (DOUBT * spread / min(away, -1e-9)) ** 2)
    return np.maximum(factors, LIMIT)


def _near_holidays(days: DayKinds) -> BoolArray:
    """Whether a day off that is no weekend lies within :data:`NEAR_DAYS`."""
    holiday = days.rest & (days.weekday < 5)
    out = np.zeros(holiday.size, dtype=np.bool_)
    for row in np.flatnonzero(holiday):
        out[max(0, row - NEAR_DAYS) : row + NEAR_DAYS + 1] = True
    return out


def _ratios(level: FloatArray, rest: BoolArray, near: BoolArray, stop: int) -> FloatArray:
    """Level of each day before ``stop`` over that of ordinary like days before and after it. [-]"""
    rows = np.arange(level.size)
    out = np.full(level.size, np.nan)
    usable = ~near & ~np.isnan(level)
    for row in rows[:stop][~np.isnan(level[:stop])]:
        low, high = max(0, row - AROUND[1]), row + AROUND[1] + 1
        around: IntArray = rows[low:high]
        like = around[usable[low:high] & (np.abs(around - row) >= AROUND[0]) & (rest[low:high] == rest[row])]
        if like.size >= LEAST_LIKE:
            out[row] = level[row] / max(float(np.median(level[like])), 1e-9)
    return out
