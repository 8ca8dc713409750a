"""Heat need of rooms: physics at first, then the meter; silently wrong input is refused by name."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from devices.twins.rooms import Room, Surroundings
from energy.core.assets import HvacZone
from energy.core.errors import DataError, ForecastError, GapError
from energy.core.outcome import ClimateMode
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import CalendarRules
from energy.core.slots import JST, SLOTS_PER_DAY, jst_midnight
from forecasting.heat import HeatModel
from forecasting.heat_design import find_balance, inert
from forecasting.heat_physics import heat_need_kw
from forecasting.metrics import coverage, nmae

FIRST, DAYS = date(2026, 6, 1), 70
RULES = CalendarRules()
ROOM = HvacZone(
    id="hall",
    name_ja="室",
    name_en="hall",
    max_electric_kw=12.0,
    capacitance_kwh_per_k=4.0,
    loss_kw_per_k=0.8,
    base_gain_kw=2.0,
    occupied_gain_kw=6.0,
)
ISSUED = jst_midnight(FIRST + timedelta(days=60)) - timedelta(hours=12)
TARGET = Grid(jst_midnight(FIRST + timedelta(days=60)), SLOTS_PER_DAY)


def summer(days: int = DAYS, *, seed: int = 5) -> Series:
    """Outdoor temperature: warm and cool spells of some days, a daily course. [degC]"""
    rng = np.random.default_rng(seed)
    k = np.arange(days * SLOTS_PER_DAY)
    spells = np.repeat(np.convolve(rng.normal(0.0, 4.0, days + 4), np.ones(5) / 3.0, "valid"), SLOTS_PER_DAY)
    daily = 4.5 * np.sin(2.0 * np.pi * (k % SLOTS_PER_DAY - 18) / SLOTS_PER_DAY)
    return Series(Grid(jst_midnight(FIRST), k.size), 26.0 + spells + daily, Unit.CELSIUS)


def metered_room(outdoor: Series, *, seed: int = 6) -> Series:
    """Power of the room's twin under its thermostat; people bring more or less heat from day to day. [kW]"""
    rng = np.random.default_rng(seed)
    room, calendar, power = Room(ROOM), RULES.calendar(), np.zeros(outdoor.grid.count)
    people = np.repeat(rng.uniform(0.7, 1.3, DAYS), SLOTS_PER_DAY)
    for k, at in enumerate(outdoor.grid.times()):
        local = at.astimezone(JST)
        works = calendar.day_type(local.date()) == "weekday"
        hour = local.hour + local.minute / 60.0
        room.zone = replace(ROOM, occupied_gain_kw=6.0 * float(people[k]))
        room.order(ClimateMode.COOL if works and 5.0 <= hour < 18.0 else ClimateMode.OFF, 26.0)
        around = Surroundings(float(outdoor.values[k]), 0.0, works and 8.0 <= hour < 18.0)
        power[k] = 2.0 * room.step(1800.0, around)
    return Series(outdoor.grid, power, Unit.KW)


@pytest.fixture(scope="module")
def outdoor() -> Series:
    return summer()


@pytest.fixture(scope="module")
def power(outdoor: Series) -> Series:
    return metered_room(outdoor)


def past(series: Series, issued: datetime = ISSUED, days: int | None = None) -> Series:
    start = (
        series.grid.start if days is None else jst_midnight(issued.astimezone(JST).date()) - timedelta(days)
    )
    return series.between(start, issued)


def test_the_meter_beats_yesterday_and_last_week(power: Series, outdoor: Series) -> None:
    truth, ours, yesterday, week, low, high = [], [], [], [], [], []
    for day in range(45, DAYS - 1, 4):
        start = jst_midnight(FIRST + timedelta(days=day))
        issued = start - timedelta(hours=12)
        model = HeatModel(rules=RULES, max_kw=12.0)
        fitted = model.fit(past(power, issued), past(outdoor, issued), issued_at=issued)
        assert fitted.method == "heat-change-point"
        grid = Grid(start, SLOTS_PER_DAY)
        found = fitted.predict(outdoor.between(outdoor.grid.start, grid.end), grid).electric_kw
        truth.append(power.between(start, grid.end).values)
        ours.append(found.p50)
        low.append(found.p10)
        high.append(found.p90)
        for values, back in ((yesterday, 1), (week, 7)):
            begin = start - timedelta(days=back)
            values.append(power.between(begin, begin + timedelta(days=1)).values)
    y = np.concatenate(truth)
    error = nmae(y, np.concatenate(ours))
    assert error < 0.6 * nmae(y, np.concatenate(yesterday))
    assert error < 0.6 * nmae(y, np.concatenate(week))
    busy = y > 0.5
    assert 0.6 < coverage(y[busy], np.concatenate(low)[busy], np.concatenate(high)[busy]) <= 1.0


