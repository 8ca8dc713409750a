"""Modbus over TCP, TLS and serial lines: the one file that speaks to pymodbus as a client.

pymodbus frames and matches; everything about time and trust is ours. It is given no repetitions (a late
answer to a first try would pass for the answer to a second) and no reconnection of its own (300 s of
back-off is no control), and it lets wrong function codes and wrong register counts
through, so every answer is checked here.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, assert_never

from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient, AsyncModbusTlsClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from devices.schema import SerialLine, Wire
from devices.transport import Access, Framing, Space, Tls, exception_error, quiet_vendor, require_control
from energy.core.errors import ConfigError, DeviceError, RegisterError, UnreachableError

__all__ = ["ModbusTransport"]

log = logging.getLogger(__name__)

_ACKNOWLEDGE: Final = 5
_BUSY: Final = 6
_FAILURE: Final = 4
_NAMELESS: Final = frozenset({Framing.RTU, Framing.RTU_TCP})  # answers do not say to which question
_READS: Final = frozenset({1, 2, 3, 4})
_READERS: Final = {
    1: "read_coils",
    2: "read_discrete_inputs",
    3: "read_holding_registers",
    4: "read_input_registers",
}
_READS_BITS: Final = frozenset({1, 2})
_WRITES_ONE: Final = frozenset({5, 6})
_WRITES_BITS: Final = frozenset({5, 15})
_TRIES: Final = 2  # one repetition; absolute values only are written, so twice is as good as once
_BUSY_TRIES: Final = 4
_LONGEST_BUSY_S: Final = 2.0
_STALL_S: Final = 0.2  # a deadline that is noticed so late was missed by us, not by the device

_Client = AsyncModbusTcpClient | AsyncModbusTlsClient | AsyncModbusSerialClient
Listener = Callable[[bool, bytes], None]
_Request = Callable[[_Client], Awaitable[ModbusPDU]]


def _tls_context(tls: Tls | None, *, where: str) -> ssl.SSLContext:
    """Trust the device's authority and show our own certificate.

    Raises
    ------
    ConfigError
        If there are no certificates, or they cannot be read.
    """
    if tls is None:
        raise ConfigError(
            "TLS needs certificates",
            where=where,
            hint="name the authority's certificate, our own and its key",
        )
    try:
        context = ssl.create_default_context(cafile=str(tls.ca))
        context.load_cert_chain(str(tls.certificate), str(tls.key))
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"the certificates cannot be used: {error}",
            where=f"{tls.ca}, {tls.certificate}, {tls.key}",
            hint="PEM files: authority, certificate, and the key that belongs to it",
        ) from None
    return context


class _Patience:
    """How often, and after which pause, a request is repeated."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._tries: dict[str, int] = {}

    def after(self, trouble: str) -> float | None:
        """Pause before the next try; None if there is none. [s]"""
        done = self._tries[trouble] = self._tries.get(trouble, 0) + 1
        match trouble:
            case "busy":
                pause = self._wire.busy_wait_s * 2.0 ** (done - 1) * random.uniform(0.75, 1.25)  # noqa: S311
                return min(_LONGEST_BUSY_S, pause) if done < _BUSY_TRIES else None
            case "failure":
                return self._wire.failure_wait_s if done < _TRIES else None
            case _:
                return 0.0 if done < _TRIES else None


