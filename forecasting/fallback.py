"""Rules of thumb with a band of their own: what a model is measured against, and what stands in for it.

They need no learning, follow any history, and are named in every forecast they make.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from energy.core.clock import require_aware
from energy.core.errors import ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY
from forecasting.baselines import Baseline, baseline
from forecasting.days import require_slots

__all__ = ["RECENT_DAYS_RULE", "SAME_WEEKDAY_RULE", "recent_days_forecast", "same_weekday_forecast"]

SAME_WEEKDAY_RULE = "same-weekday-mean"
RECENT_DAYS_RULE = "recent-days"

ERROR_DAYS = 56  # eight weeks of own errors give the band, as in forecasting.score
SUN_DAYS = 28  # long enough for a quantile, short enough for the season
FEW = 7  # fewer errors, or days, than this make no quantile
_WEEK = 7 * SLOTS_PER_DAY
_LOW, _HIGH = 0.1, 0.9


def same_weekday_forecast(
    history: Series, grid: Grid, *, issued_at: datetime, target: str = "demand_kw"
) -> QuantileForecast:
    """Mean of the same slot on the four same weekdays before, with the band of its own past errors.

    Parameters
    ----------
    history : Series
        Load on slots, NaN where missing; values of slots that end after ``issued_at`` are never read. [kW]
    grid : Grid
        Slots wanted.
    issued_at : datetime
        When the forecast is made.

    Returns
    -------
    QuantileForecast
        Model ``same-weekday-mean``. Where no same weekday is known the mean of that time of day on the last
        28 days stands in; ``facts["stand_in_slots"]`` counts these slots.

    Raises
    ------
    ForecastError
        If some time of day is not known on any of the last 28 days.

    Notes
    -----
    ``P50[t] = mean(y[t - 7 d], ..., y[t - 28 d])``; ``P10, P90 = P50 + quantile(e, 0.1 or 0.9)`` with ``e``
    the errors of this very rule in the last eight weeks at the same time of day and half an hour around it.
    With fewer than seven errors the band is our assumption: 0 and twice P50.
    """
    issued = require_aware(issued_at)
    known, first = _known(history, grid, issued)
    p50 = baseline(Baseline.FOUR_WEEKS, history, grid, issued_at=issued)
    slots = (_phase(grid.start) + np.arange(grid.count)) % SLOTS_PER_DAY
    silent = np.isnan(p50)
    if silent.any():
        table = _by_slot(known, first, SUN_DAYS)
        p50 = np.where(silent, _mean(table)[slots], p50)
    if np.isnan(p50).any():
        raise _too_little(target, SAME_WEEKDAY_RULE, issued)
    low, high = _error_band(known, first)
    assumed = np.isnan(low[slots])
    p10 = np.where(assumed, 0.0, np.maximum(p50 + np.minimum(low[slots], 0.0), 0.0))
    p90 = np.where(assumed, 2.0 * p50, p50 + np.maximum(high[slots], 0.0))
    return QuantileForecast(
        target=target,
        issued_at=issued,
        grid=grid,
        unit=Unit.KW,
        p10=np.minimum(p10, p50),
        p50=p50,
        p90=p90,
        model=SAME_WEEKDAY_RULE,
        facts={"stand_in_slots": int(silent.sum()), "assumed_band_slots": int(assumed.sum())},
    )


def recent_days_forecast(
    history: Series, grid: Grid, *, issued_at: datetime, target: str = "generation_kw"
) -> QuantileForecast:
    """Quantiles of what the same slot of the day gave on the last 28 days: the rule of thumb for the sun.

    Parameters
    ----------
    history : Series
        Metered generation on slots, NaN where missing or curtailed. [kW]

    Raises
    ------
    ForecastError
        If some slot of the day is known on fewer than seven of the last 28 days.
    """
    issued = require_aware(issued_at)
    known, first = _known(history, grid, issued)
    table = _by_slot(known, first, SUN_DAYS)
    if (~np.isnan(table)).sum(axis=0).min(initial=FEW) < FEW:
        raise _too_little(target, RECENT_DAYS_RULE, issued)
    slots = (_phase(grid.start) + np.arange(grid.count)) % SLOTS_PER_DAY
    p10, p50, p90 = np.nanquantile(table, (_LOW, 0.5, _HIGH), axis=0)[:, slots]
    return QuantileForecast(
        target=target,
        issued_at=issued,
        grid=grid,
        unit=Unit.KW,
        p10=p10,
        p50=p50,
        p90=p90,
        model=RECENT_DAYS_RULE,
        facts={"days": int((~np.isnan(table)).any(axis=1).sum())},
    )


def _known(history: Series, grid: Grid, issued: datetime) -> tuple[FloatArray, int]:
    """Values of slots that are over, and the slot of the UTC day in which they begin."""
    require_slots(history.grid, "the history")
    require_slots(grid, "the forecast grid")
    count = min(history.grid.count, max(0, (issued - history.grid.start) // SLOT_LENGTH))
    return history.values[:count], _phase(history.grid.start)


def _phase(instant: datetime) -> int:
    """Number of the slot in its UTC day; any fixed zone without daylight saving would do."""
    midnight = instant.replace(hour=0, minute=0, second=0, microsecond=0)
    return (instant - midnight) // timedelta(minutes=30)


def _by_slot(values: FloatArray, phase: int, days: int) -> FloatArray:
    """The last days, shape (days, 48), columns by slot of the UTC day; NaN where nothing is known."""
    tail = values[-days * SLOTS_PER_DAY :]
    out = np.full(days * SLOTS_PER_DAY, np.nan)
    out[out.size - tail.size :] = tail
    begin = (phase + values.size) % SLOTS_PER_DAY  # slot of the day after the last value, and of the first
    return np.roll(out.reshape(days, SLOTS_PER_DAY), begin, axis=1)


def _mean(table: FloatArray) -> FloatArray:
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    return np.where(count > 0, np.nan_to_num(table).sum(axis=0) / np.maximum(count, 1), np.nan)


def _error_band(values: FloatArray, phase: int) -> tuple[FloatArray, FloatArray]:
    """P10 and P90 of the rule's own errors by slot of the UTC day, shape (48,); NaN where there are few."""
    at = np.arange(max(0, values.size - ERROR_DAYS * SLOTS_PER_DAY), values.size)
    lags = np.full((4, at.size), np.nan)
    for k in range(4):
        before = at - (k + 1) * _WEEK
        inside = before >= 0
        lags[k, inside] = values[before[inside]]
    table = _by_slot(values[at] - _mean(lags), phase + int(at[0]) if at.size else phase, ERROR_DAYS)
    near = np.concatenate([np.roll(table, shift, axis=1) for shift in (-1, 0, 1)])
    few = (~np.isnan(near)).sum(axis=0) < FEW
    low, high = np.nanquantile(np.where(few, 0.0, near), (_LOW, _HIGH), axis=0)
    return np.where(few, np.nan, low), np.where(few, np.nan, high)


def _too_little(target: str, rule: str, issued: datetime) -> ForecastError:
    return ForecastError(
        f"too little is known of {target} for a rule of thumb",
        where=f"{rule} at {issued.isoformat()}: some time of day is hardly known in the last {SUN_DAYS} days",
        hint="check the meter and the import (vpp data gaps)",
    )
