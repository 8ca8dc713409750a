"""PV without a weather forecast: clear-sky geometry, the meter's own index, and nothing else."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from energy.core.assets import PvArray
from energy.core.errors import AlignmentError, ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import jst_midnight
from forecasting.climatology import PvClimatology, clear_sky_kw

PLACE = {"latitude": 37.6, "longitude": 139.9}
ROOF = PvArray(id="roof", capacity_kw=100.0, inverter_kw=80.0, tilt_deg=20.0, azimuth_deg=180.0)
FIRST = date(2026, 5, 1)
DAYS = 40


def metered(index: FloatArray, *, unit: Unit = Unit.KW) -> Series:
    """Generation of days with one clear-sky index each. [kW]"""
    grid = Grid(jst_midnight(FIRST), 48 * index.size)
    return Series(grid, clear_sky_kw(ROOF, grid, **PLACE) * np.repeat(index, 48), unit)


def forecast(known: Series | None, *, day: int = DAYS, slots: int = 48, curtailed=None) -> QuantileForecast:
    now = jst_midnight(FIRST + timedelta(days=day))
    model = PvClimatology(ROOF, **PLACE)
    return model.predict(known, Grid(now, slots), issued_at=now, curtailed=curtailed)


def clear(day: int = DAYS, slots: int = 48) -> FloatArray:
    return clear_sky_kw(ROOF, Grid(jst_midnight(FIRST + timedelta(days=day)), slots), **PLACE)


def test_clear_sky_power_is_near_the_nameplate_at_noon_and_nothing_at_night() -> None:
    power = clear()
    assert 60.0 < power.max() <= 80.0
    assert 20 <= int(np.argmax(power)) <= 25
    assert (power[:8] == 0.0).all()
    assert (power[40:] == 0.0).all()


def test_a_steady_sky_goes_on() -> None:
    found = forecast(metered(np.full(DAYS, 0.4)))
    assert found.model == "pv-climatology"
    assert found.target == "roof/generation_kw"
    np.testing.assert_allclose(found.p50, 0.4 * clear(), atol=1.5)
    assert found.facts["learned_days"] == DAYS
    assert found.facts["recent_index"] == pytest.approx(0.4)


def test_a_clear_day_foretells_more_sun_than_a_dark_one_where_days_come_in_spells() -> None:
    spells = np.repeat(np.tile([1.0, 0.2], 5), 4)
    after_dark = forecast(metered(spells))
    after_clear = forecast(metered(spells[: DAYS - 4]), day=DAYS - 4)
    assert after_clear.p50.sum() > 1.5 * after_dark.p50.sum()
    assert after_dark.facts["recent_index"] == pytest.approx(0.2)


def test_mixed_days_give_a_band_between_dark_and_clear() -> None:
    index = np.random.default_rng(1).uniform(0.1, 1.0, DAYS)
    found, sky = forecast(metered(index)), clear()
    noon = slice(20, 28)
    assert (found.p10[noon] < 0.45 * sky[noon]).all()
    assert (found.p90[noon] > 0.75 * sky[noon]).all()
    assert (found.p90 <= 80.0).all()
    assert (found.p90[sky == 0.0] == 0.0).all()


def test_a_week_ahead_is_forecast_too() -> None:
    found = forecast(metered(np.full(DAYS, 0.5)), slots=7 * 48)
    np.testing.assert_allclose(found.p50[6 * 48 :], 0.5 * clear(DAYS + 6), atol=2.0)


def test_curtailed_slots_do_not_teach_that_the_sun_is_weak() -> None:
    known = metered(np.full(DAYS, 0.8))
    held = np.array(known.values) > 40.0
    cut = Series(known.grid, np.where(held, 10.0, known.values), Unit.KW)
    assert forecast(cut, curtailed=held).p50.max() > 38.0 > 15.0 > forecast(cut).p50[22:26].max()


def test_a_new_array_gets_the_clear_sky_with_a_broad_band_by_name() -> None:
    for known in (None, metered(np.full(2, 0.9))):
        found = forecast(known, day=2)
        assert found.model == "pv-clear-sky"
        noon = int(np.argmax(found.p90))
        assert found.p10[noon] < 0.2 * found.p90[noon]


def test_it_refuses_the_future_and_what_does_not_fit() -> None:
    known = metered(np.full(DAYS, 0.5))
    with pytest.raises(ForecastError, match="future"):
        forecast(known, day=DAYS - 1)
    now = jst_midnight(FIRST + timedelta(days=DAYS))
    model = PvClimatology(ROOF, **PLACE)
    with pytest.raises(ForecastError, match="does not look back"):
        model.predict(known, Grid(now - timedelta(hours=1), 4), issued_at=now)
    with pytest.raises(AlignmentError, match="not in kW"):
        forecast(metered(np.full(DAYS, 0.5), unit=Unit.KWH))
    with pytest.raises(AlignmentError, match="curtailed"):
        forecast(known, curtailed=np.zeros(3, dtype=np.bool_))
    with pytest.raises(AlignmentError, match="slots"):
        model.predict(known, Grid(now, 4, timedelta(hours=1)), issued_at=now)


def test_gaps_in_the_meter_are_left_out() -> None:
    known = metered(np.full(DAYS, 0.6))
    values = np.array(known.values)
    values[10 * 48 : 17 * 48] = np.nan
    values[-10:] = np.nan
    found = forecast(Series(known.grid, values, Unit.KW))
    np.testing.assert_allclose(found.p50, 0.6 * clear(), atol=2.0)


def test_the_issue_may_lie_inside_the_day() -> None:
    now = jst_midnight(FIRST + timedelta(days=DAYS)) + timedelta(hours=11, minutes=40)
    known = metered(np.full(DAYS, 0.6))
    found = PvClimatology(ROOF, **PLACE).predict(
        known, Grid(datetime.fromisoformat("2026-06-10T02:30:00+00:00"), 48), issued_at=now
    )
    assert np.isfinite(found.p50).all()
