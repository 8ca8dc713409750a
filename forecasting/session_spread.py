"""How a quantity of past visits is spread: histograms that forget, the group behind them, honest levels.

Every visit leaves a small bell in the histogram of its driver and of the group, in the class of its day. A
forecast adds the driver's like days, and a little of the group's, so that a new driver begins as one of the
group and becomes himself. Levels are corrected by where past visits fell in the spread that was forecast for
them (their probability integral transforms), because a spread made of few visits is too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray, IntArray
from forecasting.quantiles import weighted_quantiles

__all__ = ["ALL_ALIKE", "Spread", "SpreadShape", "VisitValues", "likeness"]

# All constants were chosen on the sessions of March to May 2019 (docs/explanation/forecast-cars-rooms.md).
HALF_LIFE: Final = 60.0  # days
GROUP_VISITS: Final = 0.4  # what the group weighs against a driver's own visits
DEFAULT_VISITS: Final = 3.0  # what the stated default weighs against the group's visits
LEVEL_HALF_LIFE: Final = 45.0  # days, of the levels' correction
LEVEL_DAYS: Final = 120  # older visits do not correct the levels
LEVEL_PRIOR: Final = 20  # visits, evenly spread, that say "levels are right" until real ones do
NOT_YET: Final = 2  # a visit is over, and known, two days later at any time of issue
ALL_ALIKE: Final = -1  # class of a day of which nothing is known
_ALIKE_WEIGHT: Final = 0.6


def likeness(rests: BoolArray) -> FloatArray:
    """How much a day of one class says about a day of another: 1 the same, 0.5 the same kind, else 0.05."""
    kind = np.where(rests[:, None] == rests[None, :], 0.5, 0.05)
    return np.asarray(np.where(np.eye(len(rests), dtype=np.bool_), 1.0, kind), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadShape:
    """Bins of a quantity and what is assumed of it before anybody has come.

    Parameters
    ----------
    edges : ndarray, shape (n_bins + 1,)
        Increasing, evenly spaced. [unit of the quantity]
    bell : float
        Standard deviation of the bell a visit leaves. [unit of the quantity]
    usual, usual_sd : float
        Median and spread of the stated default. [unit of the quantity]
    alike : ndarray, shape (classes, classes)
        Weight of a visit by the class of its day and that of the day to forecast.
    """

    edges: FloatArray
    bell: float
    usual: float
    usual_sd: float
    alike: FloatArray

    @property
    def bins(self) -> int:
        """Number of bins."""
        return len(self.edges) - 1

    def bells(self, values: FloatArray) -> FloatArray:
        """One row of bins per value, each adding up to 1; values outside fall into the last bin."""
        return _bell_rows(self._middles(), self._inside(values), self.bell)

    def default(self) -> FloatArray:
        """The stated default, adding up to 1."""
        row = _bell_rows(self._middles(), np.array([self.usual]), self.usual_sd)
        return np.asarray(row[0], dtype=np.float64)

    def _middles(self) -> FloatArray:
        return np.asarray((self.edges[1:] + self.edges[:-1]) / 2.0, dtype=np.float64)

    def _inside(self, values: FloatArray) -> FloatArray:
        half = (self.edges[1] - self.edges[0]) / 2.0
        return np.clip(values, self.edges[0] + half, self.edges[-1] - half)


def _bell_rows(middles: FloatArray, values: FloatArray, width: float) -> FloatArray:
    weight = np.exp(-0.5 * ((middles[None, :] - values[:, None]) / width) ** 2)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitValues:
    """A quantity of visits, in order of day; rows without a value are left out beforehand."""

    user: IntArray
    day: IntArray
    kind: IntArray
    value: FloatArray

    @classmethod
    def of(cls, user: IntArray, day: IntArray, kind: IntArray, value: FloatArray) -> VisitValues:
        """The rows whose value is known."""
        known = ~np.isnan(value)
        return cls(user=user[known], day=day[known], kind=kind[known], value=value[known])


class _Bins:
    """Histograms of the users and of the group; weights grow with the day of the visit instead of fading."""

    def __init__(self, shape: SpreadShape, users: int) -> None:
        kinds = len(shape.alike)
        self.shape = shape
        self.own = np.zeros((users, kinds, shape.bins))
        self.group = np.zeros((kinds, shape.bins))
        self._alike = np.vstack([shape.alike, np.full(kinds, _ALIKE_WEIGHT)])  # the last row for ALL_ALIKE
        self._default = DEFAULT_VISITS * shape.default()

    def add(self, user: IntArray, kind: IntArray, weighted: FloatArray) -> None:
        """Put bells in."""
        np.add.at(self.own, (user, kind), weighted)
        np.add.at(self.group, kind, weighted)

    def cdf(self, user: IntArray, kind: IntArray, scale: float) -> FloatArray:
        """Cumulated spread per user at the edges; ``scale`` is what a visit of the day weighs."""
        weight = self._alike[kind]
        group = weight @ self.group / scale + self._default
        group /= group.sum(axis=1, keepdims=True)
        known = user >= 0
        own = np.zeros((len(user), self.shape.bins))
        own[known] = np.einsum("ukb,uk->ub", self.own[user[known]], weight[known]) / scale
        both = np.cumsum(own + GROUP_VISITS * group, axis=1)
        both /= both[:, -1:]
        return np.hstack([np.zeros((len(user), 1)), both])


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """Histograms up to a day, and where past visits fell in the spreads that were forecast for them."""

    shape: SpreadShape
    _bins: _Bins
    _falls: FloatArray  # 0..1
    _fall_weights: FloatArray

    @classmethod
    def learn(cls, visits: VisitValues, shape: SpreadShape, *, users: int, today: int) -> Spread:
        """Walk through all visits; each is compared with what would have been forecast for it."""
        bins = _Bins(shape, users)
        weighted = shape.bells(visits.value) * 2.0 ** ((visits.day - today) / HALF_LIFE)[:, None]
        falls = [(np.arange(LEVEL_PRIOR) + 0.5) / LEVEL_PRIOR]
        weights = [np.full(LEVEL_PRIOR, 0.5)]
        bounds = np.searchsorted(visits.day, np.arange(today + 1))
        for day in range(today + NOT_YET):
            if day >= NOT_YET:
                old = slice(bounds[day - NOT_YET], bounds[day - NOT_YET + 1])
                bins.add(visits.user[old], visits.kind[old], weighted[old])
            if today - LEVEL_DAYS <= day < today and bounds[day] < bounds[day + 1]:
                rows = slice(bounds[day], bounds[day + 1])
                cdf = bins.cdf(visits.user[rows], visits.kind[rows], 2.0 ** ((day - today) / HALF_LIFE))
                falls.append(_fall(cdf, shape.edges, visits.value[rows]))
                weights.append(np.full(len(cdf), 2.0 ** ((day - today) / LEVEL_HALF_LIFE)))
        return cls(
            shape=shape, _bins=bins, _falls=np.concatenate(falls), _fall_weights=np.concatenate(weights)
        )

    def own_visits(self) -> FloatArray:
        """Decayed number of visits by user and class, shape (users, classes)."""
        return np.asarray(self._bins.own.sum(axis=2), dtype=np.float64)

    def group_visits(self) -> float:
        """Decayed number of visits of all users."""
        return float(self._bins.group.sum())

    def cdf(self, user: IntArray, kind: IntArray) -> FloatArray:
        """Cumulated spread at the edges per user, shape (len(user), bins + 1); user -1 is a stranger."""
        return self._bins.cdf(user, kind, 1.0)

    def levels(self, levels: Sequence[float]) -> FloatArray:
        """Levels to read off so that past visits would have fallen below as often as the levels say."""
        found = weighted_quantiles(
            self._falls[:, None], self._fall_weights[:, None], np.asarray(levels, dtype=np.float64)
        )
        return np.asarray(np.maximum.accumulate(found[:, 0]), dtype=np.float64)

    def quantiles(
        self, user: IntArray, kind: IntArray, levels: Sequence[float], *, above: FloatArray | None = None
    ) -> FloatArray:
        """Quantiles per user, shape (len(user), len(levels)).

        Parameters
        ----------
        user, kind : ndarray of int
            Whom (-1 for a stranger), and the class of the day.
        above : ndarray, optional
            What the quantity is known to exceed, per user; NaN where nothing is known.
        """
        edges, wanted = self.shape.edges, self.levels(levels)
        out = np.empty((len(user), len(wanted)))
        for row, mass in enumerate(self.cdf(user, kind)):
            lowest = edges[0] if above is None or np.isnan(above[row]) else float(above[row])
            below = float(np.interp(lowest, edges, mass))
            if below > 1.0 - 1e-6:  # nobody stayed so long: as far as anybody knows it ends now
                out[row] = lowest
                continue
            rising = mass + np.arange(len(mass)) * 1e-12  # interp needs a rising line
            out[row] = np.maximum(np.interp(below + wanted * (1.0 - below), rising, edges), lowest)
        return out


def _fall(cdf: FloatArray, edges: FloatArray, values: FloatArray) -> FloatArray:
    """Where values fall in their spreads, 0..1."""
    return np.array([np.interp(value, edges, row) for value, row in zip(values, cdf, strict=True)])
