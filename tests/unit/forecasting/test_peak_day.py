"""The highest value of a day has a forecast of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from forecasting.dayahead import learn
from tests.unit.forecasting.small_panels import CAPACITY, LEVELS, load_panel, pv_panel


def test_a_spike_that_may_come_in_any_hour_lifts_the_peak_and_not_the_median_of_a_slot() -> None:
    panel = load_panel(70)
    rng = np.random.default_rng(4)
    panel.actual[np.arange(70), rng.integers(9, 17, 70)] += 60.0 * ~panel.days.rest
    model = learn(panel, 65)  # a Wednesday
    low, middle, high = model.peak(LEVELS)
    assert low <= middle <= high
    assert middle > model.quantiles((0.5,))[0].max() + 20.0
    assert abs(middle - panel.actual[65].max()) < 30.0


def test_the_peak_knows_nothing_of_its_day_and_repeats_itself() -> None:
    panel = load_panel(50)
    clean = learn(panel, 48).peak(LEVELS)
    panel.actual[47, 12:] = 1e6
    panel.actual[48:] = 1e6
    np.testing.assert_array_equal(clean, learn(panel, 48).peak(LEVELS))


def test_the_peak_of_a_plant_is_no_higher_than_its_nameplate() -> None:
    panel = pv_panel(50)
    panel = replace(panel, actual=np.minimum(3.0 * panel.actual, CAPACITY))
    found = learn(panel, 49).peak((0.5, 0.99))
    assert found.max() <= CAPACITY
    assert found.min() > 0.0
