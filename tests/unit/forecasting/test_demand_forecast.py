"""The load forecast: which method runs, what it refuses, and what it must never look at."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from energy.core.calendar import SiteCalendar
from energy.core.errors import AlignmentError, ForecastError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, jst_midnight
from forecasting.demand import REACH_DAYS, DemandModel
from forecasting.intraday import LEADS
from forecasting.metrics import nmae

FIRST = date(2026, 4, 1)  # a Wednesday
CALENDAR = SiteCalendar(national_holidays=False)


def factory(days: int, *, seed: int = 7, order_kw: float = 15.0) -> Series:
    """A factory: 20 kW at rest; on working days from 08:00 to 18:00 120 kW, more or less with the orders.

    What a morning is above the usual, its afternoon is too, and its evening is not.
    """
    rng = np.random.default_rng(seed)
    orders = rng.normal(0.0, order_kw, days)
    values = np.empty(days * 48)
    for k in range(values.size):
        day, slot = FIRST + timedelta(days=k // 48), k % 48
        works = day.weekday() < 5 and 16 <= slot < 36
        values[k] = 120.0 + orders[k // 48] + rng.normal(0.0, 4.0) if works else 20.0 + rng.normal(0.0, 2.0)
    return Series(Grid(jst_midnight(FIRST), values.size), np.maximum(values, 0.0), Unit.KW)


def until(series: Series, instant: datetime) -> Series:
    return series.between(series.grid.start, instant)


def day_start(number: int) -> datetime:
    return jst_midnight(FIRST + timedelta(days=number))


def with_values(series: Series, values: FloatArray) -> Series:
    return Series(series.grid, values, series.unit)


@pytest.mark.parametrize(
    ("days", "model"),
    [
        (2, "demand-same-time"),
        (6, "demand-same-time"),
        (7, "demand-day-type"),
        (20, "demand-day-type"),
        (21, "demand-pool"),
        (60, "demand-pool"),
    ],
)
def test_forecast_names_the_method_that_the_length_of_history_allows(days: int, model: str) -> None:
    load = factory(days)
    now = day_start(days)
    forecast = DemandModel(CALENDAR).fit(load, issued_at=now).predict(load, Grid(now, 96), issued_at=now)
    assert forecast.model == model
    assert forecast.facts["usable_days"] == days
    assert (forecast.p10 >= 0.0).all()
    assert (forecast.p90 > forecast.p10).any()


def test_less_than_two_whole_days_is_an_error_that_says_what_is_missing() -> None:
    load = factory(2)
    now = day_start(1) + timedelta(hours=9)
    with pytest.raises(ForecastError) as caught:
        DemandModel(CALENDAR).fit(until(load, now), issued_at=now)
    assert caught.value.details == {"needed_days": 2, "whole_days": 1}
    assert "33 h of values" in caught.value.where


def test_history_that_knows_the_future_is_refused_by_time() -> None:
    load = factory(30)
    with pytest.raises(ForecastError, match="looks into the future"):
        DemandModel(CALENDAR).fit(load, issued_at=day_start(30) - timedelta(minutes=1))


def test_history_that_became_known_later_is_refused() -> None:
    load = factory(30)
    now = day_start(30)
    late = Series(load.grid, load.values, Unit.KW, known_at=now + timedelta(hours=1))
    with pytest.raises(ForecastError, match="became known after"):
        DemandModel(CALENDAR).fit(late, issued_at=now)


def test_slot_in_progress_is_not_yet_known() -> None:
    load = factory(30)
    now = day_start(29) + timedelta(hours=9, minutes=10)
    fitted = DemandModel(CALENDAR).fit(until(load, day_start(29)), issued_at=now)
    with pytest.raises(ForecastError, match="looks into the future"):
        fitted.predict(
            until(load, now + timedelta(minutes=20)), Grid(now - timedelta(minutes=10), 4), issued_at=now
        )


def test_missing_values_after_the_issue_say_nothing_and_are_allowed() -> None:
    load = factory(40)
    now = day_start(35) + timedelta(hours=10)
    values = load.values.copy()
    values[(now - load.grid.start) // SLOT_LENGTH :] = np.nan
    model = DemandModel(CALENDAR)
    cut = model.fit(until(load, now), issued_at=now).predict(until(load, now), Grid(now, 96), issued_at=now)
    padded = with_values(load, values)
    same = model.fit(padded, issued_at=now).predict(padded, Grid(now, 96), issued_at=now)
    np.testing.assert_array_equal(cut.p50, same.p50)
    np.testing.assert_array_equal(cut.p90, same.p90)


def test_forecast_follows_the_calendar_of_the_site() -> None:
    load = factory(60)
    now = day_start(60)  # a Sunday; tomorrow would be a working day
    monday = FIRST + timedelta(days=61)
    assert monday.weekday() == 0
    closed = SiteCalendar(national_holidays=False, closed=frozenset({monday}))
    grid = Grid(day_start(61), 48)
    works, rests = (
        DemandModel(calendar).fit(load, issued_at=now).predict(load, grid, issued_at=now)
        for calendar in (CALENDAR, closed)
    )
    assert works.p50[24] > 90.0
    assert rests.p50[24] < 60.0


def test_model_beats_the_same_day_of_last_week_on_a_regular_factory() -> None:
    load = factory(60)
    model, ours, week, truth = DemandModel(CALENDAR), [], [], []
    for day in range(50, 59, 2):
        noon, start = day_start(day - 1) + timedelta(hours=12), day_start(day)
        known = until(load, noon)
        ours.append(model.fit(known, issued_at=noon).predict(known, Grid(start, 48), issued_at=noon).p50)
        week.append(load.between(day_start(day - 7), day_start(day - 6)).values)
        truth.append(load.between(start, day_start(day + 1)).values)
    assert nmae(np.concatenate(truth), np.concatenate(ours)) < 0.85 * nmae(
        np.concatenate(truth), np.concatenate(week)
    )


@pytest.mark.parametrize("days", [48, 57])
def test_next_hours_follow_a_morning_that_runs_high_and_the_evening_does_not(days: int) -> None:
    load = factory(60)
    assert (FIRST + timedelta(days=days)).weekday() < 5
    now = day_start(days) + timedelta(hours=11)
    usual = until(load, now)
    values = usual.values.copy()
    values[-6:] += 25.0
    fitted = DemandModel(CALENDAR).fit(until(load, day_start(days)), issued_at=day_start(days))
    grid = Grid(now, 96)
    plain = fitted.predict(usual, grid, issued_at=now)
    high = fitted.predict(with_values(usual, values), grid, issued_at=now)
    shift = high.p50 - plain.p50
    assert shift[:12].mean() > 8.0  # to 17:00; work ends at 18:00
    assert abs(shift[14:16].mean()) < 4.0
    np.testing.assert_array_equal(shift[LEADS:26], 0.0)  # to midnight


def test_bands_are_narrower_for_the_next_hours_than_for_the_same_time_tomorrow() -> None:
    load = factory(104)
    model, soon, tomorrow = DemandModel(CALENDAR), [], []
    for day in (96, 97, 98):
        assert (FIRST + timedelta(days=day)).weekday() < 4
        now = day_start(day) + timedelta(hours=11)
        fitted = model.fit(until(load, day_start(day)), issued_at=day_start(day))
        forecast = fitted.predict(until(load, now), Grid(now, 96), issued_at=now)
        band = forecast.p90 - forecast.p10
        soon.append(band[:8].mean())
        tomorrow.append(band[48:56].mean())
    assert sum(soon) < 0.85 * sum(tomorrow)


def test_frozen_meter_does_not_poison_later_training() -> None:
    load = factory(60)
    values = load.values.copy()
    values[40 * 48 : 43 * 48] = 77.7
    now = day_start(60)
    model = DemandModel(CALENDAR)
    frozen = model.fit(with_values(load, values), issued_at=now)
    values[40 * 48 : 43 * 48] = np.nan
    missing = model.fit(with_values(load, values), issued_at=now)
    grid = Grid(now, 96)
    np.testing.assert_array_equal(
        frozen.predict(load, grid, issued_at=now).p50, missing.predict(load, grid, issued_at=now).p50
    )
    assert frozen.usable_days == 57


def test_gaps_in_the_recent_load_still_give_a_forecast_that_counts_them() -> None:
    load = factory(50)
    now = day_start(49) + timedelta(hours=14)
    recent = until(load, now).between(now - timedelta(days=8), now)
    values = recent.values.copy()
    values[-20:-4] = np.nan
    fitted = DemandModel(CALENDAR).fit(until(load, day_start(49)), issued_at=day_start(49))
    forecast = fitted.predict(with_values(recent, values), Grid(now, 96), issued_at=now)
    assert forecast.facts["missing_last_day"] == 16
    assert forecast.p50[0] == pytest.approx(load.values[49 * 48 + 28], rel=0.4)


def test_week_without_load_is_refused_rather_than_drawn_flat() -> None:
    load = factory(30)
    now = day_start(45)
    fitted = DemandModel(CALENDAR).fit(load, issued_at=day_start(30))
    silent = Series(Grid(day_start(37), 8 * 48), np.full(8 * 48, np.nan), Unit.KW)
    with pytest.raises(ForecastError, match="silent for a week"):
        fitted.predict(silent, Grid(now, 48), issued_at=now)


def test_model_fitted_some_days_ago_still_forecasts_with_the_recent_load() -> None:
    load = factory(70)
    fitted = DemandModel(CALENDAR).fit(until(load, day_start(60)), issued_at=day_start(60))
    now = day_start(65)
    recent = until(load, now).between(now - timedelta(days=9), now)
    forecast = fitted.predict(recent, Grid(now, 48), issued_at=now)
    truth = load.between(now, now + timedelta(days=1)).values
    assert nmae(truth, forecast.p50) < 0.3
    assert forecast.facts["fitted_at"] == day_start(60).isoformat()


def test_grid_in_the_past_or_beyond_a_week_is_refused() -> None:
    load = factory(30)
    now = day_start(29) + timedelta(hours=9)
    fitted = DemandModel(CALENDAR).fit(until(load, now), issued_at=now)
    with pytest.raises(ForecastError, match="does not look back"):
        fitted.predict(until(load, now), Grid(now - timedelta(hours=1), 4), issued_at=now)
    left = REACH_DAYS * 48 - 18
    with pytest.raises(ForecastError, match="reaches too far"):
        fitted.predict(until(load, now), Grid(now, left + 1), issued_at=now)


def test_week_ahead_knows_its_days_of_rest_to_the_last() -> None:
    load = factory(40)
    now = day_start(33)
    fitted = DemandModel(CALENDAR).fit(until(load, now), issued_at=now)
    forecast = fitted.predict(until(load, now), Grid(now, REACH_DAYS * 48), issued_at=now)
    noon = forecast.p50.reshape(REACH_DAYS, 48)[:, 24]
    works = [(FIRST + timedelta(days=33 + k)).weekday() < 5 for k in range(REACH_DAYS)]
    assert len(set(works)) == 2
    assert (noon[works] > 70.0).all()
    assert (noon[~np.array(works)] < 40.0).all()
    assert np.isfinite(forecast.p90).all()


def test_part_of_the_week_is_the_same_as_the_week_it_is_a_part_of() -> None:
    load = factory(40)
    now = day_start(33) + timedelta(hours=13)
    fitted = DemandModel(CALENDAR).fit(until(load, now), issued_at=now)
    long = fitted.predict(until(load, now), Grid(now, 100), issued_at=now)
    part = fitted.predict(until(load, now), Grid(now + 30 * SLOT_LENGTH, 40), issued_at=now)
    np.testing.assert_array_equal(long.p90[30:70], part.p90)


def test_energy_is_not_mistaken_for_power() -> None:
    load = factory(30)
    energy = Series(load.grid, load.values / 2.0, Unit.KWH)
    with pytest.raises(AlignmentError, match="not in kW"):
        DemandModel(CALENDAR).fit(energy, issued_at=day_start(30))


def test_quarter_hours_are_refused_with_the_way_to_mend_them() -> None:
    quarter = Series(Grid(day_start(0), 96 * 10, timedelta(minutes=15)), np.ones(960), Unit.KW)
    with pytest.raises(AlignmentError) as caught:
        DemandModel(CALENDAR).fit(quarter, issued_at=day_start(10))
    assert "to_slots" in caught.value.hint


def temperatures(days: int, *, seed: int = 3) -> Series:
    rng = np.random.default_rng(seed)
    daily = np.repeat(20.0 + 8.0 * np.sin(np.arange(days) / 5.0) + rng.normal(0.0, 2.0, days), 48)
    course = np.tile(4.0 * np.sin(2.0 * np.pi * (np.arange(48) - 18) / 48), days)
    return Series(Grid(jst_midnight(FIRST), days * 48), daily + course, Unit.CELSIUS)


def heated(load: Series, outdoor: Series) -> Series:
    return with_values(load, load.values + 4.0 * np.maximum(0.0, outdoor.values - 20.0))


def test_temperature_helps_where_the_load_follows_it() -> None:
    outdoor = temperatures(120)
    load = heated(factory(120, order_kw=4.0), outdoor)
    model, plain, warm, truth = DemandModel(CALENDAR), [], [], []
    for day in range(108, 119, 3):
        now, start = day_start(day - 1) + timedelta(hours=12), day_start(day)
        known = until(load, now)
        fitted = model.fit(known, issued_at=now, outdoor_c=until(outdoor, now))
        grid = Grid(start, 48)
        plain.append(fitted.predict(known, grid, issued_at=now))
        ahead = outdoor.between(now, day_start(day + 1))
        warm.append(fitted.predict(known, grid, issued_at=now, outdoor_c=ahead))
        truth.append(load.between(start, day_start(day + 1)).values)
    assert {forecast.model for forecast in plain} == {"demand-pool"}
    assert {forecast.model for forecast in warm} == {"demand-pool-weather"}
    y = np.concatenate(truth)
    error = {
        name: nmae(y, np.concatenate([f.p50 for f in made])) for name, made in (("p", plain), ("w", warm))
    }
    assert error["w"] < 0.9 * error["p"]


WARM = temperatures(105)
HEATED = heated(factory(105, order_kw=4.0), WARM)


def test_days_that_the_weather_forecast_does_not_reach_are_forecast_without_it_by_name() -> None:
    now = day_start(100)
    fitted = DemandModel(CALENDAR).fit(until(HEATED, now), issued_at=now, outdoor_c=until(WARM, now))
    known, ahead = until(HEATED, now), WARM.between(now, day_start(101))

    def name(days: int, weather: Series) -> str:
        return fitted.predict(known, Grid(now, 48 * days), issued_at=now, outdoor_c=weather).model

    assert name(1, ahead) == "demand-pool-weather"
    assert name(2, ahead) == "demand-pool-weather+demand-pool"
    holed = with_values(ahead, np.where(np.arange(48) == 30, np.nan, ahead.values))
    assert name(1, holed) == "demand-pool"


def test_temperature_is_left_out_where_the_past_says_that_it_does_not_help() -> None:
    now, load = day_start(100), factory(105)
    fitted = DemandModel(CALENDAR).fit(until(load, now), issued_at=now, outdoor_c=until(WARM, now))
    assert fitted.temperature_gain is not None
    assert fitted.temperature_gain < 0.1
    forecast = fitted.predict(until(load, now), Grid(now, 48), issued_at=now, outdoor_c=WARM)
    assert forecast.model == "demand-pool"
    assert forecast.facts["temperature_gain"] == round(fitted.temperature_gain, 3)


def test_a_few_weeks_of_temperature_are_not_yet_trusted() -> None:
    now = day_start(40)
    fitted = DemandModel(CALENDAR).fit(until(HEATED, now), issued_at=now, outdoor_c=until(WARM, now))
    assert fitted.temperature_gain is None
    assert fitted.outdoor_c is None


def test_days_before_the_first_temperature_are_not_learned_from_together_with_it() -> None:
    now = day_start(104)
    late = with_values(WARM, np.where(np.arange(WARM.grid.count) < 10 * 48, np.nan, WARM.values))
    model, grid = DemandModel(CALENDAR), Grid(now, 48)
    since = HEATED.between(day_start(10), now)
    told = [
        model.fit(known, issued_at=now, outdoor_c=until(late, now)).predict(
            known, grid, issued_at=now, outdoor_c=late
        )
        for known in (until(HEATED, now), since)
    ]
    assert {one.model for one in told} == {"demand-pool-weather"}
    np.testing.assert_allclose(told[0].p50[16:], told[1].p50[16:])  # later than what the day so far tells


@pytest.mark.parametrize("poison", [0.0, 1e6, float("nan")])
def test_load_after_the_issue_changes_no_forecast_with_temperature(poison: float) -> None:
    now = day_start(100) + timedelta(hours=10)
    spoiled = np.where(np.arange(HEATED.grid.count) >= 100 * 48 + 20, poison, HEATED.values)
    told = []
    for load in (HEATED, with_values(HEATED, spoiled)):
        known = until(load, now)
        fitted = DemandModel(CALENDAR).fit(known, issued_at=now, outdoor_c=until(WARM, now))
        told.append(fitted.predict(known, Grid(now, 60), issued_at=now, outdoor_c=WARM))
    assert told[0].model == "demand-pool-weather"
    np.testing.assert_array_equal(told[0].p50, told[1].p50)


def test_quantiles_of_more_levels_agree_with_the_three_of_a_forecast() -> None:
    load = factory(40)
    now = day_start(39) + timedelta(hours=6)
    fitted = DemandModel(CALENDAR).fit(until(load, now), issued_at=now)
    known, grid = until(load, now), Grid(now, 96)
    forecast = fitted.predict(known, grid, issued_at=now)
    nine = fitted.quantiles(known, grid, issued_at=now, levels=(0.1, 0.3, 0.5, 0.7, 0.9))
    np.testing.assert_allclose(nine[[0, 2, 4]], [forecast.p10, forecast.p50, forecast.p90])
    assert (np.diff(nine, axis=0) >= -1e-9).all()


def test_model_of_today_does_not_forecast_yesterday() -> None:
    load = factory(40)
    fitted = DemandModel(CALENDAR).fit(load, issued_at=day_start(40))
    then = day_start(39)
    with pytest.raises(ForecastError, match="must not know"):
        fitted.predict(until(load, then), Grid(then, 48), issued_at=then)


def test_meter_that_never_moved_is_named_when_nothing_else_is_left() -> None:
    flat = with_values(factory(10), np.full(480, 50.0))
    with pytest.raises(ForecastError) as caught:
        DemandModel(CALENDAR).fit(flat, issued_at=day_start(10))
    assert "240 h of them impossible" in caught.value.where


def test_model_used_for_some_days_says_what_a_fresh_one_says() -> None:
    """What is kept between calls belongs to its day: yesterday's correction is not today's."""
    load = factory(50)
    start = day_start(44)
    used = DemandModel(CALENDAR).fit(until(load, start), issued_at=start)
    for hours in (6, 13, 30, 37, 54):
        now = start + timedelta(hours=hours)
        last = used.predict(until(load, now), Grid(now, 48), issued_at=now)
    fresh = DemandModel(CALENDAR).fit(until(load, start), issued_at=start)
    np.testing.assert_array_equal(last.p90, fresh.predict(until(load, now), Grid(now, 48), issued_at=now).p90)


def test_days_for_which_the_history_is_too_short_come_from_like_days_by_name() -> None:
    load = factory(24)
    now = day_start(24)
    fitted = DemandModel(CALENDAR).fit(load, issued_at=now)
    near = fitted.predict(load, Grid(now, 96), issued_at=now)
    week = fitted.predict(load, Grid(now, 8 * 48), issued_at=now)
    assert near.model == "demand-pool"
    assert week.model == "demand-pool+demand-day-type"
    np.testing.assert_array_equal(week.p50[:96], near.p50)
    assert (week.p10 <= week.p90).all()
