"""Load forecasts from a few days of history: like days as they were, with a band as wide as ignorance."""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray
from forecasting.quantiles import weighted_quantiles

__all__ = ["small_sample_factor", "thin_quantiles"]

NEIGHBOURS = ((0, 1.0), (-1, 0.5), (1, 0.5))  # slots next door and their weights
NEWEST = 10  # like days that are looked at
OTHER_TYPE = 0.1  # weight of a day of the other type

# P90 of Student's t by degrees of freedom: Abramowitz and Stegun (1964), table 26.10
_T_DAYS = (1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 60, 120)
_T_P90 = (3.078, 1.886, 1.638, 1.533, 1.476, 1.440, 1.397, 1.372, 1.341, 1.325, 1.310, 1.296, 1.289)
_NORMAL_P90 = 1.282


def small_sample_factor(days: int) -> float:
    """How much wider a band must be that was drawn from few days. [-]

    The P90 of Student's t with ``days`` degrees of freedom over that of the normal distribution.
    """
    return float(np.interp(max(1, days), _T_DAYS, _T_P90)) / _NORMAL_P90


def thin_quantiles(
    load: FloatArray, rest: BoolArray, row: int, levels: tuple[float, ...], *, by_type: bool
) -> FloatArray:
    """Quantiles of the day ``row`` from the whole days before it, shape (n_levels, slots). [any]

    Parameters
    ----------
    load : ndarray, shape (n, slots)
        NaN where missing; nothing from ``row`` on may be known.
    rest : ndarray, shape (n_days,)
        Whether each day is one of rest; up to ``row`` at least.
    by_type : bool
        Whether days of the other type count for a tenth only; they count in full if no like day is known.

    Notes
    -----
    Weighted quantiles of the values of the days and of the slots next door, moved away from the median by the
    small-sample factor of Student's t.
    """
    known = np.flatnonzero((~np.isnan(load[:row])).mean(axis=1) >= 0.8)[-2 * NEWEST :]
    same = rest[known] == rest[row]
    if by_type and same.any():
        known = np.union1d(known[same][-NEWEST:], known[~same][-NEWEST:])
        weight = np.where(rest[known] == rest[row], 1.0, OTHER_TYPE)
        count = int((rest[known] == rest[row]).sum())
    else:
        weight, count = np.ones(known.size), known.size
    values, mass = _samples(load[known], weight)
    found = weighted_quantiles(values, mass, np.array([*levels, 0.5]))
    middle = found[-1]
    return np.asarray(np.maximum(middle + small_sample_factor(count) * (found[:-1] - middle), 0.0))


def _samples(days: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
    values, mass = [], []
    for shift, share in NEIGHBOURS:
        rolled = np.roll(days, shift, axis=1)
        known = ~np.isnan(rolled)
        values.append(np.where(known, rolled, 0.0))
        mass.append(np.where(known, share * weight[:, None], 0.0))
    stacked = np.concatenate(mass)
    stacked[0] = np.maximum(stacked[0], 1e-12)
    return np.concatenate(values), stacked
