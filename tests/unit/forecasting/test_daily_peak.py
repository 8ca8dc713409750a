"""The highest half hour of a day: higher than the highest P50, calibrated, and honest without past days."""

from __future__ import annotations

import csv
import gzip
import os
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from energy.core.calendar import DayType, SiteCalendar
from energy.core.errors import ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import jst_midnight
from forecasting.peak import PeakForecast, daily_peak
from forecasting.scenarios import ErrorDays

FIRST = date(2026, 4, 6)
CALENDAR = SiteCalendar(national_holidays=False)


def forecast_of(day: date, p50: FloatArray, *, start: int = 0, band: float = 12.8) -> QuantileForecast:
    midnight = jst_midnight(day)
    grid = Grid(midnight + start * timedelta(minutes=30), p50.size)
    issued, low = midnight - timedelta(hours=12), np.maximum(p50 - band, 0.0)
    return QuantileForecast("demand_kw", issued, grid, Unit.KW, low, p50, p50 + band, "test")


def noisy_days(count: int, p50: FloatArray, *, seed: int = 0, sigma: float = 10.0) -> ErrorDays:
    rng = np.random.default_rng(seed)
    return ErrorDays(
        days=tuple(FIRST + timedelta(days=k) for k in range(count)),
        forecast_kw=np.tile(p50, (count, 1)),
        actual_kw=p50 + rng.normal(0.0, sigma, (count, 48)),
    )


def after(days: int) -> date:
    return FIRST + timedelta(days=days + 1)


def test_peak_of_independent_errors_is_the_highest_of_many_draws() -> None:
    """Median of the highest of 48 normal values: Phi^-1(0.5**(1/48)) = 2.19 standard deviations."""
    level = np.full(48, 100.0)
    found = daily_peak(forecast_of(after(300), level), noisy_days(300, level))
    assert found.model == "peak-error-days"
    assert found.p50 == pytest.approx(100.0 + 2.19 * 10.0, abs=1.5)
    assert found.p10 == pytest.approx(100.0 + 1.67 * 10.0, abs=2.0)  # Phi^-1(0.1**(1/48))
    assert found.p90 == pytest.approx(100.0 + 2.85 * 10.0, abs=2.0)  # Phi^-1(0.9**(1/48))
    assert found.facts["highest_p50_kw"] == 100.0


def test_chance_to_exceed_a_target_is_the_share_of_the_distribution_above_it() -> None:
    level = np.full(48, 100.0)
    found = daily_peak(forecast_of(after(100), level), noisy_days(100, level))
    assert found.probability_above(found.p90) == pytest.approx(0.1, abs=0.01)
    assert found.probability_above(found.p50) == pytest.approx(0.5, abs=0.01)
    assert found.probability_above(0.0) == 1.0
    assert found.probability_above(1e6) == 0.0


def test_peak_is_at_least_what_was_measured_today() -> None:
    level = np.full(20, 100.0)
    errors = noisy_days(40, np.full(48, 100.0))
    found = daily_peak(forecast_of(after(40), level, start=28), errors, measured_kw=119.0)
    assert found.p10 == 119.0
    assert found.probability_above(118.9) == 1.0
    assert found.slot_probability.shape == (20,)


