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
from sklearn.tree import ExtraTreeRegressor

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
        Of a drawn day every so many slots: neighbours say nearly the same.
    """

    trees: int = 20
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

    tree: object
    key: IntArray
    value: FloatArray
    drawn: BoolArray  # by day: whether the tree was grown on it


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
        Each tree is grown on some of the days; then *all* rows are dropped through it and stay in its leaves
        as examples. A question names the day before which examples must lie (:meth:`quantiles`), so one
        forest can also be asked about days that it has seen.
        """
        x = np.ascontiguousarray(features, dtype=np.float32)
        random = np.random.default_rng(seed)
        days, first = np.unique(day, return_index=True)
        stop = np.r_[first[1:], day.size]
        age = days[-1] - days
        chance = 0.5 ** (age / options.half_life_days)
        chance += SEASON * np.exp(-0.5 * ((age - YEAR) / SEASON_DAYS) ** 2)
        chance /= chance.sum()
        span = int(days[-1]) + 1
        # each tree leaves days out, or none could be asked honestly about the past of a short history
        most = max(1, round(MOST_DRAWN * days.size))
        drawn_days = min(most, max(options.least_days, round(options.part * days.size)))
        grown = []
        for number in range(options.trees):
            chosen = np.sort(random.choice(days.size, drawn_days, replace=False, p=chance))
            rows = np.concatenate([np.arange(first[k], stop[k]) for k in chosen])
            if options.every > 1:
                rows = rows[number % options.every :: options.every]
            tree = ExtraTreeRegressor(
                min_samples_leaf=options.leaf, max_features=options.share, random_state=1000 * seed + number
            ).fit(x[rows], target[rows], check_input=False)
            key = tree.tree_.apply(x).astype(np.int64) * span + day
            order = np.argsort(key, kind="stable")
            drawn = np.zeros(span + 1, dtype=np.bool_)
            drawn[days[chosen]] = True
            grown.append(_Grown(tree.tree_, key[order], target[order], drawn))
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
            leaf = part.tree.apply(x).astype(np.int64) * self.span  # type: ignore[attr-defined]
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
