"""What it would cost that a person holds a car or a room, said before it is done.

The estimate is the difference to the plan in force over the time of the hold: energy at its price, and demand
that would rise above what is paid already, for the twelve months that it is remembered. What comes after the
hold (charging later instead of now) is not in it, and the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from energy.core.assets import HvacZone, Vehicle, expand_trips
from energy.core.errors import ConfigError
from energy.core.series import Grid
from energy.core.site import Season, Site
from energy.core.slots import JST, SLOT_HOURS, SLOT_LENGTH, Slot
from energy.market.demand import PeakMemory
from energy.market.prices import slot_prices
from energy.store import Snapshot
from vpp.site.ahead import Ahead, ahead_of
from vpp.site.climate import comfort_limits, season_at
from vpp.site.planning import peak_price_yen_per_kw
from vpp.site.recorder import SiteSeries
from vpp.wishes import Act, ChargeNow, HoldPower, HoldRoom, car_now
from vpp.wishes.possible import reachable_soc

__all__ = ["Broken", "Preview", "preview"]

_MEASURED: Final = 0.005  # a charger's register counts whole percent
_USUAL_C: Final = 15.0  # outdoor temperature where none was measured; only the efficiency depends on it


@dataclass(frozen=True, slots=True)
class Broken:
    """A promise that the hold breaks: a departure that cannot be met any more. [-]"""

    departs: datetime
    promised: float
    possible: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a hold would do.

    Parameters
    ----------
    energy_kwh, energy_yen : float
        Bought more (+) or less (-) than planned until the end of the hold. [kWh, yen]
    peak_kw : float
        Highest demand of these half hours as it would be. [kW]
    peak_yen : float
        What that would add to the basic charge over twelve months. [yen]
    over_contract_kw : float
        Above the contract power; control will not allow it. [kW]
    broken : tuple of Broken
        Departures that would be missed.
    planned : bool
        Whether there is a plan to compare with; without one only the promises were looked at.
    """

    energy_kwh: float
    energy_yen: float
    peak_kw: float | None
    peak_yen: float
    over_contract_kw: float
    broken: tuple[Broken, ...]
    planned: bool

    @property
    def yen(self) -> float:
        """Energy and demand together. [yen]"""
        return self.energy_yen + self.peak_yen


def preview(known: Snapshot, site: Site, asset: str, act: Act, *, until: datetime, now: datetime) -> Preview:
    """What it costs to hold an asset from now to an end.

    Raises
    ------
    ConfigError
        If the site has no such asset, or nothing like this can be asked of it.
    """
    vehicle = next((one for one in site.vehicles if one.id == asset), None)
    zone = next((one for one in site.zones if one.id == asset), None)
    plan = ahead_of(known, site.id, now)
    places = () if plan is None else _places(plan, now, until)
    broken: tuple[Broken, ...] = ()
    if vehicle is not None and isinstance(act, (HoldPower, ChargeNow)):
        held = _car_kw(known, site, vehicle, act, len(places))
        if isinstance(act, HoldPower):
            broken = _broken(known, site, vehicle, act, until=until, now=now)
    elif zone is not None and isinstance(act, HoldRoom):
        held = () if plan is None else _room_kw(known, site, zone, act, plan, places)
    else:
        raise ConfigError(
            f"{act.kind} cannot be asked of {asset!r}", where=f"site {site.id}", hint="choose another asset"
        )
    if plan is None or asset not in plan.assets or not places:
        return Preview(
            energy_kwh=0.0,
            energy_yen=0.0,
            peak_kw=None,
            peak_yen=0.0,
            over_contract_kw=0.0,
            broken=broken,
            planned=False,
        )
    more = np.array([kw - plan.assets[asset].power_kw[k] for kw, k in zip(held, places, strict=True)])
    return _priced(site, plan, places, more, broken, now=now)


