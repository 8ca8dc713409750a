"""When a model gives way to a rule of thumb, and when it comes back: a table of days."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from energy.core.slots import parse_jst
from forecasting.drift import DriftRule, Standing, Why, judge

START = parse_jst("2026-08-05 00:00")
DAY = timedelta(days=1)


def standing(*, model: bool, since_days: int) -> Standing:
    return Standing(model_in_use=model, since=START - since_days * DAY, judged_at=START - DAY)


def judged(before: Standing | None, ratio: float | None, *, days: int = 14, at: datetime = START) -> Standing:
    model = None if ratio is None else 10.0 * ratio
    return judge(before, at=at, scored_days=days, model_loss=model, rule_loss=10.0)


@pytest.mark.parametrize(
    ("model_before", "since_days", "ratio", "days", "model_after", "why"),
    [
        (True, 30, 0.60, 14, True, Why.GOOD_ENOUGH),
        (True, 30, 1.10, 14, True, Why.GOOD_ENOUGH),
        (True, 30, 1.11, 14, False, Why.MODEL_WORSE),
        (True, 30, 9.00, 6, True, Why.TOO_FEW_DAYS),
        (True, 30, None, 0, True, Why.TOO_FEW_DAYS),
        (True, 6, 1.50, 14, True, Why.JUST_CHANGED),
        (True, 7, 1.50, 14, False, Why.MODEL_WORSE),
        (False, 30, 1.05, 14, False, Why.STILL_WORSE),  # no reason to go, but none to come back either
        (False, 30, 0.99, 14, True, Why.MODEL_BETTER),
        (False, 3, 0.50, 14, False, Why.JUST_CHANGED),
        (False, 30, 0.50, 6, False, Why.TOO_FEW_DAYS),
    ],
)
def test_the_better_method_speaks_after_enough_days(
    model_before: bool, since_days: int, ratio: float | None, days: int, model_after: bool, why: Why
) -> None:
    before = standing(model=model_before, since_days=since_days)
    after = judged(before, ratio, days=days)
    assert (after.model_in_use, after.why) == (model_after, why)
    assert after.since == (START if model_after != model_before else before.since)


def test_the_model_begins() -> None:
    after = judge(None, at=START, scored_days=0, model_loss=None, rule_loss=None)
    assert (after.model_in_use, after.why, after.since) == (True, Why.FIRST, START)


def test_a_rule_that_never_errs_beats_a_model_that_does() -> None:
    after = judge(
        standing(model=True, since_days=30), at=START, scored_days=14, model_loss=1.0, rule_loss=0.0
    )
    assert not after.model_in_use


def test_two_methods_that_never_err_change_nothing() -> None:
    after = judge(
        standing(model=True, since_days=30), at=START, scored_days=14, model_loss=0.0, rule_loss=0.0
    )
    assert after.model_in_use


def test_a_standing_comes_back_from_its_document_as_it_was() -> None:
    one = judged(standing(model=True, since_days=30), 1.2)
    assert Standing.from_json(one.to_json()) == one


def test_a_rule_without_room_between_its_thresholds_is_refused() -> None:
    with pytest.raises(ValueError, match="not below"):
        DriftRule(demote_above=1.0, promote_below=1.0)
