"""From what is known at an instant to a :class:`~energy.core.plan.Problem`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypedDict

from dispatch.refine import refine
from dispatch.shift import stay_near
from energy.core.assets import Battery, HvacZone, OwnerType, Trip, Vehicle
from energy.core.forecast import QuantileForecast
from energy.core.plan import (
    CarProblem,
    Plan,
    Problem,
    Promise,
    PvProblem,
    SiteLimits,
    StorageProblem,
    ZoneProblem,
)
from energy.core.plan_parts import DemandStep, DrEvent, Feeder, SubmittedPlan
from energy.core.series import FloatArray, Grid
from energy.core.site import Season, Site
from energy.core.slots import JST
from energy.core.units import AssetId
from energy.ledger import CoinRule, TightEvent
from energy.market.prices import slot_prices
from forecasting.ev import car_availability
from vpp.site.climate import band_applies

__all__ = [
    "Agreements",
    "Outlook",
    "Reserves",
    "SiteState",
    "UnitState",
    "build_problem",
    "in_steps",
    "peak_price_yen_per_kw",
]

# One kW of new demand is paid for twelve months (RULES-JP 2.1, T24).
MONTHS_IN_MEMORY = 12
# Nobody minds how warm an empty room gets; how cold it may get is the room's setback. [degC]
EMPTY_HIGH_C = 40.0
# A degree-hour outside the band costs more than any peak it could save: the band is kept wherever it can be.
DISCOMFORT_YEN_PER_DEGC_H = 50_000.0
# Several times what a degree costs to hold (U / cop x price, about 7 yen), far below what a peak costs.
READY_YEN_PER_DEGC_H = 30.0
# A kWh bought a day before free sun would come costs about 22 yen: so long, and no longer, is waited for it.
READY_YEN_PER_KWH_H = 1.0


@dataclass(frozen=True, slots=True)
class Reserves:
    """How far a plan stays away from limits that reality could push it over.

    Parameters
    ----------
    band_k : float
        Inside a comfort band: half for the thermostat, half for the forecast. [K]
    promise : float
        Above a promised state of charge: the charger's register counts whole percent. [-]
    """

    band_k: float = 0.4
    promise: float = 0.01


@dataclass(frozen=True, slots=True)
class Outlook:
    """Forecasts on one grid: load and PV as quantiles [kW], temperature [degC], irradiance [W/m2]."""

    load: QuantileForecast
    pv: QuantileForecast | None
    outdoor_c: FloatArray
    ghi_w_m2: FloatArray

    def medians(self) -> Outlook:
        """The same outlook without the spread of load and PV."""
        pv = None if self.pv is None else self.pv.median_only()
        return replace(self, load=self.load.median_only(), pv=pv)


@dataclass(frozen=True, slots=True)
class UnitState:
    """Whether an air conditioner runs, and for how long it has run or rested. [h]"""

    on: bool
    for_h: float


@dataclass(frozen=True, slots=True)
class SiteState:
    """What is known of the assets when the plan is made.

    Parameters
    ----------
    soc_kwh : dict
        Battery energy by car: measured if plugged, else the last known less the trip's share; and by
        stationary battery. [kWh]
    absent : set of AssetId
        Cars that are not at their plug, whatever the calendar says, or that do not do what they are told;
        stationary batteries that do not tell their charge.
    room_c : dict
        Room temperatures. [degC]
    peak_memory_kw : float
        Highest demand in the twelve-month memory, this month's so far included. [kW]
    next_memory_kw : float or None
        The same as it will be from the next month on, when a month drops out; None for the same. [kW]
    units : dict
        What the units of rooms do, where minimum times depend on it.
    """

    soc_kwh: Mapping[AssetId, float]
    absent: frozenset[AssetId]
    room_c: Mapping[AssetId, float]
    peak_memory_kw: float
    opted_out: frozenset[AssetId] = frozenset()
    next_memory_kw: float | None = None
    units: Mapping[AssetId, UnitState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreements:
    """What a site has agreed with others, or wants of its plan, beyond its tariff.

    Parameters
    ----------
    target_kw, target_yen_per_kw : float or None, float
        Demand that a person wants held, and what a kW above it is worth to them. [kW], [yen/kW]
    divisions : tuple of int
        Into how many parts the first half-hours are divided.
    in_force : Plan or None
        The plan that is left only for what ``change_yen_per_kwh`` is worth. [yen/kWh]
    """

    events: tuple[DrEvent, ...] = ()
    feeders: tuple[Feeder, ...] = ()
    submitted: SubmittedPlan | None = None
    target_kw: float | None = None
    target_yen_per_kw: float = 1_000.0
    divisions: tuple[int, ...] = ()
    in_force: Plan | None = None
    change_yen_per_kwh: float = 0.0


def peak_price_yen_per_kw(site: Site, at: datetime) -> float:
    """What one kW of demand above the memory costs: basic charge x power-factor term x 12 months. [yen/kW]

    30 kW at 2,000 yen and a power factor of 100 % are 612,000 yen a year (RULES-JP T24).
    """
    period = site.tariff.on(at.astimezone(JST).date())
    return float(period.basic_yen_per_kw_month * site.tariff.basic_factor()) * MONTHS_IN_MEMORY


def build_problem(
    site: Site,
    state: SiteState,
    outlook: Outlook,
    *,
    now: datetime,
    trips: Sequence[Trip],
    events: Sequence[TightEvent],
    coin: CoinRule | None,
    reserves: Reserves = Reserves(),
    agreed: Agreements = Agreements(),
) -> Problem:
    """The problem of a site at an instant, on the grid of its outlook.

    Parameters
    ----------
    trips : sequence of Trip
        The calendar.
    events : sequence of TightEvent
        Tight-supply events that are known now.
    coin : CoinRule or None
        What giving back in a tight slot earns; one coin is taken as one yen.
    agreed : Agreements
        Events with a baseline, feeders, a submitted plan, a target; see :func:`in_steps` for the rest.
    """
    grid = outlook.load.grid
    tight = tuple(any(event.start <= slot < event.end for event in events) for slot in grid.slots())
    price = _floats(slot_prices(site.tariff, grid).values)
    return Problem(
        site=site.id,
        made_at=now,
        grid=grid,
        load_p10_kw=_floats(outlook.load.p10),
        load_p50_kw=_floats(outlook.load.p50),
        load_p90_kw=_floats(outlook.load.p90),
        outdoor_c=_floats(outlook.outdoor_c),
        price_yen_per_kwh=price,
        tight=tight,
        limits=_limits(site, state, grid, now, agreed),
        cars=tuple(
            _car(site, vehicle, state, grid, trips, _Values(tight, coin, reserves))
            for vehicle in site.vehicles
        ),
        zones=tuple(_zone(site, zone, state, outlook, reserves) for zone in site.zones),
        pv=_pv(site, outlook),
        batteries=tuple(_battery(battery, state) for battery in site.batteries),
        discomfort_yen_per_degc_h=DISCOMFORT_YEN_PER_DEGC_H,
        events=agreed.events,
        feeders=agreed.feeders,
        submitted=agreed.submitted,
    )


def in_steps(problem: Problem, agreed: Agreements) -> Problem:
    """The problem divided as agreed and held to the plan in force: the last that is done to it.

    What looks at half-hours (days of changeover, events) comes before.
    """
    if any(parts > 1 for parts in agreed.divisions):
        problem = refine(problem, agreed.divisions[: problem.grid.count])
    if agreed.change_yen_per_kwh > 0.0:
        problem = stay_near(problem, agreed.in_force, yen_per_kwh=agreed.change_yen_per_kwh)
    return problem


def _limits(site: Site, state: SiteState, grid: Grid, now: datetime, agreed: Agreements) -> SiteLimits:
    """The connection, its memory and, where the month ends within the horizon, that of the next month.

    A kW above this month's memory is paid in this month and the eleven after. Where a month ends, the memory
    of the next one is lower by what drops out: then a kW above that is paid eleven times, and a twelfth time
    if it is drawn in the next month.
    """
    price = peak_price_yen_per_kw(site, now)
    limits = SiteLimits(
        contract_kw=site.contract_kw,
        peak_memory_kw=state.peak_memory_kw,
        peak_yen_per_kw=price,
        import_margin_kw=site.import_margin_kw,
    )
    months = [time.astimezone(JST).month for time in grid.times()]
    begins = next((k for k, month in enumerate(months) if month != months[0]), None)
    steps: list[DemandStep] = []
    if (
        begins is not None
        and state.next_memory_kw is not None
        and state.next_memory_kw < limits.peak_memory_kw
    ):
        once, level = price / MONTHS_IN_MEMORY, state.next_memory_kw
        steps.append(DemandStep(level_kw=level, yen_per_kw=price - once))
        steps.append(DemandStep(level_kw=level, yen_per_kw=once, first=begins))
        limits = replace(limits, peak_yen_per_kw=once, memory_until=begins)
    if agreed.target_kw is not None:
        worth = agreed.target_yen_per_kw
        steps.append(DemandStep(level_kw=agreed.target_kw, yen_per_kw=worth, target=True))
    return replace(limits, steps=tuple(steps))


@dataclass(frozen=True, slots=True)
class _Values:
    """What giving back is worth, and the reserves."""

    tight: tuple[bool, ...]
    coin: CoinRule | None
    reserves: Reserves


def _car(
    site: Site, vehicle: Vehicle, state: SiteState, grid: Grid, trips: Sequence[Trip], values: _Values
) -> CarProblem:
    asset, charger = AssetId(vehicle.id), site.charger_of(vehicle)
    here = car_availability([trip for trip in trips if trip.vehicle == vehicle.id], grid)
    plugged = list(here.plugged)
    if asset in state.absent and plugged:
        plugged[0] = False
    earns = values.coin is not None and vehicle.owner is OwnerType.EMPLOYEE
    value = float(values.coin.points_per_kwh) if values.coin is not None and earns else 0.0
    may = asset not in state.opted_out
    return CarProblem(
        id=asset,
        capacity_kwh=vehicle.capacity_kwh,
        soc0_kwh=min(vehicle.capacity_kwh, max(0.0, state.soc_kwh[asset])),
        floor_kwh=vehicle.soc_min * vehicle.capacity_kwh,
        ceiling_kwh=vehicle.soc_max * vehicle.capacity_kwh,
        max_charge_kw=charger.max_charge_kw,
        max_discharge_kw=charger.max_discharge_kw,
        charge_efficiency=charger.charge_efficiency,
        discharge_efficiency=charger.discharge_efficiency,
        wear_yen_per_kwh=vehicle.wear_yen_per_kwh,
        plugged=tuple(plugged),
        drive_kwh=here.drive_kwh,
        may_discharge=(may,) * grid.count,
        promises=tuple(
            Promise(
                index=index,
                soc_kwh=min(promise + values.reserves.promise, vehicle.soc_max) * vehicle.capacity_kwh,
            )
            for index, promise in here.departures
        ),
        ready_kwh=vehicle.soc_ready * vehicle.capacity_kwh,
        ready_yen_per_kwh_h=READY_YEN_PER_KWH_H if values.reserves.promise > 0.0 else 0.0,
        discharge_value_yen_per_kwh=tuple(value if is_tight else 0.0 for is_tight in values.tight),
    )


def _zone(site: Site, zone: HvacZone, state: SiteState, outlook: Outlook, reserves: Reserves) -> ZoneProblem:
    grid = outlook.load.grid
    signs, cops, gains, lows, highs, ready = [], [], [], [], [], []
    for k in range(grid.count):
        start, end = grid.time(k), grid.time(k + 1)
        season = site.calendar.season(start.astimezone(JST).date())
        cop = zone.heating_cop if season is Season.HEATING else zone.cooling_cop
        signs.append({Season.HEATING: 1, Season.COOLING: -1, Season.OFF: 0}[season])
        cops.append(cop.at(float(outlook.outdoor_c[k])))
        occupied = band_applies(site, zone, start) and band_applies(site, zone, end)
        gains.append(
            zone.base_gain_kw
            + (zone.occupied_gain_kw if occupied else 0.0)
            + zone.solar_aperture_m2 * float(outlook.ghi_w_m2[k]) / 1000.0
        )
        inside = band_applies(site, zone, end) and season is not Season.OFF
        ready.append(zone.comfort.ready_k if inside else 0.0)
        if inside:
            low, high = zone.comfort.heating_c if season is Season.HEATING else zone.comfort.cooling_c
            lows.append(low + reserves.band_k)
            highs.append(high - reserves.band_k)
        else:
            lows.append(zone.comfort.setback_c + reserves.band_k if season is Season.HEATING else 0.0)
            highs.append(EMPTY_HIGH_C)
    return ZoneProblem(
        id=AssetId(zone.id),
        temp0_c=state.room_c[AssetId(zone.id)],
        capacitance_kwh_per_k=zone.capacitance_kwh_per_k,
        loss_kw_per_k=zone.loss_kw_per_k,
        max_electric_kw=zone.max_electric_kw,
        mode_sign=tuple(signs),
        cop=tuple(cops),
        gain_kw=tuple(gains),
        low_c=tuple(lows),
        high_c=tuple(highs),
        ready_k=tuple(ready),
        ready_yen_per_degc_h=READY_YEN_PER_DEGC_H if reserves.band_k > 0.0 else 0.0,
        **_unit(zone, state, outlook, signs),
    )


class _UnitRules(TypedDict, total=False):
    """What a room's problem says of its unit where that is more than a highest power."""

    stages_kw: tuple[float, ...]
    min_power_kw: float
    min_on_h: float
    min_off_h: float
    was_on: bool
    in_state_h: float
    whole_steps: int | None
    defrost: tuple[float, ...]


