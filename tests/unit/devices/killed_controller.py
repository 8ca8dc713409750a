"""A controller of one device, to be killed: connects, gives one order, and goes on reading until it dies."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import timedelta

from devices.gateway import DeviceConfig, Gateway
from energy.core.clock import SystemClock
from energy.core.outcome import (
    ChargerPower,
    ClimateMode,
    Command,
    CommandSource,
    DemandStep,
    GenerationLimit,
    Order,
    RoomClimate,
)
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId


def _off(_: float) -> RoomClimate:
    return RoomClimate(ClimateMode.OFF, 25.0)


ORDERS: dict[str, Callable[[float], Order]] = {
    "charge": ChargerPower,
    "limit": GenerationLimit,
    "step": DemandStep,
    "off": _off,
}


async def control(profile: str, port: int, unit_id: int, order: Order) -> None:
    clock = SystemClock()
    config = DeviceConfig(
        id="box",
        profile=profile,
        host="127.0.0.1",
        port=port,
        unit_id=unit_id,
        assets=(AssetId("asset"),),
        commissioned=True,
    )
    gateway = Gateway([config], clock=clock)
    await gateway.connect()
    now = clock.now()
    outcome = await gateway.apply(
        Command(
            asset=AssetId("asset"),
            order=order,
            source=CommandSource.PLAN,
            reason=Reason(ReasonCode.PEAK),
            issued_at=now,
            expires_at=now + timedelta(hours=1),
        )
    )
    print(json.dumps(type(outcome).__name__), flush=True)
    while True:
        await gateway.read()
        await gateway.refresh()
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    name, amount = sys.argv[4], float(sys.argv[5])
    asyncio.run(control(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), ORDERS[name](amount)))
