"""A device on a socket: what all twins share, and the faults that can be planted in it."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Final

from pymodbus.client.mixin import ModbusClientMixin
from pymodbus.constants import ExcCodes
from pymodbus.pdu import ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from devices.transport import quiet_vendor
from energy.core.errors import ConfigError, DataError

__all__ = [
    "COIL",
    "DISCRETE",
    "HOLDING",
    "INPUT",
    "Faults",
    "Span",
    "State",
    "Twin",
    "number",
    "numeral",
    "text_words",
    "words",
]

HOLDING: Final = "holding"
INPUT: Final = "input"
COIL: Final = "coil"
DISCRETE: Final = "discrete"
_WRITES: Final = frozenset({6, 16})
_BITS: Final = {1: COIL, 2: DISCRETE, 5: COIL, 15: COIL}  # function codes and what they speak of
_TYPE: Final = ModbusClientMixin.DATATYPE

Span = tuple[int, int]  # first address, number of registers
State = dict[str, object]  # goes through JSON


def number(state: State, name: str) -> float:
    """A number of a saved state.

    Raises
    ------
    DataError
        If it is not there, or no number.
    """
    value = state.get(name)
    if not isinstance(value, int | float):
        raise DataError(
            "a saved state of the twins cannot be used",
            where=f"{name} is {value!r}",
            hint="begin anew, or restore a state of this version",
        )
    return float(value)


def words(number: float, kind: str, *, low_first: bool = False) -> list[int]:
    """A number as registers, by pymodbus. ``kind`` is its name for it, like ``int16`` or ``float32``."""
    return ModbusClientMixin.convert_to_registers(
        number, _TYPE[kind.upper()], word_order="little" if low_first else "big"
    )


def text_words(text: str, registers: int) -> list[int]:
    """A text as registers, by pymodbus, filled up with NUL."""
    return ModbusClientMixin.convert_to_registers(text.ljust(2 * registers, "\0"), _TYPE.STRING)


def numeral(registers: list[int], kind: str) -> float:
    """The number in some registers, by pymodbus."""
    value = ModbusClientMixin.convert_from_registers(registers, _TYPE[kind.upper()])
    if not isinstance(value, int | float):
        raise TypeError(kind)
    return float(value)


@dataclass(slots=True)
class Faults:
    """Trouble planted in a twin.

    Parameters
    ----------
    exception : int or None
        Exception code that requests are answered with.
    times : int
        How many requests it hits; -1 is all.
    writes_only : bool
        Whether reads are spared.
    ignore_writes : bool
        Writes are acknowledged and forgotten.
    silent : bool
        Requests are heard and never answered.
    missing_words : int
        Registers missing at the end of answers to reads.
    wrong_function : bool
        Answers to function 3 say 4 and the other way round.
    acknowledge : int
        Writes are only acknowledged, and carried out after so many reads.
    """

    exception: int | None = None
    times: int = -1
    writes_only: bool = False
    ignore_writes: bool = False
    silent: bool = False
    missing_words: int = 0
    wrong_function: bool = False
    acknowledge: int = 0

    def hit(self, *, writing: bool) -> ExcCodes | None:
        """Exception for this request, if one is planted."""
        if self.exception is None or self.times == 0 or (self.writes_only and not writing):
            return None
        self.times -= 1 if self.times > 0 else 0
        return ExcCodes(self.exception)


class Twin(ABC):
    """One device: registers that are made anew when somebody asks after something changed.

    Subclasses say which registers exist, show their state in them, and take writes.

    Parameters
    ----------
    name : str
        Name of the device, for messages.
    unit_id : int
        Unit number that it answers to.
    """

    functions: ClassVar[frozenset[int]] = frozenset({3, 4, 6, 16})
    max_read: ClassVar[int] = 125
    even_only: ClassVar[bool] = False

    def __init__(self, name: str, *, unit_id: int = 1) -> None:
        self.name = name
        self.unit_id = unit_id
        self.port = 0
        self.faults = Faults()
        self.requests = 0
        self.writes = 0
        self._server: ModbusTcpServer | None = None
        self._stale = {HOLDING, INPUT}
        self._later: list[int] = []

    @abstractmethod
    def spans(self, table: str) -> list[Span]:
        """Addresses that exist in a table."""

    @abstractmethod
    def show(self, table: str) -> Iterable[tuple[int, list[int]]]:
        """The state as registers: first address and values."""

    @abstractmethod
    def take(self, address: int, values: list[int]) -> ExcCodes | None:
        """Take a write; an exception code refuses it."""

    def bits(self, table: str) -> list[bool]:  # noqa: ARG002  (most devices have none)
        """Bits of a table, from address 0."""
        return []

    def take_bits(self, address: int, values: list[bool]) -> ExcCodes | None:  # noqa: ARG002  (as above)
        """Take a write of bits; an exception code refuses it."""
        return ExcCodes.ILLEGAL_ADDRESS

    @abstractmethod
    def state(self) -> State:
        """Everything that must survive a restart, as values that go through JSON."""

    @abstractmethod
    def restore(self, state: State) -> None:
        """Take up a state; ``DataError`` if it is not of this device."""

    def readable(self, table: str, address: int, count: int) -> bool:  # noqa: ARG002  (for those who care)
        """Whether the device answers this read; some give each value only on its own."""
        return True

    def heard(self) -> None:
        """Note that a message arrived; some devices have an idle timeout."""
        self.requests += 1

    def changed(self) -> None:
        """Note that the registers are out of date."""
        self._stale = {HOLDING, INPUT}

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; port 0 takes a free one.

        Returns
        -------
        int
            The port.

        Raises
        ------
        ConfigError
            If the port is taken.
        """
        quiet_vendor()
        server = ModbusTcpServer(
            self._device(), address=(host, port), trace_pdu=self._on_pdu, trace_packet=self._on_packet
        )
        try:
            await server.serve_forever(background=True)
        except RuntimeError:
            raise ConfigError(
                f"the twin {self.name} cannot listen",
                where=f"{host}:{port} is taken or not allowed",
                hint="stop the other program, or choose another first port (0 takes free ones)",
            ) from None
        self._server = server
        listener: asyncio.Server = server.transport  # type: ignore[assignment]  # pymodbus types it too wide
        self.port = listener.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        """Stop listening and drop all connections."""
        if self._server is not None:
            await self._server.shutdown()  # type: ignore[no-untyped-call]  # pymodbus
            self._server = None
            for _ in range(3):  # the loop closes sockets one turn later
                await asyncio.sleep(0)

    def _device(self) -> SimDevice:
        tables = []
        for table in (HOLDING, INPUT):
            spans = self.spans(table) or [(0xFFFF, 1)]
            tables.append(
                [SimData(start, count=count, values=0, datatype=DataType.REGISTERS) for start, count in spans]
            )
            self._stale.add(table)
        bits = [[SimData(0, values=[0], datatype=DataType.BITS)] for _ in range(2)]  # 16 of each
        return SimDevice(
            id=self.unit_id,
            simdata=(bits[0], bits[1], tables[0], tables[1]),
            action=self._on_request,
            use_bit_addressing=True,
        )

    async def _on_request(
        self,
        function: int,
        start: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if function not in self.functions:
            return ExcCodes.ILLEGAL_FUNCTION
        if values is None and function in _BITS:
            return self._on_bits(function, address, registers)
        if values is None:
            return self._on_read(function, start, address, count, registers)
        planted = self.faults.hit(writing=True)
        if planted is not None:
            return planted
        self.heard()
        if self.faults.acknowledge:
            self._later = [self.faults.acknowledge, address, *(int(value) for value in values)]
            return ExcCodes.ACKNOWLEDGE
        if self.faults.ignore_writes:
            self.changed()  # the answer repeats what was asked, the next read shows what is
            return None
        if function in _BITS:
            refusal = self.take_bits(address, [bool(value) for value in values])
        else:
            refusal = self.take(address, [int(value) for value in values])
        if refusal is None:
            self.writes += 1
            self.changed()
        return refusal

    def _on_bits(self, function: int, address: int, registers: list[int]) -> ExcCodes | None:
        """Show the bits of a table in its one word, the first bit lowest."""
        if function in (5, 15):  # the answer repeats what was written
            return None
        planted = self.faults.hit(writing=False)
        if planted is not None:
            return planted
        bits = self.bits(_BITS[function])
        if address >= len(bits):
            return ExcCodes.ILLEGAL_ADDRESS
        self.heard()
        registers[0] = sum(1 << index for index, bit in enumerate(bits) if bit)
        return None

    def _on_read(
        self, function: int, start: int, address: int, count: int, registers: list[int]
    ) -> ExcCodes | None:
        if function in _WRITES:  # the answer to function 6 repeats what was written
            return None
        planted = self.faults.hit(writing=False)
        if planted is not None:
            return planted
        if count > self.max_read or (self.even_only and (address % 2 or count % 2)):
            return ExcCodes.ILLEGAL_ADDRESS
        table = INPUT if function == 4 else HOLDING
        if not self.readable(table, address, count):
            return ExcCodes.ILLEGAL_ADDRESS
        self.heard()
        self._work()
        if table in self._stale:
            self._stale.discard(table)
            for first, shown in self.show(table):
                registers[first - start : first - start + len(shown)] = shown
        return None

    def _work(self) -> None:
        """Go on with a write that was only acknowledged."""
        if self._later:
            self._later[0] -= 1
            if self._later[0] < 0:
                self.take(self._later[1], self._later[2:])
                self.writes += 1
                self._later = []
                self.changed()

    def _on_pdu(self, sending: bool, pdu: ModbusPDU) -> ModbusPDU:
        if sending and pdu.isError() and pdu.dev_id != self.unit_id:
            pdu.exception_code = int(ExcCodes.GATEWAY_NO_RESPONSE)  # as gateways say; pymodbus says failure
        if sending and not pdu.isError() and pdu.function_code in (1, 2, 3, 4):
            if self.faults.missing_words:
                pdu.registers = pdu.registers[: -self.faults.missing_words]
                pdu.bits = pdu.bits[: -8 * self.faults.missing_words]
            if self.faults.wrong_function:
                pdu.function_code = 3 - pdu.function_code if pdu.function_code < 3 else 7 - pdu.function_code
        return pdu

    def _on_packet(self, sending: bool, data: bytes) -> bytes:
        return b"" if sending and self.faults.silent else data
