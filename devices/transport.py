"""What drivers need of a wire, and the access rule that stands below them.

A :class:`Transport` moves registers. It owns deadlines, the one repetition, and the check that an answer fits
its request; what it raises says whose fault it was:

``UnreachableError``
    Nobody answered, or a gateway said that nobody is there.
``RegisterError``
    A read was answered with an exception, or with something that does not fit the request.
``RefusedError``
    A write was refused: by the device, or by the access rule before anything was sent.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from energy.core.errors import DeviceError, RefusedError, RegisterError, UnreachableError

__all__ = [
    "EXCEPTIONS",
    "Access",
    "Framing",
    "Space",
    "Tls",
    "Transport",
    "exception_error",
    "quiet_vendor",
    "require_control",
]


class Space(StrEnum):
    """Tables: of 16-bit registers, and of single bits."""

    INPUT = "input"
    HOLDING = "holding"
    DISCRETE = "discrete"
    COIL = "coil"

    @property
    def read_function(self) -> int:
        """Function code that reads it (Modbus Application Protocol V1.1b3, 6.1 to 6.4)."""
        return _READ_FUNCTION[self]

    @property
    def write_functions(self) -> tuple[int, ...]:
        """Function codes that write one and several of it; none where it is only read."""
        return {Space.COIL: (5, 15), Space.HOLDING: (6, 16)}.get(self, ())


_READ_FUNCTION = {Space.COIL: 1, Space.DISCRETE: 2, Space.HOLDING: 3, Space.INPUT: 4}


class Access(StrEnum):
    """What may be done to equipment."""

    CONTROL = "control"
    DRY_RUN = "dry_run"
    READ_ONLY = "read_only"


class Framing(StrEnum):
    """What carries the registers."""

    TCP = "tcp"
    TLS = "tls"  # Modbus/TCP Security: TLS with certificates on both sides
    RTU = "rtu"  # a serial line
    RTU_TCP = "rtu+tcp"  # a serial line behind a plain converter


@dataclass(frozen=True, slots=True)
class Tls:
    """Certificates of a TLS link.

    Parameters
    ----------
    ca : Path
        Certificate that the device's own was signed with.
    certificate, key : Path
        What we show to the device.
    """

    ca: Path
    certificate: Path
    key: Path


class Transport(Protocol):
    """Moves registers to and from the units at one address."""

    @property
    def connected(self) -> bool:
        """Whether the link stands."""
        ...

    @property
    def generation(self) -> int:
        """Number of the present connection; a new one may mean a rebooted device."""
        ...

    async def connect(self) -> None:
        """Build the link if it does not stand; ``UnreachableError`` if it cannot be built."""
        ...

    async def read(self, unit_id: int, space: Space, address: int, count: int) -> tuple[int, ...]:
        """Registers of one unit; bits are 0 or 1."""
        ...

    async def write(self, unit_id: int, address: int, words: Sequence[int], *, function: int) -> bool:
        """Write registers of one unit with function code 6 (one) or 16 (several), bits with 5 or 15.

        True says that the device has acknowledged but is still working on it.
        """
        ...

    async def close(self) -> None:
        """End the link."""
        ...


# Modbus Application Protocol V1.1b3, section 7
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, still working",
    6: "busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "no answer behind the gateway",
}
_NOBODY_THERE = frozenset({10, 11})


def quiet_vendor() -> None:
    """Trouble is logged once by us; pymodbus would log every try. A level set by the user stays."""
    vendor = logging.getLogger("pymodbus")
    if vendor.level == logging.NOTSET:
        vendor.setLevel(logging.CRITICAL)


def exception_error(code: int, *, where: str, writing: bool) -> DeviceError:
    """The error behind an exception reply."""
    name = EXCEPTIONS.get(code, "unknown exception")
    if code in _NOBODY_THERE:
        return UnreachableError(
            f"the gateway cannot reach the device: {name}",
            where=where,
            hint="check the unit number and the line behind the gateway",
            exception=code,
        )
    kind = RefusedError if writing else RegisterError
    return kind(
        f"the device answered: {name}",
        where=where,
        hint="compare the profile with the device's manual and firmware",
        exception=code,
    )


def require_control(access: Access, *, where: str, words: Sequence[int]) -> None:
    """Let a write pass only where control is allowed.

    Raises
    ------
    RefusedError
        In a dry run (the message shows what would be written) and with read-only access.
    """
    match access:
        case Access.CONTROL:
            return
        case Access.DRY_RUN:
            raise RefusedError(
                "dry run: nothing was written",
                where=f"{where} would become {list(words)}",
                hint="allow control to write",
                access=access,
            )
        case Access.READ_ONLY:
            raise RefusedError(
                "read-only: nothing was written", where=where, hint="allow control to write", access=access
            )
