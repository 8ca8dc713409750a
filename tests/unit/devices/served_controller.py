"""A controller of a whole site, to be killed or stopped: the gateway as a service, and an order to each."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta

from devices.config import DeviceConfig
from devices.gateway import Gateway
from devices.service import GatewayService, Paces
from energy.core.clock import SystemClock
from energy.core.outcome import ChargerPower, Command, CommandSource, DemandStep, GenerationLimit, Order
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId

ORDERS: dict[str, Order] = {
    "wallbox-quasar1": ChargerPower(-3.0),
    "keba-p30": ChargerPower(11.04),
    "sunspec-inverter": GenerationLimit(20.0),
    "relay-demand": DemandStep(0.4),
}


async def control(places: list[tuple[str, int, int]]) -> None:
    clock = SystemClock()
    configs = [
        DeviceConfig(
            id=profile,
            profile=profile,
            host="127.0.0.1",
            port=port,
            unit_id=unit_id,
            assets=(AssetId(profile),),
            commissioned=True,
        )
        for profile, port, unit_id in places
    ]
    service = GatewayService(Gateway(configs, clock=clock), clock=clock, paces=Paces(normal=0.05))
    service.stop_on_signals()
    running = asyncio.create_task(service.run())
    await service.ready()
    said = {}
    for asset, order in ORDERS.items():
        now = clock.now()
        outcome = await service.apply(
            Command(
                asset=AssetId(asset),
                order=order,
                source=CommandSource.PLAN,
                reason=Reason(ReasonCode.PEAK),
                issued_at=now,
                expires_at=now + timedelta(hours=1),
            )
        )
        said[asset] = type(outcome).__name__
    print(json.dumps(said), flush=True)
    await running


if __name__ == "__main__":
    asyncio.run(control([tuple(place) for place in json.loads(sys.argv[1])]))
