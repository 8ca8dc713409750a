"""The forecast desk: fits once a day, forecasts at every slot, always through ``as_of``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from energy.core.errors import ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import JST, Slot, jst_midnight
from energy.store import Snapshot, Store
from forecasting.demand import DemandModel, FittedDemand
from forecasting.pv import FittedPv, PvModel
from forecasting.pv_physics import PvWeather
from forecasting.weather import outdoor_forecast_fallback
from vpp.planning import Outlook
from vpp.recorder import SiteSeries

__all__ = ["ForecastDesk"]

# How much of the past the forecasts read at every slot; the models say what they need at most.
RECENT = timedelta(days=10)
# How much of the past the PV model learns from: a season, not a year.
PV_HISTORY = timedelta(days=90)


@dataclass(slots=True)
class ForecastDesk:
    """Holds the fitted models of one site.

    Parameters
    ----------
    site : Site
        Whose load and roof are forecast.
    store : Store
        Where the past is. Models of a day are fitted on what was known at its midnight, whenever they are
        fitted, so that a run which was cut off goes on with the same models.
    """

    site: Site
    store: Store
    _names: SiteSeries = field(init=False)
    _fitted_on: date | None = None
    _demand: FittedDemand | None = None
    _pv: FittedPv | None = None

    def __post_init__(self) -> None:
        self._names = SiteSeries(self.site.id)

    def outlook(self, known: Snapshot, now: datetime, grid: Grid) -> Outlook:
        """Forecasts on a grid from what is known at an instant.

        Raises
        ------
        ForecastError
            If there is too little history for any method; the message says how much is missing.
        """
        today = now.astimezone(JST).date()
        if self._fitted_on != today:
            midnight = jst_midnight(today)
            self._fit(self.store.as_of(midnight), midnight)
            self._fitted_on = today
        outdoor = self._outdoor(known, now, grid)
        ghi = self._weather(known, "ghi_forecast_w_m2", Unit.W_PER_M2, grid)
        return Outlook(
            load=self._load(known, now, grid),
            pv=self._sun(known, now, grid),
            outdoor_c=outdoor,
            ghi_w_m2=np.nan_to_num(ghi.values, nan=0.0),
        )

    def _fit(self, known: Snapshot, now: datetime) -> None:
        load = self._past(known, "load", "demand_kw", Unit.KW, now, None)
        self._demand = DemandModel(self.site.calendar.calendar()).fit(load, issued_at=now)
        if self.site.pv is None:
            return
        model = PvModel(self.site.pv, latitude=self.site.latitude, longitude=self.site.longitude)
        power, curtailed = self._generation(known, self.site.pv.id, now, PV_HISTORY)
        self._pv = model.fit(power, self._sky(known, power.grid), curtailed=curtailed, issued_at=now)

    def _load(self, known: Snapshot, now: datetime, grid: Grid) -> QuantileForecast:
        if self._demand is None:
            raise ForecastError("no load model", hint="fit comes before the first forecast")
        recent = self._past(known, "load", "demand_kw", Unit.KW, now, RECENT)
        return self._demand.predict(recent, grid, issued_at=now)

    def _sun(self, known: Snapshot, now: datetime, grid: Grid) -> QuantileForecast | None:
        if self.site.pv is None or self._pv is None:
            return None
        power, curtailed = self._generation(known, self.site.pv.id, now, RECENT)
        unlimited = replace(power, values=np.where(curtailed, np.nan, power.values))
        wide = Grid.between(power.grid.start, grid.end)
        return self._pv.predict(self._sky(known, wide), unlimited, grid, issued_at=now)

    def _generation(
        self, known: Snapshot, pv: str, now: datetime, span: timedelta
    ) -> tuple[Series, NDArray[np.bool_]]:
        """Metered generation [kW], and where it was held back."""
        energy = self._past(known, pv, "generation_kwh", Unit.KWH, now, span)
        limited = known.series(self._names[pv, "limited"], energy.grid, Unit.RATIO)
        power = Series(energy.grid, energy.values / energy.grid.hours, Unit.KW, energy.known_at)
        return power, np.nan_to_num(limited.values) > 0

    def _sky(self, known: Snapshot, grid: Grid) -> PvWeather:
        """The weather forecasts that were in force on a grid."""
        ghi = self._weather(known, "ghi_forecast_w_m2", Unit.W_PER_M2, grid)
        outdoor = self._weather(known, "outdoor_forecast_c", Unit.CELSIUS, grid)
        sky = PvWeather.from_ghi(
            grid, ghi.values, outdoor.values, latitude=self.site.latitude, longitude=self.site.longitude
        )
        return replace(sky, known_at=ghi.known_at)

    def _outdoor(self, known: Snapshot, now: datetime, grid: Grid) -> FloatArray:
        forecast = self._weather(known, "outdoor_forecast_c", Unit.CELSIUS, grid)
        if not np.isnan(forecast.values).any():
            return forecast.values
        measured = self._past(known, "weather", "outdoor_c", Unit.CELSIUS, now, RECENT)
        return outdoor_forecast_fallback(measured, grid, issued_at=now).p50

    def _weather(self, known: Snapshot, quantity: str, unit: Unit, grid: Grid) -> Series:
        return known.series(self._names["weather", quantity], grid, unit)

    def _past(
        self, known: Snapshot, asset: str, quantity: str, unit: Unit, now: datetime, span: timedelta | None
    ) -> Series:
        """What is known of a series up to now, on whole slots."""
        name = self._names[asset, quantity]
        end = Slot.containing(now).start
        covered = known.span(name)
        first = covered[0] if covered is not None else end
        start = first if span is None else max(first, end - span)
        return known.series(name, Grid.between(min(start, end), end), unit)
