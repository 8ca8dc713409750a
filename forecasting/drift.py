"""Drift: when a model has been worse than a rule of thumb, the rule speaks until the model is better again.

Judged once a day on the day-ahead forecasts of the last 14 days as they were issued, beside what the rule
of thumb would have said at the same instants. Two thresholds and a shortest stay keep it from flapping.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from pydantic import TypeAdapter

from energy.core.clock import require_aware

__all__ = ["DEFAULT_RULE", "DriftRule", "Standing", "Why", "judge"]


class Why(StrEnum):
    """Why the method in use stays or changes."""

    FIRST = "first"  # nothing was ever judged: the model begins
    TOO_FEW_DAYS = "too-few-days"
    JUST_CHANGED = "just-changed"
    GOOD_ENOUGH = "good-enough"
    MODEL_WORSE = "model-worse"
    MODEL_BETTER = "model-better"
    STILL_WORSE = "still-worse"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRule:
    """When the method changes.

    Two weeks are a small sample: on healthy models a threshold of 1.00 took over now and then and cost up to
    2 % of the loss, one of 1.10 hardly ever (docs/explanation/forecast-operation.md). A model that has really
    drifted is far above either.

    Parameters
    ----------
    window_days : int
        Delivery days that are looked at. [d]
    min_days : int
        Scored days needed for a change. [d]
    demote_above : float
        The rule of thumb takes over if the model's loss is more than this times its own. [-]
    promote_below : float
        The model comes back if its loss is less than this times that of the rule; < ``demote_above``. [-]
    min_stay_days : int
        Shortest time between two changes. [d]

    Raises
    ------
    ValueError
        If the thresholds leave no room between them.
    """

    window_days: int = 14
    min_days: int = 7
    demote_above: float = 1.1
    promote_below: float = 1.0
    min_stay_days: int = 7

    def __post_init__(self) -> None:
        if not 0.0 < self.promote_below < self.demote_above:
            msg = f"promote_below {self.promote_below} is not below demote_above {self.demote_above}"
            raise ValueError(msg)


DEFAULT_RULE = DriftRule()


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Which method is in use for a target, since when, and what the last judgement saw.

    Parameters
    ----------
    model_in_use : bool
        Whether the model speaks; otherwise the rule of thumb.
    since : datetime
        Since when. UTC.
    judged_at : datetime
        Last judgement. UTC.
    scored_days : int
        Days it rested on.
    model_loss, rule_loss : float or None
        Mean pinball loss of P10, P50 and P90 on the same slots; None if there were none. [kW]
    """

    model_in_use: bool
    since: datetime
    judged_at: datetime
    scored_days: int = 0
    model_loss: float | None = None
    rule_loss: float | None = None
    why: Why = Why.FIRST

    def __post_init__(self) -> None:
        object.__setattr__(self, "since", require_aware(self.since))
        object.__setattr__(self, "judged_at", require_aware(self.judged_at))

    @property
    def ratio(self) -> float | None:
        """Loss of the model over that of the rule; None where one is unknown or both are 0. [-]"""
        if self.model_loss is None or self.rule_loss is None:
            return None
        if self.rule_loss > 0.0:
            return self.model_loss / self.rule_loss
        return float("inf") if self.model_loss > 0.0 else None

    def to_json(self) -> str:
        """The standing as one JSON document."""
        return _STANDING.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> Standing:
        """The standing from its document."""
        return _STANDING.validate_json(text)


_STANDING = TypeAdapter(Standing)


def judge(
    before: Standing | None,
    *,
    at: datetime,
    scored_days: int,
    model_loss: float | None,
    rule_loss: float | None,
    rule: DriftRule = DEFAULT_RULE,
) -> Standing:
    """Decide which method speaks from now on.

    Parameters
    ----------
    before : Standing or None
        What held so far; None at the first judgement, which the model wins.
    at : datetime
        The instant of the judgement. UTC.
    scored_days : int
        Days with both losses. [d]
    model_loss, rule_loss : float or None
        Mean pinball loss over the same slots of the last ``rule.window_days``. [kW]

    Notes
    -----
    With ``r = model_loss / rule_loss``: the rule takes over if ``r > demote_above``, the model comes back if
    ``r < promote_below``; never with fewer than ``min_days`` days nor sooner than ``min_stay_days`` after the
    change before. So there is at most one change in ``min_stay_days``.
    """
    now = require_aware(at)
    seen = Standing(
        model_in_use=True if before is None else before.model_in_use,
        since=now if before is None else before.since,
        judged_at=now,
        scored_days=scored_days,
        model_loss=model_loss,
        rule_loss=rule_loss,
    )
    why = _why(before, seen, rule)
    changes = why in (Why.MODEL_WORSE, Why.MODEL_BETTER)
    return Standing(
        model_in_use=seen.model_in_use != changes,
        since=now if changes else seen.since,
        judged_at=now,
        scored_days=scored_days,
        model_loss=model_loss,
        rule_loss=rule_loss,
        why=why,
    )


def _why(before: Standing | None, seen: Standing, rule: DriftRule) -> Why:
    ratio = seen.ratio
    if before is None and ratio is None:
        return Why.FIRST
    if seen.scored_days < rule.min_days or ratio is None:
        return Why.TOO_FEW_DAYS
    wants = ratio > rule.demote_above if seen.model_in_use else ratio < rule.promote_below
    if not wants:
        return Why.GOOD_ENOUGH if seen.model_in_use else Why.STILL_WORSE
    if before is not None and seen.judged_at - seen.since < timedelta(days=rule.min_stay_days):
        return Why.JUST_CHANGED
    return Why.MODEL_WORSE if seen.model_in_use else Why.MODEL_BETTER
