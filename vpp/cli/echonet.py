"""``vpp echonet``: who is there, what it says, and a node to try with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ExitStatus
from vpp.cli.device_link import Json, print_json
from vpp.cli.echonet_write import Interface, Port, write
from vpp.cli.ocpp import Seconds, shown_changes
from vpp.console import Console

if TYPE_CHECKING:
    from devices.echonet.node import Found
    from energy.core.measurement import Measurement

__all__ = ["app"]

app = typer.Typer(help="Equipment that speaks ECHONET Lite.", no_args_is_help=True)

Kind = Literal["v2h", "package-ac", "package-ac-outdoor", "meter"]
_KINDS = {
    (0x01, 0x45): "package-ac",
    (0x01, 0x46): "package-ac-outdoor",
    (0x02, 0x7E): "v2h",
    (0x02, 0x88): "meter",
}


@app.command()
def find(
    context: typer.Context,
    hosts: Annotated[
        list[str] | None, typer.Argument(help="IPv4 addresses to ask; everybody, by multicast, if none.")
    ] = None,
    interface: Interface = "127.0.0.1",
    port: Port = 3610,
    seconds: Annotated[float, typer.Option(help="How long to wait for answers.", min=0.1, max=60.0)] = 3.0,
    json: Json = False,
) -> int:
    """Find the nodes of the network and the objects that they hold. Ends with status 5 if nobody answers."""
    console = cast("Console", context.obj)
    found = asyncio.run(_find(hosts or [], interface, port, seconds))
    rows = [
        {
            "host": one.host,
            "objects": [
                {"object": bytes(held).hex(), "kind": _KINDS.get(held[:2]), "instance": held[2]}
                for held in one.objects
            ],
        }
        for one in found
    ]
    if json:
        print_json({"nodes": rows})
    for one in () if json else found:
        for held in one.objects:
            kind = _KINDS.get(held[:2])
            what = console.text("echonet.unknown") if kind is None else f"{kind} {held[2]}"
            print(f"{one.host} {bytes(held).hex()}: {what}")
    if not found:
        console.say(console.text("echonet.nobody", interface=interface))
    return int(ExitStatus.OK if found else ExitStatus.DEVICE)


async def _find(hosts: list[str], interface: str, port: int, seconds: float) -> list[Found]:
    from devices.echonet.node import EchonetNode
    from devices.transport import Access

    node = EchonetNode(interface, port=port, access=Access.READ_ONLY, discover=not hosts)
    await node.start()
    try:
        return await node.find(hosts=hosts, seconds=seconds)
    finally:
        await node.close()


@app.command()
def read(
    kind: Annotated[Kind, typer.Argument(help="What it is, as `find` says.")],
    host: Annotated[str, typer.Argument(help="IPv4 address of its node.")],
    instance: Annotated[int, typer.Option(help="Which of several, from 1.", min=1, max=127)] = 1,
    interface: Interface = "127.0.0.1",
    port: Port = 3610,
    json: Json = False,
) -> int:
    """Read one object by its property maps. Ends with status 6 if a point has no value."""
    points, settable = asyncio.run(_read(kind, host, instance, interface, port))
    rows = [
        {"point": one.point, "value": one.value, "unit": one.unit.value, "quality": one.quality.value}
        for one in points.values()
    ]
    if json:
        print_json({"host": host, "kind": kind, "points": rows, "settable": sorted(settable)})
    else:
        shown_changes(kind, points, {}, json=False)
        print("0x9E: " + " ".join(f"0x{code:02X}" for code in sorted(settable)))
    whole = all(one.value is not None for one in points.values())
    return int(ExitStatus.OK if whole else ExitStatus.PARTIAL)


async def _read(
    kind: Kind, host: str, instance: int, interface: str, port: int
) -> tuple[dict[str, Measurement], frozenset[int]]:
    from devices.echonet.device import EchonetConfig
    from devices.echonet.kinds import KINDS
    from devices.echonet.node import EchonetNode
    from devices.transport import Access
    from energy.core.clock import SystemClock
    from energy.core.units import AssetId

    node = EchonetNode(interface, port=port, access=Access.READ_ONLY)
    config = EchonetConfig(kind, host, AssetId(kind), instance=instance)
    device = KINDS[kind](config, node, clock=SystemClock())
    await node.start()
    try:
        await device.poll()
        return device.measurements(0), device.settable
    finally:
        await node.close()


app.command()(write)


@app.command()
def twin(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Port = 3610,
    seconds: Seconds = None,
) -> None:
    """Be a node with a V2H charger, an air conditioner and a smart meter, until Ctrl-C.

    It also hears who asks everybody (multicast), where the kernel lets it join the group.
    """
    from devices.echonet.twin import (
        EchonetTwin,
        ac_properties,
        charger_properties,
        meter_properties,
        outdoor_properties,
    )

    console = cast("Console", context.obj)

    async def serve() -> None:
        node = EchonetTwin(
            {
                "027e01": charger_properties(),
                "014501": ac_properties(),
                "014601": outdoor_properties(),
                "028801": meter_properties(),
            }
        )
        try:
            await node.start(host, port, group=True)
        except OSError as error:
            console.say(console.text("echonet.no_group", why=error.strerror or error))
            await node.start(host, port)
        console.say(console.text("echonet.twin_up", where=f"{host}:{port}"))
        try:
            await asyncio.sleep(seconds if seconds is not None else 10.0**9)
        finally:
            node.stop()

    asyncio.run(serve())
