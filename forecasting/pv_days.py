"""The sun of tomorrow and later, learned by whole days: the day-ahead engine on an array's own meter.

From two months of history on, two forests on a regression of several planes (:mod:`forecasting.pv_day`) know
a roof better than its physics with a factor per slot (docs/explanation/forecasts.md has the measurement).
Today, new arrays and snow stay with :mod:`forecasting.pv`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import JST, SLOTS_PER_DAY, jst_midnight
from forecasting.dayahead import MAX_DAYS, learn, least_days
from forecasting.days import DayKinds, day_and_slot, to_days
from forecasting.panel import Panel
from forecasting.pv_learning import LEVELS, History, Place
from forecasting.pv_physics import PvWeather

__all__ = ["LEAST_DAYS", "PvDays", "days_of"]

LEAST_DAYS = 60  # usable days; at 30 both methods are level
USABLE_SLOTS = 36  # a day with more than six hours missing or held back is no example


@dataclass(frozen=True, slots=True, kw_only=True)
class PvDays:
    """Whole days of an array's past, and what is said of the next ones.

    Parameters
    ----------
    first_day : date
        Japanese date of row 0.
    actual_kw : ndarray, shape (n, 48)
        Metered power, NaN where it is missing, was held back or lay under snow. [kW]
    ghi, temp_c : ndarray, shape (n, 48)
        Forecasts that were in force: global irradiance [W/m2], air temperature [degC].
    """

    place: Place
    first_day: date
    actual_kw: FloatArray
    ghi: FloatArray
    temp_c: FloatArray
    _said: dict[tuple[date, int], FloatArray] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, place: Place, history: History, weather: PvWeather) -> PvDays | None:
        """The whole days of a history; None if they are too few."""
        grid = history.sky.grid
        last = grid.end.astimezone(JST).date()
        first = max(grid.start.astimezone(JST).date(), last - timedelta(days=MAX_DAYS))
        count = (last - first).days
        told = Series(grid, np.where(history.told, history.actual_kw, np.nan), Unit.KW)
        actual = to_days(told, first, count)
        ghi, temp_c = _weather(weather, first, count)
        usable = ((~np.isnan(actual)).sum(axis=1) >= USABLE_SLOTS) & ~np.isnan(ghi).any(axis=1)
        if usable.sum() < LEAST_DAYS:
            return None
        return cls(place=place, first_day=first, actual_kw=actual, ghi=ghi, temp_c=temp_c)

    def quantiles(self, day: date, weather: PvWeather) -> FloatArray | None:
        """P10, P50 and P90 of one day, shape (3, 48); None if its weather is not known to its end. [kW]

        Parameters
        ----------
        day : date
            After the last day learned from.
        weather : PvWeather
            Forecasts in force, for the day and those since the last one learned from.
        """
        row, known = (day - self.first_day).days, len(self.actual_kw)
        if row < known or known < least_days(row - known + 1):
            return None
        ghi, temp_c = (
            np.where(np.isnan(now), np.vstack([past, np.full((row + 1 - known, SLOTS_PER_DAY), np.nan)]), now)
            for past, now in zip(
                (self.ghi, self.temp_c), _weather(weather, self.first_day, row + 1), strict=True
            )
        )
        if np.isnan(ghi[known:]).any() or np.isnan(temp_c[known:]).any():
            return None
        key = (day, hash((ghi.tobytes(), temp_c.tobytes())))
        if key not in self._said:
            for old in [one for one in self._said if one[0] == day]:
                del self._said[old]
            self._said[key] = self._learned(row, ghi, temp_c)
        return self._said[key]

    def _learned(self, row: int, ghi: FloatArray, temp_c: FloatArray) -> FloatArray:
        known = len(self.actual_kw)
        ahead = np.full((row + 1 - known, SLOTS_PER_DAY), np.nan)
        panel = Panel(
            kind="pv",
            start=jst_midnight(self.first_day),
            actual=np.vstack([self.actual_kw, ahead]),
            days=DayKinds.of(SiteCalendar(national_holidays=False), self.first_day, row + 1),
            lead=row - known + 1,
            issue_slot=SLOTS_PER_DAY,
            forecast_weather={"ghi_w_m2": ghi, "temp_c": temp_c},
            capacity=self.place.array.inverter_kw,
            latitude=self.place.latitude,
            longitude=self.place.longitude,
        )
        return learn(panel, row).quantiles(LEVELS)


def _weather(weather: PvWeather, first: date, count: int) -> tuple[FloatArray, FloatArray]:
    """Irradiance and temperature as days, NaN where the forecast is silent."""
    return (
        to_days(Series(weather.grid, weather.ghi, Unit.W_PER_M2), first, count),
        to_days(Series(weather.grid, weather.temp_c, Unit.CELSIUS), first, count),
    )


def days_of(grid: Grid) -> list[tuple[date, slice, slice]]:
    """The Japanese days of a grid: date, slots of the grid, slots of the day."""
    out, at = [], 0
    while at < grid.count:
        day, slot = day_and_slot(grid.time(at))
        count = min(SLOTS_PER_DAY - slot, grid.count - at)
        out.append((day, slice(at, at + count), slice(slot, slot + count)))
        at += count
    return out
