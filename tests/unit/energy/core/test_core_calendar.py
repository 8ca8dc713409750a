"""Fiscal years, holidays and days of rest: T08 and T09."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from energy.core.calendar import DayType, SiteCalendar, fiscal_year, is_holiday, reiwa_fiscal_year

# RULES-JP 7: holidays of fiscal 2026 as another program (jpholiday 1.0.3) computed them.
HOLIDAYS_FY2026 = [
    *[(2026, 4, 29), (2026, 5, 3), (2026, 5, 4), (2026, 5, 5), (2026, 5, 6), (2026, 7, 20), (2026, 8, 11)],
    *[(2026, 9, 21), (2026, 9, 22), (2026, 9, 23), (2026, 10, 12), (2026, 11, 3), (2026, 11, 23)],
    *[(2027, 1, 1), (2027, 1, 11), (2027, 2, 11), (2027, 2, 23), (2027, 3, 21), (2027, 3, 22)],
]


@pytest.mark.parametrize(
    ("day", "year", "reiwa"),
    [
        (date(2027, 3, 31), 2026, 8),
        (date(2027, 4, 1), 2027, 9),
        (date(2026, 1, 1), 2025, 7),
        (date(2026, 12, 31), 2026, 8),
    ],
)
def test_t08_the_fiscal_year_begins_in_april(day: date, year: int, reiwa: int) -> None:
    assert (fiscal_year(day), reiwa_fiscal_year(day)) == (year, reiwa)


def test_the_holidays_of_fiscal_2026_are_those_of_another_program() -> None:
    days = (date(2026, 4, 1) + timedelta(days=k) for k in range(365))
    assert [day for day in days if is_holiday(day)] == [date(*parts) for parts in HOLIDAYS_FY2026]


@pytest.mark.parametrize(
    ("day", "kind"),
    [
        (date(2026, 9, 22), DayType.REST),  # sandwiched between two holidays
        (date(2026, 5, 6), DayType.REST),  # substitute
        (date(2027, 3, 22), DayType.REST),  # substitute
        (date(2026, 8, 14), DayType.WEEKDAY),  # Obon is no holiday
        (date(2026, 8, 15), DayType.REST),  # Saturday
        (date(2026, 11, 24), DayType.WEEKDAY),
    ],
)
def test_t09_day_types_follow_the_national_calendar(day: date, kind: DayType) -> None:
    assert SiteCalendar().day_type(day) is kind


def test_t09_a_site_may_say_that_it_is_shut_down_at_obon() -> None:
    obon = SiteCalendar(closed=frozenset({date(2026, 8, 14)}))
    assert obon.day_type(date(2026, 8, 14)) is DayType.REST
    assert obon.day_type(date(2026, 8, 13)) is DayType.WEEKDAY


def test_a_works_with_its_own_calendar_may_work_on_holidays_and_saturdays() -> None:
    works = SiteCalendar(national_holidays=False, rest_weekdays=frozenset({6}))
    assert works.day_type(date(2026, 9, 22)) is DayType.WEEKDAY
    assert works.day_type(date(2026, 8, 15)) is DayType.WEEKDAY
    assert works.day_type(date(2026, 8, 16)) is DayType.REST


def test_a_bridge_is_one_working_day_between_days_of_rest() -> None:
    calendar = SiteCalendar()
    bridges = [day for k in range(365) if calendar.is_bridge(day := date(2026, 4, 1) + timedelta(days=k))]
    # Monday 10 August before Mountain Day, Monday 2 November before Culture Day, Friday 12 February,
    # Monday 22 February before the Emperor's Birthday
    assert bridges == [date(2026, 8, 10), date(2026, 11, 2), date(2027, 2, 12), date(2027, 2, 22)]
