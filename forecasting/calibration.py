"""A band that covers what it promises: widened or narrowed by how well it covered lately."""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray

__all__ = ["BAND", "band_factor", "widened"]

BAND = (0.1, 0.9)  # the band whose coverage is held
STEP = 0.03  # change of the log factor when the misses of a day are twice as many as promised
LIMIT = 0.7  # of the log factor: between half and twice the width


def band_factor(actual: FloatArray, low: FloatArray, middle: FloatArray, high: FloatArray) -> float:
    """By how much a band must be widened, from the days on which it was put to the test. [-]

    Parameters
    ----------
    actual, low, middle, high : ndarray, shape (n_days, slots)
        What happened, and P10, P50 and P90 as they would have been issued, in the order of the days; NaN
        where unknown. [any one unit]

    Notes
    -----
    Adaptive conformal inference [1]_ on the logarithm of the width, one step a day:
    ``log f <- log f + 0.03 * (misses / 0.2 - 1)``.

    References
    ----------
    .. [1] Gibbs, I.; Candes, E. (2021). "Adaptive conformal inference under distribution shift". NeurIPS 34.
    """
    promised = 1.0 - (BAND[1] - BAND[0])
    log_factor = 0.0
    for y, below, mid, above in zip(actual, low, middle, high, strict=True):
        known = ~(np.isnan(y) | np.isnan(mid))
        if not known.any():
            continue
        factor = np.exp(log_factor)
        missed = (y < mid - factor * (mid - below)) | (y > mid + factor * (above - mid))
        log_factor += STEP * (float(missed[known].mean()) / promised - 1.0)
        log_factor = float(np.clip(log_factor, -LIMIT, LIMIT))
    return float(np.exp(log_factor))


def widened(quantiles: FloatArray, middle: FloatArray, factor: float) -> FloatArray:
    """Quantiles, shape (..., n_levels), moved away from the median, shape (...), by a factor."""
    return np.asarray(middle[..., None] + factor * (quantiles - middle[..., None]))
