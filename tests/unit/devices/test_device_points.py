"""How registers become values and when what was written no longer counts, on registers made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from devices.config import DeviceConfig
from devices.device import Device
from devices.drivers import driver_for
from devices.profile import Profile, load_profile, parse_profile
from devices.registers import Kind, encode
from devices.transport import Access, Space, exception_error, require_control
from energy.core.clock import ManualClock
from energy.core.errors import RefusedError, RegisterError, UnreachableError
from energy.core.measurement import Quality
from energy.core.outcome import Applied, ChargerPower, ClimateMode, Command, CommandSource, RoomClimate
from energy.core.plan import Reason, ReasonCode
from energy.core.units import AssetId
from tests.unit.devices.bench import START
from tests.unit.devices.faults import fault

METER = """
id: test-meter
title: A meter for tests
maker: Nobody
models: [none]
nature: meter
control: none
sources: [{ title: made up, confidence: A }]
wire: { functions: [3], max_read: 60, max_gap: 20 }
points:
  power_kw: { at: "holding:0", type: int16, unit: kW, scale: 0.001, POWER scale_point: sf, poll: always }
  sf: { at: "holding:1", type: int16 }
  import_kwh: { at: "holding:2", type: uint32, unit: kWh, order: cdab, poll: always }
  export_kwh: { at: "holding:4", type: float32, unit: kWh, valid: [0, 1000], poll: always }
