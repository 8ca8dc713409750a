"""Series as days: one row per Japanese day, one column per slot, and nothing from the future.

Forecasting thinks in days (a factory's Tuesday, not its 13,824th half hour). This module turns series into
day by slot arrays, refuses values that could not have been known, and blanks what a meter cannot mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from energy.core.calendar import DayType, SiteCalendar
from energy.core.clock import require_aware
from energy.core.errors import AlignmentError, ForecastError
from energy.core.series import FloatArray, Grid, Series
from energy.core.slots import JST, SLOT_LENGTH, SLOTS_PER_DAY, Slot, jst_midnight

__all__ = [
    "FROZEN_SLOTS",
    "DayKinds",
    "clean_load",
    "day_and_slot",
    "local_first_day",
    "require_past",
    "require_slots",
    "to_days",
]

IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

FROZEN_SLOTS = SLOTS_PER_DAY  # flat over 24 h is a frozen meter, except where zero is normal


def require_slots(grid: Grid, name: str) -> None:
    """Refuse a grid that is not one of half-hour slots.

    Raises
    ------
    AlignmentError
        If the step is not thirty minutes or the grid starts inside a slot.
    """
    if grid.step != SLOT_LENGTH or Slot.containing(grid.start).start != grid.start:
        raise AlignmentError(
            f"{name} does not lie on slots",
            start=grid.start.isoformat(),
            step=grid.step,
            hint="resample to 30 minutes first (Series.to_slots)",
        )


def require_past(series: Series, issued_at: datetime, name: str) -> None:
    """Refuse a series that holds anything not known when the forecast is issued.

    Missing values after ``issued_at`` are allowed: they say nothing.

    Raises
    ------
    ForecastError
        If a value lies in an interval that ends after ``issued_at``, or ``known_at`` is later.
    """
    issued = require_aware(issued_at)
    whole = (issued - series.grid.start) // series.grid.step
    future = np.flatnonzero(~np.isnan(series.values[max(0, whole) :]))
    if future.size:
        first = series.grid.time(max(0, whole) + int(future[0]))
        raise ForecastError(
            f"{name} looks into the future",
            where=f"a value of {first.isoformat()} in a forecast issued at {issued.isoformat()}",
            hint="give only what was known then: store.as_of(issued_at), cut at the last whole slot",
        )
    if series.known_at is not None and series.known_at > issued:
        raise ForecastError(
            f"{name} became known after the forecast is issued",
            where=f"known at {series.known_at.isoformat()}, issued at {issued.isoformat()}",
            hint="read the series with store.as_of(issued_at)",
        )


def clean_load(load_kw: FloatArray) -> FloatArray:
    """Load with impossible readings made missing.

    Infinite values and stretches of 24 h or more at one non-zero value (a frozen meter) become NaN; small
    negative values, which a difference of meters may give, become 0. [kW]
    """
    values = np.array(load_kw, dtype=np.float64)
    values[np.isinf(values)] = np.nan
    flat = np.flatnonzero(np.diff(values) != 0.0)  # NaN differs from everything, so it ends a stretch
    edges = np.r_[0, flat + 1, values.size]
    for first, stop in pairwise(edges):
        if stop - first >= FROZEN_SLOTS and values[first] != 0.0:
            values[first:stop] = np.nan
    return np.asarray(np.where(values < 0.0, 0.0, values), dtype=np.float64)


def day_and_slot(instant: datetime) -> tuple[date, int]:
    """Japanese date and 0-based number (0..47) of the slot that holds an instant."""
    slot = Slot.containing(instant)
    return slot.local_date, slot.koma - 1


def to_days(series: Series, first: date, count: int) -> FloatArray:
    """Values of ``count`` Japanese days from ``first``, shape (count, 48); NaN where the series is silent."""
    require_slots(series.grid, "a series")
    offset = (series.grid.start - jst_midnight(first)) // SLOT_LENGTH
    out = np.full(count * SLOTS_PER_DAY, np.nan)
    begin, stop = max(0, offset), min(out.size, offset + series.grid.count)
    if begin < stop:
        out[begin:stop] = series.values[begin - offset : stop - offset]
    return out.reshape(count, SLOTS_PER_DAY)


def local_first_day(series: Series) -> date:
    """Japanese date on which a series starts."""
    return series.grid.start.astimezone(JST).date()


@dataclass(frozen=True, slots=True)
class DayKinds:
    """What is known in advance about a run of days, per day.

    Parameters
    ----------
    weekday : ndarray of int
        Monday = 0.
    rest : ndarray of bool
        Whether the site rests.
    kind : ndarray of int
        0 working day, 1 working day next to rest (before or after), 2 rest day on a Saturday,
        3 other rest day.
    season : ndarray, shape (n, 2)
        Sine and cosine of the day of the year. [-]
    """

    weekday: IntArray
    rest: BoolArray
    kind: IntArray
    season: FloatArray

    @classmethod
    def of(cls, calendar: SiteCalendar, first: date, count: int) -> DayKinds:
        """Kinds of ``count`` days from ``first``; the neighbours beyond both ends are looked up too."""
        days = [first + timedelta(days=k - 1) for k in range(count + 2)]
        rest = np.array([calendar.day_type(day) is DayType.REST for day in days])
        weekday = np.array([day.weekday() for day in days], dtype=np.int64)
        beside = ~rest[1:-1] & (rest[:-2] | rest[2:])
        saturday = rest[1:-1] & (weekday[1:-1] == 5)
        kind = np.where(rest[1:-1], np.where(saturday, 2, 3), np.where(beside, 1, 0))
        angle = np.array([2.0 * np.pi * day.timetuple().tm_yday / 365.25 for day in days[1:-1]])
        return cls(
            weekday=weekday[1:-1],
            rest=rest[1:-1],
            kind=kind.astype(np.int64),
            season=np.column_stack([np.sin(angle), np.cos(angle)]),
        )
