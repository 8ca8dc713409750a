"""How much each member of a sum gives way when the parts and the total disagree: minimum trace, shrunk.

Row 0 of every array is the total, the others are its parts.
"""

from __future__ import annotations

import numpy as np

from energy.core.series import FloatArray

__all__ = ["minimum_trace_gain", "second_moments", "shrunk_correlation"]

UNKNOWN_ERROR = 0.2  # of the level, if no member has history at all: assumed; only ratios matter then
_TINY = 1e-12


def minimum_trace_gain(error_kw: FloatArray, weight: FloatArray, level_kw: FloatArray) -> FloatArray:
    """Share of the disagreement that is taken from each member.

    Parameters
    ----------
    error_kw : ndarray, shape (1 + n_parts, n_days, n_slots)
        Past out-of-sample errors, NaN where unknown; all NaN for a member without history. [kW]
    weight : ndarray, shape (n_days,)
        How much each day counts, > 0. [-]
    level_kw : ndarray, shape (1 + n_parts,)
        Mean of each forecast, for the size of the errors of members without history. [kW]

    Returns
    -------
    ndarray, shape (1 + n_parts,)
        ``g`` with ``g[0] - sum(g[1:]) == 1``; ``(1, 0, ...)``, bottom-up, if nobody has ever erred. [-]

    Notes
    -----
    ``g = W c / (c' W c)`` with ``c = (1, -1, ..., -1)`` is the gain of the projection
    ``y - W c (c' W c)^-1 c' y``, the same as ``S (S' W^-1 S)^-1 S' W^-1 y`` [1]_ without an inverse of ``W``.

    References
    ----------
    .. [1] Wickramasuriya, S. L.; Athanasopoulos, G.; Hyndman, R. J. (2019). "Optimal forecast reconciliation
       for hierarchical and grouped time series through trace minimization". Journal of the American
       Statistical Association 114 (526), 804-819, section 2.
    """
    contrast = -np.ones(len(error_kw))
    contrast[0] = 1.0
    moments = second_moments(error_kw, weight, level_kw)
    moved = moments @ contrast
    apart = float(contrast @ moved)
    if apart <= _TINY * max(float(np.trace(moments)), _TINY):
        return np.asarray(np.maximum(contrast, 0.0))
    return np.asarray(moved / apart)


def second_moments(error_kw: FloatArray, weight: FloatArray, level_kw: FloatArray) -> FloatArray:
    """Matrix of the errors' second moments, its correlations drawn towards none.

    Parameters
    ----------
    error_kw, weight, level_kw
        As :func:`minimum_trace_gain`.

    Returns
    -------
    ndarray, shape (1 + n_parts, 1 + n_parts)
        Symmetric, without negative eigenvalues. A member without history errs as much, for its level, as the
        median of the others, independently of them. [kW**2]

    Notes
    -----
    ``W_ij = s_i s_j (1 - lambda) r_ij`` off the diagonal, ``s_i**2`` on it, with ``s_i`` the root mean square
    error and ``r_ij = sum_d w_d m_dij / sqrt(sum_d w_d m_dii * sum_d w_d m_djj)``, ``m_dij`` the products of
    the errors of day ``d`` summed over its slots; unknown errors count 0 in ``m``, which draws towards no
    correlation too. Second moments, not covariances: a forecast that is always too low must give way too.
    """
    known = ~np.isnan(error_kw)
    mass = np.einsum("d,mds->m", weight, known.astype(np.float64))
    square = np.einsum("d,mds->m", weight, np.nan_to_num(error_kw) ** 2)
    has = mass > 0.0
    size = np.sqrt(square / np.where(has, mass, 1.0))
    share = size[has] / np.maximum(level_kw[has], _TINY)
    size = np.where(has, size, level_kw * (float(np.median(share)) if has.any() else UNKNOWN_ERROR))
    length = np.where(square > _TINY, np.sqrt(np.maximum(square, _TINY)), np.inf)
    unit = np.nan_to_num(error_kw) / length[:, None, None]
    correlation, _ = shrunk_correlation(unit, weight)
    return np.asarray(size[:, None] * correlation * size[None, :])


def shrunk_correlation(unit: FloatArray, weight: FloatArray) -> tuple[FloatArray, float]:
    """Correlation of errors, drawn towards none, and how far.

    Parameters
    ----------
    unit : ndarray, shape (n, n_days, n_slots)
        Errors of each member scaled to a weighted sum of squares of 1; 0 where unknown. [-]
    weight : ndarray, shape (n_days,)
        How much each day counts, > 0. [-]

    Returns
    -------
    (ndarray, float)
        Shape (n, n), ones on the diagonal, and ``lambda`` in [0, 1]; 1 with fewer than three days. [-]

    Notes
    -----
    ``lambda = sum_ij Var(r_ij) / sum_ij r_ij**2`` over ``i != j``, the variance of each correlation estimated
    from its scatter between days: the slots of one day are not independent, so that a day counts once. With
    weights the number of days is ``(sum w)**2 / sum w**2``.

    References
    ----------
    .. [1] Schaefer, J.; Strimmer, K. (2005). "A shrinkage approach to large-scale covariance matrix
       estimation and implications for functional genomics". Statistical Applications in Genetics and
       Molecular Biology 4 (1), article 32, table 2 (target D).
    """
    raw, square = np.zeros((len(unit), len(unit))), np.zeros((len(unit), len(unit)))
    for day, part in enumerate(weight):
        product = unit[:, day] @ unit[:, day].T
        raw += part * product
        square += part * product**2
    total = float(weight.sum())
    days = total**2 / float((weight**2).sum()) if weight.size else 0.0
    off = ~np.eye(len(unit), dtype=np.bool_)
    signal = float((raw[off] ** 2).sum())
    shrinkage = 1.0
    if days > 2.0 and signal > 0.0:
        noise = float(np.maximum(total * square - raw**2, 0.0)[off].sum()) / (days - 1.0)
        shrinkage = min(1.0, noise / signal)
    correlation = (1.0 - shrinkage) * raw
    np.fill_diagonal(correlation, 1.0)
    return correlation, shrinkage
