"""A back-test case as days and slots: what happened, and what was known about every day in advance.

The panel is the border between files, stores and back-tests on one side and the forecasting methods on the
other. It does not care where the days are: 24 or 48 slots, any zone, any issue time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Literal

import numpy as np

from energy.core.clock import require_aware
from energy.core.errors import AlignmentError
from energy.core.series import FloatArray
from forecasting.days import DayKinds, IntArray

__all__ = ["Kind", "Panel"]

Kind = Literal["load", "pv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A series as days x slots with everything a day-ahead forecast may look at.

    Row ``d`` is one local day. Its forecast is issued ``lead`` days earlier, when ``issue_slot`` slots of
    that day are over: ``lead=1, issue_slot=24`` of 48 is noon of the day before.

    Parameters
    ----------
    kind : str
        ``load`` or ``pv`` (never below 0, 0 at night, at most ``capacity``).
    start : datetime
        Begin of slot 0 of row 0. UTC.
    actual : ndarray, shape (n_days, slots_per_day)
        What happened, mean of each slot; NaN where missing. [unit of the caller]
    days : DayKinds
        What the calendar knows, one entry per row.
    lead : int
        Days between issue and target day, >= 1 (0: the rest of the issue day itself).
    issue_slot : int
        Slots of the issue day that are over when the forecast is issued, 0..slots_per_day.
    forecast_weather : mapping of str to ndarray, shape (n_days, slots_per_day)
        Weather forecasts of each day that were known at its issue. [unit by name]
    measured_weather : mapping of str to ndarray, shape (n_days, slots_per_day)
        Measured weather; a method sees of it only what was over at the issue. [unit by name]
    capacity : float, optional
        Nameplate of a PV plant, the ceiling of its forecast. [unit of ``actual``]
    latitude, longitude : float, optional
        Place of a PV plant, north and east positive. [deg]
    clock : ndarray of int, shape (n_days,), optional
        Slots by which the clock on the wall is ahead of the rows' (standard) time: people get up by the
        clock, so past days are read at the same time on the wall.

    Raises
    ------
    AlignmentError
        If an array does not fit, or the issue lies outside its day.
    """

    kind: Kind
    start: datetime
    actual: FloatArray
    days: DayKinds
    lead: int = 1
    issue_slot: int
    forecast_weather: Mapping[str, FloatArray] = field(default_factory=dict)
    measured_weather: Mapping[str, FloatArray] = field(default_factory=dict)
    capacity: float | None = None
    latitude: float | None = None
    longitude: float | None = None
    clock: IntArray | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", require_aware(self.start))
        shape = self.actual.shape
        if len(shape) != 2 or 1440 % shape[1] != 0:
            raise AlignmentError("a panel is days x slots of a day of 24 h", actual=shape)
        if len(self.days.weekday) != shape[0]:
            raise AlignmentError("calendar and values differ", days=len(self.days.weekday), actual=shape)
        for name, values in (*self.forecast_weather.items(), *self.measured_weather.items()):
            if values.shape != shape:
                raise AlignmentError("weather does not fit the panel", series=name, values=values.shape)
        if self.clock is not None and len(self.clock) != shape[0]:
            raise AlignmentError("clock and values differ", clock=len(self.clock), actual=shape)
        if not 0 <= self.issue_slot <= shape[1] or self.lead < 0:
            raise AlignmentError(
                "the issue lies outside its day", issue_slot=self.issue_slot, lead=self.lead, slots=shape[1]
            )

    @property
    def count(self) -> int:
        """Number of days."""
        return int(self.actual.shape[0])

    @property
    def slots_per_day(self) -> int:
        """24 for hours, 48 for half hours, 96 for quarter hours."""
        return int(self.actual.shape[1])

    def part(self, first: int, stop: int) -> Panel:
        """Rows ``first`` to ``stop``, the latter not included."""
        rows = slice(first, stop)
        days = self.days
        return replace(
            self,
            start=self.start + timedelta(days=first),
            actual=self.actual[rows],
            days=DayKinds(days.weekday[rows], days.rest[rows], days.kind[rows], days.season[rows]),
            forecast_weather={name: values[rows] for name, values in self.forecast_weather.items()},
            measured_weather={name: values[rows] for name, values in self.measured_weather.items()},
            clock=None if self.clock is None else self.clock[rows],
        )

    def known_at_issue(self, row: int) -> Panel:
        """The same panel as it stood when row ``row`` was forecast: everything later is missing."""
        last = row - self.lead

        def cut(values: FloatArray) -> FloatArray:
            out = np.array(values, dtype=np.float64)
            out[last + 1 :] = np.nan
            out[last, self.issue_slot :] = np.nan
            return out

        def forecast(values: FloatArray) -> FloatArray:
            out = np.array(values, dtype=np.float64)
            out[row + 1 :] = np.nan
            return out

        return replace(
            self,
            actual=cut(self.actual),
            forecast_weather={name: forecast(values) for name, values in self.forecast_weather.items()},
            measured_weather={name: cut(values) for name, values in self.measured_weather.items()},
        )
