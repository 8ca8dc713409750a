"""Golden bytes: each row was worked out by hand or taken from the standard named beside it."""

from __future__ import annotations

import struct

import pytest

from devices.registers import Kind, Order, decode, decode_text, encode, extract_bits, insert_bits, width
from energy.core.errors import RegisterError

# number, kind, bytes on the wire most significant first
GOLDEN = [
    (0, Kind.UINT16, "0000"),
    (65535, Kind.UINT16, "ffff"),
    (-1, Kind.INT16, "ffff"),
    (-32768, Kind.INT16, "8000"),
    (-3000, Kind.INT16, "f448"),  # two's complement by hand: 0x10000 - 0x0BB8
    (265, Kind.INT16, "0109"),  # 26.5 degC in tenths
    (-2147483648, Kind.INT32, "80000000"),
    (123456789, Kind.UINT32, "075bcd15"),
    (-2, Kind.INT64, "fffffffffffffffe"),
    (2**63, Kind.UINT64, "8000000000000000"),
    (1.0, Kind.FLOAT32, "3f800000"),  # IEEE 754: sign 0, exponent 127, fraction 0
    (-118.625, Kind.FLOAT32, "c2ed4000"),  # worked example of the IEEE 754 article: 1.85351562 * 2^6
    (0.15625, Kind.FLOAT32, "3e200000"),  # same: 1.25 * 2^-3
    (230.5, Kind.FLOAT32, "43668000"),
    (1.0, Kind.FLOAT64, "3ff0000000000000"),
    (-2.0, Kind.FLOAT64, "c000000000000000"),
]


def words(text: str) -> tuple[int, ...]:
    return tuple(int(text[at : at + 4], 16) for at in range(0, len(text), 4))


@pytest.mark.parametrize(("number", "kind", "wire"), GOLDEN)
def test_numbers_become_the_golden_bytes_and_come_back(number: float, kind: Kind, wire: str) -> None:
    assert encode(number, kind) == words(wire)
    assert decode(words(wire), kind) == number
    assert width(kind) == len(wire) // 4


@pytest.mark.parametrize(
    ("order", "wire"),
    [(Order.ABCD, "075bcd15"), (Order.CDAB, "cd15075b"), (Order.BADC, "5b0715cd"), (Order.DCBA, "15cd5b07")],
)
def test_four_byte_orders_are_told_apart(order: Order, wire: str) -> None:
    assert encode(123456789, Kind.UINT32, order) == words(wire)
    assert decode(words(wire), Kind.UINT32, order) == 123456789


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (65536, Kind.UINT16),
        (-1, Kind.UINT16),
        (32768, Kind.INT16),
        (1.5, Kind.INT16),
        (1e39, Kind.FLOAT32),
        (float("nan"), Kind.FLOAT32),
        (float("inf"), Kind.INT32),
    ],
)
def test_a_number_that_does_not_fit_is_never_cut(number: float, kind: Kind) -> None:
    with pytest.raises(RegisterError, match="cannot be written"):
        encode(number, kind)


@pytest.mark.parametrize("registers", [(), (1,), (1, 2, 3), (70000, 0), (-1, 0)])
def test_registers_that_are_not_one_number_are_refused(registers: tuple[int, ...]) -> None:
    with pytest.raises(RegisterError, match="do not hold one float32"):
        decode(registers, Kind.FLOAT32)


def test_not_a_number_stays_not_a_number() -> None:
    assert decode(words("7fc00000"), Kind.FLOAT32) != decode(words("7fc00000"), Kind.FLOAT32)


def test_float32_is_the_nearest_that_the_device_can_hold() -> None:
    assert (
        decode(encode(123.456, Kind.FLOAT32), Kind.FLOAT32)
        == struct.unpack(">f", struct.pack(">f", 123.456))[0]
    )


def test_fields_of_a_register_are_cut_out_and_put_in() -> None:
    # Daikin order register: on, fan fields valid (6), direction 2, speed 3
    word = insert_bits(insert_bits(insert_bits(insert_bits(0, 1, 0, 0), 6, 4, 7), 2, 8, 10), 3, 12, 14)
    assert word == 0b0011_0010_0110_0001
    assert [extract_bits(word, *bits) for bits in ((0, 0), (4, 7), (8, 10), (12, 14))] == [1, 6, 2, 3]
    with pytest.raises(RegisterError, match="does not fit"):
        insert_bits(0, 8, 8, 10)


def test_text_ends_at_the_first_nul() -> None:
    assert decode_text(words("5477696e2000")) == "Twin"
