"""A works that runs: twins, a clock that a test moves, and a planner that says what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from devices.twins.site import TwinSite
from energy.core.clock import ManualClock
from energy.core.measurement import Quality
from energy.core.outcome import Command, Outcome
from energy.core.plan import Plan
from energy.core.series import Grid
from energy.core.slots import SLOT_LENGTH, Slot, parse_jst
from energy.core.units import AssetId
from energy.store import SqlStore
from tests.unit.vpp.loop.test_control import plan as one_slot_plan
from tests.unit.vpp.loop.test_control import site
from vpp.live.memory import MemoryFile
from vpp.live.site import LiveSite
from vpp.loop.control import METER, Readings, Window
from vpp.loop.halfhour import PlanOrder
from vpp.loop.operate import SiteOperator
from vpp.simulation.nearby import NearEquipment
from vpp.site.records import SLOT_RECORD, SlotRecord

START = parse_jst("2026-08-05 14:00")
STEP = timedelta(seconds=20)
SITE = site()


def plan_of(order: PlanOrder, *, car_kw: float = 3.0, slots: int = 2) -> Plan:
    """A plan of some half-hours in which the car charges."""
    one = one_slot_plan(car_kw=car_kw, room_kw=4.0)
    grid = Grid(order.slot.start, slots)
    points = [replace(point, slot=Slot(at)) for at in grid.times() for point in one.setpoints]
    return replace(one, made_at=order.now, grid=grid, setpoints=tuple(points))


def usual(order: PlanOrder) -> Window:
    return Window(slot=order.slot, plan=plan_of(order), target_kw=100.0)


@dataclass(slots=True, kw_only=True)
class Told(SiteOperator):
    """An operator whose plans a test makes."""

    says: Callable[[PlanOrder], Window] = usual
    asked: list[PlanOrder] = field(default_factory=list)
    renewed: int = 0

    def plan(self, order: PlanOrder) -> Window:
        self.asked.append(order)
        return self.says(order)

    def renew(self) -> None:
        self.renewed += 1


class Near(NearEquipment):
    """Twins whose meter can fall silent, and which can fail altogether."""

    silent = False
    broken: Exception | None = None
    safe = 0
    orders: list[Command]

    async def read(self, ids: object = None) -> Readings:
        if self.broken is not None:
            raise self.broken
        readings = dict(await super().read())
        if self.silent:
            readings[METER] = {
                name: replace(one, value=None, quality=Quality.STALE) for name, one in readings[METER].items()
            }
        return readings

    async def apply(self, command: Command) -> Outcome:
        self.orders.append(command)
        return await super().apply(command)

    async def safe_state(self) -> None:
        self.safe += 1
        await super().safe_state()


@dataclass
class World:
    """Moves clock and twins, does what a test wants at instants, and stops the site at the end."""

    clock: ManualClock
    twins: TwinSite
    end: datetime
    load_kw: float = 60.0
    acts: dict[datetime, Callable[[], object]] = field(default_factory=dict)

    def now(self) -> datetime:
        return self.clock.now()

    async def pause(self, duration: timedelta, stop: asyncio.Event) -> None:
        self.clock.advance(duration)
        self.twins.step(
            duration.total_seconds(),
            load_kw=self.load_kw,
            pv_available_kw=0.0,
            outdoor_c=30.0,
            ghi_w_m2=0.0,
            occupied=True,
        )
        for at in [at for at in self.acts if at <= self.clock.now()]:
            self.acts.pop(at)()
        if self.clock.now() >= self.end:
            stop.set()


@dataclass
class Works:
    """One life of the program over a works that outlives it."""

    store: SqlStore
    twins: TwinSite
    clock: ManualClock
    memory: MemoryFile
    operator: Told
    near: Near
    live: LiveSite
    world: World

    def run(self, minutes: float, **acts: Callable[[], object]) -> None:
        """Run for a time; ``m10=...`` is done in the tenth minute."""
        began = self.clock.now()
        self.world.end = began + timedelta(minutes=minutes)
        self.world.acts = {
            began + timedelta(minutes=float(name.removeprefix("m"))): act for name, act in acts.items()
        }
        asyncio.run(self.live.run(asyncio.Event()))

    @property
    def car_kw(self) -> float:
        return self.twins.truth().cars["leaf"].power_kw

    def record(self, at: datetime) -> SlotRecord | None:
        found = self.store.as_of(self.clock.now()).document(SLOT_RECORD, f"works/{at.isoformat()}")
        return None if found is None else SlotRecord.from_json(found.body)

    def value(self, asset: str, quantity: str, at: datetime) -> float | None:
        found = self.store.as_of(self.clock.now()).values(
            f"works/{asset}/{quantity}",  # type: ignore[arg-type]
            at,
            at + SLOT_LENGTH,
        )
        return found[0].value if found else None

    def again(self, *, after: timedelta = timedelta(0)) -> Works:
        """The next life of the program."""
        self.clock.advance(after)
        return works(self.store, self.memory.path, twins=self.twins, clock=self.clock)


def inline(work: Callable[[], None]) -> None:
    """Planning that is done before it is awaited."""
    work()


def works(
    store: SqlStore,
    memory: Path,
    *,
    twins: TwinSite | None = None,
    clock: ManualClock | None = None,
    spawn: Callable[[Callable[[], None]], None] = inline,
    says: Callable[[PlanOrder], Window] = usual,
) -> Works:
    clock = clock or ManualClock(START)
    if twins is None:
        twins = TwinSite(
            pv=SITE.pv, zones=SITE.zones, vehicles=SITE.vehicles, chargers=SITE.chargers, no_export=False
        )
        twins.step(1.0, load_kw=60.0, pv_available_kw=0.0, outdoor_c=30.0, ghi_w_m2=0.0, occupied=True)
    near = Near(SITE, twins, clock)
    near.orders = []
    operator = Told(
        site=SITE, mode="optimal", store=store, clock=clock, equipment=near, trips=(), step=STEP, says=says
    )
    world = World(clock, twins, clock.now())
    kept = MemoryFile(memory)
    live = LiveSite(operator=operator, plant=near, pace=world, memory=kept, spawn=spawn)
    return Works(store, twins, clock, kept, operator, near, live, world)


LEAF = AssetId("leaf")
