"""Why every setpoint is what it is: binding limit, price or promise, with the numbers of a sentence.

Reasons are read off the schedule, the prices and (when there was an optimiser) the price of the peak per
interval. The sentences themselves are written elsewhere, in the reader's language. Facts used:

=============  ===================================================================================
code           facts
=============  ===================================================================================
promise        ``soc_percent`` promised, ``at`` (departure), ``price``; or ``floor_percent``, ``soc_percent``
peak           ``demand_kw``, ``limit_kw``; ``at`` if the peak comes later
event          ``coins_per_kwh``, with a baseline ``event`` and ``reward``, of a room ``room_c`` and
               ``limit_c``; ``at`` if it comes later
price          ``now``, ``later`` (yen/kWh), ``at``
pre_condition  ``room_c``, ``limit_c``, ``at``, ``because`` (peak, event or price)
comfort        ``room_c``, ``limit_c``; ``at`` if the room is made ready for people who come later
export         ``curtailed_kw``, ``import_margin_kw``
surplus        ``pv_kw``
away           ``back_at`` if the return lies within the horizon
feeder         ``feeder``, ``limit_kw``
imbalance      ``submitted_kw``
rebound        ``demand_kw``, ``limit_kw``
minimum_time   ``minimum_minutes``, ``on`` (1 if it must run, 0 if it must rest)
defrost        ``defrost_percent`` of the interval
steady         ``planned_kw``
idle           ``soc_percent`` (with ``soc_min_percent`` close to it), or ``room_c``, or ``available_kw``
=============  ===================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.agreed import in_event
from dispatch.because import Agreed, agreed_reasons, event_facts, unit_reason
from dispatch.schedule import Schedule, curtailed_kw
from dispatch.shortfalls import Expected
from dispatch.terms import peak_margin_kw, slots_of
from energy.core.plan import CarProblem, Problem, Reason, ReasonCode, StorageProblem, ZoneProblem
from energy.core.plan_parts import OtherAsset
from energy.core.series import FloatArray

__all__ = ["Setting", "other_reasons", "pv_reasons", "setting", "storage_reasons", "zone_reasons"]

_KW = 1e-3  # less is off
_YEN = 0.05  # price differences below this are none
_KELVIN = 0.05
_CLOSE = 0.02  # of the capacity: as close to the floor as makes no difference


@dataclass(frozen=True, slots=True)
class Setting:
    """What all reasons of a plan look at, as plain lists over the intervals.

    Parameters
    ----------
    peak : list of bool
        Where one more kW of demand would set or raise the peak.
    limit_kw : float
        The peak that is held: the memory, or what the plan cannot avoid. [kW]
    spare_sun : list of bool
        Where sun is curtailed.
    optimised : bool
        Whether an optimiser weighed the rooms against peaks and prices.
    agreed : Agreed
        What feeders, events and a submitted plan say.
    events : list of dict
        Id and reward of the event of each interval.
    """

    times: list[str]
    price: list[float]
    tight: list[bool]
    peak: list[bool]
    demand_kw: list[float]
    limit_kw: float
    spare_sun: list[bool]
    sun_kw: list[float]
    import_margin_kw: float
    optimised: bool
    agreed: Agreed
    events: list[dict[str, float | str]]


def setting(
    problem: Problem,
    schedule: Schedule,
    expected: Expected,
    *,
    peak_quantile_share: float,
    peak_dual: FloatArray | None,
) -> Setting:
    """Look at a schedule as a whole.

    Parameters
    ----------
    peak_dual : ndarray or None
        Price of one kW of demand by interval, from the optimiser. [yen/kW]
    """
    slots, told = slots_of(problem), event_facts(problem)
    guarded = expected.demand_kw + peak_margin_kw(problem, peak_quantile_share)
    limit = max(problem.limits.peak_memory_kw, float(guarded.max()))
    at_limit = guarded >= limit - 0.5
    if peak_dual is not None:
        at_limit |= np.abs(peak_dual) > 1.0
    curtailed = curtailed_kw(problem, schedule)
    return Setting(
        times=[problem.time(t).isoformat() for t in range(problem.count + 1)],
        price=[float(value) for value in problem.price_yen_per_kwh],
        tight=(np.asarray(problem.tight, dtype=bool) | in_event(problem)[slots]).tolist(),
        peak=at_limit[slots].tolist(),
        demand_kw=[round(value, 1) for value in expected.demand_kw[slots].tolist()],
        limit_kw=round(min(limit, max(problem.limits.contract_kw, float(guarded.max()))), 1),
        spare_sun=(curtailed > _KW).tolist(),
        sun_kw=[round(value, 1) for value in schedule.pv_kw.sum(axis=0).tolist()],
        import_margin_kw=problem.limits.import_margin_kw,
        optimised=peak_dual is not None,
        agreed=agreed_reasons(problem, schedule, expected),
        events=[told[slot] for slot in slots.tolist()],
    )


Facts = dict[str, float | str]


def _peak(s: Setting, t: int, *, later: bool = False) -> Reason:
    facts: Facts = {"demand_kw": s.demand_kw[t], "limit_kw": s.limit_kw}
    return Reason(ReasonCode.PEAK, facts | ({"at": s.times[t]} if later else {}))


def _price(s: Setting, t: int, later: int) -> Reason:
    facts: Facts = {"now": round(s.price[t], 2), "later": round(s.price[later], 2), "at": s.times[later]}
    return Reason(ReasonCode.PRICE, facts)


class _StorageView:
    """One battery on its way through the horizon."""

    def __init__(
        self, s: Setting, storage: CarProblem | StorageProblem, power: FloatArray, soc: FloatArray
    ) -> None:
        n = len(s.price)
        self.s, self.power = s, power.tolist()
        self.before = [storage.soc0_kwh, *soc.tolist()[:-1]]
        self.capacity = storage.capacity_kwh
        if isinstance(storage, CarProblem):
            self.plugged, self.may = list(storage.plugged), list(storage.may_discharge)
            self.value = [float(value) for value in storage.discharge_value_yen_per_kwh]
            self.floor, promises = storage.floor_kwh, storage.promises
            self.ready = storage.ready_kwh
        else:
            self.plugged, self.may, self.value = [True] * n, [True] * n, [0.0] * n
            self.floor, promises = storage.reserve_kwh, ()
            self.ready = 0.0
        self.promise: list[tuple[int, float] | None] = [None] * n
        wanted = {promise.index: promise.soc_kwh for promise in promises}
        self.gives: list[int | None] = [None] * n  # next interval of giving back before it drives away
        self.takes: list[int | None] = [None] * n
        self.back: list[int | None] = [None] * n
        gives: int | None = None
        takes: int | None = None
        back: int | None = None
        promise_ahead: tuple[int, float] | None = None
        for t in range(n - 1, -1, -1):
            if t + 1 in wanted:
                promise_ahead = (t + 1, wanted[t + 1])
            if not self.plugged[t]:
                gives = takes = None
            self.promise[t], self.gives[t], self.takes[t], self.back[t] = promise_ahead, gives, takes, back
            if self.plugged[t]:
                back = t
            if self.power[t] < -_KW:
                gives = t
            elif self.power[t] > _KW:
                takes = t

    def percent(self, energy_kwh: float) -> float:
        return round(float(100.0 * energy_kwh / self.capacity), 1)

    def promised(self, t: int, ahead: tuple[int, float]) -> Reason:
        index, wanted = ahead
        facts: Facts = {
            "soc_percent": self.percent(wanted),
            "at": self.s.times[index],
            "price": self.s.price[t],
        }
        return Reason(ReasonCode.PROMISE, facts)

    def event(self, t: int, *, later: bool = False) -> Reason:
        facts: Facts = {"coins_per_kwh": self.value[t], **self.s.events[t]}
        return Reason(ReasonCode.EVENT, facts | ({"at": self.s.times[t]} if later else {}))

    def idle(self, t: int) -> Reason:
        facts: Facts = {"soc_percent": self.percent(self.before[t])}
        if self.before[t] < self.floor + _CLOSE * self.capacity:
            facts["soc_min_percent"] = self.percent(self.floor)
        return Reason(ReasonCode.IDLE, facts)

    def why(self, t: int) -> Reason:
        if not self.plugged[t]:
            back = self.back[t]
            return Reason(ReasonCode.AWAY, {} if back is None else {"back_at": self.s.times[back]})
        if self.power[t] > _KW:
            return self.why_charge(t)
        return self.why_give(t) if self.power[t] < -_KW else self.why_wait(t)

    def why_charge(self, t: int) -> Reason:
        s, ahead, gives = self.s, self.promise[t], self.gives[t]
        if self.before[t] < self.floor - 1e-3:
            facts: Facts = {
                "floor_percent": self.percent(self.floor),
                "soc_percent": self.percent(self.before[t]),
            }
            return Reason(ReasonCode.PROMISE, facts)
        if s.spare_sun[t]:
            return Reason(ReasonCode.SURPLUS, {"pv_kw": s.sun_kw[t]})
        if ahead is not None and self.before[t] < ahead[1] - 1e-3:
            return self.promised(t, ahead)
        if gives is not None:
            if s.tight[gives]:
                return self.event(gives, later=True)
            return _peak(s, gives, later=True) if s.peak[gives] else _price(s, t, gives)
        if ahead is not None and self.before[t] < ahead[1] - 1e-3:
            return self.promised(t, ahead)
        if self.before[t] < self.ready - 1e-3 and s.price[t] >= max(s.price[t:]) - _YEN:
            return Reason(ReasonCode.READY, {"soc_percent": self.percent(self.ready)})
        return self.promised(t, ahead) if ahead is not None else _price(s, t, _dearest(s, t))

    def why_give(self, t: int) -> Reason:
        s = self.s
        if s.tight[t]:
            return self.event(t)
        if s.peak[t]:
            return _peak(s, t)
        takes = self.takes[t]
        later = takes if takes is not None else _cheapest(s, t)
        return _price(s, t, later) if s.price[t] > min(s.price) + _YEN else _peak(s, t)

    def why_wait(self, t: int) -> Reason:
        s, ahead, takes = self.s, self.promise[t], self.takes[t]
        if s.tight[t] and not self.may[t]:
            return Reason(ReasonCode.OPTED_OUT, {"coins_per_kwh": self.value[t]})
        waits = takes is not None and ahead is not None and self.before[t] < ahead[1] - 1e-3
        if waits and takes is not None:
            if s.tight[t]:
                return self.event(t)
            if s.peak[t]:
                return _peak(s, t)
            if s.price[takes] < s.price[t] - _YEN:
                return _price(s, t, takes)
        if s.tight[t] and self.before[t] <= self.floor + 1e-2:
            facts: Facts = {
                "floor_percent": self.percent(self.floor),
                "soc_percent": self.percent(self.before[t]),
            }
            return Reason(ReasonCode.PROMISE, facts)
        if s.tight[t] and ahead is not None:
            return self.promised(t, ahead)
        return self.idle(t)


def _dearest(s: Setting, t: int) -> int:
    ahead = s.price[t + 1 :]
    return t + 1 + ahead.index(max(ahead)) if ahead else t


def _cheapest(s: Setting, t: int) -> int:
    ahead = s.price[t + 1 :]
    return t + 1 + ahead.index(min(ahead)) if ahead else t


def storage_reasons(
    s: Setting, storage: CarProblem | StorageProblem, power_kw: FloatArray, soc_kwh: FloatArray
) -> list[Reason]:
    """Reasons of a car or a battery, one per interval."""
    view = _StorageView(s, storage, power_kw, soc_kwh)
    reasons = []
    for t, power in enumerate(view.power):
        waits = abs(power) <= _KW and view.takes[t] is not None
        reasons.append(s.agreed.reason(storage, t, power, view.why(t), waits=waits))
    return reasons


def other_reasons(s: Setting, other: OtherAsset, power_kw: FloatArray) -> list[Reason]:
    """Reasons of an asset of a kind from outside: its feeder, the peak, the price."""
    reasons = []
    for t, power in enumerate(power_kw.tolist()):
        own = Reason(ReasonCode.IDLE, {"power_kw": round(power, 2)})
        if s.peak[t]:
            own = _peak(s, t)
        elif power > _KW and s.price[t] < max(s.price[t:]) - _YEN:
            own = _price(s, t, _dearest(s, t))
        reasons.append(s.agreed.reason(other, t, power, own))
    return reasons


def zone_reasons(s: Setting, zone: ZoneProblem, power_kw: FloatArray, room_c: FloatArray) -> list[Reason]:
    """Reasons of an air conditioner, one per interval."""
    power, room = power_kw.tolist(), room_c.tolist()
    ahead = _zone_ahead(s, zone)
    reasons = []
    for t, kw in enumerate(power):
        own = _zone_why(s, zone, t, power=kw, room=room[t], ahead=ahead[t])
        reasons.append(s.agreed.reason(zone, t, kw, unit_reason(s.agreed, zone, power, t) or own))
    return reasons


def _limit(zone: ZoneProblem, t: int) -> float:
    """The edge of the band that the unit works against."""
    return float(zone.high_c[t] if zone.mode_sign[t] < 0 else zone.low_c[t])


def _zone_ahead(s: Setting, zone: ZoneProblem) -> list[tuple[int, str] | None]:
    """Next interval for which it may pay to heat or cool ahead, and what comes there, up to half a day on."""
    n, reach = len(s.price), 24
    found: list[tuple[int, str] | None] = [None] * n
    for t in range(n):
        for u in range(t + 1, min(n, t + reach)):
            tighter = (_limit(zone, u) - _limit(zone, t)) * zone.mode_sign[t] > _KELVIN
            if tighter:
                found[t] = (u, "comfort")
            elif s.tight[u] and not s.tight[t]:
                found[t] = (u, "event")
            elif s.peak[u] and not s.peak[t]:
                found[t] = (u, "peak")
            elif s.price[u] > s.price[t] + _YEN:
                found[t] = (u, "price")
            if found[t] is not None:
                break
    return found


def _zone_why(
    s: Setting, zone: ZoneProblem, t: int, *, power: float, room: float, ahead: tuple[int, str] | None
) -> Reason:
    sign, limit = zone.mode_sign[t], _limit(zone, t)
    spare_k = (room - limit) * sign  # degrees inside the edge that the unit works against
    facts: Facts = {"room_c": round(room, 1)}
    if sign == 0:
        return Reason(ReasonCode.IDLE, facts)
    if spare_k < -_KELVIN:
        if s.tight[t]:
            return Reason(ReasonCode.EVENT, {**facts, "limit_c": round(limit, 1), **s.events[t]})
        if s.peak[t]:
            return _peak(s, t)
    if power <= _KW:
        return Reason(ReasonCode.IDLE, facts)
    facts["limit_c"] = round(limit, 1)
    if spare_k <= _KELVIN:
        return Reason(ReasonCode.COMFORT, facts)
    if s.spare_sun[t]:
        return Reason(ReasonCode.SURPLUS, {"pv_kw": s.sun_kw[t]})
    if ahead is None:
        return Reason(ReasonCode.COMFORT, facts)
    later, because = ahead
    if because == "comfort":
        told = facts | {"at": s.times[later], "limit_c": round(_limit(zone, later), 1)}
        return Reason(ReasonCode.COMFORT, told)
    if not s.optimised:
        return Reason(ReasonCode.COMFORT, facts)
    facts["at"] = s.times[later]
    return Reason(ReasonCode.PRE_CONDITION, facts | {"because": because})


def pv_reasons(s: Setting, available_kw: FloatArray, used_kw: FloatArray) -> list[Reason]:
    """Reasons of an array, one per interval: held back because of the connection, or free."""
    reasons = []
    for available, used in zip(available_kw.tolist(), used_kw.tolist(), strict=True):
        if available - used > _KW:
            facts: Facts = {
                "curtailed_kw": round(available - used, 2),
                "import_margin_kw": s.import_margin_kw,
            }
            reasons.append(Reason(ReasonCode.EXPORT, facts))
        else:
            reasons.append(Reason(ReasonCode.IDLE, {"available_kw": round(available, 2)}))
    return reasons
