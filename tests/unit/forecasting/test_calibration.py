"""The width of a band, day by day, from what it promised and what it held."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from forecasting.calibration import AIMED, LIMIT, STEP, band_factor, widened

NAN = float("nan")


def log_factor(missed_of_fifty: Sequence[int | None]) -> float:
    """Log of the factor after days with so many of fifty slots far outside; None: a day without data."""
    shape = (len(missed_of_fifty), 50)
    actual = np.full(shape, 50.0)
    for row, missed in enumerate(missed_of_fifty):
        actual[row] = NAN if missed is None else actual[row]
        actual[row, : missed or 0] = 1e6
    low, middle, high = np.full(shape, 40.0), np.full(shape, 50.0), np.full(shape, 60.0)
    return math.log(band_factor(actual, low, middle, high))


@pytest.mark.parametrize(
    ("missed", "steps"),
    [
        ([], 0.0),
        ([9] * 20, 0.0),  # as many as aimed at: 18 %
        ([0], -1.0),
        ([18], 1.0),
        ([45], 4.0),
        ([18, 0, 18, 0], 0.0),
        ([None, 18, None], 1.0),  # a day without data says nothing
        ([12] * 6, 2.0),
    ],
)
def test_a_day_with_more_misses_than_aimed_at_widens_the_band_and_the_other_way_round(
    missed: list[int | None], steps: float
) -> None:
    assert log_factor(missed) == pytest.approx(STEP * steps, abs=1e-12)


def test_the_width_stays_between_half_and_twice() -> None:
    assert log_factor([50] * 60) == pytest.approx(LIMIT)
    assert log_factor([0] * 60) == pytest.approx(-LIMIT)
    assert log_factor([50] * 60 + [0]) == pytest.approx(LIMIT - STEP)  # it does not wind up


def test_a_band_made_too_narrow_finds_the_width_that_is_aimed_at() -> None:
    rng = np.random.default_rng(0)
    actual = rng.normal(0.0, 1.0, (300, 24))
    edge = 1.3408  # of the normal distribution, missed by 9 % on each side
    said = np.full(actual.shape, edge / 1.6)
    assert band_factor(actual, -said, 0.0 * said, said) == pytest.approx(1.6, rel=0.12)


def test_slots_without_a_forecast_are_not_counted() -> None:
    actual, middle = np.full((1, 10), 50.0), np.full((1, 10), 50.0)
    actual[0, :2] = 1e6
    middle[0, 4:] = NAN
    assert math.log(band_factor(actual, middle - 5.0, middle, middle + 5.0)) == pytest.approx(
        STEP * (0.5 / AIMED - 1.0)
    )


def test_the_edges_of_the_band_move_by_the_factor_and_what_lies_within_by_less() -> None:
    found = widened(np.array([[8.0, 9.0, 10.0, 14.0]]), np.array([10.0]), 1.5, (0.1, 0.3, 0.5, 0.9))
    assert found[0, [0, 2, 3]] == pytest.approx([7.0, 10.0, 16.0])
    assert found[0, 1] == pytest.approx(10.0 - 1.5**0.25)


def test_levels_stay_in_order_when_the_band_is_halved() -> None:
    found = widened(np.array([[7.9, 8.0, 10.0]]), np.array([10.0]), 0.5, (0.1, 0.2, 0.5))
    assert found[0] == pytest.approx([8.95, 8.95, 10.0])
