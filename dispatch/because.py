"""Reasons in what was agreed: feeders, the hours after an event, a submitted plan, the plan in force.

And those that lie in the unit itself: it defrosts, or runs or rests for its minimum time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.agreed import feeder_limits_kw, members_of, recovery_limit_kw
from dispatch.schedule import Schedule
from dispatch.shortfalls import Expected
from dispatch.terms import Asset, assets, hours, is_steady, slots_of
from energy.core.plan import CarProblem, Problem, Reason, ReasonCode, StorageProblem, ZoneProblem

__all__ = ["Agreed", "agreed_reasons", "event_facts", "unit_reason"]

_KW = 1e-3
_AT_LIMIT_KW = 0.05
_FIRM = frozenset({ReasonCode.AWAY, ReasonCode.OPTED_OUT, ReasonCode.MINIMUM_TIME, ReasonCode.DEFROST})
_MILD = frozenset({ReasonCode.PRICE, ReasonCode.IDLE, ReasonCode.READY})


def event_facts(problem: Problem) -> list[dict[str, float | str]]:
    """What a sentence says of the event of each half-hour; nothing where there is none."""
    told: list[dict[str, float | str]] = [{} for _ in range(problem.grid.count)]
    for event in problem.events:
        for slot in range(event.first, event.last):
            told[slot] = {"event": event.id, "reward": event.reward_yen_per_kwh}
    return told


@dataclass(frozen=True, slots=True)
class Agreed:
    """What was agreed about each interval, as reasons where it binds.

    Parameters
    ----------
    cables : dict
        Reasons by asset and interval, where the asset's feeder carries no more.
    after, submitted : list
        Reasons by interval, of the demand after an event and of the submitted plan.
    planned : bool
        Whether leaving the plan in force has a price.
    starts_h : list of float
        Start of each interval. [h]
    """

    cables: dict[tuple[str, int], Reason]
    after: list[Reason | None]
    submitted: list[Reason | None]
    planned: bool
    starts_h: list[float]

    def reason(self, asset: Asset, t: int, power_kw: float, own: Reason, *, waits: bool = False) -> Reason:
        """The reason of a setpoint, given the one that it would have without agreements.

        Parameters
        ----------
        waits : bool
            Whether it takes nothing now and something before it leaves.
        """
        if own.code in _FIRM:
            return own
        held = waits or _could_more(asset, power_kw)
        cable = self.cables.get((asset.id, t))
        if cable is not None and held:
            return cable
        after, submitted = self.after[t], self.submitted[t]
        if after is not None and held:
            return after
        if not _mild(own):
            return own
        if submitted is not None and abs(power_kw) > _KW:
            return submitted
        planned = getattr(asset, "planned_kw", ())[t : t + 1]
        if self.planned and planned and abs(planned[0] - power_kw) < _KW < abs(power_kw):
            return Reason(ReasonCode.STEADY, {"planned_kw": round(planned[0], 2)})
        return own


def _mild(own: Reason) -> bool:
    """Whether another reason may say more: nothing binds, or a peak is named that is not reached."""
    if own.code is ReasonCode.PEAK and "at" not in own.facts:
        return float(own.facts["demand_kw"]) < float(own.facts["limit_kw"]) - 1.0
    return own.code in _MILD


def _could_more(asset: Asset, power_kw: float) -> bool:
    """Whether an asset runs below what it could take, because something holds it."""
    if isinstance(asset, CarProblem | StorageProblem):
        return _KW < power_kw < asset.max_charge_kw - _KW
    if isinstance(asset, ZoneProblem):
        return _KW < power_kw < asset.max_electric_kw - _KW
    return power_kw > _KW


def agreed_reasons(problem: Problem, schedule: Schedule, expected: Expected) -> Agreed:
    """Look for what binds in a schedule."""
    slots, n = slots_of(problem), problem.count
    after: list[Reason | None] = [None] * n
    submitted: list[Reason | None] = [None] * n
    demand = expected.demand_kw
    for event in problem.events:
        limit = recovery_limit_kw(problem, event)
        for t in np.flatnonzero((demand > limit - _AT_LIMIT_KW)[slots]):
            reached, most = float(demand[slots[t]]), float(limit[slots[t]])
            after[t] = Reason(
                ReasonCode.REBOUND, {"demand_kw": round(reached, 1), "limit_kw": round(most, 1)}
            )
    if problem.submitted is not None:
        given = problem.submitted
        priced = np.add(given.short_yen_per_kwh, given.long_yen_per_kwh) > 0.0
        met = priced & (np.abs(demand - np.asarray(given.import_kw)) < _AT_LIMIT_KW)
        for t in np.flatnonzero(met[slots]):
            wanted = round(float(given.import_kw[slots[t]]), 1)
            submitted[t] = Reason(ReasonCode.IMBALANCE, {"submitted_kw": wanted})
    length = hours(problem)
    return Agreed(
        cables=_cables(problem, schedule),
        after=after,
        submitted=submitted,
        planned=is_steady(problem),
        starts_h=(np.cumsum(length) - length).tolist(),
    )


def _cables(problem: Problem, schedule: Schedule) -> dict[tuple[str, int], Reason]:
    found: dict[tuple[str, int], Reason] = {}
    if not problem.feeders:
        return found
    powers = np.vstack(
        [schedule.car_kw, schedule.hvac_kw, -schedule.pv_kw, schedule.battery_kw, schedule.other_kw]
    )
    parts = assets(problem)
    on, (towards, _) = members_of(problem, parts), feeder_limits_kw(problem)
    for f, feeder in enumerate(problem.feeders):
        through = (powers * on[:, f : f + 1]).sum(axis=0)
        for t in np.flatnonzero(through > towards[f] - _AT_LIMIT_KW):
            for part, member in zip(parts, on[:, f], strict=True):
                if member:
                    found[part.id, int(t)] = Reason(
                        ReasonCode.FEEDER, {"feeder": feeder.id, "limit_kw": round(feeder.limit_kw, 1)}
                    )
    return found


def unit_reason(agreed: Agreed, zone: ZoneProblem, power_kw: list[float], t: int) -> Reason | None:
    """Why a unit must run or rest, if that is of its own making."""
    kw = power_kw[t]
    least = zone.least_kw[t] if zone.least_kw else 0.0
    if least > _KW and kw <= least + _KW:
        share = zone.defrost[t] if zone.defrost else 0.0
        if share > 0.0:
            return Reason(ReasonCode.DEFROST, {"defrost_percent": round(100.0 * share, 0)})
        return Reason(ReasonCode.MANUAL, {})
    wanted = zone.min_on_h if kw > _KW else zone.min_off_h
    if (zone.whole_steps is not None and t >= zone.whole_steps) or wanted <= 0.0:
        return None
    since, on = -zone.in_state_h, zone.was_on
    for u in range(t + 1):
        if (power_kw[u] > _KW) != on:
            on, since = not on, agreed.starts_h[u]
    lowest = zone.stages_kw[0] if zone.stages_kw else zone.min_power_kw
    begun = agreed.starts_h[t] > since + 1e-9  # not in the interval in which it switched
    if begun and agreed.starts_h[t] < since + wanted - 1e-9 and kw <= lowest + _KW:
        minutes = float(round(60.0 * wanted))
        return Reason(ReasonCode.MINIMUM_TIME, {"minimum_minutes": minutes, "on": float(on)})
    return None
