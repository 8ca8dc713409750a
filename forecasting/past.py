"""What may be looked at when a day is forecast, and nothing else.

A feature never sees the panel. It sees a :class:`Past`, which gives whole days far enough back and the part
of the issue day that is over; asked for anything later it raises. So looking ahead is not a matter of care:
there is no call for it. Where the clocks change, other days are read at the same time on the wall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.core.errors import ForecastError
from energy.core.series import FloatArray
from forecasting.days import BoolArray, DayKinds, IntArray

__all__ = ["Past", "filled_from_past", "first_whole_day"]

SHORT_GAP = 3  # slots; longer gaps are missing
USABLE_SHARE = 0.8  # of a day's slots: with fewer readings a day is no example for another day
FILL_DAYS = 4  # days of the same kind whose mean stands for a missing stretch


def first_whole_day(lead: int, issue_slot: int, slots_per_day: int) -> int:
    """Days back from a target day to the newest day that is over when its forecast is issued."""
    return lead if issue_slot >= slots_per_day else lead + 1


@dataclass(frozen=True, slots=True)
class Past:
    """Values of other days as they were known when each row was forecast.

    Parameters
    ----------
    filled : ndarray, shape (n, slots)
        Values without gaps, filled from earlier values only. [any]
    lead, issue_slot : int
        As in :class:`forecasting.panel.Panel`.
    clock : ndarray, shape (n,), optional
        Slots by which the clock on the wall is ahead of the panel's time on each day.
    """

    filled: FloatArray
    lead: int
    issue_slot: int
    clock: IntArray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Days and slots per day."""
        return int(self.filled.shape[0]), int(self.filled.shape[1])

    @property
    def newest_whole(self) -> int:
        """Days back to the newest whole day."""
        return first_whole_day(self.lead, self.issue_slot, self.shape[1])

    def ago(self, days: int) -> FloatArray:
        """Values of the same slots ``days`` days before each row; the first rows repeat the first day.

        Raises
        ------
        ForecastError
            If that day is not over when the row is forecast.
        """
        if days < self.newest_whole:
            raise ForecastError(
                "a feature looks ahead",
                where=f"{days} day(s) back; the newest whole day is {self.newest_whole} back",
                hint="use Past.latest or Past.morning for the day of issue",
            )
        n = self.shape[0]
        return self._read(np.maximum(np.arange(n) - days, 0)[:, None])[:, 0]

    def latest(self) -> FloatArray:
        """The newest known value of the same slot: of the issue day where it is over, else of the day before.

        For a panel issued at the end of a day this is ``ago(newest_whole)``.
        """
        n, slots = self.shape
        older = self.ago(self.newest_whole)
        if self.issue_slot in (0, slots):
            return older
        issue_day = self._read(np.maximum(np.arange(n) - self.lead, 0)[:, None])[:, 0]
        return np.where(np.arange(slots)[None] < self.issue_slot, issue_day, older)

    def morning(self) -> FloatArray:
        """The known part of the issue day, shape (n, issue_slot); a whole day if it is over."""
        n, slots = self.shape
        if self.issue_slot in (0, slots):
            return self.ago(self.newest_whole)
        rows = np.maximum(np.arange(n) - self.lead, 0)
        return self.filled[rows, : self.issue_slot]

    def examples(self, chosen: IntArray) -> FloatArray:
        """Values of chosen days, shape (n, count, slots), from day indices of shape (n, count).

        Negative indices (no such day) give the values of day 0: look at ``chosen`` for them.

        Raises
        ------
        ForecastError
            If a chosen day is not over when its row is forecast.
        """
        latest = np.arange(len(chosen))[:, None] - self.newest_whole
        if (chosen > np.maximum(latest, -1)).any():
            raise ForecastError("an example looks ahead", hint="choose days that are over at the issue")
        return self._read(np.maximum(chosen, 0))

    def _read(self, rows: IntArray) -> FloatArray:
        """Days of shape (n, count) at the wall-clock slots of each row; never beyond what was known."""
        if self.clock is None or not np.ptp(self.clock):
            return np.asarray(self.filled[rows])
        n, slots = self.shape
        shift = self.clock[:, None] - self.clock[rows]
        at = rows[..., None] * slots + np.arange(slots) + shift[..., None]
        known = (np.arange(n) - self.lead) * slots + self.issue_slot
        plain = rows[..., None] * slots + np.arange(slots)
        at = np.where((at < 0) | (at >= np.maximum(known, 1)[:, None, None]), plain, at)
        return np.asarray(self.filled.reshape(-1)[np.minimum(at, n * slots - 1)])


def filled_from_past(values: FloatArray, days: DayKinds) -> tuple[FloatArray, BoolArray]:
    """Values without gaps, and which days are whole enough to serve as examples.

    A gap is filled from what came before it: up to three slots by the usual course from the last value on,
    longer ones by the mean of the last four days of the same kind.

    Parameters
    ----------
    values : ndarray, shape (n, slots)
        NaN where missing. [any]
    """
    out = np.array(values)
    known = ~np.isnan(values)
    usable = np.asarray(known.mean(axis=1) >= USABLE_SHARE)
    start = float(values[known][: values.shape[1]].mean()) if known.any() else 0.0
    recent: dict[bool, list[FloatArray]] = {True: [], False: []}
    for day in range(len(out)):
        rest = bool(days.rest[day])
        if not known[day].all():
            examples = recent[rest] or recent[not rest]
            usual = np.mean(examples[-FILL_DAYS:], axis=0) if examples else np.full(out.shape[1], start)
            out[day] = _filled(out[day], known[day], usual)
        if usable[day]:
            recent[rest].append(out[day])
    return out, usable


def _filled(values: FloatArray, known: BoolArray, usual: FloatArray) -> FloatArray:
    out = np.where(known, values, usual)
    edges = np.flatnonzero(np.diff(np.r_[0, (~known).astype(np.int8), 0]))
    for first, stop in zip(edges[::2], edges[1::2], strict=True):
        if first > 0 and stop - first <= SHORT_GAP:
            out[first:stop] = usual[first:stop] + (values[first - 1] - usual[first - 1])
    return out
