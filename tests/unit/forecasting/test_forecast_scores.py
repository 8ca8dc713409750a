"""Scores, rules of thumb and the back-test that puts them beside the model."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import numpy as np
import pytest

from energy.core.calendar import SiteCalendar
from energy.core.errors import AlignmentError, ForecastError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import jst_midnight
from forecasting.baselines import Baseline, baseline
from forecasting.metrics import coverage, nmae, peak_error, pinball, width
from forecasting.score import (
    NINE_LEVELS,
    compare_demand,
    compare_intraday,
    demand_forecaster,
    ends_of_days,
    score,
    walk_forward,
)

FIRST = date(2026, 4, 1)
NAN = float("nan")


def week_shaped(days: int, *, seed: int = 2, closed: frozenset[date] = frozenset()) -> Series:
    """Work from 08:00 to 18:00 on weekdays that are not closed, more or less with the day's orders."""
    rng = np.random.default_rng(seed)
    dates = [FIRST + timedelta(days=k) for k in range(days)]
    open_days = np.array([day.weekday() < 5 and day not in closed for day in dates])
    k = np.arange(days * 48)
    works = open_days[k // 48] & (k % 48 >= 16) & (k % 48 < 36)
    level = np.where(works, 100.0, 20.0) * (1.0 + 0.1 * np.repeat(rng.normal(size=days), 48))
    return Series(Grid(jst_midnight(FIRST), k.size), level + rng.normal(0.0, 3.0, k.size), Unit.KW)


def test_scores_agree_with_hand_calculations() -> None:
    y, f = np.array([100.0, 300.0, NAN]), np.array([110.0, 270.0, 5.0])
    assert nmae(y, f) == pytest.approx(0.1)
    assert nmae(y, f, scale=400.0) == pytest.approx(0.05)
    # P10 = 90: errors 10 and 210 -> 0.1 * 220 / 2 = 11; P90 = 200: -100, 100 -> (0.1 + 0.9) * 100 / 2 = 50
    band = np.array([[90.0, 90.0, 1.0], [200.0, 200.0, 1.0]])
    assert pinball(y, band, (0.1, 0.9)) == pytest.approx((11.0 + 50.0) / 2.0 / 200.0)
    assert coverage(y, band[0], band[1]) == 0.5
    assert width(y, band[0], band[1]) == pytest.approx(110.0 / 200.0)


def test_pinball_at_the_median_is_half_the_absolute_error() -> None:
    rng = np.random.default_rng(0)
    y, f = rng.uniform(1, 2, 50), rng.uniform(1, 2, 50)
    assert pinball(y, f[None], (0.5,)) == pytest.approx(0.5 * nmae(y, f))


def test_peak_error_is_negative_when_the_peak_is_missed_and_skips_broken_days() -> None:
    y = np.concatenate([np.full(48, 10.0), np.full(48, 10.0)])
    y[20], y[60] = 50.0, NAN
    assert peak_error(y, np.full(96, 20.0), scale=1.0) == pytest.approx(-30.0)
    with pytest.raises(AlignmentError, match="whole days"):
        peak_error(y[:50], y[:50])


def test_pairs_of_different_length_are_refused() -> None:
    with pytest.raises(AlignmentError, match="pairs"):
        nmae(np.ones(3), np.ones(4))


def test_baselines_take_the_lags_they_are_named_after() -> None:
    values = np.arange(35 * 48, dtype=float)
    history = Series(Grid(jst_midnight(FIRST), values.size), values, Unit.KW)
    now = history.grid.end
    grid = Grid(now, 48)
    at = np.arange(values.size, values.size + 48)
    np.testing.assert_array_equal(baseline(Baseline.YESTERDAY, history, grid, issued_at=now), at - 48)
    np.testing.assert_array_equal(baseline(Baseline.LAST_WEEK, history, grid, issued_at=now), at - 336)
    np.testing.assert_array_equal(baseline(Baseline.FOUR_WEEKS, history, grid, issued_at=now), at - 840)


def test_baseline_issued_at_noon_uses_yesterdays_morning_and_the_afternoon_before_it() -> None:
    values = np.arange(10 * 48, dtype=float)
    history = Series(Grid(jst_midnight(FIRST), values.size), values, Unit.KW)
    now = jst_midnight(FIRST) + timedelta(days=5, hours=12)
    found = baseline(
        Baseline.YESTERDAY, history, Grid(jst_midnight(FIRST) + timedelta(days=6), 48), issued_at=now
    )
    np.testing.assert_array_equal(found, np.r_[5 * 48 : 5 * 48 + 24, 4 * 48 + 24 : 5 * 48])


def test_baseline_of_the_past_is_refused() -> None:
    history = week_shaped(10)
    with pytest.raises(ForecastError, match="does not look back"):
        baseline(Baseline.YESTERDAY, history, Grid(jst_midnight(FIRST), 48), issued_at=history.grid.end)


def test_walk_hands_over_only_what_was_known_at_each_issue() -> None:
    load = week_shaped(40)
    seen: list[tuple[datetime, datetime]] = []

    def spy(known: Series, grid: Grid, issued: datetime) -> FloatArray:
        seen.append((known.grid.end, issued))
        return np.zeros((3, grid.count))

    issues = ends_of_days(FIRST + timedelta(days=30), FIRST + timedelta(days=34))
    scored = walk_forward(load, spy, issues)
    assert all(end == issued for end, issued in seen)
    assert [issued for _, issued in seen] == [
        jst_midnight(FIRST + timedelta(days=k)) + timedelta(hours=12) for k in range(29, 34)
    ]
    assert scored.actual.size == 5 * 48


def test_walk_forecast_does_not_change_when_the_future_is_poisoned() -> None:
    load = week_shaped(40)
    issued, grid = ends_of_days(FIRST + timedelta(days=35), FIRST + timedelta(days=35))[0]
    values = load.values.copy()
    values[int((issued - load.grid.start) / timedelta(minutes=30)) :] = 1e9
    poisoned = Series(load.grid, values, Unit.KW)
    forecaster = demand_forecaster(SiteCalendar(national_holidays=False))
    clean = walk_forward(load, forecaster, [(issued, grid)]).quantiles
    again = demand_forecaster(SiteCalendar(national_holidays=False))
    np.testing.assert_array_equal(clean, walk_forward(poisoned, again, [(issued, grid)]).quantiles)


def test_nothing_to_walk_over_is_an_error() -> None:
    with pytest.raises(ForecastError, match="nothing to score"):
        walk_forward(week_shaped(3), lambda known, grid, issued: np.zeros((3, grid.count)), [])


def test_missing_actuals_are_left_out_and_counted() -> None:
    load = week_shaped(40)
    values = load.values.copy()
    values[36 * 48 : 36 * 48 + 5] = NAN
    holed = Series(load.grid, values, Unit.KW)
    day = FIRST + timedelta(days=36)
    forecaster = demand_forecaster(SiteCalendar(national_holidays=False))
    row = score("ours", walk_forward(holed, forecaster, ends_of_days(day, day)), (0.1, 0.5, 0.9))
    assert (row.slots, row.missing) == (43, 5)


def test_comparison_puts_the_model_beside_every_baseline_and_it_wins() -> None:
    closed = frozenset(FIRST + timedelta(days=k) for k in range(8, 75, 8))
    load = week_shaped(75, closed=closed)
    rows = compare_demand(
        load,
        SiteCalendar(national_holidays=False, closed=closed),
        first=FIRST + timedelta(days=64),
        last=FIRST + timedelta(days=73),
        levels=NINE_LEVELS,
    )
    assert [row.model for row in rows] == ["demand-pool", "yesterday", "last-week", "four-same-weekdays"]
    assert rows[0].nmae < 0.9 * min(row.nmae for row in rows[1:])
    assert rows[0].pinball < 0.9 * min(row.pinball for row in rows[1:])
    assert all(0.0 < row.cover80 <= 1.0 for row in rows)


def test_forecast_made_now_beats_the_one_of_the_noon_before() -> None:
    load = week_shaped(65)
    now, ahead, _ = compare_intraday(
        load,
        SiteCalendar(national_holidays=False),
        first=FIRST + timedelta(days=61),
        last=FIRST + timedelta(days=63),
        every=8,
    )
    assert (now.model, ahead.model) == ("intraday", "day-ahead")
    assert now.slots == ahead.slots
    assert now.nmae < 0.9 * ahead.nmae
