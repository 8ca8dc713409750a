"""The band of the experts' own errors: like days, like levels, lately, and none that was not yet known."""

from __future__ import annotations

import numpy as np
import pytest

from energy.core.series import FloatArray
from forecasting.days import BoolArray
from forecasting.residuals import Residuals

LEVELS = (0.1, 0.5, 0.9)


def world(days: int = 60) -> tuple[FloatArray, FloatArray, BoolArray]:
    """100 on working days with errors of some 10, 20 on days of rest with errors of some 1."""
    rest = np.arange(days) % 7 >= 5
    base = np.repeat(np.where(rest, 20.0, 100.0)[:, None], 6, axis=1)
    error = np.random.default_rng(0).normal(0.0, 1.0, base.shape) * np.where(rest, 1.0, 10.0)[:, None]
    return base, base + error, rest


def quantiles(base: FloatArray, actual: FloatArray, rest: BoolArray, row: int, back: int) -> FloatArray:
    """P10, P50 and P90 of one day, shape (slots, 3), of experts that always disagree alike."""
    one = Residuals(base=base, spread=np.ones_like(base), actual=actual, rest=rest)
    return np.asarray(one.quantiles(np.array([row]), back, LEVELS)[0])


def test_the_band_is_that_of_like_days_at_like_levels() -> None:
    base, actual, rest = world()
    work = quantiles(base, actual, rest, 59, 2)  # a Thursday
    free = quantiles(base, actual, rest, 55, 2)  # a Sunday
    assert work.shape == (6, 3)
    assert (work[:, 2] - work[:, 0]).mean() == pytest.approx(2 * 1.28 * 10.0, rel=0.25)
    assert (free[:, 2] - free[:, 0]).mean() == pytest.approx(2 * 1.28, rel=0.5)
    assert work[:, 1] == pytest.approx(np.full(6, 100.0), abs=5.0)


def test_an_error_that_the_experts_always_make_moves_the_median() -> None:
    base, actual, rest = world()
    found = quantiles(base, actual + 30.0, rest, 59, 2)
    assert found[:, 1] == pytest.approx(np.full(6, 130.0), abs=5.0)


def test_errors_of_days_that_were_not_over_are_not_looked_at() -> None:
    base, actual, rest = world()
    clean = quantiles(base, actual, rest, 50, 3)
    actual[48:] = 1e6
    np.testing.assert_array_equal(clean, quantiles(base, actual, rest, 50, 3))
    actual[47] = 1e6
    assert (quantiles(base, actual, rest, 50, 3) != clean).any()


def test_newer_errors_weigh_more() -> None:
    base, actual, rest = world(120)
    actual[60:] = base[60:] + 40.0
    found = quantiles(base, actual, rest, 119, 1)
    assert found[:, 1] == pytest.approx(base[119] + 40.0)


def test_errors_made_when_the_experts_disagreed_as_much_count_more() -> None:
    base, actual, rest = world(70)
    calm = np.arange(70) % 2 == 0
    spread = np.repeat(np.where(calm, 0.01, 0.1)[:, None], 6, axis=1)
    actual = base + np.where(calm, 1.0, 9.0)[:, None]
    found = Residuals(base=base, spread=spread, actual=actual, rest=rest)
    for row in (68, 69):
        expected = base[row] + (1.0 if calm[row] else 9.0)
        assert found.quantiles(np.array([row]), 1, (0.5,))[0, :, 0] == pytest.approx(expected)


def test_this_season_a_year_ago_is_heard_beside_the_last_weeks() -> None:
    base, actual, rest = world(420)
    base[:] = 100.0
    actual = base + np.zeros_like(base)
    actual[419 - 364 - 10 : 419 - 364 + 10] = 160.0
    actual[200:260] = 500.0  # no season of this day and no last weeks
    high = quantiles(base, actual, rest, 419, 1)[:, 2]
    assert high == pytest.approx(np.full(6, 160.0))


def test_every_second_slot_says_what_the_whole_day_says_of_it() -> None:
    base, actual, rest = world()
    one = Residuals(base=base, spread=np.ones_like(base), actual=actual, rest=rest)
    rows = np.array([50, 51])
    np.testing.assert_array_equal(
        one.quantiles(rows, 2, LEVELS)[:, ::2], one.quantiles(rows, 2, LEVELS, every=2)
    )


def test_without_a_past_there_is_no_answer() -> None:
    base, actual, rest = world()
    base[:50] = np.nan
    assert np.isnan(quantiles(base, actual, rest, 50, 1)).all()
