"""Energy and power as ECHONET Lite codes them: bytes of a property in, numbers out (RULES-JP 4.2).

Only the coding; what speaks UDP is another matter. A sentinel is None and a register of the wrong length an
error, never a number.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from energy.core.errors import RegisterError

__all__ = ["counted_units", "cumulative_kwh", "power_limits_w", "signed_power_w"]

_NO_ENERGY: Final = 0xFFFFFFFE
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
