"""Programs that we did not write speak to the twins, and see what our driver did."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import sunspec2.modbus.client as sunspec

from energy.core.outcome import Applied, ChargerPower, GenerationLimit
from tests.unit.devices.bench import bench

# Profiles whose map a program that nobody here wrote knows, and agrees about.
KNOWN_BY_OTHERS = {
    "sunspec-inverter": "pysunspec2",
    "sunspec-der-inverter": "pysunspec2",
    "sunspec-der-storage": "pysunspec2",
    "sunspec-hybrid-storage": "pysunspec2",
}

needs_mbpoll = pytest.mark.skipif(
    shutil.which("mbpoll") is None, reason="mbpoll is not installed (Debian package mbpoll)"
)


async def mbpoll(port: int, *arguments: str) -> str:
    """Run the libmodbus client once against a port of this process."""
    process = await asyncio.create_subprocess_exec(
        "mbpoll", "-m", "tcp", "-a", "1", "-p", str(port), "-0", "-1", "-q", *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    return output.decode()


def values(output: str) -> list[float]:
    return [float(line.split(":")[1].split()[0]) for line in output.splitlines() if line.startswith("[")]


@needs_mbpoll
async def test_mbpoll_reads_the_meter_as_its_manual_says() -> None:
    async with bench(rooms=0, only=[]) as made:
        made.step(minutes=3)
        port = made.twin("main-meter").port
        power = await mbpoll(port, "-t", "3:float", "-B", "-r", "52", "-c", "1", "127.0.0.1")
        assert values(power) == [pytest.approx(60_000.0)]
        counters = await mbpoll(port, "-t", "3:float", "-B", "-r", "72", "-c", "2", "127.0.0.1")
        assert values(counters) == [pytest.approx(3.0, rel=1e-5), 0.0]


@needs_mbpoll
async def test_the_meter_refuses_half_a_value_as_the_real_one_does() -> None:
    async with bench(rooms=0, only=[]) as made:
        refused = await mbpoll(made.twin("main-meter").port, "-t", "3", "-r", "52", "-c", "1", "127.0.0.1")
        assert "Illegal data address" in refused


@needs_mbpoll
async def test_mbpoll_sees_the_setpoint_that_our_driver_wrote() -> None:
    async with bench(rooms=0) as made:
        assert isinstance(await made.apply("leaf", ChargerPower(-3.0)), Applied)
        seen = await mbpoll(made.twin("charger-leaf").port, "-t", "4", "-r", "257", "-c", "4", "127.0.0.1")
        assert values(seen) == [1.0, 0.0, 0.0, 62536.0]


@needs_mbpoll
async def test_what_mbpoll_starts_our_driver_reads() -> None:
    async with bench(rooms=0) as made:
        port = made.twin("charger-leaf").port
        await mbpoll(port, "-t", "4", "-r", "260", "127.0.0.1", "2500")
        await mbpoll(port, "-t", "4", "-r", "257", "127.0.0.1", "1")
        made.step()
        assert (await made.values("leaf"))["power_kw"] == 2.5


@contextmanager
def sunspec_client(port: int) -> Iterator[sunspec.SunSpecModbusClientDeviceTCP]:
    device = sunspec.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=5)
    try:
        device.scan()
        yield device
    finally:
        device.close()


async def test_pysunspec2_finds_the_models_and_reads_the_power() -> None:
    async with bench(rooms=0, only=[]) as made:
        made.step(minutes=3)
        port = made.twin("inverter").port

        def look() -> tuple[set[int], float, float, float, str]:
            with sunspec_client(port) as device:
                numbers = {name for name in device.models if isinstance(name, int)}
                measured = device.models[103][0]
                return (
                    numbers,
                    measured.W.cvalue,
                    measured.WH.cvalue,
                    device.models[121][0].WMax.cvalue,
                    device.models[1][0].Mn.cvalue,
                )

        models, watts, watt_hours, rated, maker = await asyncio.to_thread(look)
        assert models == {1, 103, 121, 123}
        assert watts == pytest.approx(40_000.0)
        assert watt_hours == pytest.approx(2_000.0, abs=1.0)
        assert rated == pytest.approx(50_000.0)
        assert maker == "Twin"


async def test_pysunspec2_sees_our_curtailment_and_we_see_its_own() -> None:
    async with bench(rooms=0) as made:
        assert isinstance(await made.apply("roof", GenerationLimit(20.0)), Applied)
        port = made.twin("inverter").port

        def look() -> tuple[float, int, int]:
            with sunspec_client(port) as device:
                controls = device.models[123][0]
                return (
                    controls.WMaxLimPct.cvalue,
                    controls.WMaxLimPct_RvrtTms.cvalue,
                    controls.WMaxLim_Ena.cvalue,
                )

        assert await asyncio.to_thread(look) == (pytest.approx(40.0), 300, 1)

        def curtail() -> None:
            with sunspec_client(port) as device:
                controls = device.models[123][0]
                controls.WMaxLimPct.cvalue = 25.0
                controls.WMaxLim_Ena.cvalue = 1
                controls.write()

        await asyncio.to_thread(curtail)
        made.step()
        assert await made.values("roof") == {
            "generation_kw": pytest.approx(12.5),
            "generation_kwh": pytest.approx(12.5 / 60.0, abs=0.001),
            "limit_ratio": pytest.approx(0.25),
        }
