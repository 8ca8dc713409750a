"""Experts: medians, like days and ridges walk forward, and their weights follow their own errors."""

from __future__ import annotations

import numpy as np
import pytest

from energy.core.series import FloatArray
from forecasting.day_experts import RIDGE_FIRST, analogue, combine, median_of_similar, walk_ridge
from forecasting.days import BoolArray
from forecasting.load_day import prepare_load, view_of
from tests.unit.forecasting.small_panels import load_panel

NAN = float("nan")


def test_the_median_is_that_of_the_last_like_days_that_were_over() -> None:
    panel = load_panel(30)
    rest = panel.days.rest.astype(np.int64)
    found = median_of_similar(view_of(panel), rest, 3)
    # row 25 is a Friday, issued at noon of Thursday: Wednesday, Tuesday, Monday
    np.testing.assert_allclose(found[25], np.median(panel.actual[[21, 22, 23]], axis=0))
    assert np.isnan(found[0]).all()


def test_like_days_are_of_the_same_type_and_never_newer_than_the_issue() -> None:
    panel = load_panel(70)
    mean, median = analogue(view_of(panel))
    saturday, monday = 61, 63
    assert mean[saturday].max() < 50.0
    assert mean[monday, 12] > 80.0
    assert median[monday, 12] > 80.0
    later = load_panel(70)
    later.actual[62, 12:] = 1e6
    later.actual[63:] = 1e6
    again = analogue(view_of(later))
    np.testing.assert_allclose(again[0][63], mean[63], rtol=1e-9)
    np.testing.assert_allclose(again[1][63], median[63], rtol=1e-9)


def test_days_are_alike_whose_mornings_before_were_alike() -> None:
    panel = load_panel(80, forecast_weather={})
    high = np.random.default_rng(1).random(81) < 0.5
    panel.actual[:, :12] = 30.0 + 20.0 * high[1:, None]  # the morning tells of tomorrow
    panel.actual[:, 12:] = 30.0 + 20.0 * high[:80, None]
    mean, _ = analogue(view_of(panel))
    noon = mean[50:, 18]
    assert noon[high[50:80]].mean() > noon[~high[50:80]].mean() + 10.0


def lines(days: int, *, seed: int = 1) -> tuple[FloatArray, FloatArray]:
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(days, 6, 3))
    return features, 5.0 + features @ np.array([2.0, -1.0, 0.0]) + rng.normal(0.0, 0.1, (days, 6))


def test_a_ridge_finds_the_line_and_a_stiff_one_stays_nearer_the_mean() -> None:
    features, target = lines(80)
    loose, stiff = walk_ridge(features, target, 2, last=79, penalties=(1e-3, 1e4))
    assert np.abs(loose[40:] - target[40:]).mean() < 0.15
    assert np.abs(stiff[40:] - target[40:]).mean() > 1.0
    assert np.isnan(loose[:RIDGE_FIRST]).all()


@pytest.mark.parametrize("back", [1, 2, 9])
def test_a_ridge_learns_from_no_day_later_than_its_issue(back: int) -> None:
    features, target = lines(60)
    changed = 40
    clean = walk_ridge(features, target, back, last=59, penalties=(1.0,))[0]
    target[changed:] = 1e6
    dirty = walk_ridge(features, target, back, last=59, penalties=(1.0,))[0]
    np.testing.assert_array_equal(clean[: changed + back], dirty[: changed + back])
    assert np.abs(dirty[59] - clean[59]).min() > 1e3  # and it does learn from the days before it


def test_the_newest_day_learns_from_the_last_day_that_was_over_and_not_from_the_next() -> None:
    features, target = lines(60)
    known = walk_ridge(features, target, 2, last=59, penalties=(1.0,))[0]
    unknown = target.copy()
    unknown[58:] = NAN
    np.testing.assert_array_equal(walk_ridge(features, unknown, 2, last=59, penalties=(1.0,))[0], known)
    unknown[57] = 1e6
    assert (walk_ridge(features, unknown, 2, last=59, penalties=(1.0,))[0, 59] != known[59]).all()


def test_missing_targets_teach_nothing() -> None:
    features, target = lines(60)
    target[5:20:3] = NAN
    found = walk_ridge(features, target, 1, last=59, penalties=(1.0,))[0]
    assert not np.isnan(found[RIDGE_FIRST:]).any()
    assert np.nanmean(np.abs(found[40:] - target[40:])) < 0.3


def experts(days: int = 40) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Truth 100; the first expert is 1 off, the second 50."""
    truth = np.full((days, 8), 100.0)
    return truth, np.stack([truth + 1.0, truth + 50.0]), np.zeros(days, dtype=np.bool_)


def test_the_better_expert_speaks_and_the_other_keeps_its_small_equal_share() -> None:
    truth, said, rest = experts()
    found = combine(truth, said, rest, 1)
    assert found[0, 0] == pytest.approx(125.5)  # nothing known yet: equal
    # 15 % are shared equally: 0.85 + 0.075 to the better, 0.075 to the other
    assert found[39] == pytest.approx(100.0 + 0.925 * 1.0 + 0.075 * 50.0, abs=1e-3)


def test_weights_know_only_errors_of_days_that_were_over() -> None:
    truth, said, rest = experts()
    rng = np.random.default_rng(0)
    said = said + rng.normal(0.0, 10.0, said.shape)
    clean = combine(truth, said, rest, 3)
    truth[20:] = 1e6
    np.testing.assert_array_equal(clean[:23], combine(truth, said, rest, 3)[:23])
    truth[:] = NAN
    assert combine(truth, said, rest, 3)[30] == pytest.approx(said[:, 30].mean(axis=0))


def test_weights_differ_by_quarter_of_the_day_and_by_day_type() -> None:
    truth, said, rest = experts(60)
    said[:, :, 4:] = said[::-1, :, 4:]  # the other one is better in the afternoon
    afternoon = combine(truth, said, rest, 1)[59]
    assert afternoon[[0, 7]] == pytest.approx([104.675, 104.675], abs=1e-3)
    truth, said, _ = experts(60)
    rest = np.arange(60) % 2 == 0
    said[0, rest], said[1, rest] = 130.0, 110.0
    said[0, ~rest], said[1, ~rest] = 110.0, 130.0
    found = combine(truth, said, rest, 1)
    assert found[58, 0] < 113.0  # a day of rest: the second is the better one
    assert found[59, 0] < 113.0


def test_a_silent_expert_has_no_weight_and_without_any_there_is_no_forecast() -> None:
    truth, said, rest = experts()
    said[0, 30] = NAN
    said[:, 31] = NAN
    found = combine(truth, said, rest, 1)
    assert found[30] == pytest.approx(150.0)
    assert np.isnan(found[31]).all()


def test_both_forests_of_a_load_learn_the_same_truth() -> None:
    panel = load_panel(45).known_at_issue(44)
    made = prepare_load(panel)
    known = ~np.isnan(panel.actual)
    for target, offset in zip(made.targets, made.offsets, strict=True):
        np.testing.assert_allclose(((target + offset) * made.scale)[known][400:], panel.actual[known][400:])
    assert not any(np.isnan(features).any() for features in made.features)
    assert not np.isnan(made.base[made.first_row :]).any()
    day = made.base[44]
    assert day[12] > 80.0  # a Wednesday
    assert day[2] < 40.0
