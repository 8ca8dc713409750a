"""A minute of control against equipment that only remembers: what is commanded, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, time, timedelta
from decimal import Decimal

import pytest

from dispatch.guard import DemandGuard, GuardDecision
from energy.core.assets import Charger, ComfortBand, HvacZone, OwnerType, PvArray, Trip, Vehicle
from energy.core.clock import ManualClock
from energy.core.measurement import Measurement, Quality
from energy.core.outcome import (
    Applied,
    ChargerPower,
    ClimateMode,
    Command,
    CommandSource,
    GenerationLimit,
    Order,
    Outcome,
    RoomClimate,
    Unconfirmed,
)
from energy.core.plan import Plan, PlanSource, Reason, ReasonCode, Setpoint, Trajectory
from energy.core.series import Grid, Unit
from energy.core.site import Site
from energy.core.slots import Slot, parse_jst
from energy.core.tariff import Tariff, TariffPeriod
from energy.core.units import AssetId
from vpp.loop.control import Readings, SiteController, Window
from vpp.wishes import Asked

START = parse_jst("2026-08-05 14:00")
SLOT = Slot(START)


def site(*, contract_kw: float = 300.0) -> Site:
    period = TariffPeriod(
        valid_from=datetime(2026, 4, 1).date(),  # noqa: DTZ001 - a calendar day
        valid_to=datetime(2027, 3, 31).date(),  # noqa: DTZ001
        basic_yen_per_kw_month=Decimal(2000),
        summer_yen_per_kwh=Decimal(19),
        other_yen_per_kwh=Decimal(18),
    )
    return Site(
        id="works",
        name_ja="工場",
        name_en="Works",
        latitude=37.5,
        longitude=139.9,
        contract_kw=contract_kw,
        target_demand_kw=100,
        import_margin_kw=5,
        tariff=Tariff(name_ja="例", name_en="example", periods=(period,)),
        chargers=(Charger(id="cp-1", max_charge_kw=6, max_discharge_kw=6),),
        vehicles=(
            Vehicle(
                id="leaf",
                name_ja="リーフ",
                name_en="Leaf",
                capacity_kwh=40,
                charger="cp-1",
                owner=OwnerType.COMPANY,
            ),
        ),
        zones=(
            HvacZone(
                id="hall",
                name_ja="工場棟",
                name_en="Hall",
                max_electric_kw=20,
                capacitance_kwh_per_k=10,
                loss_kw_per_k=1,
                comfort=ComfortBand(cooling_c=(22, 28), opens=time(8), closes=time(18)),
            ),
        ),
        pv=PvArray(id="pv", capacity_kw=50, inverter_kw=50, tilt_deg=20, azimuth_deg=180),
    )


class Recorder:
    """Equipment that shows given values and remembers what it was told."""

    def __init__(self, clock: ManualClock, shown: dict[str, dict[str, float | None]]) -> None:
        self.clock, self.shown, self.commands = clock, shown, list[Command]()
        self.obeys = True
        self.meter_age = timedelta(0)  # of the meter's readings: late ones are older than the rest

    async def read(self, ids: Sequence[str] | None = None) -> Readings:
        units = {"kw": Unit.KW, "kwh": Unit.KWH, "c": Unit.CELSIUS}
        return {
            AssetId(asset): {
                name: Measurement(
                    point=name,
                    value=value,
                    unit=units.get(name.rsplit("_", 1)[-1], Unit.RATIO),
                    read_at=self.clock.now() - (self.meter_age if asset == "meter" else timedelta(0)),
                    quality=Quality.GOOD if value is not None else Quality.STALE,
                )
                for name, value in points.items()
            }
            for asset, points in self.shown.items()
        }

    async def apply(self, command: Command) -> Outcome:
        self.commands.append(command)
        return Applied(command) if self.obeys else Unconfirmed(command, "something else")

    def orders(self) -> dict[str, Order]:
        return {str(command.asset): command.order for command in self.commands}


def shown(**changes: dict[str, float | None]) -> dict[str, dict[str, float | None]]:
    usual: dict[str, dict[str, float | None]] = {
        "meter": {"power_kw": 80.0, "import_kwh": 1000.0},
        "hvac-meter": {"power_kw": 10.0, "import_kwh": 10.0},
        "leaf": {"power_kw": 0.0, "soc": 0.7, "plugged": 1.0},
        "hall": {"room_c": 26.0},
        "pv": {"generation_kw": 10.0},
    }
    return {asset: points | changes.get(asset.replace("-", "_"), {}) for asset, points in usual.items()}


def plan(car_kw: float, room_kw: float, room_c: float = 26.0) -> Plan:
    why = Reason(ReasonCode.PRICE)
    return Plan(
        site="works",
        made_at=START,
        grid=Grid(START, 1),
        source=PlanSource.OPTIMAL,
        setpoints=(
            Setpoint(asset=AssetId("leaf"), slot=SLOT, power_kw=car_kw, reason=why),
            Setpoint(asset=AssetId("hall"), slot=SLOT, power_kw=room_kw, reason=why, expected=room_c),
        ),
        trajectory=Trajectory(
            import_kw=(80,), load_kw=(80,), pv_kw=(0,), curtailed_kw=(0,), energy_yen=0, peak_yen=0
        ),
        target_demand_kw=100.0,
        objective_yen=0.0,
    )


def one_minute(
    equipment: Recorder,
    clock: ManualClock,
    the_plan: Plan | None,
    *,
    guard: bool = True,
    trips: Sequence[Trip] = (),
    target_kw: float = 100.0,
    contract_kw: float = 300.0,
) -> SiteController:
    controller = SiteController(
        site=site(contract_kw=contract_kw),
        equipment=equipment,
        clock=clock,
        trips=trips,
        guard=DemandGuard() if guard else None,
    )
    controller.begin_slot(Window(slot=SLOT, plan=the_plan, target_kw=target_kw))
    asyncio.run(controller.tick())
    return controller


def test_the_plan_reaches_the_equipment_with_reason_and_end() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown())
    one_minute(equipment, clock, plan(car_kw=3.0, room_kw=8.0, room_c=25.4))
    assert equipment.orders() == {"leaf": ChargerPower(3.0), "hall": RoomClimate(ClimateMode.COOL, 25.4)}
    assert all(command.source is CommandSource.PLAN for command in equipment.commands)
    assert all(command.expires_at == SLOT.end + timedelta(minutes=1) for command in equipment.commands)


def test_nothing_is_commanded_twice() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown())
    controller = one_minute(equipment, clock, plan(3.0, 8.0))
    clock.advance(timedelta(minutes=1))
    asyncio.run(controller.tick())
    assert len(equipment.commands) == 2


def test_what_was_not_confirmed_is_counted_and_tried_again() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown())
    equipment.obeys = False
    controller = one_minute(equipment, clock, plan(3.0, 8.0))
    clock.advance(timedelta(minutes=1))
    asyncio.run(controller.tick())
    assert len(equipment.commands) == 4
    assert controller.counts["unconfirmed"] == 4


def test_the_guard_turns_charging_into_giving_back_when_the_target_is_at_risk() -> None:
    clock = ManualClock(START + timedelta(minutes=10))
    equipment = Recorder(
        clock, shown(meter={"power_kw": 130.0, "import_kwh": 1020.0}, leaf={"power_kw": 6.0})
    )
    one_minute(equipment, clock, plan(6.0, 8.0))
    orders = equipment.orders()
    assert orders["leaf"] == ChargerPower(-6.0)
    assert orders["hall"] == RoomClimate(ClimateMode.COOL, 27.8)  # coasts to the edge of its band
    assert {command.reason.code for command in equipment.commands} == {ReasonCode.GUARD}


def test_without_a_meter_nothing_is_given_back() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown(meter={"power_kw": None, "import_kwh": None}))
    controller = one_minute(equipment, clock, plan(-6.0, 8.0))
    assert equipment.orders()["leaf"] == ChargerPower(0.0)
    assert controller.counts["guard_blind_minutes"] == 1


def minutes(
    controller: SiteController, equipment: Recorder, clock: ManualClock, powers_kw: Sequence[float | None]
) -> list[GuardDecision]:
    """Minutes of control at some powers of the connection; None is a reading that was lost."""
    counter = equipment.shown["meter"]["import_kwh"] or 0.0
    said = []
    for power_kw in powers_kw:
        known = power_kw is not None
        equipment.shown["meter"] = {"power_kw": power_kw, "import_kwh": counter if known else None}
        tick = asyncio.run(controller.tick())
        assert tick.decision is not None
        said.append(tick.decision)
        counter += (power_kw if power_kw is not None else 80.0) / 60.0
        clock.advance(timedelta(minutes=1))
    return said


def watched(equipment: Recorder, clock: ManualClock) -> SiteController:
    controller = SiteController(site=site(), equipment=equipment, clock=clock, trips=(), guard=DemandGuard())
    controller.begin_slot(Window(slot=SLOT, plan=plan(6.0, 8.0), target_kw=100.0))
    return controller


def test_a_lost_reading_costs_the_guard_nothing_it_counts_on_from_the_last() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown(leaf={"power_kw": 6.0}))
    controller = watched(equipment, clock)
    seen = minutes(controller, equipment, clock, [80.0, 80.0, 80.0, 80.0])
    clock, equipment = ManualClock(START), Recorder(ManualClock(START), shown(leaf={"power_kw": 6.0}))
    equipment.clock = clock
    controller = watched(equipment, clock)
    lost = minutes(controller, equipment, clock, [80.0, 80.0, None, 80.0])
    assert lost[-1].projected_kw == pytest.approx(seen[-1].projected_kw)
    assert lost[2].projected_kw == pytest.approx(seen[2].projected_kw)
    assert controller.counts["guard_blind_minutes"] == 0


def test_without_readings_for_minutes_what_the_guard_said_stays_and_no_room_comes_back() -> None:
    clock = ManualClock(START + timedelta(minutes=6))
    equipment = Recorder(clock, shown(leaf={"power_kw": 6.0}, meter={"import_kwh": 1012.0}))
    controller = watched(equipment, clock)
    said = minutes(controller, equipment, clock, [130.0, 130.0, 130.0, None, None, None, None])
    assert AssetId("hall") in said[2].shed
    assert all(one.shed == said[2].shed for one in said[3:])
    assert controller.counts["guard_blind_minutes"] == 3  # the first lost minute is still young enough
    assert equipment.orders()["leaf"] == ChargerPower(0.0)  # the envelope: nothing given back unseen


def test_a_late_reading_counts_at_the_instant_at_which_it_was_taken() -> None:
    allowed = []
    for age in (timedelta(0), timedelta(seconds=60)):
        clock = ManualClock(START)
        equipment = Recorder(clock, shown())
        controller = watched(equipment, clock)
        asyncio.run(controller.tick())
        clock.advance(timedelta(minutes=10))
        equipment.shown["meter"] = {"power_kw": 90.0, "import_kwh": 1015.0}
        equipment.meter_age = age
        decision = asyncio.run(controller.tick()).decision
        assert decision is not None
        allowed.append(decision.allowed_kw)
    # The same counter, but a minute old: 1.5 kWh more are used by now, and missing in the 20 minutes left.
    assert allowed[0] - allowed[1] == pytest.approx(1.5 * 60 / 20)


def test_the_window_is_that_of_the_meters_clock() -> None:
    clock = ManualClock(SLOT.end - timedelta(minutes=1))
    shows: dict[str, float | None] = {"power_kw": 130.0, "import_kwh": 1100.0}
    shows["clock_s"] = (SLOT.end + timedelta(minutes=1)).timestamp()  # it is two minutes ahead of us
    equipment = Recorder(clock, shown(meter=shows))
    controller = watched(equipment, clock)
    decision = asyncio.run(controller.tick()).decision
    assert decision is not None
    assert decision.projected_kw == pytest.approx(130.0)  # a window that has only just begun
    assert controller.meter_clock.ahead == pytest.approx(timedelta(minutes=2), abs=timedelta(seconds=1))


def test_a_room_that_the_plan_cools_in_spring_is_cooled_and_one_that_it_heats_is_heated() -> None:
    spring = parse_jst("2026-04-08 10:00")
    months = replace(site().calendar, changeover_months=(4,))
    orders = []
    for cooling in (frozenset[AssetId](), frozenset({AssetId("hall")})):
        clock = ManualClock(spring)
        equipment = Recorder(clock, shown(hall={"room_c": 24.0}))
        controller = SiteController(
            site=replace(site(), calendar=months), equipment=equipment, clock=clock, trips=(), guard=None
        )
        slot = Slot(spring)
        why = Reason(ReasonCode.COMFORT)
        point = Setpoint(asset=AssetId("hall"), slot=slot, power_kw=8.0, reason=why, expected=24.5)
        planned = replace(plan(0.0, 8.0), grid=Grid(spring, 1), setpoints=(point,))
        controller.begin_slot(Window(slot=slot, plan=planned, cooling=cooling))
        asyncio.run(controller.tick())
        order = equipment.orders()["hall"]
        assert isinstance(order, RoomClimate)
        orders.append(order.mode)
    assert orders == [ClimateMode.HEAT, ClimateMode.COOL]


def test_a_promise_beats_the_plan() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown(leaf={"soc": 0.5}))
    leaves = Trip(
        vehicle="leaf",
        departs=START + timedelta(hours=1),
        returns=START + timedelta(hours=2),
        energy_kwh=3,
        promise_soc=0.9,
    )
    one_minute(equipment, clock, plan(-6.0, 8.0), trips=[leaves])
    assert equipment.orders()["leaf"] == ChargerPower(6.0)
    assert next(c for c in equipment.commands if c.asset == "leaf").reason.code is ReasonCode.PROMISE


def test_discharge_stops_where_export_would_begin() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown(meter={"power_kw": 7.0}))
    one_minute(equipment, clock, plan(-6.0, 8.0))
    assert equipment.orders()["leaf"] == ChargerPower(-2.0)  # 7 kW of import, 5 of them are the margin


def test_the_inverter_is_limited_before_export_and_released_when_the_sun_goes() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown(meter={"power_kw": 2.0}, pv={"generation_kw": 40.0}))
    controller = one_minute(equipment, clock, plan(0.0, 8.0))
    assert equipment.orders()["pv"] == GenerationLimit(37.0)
    equipment.shown = shown(meter={"power_kw": 60.0}, pv={"generation_kw": 5.0})
    clock.advance(timedelta(minutes=1))
    asyncio.run(controller.tick())
    assert equipment.orders()["pv"] == GenerationLimit(None)


def test_above_the_contract_nobody_charges() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown(meter={"power_kw": 120.0}))
    one_minute(equipment, clock, plan(6.0, 8.0), contract_kw=110.0, target_kw=400.0)
    assert equipment.orders()["leaf"] == ChargerPower(0.0)


def test_without_a_plan_cars_charge_and_thermostats_hold() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown(meter={"power_kw": 290.0}))
    one_minute(equipment, clock, None, guard=False)
    assert equipment.orders() == {"leaf": ChargerPower(6.0), "hall": RoomClimate(ClimateMode.COOL, 26.0)}


def test_an_empty_room_is_switched_off_in_summer() -> None:
    clock = ManualClock(parse_jst("2026-08-04 23:00"))
    equipment = Recorder(clock, shown())
    controller = SiteController(site=site(), equipment=equipment, clock=clock, trips=(), guard=None)
    controller.begin_slot(Window(slot=Slot(clock.now())))
    asyncio.run(controller.tick())
    order = equipment.orders()["hall"]
    assert isinstance(order, RoomClimate)
    assert order.mode is ClimateMode.OFF


def asked_minute(
    equipment: Recorder, clock: ManualClock, asked: Asked, *, target_kw: float = 100.0
) -> SiteController:
    controller = SiteController(
        site=site(), equipment=equipment, clock=clock, trips=(), guard=DemandGuard(), asked=asked
    )
    controller.begin_slot(Window(slot=SLOT, plan=plan(-3.0, 8.0), target_kw=target_kw))
    asyncio.run(controller.tick())
    return controller


def test_a_car_that_charges_at_once_does_not_wait_for_the_plan_but_for_the_guard() -> None:
    asked = Asked(charge={AssetId("leaf"): None})
    clock = ManualClock(START)
    equipment = Recorder(clock, shown())
    asked_minute(equipment, clock, asked)
    assert equipment.orders()["leaf"] == ChargerPower(6.0)
    late = ManualClock(START + timedelta(minutes=25))
    busy = Recorder(late, shown(meter={"power_kw": 140.0}))
    asked_minute(busy, late, asked)
    assert busy.orders()["leaf"] != ChargerPower(6.0)


def test_a_car_that_is_full_enough_follows_the_plan_again() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown())
    asked_minute(equipment, clock, Asked(charge={AssetId("leaf"): 0.7}))
    assert equipment.orders()["leaf"] == ChargerPower(-3.0)


def test_a_driver_who_said_no_gives_nothing_back() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown())
    asked_minute(equipment, clock, Asked(no_discharge=frozenset({AssetId("leaf")})))
    assert equipment.orders()["leaf"] == ChargerPower(0.0)
    assert {one.reason.code for one in equipment.commands if one.asset == "leaf"} == {ReasonCode.OPTED_OUT}


def test_what_a_person_holds_the_guard_leaves_alone() -> None:
    asked = Asked(power_kw={AssetId("leaf"): 4.0}, room_c={AssetId("hall"): 23.0})
    clock = ManualClock(START + timedelta(minutes=25))
    equipment = Recorder(clock, shown(meter={"power_kw": 140.0}))
    asked_minute(equipment, clock, asked)
    assert equipment.orders()["leaf"] == ChargerPower(4.0)
    assert equipment.orders()["hall"] == RoomClimate(ClimateMode.COOL, 23.0)
    assert {one.source for one in equipment.commands if one.asset != "pv"} == {CommandSource.MANUAL}


def test_the_contract_stands_above_what_a_person_holds() -> None:
    clock = ManualClock(START)
    equipment = Recorder(clock, shown(meter={"power_kw": 310.0}))
    asked_minute(equipment, clock, Asked(power_kw={AssetId("leaf"): 4.0}))
    assert equipment.orders()["leaf"] == ChargerPower(0.0)
