"""PV: physics by hand, learning from the meter, snow, curtailment, nothing from the future."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from energy.core.assets import PvArray
from energy.core.errors import AlignmentError, ForecastError, GapError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import parse_jst
from forecasting.metrics import coverage, nmae
from forecasting.pv import FittedPv, PvModel, PvWeather, RoofState, SnowState, decompose, pv_power_kw
from forecasting.pv_physics import INVERTER_EFFICIENCY, sun_position

LATITUDE, LONGITUDE = 37.65, 139.87  # Kitakata
ARRAY = PvArray(id="pv-roof", capacity_kw=100.0, inverter_kw=80.0, tilt_deg=15.0, azimuth_deg=180.0)
START = parse_jst("2026-05-01 00:00")


def clear_sky(grid: Grid, *, share: FloatArray | float = 1.0, temp_c: float = 18.0) -> PvWeather:
    """A sky of Haurwitz (1945) times a share: ghi = 1098 cos z exp(-0.057 / cos z)."""
    sine = sun_position(grid, latitude=LATITUDE, longitude=LONGITUDE).elevation_sine
    ghi = np.where(sine > 0.0, 1098.0 * sine * np.exp(-0.057 / np.maximum(sine, 1e-6)), 0.0) * share
    return PvWeather.from_ghi(grid, ghi, np.full(grid.count, temp_c), latitude=LATITUDE, longitude=LONGITUDE)


def power(weather: PvWeather) -> FloatArray:
    return pv_power_kw(ARRAY, weather, latitude=LATITUDE, longitude=LONGITUDE)


def cloudy_days(days: int, seed: int = 5) -> tuple[Grid, PvWeather, FloatArray]:
    """Forecast weather of some days and the share of it that really came, per slot."""
    rng = np.random.default_rng(seed)
    grid = Grid(START, days * 48)
    forecast_share = np.repeat(rng.uniform(0.25, 1.0, days), 48)
    came = np.clip(np.repeat(rng.normal(1.0, 0.15, days), 48) + rng.normal(0.0, 0.08, grid.count), 0.1, 1.5)
    return grid, clear_sky(grid, share=forecast_share), came


def model() -> PvModel:
    return PvModel(ARRAY, latitude=LATITUDE, longitude=LONGITUDE)


def learned(days: int = 40) -> tuple[FittedPv, Series, PvWeather, datetime]:
    grid, weather, came = cloudy_days(days + 2)
    made = Series(grid, np.minimum(power(weather) * came, ARRAY.inverter_kw), Unit.KW)
    now = START + timedelta(days=days)
    return model().fit(made.between(START, now), weather, issued_at=now), made, weather, now


def test_sun_stands_where_the_almanac_says_at_equinox_noon() -> None:
    # On the equinox the noon elevation is 90 deg - latitude; local noon at 139.87 E is 11:48 JST (2026-03-20,
    # equation of time -7.5 min: about 11:48). The middle of the slot 11:30-12:00 is 11:45.
    sun = sun_position(Grid(parse_jst("2026-03-20 11:30"), 1), latitude=LATITUDE, longitude=LONGITUDE)
    assert 90.0 - sun.zenith_deg[0] == pytest.approx(90.0 - LATITUDE, abs=0.3)
    assert sun.azimuth_deg[0] == pytest.approx(180.0, abs=2.0)


def test_power_agrees_with_a_hand_calculation_on_a_flat_array() -> None:
    # Flat, sun high, 800 W/m2, 20 degC: cell = 20 + 800 * 0.9 * 0.9 / 20 = 52.4 degC;
    # dc = 100 * 0.8 * (1 - 0.0035 * 27.4) * 0.9 = 65.095 kW; the inverter takes 80 / 0.96 = 83.333 kW,
    # zeta = 0.78114, eta = 0.96 / 0.9637 * (-0.0162 * zeta - 0.0059 / zeta + 0.9858) = 0.961896.
    flat = PvArray(id="pv-flat", capacity_kw=100.0, inverter_kw=80.0, tilt_deg=0.0, azimuth_deg=180.0)
    grid = Grid(parse_jst("2026-06-21 11:30"), 1)
    sine = float(sun_position(grid, latitude=LATITUDE, longitude=LONGITUDE).elevation_sine[0])
    dhi = 100.0
    weather = PvWeather(grid, np.array([800.0]), np.array([700.0 / sine]), np.array([dhi]), np.array([20.0]))
    made = pv_power_kw(flat, weather, latitude=LATITUDE, longitude=LONGITUDE)
    assert made[0] == pytest.approx(65.095 * 0.961896, rel=1e-3)


def test_inverter_clips_and_night_is_exactly_zero() -> None:
    grid = Grid(START, 48)
    big = PvArray(id="pv-big", capacity_kw=300.0, inverter_kw=80.0, tilt_deg=15.0, azimuth_deg=180.0)
    made = pv_power_kw(big, clear_sky(grid), latitude=LATITUDE, longitude=LONGITUDE)
    assert made.max() == 80.0
    down = sun_position(grid, latitude=LATITUDE, longitude=LONGITUDE).elevation_sine == 0.0
    assert (made[down] == 0.0).all()
    assert down[:8].all()
    assert INVERTER_EFFICIENCY < 1.0


def test_south_array_beats_north_array_and_cold_beats_heat() -> None:
    grid = Grid(START, 48)
    north = PvArray(id="pv-n", capacity_kw=100.0, inverter_kw=80.0, tilt_deg=15.0, azimuth_deg=0.0)
    assert (
        power(clear_sky(grid)).sum()
        > pv_power_kw(north, clear_sky(grid), latitude=LATITUDE, longitude=LONGITUDE).sum()
    )
    assert power(clear_sky(grid, temp_c=0.0)).sum() > power(clear_sky(grid, temp_c=35.0)).sum()


def test_split_of_global_irradiance_closes() -> None:
    grid = Grid(START, 48)
    sun = sun_position(grid, latitude=LATITUDE, longitude=LONGITUDE)
    ghi = 700.0 * sun.elevation_sine
    dni, dhi = decompose(ghi, grid, latitude=LATITUDE, longitude=LONGITUDE)
    np.testing.assert_allclose(dni * sun.elevation_sine + dhi, ghi, atol=0.5)
    assert (dni[sun.zenith_deg > 87.0] == 0.0).all()


def test_cold_start_says_physics_and_draws_a_broad_band() -> None:
    grid = Grid(START, 48)
    fitted = model().fit(None, None, issued_at=START)
    forecast = fitted.predict(clear_sky(grid, share=0.5), None, grid, issued_at=START)
    assert forecast.model == "pv-physics"
    noon = 23
    assert forecast.p10[noon] < 0.6 * forecast.p50[noon]
    assert forecast.p90[noon] > 1.2 * forecast.p50[noon]


def test_meter_corrects_shade_by_slot_of_the_day() -> None:
    grid, weather, _ = cloudy_days(40)
    shade = np.where((np.arange(grid.count) % 48) < 20, 0.5, 1.0)
    made = Series(grid, power(weather) * shade, Unit.KW)
    now = grid.end
    fitted = model().fit(made, weather, issued_at=now)
    assert fitted.slot_gain[17] == pytest.approx(0.5, abs=0.15)
    assert fitted.slot_gain[26] == pytest.approx(1.0, abs=0.08)
    tomorrow = Grid(now, 48)
    forecast = fitted.predict(clear_sky(tomorrow), made, tomorrow, issued_at=now)
    truth = power(clear_sky(tomorrow))
    assert forecast.p50[17] == pytest.approx(0.5 * truth[17], rel=0.3)
    assert forecast.p50[26] == pytest.approx(truth[26], rel=0.12)


def test_curtailed_slots_do_not_teach_that_the_sun_is_weak() -> None:
    grid, weather, came = cloudy_days(40)
    made = power(weather) * came
    held = (np.arange(grid.count) % 48 > 20) & (np.arange(grid.count) % 48 < 30)
    metered = Series(grid, np.where(held, 0.3 * made, made), Unit.KW)
    told = model().fit(metered, weather, issued_at=grid.end, curtailed=held)
    untold = model().fit(metered, weather, issued_at=grid.end)
    assert told.slot_gain[25] > 0.9
    assert untold.slot_gain[25] < 0.5


def test_band_holds_four_of_five_daylight_slots_of_days_it_has_not_seen() -> None:
    grid, weather, came = cloudy_days(70, seed=11)
    made = Series(grid, np.minimum(power(weather) * came, ARRAY.inverter_kw), Unit.KW)
    inside, error = [], []
    for day in range(40, 70):
        now = START + timedelta(days=day)
        past = made.between(START, now)
        target = Grid(now, 48)
        forecast = model().fit(past, weather, issued_at=now).predict(weather, past, target, issued_at=now)
        truth = made.between(now, now + timedelta(days=1)).values
        sunny = truth > 1.0
        inside.append(coverage(truth[sunny], forecast.p10[sunny], forecast.p90[sunny]))
        error.append(nmae(truth, forecast.p50, scale=100.0))
    assert 0.65 < np.mean(inside) < 0.93
    assert np.mean(error) < 0.05


def test_morning_darker_than_forecast_lowers_the_next_hours() -> None:
    fitted, made, weather, _ = learned()
    now = START + timedelta(days=40, hours=11)
    recent = made.between(now - timedelta(days=2), now)
    dark = recent.values.copy()
    dark[-4:] *= 0.4
    grid = Grid(now, 24)
    usual = fitted.predict(weather, recent, grid, issued_at=now)
    low = fitted.predict(weather, Series(recent.grid, dark, Unit.KW), grid, issued_at=now)
    assert low.p50[0] < 0.9 * usual.p50[0]


def test_generation_from_the_future_is_refused() -> None:
    fitted, made, weather, now = learned()
    with pytest.raises(ForecastError, match="looks into the future"):
        fitted.predict(weather, made, Grid(now, 48), issued_at=now)
    with pytest.raises(ForecastError, match="looks into the future"):
        model().fit(made, weather, issued_at=now)


def test_weather_run_that_was_not_out_yet_is_refused() -> None:
    grid = Grid(START, 48)
    sky = clear_sky(grid)
    late = PvWeather(grid, sky.ghi, sky.dni, sky.dhi, sky.temp_c, known_at=START + timedelta(hours=1))
    with pytest.raises(ForecastError, match="younger"):
        model().fit(None, None, issued_at=START).predict(late, None, grid, issued_at=START)


def test_weather_that_does_not_reach_far_enough_is_named() -> None:
    fitted = model().fit(None, None, issued_at=START)
    with pytest.raises(GapError, match="does not cover"):
        fitted.predict(clear_sky(Grid(START, 48)), None, Grid(START, 96), issued_at=START)


def test_curtailment_mask_of_another_length_is_refused() -> None:
    grid, weather, came = cloudy_days(3)
    made = Series(grid, power(weather) * came, Unit.KW)
    with pytest.raises(AlignmentError, match="curtailment mask"):
        model().fit(made, weather, issued_at=grid.end, curtailed=np.zeros(3, dtype=bool))


def winter(temp_c: float, snow_share: float) -> tuple[FittedPv, Series, PvWeather, datetime]:
    """Forty clear winter days, the last two of which gave only ``snow_share`` of the physics."""
    begin = parse_jst("2026-01-05 00:00")
    grid = Grid(begin, 44 * 48)
    weather = clear_sky(grid, share=0.8, temp_c=temp_c)
    values = power(weather)
    values = np.where(np.arange(grid.count) >= 40 * 48, snow_share * values, values)
    now = begin + timedelta(days=42)
    made = Series(grid, values, Unit.KW).between(begin, now)
    return model().fit(made, weather, issued_at=now), made, weather, now


def test_snow_seen_by_the_meter_takes_p10_to_zero_and_damps_p50() -> None:
    fitted, made, weather, now = winter(temp_c=-2.0, snow_share=0.02)
    forecast = fitted.predict(weather, made, Grid(now, 48), issued_at=now)
    assert forecast.facts["roof"] == RoofState.COVERED.value
    assert (forecast.p10 == 0.0).all()
    truth = power(weather.over(Grid(now, 48)))
    assert forecast.p50.sum() < 0.6 * truth.sum()
    assert forecast.p90.sum() > 0.8 * truth.sum()
    assert fitted.slot_gain[24] > 0.9, "covered days must not teach that the array is weak"


def test_low_ratio_in_warm_air_is_not_called_snow() -> None:
    fitted, made, weather, now = winter(temp_c=15.0, snow_share=0.02)
    forecast = fitted.predict(weather, made, Grid(now, 48), issued_at=now)
    assert forecast.facts["roof"] == RoofState.CLEAR.value
    assert forecast.facts["recent_ratio"] == pytest.approx(0.02, abs=0.01)


def test_forecast_snowfall_covers_a_clear_roof() -> None:
    fitted, made, weather, now = winter(temp_c=-4.0, snow_share=1.0)
    grid = Grid(now, 48)
    sky = weather.over(grid)
    falling = np.where(np.arange(48) < 16, 1.5, 0.0)  # 3 cm/h until 08:00
    snowy = PvWeather(grid, sky.ghi, sky.dni, sky.dhi, sky.temp_c, snowfall_cm=falling)
    forecast = fitted.predict(snowy, made, grid, issued_at=now)
    assert forecast.facts["roof"] == RoofState.CLEAR.value
    assert forecast.p50[20] < 0.3 * fitted.predict(sky, made, grid, issued_at=now).p50[20]
    assert (forecast.p10 == 0.0).all()


def test_snow_slides_off_in_the_sun_and_stays_in_the_cold() -> None:
    grid = Grid(parse_jst("2026-02-01 06:00"), 24)
    warm, cold = clear_sky(grid, temp_c=3.0), clear_sky(grid, share=0.1, temp_c=-12.0)
    place = {"latitude": LATITUDE, "longitude": LONGITUDE}
    assert SnowState(1.0).ahead(ARRAY, warm, **place)[-1] < 0.9
    assert SnowState(1.0).ahead(ARRAY, cold, **place)[-1] == 1.0
    assert (SnowState(0.0).ahead(ARRAY, cold, **place) == 0.0).all()
