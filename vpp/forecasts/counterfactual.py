"""The world as it is in some respects and as it was some weeks before in others.

Whole weeks, so that every weekday stays what it is. :mod:`vpp.forecasts.reasons` runs models in such worlds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import NoReturn

import numpy as np

from energy.core.calendar import SiteCalendar, is_holiday
from energy.core.errors import ForecastError
from energy.core.series import Grid, Series, Unit
from energy.core.site import CalendarRules
from energy.core.units import SeriesId
from energy.store import Document, Piece, Snapshot, StoredValue
from forecasting.explain import Cause

__all__ = ["MixedSnapshot", "rules_with"]


def rules_with(
    rules: CalendarRules, calendar: SiteCalendar, days: Sequence[date], rest: set[date]
) -> CalendarRules:
    """Calendar rules under which exactly these of some days are days of rest; weekends are what they are."""
    work = [day for day in days if day not in rest and day.weekday() not in calendar.rest_weekdays]
    holidays = rules.national_holidays and not any(is_holiday(day) for day in work)
    outside = calendar.closed - set(days)
    inside = {day for day in rest if day.weekday() not in calendar.rest_weekdays}
    if holidays:
        inside = {day for day in inside if not is_holiday(day)}
    return replace(rules, national_holidays=holidays, closed=tuple(sorted(outside | inside)))


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedSnapshot:
    """A snapshot that shows some values as they are and others as they were some weeks before.

    Parameters
    ----------
    cause : callable
        Group of a value, by series and start of its interval.
    kept : frozenset of Cause
        Groups shown as they are now.
    read : set of Cause
        Filled with the groups that somebody looked at.
    laid : mapping
        Values laid over a series.
    """

    now: Snapshot
    then: Snapshot
    back: timedelta
    cause: Callable[[SeriesId, datetime], Cause]
    kept: frozenset[Cause]
    read: set[Cause]
    laid: Mapping[SeriesId, Series] = field(default_factory=dict)

    @property
    def known_until(self) -> datetime:
        """The instant of the world as it is. UTC."""
        return self.now.known_until

    def series(self, series: SeriesId, grid: Grid, unit: Unit) -> Series:
        """Each value as it is or as it was, by its group."""
        today = self.now.series(series, grid, unit)
        causes = [self.cause(series, at) for at in grid.times()]
        self.read.update(causes)
        stays = np.array([one in self.kept for one in causes], dtype=np.bool_)
        values, known_at = np.array(today.values), today.known_at
        if not stays.all():
            before = self.then.series(series, Grid(grid.start - self.back, grid.count, grid.step), unit)
            values = np.where(stays, values, before.values)
            moved = None if before.known_at is None else before.known_at + self.back
            known_at = max((one for one in (known_at, moved) if one is not None), default=None)
        laid = self.laid.get(series)
        if laid is not None:
            first = (laid.grid.start - grid.start) // grid.step
            for k in range(max(0, first), min(grid.count, first + laid.grid.count)):
                values[k] = laid.values[k - first]
        return Series(grid, values, unit, known_at)

    def span(self, series: SeriesId) -> tuple[datetime, datetime] | None:
        """First and last ``at`` of the values shown: moved with them where they are those of the past."""
        today = self.now.span(series)
        if today is None or self.cause(series, today[0]) in self.kept:
            return today
        before = self.then.span(series)
        return None if before is None else (before[0] + self.back, before[1] + self.back)

    def gaps(self, series: SeriesId, grid: Grid) -> list[tuple[datetime, datetime]]:
        """Stretches of the grid without a usable value."""
        return self.series(series, grid, Unit.RATIO).missing()

    def ids(self, prefix: str = "") -> list[SeriesId]:
        """Names of the series."""
        return self.now.ids(prefix)

    def values(self, series: SeriesId, start: datetime, end: datetime) -> list[StoredValue]:
        """Refused: single values cannot be exchanged."""
        self._refuse(f"values of {series} from {start} to {end}")

    def pieces(self, series: SeriesId, grid: Grid) -> list[Piece]:
        """Refused: what the database has worked out cannot be exchanged."""
        self._refuse(f"pieces of {series} from {grid.start} on")

    def latest(self, series: SeriesId, *, before: datetime | None = None) -> StoredValue | None:
        """Refused: single values cannot be exchanged."""
        self._refuse(f"the latest value of {series} before {before}")

    def document(self, kind: str, key: str) -> Document | None:
        """Refused: documents cannot be exchanged."""
        self._refuse(f"document {kind} {key}")

    def documents(self, kind: str, *, prefix: str = "") -> list[Document]:
        """Refused: documents cannot be exchanged."""
        self._refuse(f"documents {kind} {prefix}")

    def _refuse(self, what: str) -> NoReturn:
        raise ForecastError(
            "this method cannot be explained",
            where=f"it reads {what}, which has no counterpart some weeks before",
            hint="let the method read series",
        )
