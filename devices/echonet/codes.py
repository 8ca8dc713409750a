"""Energy, power and temperature as ECHONET Lite codes them: bytes in, numbers out (RULES-JP 4.2).

Only the coding. A sentinel is None and a register of the wrong length an
error, never a number.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from energy.core.errors import RegisterError
from energy.core.slots import JST

__all__ = [
    "counted_units",
    "cumulative_kwh",
    "day_readings",
    "power_limits_w",
    "signed_power_w",
    "temperature_c",
    "timed_reading",
    "unsigned",
    "whole_watts",
]

_NO_ENERGY: Final = 0xFFFFFFFE
_NO_TEMPERATURE: Final = frozenset({0x7E, 0x7F, 0x80})  # cannot measure, above, below
_SLOTS: Final = 48
_NO_POWER: Final = frozenset({0x7FFFFFFE, 0x7FFFFFFF, 0x80000000})  # none, overflow, underflow
# Property 0xE1 of class 0x0288, in kWh.
_UNITS: Final = {
    **{code: Decimal(1).scaleb(-code) for code in range(5)},
    **{0x0A + step: Decimal(10) ** (step + 1) for step in range(4)},
}


def _whole(data: bytes, length: int, name: str, *, signed: bool = False) -> int:
    if len(data) != length:
        raise RegisterError(
            f"{name} has {len(data)} bytes",
            where=data.hex(),
            hint=f"{length} bytes are meant; check the property and the class",
        )
    return int.from_bytes(data, "big", signed=signed)


def cumulative_kwh(data: bytes, *, unit: int, coefficient: int = 1) -> Decimal | None:
    """Reading of a low-voltage smart meter (class 0x0288, 0xE0 or 0xE3); None if it has none. [kWh]

    Parameters
    ----------
    unit : int
        Property 0xE1.
    coefficient : int
        Property 0xD3; 1 where the meter has no such property.

    Raises
    ------
    RegisterError
        If there are not four bytes, or the unit is unknown.
    """
    if unit not in _UNITS:
        raise RegisterError(
            "an unknown unit of energy", where=f"0xE1 = 0x{unit:02x}", hint="0x00-0x04, 0x0A-0x0D"
        )
    count = _whole(data, 4, "a cumulative energy")
    return None if count == _NO_ENERGY else count * coefficient * _UNITS[unit]


def counted_units(before: int, after: int, *, digits: int) -> int:
    """What a register counted between two readings, over its end if need be.

    Examples
    --------
    >>> counted_units(999_998, 3, digits=6)
    5
    """
    return (after - before) % int(10**digits)


def signed_power_w(data: bytes) -> int | None:
    """Power of a charger or storage (0xD3): positive charges, negative gives back; None if unknown. [W]

    Raises
    ------
    RegisterError
        If there are not four bytes.
    """
    if _whole(data, 4, "a power") in _NO_POWER:
        return None
    return _whole(data, 4, "a power", signed=True)


def power_limits_w(data: bytes) -> tuple[int, int]:
    """Least and greatest power of a charger/discharger (class 0x027E, 0xC8 and 0xC9): eight bytes. [W]

    Raises
    ------
    RegisterError
        If there are not eight bytes, or the least is above the greatest.
    """
    _whole(data, 8, "a pair of power limits")
    least, greatest = (int.from_bytes(part, "big") for part in (data[:4], data[4:]))
    if least > greatest:
        raise RegisterError("the least power is above the greatest", where=data.hex(), hint="least first")
    return least, greatest


def timed_reading(data: bytes, *, unit: int, coefficient: int = 1) -> tuple[datetime, Decimal | None]:
    """A fixed-time reading (0xEA import, 0xEB export): when it was taken, UTC, and what it counted. [kWh]

    The stamp is the end of the slot that the reading closes.

    Raises
    ------
    RegisterError
        If there are not eleven bytes, or they are no date.

    Examples
    --------
    >>> timed_reading(bytes.fromhex("07ea0c01000000000003e8"), unit=1)
    (datetime.datetime(2026, 11, 30, 15, 0, tzinfo=datetime.timezone.utc), Decimal('100.0'))
    """
    _whole(data, 11, "a fixed-time reading")
    year, rest = int.from_bytes(data[:2], "big"), data[2:7]
    try:
        taken = datetime(year, rest[0], rest[1], rest[2], rest[3], rest[4], tzinfo=JST)
    except ValueError as error:
        raise RegisterError("a fixed-time reading has no date", where=f"{data.hex()}: {error}") from None
    return taken.astimezone(UTC), cumulative_kwh(data[7:], unit=unit, coefficient=coefficient)


def day_readings(data: bytes, *, unit: int, coefficient: int = 1) -> tuple[int, tuple[Decimal | None, ...]]:
    """The 48 readings of a day (0xE2 import, 0xE4 export): how many days ago, and the counts. [kWh]

    Reading *n* is that at the beginning of slot *n*, Japanese time. What the meter has not counted is None.

    Raises
    ------
    RegisterError
        If there are not 194 bytes.
    """
    _whole(data, 2 + 4 * _SLOTS, "the readings of a day")
    counts = tuple(
        cumulative_kwh(data[at : at + 4], unit=unit, coefficient=coefficient) for at in range(2, len(data), 4)
    )
    return int.from_bytes(data[:2], "big"), counts


def unsigned(data: bytes, length: int, name: str) -> int:
    """A number without sign.

    Raises
    ------
    RegisterError
        If it has another length.
    """
    return _whole(data, length, name)


def whole_watts(data: bytes) -> int | None:
    """Power of two or four bytes without sign; None above 0xFFFD or 0x3B9AC9FF, where it says nothing. [W]

    Raises
    ------
    RegisterError
        If there are neither two nor four bytes.
    """
    length = 4 if len(data) == 4 else 2
    value = _whole(data, length, "a power")
    return value if value <= (0xFFFD if length == 2 else 999_999_999) else None


def temperature_c(data: bytes) -> int | None:
    """A temperature of one signed byte; None if the unit cannot tell. [degC]

    Raises
    ------
    RegisterError
        If there is not one byte.
    """
    if _whole(data, 1, "a temperature") in _NO_TEMPERATURE:
        return None
    return _whole(data, 1, "a temperature", signed=True)
