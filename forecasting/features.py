"""Features of a day-ahead load forecast, each with the moment from which it may be used.

A group of features is a function of a view that holds only what its ``known`` says (:mod:`forecasting.past`);
the list :data:`LOAD_GROUPS` is all there is, and model cards print it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray, DayKinds, IntArray
from forecasting.past import Past

__all__ = [
    "LOAD_GROUPS",
    "Features",
    "Group",
    "Known",
    "View",
    "build_features",
    "load_features",
    "similar_days",
]

COMFORT_C = ((12.0, 16.0), (20.0, 24.0))  # hinges below which is heated and above which is cooled: ours
CLIP = 8.0  # standardised features are clipped here: an outage is no lesson about slopes


class Known(StrEnum):
    """From when a feature may be used."""

    CALENDAR = "calendar"  # always
    WHOLE_DAYS = "whole days"  # from the end of the newest whole day
    MORNING = "morning"  # at the issue: the part of the issue day that is over
    MEASURED_WEATHER = "measured weather"  # at the issue, like the morning
    FORECAST_WEATHER = "forecast weather"  # from the issue of the weather forecast


@dataclass(frozen=True, slots=True)
class View:
    """All that a feature can ask for.

    Parameters
    ----------
    past : Past
        The load itself.
    days : DayKinds
        The calendar, of future days too.
    usable : ndarray of bool, shape (n,)
        Days that may serve as examples.
    measured : mapping of str to Past
        Measured weather.
    forecast : mapping of str to ndarray
        Weather forecasts of each row, as known at its issue.
    means : dict
        Answers of :meth:`mean_of` so far.
    """

    past: Past
    days: DayKinds
    usable: BoolArray
    measured: Mapping[str, Past]
    forecast: Mapping[str, FloatArray]
    means: dict[tuple[bytes, int], FloatArray] = field(default_factory=dict, compare=False, repr=False)

    def wide(self, per_day: FloatArray | BoolArray | IntArray) -> FloatArray:
        """One value per day as an array of days x slots."""
        return np.repeat(np.asarray(per_day, dtype=np.float64)[:, None], self.past.shape[1], axis=1)

    def mean_of(self, key: IntArray, count: int) -> FloatArray:
        """Mean of the last ``count`` whole days with the same key; several groups of features ask for it."""
        asked = (key.tobytes(), count)
        if asked not in self.means:
            group = self.days.rest.astype(np.int64)
            chosen = similar_days(key, self.usable, self.past.newest_whole, count, group)
            self.means[asked] = np.asarray(self.past.examples(chosen).mean(axis=1))
        return self.means[asked]

    def weeks_ago(self, count: int, instead: FloatArray) -> FloatArray:
        """The same weekday some weeks ago, or ``instead`` where that day was of the other type."""
        rest = self.days.rest
        before = np.maximum(np.arange(rest.size) - 7 * count, 0)
        reach = 7 * count + (7 if 7 * count < self.past.newest_whole else 0)
        return np.where((rest[before] == rest)[:, None], self.past.ago(reach), instead)


@dataclass(frozen=True, slots=True)
class Group:
    """Some features that become known together.

    Parameters
    ----------
    of_load : bool
        Whether they are loads themselves, in the unit of the panel.
    lean : callable
        Number of features -> those that a small linear model needs.
    """

    name: str
    known: Known
    of_load: bool
    build: Callable[[View], list[FloatArray]]
    lean: Callable[[int], list[int]]


def similar_days(key: IntArray, usable: BoolArray, back: int, count: int, fallback: IntArray) -> IntArray:
    """Indices of the last ``count`` usable days with the same key, shape (n, count); -1 where there is none.

    Days are at least ``back`` days old, and repeated in turn when there are fewer than ``count``. Where no
    day has the same ``key``, days with the same ``fallback`` key serve, and then any days.
    """
    chosen = np.full((key.size, count), -1, dtype=np.int64)
    by_key: dict[int, list[int]] = {}
    by_fallback: dict[int, list[int]] = {}
    every: list[int] = []
    for day in range(key.size):
        known = day - back
        if known >= 0 and usable[known]:
            by_key.setdefault(int(key[known]), []).append(known)
            by_fallback.setdefault(int(fallback[known]), []).append(known)
            every.append(known)
        examples = by_key.get(int(key[day])) or by_fallback.get(int(fallback[day])) or every
        if examples:
            last = examples[-count:]
            chosen[day] = (last * (count // len(last) + 1))[:count]
    return chosen


def _levels(view: View) -> list[FloatArray]:
    """Whole days: the newest, the same weekdays, like days, and their daily means."""
    past, rest = view.past, view.days.rest
    group = rest.astype(np.int64)
    weekday = view.days.weekday * 2 + group
    back = past.newest_whole
    same = view.mean_of(group, 4)
    newest, week = past.ago(back), view.weeks_ago(1, same)
    out = [newest, week, *(view.weeks_ago(count, same) for count in (2, 3, 4))]
    out += [np.mean([past.ago(back + k) for k in range(7)], axis=0)]
    out += [same, view.mean_of(group, 10), view.mean_of(weekday, 4)]
    return out + [view.wide(part.mean(axis=1)) for part in (newest, week, same)]


def _morning(view: View) -> list[FloatArray]:
    """The part of the issue day that is over: its level, its end, and how far it is from a usual day."""
    past, rest = view.past, view.days.rest
    group = rest.astype(np.int64)
    known = past.morning()
    later = known[:, known.shape[1] // 2 :]
    # the usual course of the issue day itself: the like days before it
    rows = np.maximum(np.arange(rest.size) - past.lead, 0)
    usual = view.mean_of(group, 4)[rows][:, : known.shape[1]]
    surprise = known - usual
    parts = [known.mean(axis=1), later.mean(axis=1), known[:, -1]]
    parts += [surprise[:, known.shape[1] // 2 :].mean(axis=1), surprise[:, -2:].mean(axis=1)]
    return [past.latest(), *(view.wide(part) for part in parts)]


def _calendar(view: View) -> list[FloatArray]:
    """Day types of the day and its neighbours, the weekday, the season, the time of day."""
    days = view.days
    rest = days.rest.astype(np.float64)
    rows = np.arange(rest.size)

    def beside(shift: int) -> FloatArray:
        return view.wide(rest[np.clip(rows - shift, 0, rest.size - 1)])

    out = [beside(shift) for shift in (0, 1, -1, 7, 2)]
    # A closed Monday is a day of rest first: weekdays speak only for working days, Saturday only for rest.
    out += [view.wide((days.weekday == day) * (1.0 - rest)) for day in range(7)]
    out += [view.wide((days.weekday == 5) * rest), view.wide(days.season[:, 0]), view.wide(days.season[:, 1])]
    slots = view.past.shape[1]
    return [*out, np.repeat((np.arange(slots) / slots)[None], rest.size, axis=0), view.wide(days.weekday)]


def _measured(view: View) -> list[FloatArray]:
    """Weather as far as it was measured: the newest value, the morning's mean, the newest whole day's."""
    out: list[FloatArray] = []
    for past in view.measured.values():
        whole = past.ago(past.newest_whole).mean(axis=1)
        for values in (past.latest(), view.wide(past.morning().mean(axis=1)), view.wide(whole)):
            out += [values, *_hinges(values)]
    return out


def _forecast(view: View) -> list[FloatArray]:
    """Forecast weather: as it is, its daily mean, its means over the hours before, its change on the week."""
    out: list[FloatArray] = []
    for values in view.forecast.values():
        flat, slots = values.reshape(-1), values.shape[1]
        parts = [values, view.wide(values.mean(axis=1)), _trailing(flat, slots // 4), _trailing(flat, slots)]
        for part in parts:
            part = part.reshape(values.shape)
            out += [part, *_hinges(part)]
        for back in (2, 7):
            before = values[np.maximum(np.arange(len(values)) - back, 0)]
            out.append(values - before)
    return out


def _hinges(temp_c: FloatArray) -> list[FloatArray]:
    """Degrees below the heating and above the cooling thresholds. [K]"""
    heating = [np.maximum(base - temp_c, 0.0) for base in COMFORT_C[0]]
    return heating + [np.maximum(temp_c - base, 0.0) for base in COMFORT_C[1]]


def _trailing(flat: FloatArray, span: int) -> FloatArray:
    """Mean of the last ``span`` values up to each one."""
    total = np.r_[0.0, np.cumsum(flat)]
    at = np.arange(1, flat.size + 1)
    first = np.maximum(at - span, 0)
    return np.asarray((total[at] - total[first]) / (at - first))


LOAD_GROUPS = (
    Group("levels of whole days", Known.WHOLE_DAYS, True, _levels, lambda _: [0, 1, 2, 3, 4, 5, 9, 10, 11]),
    Group("the morning of the issue day", Known.MORNING, True, _morning, lambda _: [0, 1, 2, 3]),
    Group("day types, weekday, season, time", Known.CALENDAR, False, _calendar, lambda n: list(range(n - 2))),
    Group("measured weather", Known.MEASURED_WEATHER, False, _measured, lambda n: list(range(0, n, 5))),
    Group("forecast weather", Known.FORECAST_WEATHER, False, _forecast, lambda n: list(range(n))),
)


class Features(NamedTuple):
    """All features of every day and slot.

    Parameters
    ----------
    values : ndarray, shape (n, slots, p)
        NaN where a feature is not known.
    loads : int
        How many of them, the first, are loads themselves.
    lean : ndarray of int
        Columns that a small linear model needs: values, not means and hinges.
    """

    values: FloatArray
    loads: int
    lean: IntArray


def build_features(view: View) -> Features:
    """All features of every day and slot, those that are loads first."""
    columns: list[FloatArray] = []
    lean, loads = [], 0
    for group in sorted(LOAD_GROUPS, key=lambda one: not one.of_load):
        built = group.build(view)
        lean += [len(columns) + k for k in group.lean(len(built))]
        columns += built
        loads += len(built) if group.of_load else 0
    return Features(np.stack(columns, axis=-1), loads, np.array(lean, dtype=np.int64))


def load_features(view: View) -> list[FloatArray]:
    """The features that are loads themselves. [unit of the panel]"""
    return [column for group in LOAD_GROUPS if group.of_load for column in group.build(view)]