def test_slots_of_the_peak_are_those_where_load_and_error_are_high() -> None:
    shape = np.where(np.arange(48) // 4 == 5, 100.0, 60.0)
    found = daily_peak(forecast_of(after(60), shape), noisy_days(60, shape, sigma=3.0))
    assert found.slot_probability[20:24].sum() == pytest.approx(1.0)
    assert found.slot_probability.sum() == pytest.approx(1.0)


def test_days_of_rest_do_not_lower_the_peak_of_a_working_day() -> None:
    days = tuple(FIRST + timedelta(days=k) for k in range(42))
    rest = np.array([day.weekday() >= 5 for day in days])
    rng = np.random.default_rng(2)
    flat = np.full((42, 48), 100.0)
    actual = flat + np.where(rest[:, None], 0.0, rng.normal(0.0, 10.0, (42, 48)))
    errors = ErrorDays(days=days, forecast_kw=flat, actual_kw=actual)
    monday = forecast_of(FIRST + timedelta(days=49), np.full(48, 100.0))
    apart = daily_peak(monday, errors, calendar=CALENDAR)
    assert apart.p10 > 110.0 > daily_peak(monday, errors).p10


def test_tails_follow_what_p10_and_p90_have_been_worth_lately() -> None:
    """After a month of peaks far beyond the band P90 is taken from a higher level; the median stays."""
    level = np.full(48, 100.0)
    calm = noisy_days(120, level, sigma=5.0)
    actual = np.array(calm.actual_kw)
    actual[90:, 20] = 100.0 + np.tile([30.0, 0.0], 15)
    wild = ErrorDays(days=calm.days, forecast_kw=calm.forecast_kw, actual_kw=actual)
    before, after_it = (daily_peak(forecast_of(after(120), level), errors) for errors in (calm, wild))
    assert before.facts["levels_taken"] == pytest.approx([0.1, 0.9], abs=0.05)
    levels = after_it.facts["levels_taken"]
    assert isinstance(levels, list)
    assert levels[1] > 0.93
    assert after_it.p90 > before.p90


def test_with_too_few_days_all_slots_err_together_by_name() -> None:
    shape = np.linspace(50.0, 100.0, 48)
    forecast = forecast_of(after(9), shape)
    for errors in (None, noisy_days(9, shape)):
        found = daily_peak(forecast, errors)
        assert found.model == "peak-comonotone"
        assert found.p90 == pytest.approx(float(forecast.p90.max()), abs=0.1)
        assert found.p50 == pytest.approx(100.0, abs=0.1)
        assert found.facts["error_days"] == 0


def test_days_with_gaps_are_left_out_and_counted() -> None:
    errors = noisy_days(30, np.full(48, 100.0))
    actual = np.array(errors.actual_kw)
    actual[4, 17] = np.nan
    broken = ErrorDays(days=errors.days, forecast_kw=errors.forecast_kw, actual_kw=actual)
    found = daily_peak(forecast_of(after(30), np.full(48, 100.0)), broken)
    assert (found.facts["error_days"], found.facts["left_out"]) == (29, 1)


def test_more_than_one_day_and_days_from_the_future_are_refused() -> None:
    with pytest.raises(ForecastError, match="slots of one day"):
        daily_peak(forecast_of(FIRST, np.ones(49)), None)
    errors = noisy_days(20, np.full(48, 100.0))
    with pytest.raises(ForecastError, match="look into the future"):
        daily_peak(forecast_of(FIRST + timedelta(days=20), np.ones(48)), errors)


def test_a_site_that_rests_all_day_has_a_peak_near_zero() -> None:
    errors = noisy_days(20, np.zeros(48), sigma=0.0)
    found = daily_peak(forecast_of(after(20), np.zeros(48), band=0.0), errors)
    assert (found.p10, found.p50, found.p90) == (0.0, 0.0, 0.0)


def steel_days() -> FloatArray:
    """Load of the steel works as days x slots [kW]: quarter hours in order from 1 January 2018."""
    data = os.environ.get("VPP_DATA_DIR")
    path = Path(data or ".") / "factory" / "steel_industry_15min_2018_jan_sep.csv.gz"
    if data is None or not path.is_file():
        pytest.skip("VPP_DATA_DIR does not hold the steel works")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        energy_kwh = np.array([float(row["Usage_kWh"]) for row in csv.DictReader(file)])
    return np.asarray(energy_kwh.reshape(-1, 48, 2).sum(axis=2) * 2.0)


def test_peak_of_the_steel_works_is_foretold_better_than_by_the_highest_median() -> None:
    """July to September 2018 by the median of the last ten like days; nothing was tuned on these months.

    The summer shutdown and Chuseok stand in the calendar, as they would in a factory that plans its peak.
    """
    load, first = steel_days(), date(2018, 1, 1)
    shut = {date(2018, 8, day) for day in range(1, 6)} | {date(2018, 9, day) for day in range(24, 27)}
    calendar = SiteCalendar(national_holidays=False, closed=frozenset(shut))
    days = [first + timedelta(days=k) for k in range(len(load))]
    rest = np.array([calendar.day_type(day) is DayType.REST for day in days])

    def median_of_like_days(row: int) -> FloatArray:
        like = np.flatnonzero(rest[: row - 1] == rest[row])[-10:]
        return np.asarray(np.median(load[like], axis=0))

    p50 = np.stack([median_of_like_days(row) if row >= 60 else load[row] for row in range(len(load))])
    errors: dict[str, list[float]] = {"highest P50": [], "peak": []}
    inside = []
    for row in range((date(2018, 7, 1) - first).days, len(load)):
        past = ErrorDays(
            days=tuple(days[60 : row - 1]), forecast_kw=p50[60 : row - 1], actual_kw=load[60 : row - 1]
        )
        found: PeakForecast = daily_peak(forecast_of(days[row], p50[row]), past, calendar=calendar)
        errors["highest P50"].append(abs(float(p50[row].max() - load[row].max())))
        errors["peak"].append(abs(found.p50 - float(load[row].max())))
        inside.append(found.p10 <= load[row].max() <= found.p90)
    assert np.mean(errors["peak"]) < 0.85 * np.mean(errors["highest P50"])
    assert 0.7 <= np.mean(inside) <= 0.9
