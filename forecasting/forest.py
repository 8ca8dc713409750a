"""Quantile regression forest of extremely randomised trees on days and slots.

A forest answers with the past itself: the slots that fell into the same leaves as the one to be forecast.
Their values are the forecast distribution, all quantiles at once, with several modes if the past had several
(a factory that may or may not work on Saturday).

References
----------
.. [1] Meinshausen, N. (2006). "Quantile regression forests". J. of Machine Learning Research 7, 983-999.
.. [2] Geurts, P.; Ernst, D.; Wehenkel, L. (2006). "Extremely randomized trees". Machine Learning 63, 3-42.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.tree import ExtraTreeRegressor
from sklearn.tree._tree import Tree

from energy.core.series import FloatArray
from forecasting.days import BoolArray, IntArray

__all__ = ["ForestOptions", "QuantileForest"]

MOST_DRAWN = 0.8  # of the days, for one tree
YEAR, SEASON_DAYS = 364, 30.0  # a day of this season a year ago is drawn more often ...
SEASON = 0.5  # ... by so much, with the newest day at 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestOptions:
    """How a forest is grown.

    Parameters
    ----------
    trees : int
        Number of trees.
    part : float
        Share of the days that is drawn for each tree: whole days, so that a tree has not seen half of a day
        it is asked about.
    least_days : int
        Days drawn at least.
    leaf : int
        Least number of rows in a leaf while growing.
    share : float
        Share of the features tried at a split.
    newest : int
        Values taken from a leaf: the newest ones, so that the forest follows the season.
    half_life_days : float
        A day this old is drawn half as often as the newest; the season a year ago is drawn more often.
    every : int
        One tree sees every so many slots of a day, the next tree those between: neighbours say nearly the
        same.
    """

    trees: int = 16
    part: float = 0.2
    least_days: int = 30
    leaf: int = 4
    share: float = 0.25
    newest: int = 24
    half_life_days: float = 150.0
    every: int = 1


@dataclass(frozen=True, slots=True)
class _Grown:
    """A tree and its leaves' contents, ordered by leaf and day."""

    tree: Tree
    key: IntArray
    value: FloatArray
    drawn: BoolArray  # by day: whether the tree was grown on it


@dataclass(frozen=True, slots=True)
class _Part:
    """Every so many rows: what one tree is grown on and keeps as examples."""

    x: NDArray[np.float32]
    y: FloatArray
    day: IntArray

    @classmethod
    def of(cls, features: FloatArray, target: FloatArray, day: IntArray, phase: int, every: int) -> _Part:
        x = np.ascontiguousarray(features[phase::every], dtype=np.float32)
        return cls(x, target[phase::every], day[phase::every])

    def dropped(self, tree: Tree, span: int, drawn: BoolArray) -> _Grown:
        """All rows dropped through a tree, ordered by leaf and day."""
        leaf = tree.apply(self.x)
        # small whole numbers are sorted by radix, in linear time; rows come by day already
        order = np.argsort(leaf.astype(np.uint16 if tree.node_count < 2**16 else np.int64), kind="stable")
        return _Grown(tree, (leaf * span + self.day)[order], self.y[order], drawn)


@dataclass(frozen=True, slots=True)
class QuantileForest:
    """Grown trees; made by :meth:`grow`."""

    grown: tuple[_Grown, ...]
    span: int
    newest: int

    @classmethod
    def grow(
        cls, features: FloatArray, target: FloatArray, day: IntArray, *, options: ForestOptions, seed: int
    ) -> QuantileForest:
        """Grow trees on rows.

        Parameters
        ----------
        features : ndarray, shape (n, p)
            Without NaN.
        target : ndarray, shape (n,)
            Without NaN. [any]
        day : ndarray of int, shape (n,)
            Day of each row, ascending.
        seed : int
            The same seed gives the same forest.

        Notes
        -----
        Each tree is grown on some of the days; then the rows of *all* days are dropped through it and stay in
        its leaves as examples. A question names the day before which examples must lie (:meth:`quantiles`),
        so one forest can also be asked about days that it has seen.
        """
        random = np.random.default_rng(seed)
        splits = np.random.RandomState(seed)  # what scikit-learn takes; seeded once, not per tree
        days = np.unique(day)
        age = days[-1] - days
        chance = 0.5 ** (age / options.half_life_days)
        chance += SEASON * np.exp(-0.5 * ((age - YEAR) / SEASON_DAYS) ** 2)
        chance /= chance.sum()
        span = int(days[-1]) + 1
        # each tree leaves days out, or none could be asked honestly about the past of a short history
        most = max(1, round(MOST_DRAWN * days.size))
        drawn_days = min(most, max(options.least_days, round(options.part * days.size)))
        parts = [_Part.of(features, target, day, phase, options.every) for phase in range(options.every)]
        grown = []
        for number in range(options.trees):
            drawn = np.zeros(span + 1, dtype=np.bool_)
            drawn[random.choice(days, drawn_days, replace=False, p=chance)] = True
            part = parts[number % options.every]
            rows = drawn[part.day]
            with config_context(skip_parameter_validation=True):  # of options that are ours
                tree = ExtraTreeRegressor(
                    min_samples_leaf=options.leaf, max_features=options.share, random_state=splits
                ).fit(part.x[rows], part.y[rows], check_input=False)
            grown.append(part.dropped(tree.tree_, span, drawn))
        return cls(tuple(grown), span, options.newest)

    def quantiles(
        self, features: FloatArray, day: IntArray, before: IntArray, levels: tuple[float, ...]
    ) -> FloatArray:
        """Quantiles for rows of some days, shape (n, n_levels), from older examples. [as the target]

        Parameters
        ----------
        day : ndarray of int, shape (n,)
            Day of each row. Trees that were grown on it stay silent about it.
        before : ndarray of int, shape (n,)
            Examples must be of days before this one.

        Returns
        -------
        ndarray
            NaN where no leaf of such a tree holds an older example.
        """
        x = np.ascontiguousarray(features, dtype=np.float32)
        limit, asked = np.minimum(before, self.span), np.minimum(day, self.span)
        found, known = [], []
        for part in self.grown:
            leaf = part.tree.apply(x).astype(np.int64) * self.span
            stop = np.searchsorted(part.key, leaf + limit, "left")
            start = np.searchsorted(part.key, leaf, "left")
            at = stop[:, None] - 1 - np.arange(self.newest)
            known.append((at >= start[:, None]) & ~part.drawn[asked][:, None])
            found.append(part.value[np.maximum(at, 0)])
        mask = np.concatenate(known, axis=1)
        ordered = np.sort(np.where(mask, np.concatenate(found, axis=1), np.inf), axis=1)
        return _at_levels(ordered, mask.sum(axis=1), levels)


def _at_levels(ordered: FloatArray, count: IntArray, levels: tuple[float, ...]) -> FloatArray:
    """Quantiles of the first ``count`` values of each ordered row, by linear interpolation of midpoints."""
    out = np.empty((len(ordered), len(levels)))
    ordered = np.where(count[:, None] > 0, ordered, 0.0)  # rows without an example are blanked below
    rows, top = np.arange(len(ordered)), np.maximum(count - 1, 0)
    for k, level in enumerate(levels):
        at = np.clip(level * count - 0.5, 0.0, top)
        low = at.astype(np.int64)
        share = at - low
        lower, upper = ordered[rows, low], ordered[rows, np.minimum(low + 1, top)]
        out[:, k] = lower + share * (upper - lower)
    out[count == 0] = np.nan
    return out
