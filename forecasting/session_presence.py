"""Whether a driver comes: the share of like days, drawn to the group, corrected by what all drivers do.

A driver's own share of like days is drawn towards that of all drivers, the more the fewer days are known. A
logistic correction, one for the whole site, then learns from the past how much the last days, the same day a
fortnight ago, a long absence and the other drivers say. Its ridge holds it at "no correction" while there is
little to learn from, so that one method serves four cars and four hundred.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray, IntArray
from forecasting.session_days import CLASSES

__all__ = ["Presence", "PresenceRule", "logistic", "logit"]

# All constants were chosen on the sessions of March to May 2019 (docs/explanation/forecast-cars-rooms.md).
SLOW_DAYS: Final = 45.0  # half-life of the shares
FAST_DAYS: Final = 10.0  # half-life of "lately"
PRIOR_DAYS: Final = 2.0  # what the group's share weighs against a driver's own days
GROUP_DAYS: Final = 20.0  # driver-days of a class after which its own share is believed
LEARN_DAYS: Final = 120  # how far back the correction learns
LEARN_HALF_LIFE: Final = 60.0  # days
RIDGE: Final = 20.0  # driver-days that hold each coefficient
ACTIVE_DAYS: Final = 56  # who has not come for so long does not speak for the group
LONGEST_ABSENCE: Final = 150.0  # working days
_STEPS: Final = 25
_FIELDS: Final = 9


def logit(share: FloatArray) -> FloatArray:
    """Log-odds of a share, which is kept 1e-4 away from 0 and 1. [-]"""
    inside = np.clip(share, 1e-4, 1.0 - 1e-4)
    return np.asarray(np.log(inside / (1.0 - inside)), dtype=np.float64)


def _odds(share: float) -> float:
    inside = min(max(share, 1e-4), 1.0 - 1e-4)
    return math.log(inside / (1.0 - inside))


def logistic(odds: FloatArray) -> FloatArray:
    """Share of log-odds. [-]"""
    return np.asarray(1.0 / (1.0 + np.exp(-odds)), dtype=np.float64)


@dataclass(frozen=True, slots=True)
class _Shares:
    """Sums over past days by user and class, decayed: visits and days. ``[t]`` is the start of day t."""

    visits: FloatArray
    days: FloatArray

    @classmethod
    def of(cls, came: BoolArray, classes: IntArray, *, half_life: float) -> _Shares:
        users, days = came.shape
        decay = 0.5 ** (1.0 / half_life)
        visits, counted = np.zeros((days + 1, users, CLASSES)), np.zeros((days + 1, users, CLASSES))
        known = np.cumsum(came, axis=1) > 0
        for t in range(days):
            visits[t + 1], counted[t + 1] = visits[t] * decay, counted[t] * decay
            visits[t + 1, :, classes[t]] += came[:, t]
            counted[t + 1, :, classes[t]] += known[:, t]
        return cls(visits, counted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What is known of who came, up to an issue on day ``came.shape[1]``.

    Parameters
    ----------
    came : ndarray of bool, shape (users, days)
        Over whole days before the day of issue.
    seen_min : ndarray, shape (users, days + 1)
        First arrival of each day, the day of issue included; NaN for none. [min]
    classes : ndarray of int
        Class of each day, days to forecast included.
    rests : ndarray of bool, shape (CLASSES,)
        Whether the site rests on a day of the class.
    issue_min : float
        When on its day the forecast is issued. [min]
    """

    came: BoolArray
    seen_min: FloatArray
    classes: IntArray
    rests: BoolArray
    issue_min: float
    _slow: _Shares
    _fast: _Shares
    _last: IntArray

    @classmethod
    def of(
        cls,
        came: BoolArray,
        seen_min: FloatArray,
        classes: IntArray,
        *,
        rests: BoolArray,
        issue_min: float,
    ) -> Presence:
        """Sums of all days, made once."""
        users, days = came.shape
        last = np.full((days + 1, users), -1, dtype=np.int64)
        for t in range(days):
            last[t + 1] = np.where(came[:, t], t, last[t])
        return cls(
            came=came,
            seen_min=seen_min,
            classes=classes,
            rests=rests,
            issue_min=issue_min,
            _slow=_Shares.of(came, classes, half_life=SLOW_DAYS),
            _fast=_Shares.of(came, classes, half_life=FAST_DAYS),
            _last=last,
        )

    def own_days(self, issue: int, kind: int) -> FloatArray:
        """Decayed number of a user's own visits on days of rest or of work like ``kind``, per user."""
        same = self.rests == self.rests[kind]
        return np.asarray(self._slow.visits[issue][:, same].sum(axis=1), dtype=np.float64)

    def known(self, issue: int) -> BoolArray:
        """Who had come before the day of issue."""
        return np.asarray(self._last[issue] >= 0, dtype=np.bool_)

    def active(self, issue: int) -> BoolArray:
        """Who came within the last eight weeks before the day of issue."""
        last = self._last[issue]
        return np.asarray((last >= 0) & (last >= issue - ACTIVE_DAYS), dtype=np.bool_)

    def group_shares(self, issue: int, kind: int) -> tuple[float, float]:
        """Share of the active drivers who come on a day of a class, and of its kind (rest or work).

        Few days of the class are drawn to their kind.
        """
        active = self.active(issue)
        visits = self._slow.visits[issue][active].sum(axis=0)
        days = self._slow.days[issue][active].sum(axis=0)
        same = self.rests == self.rests[kind]
        of_kind = float((visits[same].sum() + 0.5) / (days[same].sum() + 5.0))
        return float((visits[kind] + GROUP_DAYS * of_kind) / (days[kind] + GROUP_DAYS)), of_kind

    def fields(self, target: int, lead: int) -> FloatArray:
        """Inputs of the correction for a day, seen from ``lead`` days before it, shape (users, fields).

        The first is the log-odds of the driver's own share, drawn to the group; its coefficient is 1 until
        the past says otherwise, all others are 0.
        """
        issue, kind = target - lead, int(self.classes[target])
        same = self.rests == self.rests[kind]
        slow_visits, slow_days = self._slow.visits[issue], self._slow.days[issue]
        group, of_kind = self.group_shares(issue, kind)
        alike = _drawn(slow_visits[:, same].sum(axis=1), slow_days[:, same].sum(axis=1), of_kind)
        tilted = logistic(logit(alike) + _odds(group) - _odds(of_kind))
        own = _drawn(slow_visits[:, kind], slow_days[:, kind], tilted)
        lately = _drawn(
            self._fast.visits[issue][:, same].sum(axis=1), self._fast.days[issue][:, same].sum(axis=1), alike
        )
        # Working days missed, not days: two days without a visit mean nothing after a weekend.
        worked = np.concatenate([[0], np.cumsum(~self.rests[self.classes])])
        missed = np.clip(worked[issue] - worked[self._last[issue] + 1], 0, LONGEST_ABSENCE)
        fortnight, others_fortnight = self._back(target, 14, lead, own, group)
        _, others_week = self._back(target, 7, lead, own, group)
        ones = np.ones(len(own))
        return np.column_stack(
            [
                logit(own),
                ones,
                logit(lately) - logit(alike),
                self._seen_today(issue, lead, same, lately),
                fortnight,
                others_fortnight * ones,
                others_week * ones,
                np.log1p(missed) - 0.5,
                (_odds(group) + 1.0) * ones,
            ]
        )

    def _seen_today(self, issue: int, lead: int, same: BoolArray, usual: FloatArray) -> FloatArray:
        """Whether the driver has come on the day of issue so far, less what is usual."""
        if lead == 0 or not same[self.classes[issue]]:
            return np.zeros(len(usual))
        seen = self.seen_min[:, issue] < self.issue_min  # a comparison with NaN is false
        return np.asarray(seen - usual, dtype=np.float64)

    def _back(
        self, target: int, days: int, lead: int, own: FloatArray, group: float
    ) -> tuple[FloatArray, float]:
        """What the same day some days ago says: the driver less the usual, and the others' log-odds."""
        then = target - days
        if then < 0 or days <= lead or self.classes[then] != self.classes[target]:
            return np.zeros(len(own)), 0.0
        known = self.active(target - lead)
        share = (self.came[known, then].sum() + 1.0) / (known.sum() + 1.0 / max(group, 1e-3))
        return self.came[:, then] - own, _odds(float(share)) - _odds(group)

    def learn(self, lead: int) -> PresenceRule:
        """The correction for forecasts made ``lead`` days ahead, from all days that are over."""
        today = self.came.shape[1]
        inputs, truths, weights = [], [], []
        for target in range(max(lead + 1, today - LEARN_DAYS), today):
            known = self.known(target - lead)
            if known.any():
                inputs.append(self.fields(target, lead)[known])
                truths.append(self.came[known, target].astype(np.float64))
                weights.append(np.full(int(known.sum()), 0.5 ** ((today - target) / LEARN_HALF_LIFE)))
        start = np.zeros(_FIELDS)
        start[0] = 1.0
        if not inputs:
            return PresenceRule(start, 0)
        x, y, w = np.concatenate(inputs), np.concatenate(truths), np.concatenate(weights)
        return PresenceRule(_ridge_logistic(x, y, w, start), len(y))


