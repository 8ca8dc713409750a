"""Numbers in 16-bit registers: our own codec, checked against golden bytes.

A register travels high byte first (Modbus Application Protocol V1.1b3, 4.2); how the registers of a wider
number follow each other, and whether a device swaps the bytes inside a register, is its own choice:
:class:`Order`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from energy.core.errors import RegisterError

__all__ = [
    "Kind",
    "Order",
    "decode",
    "decode_text",
    "encode",
    "extract_bits",
    "insert_bits",
    "number_range",
    "width",
]


class Kind(StrEnum):
    """How a number is coded."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    BIT = "bit"  # one coil or discrete input, 0 or 1
    TEXT = "text"  # ASCII, two characters in a register; has no number


class Order(StrEnum):
    """Order of the bytes of a wide number; ``abcd`` is the most significant first."""

    ABCD = "abcd"
    CDAB = "cdab"  # low register first
    BADC = "badc"  # bytes of each register swapped
    DCBA = "dcba"  # both


_FORMAT: Final = {
    Kind.BIT: "H",
    Kind.INT16: "h",
    Kind.UINT16: "H",
    Kind.INT32: "i",
    Kind.UINT32: "I",
    Kind.INT64: "q",
    Kind.UINT64: "Q",
    Kind.FLOAT32: "f",
    Kind.FLOAT64: "d",
}
_NUMBER: Final = {kind: struct.Struct(f">{code}") for kind, code in _FORMAT.items()}
_WORDS: Final = {kind: struct.Struct(f">{packer.size // 2}H") for kind, packer in _NUMBER.items()}
_FLOATS: Final = frozenset({Kind.FLOAT32, Kind.FLOAT64})
_LOW_WORD_FIRST: Final = frozenset({Order.CDAB, Order.DCBA})
_SWAPPED_BYTES: Final = frozenset({Order.BADC, Order.DCBA})


def width(kind: Kind) -> int:
    """Registers that a number of this kind takes."""
    return _NUMBER[kind].size // 2


def number_range(kind: Kind) -> tuple[float, float]:
    """Lowest and highest number of a kind.

    Examples
    --------
    >>> number_range(Kind.INT16)
    (-32768.0, 32767.0)
    """
    if kind in _FLOATS:
        return -math.inf, math.inf
    if kind is Kind.BIT:
        return 0.0, 1.0
    bits = 16 * width(kind)
    if kind in (Kind.INT16, Kind.INT32, Kind.INT64):
        return -(2.0 ** (bits - 1)), 2.0 ** (bits - 1) - 1.0
    return 0.0, 2.0**bits - 1.0


def _arranged(words: tuple[int, ...], order: Order) -> tuple[int, ...]:
    """Between wire order and most-significant-first; its own inverse."""
    if order in _LOW_WORD_FIRST:
        words = words[::-1]
    if order in _SWAPPED_BYTES:
        words = tuple((word & 0xFF) << 8 | word >> 8 for word in words)
    return words


def decode(words: Sequence[int], kind: Kind, order: Order = Order.ABCD) -> int | float:
    """The number in some registers.

    Parameters
    ----------
    words : sequence of int
        Registers as read, each in 0..65535, as many as ``width(kind)``.
    kind : Kind
        How the number is coded.
    order : Order
        Order of its bytes.

    Raises
    ------
    RegisterError
        If there are more or fewer registers than the kind takes, or one does not fit into 16 bits.

    Examples
    --------
    >>> decode((0x42F6, 0xE979), Kind.FLOAT32)
    123.45600128173828
    >>> decode((0xFFFE,), Kind.INT16)
    -2
    """
    try:
        packed = _WORDS[kind].pack(*_arranged(tuple(words), order))
    except struct.error:
        raise RegisterError(
            f"registers do not hold one {kind}",
            where=f"got {list(words)}",
            hint=f"{kind} takes {width(kind)} registers of 0..65535",
        ) from None
    number: int | float = _NUMBER[kind].unpack(packed)[0]
    return number


def encode(number: float, kind: Kind, order: Order = Order.ABCD) -> tuple[int, ...]:
    """A number as registers; integers must be given as whole numbers.

    Parameters
    ----------
    number : float
        What to code.
    kind : Kind
        How.
    order : Order
        Order of its bytes.

    Raises
    ------
    RegisterError
        If the number does not fit the kind: out of range, not whole, or not a number.

    Examples
    --------
    >>> encode(-3000, Kind.INT16)
    (62536,)
    >>> encode(1.5, Kind.FLOAT32, Order.CDAB)
    (0, 16320)
    """
    try:
        if kind in _FLOATS:
            if not math.isfinite(number):
                raise OverflowError
            packed = _NUMBER[kind].pack(number)
        else:
            whole = int(number)
            if whole != number:
                raise OverflowError
            packed = _NUMBER[kind].pack(whole)
    except (struct.error, OverflowError, ValueError):
        raise RegisterError(
            f"{number} cannot be written as {kind}",
            where="out of range, or not a whole number where one is needed",
            hint="check the scale and the limits of the point in its profile",
        ) from None
    return _arranged(_WORDS[kind].unpack(packed), order)


def decode_text(words: Sequence[int]) -> str:
    """ASCII text in registers, two characters each, padded with NUL or blanks."""
    packed = struct.pack(f">{len(words)}H", *words)
    return packed.split(b"\0", 1)[0].decode("ascii", errors="replace").strip()


def extract_bits(word: int, low: int, high: int) -> int:
    """Bits ``low..high`` of a register as an unsigned number.

    Examples
    --------
    >>> extract_bits(0b0101_0110, 4, 7)
    5
    """
    return (word >> low) & ((1 << (high - low + 1)) - 1)


def insert_bits(word: int, number: int, low: int, high: int) -> int:
    """A register with bits ``low..high`` replaced.

    Raises
    ------
    RegisterError
        If ``number`` does not fit between the bits.

    Examples
    --------
    >>> bin(insert_bits(0b0001, 6, 4, 7))
    '0b1100001'
    """
    mask = (1 << (high - low + 1)) - 1
    if not 0 <= number <= mask:
        raise RegisterError(
            f"{number} does not fit into bits {low}..{high}",
            where=f"largest is {mask}",
            hint="check the field in its profile",
        )
    return (word & ~(mask << low)) | number << low
