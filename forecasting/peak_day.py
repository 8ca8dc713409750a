"""The highest value of a day: a forest of days, because the peak of a median is not the median of the peak.

A machine that starts at some time of the morning lifts every slot's median a little and the day's peak by
all of its power. So the peak has a forecast of its own, from the same features, taken day by day.
"""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray
from forecasting.forest import ForestOptions, QuantileForest
from forecasting.prepared import Prepared

__all__ = ["peak_quantiles"]

OPTIONS = ForestOptions(trees=60, part=0.5, least_days=30, leaf=3, share=0.3, newest=8)
SEED = 11
KNOWN_SHARE = 0.8  # of a day's slots: with fewer its highest value is not known


def peak_quantiles(
    actual: FloatArray, prepared: Prepared, back: int, levels: tuple[float, ...]
) -> FloatArray:
    """Quantiles of the highest value of the last row, shape (n_levels,). [unit of the panel]

    Parameters
    ----------
    actual : ndarray, shape (n, slots)
        What happened; NaN where missing or not known.
    prepared : Prepared
        Features of the same rows.
    back : int
        Days from a row to the newest whole day it may learn from.

    Notes
    -----
    Mean of two forests' quantiles: one of the peaks themselves, one of their distance to the highest value
    of the experts' forecast.
    """
    level = prepared.features[0]
    features = np.concatenate([level.max(axis=1), level.mean(axis=1), level.min(axis=1)], axis=1)
    known = (~np.isnan(actual)).mean(axis=1) >= KNOWN_SHARE
    highest = np.full(len(actual), np.nan)
    highest[known] = np.nanmax(actual[known], axis=1) / prepared.scale
    base = np.nan_to_num(prepared.base.max(axis=1)) / prepared.scale
    rows = np.arange(prepared.first_row, len(actual) - back)
    rows = rows[known[rows]]
    last = np.array([len(actual) - 1])
    total = np.zeros(len(levels))
    for seed, offset in ((SEED, np.zeros_like(base)), (SEED + 1, base)):
        target = highest[rows] - offset[rows]
        forest = QuantileForest.grow(features[rows], target, rows, options=OPTIONS, seed=seed)
        total += forest.quantiles(features[last], last, last, levels)[0] + offset[-1]
    return np.asarray(np.maximum.accumulate(np.maximum(total / 2.0 * prepared.scale, 0.0)))
