"""Who gives how much of an accepted offer, so that over time nobody carries more than others.

The rule: of all that a site has offered so far, this time included, the same part shall have been called, as
far as this call allows. Who was called less so far gives first; nobody gives more than it offers. Everybody
is paid the same for a kWh.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.region.coordinate import Coordinator
from dispatch.region.offer import OfferPoint
from dispatch.region.outcome import RegionPlan
from energy.core.errors import DataError
from energy.core.series import FloatArray

__all__ = ["Burden", "called_plan", "fair_share", "gini", "rebalanced"]

_ROUNDS = 60  # halvings of the level: far below a watt
_WATT = 1e-3


@dataclass(frozen=True, slots=True)
class Burden:
    """What each site has offered and given so far. [kWh]"""

    offered_kwh: FloatArray
    given_kwh: FloatArray

    @classmethod
    def none(cls, sites: int) -> Burden:
        """Nobody was called yet."""
        return cls(np.zeros(sites), np.zeros(sites))

    def after(self, offered_kwh: FloatArray, given_kwh: FloatArray) -> Burden:
        """With one more call."""
        return Burden(self.offered_kwh + offered_kwh, self.given_kwh + given_kwh)

    @property
    def gini(self) -> float:
        """Inequality of the part of their offers that sites have given; 0 is equal. [-]"""
        asked = self.offered_kwh > 0.0
        return gini(self.given_kwh[asked] / self.offered_kwh[asked])


def gini(values: FloatArray) -> float:
    """Gini coefficient of values >= 0: mean absolute difference over twice the mean; 0 for nothing. [-]"""
    if not values.size or values.sum() <= 0.0:
        return 0.0
    ordered, n = np.sort(values), len(values)
    return float(np.sum((2 * np.arange(1, n + 1) - n - 1) * ordered) / (n * ordered.sum()))


def fair_share(wanted_kw: float, can_kw: FloatArray, burden: Burden, *, hours: float) -> FloatArray:
    """What each site gives. [kW]

    The level ``L`` is found at which ``sum clip(L * offered - given so far, 0, can) = wanted``, all in kWh
    with this call's offer counted in ``offered``; if all together cannot, everybody gives what it can.

    Parameters
    ----------
    can_kw : ndarray, shape (sites,)
        What each site offers throughout the call. [kW]
    hours : float
        Length of the call. [h]
    """
    if wanted_kw < 0.0 or not np.all(can_kw >= 0.0):
        raise DataError(
            "a call and its offers are >= 0", where=f"wanted {wanted_kw} kW", hint="give kW, >= 0"
        )
    if wanted_kw >= can_kw.sum():
        return can_kw.copy()
    offered = burden.offered_kwh + hours * can_kw
    low, high = 0.0, 1.0
    ratio = (burden.given_kwh + hours * can_kw)[offered > 0.0] / offered[offered > 0.0]
    high = float(ratio.max(initial=0.0))
    for _ in range(_ROUNDS):
        level = (low + high) / 2.0
        total = _at(level, offered, burden, can_kw, hours).sum()
        low, high = (level, high) if total < wanted_kw else (low, level)
    share = _at(high, offered, burden, can_kw, hours)
    return share * min(1.0, wanted_kw / share.sum()) if share.sum() > 0.0 else share


def _at(level: float, offered: FloatArray, burden: Burden, can_kw: FloatArray, hours: float) -> FloatArray:
    share: FloatArray = np.clip((level * offered - burden.given_kwh) / hours, 0.0, can_kw)
    return share


def rebalanced(
    share_kw: FloatArray, measured_kw: FloatArray, can_kw: FloatArray, burden: Burden, *, hours: float
) -> FloatArray:
    """Shares for the rest of a call, once it is measured who gives what. [kW]

    A site that gave clearly less than its share keeps what it showed; what is missing is shared among the
    others by the same rule.

    Parameters
    ----------
    measured_kw : ndarray
        What each site has given in the half-hour that is over. [kW]
    hours : float
        What is left of the call. [h]
    """
    failing = measured_kw < 0.9 * share_kw - _WATT
    shown = np.where(failing, np.clip(measured_kw, 0.0, can_kw), 0.0)
    left = max(0.0, float(share_kw.sum() - shown.sum()))
    rest = fair_share(left, np.where(failing, 0.0, can_kw), burden, hours=hours)
    return np.where(failing, shown, rest)


def called_plan(
    coordinator: Coordinator, plan: RegionPlan, point: OfferPoint, share_kw: FloatArray
) -> RegionPlan:
    """The region's plan with a call in it: each site goes towards its offer as far as its share.

    Between its plan and its offer a site can keep everything in between; each schedule is verified as always.
    """
    part = np.divide(share_kw, point.site_kw, out=np.zeros_like(share_kw), where=point.site_kw > 0.0)
    weight = coordinator.share * (1.0 - part)[:, None]
    weight[:, point.round] += part
    settled = coordinator.settle(weight)
    if settled.power_kw.shape != plan.power_kw.shape:
        raise DataError("the call is of another plan", where="called_plan", hint="offer again after planning")
    return settled
