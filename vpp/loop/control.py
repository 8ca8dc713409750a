"""The minute's work: read, guard, envelope, command, read back.

The same code drives real equipment and the twins; both are reached over sockets through the gateway. What the
plan wants passes the guard of the clocked half-hour and then the envelope; every command carries its reason
and its end.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from dispatch.guard import CarFlex, DemandGuard, GuardDecision, GuardInput, ZoneFlex
from dispatch.guard_meter import MeterClock, WindowMeter
from energy.core.assets import HvacZone, Trip, Vehicle
from energy.core.clock import Clock
from energy.core.errors import StaleDataError
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import (
    ChargerPower,
    Command,
    CommandSource,
    DemandStep,
    GenerationLimit,
    Order,
    Outcome,
)
from energy.core.plan import Plan, Reason, ReasonCode, Setpoint
from energy.core.site import Season, Site
from energy.core.slots import Slot
from energy.core.units import AssetId
from vpp.loop.contacts import DemandContacts
from vpp.loop.standing import StandingOrders
from vpp.site.climate import (
    changes_over,
    coasting_order,
    headroom_k,
    planned_order,
    room_season,
    season_at,
    thermostat_order,
)
from vpp.site.envelope import (
    SOC_RESOLUTION,
    CarState,
    PowerRange,
    battery_range,
    car_range,
    charge_only,
    on_feeders,
    share_discharge,
    sun_order,
)
from vpp.site.setpoints import is_for_the_guard, now_of
from vpp.wishes.obey import Asked
from vpp.wishes.steer import narrowed, orders_of

__all__ = [
    "METER",
    "Equipment",
    "Readings",
    "SiteController",
    "Tick",
    "Window",
]

METER = AssetId("meter")
HVAC_METER = AssetId("hvac-meter")
# Point of a meter that shows its own clock, in seconds since 1970 UTC; few meters do.
METER_CLOCK = "clock_s"
# A reading older than this is not acted on: one missed minute is forgiven, two are not.
FRESH = timedelta(seconds=90)
# The guard leaves a car its promised charge if it departs within this time.
PAY_BACK = timedelta(hours=4)

Readings = Mapping[AssetId, Mapping[str, Measurement]]


class Equipment(Protocol):
    """What control needs of the gateway."""

    async def read(self, ids: Sequence[str] | None = None) -> Readings:
        """Newest readings by asset and point."""
        ...

    async def apply(self, command: Command) -> Outcome:
        """Carry out one command."""
        ...


@dataclass(frozen=True, slots=True)
class Wish:
    """What an asset should do before the envelope has its say."""

    order: Order
    reason: Reason
    source: CommandSource


@dataclass(frozen=True, slots=True)
class Tick:
    """What one minute brought."""

    readings: Readings
    decision: GuardDecision | None
    outcomes: tuple[Outcome, ...]
    reasons: dict[AssetId, Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A half-hour and what is known when it begins.

    Parameters
    ----------
    target_kw : float or None
        Demand that the guard holds; None where nobody watches. [kW]
    expected_kw : float or None
        What the plan expects the site to draw if no car gives back against the peak. [kW]
    cooling : frozenset of AssetId
        Rooms that the plan cools on a day on which units change over; the others it heats.
    """

    slot: Slot
    plan: Plan | None = None
    target_kw: float | None = None
    expected_kw: float | None = None
    cooling: frozenset[AssetId] = frozenset()


