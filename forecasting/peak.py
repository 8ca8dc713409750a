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
from forecasting.days import BoolArray, IntArray
from forecasting.scenarios import (
    FEWEST_DAYS,
    WINDOW,
    ErrorDays,
    age_weights,
    drawn,
    midpoint_levels,
    pieces,
    quantiles_of,
    rest_days,
)

__all__ = ["PeakForecast", "daily_peak"]

# Tuned on April to June 2018 of the steel works and on months before the test windows of other series.
CARRIED = 0.75  # of the way from the level forecast then to the level forecast now
LIKENESS = 0.5  # width of the kernel on the square root of the highest P50, relative to today's
CHECKED_DAYS = 60  # the peak of each is foretold again to see what P10 and P90 have been worth
CHECKED_HALF_LIFE = 30.0  # days
CHECKED_OTHER_TYPE = 0.3
PRIOR_DAYS = 50  # days without a fault that are put beside them
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
        Number of past days, days left out, the highest P50, the levels that P10 and P90 were taken from.
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

    The tails are then calibrated: for each of the last 60 days the peak is foretold from the days before it
    and the level noted at which the actual peak lay. P10 and P90 become the levels below which a tenth and
    nine tenths of these lie, weighted by age (half-life 30 days) and day type and drawn towards 0.1 and 0.9
    as by 50 further days; the levels between move along, the median stays.
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
    past = _Past.of(errors, slots, day, calendar)
    used, level = past.day.size, midpoint_levels(COUNT)
    if used >= FEWEST_DAYS:
        rests = calendar is not None and bool(rest_days([day], calendar)[0])
        paths, weight, peak = past.distribution(day.toordinal(), rests, forecast.p50)
        low, high = past.kept_levels(day.toordinal(), rests)
        model = "peak-error-days"
    else:
        same = np.repeat(level[:, None], forecast.grid.count, axis=1)
        paths, weight = drawn(forecast, slice(None), same), np.ones(COUNT)
        peak, low, high = paths.max(axis=1), 0.1, 0.9
        model, used = "peak-comonotone", 0
    calibrated = np.interp(level, [0.0, 0.1, 0.5, 0.9, 1.0], [0.0, low, 0.5, high, 1.0])
    at = np.argmax(paths, axis=1)
    chance = np.bincount(at, weights=weight, minlength=forecast.grid.count) / weight.sum()
    given = 0 if errors is None else len(errors.days)
    return PeakForecast(
        issued_at=forecast.issued_at,
        grid=forecast.grid,
        level=level,
        peak_kw=np.maximum(np.interp(calibrated, level, peak), measured_kw),
        slot_probability=np.asarray(chance, dtype=np.float64),
        model=model,
        facts={
            "error_days": used,
            "left_out": given - used,
            "highest_p50_kw": float(forecast.p50.max()),
            "levels_taken": [round(low, 3), round(high, 3)],
            "forecast_model": forecast.model,
        },
    )


@dataclass(frozen=True, slots=True)
class _Past:
    """Complete days of the last year by ordinal, at the slots of the forecast, shape (n, slots). [kW]"""

    day: IntArray
    rest: BoolArray
    forecast_kw: FloatArray
    actual_kw: FloatArray

    @classmethod
    def of(
        cls, errors: ErrorDays | None, slots: IntArray, target: date, calendar: SiteCalendar | None
    ) -> _Past:
        if errors is None:
            nothing = np.empty((0, slots.size))
            return cls(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.bool_), nothing, nothing)
        forecast, actual = errors.forecast_kw[:, slots], errors.actual_kw[:, slots]
        oldest = target - timedelta(days=WINDOW)
        near = np.array([oldest <= past < target for past in errors.days], dtype=np.bool_)
        rows = np.flatnonzero(near & ~np.isnan(forecast - actual).any(axis=1))
        days = [errors.days[row] for row in rows]
        rest = np.zeros(rows.size, dtype=np.bool_) if calendar is None else rest_days(days, calendar)
        ordinals = np.array([past.toordinal() for past in days], dtype=np.int64)
        return cls(ordinals, rest, forecast[rows], actual[rows])

    def distribution(
        self, day: int, rests: bool, p50: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Paths at the level of a day, shape (n, slots), weights of the paths, quantiles of the peak."""
        highest, then = np.array(p50.max()), self.forecast_kw.max(axis=1)
        today = float(np.sqrt(highest))
        distance = (np.sqrt(then) - today) / max(LIKENESS * today, _TINY)
        likeness = np.exp(-0.5 * np.minimum(distance**2, _FARTHEST))
        weight = age_weights((day - self.day).astype(np.float64), self.rest == rests) * likeness
        paths = _carried(self.actual_kw, self.forecast_kw, p50)
        alone = _carried(self.actual_kw.max(axis=1), then, highest)
        peaks = np.stack([paths.max(axis=1), alone], axis=1)
        return paths, weight, quantiles_of(peaks, weight, list(midpoint_levels(COUNT))).mean(axis=1)

    def kept_levels(self, day: int, rests: bool) -> tuple[float, float]:
        """Levels of the uncalibrated distribution that have kept P10's and P90's promise lately. [-]"""
        ranks, rows = [], []
        for row in range(max(0, self.day.size - CHECKED_DAYS), self.day.size):
            before = int(np.searchsorted(self.day, self.day[row] - 1))  # the day before was not yet over
            if before < FEWEST_DAYS:
                continue
            known = _Past(
                self.day[:before], self.rest[:before], self.forecast_kw[:before], self.actual_kw[:before]
            )
            _, _, peak = known.distribution(int(self.day[row]), bool(self.rest[row]), self.forecast_kw[row])
            came = self.actual_kw[row].max()
            ranks.append(
                0.5 * (np.searchsorted(peak, came) + np.searchsorted(peak, came, side="right")) / COUNT
            )
            rows.append(row)
        if not rows:
            return 0.1, 0.9
        weight = 0.5 ** ((day - self.day[rows]) / CHECKED_HALF_LIFE)
        weight = weight * np.where(self.rest[rows] == rests, 1.0, CHECKED_OTHER_TYPE)
        days = weight.sum() ** 2 / (weight**2).sum()
        values = np.concatenate([ranks, midpoint_levels(COUNT)])
        mass = np.concatenate([weight * days / weight.sum(), np.full(COUNT, PRIOR_DAYS / COUNT)])
        low, high = quantiles_of(values[:, None], mass, (0.1, 0.9))[:, 0]
        return min(float(low), 0.5), max(float(high), 0.5)


def _carried(actual_kw: FloatArray, then_kw: FloatArray, now_kw: FloatArray) -> FloatArray:
    """Actuals brought most of the way from the level forecast then to the level forecast now. [kW]"""
    moved = np.sqrt(actual_kw) + CARRIED * (np.sqrt(now_kw) - np.sqrt(then_kw))
    return np.asarray(np.maximum(moved, 0.0) ** 2)
