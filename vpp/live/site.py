"""One site that runs: read, guard, command every few seconds; plan each half-hour beside it; keep what was.

It is :class:`vpp.loop.operate.SiteOperator`, the same that a simulation drives. What is added here is time
that passes by itself: planning in a thread, writing in another, and going on whatever one of them does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from devices.gateway import Connection
from energy.core.assets import Trip, expand_trips
from energy.core.errors import VppError
from energy.core.measurement import Quality
from energy.core.site import Site
from energy.core.slots import JST, Slot
from vpp.live.clerk import Clerk
from vpp.live.memory import MemoryFile
from vpp.live.pace import Pace
from vpp.live.planning import PlannerThread, Spawn, in_thread
from vpp.live.plant import Plant, PlantEndedError
from vpp.loop.control import METER, Readings, Tick
from vpp.loop.operate import SiteOperator
from vpp.ops.status import Part, PartState
from vpp.site.minutes import minute_points

__all__ = ["LiveSite", "calendar_of"]

log = logging.getLogger(__name__)

MINUTE: Final = timedelta(minutes=1)
_FAILING: Final = 3  # steps in a row that broke: then everything is left safe until one succeeds
_TIDY_AHEAD: Final = timedelta(milliseconds=50)  # after a boundary, so that a step falls into its slot


def calendar_of(site: Site, now: datetime) -> tuple[Trip, ...]:
    """Trips from yesterday to the day after the horizon of a plan, sorted by departure."""
    trips = [
        trip
        for vehicle, patterns in site.trips.items()
        for trip in expand_trips(vehicle, patterns, now - timedelta(days=2), now + timedelta(days=5))
    ]
    return tuple(sorted(trips, key=lambda trip: trip.departs))


@dataclass(slots=True, kw_only=True)
class LiveSite:
    """Runs a site until it is told to stop, and leaves the safe state behind.

    Parameters
    ----------
    operator : SiteOperator
        Plans and controls.
    plant : Plant
        The equipment.
    pace : Pace
        Time.
    deadline_s : float
        A plan that takes longer is late. [s]
    memory : MemoryFile or None
        Where the running half-hour is kept, for a program that starts again within it.
    after_step : callable
        Called after each step.
    spawn : callable
        How planning is started beside control.
    told : tuple of str
        What it is not to do (:attr:`vpp.ops.status.Part.told`).
    """

    operator: SiteOperator
    plant: Plant
    pace: Pace
    deadline_s: float = 120.0
    memory: MemoryFile | None = None
    after_step: Callable[[], object] = lambda: None
    spawn: Spawn = in_thread
    told: tuple[str, ...] = ()
    part: Part = field(init=False)
    steps: int = 0
    _planner: PlannerThread = field(init=False)
    _clerk: Clerk = field(init=False)
    _slot: Slot | None = None
    _day: date | None = None
    _minute: datetime | None = None
    _broken: int = 0
    _plan_trouble: str = ""
    _unplanned: bool = False
    _readings: Readings = field(default_factory=dict)

    def __post_init__(self) -> None:
        site = self.operator.site.id
        self.part = Part(name=f"site:{site}", state=PartState.STARTING, why=("starting",), told=self.told)
        self._clerk = Clerk(site)
        self._planner = PlannerThread(
            self.operator.plan, renew=self.operator.renew, deadline_s=self.deadline_s, spawn=self.spawn
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until told to stop; then leave the safe state, and keep what is to be kept.

        Raises
        ------
        PlantEndedError
            If the gateway ended by itself.
        VppError
            If the equipment cannot be taken over.
        """
        try:
            await self.plant.connect()
            self._pick_up()
            while not stop.is_set():
                await self._step()
                await self.pace.pause(self._until_next(), stop)
        finally:
            await self._leave()

    def _until_next(self) -> timedelta:
        """To the next step, or to the turn of the half-hour if that is sooner."""
        now = self.pace.now()
        return min(self.operator.step, Slot.containing(now).end - now + _TIDY_AHEAD)

    def _pick_up(self) -> None:
        """Go on where an earlier program ended."""
        now = self.pace.now()
        self._know_calendar(now)
        found = None if self.memory is None else self.memory.read()
        if found is not None:
            try:
                slot = Slot.containing(now)
                if self.operator.remember(found, slot):
                    self._slot = slot
                    self._unplanned = not self.operator.is_planned
                    log.info("live.picked_up site=%s slot=%s", self.operator.site.id, slot.start.isoformat())
            except (ValueError, TypeError, LookupError, VppError) as error:
                assert self.memory is not None
                self.memory.put_aside(error)
        self.operator.learn_peaks(now)

    async def _leave(self) -> None:
        """The safe state first; then what is to be kept."""
        try:
            await self.plant.safe_state()
        finally:
            await self.plant.close()
            self._keep_memory()
            await asyncio.to_thread(self._clerk.end)
        log.info("live.stopped site=%s", self.operator.site.id)

    # -- one step --------------------------------------------------------------------------------------

    async def _step(self) -> None:
        """One step; whatever breaks in it must not end the next ones."""
        try:
            await self._control()
        except Exception as error:
            self._broken += 1
            if self._broken == 1:
                log.exception("live.step_broke site=%s", self.operator.site.id)
            if self._broken == _FAILING:
                log.error("live.safe site=%s why=%s", self.operator.site.id, error)
                await self.plant.safe_state()
                self.operator.control.standing.forget_all()
            if isinstance(error, PlantEndedError):
                raise
        else:
            if self._broken:
                log.info("live.steps_again site=%s after=%d", self.operator.site.id, self._broken)
            self._broken = 0
        self.steps += 1
        self._tell()
        self.after_step()

    async def _control(self) -> None:
        slot = Slot.containing(self.pace.now())
        if self._slot is None or slot.start > self._slot.start:  # never back, whatever the clock does
            await self._turn(slot)
        self._take_plan()
        self._ask_for_plan()
        tick = await self.operator.minute()
        await self.plant.refresh()
        self._readings = tick.readings
        self._each_minute(tick)

    async def _turn(self, slot: Slot) -> None:
        """From one half-hour to the next: close, open, go on with what is known, ask for a plan."""
        readings = await self.plant.read()
        now = self.pace.now()
        if self._slot is not None:
            closed = self.operator.close(readings)
            self._clerk.do("slot", lambda: self._keep(closed.slot, lambda: self.operator.keep(closed)))
        self._know_calendar(now)
        self._readings = readings
        self.operator.open(slot, readings)
        self.operator.carry_on(slot)
        self._slot = slot
        self._unplanned = True

    def _ask_for_plan(self) -> None:
        """Ask for the plan of the half-hour that runs, as soon as the planner is free."""
        if self._unplanned and self._slot is not None and self._readings:
            asked = self._planner.ask(self.operator.order(self._slot, self._readings))
            self._unplanned = not asked

    def _keep(self, slot: Slot, work: Callable[[], None]) -> None:
        with self.operator.store.transaction():
            work()
        log.debug("live.kept site=%s slot=%s", self.operator.site.id, slot.start.isoformat())

    def _know_calendar(self, now: datetime) -> None:
        today = now.astimezone(JST).date()
        if self._day != today:
            self.operator.trips = calendar_of(self.operator.site, now)
            self.operator.control.trips = self.operator.trips
            self._day = today

    def _take_plan(self) -> None:
        """Follow a plan that came; one for an earlier half-hour as far as it still speaks of this one."""
        answer = self._planner.answer()
        if answer is None:
            return
        self._plan_trouble = answer.trouble
        if answer.window is None or self._slot is None:
            return
        if answer.order.slot == self._slot:
            self.operator.adopt(answer.window)
        else:
            log.warning("live.plan_too_late site=%s slot=%s", self.operator.site.id, answer.order.slot.start)
            self.operator.take_late(answer.window, self._slot)

    def _each_minute(self, tick: Tick) -> None:
        now = self.pace.now()
        minute = now.replace(second=0, microsecond=0)
        if minute == self._minute:
            return
        self._minute = minute
        points = list(minute_points(self.operator.site, tick.readings, now))
        self._clerk.do("minute", lambda: self.operator.store.append(points))
        self._keep_memory()

    def _keep_memory(self) -> None:
        if self.memory is not None:
            kept, memory = self.memory, self.operator.memory()
            self._clerk.do("memory", lambda: kept.write(memory), may_be_left=True)

    # -- how it does -----------------------------------------------------------------------------------

    def _tell(self) -> None:
        why = tuple(self._faults())
        state = PartState.DEGRADED if why else PartState.OK
        if self._broken >= _FAILING:
            state = PartState.FAILED
        if (state, why) != (self.part.state, self.part.why):
            log.info("live.state site=%s state=%s why=%s", self.operator.site.id, state, ",".join(why))
            since = self.pace.now()
            self.part = Part(name=self.part.name, state=state, why=why, since=since, told=self.told)

    def _faults(self) -> list[str]:
        faults = []
        if self._broken:
            faults.append("control_failing")
        if not _hears_meter(self._readings):
            faults.append("meter_silent")
        gone = sorted(name for name, one in self.plant.connections.items() if one is not Connection.ONLINE)
        faults += [f"device_lost:{name}" for name in gone]
        if self._planner.late:
            faults.append("plan_late")
        elif self._plan_trouble:
            faults.append("plan_failed")
        if self._clerk.trouble:
            faults.append("store_unavailable")
        return faults

    @property
    def plan_trouble(self) -> str:
        """Why there is no new plan; empty if there is one, or one is being made."""
        return self._plan_trouble


def _hears_meter(readings: Readings) -> bool:
    power = readings.get(METER, {}).get("power_kw")
    return power is not None and power.value is not None and power.quality is Quality.GOOD
