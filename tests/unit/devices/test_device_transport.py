"""The wire under trouble: a twin misbehaves on a real socket and the transport must not be fooled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devices.modbus import ModbusTransport
from devices.profile import Wire
from devices.sunspec import scan_models
from devices.transport import Access, Space
from devices.twins.charger import ChargerTwin
from devices.twins.inverter import InverterTwin
from devices.twins.meter import MeterTwin
from devices.twins.server import Twin
from energy.core.errors import RefusedError, RegisterError, UnreachableError
from tests.unit.devices.bench import PV, charger, vehicle

WIRE = Wire(functions=(3, 4, 6, 16), max_read=125, timeout_s=0.15, busy_wait_s=0.0, failure_wait_s=0.0)


@asynccontextmanager
async def link(twin: Twin, *, access: Access = Access.CONTROL) -> AsyncIterator[ModbusTransport]:
    port = await twin.start()
    transport = ModbusTransport("127.0.0.1", port, wire=WIRE, access=access)
    try:
        yield transport
    finally:
        await transport.close()
        await twin.stop()


def quasar() -> ChargerTwin:
    return ChargerTwin("charger", charger(), vehicle())


async def test_registers_are_read() -> None:
    meter = MeterTwin("meter")
    meter.step(1.0, hours=1.0)
    async with link(meter) as transport:
        assert await transport.read(1, Space.INPUT, 52, 2) == (0x447A, 0)  # 1000 W as float32
        assert transport.generation == 1


async def test_nobody_listening_is_unreachable() -> None:
    meter = MeterTwin("meter")
    async with link(meter) as transport:
        await meter.stop()
        with pytest.raises(UnreachableError, match="nobody answers"):
            await transport.read(1, Space.INPUT, 52, 2)


async def test_silence_is_tried_twice_and_then_unreachable() -> None:
    meter = MeterTwin("meter")
    async with link(meter) as transport:
        await transport.connect()
        meter.faults.silent = True
        with pytest.raises(UnreachableError, match="in time"):
            await transport.read(1, Space.INPUT, 52, 2)
        assert meter.requests == 2
        assert not transport.connected
        meter.faults.silent = False
        assert len(await transport.read(1, Space.INPUT, 52, 2)) == 2
        assert transport.generation == 2


@pytest.mark.parametrize("fault", ["missing_words", "wrong_function"])
async def test_an_answer_that_does_not_fit_is_never_believed(fault: str) -> None:
    meter = MeterTwin("meter")
    async with link(meter) as transport:
        setattr(meter.faults, fault, 1)
        with pytest.raises(RegisterError, match="does not fit"):
            await transport.read(1, Space.INPUT, 52, 2)
        assert not transport.connected  # what else is in the pipe belongs to nobody
        setattr(meter.faults, fault, 0)
        assert len(await transport.read(1, Space.INPUT, 52, 2)) == 2


@pytest.mark.parametrize(("code", "name"), [(1, "function"), (2, "address"), (3, "value")])
async def test_an_exception_to_a_read_is_not_repeated(code: int, name: str) -> None:
    meter = MeterTwin("meter")
    async with link(meter) as transport:
        meter.faults.exception = code
        meter.faults.times = 1  # a repetition would succeed
        with pytest.raises(RegisterError, match=name) as caught:
            await transport.read(1, Space.INPUT, 52, 2)
        assert caught.value.details["exception"] == code
        assert transport.connected


async def test_a_failing_device_is_asked_once_more() -> None:
    meter = MeterTwin("meter")
    async with link(meter) as transport:
        meter.faults.exception, meter.faults.times = 4, 1
        assert len(await transport.read(1, Space.INPUT, 52, 2)) == 2
        meter.faults.times = 2
        with pytest.raises(RegisterError, match="failure"):
            await transport.read(1, Space.INPUT, 52, 2)
        assert meter.faults.times == 0


async def test_a_busy_device_is_asked_three_times_more() -> None:
    meter = MeterTwin("meter")
    async with link(meter) as transport:
        meter.faults.exception, meter.faults.times = 6, 3
        assert len(await transport.read(1, Space.INPUT, 52, 2)) == 2
        meter.faults.times = 4
        with pytest.raises(RegisterError, match="busy"):
            await transport.read(1, Space.INPUT, 52, 2)


async def test_a_gateway_without_its_device_leaves_the_link_up() -> None:
    meter = MeterTwin("meter")
    async with link(meter) as transport:
        meter.faults.exception = 11
        with pytest.raises(UnreachableError, match="gateway"):
            await transport.read(1, Space.INPUT, 52, 2)
        assert transport.connected


async def test_a_lost_link_ends_the_request_at_once_and_is_rebuilt() -> None:
    meter = MeterTwin("meter")
    patient = WIRE.model_copy(update={"timeout_s": 10.0})
    port = await meter.start()
    transport = ModbusTransport("127.0.0.1", port, wire=patient, access=Access.CONTROL)
    await transport.connect()
    meter.faults.silent = True
    async with asyncio.timeout(5.0):  # far below the deadline of one request
        reading = asyncio.create_task(transport.read(1, Space.INPUT, 52, 2))
        while not meter.requests:
            await asyncio.sleep(0)
        await meter.stop()
        with pytest.raises(UnreachableError):
            await reading
        meter.faults.silent = False
        await meter.start(port=port)
        assert len(await transport.read(1, Space.INPUT, 52, 2)) == 2
    await transport.close()
    await meter.stop()


async def test_a_write_is_answered_and_a_refusal_keeps_its_code() -> None:
    twin = quasar()
    async with link(twin) as transport:
        await transport.write(1, 260, [62536], function=6)
        assert twin.settings[260] == 62536  # -3000 W
        with pytest.raises(RefusedError, match="illegal value") as caught:
            await transport.write(1, 81, [7], function=6)
        assert caught.value.details["exception"] == 3
        with pytest.raises(RefusedError, match="illegal function"):
            await transport.write(1, 81, [1], function=16)


@pytest.mark.parametrize("access", [Access.READ_ONLY, Access.DRY_RUN])
async def test_without_control_no_write_leaves_the_transport(access: Access) -> None:
    twin = quasar()
    async with link(twin, access=access) as transport:
        for function in (6, 16):
            with pytest.raises(RefusedError, match="nothing was written"):
                await transport.write(1, 260, [1000], function=function)
        assert twin.requests == twin.writes == 0
        assert not transport.connected  # not even a connection for it
        assert await transport.read(1, Space.HOLDING, 260, 1) == (0,)


async def test_a_dry_run_shows_what_would_be_written() -> None:
    async with link(quasar(), access=Access.DRY_RUN) as transport:
        with pytest.raises(RefusedError) as caught:
            await transport.write(1, 260, [1000], function=6)
        assert "holding 260 would become [1000]" in caught.value.where


async def test_a_pause_between_requests_is_kept() -> None:
    meter = MeterTwin("meter")
    port = await meter.start()
    slow = WIRE.model_copy(update={"min_gap_ms": 40})
    transport = ModbusTransport("127.0.0.1", port, wire=slow, access=Access.CONTROL)
    loop = asyncio.get_running_loop()
    await transport.read(1, Space.INPUT, 52, 2)
    begun = loop.time()
    for _ in range(3):
        await transport.read(1, Space.INPUT, 52, 2)
    assert loop.time() - begun >= 3 * 0.039  # a pause is a lower bound on any machine
    await transport.close()
    await meter.stop()


async def test_sunspec_models_are_found_by_walking_the_chain() -> None:
    async with link(InverterTwin("inverter", PV)) as transport:
        assert await scan_models(transport, 1, {103, 123}) == {1: 40002, 103: 40070, 121: 40122, 123: 40154}
        with pytest.raises(RegisterError, match=r"lacks SunSpec models \[124\]"):
            await scan_models(transport, 1, {103, 124})


async def test_a_device_without_sunspec_is_told_so() -> None:
    async with link(quasar()) as transport:
        with pytest.raises(RegisterError, match="no SunSpec marker") as caught:
            await scan_models(transport, 1, {103})
        assert "40000, 0, 50000" in caught.value.where
