"""Reasons of a forecast: additive, exact, fair, and silent about what changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.core.errors import AlignmentError, ForecastError
from energy.core.series import FloatArray, Grid
from forecasting.explain import Cause, Effect, Reasons, mean_of, shapley

GRID = Grid(datetime(2026, 8, 4, 15, 0, tzinfo=UTC), 2)
GROUPS = (Cause.DAY_TYPE, Cause.LAST_DAYS, Cause.MORNING, Cause.TEMPERATURE)


def kw(*values: float) -> FloatArray:
    return np.array(values, dtype=np.float64)


def reasons(forecast: FloatArray, compared: FloatArray, **effects: FloatArray) -> Reasons:
    return Reasons(
        grid=GRID,
        forecast_kw=forecast,
        compared_kw=compared,
        effects=tuple(Effect(Cause(name), values) for name, values in effects.items()),
    )


def test_two_inputs_that_only_work_together_share_the_effect_in_equal_parts() -> None:
    """Cooling needs a hot day and a working day: 12 kW, of which each explains six (by hand)."""

    def run(now: frozenset[Cause]) -> FloatArray:
        return kw(100.0 + (12.0 if {Cause.DAY_TYPE, Cause.TEMPERATURE} <= now else 0.0), 50.0)

    effects = shapley([Cause.DAY_TYPE, Cause.TEMPERATURE], run)
    assert effects[Cause.DAY_TYPE].tolist() == [6.0, 0.0]
    assert effects[Cause.TEMPERATURE].tolist() == [6.0, 0.0]


def test_the_glove_game_of_three_has_its_published_shares() -> None:
    """Two left gloves and one right one: a sixth, a sixth and two thirds (Shapley's textbook case)."""
    left_one, left_two, right = Cause.DAY_TYPE, Cause.LAST_DAYS, Cause.SUN

    def run(now: frozenset[Cause]) -> FloatArray:
        return kw(1.0 if right in now and (left_one in now or left_two in now) else 0.0)

    effects = shapley([left_one, left_two, right], run)
    assert [effects[c][0] for c in (left_one, left_two, right)] == pytest.approx([1 / 6, 1 / 6, 2 / 3])


@given(answers=st.lists(st.floats(-1e3, 1e3), min_size=16, max_size=16))
def test_effects_of_any_model_add_up_to_the_difference(answers: list[float]) -> None:
    def run(now: frozenset[Cause]) -> FloatArray:
        return kw(answers[sum(1 << k for k, cause in enumerate(GROUPS) if cause in now)])

    effects = shapley(GROUPS, run)
    assert sum(effect[0] for effect in effects.values()) == pytest.approx(answers[15] - answers[0], abs=1e-9)


@given(loud=st.floats(-100.0, 100.0), quiet=st.sampled_from(GROUPS))
def test_an_input_that_the_model_does_not_use_has_no_effect(loud: float, quiet: Cause) -> None:
    def run(now: frozenset[Cause]) -> FloatArray:
        return kw(loud * len(now - {quiet}) ** 2)

    assert shapley(GROUPS, run)[quiet][0] == pytest.approx(0.0, abs=1e-9)


def test_every_combination_is_asked_for_exactly_once() -> None:
    asked: list[frozenset[Cause]] = []

    def run(now: frozenset[Cause]) -> FloatArray:
        asked.append(now)
        return kw(0.0)

    shapley(GROUPS, run)
    assert len(asked) == len(set(asked)) == 16


def test_more_groups_than_can_be_run_are_refused() -> None:
    with pytest.raises(ForecastError, match="too many groups"):
        shapley(tuple(Cause), lambda now: kw(0.0))


def test_the_largest_effect_comes_first() -> None:
    told = reasons(kw(110.0, 110.0), kw(100.0, 100.0), sun=kw(-5.0, -5.0), roof=kw(15.0, 15.0))
    assert [effect.cause for effect in told.effects] == [Cause.ROOF, Cause.SUN]
    assert told.over(slice(0, 1)) == (110.0, 100.0)


def test_reasons_that_do_not_add_up_are_refused() -> None:
    with pytest.raises(ForecastError, match="do not add up"):
        reasons(kw(110.0, 110.0), kw(100.0, 100.0), sun=kw(10.0, 9.0))


def test_reasons_on_another_grid_are_refused() -> None:
    with pytest.raises(AlignmentError, match="do not fit"):
        reasons(kw(110.0), kw(100.0), sun=kw(10.0))


def test_the_mean_of_several_days_still_adds_up_and_keeps_every_cause() -> None:
    one = reasons(kw(10.0, 10.0), kw(8.0, 6.0), sun=kw(2.0, 4.0))
    two = reasons(kw(10.0, 10.0), kw(4.0, 10.0), sun=kw(4.0, 0.0), roof=kw(2.0, 0.0))
    mean = mean_of([one, two])
    assert mean.compared_kw.tolist() == [6.0, 8.0]
    assert {e.cause: e.by_slot_kw.tolist() for e in mean.effects} == {
        Cause.SUN: [3.0, 2.0],
        Cause.ROOF: [1.0, 0.0],
    }
    with pytest.raises(ForecastError, match="no day to compare"):
        mean_of([])