def _priced(
    site: Site,
    plan: Ahead,
    places: tuple[int, ...],
    more_kw: np.ndarray,
    broken: tuple[Broken, ...],
    *,
    now: datetime,
) -> Preview:
    """The difference to the plan at the site's prices."""
    grid = Grid(plan.slots()[places[0]], len(places))
    prices = slot_prices(site.tariff, grid).values
    demand = np.maximum(0.0, np.array([plan.import_kw[k] for k in places]) + more_kw)
    highest = float(demand.max())
    month = f"{now.astimezone(JST):%Y-%m}"
    paid = max(float(PeakMemory(dict(site.peak_memory_kw)).peak_kw(month)), max(plan.import_kw))
    return Preview(
        energy_kwh=float(more_kw.sum() * SLOT_HOURS),
        energy_yen=float((more_kw * prices).sum() * SLOT_HOURS),
        peak_kw=highest,
        peak_yen=max(0.0, highest - paid) * peak_price_yen_per_kw(site, now),
        over_contract_kw=max(0.0, highest - site.contract_kw),
        broken=broken,
        planned=True,
    )


def _places(plan: Ahead, now: datetime, until: datetime) -> tuple[int, ...]:
    """Half hours of a plan that a hold touches."""
    first = Slot.containing(now).start
    return tuple(k for k, start in enumerate(plan.slots()) if first <= start < until)


def _car_kw(
    known: Snapshot, site: Site, vehicle: Vehicle, act: HoldPower | ChargeNow, count: int
) -> tuple[float, ...]:
    """Power of a held car by half hour; a full one draws nothing. [kW]"""
    if isinstance(act, HoldPower):
        return (act.power_kw,) * count
    charger, state = site.charger_of(vehicle), car_now(known, site.id, vehicle.id)
    enough = vehicle.soc_max if act.charge is None else act.charge
    missing = max(0.0, enough - (0.0 if state.soc is None else state.soc)) * vehicle.capacity_kwh
    found = []
    for _ in range(count):
        into = min(charger.max_charge_kw * SLOT_HOURS * charger.charge_efficiency, missing)
        missing -= into
        found.append(into / charger.charge_efficiency / SLOT_HOURS)
    return tuple(found)


def _room_kw(
    known: Snapshot, site: Site, zone: HvacZone, act: HoldRoom, plan: Ahead, places: tuple[int, ...]
) -> tuple[float, ...]:
    """Power that holds a room at a temperature, by half hour. [kW]

    What the plan takes, plus the loss through the walls for each kelvin away from the temperature the plan
    expects, ``U (T - T_plan) / cop``, and once the heat of the room itself, ``C (T - T_plan) / cop / h``;
    inside what the unit can do (the room of :class:`energy.core.assets.HvacZone`).
    """
    told, season = plan.assets[zone.id], season_at(site, plan.slots()[places[0]])
    if season is Season.OFF:
        return tuple(told.power_kw[k] for k in places)
    measured = known.latest(SiteSeries(site.id)["weather", "outdoor_c"])
    outdoor = _USUAL_C if measured is None or measured.value is None else measured.value
    curve = zone.heating_cop if season is Season.HEATING else zone.cooling_cop
    sign, cop = (1.0 if season is Season.HEATING else -1.0), curve.at(outdoor)
    low, high = comfort_limits(zone, season)
    wanted, found = min(high, max(low, act.room_c)), []
    for number, k in enumerate(places):
        expected = told.expected[k]
        away = 0.0 if expected is None else sign * (wanted - expected)
        more = zone.loss_kw_per_k * away / cop
        if number == 0:
            more += zone.capacitance_kwh_per_k * away / cop / SLOT_HOURS
        found.append(min(zone.max_electric_kw, max(0.0, told.power_kw[k] + more)))
    return tuple(found)


def _broken(
    known: Snapshot, site: Site, vehicle: Vehicle, act: HoldPower, *, until: datetime, now: datetime
) -> tuple[Broken, ...]:
    """Departures of the next day that a pause or a small power makes impossible."""
    state, charger = car_now(known, site.id, vehicle.id), site.charger_of(vehicle)
    if state.soc is None:
        return ()
    day, found = timedelta(days=1), []
    for trip in expand_trips(vehicle.id, site.trips.get(vehicle.id, ()), now - day, now + day + SLOT_LENGTH):
        if trip.departs <= now:
            continue
        held_h = (min(until, trip.departs) - now) / timedelta(hours=1)
        soc = state.soc + act.power_kw * charger.charge_efficiency * held_h / vehicle.capacity_kwh
        soc = min(vehicle.soc_max, soc)
        possible = reachable_soc(vehicle, charger, soc, start=min(until, trip.departs), end=trip.departs)
        if possible < trip.promise_soc - _MEASURED:
            found.append(Broken(trip.departs, trip.promise_soc, possible))
        break  # what comes after the first departure depends on the drive
    return tuple(found)
