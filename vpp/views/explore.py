"""Any stored series over any stretch, thinned for a screen without losing a peak, with its gaps."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Final

import numpy as np

from energy.core.errors import AlignmentError
from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import SLOT_LENGTH
from energy.core.units import SeriesId
from energy.store import Snapshot

__all__ = ["DayLine", "Stretch", "read_days", "read_stretch", "read_thinned", "steps_in", "thinned"]

_LOOK_BACK: Final = timedelta(hours=6)
_JAPAN: Final = timedelta(hours=9)  # ahead of UTC, without summer time
_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)
_READ_AT_ONCE: Final = 20_000  # steps; more are thinned where they lie
_MOST: Final = 1_000_000  # more steps than that are read one by one as they came
_EPOCH: Final = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Values of a series in order of time.

    Parameters
    ----------
    seconds : ndarray
        Instants since 1970 UTC. [s]
    values : ndarray
        NaN where a value is missing, invalid or stale.
    step : timedelta
        Usual distance of two values.
    """

    seconds: FloatArray
    values: FloatArray
    step: timedelta

    @property
    def count(self) -> int:
        """Values that are known."""
        return int(np.isfinite(self.values).sum())

    @property
    def missing(self) -> int:
        """Steps without a usable value."""
        return len(self.values) - self.count

    def at(self, k: int) -> datetime:
        """Instant of the k-th value."""
        return _EPOCH + timedelta(seconds=float(self.seconds[k]))


@dataclass(frozen=True, slots=True)
class DayLine:
    """A day of a series in one line."""

    day: date
    low: float | None
    mean: float | None
    high: float | None
    known: int
    missing: int


def read_stretch(known: Snapshot, name: SeriesId, start: datetime, end: datetime) -> Stretch:
    """Values of a series in ``[start, end)``; its steps without a value are there as NaN."""
    step = _step(known, name, end)
    first = start + (-(start - _EPOCH)) % step
    count = max(0, -((first - end) // step))
    if not count:
        return Stretch(np.zeros(0), np.zeros(0), step)
    try:
        if count > _MOST:
            raise AlignmentError("too many steps for a grid", steps=count)
        series = known.series(name, Grid(first, count, step), Unit.RATIO)
    except AlignmentError:  # values that keep no step stand as they came
        found = known.values(name, start, end)
        at = np.array([(one.at - _EPOCH).total_seconds() for one in found])
        values = np.array([np.nan if one.value is None else one.value for one in found])
        return Stretch(at, values, step)
    since = (first - _EPOCH).total_seconds()
    seconds = since + np.arange(count, dtype=np.float64) * step.total_seconds()
    return Stretch(seconds, np.asarray(series.values, dtype=np.float64), step)


def _step(known: Snapshot, name: SeriesId, before: datetime) -> timedelta:
    """Usual distance of the newest values; half an hour where there are too few."""
    newest = known.latest(name, before=before)
    if newest is None:
        return SLOT_LENGTH
    found = known.values(name, newest.at - _LOOK_BACK, newest.at + timedelta(microseconds=1))
    gaps = [later.at - earlier.at for earlier, later in pairwise(found)]
    return max(timedelta(seconds=1), sorted(gaps)[len(gaps) // 2]) if gaps else SLOT_LENGTH


def read_thinned(known: Snapshot, name: SeriesId, start: datetime, end: datetime, most: int) -> Stretch:
    """The same with at most about ``most`` values, however many there are.

    A long stretch is thinned in the database: of each piece its lowest and its highest value, at its start
    and at its middle. What is held at once then depends on the screen and not on the stretch.
    """
    step = _step(known, name, end)
    if (end - start) / step <= _READ_AT_ONCE:
        return thinned(read_stretch(known, name, start, end), most)
    half = max(_SECOND, _SECOND * math.ceil((end - start) / most / _SECOND))
    count = -((start - end) // (2 * half))
    values = np.full(2 * count, np.nan)
    for piece in known.pieces(name, Grid(start, count, 2 * half)):
        k = (piece.start - start) // (2 * half)
        values[2 * k : 2 * k + 2] = piece.low, piece.high
    seconds = (start - _EPOCH).total_seconds() + np.arange(2 * count, dtype=np.float64) * half.total_seconds()
    return Stretch(seconds, values, half)


def read_days(known: Snapshot, name: SeriesId, start: datetime, end: datetime) -> list[DayLine]:
    """A stretch from a Japanese midnight on, one line per day, worked out in the database.

    A day of which nothing is known is there, with all its steps missing.
    """
    step, count = _step(known, name, end), -((start - end) // _DAY)
    by_day = (
        {one.start: one for one in known.pieces(name, Grid(start, max(0, count), _DAY))} if count > 0 else {}
    )
    found = []
    for k in range(count):
        first = start + k * _DAY
        steps = -((first - min(first + _DAY, end)) // step)
        day, piece = (first + _JAPAN).date(), by_day.get(first)
        if piece is None:
            found.append(DayLine(day, None, None, None, 0, steps))
        else:
            missing = max(0, steps - piece.known)
            found.append(DayLine(day, piece.low, piece.mean, piece.high, piece.known, missing))
    return found


def steps_in(known: Snapshot, name: SeriesId, start: datetime, end: datetime) -> tuple[int, timedelta]:
    """How many values a stretch would have without a gap, and their usual distance."""
    step = _step(known, name, end)
    return max(0, -((start - end) // step)), step


def thinned(told: Stretch, most: int) -> Stretch:
    """The same with at most about ``most`` values: of each piece its lowest and its highest, in order.

    A piece without any value stays a gap.

    Examples
    --------
    >>> told = Stretch(np.arange(8.0), np.array([1, 9, 2, 2, 0, 5, 5, 5.0]), timedelta(seconds=1))
    >>> thinned(told, 4).values.tolist()
    [1.0, 9.0, 0.0, 5.0]
    """
    count = len(told.values)
    if count <= most:
        return told
    size = -(-2 * count // most)
    pieces = -(-count // size)
    padded = np.full(pieces * size, np.nan)
    padded[:count] = told.values
    table = padded.reshape(pieces, size)
    empty = np.isnan(table).all(axis=1)
    low = np.where(empty, 0, np.nanargmin(np.where(empty[:, None], 0.0, table), axis=1))
    high = np.where(empty, size - 1, np.nanargmax(np.where(empty[:, None], 0.0, table), axis=1))
    places = np.sort(np.stack([low, high], axis=1), axis=1) + (np.arange(pieces) * size)[:, None]
    chosen = np.unique(np.minimum(places.ravel(), count - 1))
    return Stretch(told.seconds[chosen], told.values[chosen], told.step * size)
