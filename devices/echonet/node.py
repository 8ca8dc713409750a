"""Our node on the network: one UDP socket for all devices, one question at a time for each."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from devices.echonet.frame import CONTROLLER, NODE, Frame, Object, Service, decode, encode
from devices.guests import Guest
from devices.transport import Access, require_control
from energy.core.errors import ConfigError, RefusedError, RegisterError, UnreachableError

__all__ = ["GROUP", "PORT", "EchonetNode", "Found"]

log = logging.getLogger(__name__)

PORT: Final = 3610  # ECHONET Lite specification part 2, 2.2
GROUP: Final = "224.0.23.0"
_TRIES: Final = 2  # absolute values only are written, so twice is as good as once
_AT_ONCE: Final = 8  # properties of a question; small nodes answer no longer ones
_OWN: Final = {  # what a node must be able to say of itself (part 2, 6.11.1)
    0x80: b"\x30",
    0x82: b"\x01\x0e\x01\x00",
    0x83: b"\xfe\xff\xff\xff" + bytes(12) + b"\x01",
    0x8A: b"\xff\xff\xff",
    0x9D: bytes.fromhex("0180"),
    0x9E: b"\x00",
    0x9F: bytes.fromhex("0b8082838a9d9e9fd3d4d6d7"),
    0xD3: b"\x00\x00\x01",
    0xD4: b"\x00\x02",
    0xD6: bytes.fromhex("0105ff01"),
    0xD7: bytes.fromhex("0105ff"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A node that has answered, and what it holds."""

    host: str
    objects: tuple[Object, ...]


