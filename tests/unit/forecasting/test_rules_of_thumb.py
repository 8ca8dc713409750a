"""Rules of thumb with a band: right where the past repeats itself, honest where it does not."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from energy.core.errors import ForecastError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import parse_jst
from forecasting.fallback import recent_days_forecast, same_weekday_forecast

FIRST = parse_jst("2026-05-11 00:00")  # a Monday
WEEKS = 12
NOON = FIRST + timedelta(days=7 * WEEKS, hours=12)
TOMORROW = Grid(NOON + timedelta(hours=12), 48)
RNG = np.random.default_rng(5)


def weekly() -> FloatArray:
    day, slot = np.divmod(np.arange((7 * WEEKS) * 48 + 24), 48)
    return np.where((day % 7 < 5) & (slot >= 16) & (slot < 36), 120.0, 20.0)


def history(values: FloatArray) -> Series:
    return Series(Grid(FIRST, values.size), values, Unit.KW)


def test_a_week_that_repeats_itself_is_forecast_exactly() -> None:
    said = same_weekday_forecast(history(weekly()), TOMORROW, issued_at=NOON)
    assert said.model == "same-weekday-mean"
    np.testing.assert_allclose(said.p50, weekly()[48:96])
    np.testing.assert_allclose(said.p10, said.p50)
    np.testing.assert_allclose(said.p90, said.p50)


def test_the_band_of_the_same_weekdays_holds_four_slots_in_five() -> None:
    inside = []
    for k in range(20):
        noise = np.random.default_rng(k).normal(0.0, 5.0, (7 * WEEKS + 2) * 48)
        truth = np.concatenate([weekly(), np.resize(weekly()[24:], noise.size - weekly().size)]) + noise
        said = same_weekday_forecast(history(truth[: weekly().size]), TOMORROW, issued_at=NOON)
        first = (TOMORROW.start - FIRST) // timedelta(minutes=30)
        actual = np.where(weekly()[48:96] > 50, 120.0, 20.0) + noise[first : first + 48]
        inside.append(((actual >= said.p10) & (actual <= said.p90)).mean())
    assert np.mean(inside) == pytest.approx(0.8, abs=0.05)


def test_values_after_the_issue_change_nothing() -> None:
    values = weekly() + RNG.normal(0.0, 3.0, weekly().size)
    early = NOON - timedelta(days=3)
    cut = (early - FIRST) // timedelta(minutes=30)
    poisoned = values.copy()
    poisoned[cut:] = 1e6
    grid = Grid(early + timedelta(hours=12), 48)
    for rule in (same_weekday_forecast, recent_days_forecast):
        honest = rule(history(values[:cut]), grid, issued_at=early)
        other = rule(history(poisoned), grid, issued_at=early)
        np.testing.assert_array_equal(honest.p50, other.p50)
        np.testing.assert_array_equal(honest.p90, other.p90)


def test_a_new_site_gets_an_assumed_band_that_says_so() -> None:
    few = weekly()[-9 * 48 :]
    start = NOON - timedelta(days=9)
    said = same_weekday_forecast(
        Series(Grid(start, few.size), few, Unit.KW), Grid(NOON + timedelta(hours=12), 48), issued_at=NOON
    )
    assert said.facts["assumed_band_slots"] == 48
    np.testing.assert_allclose(said.p90, 2.0 * said.p50)
    np.testing.assert_allclose(said.p10, 0.0)


def test_too_little_history_is_an_error_that_names_the_rule() -> None:
    half = Series(Grid(NOON - timedelta(hours=5), 10), np.full(10, 20.0), Unit.KW)
    with pytest.raises(ForecastError, match="rule of thumb"):
        same_weekday_forecast(half, TOMORROW, issued_at=NOON)
    with pytest.raises(ForecastError, match="rule of thumb"):
        recent_days_forecast(half, TOMORROW, issued_at=NOON)


def test_the_sun_of_the_last_weeks_is_given_as_its_quantiles_by_time_of_day() -> None:
    days = np.arange(28)
    table = np.zeros((28, 48))
    table[:, 24] = days  # 0, 1, ... 27 kW at noon
    midnight = NOON - timedelta(hours=12)
    past = Series(Grid(midnight - timedelta(days=28), 28 * 48), table.reshape(-1), Unit.KW)
    said = recent_days_forecast(past, TOMORROW, issued_at=midnight)
    assert said.p50[24] == pytest.approx(13.5)
    assert said.p10[24] == pytest.approx(2.7)
    assert said.p90[24] == pytest.approx(24.3)
    assert said.p90[:24].max() == 0.0
    assert said.p90[25:].max() == 0.0
