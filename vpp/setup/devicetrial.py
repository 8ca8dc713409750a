"""A device before it belongs to a running site: looked at once, and tried with somebody watching."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from devices.commissioning import Finding, StepTest, passed
from devices.device import Device
from devices.gateway import Access, Gateway
from devices.hold import hold, place_of
from devices.probe import Look, look_at
from devices.profile import load_profile
from energy.core.clock import Clock, SystemClock
from energy.core.errors import UnreachableError
from vpp.setup.sitefolder import KeptDevice

__all__ = ["look_once", "try_orders"]

_PATIENCE_S: Final = 15.0
Wait = Callable[[float], Awaitable[None]]


async def look_once(device: KeptDevice, home: Path) -> Look:
    """Reach a device and read all its points once, of each asset behind it; nothing is written.

    Parameters
    ----------
    home : Path
        Folder of the site's files.

    Raises
    ------
    DeviceError
        If it does not answer, or is not the device of its profile.
    """
    config, profile = device.config(home=home), load_profile(device.profile)
    link = device.link(config)
    try:
        one = Device(config, profile, transport=link, clock=SystemClock(), access=Access.READ_ONLY)
        first = await asyncio.wait_for(look_at(one), _PATIENCE_S)
        readings = dict(first.readings)
        for unit, asset in enumerate(config.assets[1:], 1):
            more = await asyncio.wait_for(look_at(one, unit=unit), _PATIENCE_S)
            readings |= {f"{asset}: {name}": reading for name, reading in more.readings.items()}
        return replace(first, readings=readings)
    except TimeoutError:
        raise UnreachableError(
            "the device is too slow", where=f"{device.address}: no end after {_PATIENCE_S:g} s"
        ) from None
    finally:
        await link.close()


async def try_orders(
    device: KeptDevice, home: Path, *, clock: Clock | None = None, wait: Wait = asyncio.sleep
) -> tuple[Finding, ...]:
    """The step test of each asset behind a device, which ends in its safe state. Power flows.

    Parameters
    ----------
    home : Path
        Folder of the site's files.

    Raises
    ------
    RefusedError
        If another program commands the link.
    """
    config, profile = device.config(home=home, commissioned=True), load_profile(device.profile)
    time = clock or SystemClock()
    found: list[Finding] = []
    with hold([place_of(config.host, config.port)]):
        gateway = Gateway([config], clock=time, access=Access.CONTROL)
        try:
            await gateway.connect()
            for asset in config.assets:
                tried = await StepTest(gateway, asset, profile, clock=time, wait=wait).run(watchdog=False)
                several = len(config.assets) > 1
                found += [replace(one, why=f"{asset} {one.why}".strip()) if several else one for one in tried]
                if not passed(tried):
                    break
        finally:
            await gateway.close()
    return tuple(found)
