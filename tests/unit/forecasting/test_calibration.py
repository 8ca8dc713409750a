"""The width of a band, day by day, from what it promised and what it held."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from forecasting.calibration import LIMIT, STEP, band_factor, widened

NAN = float("nan")


def log_factor(missed_of_ten: Sequence[int | None]) -> float:
    """Log of the factor after days with so many of ten slots far outside; None: a day without data."""
    shape = (len(missed_of_ten), 10)
    actual = np.full(shape, 50.0)
    for row, missed in enumerate(missed_of_ten):
        actual[row] = NAN if missed is None else actual[row]
        actual[row, : missed or 0] = 1e6
    low, middle, high = np.full(shape, 40.0), np.full(shape, 50.0), np.full(shape, 60.0)
    return math.log(band_factor(actual, low, middle, high))


@pytest.mark.parametrize(
    ("missed", "steps"),
    [
        ([], 0.0),
        ([2] * 20, 0.0),  # as many as promised
        ([0], -1.0),
        ([4], 1.0),
        ([10], 4.0),
        ([4, 0, 4, 0], 0.0),
        ([None, 4, None], 1.0),  # a day without data says nothing
        ([3] * 6, 3.0),
    ],
)
def test_a_day_with_more_misses_than_promised_widens_the_band_and_the_other_way_round(
    missed: list[int | None], steps: float
) -> None:
    assert log_factor(missed) == pytest.approx(STEP * steps, abs=1e-12)


def test_the_width_stays_between_half_and_twice() -> None:
    assert log_factor([10] * 50) == pytest.approx(LIMIT)
    assert log_factor([0] * 50) == pytest.approx(-LIMIT)
    assert log_factor([10] * 50 + [0]) == pytest.approx(LIMIT - STEP)  # it does not wind up


def test_a_band_made_too_narrow_finds_its_width_and_then_keeps_it() -> None:
    rng = np.random.default_rng(0)
    actual = rng.normal(0.0, 1.0, (200, 24))
    true = 1.2816  # P90 of the normal distribution
    said = np.full(actual.shape, true / 1.6)
    assert band_factor(actual, -said, 0.0 * said, said) == pytest.approx(1.6, rel=0.12)


def test_slots_without_a_forecast_are_not_counted() -> None:
    actual, middle = np.full((1, 10), 50.0), np.full((1, 10), 50.0)
    actual[0, :2] = 1e6
    middle[0, 4:] = NAN
    assert math.log(band_factor(actual, middle - 5.0, middle, middle + 5.0)) == pytest.approx(
        STEP * (0.5 / 0.2 - 1.0)
    )


def test_quantiles_move_away_from_the_median() -> None:
    found = widened(np.array([[8.0, 10.0, 14.0]]), np.array([10.0]), 1.5)
    assert found.tolist() == [[7.0, 10.0, 16.0]]
