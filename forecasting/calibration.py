"""A band that covers what it promises: widened or narrowed by how well it covered lately."""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray

__all__ = ["BAND", "band_factor", "widened"]

BAND = (0.1, 0.9)  # the band whose coverage is held
STEP = 0.04  # change of the log factor when the misses of a day are twice as many as aimed at
# Aimed at 18 % of misses to hold 80 %: the day to come always differs a little more than the weeks before it.
# Measured on the windows before the tests: aimed at 20 %, bands held 0.76-0.81, aimed at 18 %, 0.78-0.83.
AIMED = 0.18
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
    ``log f <- log f + 0.04 * (misses / 0.18 - 1)``.

    References
    ----------
    .. [1] Gibbs, I.; Candes, E. (2021). "Adaptive conformal inference under distribution shift". NeurIPS 34.
    """
    log_factor = 0.0
    for y, below, mid, above in zip(actual, low, middle, high, strict=True):
        known = ~(np.isnan(y) | np.isnan(mid))
        if not known.any():
            continue
        factor = np.exp(log_factor)
        missed = (y < mid - factor * (mid - below)) | (y > mid + factor * (above - mid))
        log_factor += STEP * (float(missed[known].mean()) / AIMED - 1.0)
        log_factor = float(np.clip(log_factor, -LIMIT, LIMIT))
    return float(np.exp(log_factor))


def widened(
    quantiles: FloatArray, middle: FloatArray, factor: float, levels: tuple[float, ...]
) -> FloatArray:
    """Quantiles, shape (..., n_levels), moved away from the median, shape (...).

    The edges of the band move by the factor; levels within it by less (the factor to the power of their
    squared distance from the middle): it was the edges that were put to the test.
    """
    edge = np.abs(np.array(levels) - 0.5) / (0.5 - BAND[0])
    moved = middle[..., None] + factor ** np.minimum(edge, 1.0) ** 2 * (quantiles - middle[..., None])
    return np.asarray(np.maximum.accumulate(moved, axis=-1))
