"""What a car can be, by physics alone: a wish that cannot be met is answered with what can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from energy.core.assets import Charger, Trip, Vehicle
from energy.core.measurement import Quality
from energy.core.site import Site
from energy.store import Snapshot
from vpp.site.recorder import SiteSeries

__all__ = ["CarNow", "Possible", "car_now", "possible_departure", "reachable_soc", "ready_at"]

_MEASURED: Final = 0.005  # a charger's register counts whole percent


@dataclass(frozen=True, slots=True, kw_only=True)
class CarNow:
    """What is known of a car.

    Parameters
    ----------
    soc : float or None
        Last measured state of charge; None if none was ever measured. [-]
    soc_at : datetime or None
        When that was.
    plugged : bool or None
        Whether it is at its plug; None if that is not known.
    """

    soc: float | None = None
    soc_at: datetime | None = None
    plugged: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Possible:
    """What can be of a departure.

    Parameters
    ----------
    charge : float
        State of charge that can be reached by then, at most what was asked for. [-]
    ready_at : datetime or None
        When what was asked for can be had; None if it cannot, or the charge of the car is unknown.
    met : bool
        Whether what was asked for can be had in time.
    """

    charge: float
    ready_at: datetime | None
    met: bool


def car_now(known: Snapshot, site: str, vehicle: str) -> CarNow:
    """The last that was measured of a car, whatever its age.

    A charger without a car answers 0: that is none of the car's charge.
    """
    names = SiteSeries(site)
    soc, plugged = known.latest(names[vehicle, "soc"]), known.latest(names[vehicle, "plugged"])
    is_out = plugged is not None and plugged.value == 0.0
    usable = soc is not None and soc.value is not None and soc.quality is Quality.GOOD
    usable = usable and not (is_out and soc is not None and soc.value == 0.0)
    return CarNow(
        soc=soc.value if soc is not None and usable else None,
        soc_at=soc.known_at if soc is not None and usable else None,
        plugged=None if plugged is None or plugged.value is None else plugged.value == 1.0,
    )


def reachable_soc(vehicle: Vehicle, charger: Charger, soc: float, *, start: datetime, end: datetime) -> float:
    """Highest state of charge at an instant: ``soc + eta * max_charge * (end - start) / capacity``. [-]"""
    hours = max(0.0, (end - start) / timedelta(hours=1))
    added = charger.charge_efficiency * charger.max_charge_kw * hours / vehicle.capacity_kwh
    return max(soc, min(vehicle.soc_max, soc + added))


def ready_at(vehicle: Vehicle, charger: Charger, soc: float, *, start: datetime, charge: float) -> datetime:
    """When a state of charge is reached at full power, from an instant on."""
    missing_kwh = max(0.0, charge - soc) * vehicle.capacity_kwh
    return start + timedelta(hours=missing_kwh / (charger.charge_efficiency * charger.max_charge_kw))


def possible_departure(
    site: Site,
    vehicle: Vehicle,
    state: CarNow,
    trips: Sequence[Trip],
    *,
    now: datetime,
    ask: tuple[datetime, float],
) -> Possible:
    """What a car can leave with.

    Parameters
    ----------
    trips : sequence of Trip
        The calendar of the car: a car on the road can only be charged when it is back, with what the trip
        leaves.
    ask : (datetime, float)
        Departure, UTC, and the state of charge asked for. [-]
    """
    departs, charge = ask
    if state.soc is None:
        return Possible(charge=charge, ready_at=None, met=charge <= vehicle.soc_max)
    start, soc = now, state.soc
    for trip in sorted(trips, key=lambda one: one.departs):
        if trip.vehicle != vehicle.id or trip.returns <= now or trip.departs >= departs:
            continue
        under_way = trip.departs <= now
        left = (trip.returns - now) / (trip.returns - trip.departs) if under_way else 1.0
        if not under_way:
            soc = reachable_soc(vehicle, site.charger_of(vehicle), soc, start=start, end=trip.departs)
        elif state.soc_at is not None and state.soc_at <= trip.departs:
            left = 1.0  # nothing was measured on the road: the whole trip is still to be taken off
        soc = max(0.0, soc - left * trip.energy_kwh / vehicle.capacity_kwh)
        start = max(start, trip.returns)
    charger = site.charger_of(vehicle)
    most = reachable_soc(vehicle, charger, soc, start=start, end=departs)
    ready = None
    if charge <= vehicle.soc_max + _MEASURED:
        ready = ready_at(vehicle, charger, soc, start=start, charge=charge)
    met = most >= charge - _MEASURED
    return Possible(charge=charge if met else most, ready_at=ready, met=met)