@dataclass(slots=True)
class SiteController:
    """Brings one site from its plan to its equipment.

    Parameters
    ----------
    trips : sequence of Trip
        The calendar: departures that were promised. What people really do is seen at the plug.
    guard : DemandGuard or None
        None where nobody watches the demand (the uncontrolled comparison).
    gives_back : bool
        Whether cars may give back; False for the comparisons that only charge.
    opted_out : set of AssetId
        Cars whose drivers do not want to give back today.
    asked : Asked
        What people ask of cars and rooms now.
    """

    site: Site
    equipment: Equipment
    clock: Clock
    trips: Sequence[Trip]
    guard: DemandGuard | None
    gives_back: bool = True
    opted_out: set[AssetId] = field(default_factory=set)
    asked: Asked = field(default_factory=Asked)
    counts: Counter[str] = field(default_factory=Counter)
    meter: WindowMeter = field(default_factory=WindowMeter)
    meter_clock: MeterClock = field(default_factory=MeterClock)
    _window: Window | None = None
    _setpoints: dict[AssetId, Setpoint] = field(default_factory=dict)
    standing: StandingOrders = field(default_factory=StandingOrders)
    contacts: DemandContacts = field(default_factory=DemandContacts)
    _fast: tuple[str, ...] | None = None
    _ranges: Mapping[AssetId, PowerRange] = field(default_factory=dict)

    def read_every_minute(self, device_ids: Sequence[str]) -> None:
        """Name the devices that are read every minute; sub-meters are read once a slot."""
        self._fast = tuple(device_ids)

    def begin_slot(self, window: Window) -> None:
        """Open a window."""
        self._window = window
        self._setpoints = window.plan.at(window.slot) if window.plan is not None else {}

    async def tick(self) -> Tick:
        """One minute: read everything, decide, command what has changed."""
        window = self._window
        if window is None:
            msg = "begin_slot comes before the first tick"
            raise RuntimeError(msg)
        sent = self.clock.now()
        readings = await self.equipment.read(self._fast)
        now = self.clock.now()
        self._listen(readings, sent=sent, received=now)
        import_kw = _fresh(readings, METER, "power_kw", now)
        ok = import_kw is not None
        physical = {AssetId(v.id): self._range(v, readings, now, meter_ok=ok) for v in self.site.vehicles}
        for battery in self.site.batteries:
            soc = _fresh(readings, AssetId(battery.id), "soc", now)
            physical[AssetId(battery.id)] = battery_range(battery, soc, gives=ok and self.gives_back)
        ranges = narrowed(physical, self.asked)
        wishes = self._planned(readings, now) | self._asked(readings, now)
        self._ranges = ranges
        decision = self._guard(window, readings, ranges, wishes, now)
        if decision is not None:
            self._heed(decision, wishes, readings, now)
            self._close_contacts(decision, wishes, readings, now)
        self._inside_envelope(wishes, ranges, readings, import_kw)
        commands = [self._command(asset, wish, now, window.slot) for asset, wish in wishes.items()]
        due = [one for command in commands if (one := self.standing.due(command)) is not None]
        outcomes = await asyncio.gather(*(self.equipment.apply(one) for one in due))
        for outcome in outcomes:
            self.standing.note(outcome, self.counts)
        return Tick(
            readings, decision, tuple(outcomes), {asset: wish.reason for asset, wish in wishes.items()}
        )

    def _listen(self, readings: Readings, *, sent: datetime, received: datetime) -> None:
        """Tell the window what the meter said, each reading at the instant at which it was taken."""
        points = readings.get(METER, {})
        stamp = points.get(METER_CLOCK)
        if stamp is not None and stamp.value is not None and stamp.read_at >= sent:
            shown = datetime.fromtimestamp(stamp.value, UTC)
            self.meter_clock.observe(shown, sent=sent, received=received)
        counter, power = points.get("import_kwh"), points.get("power_kw")
        if counter is None or counter.value is None or power is None or power.value is None:
            return
        if counter.quality is Quality.GOOD and power.quality is Quality.GOOD:
            taken = self.meter_clock.meter_time(counter.read_at)
            self.meter.observe(taken, counter.value, power.value)

    # -- what the plan wants ---------------------------------------------------------------------------

    def _point(self, asset: AssetId, now: datetime) -> Setpoint | None:
        """The setpoint of an asset for the part of the half-hour that runs; None if nobody planned it."""
        point = self._setpoints.get(asset)
        return None if point is None else now_of(point, now)

    def _season(self, zone: HvacZone, readings: Readings, now: datetime) -> Season:
        """What a room's unit does: as planned where units change over, else as its own temperature says."""
        asset = AssetId(zone.id)
        if self._window is not None and asset in self._setpoints and changes_over(self.site, now):
            return Season.COOLING if asset in self._window.cooling else Season.HEATING
        return room_season(self.site, zone, now, _fresh(readings, asset, "room_c", now))

    def _planned(self, readings: Readings, now: datetime) -> dict[AssetId, Wish]:
        wishes: dict[AssetId, Wish] = {}
        unplanned = {AssetId(v.id): self.site.charger_of(v).max_charge_kw for v in self.site.vehicles}
        unplanned |= {AssetId(battery.id): 0.0 for battery in self.site.batteries}
        for asset, power in unplanned.items():
            point, why = self._point(asset, now), Reason(ReasonCode.IDLE)
            if point is not None:
                power = 0.0 if self.guard is not None and is_for_the_guard(point) else point.power_kw
                why = point.reason
            wishes[asset] = Wish(ChargerPower(power), why, CommandSource.PLAN)
        for zone in self.site.zones:
            asset = AssetId(zone.id)
            point = self._point(asset, now)
            season = self._season(zone, readings, now)
            order = (
                thermostat_order(self.site, zone, now, season=season)
                if point is None
                else planned_order(self.site, zone, point, season=season)
            )
            reason = Reason(ReasonCode.COMFORT) if point is None else point.reason
            wishes[asset] = Wish(order, reason, CommandSource.PLAN)
        return wishes

    def _asked(self, readings: Readings, now: datetime) -> dict[AssetId, Wish]:
        orders = orders_of(
            self.asked,
            self.site,
            soc=lambda asset: _fresh(readings, asset, "soc", now),
            season=lambda zone: self._season(zone, readings, now),
        )
        return {asset: Wish(*order) for asset, order in orders.items()}

    # -- guard -----------------------------------------------------------------------------------------

    def _guard(
        self,
        window: Window,
        readings: Readings,
        ranges: Mapping[AssetId, PowerRange],
        wishes: Mapping[AssetId, Wish],
        now: datetime,
    ) -> GuardDecision | None:
        if self.guard is None:
            return None
        at = self.meter_clock.meter_time(now)
        seen = self.meter.read(at)
        blind = seen is None or seen.age_s > FRESH.total_seconds()
        self.counts["guard_blind_minutes"] += blind
        if window.target_kw is None:
            return None
        cars = [
            CarFlex(
                asset,
                bounds.clip(_power(wishes[asset]), wishes[asset].reason)[0],
                _fresh(readings, asset, "power_kw", now) or 0.0,
                self._least(asset, bounds, readings, now),
            )
            for asset, bounds in ranges.items()
            if bounds.high_kw > bounds.low_kw
        ]
        return self.guard.decide(
            GuardInput(
                elapsed_min=(at - Slot.containing(at).start) / timedelta(minutes=1),
                imported_kwh=seen.imported_kwh if seen is not None else 0.0,
                import_kw=seen.import_kw if seen is not None else 0.0,
                target_kw=window.target_kw,
                cars=cars,
                zones=self._zone_flex(readings, now),
                expected_kw=window.expected_kw,
                blind=blind,
            )
        )

    def _least(self, asset: AssetId, bounds: PowerRange, readings: Readings, now: datetime) -> float:
        """What the guard may bring a car to: it does not borrow what would have to be charged back soon.

        A car that leaves within hours would be charged again before it goes, most likely into the same peak.
        """
        departure = self._next_departure(asset, now)
        soc = _fresh(readings, asset, "soc", now)
        soon = departure is not None and departure.departs - now <= PAY_BACK
        if departure is None or not soon or soc is None or soc > departure.promise_soc + 2 * SOC_RESOLUTION:
            return bounds.low_kw
        return max(0.0, bounds.low_kw)

    def _next_departure(self, asset: AssetId, now: datetime) -> Trip | None:
        return next((trip for trip in self.trips if trip.vehicle == asset and trip.departs > now), None)

    def _zone_flex(self, readings: Readings, now: datetime) -> list[ZoneFlex]:
        """Rooms that run and could coast; the HVAC meter's power is shared out by the plan's powers."""
        total_kw = _fresh(readings, HVAC_METER, "power_kw", now) or 0.0
        planned = {zone: max(0.0, kw) for zone, kw in self._room_kw().items()}
        sum_kw = sum(planned.values())
        flex = []
        for zone in (one for one in self.site.zones if AssetId(one.id) not in self.asked.room_c):
            room_c = _fresh(readings, AssetId(zone.id), "room_c", now)
            if room_c is None or season_at(self.site, now) is Season.OFF:
                continue
            share = planned[AssetId(zone.id)] / sum_kw if sum_kw > 0 else 1 / len(self.site.zones)
            season = self._season(zone, readings, now)
            headroom = headroom_k(self.site, zone, room_c, now, season=season)
            flex.append(ZoneFlex(AssetId(zone.id), total_kw * share, headroom))
        return flex

    def _heed(
        self, decision: GuardDecision, wishes: dict[AssetId, Wish], readings: Readings, now: datetime
    ) -> None:
        """Put the guard's word in the place of the plan's."""
        reason = self._guarded(decision)
        for asset, power_kw in decision.cars.items():
            wishes[asset] = Wish(ChargerPower(power_kw), reason, CommandSource.GUARD)
        zones = {AssetId(zone.id): zone for zone in self.site.zones}
        for asset in decision.shed:
            season = self._season(zones[asset], readings, now)
            order = coasting_order(self.site, zones[asset], now, season=season)
            wishes[asset] = Wish(order, reason, CommandSource.GUARD)
        if decision.cars or decision.shed:
            self.counts["guard_actions"] += 1
        if decision.unmet_kw > 0:
            self.counts["guard_unmet_minutes"] += 1

    def _guarded(self, decision: GuardDecision) -> Reason:
        target_kw = (self._window.target_kw if self._window else None) or 0.0
        heading = "demand_kw" if decision.projected_kw > target_kw else "near_kw"
        return Reason(
            ReasonCode.GUARD, {heading: round(decision.projected_kw, 1), "limit_kw": round(target_kw, 1)}
        )

    def _close_contacts(
        self, decision: GuardDecision, wishes: dict[AssetId, Wish], readings: Readings, now: datetime
    ) -> None:
        """Let demand contacts take what nobody else could give."""
        ratios = self.contacts.decide(
            readings,
            unmet_kw=decision.unmet_kw,
            running_kw=_fresh(readings, HVAC_METER, "power_kw", now),
            full_kw=sum(zone.max_electric_kw for zone in self.site.zones),
            now=now,
        )
        for asset, ratio in ratios.items():
            wishes[asset] = Wish(DemandStep(ratio), self._guarded(decision), CommandSource.GUARD)

    # -- envelope --------------------------------------------------------------------------------------

    def _range(self, vehicle: Vehicle, readings: Readings, now: datetime, *, meter_ok: bool) -> PowerRange:
        asset = AssetId(vehicle.id)
        plugged = _fresh(readings, asset, "plugged", now)
        departure = self._next_departure(asset, now)
        state = CarState(
            plugged=plugged == 1.0,
            soc=_fresh(readings, asset, "soc", now),
            departs=departure.departs if departure else None,
            promise_soc=departure.promise_soc if departure else 0.0,
            opted_out=asset in self.opted_out or asset in self.asked.no_discharge,
        )
        if not self.gives_back:
            return (
                car_range(vehicle, self.site.charger_of(vehicle), state, now=now, meter_ok=False)
                if (not state.plugged or state.soc is None)
                else charge_only(vehicle, self.site.charger_of(vehicle).max_charge_kw, state.soc)
            )
        return car_range(vehicle, self.site.charger_of(vehicle), state, now=now, meter_ok=meter_ok)

    def _inside_envelope(
        self,
        wishes: dict[AssetId, Wish],
        ranges: Mapping[AssetId, PowerRange],
        readings: Readings,
        import_kw: float | None,
    ) -> None:
        now = self.clock.now()
        powers: dict[str, float] = {}
        for asset, bounds in ranges.items():
            power, reason = bounds.clip(_power(wishes[asset]), wishes[asset].reason)
            powers[asset] = power
            wishes[asset] = Wish(ChargerPower(power), reason, wishes[asset].source)
        for asset, (power, why) in on_feeders(self.site, powers, self._room_kw()).items():
            powers[asset] = power
            wishes[asset] = Wish(ChargerPower(power), why, wishes[asset].source)
        giving = -sum(min(0.0, _fresh(readings, asset, "power_kw", now) or 0.0) for asset in ranges)
        margin = self.site.import_margin_kw
        if import_kw is not None:
            limited = share_discharge(powers, import_kw + giving - margin)
            for asset in ranges:
                if limited[asset] != powers[asset]:
                    why = Reason(ReasonCode.EXPORT, {"margin_kw": margin})
                    wishes[asset] = Wish(ChargerPower(limited[asset]), why, wishes[asset].source)
            if self.gives_back and import_kw > self.site.contract_kw:
                self._stop_charging(wishes, ranges)
        self._limit_pv(wishes, readings, import_kw, now)

    def _stop_charging(self, wishes: dict[AssetId, Wish], ranges: Mapping[AssetId, PowerRange]) -> None:
        why = Reason(ReasonCode.PEAK, {"limit_kw": self.site.contract_kw})
        for asset in ranges:
            if _power(wishes[asset]) > 0:
                wishes[asset] = Wish(ChargerPower(0.0), why, CommandSource.EMERGENCY)

    def _limit_pv(
        self, wishes: dict[AssetId, Wish], readings: Readings, import_kw: float | None, now: datetime
    ) -> None:
        """Keep the import above its margin by limiting the inverter; release when the sun is far below."""
        pv = self.site.pv
        if pv is None or import_kw is None:
            return
        generation_kw = _fresh(readings, AssetId(pv.id), "generation_kw", now)
        if generation_kw is None:
            return
        standing = self.standing.of(AssetId(pv.id))
        limited = isinstance(standing, GenerationLimit) and standing.limit_kw is not None
        ordered = sun_order(self.site, pv, generation_kw, import_kw, limited=limited)
        if ordered is not None:
            wishes[AssetId(pv.id)] = Wish(*ordered, CommandSource.GUARD)

    def _room_kw(self) -> dict[AssetId, float]:
        """What the units of rooms are taken to draw: as planned, or all they can. [kW]"""
        full = {AssetId(zone.id): zone.max_electric_kw for zone in self.site.zones}
        planned = self._setpoints
        return {zone: planned[zone].power_kw if zone in planned else kw for zone, kw in full.items()}

    # -- commands --------------------------------------------------------------------------------------

    def _command(self, asset: AssetId, wish: Wish, now: datetime, slot: Slot) -> Command:
        return Command(
            asset=asset,
            order=wish.order,
            source=wish.source,
            reason=wish.reason,
            issued_at=now,
            expires_at=slot.end + timedelta(minutes=1),
        )

    def allowed(self, command: Command) -> tuple[Order, str | None]:
        """What the envelope leaves of an order, whoever gives it, and why; for the gateway."""
        bounds = self._ranges.get(command.asset)
        if bounds is None or not isinstance(command.order, ChargerPower):
            return command.order, None
        power_kw, why = bounds.clip(command.order.power_kw, command.reason)
        cut = abs(power_kw - command.order.power_kw) > 1e-9
        return (ChargerPower(power_kw), why.code.value) if cut else (command.order, None)

    def forget(self, asset: AssetId) -> None:
        """Take the standing order of an asset for unknown, so that the next one is written."""
        self.standing.forget(asset)


def _fresh(readings: Readings, asset: AssetId, point: str, now: datetime) -> float | None:
    """A reading that may be acted on, or None."""
    measurement = readings.get(asset, {}).get(point)
    if measurement is None:
        return None
    try:
        return measurement.fresh(now, limit=FRESH)
    except StaleDataError:
        return None


def _power(wish: Wish) -> float:
    assert isinstance(wish.order, ChargerPower)
    return wish.order.power_kw
