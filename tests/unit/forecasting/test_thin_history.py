"""Forecasts from a few days: like days as they were, and a band as wide as ignorance."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.thin import small_sample_factor, thin_quantiles
from tests.unit.forecasting.small_panels import load_panel

LEVELS = (0.1, 0.5, 0.9)
PANEL = load_panel(22, forecast_weather={})
REST = PANEL.days.rest


def test_few_days_widen_the_band_as_students_t_does() -> None:
    assert small_sample_factor(1) == pytest.approx(3.078 / 1.282)
    assert small_sample_factor(10) == pytest.approx(1.372 / 1.282)
    assert small_sample_factor(0) == small_sample_factor(1)
    factors = [small_sample_factor(days) for days in (1, 2, 3, 5, 9, 12, 40, 500)]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == pytest.approx(1.0, abs=0.01)


def test_by_type_a_day_of_rest_is_like_days_of_rest() -> None:
    saturday = thin_quantiles(PANEL.actual[:19], REST, 19, LEVELS, by_type=True)
    friday = thin_quantiles(PANEL.actual[:18], REST, 18, LEVELS, by_type=True)
    assert saturday[1].max() < 50.0
    assert friday[1, 12] > 90.0
    plain = thin_quantiles(PANEL.actual[:19], REST, 19, LEVELS, by_type=False)
    assert plain[1, 12] > 90.0  # all days alike: most of them work


def test_without_a_like_day_all_days_count() -> None:
    found = thin_quantiles(PANEL.actual[:5], REST, 5, LEVELS, by_type=True)  # the first Saturday
    np.testing.assert_array_equal(found, thin_quantiles(PANEL.actual[:5], REST, 5, LEVELS, by_type=False))


def test_the_band_of_two_days_is_wider_than_that_of_ten() -> None:
    width = [
        np.ptp(
            thin_quantiles(PANEL.actual[first:14], REST, 14 - first, LEVELS, by_type=False)[[0, 2]], axis=0
        )
        for first in (12, 0)
    ]
    rng = np.random.default_rng(0)
    noise = np.maximum(50.0 + rng.normal(0.0, 5.0, (20, 24)), 0.0)
    rest = np.zeros(21, dtype=np.bool_)
    two = thin_quantiles(noise[18:], rest, 2, LEVELS, by_type=False)
    twenty = thin_quantiles(noise, rest, 20, LEVELS, by_type=False)
    assert (two[2] - two[0]).mean() > (twenty[2] - twenty[0]).mean()
    assert all((one >= 0.0).all() for one in width)


def test_days_with_many_gaps_are_left_out_and_short_gaps_do_not_matter() -> None:
    load = PANEL.actual[:10].copy()
    load[9, :20] = np.nan
    load[9, 20:] = 1e6
    load[8, 3] = np.nan
    found = thin_quantiles(load, REST, 10, LEVELS, by_type=True)
    assert np.isfinite(found).all()
    assert found.max() < 1e3


def test_what_comes_from_the_day_on_changes_nothing_and_quantiles_are_in_order() -> None:
    load = PANEL.actual.copy()
    clean = thin_quantiles(load, REST, 10, LEVELS, by_type=True)
    load[10:] = 1e9
    np.testing.assert_array_equal(clean, thin_quantiles(load, REST, 10, LEVELS, by_type=True))
    assert (np.diff(clean, axis=0) >= 0.0).all()
    assert (clean >= 0.0).all()
