"""From experts to one calibrated forecast: weights, residual quantiles, and what the last hours say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import BoolArray, IntArray

__all__ = [
    "IntradayCorrection",
    "combine",
    "least_absolute",
    "residual_quantiles",
    "small_sample_factor",
    "weighted_quantiles",
]

QUARTERS = 4  # weights per quarter of the day
WEIGHT_HALF_LIFE = 30.0  # days; tuned on Apr-Jun 2018 of the steel series, as all constants here
WEIGHT_SAME_TYPE = 4.0  # errors of the same day type count four times
WEIGHT_POWER = 8.0
WEIGHT_EQUAL = 0.15  # shrunk 15 % towards equal weights
RESIDUAL_DAYS = 180  # older residuals are not looked at
RESIDUAL_HALF_LIFE = 30.0  # days
RESIDUAL_OTHER_TYPE = 0.3  # weight of a residual from the other day type
RESIDUAL_LEVEL_WIDTH = 0.35  # relative width of the kernel on the square root of the predicted level
RESIDUAL_SLOTS = ((0, 1.0), (-1, 0.5), (1, 0.5), (-2, 0.5), (2, 0.5))  # slots next door and their weights
_CLIP = 4.0  # standardised residuals are clipped here: one outage must not steer the day
_SPANS = (1, 6, 24)  # slots over which the latest residuals are averaged: 0.5, 3 and 12 h
_WORTH_IT = 0.98  # error left, as a share, above which the correction is not worth its noise
_ANCHORS = (0, 1, 2, 3, 5, 8, 12, 18, 24, 36, 47)  # leads (slots) at which the correction is learned

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
    root = np.sqrt(base_kw)
    width = RESIDUAL_LEVEL_WIDTH * np.sqrt(np.maximum(base_kw, 1.0)) + 0.5
    values, weights = [], []
    for shift, weight in RESIDUAL_SLOTS:
        errors = np.roll(residual_kw, shift, axis=1)
        level = np.sqrt(np.roll(past_base_kw, shift, axis=1))
        likeness = np.exp(-0.5 * ((level - root[None]) / width[None]) ** 2) + 1e-6
        known = ~np.isnan(errors) & ~np.isnan(level)
        values.append(np.where(known, errors, 0.0))
        weights.append(np.where(known, weight * daily[:, None] * likeness, 0.0))
    stacked, mass = np.concatenate(values), np.concatenate(weights)
    mass[0] = np.maximum(mass[0], 1e-12)
    return weighted_quantiles(stacked, mass, levels)


def small_sample_factor(days: int) -> float:
    """How much wider a band must be that was drawn from the errors of few days. [-]

    The P90 of Student's t with ``days`` degrees of freedom over that of the normal distribution.
    """
    return float(np.interp(max(1, days), _T_DAYS, _T_P90)) / _NORMAL_P90


@dataclass(frozen=True, slots=True)
class IntradayCorrection:
    """How far the errors of the last hours go on, by lead.

    Parameters
    ----------
    gain : ndarray, shape (n_spans, 48)
        Share of the mean standardised error of the last 0.5, 3 and 12 h that is still there after 0..47
        slots. [-]
    width : ndarray, shape (48,)
        Spread of the corrected forecast's error over that of the uncorrected one, in (0, 1]. [-]
    sigma_kw : ndarray, shape (2, 48)
        Mean absolute error by day type (0 working, 1 rest) and slot. [kW]
    """

    gain: FloatArray
    width: FloatArray
    sigma_kw: FloatArray

    @classmethod
    def fit(cls, today_kw: FloatArray, tomorrow_kw: FloatArray, rest: BoolArray) -> IntradayCorrection:
        """Learn from out-of-sample errors of the one-day-ahead and the two-days-ahead forecast.

        Parameters
        ----------
        today_kw, tomorrow_kw : ndarray, shape (n, 48)
            Errors at lead 1 and 2 days, NaN where unknown. [kW]
        rest : ndarray, shape (n,)
            Whether each day is one of rest.

        Notes
        -----
        ``u[t + h] = sum_j gain[j, h] * mean(u[t - span_j : t])`` by least absolute deviations (iteratively
        reweighted least squares with a small ridge), with ``u`` the error over ``sigma`` and each target
        weighted by its ``sigma``, so that kilowatts count. Past midnight the target is the error of the
        two-days-ahead forecast, because that is what was in force then. From the first lead at which the
        correction removes less than 2 % of the error it is left out: what is left is chance.
        """
        sigma = _sigma(today_kw, rest)
        scale = sigma[rest.astype(np.int64)]
        u1 = np.clip(today_kw / scale, -_CLIP, _CLIP).reshape(-1)
        u2 = np.clip(tomorrow_kw / scale, -_CLIP, _CLIP).reshape(-1)
        features = np.stack([_trailing_mean(u1, span) for span in _SPANS], axis=1)
        at = np.arange(0, u1.size - SLOTS_PER_DAY, 2)
        kilowatts = scale.reshape(-1)
        gain, width = np.zeros((len(_SPANS), len(_ANCHORS))), np.ones(len(_ANCHORS))
        for k, lead in enumerate(_ANCHORS):
            past_midnight = at % SLOTS_PER_DAY + lead >= SLOTS_PER_DAY
            target = np.where(past_midnight, u2[at + lead], u1[at + lead])
            ok = ~np.isnan(target) & ~np.isnan(features[at]).any(axis=1)
            if ok.sum() >= 10 * SLOTS_PER_DAY:
                found, left = least_absolute(features[at][ok], target[ok], kilowatts[at + lead][ok])
                if left > _WORTH_IT:
                    break
                gain[:, k], width[k] = found, left
        leads = np.arange(SLOTS_PER_DAY)
        return cls(
            gain=np.stack([np.interp(leads, _ANCHORS, row) for row in gain]),
            width=np.interp(leads, _ANCHORS, np.maximum.accumulate(width)),
            sigma_kw=sigma,
        )

    def apply(
        self, recent_error_kw: FloatArray, recent_scale_kw: FloatArray, scale_kw: FloatArray, leads: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        """Correction and width factor for the slots at some leads.

        Parameters
        ----------
        recent_error_kw, recent_scale_kw : ndarray, shape (m,)
            Latest errors, newest last, NaN where unknown, and ``sigma_kw`` of their slots. [kW]
        scale_kw : ndarray, shape (n,)
            ``sigma_kw`` of the slots to correct. [kW]
        leads : ndarray, shape (n,)
            Slots from the first one not yet measured, >= 0.

        Returns
        -------
        (ndarray, ndarray)
            What to add to the forecast [kW] and the factor of its error quantiles [-].
        """
        u = np.clip(recent_error_kw / recent_scale_kw, -_CLIP, _CLIP)
        if np.isnan(u[-max(_SPANS) :]).all():
            return np.zeros(len(leads)), np.ones(len(leads))
        means = np.array([_last_mean(u, span) for span in _SPANS])
        inside = leads < SLOTS_PER_DAY
        near = np.minimum(leads, SLOTS_PER_DAY - 1)
        add = np.where(inside, means @ self.gain[:, near], 0.0) * scale_kw
        fresh = not bool(np.isnan(u[-1]))
        return np.asarray(add), np.where(inside & fresh, self.width[near], 1.0)


def _sigma(error_kw: FloatArray, rest: BoolArray) -> FloatArray:
    """Mean absolute error by day type and slot, smoothed over the slots next door. [kW]"""
    size = np.abs(error_kw)
    overall = float(np.nanmean(size)) if not np.isnan(size).all() else 1.0
    out = np.full((2, SLOTS_PER_DAY), max(overall, 1e-3))
    for kind in (0, 1):
        rows = size[rest == bool(kind)]
        known = ~np.isnan(rows)
        if known.sum() >= 3 * SLOTS_PER_DAY:
            mean = np.where(known, rows, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
            wide = np.mean([np.roll(mean, shift) for shift in (-2, -1, 0, 1, 2)], axis=0)
            out[kind] = np.maximum(wide, 0.05 * overall + 1e-3)
    return out


def _trailing_mean(values: FloatArray, span: int) -> FloatArray:
    """Mean of the ``span`` values before each position; NaN where none of them is known."""
    known = ~np.isnan(values)
    total = np.r_[0.0, np.cumsum(np.where(known, values, 0.0))]
    count = np.r_[0, np.cumsum(known)]
    first = np.maximum(np.arange(values.size) - span, 0)
    at = np.arange(values.size)
    number = count[at] - count[first]
    mean = (total[at] - total[first]) / np.maximum(number, 1)
    return np.where(number > 0, mean, np.nan)


def _last_mean(values: FloatArray, span: int) -> float:
    """Mean of the known ones among the last values; 0 (nothing to say) if none is known."""
    last = values[-span:]
    last = last[~np.isnan(last)]
    return float(last.mean()) if last.size else 0.0


def least_absolute(x: FloatArray, y: FloatArray, scale: FloatArray) -> tuple[FloatArray, float]:
    """Coefficients of least absolute deviations, and the error left as a share of the error without them."""
    beta: FloatArray = np.zeros(x.shape[1])
    penalty = 0.01 * float(scale.sum()) * np.eye(x.shape[1])
    for _ in range(12):
        weight = scale / np.maximum(np.abs(y - x @ beta), 0.05)
        weighted = (x * weight[:, None]).T
        beta = np.asarray(np.linalg.solve(weighted @ x + penalty, weighted @ y))
    before, after = (scale * np.abs(y)).sum(), (scale * np.abs(y - x @ beta)).sum()
    return beta, float(min(1.0, after / before)) if before > 0 else 1.0
