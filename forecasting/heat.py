"""How much electricity, and how much heat or cold, rooms need to stay in their comfort band.

From a site's own meter of its air conditioners and the outdoor temperature: for each half hour of the day a
line over the degrees beyond a balance temperature, with the building's inertia, around what like days needed
lately. Before there are two weeks of it, physics of the rooms speaks (:mod:`forecasting.heat_physics`), and
says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from energy.core.assets import HvacZone
from energy.core.clock import require_aware
from energy.core.errors import DataError, ForecastError, GapError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import CalendarRules, Season
from energy.core.slots import JST, SLOT_HOURS, jst_midnight
from forecasting.days import DayKinds, local_first_day, require_past, require_slots, to_days
from forecasting.heat_design import find_balance, inert
from forecasting.heat_lines import HeatLines
from forecasting.heat_physics import heat_need_kw, physics_band_kw

__all__ = ["FittedHeat", "HeatForecast", "HeatModel"]

ENOUGH_DAYS: Final = 14  # whole days from which the meter speaks
SCALE_DAYS: Final = 3  # whole days from which it scales the physics
HISTORY_DAYS: Final = 400
WARM_UP_DAYS: Final = 2  # of outdoor temperature before the first slot wanted
USUAL_INERTIA_H: Final = 12.0  # of a building of which nothing is known
HOTTEST_C: Final = 56.7  # Death Valley 1913, the highest air temperature on record (WMO)
WARMEST_MEDIAN_C: Final = 38.0  # no inhabited place has such a median over weeks
TOO_STRONG: Final = 3.0  # times the nameplate: the meter counts watts
TOO_WEAK: Final = 0.003  # of the nameplate at the busiest hours: the meter counts megawatts
_SCALES: Final = (0.5, 2.0)  # how far the meter may move the physics


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatForecast:
    """The need of the rooms together.

    Parameters
    ----------
    electric_kw : QuantileForecast
        Mean electric power of each slot. [kW]
    thermal_kwh : QuantileForecast or None
        Heat moved in each slot, into rooms when heating and out of them when cooling, >= 0; None if the
        rooms' COP is not known. [kWh]
    """

    electric_kw: QuantileForecast
    thermal_kwh: QuantileForecast | None

    def electric_kwh(self) -> FloatArray:
        """P10, P50 and P90 of the electric energy of each slot, shape (3, slots). [kWh]"""
        one = self.electric_kw
        return np.stack([one.p10, one.p50, one.p90]) * one.grid.hours


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatModel:
    """Settings of the forecast.

    Parameters
    ----------
    rules : CalendarRules
        Working days of the site, and its months of cooling and heating.
    max_kw : float
        Nameplate of the air conditioners behind the meter, together. [kW]
    zones : tuple of HvacZone
        The rooms they serve; without them there is no cold start and no thermal energy.
    """

    rules: CalendarRules
    max_kw: float
    zones: tuple[HvacZone, ...] = ()

    @property
    def inertia_h(self) -> float:
        """Time constant of the building: that of its rooms, or 12 h. [h]"""
        if not self.zones:
            return USUAL_INERTIA_H
        hours = [zone.capacitance_kwh_per_k / zone.loss_kw_per_k for zone in self.zones]
        return float(np.clip(np.median(hours), 3.0, 48.0))

    def fit(
        self,
        power_kw: Series | None,
        outdoor_c: Series | None,
        *,
        issued_at: datetime,
        ghi_w_m2: Series | None = None,
    ) -> FittedHeat:
        """Learn from the past.

        Parameters
        ----------
        power_kw : Series or None
            Metered power of the air conditioners on slots; None before there is a meter. [kW]
        outdoor_c : Series or None
            Measured outdoor temperature on slots, over the same days. [degC]
        ghi_w_m2 : Series or None
            Irradiance on the same days for the physics of the rooms; darkness unless given, and then none
            must be given to the forecast either. [W/m2]

        Raises
        ------
        ForecastError
            If a value is from the future, there is too little history and no room to fall back on, or the
            power never changes.
        DataError
            If the temperature looks like Fahrenheit or kelvin, or the power like watts or megawatts.
        """
        issued = require_aware(issued_at)
        if power_kw is None or outdoor_c is None:
            return self._physics(issued, 0, 1.0)
        for series, name in ((power_kw, "the power of the air conditioners"), (outdoor_c, "the temperature")):
            require_slots(series.grid, name)
            require_past(series, issued, name)
        check_temperature(outdoor_c)
        check_power(power_kw, self.max_kw)
        today = issued.astimezone(JST).date()
        first = max(local_first_day(power_kw), today - timedelta(days=HISTORY_DAYS))
        count = (today - first).days
        power = to_days(power_kw, first, count)
        outdoor = to_days(outdoor_c, first, count)
        past = _History(first, power, outdoor, None if ghi_w_m2 is None else to_days(ghi_w_m2, first, count))
        whole = int((~np.isnan(power + outdoor)).all(axis=1).sum())
        if whole < ENOUGH_DAYS:
            return self._physics(issued, whole, self._scale(past, whole))
        if float(np.nanmax(power) - np.nanmin(power)) <= 1e-6:
            raise ForecastError(
                "the power of the air conditioners never changes",
                where=f"{float(np.nanmin(power)):g} kW on {whole} days",
                hint="check the meter; forecast without it until it counts (power_kw=None)",
            )
        return FittedHeat.learn(self, past, issued)

    def _physics(self, issued: datetime, whole: int, scale: float) -> FittedHeat:
        if not self.zones:
            raise ForecastError(
                "too little history for the heat need",
                where=f"{whole} whole days of power and temperature are known, {ENOUGH_DAYS} are needed",
                hint="describe the rooms (zones), so that physics can speak until then",
            )
        return FittedHeat(model=self, issued_at=issued, whole_days=whole, scale=scale)

    def _scale(self, past: _History, whole: int) -> float:
        """Metered energy over that of the physics on the whole days, within limits. [-]"""
        if whole < SCALE_DAYS or not self.zones:
            return 1.0
        power, physics = past.power.ravel(), self.rooms_kw(past).ravel()
        known = ~np.isnan(power)
        usual = float(physics[known].sum())
        return float(np.clip(power[known].sum() / usual, *_SCALES)) if usual > 0.0 else 1.0

    def rooms_kw(self, past: _History) -> FloatArray:
        """What the physics of all rooms says of a history, shape (n_days, 48). [kW]"""
        outdoor = past.outdoor.ravel()
        filled = np.where(np.isnan(outdoor), inert(outdoor, self.inertia_h), outdoor)
        sun = np.zeros_like(filled) if past.ghi is None else np.nan_to_num(past.ghi.ravel())
        grid = Grid(jst_midnight(past.first), filled.size)
        total = np.zeros_like(filled)
        for zone in self.zones:
            total += heat_need_kw(zone, self.rules, grid, outdoor_c=filled, ghi_w_m2=sun)
        return total.reshape(past.outdoor.shape)

    def physics_kw(self, grid: Grid, outdoor_c: FloatArray, ghi_w_m2: FloatArray) -> FloatArray:
        """P10, P50, P90 of all rooms by physics; their bands are added, as if they erred together. [kW]"""
        total = np.zeros((3, grid.count))
        for zone in self.zones:
            total += physics_band_kw(zone, self.rules, grid, outdoor_c=outdoor_c, ghi_w_m2=ghi_w_m2)
        return total


@dataclass(frozen=True, slots=True)
class _History:
    """Whole days before the issue: power [kW], outdoor temperature [degC], irradiance [W/m2]."""

    first: date
    power: FloatArray
    outdoor: FloatArray
    ghi: FloatArray | None


def check_temperature(outdoor_c: Series) -> None:
    """Refuse temperatures that are not degrees Celsius.

    Raises
    ------
    DataError
        If their unit says otherwise, or nobody lives where it is so hot or cold.
    """
    known = outdoor_c.values[~np.isnan(outdoor_c.values)]
    middle = float(np.median(known)) if known.size else 0.0
    hottest = float(known.max()) if known.size else 0.0
    if outdoor_c.unit is not Unit.CELSIUS:
        raise DataError("the temperature is not in degC", where=f"its unit is {outdoor_c.unit}")
    if middle > WARMEST_MEDIAN_C or hottest > HOTTEST_C:
        guess = "kelvin" if middle > 200.0 else "degrees Fahrenheit"
        raise DataError(
            f"the outdoor temperature looks like {guess}, not degC",
            where=f"median {middle:.1f}, highest {hottest:.1f}",
            hint="convert it at the import: degC = (degF - 32) / 1.8",
        )


def check_power(power_kw: Series, max_kw: float) -> None:
    """Refuse powers that cannot be kilowatts of these air conditioners.

    Raises
    ------
    DataError
        If the unit says otherwise, the powers are negative, or a factor of a thousand off the nameplate.
    """
    known = power_kw.values[~np.isnan(power_kw.values)]
    if power_kw.unit is not Unit.KW:
        raise DataError(
            "the power of the air conditioners is not in kW",
            where=f"its unit is {power_kw.unit}",
            hint="divide energies by the hours of a slot",
        )
    if not known.size:
        return
    lowest, busy = float(known.min()), float(np.quantile(known, 0.99))
    place = f"99 % of the values are below {busy:g}, the nameplate is {max_kw:g} kW"
    if lowest < -0.02 * max_kw:
        raise DataError(
            "the power of the air conditioners is negative",
            where=f"{lowest:g} kW",
            hint="consumption is positive: turn the sign at the import",
        )
    if busy > TOO_STRONG * max_kw:
        raise DataError("the power looks like watts, not kW", where=place, hint="set scale: 0.001")
    if 0.0 < busy < TOO_WEAK * max_kw:
        raise DataError("the power looks like megawatts, not kW", where=place, hint="set scale: 1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedHeat:
    """What was learned up to an issue; without a regression the physics speaks."""

    model: HeatModel
    issued_at: datetime
    whole_days: int
    scale: float = 1.0
    lines: HeatLines | None = None

    @classmethod
    def learn(cls, model: HeatModel, past: _History, issued: datetime) -> FittedHeat:
        """Fit the lines, and walk through the past for their errors."""
        power, outdoor = past.power, past.outdoor
        felt = inert(outdoor.ravel(), model.inertia_h).reshape(outdoor.shape)
        kinds = DayKinds.of(model.rules.calendar(), past.first, len(power))
        lines = HeatLines.fit(
            power,
            outdoor,
            calendar=model.rules.calendar(),
            first=past.first,
            balance=find_balance((power * SLOT_HOURS).sum(axis=1), felt, kinds.rest),
            inertia_h=model.inertia_h,
            physics=model.rooms_kw(past) if model.zones else None,
        )
        whole = int((~np.isnan(power + outdoor)).all(axis=1).sum())
        return cls(model=model, issued_at=issued, whole_days=whole, lines=lines)

    @property
    def method(self) -> str:
        """Name of what speaks."""
        if self.lines is not None:
            return "heat-change-point"
        return "heat-physics-scaled" if self.whole_days >= SCALE_DAYS else "heat-physics"

    def predict(
        self,
        outdoor_c: Series,
        grid: Grid,
        *,
        ghi_w_m2: Series | None = None,
        doubt_k: FloatArray | None = None,
    ) -> HeatForecast:
        """Forecast the need on some slots.

        Parameters
        ----------
        outdoor_c : Series
            Outdoor temperature on slots, from two days before the grid to its end: measured up to the issue,
            a *forecast* from there on (:func:`forecasting.weather.outdoor_forecast_fallback` if there is no
            better). [degC]
        grid : Grid
            Slots wanted, none before the issue.
        ghi_w_m2 : Series or None
            Forecast irradiance for the physics; darkness unless given. [W/m2]
        doubt_k : ndarray, shape (grid.count,), optional
            How far the P10 and P90 of the temperature forecast lie from its middle; the past errors of the
            lines were made under measured temperatures and know nothing of it. [K]

        Raises
        ------
        ForecastError
            If the grid begins before the issue or the weather was known only later.
        GapError
            If the temperature does not cover the grid.
        """
        require_slots(grid, "the slots wanted")
        require_slots(outdoor_c.grid, "the temperature")
        check_temperature(outdoor_c)
        if grid.start < self.issued_at - timedelta(minutes=30):
            raise ForecastError("a forecast of the past", where=f"from {grid.start.isoformat()}")
        if outdoor_c.known_at is not None and outdoor_c.known_at > self.issued_at:
            raise ForecastError(
                "the temperature became known after the forecast is issued",
                where=f"known at {outdoor_c.known_at.isoformat()}, issued at {self.issued_at.isoformat()}",
            )
        wide = _wide(outdoor_c, grid)
        sun = _on(ghi_w_m2, wide.grid)
        if self.lines is None:
            values = self.scale * self.model.physics_kw(wide.grid, wide.values, sun)[:, -grid.count :]
        else:
            values = self.lines.predict(wide, grid, physics=self._rooms(wide, sun))
            if doubt_k is not None:
                values = self._doubted(values, wide, grid, doubt_k, sun)
        values = np.sort(np.clip(values, 0.0, self.model.max_kw), axis=0)
        return HeatForecast(
            electric_kw=self._issued("hvac-kw", Unit.KW, grid, values),
            thermal_kwh=self._thermal(grid, wide.values[-grid.count :], values),
        )

    def _rooms(self, outdoor_c: Series, ghi_w_m2: FloatArray) -> Series | None:
        """Physics of the rooms over the temperature's grid, for a regression that was fitted with it."""
        if self.lines is None or self.lines.physics is None:
            return None
        total = np.zeros(outdoor_c.grid.count)
        for zone in self.model.zones:
            total += heat_need_kw(
                zone, self.model.rules, outdoor_c.grid, outdoor_c=outdoor_c.values, ghi_w_m2=ghi_w_m2
            )
        return Series(outdoor_c.grid, total, Unit.KW)

    def _doubted(
        self, values: FloatArray, wide: Series, grid: Grid, doubt_k: FloatArray, sun: FloatArray
    ) -> FloatArray:
        """Band widened by what the temperature's own doubt does to the lines; the errors add in squares.

        The whole course of the temperature is moved at once, because its errors last for hours.
        """
        assert self.lines is not None
        moved = []
        for side in (-1.0, 1.0):
            outdoor = np.array(wide.values)
            outdoor[-grid.count :] += side * doubt_k
            series = Series(wide.grid, outdoor, Unit.CELSIUS)
            moved.append(self.lines.levels(series, grid, physics=self._rooms(series, sun)))
        middle = self.lines.levels(wide, grid, physics=self._rooms(wide, sun))
        less = middle - np.minimum(middle, np.minimum(*moved))
        more = np.maximum(middle, np.maximum(*moved)) - middle
        low = values[1] - np.hypot(values[1] - values[0], less)
        high = values[1] + np.hypot(values[2] - values[1], more)
        return np.stack([low, values[1], high])

    def _thermal(self, grid: Grid, outdoor_c: FloatArray, electric_kw: FloatArray) -> QuantileForecast | None:
        """Electric energy times the rooms' mean COP, weighted by the size of their units."""
        if not self.model.zones:
            return None
        total = sum(zone.max_electric_kw for zone in self.model.zones)
        cop = np.zeros(grid.count)
        for k, at in enumerate(grid.times()):
            heats = self.model.rules.season(at.astimezone(JST).date()) is Season.HEATING
            for zone in self.model.zones:
                curve = zone.heating_cop if heats else zone.cooling_cop
                cop[k] += zone.max_electric_kw / total * curve.at(float(outdoor_c[k]))
        return self._issued("hvac-thermal-kwh", Unit.KWH, grid, electric_kw * cop * grid.hours)

    def _issued(self, target: str, unit: Unit, grid: Grid, values: FloatArray) -> QuantileForecast:
        facts: dict[str, object] = {"whole_days": self.whole_days, "scale": round(self.scale, 3)}
        if self.lines is not None:
            facts["balance_cooling_c"] = self.lines.balance.cooling_c
            facts["balance_heating_c"] = self.lines.balance.heating_c
        return QuantileForecast(
            target=target,
            issued_at=self.issued_at,
            grid=grid,
            unit=unit,
            p10=values[0],
            p50=values[1],
            p90=values[2],
            model=self.method,
            facts=facts,
        )


