"""Simple day-shaped forecasters ("experts") on whose shoulders the quantile forests stand.

Each expert predicts whole days and walks forward: its prediction of a past day is the one that could have
been made then, so its errors are honest. Medians rather than means where days are compared: a factory is
either at rest or in production, and a mean lies where its load never is.
"""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray, IntArray
from forecasting.features import CLIP, View, similar_days

__all__ = ["LEAN_PENALTIES", "RIDGE_PENALTIES", "analogue", "combine", "median_of_similar", "walk_ridge"]

# Tuned, as all constants of this module, on the windows before the tests (docs/explanation/forecasts.md).
ANALOGUE_DAYS = (12, 20)  # days of the weighted mean, and of the median
RIDGE_PENALTIES = (30.0, 150.0)  # several experts instead of a penalty to be tuned per site
LEAN_PENALTIES = (4.0, 20.0)  # of the ridges on few features: better where the load is smooth
RIDGE_HALF_LIFE = 120.0  # days; a quarter to half a year is usual
RIDGE_BLOCK = 14  # days between refits while walking forward; the newest day has a fit of its own
RIDGE_RECENT = 182  # days; further back a refit every second block will do
RIDGE_FIRST = 14  # first day that is predicted
_NEIGHBOURS = ((1, 0.5), (2, 0.25))  # sums of neighbouring slots are added: coefficients change smoothly
SOLVED_SLOTS = 24  # of a day: coefficients of neighbours say nearly the same
WEIGHT_QUARTERS = 4  # weights per quarter of the day
WEIGHT_HALF_LIFE = 30.0  # days
WEIGHT_SAME_TYPE = 4.0  # errors of the same day type count four times
WEIGHT_POWER = 8.0
WEIGHT_EQUAL = 0.15  # shrunk 15 % towards equal weights
WEIGHT_DAYS = 180  # older errors weigh less than 2 %


def median_of_similar(view: View, key: IntArray, count: int) -> FloatArray:
    """Median of the last ``count`` whole days with the same key; NaN where there is none. [any]"""
    group = view.days.rest.astype(np.int64)
    chosen = similar_days(key, view.usable, view.past.newest_whole, count, group)
    out = np.asarray(np.median(view.past.examples(chosen), axis=1), dtype=np.float64)
    out[chosen[:, 0] < 0] = np.nan
    return out


