"""How wishes change what a site plans and does; pure functions of the wishes in force."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from energy.core.assets import Trip
from energy.core.plan import CarProblem, Plan, Problem, Promise, Reason, ReasonCode, Setpoint, ZoneProblem
from energy.core.slots import JST
from energy.core.units import AssetId
from vpp.wishes.acts import ChargeNow, Departure, HoldPower, HoldRoom, NoDischarge, PersonsWish

__all__ = ["Asked", "asked_now", "departure_on", "manual", "problem_with_wishes", "told_why", "trips_with"]

# How long somebody is away who gave a departure on a day without a trip; the plug tells when they are back.
UNKNOWN_TRIP: Final = timedelta(hours=9)
# A held room is held this well in a plan: what a thermostat does, and what a forecast misses. [K]
_HELD_K: Final = 0.5
# The promise of full power is a little less than full power: the plan's own reserve is above it. [-]
_RAMP: Final = 0.97


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What people want of the equipment now.

    Parameters
    ----------
    no_discharge : frozenset of AssetId
        Cars that give nothing back.
    charge : mapping
        Cars that charge at once, and the state of charge at which it is enough; None for the highest. [-]
    power_kw : mapping
        Power that a car's charger holds. [kW]
    room_c : mapping
        Temperature at which a room is held. [degC]
    until : mapping
        When that ends, by asset; missing where it does not say.
    """

    no_discharge: frozenset[AssetId] = frozenset()
    charge: Mapping[AssetId, float | None] = field(default_factory=dict)
    power_kw: Mapping[AssetId, float] = field(default_factory=dict)
    room_c: Mapping[AssetId, float] = field(default_factory=dict)
    until: Mapping[AssetId, datetime] = field(default_factory=dict)


def asked_now(wishes: Iterable[PersonsWish]) -> Asked:
    """Wishes in force, sorted by what they ask for; of two about the same thing the newer one counts."""
    no_discharge: set[AssetId] = set()
    charge: dict[AssetId, float | None] = {}
    power: dict[AssetId, float] = {}
    room: dict[AssetId, float] = {}
    until: dict[AssetId, datetime] = {}
    for wish in sorted(wishes, key=lambda one: one.made_at):
        asset = AssetId(wish.asset)
        match wish.act:
            case NoDischarge():
                no_discharge.add(asset)
                continue
            case ChargeNow(charge=enough):
                charge[asset] = enough
                power.pop(asset, None)
            case HoldPower(power_kw=held):
                power[asset] = held
                charge.pop(asset, None)
            case HoldRoom(room_c=held):
                room[asset] = held
            case Departure():
                continue
        until.pop(asset, None)
        if wish.until is not None:
            until[asset] = wish.until
    return Asked(
        no_discharge=frozenset(no_discharge), charge=charge, power_kw=power, room_c=room, until=until
    )


# -- departures ------------------------------------------------------------------------------------------


def trips_with(
    trips: Sequence[Trip], wishes: Iterable[PersonsWish], *, now: datetime, days: int = 5
) -> tuple[Trip, ...]:
    """The calendar with the departures that people asked for, in order of departure.

    On a day that a wish is about, the trip that is nearest in time leaves at the wished time with the wished
    charge and stays away as long as it would have; where there is none a trip of unknown use is added. A wish
    for one day counts before one for every week, a newer one before an older one. Trips that had begun when
    the wish was made stay.

    Parameters
    ----------
    days : int
        Days from today on that are looked at; the horizon of a plan and the departures just after it.
    """
    ordered = sorted(wishes, key=lambda one: (_is_for_one_day(one), one.made_at), reverse=True)
    departures = [(one, one.act) for one in ordered if isinstance(one.act, Departure)]
    found = list(trips)
    yesterday = now.astimezone(JST).date() - timedelta(days=1)
    for vehicle in dict.fromkeys(one.asset for one, _ in departures):
        for day in (yesterday + timedelta(days=k) for k in range(days + 1)):
            wanted = next(
                ((one, act) for one, act in departures if one.asset == vehicle and act.holds_on(day)), None
            )
            if wanted is not None and departure_on(wanted[1], day) > wanted[0].made_at:
                found = _with_departure(found, wanted[0], departure_on(wanted[1], day), wanted[1].charge)
    return tuple(sorted(found, key=lambda trip: trip.departs))


def _is_for_one_day(wish: PersonsWish) -> bool:
    return isinstance(wish.act, Departure) and wish.act.day is not None


def departure_on(act: Departure, day: date) -> datetime:
    """The instant of a wished departure on a day, UTC."""
    return datetime.combine(day, act.at, tzinfo=JST).astimezone(UTC)


