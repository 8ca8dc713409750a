"""The highest half hour of a day: how high, how likely above a target, and when.

The highest value of P50 is not the peak to expect: on any day some slot ends above its P50. The peak has a
distribution of its own, made from whole past days of forecast errors.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.errors import ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid
from forecasting.days import IntArray
from forecasting.scenarios import (
    FEWEST_DAYS,
    WINDOW,
    ErrorDays,
    day_weights,
    drawn,
    midpoint_levels,
    pieces,
    quantiles_of,
)

__all__ = ["PeakForecast", "daily_peak"]

# Tuned on April to June 2018 of the steel works and on months before the test windows of other series.
CARRIED = 0.75  # of the way from the level forecast then to the level forecast now
LIKENESS = 0.5  # width of the kernel on the square root of the highest P50, relative to today's
COUNT = 199  # levels at which the distribution is kept
_TINY = 1e-9
_FARTHEST = 40.0  # squared distance: a day, however unlike, keeps a weight above 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PeakForecast:
    """Distribution of the highest half hour of a day.

    Parameters
    ----------
    issued_at : datetime
        When the forecast below it was made. UTC.
    grid : Grid
        Slots among which the peak is sought.
    level : ndarray
        Levels of the distribution, increasing. [-]
    peak_kw : ndarray, same shape
        Its quantiles. [kW]
    slot_probability : ndarray, shape (grid.count,)
        How likely the peak of these slots falls into each; sums to 1. [-]
    model : str
        ``peak-error-days``; ``peak-comonotone`` without enough past days.
    facts : dict
        Number of past days, days left out, the highest P50.
    """

    issued_at: datetime
    grid: Grid
    level: FloatArray
    peak_kw: FloatArray
    slot_probability: FloatArray
    model: str
    facts: dict[str, object]

    def quantile(self, level: float) -> float:
        """Quantile of the peak; levels beyond the outermost give the outermost. [kW]"""
        return float(np.interp(level, self.level, self.peak_kw))

    @property
    def p10(self) -> float:
        """One day in ten stays below. [kW]"""
        return self.quantile(0.1)

    @property
    def p50(self) -> float:
        """The peak to expect: half of the days stay below. [kW]"""
        return self.quantile(0.5)

    @property
    def p90(self) -> float:
        """Nine days in ten stay below. [kW]"""
        return self.quantile(0.9)

    def probability_above(self, target_kw: float) -> float:
        """How likely the peak exceeds a target demand, in [0, 1]. [-]"""
        at_most = np.searchsorted(self.peak_kw, target_kw, side="right")
        return float(1.0 - at_most / self.peak_kw.size)


def daily_peak(
    forecast: QuantileForecast,
    errors: ErrorDays | None,
    *,
    calendar: SiteCalendar | None = None,
    measured_kw: float = 0.0,
) -> PeakForecast:
    """Highest half hour of a day, from its forecast and whole past days of errors.

    Parameters
    ----------
    forecast : QuantileForecast
        Demand on the slots of one Japanese day or the rest of one, >= 0. [kW]
    errors : ErrorDays or None
        Past out-of-sample errors of the same lead; days with a missing value among the slots of ``forecast``
        are left out.
    calendar : SiteCalendar, optional
        Days of rest: errors of like days count more.
    measured_kw : float
        Highest half hour of the day so far; the peak is at least that. [kW]

    Raises
    ------
    ForecastError
        If the forecast is empty or of more than one day, or an error day is from the future.

    Notes
    -----
    On the scale of square roots, a past day with forecast ``f_d`` and actual ``y_d`` becomes the path
    ``s = (sqrt(y_d) + 0.75 (sqrt(f) - sqrt(f_d)))**2``: three quarters carried to today's level. Weights: age
    (half-life 90 days), day type, and likeness of the highest P50. The peak's quantiles are the means of
    those of ``max s`` and of ``(sqrt(max y_d) + 0.75 (sqrt(max f) - sqrt(max f_d)))**2``: the first
    exaggerates, because peaks of the forecast and of the error need not meet; the second knows no shape. With
    fewer than ten days all slots are taken to err together, by name.
    """
    errors = None if errors is None else errors.known_at(forecast.issued_at)
    cut = pieces(forecast.grid)
    if len(cut) != 1:
        raise ForecastError(
            "a daily peak needs the slots of one day",
            where=f"{forecast.grid.start.isoformat()} to {forecast.grid.end.isoformat()}",
            hint="cut the forecast at Japanese midnight (15:00 UTC)",
        )
    day, _, slots = cut[0]
    past = _Past.of(errors, slots, day)
    if len(past.days) >= FEWEST_DAYS:
        weight = day_weights(past.days, day, calendar) * past.likeness(forecast.p50)
        paths, peak = past.carried(forecast.p50, weight)
        model, used = "peak-error-days", len(past.days)
    else:
        same = np.repeat(midpoint_levels(COUNT)[:, None], forecast.grid.count, axis=1)
        paths, weight = drawn(forecast, slice(None), same), np.ones(COUNT)
        peak, model, used = paths.max(axis=1), "peak-comonotone", 0
    at = np.argmax(paths, axis=1)
    chance = np.bincount(at, weights=weight, minlength=forecast.grid.count) / weight.sum()
    given = 0 if errors is None else len(errors.days)
    return PeakForecast(
        issued_at=forecast.issued_at,
        grid=forecast.grid,
        level=midpoint_levels(COUNT),
        peak_kw=np.maximum(peak, measured_kw),
        slot_probability=np.asarray(chance, dtype=np.float64),
        model=model,
        facts={
            "error_days": used,
            "left_out": given - used,
            "highest_p50_kw": float(forecast.p50.max()),
            "forecast_model": forecast.model,
        },
    )


@dataclass(frozen=True, slots=True)
class _Past:
    """Complete days of the last year, at the slots of the forecast, shape (n, slots). [kW]"""

    days: tuple[date, ...]
    forecast_kw: FloatArray
    actual_kw: FloatArray

    @classmethod
    def of(cls, errors: ErrorDays | None, slots: IntArray, day: date) -> _Past:
        if errors is None:
            return cls((), np.empty((0, slots.size)), np.empty((0, slots.size)))
        forecast, actual = errors.forecast_kw[:, slots], errors.actual_kw[:, slots]
        oldest = day - timedelta(days=WINDOW)
        near = np.array([oldest <= past < day for past in errors.days], dtype=np.bool_)
        rows = np.flatnonzero(near & ~np.isnan(forecast - actual).any(axis=1))
        return cls(tuple(errors.days[row] for row in rows), forecast[rows], actual[rows])

    def likeness(self, p50: FloatArray) -> FloatArray:
        """How like the highest P50 of each day was to today's, in (0, 1]. [-]"""
        root, today = np.sqrt(self.forecast_kw.max(axis=1)), float(np.sqrt(p50.max()))
        distance = (root - today) / max(LIKENESS * today, _TINY)
        return np.asarray(np.exp(-0.5 * np.minimum(distance**2, _FARTHEST)))

    def carried(self, p50: FloatArray, weight: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Paths of the days at today's level, shape (n, slots), and quantiles of the peak [kW]."""
        level = midpoint_levels(COUNT)
        paths = _carried(self.actual_kw, self.forecast_kw, p50)
        highest = np.array(p50.max())
        alone = _carried(self.actual_kw.max(axis=1), self.forecast_kw.max(axis=1), highest)
        peaks = np.stack([paths.max(axis=1), alone], axis=1)
        return paths, np.asarray(quantiles_of(peaks, weight, list(level)).mean(axis=1))


def _carried(actual_kw: FloatArray, then_kw: FloatArray, now_kw: FloatArray) -> FloatArray:
    """Actuals brought most of the way from the level forecast then to the level forecast now. [kW]"""
    moved = np.sqrt(actual_kw) + CARRIED * (np.sqrt(now_kw) - np.sqrt(then_kw))
    return np.asarray(np.maximum(moved, 0.0) ** 2)
