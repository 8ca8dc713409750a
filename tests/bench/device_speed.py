"""How much a gateway carries: ``python -m tests.bench.device_speed [poll|write|cpu]`` prints a line each.

``poll``   1,000 twins, three blocks each, read every 5 s by one process: age of blocks, processor time.
``write``  50 chargers, commanded at the same instant while they are polled: decision to frame on the wire.
``cpu``    processor time of one reading through our transport beside plain pymodbus, to the same server.

Twins run in a process of their own. Times depend on the machine and on what else it does; ratios less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
from pymodbus.client import AsyncModbusTcpClient

from devices.config import DeviceConfig
from devices.gateway import Gateway
from devices.modbus import ModbusTransport
from devices.profile import load_profile
from devices.service import GatewayService
from devices.transport import Access, Space
from devices.twins.meter import MeterTwin
from devices.twins.stands import stand_for
from energy.core.clock import SystemClock
from energy.core.outcome import ChargerPower, Command, CommandSource
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId

ROOT = Path(__file__).parents[2]
THREE_BLOCKS = """
id: three-blocks
title: A meter that is read in three requests
maker: Nobody
models: [bench]
nature: meter
control: none
sources: [{ title: made up, confidence: A }]
wire: { functions: [3, 4], max_read: 80, max_gap: 0, even_only: true }
points:
  power_kw: { at: "input:52", type: float32, unit: kW, scale: 0.001, valid: [-1000, 1000], poll: always }
  import_kwh: { at: "input:72", type: float32, unit: kWh, valid: [0, 1.0e+8], poll: always }
  export_kwh: { at: "input:74", type: float32, unit: kWh, valid: [0, 1.0e+8], poll: always }
  voltage_l1_v: { at: "input:0", type: float32, unit: V, valid: [0, 500], poll: always }
"""


async def serve(kind: str, count: int) -> None:
    """Be the process of the twins: print their ports, live until told otherwise."""
    twins = [MeterTwin(f"meter-{n}") if kind == "meter" else stand_for(kind).twin for n in range(count)]
    for twin in twins:
        await twin.start()
    print(json.dumps([twin.port for twin in twins]), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    for twin in twins:
        await twin.stop()


@asynccontextmanager
async def twins(kind: str, count: int) -> AsyncIterator[list[int]]:
    """Ports of some twins in a process of their own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.bench.device_speed", "serve", kind, str(count)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        limit=2**20,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(await process.stdout.readline())
    finally:
        process.stdin.write(b"\n")
        await process.wait()


def percentiles(values: list[float]) -> tuple[float, float, float]:
    """Median, 99th percentile and maximum."""
    found = np.percentile(np.asarray(values), [50, 99, 100])
    return float(found[0]), float(found[1]), float(found[2])


def served(configs: list[DeviceConfig]) -> GatewayService:
    """A service over devices, on the machine's clock."""
    clock = SystemClock()
    return GatewayService(Gateway(configs, clock=clock), clock=clock, notify=lambda _: None)