def _with_departure(trips: list[Trip], wish: PersonsWish, departs: datetime, charge: float) -> list[Trip]:
    day, made_at = departs.astimezone(JST).date(), wish.made_at
    own = [trip for trip in trips if trip.vehicle == wish.asset]
    same_day = [trip for trip in own if trip.departs.astimezone(JST).date() == day and trip.departs > made_at]
    old = min(same_day, key=lambda trip: abs(trip.departs - departs), default=None)
    others = [trip for trip in own if trip is not old]
    if any(trip.departs <= made_at and departs < trip.returns for trip in others):
        return trips  # on the road by then: nothing that a plug could do
    others = [
        replace(trip, returns=departs) if trip.departs < departs < trip.returns else trip for trip in others
    ]
    away = UNKNOWN_TRIP if old is None else old.returns - old.departs
    returns = min([departs + away, *(trip.departs for trip in others if trip.departs > departs)])
    new = Trip(
        vehicle=wish.asset,
        departs=departs,
        returns=returns,
        energy_kwh=0.0 if old is None else old.energy_kwh,  # what nobody planned is measured at the plug
        promise_soc=charge,
    )
    return [*(trip for trip in trips if trip.vehicle != wish.asset), *others, new]


def told_why(plan: Plan, asked: Asked) -> Plan:
    """The plan whose setpoints say where a person said so."""
    if not (asked.charge or asked.power_kw or asked.room_c):
        return plan
    return replace(plan, setpoints=tuple(_told(point, asked) for point in plan.setpoints))


def _told(point: Setpoint, asked: Asked) -> Setpoint:
    until = asked.until.get(point.asset)
    charges = point.asset in asked.charge and point.power_kw > 0.0
    if not (charges or point.asset in asked.power_kw or point.asset in asked.room_c):
        return point
    if until is not None and point.slot.start >= until:
        return point
    return replace(point, reason=manual(asked, point.asset))


def manual(asked: Asked, asset: AssetId) -> Reason:
    """That a person said so, and until when."""
    until = asked.until.get(asset)
    return Reason(ReasonCode.MANUAL, {} if until is None else {"until": until.isoformat()})


# -- the plan ----------------------------------------------------------------------------------------------


def problem_with_wishes(problem: Problem, asked: Asked) -> Problem:
    """The problem that knows of cars that charge at once, of held chargers and of held rooms.

    Departures are in the calendar and cars that give nothing back in ``may_discharge`` already.
    """
    if not (asked.charge or asked.power_kw or asked.room_c):
        return problem
    return replace(
        problem,
        cars=tuple(_car(problem, car, asked) for car in problem.cars),
        zones=tuple(_zone(problem, zone, asked) for zone in problem.zones),
    )


def _hours(problem: Problem, k: int) -> float:
    """Length of an interval. [h]"""
    return (problem.time(k + 1) - problem.time(k)) / timedelta(hours=1)


def _held(problem: Problem, asked: Asked, asset: AssetId) -> int:
    """Number of intervals in which what was asked of an asset holds."""
    until = asked.until.get(asset, problem.time(problem.count))
    return sum(problem.time(k) < until for k in range(problem.count))


def _car(problem: Problem, car: CarProblem, asked: Asked) -> CarProblem:
    count = _held(problem, asked, car.id)
    if car.id in asked.power_kw and asked.power_kw[car.id] <= 0.0:
        plugged = tuple(here and k >= count for k, here in enumerate(car.plugged))
        return replace(car, plugged=plugged)
    if car.id in asked.power_kw:
        power, enough = min(asked.power_kw[car.id], car.max_charge_kw), car.ceiling_kwh
    elif car.id in asked.charge:
        share = asked.charge[car.id]
        power = car.max_charge_kw
        enough = car.ceiling_kwh if share is None else min(car.ceiling_kwh, share * car.capacity_kwh)
    else:
        return car
    promises, stored = [], car.soc0_kwh
    for k in range(count):
        if not car.plugged[k] or stored >= enough:
            break
        stored = min(enough, stored + _RAMP * power * car.charge_efficiency * _hours(problem, k))
        promises.append(Promise(index=k + 1, soc_kwh=stored))
    still = tuple(may and k >= len(promises) for k, may in enumerate(car.may_discharge))
    return replace(car, promises=(*promises, *car.promises), may_discharge=still)


def _zone(problem: Problem, zone: ZoneProblem, asked: Asked) -> ZoneProblem:
    """A room with the wished temperature for its band, as soon as its unit can bring it there."""
    wanted = asked.room_c.get(zone.id)
    if wanted is None:
        return zone
    low, high, ready = list(zone.low_c), list(zone.high_c), list(zone.ready_k)
    reached = zone.temp0_c
    for k in range(_held(problem, asked, zone.id)):
        reached = _driven(problem, zone, k, reached, wanted)
        low[k], high[k] = min(wanted, reached) - _HELD_K, max(wanted, reached) + _HELD_K
        if ready:
            ready[k] = 0.0
    return replace(zone, low_c=tuple(low), high_c=tuple(high), ready_k=tuple(ready))


def _driven(problem: Problem, zone: ZoneProblem, k: int, room_c: float, wanted: float) -> float:
    """Temperature after an interval in which the unit does all it can towards a temperature. [degC]"""
    free = zone.loss_kw_per_k * (problem.outdoor_c[k] - room_c) + zone.gain_kw[k]
    per_kw = zone.mode_sign[k] * zone.cop[k]
    rate = zone.capacitance_kwh_per_k / _hours(problem, k)
    drifted = room_c + free / rate
    driven = drifted + per_kw * zone.max_electric_kw / rate
    return min(max(wanted, min(drifted, driven)), max(drifted, driven))
