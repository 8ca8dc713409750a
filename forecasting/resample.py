"""From one resolution to another with the energy kept."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from energy.core.errors import AlignmentError
from energy.core.series import FloatArray, Grid, Series
from forecasting.pv_physics import sun_position

__all__ = ["coarser", "finer", "finer_by_sun"]


def coarser(values: FloatArray, parts: int) -> FloatArray:
    """Mean of every ``parts`` values; missing if one of them is.

    Examples
    --------
    >>> coarser(np.array([1.0, 3.0, 5.0, np.nan]), 2)
    array([ 2., nan])
    """
    return np.asarray(values.reshape(-1, parts).mean(axis=1), dtype=np.float64)


def finer(values: FloatArray, parts: int) -> FloatArray:
    """Every value held for ``parts`` intervals: a mean power or temperature stays what it is.

    Examples
    --------
    >>> finer(np.array([2.0, 4.0]), 2)
    array([2., 2., 4., 4.])
    """
    return np.repeat(values, parts)


def finer_by_sun(mean_w_m2: Series, step: timedelta, *, latitude: float, longitude: float) -> Series:
    """Mean irradiance of long intervals as means of short ones that follow the height of the sun.

    Parameters
    ----------
    mean_w_m2 : Series
        Global horizontal irradiance, NaN where missing. [W/m2]
    step : timedelta
        Length of the short intervals; divides that of the long ones.
    latitude, longitude : float
        Place, north and east positive. [deg]

    Returns
    -------
    Series
        The mean of the parts of an interval is its value: energy is kept. [W/m2]

    Raises
    ------
    AlignmentError
        If the steps do not divide.

    Notes
    -----
    ``G[k] = G * max(sin h[k], 0) / mean(max(sin h, 0))`` with the sun's height ``h`` in the middle of each
    part; an interval in which the sun is never up is shared equally.
    """
    parts, rest = divmod(mean_w_m2.grid.step, step)
    if rest or parts < 1:
        raise AlignmentError("an interval has no whole number of parts", step=mean_w_m2.grid.step, parts=step)
    grid = Grid(mean_w_m2.grid.start, mean_w_m2.grid.count * parts, step)
    sine = sun_position(grid, latitude=latitude, longitude=longitude).elevation_sine.reshape(-1, parts)
    mean = sine.mean(axis=1, keepdims=True)  # the sine is 0 below the horizon
    share = np.where(mean > 0.0, sine / np.where(mean > 0.0, mean, 1.0), 1.0)
    return replace(mean_w_m2, grid=grid, values=(mean_w_m2.values[:, None] * share).reshape(-1))
