"""A car as its driver wants to know it: can I leave, what will it do until then, what did it bring me."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final, Literal

from energy.core.assets import Charger, OwnerType, Trip, Vehicle
from energy.core.plan import Reason, ReasonCode
from energy.core.site import Site
from energy.core.slots import JST, SLOT_HOURS, SLOT_LENGTH, Slot, jst_midnight
from energy.ledger import Journal, is_expiry
from energy.ledger.journal import StatementLine
from energy.store import Snapshot, Store
from vpp.site.ahead import Ahead, ahead_of
from vpp.site.recorder import SiteSeries
from vpp.wishes import CarNow, PersonsWish, Possible, car_now, possible_departure, wishes_at
from vpp.wishes.ask import calendar_of, leave_next

__all__ = ["KM_PER_KWH", "Care", "Coins", "DriverCard", "Leaves", "Stretch", "coins_of", "driver_card"]

KM_PER_KWH: Final = 6.0
"""Range from a kWh in the battery; small electric cars of WLTC 7-8 km/kWh in mixed traffic and weather. Said
beside every figure that is made with it. [km/kWh]"""
HORIZON: Final = timedelta(hours=24)
STALE: Final = timedelta(minutes=90)
_STILL_KW: Final = 0.1
_RECENT: Final = 5

Doing = Literal["charge", "wait", "give", "away"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """The next departure.

    Parameters
    ----------
    possible : Possible
        What physics allows.
    expected : float or None
        State of charge that the plan expects at departure; None beyond the plan. [-]
    """

    trip: Trip
    possible: Possible
    expected: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Half hours in a row in which the car does the same.

    Parameters
    ----------
    kw, kwh : float
        Mean power and energy at the plug, without sign. [kW], [kWh]
    share : float
        Of the bar's length. [-]
    coins : int or None
        What it is expected to earn; None where nothing is said of coins.
    km : float
        Range that giving back costs. [km]
    refilled_at : datetime or None
        When the charge is back to what it was before; None if the plan does not reach that far.
    """

    doing: Doing
    start: datetime
    end: datetime
    kw: float
    kwh: float
    share: float
    reason: Reason
    coins: int | None = None
    km: float = 0.0
    refilled_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """What this month asked of the battery.

    Parameters
    ----------
    given_kwh : float
        Given back at the plug. [kWh]
    cycles : float
        Of the full capacity. [-]
    """

    given_kwh: float
    cycles: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Coins:
    """What a car earned for its driver; newest first."""

    balance: int
    personal: bool
    lines: tuple[StatementLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverCard:
    """Everything that the page shows, as values."""

    site: Site
    vehicle: Vehicle
    charger: Charger
    now: datetime
    state: CarNow
    leaves: Leaves | None
    back_at: datetime | None
    stretches: tuple[Stretch, ...]
    wishes: tuple[PersonsWish, ...]
    care: Care

    @property
    def range_km(self) -> float | None:
        """Estimated range. [km]"""
        return None if self.state.soc is None else self.state.soc * self.vehicle.capacity_kwh * KM_PER_KWH

    @property
    def age(self) -> timedelta | None:
        """How old the measured charge is."""
        return None if self.state.soc_at is None else self.now - self.state.soc_at

    @property
    def stale(self) -> bool:
        """Whether it is too old to be taken for the present one."""
        return self.age is None or self.age > STALE

    def wish(self, kind: str) -> PersonsWish | None:
        """The newest wish of a kind that is in force."""
        return next((one for one in reversed(self.wishes) if one.act.kind == kind), None)


def driver_card(known: Snapshot, site: Site, vehicle: Vehicle, now: datetime) -> DriverCard:
    """What the store knows of a car at an instant."""
    state, trips = car_now(known, site.id, vehicle.id), calendar_of(site, known, now)
    plan = ahead_of(known, site.id, now)
    away = next((t for t in trips if t.vehicle == vehicle.id and t.departs <= now < t.returns), None)
    return DriverCard(
        site=site,
        vehicle=vehicle,
        charger=site.charger_of(vehicle),
        now=now,
        state=state,
        leaves=_leaves(site, vehicle, state, trips, plan, now),
        back_at=away.returns if away is not None and state.plugged is not True else None,
        stretches=() if plan is None else tuple(_stretches(plan, site, vehicle, now)),
        wishes=tuple(one for one in wishes_at(known, site.id, now) if one.asset == vehicle.id),
        care=_care(known, site, vehicle, now),
    )


def _leaves(
    site: Site,
    vehicle: Vehicle,
    state: CarNow,
    trips: tuple[Trip, ...],
    plan: Ahead | None,
    now: datetime,
) -> Leaves | None:
    trip = leave_next(trips, vehicle.id, now)
    if trip is None:
        return None
    ask = (trip.departs, trip.promise_soc)
    before = [one for one in trips if one is not trip]
    possible = possible_departure(site, vehicle, state, before, now=now, ask=ask)
    return Leaves(trip=trip, possible=possible, expected=_expected(plan, vehicle, trip.departs))


def _expected(plan: Ahead | None, vehicle: Vehicle, departs: datetime) -> float | None:
    """State of charge that a plan expects at the start of the half hour of a departure. [-]"""
    if plan is None or vehicle.id not in plan.assets:
        return None
    index = (Slot.containing(departs).start - plan.start) // SLOT_LENGTH - 1
    states = plan.assets[vehicle.id].expected
    energy = states[index] if 0 <= index < len(states) else None
    return None if energy is None else energy / vehicle.capacity_kwh


# -- the hours to come -------------------------------------------------------------------------------------


def _stretches(plan: Ahead, site: Site, vehicle: Vehicle, now: datetime) -> Iterator[Stretch]:
    """The plan of the next day in stretches, whose shares of the bar sum to one."""
    row = plan.assets.get(vehicle.id)
    if row is None:
        return
    starts = plan.slots()
    first = Slot.containing(now).start
    inside = [k for k, start in enumerate(starts) if first <= start < first + HORIZON]
    for doing, group in groupby(inside, key=lambda k: _doing(row.power_kw[k], plan.reason(vehicle.id, k))):
        places = list(group)
        kwh = abs(sum(row.power_kw[k] for k in places)) * SLOT_HOURS
        heaviest = max(places, key=lambda k: abs(row.power_kw[k]))
        reason = plan.reason(vehicle.id, heaviest)
        gives = doing == "give"
        yield Stretch(
            doing=doing,
            start=max(now, starts[places[0]]),
            end=starts[places[-1]] + SLOT_LENGTH,
            kw=kwh / (len(places) * SLOT_HOURS),
            kwh=kwh,
            share=len(places) / len(inside),
            reason=reason,
            coins=_coins(reason, kwh) if gives else None,
            km=kwh / site.charger_of(vehicle).discharge_efficiency * KM_PER_KWH if gives else 0.0,
            refilled_at=_refilled(plan, vehicle.id, places) if gives else None,
        )


def _doing(power_kw: float, reason: Reason) -> Doing:
    if reason.code is ReasonCode.AWAY:
        return "away"
    if abs(power_kw) < _STILL_KW:
        return "wait"
    return "charge" if power_kw > 0 else "give"


def _coins(reason: Reason, kwh: float) -> int | None:
    rate = reason.facts.get("coins_per_kwh")
    return int(float(rate) * kwh) if isinstance(rate, (int, float)) and rate > 0 else None


def _refilled(plan: Ahead, car: str, places: list[int]) -> datetime | None:
    """When the energy is back to what it was before a stretch."""
    states = plan.assets[car].expected
    before = states[places[0] - 1] if places[0] > 0 else states[0]
    if before is None:
        return None
    later = range(places[-1] + 1, len(states))
    reached = (k for k in later if (state := states[k]) is not None and state >= before - 0.05)
    index = next(reached, None)
    return None if index is None else plan.start + (index + 1) * SLOT_LENGTH


# -- battery and coins -------------------------------------------------------------------------------------


def _care(known: Snapshot, site: Site, vehicle: Vehicle, now: datetime) -> Care:
    """What was given back since the month began in Japan, as full cycles of the battery."""
    month = jst_midnight(now.astimezone(JST).date().replace(day=1))
    values = known.values(SiteSeries(site.id)[vehicle.id, "discharge_kwh"], month, now)
    given = sum(one.value for one in values if one.value is not None)
    battery = given / site.charger_of(vehicle).discharge_efficiency
    return Care(given_kwh=given, cycles=battery / vehicle.capacity_kwh)


def coins_of(store: Store, card: DriverCard, *, only_here: bool) -> Coins:
    """What a car brought its driver.

    Parameters
    ----------
    only_here : bool
        Whether no other site has a car of this id: then bookings that name no site are this car's too.
    """
    vehicle = card.vehicle
    if vehicle.owner is not OwnerType.EMPLOYEE:
        return Coins(balance=0, personal=False, lines=())
    statement = Journal(store).statement(f"driver/{vehicle.driver}", end=card.now + timedelta(microseconds=1))
    default = card.site.id if only_here else ""
    mine = [
        line
        for line in statement.lines
        if is_expiry(line.key)  # of all the driver earned: the balance is of the account, too
        or (line.facts.get("vehicle") == vehicle.id and line.facts.get("site", default) == card.site.id)
    ]
    return Coins(balance=statement.closing_points, personal=True, lines=tuple(reversed(mine[-_RECENT:])))
