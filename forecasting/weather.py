"""Outdoor temperature when no weather forecast is known: a named fallback, never a silent one."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np

from energy.core.clock import require_aware
from energy.core.errors import AlignmentError, ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import day_and_slot, local_first_day, require_past, require_slots, to_days

__all__ = ["outdoor_forecast_fallback"]

USUAL_DAYS = 10  # days whose mean is the usual course of the day
STALE_HOURS = 24.0  # an older reading says nothing about the departure from the usual
# Autocorrelation of the hourly departure from the mean of the ten days before, in the standard year of
# Aizuwakamatsu (builelib 1.1.4, station 292): 0.41 after 24 h, 0.25 after 36 h, 0.14 after 48 h.
FADE_HOURS = 26.0  # exp(-24 / 26) = 0.40, exp(-48 / 26) = 0.16
_NORMAL_P90 = 1.282  # standard normal


def outdoor_forecast_fallback(measured_c: Series, grid: Grid, *, issued_at: datetime) -> QuantileForecast:
    """Outdoor temperature by persistence: the usual course of the last days, moved by the latest departure.

    Parameters
    ----------
    measured_c : Series
        Measured outdoor temperature on slots, NaN where missing; the last ten days are used. [degC]
    grid : Grid
        Slots wanted.
    issued_at : datetime
        Nothing measured later is used.

    Returns
    -------
    QuantileForecast
        Model ``outdoor-persistence``, or ``outdoor-usual-day`` if the newest reading is over a day old.

    Raises
    ------
    ForecastError
        If a value is from the future, or not one day of values is known.

    Notes
    -----
    ``P50[t] = usual[slot(t)] + departure * exp(-lead / 26 h)``, with ``departure`` the mean of the last three
    hours' readings minus the usual; ``P10, P90 = P50 -+ 1.282 * s * sqrt(1 - exp(-2 lead / 26 h))`` as in a
    first-order autoregression, with ``s`` the spread of the last days around the usual (at least 1 K).
    """
    issued = require_aware(issued_at)
    _check(measured_c, grid, issued)
    usual, spread = _usual(measured_c, issued)
    departure, newest = _departure(measured_c, usual)
    fresh = (issued - newest) / timedelta(hours=1) <= STALE_HOURS
    first_h = (grid.start - newest) / timedelta(hours=1)
    lead_h = np.maximum(first_h + 0.5 * (0.5 + np.arange(grid.count)), 0.0)
    wanted = (day_and_slot(grid.start)[1] + np.arange(grid.count)) % SLOTS_PER_DAY
    p50 = usual[wanted] + (departure if fresh else 0.0) * np.exp(-lead_h / FADE_HOURS)
    unsure = (
        np.sqrt(1.0 - np.exp(-2.0 * np.maximum(lead_h, 1.0) / FADE_HOURS)) if fresh else np.ones(grid.count)
    )
    half = _NORMAL_P90 * spread * unsure
    return QuantileForecast(
        target="outdoor_c",
        issued_at=issued,
        grid=grid,
        unit=Unit.CELSIUS,
        p10=p50 - half,
        p50=p50,
        p90=p50 + half,
        model="outdoor-persistence" if fresh else "outdoor-usual-day",
        facts={
            "newest": newest.isoformat(),
            "departure_k": round(departure, 2),
            "spread_k": round(spread, 2),
        },
    )


def _usual(measured_c: Series, issued: datetime) -> tuple[FloatArray, float]:
    """Mean course of the last days, and the spread around it; unseen slots lie between their neighbours."""
    first, (today, _) = local_first_day(measured_c), day_and_slot(issued)
    days = to_days(measured_c, first, (today - first).days + 1)[-USUAL_DAYS - 1 :]
    known = ~np.isnan(days)
    count = known.sum(axis=0)
    mean = np.where(known, days, 0.0).sum(axis=0) / np.maximum(count, 1)
    seen = np.flatnonzero(count > 0)
    usual = np.asarray(np.interp(np.arange(SLOTS_PER_DAY), seen, mean[seen], period=SLOTS_PER_DAY))
    return usual, max(1.0, float(np.nanstd(days - usual)))


def _departure(measured_c: Series, usual: FloatArray) -> tuple[float, datetime]:
    """Mean of the last three hours' readings minus the usual [K], and the end of the newest one."""
    known = np.flatnonzero(~np.isnan(measured_c.values))
    last = known[known > known[-1] - 6]
    slots = (day_and_slot(measured_c.grid.start)[1] + last) % SLOTS_PER_DAY
    newest = measured_c.grid.time(int(known[-1]) + 1)
    return float(np.mean(measured_c.values[last] - usual[slots])), newest


def _check(measured_c: Series, grid: Grid, issued: datetime) -> None:
    if measured_c.unit is not Unit.CELSIUS:
        raise AlignmentError("the outdoor temperature is not in degC", unit=measured_c.unit)
    require_slots(measured_c.grid, "the outdoor temperature")
    require_slots(grid, "the forecast grid")
    require_past(measured_c, issued, "the outdoor temperature")
    if int((~np.isnan(measured_c.values)).sum()) < SLOTS_PER_DAY:
        raise ForecastError(
            "too few outdoor temperatures to continue",
            where=f"{int((~np.isnan(measured_c.values)).sum())} values before {issued.isoformat()}",
            hint="import a weather forecast, or at least a day of measured temperature",
        )