async def poll(count: int, seconds: float) -> str:
    """1,000 twins, three blocks each, every 5 s."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as profile:
        profile.write(THREE_BLOCKS)
        profile.flush()
        async with twins("meter", count) as ports:
            service = served(
                [
                    DeviceConfig(f"meter-{n}", profile.name, "127.0.0.1", port, assets=(AssetId(f"m-{n}"),))
                    for n, port in enumerate(ports)
                ]
            )
            running = asyncio.create_task(service.run())
            await service.ready()
            await asyncio.sleep(10.0)  # the start is over
            ages: list[float] = []
            begun, used = time.perf_counter(), time.process_time()
            service.metrics.loop_lag_max_s = 0.0
            asked = sum(one.reads for one in service.metrics.devices.values())
            clock = SystemClock()
            while time.perf_counter() - begun < seconds:
                await asyncio.sleep(0.5)
                now = clock.now()
                ages += [
                    (now - reading.read_at).total_seconds()
                    for device in service.gateway._devices.values()
                    for name in ("power_kw", "import_kwh", "voltage_l1_v")
                    if (reading := device.reading(name)) is not None
                ]
            took, used = time.perf_counter() - begun, time.process_time() - used
            asked = 3 * (sum(one.reads for one in service.metrics.devices.values()) - asked)
            errors = sum(one.errors for one in service.metrics.devices.values())
            service.stop()
            await running
    median, p99, worst = percentiles(ages)
    return (
        f"poll: {count} twins, 3 blocks each, every 5 s, for {took:.0f} s: "
        f"{asked / took:.0f} requests a second; "
        f"block age p50 {median:.2f} s, p99 {p99:.2f} s, most {worst:.2f} s; "
        f"processor {100.0 * used / took:.0f} % of one core; "
        f"loop late by at most {1000.0 * service.metrics.loop_lag_max_s:.0f} ms; errors {errors}"
    )


def _order(asset: str, power_kw: float) -> Command:
    now = SystemClock().now()
    return Command(
        asset=AssetId(asset),
        order=ChargerPower(power_kw),
        source=CommandSource.GUARD,
        reason=Reason(ReasonCode.GUARD),
        issued_at=now,
        expires_at=now + timedelta(minutes=5),
    )


async def write(count: int, rounds: int) -> str:
    """50 chargers commanded at once while they are polled."""
    async with twins("wallbox-quasar1", count) as ports:
        service = served(
            [
                DeviceConfig(f"car-{n}", "wallbox-quasar1", "127.0.0.1", port, assets=(AssetId(f"car-{n}"),))
                for n, port in enumerate(ports)
            ]
        )
        on_wire: dict[int, float] = {}

        def listener(number: int) -> Callable[[bool, bytes], None]:
            def listen(sending: bool, data: bytes) -> None:
                if sending and data[7] == 6 and int.from_bytes(data[8:10], "big") == 260:
                    on_wire.setdefault(number, time.perf_counter())

            return listen

        for number, link in enumerate(service.gateway._links.values()):
            link._listen = listener(number)
        running = asyncio.create_task(service.run())
        await service.ready()
        latencies: list[float] = []
        confirmed: list[float] = []
        for turn in range(rounds):
            await asyncio.sleep(0.2)
            on_wire.clear()
            decided = time.perf_counter()
            commands = [_order(f"car-{n}", -3.0 if turn % 2 else 3.0) for n in range(count)]
            outcomes = await asyncio.gather(*(service.apply(one) for one in commands))
            confirmed.append(time.perf_counter() - decided)
            assert {type(one).__name__ for one in outcomes} == {"Applied"}
            latencies += [at - decided for at in on_wire.values()]
        service.stop()
        await running
    median, p99, worst = percentiles([1000.0 * one for one in latencies])
    return (
        f"write: {count} chargers at once, {rounds} times: decision to setpoint on the wire "
        f"p50 {median:.1f} ms, p99 {p99:.1f} ms, most {worst:.1f} ms; all written and read back p50 "
        f"{1000.0 * percentiles(confirmed)[0]:.0f} ms"
    )


async def cpu(requests: int) -> str:
    """Our transport beside plain pymodbus."""
    async with twins("meter", 1) as (port,):
        plain: Any = AsyncModbusTcpClient("127.0.0.1", port=port)
        await plain.connect()
        ours = ModbusTransport(
            "127.0.0.1", port, wire=load_profile("eastron-sdm630").wire, access=Access.READ_ONLY
        )
        await ours.connect()
        used = {"plain": 0.0, "ours": 0.0}
        for _ in range(20):  # by turns, so that both see the same machine
            for name in used:
                begun = time.process_time()
                for _ in range(requests // 20):
                    if name == "plain":
                        await plain.read_input_registers(52, count=10, device_id=1)
                    else:
                        await ours.read(1, Space.INPUT, 52, 10)
                used[name] += time.process_time() - begun
        plain.close()
        await ours.close()
    per = {name: 1e6 * seconds / requests for name, seconds in used.items()}
    return (
        f"cpu: {requests} readings of 10 registers: plain pymodbus {per['plain']:.0f} us, our transport "
        f"{per['ours']:.0f} us of processor time each: {per['ours'] / per['plain']:.2f} times"
    )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="?", default="all", choices=["all", "poll", "write", "cpu", "serve"])
    parser.add_argument("kind", nargs="?")
    parser.add_argument("count", nargs="?", type=int)
    parser.add_argument("--twins", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--requests", type=int, default=20000)
    told = parser.parse_args()
    logging.getLogger("devices").setLevel(logging.ERROR)
    if told.what == "serve":
        asyncio.run(serve(told.kind, told.count))
        return
    if told.what in ("all", "cpu"):
        print(asyncio.run(cpu(told.requests)), flush=True)
    if told.what in ("all", "write"):
        print(asyncio.run(write(50, told.rounds)), flush=True)
    if told.what in ("all", "poll"):
        print(asyncio.run(poll(told.twins, told.seconds)), flush=True)


if __name__ == "__main__":
    main()
