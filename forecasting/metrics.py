"""Scores of a forecast against what happened. All normalised scores are shares, not percent."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from energy.core.errors import AlignmentError
from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY

__all__ = ["coverage", "nmae", "nrmse", "peak_distance", "peak_error", "pinball", "width"]


def nmae(actual: FloatArray, forecast: FloatArray, *, scale: float | None = None) -> float:
    """Mean absolute error over a scale. [-]

    Parameters
    ----------
    actual, forecast : ndarray, same shape
        NaN where unknown; such pairs are left out. [any one unit]
    scale : float, optional
        What to divide by; the mean of the actuals unless given (PV: nameplate). [same unit]

    Returns
    -------
    float
        NaN if no pair is known.

    Notes
    -----
    ``sum |y - f| / (n * scale)``

    Examples
    --------
    >>> nmae(np.array([100.0, 300.0]), np.array([110.0, 270.0]))
    0.1
    """
    y, f = _pairs(actual, forecast)
    return float(np.mean(np.abs(y - f)) / _scale(y, scale)) if y.size else float("nan")


def nrmse(actual: FloatArray, forecast: FloatArray, *, scale: float | None = None) -> float:
    """Root of the mean squared error over a scale; what :func:`nmae` is to absolute errors. [-]

    Examples
    --------
    >>> nrmse(np.array([100.0, 300.0]), np.array([130.0, 340.0]), scale=1.0) == 1250**0.5
    True
    """
    y, f = _pairs(actual, forecast)
    return float(np.sqrt(np.mean((y - f) ** 2)) / _scale(y, scale)) if y.size else float("nan")


def pinball(
    actual: FloatArray, quantiles: FloatArray, levels: Sequence[float], *, scale: float | None = None
) -> float:
    """Pinball loss averaged over levels and time, over a scale. [-]

    Parameters
    ----------
    quantiles : ndarray, shape (n_levels, *actual.shape)
        One forecast per level.
    levels : sequence of float
        In (0, 1). [-]

    Notes
    -----
    ``mean max(q * (y - f_q), (q - 1) * (y - f_q)) / scale``

    References
    ----------
    .. [1] Koenker, R.; Bassett, G. (1978). "Regression quantiles". Econometrica 46 (1), 33-50.
    """
    losses = []
    for level, forecast in zip(levels, quantiles, strict=True):
        y, f = _pairs(actual, forecast)
        losses.append(np.mean(np.maximum(level * (y - f), (level - 1.0) * (y - f))) / _scale(y, scale))
    return float(np.mean(losses))


def coverage(actual: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Share of the known actuals inside their band ``[low, high]``; 0.8 is right for P10 to P90. [-]"""
    known = ~(np.isnan(actual) | np.isnan(low) | np.isnan(high))
    inside = (actual >= low) & (actual <= high)
    return float(inside[known].mean()) if known.any() else float("nan")


def width(actual: FloatArray, low: FloatArray, high: FloatArray, *, scale: float | None = None) -> float:
    """Mean width of a band over a scale, where the actual is known. [-]"""
    known = ~(np.isnan(actual) | np.isnan(low) | np.isnan(high))
    if not known.any():
        return float("nan")
    return float(np.mean((high - low)[known]) / _scale(actual[known], scale))


def peak_distance(actual: FloatArray, forecast: FloatArray, *, scale: float | None = None) -> float:
    """Mean over the days of ``|forecast of the highest - highest actual|``, over a scale. [-]

    Parameters
    ----------
    actual : ndarray, shape (n_days, slots_per_day)
        The highest of the known values counts; a day without any is left out.
    forecast : ndarray, shape (n_days,)
        Of each day's highest value; NaN where there is none.
    """
    seen = ~(np.isnan(actual).all(axis=1) | np.isnan(forecast))
    if not seen.any():
        return float("nan")
    distance = np.abs(np.nanmax(actual[seen], axis=1) - forecast[seen])
    return float(np.mean(distance) / _scale(actual[~np.isnan(actual)], scale))


def peak_error(actual: FloatArray, forecast: FloatArray, *, scale: float | None = None) -> float:
    """Mean over the days of ``highest forecast - highest actual``, over a scale; negative: peaks missed. [-]

    Parameters
    ----------
    actual, forecast : ndarray, shape (n_days * 48,)
        Whole days; a day with a missing actual is left out.

    Raises
    ------
    AlignmentError
        If the values are not whole days of 48 slots.
    """
    if actual.shape != forecast.shape or actual.size % SLOTS_PER_DAY:
        raise AlignmentError(
            "peaks are taken over whole days of 48 slots", actual=actual.shape, forecast=forecast.shape
        )
    y, f = actual.reshape(-1, SLOTS_PER_DAY), forecast.reshape(-1, SLOTS_PER_DAY)
    whole = ~np.isnan(y).any(axis=1)
    if not whole.any():
        return float("nan")
    return float(np.mean(f[whole].max(axis=1) - y[whole].max(axis=1)) / _scale(y[whole], scale))


def _pairs(actual: FloatArray, forecast: FloatArray) -> tuple[FloatArray, FloatArray]:
    if actual.shape != forecast.shape:
        raise AlignmentError("scores need pairs", actual=actual.shape, forecast=forecast.shape)
    known = ~(np.isnan(actual) | np.isnan(forecast))
    return actual[known], forecast[known]


def _scale(actual: FloatArray, scale: float | None) -> float:
    return float(np.mean(actual)) if scale is None else scale