def _wide(outdoor_c: Series, grid: Grid) -> Series:
    """Temperature from two days before the grid to its end, gaps before the grid filled by what is felt."""
    wanted = jst_midnight(grid.start.astimezone(JST).date() - timedelta(days=WARM_UP_DAYS))
    start = max(outdoor_c.grid.start, wanted)
    if outdoor_c.grid.end < grid.end or start > grid.start:
        raise GapError(
            "the outdoor temperature does not cover the slots wanted",
            where=f"it reaches from {outdoor_c.grid.start.isoformat()} to {outdoor_c.grid.end.isoformat()}",
            hint="continue it with forecasting.weather.outdoor_forecast_fallback, which says its name",
        )
    cut = outdoor_c.between(start, grid.end)
    cut.between(grid.start, grid.end).require_complete("the outdoor temperature of the slots wanted")
    felt = inert(cut.values, USUAL_INERTIA_H)
    return Series(cut.grid, np.where(np.isnan(cut.values), felt, cut.values), Unit.CELSIUS, cut.known_at)


def _on(series: Series | None, grid: Grid) -> FloatArray:
    """Values on a grid, 0 where there is none."""
    out = np.zeros(grid.count)
    if series is not None:
        offset = (series.grid.start - grid.start) // grid.step
        begin, stop = max(0, offset), min(grid.count, offset + series.grid.count)
        if begin < stop:
            out[begin:stop] = np.nan_to_num(series.values[begin - offset : stop - offset])
    return out
