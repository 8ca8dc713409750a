"""One method per target: reads what was known, fits, forecasts, and knows the rule of thumb beside it.

The desk, the registry and the drift watch work with any :class:`Method`; a new target is a new class here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

import numpy as np

from energy.core.assets import PvArray
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import JST, Slot, jst_midnight
from energy.core.units import SeriesId
from energy.store import Snapshot, Store
from forecasting.card import Availability, InputUsed
from forecasting.dayahead import MAX_DAYS
from forecasting.days import BoolArray
from forecasting.demand import REACH_DAYS, DemandModel, FittedDemand
from forecasting.fallback import recent_days_forecast, same_weekday_forecast
from forecasting.pv import FittedPv, PvModel
from forecasting.pv_physics import PvWeather
from vpp.forecasts.issued import LOAD
from vpp.site.recorder import SiteSeries

__all__ = [
    "RECENT",
    "Fitted",
    "LoadMethod",
    "Method",
    "SunMethod",
    "View",
    "free_generation",
    "methods_of",
]

# How much of the past the forecasts read at every slot; the models say what they need at most.
RECENT = timedelta(days=10)
# How much of the past the PV model learns from: so that this season a year ago is whole.
PV_HISTORY = timedelta(days=MAX_DAYS)
# How much of the past the rules of thumb need: eight weeks of errors of a rule that looks four weeks back.
RULE_HISTORY = timedelta(days=85)


@dataclass(frozen=True, slots=True)
class View:
    """What a forecaster may look at.

    Parameters
    ----------
    metered, weather : Snapshot
        Where metered values and weather forecasts are read.
    at : datetime
        The instant of the forecast or the fit; metered values of slots that end later are never read. UTC.
    replay : bool
        Whether the metered values are those known later (a back-test on history that was imported or
        corrected afterwards). Weather is always that of the instant.
    """

    metered: Snapshot
    weather: Snapshot
    at: datetime
    replay: bool = False
    # A model is fitted on, and its card tells of, the very same values: they are read once.
    _read: dict[tuple[SeriesId, Unit, timedelta | None], Series] = field(
        default_factory=dict, repr=False, compare=False
    )

    @classmethod
    def of(cls, store: Store, at: datetime) -> View:
        """The world as it was known at an instant."""
        known = store.as_of(at)
        return cls(known, known, at)

    @classmethod
    def again(cls, store: Store, at: datetime, *, known: Snapshot) -> View:
        """The world before an instant, by what is known of it in a later snapshot."""
        return cls(known, store.as_of(at), at, replay=True)

    def past(self, series: SeriesId, unit: Unit, span: timedelta | None = None) -> Series:
        """Metered values of the whole slots before the instant; all of them if no span is given."""
        key = (series, unit, span)
        if key not in self._read:
            self._read[key] = self._past(series, unit, span)
        return self._read[key]

    def _past(self, series: SeriesId, unit: Unit, span: timedelta | None) -> Series:
        end = Slot.containing(self.at).start
        covered = self.metered.span(series)
        first = covered[0] if covered is not None else end
        start = first if span is None else max(first, end - span)
        read = self.metered.series(series, Grid.between(min(start, end), end), unit)
        return replace(read, known_at=None) if self.replay else read

    def forecast(self, series: SeriesId, unit: Unit, grid: Grid) -> Series:
        """Weather forecasts in force on a grid."""
        return self.weather.series(series, grid, unit)


class Fitted(Protocol):
    """A model of one target that has seen a history."""

    @property
    def fitted_at(self) -> datetime:
        """The instant from which it looks back. UTC."""
        ...

    def predict(self, view: View, grid: Grid) -> QuantileForecast:
        """P10, P50 and P90 on a grid. [kW]"""
        ...


class Method(Protocol):
    """How one target is forecast."""

    @property
    def target(self) -> str:
        """``load`` or the id of a PV array."""
        ...

    @property
    def configuration(self) -> str:
        """Digest of what the site's configuration gives to the model."""
        ...

    def actual(self, known: Snapshot, grid: Grid) -> Series:
        """What was metered, NaN where unknown or held back. [kW]"""
        ...

    def inputs(self, view: View) -> tuple[InputUsed, ...]:
        """What a model fitted at the instant learns from."""
        ...

    def fit(self, view: View) -> Fitted:
        """Learn from the time before an instant.

        Raises
        ------
        ForecastError
            If there is too little history for any method.
        """
        ...

    def reach(self, view: View, grid: Grid) -> int:
        """Slots from the start of a grid that the model can forecast."""
        ...

    def rule(self, view: View, grid: Grid) -> QuantileForecast:
        """Forecast by the rule of thumb of this target. [kW]

        Raises
        ------
        ForecastError
            If too little is known even for that.
        """
        ...


