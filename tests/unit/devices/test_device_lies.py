"""Faults that no frame shows: devices that lie, forget or stand still, and stalls of our own."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from devices.drivers import driver_for
from devices.probe import other_order
from devices.profile import load_profile, parse_profile
from devices.registers import Kind, Order, decode
from devices.transport import Space
from devices.twins.meter import MeterTwin
from energy.core.measurement import Quality
from energy.core.outcome import Applied, ChargerPower, ClimateMode, RoomClimate, Unconfirmed
from tests.unit.devices.bench import bench, quasar
from tests.unit.devices.faults import TESTED, fault
from tests.unit.devices.test_device_faults import linked
from tests.unit.devices.test_device_points import METER, Registers, device

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
        ("alfen-ng9xx", "applied_current_a", [0xFFFF, 0xFFFF]),  # no range of its own would catch it
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
