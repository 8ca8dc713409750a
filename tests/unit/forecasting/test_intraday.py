"""The next hours: an error that lasts is learned and carried on, one that does not is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from energy.core.series import FloatArray
from forecasting.days import BoolArray
from forecasting.intraday import LEADS, OPTIONS, Intraday

DAYS, SLOTS = 40, 48
LEVELS = (0.1, 0.5, 0.9)
NOW = 22  # 11:00


def history(errors: FloatArray) -> tuple[FloatArray, FloatArray, BoolArray]:
    """A base forecast of 100 by day and 20 at night, and what happened: the base and an error by day."""
    slot = np.arange(SLOTS)
    day = (slot >= 14) & (slot < 38)
    base = np.tile(np.where(day, 100.0, 20.0), (len(errors), 1))
    spread = np.where(day, 15.0, 2.0)
    rng = np.random.default_rng(5)
    actual = base + np.where(day, errors, 0.0) + rng.normal(0.0, 1.0, base.shape)
    return actual, np.stack([base - spread, base, base + spread]), np.zeros(len(errors), dtype=np.bool_)


def lasting(days: int = DAYS) -> FloatArray:
    """One error per day."""
    rng = np.random.default_rng(1)
    return np.repeat(rng.normal(0.0, 12.0, (days, 1)), SLOTS, axis=1)


def fleeting() -> FloatArray:
    """Another error in each slot."""
    return np.random.default_rng(1).normal(0.0, 12.0, (DAYS, SLOTS))


def errors_after(learned: Intraday, shift: float, slot: int = NOW) -> FloatArray:
    """Quantiles of the next errors on a day that has run ``shift`` off its forecast since 07:00."""
    _, base, rest = history(np.zeros((3, SLOTS)))
    flat = base.reshape(3, -1)
    load = flat[1].copy()
    load[SLOTS + 14 : SLOTS + slot] += shift
    return learned.errors_kw(load[slot : slot + SLOTS], flat, rest, slot, LEVELS)


def learned(errors: FloatArray) -> Intraday:
    found = Intraday.learn(*history(errors))
    assert found is not None
    return found


@pytest.mark.parametrize("shift", [-15.0, 15.0])
def test_an_error_that_lasts_all_day_is_carried_on(shift: float) -> None:
    found = errors_after(learned(lasting()), shift)
    assert found.shape == (3, LEADS)
    assert found[1, :12].mean() == pytest.approx(shift, abs=6.0)
    assert (np.diff(found, axis=0) >= -1e-9).all()


def test_it_ends_with_the_working_day() -> None:
    found = errors_after(learned(lasting()), 15.0, slot=30)  # work ends at slot 38
    assert found[1, :6].mean() > 9.0
    assert np.abs(found[1, 8:]).max() < 4.0


def test_errors_that_do_not_last_move_nothing() -> None:
    model = learned(fleeting())
    moved = errors_after(model, 15.0)[1, 2:] - errors_after(model, 0.0)[1, 2:]
    assert abs(moved.mean()) < 4.0


def test_the_band_shrinks_where_the_day_so_far_tells_the_rest() -> None:
    told, not_told = errors_after(learned(lasting()), 5.0), errors_after(learned(fleeting()), 5.0)
    assert (told[2] - told[0])[:12].mean() < 0.6 * (not_told[2] - not_told[0])[:12].mean()


def test_everything_is_in_proportion_to_the_load() -> None:
    actual, base, rest = history(lasting())
    small, big = Intraday.learn(actual, base, rest), Intraday.learn(1024.0 * actual, 1024.0 * base, rest)
    assert small is not None
    assert big is not None
    flat = history(np.zeros((3, SLOTS)))[1].reshape(3, -1)
    recent = flat[1, NOW : NOW + SLOTS] + 4.0
    np.testing.assert_allclose(
        big.errors_kw(1024.0 * recent, 1024.0 * flat, rest[:3], NOW, LEVELS),
        1024.0 * small.errors_kw(recent, flat, rest[:3], NOW, LEVELS),
    )


def test_too_few_days_or_none_that_are_known_teach_nothing() -> None:
    actual, base, rest = history(lasting(OPTIONS.least_days - 1))
    assert Intraday.learn(actual, base, rest) is None
    actual, base, rest = history(lasting())
    assert Intraday.learn(np.full_like(actual, np.nan), base, rest) is None
    assert Intraday.learn(actual, np.full_like(base, np.nan), rest) is None
    assert Intraday.learn(np.zeros_like(actual), base, rest) is None


def test_without_the_last_value_there_is_no_correction() -> None:
    model = learned(lasting())
    _, base, rest = history(np.zeros((3, SLOTS)))
    recent = np.full(SLOTS, 20.0)
    recent[-1] = np.nan
    assert model.errors_kw(recent, base.reshape(3, -1), rest, NOW, LEVELS).shape == (3, 0)


def test_gaps_before_the_last_value_do_no_harm() -> None:
    model = learned(lasting())
    _, base, rest = history(np.zeros((3, SLOTS)))
    flat = base.reshape(3, -1)
    recent = flat[1, NOW : NOW + SLOTS].copy()
    recent[-6:] += 15.0
    recent[:-3:2] = np.nan
    found = model.errors_kw(recent, flat, rest, NOW, LEVELS)
    assert np.isfinite(found).all()
    assert found[1, :8].mean() > 5.0


def test_the_same_weeks_teach_the_same() -> None:
    first, second = (errors_after(learned(lasting()), 7.0) for _ in range(2))
    np.testing.assert_array_equal(first, second)