def test_a_warmer_forecast_needs_more_and_a_day_of_rest_nothing(power: Series, outdoor: Series) -> None:
    fitted = HeatModel(rules=RULES, max_kw=12.0).fit(past(power), past(outdoor), issued_at=ISSUED)
    usual = outdoor.between(outdoor.grid.start, TARGET.end)
    warmer = replace(usual, values=usual.values + np.where(np.arange(usual.grid.count) >= 60 * 48, 3.0, 0.0))
    here, hot = (fitted.predict(one, TARGET).electric_kw for one in (usual, warmer))
    assert hot.p50.sum() > 1.1 * here.p50.sum()
    sunday = Grid(jst_midnight(FIRST + timedelta(days=62)), SLOTS_PER_DAY)
    rest = fitted.predict(outdoor.between(outdoor.grid.start, sunday.end), sunday).electric_kw
    assert (FIRST + timedelta(days=62)).weekday() in (5, 6)
    assert rest.p90.sum() < 0.1 * here.p50.sum()


def test_doubt_about_the_temperature_widens_the_band_and_moves_nothing(
    power: Series, outdoor: Series
) -> None:
    fitted = HeatModel(rules=RULES, max_kw=12.0).fit(past(power), past(outdoor), issued_at=ISSUED)
    known = outdoor.between(outdoor.grid.start, TARGET.end)
    sure = fitted.predict(known, TARGET).electric_kw
    unsure = fitted.predict(known, TARGET, doubt_k=np.full(SLOTS_PER_DAY, 3.0)).electric_kw
    assert np.allclose(sure.p50, unsure.p50)
    assert (unsure.p90 - unsure.p10).sum() > 1.2 * (sure.p90 - sure.p10).sum()


def test_without_a_meter_the_physics_of_the_room_speaks_and_says_so(power: Series, outdoor: Series) -> None:
    model = HeatModel(rules=RULES, max_kw=12.0, zones=(ROOM,))
    fitted = model.fit(None, None, issued_at=ISSUED)
    found = fitted.predict(outdoor.between(outdoor.grid.start, TARGET.end), TARGET)
    assert found.electric_kw.model == "heat-physics"
    truth = power.between(TARGET.start, TARGET.end).values
    assert found.electric_kw.p50.sum() == pytest.approx(truth.sum(), rel=0.35)
    assert found.thermal_kwh is not None
    assert found.thermal_kwh.p50.sum() > found.electric_kwh()[1].sum()  # a heat pump moves more than it uses
    assert found.electric_kwh()[1].sum() == pytest.approx(found.electric_kw.p50.sum() / 2.0)


def test_a_few_days_of_meter_scale_the_physics_within_limits(power: Series, outdoor: Series) -> None:
    model = HeatModel(rules=RULES, max_kw=12.0, zones=(ROOM,))
    strong = replace(power, values=1.4 * power.values)
    fitted = model.fit(past(strong, days=6), past(outdoor, days=6), issued_at=ISSUED)
    assert fitted.method == "heat-physics-scaled"
    assert 1.1 < fitted.scale <= 2.0


def test_little_history_without_rooms_is_an_error_that_counts_the_days(
    power: Series, outdoor: Series
) -> None:
    model = HeatModel(rules=RULES, max_kw=12.0)
    with pytest.raises(ForecastError, match="too little history") as few:
        model.fit(past(power, days=6), past(outdoor, days=6), issued_at=ISSUED)
    assert "6 whole days" in few.value.where


def changed(series: Series, values: FloatArray, unit: Unit | None = None) -> Series:
    return Series(series.grid, values, unit or series.unit)


