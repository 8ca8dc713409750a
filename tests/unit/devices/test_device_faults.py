"""The faults of the field, by number, and the reaction that each must find.

The numbers are those of the table of field faults: what devices and gateways really do. Every test fails when
the reaction is taken out. ``fault`` notes which number a test is for; the last test counts them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from devices.drivers import driver_for
from devices.gateway import Gateway
from devices.modbus import ModbusTransport
from devices.probe import other_order
from devices.profile import load_profile, parse_profile
from devices.registers import Kind, Order, decode
from devices.schema import Wire
from devices.transport import Access, Space
from devices.twins.meter import MeterTwin
from devices.twins.server import Twin
from energy.core.errors import RefusedError, RegisterError, UnreachableError
from energy.core.measurement import Quality
from energy.core.outcome import Applied, ChargerPower, ClimateMode, Refused, RoomClimate, Unconfirmed
from energy.core.units import AssetId
from tests.unit.devices.bench import bench, quasar
from tests.unit.devices.test_device_points import METER, Registers, device
from tests.unit.devices.wire_server import Frames, Request, WireServer, wire_server

Test = TypeVar("Test", bound=Callable[..., Any])
TESTED: dict[int, list[str]] = {}
WIRE = Wire(functions=(3, 4, 6, 16), max_read=125, timeout_s=0.15, busy_wait_s=0.0, failure_wait_s=0.0)


def fault(number: int) -> Callable[[Test], Test]:
    """Note that a test is for this row of the table."""

    def note(test: Test) -> Test:
        TESTED.setdefault(number, []).append(test.__name__)
        return test

    return note


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
    behave: Callable[[Request], Frames], *, wire: Wire = WIRE
) -> AsyncIterator[tuple[WireServer, ModbusTransport]]:
    async with wire_server(behave) as server:
        transport = ModbusTransport("127.0.0.1", server.port, wire=wire, access=Access.CONTROL)
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
        assert waits == sorted(waits)
        assert 0.3 < waits[0] <= 0.5
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
async def test_an_answer_with_a_foreign_transaction_is_not_taken() -> None:
    async with rough(lambda request: [request.reply(tid=(request.tid + 1) % 65536)]) as (_, transport):
        with pytest.raises(UnreachableError):
            await transport.read(1, Space.HOLDING, 0, 2)


@fault(13)
async def test_an_answer_byte_by_byte_is_put_together() -> None:
    async with rough(lambda request: [bytes([one]) for one in request.reply()]) as (_, transport):
        assert await transport.read(1, Space.HOLDING, 0, 5) == (7,) * 5


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
    async with bench(rooms=0) as made:
        made.twin("inverter").faults.silent = True
        slow = asyncio.create_task(made.gateway.read(["inverter"]))
        await asyncio.sleep(0)
        made.step()
        others = await made.gateway.read(["main-meter", "charger-leaf"])
        assert others[AssetId("meter")]["power_kw"].quality is Quality.GOOD
        assert not slow.done()
        slow.cancel()


# Devices that lie or forget


@fault(17)
async def test_after_a_reboot_control_and_fail_safe_come_before_any_setpoint() -> None:
    async with bench(only=["charger-leaf"]) as made:
        await made.apply("leaf", ChargerPower(3.0))
        twin = quasar(made)
        await twin.stop()
        twin.settings.update({81: 0, 82: 1, 83: 0, 88: 0, 257: 2, 260: 0})
        await twin.start(port=made.config("charger-leaf").port)
        order: list[int] = []
        take = twin.take

        def noted(address: int, values: list[int]) -> Any:
            order.append(address)
            return take(address, values)

        twin.take = noted  # type: ignore[method-assign]
        made.step()
        await made.apply("leaf", ChargerPower(3.0))
        made.step()
        assert isinstance(await made.apply("leaf", ChargerPower(3.0)), Applied)
        assert order == [81, 82, 83, 88, 260, 257]


@fault(18)
@pytest.mark.parametrize("fallen", [0.0, 1000.0 / 10.0])  # replaced, or another unit after an update
async def test_a_counter_that_falls_books_nothing_and_goes_on(fallen: float) -> None:
    box, clock = device(parse_profile(METER.replace("POWER", ""), source="test"), meter := words(1000))
    driver = driver_for(box)
    seen: list[float | None] = []
    for value in (1000, 1001, fallen, fallen + 1, fallen + 2):
        show(meter, int(value))
        clock.advance(timedelta(minutes=1))
        await box.poll()
        seen.append(driver.measurements(0)["import_kwh"].value)
    assert seen == [1000.0, 1001.0, None, 1002.0, 1003.0]


@fault(18)
async def test_a_counter_that_wraps_goes_on_and_one_that_leaps_is_not_believed() -> None:
    box, clock = device(
        parse_profile(METER.replace("POWER", "valid: [-100, 100],"), source="test"), meter := words(2**32 - 2)
    )
    driver = driver_for(box)
    seen: list[float | None] = []
    for value in (2**32 - 2, 3, 3_000_000, 4):
        show(meter, value)
        clock.advance(timedelta(minutes=1))
        await box.poll()
        seen.append(driver.measurements(0)["import_kwh"].value)
    assert seen == [2.0**32 - 2, 2.0**32 + 3, None, 2.0**32 + 4]


def words(import_kwh: int) -> Registers:
    meter = Registers(dict.fromkeys(range(6), 0))
    show(meter, import_kwh)
    return meter


def show(meter: Registers, import_kwh: int) -> None:
    meter.tables[Space.HOLDING].update({2: import_kwh & 0xFFFF, 3: import_kwh >> 16})  # low register first


@fault(19)
@pytest.mark.parametrize(
    ("profile", "point", "raw"),
    [
        ("sunspec-inverter", "generation_kw", [0x8000, 0]),
        ("sunspec-der-inverter", "generation_kwh", [0xFFFF] * 4 + [0] * 97),
        ("wallbox-quasar1", "soc", [0]),
        ("schneider-iem3155", "power_kw", [0x7FC0, 0]),
        ("schneider-iem3155", "import_kwh", [0x8000, 0, 0, 0]),
        ("huawei-sun2000", "generation_kw", [0x7FFF, 0xFFFF]),
        ("alfen-ng9xx", "power_kw", [0xFFFF, 0xFFFF]),
    ],
)
def test_what_stands_for_nothing_is_nothing(profile: str, point: str, raw: list[int]) -> None:
    from devices.values import read_point
    from tests.unit.devices.bench import START

    known = load_profile(profile)
    reading = read_point(known, point, raw[: known.points[point].width], exponent=0, at=START)
    assert (reading.value, reading.quality) == (None, Quality.INVALID)


@fault(20)
def test_a_wrong_word_order_is_noticed_and_the_right_one_named() -> None:
    from devices.values import Reading
    from tests.unit.devices.bench import START

    known = load_profile("carlo-gavazzi-em24").model_copy(update={"order": Order.ABCD})
    seen = {"voltage_l1_v": Reading(None, Quality.INVALID, (2300, 0), START)}
    found = other_order(known, seen)
    assert found is not None
    assert found.instead == "order: cdab"
    assert decode((2300, 0), Kind.INT32, Order.CDAB) == 2300


@fault(21)
async def test_a_write_that_is_acknowledged_and_not_applied_is_told() -> None:
    async with bench() as made:
        made.twin("charger-leaf").faults.ignore_writes = True
        assert isinstance(await made.apply("leaf", ChargerPower(3.0)), Unconfirmed)


@fault(22)
async def test_what_a_person_sets_at_the_remote_controller_stands_for_a_while() -> None:
    async with bench() as made:
        order = RoomClimate(ClimateMode.COOL, 25.0)
        await made.apply("hall-0", order)
        made.step(minutes=2)
        assert made.site.adaptor is not None
        made.site.adaptor.take(2000, [0x3161, 2, 230])  # colder, by hand
        made.step()
        await made.gateway.read()
        written = made.gateway.writes["hvac-adapter"]
        assert isinstance(await made.apply("hall-0", order), Unconfirmed)
        assert made.gateway.writes["hvac-adapter"] == written


@fault(23)
async def test_when_the_controller_dies_the_car_stops_within_its_idle_timeout() -> None:
    async with bench() as made:
        await made.apply("leaf", ChargerPower(-6.0))
        made.step(minutes=5)  # nobody speaks any more
        assert made.site.truth().cars["leaf"].discharge_kwh == pytest.approx(6.0 / 60.0)
        assert quasar(made).power_kw == 0.0


@fault(24)
async def test_power_that_no_counter_sees_is_frozen_and_not_shown_as_live() -> None:
    box, clock = device(parse_profile(METER.replace("POWER", ""), source="test"), meter := words(1000))
    meter.tables[Space.HOLDING][0] = 6000  # 6 kW, forever
    driver = driver_for(box)
    qualities = []
    for _ in range(12):
        await box.poll()
        qualities.append(driver.measurements(0)["power_kw"].quality)
        clock.advance(timedelta(minutes=1))
    assert qualities == [Quality.GOOD] * 6 + [Quality.STALE] * 6
    show(meter, 1001)
    await box.poll()
    assert driver.measurements(0)["power_kw"].quality is Quality.GOOD


@fault(25)
async def test_value_and_scale_factor_come_from_one_request_and_an_absurd_factor_makes_no_value() -> None:
    profile = parse_profile(METER.replace("POWER", "scale_point: sf,"), source="test")
    for factor, expected in ((0, 2.5), (1, 25.0), (0xFFFF, 0.25), (11, None)):
        box, _ = device(profile, Registers({0: 2500, 1: factor, 2: 0, 3: 0, 4: 0, 5: 0}))
        await box.poll()
        power = driver_for(box).measurements(0)["power_kw"].value
        assert power == (None if expected is None else pytest.approx(expected))


@fault(26)
@pytest.mark.parametrize(("sign", "power_kw"), [(1, 2.5), (-1, -2.5)])
async def test_the_sign_of_a_device_is_turned_at_its_edge(sign: int, power_kw: float) -> None:
    profile = parse_profile(METER.replace("POWER", f"sign: {sign},"), source="test")
    box, _ = device(profile, Registers({0: 2500, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0}))
    await box.poll()
    assert driver_for(box).measurements(0)["power_kw"].value == power_kw


@fault(27)
async def test_a_stall_of_our_own_is_not_taken_for_silence_of_the_device() -> None:
    meter = MeterTwin("meter")
    async with linked(meter) as transport:
        await transport.connect()
        client = transport._client
        assert client is not None
        ask, stalled = client.read_input_registers, []

        async def stalling(*arguments: Any, **named: Any) -> Any:
            if not stalled:
                stalled.append(True)
                time.sleep(0.4)  # the loop stands still, as in a long computation
                await asyncio.Event().wait()
            return await ask(*arguments, **named)

        client.read_input_registers = stalling  # type: ignore[method-assign]
        assert len(await transport.read(1, Space.INPUT, 52, 2)) == 2
        assert (transport.stalls, transport.generation) == (1, 1)


@fault(27)
async def test_a_value_carries_the_time_at_which_it_arrived() -> None:
    box, clock = device(parse_profile(METER.replace("POWER", ""), source="test"), words(1))
    plain = box._transport.read

    async def late(*arguments: Any) -> tuple[int, ...]:
        clock.advance(timedelta(seconds=3))
        return await plain(*arguments)

    box._transport.read = late  # type: ignore[method-assign]
    before = clock.now()
    await box.poll()
    assert driver_for(box).measurements(0)["power_kw"].read_at == before + timedelta(seconds=3)


def test_every_fault_of_the_table_has_its_test() -> None:
    assert sorted(TESTED) == list(range(1, 28))
