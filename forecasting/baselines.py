"""Forecasts that anyone can make by hand: what every model is measured against.

All of them look only at slots that had ended when the forecast was issued.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

import numpy as np

from energy.core.clock import require_aware
from energy.core.errors import ForecastError
from energy.core.series import FloatArray, Grid, Series
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY
from forecasting.days import require_slots

__all__ = ["Baseline", "baseline"]

_WEEK = 7 * SLOTS_PER_DAY


class Baseline(StrEnum):
    """Name of a baseline."""

    YESTERDAY = "yesterday"  # the same slot of the last day known
    LAST_WEEK = "last-week"  # the same slot a week before
    FOUR_WEEKS = "four-same-weekdays"  # mean of the same slot 1 to 4 weeks before


def baseline(name: Baseline, history: Series, grid: Grid, *, issued_at: datetime) -> FloatArray:
    """Forecast by a rule of thumb, in the unit of ``history``.

    Parameters
    ----------
    name : Baseline
        Which rule.
    history : Series
        Past values on slots; values of slots that end after ``issued_at`` are never read.
    grid : Grid
        Slots wanted.
    issued_at : datetime
        When the forecast is made.

    Returns
    -------
    ndarray, shape (grid.count,)
        A lag that is not yet known, or missing, is replaced by the one a period earlier (at most eight
        periods back); NaN if none is known.

    Raises
    ------
    ForecastError
        If the grid begins before ``issued_at``'s slot.
    """
    require_slots(history.grid, "the history")
    require_slots(grid, "the forecast grid")
    issued = require_aware(issued_at)
    if grid.end <= issued:
        raise ForecastError("a forecast does not look back", where=f"grid to {grid.end.isoformat()}")
    known = min(history.grid.count, max(0, (issued - history.grid.start) // SLOT_LENGTH))
    values = history.values[:known]
    first = (grid.start - history.grid.start) // SLOT_LENGTH
    at = np.arange(first, first + grid.count)
    match name:
        case Baseline.YESTERDAY:
            return _lagged(values, at, SLOTS_PER_DAY)
        case Baseline.LAST_WEEK:
            return _lagged(values, at, _WEEK)
        case Baseline.FOUR_WEEKS:
            lags = np.stack([_exactly(values, at - k * _WEEK) for k in (1, 2, 3, 4)])
            count = (~np.isnan(lags)).sum(axis=0)
            mean = np.nan_to_num(lags).sum(axis=0) / np.maximum(count, 1)
            return np.where(count > 0, mean, _lagged(values, at, _WEEK))


def _exactly(values: FloatArray, at: np.ndarray[tuple[int], np.dtype[np.int64]]) -> FloatArray:
    inside = (at >= 0) & (at < values.size)
    out = np.full(at.shape, np.nan)
    out[inside] = values[at[inside]]
    return out


def _lagged(values: FloatArray, at: np.ndarray[tuple[int], np.dtype[np.int64]], period: int) -> FloatArray:
    out = np.full(at.shape, np.nan)
    for back in range(1, 9):
        out = np.where(np.isnan(out), _exactly(values, at - back * period), out)
    return out
