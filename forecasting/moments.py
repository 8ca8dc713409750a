"""Past moments that looked like now, and what followed them.

A moment is described by the load of the last hours, how far the day has been off its forecast, and what the
forecast says of the next hours. What followed the most similar moments is a sample of what may follow now,
told twice: as errors of the forecast (right where the load is smooth) and as levels (right where machines are
on or off, and a forecast that is wrong is wrong by a whole machine).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray, IntArray

__all__ = ["Moments", "filled", "running_mean"]

# Tuned on the windows before the tests (docs/explanation/forecasts.md).
NEAREST = (6, 20)  # moments whose sequel is the sample: one for every four days, at least and at most
DAYS_OF_ONE = 4
SPAN = 3  # slots by which the time of day of a like moment may differ
SLOT_WIDTH = 2.0  # slots: so much earlier or later counts as one unit of distance
REST_WEIGHT = 3.0  # distance between a day of rest and a working day
AGE_DAYS = 150.0  # a moment so old is one unit further away
KNOWN_SHARE = 0.75  # of the sequel of a moment that must be known
_LOAD = (
    (1, 0, 1.3),
    (2, 1, 1.3),
    (4, 2, 1.3),
    (8, 4, 1.3),
    (16, 8, 1.0),
    (24, 16, 1.0),
)  # from, to slots ago
_ERROR = ((4, 2.0), (24, 0.5))  # mean error of so many slots, and its weight
_TODAY = 2.0  # weight of the mean error since midnight
_MIDDLE = ((0, 1), (1, 2), (2, 4), (4, 6), (6, 9), (9, 12), (12, 16))  # slots ahead, of the median
_MIDDLE_WEIGHT = 0.7
_EDGES = ((0, 2), (2, 6), (6, 12))  # slots ahead, of P10 and P90
_EDGES_WEIGHT = 0.3


def running_mean(values: FloatArray, first: IntArray, stop: IntArray) -> FloatArray:
    """Mean of ``values[first:stop]`` for many stretches; NaN where a stretch is empty or nothing is known."""
    known = ~np.isnan(values)
    total = np.r_[0.0, np.cumsum(np.where(known, values, 0.0))]
    count = np.r_[0, np.cumsum(known)]
    low, high = np.clip(first, 0, values.size), np.clip(stop, 0, values.size)
    number = count[high] - count[low]
    mean = (total[high] - total[low]) / np.maximum(number, 1)
    return np.asarray(np.where((number > 0) & (high > low), mean, np.nan))


def filled(load: FloatArray, bands: FloatArray) -> FloatArray:
    """Load with gaps taken as forecast. [as given]"""
    return np.asarray(np.where(np.isnan(load), bands[1], load))


@dataclass(frozen=True, slots=True, kw_only=True)
class Moments:
    """Moments of the past and their sequels; made by :meth:`remember`.

    Parameters
    ----------
    at : ndarray of int, shape (n,)
        Position of the slot that began at each moment.
    vectors : ndarray, shape (n, p)
        Descriptions, in units of the spread of the load.
    errors, levels : ndarray, shape (n, leads)
        What followed: load minus forecast, and load. [-]
    rest : ndarray of bool, shape (n,)
        Whether the day was one of rest.
    spread : float
        Standard deviation of the load. [-]
    slots : int
        Slots of a day.
    nearest : int
        Moments whose sequel is told.
    """

    at: IntArray
    vectors: FloatArray
    errors: FloatArray
    levels: FloatArray
    rest: BoolArray
    spread: float
    slots: int
    nearest: int

    @classmethod
    def remember(
        cls, load: FloatArray, bands: FloatArray, rest: BoolArray, *, slots: int, leads: int
    ) -> Moments:
        """All moments from the second day on whose sequel is known.

        Parameters
        ----------
        load : ndarray, shape (n,)
            What happened, NaN where missing. [-]
        bands : ndarray, shape (3, n)
            P10, P50 and P90 as forecast. [-]
        rest : ndarray of bool, shape (n,)
            Whether each slot lies in a day of rest.
        """
        at = np.arange(slots, load.size - leads + 1)
        ahead = at[:, None] + np.arange(leads)
        full, known = filled(load, bands), ~np.isnan(load)
        use = (known[ahead].mean(axis=1) >= KNOWN_SHARE) & ~np.isnan(bands[1][ahead]).any(axis=1)
        at, ahead = at[use], ahead[use]
        spread = max(float(np.nanstd(load)), 1e-9)
        return cls(
            at=at,
            vectors=_vectors(full, bands, at, slots) / spread,
            errors=full[ahead] - bands[1][ahead],
            levels=full[ahead],
            rest=rest[at],
            spread=spread,
            slots=slots,
            nearest=int(np.clip(load.size // slots // DAYS_OF_ONE, *NEAREST)),
        )

    def describe(self, load: FloatArray, bands: FloatArray, at: IntArray) -> FloatArray:
        """Vectors of other moments, to be asked about; gaps of the load are taken as forecast."""
        return _vectors(filled(load, bands), bands, at, self.slots) / self.spread

    def sequels(self, at: IntArray, vectors: FloatArray, rest: BoolArray, middle: FloatArray) -> FloatArray:
        """Errors of the forecast that may follow, shape (n, 2 * nearest, leads); NaN without enough past. [-]

        Parameters
        ----------
        at : ndarray of int, shape (n,)
            Positions on the axis of :attr:`at`; only moments whose sequel was over by then are looked at.
        middle : ndarray, shape (n, leads)
            P50 as forecast for what follows: levels are told as their distance from it.
        """
        leads, count = self.errors.shape[1], self.nearest
        out = np.full((at.size, 2 * count, leads), np.nan)
        slot, asked = self.at % self.slots, at % self.slots
        square = (self.vectors**2).sum(axis=1)
        for one in np.unique(asked):
            rows = np.flatnonzero(asked == one)
            apart = np.abs(slot - one)
            apart = np.minimum(apart, self.slots - apart)
            near = np.flatnonzero(apart <= SPAN)
            if near.size < count:
                continue
            v = vectors[rows]
            distance = square[near] + (v**2).sum(axis=1)[:, None] - 2.0 * v @ self.vectors[near].T
            distance += (apart[near] / SLOT_WIDTH) ** 2
            distance += REST_WEIGHT * (rest[rows, None] != self.rest[near])
            age = at[rows, None] - self.at[near]
            distance += age / (self.slots * AGE_DAYS)
            distance = np.where(age >= leads, distance, np.inf)
            chosen = np.argpartition(distance, count - 1, axis=1)[:, :count]
            enough = np.isfinite(np.take_along_axis(distance, chosen, axis=1)).all(axis=1)
            rows, chosen = rows[enough], near[chosen[enough]]
            out[rows, :count] = self.errors[chosen]
            out[rows, count:] = self.levels[chosen] - middle[rows, None]
        return out


def _vectors(load: FloatArray, bands: FloatArray, at: IntArray, slots: int) -> FloatArray:
    """Descriptions of moments, shape (n, p), weighted so that plain distances compare them. [-]"""
    error = load - bands[1]
    columns = [weight * running_mean(load, at - first, at - stop) for first, stop, weight in _LOAD]
    columns += [weight * running_mean(error, at - span, at) for span, weight in _ERROR]
    columns.append(_TODAY * running_mean(error, at - at % slots, at))
    columns += [_MIDDLE_WEIGHT * running_mean(bands[1], at + first, at + stop) for first, stop in _MIDDLE]
    columns += [
        _EDGES_WEIGHT * running_mean(edge, at + first, at + stop)
        for edge in (bands[0], bands[2])
        for first, stop in _EDGES
    ]
    return np.nan_to_num(np.stack(columns, axis=1))
