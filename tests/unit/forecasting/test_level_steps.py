"""A step in the level of a load: believed if the past has not seen the like, then the past is levelled."""

from __future__ import annotations

from datetime import UTC, date, datetime
from itertools import pairwise

import numpy as np
import pytest

from energy.core.calendar import SiteCalendar
from energy.core.series import FloatArray
from forecasting.dayahead import learn
from forecasting.days import DayKinds
from forecasting.level_steps import LevelStep, level_step
from forecasting.panel import Panel

FIRST = date(2025, 9, 1)  # a Monday
DAYS = 150
KINDS = DayKinds.of(SiteCalendar(), FIRST, DAYS)


def load(noise: float = 0.05, days: int = DAYS) -> FloatArray:
    """100 on working days, 40 on days of rest, a few percent of noise from day to day."""
    rng = np.random.default_rng(4)
    level = np.where(KINDS.rest, 40.0, 100.0) * (1.0 + noise * rng.standard_normal(DAYS))
    return np.repeat(level[:days, None], 24, axis=1)


def stepped(row: int, offset: float, *, noise: float = 0.05) -> FloatArray:
    values = load(noise)
    values[row:] += offset
    return values


@pytest.mark.parametrize("offset", [40.0, -30.0])
@pytest.mark.parametrize("since", [2, 5, 12, 40])
def test_a_machine_more_or_less_is_found_with_its_day_and_its_power(since: int, offset: float) -> None:
    found = level_step(stepped(DAYS - since, offset), KINDS)
    assert found is not None
    assert abs(found.row - (DAYS - since)) <= 1  # a low day just before may be taken for its first
    assert found.offset == pytest.approx(offset, abs=6.0)


def test_one_day_is_no_step_and_a_day_and_a_half_is_one() -> None:
    assert level_step(stepped(DAYS - 1, 60.0), KINDS) is None
    half = stepped(DAYS - 2, 60.0)
    half[-1, 12:] = np.nan  # noon: half of the second day is known
    found = level_step(half, KINDS)
    assert found is not None
    assert found.row == DAYS - 2
    half[-1, 10:] = np.nan
    assert level_step(half, KINDS) is None


def test_a_half_known_day_is_judged_by_the_same_hours_of_other_days() -> None:
    """Production from noon on: a morning of rest says nothing about the level."""
    values = load()
    values[:, :12] *= 0.2
    values[-1, 12:] = np.nan
    assert level_step(values, KINDS) is None


@pytest.mark.parametrize("seed", range(8))
def test_noise_and_seasons_are_no_steps(seed: int) -> None:
    rng = np.random.default_rng(seed)
    drift = np.cumsum(0.02 * rng.standard_normal(DAYS))
    values = np.where(KINDS.rest, 40.0, 100.0)[:, None] * np.exp(drift)[:, None] * np.ones((1, 24))
    values = values * (1.0 + 0.1 * rng.standard_normal((DAYS, 1)))
    assert level_step(values, KINDS) is None


def test_what_the_past_has_often_seen_is_no_step() -> None:
    """Weeks of more work come and go; the newest is not a machine."""
    values = load()
    for first, stop in pairwise(range(20, DAYS + 7, 7)):
        if (first // 7) % 3 == 0:
            values[first:stop] += 40.0
    values[-5:] += 40.0
    assert level_step(values, KINDS) is None


def test_a_site_that_closes_is_not_a_machine_less() -> None:
    values = load()
    values[-4:] = 5.0
    assert level_step(values, KINDS) is None


def test_days_that_are_over_end_a_step() -> None:
    values = load()
    values[-9:-4] += 50.0
    assert level_step(values, KINDS) is None


def test_too_short_a_past_has_no_steps() -> None:
    values = load(days=16)
    values[-3:] += 50.0
    assert level_step(values, DayKinds.of(SiteCalendar(), FIRST, 16)) is None


def test_gaps_and_a_zero_load_do_no_harm() -> None:
    values = stepped(DAYS - 6, 40.0)
    values[DAYS - 30 : DAYS - 24] = np.nan
    values[DAYS - 4, :20] = np.nan
    found = level_step(values, KINDS)
    assert found is not None
    assert found.offset == pytest.approx(40.0, abs=6.0)
    assert level_step(np.zeros((DAYS, 24)), KINDS) is None
    assert level_step(np.full((DAYS, 24), np.nan), KINDS) is None


def test_the_levelled_past_never_falls_below_zero() -> None:
    values = np.array([[10.0, 50.0], [10.0, 50.0], [0.0, 30.0]])
    np.testing.assert_array_equal(
        LevelStep(row=2, offset=-20.0).levelled(values), [[0.0, 30.0], [0.0, 30.0], [0.0, 30.0]]
    )


def test_a_forecast_follows_a_new_machine_after_two_days_and_remembers_the_old_level_as_old() -> None:
    values = np.vstack([stepped(DAYS - 3, 40.0), np.full((1, 24), np.nan)])
    values[DAYS - 1, 12:] = np.nan  # noon of the third day
    days = DayKinds.of(SiteCalendar(), FIRST, DAYS + 1)
    panel = Panel(
        kind="load", start=datetime(2025, 9, 1, tzinfo=UTC), actual=values, days=days, issue_slot=12
    )
    model = learn(panel, DAYS)
    assert model.step is not None
    expected = (40.0 if days.rest[DAYS] else 100.0) + 40.0
    assert model.quantiles((0.5,))[0].mean() == pytest.approx(expected, rel=0.06)
    past = model.past_quantiles(20, (0.5,))[0].mean(axis=1)
    then = np.where(days.rest[DAYS - 21 : DAYS - 1], 40.0, 100.0)
    then[-1:] += 40.0  # the last of these days is the second with the machine
    assert past[:-2] == pytest.approx(then[:-2], abs=20.0)
    assert np.abs(past[:-2] - then[:-2]).mean() < 6.0
