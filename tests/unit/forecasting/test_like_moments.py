"""Like moments of the past: what followed them is told as errors and as levels, and only if it was over."""

from __future__ import annotations

import numpy as np
import pytest

from energy.core.series import FloatArray
from forecasting.days import BoolArray
from forecasting.intraday import LEADS, Intraday
from forecasting.moments import Moments, running_mean

DAYS, SLOTS = 50, 48
NOW = 24


def on_or_off(days: int = DAYS, *, seed: int = 2) -> tuple[FloatArray, FloatArray, BoolArray]:
    """A machine that runs all day or not at all, by chance; the forecast says 60, give or take 45."""
    rng = np.random.default_rng(seed)
    runs = rng.random(days) < 0.5
    runs[-1] = True
    load = np.repeat(np.where(runs, 100.0, 20.0), SLOTS) + rng.normal(0.0, 1.0, days * SLOTS)
    middle = np.full(load.size, 60.0)
    return load, np.stack([middle - 45.0, middle, middle + 45.0]), np.zeros(load.size, dtype=np.bool_)


def remember(load: FloatArray, bands: FloatArray, rest: BoolArray) -> Moments:
    return Moments.remember(load, bands, rest, slots=SLOTS, leads=LEADS)


def asked(moments: Moments, load: FloatArray, bands: FloatArray, at: int) -> FloatArray:
    """What may follow one position of the same axis."""
    one = np.array([at])
    vectors = moments.describe(load, bands, one)
    middle = bands[1][one[:, None] + np.arange(LEADS)]
    return moments.sequels(one, vectors, np.zeros(1, dtype=np.bool_), middle)[0]


def test_a_machine_that_runs_is_followed_by_one_that_runs() -> None:
    load, bands, rest = on_or_off()
    at = (DAYS - 1) * SLOTS + NOW
    moments = remember(load, bands, rest)
    found = asked(moments, load, bands, at)
    assert found.shape == (2 * moments.nearest, LEADS)
    np.testing.assert_allclose(np.median(found, axis=0), 40.0, atol=3.0)


def test_levels_stay_right_where_the_forecast_has_moved() -> None:
    load, bands, rest = on_or_off()
    moved = bands.copy()
    moved[:, (DAYS - 1) * SLOTS :] += 20.0  # today's forecast is another one than those of the past
    moments = remember(load, bands, rest)
    found = asked(moments, load, moved, (DAYS - 1) * SLOTS + NOW)
    np.testing.assert_allclose(np.median(found[moments.nearest :], axis=0), 20.0, atol=3.0)


def test_only_sequels_that_were_over_are_told() -> None:
    load, bands, rest = on_or_off()
    at = 40 * SLOTS + NOW
    moments = remember(load, bands, rest)
    before = asked(moments, load, bands, at)
    later = moments.at[:, None] + np.arange(LEADS) >= at
    assert later.any()
    for told in (moments.errors, moments.levels):
        told[later] = 1e6
    np.testing.assert_array_equal(asked(moments, load, bands, at), before)


def test_without_enough_like_moments_nothing_is_told() -> None:
    load, bands, rest = on_or_off(4)
    assert np.isnan(asked(remember(load, bands, rest), load, bands, SLOTS + 4)).all()


def test_a_moment_with_an_unknown_sequel_is_no_example() -> None:
    load, bands, rest = on_or_off()
    load[10 * SLOTS : 11 * SLOTS] = np.nan
    moments = remember(load, bands, rest)
    assert not np.isin(np.arange(10 * SLOTS, 10 * SLOTS + SLOTS - LEADS), moments.at).any()
    assert np.isfinite(moments.vectors).all()
    assert np.isfinite(moments.errors).all()


def test_the_mean_of_a_stretch_leaves_gaps_out_and_knows_when_there_is_nothing() -> None:
    values = np.array([1.0, np.nan, 3.0, np.nan])
    first, stop = np.array([0, 1, 3, -5, 2]), np.array([3, 2, 4, 1, 2])
    np.testing.assert_array_equal(running_mean(values, first, stop), [2.0, np.nan, np.nan, 1.0, np.nan])


@pytest.mark.parametrize(("runs", "level"), [(True, 100.0), (False, 20.0)])
def test_the_next_hours_follow_the_machine_and_not_the_middle(runs: bool, level: float) -> None:
    load, bands, rest = on_or_off()
    learned = Intraday.learn(
        load.reshape(DAYS, SLOTS), bands.reshape(3, DAYS, SLOTS), rest.reshape(DAYS, SLOTS)[:, 0]
    )
    assert learned is not None
    today = np.full(SLOTS, level)
    recent = np.concatenate([np.full(SLOTS - NOW, 100.0), today[:NOW]])
    base = np.tile(bands[:, :SLOTS], (1, 3))
    found = learned.errors_kw(recent, base, np.zeros(3, dtype=np.bool_), NOW, (0.1, 0.5, 0.9))
    np.testing.assert_allclose(found[1, :12], level - 60.0, atol=8.0)
    assert (found[2] - found[0])[:12].mean() < 30.0  # the forecast's own band is 90 wide
