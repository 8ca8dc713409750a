"""A first look at a device: who it is, what its points say, and what seems to be set up wrongly.

Nothing here writes. What looks wrong is told together with what would look right: another byte order when
voltage or frequency are impossible, another unit number when this one is silent.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from devices.device import Device
from devices.profile import Profile
from devices.registers import Order
from devices.transport import Space, Transport
from devices.values import Reading, read_point
from energy.core.errors import DeviceError, RegisterError, UnreachableError
from energy.core.measurement import Quality

__all__ = ["Found", "Look", "find_unit", "look_at", "other_order", "readable_points"]

_PLAUSIBLE: Final = frozenset({"V", "Hz"})  # units of which everybody knows what they must be
_USUAL_UNITS: Final = (1, 2, 3, 255, 247, 0, 200, 126)  # first ones, and what makers ship


@dataclass(frozen=True, slots=True)
class Found:
    """A hint: what looks wrong, and what would look right."""

    what: str
    instead: str


@dataclass(frozen=True, slots=True)
class Look:
    """What a device showed.

    Parameters
    ----------
    readings : dict
        Its points.
    latency_ms : float
        Median time of a request. [ms]
    requests : int
        How many requests it took to read all points.
    sunspec : tuple of int
        SunSpec models that it has, where the profile is a SunSpec one.
    found : tuple of Found
        What looks wrong.
    """

    readings: dict[str, Reading]
    latency_ms: float
    requests: int
    sunspec: tuple[int, ...]
    found: tuple[Found, ...]


def readable_points(profile: Profile) -> list[str]:
    """Points that can be read: all but those that can only be written."""
    return [name for name in profile.points if profile.shown_by(name) == name]


async def look_at(device: Device, *, unit: int = 0) -> Look:
    """Connect and read every point once, without writing anything.

    Parameters
    ----------
    device : Device
        Which one; its access must not be control.
    unit : int
        Which of the assets behind it, from 0.

    Raises
    ------
    UnreachableError
        If it does not answer.
    RegisterError
        If it is not the device of its profile.
    """
    await device.ensure_online()
    begun = time.perf_counter()
    requests = await device.read_points(readable_points(device.profile), unit)
    took_ms = (time.perf_counter() - begun) * 1000.0
    readings = {
        name: reading
        for name in readable_points(device.profile)
        if (reading := device.reading(name, unit)) is not None
    }
    hint = other_order(device.profile, readings)
    return Look(
        readings,
        took_ms / max(1, requests),
        requests,
        device.sunspec,
        (hint,) if hint is not None else (),
    )


def other_order(profile: Profile, readings: dict[str, Reading]) -> Found | None:
    """Another byte order, if only with it voltages and frequencies are possible."""
    judges = {
        name: readings[name]
        for name, point in profile.points.items()
        if point.unit in _PLAUSIBLE and point.valid is not None and point.width > 1 and point.bits is None
        if name in readings and readings[name].raw
    }
    wrong = [name for name, reading in judges.items() if reading.quality is Quality.INVALID]
    if not wrong:
        return None
    fits = [order for order in Order if order is not profile.order and _all_good(profile, judges, order)]
    if len(fits) != 1:
        return None
    return Found(
        f"{', '.join(wrong)} cannot be true with the byte order {profile.order.value}",
        f"order: {fits[0].value}",
    )


def _all_good(profile: Profile, judges: dict[str, Reading], order: Order) -> bool:
    turned = profile.model_copy(
        update={
            "order": order,
            "points": {name: profile.points[name].model_copy(update={"order": order}) for name in judges},
        }
    )
    return all(
        read_point(turned, name, reading.raw, exponent=0, at=reading.read_at).quality is Quality.GOOD
        for name, reading in judges.items()
    )


async def find_unit(
    transport: Transport, profile: Profile, *, tried: int, others: Iterable[int] = _USUAL_UNITS
) -> int | None:
    """Another unit number at which this model's first fixed point can be read; None if there is none."""
    space, start, count = Space.HOLDING, 40000, 2  # where a SunSpec map begins
    for point in profile.points.values():
        if point.at.model is None and point.poll == "always":
            space, start, count = point.at.space, point.at.base, point.width
            break
    for unit_id in others:
        if unit_id == tried:
            continue
        try:
            await transport.read(unit_id, space, start, count)
        except (UnreachableError, RegisterError):
            continue
        except DeviceError:
            return None
        return unit_id
    return None
