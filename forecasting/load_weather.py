"""Whether a load follows the outdoor temperature, by what it would have gained on past days.

A temperature forecast helps where people heat and cool, and is noise elsewhere: a forest of a few dozen days
finds patterns in anything. So the past is asked first.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray

__all__ = ["LEAST_GAIN", "temperature_gain"]

LEAST_GAIN: Final = 0.1  # of the error of a day's mean; loads without heating or cooling: -0.08 to 0.06
JUDGED_DAYS: Final = 120  # newest days on which the gain is measured
FEWEST_JUDGED: Final = 60
FEWEST_LEARNED: Final = 20
LIKE_DAYS: Final = 4  # days of the same type with which a day is compared
HEATING_C, COOLING_C = 14.0, 22.0  # daily means beyond which is heated and cooled: ours
PENALTY: Final = 3.0  # of the ridge, in days


def temperature_gain(load_kw: FloatArray, outdoor_c: FloatArray, rest: BoolArray) -> float | None:
    """Share of the error of a day's mean load that its temperature would have saved. [-]

    Parameters
    ----------
    load_kw, outdoor_c : ndarray, shape (n,)
        Mean of each whole day, NaN where it is not known. [kW], [degC]
    rest : ndarray of bool, shape (n,)
        Whether each day is one of rest.

    Returns
    -------
    float or None
        At most 1, below 0 where temperature misleads; None if fewer than 60 days can be judged.

    Notes
    -----
    ``1 - mean|r - x b| / mean|r|`` with ``r`` the load minus the mean of the last four like days that were
    over the day before, ``x`` the heating and cooling degrees minus theirs, and ``b`` a ridge regression on
    the days before; walking forward over the last 120 days.
    """
    degrees = np.stack(
        [np.maximum(HEATING_C - outdoor_c, 0.0), np.maximum(outdoor_c - COOLING_C, 0.0)], axis=1
    )
    known = ~(np.isnan(load_kw) | np.isnan(outdoor_c))
    surplus, change = np.full(len(load_kw), np.nan), np.zeros((len(load_kw), 2))
    for row in np.flatnonzero(known):
        like = np.flatnonzero(known[: max(0, row - 1)] & (rest[: max(0, row - 1)] == rest[row]))[-LIKE_DAYS:]
        if like.size == LIKE_DAYS:
            surplus[row] = load_kw[row] - load_kw[like].mean()
            change[row] = degrees[row] - degrees[like].mean(axis=0)
    change /= np.maximum(degrees[known].std(axis=0), 1.0) if known.any() else 1.0
    plain, told = [], []
    rows = np.flatnonzero(~np.isnan(surplus))
    for row in rows[rows >= len(load_kw) - JUDGED_DAYS]:
        past = rows[rows < row - 1]
        if past.size < FEWEST_LEARNED:
            continue
        x = change[past]
        slopes = np.linalg.solve(x.T @ x + PENALTY * np.eye(2), x.T @ surplus[past])
        plain.append(abs(surplus[row]))
        told.append(abs(surplus[row] - change[row] @ slopes))
    if len(plain) < FEWEST_JUDGED or sum(plain) <= 0.0:
        return None
    return 1.0 - float(np.mean(told) / np.mean(plain))
