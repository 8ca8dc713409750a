"""Whole past days of errors: what they refuse, how they are weighted, and what they say jointly."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest

from energy.core.calendar import SiteCalendar
from energy.core.errors import AlignmentError, ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import jst_midnight
from forecasting.scenarios import (
    ErrorDays,
    day_weights,
    drawn,
    joint_days,
    normal_score,
    pieces,
    quantiles_of,
)

MONDAY = date(2026, 6, 1)
TARGET = MONDAY + timedelta(days=30)


def error_days(count: int, *, seed: int = 0, first: date = MONDAY) -> ErrorDays:
    rng = np.random.default_rng(seed)
    forecast = rng.uniform(50.0, 100.0, (count, 48))
    return ErrorDays(
        days=tuple(first + timedelta(days=k) for k in range(count)),
        forecast_kw=forecast,
        actual_kw=forecast + rng.normal(0.0, 10.0, (count, 48)),
    )


def forecast_of(day: date, p50: FloatArray, *, band: float = 10.0) -> QuantileForecast:
    midnight = jst_midnight(day)
    return QuantileForecast(
        target="demand_kw",
        issued_at=midnight - timedelta(hours=12),
        grid=Grid(midnight, p50.size),
        unit=Unit.KW,
        p10=np.maximum(p50 - band, 0.0),
        p50=p50,
        p90=p50 + band,
        model="test",
    )


def test_error_days_are_made_from_issued_forecasts_and_the_meter() -> None:
    made = [forecast_of(MONDAY + timedelta(days=k), np.full(48, 10.0 + k)) for k in (1, 0)]
    metered = Series(Grid(jst_midnight(MONDAY), 96), np.arange(96.0), Unit.KW)
    found = ErrorDays.of(made, metered)
    assert found.days == (MONDAY, MONDAY + timedelta(days=1))
    np.testing.assert_array_equal(found.error_kw, np.arange(96.0).reshape(2, 48) - [[10.0], [11.0]])
    with pytest.raises(AlignmentError, match="one whole day"):
        ErrorDays.of([forecast_of(MONDAY, np.ones(40))], metered)


def test_error_days_refuse_disorder_and_the_future() -> None:
    days = error_days(3)
    with pytest.raises(AlignmentError, match="not in order"):
        ErrorDays(days=days.days[::-1], forecast_kw=days.forecast_kw, actual_kw=days.actual_kw)
    with pytest.raises(AlignmentError, match="does not fit"):
        ErrorDays(days=days.days[:2], forecast_kw=days.forecast_kw, actual_kw=days.actual_kw)
    # The third day is in progress until midnight in Japan, 15:00 UTC.
    midnight = jst_midnight(MONDAY + timedelta(days=3))
    assert days.known_at(midnight) is days
    with pytest.raises(ForecastError, match="look into the future"):
        days.known_at(midnight - timedelta(minutes=1))


def test_days_of_the_other_type_and_old_days_count_little() -> None:
    friday, saturday = MONDAY + timedelta(days=25), MONDAY + timedelta(days=26)
    weight = day_weights([friday - timedelta(days=63), saturday], friday + timedelta(days=27), SiteCalendar())
    assert weight[0] == pytest.approx(0.5)  # 90 days before, of the same type
    assert weight[1] == pytest.approx(0.1 * 0.5 ** (26 / 90))


def test_a_grid_is_cut_at_japanese_midnight() -> None:
    found = pieces(Grid(jst_midnight(MONDAY) + timedelta(hours=23), 50))
    assert [(day, cut.stop - cut.start, slots[0]) for day, cut, slots in found] == [
        (MONDAY, 2, 46),
        (MONDAY + timedelta(days=1), 48, 0),
    ]


def test_scenarios_have_the_quantiles_of_the_forecast_they_are_drawn_from() -> None:
    forecast = forecast_of(TARGET, np.linspace(40.0, 90.0, 48))
    joint = joint_days({"site": error_days(30)}, TARGET)
    values = quantiles_of(drawn(forecast, slice(None), joint.rank["site"]), joint.weight, (0.1, 0.5, 0.9))
    np.testing.assert_allclose(values, [forecast.p10, forecast.p50, forecast.p90], atol=0.3)


def test_normal_scores_agree_with_the_table() -> None:
    # Abramowitz and Stegun (1964), table 26.1
    np.testing.assert_allclose(normal_score(np.array([0.1, 0.5, 0.975])), [-1.28155, 0.0, 1.95996], atol=2e-4)


def test_sites_that_err_together_keep_their_ranks_together() -> None:
    one = error_days(30)
    far = ErrorDays(days=one.days, forecast_kw=one.forecast_kw, actual_kw=2 * one.forecast_kw - one.actual_kw)
    joint = joint_days({"a": one, "b": one, "against": far}, TARGET)
    np.testing.assert_array_equal(joint.rank["a"], joint.rank["b"])
    assert joint.dependence == "joint-days"
    for slot in range(48):
        assert np.corrcoef(joint.rank["a"][:, slot], joint.rank["against"][:, slot])[0, 1] < -0.95


def test_a_site_without_errors_moves_with_the_others_and_is_named() -> None:
    joint = joint_days({"a": error_days(30), "new": None}, TARGET)
    assert joint.assumed == ("new",)
    np.testing.assert_allclose(joint.rank["new"], joint.rank["a"])


def test_a_site_that_started_late_is_filled_from_its_own_days_and_counted() -> None:
    late = error_days(14, seed=4, first=MONDAY + timedelta(days=16))
    joint = joint_days({"a": error_days(30), "late": late}, TARGET)
    assert len(joint.days) == 30
    assert joint.filled == {"late": 16}
    assert joint.facts()["filled_days"] == {"late": 16}


def test_with_fewer_than_ten_days_errors_are_taken_to_move_together() -> None:
    joint = joint_days({"a": error_days(9), "b": error_days(9, seed=1)}, TARGET)
    assert joint.dependence == "comonotone"
    assert joint.days == ()
    np.testing.assert_array_equal(joint.rank["a"], joint.rank["b"])


def test_a_day_with_a_long_gap_is_no_error_day_and_a_short_gap_takes_the_mean_of_the_day() -> None:
    days = error_days(12)
    actual = np.array(days.actual_kw)
    actual[3, :9] = np.nan
    actual[4, :8] = np.nan
    broken = ErrorDays(days=days.days, forecast_kw=days.forecast_kw, actual_kw=actual)
    joint = joint_days({"a": broken}, TARGET)
    assert days.days[3] not in joint.days
    assert days.days[4] in joint.days
    assert np.isfinite(joint.rank["a"]).all()