def _unit(zone: HvacZone, state: SiteState, outlook: Outlook, signs: Sequence[int]) -> _UnitRules:
    """Stages, minimum times and defrosting of a unit; nothing for one that takes any power."""
    unit, rules = zone.unit, _UnitRules()
    if unit.stages_kw or unit.least_kw:
        now = state.units.get(AssetId(zone.id), UnitState(on=False, for_h=24.0))
        rules = _UnitRules(
            stages_kw=unit.stages_kw,
            min_power_kw=unit.least_kw,
            min_on_h=unit.min_on_minutes / 60.0,
            min_off_h=unit.min_off_minutes / 60.0,
            was_on=now.on,
            in_state_h=now.for_h,
            whole_steps=round(unit.whole_hours / outlook.load.grid.hours),
        )
    if unit.defrost_share:
        outdoor = zip(outlook.outdoor_c, signs, strict=True)
        rules["defrost"] = tuple(unit.defrosts(float(at)) if sign > 0 else 0.0 for at, sign in outdoor)
    return rules


def _battery(battery: Battery, state: SiteState) -> StorageProblem:
    """A stationary battery; one that does not tell its charge is taken to hold its reserve and to rest."""
    asset = AssetId(battery.id)
    reserve, held = battery.reserve_soc * battery.capacity_kwh, state.soc_kwh.get(asset)
    silent = held is None or asset in state.absent
    held = reserve if held is None else held
    return StorageProblem(
        id=asset,
        capacity_kwh=battery.capacity_kwh,
        soc0_kwh=min(battery.capacity_kwh, max(0.0, held)),
        reserve_kwh=reserve,
        max_charge_kw=0.0 if silent else battery.max_charge_kw,
        max_discharge_kw=0.0 if silent else battery.max_discharge_kw,
        charge_efficiency=battery.charge_efficiency,
        discharge_efficiency=battery.discharge_efficiency,
        wear_yen_per_kwh=battery.wear_yen_per_kwh,
    )


def _pv(site: Site, outlook: Outlook) -> tuple[PvProblem, ...]:
    if site.pv is None or outlook.pv is None:
        return ()
    return (
        PvProblem(
            id=AssetId(site.pv.id),
            p10_kw=_floats(outlook.pv.p10),
            p50_kw=_floats(outlook.pv.p50),
            p90_kw=_floats(outlook.pv.p90),
        ),
    )


def _floats(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
