"""For all numbers, point layouts and courses of a site: nothing is lost, and no limit is broken."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client.mixin import ModbusClientMixin

from devices.planner import Item, plan_reads, split
from devices.profile import Wire
from devices.registers import Kind, Order, decode, encode, extract_bits, insert_bits
from devices.transport import Space
from devices.twins.rooms import Room, Surroundings
from energy.core.outcome import ClimateMode
from tests.unit.devices.bench import busy, site, zone

WHOLE = {
    Kind.INT16: (-(2**15), 2**15 - 1),
    Kind.UINT16: (0, 2**16 - 1),
    Kind.INT32: (-(2**31), 2**31 - 1),
    Kind.UINT32: (0, 2**32 - 1),
    Kind.INT64: (-(2**63), 2**63 - 1),
    Kind.UINT64: (0, 2**64 - 1),
}
REAL = {Kind.FLOAT32: 32, Kind.FLOAT64: 64}


@st.composite
def numbers(draw: st.DrawFn) -> tuple[Kind, float]:
    kind = draw(st.sampled_from([*WHOLE, *REAL]))
    if kind in WHOLE:
        return kind, draw(st.integers(*WHOLE[kind]))
    return kind, draw(st.floats(allow_nan=False, allow_infinity=False, width=REAL[kind]))


@given(numbers(), st.sampled_from(Order))
def test_what_is_written_is_read_back(number: tuple[Kind, float], order: Order) -> None:
    kind, value = number
    registers = encode(value, kind, order)
    assert decode(registers, kind, order) == value
    assert all(0 <= word <= 0xFFFF for word in registers)


@given(numbers())
def test_our_bytes_are_those_of_pymodbus(number: tuple[Kind, float]) -> None:
    kind, value = number
    datatype = ModbusClientMixin.DATATYPE[kind.upper()]
    assert list(encode(value, kind)) == ModbusClientMixin.convert_to_registers(value, datatype)
    assert list(encode(value, kind, Order.CDAB)) == ModbusClientMixin.convert_to_registers(
        value, datatype, word_order="little"
    )


@given(numbers())
def test_swapping_the_bytes_of_each_register_is_the_other_order(number: tuple[Kind, float]) -> None:
    kind, value = number
    plain, swapped = encode(value, kind), encode(value, kind, Order.BADC)
    assert struct.pack(f"<{len(plain)}H", *plain) == struct.pack(f">{len(swapped)}H", *swapped)


@given(st.integers(0, 0xFFFF), st.integers(0, 15), st.integers(0, 15), st.integers(0, 0xFFFF))
def test_a_field_changes_only_its_bits(word: int, one: int, other: int, number: int) -> None:
    low, high = min(one, other), max(one, other)
    number %= 1 << (high - low + 1)
    changed = insert_bits(word, number, low, high)
    assert extract_bits(changed, low, high) == number
    mask = ((1 << (high - low + 1)) - 1) << low
    assert changed & ~mask == word & ~mask


@st.composite
def layouts(draw: st.DrawFn) -> tuple[list[Item], Wire]:
    even = draw(st.booleans())
    most = draw(st.integers(4, 62)) * 2
    wire = Wire(
        functions=(3, 4), max_read=most, max_gap=draw(st.integers(0, 40)), even_only=even, max_write=1
    )
    items = [
        Item(f"p{index}", 0, draw(st.sampled_from(Space)), draw(st.integers(0, 400)), draw(st.integers(1, 4)))
        for index in range(draw(st.integers(0, 40)))
    ]
    return items, wire


@given(layouts())
def test_every_point_is_read_exactly_once_and_no_request_breaks_a_limit(
    layout: tuple[list[Item], Wire],
) -> None:
    items, wire = layout
    blocks = plan_reads(items, wire)
    assert sorted(item.name for block in blocks for item in block.items) == sorted(
        item.name for item in items
    )
    assert len(blocks) <= len(items)
    for block in blocks:
        assert block.count <= wire.max_read
        assert not wire.even_only or (block.start % 2 == 0 and block.count % 2 == 0)
        for item in block.items:
            assert item.space is block.space
            assert block.start <= item.start
            assert item.end <= block.end


@given(layouts())
def test_splitting_a_request_loses_no_point(layout: tuple[list[Item], Wire]) -> None:
    items, wire = layout
    for block in plan_reads(items, wire):
        parts = split(block, wire)
        if parts:
            kept = [item for part in parts for item in part.items]
            assert sorted(item.name for item in kept) == sorted(item.name for item in block.items)
            assert all(part.count <= wire.max_read for part in parts)


minutes = st.lists(
    st.tuples(st.floats(0.0, 200.0), st.floats(0.0, 80.0), st.floats(-10.0, 38.0), st.booleans()),
    min_size=1,
    max_size=30,
)


@given(minutes, st.integers(-7400, 7400), st.integers(0, 10000))
def test_energy_is_never_made_nor_lost(
    course: list[tuple[float, float, float, bool]], watts: int, percent: int
) -> None:
    twins = site()
    busy(twins)
    twins.chargers["leaf"].take(260, [watts % 65536])
    assert twins.inverter is not None
    twins.inverter.take(40159, [percent, 0, 300, 0, 1])
    begin = {name: car.battery_kwh for name, car in twins.truth().cars.items()}
    for load_kw, pv_kw, outdoor_c, occupied in course:
        twins.step(
            60.0,
            load_kw=load_kw,
            pv_available_kw=pv_kw,
            outdoor_c=outdoor_c,
            ghi_w_m2=pv_kw * 10.0,
            occupied=occupied,
        )
    truth = twins.truth()
    net = truth.load_kwh - truth.pv_kwh + sum(room.electric_kwh for room in truth.zones.values())
    for name, car in truth.cars.items():
        net += car.charge_kwh - car.discharge_kwh
        stored = car.charge_kwh * 0.92 - car.discharge_kwh / 0.92
        assert car.battery_kwh - begin[name] == pytest.approx(stored, abs=1e-9)
        assert 0.0 <= car.soc <= 1.0
    assert truth.import_kwh - truth.export_kwh == pytest.approx(net, abs=1e-9)
    sun = sum(min(max(0.0, pv), 50.0) for _, pv, _, _ in course) / 60.0
    assert truth.pv_kwh + truth.curtailed_kwh == pytest.approx(sun, abs=1e-9)


@given(
    st.floats(15.0, 35.0),
    st.floats(-10.0, 38.0),
    st.floats(0.0, 1000.0),
    st.sampled_from([ClimateMode.OFF, ClimateMode.COOL, ClimateMode.HEAT]),
    st.floats(16.0, 30.0),
)
def test_a_room_does_not_depend_on_how_time_is_cut(
    initial_c: float, outdoor_c: float, ghi: float, mode: ClimateMode, setpoint_c: float
) -> None:
    around = Surroundings(outdoor_c, ghi, occupied=True)
    coarse, fine = Room(zone(initial_c=initial_c)), Room(zone(initial_c=initial_c))
    for room in (coarse, fine):
        room.order(mode, setpoint_c)
    for _ in range(10):
        coarse.step(60.0, around)
    for _ in range(60):
        fine.step(10.0, around)
    assert math.isclose(coarse.temp_c, fine.temp_c, abs_tol=1e-9)
    assert math.isclose(coarse.electric_kwh, fine.electric_kwh, abs_tol=1e-9)
