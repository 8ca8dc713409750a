"""The simulated world at work: it seeds the past, publishes forecasts and events, moves cars and weather."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from devices.twins.site import TwinSite
from energy.core.assets import PvArray, Trip
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import JST, SLOT_LENGTH, jst_midnight
from energy.core.units import SeriesId
from energy.ledger import TightEvent
from energy.store import Point, Store
from forecasting.pv_physics import PvWeather, SnowState, pv_power_kw
from vpp.simulation.scenario import Scenario
from vpp.simulation.world import (
    LoadProfile,
    Sky,
    actual_trips,
    issue_forecast,
    issues_between,
    standard_year,
    tight_events,
)
from vpp.site.climate import band_applies
from vpp.site.recorder import SiteSeries

__all__ = ["SimulatedWorld"]

MINUTE = timedelta(minutes=1)
# How much of the past is given to the store before a run: all load there is, and a season of sun and weather.
LOAD_PAST = timedelta(days=240)
SUN_PAST = timedelta(days=90)
SNOW_MEMORY = timedelta(days=20)


class SimulatedWorld:
    """What a scenario's world does, minute by minute.

    Parameters
    ----------
    start, end : datetime
        The simulated days, UTC.

    Raises
    ------
    GapError
        If the load has a gap in the simulated days.
    """

    def __init__(self, scenario: Scenario, folder: Path, start: datetime, end: datetime) -> None:
        self._scenario = scenario
        self._site = scenario.site
        self._load = LoadProfile(scenario.world.load, folder)
        self._load.require(start, end)
        self._year = standard_year(scenario, folder)
        grid = Grid.between(start, end, MINUTE)
        self._grid = grid
        self._load_kw = self._load.series(start, end, step=MINUTE, drawn=True).values
        self._sky = self._year.sky(grid)
        # Snow has a memory: it is followed from well before the first day that anyone sees.
        self._snow_grid = Grid.between(start - SUN_PAST - SNOW_MEMORY, end)
        self._snow_share = np.zeros(self._snow_grid.count)
        if self._site.pv is not None:
            self._snow_share = self._snow(self._site.pv, self._snow_grid)
        self._pv_kw = self._roof_kw(self._sky)
        self.events: tuple[TightEvent, ...] = tight_events(scenario.world.tight, start, end)
        self.trips: tuple[Trip, ...] = actual_trips(self._site, scenario.world.people, start, end)
        self.start, self.end = start, end
        self._crowds: dict[date, float] = {}

    # -- what the plant lives in -----------------------------------------------------------------------

    def step(self, twins: TwinSite, at: datetime) -> None:
        """Let the equipment live through one minute."""
        k = self._grid.index(at)
        occupied = bool(self._site.zones) and band_applies(self._site, self._site.zones[0], at)
        twins.step(
            60.0,
            load_kw=float(self._load_kw[k]),
            pv_available_kw=float(self._pv_kw[k]),
            outdoor_c=float(self._sky.outdoor_c[k]),
            ghi_w_m2=float(self._sky.ghi[k]),
            occupied=occupied,
            people=self._people(at),
        )

    def _people(self, at: datetime) -> float:
        """How many people there are on the day of an instant, over the usual number. [-]"""
        told = self._scenario.world.people
        if not told.crowd_sd:
            return 1.0
        day = at.astimezone(JST).date()
        if day not in self._crowds:
            rng = np.random.default_rng([told.seed, day.toordinal()])
            self._crowds[day] = float(np.exp(rng.normal(0.0, told.crowd_sd)))
        return self._crowds[day]

    def place_people(self, twins: TwinSite, at: datetime) -> None:
        """Send away the cars that are on a trip when the run begins."""
        for trip in self.trips:
            if trip.departs < at < trip.returns:
                twins.unplug(trip.vehicle)

    def arrivals(self, at: datetime) -> Iterator[Trip]:
        """Trips that end in the minute from an instant."""
        return (trip for trip in self.trips if at <= trip.returns < at + MINUTE)

    def departures(self, at: datetime) -> Iterator[Trip]:
        """Trips that begin in the minute from an instant."""
        return (trip for trip in self.trips if at <= trip.departs < at + MINUTE)

    # -- what the store learns -------------------------------------------------------------------------

    def seed(self, store: Store, *, load_past: timedelta = LOAD_PAST, sun_past: timedelta = SUN_PAST) -> None:
        """Give the store the past, and the events to be announced; doing it twice changes nothing."""
        names = SiteSeries(self._site.id)
        load = self._past_load(load_past)
        store.append(_measured(names["load", "demand_kw"], load, "history"))
        sun_first = max(load.grid.start, self.start - sun_past)
        past = Grid.between(sun_first, self.start)
        sky = self._year.sky(past)
        store.append(
            _measured(names["weather", "outdoor_c"], Series(past, sky.outdoor_c, Unit.CELSIUS), "history")
        )
        if self._site.pv is not None:
            roof = Series(past, self._roof_kw(sky) / 2.0, Unit.KWH)
            store.append(_measured(names[self._site.pv.id, "generation_kwh"], roof, "history"))
            store.append(
                _measured(
                    names[self._site.pv.id, "limited"], Series(past, 0.0 * roof.values, Unit.RATIO), "history"
                )
            )
        if self._scenario.world.calls:  # a baseline needs days of the meter, before anything was controlled
            store.append(_measured(names["meter", "import_kwh"], self.past_import(), "history"))
        for issued in issues_between(self._scenario.world.forecast_errors, sun_first, self.start):
            self._publish(store, issued)

    def _past_load(self, past: timedelta = LOAD_PAST) -> Series:
        first = max(jst_midnight(self._load.first_day(self.start.astimezone(JST).year)), self.start - past)
        return self._load.series(first, self.start, step=self._load.step).to_slots()

    def past_import(self) -> Series:
        """What the meter counted before the first day, when nothing was controlled: load less sun. [kWh]"""
        load = self._past_load()
        past = Grid.between(max(load.grid.start, self.start - SUN_PAST), self.start)
        drawn = load.values[load.grid.index(past.start) :] / 2.0
        drawn = np.maximum(0.0, drawn - self._roof_kw(self._year.sky(past)) / 2.0)
        return Series(past, drawn, Unit.KWH)

    def sun_of(self, grid: Grid) -> Series:
        """What the roof gives in half hours before and after now if nobody curtails it. [kWh]"""
        return Series(grid, self._roof_kw(self._year.sky(grid)) / 2.0, Unit.KWH)

    def publish(self, store: Store, after: datetime, until: datetime) -> None:
        """Publish the weather forecasts issued in ``(after, until]`` and the weather measured by then."""
        errors = self._scenario.world.forecast_errors
        for issued in issues_between(errors, after + MINUTE, until + MINUTE):
            self._publish(store, issued)
        if until - SLOT_LENGTH >= self.start:
            past = Grid(until - SLOT_LENGTH, 1)
            names = SiteSeries(self._site.id)
            k = self._grid.index(past.start)
            outdoor = self._sky.outdoor_c[k : k + 30].mean(keepdims=True)
            store.append(
                _measured(names["weather", "outdoor_c"], Series(past, outdoor, Unit.CELSIUS), "thermometer")
            )

    def _publish(self, store: Store, issued: datetime) -> None:
        names = SiteSeries(self._site.id)
        forecast = issue_forecast(self._year, self._scenario.world.forecast_errors, issued)
        store.append(
            Point(
                series=names["weather", quantity],
                at=series.grid.time(k),
                known_at=issued,
                value=float(series.values[k]),
                source="weather-forecast",
            )
            for quantity, series in (
                ("outdoor_forecast_c", forecast.outdoor_c),
                ("ghi_forecast_w_m2", forecast.ghi_w_m2),
            )
            for k in range(series.grid.count)
        )

    # -- truth for the bound ---------------------------------------------------------------------------

    def truth(self, grid: Grid) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Load, roof [kW], outdoor temperature [degC] and irradiance [W/m2] as they will be, on slots."""
        inside = Grid.between(grid.start, min(grid.end, self.end), MINUTE)
        first = self._grid.index(inside.start)
        shape = (inside.count // 30, 30)
        parts = (self._load_kw, self._pv_kw, self._sky.outdoor_c, self._sky.ghi)
        load, roof, outdoor, ghi = (
            part[first : first + inside.count].reshape(shape).mean(axis=1) for part in parts
        )
        return load, roof, outdoor, ghi

    def _roof_kw(self, sky: Sky) -> FloatArray:
        """What the roof gives if nobody curtails it: data sheet, extra loss, snow. [kW]"""
        pv = self._site.pv
        if pv is None:
            return np.zeros(sky.grid.count)
        weather = PvWeather(sky.grid, sky.ghi, sky.dni, sky.dhi, sky.outdoor_c)
        clean = pv_power_kw(pv, weather, latitude=self._site.latitude, longitude=self._site.longitude)
        snow = np.interp(_hours(sky.grid), _hours(self._snow_grid, since=sky.grid), self._snow_share)
        return np.asarray(clean * (1.0 - self._scenario.world.pv_truth.extra_loss) * (1.0 - snow))

    def _snow(self, pv: PvArray, grid: Grid) -> FloatArray:
        """Share of the roof's power that snow takes, per slot; it snows in cold hours of dark winter days."""
        rule, sky = self._scenario.world.pv_truth, self._year.sky(grid)
        days = np.arange(grid.count) // 48
        bright = np.bincount(days, sky.ghi) / np.maximum(1.0, np.bincount(days, sky.clear_ghi))
        snowing = (sky.outdoor_c < rule.snow_below_c) & (bright[days] < rule.snow_clearness)
        weather = PvWeather(
            grid,
            sky.ghi,
            sky.dni,
            sky.dhi,
            sky.outdoor_c,
            snowfall_cm=np.where(snowing, rule.snowfall_cm_per_h * grid.hours, 0.0),
        )
        covered = SnowState().ahead(pv, weather, latitude=self._site.latitude, longitude=self._site.longitude)
        # One string: nothing comes while any part is covered (Gilman 2018, NREL/TP-6A20-67399, 11.8).
        return np.ceil(covered)


def _hours(grid: Grid, *, since: Grid | None = None) -> FloatArray:
    """Middles of the intervals in hours since the start of a grid (its own unless given). [h]"""
    offset = 0.0 if since is None else (grid.start - since.start) / timedelta(hours=1)
    return np.asarray(offset + (np.arange(grid.count) + 0.5) * grid.hours)


def _measured(series_name: SeriesId, series: Series, source: str) -> Iterable[Point]:
    """Points of a measured series, each known at the end of its interval; gaps stay gaps."""
    grid = series.grid
    return (
        Point(
            series=series_name,
            at=grid.time(k),
            known_at=grid.time(k + 1),
            value=float(value),
            source=source,
        )
        for k, value in enumerate(series.values)
        if not np.isnan(value)
    )
