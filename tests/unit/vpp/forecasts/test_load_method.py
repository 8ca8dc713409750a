"""The load of a site with weather in its store: temperatures as they were forecast, else as measured."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pytest

from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH
from energy.store import SqlStore, open_store, points_of
from tests.unit.vpp.forecasts.past import SERIES, SITE, level_desk, midnight, put_load, rhythm
from vpp.forecasts.issued import LOAD
from vpp.forecasts.methods import LoadMethod, View
from vpp.site.recorder import SiteSeries

DAYS = 90
FORECAST = SiteSeries(SITE.id)["weather", "outdoor_forecast_c"]
MEASURED = SiteSeries(SITE.id)["weather", "outdoor_c"]
NOW = midnight(DAYS) + timedelta(hours=9)


def temperatures(days: int) -> FloatArray:
    rng = np.random.default_rng(11)
    daily = np.repeat(24.0 + rng.normal(0.0, 5.0, days), 48)
    return np.asarray(daily + np.tile(4.0 * np.sin(2.0 * np.pi * (np.arange(48) - 18) / 48), days))


def put(store: SqlStore, name: str, values: FloatArray, start: datetime, known: timedelta) -> None:
    series = Series(Grid(start, values.size), values, Unit.CELSIUS)
    store.append(points_of(name, series, known_at=lambda at: at + known, source="test"))


@pytest.fixture
def store() -> Iterator[SqlStore]:
    """Ninety days of a load that is cooled, metered until nine."""
    with open_store("sqlite://") as opened:
        warm = temperatures(DAYS + 1)[: DAYS * 48 + 18]
        put_load(opened, rhythm(DAYS + 1)[: warm.size] + 4.0 * np.maximum(warm - 20.0, 0.0))
        yield opened


def forecast_for(store: SqlStore, days: int) -> tuple[str, FloatArray]:
    """Name and P50 from nine on to the end of so many days."""
    view = View.of(store, NOW)
    fitted = LoadMethod(SITE).fit(view)
    found = fitted.predict(view, Grid(NOW, 48 * days - 18))
    return found.model, found.p50


def test_past_and_future_forecasts_make_the_load_follow_the_temperature(store: SqlStore) -> None:
    put(store, FORECAST, temperatures(DAYS + 2), midnight(0), timedelta(days=-2))
    hot = np.full(48, 34.0)
    assert forecast_for(store, 2)[0] == "demand-pool-weather"
    usual = forecast_for(store, 2)[1][30:]
    put(
        store, FORECAST, hot, midnight(DAYS + 1), timedelta(days=-1, hours=-17)
    )  # a newer run, known at 07:00
    hotter = forecast_for(store, 2)[1][30:]
    assert hotter.mean() > usual.mean() + 10.0
    names = [used.name for used in LoadMethod(SITE).inputs(View.of(store, NOW))]
    assert names == [SERIES, FORECAST]


def test_a_run_that_came_later_changes_nothing(store: SqlStore) -> None:
    put(store, FORECAST, temperatures(DAYS + 2), midnight(0), timedelta(days=-2))
    before = forecast_for(store, 2)[1]
    late = Series(Grid(NOW, 60), np.full(60, 45.0), Unit.CELSIUS)
    store.append(points_of(FORECAST, late, known_at=lambda _: NOW + timedelta(minutes=1), source="test"))
    np.testing.assert_array_equal(forecast_for(store, 2)[1], before)


def test_a_site_that_begins_with_weather_forecasts_learns_from_its_thermometer(store: SqlStore) -> None:
    past = temperatures(DAYS + 1)[: DAYS * 48 + 18]
    put(store, MEASURED, past, midnight(0), SLOT_LENGTH)
    assert forecast_for(store, 1)[0] == "demand-pool"  # nothing is known of what comes
    ahead = temperatures(DAYS + 1)[DAYS * 48 :]
    put(store, FORECAST, ahead, midnight(DAYS), timedelta(days=-2))
    assert forecast_for(store, 1)[0] == "demand-pool-weather"
    assert forecast_for(store, 2)[0] == "demand-pool-weather+demand-pool"
    names = [used.name for used in LoadMethod(SITE).inputs(View.of(store, NOW))]
    assert names == [SERIES, FORECAST, MEASURED]


def test_without_any_weather_the_load_is_forecast_from_itself(store: SqlStore) -> None:
    name, _ = forecast_for(store, 1)
    assert name == "demand-pool"
    assert [used.name for used in LoadMethod(SITE).inputs(View.of(store, NOW))] == [SERIES]
    assert LOAD in level_desk(store).methods