def methods_of(site: Site) -> dict[str, Method]:
    """The methods of a site by target, the load first."""
    methods: dict[str, Method] = {LOAD: LoadMethod(site)}
    if site.pv is not None:
        methods[site.pv.id] = SunMethod(site, site.pv)
    return methods


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _recent(view: View, fitted_at: datetime) -> timedelta:
    """How far back the recent values must reach: at least over everything since the fit."""
    return max(RECENT, view.at - fitted_at + timedelta(days=1))


# -- the uncontrolled load -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _LoadSeries:
    """Reads what belongs to the load."""

    load: SeriesId
    outdoor_forecast: SeriesId
    outdoor_measured: SeriesId

    @classmethod
    def of(cls, site: Site) -> _LoadSeries:
        names = SiteSeries(site.id)
        return cls(
            names[LOAD, "demand_kw"], names["weather", "outdoor_forecast_c"], names["weather", "outdoor_c"]
        )

    def weather(self, view: View, grid: Grid) -> dict[SeriesId, Series]:
        """Weather forecasts in force on a grid, and the thermometer of the slots that are over. [degC]"""
        over = min(grid.count, max(0, (Slot.containing(view.at).start - grid.start) // grid.step))
        found = {self.outdoor_forecast: view.forecast(self.outdoor_forecast, Unit.CELSIUS, grid)}
        if over:
            past = Grid(grid.start, over, grid.step)
            found[self.outdoor_measured] = view.metered.series(self.outdoor_measured, past, Unit.CELSIUS)
        return {name: one for name, one in found.items() if not np.isnan(one.values).all()}

    def outdoor(self, view: View, grid: Grid) -> Series | None:
        """What was forecast and, where nothing was, measured; None without either. [degC]

        So a site that begins to import weather forecasts learns from the temperatures that it measured.
        """
        weather = self.weather(view, grid)
        if not weather:
            return None
        values = np.full(grid.count, np.nan)
        for series in reversed(weather.values()):
            part = slice(0, series.grid.count)
            values[part] = np.where(np.isnan(series.values), values[part], series.values)
        said = weather.get(self.outdoor_forecast)
        return Series(grid, values, Unit.CELSIUS, None if said is None else said.known_at)


class LoadMethod:
    """The load that nobody controls, from its own history, the site's calendar and, if it helps, weather."""

    def __init__(self, site: Site) -> None:
        self._calendar = site.calendar.calendar()
        self._read = _LoadSeries.of(site)

    @property
    def target(self) -> str:
        """``load``."""
        return LOAD

    @property
    def configuration(self) -> str:
        """Digest of the calendar."""
        rules = self._calendar
        return _digest(rules.national_holidays, sorted(rules.rest_weekdays), sorted(rules.closed))

    def actual(self, known: Snapshot, grid: Grid) -> Series:
        """Metered load. [kW]"""
        return known.series(self._read.load, grid, Unit.KW)

    def inputs(self, view: View) -> tuple[InputUsed, ...]:
        """The whole history of the load, and the outdoor temperature if there is any."""
        history = view.past(self._read.load, Unit.KW)
        used = [InputUsed.of(self._read.load, history, "end of slot")]
        for name, series in self._read.weather(view, history.grid).items():
            forecast = name == self._read.outdoor_forecast
            known: Availability = "issue of the weather forecast" if forecast else "end of slot"
            used.append(InputUsed.of(name, series, known))
        return tuple(used)

    def fit(self, view: View) -> Fitted:
        """Learn from the load before an instant, and from the temperature if it helps."""
        history = view.past(self._read.load, Unit.KW)
        outdoor = self._read.outdoor(view, history.grid)
        model = DemandModel(self._calendar).fit(history, issued_at=view.at, outdoor_c=outdoor)
        return _FittedLoad(self._read, model)

    def reach(self, view: View, grid: Grid) -> int:
        """To the end of the seventh day after today."""
        end = jst_midnight(view.at.astimezone(JST).date() + timedelta(days=REACH_DAYS))
        return max(0, min(grid.count, (end - grid.start) // grid.step))

    def rule(self, view: View, grid: Grid) -> QuantileForecast:
        """Mean of the four same weekdays."""
        history = view.past(self._read.load, Unit.KW, RULE_HISTORY)
        return same_weekday_forecast(history, grid, issued_at=view.at)


@dataclass(frozen=True, slots=True)
class _FittedLoad:
    read: _LoadSeries
    model: FittedDemand

    @property
    def fitted_at(self) -> datetime:
        return self.model.fitted_at

    def predict(self, view: View, grid: Grid) -> QuantileForecast:
        recent = view.past(self.read.load, Unit.KW, _recent(view, self.fitted_at))
        outdoor = None
        if self.model.outdoor_c is not None:  # to the end of the last day: a day is forecast as a whole
            last = (grid.end - grid.step).astimezone(JST).date()
            days = Grid.between(recent.grid.start, jst_midnight(last + timedelta(days=1)))
            outdoor = self.read.outdoor(view, days)
        return self.model.predict(recent, grid, issued_at=view.at, outdoor_c=outdoor)


# -- the sun -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _SunSeries:
    """Reads what belongs to one roof."""

    site: Site
    array: PvArray

    def _name(self, asset: str, quantity: str) -> SeriesId:
        return SiteSeries(self.site.id)[asset, quantity]

    @property
    def generation(self) -> SeriesId:
        return self._name(self.array.id, "generation_kwh")

    @property
    def limited(self) -> SeriesId:
        return self._name(self.array.id, "limited")

    @property
    def ghi(self) -> SeriesId:
        return self._name("weather", "ghi_forecast_w_m2")

    @property
    def outdoor(self) -> SeriesId:
        return self._name("weather", "outdoor_forecast_c")

    def metered(self, view: View, span: timedelta) -> tuple[Series, BoolArray]:
        """Metered generation [kW], and where it was held back."""
        energy = view.past(self.generation, Unit.KWH, span)
        return _power(energy), _held_back(view.metered, self.site.id, self.array.id, energy.grid)

    def free(self, known: Snapshot, grid: Grid) -> Series:
        """Metered generation where nobody held it back, else NaN. [kW]"""
        return free_generation(known, self.site.id, self.array.id, grid)

    def sky(self, view: View, grid: Grid) -> PvWeather:
        """The weather forecasts that were in force on a grid."""
        ghi = view.forecast(self.ghi, Unit.W_PER_M2, grid)
        outdoor = view.forecast(self.outdoor, Unit.CELSIUS, grid)
        sky = PvWeather.from_ghi(
            grid, ghi.values, outdoor.values, latitude=self.site.latitude, longitude=self.site.longitude
        )
        return replace(sky, known_at=ghi.known_at)


class SunMethod:
    """What a PV array gives if nobody curtails it, from weather forecasts and the array's own meter."""

    def __init__(self, site: Site, array: PvArray) -> None:
        self._read = _SunSeries(site, array)

    @property
    def target(self) -> str:
        """Id of the array."""
        return self._read.array.id

    @property
    def configuration(self) -> str:
        """Digest of the array and its place."""
        return _digest(self._read.array, self._read.site.latitude, self._read.site.longitude)

    def actual(self, known: Snapshot, grid: Grid) -> Series:
        """Metered generation, NaN where it was held back. [kW]"""
        return self._read.free(known, grid)

    def inputs(self, view: View) -> tuple[InputUsed, ...]:
        """A season of generation, curtailments and weather forecasts."""
        read = self._read
        energy = view.past(read.generation, Unit.KWH, PV_HISTORY)
        limited = view.metered.series(read.limited, energy.grid, Unit.RATIO)
        ghi = view.forecast(read.ghi, Unit.W_PER_M2, energy.grid)
        outdoor = view.forecast(read.outdoor, Unit.CELSIUS, energy.grid)
        return (
            InputUsed.of(read.generation, energy, "end of slot"),
            InputUsed.of(read.limited, limited, "end of slot"),
            InputUsed.of(read.ghi, ghi, "issue of the weather forecast"),
            InputUsed.of(read.outdoor, outdoor, "issue of the weather forecast"),
        )

    def fit(self, view: View) -> Fitted:
        """Learn from generation and the weather forecasts as they were."""
        site, array = self._read.site, self._read.array
        model = PvModel(array, latitude=site.latitude, longitude=site.longitude)
        power, curtailed = self._read.metered(view, PV_HISTORY)
        sky = self._read.sky(view, power.grid)
        return _FittedSun(self._read, model.fit(power, sky, curtailed=curtailed, issued_at=view.at))

    def reach(self, view: View, grid: Grid) -> int:
        """As far as the weather forecast reaches without a gap."""
        silent = np.isnan(view.forecast(self._read.ghi, Unit.W_PER_M2, grid).values)
        silent |= np.isnan(view.forecast(self._read.outdoor, Unit.CELSIUS, grid).values)
        return int(silent.argmax()) if silent.any() else grid.count

    def rule(self, view: View, grid: Grid) -> QuantileForecast:
        """Quantiles of the last four weeks by time of day."""
        power, curtailed = self._read.metered(view, RULE_HISTORY)
        free = replace(power, values=np.where(curtailed, np.nan, power.values))
        return recent_days_forecast(free, grid, issued_at=view.at)


@dataclass(frozen=True, slots=True)
class _FittedSun:
    read: _SunSeries
    model: FittedPv

    @property
    def fitted_at(self) -> datetime:
        return self.model.fitted_at

    def predict(self, view: View, grid: Grid) -> QuantileForecast:
        power, curtailed = self.read.metered(view, RECENT)
        unlimited = replace(power, values=np.where(curtailed, np.nan, power.values))
        last = (grid.end - grid.step).astimezone(JST).date()  # a day is forecast as a whole
        sky = self.read.sky(view, Grid.between(power.grid.start, jst_midnight(last + timedelta(days=1))))
        return self.model.predict(sky, unlimited, grid, issued_at=view.at)


def free_generation(known: Snapshot, site: str, array: str, grid: Grid) -> Series:
    """Metered generation of an array where nobody held it back, else NaN. [kW]"""
    power = _power(known.series(SiteSeries(site)[array, "generation_kwh"], grid, Unit.KWH))
    held_back = _held_back(known, site, array, grid)
    return replace(power, values=np.where(held_back, np.nan, power.values))


def _held_back(known: Snapshot, site: str, array: str, grid: Grid) -> BoolArray:
    limited = known.series(SiteSeries(site)[array, "limited"], grid, Unit.RATIO)
    return np.nan_to_num(limited.values) > 0


def _power(energy: Series) -> Series:
    values: FloatArray = energy.values / energy.grid.hours
    return Series(energy.grid, values, Unit.KW, energy.known_at)
