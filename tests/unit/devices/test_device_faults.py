"""The faults of the field, by number, and the reaction that each must find.

The numbers are those of the table of field faults: what devices and gateways really do. Every test fails when
the reaction is taken out. ``fault`` notes which number a test is for. Here: exceptions and the wire; what
devices lie about or forget is in ``test_device_lies``, which also counts that no fault is left out.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pymodbus.framer import FramerRTU

from devices.drivers import driver_for
from devices.gateway import Connection, Gateway
from devices.modbus import ModbusTransport
from devices.profile import load_profile, parse_profile
from devices.schema import Wire
from devices.transport import Access, Framing, Space
from devices.twins.meter import MeterTwin
from devices.twins.server import Twin
from energy.core.errors import RefusedError, RegisterError, UnreachableError
from energy.core.measurement import Quality
from energy.core.outcome import ChargerPower, Refused
from energy.core.units import AssetId
from tests.unit.devices.bench import bench, quasar
from tests.unit.devices.faults import fault
from tests.unit.devices.test_device_points import METER, Registers, device
from tests.unit.devices.wire_server import Frames, Request, WireServer, wire_server

WIRE = Wire(functions=(3, 4, 6, 16), max_read=125, timeout_s=0.15, busy_wait_s=0.0, failure_wait_s=0.0)


@asynccontextmanager
async def linked(twin: Twin) -> AsyncIterator[ModbusTransport]:
    port = await twin.start()
    transport = ModbusTransport("127.0.0.1", port, wire=WIRE, access=Access.CONTROL)
    try:
        yield transport
    finally:
        await transport.close()
        await twin.stop()


@asynccontextmanager
async def rough(
    behave: Callable[[Request], Frames], *, wire: Wire = WIRE, heard: list[bytes] | None = None
) -> AsyncIterator[tuple[WireServer, ModbusTransport]]:
    def listen(sending: bool, data: bytes) -> None:
        if heard is not None and not sending:
            heard.append(data)

    async with wire_server(behave) as server:
        transport = ModbusTransport("127.0.0.1", server.port, wire=wire, access=Access.CONTROL, listen=listen)
        try:
            yield server, transport
        finally:
            await transport.close()


# Exceptions


@fault(1)
async def test_an_unknown_function_is_not_asked_again_on_the_same_link(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with bench(rooms=0, only=["main-meter"]) as made:
        twin = made.twin("main-meter")
        twin.faults.exception = 1
        made.step()
        points = await made.read("meter")
        assert {point.quality for point in points.values()} == {Quality.INVALID}
        asked = twin.requests
        twin.faults.exception = None  # it would answer now
        made.step()
        await made.read("meter")
        assert twin.requests == asked
        assert sum("device.no_function" in line for line in caplog.messages) == 1


@fault(1)
async def test_a_device_that_writes_only_blocks_is_written_by_blocks() -> None:
    registers = Registers({0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0, 10: 0})
    plain = registers.write

    async def write(unit_id: int, address: int, words: Any, *, function: int) -> None:
        if function == 6:
            raise RefusedError("illegal function", exception=1)
        await plain(unit_id, address, words, function=function)

    registers.write = write  # type: ignore[method-assign]
    text = METER.replace("functions: [3]", "functions: [3, 6, 16]").replace("POWER", "")
    profile = parse_profile(
        text + '  knob: { at: "holding:10", type: uint16, write: {} }\n', source="test"
    ).model_copy(update={"control": "released"})
    box, _ = device(profile, registers)
    await box.ensure_online()
    await box.write({"knob": 5})
    assert registers.writes == [(10, (5,), 16)]


@fault(2)
async def test_a_hole_in_a_merged_request_costs_its_point_only() -> None:
    words = {0: 2500, 1: 0, 2: 0, 3: 7}  # the export counter is not there
    box, _ = device(parse_profile(METER.replace("POWER", ""), source="test"), Registers(words))
    await box.poll()
    points = driver_for(box).measurements(0)
    assert (points["power_kw"].value, points["export_kwh"].value) == (2.5, None)
    assert box.online


@fault(3)
async def test_a_refused_value_is_reported_and_not_tried_again() -> None:
    async with bench() as made:
        twin = made.twin("charger-leaf")
        twin.faults.exception, twin.faults.writes_only, twin.faults.times = 3, True, 1
        outcome = await made.apply("leaf", ChargerPower(3.0))  # a second try would succeed
        assert isinstance(outcome, Refused)
        assert "illegal value" in outcome.why
        assert twin.faults.times == 0


@fault(4)
async def test_a_device_failure_is_tried_once_more_and_then_reported() -> None:
    meter = MeterTwin("meter")
    async with linked(meter) as transport:
        meter.faults.exception, meter.faults.times = 4, 1
        assert len(await transport.read(1, Space.INPUT, 52, 2)) == 2
        meter.faults.times = 3
        with pytest.raises(RegisterError, match="device failure"):
            await transport.read(1, Space.INPUT, 52, 2)
        assert meter.faults.times == 1


@fault(5)
async def test_an_acknowledged_write_is_looked_at_until_it_is_done() -> None:
    async with bench() as made:
        made.twin("charger-leaf").faults.acknowledge = 2
        device = made.gateway._devices["charger-leaf"]
        device._wire = device._wire.model_copy(update={"busy_wait_s": 0.0})
        await device.write({"set_power_kw": 2.0})
        assert await device.confirm({"set_power_kw": 2.0}) is None
        assert quasar(made).settings[260] == 2000


@fault(6)
async def test_a_busy_device_gets_a_bounded_number_of_repetitions() -> None:
    meter = MeterTwin("meter")
    async with linked(meter) as transport:
        meter.faults.exception, meter.faults.times = 6, 3
        assert len(await transport.read(1, Space.INPUT, 52, 2)) == 2
        meter.faults.times = -1
        with pytest.raises(RegisterError, match="busy"):
            await transport.read(1, Space.INPUT, 52, 2)


@fault(7)
async def test_a_missing_path_behind_a_gateway_is_asked_rarely() -> None:
    async with bench(rooms=0, only=["main-meter"]) as made:
        made.twin("main-meter").faults.exception = 10
        made.step()
        await made.read("meter")
        asked = made.twin("main-meter").faults
        asked.exception = None
        made.clock.advance(timedelta(seconds=20))  # any other silence would be over
        assert (await made.values("meter"))["power_kw"] is None
        made.clock.advance(timedelta(seconds=11))
        assert (await made.values("meter"))["power_kw"] is not None


@fault(8)
async def test_one_silent_unit_behind_a_gateway_leaves_the_link_and_the_others() -> None:
    async with bench(rooms=0, only=["main-meter"]) as made:
        config = made.config("main-meter")
        missing = replace(config, id="missing", unit_id=9, assets=(AssetId("missing"),))
        gateway = Gateway([config, missing], clock=made.clock)
        await gateway.connect()
        made.step()
        table = await gateway.read()
        assert table[AssetId("missing")]["power_kw"].quality is Quality.STALE
        assert table[AssetId("meter")]["power_kw"].quality is Quality.GOOD
        assert gateway.connections == {"main-meter": Connection.ONLINE, "missing": Connection.OFFLINE}
        assert next(iter(gateway._links.values())).generation == 1
        await gateway.close()


# Silence and confusion on the wire


@fault(9)
async def test_a_half_open_link_is_noticed_after_two_deadlines_and_dropped() -> None:
    async with rough(lambda request: []) as (server, transport):
        with pytest.raises(UnreachableError):
            await transport.read(1, Space.HOLDING, 0, 2)
        assert len(server.requests) == 2
        assert not transport.connected


@fault(10)
async def test_a_refused_connection_is_tried_less_and_less_often() -> None:
    async with bench(rooms=0, only=["main-meter"]) as made:
        await made.twin("main-meter").stop()
        await made.gateway.close()
        made.use(made.configs)
        device = made.gateway._devices["main-meter"]
        waits = []
        for _ in range(8):
            await made.gateway.read()
            assert device._back_off.retry_at is not None
            waits.append((device._back_off.retry_at - made.clock.now()).total_seconds())
            made.clock.advance(timedelta(seconds=waits[-1]))
        assert 0.3 < waits[0] <= 0.5
        assert waits[1:5] == [pytest.approx(waits[0] * factor) for factor in (2, 4, 8, 16)]
        assert waits[-1] == waits[-2] <= 15.0


@fault(11)
async def test_answers_of_another_unit_are_never_taken_and_end_the_link() -> None:
    async with rough(lambda request: [request.reply(unit=99)]) as (server, transport):
        with pytest.raises(UnreachableError):
            await transport.read(1, Space.HOLDING, 0, 2)
        assert not transport.connected
        assert len(server.requests) == 2


@fault(12)
async def test_a_late_answer_is_not_taken_for_the_next_question() -> None:
    held: list[bytes] = []

    def behave(request: Request) -> Frames:
        if not held:  # the first is answered only together with the second
            held.append(request.reply(words=[1] * request.count))
            return []
        return [held[0], request.reply(words=[2] * request.count)]

    async with rough(behave) as (server, transport):
        assert await transport.read(1, Space.HOLDING, 0, 2) == (2, 2)
        assert server.requests[0].tid != server.requests[1].tid


@fault(12)
@pytest.mark.parametrize("shift", [1, None])  # None: zero, which pymodbus takes for any question
async def test_an_answer_with_a_foreign_transaction_is_not_taken(shift: int | None) -> None:
    def behave(request: Request) -> Frames:
        return [request.reply(tid=0 if shift is None else (request.tid + shift) % 65536)]

    async with rough(behave) as (_, transport):
        with pytest.raises(UnreachableError if shift else RegisterError):
            await transport.read(1, Space.HOLDING, 0, 2)
        assert transport.connected is False


@fault(12)
async def test_on_a_line_without_transactions_a_late_answer_meets_a_closed_door() -> None:
    answers = iter([[], [1, 2], [3]])  # to the first question none; then both of it and of the repetition

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while frame := await reader.readexactly(8):
                for value in next(answers):
                    body = frame[:2] + bytes([2, 0, value])
                    writer.write(body + FramerRTU.compute_CRC(body).to_bytes(2, "big"))
        except (asyncio.IncompleteReadError, ConnectionError, StopIteration):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    link = ModbusTransport("127.0.0.1", port, wire=WIRE, access=Access.READ_ONLY, framing=Framing.RTU_TCP)
    async with server:
        assert await link.read(1, Space.HOLDING, 0, 1) == (1,)
        assert link.generation == 2  # the repetition went over a new link
        await link.close()
        for _ in range(5):
            await asyncio.sleep(0)


@fault(13)
async def test_an_answer_byte_by_byte_is_put_together() -> None:
    heard: list[bytes] = []
    async with rough(lambda request: [bytes([one]) for one in request.reply()], heard=heard) as (
        server,
        transport,
    ):

        async def until_heard() -> None:
            sent = len(heard) + 1
            while len(heard) < sent:
                await asyncio.sleep(0)

        server.pace = until_heard
        assert await transport.read(1, Space.HOLDING, 0, 5) == (7,) * 5
        assert len(heard) == len(server.requests[0].reply())  # each byte came on its own
        assert transport.generation == 1


@fault(13)
async def test_the_rest_of_a_broken_answer_is_no_answer_to_the_next_question() -> None:
    kept: list[bytes] = []

    def behave(request: Request) -> Frames:
        whole = request.reply(words=[request.tid] * request.count)
        if not kept:  # half of it now, the rest just before the answer to the repetition
            kept.append(whole[7:])
            return [whole[:7]]
        rest, kept[0] = kept[0], b""
        return [rest + whole]

    async with rough(behave) as (server, transport):
        with pytest.raises(UnreachableError):
            await transport.read(1, Space.HOLDING, 0, 2)
        assert not transport.connected
        answer = await transport.read(1, Space.HOLDING, 0, 2)
        assert answer == (server.requests[-1].tid,) * 2


@fault(14)
async def test_the_second_of_two_equal_answers_is_ignored() -> None:
    async with rough(lambda request: [request.reply() * 2]) as (server, transport):
        for _ in range(3):
            assert await transport.read(1, Space.HOLDING, 0, 5) == (7,) * 5
        assert len(server.requests) == 3


@fault(14)
async def test_blocks_become_smaller_when_a_gateway_doubles_large_ones() -> None:
    profile = load_profile("sunspec-der-storage")
    wide = parse_profile(
        METER.replace("POWER", "")
        .replace("max_read: 60, max_gap: 20", "max_read: 125, max_gap: 120, timeout_s: 0.15")
        .replace('"holding:4"', '"holding:118"'),
        source="test",
    )
    assert profile.wire.max_read == wide.wire.max_read == 125
    async with rough(lambda request: [request.reply() * 2], wire=wide.wire) as (server, transport):
        box, clock = device(wide, Registers({}))
        box._transport = transport
        with pytest.raises(UnreachableError):
            await box.poll()
        assert server.requests[-1].count > 60
        clock.advance(timedelta(seconds=20))
        await box.poll()
        assert max(request.count for request in server.requests[-2:]) <= 60


@fault(15)
@pytest.mark.parametrize("words", [1, 3])
async def test_an_answer_with_another_number_of_registers_is_refused(words: int) -> None:
    async with rough(lambda request: [request.reply(words=[7] * words)]) as (_, transport):
        with pytest.raises(RegisterError, match="does not fit"):
            await transport.read(1, Space.HOLDING, 0, 2)


@fault(15)
async def test_an_answer_with_another_function_is_refused() -> None:
    meter = MeterTwin("meter")
    async with linked(meter) as transport:
        meter.faults.wrong_function = True
        with pytest.raises(RegisterError, match="asked with function 4, answered with 3"):
            await transport.read(1, Space.INPUT, 52, 2)


@fault(16)
async def test_a_slow_device_delays_nobody_else() -> None:
    async with bench(rooms=1) as made:
        first = made.configs[0].id  # whoever reads one after the other comes to it first
        slow = made.twin(first)
        slow.faults.silent = True
        others = [made.twin(config.id) for config in made.configs[1:]]
        made.step()
        asked = {twin.name: twin.requests for twin in others}
        waited = slow.requests
        reading = asyncio.create_task(made.gateway.read())
        async with asyncio.timeout(30.0):
            while any(twin.requests == asked[twin.name] for twin in others):
                await asyncio.sleep(0)
        assert slow.requests - waited <= 1  # its first deadline has not even passed
        assert not reading.done()
        reading.cancel()
