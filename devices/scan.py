"""What answers at an address: SunSpec models, and which profiles what is read there would make sense with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from devices.config import DeviceConfig
from devices.device import Device
from devices.profile import Profile
from devices.registers import Kind, decode_text
from devices.sunspec import scan_models
from devices.transport import Access, Space, Transport
from energy.core.clock import Clock
from energy.core.errors import DeviceError, RegisterError, UnreachableError
from energy.core.measurement import Quality

__all__ = ["Answer", "Fit", "scan"]

_JUDGES: Final = frozenset({"V", "Hz"})  # units of which everybody knows what they must be
_COMMON: Final = {
    "maker": (2, 16),
    "model": (18, 16),
    "version": (42, 8),
    "serial": (50, 16),
}  # SunSpec model 1


@dataclass(frozen=True, slots=True)
class Fit:
    """A profile with which all that is read makes sense; ``telling`` counts what might well not have."""

    profile: str
    telling: int


@dataclass(frozen=True, slots=True)
class Answer:
    """A unit that answers."""

    unit_id: int
    sunspec: tuple[int, ...]
    common: dict[str, str]
    fits: tuple[Fit, ...]


async def scan(
    transport: Transport,
    profiles: Sequence[Profile],
    *,
    units: Iterable[int],
    clock: Clock,
    host: DeviceConfig,
) -> list[Answer]:
    """Ask the units at an address who they are; only reads.

    Parameters
    ----------
    transport : Transport
        Link to the address.
    profiles : sequence of Profile
        Models to try.
    units : iterable of int
        Unit numbers to ask.
    clock : Clock
        Time of readings.
    host : DeviceConfig
        Where the link leads; profile and unit are replaced.

    Raises
    ------
    UnreachableError
        If nobody listens at the address.
    """
    await transport.connect()
    answers = []
    for unit_id in units:
        if not await _answers(transport, unit_id):
            continue
        models = await _sunspec(transport, unit_id)
        common = await _common(transport, unit_id, models)
        fits = []
        for profile in profiles:
            if bool(models) is not bool(profile.sunspec_models):
                continue
            config = replace(host, profile=profile.id, unit_id=unit_id)
            device = Device(config, profile, transport=transport, clock=clock, access=Access.READ_ONLY)
            telling = await _telling(device)
            if telling:
                fits.append(Fit(profile.id, telling))
        fits.sort(key=lambda fit: (-fit.telling, fit.profile))
        answers.append(Answer(unit_id, tuple(sorted(models)), common, tuple(fits)))
    return answers


async def _answers(transport: Transport, unit_id: int) -> bool:
    """Whether anybody answers, be it with an exception."""
    try:
        await transport.read(unit_id, Space.HOLDING, 0, 2)
    except RegisterError:
        return True
    except UnreachableError:
        return False
    return True


async def _sunspec(transport: Transport, unit_id: int) -> dict[int, int]:
    try:
        return await scan_models(transport, unit_id, ())
    except (RegisterError, UnreachableError):
        return {}


async def _common(transport: Transport, unit_id: int, models: dict[int, int]) -> dict[str, str]:
    """Maker, model, version and serial number of a SunSpec device."""
    if 1 not in models:
        return {}
    try:
        words = await transport.read(unit_id, Space.HOLDING, models[1], 66)
    except DeviceError:
        return {}
    return {name: decode_text(words[start : start + length]) for name, (start, length) in _COMMON.items()}


async def _telling(device: Device) -> int:
    """How many readings speak for the profile; 0 if one speaks against it."""
    profile = device.profile
    judges = [
        name
        for name, point in profile.points.items()
        if profile.shown_by(name) == name
        and (point.poll == "always" or point.type is Kind.TEXT or (point.unit in _JUDGES and point.valid))
    ]
    try:
        await device.ensure_online()
        await device.read_points(judges)
    except DeviceError:
        return 0
    telling = len(profile.identity) + 2 * bool(profile.sunspec_models)
    for name in judges:
        reading, point = device.reading(name), profile.points[name]
        if reading is None or not reading.raw:
            return 0
        if reading.quality is not Quality.GOOD and not (point.invalid and point.unit not in _JUDGES):
            return 0  # a sentinel says nothing, anything else that cannot be speaks against it
        telling += (
            bool(point.values) or point.unit in _JUDGES or bool(reading.text and reading.text.isprintable())
        )
    return telling
