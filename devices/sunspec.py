"""SunSpec: models are found by walking their chain, never assumed at fixed addresses.

The map begins with the marker ``SunS``; each model is its number, its length L and L registers; number 0xFFFF
ends the chain (SunSpec Device Information Model Specification V1.1, 4 and 6.1).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from devices.transport import Space, Transport
from energy.core.errors import RegisterError

__all__ = ["scan_models"]

BASES: Final = (40000, 0, 50000)  # SunSpec Device Information Model Specification V1.1, 6.1.1
MARKER: Final = (0x5375, 0x6E53)  # "SunS"
_END: Final = 0xFFFF
_MOST_MODELS: Final = 64  # a chain that is longer is a loop of garbage


async def _find_base(transport: Transport, unit_id: int) -> int:
    for base in BASES:
        try:
            if await transport.read(unit_id, Space.HOLDING, base, 2) == MARKER:
                return base
        except RegisterError:
            continue
    raise RegisterError(
        "no SunSpec marker",
        where=f"unit {unit_id}, looked at {', '.join(str(base) for base in BASES)}",
        hint="switch SunSpec (Modbus TCP) on in the inverter, or choose another profile",
    )


async def scan_models(transport: Transport, unit_id: int, needed: Collection[int]) -> dict[int, int]:
    """Address of the first register (the model's number) of every model that the device has.

    Parameters
    ----------
    transport : Transport
        Link to the device.
    unit_id : int
        Its unit number.
    needed : collection of int
        Models that must be there.

    Raises
    ------
    RegisterError
        If there is no SunSpec map, or it lacks a needed model.
    """
    address = await _find_base(transport, unit_id) + len(MARKER)
    found: dict[int, int] = {}
    for _ in range(_MOST_MODELS):
        model, length = await transport.read(unit_id, Space.HOLDING, address, 2)
        if model == _END:
            break
        found.setdefault(model, address)
        address += 2 + length
    if missing := set(needed) - found.keys():
        raise RegisterError(
            f"the device lacks SunSpec models {sorted(missing)}",
            where=f"unit {unit_id} has {sorted(found)}",
            hint="choose the integer models in the inverter's settings, or another profile",
        )
    return found
