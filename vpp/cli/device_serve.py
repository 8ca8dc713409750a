"""``vpp device serve``: the gateway of a site as a service, from a file of its devices."""

from __future__ import annotations

import asyncio
import logging
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, ExitStatus
from vpp.cli.device_link import Json
from vpp.console import Console

if TYPE_CHECKING:
    from devices.mqtt import Publisher
    from devices.service import GatewayService

__all__ = ["serve"]


class AccessName(StrEnum):
    """What may be done, as written on the command line."""

    READ_ONLY = "read-only"
    DRY_RUN = "dry-run"
    CONTROL = "control"


def serve(
    context: typer.Context,
    devices: Annotated[Path, typer.Argument(help="YAML file of the site's equipment.")],
    access: Annotated[
        AccessName, typer.Option(help="What may be done to the equipment.")
    ] = AccessName.READ_ONLY,
    every: Annotated[float, typer.Option(help="Seconds between lines.", min=0.1, max=3600.0)] = 5.0,
    memory: Annotated[
        Path | None, typer.Option(help="File that remembers counters over restarts of the program.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(help="End by itself after so many seconds; runs until Ctrl-C if not given."),
    ] = None,
    json: Json = False,
) -> int:
    """Read all equipment of a site at its pace until Ctrl-C or SIGTERM, then leave the safe state.

    The file names Modbus devices, OCPP stations, ECHONET Lite nodes and an MQTT broker to publish to.
    Prints what changes between online and offline; with --json a line of all readings each time.
    """
    from devices.assembly import assemble
    from devices.service import GatewayService
    from devices.site_file import load_site
    from devices.transport import Access
    from energy.core.clock import SystemClock

    if seconds is not None and seconds <= 0.0:
        raise ConfigError(f"--seconds {seconds:g} is not a time", where="vpp device serve", hint="> 0")
    console, clock = cast("Console", context.obj), SystemClock()
    logging.getLogger("devices").addHandler(logging.NullHandler())  # the lines below say it
    allowed = Access(access.value.replace("-", "_"))
    site = load_site(devices)
    publisher = None
    if site.mqtt is not None:
        from devices.mqtt import Publisher

        publisher = Publisher(site.mqtt, clock=clock)
    service = GatewayService(assemble(site, clock=clock, access=allowed), clock=clock, memory=memory)
    asyncio.run(_run(service, publisher, console, every=every, seconds=seconds, json=json))
    return int(ExitStatus.OK)


async def _run(
    service: GatewayService,
    publisher: Publisher | None,
    console: Console,
    *,
    every: float,
    seconds: float | None,
    json: bool,
) -> None:
    """Serve, and publish until the safe state is left."""
    publishing = None if publisher is None else asyncio.create_task(publisher.follow(service))
    if publishing is not None:
        publishing.add_done_callback(lambda _: service.stop())  # it ends by itself only if it cannot begin
    try:
        await _serve(service, console, every=every, seconds=seconds, json=json)
    finally:
        if publishing is not None:
            publishing.cancel()
            ends = await asyncio.gather(publishing, return_exceptions=True)
    for end in ends if publishing is not None else ():
        if isinstance(end, Exception):
            raise end


async def _serve(
    service: GatewayService, console: Console, *, every: float, seconds: float | None, json: bool
) -> None:
    loop = asyncio.get_running_loop()
    service.stop_on_signals()
    running = asyncio.create_task(service.run())
    begun = loop.time()
    known: dict[str, str] = {}
    ready = asyncio.create_task(service.ready())
    await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    while not running.done():
        known = await _tell(service, console, known, json=json)
        left = every if seconds is None else min(every, seconds - (loop.time() - begun))
        await asyncio.wait([running], timeout=max(0.0, left))
        if seconds is not None and loop.time() - begun >= seconds:
            service.stop()
            await running
    await running


async def _tell(
    service: GatewayService, console: Console, known: dict[str, str], *, json: bool
) -> dict[str, str]:
    """Print what is new; what is known afterwards."""
    states = {name: one.value for name, one in service.gateway.connections.items()}
    if json:
        from json import dumps

        readings = {
            asset: {name: {"value": one.value, "quality": one.quality.value} for name, one in points.items()}
            for asset, points in (await service.read()).items()
        }
        print(dumps({"devices": states, "readings": readings}, ensure_ascii=False), flush=True)
        return states
    for name, state in states.items():
        if known.get(name) != state:
            print(console.text(f"device.serve_{state}", device=name), flush=True)
    return states
