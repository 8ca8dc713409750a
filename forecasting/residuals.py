"""A band around the experts' forecast from the errors that they made in like situations."""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray
from forecasting.quantiles import weighted_quantiles

__all__ = ["residual_quantiles"]

DAYS = 180  # older errors are not looked at
HALF_LIFE = 30.0  # days
OTHER_TYPE = 0.3  # weight of an error from a day of the other type
LEVEL_WIDTH = 0.35  # relative width of the kernel on the square root of the forecast level
NEIGHBOURS = ((0, 1.0), (-1, 0.5), (1, 0.5), (-2, 0.25), (2, 0.25))  # slots next door and their weights


def residual_quantiles(
    base: FloatArray, actual: FloatArray, rest: BoolArray, row: int, back: int, *, levels: tuple[float, ...]
) -> FloatArray:
    """Quantiles of one day, shape (slots, n_levels): its forecast plus the errors of like days and levels.

    Parameters
    ----------
    base : ndarray, shape (n, slots)
        Out-of-sample forecasts; NaN where there is none. [any]
    actual : ndarray, shape (n, slots)
        What happened; NaN where unknown. [as base]
    rest : ndarray, shape (n,)
        Whether each day is one of rest.
    row : int
        The day wanted.
    back : int
        Days from it to the newest whole day known.

    Notes
    -----
    Weighted quantiles: half-life of 30 days, days of the other type 0.3, slots next door 0.5 and 0.25, and a
    Gaussian in the square root of the level.
    """
    past = np.arange(max(0, row - back + 1 - DAYS), row - back + 1)
    past = past[~np.isnan(base[past]).all(axis=1)]
    error = actual[past] - base[past]
    root = np.sqrt(np.maximum(base[row], 0.0))
    level = np.sqrt(np.maximum(base[past], 0.0))
    width = LEVEL_WIDTH * np.maximum(root, 0.05 * max(float(root.max()), 1e-9))
    daily = 0.5 ** ((row - past) / HALF_LIFE) * np.where(rest[past] == rest[row], 1.0, OTHER_TYPE)
    values, weights = [], []
    for shift, weight in NEIGHBOURS:
        near, like = np.roll(error, shift, axis=1), np.roll(level, shift, axis=1)
        likeness = np.exp(-0.5 * ((like - root) / width) ** 2) + 1e-6
        known = ~np.isnan(near)
        values.append(np.where(known, near, 0.0))
        weights.append(np.where(known, weight * daily[:, None] * np.nan_to_num(likeness), 0.0))
    mass = np.concatenate(weights)
    mass[0] = np.maximum(mass[0], 1e-12)
    return np.asarray(
        base[row][:, None] + weighted_quantiles(np.concatenate(values), mass, np.array(levels)).T
    )
