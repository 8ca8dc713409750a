"""Asking: what somebody wants is looked at with physics and the calendar before it is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Final

from energy.core.assets import Trip, Vehicle, expand_trips
from energy.core.site import Site
from energy.core.slots import JST
from energy.store import Snapshot, Store
from vpp.wishes.acts import Act, ChargeNow, Departure, HoldPower, HoldRoom, NoDischarge, PersonsWish
from vpp.wishes.book import LONGEST, WishBook, wishes_at
from vpp.wishes.obey import departure_on, trips_with
from vpp.wishes.possible import Possible, car_now, possible_departure

__all__ = ["REFUSALS", "Asking", "Refused", "ask", "calendar_of", "leave_next", "until_of"]

REFUSALS: Final = (
    "no-such-asset",
    "not-for-this-asset",
    "gone",
    "too-far",
    "below",
    "above",
    "on-the-road",
    "full",
    "bad-end",
    "too-strong",
)
"""Why a wish can be refused; texts are ``wish.refused.CODE``."""
_AHEAD: Final = timedelta(days=7)
_FULL: Final = 0.01  # a charger counts whole percent
_LATE: Final = time(22, 0)  # what is asked for today after this means the night too


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A wish that was not kept, and why.

    Parameters
    ----------
    code : str
        One of :data:`REFUSALS`.
    facts : mapping
        Values for the text: shares, powers [kW] and instants.
    """

    code: str
    facts: Mapping[str, float | datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A wish that was kept, and what can be of it.

    Parameters
    ----------
    possible : Possible or None
        For a departure: what the car can leave with; the wish is kept also if that is less than asked for.
    departs : datetime or None
        For a departure: the next one that it means.
    """

    wish: PersonsWish
    possible: Possible | None = None
    departs: datetime | None = None


def calendar_of(site: Site, known: Snapshot, now: datetime) -> tuple[Trip, ...]:
    """Trips of a site from yesterday to a week ahead, with the departures that people asked for."""
    trips = [
        trip
        for vehicle, patterns in site.trips.items()
        for trip in expand_trips(vehicle, patterns, now - timedelta(days=1), now + LONGEST)
    ]
    ordered = sorted(trips, key=lambda trip: trip.departs)
    return trips_with(ordered, wishes_at(known, site.id, now), now=now, days=LONGEST.days)


def leave_next(trips: Sequence[Trip], vehicle: str, now: datetime) -> Trip | None:
    """The next departure of a car."""
    return next((trip for trip in trips if trip.vehicle == vehicle and trip.departs > now), None)


def until_of(act: Act, *, now: datetime, next_departure: datetime | None) -> datetime | None:
    """When a wish ends by itself if nobody says otherwise.

    A departure is remembered for the trip after it; charging at once ends when the car leaves, at the latest
    a day on; no discharge holds for the day in Japan, late in the evening until the end of the next.
    """
    match act:
        case Departure(day=None):
            return None
        case Departure(day=day):
            assert day is not None
            return departure_on(act, day) + timedelta(days=1)
        case ChargeNow():
            day_on = now + timedelta(days=1)
            return day_on if next_departure is None else min(day_on, next_departure)
        case NoDischarge():
            local = now.astimezone(JST)
            days = 2 if local.time() >= _LATE else 1
            midnight = datetime.combine(local.date() + timedelta(days=days), time(0), tzinfo=JST)
            return midnight.astimezone(UTC)
        case HoldPower() | HoldRoom():
            return now + timedelta(hours=2)


def ask(
    store: Store, site: Site, asset: str, act: Act, *, at: datetime, by: str, until: datetime | None = None
) -> Asking | Refused:
    """Keep a wish, or say why not.

    Parameters
    ----------
    until : datetime, optional
        When it ends; as :func:`until_of` says unless given. Not for departures.
    """
    known = store.as_of(at)
    vehicle = next((one for one in site.vehicles if one.id == asset), None)
    if vehicle is None and asset not in {zone.id for zone in site.zones}:
        return Refused(code="no-such-asset")
    if (vehicle is None) != isinstance(act, HoldRoom):
        return Refused(code="not-for-this-asset")
    if isinstance(act, Departure) and act.day is not None:
        ahead = act.day - at.astimezone(JST).date()
        if not timedelta(0) <= ahead <= _AHEAD:
            return Refused(code="gone" if ahead < timedelta(0) else "too-far")
    trips = calendar_of(site, known, at)
    following = None if vehicle is None else leave_next(trips, vehicle.id, at)
    usual = until_of(act, now=at, next_departure=None if following is None else following.departs)
    end = usual if until is None or isinstance(act, Departure) else until
    if isinstance(act, Departure):
        assert vehicle is not None
        return _ask_to_leave(store, site, vehicle, act, at=at, by=by)
    if end is None or not at < end <= at + LONGEST:
        return Refused(code="bad-end")
    refused = None if vehicle is None else _refused(known, site, vehicle, act)
    if refused is not None:
        return refused
    return Asking(wish=WishBook(store).make(site.id, asset, act, until=end, at=at, by=by))


def _refused(known: Snapshot, site: Site, vehicle: Vehicle, act: Act) -> Refused | None:
    charger = site.charger_of(vehicle)
    if isinstance(act, HoldPower) and act.power_kw > charger.max_charge_kw:
        return Refused(code="too-strong", facts={"kw": charger.max_charge_kw})
    if isinstance(act, ChargeNow):
        enough = vehicle.soc_max if act.charge is None else act.charge
        if enough > vehicle.soc_max:
            return Refused(code="above", facts={"charge": vehicle.soc_max})
        soc = car_now(known, site.id, vehicle.id).soc
        if soc is not None and soc >= enough - _FULL:
            return Refused(code="full", facts={"charge": soc})
    return None


def _ask_to_leave(
    store: Store, site: Site, vehicle: Vehicle, act: Departure, *, at: datetime, by: str
) -> Asking | Refused:
    if act.charge > vehicle.soc_max:
        return Refused(code="above", facts={"charge": vehicle.soc_max})
    if act.charge < vehicle.soc_min:
        return Refused(code="below", facts={"charge": vehicle.soc_min})
    departs = _next_of(act, at)
    if not at < departs <= at + _AHEAD:
        return Refused(code="gone" if departs <= at else "too-far")
    known = store.as_of(at)
    trips = calendar_of(site, known, at)
    away = [one for one in trips if one.vehicle == vehicle.id and one.departs <= at and departs < one.returns]
    if away:
        return Refused(code="on-the-road", facts={"at": away[0].returns})
    until = until_of(act, now=at, next_departure=None)
    wish = WishBook(store).make(site.id, vehicle.id, act, until=until, at=at, by=by)
    # What is on the day of the wish is moved by it: only what lies before that day is charged for first.
    day = departs.astimezone(JST).date()
    before = [one for one in trips if one.departs.astimezone(JST).date() != day or one.departs <= at]
    possible = possible_departure(
        site, vehicle, car_now(known, site.id, vehicle.id), before, now=at, ask=(departs, act.charge)
    )
    return Asking(wish=wish, possible=possible, departs=departs)


def _next_of(act: Departure, at: datetime) -> datetime:
    """The next departure that a wish means."""
    if act.day is not None:
        return departure_on(act, act.day)
    today = at.astimezone(JST).date()
    days = (today + timedelta(days=k) for k in range(8))
    return next(when for day in days if act.holds_on(day) and (when := departure_on(act, day)) > at)
