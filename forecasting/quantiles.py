"""Quantiles of weighted samples, and what a robust regression of errors needs."""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray

__all__ = ["least_absolute", "trailing_mean", "weighted_quantiles"]


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