"""


class Registers:
    """A transport that ends in a dictionary."""

    def __init__(self, holding: Mapping[int, int], inputs: Mapping[int, int] | None = None) -> None:
        self.tables = {Space.HOLDING: dict(holding), Space.INPUT: dict(inputs or {})}
        self.access = Access.CONTROL
        self.connected = True
        self.generation = 1
        self.writes: list[tuple[int, tuple[int, ...], int]] = []

    async def connect(self) -> None:
        self.connected = True

    async def close(self) -> None:
        self.connected = False

    async def read(self, unit_id: int, space: Space, address: int, count: int) -> tuple[int, ...]:
        table = self.tables[space]
        if not self.connected:
            raise UnreachableError("no answer")
        try:
            return tuple(table[address + offset] for offset in range(count))
        except KeyError:
            raise exception_error(2, where=f"{address}", writing=False) from None

    async def write(self, unit_id: int, address: int, words: Sequence[int], *, function: int) -> None:
        require_control(self.access, where=f"{address}", words=words)
        self.writes.append((address, tuple(words), function))
        self.tables[Space.HOLDING].update({address + offset: word for offset, word in enumerate(words)})


def device(profile: Profile, registers: Registers, *, assets: int = 1) -> tuple[Device, ManualClock]:
    clock = ManualClock(START)
    config = DeviceConfig(
        "box",
        profile.id,
        "host",
        502,
        assets=tuple(AssetId(f"asset-{n}") for n in range(assets)),
        commissioned=True,
    )
    return Device(config, profile, transport=registers, clock=clock, access=Access.CONTROL), clock


def command(order: ChargerPower | RoomClimate, asset: str = "asset-0") -> Command:
    return Command(
        asset=AssetId(asset),
        order=order,
        source=CommandSource.PLAN,
        reason=Reason(ReasonCode.PEAK),
        issued_at=START,
        expires_at=START + timedelta(days=1),
    )


async def read_meter(words: Mapping[int, int], *, power: str = "") -> dict[str, tuple[float | None, Quality]]:
    defaults = {0: 0, 1: 0, 2: 0, 3: 0, 4: 0, 5: 0}
    box, _ = device(
        parse_profile(METER.replace("POWER", power), source="test"), Registers({**defaults, **words})
    )
    await box.poll()
    return {name: (point.value, point.quality) for name, point in driver_for(box).measurements(0).items()}


# Values


async def test_a_device_that_counts_the_other_way_is_turned_at_the_edge() -> None:
    assert (await read_meter({0: 2500}))["power_kw"] == (2.5, Quality.GOOD)
    assert (await read_meter({0: 2500}, power="sign: -1,"))["power_kw"] == (-2.5, Quality.GOOD)
    assert (await read_meter({0: 0xFFFF - 2499}, power="sign: -1,"))["power_kw"] == (2.5, Quality.GOOD)


@pytest.mark.parametrize(("factor", "value"), [(0, 2.5), (2, 250.0), (0xFFFE, 0.025)])
async def test_a_scale_factor_moves_the_point(factor: int, value: float) -> None:
    measured, quality = (await read_meter({0: 2500, 1: factor}))["power_kw"]
    assert (measured, quality) == (pytest.approx(value), Quality.GOOD)


@pytest.mark.parametrize("factor", [11, 0x8000, 0xFFF5])  # sunssf: -10..10, 0x8000 is "not implemented"
async def test_an_impossible_scale_factor_makes_no_value(factor: int) -> None:
    assert (await read_meter({0: 2500, 1: factor}))["power_kw"] == (None, Quality.INVALID)


async def test_a_sentinel_is_no_value() -> None:
    assert (await read_meter({0: 0x8000}, power="invalid: [-32768],"))["power_kw"] == (None, Quality.INVALID)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (encode(999.0, Kind.FLOAT32), 999.0),
        (encode(1001.0, Kind.FLOAT32), None),
        (encode(-1.0, Kind.FLOAT32), None),
        ((0x7FC0, 0), None),  # not a number
        ((0x7F80, 0), None),  # infinity
    ],
)
async def test_what_cannot_be_true_is_not_believed(words: tuple[int, int], expected: float | None) -> None:
    high, low = words
    assert (await read_meter({4: high, 5: low}))["export_kwh"][0] == expected


async def test_a_counter_with_its_low_register_first_is_put_right() -> None:
    assert (await read_meter({2: 0xE240, 3: 0x0001}))["import_kwh"] == (123456.0, Quality.GOOD)


async def test_consumption_of_an_inverter_at_night_is_no_generation() -> None:
    point = load_profile("sunspec-inverter").points["generation_kw"]
    assert (point.floor, point.valid) == (0.0, (-100.0, 20000.0))
    night = "floor: 0, valid: [-1, 100],"
    assert (await read_meter({0: 0xFFFF - 19}, power=night))["power_kw"] == (0.0, Quality.GOOD)
    assert (await read_meter({0: 0xFFFF - 1999}, power=night))["power_kw"] == (None, Quality.INVALID)


async def test_a_state_that_the_profile_does_not_know_is_no_state() -> None:
    box, _ = device(load_profile("wallbox-quasar1"), quasar())
    assert isinstance(box._transport, Registers)
    box._transport.tables[Space.HOLDING][537] = 99
    await box.poll()
    points = driver_for(box).measurements(0)
    assert (points["state"].value, points["state"].quality) == (None, Quality.INVALID)
    assert (points["plugged"].value, points["power_kw"].value) == (None, 0.0)


# What holds


def quasar() -> Registers:
    holding = dict.fromkeys([81, 82, 83, 88, 257, 258, 259, 260, *range(526, 543)], 0)
    return Registers({**holding, 514: 6000, 537: 3, 538: 55})


async def test_after_a_silence_longer_than_the_fail_safe_an_order_is_written_again() -> None:
    registers = quasar()
    box, clock = device(load_profile("wallbox-quasar1"), registers)
    driver = driver_for(box)
    assert isinstance(await driver.apply(command(ChargerPower(3.0)), 0), Applied)
    written = len(registers.writes)
    clock.advance(timedelta(seconds=60))
    await box.poll()
    await driver.apply(command(ChargerPower(3.0)), 0)
    assert len(registers.writes) == written
    clock.advance(timedelta(seconds=61))
    await box.poll()
    await driver.apply(command(ChargerPower(3.0)), 0)
    assert registers.writes[written:] == [(260, (3000,), 6), (257, (1,), 6)]


@fault(17)
async def test_a_new_link_means_taking_control_again() -> None:
    registers = quasar()
    box, _ = device(load_profile("wallbox-quasar1"), registers)
    await box.poll()
    assert registers.writes == [(81, (1,), 6), (82, (0,), 6), (83, (1,), 6), (88, (60,), 6)]
    await box.poll()
    assert len(registers.writes) == 4
    registers.generation += 1  # the transport rebuilt the link by itself; the device may have rebooted
    await box.poll()
    assert len(registers.writes) == 8


async def test_what_was_known_before_a_silence_is_not_known_after_it() -> None:
    registers = quasar()
    box, clock = device(load_profile("wallbox-quasar1"), registers)
    await box.poll()
    assert box.fresh("soc", within=timedelta(hours=1)) == pytest.approx(0.55)
    registers.connected = False
    clock.advance(timedelta(minutes=1))

    async def refuse() -> None:
        raise UnreachableError("nobody answers")

    registers.connect = refuse  # type: ignore[method-assign]
    with pytest.raises(UnreachableError):
        await box.poll()
    assert box.fresh("soc", within=timedelta(hours=1)) is None
    assert driver_for(box).measurements(0)["soc"].quality is Quality.STALE


# Adaptor


def daikin(*, ready: int = 1, units: int = 0b01) -> Registers:
    status = [0x3102, 2, 260, 0, 265, 0]
    inputs = {0: ready, 1: units} | {
        2000 + 6 * unit + n: word for unit in range(2) for n, word in enumerate(status)
    }
    return Registers(dict.fromkeys(range(2000, 2006), 0), inputs)


async def test_an_indoor_unit_that_is_not_on_the_bus_has_no_values_and_takes_no_orders() -> None:
    box, _ = device(load_profile("daikin-dta116a51"), daikin(units=0b01), assets=2)
    await box.poll()
    driver = driver_for(box)
    assert driver.measurements(0)["room_c"].value == 26.5
    assert {point.quality for point in driver.measurements(1).values()} == {Quality.INVALID}
    assert {point.value for point in driver.measurements(1).values()} == {None}
    with pytest.raises(RefusedError, match="no indoor unit 2"):
        await driver.apply(command(RoomClimate(ClimateMode.COOL, 25.0), "asset-1"), 1)


async def test_an_adaptor_that_is_not_ready_is_not_spoken_to() -> None:
    box, _ = device(load_profile("daikin-dta116a51"), daikin(ready=0))
    with pytest.raises(RegisterError, match="is not a Daikin") as caught:
        await box.poll()
    assert "adaptor_ready reads 0" in caught.value.where


async def test_a_unit_is_written_as_a_whole_in_one_request() -> None:
    registers = daikin()
    box, _ = device(load_profile("daikin-dta116a51"), registers)
    await box.ensure_online()
    assert isinstance(await driver_for(box).apply(command(RoomClimate(ClimateMode.COOL, 27.5)), 0), Applied)
    # on, fan fields valid (6), direction 1 and speed 3 as they were; cooling; 27.5 degC
    assert registers.writes == [(2000, (0x3161, 2, 275), 16)]


async def test_a_mode_that_we_do_not_command_is_shown_as_such() -> None:
    registers = daikin()
    registers.tables[Space.INPUT].update({2000: 0x3103, 2001: 0})  # on, fan only
    box, _ = device(load_profile("daikin-dta116a51"), registers)
    await box.poll()
    points = driver_for(box).measurements(0)
    assert (points["on"].value, points["mode"].value) == (1.0, 3.0)
