"""From experts to one calibrated forecast: weights by past errors, quantiles from like situations."""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import BoolArray, IntArray

__all__ = [
    "around_median",
    "combine",
    "kernel_of_levels",
    "least_absolute",
    "residual_quantiles",
    "small_sample_factor",
    "trailing_mean",
    "weighted_quantiles",
]

QUARTERS = 4  # weights per quarter of the day
WEIGHT_HALF_LIFE = 30.0  # days; tuned on Apr-Jun 2018 of the steel series, as all constants here
WEIGHT_SAME_TYPE = 4.0  # errors of the same day type count four times
WEIGHT_POWER = 8.0
WEIGHT_DAYS = 180  # older errors weigh less than 2 %
WEIGHT_EQUAL = 0.15  # shrunk 15 % towards equal weights
RESIDUAL_DAYS = 180  # older residuals are not looked at
RESIDUAL_HALF_LIFE = 30.0  # days
RESIDUAL_OTHER_TYPE = 0.3  # weight of a residual from the other day type
RESIDUAL_LEVEL_WIDTH = 0.35  # relative width of the kernel on the square root of the predicted level
RESIDUAL_SLOTS = ((0, 1.0), (-1, 0.5), (1, 0.5), (-2, 0.5), (2, 0.5))  # slots next door and their weights

# P90 of Student's t by degrees of freedom: Abramowitz and Stegun (1964), table 26.10
_T_DAYS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 120)
_T_P90 = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.397, 1.372, 1.341, 1.325, 1.310, 1.296, 1.289)
_NORMAL_P90 = 1.282


