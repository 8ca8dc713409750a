"""The world of a demonstration: a scenario lives on by an accelerated clock, and remembers where it was."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from devices.gateway import Access, Connection, Envelope, Gateway
from devices.twins.site import TwinSite
from energy.core.clock import Clock
from energy.core.outcome import Command, Outcome
from energy.core.series import Grid
from energy.core.slots import SLOT_LENGTH, Slot
from energy.core.units import AssetId
from energy.ledger import TightEvent
from energy.store import Point, Store
from vpp.live.memory import MemoryFile
from vpp.live.pace import RealPace
from vpp.loop.control import Readings
from vpp.simulation.scenario import Scenario
from vpp.simulation.simworld import SimulatedWorld
from vpp.site.recorder import SiteSeries
from vpp.site.records import announce

__all__ = ["DemoPace", "DemoWorld", "WiredTwins"]

log = logging.getLogger(__name__)

MINUTE: Final = timedelta(minutes=1)
_SHORT_PAST: Final = timedelta(days=28)
_VALLEY: Final = 3.0  # times what the site's own roof gives: the plant of its agreement off the site
_REMEMBER_EVERY: Final = timedelta(minutes=10)


class DemoWorld:
    """Twins of a scenario, and the weather and people around them.

    Parameters
    ----------
    start, end : datetime
        First and last instant of which the world knows weather and load, UTC.
    events : sequence of TightEvent
        Announced beside those of the scenario.
    kept : MemoryFile
        Where it remembers how it stood.
    """

    def __init__(
        self,
        scenario: Scenario,
        folder: Path,
        start: datetime,
        end: datetime,
        *,
        store: Store,
        kept: MemoryFile,
        events: tuple[TightEvent, ...] = (),
    ) -> None:
        site = scenario.site
        self._site = site.id
        self.end = end
        self.twins = TwinSite(
            pv=site.pv,
            zones=site.zones,
            vehicles=site.vehicles,
            chargers=site.chargers,
            batteries=site.batteries,
            submeters=True,
        )
        self.changed: Callable[[AssetId], None] = lambda _car: None
        self._world = SimulatedWorld(scenario, folder, start, end)
        self._store = store
        self._kept = kept
        self._events = (*self._world.events, *events)
        self._lived = start
        self._remembered = start

    @property
    def now(self) -> datetime:
        """Up to when it has lived. UTC."""
        return self._lived

    def begin(self, now: datetime, twins: dict[str, object]) -> None:
        """Begin at an instant with the twins as they stood then."""
        self.twins.restore(twins)
        self._lived = now

    def settle(self, now: datetime, *, past: timedelta = _SHORT_PAST) -> None:
        """Begin at an instant with a past of measured weeks instead of one that was lived through."""
        self._world.seed(self._store, load_past=past, sun_past=past)
        meter = self._world.past_import()
        first = max(meter.grid.start, now - past)
        self._store.append(
            Point(
                series=SiteSeries(self._site)["meter", "import_kwh"],
                at=meter.grid.time(k),
                known_at=meter.grid.time(k + 1),
                value=float(meter.values[k]),
                source="history",
            )
            for k in range(meter.grid.index(first), meter.grid.count)
        )
        self._world.place_people(self.twins, now)
        self._lived = now

    def supply(self, plant: str, now: datetime, past: timedelta) -> None:
        """Readings that an agreement off the site is settled by, up to the end of the world.

        They become known half hour by half hour. Nothing was sent out before the site began to live: its roof
        is smaller than what it uses.
        """
        names, grid = SiteSeries(self._site), Grid.between(now - past, self.end)
        sun = self._world.sun_of(grid)
        told = {names[plant, "plant_kwh"]: (grid.count, _VALLEY * sun.values)}
        told[names["meter", "export_kwh"]] = (grid.index(now), 0.0 * sun.values)
        self._store.append(
            Point(
                series=name,
                at=grid.time(k),
                known_at=grid.time(k + 1),
                value=round(float(values[k]), 3),
                source="history",
            )
            for name, (count, values) in told.items()
            for k in range(count)
        )

    def wake(self) -> bool:
        """Go on where it was when it was last kept; False if it never was."""
        found = self._kept.read()
        if found is None:
            return False
        self.begin(datetime.fromisoformat(found["now"]), found["twins"])
        return True

    def live_to(self, now: datetime) -> None:
        """Let minutes pass up to an instant, and become known what then does."""
        while self._lived + MINUTE <= min(now, self.end):
            if Slot.containing(self._lived).start == self._lived:
                self._publish(self._lived)
            for trip in self._world.arrivals(self._lived):
                self.twins.plug(trip.vehicle, used_kwh=trip.energy_kwh)
                self.changed(AssetId(trip.vehicle))
            for trip in self._world.departures(self._lived):
                self.twins.unplug(trip.vehicle)
                self.changed(AssetId(trip.vehicle))
            self._world.step(self.twins, self._lived)
            self._lived += MINUTE
        if self._lived - self._remembered >= _REMEMBER_EVERY:
            self.keep()

    def keep(self) -> None:
        """Remember how it stands."""
        self._remembered = self._lived
        state = json.loads(json.dumps(self.twins.state()))
        self._kept.write({"now": self._lived.isoformat(), "twins": state})

    def _publish(self, at: datetime) -> None:
        self._world.publish(self._store, at - SLOT_LENGTH, at)
        for event in self._events:
            if event.known_at <= at:
                announce(self._store, event)


class DemoPace(RealPace):
    """Time of a demonstration: while control waits, the world turns."""

    def __init__(self, clock: Clock, world: DemoWorld, *, speed: float) -> None:
        super().__init__(clock, speed=speed)
        self._world = world

    async def pause(self, duration: timedelta, stop: asyncio.Event) -> None:
        """Let a time of the clock pass, or less if one is told to stop."""
        await super().pause(duration, stop)
        self._world.live_to(self.now())


class WiredTwins:
    """Twins as equipment: each behind a Modbus server on a free port, with a gateway to them."""

    def __init__(self, twins: TwinSite, clock: Clock) -> None:
        self._twins = twins
        self._clock = clock
        self._gateway = Gateway((), clock=clock)
        self.envelope: Envelope | None = None

    @property
    def connections(self) -> Mapping[str, Connection]:
        """How things stand with each device."""
        return self._gateway.connections

    async def connect(self) -> None:
        """Start the twins, and take control of them."""
        self._gateway = Gateway(
            await self._twins.start(), clock=self._clock, access=Access.CONTROL, envelope=self.envelope
        )
        await self._gateway.connect()

    async def read(self, ids: Sequence[str] | None = None) -> Readings:
        """Newest readings by asset and point."""
        return await self._gateway.read(ids)

    async def apply(self, command: Command) -> Outcome:
        """Carry out one command."""
        return await self._gateway.apply(command)

    async def refresh(self) -> None:
        """Send again what would expire."""
        await self._gateway.refresh()

    async def safe_state(self) -> None:
        """Leave everything safe."""
        await self._gateway.safe_state()

    async def close(self) -> None:
        """Leave the safe state, end all links, end the twins."""
        await self._gateway.close()
        await self._twins.stop()
