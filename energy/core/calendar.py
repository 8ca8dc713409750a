"""Days in Japan: holidays, day types, fiscal years, and the days a site rests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import lru_cache

__all__ = ["DayType", "SiteCalendar", "fiscal_year", "is_holiday", "reiwa_fiscal_year"]


class DayType(StrEnum):
    """Kind of day, as the market and the load see it."""

    WEEKDAY = "weekday"
    REST = "rest"


@lru_cache(maxsize=64)
def _national_holidays(year: int) -> frozenset[date]:
    import holidays

    return frozenset(holidays.country_holidays("JP", years=year))


def is_holiday(day: date) -> bool:
    """Whether a day is a national holiday (国民の祝日, with substitutes and sandwiched days)."""
    return day in _national_holidays(day.year)


def fiscal_year(day: date) -> int:
    """Fiscal year (年度) of a day: 1 April to 31 March."""
    return day.year if day.month >= 4 else day.year - 1


def reiwa_fiscal_year(day: date) -> int:
    """Fiscal year counted in Reiwa (令和): FY2026 is 8."""
    return fiscal_year(day) - 2018


@dataclass(frozen=True, slots=True)
class SiteCalendar:
    """Which days a site works.

    Parameters
    ----------
    national_holidays : bool
        Whether the site rests on national holidays.
    rest_weekdays : frozenset of int
        Weekdays of rest, Monday = 0.
    closed : frozenset of date
        Shutdowns known in advance (Obon, New Year, stocktaking).
    """

    national_holidays: bool = True
    rest_weekdays: frozenset[int] = frozenset({5, 6})
    closed: frozenset[date] = frozenset()

    def day_type(self, day: date) -> DayType:
        """Whether the site works on a day."""
        rests = (
            day.weekday() in self.rest_weekdays
            or day in self.closed
            or (self.national_holidays and is_holiday(day))
        )
        return DayType.REST if rests else DayType.WEEKDAY

    def is_bridge(self, day: date) -> bool:
        """Whether a working day lies between two days of rest."""
        one = timedelta(days=1)
        return self.day_type(day) is DayType.WEEKDAY and all(
            self.day_type(near) is DayType.REST for near in (day - one, day + one)
        )
