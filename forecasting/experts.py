"""Simple day-shaped forecasters ("experts") that a demand model combines.

Each expert predicts whole days. For target day ``d`` at *lead* ``k`` (days) it may look at the days up to
``d - k`` and no later: ``k = 1`` is today seen from midnight, ``k = 2`` tomorrow, ``k = 3`` the day after.
All walk forward: the prediction of every past day is the one that could have been made then, so its errors
are honest. Medians rather than means: they are what scores and plans ask for (docs/explanation/forecasts.md).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import BoolArray, DayKinds, IntArray

__all__ = [
    "DayTable",
    "RidgeCoefficients",
    "analogue",
    "mean_of_last",
    "median_of_similar",
    "ridge_features",
    "similar_days",
    "walk_ridge",
    "weather_features",
]

ANALOGUE_DAYS = 20  # tuned on Apr-Jun 2018 of the steel series (docs/explanation/forecasts.md)
ANALOGUE_MINIMUM = 6  # fewer days of the same type are no choice: the other type is then looked at too
USABLE_SLOTS = 40  # a day with fewer readings is no example for another day
SHORT_GAP = 3  # gaps up to 3 slots are interpolated, for features only
RIDGE_PENALTY = 100.0  # tuned on Apr-Jun 2018 of the steel series
RIDGE_HALF_LIFE = 120.0  # days; a quarter to half a year is usual
RIDGE_BLOCK = 14  # days between refits while walking forward
RIDGE_FIRST = 14  # first day predicted by the ridge
_HEATING_C = 15.0  # base temperatures of the heating and cooling hinges, usual in degree-day practice:
_COOLING_C = 20.0  # ISO 15927-6:2007 accumulates below a base; 15 and 20 degC bracket offices and shops
_NEIGHBOURS = ((1, 0.5), (2, 0.25))  # Gram matrices of neighbouring slots are added


@dataclass(frozen=True, slots=True)
class DayTable:
    """Load by day and slot, with gaps as measured and with gaps filled from the past.

    Parameters
    ----------
    load_kw : ndarray, shape (n_days, 48)
        As measured; NaN where missing or not yet known. [kW]
    filled_kw : ndarray, shape (n_days, 48)
        Short gaps interpolated, longer ones replaced by the mean of the last four days of the same kind. [kW]
    kinds : DayKinds
        What the calendar knows of the days.
    outdoor_c : ndarray or None
        Outdoor temperature, forecast where the day is still to come. [degC]
    """

    load_kw: FloatArray
    filled_kw: FloatArray
    kinds: DayKinds
    outdoor_c: FloatArray | None = None

    @classmethod
    def of(cls, load_kw: FloatArray, kinds: DayKinds, outdoor_c: FloatArray | None = None) -> DayTable:
        """Table with its gaps filled; a gap is only ever filled from its own day and from earlier days."""
        return cls(load_kw, _fill(load_kw, kinds), kinds, outdoor_c)

    @property
    def count(self) -> int:
        """Number of days."""
        return len(self.load_kw)

    @property
    def usable(self) -> BoolArray:
        """Days with enough readings to serve as an example."""
        return np.asarray((~np.isnan(self.load_kw)).sum(axis=1) >= USABLE_SLOTS)

    def part(self, first: int) -> DayTable:
        """The days from index ``first`` on."""
        kinds = self.kinds
        return DayTable(
            self.load_kw[first:],
            self.filled_kw[first:],
            DayKinds(kinds.weekday[first:], kinds.rest[first:], kinds.kind[first:], kinds.season[first:]),
            None if self.outdoor_c is None else self.outdoor_c[first:],
        )

    def lagged(self, days: int) -> FloatArray:
        """Filled load ``days`` days earlier; the first days repeat the first one known. [kW]"""
        return self.filled_kw[np.maximum(np.arange(self.count) - days, 0)]


def _fill(load_kw: FloatArray, kinds: DayKinds) -> FloatArray:
    out = load_kw.copy()
    observed = ~np.isnan(load_kw)
    start = np.nanmean(load_kw) if observed.any() else 0.0
    recent: dict[bool, list[FloatArray]] = {True: [], False: []}
    for day in range(len(out)):
        rest = bool(kinds.rest[day])
        missing = ~observed[day]
        if missing.any():
            examples = recent[rest] or recent[not rest]
            usual = np.mean(examples[-4:], axis=0) if examples else np.full(SLOTS_PER_DAY, start)
            out[day] = np.where(_short_gaps(missing), _interpolated(out[day]), out[day])
            out[day] = np.where(np.isnan(out[day]), usual, out[day])
        if observed[day].sum() >= USABLE_SLOTS:
            recent[rest].append(out[day])
    return out


def _short_gaps(missing: BoolArray) -> BoolArray:
    """Missing slots inside a stretch of at most ``SHORT_GAP`` that has readings on both sides."""
    short = np.zeros_like(missing)
    edges = np.flatnonzero(np.diff(np.r_[0, missing.astype(np.int8), 0]))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        if first > 0 and stop < missing.size and stop - first <= SHORT_GAP:
            short[first:stop] = True
    return short


def _interpolated(values: FloatArray) -> FloatArray:
    known = np.flatnonzero(~np.isnan(values))
    if known.size == 0:
        return values
    return np.interp(np.arange(values.size), known, values[known])


def similar_days(key: IntArray, usable: BoolArray, lead: int, count: int, fallback: IntArray) -> IntArray:
    """Indices of the last ``count`` usable days with the same key, shape (n, count); -1 where there is none.

    Days are repeated in turn when there are fewer than ``count``. Where no day has the same ``key``, days
    with the same ``fallback`` key serve, and then any days.
    """
    chosen = np.full((key.size, count), -1, dtype=np.int64)
    by_key: dict[int, list[int]] = defaultdict(list)
    by_fallback: dict[int, list[int]] = defaultdict(list)
    every: list[int] = []
    for day in range(key.size):
        known = day - lead
        if known >= 0 and usable[known]:
            by_key[int(key[known])].append(known)
            by_fallback[int(fallback[known])].append(known)
            every.append(known)
        examples = by_key[int(key[day])] or by_fallback[int(fallback[day])] or every
        if examples:
            last = examples[-count:]
            chosen[day] = (last * (count // len(last) + 1))[:count]
    return chosen


def median_of_similar(table: DayTable, lead: int, key: IntArray, count: int, rows: IntArray) -> FloatArray:
    """Median of the last ``count`` days with the key of each of ``rows``; NaN where there is none. [kW]"""
    chosen = similar_days(key, table.usable, lead, count, table.kinds.rest.astype(np.int64))[rows]
    out = np.median(table.filled_kw[chosen], axis=1)
    out[chosen[:, 0] < 0] = np.nan
    return np.asarray(out, dtype=np.float64)


def mean_of_last(table: DayTable, lead: int, count: int, rows: IntArray) -> FloatArray:
    """Mean of the last ``count`` days, whatever their kind; NaN where there is none. [kW]"""
    every = np.zeros(table.count, dtype=np.int64)
    out = np.full((len(rows), SLOTS_PER_DAY), np.nan)
    for k, chosen in enumerate(similar_days(every, table.usable, lead, count, every)[rows]):
        if chosen[0] >= 0:
            out[k] = table.filled_kw[np.unique(chosen)].mean(axis=0)
    return out


def analogue(table: DayTable, lead: int, rows: IntArray) -> FloatArray:
    """Median of the days whose past looked most like the present past. [kW]

    Likeness is a distance over: the shapes of the last known day and of the day a week before the target, the
    mean level of the last week known, whether the eve and the morrow are days of rest, Saturday, and age (0.3
    per quarter of a year). Days of the other type come in only where too few of the same are known.
    """
    n, blocks = table.count, 8
    filled, rest = table.filled_kw, table.kinds.rest.astype(np.float64)
    scale = float(np.mean(np.std(filled[table.usable], axis=0))) + 1e-9 if table.usable.any() else 1.0

    def shape(days: int) -> FloatArray:
        profile = table.lagged(days).reshape(n, blocks, -1).mean(axis=2)
        return np.asarray(profile / scale / np.sqrt(blocks), dtype=np.float64)

    level = np.mean([table.lagged(lead + j).mean(axis=1) for j in range(7)], axis=0)[:, None] / scale
    before, after = np.r_[0.0, rest[:-1]], np.r_[rest[1:], 0.0]
    calendar = np.column_stack([3.0 * rest, before, after, 1.5 * (table.kinds.weekday == 5)])
    look = np.column_stack([shape(lead), 0.7 * shape(max(7, lead)), level, calendar])
    mine = look[rows]
    squares = (mine**2).sum(axis=1)[:, None] + (look**2).sum(axis=1)[None, :] - 2.0 * mine @ look.T
    age = rows[:, None] - np.arange(n)[None, :]
    distance = np.sqrt(np.maximum(squares, 0.0)) + 0.3 * age / 90.0
    possible = (age >= lead) & table.usable[None, :] & (np.arange(n)[None, :] >= 7)
    same = possible & (table.kinds.rest[rows][:, None] == table.kinds.rest[None, :])
    enough_alike = same.sum(axis=1) >= ANALOGUE_MINIMUM
    distance[~np.where(enough_alike[:, None], same, possible)] = np.inf
    count = min(ANALOGUE_DAYS, n)
    nearest = np.argpartition(distance, count - 1, axis=1)[:, :count]
    allowed = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
    days = np.where(allowed[..., None], filled[nearest], np.nan)
    return _median_of_known(days, allowed.sum(axis=1))


def _median_of_known(days: FloatArray, known: IntArray) -> FloatArray:
    """Median over axis 1 of the ``known`` days that are not NaN; NaN where they are too few. [kW]"""
    ordered = np.sort(days, axis=1)  # NaN goes last
    row = np.arange(len(days))
    low, high = np.maximum(known - 1, 0) // 2, known // 2
    out = 0.5 * (ordered[row, low] + ordered[row, np.minimum(high, days.shape[1] - 1)])
    out[known < ANALOGUE_MINIMUM] = np.nan
    return np.asarray(out, dtype=np.float64)


def ridge_features(table: DayTable, lead: int) -> FloatArray:
    """Features of every day and slot at a lead, shape (n, 48, p); loads as square roots. [kW**0.5, -]"""
    rest, kinds = table.kinds.rest.astype(np.float64), table.kinds
    root = DayTable(table.load_kw, np.sqrt(table.filled_kw), kinds)
    group = kinds.rest.astype(np.int64)
    weekday = kinds.weekday * 2 + group

    def mean_of(key: IntArray, count: int) -> FloatArray:
        chosen = similar_days(key, table.usable, lead, count, group)
        return np.asarray(root.filled_kw[np.maximum(chosen, 0)].mean(axis=1), dtype=np.float64)

    def wide(per_day: NDArray[np.float64]) -> FloatArray:
        return np.repeat(per_day[:, None], SLOTS_PER_DAY, axis=1)

    def shifted(days: int) -> FloatArray:
        return wide(rest[np.clip(np.arange(rest.size) - days, 0, rest.size - 1)])

    def weeks_ago(count: int) -> FloatArray:
        before = np.maximum(np.arange(rest.size) - 7 * count, 0)
        return np.where((rest[before] == rest)[:, None], root.lagged(7 * count), same)

    # The same weekday helps only if it was a day of the same type.
    same = mean_of(group, 4)
    last, week = root.lagged(lead), weeks_ago(1)
    columns = [last, week, weeks_ago(2), weeks_ago(3), weeks_ago(4)]
    columns += [np.mean([root.lagged(lead + j) for j in range(7)], axis=0)]
    columns += [same, mean_of(group, 10), mean_of(weekday, 4)]
    columns += [wide(last.mean(axis=1)), wide(week.mean(axis=1)), wide(same.mean(axis=1))]
    columns += [shifted(0), shifted(1), shifted(-1), shifted(7), shifted(lead)]
    # A closed Monday is a day of rest first: weekdays speak only for working days, Saturday only for rest.
    columns += [wide((kinds.weekday == day) * (1.0 - rest)) for day in range(7)]
    columns += [wide((kinds.weekday == 5) * rest)]
    columns += [wide(kinds.season[:, 0]), wide(kinds.season[:, 1])]
    return np.stack(columns, axis=-1)


def weather_features(outdoor_c: FloatArray, rest: BoolArray) -> FloatArray:
    """Heating and cooling hinges of every day and slot, shape (n, 48, 4); NaN where unknown. [K]"""
    heating = np.maximum(0.0, _HEATING_C - outdoor_c)
    cooling = np.maximum(0.0, outdoor_c - _COOLING_C)
    works = 1.0 - rest.astype(np.float64)[:, None]
    return np.stack([heating, cooling, heating * works, cooling * works], axis=-1)


@dataclass(frozen=True, slots=True)
class RidgeCoefficients:
    """One linear model per slot, on standardised features.

    Parameters
    ----------
    mean, scale : ndarray, shape (p,)
        Of the features while fitting.
    beta : ndarray, shape (48, p + 1)
        Coefficients; the last is the constant.
    """

    mean: FloatArray
    scale: FloatArray
    beta: FloatArray

    def predict(self, features: FloatArray) -> FloatArray:
        """Load of some days from their features, shape (n, 48, p) -> (n, 48). [kW]"""
        return _square(np.einsum("dsi,si->ds", _standard(features, self.mean, self.scale), self.beta))


def walk_ridge(
    table: DayTable, features: FloatArray, lead: int, days: int
) -> tuple[FloatArray, RidgeCoefficients]:
    """Ridge per slot on the square root of the load, refitted every two weeks on the past.

    Parameters
    ----------
    features : ndarray, shape (n, 48, p)
        From :func:`ridge_features`, with those of :func:`weather_features` or without.
    days : int
        Number of days from the start that may be learned from; later days have no load yet.

    Returns
    -------
    (ndarray, RidgeCoefficients)
        Out-of-sample predictions of every day, NaN before day ``RIDGE_FIRST`` [kW], and the coefficients
        learned from all ``days``.

    Notes
    -----
    Per slot ``min sum_d w_d (sqrt(y_d) - x_d beta)**2 + penalty * |beta|**2`` with ``w_d`` halving every
    ``RIDGE_HALF_LIFE`` days; the sums of the slots next door are added with weights 1/2 and 1/4, so that
    coefficients change smoothly over the day. The square root steadies the variance of a load that is either
    at rest or in production; squaring back gives nearly a median.
    """
    with np.errstate(invalid="ignore"):
        mean, scale = np.nanmean(features[:days], axis=(0, 1)), np.nanstd(features[:days], axis=(0, 1))
    x = _standard(features, mean, scale)
    p = x.shape[-1]
    y = np.sqrt(table.load_kw[:days])
    known = ~np.isnan(y)
    y = np.where(known, y, 0.0)
    xs = np.ascontiguousarray((x[:days] * known[..., None]).transpose(1, 0, 2))
    gram, moment = np.zeros((SLOTS_PER_DAY, p, p)), np.zeros((SLOTS_PER_DAY, p))
    penalty = np.diag(np.r_[np.full(p - 1, RIDGE_PENALTY), 1e-3])
    out = np.full(table.load_kw.shape, np.nan)
    done, n = 0, table.count
    for first in range(RIDGE_FIRST, n, RIDGE_BLOCK):
        gram, moment, done = _learn(xs, y, gram, moment, done, min(first - lead + 1, days))
        stop = min(first + RIDGE_BLOCK, n)
        out[first:stop] = _square(np.einsum("dsi,si->ds", x[first:stop], _solve(gram, moment, penalty)))
    gram, moment, _ = _learn(xs, y, gram, moment, done, days)
    return out, RidgeCoefficients(mean, scale, _solve(gram, moment, penalty))


def _standard(features: FloatArray, mean: FloatArray, scale: FloatArray) -> FloatArray:
    """Features at mean 0 and spread 1, missing ones at their mean, and a constant."""
    z = np.nan_to_num((features - mean) / np.where(scale > 1e-9, scale, 1.0))
    return np.concatenate([z, np.ones((*z.shape[:-1], 1))], axis=-1)


def _learn(
    xs: FloatArray, y: FloatArray, gram: FloatArray, moment: FloatArray, done: int, stop: int
) -> tuple[FloatArray, FloatArray, int]:
    """Forget a little, then add the days ``done..stop``."""
    if stop <= done:
        return gram, moment, done
    block = xs[:, done:stop]
    keep = 0.5 ** ((stop - done) / RIDGE_HALF_LIFE)
    turned = block.transpose(0, 2, 1)
    gram = gram * keep + turned @ block
    moment = moment * keep + (turned @ y[done:stop].T[..., None])[..., 0]
    return gram, moment, stop


def _solve(gram: FloatArray, moment: FloatArray, penalty: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.solve(_smooth(gram) + penalty, _smooth(moment)[..., None])[..., 0])


def _smooth(sums: FloatArray) -> FloatArray:
    out = sums.copy()
    for distance, weight in _NEIGHBOURS:
        out[distance:] += weight * sums[:-distance]
        out[:-distance] += weight * sums[distance:]
    return out


def _square(root: FloatArray) -> FloatArray:
    return np.asarray(np.maximum(root, 0.0) ** 2, dtype=np.float64)
