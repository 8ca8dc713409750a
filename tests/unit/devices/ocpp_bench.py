"""A gateway with a central system, and a charging station that dials it over real WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from devices.guests import MixedGateway
from devices.ocpp.central import CentralSystem
from devices.ocpp.config import CentralConfig, Connector, StationConfig
from devices.ocpp.station import Station
from devices.ocpp.twin import StationTwin
from devices.transport import Access
from energy.core.clock import ManualClock
from energy.core.measurement import Measurement
from energy.core.outcome import (
    Command,
    CommandSource,
    Order,
    Outcome,
)
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId

VERSIONS = ("1.6", "2.0.1", "2.1")
START = datetime(2026, 7, 1, 0, 0, tzinfo=UTC)
LEAF = AssetId("leaf")


class Made:
    """A gateway with a central system, and a station that dials it."""

    def __init__(
        self, central: CentralSystem, gateway: MixedGateway, clock: ManualClock, version: str
    ) -> None:
        self.central, self.gateway, self.clock = central, gateway, clock
        self.twin = StationTwin(f"ws://127.0.0.1:{central.port}", "cp-1", version=version, clock=clock)

    @property
    def station(self) -> Station:
        return self.central.stations["cp-1"]

    async def dial(self, *, boot: bool = True) -> None:
        await self.twin.dial(boot=boot)
        await self.settled()

    async def settled(self) -> None:
        """Until the central system has said all it wants to say."""
        async with asyncio.timeout(5.0):
            while self.station._tasks or not self.station._ready:
                await asyncio.gather(*self.station._tasks)
                await asyncio.sleep(0)

    async def gone(self) -> None:
        async with asyncio.timeout(5.0):
            while self.station.online:
                await asyncio.sleep(0.001)

    async def apply(self, order: Order) -> Outcome:
        now = self.clock.now()
        return await self.gateway.apply(
            Command(
                asset=LEAF,
                order=order,
                source=CommandSource.PLAN,
                reason=Reason(ReasonCode.PRICE),
                issued_at=now,
                expires_at=now + timedelta(minutes=31),
            )
        )

    async def points(self) -> dict[str, Measurement]:
        return (await self.gateway.read())[LEAF]

    async def charging(self) -> None:
        """A car is there, and its driver has started a charge."""
        await self.dial()
        await self.twin.plug()
        await self.twin.start()
        await self.settled()

    def said(self, action: str) -> list[dict[str, object]]:
        return [payload for name, payload in self.twin.heard if name == action]


CONNECTOR = Connector(LEAF, max_charge_kw=7.0, max_discharge_kw=6.0, safe_kw=1.5)


@asynccontextmanager
async def made(
    version: str = "1.6", *, access: Access = Access.CONTROL, **changes: object
) -> AsyncIterator[Made]:
    central_changes = {
        key: changes.pop(key) for key in ("tokens", "answer_s", "start_s", "tls") if key in changes
    }
    station = replace(StationConfig("cp-1", {1: CONNECTOR}), **changes)  # type: ignore[arg-type]
    config = replace(CentralConfig([station], port=0, answer_s=5.0), **central_changes)  # type: ignore[arg-type]
    clock = ManualClock(START)
    central = CentralSystem(config, clock=clock, access=access)
    gateway = MixedGateway([], clock=clock, access=access)
    gateway.attach(central)
    await gateway.connect()
    one = Made(central, gateway, clock, version)
    try:
        yield one
    finally:
        await gateway.close()
        await one.twin.hang_up()
