"""Frames, property maps and codings of ECHONET Lite, byte by byte."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.echonet import codes
from devices.echonet.frame import CONTROLLER, Frame, Service, decode, encode, property_map
from devices.echonet.twin import _map
from energy.core.errors import RegisterError


def test_the_bytes_of_a_reading_and_a_setting_are_those_of_the_standard() -> None:
    ask = Frame(0x0102, CONTROLLER, (0x02, 0x7E, 0x01), Service.GET, {0xDA: b"", 0xE4: b""})
    assert encode(ask).hex() == "1081010205ff01027e016202da00e400"
    tell = Frame(
        1, CONTROLLER, (0x02, 0x7E, 0x01), Service.SETC, {0xEC: bytes.fromhex("00000bb8"), 0xDA: b"\x43"}
    )
    assert encode(tell).hex() == "1081000105ff01027e016102ec0400000bb8da0143"


@given(
    st.integers(0, 0xFFFF),
    st.dictionaries(st.integers(0x80, 0xFF), st.binary(max_size=255), min_size=1, max_size=20),
    st.sampled_from(list(Service)),
)
def test_frames_come_back_as_they_went(tid: int, properties: dict[int, bytes], service: Service) -> None:
    frame = Frame(tid, CONTROLLER, (0x02, 0x88, 0x01), service, properties)
    assert decode(encode(frame)) == frame


@given(st.binary(max_size=64))
def test_bytes_that_are_no_frame_are_refused_and_break_nothing(data: bytes) -> None:
    with suppress(RegisterError):
        decode(b"\x10\x81" + data)


@given(st.sets(st.integers(0x80, 0xFF), max_size=128))
def test_property_maps_of_both_kinds_are_read(wanted: set[int]) -> None:
    assert property_map(_map(wanted)) == wanted


@pytest.mark.parametrize("data", ["", "02da", "0380dada", "10" + "00" * 16, "1001", "11" + "01" * 16])
def test_a_property_map_that_does_not_add_up_is_refused(data: str) -> None:
    with pytest.raises(RegisterError, match="property map"):
        property_map(bytes.fromhex(data))


@given(st.integers(-(2**31) + 1, 2**31 - 3))
def test_signed_powers_come_back(watts: int) -> None:
    assert codes.signed_power_w((watts & 0xFFFFFFFF).to_bytes(4, "big")) == watts


def test_readings_of_a_wrong_length_are_refused() -> None:
    for read in (codes.temperature_c, codes.whole_watts, codes.signed_power_w, codes.power_limits_w):
        with pytest.raises(RegisterError):
            read(b"\x00\x01\x02")
    with pytest.raises(RegisterError, match="no date"):
        codes.timed_reading(bytes.fromhex("07ea0d01000000000003e8"), unit=1)
    with pytest.raises(RegisterError):
        codes.day_readings(bytes(193), unit=1)
