"""An ECHONET Lite node for tests and for trying: objects with properties over UDP, with physics and faults.

It writes and reads its frames itself, not with our codec, so that one mistake cannot cancel the other.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final

__all__ = ["EchonetTwin", "ac_properties", "charger_properties", "meter_properties", "outdoor_properties"]

_NODE: Final = "0ef001"
_GROUP: Final = "224.0.23.0"


def _map(codes: set[int]) -> bytes:
    """A property map: a list of up to 15, else bits."""
    if len(codes) <= 15:
        return bytes([len(codes), *sorted(codes)])
    bits = [0] * 16
    for code in codes:
        bits[code & 0x0F] |= 1 << (code >> 4) - 8
    return bytes([len(codes), *bits])


def charger_properties(*, setpoints: bool = True) -> tuple[dict[int, bytes], set[int]]:
    """A V2H charger with a car at 50 %: properties, and which of them may be set."""
    properties = {
        0x80: b"\x30", 0x88: b"\x42", 0xC7: b"\x43", 0xC8: bytes.fromhex("00000000 00001770"),
        0xC9: bytes.fromhex("00000000 00001770"), 0xD3: bytes(4), 0xDA: b"\x44", 0xDB: b"\x02", 0xE4: b"\x32",
        0xE2: bytes.fromhex("00004e20"), 0x82: b"\x00\x00R\x00", 0x8A: b"\x00\x00\x77",
    }  # fmt: skip
    settable = {0xDA, 0x81}
    if setpoints:
        properties |= {0xEB: bytes(4), 0xEC: bytes(4)}
        settable |= {0xEB, 0xEC}
    return properties | {0x81: b"\x00", 0xD6: bytes(4), 0xD8: bytes(4)}, settable


def ac_properties() -> tuple[dict[int, bytes], set[int]]:
    """An indoor unit that cools at 26 degC, in a room of 27."""
    properties = {0x80: b"\x30", 0x88: b"\x42", 0xB0: b"\x42", 0xB3: b"\x1a", 0xBB: b"\x1b"}
    return properties, {0x80, 0xB0, 0xB3}


def outdoor_properties() -> tuple[dict[int, bytes], set[int]]:
    """Its outdoor unit, with 2.5 kW."""
    return {0x80: b"\x30", 0x88: b"\x42", 0xAA: b"\x40", 0xDB: b"\x09\xc4"}, set()


def meter_properties() -> tuple[dict[int, bytes], set[int]]:
    """A smart meter that has counted 1,234.5 kWh and sees 1.5 kW go out."""
    properties = {
        0x80: b"\x30", 0x88: b"\x42", 0xD7: b"\x06", 0xE0: (12345).to_bytes(4, "big"), 0xE1: b"\x01",
        0xE3: (777).to_bytes(4, "big"), 0xE7: (-1500 & 0xFFFFFFFF).to_bytes(4, "big"),
        0xEA: bytes.fromhex("07ea0c01000000") + (12300).to_bytes(4, "big"),
        0xE2: bytes(2) + _counted(40) + b"\xff\xff\xff\xfe" * 8,
    }  # fmt: skip
    return properties, {0xE5}


def _counted(slots: int) -> bytes:
    return b"".join((12_000 + slot).to_bytes(4, "big") for slot in range(slots))


class EchonetTwin(asyncio.DatagramProtocol):
    """A node with some objects.

    Parameters
    ----------
    objects : dict
        Properties and settable codes by object, as six hexadecimal digits.
    """

    def __init__(self, objects: dict[str, tuple[dict[int, bytes], set[int]]]) -> None:
        self.objects = {name: dict(properties) for name, (properties, _) in objects.items()}
        self.settable = {name: set(codes) for name, (_, codes) in objects.items()}
        self.writes: list[tuple[str, dict[int, bytes]]] = []
        self.asked: list[tuple[str, tuple[int, ...]]] = []
        self.silent = False
        self.drop = 0  # so many questions are lost
        self.forgets = False  # acknowledges a setting and keeps what it had
        self.refuses: set[int] = set()
        self.mangle: Callable[[bytes], list[bytes]] = lambda answer: [answer]
        self._transport: asyncio.DatagramTransport | None = None
        self._ear: asyncio.DatagramTransport | None = None

    async def start(self, host: str, port: int, *, group: bool = False) -> None:
        """Listen; with ``group`` also to what is asked of everybody (224.0.23.0)."""
        loop = asyncio.get_running_loop()
        if group:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                member = socket.inet_aton(_GROUP) + socket.inet_aton(host)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
                sock.bind((_GROUP, port))
            except OSError:
                sock.close()
                raise
            self._ear, _ = await loop.create_datagram_endpoint(lambda: _Ear(self), sock=sock)
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))

    def stop(self) -> None:
        """Let go."""
        for door in (self._transport, self._ear):
            if door is not None:
                door.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a question or a setting."""
        if self.silent or data[:2] != b"\x10\x81":
            return
        if self.drop:
            self.drop -= 1
            return
        target, service, count, at = data[7:10].hex(), data[10], data[11], 12
        said: dict[int, bytes] = {}
        for _ in range(count):
            said[data[at]] = data[at + 2 : at + 2 + data[at + 1]]
            at += 2 + data[at + 1]
        if target == _NODE:
            objects = b"".join(bytes.fromhex(name) for name in self.objects)
            told = {code: bytes([len(self.objects)]) + objects if code == 0xD6 else b"" for code in said}
            answer = self._answer(0x72, told)
        elif target not in self.objects:
            return  # part 2, 4.2: no answer for an object that is not there
        elif service == 0x62:
            answer = self._read(target, said)
        elif service == 0x61:
            answer = self._write(target, said)
        else:
            return
        head = b"\x10\x81" + data[2:4] + data[7:10] + data[4:7]
        assert self._transport is not None
        for one in self.mangle(head + answer):
            self._transport.sendto(one, addr)

    @staticmethod
    def _answer(service: int, told: dict[int, bytes]) -> bytes:
        body = b"".join(bytes([code, len(data)]) + data for code, data in told.items())
        return bytes([service, len(told)]) + body

    def _read(self, target: str, said: dict[int, bytes]) -> bytes:
        self.asked.append((target, tuple(said)))
        known = self.objects[target]
        maps = {0x9D: b"\x01\x80", 0x9E: _map(self.settable[target]), 0x9F: _map({*known, 0x9D, 0x9E, 0x9F})}
        told = {code: (known | maps).get(code, b"") for code in said}
        return self._answer(0x72 if all(told.values()) else 0x52, told)

    def _write(self, target: str, said: dict[int, bytes]) -> bytes:
        self.writes.append((target, said))
        closed = {code for code in said if code not in self.settable[target] or code in self.refuses}
        if not self.forgets:
            self.objects[target] |= {code: data for code, data in said.items() if code not in closed}
        self.step()
        told = {code: data if code in closed else b"" for code, data in said.items()}
        return self._answer(0x51 if closed else 0x71, told)

    def step(self) -> None:
        """Physics: a charger follows its mode and setpoint, as far as a car is there."""
        for properties in self.objects.values():
            if 0xDA not in properties or 0xD3 not in properties:
                continue
            here, mode = properties[0xC7] != b"\x30", properties[0xDA]
            charge, give = (
                properties.get(0xEB, b"\x00\x00\x17\x70"),
                properties.get(0xEC, b"\x00\x00\x17\x70"),
            )
            watts = {b"\x42": int.from_bytes(charge, "big"), b"\x43": -int.from_bytes(give, "big")}
            power = watts.get(mode, 0) if here else 0
            properties[0xD3] = (power & 0xFFFFFFFF).to_bytes(4, "big")


class _Ear(asyncio.DatagramProtocol):
    """Hears the group; the node answers from its own address."""

    def __init__(self, node: EchonetTwin) -> None:
        self._node = node

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._node.datagram_received(data, addr)
