"""The combined day-ahead forecast of loads and plants: what it refuses, its limits, and the same again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from energy.core.errors import ForecastError
from energy.core.series import Grid
from forecasting.backtest import last_week, mean_of_month
from forecasting.dayahead import LEAST_DAYS, issue, learn, walk
from forecasting.metrics import coverage, nmae, pinball
from forecasting.panel import Panel
from forecasting.pv_day import prepare_pv
from forecasting.pv_physics import sun_position
from tests.unit.forecasting.small_panels import CAPACITY, LATITUDE, LEVELS, LONGITUDE, load_panel, pv_panel


def night(panel: Panel) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """Slots of the last day in which the small plant never gives anything."""
    return np.asarray(np.nanmax(panel.actual, axis=0) == 0.0)


@pytest.mark.parametrize("kind", ["load", "pv"])
def test_too_few_days_are_refused_with_the_number_needed(kind: str) -> None:
    panel = load_panel(40) if kind == "load" else pv_panel(40)
    row = LEAST_DAYS - 2
    with pytest.raises(ForecastError, match="too few days") as caught:
        learn(panel, row)
    assert caught.value.details["needed_days"] == LEAST_DAYS
    assert int(str(caught.value.details["whole_days"])) < LEAST_DAYS
    assert np.isfinite(issue(panel, LEAST_DAYS + 4, LEVELS)).all()


def test_days_that_are_nearly_empty_do_not_count() -> None:
    panel = load_panel(40)
    panel.actual[:30, 10:] = np.nan
    with pytest.raises(ForecastError) as caught:
        learn(panel, 39)
    assert caught.value.details["whole_days"] == 8


@pytest.mark.parametrize("panel", [load_panel(50), pv_panel(50), pv_panel(50, place=False)])
def test_the_same_past_gives_the_same_quantiles_in_order_and_without_gaps(panel: Panel) -> None:
    found = issue(panel, 49, LEVELS)
    np.testing.assert_array_equal(found, issue(panel, 49, LEVELS))
    assert found.shape == (3, 24)
    assert np.isfinite(found).all()
    assert (np.diff(found, axis=0) >= 0.0).all()
    assert (found >= 0.0).all()
    assert (found[2] > found[0]).any()


def test_a_load_is_forecast_by_its_calendar_and_weather() -> None:
    panel = load_panel(70)
    rows = range(56, 70, 2)
    made = walk(panel, rows, levels=LEVELS)
    truth = panel.actual[rows.start : rows.stop : 2]
    assert made.values.shape == (3, 7, 24)
    assert nmae(truth, made.values[1]) < 0.85 * nmae(truth, last_week(panel, rows))
    assert made.fit_s > 0.0
    assert made.predict_ms > 0.0


def test_a_holiday_on_a_weekday_is_forecast_as_a_day_of_rest() -> None:
    panel = load_panel(50)
    rest = panel.days.rest.copy()
    rest[45] = True
    assert issue(panel, 45, (0.5,))[0, 12] > 80.0
    closed = replace(panel, days=replace(panel.days, rest=rest))
    assert issue(closed, 45, (0.5,))[0, 12] < 50.0


def test_gaps_in_the_history_do_not_reach_the_forecast() -> None:
    panel = load_panel(60)
    holed = load_panel(60)
    rng = np.random.default_rng(0)
    holed.actual[rng.random(holed.actual.shape) < 0.1] = np.nan
    holed.actual[30:33] = np.nan
    found = issue(holed, 58, LEVELS)
    assert np.isfinite(found).all()
    assert nmae(panel.actual[58], found[1]) < 0.15


@pytest.mark.parametrize("place", [True, False])
def test_a_plant_gives_nothing_at_night_and_never_more_than_its_nameplate(place: bool) -> None:
    panel = pv_panel(60, place=place)
    panel.actual[:] = np.minimum(1.6 * panel.actual, CAPACITY)  # clipped at noon
    found = issue(panel, 59, (0.05, 0.5, 0.99))
    dark = night(panel)
    assert 6 < dark.sum() < 18
    assert (found[:, dark] == 0.0).all()
    assert found.max() <= CAPACITY
    bright = panel.actual.max(axis=0) > 1.0
    assert (found[2, bright] > 0.0).all()


def test_night_is_where_the_sun_is_not_whatever_the_meter_says() -> None:
    panel = pv_panel(60)
    panel.actual[:, 0] = 3.0  # a meter with an offset
    assert (issue(panel, 59, LEVELS)[:, 0] == 0.0).all()
    dark = prepare_pv(panel.known_at_issue(59)).dark
    assert dark is not None
    hours = Grid(panel.start, panel.actual.size, timedelta(hours=1))
    up = sun_position(hours, latitude=LATITUDE, longitude=LONGITUDE).elevation_sine.reshape(dark.shape) > 0.1
    assert up.any()
    assert not dark[up].any()


@pytest.mark.parametrize("place", [True, False])
def test_a_plant_follows_the_irradiance_that_is_forecast(place: bool) -> None:
    panel = pv_panel(75, place=place)
    rows = range(60, 75, 2)
    made = walk(panel, rows, levels=LEVELS)
    truth = panel.actual[rows.start : rows.stop : 2]
    usual = mean_of_month(panel, rows)
    ours = nmae(truth, made.values[1], scale=CAPACITY)
    assert ours < 0.5 * nmae(truth, usual, scale=CAPACITY)
    assert pinball(truth, made.values, LEVELS, scale=CAPACITY) < ours
    lit = truth > 0.0
    assert 0.5 < coverage(truth[lit], made.values[0][lit], made.values[2][lit]) <= 1.0


def test_a_plant_without_irradiance_forecast_still_has_one_of_its_own_past() -> None:
    panel = replace(pv_panel(60), forecast_weather={})
    found = issue(panel, 59, LEVELS)
    assert np.isfinite(found).all()
    assert found[1, 12] > 0.1 * CAPACITY


def test_past_answers_are_honest_and_nearly_as_good_as_those_of_the_day() -> None:
    panel = load_panel(70)
    model = learn(panel, 69)
    past = model.past_quantiles(14, LEVELS)
    assert past.shape == (3, 14, 24)
    truth = panel.actual[54:68]  # the newest day that was over at noon of day 68 is 67
    assert nmae(truth, past[1]) < 0.15
    assert nmae(truth, past[1]) > 0.02  # it has not seen them
    inside = coverage(truth, past[0], past[2])
    assert 0.6 < inside < 0.95


def test_a_model_for_a_day_a_week_ahead_learns_from_days_a_week_older() -> None:
    panel = load_panel(60, lead=7, issue_slot=24)
    clean = issue(panel, 58, LEVELS)
    panel.actual[52:] = 1e6
    np.testing.assert_array_equal(clean, issue(panel, 58, LEVELS))
    panel.actual[51] = 1e3
    assert (clean != issue(panel, 58, LEVELS)).any()
    assert nmae(load_panel(60).actual[58], clean[1]) < 0.2
