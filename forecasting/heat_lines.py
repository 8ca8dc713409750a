"""The lines of the heat regression, per half hour, with bands from the errors they made walking forward."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.series import FloatArray, Grid, Series
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import BoolArray, DayKinds, IntArray, day_and_slot, to_days
from forecasting.heat_design import Balance, hinges, inert, like_days_mean, solve_slots
from forecasting.quantiles import weighted_quantiles

__all__ = ["HeatLines"]

LEVELS: Final = np.array([0.1, 0.5, 0.9])
LAST_KNOWN: Final = 2  # at noon of the day before, the newest whole day is two days back
ERROR_HALF_LIFE: Final = 45.0  # days
ERROR_DAYS: Final = 120
LEVEL_WIDTH: Final = 0.3  # of the kernel on the forecast level, relative
LEVEL_FLOOR: Final = 0.05  # of the highest power: levels below it are alike
OTHER_KIND: Final = 0.3  # weight of an error on a day of rest for a working day
REFIT_DAYS: Final = 7
FEWEST_FIT_DAYS: Final = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatLines:
    """One line per half hour, in differences from what like days needed at what they felt.

    Parameters
    ----------
    first : date
        Japanese day of row 0.
    power, outdoor, felt : ndarray, shape (n_days, 48)
        History. [kW], [degC]
    coefficients : ndarray, shape (48, n_inputs)
        Of the newest fit.
    errors, forecasts : ndarray, shape (n_days, 48)
        Of the walk through the past, NaN where it had not begun. [kW]
    physics : ndarray, shape (n_days, 48), or None
        What the rooms' physics says of the history, one more input; None if they are not described. [kW]
    """

    calendar: SiteCalendar
    first: date
    power: FloatArray
    outdoor: FloatArray
    felt: FloatArray
    balance: Balance
    inertia_h: float
    coefficients: FloatArray
    errors: FloatArray
    forecasts: FloatArray
    physics: FloatArray | None = None

    @classmethod
    def fit(
        cls,
        power: FloatArray,
        outdoor: FloatArray,
        *,
        calendar: SiteCalendar,
        first: date,
        balance: Balance,
        inertia_h: float,
        physics: FloatArray | None = None,
    ) -> HeatLines:
        """Walk forward through the history, then fit on all of it."""
        felt = inert(outdoor.ravel(), inertia_h).reshape(outdoor.shape)
        kinds = DayKinds.of(calendar, first, len(power))
        rows = np.arange(len(power))
        x = _inputs(power, _degrees(outdoor, felt, balance, physics), kinds, last=rows - LAST_KNOWN)
        forecasts = np.full_like(power, np.nan)
        begin = max(FEWEST_FIT_DAYS + LAST_KNOWN, len(power) - ERROR_DAYS)
        for start in range(begin, len(power), REFIT_DAYS):
            known = slice(0, start - LAST_KNOWN + 1)
            line = solve_slots(x[known], power[known], start - rows[known].astype(np.float64))
            week = slice(start, start + REFIT_DAYS)
            forecasts[week] = np.einsum("dsi,si->ds", x[week], line)
        forecasts = np.clip(forecasts, 0.0, None)
        return cls(
            calendar=calendar,
            first=first,
            power=power,
            outdoor=outdoor,
            felt=felt,
            balance=balance,
            inertia_h=inertia_h,
            coefficients=solve_slots(x, power, len(power) - rows.astype(np.float64)),
            errors=power - forecasts,
            forecasts=forecasts,
            physics=physics,
        )

    def predict(self, outdoor_c: Series, grid: Grid, *, physics: Series | None = None) -> FloatArray:
        """P10, P50 and P90 on slots that follow the history, shape (3, grid.count). [kW]

        Parameters
        ----------
        outdoor_c : Series
            From a day or more before the grid to its end, without gaps: measured, then forecast. [degC]
        physics : Series, optional
            What the rooms' physics says over the same slots; needed if the fit had it. [kW]
        """
        day, slot, rest, past_rest = self._places(grid)
        level = self.levels(outdoor_c, grid, physics=physics)
        return self._band(level, slot, rest[day], past_rest)

    def levels(self, outdoor_c: Series, grid: Grid, *, physics: Series | None = None) -> FloatArray:
        """The lines alone, without their band, shape (grid.count,). [kW]"""
        day, slot, rest, _ = self._places(grid)
        known, count = len(self.power), len(rest)

        def extended(past: FloatArray, given: Series | None) -> FloatArray:
            out = np.vstack([past, np.full((count - known, SLOTS_PER_DAY), np.nan)])
            new = np.full_like(out, np.nan) if given is None else to_days(given, self.first, count)
            return np.where(np.isnan(new), out, new)

        outdoor = extended(self.outdoor, outdoor_c)
        felt = inert(outdoor.ravel(), self.inertia_h).reshape(outdoor.shape)
        rooms = None if self.physics is None else extended(self.physics, physics)
        kinds = DayKinds.of(self.calendar, self.first, count)
        last = np.minimum(np.arange(count) - 1, known - 1)
        x = _inputs(
            extended(self.power, None), _degrees(outdoor, felt, self.balance, rooms), kinds, last=last
        )
        level = np.einsum("ki,ki->k", x[day, slot], self.coefficients[slot])
        return np.asarray(np.maximum(level, 0.0), dtype=np.float64)

    def _places(self, grid: Grid) -> tuple[IntArray, IntArray, BoolArray, BoolArray]:
        """Day and slot of each slot wanted; whether each day rests, and each day of the history."""
        wanted = [day_and_slot(at) for at in grid.times()]
        day = np.array([(date_ - self.first).days for date_, _ in wanted], dtype=np.int64)
        slot = np.array([slot for _, slot in wanted], dtype=np.int64)
        known = len(self.power)
        rest = DayKinds.of(self.calendar, self.first, max(known, int(day.max()) + 1)).rest
        return day, slot, rest, rest[:known]

    def _band(self, level: FloatArray, slot: IntArray, rest: BoolArray, past_rest: BoolArray) -> FloatArray:
        """Level plus quantiles of past errors: lately, at this time of day, on like days, at like levels."""
        recent = slice(max(0, len(self.errors) - ERROR_DAYS), None)
        errors, forecasts = self.errors[recent], self.forecasts[recent]
        age = np.arange(len(errors), 0, -1, dtype=np.float64)
        fade = 0.5 ** (age / ERROR_HALF_LIFE)
        floor = LEVEL_FLOOR * float(np.nanmax(self.power))
        out = np.empty((len(LEVELS), len(level)))
        for k, (value, place, rests) in enumerate(zip(level, slot, rest, strict=True)):
            near = (place + np.arange(-1, 2)) % SLOTS_PER_DAY
            found, at = errors[:, near], forecasts[:, near]
            apart = (at - value) / (LEVEL_WIDTH * np.maximum(value, floor))
            weight = np.exp(-0.5 * apart**2) + 0.02
            weight *= (fade * np.where(past_rest[recent] == rests, 1.0, OTHER_KIND))[:, None]
            weight[:, [0, 2]] *= 0.5
            good = ~np.isnan(found)
            if not good.any():
                out[:, k] = value
                continue
            out[:, k] = value + weighted_quantiles(found[good][:, None], weight[good][:, None], LEVELS)[:, 0]
        return np.sort(np.clip(out, 0.0, None), axis=0)


def _degrees(
    outdoor: FloatArray, felt: FloatArray, balance: Balance, physics: FloatArray | None
) -> list[FloatArray]:
    """What drives the need: degrees beyond the balance temperatures, and the physics of the rooms."""
    return [*hinges(outdoor, felt, balance), *([] if physics is None else [physics])]


def _inputs(power: FloatArray, degrees: list[FloatArray], kinds: DayKinds, *, last: IntArray) -> FloatArray:
    """Inputs of the lines, shape (n_days, 48, n_inputs).

    The level of like days; for each driver its value, on working days and on days of rest, and what it was
    on those like days; and one constant per kind of day.
    """
    usual = like_days_mean(power, kinds.kind, kinds.rest, last=last)
    works = np.where(kinds.rest, 0.0, 1.0)[:, None]
    columns = [usual]
    for driver in degrees:
        then = like_days_mean(driver, kinds.kind, kinds.rest, last=last)
        columns += [driver * works, driver * (1.0 - works), then * works, then * (1.0 - works)]
    every = np.ones(SLOTS_PER_DAY)
    columns += [np.outer((kinds.kind == kind).astype(np.float64), every) for kind in range(4)]
    return np.stack(columns, axis=2)
