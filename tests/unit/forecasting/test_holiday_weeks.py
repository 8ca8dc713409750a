"""Days about public holidays: what a year ago says of them, and when it says nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from energy.core.calendar import SiteCalendar
from energy.core.series import FloatArray
from forecasting.dayahead import learn
from forecasting.days import DayKinds
from forecasting.holiday_weeks import holiday_factors
from forecasting.panel import Panel

FIRST = date(2025, 3, 3)  # a Monday
DAYS = 430
KINDS = DayKinds.of(SiteCalendar(), FIRST, DAYS)
YEAR = 365


def load(*, low: tuple[date, date] | None = None, times: float = 0.7, noise: float = 0.03) -> FloatArray:
    """100 on working days, 40 on days of rest, a few percent of noise; ``times`` as much on some days."""
    rng = np.random.default_rng(2)
    values = np.where(KINDS.rest, 40.0, 100.0)[:, None] * (1.0 + noise * rng.standard_normal((DAYS, 1)))
    values = np.repeat(values, 24, axis=1)
    if low is not None:
        values[(low[0] - FIRST).days : (low[1] - FIRST).days + 1] *= times
    return np.asarray(values)


GOLDEN_WEEK = (date(2025, 4, 28), date(2025, 5, 6))


def test_a_golden_week_that_was_a_third_lower_is_expected_lower_again() -> None:
    factors = holiday_factors(load(low=GOLDEN_WEEK), KINDS)
    first = (date(2026, 4, 28) - FIRST).days
    # at the ends a date of a year ago may have been an ordinary day of the same type
    assert factors[first + 2 : first + 8] == pytest.approx(np.full(6, 0.7), abs=0.06)
    assert (factors[: first - 3] == 1.0).all()


def test_what_a_year_ago_was_within_chance_is_no_lesson() -> None:
    assert holiday_factors(load(), KINDS) == pytest.approx(np.ones(DAYS), abs=0.03)
    loud = holiday_factors(load(low=GOLDEN_WEEK, times=0.95, noise=0.08), KINDS)
    assert loud == pytest.approx(np.ones(DAYS), abs=0.08)


def test_a_holiday_week_of_heat_is_not_expected_again() -> None:
    assert holiday_factors(load(low=GOLDEN_WEEK, times=1.3), KINDS) == pytest.approx(np.ones(DAYS), abs=0.03)


def test_a_machine_that_stood_still_far_from_any_holiday_is_not_expected_to_stand_still_again() -> None:
    # the Marine Day of July is four weeks away, Golden Week five
    still = load(low=(date(2025, 6, 9), date(2025, 6, 13)))
    row = YEAR + (date(2025, 6, 9) - FIRST).days
    longer = DayKinds.of(SiteCalendar(), FIRST, row + 10)
    known = np.concatenate([still, np.full((row + 10 - DAYS, 24), np.nan)])
    assert (holiday_factors(known, longer)[row - 2 : row + 7] == 1.0).all()


def test_without_a_year_of_history_every_day_is_ordinary() -> None:
    short = DayKinds.of(SiteCalendar(), FIRST, 300)
    assert (holiday_factors(load(low=GOLDEN_WEEK)[:300], short) == 1.0).all()


def test_what_happened_in_the_last_ten_months_changes_nothing() -> None:
    known = load(low=GOLDEN_WEEK)
    before = holiday_factors(known, KINDS)
    known[DAYS - 300 :] = 1e6
    np.testing.assert_array_equal(holiday_factors(known, KINDS), before)


def test_a_forecast_of_a_day_in_golden_week_is_lower_than_that_of_the_week_before() -> None:
    panel = Panel(
        kind="load",
        start=datetime(2025, 3, 3, tzinfo=UTC),
        actual=load(low=GOLDEN_WEEK),
        days=KINDS,
        issue_slot=12,
    )
    ordinary, low = (learn(panel, (day - FIRST).days) for day in (date(2026, 4, 21), date(2026, 5, 1)))
    usual = ordinary.quantiles((0.5,)).mean()
    assert low.quantiles((0.5,)).mean() == pytest.approx(0.7 * usual, rel=0.08)
    assert low.peak((0.5,))[0] == pytest.approx(0.7 * usual, rel=0.1)
