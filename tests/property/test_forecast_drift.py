"""The drift watch never flaps, whatever the losses do."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from energy.core.slots import parse_jst
from forecasting.drift import DEFAULT_RULE, Standing, judge

START = parse_jst("2026-08-05 00:00")
LOSSES = st.lists(
    st.tuples(st.floats(0.0, 3.0), st.floats(0.0, 3.0), st.integers(0, 14)), min_size=1, max_size=60
)


def walked(days: list[tuple[float, float, int]]) -> list[Standing]:
    standings: list[Standing] = []
    for k, (model, rule, scored) in enumerate(days):
        standings.append(
            judge(
                standings[-1] if standings else None,
                at=START + timedelta(days=k),
                scored_days=scored,
                model_loss=model,
                rule_loss=rule,
            )
        )
    return standings


@given(LOSSES)
def test_there_is_at_most_one_change_a_week(days: list[tuple[float, float, int]]) -> None:
    found = walked(days)
    changes = [
        after.judged_at for before, after in pairwise(found) if before.model_in_use != after.model_in_use
    ]
    shortest = timedelta(days=DEFAULT_RULE.min_stay_days)
    assert all(later - earlier >= shortest for earlier, later in pairwise(changes))


@given(LOSSES)
def test_whoever_takes_over_was_better_on_enough_days(days: list[tuple[float, float, int]]) -> None:
    for before, after in pairwise(walked(days)):
        if before.model_in_use == after.model_in_use:
            continue
        assert after.scored_days >= DEFAULT_RULE.min_days
        assert after.model_loss is not None
        assert after.rule_loss is not None
        if after.model_in_use:
            assert after.model_loss < DEFAULT_RULE.promote_below * after.rule_loss
        else:
            assert after.model_loss > DEFAULT_RULE.demote_above * after.rule_loss


@given(st.lists(st.floats(1.001, 1.099), min_size=2, max_size=40), st.booleans())
def test_nothing_changes_between_the_thresholds(ratios: list[float], model_first: bool) -> None:
    one = Standing(model_in_use=model_first, since=START - timedelta(days=90), judged_at=START)
    for k, ratio in enumerate(ratios):
        one = judge(one, at=START + timedelta(days=k), scored_days=14, model_loss=ratio * 8.0, rule_loss=8.0)
        assert one.model_in_use is model_first