class ModbusTransport:
    """A Modbus link to one host and port, or one serial line, shared by all units behind it.

    Parameters
    ----------
    host, port
        Where the device or gateway listens; the serial port and 0 on a serial line.
    wire : Wire
        Deadlines and pauses of the device, and how it speaks on a serial line.
    access : Access
        Writes pass only with ``CONTROL``; this is the lowest place that knows of writes.
    framing : Framing
        What carries the registers.
    tls : Tls or None
        Certificates, with ``Framing.TLS``.
    listen : callable or None
        Told of all bytes: whether we sent them, and the bytes.

    Raises
    ------
    ConfigError
        If TLS is asked for without certificates, or they cannot be used.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        wire: Wire,
        access: Access,
        framing: Framing = Framing.TCP,
        tls: Tls | None = None,
        listen: Listener | None = None,
    ) -> None:
        quiet_vendor()
        self._listen = listen
        self._framing = framing
        self._tls = _tls_context(tls, where=f"{host}:{port}") if framing is Framing.TLS else None
        self._host = host
        self._port = port
        self._wire = wire
        self._access = access
        self._client: _Client | None = None
        self._lock = asyncio.Lock()
        self._scope: asyncio.Timeout | None = None
        self._last_end = float("-inf")
        self._question = 0
        self._torn = False
        self.generation = 0
        self.stalls = 0

    @property
    def connected(self) -> bool:
        """Whether the link stands."""
        return self._client is not None and self._client.connected

    @property
    def _address(self) -> str:
        return f"{self._host}:{self._port}"

    async def connect(self) -> None:
        """Build the link if it does not stand.

        Raises
        ------
        UnreachableError
            If nobody listens, or not in time.
        """
        async with self._lock:
            await self._connect()

    async def _connect(self) -> None:
        if self.connected and not self._torn:
            return
        await self._drop()
        client = self._make_client()
        client.set_max_no_responses(0)
        if not await client.connect():
            client.close()
            raise UnreachableError(
                "nobody answers",
                where=self._address,
                hint="check power, cable and address of the device",
            )
        if self._wire.warmup_s:
            await asyncio.sleep(self._wire.warmup_s)
        self._client = client
        self.generation += 1

    def _make_client(self) -> _Client:
        timeout_s, on_link = self._wire.timeout_s, self._on_link
        trace = None if self._listen is None else self._on_packet
        match self._framing:
            case Framing.TCP | Framing.RTU_TCP:
                framer = FramerType.SOCKET if self._framing is Framing.TCP else FramerType.RTU
                return AsyncModbusTcpClient(
                    self._host,
                    port=self._port,
                    framer=framer,
                    timeout=timeout_s,
                    retries=0,
                    reconnect_delay=0,
                    trace_connect=on_link,
                    trace_packet=trace,
                    trace_pdu=self._on_pdu,
                )
            case Framing.TLS:
                assert self._tls is not None  # made in the constructor
                return AsyncModbusTlsClient(
                    self._host,
                    port=self._port,
                    sslctx=self._tls,
                    timeout=timeout_s,
                    retries=0,
                    reconnect_delay=0,
                    trace_connect=on_link,
                    trace_packet=trace,
                    trace_pdu=self._on_pdu,
                )
            case Framing.RTU:
                line = self._wire.serial or SerialLine()
                return AsyncModbusSerialClient(
                    self._host,
                    baudrate=line.baudrate,
                    parity=line.parity,
                    stopbits=line.stopbits,
                    timeout=timeout_s,
                    retries=0,
                    reconnect_delay=0,
                    trace_connect=on_link,
                    trace_packet=trace,
                    trace_pdu=self._on_pdu,
                )
        assert_never(self._framing)

    def _on_packet(self, sending: bool, data: bytes) -> bytes:
        if self._listen is not None and data:
            self._listen(sending, data)
        return data

    def _on_pdu(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        """The last gate before the wire: what is no reading leaves only where control is allowed."""
        if sending:
            if pdu.function_code not in _READS:
                require_control(self._access, where=f"{self._address} unit {pdu.dev_id}", words=pdu.registers)
            self._question = pdu.transaction_id
        return pdu

    def _on_link(self, up: bool) -> None:
        """A lost link ends the waiting request at once instead of at its deadline."""
        if not up and self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client, self._torn = None, False
            await asyncio.sleep(0)  # lets the socket close before anyone looks

    async def close(self) -> None:
        """End the link."""
        async with self._lock:
            await self._drop()

    async def read(self, unit_id: int, space: Space, address: int, count: int) -> tuple[int, ...]:
        """Registers of one unit.

        Raises
        ------
        UnreachableError
            If nobody answered twice.
        RegisterError
            If the answer was an exception, or did not fit twice.
        """
        function = space.read_function

        def request(client: _Client) -> Awaitable[ModbusPDU]:
            ask: Callable[..., Awaitable[ModbusPDU]] = getattr(client, _READERS[function])
            return ask(address, count=count, device_id=unit_id)

        def mismatch(answer: ModbusPDU) -> str | None:
            if function in _READS_BITS:
                if len(answer.bits) != -(-count // 8) * 8:  # whole bytes
                    return f"asked for {count} bits, got {len(answer.bits)}"
            elif len(answer.registers) != count:
                return f"asked for {count} registers, got {len(answer.registers)}"
            return None

        def where() -> str:  # only wanted where something goes wrong
            return f"{self._address} unit {unit_id}, {space} {address}+{count}"

        answer = await self._exchange(request, mismatch, function=function, where=where)
        if function in _READS_BITS:
            return tuple(int(bit) for bit in answer.bits[:count])
        return tuple(answer.registers)

    async def write(self, unit_id: int, address: int, words: Sequence[int], *, function: int) -> bool:
        """Write registers of one unit with function code 6 (one) or 16 (several), bits with 5 or 15.

        Returns
        -------
        bool
            Whether the device has acknowledged but is still working on it.

        Raises
        ------
        RefusedError
            If access does not allow it, or the device refused.
        UnreachableError
            If nobody answered twice; whether the device took it is unknown.
        RegisterError
            If the answer did not fit twice.
        """
        space = Space.COIL if function in _WRITES_BITS else Space.HOLDING
        require_control(self._access, where=f"{self._address} unit {unit_id}, {space} {address}", words=words)
        values = list(words)

        def request(client: _Client) -> Awaitable[ModbusPDU]:
            if function == 5:
                return client.write_coil(address, bool(values[0]), device_id=unit_id)
            if function == 15:
                return client.write_coils(address, [bool(bit) for bit in values], device_id=unit_id)
            if function == 6:
                return client.write_register(address, values[0], device_id=unit_id)
            return client.write_registers(address, values, device_id=unit_id)

        def mismatch(answer: ModbusPDU) -> str | None:
            said = answer.bits if function in _WRITES_BITS else answer.registers
            echo = int(said[0]) if function in _WRITES_ONE and said else answer.count
            wanted = values[0] if function in _WRITES_ONE else len(values)
            if (answer.address, echo) != (address, wanted):
                return f"wrote {wanted} to {address}, the answer speaks of {echo} at {answer.address}"
            return None

        def where() -> str:
            return f"{self._address} unit {unit_id}, {space} {address}"

        answer = await self._exchange(request, mismatch, function=function, where=where, writing=True)
        return answer.isError()  # an acknowledgement

    async def _exchange(
        self,
        request: _Request,
        mismatch: Callable[[ModbusPDU], str | None],
        *,
        function: int,
        where: Callable[[], str],
        writing: bool = False,
    ) -> ModbusPDU:
        """Send, wait, check; repeat what may be worth it."""
        patience: _Patience | None = None
        async with self._lock:
            while True:
                answer = await self._send(request)
                if answer is None:
                    kind, trouble = "silence", self._silence(where())
                    if self._framing in _NAMELESS:  # a late answer would pass for that to the next question
                        await self._drop()
                elif answer.isError():
                    code = answer.exception_code
                    if code == _ACKNOWLEDGE and writing:
                        return answer
                    trouble = exception_error(code, where=where(), writing=writing)
                    if code not in (_BUSY, _FAILURE):
                        raise trouble
                    kind = "busy" if code == _BUSY else "failure"
                else:
                    wrong = mismatch(answer)
                    if self._framing is Framing.TCP and answer.transaction_id != self._question:
                        wrong = f"asked as {self._question}, answered as {answer.transaction_id}"
                    if answer.function_code != function:
                        wrong = f"asked with function {function}, answered with {answer.function_code}"
                    if wrong is None:
                        return answer
                    await self._drop()  # whatever else is in the pipe belongs to nobody
                    kind, trouble = "mismatch", _misfit(wrong, where())
                patience = patience or _Patience(self._wire)
                pause = patience.after(kind)
                if pause is None:
                    break
                await asyncio.sleep(pause)
            if isinstance(trouble, UnreachableError):
                await self._drop()
            raise trouble

    def _silence(self, where: str) -> DeviceError:
        return UnreachableError(
            "no answer in time",
            where=where,
            hint="check power and line of the device",
            timeout_s=self._wire.timeout_s,
        )

    async def _send(self, request: _Request) -> ModbusPDU | None:
        """One try; None if there was no usable answer before the deadline."""
        loop = asyncio.get_running_loop()
        await self._connect()
        client = self._client
        if client is None:
            return None
        for retried in (False, True):
            pause = self._last_end + self._wire.min_gap_ms / 1000.0 - loop.time()
            if pause > 0.0:
                await asyncio.sleep(pause)
            begun = loop.time()
            try:
                async with asyncio.timeout(self._wire.timeout_s) as self._scope:
                    return await request(client)
            except TimeoutError:
                late_s = loop.time() - begun - self._wire.timeout_s
                if late_s < _STALL_S or retried:
                    return None
                self.stalls += 1
                log.warning("loop.stalled link=%s late_ms=%.0f", self._address, late_s * 1000.0)
            except (ModbusException, OSError):
                return None
            except asyncio.CancelledError:
                self._torn = self._framing in _NAMELESS  # its answer is still to come
                raise
            finally:
                self._scope = None
                self._last_end = loop.time()
        return None


def _misfit(wrong: str, where: str) -> DeviceError:
    return RegisterError(
        f"the answer does not fit the request: {wrong}",
        where=where,
        hint="the gateway may be broken, or two masters share one line",
    )
