"""Whether temperature helps is asked of the past, and a load that does not follow it says no."""

from __future__ import annotations

import numpy as np
import pytest

from energy.core.series import FloatArray
from forecasting.days import BoolArray
from forecasting.load_weather import LEAST_GAIN, temperature_gain

DAYS = 200


def days(slope: float, *, seed: int = 3, count: int = DAYS) -> tuple[FloatArray, FloatArray, BoolArray]:
    """Daily means of a load that rises by ``slope`` kW with each degree above 22, and of the temperature."""
    rng = np.random.default_rng(seed)
    outdoor = 24.0 + 6.0 * np.sin(np.arange(count) / 9.0) + rng.normal(0.0, 2.0, count)
    rest = np.arange(count) % 7 >= 5
    load = np.where(rest, 40.0, 100.0) + rng.normal(0.0, 4.0, count)
    return load + slope * np.maximum(outdoor - 22.0, 0.0), outdoor, rest


@pytest.mark.parametrize("slope", [3.0, -3.0])
def test_a_load_that_follows_the_temperature_gains_much(slope: float) -> None:
    found = temperature_gain(*days(slope))
    assert found is not None
    assert 0.3 < found <= 1.0


@pytest.mark.parametrize("seed", range(6))
def test_a_load_that_does_not_follow_it_gains_less_than_is_asked_for(seed: int) -> None:
    found = temperature_gain(*days(0.0, seed=seed))
    assert found is not None
    assert found < LEAST_GAIN


def test_the_unit_of_the_load_does_not_matter() -> None:
    load, outdoor, rest = days(3.0)
    assert temperature_gain(1024.0 * load, outdoor, rest) == temperature_gain(load, outdoor, rest)


def test_gaps_are_left_out() -> None:
    load, outdoor, rest = days(3.0)
    load[50:60], outdoor[120:123] = np.nan, np.nan
    found = temperature_gain(load, outdoor, rest)
    assert found is not None
    assert found > 0.3


@pytest.mark.parametrize("count", [0, 1, 40, 80])
def test_too_few_days_say_nothing(count: int) -> None:
    assert temperature_gain(*days(3.0, count=count)) is None


def test_unknown_temperatures_say_nothing() -> None:
    load, outdoor, rest = days(3.0)
    assert temperature_gain(load, np.full_like(outdoor, np.nan), rest) is None