def test_fahrenheit_and_kelvin_are_refused(power: Series, outdoor: Series) -> None:
    model, cut = HeatModel(rules=RULES, max_kw=12.0), past(outdoor)
    for wrong, word in ((cut.values * 1.8 + 32.0, "Fahrenheit"), (cut.values + 273.15, "kelvin")):
        with pytest.raises(DataError, match=word):
            model.fit(past(power), changed(cut, wrong), issued_at=ISSUED)


def test_watts_megawatts_and_the_wrong_sign_are_refused(power: Series, outdoor: Series) -> None:
    model, cut = HeatModel(rules=RULES, max_kw=12.0), past(power)
    for factor, word in ((1000.0, "watts"), (0.001, "megawatts"), (-1.0, "negative")):
        with pytest.raises(DataError, match=word):
            model.fit(changed(cut, factor * cut.values), past(outdoor), issued_at=ISSUED)
    with pytest.raises(DataError, match="not in kW"):
        model.fit(changed(cut, cut.values / 2.0, Unit.KWH), past(outdoor), issued_at=ISSUED)


def test_a_frozen_meter_is_an_error_and_not_a_flat_line(power: Series, outdoor: Series) -> None:
    flat = changed(past(power), np.full(past(power).grid.count, 4.0))
    with pytest.raises(ForecastError, match="never changes"):
        HeatModel(rules=RULES, max_kw=12.0).fit(flat, past(outdoor), issued_at=ISSUED)


def test_the_future_of_the_meter_is_refused(power: Series, outdoor: Series) -> None:
    with pytest.raises(ForecastError, match="future"):
        HeatModel(rules=RULES, max_kw=12.0).fit(power, past(outdoor), issued_at=ISSUED)


def test_weather_that_ends_early_or_has_holes_is_refused_by_name(power: Series, outdoor: Series) -> None:
    fitted = HeatModel(rules=RULES, max_kw=12.0).fit(past(power), past(outdoor), issued_at=ISSUED)
    with pytest.raises(GapError, match="does not cover"):
        fitted.predict(outdoor.between(outdoor.grid.start, TARGET.time(40)), TARGET)
    holes = outdoor.between(outdoor.grid.start, TARGET.end)
    values = np.array(holes.values)
    values[-5] = np.nan
    with pytest.raises(GapError, match="gap"):
        fitted.predict(changed(holes, values), TARGET)


def test_gaps_of_the_past_are_left_out_and_forecasts_stay_whole(power: Series, outdoor: Series) -> None:
    values = np.array(past(power).values)
    values[500:700] = np.nan
    fitted = HeatModel(rules=RULES, max_kw=12.0).fit(
        changed(past(power), values), past(outdoor), issued_at=ISSUED
    )
    found = fitted.predict(outdoor.between(outdoor.grid.start, TARGET.end), TARGET).electric_kw
    assert np.isfinite(found.p50).all()
    assert found.p50.sum() > 10.0


def test_the_balance_temperature_of_a_known_line_is_found() -> None:
    rng = np.random.default_rng(0)
    felt = inert(summer(120, seed=9).values, 12.0).reshape(120, SLOTS_PER_DAY)
    rest = np.arange(120) % 7 > 4
    energy = 20.0 + 300.0 * np.maximum(felt - 24.0, 0.0).mean(axis=1) + rng.normal(0.0, 3.0, 120)
    found = find_balance(energy, felt, rest)
    assert found.cooling_c == pytest.approx(24.0, abs=1.0)
    assert found.heating_c is None


def test_physics_agrees_with_a_hand_calculation_of_a_steady_room() -> None:
    """Held at 26 degC under 36 degC: U 10 K + gains = 8 + 2 + 6 = 16 kW of heat, COP 3.3 - 0.08 = 3.22."""
    noon = Grid(jst_midnight(date(2026, 7, 1)), SLOTS_PER_DAY)
    found = heat_need_kw(ROOM, RULES, noon, outdoor_c=np.full(48, 36.0), ghi_w_m2=np.zeros(SLOTS_PER_DAY))
    assert found[30] == pytest.approx(16.0 / 3.22, rel=1e-3)
    assert found[2] == 0.0
    assert found[44] == 0.0
