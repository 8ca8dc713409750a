"""Frames of ECHONET Lite (specification part 2, chapter 3), and property maps (part 2, appendix 1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from energy.core.errors import RegisterError

__all__ = ["CONTROLLER", "NODE", "Frame", "Object", "Service", "decode", "encode", "property_map"]

Object = tuple[int, int, int]  # class group, class, instance

NODE: Final[Object] = (0x0E, 0xF0, 0x01)  # node profile
CONTROLLER: Final[Object] = (0x05, 0xFF, 0x01)  # what we are
_HEADER: Final = b"\x10\x81"
_SHORTEST: Final = 12
_LIST_UP_TO: Final = 15  # longer property maps are bits


class Service(IntEnum):
    """What a frame is for."""

    SETI_SNA = 0x50
    SETC_SNA = 0x51
    GET_SNA = 0x52
    SETI = 0x60
    SETC = 0x61
    GET = 0x62
    INF_REQ = 0x63
    SET_RES = 0x71
    GET_RES = 0x72
    INF = 0x73
    INFC = 0x74
    INFC_RES = 0x7A


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: properties by code; an empty value asks, acknowledges, or says that there is none."""

    tid: int
    source: Object
    target: Object
    service: int
    properties: Mapping[int, bytes] = field(default_factory=dict)


def encode(frame: Frame) -> bytes:
    """A frame as bytes.

    Raises
    ------
    ValueError
        If it has no property, more than 255, or one that is too long: a fault of ours.

    Examples
    --------
    >>> encode(Frame(1, CONTROLLER, (0x02, 0x7E, 0x01), Service.GET, {0xDA: b""})).hex()
    '1081000105ff01027e016201da00'
    """
    if not 1 <= len(frame.properties) <= 255 or any(len(data) > 255 for data in frame.properties.values()):
        msg = f"a frame has 1 to 255 properties of at most 255 bytes, not {dict(frame.properties)}"
        raise ValueError(msg)
    body = b"".join(bytes((code, len(data))) + data for code, data in frame.properties.items())
    head = _HEADER + frame.tid.to_bytes(2, "big") + bytes(frame.source) + bytes(frame.target)
    return head + bytes((frame.service, len(frame.properties))) + body


def decode(data: bytes) -> Frame:
    """A frame from bytes.

    Raises
    ------
    RegisterError
        If it is not one, or does not end where it says.
    """
    if len(data) < _SHORTEST or data[:2] != _HEADER:
        raise RegisterError("not a frame of ECHONET Lite", where=data[:16].hex() or "no bytes")
    properties: dict[int, bytes] = {}
    at = _SHORTEST
    for _ in range(data[11]):
        if at + 2 > len(data) or at + 2 + data[at + 1] > len(data):
            raise RegisterError("a frame is cut off", where=data[:64].hex())
        length = data[at + 1]
        properties[data[at]] = data[at + 2 : at + 2 + length]
        at += 2 + length
    return Frame(
        int.from_bytes(data[2:4], "big"),
        (data[4], data[5], data[6]),
        (data[7], data[8], data[9]),
        data[10],
        properties,
    )


def property_map(data: bytes) -> frozenset[int]:
    """Property codes in a map (0x9D, 0x9E, 0x9F).

    Raises
    ------
    RegisterError
        If it does not hold as many as it says.

    Examples
    --------
    >>> sorted(property_map(bytes.fromhex("0380dae4"))) == [0x80, 0xDA, 0xE4]
    True
    """
    if not data:
        raise RegisterError("a property map is empty", where="no bytes")
    count = data[0]
    if count <= _LIST_UP_TO:
        codes = frozenset(data[1:])
    else:
        codes = frozenset(
            0x80 + 0x10 * bit + low
            for low, byte in enumerate(data[1:17])
            for bit in range(8)
            if byte >> bit & 1
        )
    if len(codes) != count or (count > _LIST_UP_TO and len(data) != 17):
        raise RegisterError(f"a property map of {count} holds {len(codes)}", where=data.hex())
    return codes