@dataclass(frozen=True, slots=True)
class PresenceRule:
    """Coefficients of the correction, and the number of driver-days they were learned from."""

    coefficients: FloatArray
    learned_from: int

    def probability(self, fields: FloatArray) -> FloatArray:
        """Probability to come. [-]"""
        return np.clip(logistic(fields @ self.coefficients), 0.001, 0.999)


def _drawn(visits: FloatArray, days: FloatArray, towards: FloatArray | float) -> FloatArray:
    """Share of days with a visit, drawn towards another share."""
    return np.asarray((visits + PRIOR_DAYS * towards) / (days + PRIOR_DAYS), dtype=np.float64)


def _ridge_logistic(x: FloatArray, y: FloatArray, w: FloatArray, start: FloatArray) -> FloatArray:
    """Logistic regression held at ``start`` by a ridge, by Newton's method (iteratively reweighted)."""
    beta = np.array(start)
    for _ in range(_STEPS):
        p = logistic(np.clip(x @ beta, -30.0, 30.0))
        slope = x.T @ (w * (p - y)) + RIDGE * (beta - start)
        curvature = (x * (w * p * (1.0 - p))[:, None]).T @ x + RIDGE * np.eye(len(beta))
        step = np.linalg.solve(curvature, slope)
        beta -= step
        if float(np.abs(step).max()) < 1e-8:
            break
    return beta
