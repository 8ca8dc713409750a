"""The band of the experts' own errors: like days, like levels, lately, and none that was not yet known."""

from __future__ import annotations

import numpy as np
import pytest

from energy.core.series import FloatArray
from forecasting.dayahead import EXPERTS_SHARE, learn
from forecasting.days import BoolArray
from forecasting.residuals import residual_quantiles
from tests.unit.forecasting.small_panels import load_panel

LEVELS = (0.1, 0.5, 0.9)


def world(days: int = 60) -> tuple[FloatArray, FloatArray, BoolArray]:
    """100 on working days with errors of some 10, 20 on days of rest with errors of some 1."""
    rest = np.arange(days) % 7 >= 5
    base = np.repeat(np.where(rest, 20.0, 100.0)[:, None], 6, axis=1)
    error = np.random.default_rng(0).normal(0.0, 1.0, base.shape) * np.where(rest, 1.0, 10.0)[:, None]
    return base, base + error, rest


def test_the_band_is_that_of_like_days_at_like_levels() -> None:
    base, actual, rest = world()
    work = residual_quantiles(base, actual, rest, 59, 2, levels=LEVELS)  # a Thursday
    free = residual_quantiles(base, actual, rest, 55, 2, levels=LEVELS)  # a Sunday
    assert work.shape == (6, 3)
    assert (work[:, 2] - work[:, 0]).mean() == pytest.approx(2 * 1.28 * 10.0, rel=0.25)
    assert (free[:, 2] - free[:, 0]).mean() == pytest.approx(2 * 1.28, rel=0.5)
    assert work[:, 1] == pytest.approx(np.full(6, 100.0), abs=5.0)


def test_an_error_that_the_experts_always_make_moves_the_median() -> None:
    base, actual, rest = world()
    found = residual_quantiles(base, actual + 30.0, rest, 59, 2, levels=LEVELS)
    assert found[:, 1] == pytest.approx(np.full(6, 130.0), abs=5.0)


def test_errors_of_days_that_were_not_over_are_not_looked_at() -> None:
    base, actual, rest = world()
    clean = residual_quantiles(base, actual, rest, 50, 3, levels=LEVELS)
    actual[48:] = 1e6
    np.testing.assert_array_equal(clean, residual_quantiles(base, actual, rest, 50, 3, levels=LEVELS))
    actual[47] = 1e6
    assert (residual_quantiles(base, actual, rest, 50, 3, levels=LEVELS) != clean).any()


def test_newer_errors_weigh_more() -> None:
    base, actual, rest = world(120)
    actual[60:] = base[60:] + 40.0
    found = residual_quantiles(base, actual, rest, 119, 1, levels=(0.5,))
    assert found[:, 0] == pytest.approx(base[119] + 40.0)


def test_the_experts_have_the_weight_that_they_earn() -> None:
    share = learn(load_panel(60), 58).experts_share
    assert EXPERTS_SHARE[0] <= share <= EXPERTS_SHARE[1]
    smooth = load_panel(60, forecast_weather={})
    smooth.actual[:] = 100.0 + 3.0 * np.arange(60)[:, None] + np.random.default_rng(0).normal(0, 1, (60, 24))
    assert learn(smooth, 58).experts_share == EXPERTS_SHARE[1]  # a trend, which leaves of the past lag