def analogue(view: View) -> tuple[FloatArray, FloatArray]:
    """Weighted mean and median of the most similar past days, two arrays of shape (n, slots). [any]

    Days are alike in the morning known so far, the week before, the newest whole day, their day types and
    those of their neighbours, the weekday and, a little, their age.
    """
    past, rest = view.past, view.days.rest
    n, _ = past.shape
    same = view.mean_of(rest.astype(np.int64), 4)
    parts = ((past.morning(), 1.5), (view.weeks_ago(1, same), 1.0), (past.ago(past.newest_whole), 0.7))
    spread = float(past.filled[: max(60, n // 4)].std()) + 1e-9
    shape = np.concatenate(
        [weight * part / spread / np.sqrt(part.shape[1]) for part, weight in parts], axis=1
    )
    before, after = np.r_[rest[:1], rest[:-1]], np.r_[rest[1:], rest[-1:]]
    square = (shape**2).sum(axis=1)
    distance = square[:, None] + square[None] - 2.0 * (shape @ shape.T)
    for key, weight in ((rest, 2.0), (before, 0.3), (after, 0.15), (view.days.weekday, 0.05)):
        distance += weight * (key[:, None] != key[None])
    rows = np.arange(n)
    age = rows[:, None] - rows[None]
    distance += 0.15 * age / 90.0
    allowed = (age >= past.newest_whole) & view.usable[None]
    distance = np.where(allowed, np.maximum(distance, 0.0), np.inf)
    count = min(max(ANALOGUE_DAYS), n)
    nearest = np.argsort(distance, axis=1)[:, :count]
    near = np.take_along_axis(distance, nearest, axis=1)
    nearest = np.where(np.isfinite(near), nearest, -1)
    days = past.examples(nearest)
    return _near_mean(days, near), _near_median(days, np.isfinite(near))


def _near_mean(days: FloatArray, near: FloatArray) -> FloatArray:
    days, near = days[:, : ANALOGUE_DAYS[0]], near[:, : ANALOGUE_DAYS[0]]
    known = np.isfinite(near)
    widest = np.where(known, near, 0.0).max(axis=1, keepdims=True)
    weight = np.where(known, np.exp(-1.5 * np.where(known, near, 0.0) / np.maximum(widest, 1e-6)), 0.0)
    total = weight.sum(axis=1)
    out = np.einsum("nk,nks->ns", weight, days) / np.maximum(total, 1e-12)[:, None]
    out[total <= 0.0] = np.nan
    return np.asarray(out, dtype=np.float64)


def _near_median(days: FloatArray, known: BoolArray) -> FloatArray:
    ordered = np.sort(np.where(known[..., None], days, np.inf), axis=1)
    count, row = known.sum(axis=1), np.arange(len(days))
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, days.shape[1] - 1)
    with np.errstate(invalid="ignore"):
        out = 0.5 * (ordered[row, low] + ordered[row, high])
    out[count == 0] = np.nan
    return np.asarray(out, dtype=np.float64)


def walk_ridge(
    features: FloatArray, target: FloatArray, back: int, *, last: int, penalties: tuple[float, ...]
) -> FloatArray:
    """Ridge regressions per slot, refitted every two weeks on the past (four in the first half of a year).

    Parameters
    ----------
    features : ndarray, shape (n, slots, p)
        Rows beyond ``last`` are not looked at.
    target : ndarray, shape (n, slots)
        NaN where missing or not known. [any]
    back : int
        Days from a row to the newest day it may learn from.
    last : int
        The row that is to be forecast; it has a fit of its own.

    Returns
    -------
    ndarray, shape (n_penalties, n, slots)
        Out-of-sample predictions, NaN before day ``RIDGE_FIRST`` and after ``last``. [as the target]

    Notes
    -----
    Per slot ``min sum_d w_d (y_d - x_d beta)**2 + penalty * |beta|**2`` on standardised features, with
    ``w_d`` halving every ``RIDGE_HALF_LIFE`` days; the sums of the slots next door are added with weights 1/2
    and 1/4. Solved for 24 slots of the day; between them coefficients lie on a straight line.
    """
    n, slots, _ = features.shape
    every = max(1, slots // SOLVED_SLOTS)
    x = _standard(features[: last + 1], min(last - back + 1, len(features)))
    p = x.shape[-1]
    known = ~np.isnan(target[: last + 1])
    y = np.where(known, target[: last + 1], 0.0)
    xs = np.ascontiguousarray((x * known[..., None]).transpose(1, 0, 2))
    gram, moment = np.zeros((slots, p, p)), np.zeros((slots, p))
    out = np.full((len(penalties), n, slots), np.nan)
    done = 0
    firsts = _refits(last)
    for first, until in zip(firsts, [*firsts[1:], last + 1], strict=True):
        upto = max(0, first - back + 1)
        if upto > done:
            block, keep = xs[:, done:upto], 0.5 ** ((upto - done) / RIDGE_HALF_LIFE)
            turned = block.transpose(0, 2, 1)
            gram = gram * keep + turned @ block
            moment = moment * keep + (turned @ y[done:upto].T[..., None])[..., 0]
            done = upto
        rows = slice(first, until)
        sums, right = _smooth(gram), _smooth(moment)[..., None]
        for k, penalty in enumerate(penalties):
            ridge = np.diag(np.r_[np.full(p - 1, penalty), 1e-3])
            beta = _between(np.linalg.solve(sums[::every] + ridge, right[::every])[..., 0], every)[:slots]
            out[k, rows] = np.einsum("dsi,si->ds", x[rows], beta)
    return out


def _refits(last: int) -> list[int]:
    """First days of the blocks that share a fit; the last one is the day to be forecast."""
    recent = last - RIDGE_RECENT
    old = list(range(RIDGE_FIRST, recent, 2 * RIDGE_BLOCK))
    start = old[-1] + 2 * RIDGE_BLOCK if old else RIDGE_FIRST
    return [*old, *range(start, last, RIDGE_BLOCK), last]


def _standard(features: FloatArray, learned: int) -> FloatArray:
    """Features at mean 0 and spread 1 over the days learned from, clipped, and a constant.

    One mean and spread for all slots, so that the sums of neighbouring slots may be added.
    """
    out = np.ones((*features.shape[:-1], features.shape[-1] + 1))
    z = out[..., :-1]
    known = ~np.isnan(features)
    np.copyto(z, features)
    z[~known] = 0.0
    count = np.maximum(known[:learned].sum(axis=(0, 1)), 1)
    mean = z[:learned].sum(axis=(0, 1)) / count
    z -= mean
    z[~known] = 0.0
    scale = np.sqrt(np.einsum("dsp,dsp->p", z[:learned], z[:learned]) / count)
    z /= np.where(scale > 1e-9, scale, 1.0)
    np.clip(z, -CLIP, CLIP, out=z)
    return out


def _between(beta: FloatArray, every: int) -> FloatArray:
    """Coefficients of all slots from those of every so many, by straight lines; after the last they stay."""
    if every == 1:
        return beta
    after = np.concatenate([beta[1:], beta[-1:]])
    share = (np.arange(every) / every)[:, None]
    return np.asarray((beta[:, None] * (1.0 - share) + after[:, None] * share).reshape(-1, beta.shape[1]))


def _smooth(sums: FloatArray) -> FloatArray:
    out = sums.copy()
    for distance, weight in _NEIGHBOURS:
        out[distance:] += weight * sums[:-distance]
        out[:-distance] += weight * sums[distance:]
    return out


def combine(actual: FloatArray, predictions: FloatArray, rest: BoolArray, back: int) -> FloatArray:
    """Weighted mean of the experts' predictions for every day.

    Parameters
    ----------
    actual : ndarray, shape (n, slots)
        What happened; NaN where unknown. [any]
    predictions : ndarray, shape (n_experts, n, slots)
        Out-of-sample; NaN where an expert was silent.
    rest : ndarray, shape (n,)
        Whether each day is one of rest.
    back : int
        Errors of days later than ``row - back`` are not yet known.

    Returns
    -------
    ndarray, shape (n, slots)
        NaN where every expert is silent.

    Notes
    -----
    Per quarter of the day ``w_e ~ L_e**-8`` with ``L_e`` the mean absolute error of the expert, weighted by
    age (half-life 30 days) and day type, shrunk 15 % to equal weights among the experts that speak.
    """
    experts, n, slots = predictions.shape
    quarter = slots // WEIGHT_QUARTERS
    error = np.abs(actual[None] - predictions).reshape(experts, n, WEIGHT_QUARTERS, quarter)
    counted = ~np.isnan(error)
    heard: BoolArray = np.asarray(counted.any(axis=3))
    loss = np.where(counted, error, 0.0).sum(axis=3) / np.maximum(counted.sum(axis=3), 1)
    rows = np.arange(n)
    age = rows[:, None] - rows[None, :]
    kernel = np.where((age >= back) & (age <= WEIGHT_DAYS), 0.5 ** (age / WEIGHT_HALF_LIFE), 0.0)
    kernel *= np.where(rest[:, None] == rest[None, :], WEIGHT_SAME_TYPE, 1.0)
    flat = (experts, n, WEIGHT_QUARTERS)
    mass = np.einsum("ij,jm->im", kernel, heard.transpose(1, 0, 2).reshape(n, -1).astype(np.float64))
    total = np.einsum("ij,jm->im", kernel, (loss * heard).transpose(1, 0, 2).reshape(n, -1))
    mass = mass.reshape(n, experts, WEIGHT_QUARTERS).transpose(1, 0, 2)
    mean = total.reshape(n, experts, WEIGHT_QUARTERS).transpose(1, 0, 2) / np.maximum(mass, 1e-9)
    known = mass > 1e-6
    usual = np.where(known, mean, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, mean, usual[None])
    silent = np.isnan(predictions.reshape(experts, n, WEIGHT_QUARTERS, quarter))
    speaks: BoolArray = np.asarray(~silent.any(axis=3))
    best = np.where(speaks, mean, np.inf).min(axis=0)  # of those that speak, or none might have a weight
    weight = np.where(speaks, ((best + 1e-6) / (mean + 1e-6)) ** WEIGHT_POWER, 0.0)
    weight /= np.maximum(weight.sum(axis=0), 1e-9)
    weight = (1.0 - WEIGHT_EQUAL) * weight + WEIGHT_EQUAL * speaks / np.maximum(speaks.sum(axis=0), 1)
    assert weight.shape == flat
    said = np.nan_to_num(predictions).reshape(experts, n, WEIGHT_QUARTERS, quarter)
    out = (weight[..., None] * said).sum(axis=0).reshape(n, slots)
    out[~speaks.any(axis=(0, 2))] = np.nan
    return np.asarray(out, dtype=np.float64)
