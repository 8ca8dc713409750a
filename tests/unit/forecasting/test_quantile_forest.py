"""Quantile forests: the past that fell into the same leaves, older than asked, seen by no growing tree."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from energy.core.series import FloatArray
from forecasting.days import IntArray
from forecasting.forest import MOST_DRAWN, ForestOptions, QuantileForest, _Grown

LEVELS = (0.1, 0.5, 0.9)
SPAN = 100


@dataclass(frozen=True)
class ByFirstFeature:
    """A tree whose leaf is the first feature."""

    def apply(self, x: FloatArray) -> IntArray:
        return np.asarray(x[:, 0], dtype=np.int64)


def grown(examples: list[tuple[int, int, float]], drawn: tuple[int, ...] = ()) -> _Grown:
    """A tree from (leaf, day, value)."""
    ordered = sorted(examples)
    seen = np.zeros(SPAN + 1, dtype=np.bool_)
    seen[list(drawn)] = True
    key = np.array([leaf * SPAN + day for leaf, day, _ in ordered])
    return _Grown(ByFirstFeature(), key, np.array([value for *_, value in ordered]), seen)


def ask(forest: QuantileForest, leaf: int, day: int, before: int) -> list[float]:
    found = forest.quantiles(np.array([[float(leaf)]]), np.array([day]), np.array([before]), LEVELS)
    return [round(float(value), 9) for value in found[0]]


LEAVES = grown([(0, day, float(day)) for day in range(10)] + [(1, 5, 50.0), (1, 6, 60.0), (3, 2, 7.0)])


@pytest.mark.parametrize(
    ("leaf", "before", "newest", "expected"),
    [
        (0, 10, 20, [0.5, 4.5, 8.5]),  # all ten of 0..9
        (0, 10, 4, [6.0, 7.5, 9.0]),  # the newest four: 6, 7, 8, 9
        (0, 6, 4, [2.0, 3.5, 5.0]),  # the newest four before day 6
        (0, 1, 4, [0.0, 0.0, 0.0]),  # one example only
        (1, 9, 4, [50.0, 55.0, 60.0]),
        (1, 6, 4, [50.0, 50.0, 50.0]),
        (3, 90, 4, [7.0, 7.0, 7.0]),
    ],
)
def test_answer_is_the_newest_older_examples_of_the_leaf(
    leaf: int, before: int, newest: int, expected: list[float]
) -> None:
    assert ask(QuantileForest((LEAVES,), SPAN, newest), leaf, 95, before) == expected


@pytest.mark.parametrize(("leaf", "before"), [(0, 0), (1, 5), (2, 90), (3, 2)])
def test_without_an_older_example_there_is_no_answer(leaf: int, before: int) -> None:
    forest = QuantileForest((LEAVES,), SPAN, 4)
    found = forest.quantiles(np.array([[float(leaf)]]), np.array([95]), np.array([before]), LEVELS)
    assert np.isnan(found).all()


def test_a_tree_is_silent_about_days_that_it_was_grown_on() -> None:
    low = grown([(0, 1, 1.0), (0, 2, 1.0)], drawn=(20,))
    high = grown([(0, 1, 9.0), (0, 2, 9.0)], drawn=(21,))
    forest = QuantileForest((low, high), SPAN, 4)
    assert ask(forest, 0, 20, 20) == [9.0, 9.0, 9.0]
    assert ask(forest, 0, 21, 20) == [1.0, 1.0, 1.0]
    assert ask(forest, 0, 22, 20) == [1.0, 5.0, 9.0]
    both = QuantileForest((low, grown([(0, 1, 9.0)], drawn=(20,))), SPAN, 4)
    assert np.isnan(ask(both, 0, 20, 20)).all()


def rows(days: int = 60, slots: int = 6, *, seed: int = 0) -> tuple[FloatArray, FloatArray, IntArray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(days * slots, 4))
    day = np.repeat(np.arange(days, dtype=np.int64), slots)
    y = 3.0 * (x[:, 0] > 0.0) + rng.normal(0.0, 0.2, x.shape[0])
    return x, np.asarray(y, dtype=np.float64), day


def test_leaves_are_those_of_scikit_learn() -> None:
    x, y, day = rows()
    options = ForestOptions(trees=1, part=0.5, least_days=10, leaf=5, share=1.0, newest=1000)
    forest = QuantileForest.grow(x, y, day, options=options, seed=1)
    (tree,) = forest.grown
    leaf = tree.tree.apply(x.astype(np.float32))  # type: ignore[attr-defined]
    asked = np.flatnonzero(~tree.drawn[day] & (day > 40))
    found = forest.quantiles(x[asked], day[asked], day[asked] - 1, LEVELS)
    for row, quantiles in zip(asked, found, strict=True):
        older = y[(leaf == leaf[row]) & (day < day[row] - 1)]
        assert quantiles == pytest.approx(np.quantile(older, LEVELS, method="hazen"))


def test_the_same_seed_grows_the_same_forest_and_another_does_not() -> None:
    x, y, day = rows()
    options = ForestOptions(trees=4, least_days=10)
    new = np.full(len(x), 60)
    first, again, other = (
        QuantileForest.grow(x, y, day, options=options, seed=seed).quantiles(x, new, new, LEVELS)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_the_forest_sees_what_splits_the_truth_and_how_far_it_spreads() -> None:
    x, y, day = rows(200)
    forest = QuantileForest.grow(x, y, day, options=ForestOptions(share=1.0), seed=1)
    fresh, truth, _ = rows(200, seed=9)
    new = np.full(len(fresh), 200)
    low, middle, high = forest.quantiles(fresh, new, new, LEVELS).T
    assert np.abs(middle - truth).mean() < 0.35
    assert ((low <= truth) & (truth <= high)).mean() > 0.7
    assert (high - low).mean() < 1.5


@pytest.mark.parametrize("days", [3, 10, 45])
def test_of_a_short_history_too_each_tree_leaves_days_out(days: int) -> None:
    x, y, day = rows(days)
    forest = QuantileForest.grow(x, y, day, options=ForestOptions(), seed=1)
    for tree in forest.grown:
        assert 1 <= tree.drawn.sum() <= max(1, round(MOST_DRAWN * days))
    answered = ~np.isnan(forest.quantiles(x, day, day, LEVELS)[:, 1])
    assert answered[day > days // 2].mean() > 0.8


def test_newer_days_are_drawn_more_often() -> None:
    x, y, day = rows(200, 1)
    options = ForestOptions(trees=60, part=0.2, half_life_days=50.0)
    forest = QuantileForest.grow(x, y, day, options=options, seed=1)
    drawn = np.mean([tree.drawn[:200] for tree in forest.grown], axis=0)
    assert drawn[150:].mean() > 3.0 * drawn[:50].mean()


def test_trees_of_every_other_row_share_the_rows_between_them() -> None:
    x, y, day = rows(80)
    forest = QuantileForest.grow(x, y, day, options=ForestOptions(share=1.0, every=2), seed=1)
    first, second = forest.grown[:2]
    assert sorted([*first.value, *second.value]) == sorted(y)
    middle = forest.quantiles(x, day + 80, day + 80, (0.5,))[:, 0]
    assert np.abs(middle - y).mean() < 0.5
