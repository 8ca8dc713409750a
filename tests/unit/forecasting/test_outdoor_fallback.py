"""Outdoor temperature without a weather forecast: named, fading, honest about its width."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from energy.core.errors import ForecastError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import parse_jst
from forecasting.weather import FADE_HOURS, outdoor_forecast_fallback

START = parse_jst("2026-07-01 00:00")
COURSE = 24.0 + 5.0 * np.sin(2.0 * np.pi * (np.arange(48) - 18) / 48)


def air(values: FloatArray) -> Series:
    return Series(Grid(START, values.size), values, Unit.CELSIUS)


def test_usual_days_go_on_as_usual() -> None:
    now = START + timedelta(days=10)
    found = outdoor_forecast_fallback(air(np.tile(COURSE, 10)), Grid(now, 96), issued_at=now)
    np.testing.assert_allclose(found.p50, np.tile(COURSE, 2), atol=1e-9)
    assert found.model == "outdoor-persistence"


def test_departure_from_the_usual_fades_with_the_measured_constant() -> None:
    values = np.tile(COURSE, 10)
    values[-6:] += 4.0
    now = START + timedelta(days=10)
    found = outdoor_forecast_fallback(air(values), Grid(now, 96), issued_at=now)
    usual = values.reshape(-1, 48).mean(axis=0)
    shift = found.p50 - np.tile(usual, 2)
    assert shift[0] == pytest.approx(3.6 * np.exp(-0.25 / FADE_HOURS), rel=0.01)
    assert shift[52] == pytest.approx(shift[0] * np.exp(-26.0 / FADE_HOURS), rel=0.01)


def test_band_grows_with_the_lead() -> None:
    rng = np.random.default_rng(1)
    now = START + timedelta(days=10)
    found = outdoor_forecast_fallback(
        air(np.tile(COURSE, 10) + rng.normal(0.0, 2.0, 480)), Grid(now, 96), issued_at=now
    )
    band = found.p90 - found.p10
    assert band[0] < 0.4 * band[-1]
    assert (np.diff(band) >= 0.0).all()


def test_old_readings_give_the_usual_day_by_name() -> None:
    now = START + timedelta(days=11, hours=6)
    found = outdoor_forecast_fallback(air(np.tile(COURSE, 10)), Grid(now, 48), issued_at=now)
    assert found.model == "outdoor-usual-day"
    np.testing.assert_allclose(found.p50, np.roll(COURSE, -12), atol=1e-9)


def test_slots_never_seen_lie_between_their_neighbours() -> None:
    values = np.tile(COURSE, 10)
    values.reshape(10, 48)[:, 20] = np.nan
    now = START + timedelta(days=10)
    found = outdoor_forecast_fallback(air(values), Grid(now, 48), issued_at=now)
    assert found.p50[20] == pytest.approx((COURSE[19] + COURSE[21]) / 2.0, abs=0.05)


def test_too_few_readings_and_readings_from_the_future_are_refused() -> None:
    now = START + timedelta(hours=12)
    with pytest.raises(ForecastError, match="too few"):
        outdoor_forecast_fallback(air(COURSE[:24]), Grid(now, 48), issued_at=now)
    with pytest.raises(ForecastError, match="looks into the future"):
        outdoor_forecast_fallback(air(np.tile(COURSE, 3)), Grid(now, 48), issued_at=now)