class EchonetNode(asyncio.DatagramProtocol):
    """Speaks to ECHONET Lite nodes. Answers are known by their number and sender's address, not by its port.

    Parameters
    ----------
    host : str
        Address to bind; that of one interface, so that nobody else is heard. Loopback unless said otherwise.
    port : int
        Port of this protocol, the same for all nodes; many devices answer to no other.
    access : Access
        What may be set; enforced here, where frames are sent.
    timeout_s : float
        How long an answer may take. [s]
    discover : bool
        Join the multicast group, for :meth:`find`.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        *,
        port: int = PORT,
        access: Access = Access.CONTROL,
        timeout_s: float = 2.0,
        discover: bool = False,
    ) -> None:
        self.access = access
        self.foreign = 0  # what came and was for nobody
        self._host, self._port, self._timeout_s, self._discover = host, port, timeout_s, discover
        self._transport: asyncio.DatagramTransport | None = None
        self._tid = 0
        self._waiting: dict[tuple[str, int], asyncio.Future[Frame]] = {}
        self._found: dict[str, tuple[Object, ...]] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._devices: list[Guest] = []

    # A service of the gateway

    def take(self, device: Guest) -> None:
        """Speak for a device, too."""
        self._devices.append(device)

    @property
    def guests(self) -> Sequence[Guest]:
        """The devices, for a gateway."""
        return self._devices

    async def start(self) -> None:
        """Bind the socket.

        Raises
        ------
        ConfigError
            If the address or port cannot be had.
        """
        if self._transport is not None:
            return
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setblocking(False)
            sock.bind((self._host, self._port))
            if self._discover:
                group = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(self._host))
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(self._host))
        except OSError as error:
            sock.close()
            raise ConfigError(
                "ECHONET Lite cannot listen",
                where=f"{self._host}:{self._port}: {error.strerror or error}",
                hint="give the address of the interface to the devices, and stop other controllers",
            ) from None
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, sock=sock)

    async def close(self) -> None:
        """Let go of the socket."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    # What comes

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A frame: an answer, a question about us, a notice, or something else."""
        try:
            frame = decode(data)
        except RegisterError as error:
            self.foreign += 1
            log.debug("echonet.garbage host=%s why=%s", addr[0], error)
            return
        future = self._waiting.get((addr[0], frame.tid))
        if future is not None and not future.done() and frame.service in _ANSWERS:
            future.set_result(frame)
        elif frame.service == Service.GET and frame.target[:2] == NODE[:2]:
            self._tell_of_us(frame, addr)
        elif frame.service == Service.INFC:
            receipt = dict.fromkeys(frame.properties, b"")
            self._send(Frame(frame.tid, frame.target, frame.source, Service.INFC_RES, receipt), addr[0])
        elif frame.service in (Service.GET_RES, Service.INF) and frame.source[:2] == NODE[:2]:
            listed = frame.properties.get(0xD6) or frame.properties.get(0xD5)
            if listed is not None:
                self._found[addr[0]] = _objects(listed)
        else:
            self.foreign += 1

    def _tell_of_us(self, frame: Frame, addr: tuple[str, int]) -> None:
        said = {code: _OWN.get(code, b"") for code in frame.properties}
        if said:
            service = Service.GET_RES if all(said.values()) else Service.GET_SNA
            self._send(Frame(frame.tid, NODE, frame.source, service, said), addr[0])

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there; the question runs into its deadline."""
        log.debug("echonet.error why=%s", exc)

    def _send(self, frame: Frame, host: str) -> None:
        if self._transport is None:
            raise UnreachableError("ECHONET Lite does not run", where=host, hint="start the node first")
        self._transport.sendto(encode(frame), (host, self._port))

    # What is asked and set

    async def _ask(self, host: str, target: Object, service: Service, said: Mapping[int, bytes]) -> Frame:
        where = f"{host} {bytes(target).hex()}"
        async with self._locks.setdefault(host, asyncio.Lock()):
            for _ in range(_TRIES):
                self._tid = self._tid % 0xFFFF + 1
                key = (host, self._tid)
                future: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
                self._waiting[key] = future
                try:
                    async with asyncio.timeout(self._timeout_s):
                        self._send(Frame(self._tid, CONTROLLER, target, service, said), host)
                        answer = await future
                except TimeoutError:
                    continue
                finally:
                    del self._waiting[key]
                if answer.source != target:
                    raise RegisterError(
                        "another object has answered", where=f"{where}: {bytes(answer.source).hex()}"
                    )
                return answer
        raise UnreachableError(
            "no answer over ECHONET Lite",
            where=f"{where}, {_TRIES} tries of {self._timeout_s:g} s",
            hint="check power, network and address; is ECHONET Lite switched on in the device?",
        )

    async def get(self, host: str, target: Object, codes: Iterable[int]) -> dict[int, bytes | None]:
        """Properties of an object; None for those that it did not tell.

        Raises
        ------
        UnreachableError
            If it does not answer.
        RegisterError
            If the answer is of another object or kind.
        """
        wanted, said = sorted(set(codes)), dict[int, bytes | None]()
        for first in range(0, len(wanted), _AT_ONCE):
            part = wanted[first : first + _AT_ONCE]
            answer = await self._ask(host, target, Service.GET, dict.fromkeys(part, b""))
            if answer.service not in (Service.GET_RES, Service.GET_SNA):
                raise RegisterError("no answer to a reading", where=f"{host}: service 0x{answer.service:02x}")
            # Get_SNA still tells those that it can; what it cannot has no bytes.
            said |= {code: answer.properties.get(code) or None for code in part}
        return said

    async def set(self, host: str, target: Object, values: Mapping[int, bytes]) -> None:
        """Set properties of an object, all in one frame.

        Raises
        ------
        RefusedError
            If access does not allow it, or the object refuses one of them.
        UnreachableError
            If it does not answer.
        """
        story = " ".join(f"0x{code:02X}={data.hex()}" for code, data in values.items())
        words = [int.from_bytes(data, "big") for data in values.values()]
        require_control(self.access, where=f"{host} {bytes(target).hex()} {story}", words=words)
        answer = await self._ask(host, target, Service.SETC, values)
        if answer.service != Service.SET_RES:
            refused = [f"0x{code:02X}" for code, data in answer.properties.items() if data]
            raise RefusedError(
                "a setting was refused over ECHONET Lite",
                where=f"{host} {bytes(target).hex()}: {', '.join(refused) or story}",
                hint="compare the value with the manual; is remote control allowed at the device?",
            )

    async def objects(self, host: str) -> tuple[Object, ...]:
        """What a node holds (its instance list, 0xD6).

        Raises
        ------
        DeviceError
            If it does not answer, or has no list.
        """
        listed = (await self.get(host, NODE, (0xD6,)))[0xD6]
        if listed is None:
            raise RegisterError("a node without instance list", where=host)
        return _objects(listed)

    async def find(self, *, seconds: float = 3.0, hosts: Sequence[str] = ()) -> list[Found]:
        """Who is there: hosts that are named are asked, else everybody by multicast.

        Raises
        ------
        ConfigError
            If a host is no IPv4 address.
        """
        for host in hosts:
            if not _is_address(host):
                raise ConfigError(f"not an IPv4 address: {host!r}", where="hosts", hint="like 192.0.2.7")
        self._found.clear()
        self._tid = self._tid % 0xFFFF + 1
        for host in hosts or (GROUP,):
            self._send(Frame(self._tid, CONTROLLER, NODE, Service.GET, {0xD6: b""}), host)
        try:
            async with asyncio.timeout(seconds):
                while not hosts or not set(hosts) <= set(self._found):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pass
        return [Found(host, objects) for host, objects in sorted(self._found.items())]


_ANSWERS: Final = frozenset({Service.SETC_SNA, Service.GET_SNA, Service.SET_RES, Service.GET_RES})


def _is_address(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True


def _objects(listed: bytes) -> tuple[Object, ...]:
    """Objects in an instance list; a list that says more than it holds is read as far as it goes."""
    whole = listed[1 : 1 + 3 * listed[0]]
    return tuple((whole[at], whole[at + 1], whole[at + 2]) for at in range(0, len(whole) - 2, 3))
