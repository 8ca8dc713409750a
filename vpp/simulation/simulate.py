"""One controller over the days of a scenario: world and twins on one side, the product on the other.

Between the two stand sockets: the controller reads and writes registers over Modbus TCP on loopback, as it
would on a real site; only the clock runs faster. Where many weeks are compared (``wire=False``) the twins are
read and told without sockets, to the same digits. Every finished half-hour is written in one transaction with
a checkpoint, so that a run that was killed goes on from its last half-hour.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from devices.gateway import Access, Gateway
from devices.twins.site import SiteTruth, TwinSite
from devices.twins.walls import Walls
from dispatch.planner import Planner
from energy.core.assets import expand_trips
from energy.core.clock import ManualClock
from energy.core.errors import ConfigError
from energy.core.slots import SLOT_LENGTH, Slot, slots_between
from energy.core.units import AssetId
from energy.store import Point, Store
from vpp.consents import record_simulated
from vpp.loop.control import Equipment
from vpp.loop.operate import Desk, Mode, SiteOperator
from vpp.simulation.nearby import NearEquipment
from vpp.simulation.scenario import Scenario
from vpp.simulation.scenecalls import announce_calls, settle_calls
from vpp.simulation.score import ScoreKeeper
from vpp.simulation.simworld import SimulatedWorld
from vpp.site.minutes import minute_points
from vpp.site.recorder import SiteSeries
from vpp.site.records import announce
from vpp.site.rooms import learn_rooms, learns_at
from vpp.site.sitebook import keep_site

__all__ = ["ScenarioRun", "walls_of"]

MINUTE = timedelta(minutes=1)
MINUTES_PER_SLOT = 30
CHECKPOINT = "checkpoint"
"""Kind of the document that a run which was cut off goes on from."""


class Link(Equipment, Protocol):
    """What a run needs of the gateway."""

    async def connect(self) -> None:
        """Reach the equipment and take control."""
        ...

    async def refresh(self) -> None:
        """Send again what would expire."""
        ...

    async def safe_state(self) -> None:
        """Leave everything safe."""
        ...

    async def close(self) -> None:
        """End all links."""
        ...


@dataclass(slots=True)
class ScenarioRun:
    """One controller in one scenario.

    Parameters
    ----------
    mode : str
        See :class:`~vpp.loop.operate.SiteOperator`.
    start, end : datetime
        Midnights in Japan, UTC.
    store : Store
        Where everything goes; a store with a checkpoint of the same run is continued.
    progress : callable
        Called after each slot with the number done and the number in all.
    wire : bool
        Whether the equipment is reached over sockets.
    desk, planner : optional
        As of :class:`~vpp.loop.operate.SiteOperator`.
    minutes : bool
        Whether what people watch minute by minute is kept as well.
    """

    scenario: Scenario
    folder: Path
    mode: Mode
    start: datetime
    end: datetime
    store: Store
    progress: Callable[[int, int], None] = lambda _done, _all: None
    wire: bool = True
    desk: Desk | None = None
    planner: Planner | None = None
    minutes: bool = False
    world: SimulatedWorld = field(init=False)
    score: ScoreKeeper = field(init=False)
    operator: SiteOperator = field(init=False)
    wall_s: float = 0.0
    _minutes: list[Point] = field(default_factory=list)
    _clock: ManualClock = field(init=False)

    async def run(self) -> None:
        """Run from the start, or from where an earlier run was cut off, to the end.

        Raises
        ------
        ConfigError
            If the store holds another run.
        """
        began = time.perf_counter()
        site = self.scenario.site
        self.world = SimulatedWorld(self.scenario, self.folder, self.start, self.end)
        self.score = ScoreKeeper(site)
        saved = self._checkpoint()
        with self.store.transaction():
            if self.desk is None:  # forecasts that were made before need no past
                self.world.seed(self.store)
            keep_site(self.store, site, at=self.start)
            drivers = sorted({vehicle.driver for vehicle in site.vehicles if vehicle.driver is not None})
            record_simulated(self.store, drivers, at=self.start)
        twins = TwinSite(
            pv=site.pv,
            zones=self.scenario.true_zones(),
            vehicles=site.vehicles,
            chargers=site.chargers,
            batteries=site.batteries,
            submeters=True,
            walls=walls_of(self.scenario),
        )
        now = self.start
        if saved is not None:
            now = datetime.fromisoformat(str(saved["now"]))
            twins.restore(saved["twins"])
            self.score.restore(saved["score"])
            self.wall_s = float(str(saved["wall_s"]))
        self._clock = ManualClock(now)
        gateway = await self._equipment(twins)
        self.operator = self._make_operator(gateway)
        if isinstance(gateway, Gateway):
            gateway.envelope = self.operator.control.allowed
        if saved is not None:
            self.operator.restore(saved["operator"])
        else:
            self.world.place_people(twins, self.start)
        try:
            await gateway.connect()
            await self._loop(twins, gateway, began - self.wall_s)
            await gateway.safe_state()
        finally:
            await gateway.close()
            await twins.stop()
        self.wall_s = time.perf_counter() - began + self.wall_s

    async def _equipment(self, twins: TwinSite) -> Link:
        if not self.wire:
            return NearEquipment(self.scenario.site, twins, self._clock)
        return Gateway(await twins.start(), clock=self._clock, access=Access.CONTROL)

    def _make_operator(self, gateway: Link) -> SiteOperator:
        site = self.scenario.site
        trips = [
            trip
            for vehicle, patterns in site.trips.items()
            for trip in expand_trips(
                vehicle, patterns, self.start - timedelta(days=1), self.end + timedelta(days=4)
            )
        ]
        return SiteOperator(
            site=site,
            mode=self.mode,
            store=self.store,
            clock=self._clock,
            equipment=gateway,
            trips=sorted(trips, key=lambda trip: trip.departs),
            coin=self.scenario.coin,
            desk=self.desk,
            planner=self.planner,
        )

    async def _loop(self, twins: TwinSite, gateway: Link, began: float) -> None:
        self.operator.control.read_every_minute([d for d in twins.twins if not d.startswith("submeter-")])
        slots = slots_between(self.start, self.end)
        readings = await gateway.read()
        for done, slot in enumerate(slots, start=1):
            if slot.start < self._clock.now():
                continue
            with self.store.transaction():
                self._publish(slot)
                if learns_at(slot.start):  # where the site runs, a job does it
                    learn_rooms(self.store, self.scenario.site, slot.start)
                self.operator.begin(slot, readings)
            before = twins.truth()
            for _ in range(MINUTES_PER_SLOT):
                await self._minute(twins, gateway, slot)
            readings = await gateway.read()
            with self.store.transaction():
                self.store.append(self._minutes)
                self._minutes.clear()
                self.operator.finish(readings)
                settle_calls(self.store, self.scenario, slot.end)
                self._record_truth(slot, before, twins.truth())
                self._save(twins, time.perf_counter() - began)
            self.progress(done, len(slots))

    async def _minute(self, twins: TwinSite, gateway: Link, slot: Slot) -> None:
        now = self._clock.now()
        for trip in self.world.arrivals(now):
            twins.plug(trip.vehicle, used_kwh=trip.energy_kwh)
            self.operator.control.forget(AssetId(trip.vehicle))
        for trip in self.world.departures(now):
            self.score.departs(trip, twins.truth().cars[trip.vehicle].soc)
            twins.unplug(trip.vehicle)
            self.operator.control.forget(AssetId(trip.vehicle))
        tick = await self.operator.minute()
        if self.minutes:
            self._minutes += minute_points(self.scenario.site, tick.readings, self._clock.now())
        await gateway.refresh()
        self.world.step(twins, now)
        self._clock.advance(MINUTE)
        truth = twins.truth()
        self.score.minute(self._clock.now(), slot.start, truth.cars, truth.zones)

    # -- the world speaks ------------------------------------------------------------------------------

    def _publish(self, slot: Slot) -> None:
        """What becomes known with the beginning of a slot: weather, and events announced by now."""
        if self.desk is None:
            self.world.publish(self.store, slot.start - SLOT_LENGTH, slot.start)
        for event in self.world.events:
            if event.known_at <= slot.start:
                announce(self.store, event)
        announce_calls(self.store, self.scenario, slot.start)

    def _record_truth(self, slot: Slot, before: SiteTruth, after: SiteTruth) -> None:
        """What no meter shows but the report tells: rooms' energies, thrown-away sun, worst excursion."""
        names = SiteSeries(self.scenario.site.id)
        values = {
            ("truth", "load_kwh"): after.load_kwh - before.load_kwh,
            ("truth", "import_kwh"): after.import_kwh - before.import_kwh,
            ("truth", "pv_kwh"): after.pv_kwh - before.pv_kwh,
            ("truth", "export_kwh"): after.export_kwh - before.export_kwh,
            ("truth", "curtailed_kwh"): after.curtailed_kwh - before.curtailed_kwh,
            ("truth", "excursion_k"): self.score.take_slot_worst(),
        }
        for asset, car in after.cars.items():
            values[asset, "battery_kwh"] = car.battery_kwh
        for asset, battery in after.batteries.items():
            values[asset, "battery_kwh"] = battery.battery_kwh
        for asset, zone in after.zones.items():
            values[asset, "electric_kwh"] = zone.electric_kwh - before.zones[asset].electric_kwh
            values[asset, "temp_c"] = zone.temp_c
        self.store.append(
            Point(series=names[key], at=slot.start, known_at=slot.end, value=value, source="twin")
            for key, value in values.items()
        )

    # -- checkpoints -----------------------------------------------------------------------------------

    def _key(self) -> str:
        return f"{self.scenario.scenario}/{self.mode}/{self.start.isoformat()}/{self.end.isoformat()}"

    def _checkpoint(self) -> dict[str, Any] | None:
        known = self.store.as_of(self.end + timedelta(days=365))
        found = known.documents(CHECKPOINT)
        if not found:
            return None
        if found[0].key != self._key():
            raise ConfigError(
                "this state folder belongs to another run",
                where=f"found {found[0].key}, asked for {self._key()}",
                hint="choose another --state folder, or delete this one",
            )
        loaded: dict[str, Any] = json.loads(found[0].body)
        return loaded

    def _save(self, twins: TwinSite, wall_s: float) -> None:
        body = {
            "now": self._clock.now().isoformat(),
            "wall_s": round(wall_s, 3),
            "twins": twins.state(),
            "score": self.score.state(),
            "operator": self.operator.state(),
        }
        self.store.put_document(
            CHECKPOINT, self._key(), known_at=self._clock.now(), body=json.dumps(body, sort_keys=True)
        )


def walls_of(scenario: Scenario) -> dict[str, Walls]:
    """Rooms whose walls have a temperature of their own."""
    return {
        name: Walls(
            share=one.walls.share,
            coupling=one.walls.coupling,
            direct=one.walls.direct,
            sun_share=one.walls.sun_share,
        )
        for name, one in scenario.world.rooms.items()
        if one.walls is not None
    }
