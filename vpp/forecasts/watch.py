"""The drift watch: judges once a day whether the model or the rule of thumb speaks for a target."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from energy.store import Snapshot, Store
from forecasting.drift import DEFAULT_RULE, DriftRule, Standing, Why, judge
from vpp.forecasts.issued import put_once
from vpp.forecasts.lookback import NOON, DayAhead, by_rule, issued_by_model
from vpp.forecasts.methods import Method, View

__all__ = ["STANDING", "DriftWatch", "standing_of"]

log = logging.getLogger(__name__)

STANDING: Final = "forecast-standing"
"""Kind of the documents that say, day by day, whether the model or the rule of thumb speaks."""
ACTOR: Final = "forecast-watch"


def standing_of(known: Snapshot, site: str, target: str) -> Standing | None:
    """The newest judgement of a target that is known."""
    document = known.document(STANDING, f"{site}/{target}")
    return None if document is None else Standing.from_json(document.body)


class DriftWatch:
    """Judges the forecasts of one site.

    Parameters
    ----------
    site : str
        Id of the site.
    store : Store
        Where the issued forecasts are, and the judgements go.
    methods : mapping of str to Method
        By target.
    rule : DriftRule
        When the method changes.
    """

    def __init__(
        self, site: str, store: Store, methods: Mapping[str, Method], rule: DriftRule = DEFAULT_RULE
    ) -> None:
        self._site = site
        self._store = store
        self._methods = methods
        self._rule = rule
        self._ruled: dict[tuple[str, datetime], DayAhead] = {}

    def of_day(self, target: str, midnight: datetime, now: datetime) -> Standing:
        """Who speaks for a target on a Japanese day; judged once, a change is logged and audited.

        Parameters
        ----------
        midnight : datetime
            Begin of the day; delivery days that ended by then are looked at. UTC.
        now : datetime
            When the judgement is made and becomes known. UTC.
        """
        known = self._store.as_of(now)
        before = standing_of(known, self._site, target)
        if before is not None and before.judged_at >= midnight:
            return before
        after = self._judge(before, target, midnight, now)
        key = f"{self._site}/{target}"
        put_once(self._store, STANDING, key, known_at=now, body=after.to_json())
        if after.why in (Why.MODEL_WORSE, Why.MODEL_BETTER):
            act = "model.back" if after.model_in_use else "model.demoted"
            facts = {
                "loss_ratio": None if after.ratio is None else round(after.ratio, 4),
                "model_loss_kw": after.model_loss,
                "rule_loss_kw": after.rule_loss,
                "scored_days": after.scored_days,
            }
            log.warning("forecast.%s target=%s ratio=%s", act, target, facts["loss_ratio"])
            self._store.audit(ACTOR, act, key, at=now, facts=facts)
        return after

    def _judge(self, before: Standing | None, target: str, midnight: datetime, now: datetime) -> Standing:
        known = self._store.as_of(midnight)
        method = self._methods[target]
        start = midnight - timedelta(days=self._rule.window_days)
        issued = issued_by_model(known, self._site, method, start=start, end=midnight)
        ruled = [self._by_rule(method, known, one.grid.start) for one in issued]
        model, rule = [], []
        for mine, other in zip(issued, ruled, strict=True):
            losses = mine.loss_kw(also=other), other.loss_kw(also=mine)
            if losses[0] is not None and losses[1] is not None:
                model.append(losses[0])
                rule.append(losses[1])
        return judge(
            before,
            at=now,
            scored_days=len(model),
            model_loss=round(float(np.mean(model)), 6) if model else None,
            rule_loss=round(float(np.mean(rule)), 6) if rule else None,
            rule=self._rule,
        )

    def _by_rule(self, method: Method, known: Snapshot, day: datetime) -> DayAhead:
        """The rule of thumb for a day that is over; what was known at its noon does not change any more."""
        key = (method.target, day)
        if key not in self._ruled:
            (self._ruled[key],) = by_rule(method, known, [View.of(self._store, day + NOON)])
        return self._ruled[key]
