"""A small site with a weekly rhythm, and a method so simple that its errors can be written down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np

from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import SLOT_LENGTH, jst_midnight
from energy.core.units import series_id
from energy.store import Point, Snapshot, SqlStore, points_of
from forecasting.card import InputUsed
from forecasting.fallback import same_weekday_forecast
from vpp.forecasts.desk import ForecastDesk
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast
from vpp.forecasts.methods import Fitted, Method, View
from vpp.simulation.scenario import load_scenario

FIRST = date(2026, 5, 11)  # a Monday; no holiday for weeks
SITE: Site = replace(load_scenario("kitakata")[0].site, pv=None)
SERIES = series_id(SITE.id, "load", "demand_kw")


def midnight(day: int) -> datetime:
    """Midnight of the day of this number; day 0 is :data:`FIRST`."""
    return jst_midnight(FIRST + timedelta(days=day))


def noon(day: int) -> datetime:
    return midnight(day) + timedelta(hours=12)


def rhythm(days: int, *, noise_kw: float = 1.0) -> FloatArray:
    """20 kW at rest, 120 kW from 08:00 to 18:00 on weekdays."""
    day, slot = np.divmod(np.arange(days * 48), 48)
    works = (day % 7 < 5) & (slot >= 16) & (slot < 36)
    noise = np.random.default_rng(3).normal(0.0, noise_kw, days * 48)
    return np.where(works, 120.0, 20.0) + noise


def level(days: int) -> FloatArray:
    """50 kW day and night, give or take 8: nothing forecasts it better than its mean."""
    return np.asarray(50.0 + np.random.default_rng(4).normal(0.0, 8.0, days * 48))


def put_load(store: SqlStore, values: FloatArray, *, start: datetime | None = None) -> None:
    """Metered load from the first day on, each slot known at its end."""
    series = Series(Grid(start or midnight(0), values.size), values, Unit.KW)
    store.append(points_of(SERIES, series, known_at=lambda at: at + SLOT_LENGTH, source="test"))


def correct(store: SqlStore, factor: float, *, until: datetime, known_at: datetime) -> None:
    """All load before an instant times a factor, known from an instant on."""
    grid = Grid.between(jst_midnight(FIRST), until)
    old = store.as_of(known_at).series(SERIES, grid, Unit.KW).values
    store.append(
        Point(series=SERIES, at=at, known_at=known_at, value=float(value) * factor, source="correction")
        for at, value in zip(grid.times(), old, strict=True)
    )


@dataclass
class LevelMethod:
    """The mean level of the whole history, times a factor: the simplest model that data can spoil."""

    factor: float = 1.0

    @property
    def target(self) -> str:
        return LOAD

    @property
    def configuration(self) -> str:
        return "level"

    def actual(self, known: Snapshot, grid: Grid) -> Series:
        return known.series(SERIES, grid, Unit.KW)

    def inputs(self, view: View) -> tuple[InputUsed, ...]:
        return (InputUsed.of(SERIES, view.past(SERIES, Unit.KW), "end of slot"),)

    def fit(self, view: View) -> Fitted:
        return _Level(view.at, float(np.nanmean(view.past(SERIES, Unit.KW).values)) * self.factor)

    def reach(self, view: View, grid: Grid) -> int:
        return max(0, min(grid.count, (view.at + timedelta(days=2) - grid.start) // SLOT_LENGTH))

    def rule(self, view: View, grid: Grid) -> QuantileForecast:
        history = view.past(SERIES, Unit.KW, timedelta(days=60))
        return same_weekday_forecast(history, grid, issued_at=view.at)


@dataclass(frozen=True)
class _Level:
    fitted_at: datetime
    level_kw: float

    def predict(self, view: View, grid: Grid) -> QuantileForecast:
        p50 = np.full(grid.count, self.level_kw)
        return QuantileForecast(
            target="demand_kw",
            issued_at=view.at,
            grid=grid,
            unit=Unit.KW,
            p10=0.8 * p50,
            p50=p50,
            p90=1.2 * p50,
            model="level",
        )


def level_desk(store: SqlStore, method: LevelMethod | None = None) -> ForecastDesk:
    """A desk that knows nothing better than the mean level."""
    methods: Mapping[str, Method] = {LOAD: method or LevelMethod()}
    return ForecastDesk(SITE, store, methods)


def at_noon(store: SqlStore, desk: ForecastDesk, day: int) -> IssuedForecast:
    """The day-ahead issue of one noon, kept."""
    with store.transaction():
        return desk.keep_one(Horizon.DAY_AHEAD, noon(day), LOAD)
