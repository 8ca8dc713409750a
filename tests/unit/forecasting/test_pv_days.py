"""Tomorrow's sun by whole days: who speaks when, what it must not learn, and that it is worth having."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from energy.core.assets import PvArray
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import parse_jst
from forecasting.metrics import nmae
from forecasting.pv import FittedPv, PvModel, PvWeather, pv_power_kw
from forecasting.pv_days import LEAST_DAYS
from forecasting.pv_physics import sun_position

PLACE = {"latitude": 37.65, "longitude": 139.87}  # Kitakata
BUILT = PvArray(id="pv-roof", capacity_kw=100.0, inverter_kw=80.0, tilt_deg=35.0, azimuth_deg=240.0)
SHEET = PvArray(id="pv-roof", capacity_kw=100.0, inverter_kw=80.0, tilt_deg=10.0, azimuth_deg=180.0)
START = parse_jst("2026-03-01 00:00")
DAYS = 84
NOON = START + timedelta(days=DAYS - 3, hours=12)
GRID = Grid(START, DAYS * 48)


def sky(known: datetime | None = None, *, ends: datetime | None = None) -> PvWeather:
    """Clear to cloudy days as they were forecast; missing from ``ends`` on."""
    rng = np.random.default_rng(7)
    share = np.repeat(rng.uniform(0.2, 1.0, DAYS), 48)
    sine = sun_position(GRID, **PLACE).elevation_sine
    ghi = np.where(sine > 0.0, 1098.0 * sine * np.exp(-0.057 / np.maximum(sine, 1e-6)), 0.0) * share
    if ends is not None:
        ghi[(ends - START) // GRID.step :] = np.nan
    weather = PvWeather.from_ghi(GRID, np.nan_to_num(ghi), np.full(GRID.count, 15.0), **PLACE)
    gone = np.isnan(ghi)
    return PvWeather(
        GRID,
        *(np.where(gone, np.nan, one) for one in (weather.ghi, weather.dni, weather.dhi)),
        weather.temp_c,
        None,
        known,
    )


def made() -> FloatArray:
    """What the array as built gave, some noise about the forecast. [kW]"""
    rng = np.random.default_rng(8)
    came = np.clip(np.repeat(rng.normal(1.0, 0.06, DAYS), 48) + rng.normal(0.0, 0.05, GRID.count), 0.1, 1.4)
    return np.minimum(pv_power_kw(BUILT, sky(), **PLACE) * came, BUILT.inverter_kw)


def fitted(values: FloatArray, *, days: int = DAYS, held: np.ndarray | None = None) -> FittedPv:  # type: ignore[type-arg]
    """The model of the site's sheet, which is wrong about the roof, fitted at midnight before the noon."""
    midnight = NOON - timedelta(hours=12)
    series = Series(GRID, values, Unit.KW).between(max(START, midnight - timedelta(days=days)), midnight)
    if held is not None:
        first = (series.grid.start - START) // GRID.step
        held = held[first : first + series.grid.count]
    return PvModel(SHEET, **PLACE).fit(series, sky(), issued_at=midnight, curtailed=held)


TWO_DAYS = Grid(NOON, 60)  # the rest of today, and tomorrow to noon of the day after


def test_today_stays_with_the_physics_and_tomorrow_is_told_by_whole_days() -> None:
    recent = Series(GRID, made(), Unit.KW).between(NOON - timedelta(days=2), NOON)
    model = fitted(made())
    plain = fitted(made(), days=LEAST_DAYS - 10)
    ours = model.predict(sky(), recent, TWO_DAYS, issued_at=NOON)
    theirs = plain.predict(sky(), recent, TWO_DAYS, issued_at=NOON)
    assert ours.model == "pv-learned+pv-days"
    assert theirs.model == "pv-learned"
    today = model.predict(sky(), recent, Grid(NOON, 24), issued_at=NOON)
    assert today.model == "pv-learned"
    truth = made()[(NOON - START) // GRID.step :][:60]
    tomorrow = slice(24, 60)
    assert nmae(truth[tomorrow], ours.p50[tomorrow]) < 0.9 * nmae(truth[tomorrow], theirs.p50[tomorrow])
    assert (ours.p10 <= ours.p50).all()
    assert (ours.p50 <= ours.p90).all()
    assert (ours.p90 <= SHEET.inverter_kw).all()
    dark = sun_position(TWO_DAYS, **PLACE).elevation_sine <= 0.0
    assert (ours.p90[dark] == 0.0).all()


def test_a_day_whose_weather_ends_early_is_left_to_the_physics() -> None:
    short = sky(ends=NOON + timedelta(days=1, hours=20))  # the day after tomorrow is known to 08:00 only
    recent = Series(GRID, made(), Unit.KW).between(NOON - timedelta(days=2), NOON)
    found = fitted(made()).predict(short, recent, Grid(NOON, 88), issued_at=NOON)
    assert found.model == "pv-learned+pv-days"
    plain = fitted(made(), days=LEAST_DAYS - 10).predict(short, recent, Grid(NOON, 88), issued_at=NOON)
    assert plain.model == "pv-learned"
    whole = fitted(made()).predict(sky(), recent, Grid(NOON, 88), issued_at=NOON)
    np.testing.assert_array_equal(found.p50[:72], whole.p50[:72])
    assert (found.p50[72:] != whole.p50[72:]).any()


def test_held_back_power_and_days_under_snow_are_not_learned_from() -> None:
    slots = np.arange(GRID.count) % 48
    held = (slots > 20) & (slots < 30) & (np.arange(GRID.count) // 48 % 2 == 0)
    told = fitted(np.where(held, 0.1 * made(), made()), held=held)
    assert told.ahead is not None
    noon = told.ahead.actual_kw[::2, 21:30]
    assert np.isnan(noon).all()
    covered = made()
    covered[: 5 * 48] = 0.0
    under_snow = fitted(covered)
    assert under_snow.ahead is not None
    assert np.isnan(under_snow.ahead.actual_kw[:5]).all()


def test_what_comes_after_the_fit_changes_nothing() -> None:
    recent = Series(GRID, made(), Unit.KW).between(NOON - timedelta(days=2), NOON)
    before = fitted(made()).predict(sky(), recent, TWO_DAYS, issued_at=NOON)
    poisoned = made()
    poisoned[(NOON - timedelta(hours=12) - START) // GRID.step :] = 1e6
    after = fitted(poisoned).predict(sky(), recent, TWO_DAYS, issued_at=NOON)
    np.testing.assert_array_equal(before.p50, after.p50)


def test_a_model_of_yesterday_still_tells_tomorrow() -> None:
    """The fit of a day before: one day more lies between the past and the day asked for."""
    later = NOON + timedelta(days=1)
    recent = Series(GRID, made(), Unit.KW).between(later - timedelta(days=2), later)
    found = fitted(made()).predict(sky(), recent, Grid(later, 48), issued_at=later)
    assert found.model == "pv-learned+pv-days"
    truth = made()[(later - START) // GRID.step :][24:48]
    assert nmae(truth, found.p50[24:]) < 0.25


@pytest.mark.parametrize("days", [LEAST_DAYS - 1, LEAST_DAYS + 1])
def test_two_months_decide(days: int) -> None:
    assert (fitted(made(), days=days).ahead is not None) is (days > LEAST_DAYS)