def combine(
    load_kw: FloatArray, predictions: FloatArray, rest: BoolArray, *, lead: int, rows: IntArray
) -> FloatArray:
    """Weighted mean of the experts' predictions for the days ``rows``.

    Parameters
    ----------
    load_kw : ndarray, shape (n, 48)
        What really happened. [kW]
    predictions : ndarray, shape (n_experts, n, 48)
        Out-of-sample; NaN where an expert was silent. [kW]
    rest : ndarray, shape (n,)
        Whether each day is one of rest.
    lead : int
        Errors of days later than ``row - lead`` are not yet known.

    Returns
    -------
    ndarray, shape (len(rows), 48)
        NaN where every expert is silent. [kW]

    Notes
    -----
    Per quarter of the day ``w_e ~ L_e**-8`` with ``L_e`` the mean absolute error of the expert, weighted by
    age (half-life 30 days) and day type, shrunk 15 % to equal weights among the experts that speak.
    """
    recent = max(0, int(rows[0]) - WEIGHT_DAYS)
    load_kw, predictions, rest, rows = load_kw[recent:], predictions[:, recent:], rest[recent:], rows - recent
    experts, n, _ = predictions.shape
    error = np.abs(load_kw[None] - predictions).reshape(experts, n, QUARTERS, -1)
    counted = ~np.isnan(error)
    heard = counted.any(axis=3)
    loss = np.where(counted, error, 0.0).sum(axis=3) / np.maximum(counted.sum(axis=3), 1)
    age = rows[:, None] - np.arange(n)[None, :]
    kernel = np.where(age >= lead, 0.5 ** (age / WEIGHT_HALF_LIFE), 0.0)
    kernel *= np.where(rest[rows][:, None] == rest[None, :], WEIGHT_SAME_TYPE, 1.0)
    mass = np.einsum("ij,ejq->ieq", kernel, heard.astype(np.float64))
    mean = np.einsum("ij,ejq->ieq", kernel, loss * heard) / np.maximum(mass, 1e-9)
    known = mass > 1e-6
    usual = np.where(known, mean, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    mean = np.where(known, mean, usual[:, None, :])
    chosen = predictions[:, rows].reshape(experts, len(rows), QUARTERS, -1)
    speaks: BoolArray = np.asarray(~np.isnan(chosen).any(axis=3)).transpose(1, 0, 2)
    best = mean.min(axis=1, keepdims=True)
    weight = np.where(speaks, ((best + 1e-6) / (mean + 1e-6)) ** WEIGHT_POWER, 0.0)
    weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    equal = speaks / np.maximum(speaks.sum(axis=1, keepdims=True), 1)
    weight = (1.0 - WEIGHT_EQUAL) * weight + WEIGHT_EQUAL * equal
    out = np.einsum("ieq,eiqs->iqs", weight, np.nan_to_num(chosen)).reshape(len(rows), SLOTS_PER_DAY)
    out[~speaks.any(axis=(1, 2))] = np.nan
    return np.asarray(out, dtype=np.float64)


def weighted_quantiles(values: FloatArray, weights: FloatArray, levels: FloatArray) -> FloatArray:
    """Quantiles of each column under weights, shape (n_levels, columns).

    Parameters
    ----------
    values, weights : ndarray, shape (n, columns)
        Samples and their weights >= 0, at least one of them > 0 in every column.
    levels : ndarray
        In (0, 1), increasing. [-]
    """
    order = np.argsort(values, axis=0)
    ordered = np.take_along_axis(values, order, axis=0)
    mass = np.take_along_axis(weights, order, axis=0)
    upto = np.cumsum(mass, axis=0)
    position = (upto - 0.5 * mass) / upto[-1]
    out = np.empty((len(levels), values.shape[1]))
    for column in range(values.shape[1]):
        out[:, column] = np.interp(levels, position[:, column], ordered[:, column])
    return out


def kernel_of_levels(past_kw: FloatArray, level_kw: FloatArray) -> FloatArray:
    """How like the forecasts of past days are to a forecast, slot by slot, shape of ``past_kw``. [-]

    A Gaussian in the square root of the level, about a third of it wide; 0 where the past is unknown.
    """
    root = np.sqrt(level_kw)
    width = RESIDUAL_LEVEL_WIDTH * np.maximum(root, 1.0) + 0.5
    distance = (np.sqrt(np.maximum(past_kw, 0.0)) - root[None]) / width[None]
    return np.nan_to_num(np.exp(-0.5 * distance**2) + 1e-6)


def residual_quantiles(
    base_kw: FloatArray,
    residual_kw: FloatArray,
    past_base_kw: FloatArray,
    same_type: BoolArray,
    age_days: IntArray,
    *,
    levels: FloatArray,
) -> FloatArray:
    """Quantiles of the error to expect around a day's forecast, from errors made in like situations.

    Parameters
    ----------
    base_kw : ndarray, shape (48,)
        The forecast. [kW]
    residual_kw, past_base_kw : ndarray, shape (n, 48)
        Out-of-sample errors (load - forecast) of past days and the forecasts they belong to; NaN where
        unknown. [kW]
    same_type : ndarray, shape (n,)
        Whether a past day is of the type of the day forecast.
    age_days : ndarray, shape (n,)
        Age of the past days. [d]
    levels : ndarray
        Levels wanted, in (0, 1). [-]

    Returns
    -------
    ndarray, shape (n_levels, 48)
        Errors to add to the forecast. [kW]
    """
    daily = 0.5 ** (age_days / RESIDUAL_HALF_LIFE) * np.where(same_type, 1.0, RESIDUAL_OTHER_TYPE)
    values, weights = [], []
    for shift, weight in RESIDUAL_SLOTS:
        errors = np.roll(residual_kw, shift, axis=1)
        level = np.roll(past_base_kw, shift, axis=1)
        likeness = kernel_of_levels(level, base_kw)
        known = ~np.isnan(errors) & ~np.isnan(level)
        values.append(np.where(known, errors, 0.0))
        weights.append(np.where(known, weight * daily[:, None] * likeness, 0.0))
    stacked, mass = np.concatenate(values), np.concatenate(weights)
    mass[0] = np.maximum(mass[0], 1e-12)
    return weighted_quantiles(stacked, mass, levels)


def around_median(spread: FloatArray, levels: tuple[float, ...]) -> FloatArray:
    """Error quantiles that leave the forecast itself the median: below 0 for low levels, above for high."""
    level = np.asarray(levels)[:, None]
    return np.where(level < 0.5, np.minimum(spread, 0.0), np.where(level > 0.5, np.maximum(spread, 0.0), 0.0))


def small_sample_factor(days: int) -> float:
    """How much wider a band must be that was drawn from the errors of few days. [-]

    The P90 of Student's t with ``days`` degrees of freedom over that of the normal distribution.
    """
    return float(np.interp(max(1, days), _T_DAYS, _T_P90)) / _NORMAL_P90


def least_absolute(x: FloatArray, y: FloatArray, scale: FloatArray) -> tuple[FloatArray, float, float]:
    """Coefficients of least absolute deviations, and what they leave of the error.

    Returns
    -------
    (ndarray, float, float)
        Coefficients; the mean absolute error left and the 80 % quantile of the absolute error left (the edge
        of a P10-P90 band), both as shares of those without the coefficients, at most 1. [-]
    """
    beta: FloatArray = np.zeros(x.shape[1])
    penalty = 0.01 * float(scale.sum()) * np.eye(x.shape[1])
    for _ in range(12):
        weight = scale / np.maximum(np.abs(y - x @ beta), 0.05)
        weighted = (x * weight[:, None]).T
        beta = np.asarray(np.linalg.solve(weighted @ x + penalty, weighted @ y))
    before, after = scale * np.abs(y), scale * np.abs(y - x @ beta)
    total = float(before.sum())
    left = min(1.0, float(after.sum()) / total) if total > 0.0 else 1.0
    edge = float(np.quantile(before, 0.8))
    return beta, left, min(1.0, float(np.quantile(after, 0.8)) / edge) if edge > 0.0 else 1.0


def trailing_mean(values: FloatArray, span: int) -> FloatArray:
    """Mean of the ``span`` values before each position; NaN where none of them is known."""
    known = ~np.isnan(values)
    total = np.r_[0.0, np.cumsum(np.where(known, values, 0.0))]
    count = np.r_[0, np.cumsum(known)]
    at = np.arange(values.size)
    first = np.maximum(at - span, 0)
    number = count[at] - count[first]
    mean = (total[at] - total[first]) / np.maximum(number, 1)
    return np.where(number > 0, mean, np.nan)
