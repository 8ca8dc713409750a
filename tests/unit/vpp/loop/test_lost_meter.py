"""The site meter falls silent: what control does to real registers, minute by minute."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from devices.gateway import Gateway
from devices.twins.site import TwinSite
from dispatch.guard import DemandGuard
from energy.core.clock import ManualClock
from energy.core.outcome import ChargerPower, Clipped, Command, CommandSource
from energy.core.plan import Plan, Reason, ReasonCode
from energy.core.slots import Slot
from energy.core.units import AssetId
from tests.unit.vpp.loop.test_control import SLOT, START, plan, site
from vpp.loop.control import SiteController, Window


@dataclass
class Works:
    """Twins, gateway and controller of one site."""

    clock: ManualClock
    twins: TwinSite
    gateway: Gateway
    control: SiteController

    async def minute(self, *, load_kw: float = 60.0, sun_kw: float = 0.0) -> None:
        await self.control.tick()
        await self.gateway.refresh()
        self.live(load_kw, sun_kw)
        self.clock.advance(timedelta(minutes=1))
        if self.clock.now() >= SLOT.end and self.clock.now().minute % 30 == 0:
            self.begin(None)

    def live(self, load_kw: float = 60.0, sun_kw: float = 0.0) -> None:
        self.twins.step(
            60.0, load_kw=load_kw, pv_available_kw=sun_kw, outdoor_c=30.0, ghi_w_m2=0.0, occupied=True
        )

    def begin(self, the_plan: Plan | None) -> None:
        slot = Slot.containing(self.clock.now())
        self.control.begin_slot(Window(slot=slot, plan=the_plan, target_kw=500.0))

    @property
    def car_kw(self) -> float:
        return self.twins.truth().cars["leaf"].power_kw


@asynccontextmanager
async def works(the_plan: Plan) -> AsyncIterator[Works]:
    clock, one = ManualClock(START), site()
    twins = TwinSite(
        pv=one.pv, zones=one.zones, vehicles=one.vehicles, chargers=one.chargers, no_export=False
    )
    gateway = Gateway(await twins.start(), clock=clock)
    control = SiteController(site=one, equipment=gateway, clock=clock, trips=(), guard=DemandGuard())
    gateway.envelope = control.allowed
    made = Works(clock, twins, gateway, control)
    try:
        await gateway.connect()
        made.live()
        made.begin(the_plan)
        yield made
    finally:
        await gateway.close()
        await twins.stop()


async def test_a_discharge_ends_within_two_minutes_of_the_last_reading() -> None:
    async with works(plan(car_kw=-5.0, room_kw=0.0)) as made:
        await made.minute()
        assert made.car_kw == -5.0
        await made.twins.meter.stop()
        await made.minute()
        await made.minute()
        assert made.car_kw == 0.0


async def test_charging_that_nobody_promised_ends_too() -> None:
    async with works(plan(car_kw=6.0, room_kw=0.0)) as made:
        await made.minute()
        assert made.car_kw == 6.0
        await made.twins.meter.stop()
        await made.minute()
        await made.minute()
        assert made.car_kw == 0.0


async def test_a_limit_on_the_roof_is_not_frozen() -> None:
    async with works(plan(car_kw=0.0, room_kw=0.0)) as made:
        inverter = made.twins.inverter
        assert inverter is not None
        for _ in range(4):
            await made.minute(load_kw=30.0, sun_kw=50.0)
        assert inverter.power_kw < 30.0  # held below what the works draws
        await made.twins.meter.stop()
        for _ in range(35):  # to the end of the order, a minute after its slot
            await made.minute(load_kw=30.0, sun_kw=50.0)
        assert inverter.power_kw == 50.0


async def test_what_a_person_orders_passes_the_envelope_as_well() -> None:
    async with works(plan(car_kw=0.0, room_kw=0.0)) as made:
        await made.twins.meter.stop()
        await made.minute()
        command = Command(
            asset=AssetId("leaf"),
            order=ChargerPower(-6.0),
            source=CommandSource.MANUAL,
            reason=Reason(ReasonCode.MANUAL),
            issued_at=made.clock.now(),
            expires_at=made.clock.now() + timedelta(hours=1),
            issuer="console",
        )
        outcome = await made.gateway.apply(command)
        assert isinstance(outcome, Clipped)
        assert (outcome.order, outcome.limit) == (ChargerPower(0.0), "safe_state")
