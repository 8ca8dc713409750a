"""Why a forecast is what it is: each planted change is found under its own name, and all of them add up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest

from energy.core.errors import DataError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import SLOT_LENGTH, jst_midnight
from energy.core.units import series_id
from energy.store import Snapshot, SqlStore, open_store, points_of
from forecasting.explain import Cause
from vpp.forecasts.because import reason_lines
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast
from vpp.forecasts.methods import View, methods_of
from vpp.forecasts.reasons import Explained, explain_issue
from vpp.i18n import Messages
from vpp.simulation.scenario import load_scenario

FIRST = date(2026, 5, 11)  # a Monday
DAYS = 40
DAY = FIRST + timedelta(days=36)  # Tuesday 16 June; no holiday for weeks
NOON = jst_midnight(DAY - timedelta(days=1)) + timedelta(hours=12)
MIDNIGHT = jst_midnight(DAY - timedelta(days=1))
SITE: Site = load_scenario("kitakata")[0].site
ROOF = SITE.pv.id if SITE.pv is not None else ""

Change = Callable[[FloatArray, Grid], FloatArray]


def usual_load() -> Series:
    """20 kW at rest, 120 kW from 08:00 to 18:00 on weekdays, with a kilowatt of noise."""
    grid = Grid(jst_midnight(FIRST), DAYS * 48)
    day, slot = np.divmod(np.arange(grid.count), 48)
    works = (day % 7 < 5) & (slot >= 16) & (slot < 36)
    noise = np.random.default_rng(3).normal(0.0, 1.0, grid.count)
    return Series(grid, np.where(works, 120.0, 20.0) + noise, Unit.KW)


def put(store: SqlStore, asset: str, quantity: str, values: Series, *, ahead: bool = False) -> None:
    """Metered values are known at the end of their slot, weather forecasts two days before."""
    known = (lambda at: at - timedelta(days=2)) if ahead else (lambda at: at + SLOT_LENGTH)
    store.append(points_of(series_id(SITE.id, asset, quantity), values, known_at=known, source="test"))


def put_weather(store: SqlStore, ghi: FloatArray | None = None, outdoor_c: FloatArray | None = None) -> Grid:
    """A clear week after the other: 800 W/m2 at noon, 25 degC."""
    grid = Grid(jst_midnight(FIRST), DAYS * 48)
    sun = 800.0 * np.maximum(np.sin(np.pi * (np.arange(grid.count) % 48 - 9) / 30.0), 0.0)
    put(
        store,
        "weather",
        "ghi_forecast_w_m2",
        Series(grid, sun if ghi is None else sun * ghi, Unit.W_PER_M2),
        ahead=True,
    )
    put(
        store,
        "weather",
        "outdoor_forecast_c",
        Series(grid, np.full(grid.count, 25.0) if outdoor_c is None else outdoor_c, Unit.CELSIUS),
        ahead=True,
    )
    return grid


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        yield opened


def issued(store: SqlStore, site: Site = SITE, target: str = LOAD, at: datetime = NOON) -> IssuedForecast:
    method = methods_of(site)[target]
    fitted = method.fit(View.of(store, MIDNIGHT))
    forecast = fitted.predict(View.of(store, at), Grid(jst_midnight(DAY), 48))
    return IssuedForecast.of(
        forecast, Horizon.DAY_AHEAD, site=site.id, target=target, card="card", version="test"
    )


def explained(
    store: SqlStore, change: Change = lambda values, _: values, *, site: Site = SITE, at: datetime = NOON
) -> Explained:
    load = usual_load()
    put(store, LOAD, "demand_kw", replace(load, values=change(np.array(load.values), load.grid)))
    return explain_issue(store, site, issued(store, site, at=at), fitted_at=MIDNIGHT, against="last-week")


def effects(told: Explained, part: slice = slice(18, 34)) -> dict[Cause, float]:
    return {effect.cause: effect.mean_kw(part) for effect in told.reasons.effects}


def test_the_model_run_again_gives_the_very_forecast_and_its_reasons_add_up(store: SqlStore) -> None:
    told = explained(store)
    reasons = told.reasons
    assert told.is_of_record
    assert told.off_record_kw <= 0.0005  # rounded to the watt when it was kept
    assert told.days == (DAY - timedelta(days=7),)
    total = sum(effect.by_slot_kw for effect in reasons.effects)
    np.testing.assert_allclose(reasons.compared_kw + total, reasons.forecast_kw, atol=1e-9)
    assert reasons.unchanged == (Cause.DAY_TYPE,)
    assert set(reasons.unused) == {Cause.TEMPERATURE, Cause.SUN}
    assert max(abs(kw) for kw in effects(told).values()) < 5.0  # an ordinary week: nothing much moved


def test_the_last_days_explain_what_moved_since_the_forecast_that_was_issued_a_week_ago(
    store: SqlStore,
) -> None:
    """A new machine draws 40 kW since five days; issued at midnight, so that no morning plays a part."""

    def step(values: FloatArray, grid: Grid) -> FloatArray:
        values[grid.index(MIDNIGHT) - 5 * 48 :] += 40.0
        return values

    told = explained(store, step, at=MIDNIGHT)
    week = timedelta(days=7)
    method = methods_of(SITE)[LOAD]
    view = View.of(store, MIDNIGHT - week)
    then = method.fit(view).predict(view, Grid(jst_midnight(DAY) - week, 48)).p50
    found = effects(told, slice(None))
    assert set(found) == {Cause.LAST_DAYS, Cause.CHANCE}
    moved = float(np.mean(told.reasons.forecast_kw - then))
    assert moved == pytest.approx(40.0, abs=2.0)
    assert found[Cause.LAST_DAYS] == pytest.approx(moved, rel=0.05)
    last_days = next(effect for effect in told.reasons.effects if effect.cause is Cause.LAST_DAYS)
    facts = last_days.facts
    assert float(str(facts["now_kw"])) - float(str(facts["then_kw"])) == pytest.approx(40.0 * 5 / 7, abs=1.0)
    assert facts["level_step_since"] == (DAY - timedelta(days=6)).isoformat()
    assert facts["level_step_kw"] == pytest.approx(40.0, abs=1.0)
    english, japanese = (" ".join(reason_lines(Messages(lang), told)) for lang in ("en", "ja"))
    assert "the level has moved by +40 kW on Wed 10 Jun" in english
    assert "6月10日(水)から水準が+40 kW変わりました" in japanese


def test_a_shutdown_in_the_calendar_is_found_under_day_type(store: SqlStore) -> None:
    closed = replace(SITE, calendar=replace(SITE.calendar, closed=(*SITE.calendar.closed, DAY)))
    told = explained(store, site=closed)
    assert told.is_of_record
    assert told.reasons.effects[0].cause is Cause.DAY_TYPE
    assert effects(told)[Cause.DAY_TYPE] < -50.0
    assert told.reasons.effects[0].facts == {"now": "rest", "then": "weekday"}


def test_a_week_after_a_shutdown_the_day_type_raises_the_forecast(store: SqlStore) -> None:
    last_week = DAY - timedelta(days=7)

    def rested(values: FloatArray, grid: Grid) -> FloatArray:
        first = grid.index(jst_midnight(last_week))
        values[first : first + 48] = values[first - 2 * 48 - 48 : first - 2 * 48]  # like the Saturday before
        return values

    closed = replace(SITE, calendar=replace(SITE.calendar, closed=(*SITE.calendar.closed, last_week)))
    told = explained(store, rested, site=closed)
    assert told.is_of_record
    assert effects(told)[Cause.DAY_TYPE] > 50.0


def test_a_morning_off_its_forecast_is_found_in_the_next_hours(store: SqlStore) -> None:
    day = jst_midnight(DAY)
    ten = day + timedelta(hours=10)

    def late(values: FloatArray, grid: Grid) -> FloatArray:
        rng = np.random.default_rng(5)
        for k in range(0, values.size, 48):  # mornings go on as they begin
            values[k + 16 : k + 36] += rng.normal(0.0, 25.0)
        first = grid.index(day)
        values[first + 16 : first + 36] += 60.0
        return values

    load = usual_load()
    put(store, LOAD, "demand_kw", replace(load, values=late(np.array(load.values), load.grid)))
    fitted = methods_of(SITE)[LOAD].fit(View.of(store, day))
    forecast = fitted.predict(View.of(store, ten), Grid(ten, 6))
    issue = IssuedForecast.of(forecast, Horizon.INTRADAY, site=SITE.id, target=LOAD, card="c", version="t")
    told = explain_issue(store, SITE, issue, fitted_at=day, against="last-week")
    assert told.is_of_record
    morning = next(effect for effect in told.reasons.effects if effect.cause is Cause.MORNING)
    assert morning.mean_kw() > 10.0
    assert morning.facts["hours"] == 10.0
    assert float(str(morning.facts["error_kw"])) > 5.0


def test_an_odd_day_a_week_ago_is_chance_not_a_reason(store: SqlStore) -> None:
    def odd(values: FloatArray, grid: Grid) -> FloatArray:
        first = grid.index(jst_midnight(DAY - timedelta(days=7)))
        values[first + 18 : first + 34] -= 70.0
        return values

    found = effects(explained(store, odd))
    assert found[Cause.CHANCE] == pytest.approx(70.0, abs=8.0)


def test_less_sun_in_the_weather_forecast_is_found_under_sun(store: SqlStore) -> None:
    dim = np.ones(DAYS * 48)
    first = (jst_midnight(DAY) - jst_midnight(FIRST)) // SLOT_LENGTH
    dim[first : first + 48] = 0.3
    grid = put_weather(store, dim)
    physics = methods_of(SITE)[ROOF]
    fitted = physics.fit(View.of(store, jst_midnight(FIRST)))
    clear = fitted.predict(View.of(store, jst_midnight(FIRST)), Grid(jst_midnight(FIRST), 48)).p50
    put(store, ROOF, "generation_kwh", Series(grid, np.tile(clear, DAYS) * 0.5, Unit.KWH))
    issue = issued(store, target=ROOF)
    told = explain_issue(store, SITE, issue, fitted_at=MIDNIGHT, against="last-week")
    assert told.is_of_record
    assert told.reasons.effects[0].cause is Cause.SUN
    assert told.reasons.effects[0].mean_kw() < -5.0
    assert Cause.DAY_TYPE not in {effect.cause for effect in told.reasons.effects}
    facts = told.reasons.effects[0].facts
    assert float(str(facts["now_w_m2"])) == pytest.approx(0.3 * float(str(facts["then_w_m2"])), rel=0.01)


def test_snow_on_the_modules_is_found_under_the_state_of_the_array(store: SqlStore) -> None:
    grid = put_weather(store, outdoor_c=np.full(DAYS * 48, -2.0))
    roof = methods_of(SITE)[ROOF]
    clear = roof.fit(View.of(store, MIDNIGHT - timedelta(days=35)))
    first = jst_midnight(FIRST)
    sunny = clear.predict(View.of(store, first), Grid(first, 48)).p50
    given = np.tile(sunny, DAYS)
    given[grid.index(MIDNIGHT - timedelta(days=2)) :] = 0.0
    put(store, ROOF, "generation_kwh", Series(grid, given * 0.5, Unit.KWH))
    told = explain_issue(store, SITE, issued(store, target=ROOF), fitted_at=MIDNIGHT, against="last-week")
    assert told.is_of_record
    first_cause = told.reasons.effects[0]
    assert first_cause.cause is Cause.ROOF
    assert first_cause.mean_kw() < -5.0
    assert (first_cause.facts["now_roof"], first_cause.facts["then_roof"]) == ("covered", "clear")
    lines = reason_lines(Messages("ja"), told)
    assert any("雪におおわれた状態" in line for line in lines)


@dataclass(frozen=True)
class Thermometer:
    """A method of two lines: the mean of the last week and 2 kW for every degree above 20 outside."""

    target: str = LOAD
    fitted_at: datetime = MIDNIGHT

    def actual(self, known: Snapshot, grid: Grid) -> Series:
        return known.series(series_id(SITE.id, LOAD, "demand_kw"), grid, Unit.KW)

    def fit(self, view: View) -> Thermometer:
        return self

    def predict(self, view: View, grid: Grid) -> QuantileForecast:
        level = np.mean(
            view.past(series_id(SITE.id, LOAD, "demand_kw"), Unit.KW, timedelta(days=8)).values[: 7 * 48]
        )
        air = view.forecast(series_id(SITE.id, "weather", "outdoor_forecast_c"), Unit.CELSIUS, grid).values
        p50 = level + 2.0 * np.maximum(air - 20.0, 0.0)
        return QuantileForecast("demand_kw", view.at, grid, Unit.KW, p50, p50, p50, "thermometer")


def test_any_method_can_be_explained_and_a_linear_one_by_hand(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """31 degC instead of 25: 2 kW x 6 = 12 kW, whatever else the method does."""
    monkeypatch.setattr("vpp.forecasts.reasons.methods_of", lambda _site: {LOAD: Thermometer()})
    air = np.full(DAYS * 48, 25.0)
    air[(jst_midnight(DAY) - jst_midnight(FIRST)) // SLOT_LENGTH :] = 31.0
    put_weather(store, outdoor_c=air)
    put(store, LOAD, "demand_kw", usual_load())
    forecast = Thermometer().predict(View.of(store, NOON), Grid(jst_midnight(DAY), 48))
    issue = IssuedForecast.of(forecast, Horizon.DAY_AHEAD, site=SITE.id, target=LOAD, card="toy", version="t")
    told = explain_issue(store, SITE, issue, fitted_at=MIDNIGHT, against="last-week")
    found = effects(told)
    assert told.is_of_record
    assert found[Cause.TEMPERATURE] == pytest.approx(12.0)
    assert told.reasons.unused == (Cause.SUN,)
    lines = reason_lines(Messages("en"), told)
    assert "12.0 kW more: 31.0 °C are forecast outside, then it was 25.0 °C" in lines


def test_the_usual_day_is_the_mean_of_four_and_the_reasons_still_add_up(store: SqlStore) -> None:
    load = usual_load()
    put(store, LOAD, "demand_kw", load)
    told = explain_issue(store, SITE, issued(store), fitted_at=MIDNIGHT, against="usual")
    assert told.days == tuple(DAY - timedelta(weeks=weeks) for weeks in (1, 2, 3, 4))
    first = (jst_midnight(DAY) - load.grid.start) // SLOT_LENGTH
    weeks = [load.values[first - 336 * k : first - 336 * k + 48] for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(told.reasons.compared_kw, np.mean(weeks, axis=0), atol=1e-9)


def test_a_rule_of_thumb_is_explained_as_well(store: SqlStore) -> None:
    put(store, LOAD, "demand_kw", usual_load())
    grid = Grid(jst_midnight(DAY), 48)
    forecast = methods_of(SITE)[LOAD].rule(View.of(store, NOON), grid)
    issue = IssuedForecast.of(forecast, Horizon.DAY_AHEAD, site=SITE.id, target=LOAD, card="", version="t")
    told = explain_issue(store, SITE, issue, fitted_at=None, against="last-week")
    assert told.is_of_record
    assert set(effects(told)) == {Cause.LAST_DAYS, Cause.MORNING, Cause.CHANCE}


def test_an_issue_that_the_model_no_longer_gives_is_said_to_be_off_the_record(store: SqlStore) -> None:
    put(store, LOAD, "demand_kw", usual_load())
    issue = issued(store)
    other = replace(issue, p50=tuple(kw + 2.0 for kw in issue.p50), p90=tuple(kw + 9.0 for kw in issue.p90))
    told = explain_issue(store, SITE, other, fitted_at=MIDNIGHT, against="last-week")
    assert not told.is_of_record
    assert told.off_record_kw == pytest.approx(2.0, abs=0.001)


def test_a_store_that_reaches_back_a_week_only_has_no_day_to_compare_with(store: SqlStore) -> None:
    load = usual_load()
    put(store, LOAD, "demand_kw", load.between(MIDNIGHT - timedelta(days=7), load.grid.end))
    with pytest.raises(DataError, match="no day to compare") as caught:
        explain_issue(store, SITE, issued(store), fitted_at=MIDNIGHT, against="last-week")
    assert "vpp data import" in caught.value.hint


def test_a_late_correction_of_the_past_does_not_reach_the_worlds(store: SqlStore) -> None:
    told = explained(store)
    load = usual_load()
    late = Series(load.grid, load.values + 500.0, Unit.KW)
    store.append(
        points_of(
            series_id(SITE.id, LOAD, "demand_kw"), late, known_at=load.grid.end + SLOT_LENGTH, source="late"
        )
    )
    again = explain_issue(store, SITE, told.issue, fitted_at=MIDNIGHT, against="last-week")
    np.testing.assert_array_equal(again.reasons.forecast_kw, told.reasons.forecast_kw)
    assert effects(again) == effects(told)
