"""``vpp echonet write``: one order to one object, shown before, set on consent, read back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Final, Literal, cast

import typer

from energy.core.errors import ConfigError, DeviceError, ExitStatus
from vpp.cli.device_link import Json, ask_first, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from devices.echonet.device import Aim, EchonetDevice
    from devices.transport import Access
    from energy.core.outcome import Order

__all__ = ["Interface", "Port", "write"]

Interface = Annotated[
    str, typer.Option(help="Our own address: that of the interface that leads to the devices.")
]
Port = Annotated[
    int, typer.Option(help="UDP port of both sides; devices answer to no other than 3610.", min=1)
]

Ordered = Literal["v2h", "package-ac"]
_WORDS: Final[dict[Ordered, tuple[str, ...]]] = {
    "v2h": ("power_kw",),
    "package-ac": ("mode", "setpoint_c"),
}
_LIKE: Final[dict[Ordered, str]] = {
    "v2h": "power_kw=-3 (below 0 gives back, 0 is standby)",
    "package-ac": "mode=cool setpoint_c=26, or mode=off",
}
_LASTS: Final = timedelta(minutes=1)  # the command is over long before


def write(
    context: typer.Context,
    kind: Annotated[Ordered, typer.Argument(help="What it is, as `find` says.")],
    host: Annotated[str, typer.Argument(help="IPv4 address of its node.")],
    settings: Annotated[
        list[str],
        typer.Argument(
            metavar="POINT=VALUE...", help="v2h: power_kw=-3; package-ac: mode=cool setpoint_c=26."
        ),
    ],
    instance: Annotated[int, typer.Option(help="Which of several, from 1.", min=1, max=127)] = 1,
    interface: Interface = "127.0.0.1",
    port: Port = 3610,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the effect, set nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Set without asking.")] = False,
    json: Json = False,
) -> int:
    """Give a charger or an air conditioner an order and read it back, after showing what will be set.

    Nothing ends this order by itself: somebody has to stay at the device. Refused while a controller of this
    machine commands the node.
    """
    console, order = cast("Console", context.obj), _order(kind, settings)
    place = (kind, host, instance, interface, port)
    aim, before = asyncio.run(_preview(place, order))
    say = console.say if json else print
    for code, data in aim.values.items():
        shown = before[code]
        say(
            console.text(
                "echonet.will_set",
                code=f"{code:02X}",
                before="-" if shown is None else shown.hex(),
                after=data.hex(),
            )
        )
    if aim.limit is not None:
        say(console.text("echonet.will_clamp", limit=aim.limit))
    say(console.text("echonet.stands"))
    outcome, why = "dry_run", None
    if not dry_run:
        ask_first(console, yes=yes, where="vpp echonet write")
        outcome, why = _carry_out(place, order)
    if json:
        print_json(
            {
                "host": host,
                "kind": kind,
                "instance": instance,
                "limit": aim.limit,
                "properties": [
                    {
                        "code": f"0x{code:02X}",
                        "before": None if before[code] is None else (before[code] or b"").hex(),
                        "after": data.hex(),
                    }
                    for code, data in aim.values.items()
                ],
                "outcome": outcome,
                "why": why,
            }
        )
    else:
        print(console.text(f"device.outcome_{outcome}", why=why or ""))
    return int(ExitStatus.OK if outcome in ("applied", "dry_run") else ExitStatus.DEVICE)


Place = tuple[Ordered, str, int, str, int]


def _order(kind: Ordered, settings: list[str]) -> Order:
    """The order that was written; every word of it must be known."""
    from energy.core.outcome import ChargerPower, ClimateMode, RoomClimate

    said: dict[str, str] = {}
    for setting in settings:
        name, sign, value = setting.partition("=")
        if not sign or name not in _WORDS[kind] or name in said:
            why = "is set twice" if name in said else "is no setting"
            raise ConfigError(f"{setting!r} {why}", where=f"vpp echonet write {kind}", hint=_LIKE[kind])
        said[name] = value
    if kind == "v2h":
        return ChargerPower(_number(kind, said, "power_kw"))
    modes = [mode.value for mode in ClimateMode]
    if said.get("mode") not in modes:
        raise ConfigError(
            f"no mode {said.get('mode', '')!r}", where=f"known: {', '.join(modes)}", hint=_LIKE[kind]
        )
    mode = ClimateMode(said["mode"])
    if mode is ClimateMode.OFF and "setpoint_c" not in said:
        return RoomClimate(mode, 26.0)  # no setpoint is sent with off
    return RoomClimate(mode, _number(kind, said, "setpoint_c"))


def _number(kind: Ordered, said: dict[str, str], name: str) -> float:
    from math import isfinite

    try:
        value = float(said[name])
    except (KeyError, ValueError):
        value = float("nan")
    if not isfinite(value):
        raise ConfigError(
            f"{name} is no number: {said.get(name, '')!r}",
            where=f"vpp echonet write {kind}",
            hint=_LIKE[kind],
        )
    return value


def _device(place: Place, access: Access, *, trusted: bool) -> EchonetDevice:
    from devices.echonet.device import EchonetConfig
    from devices.echonet.kinds import KINDS
    from devices.echonet.node import EchonetNode
    from energy.core.clock import SystemClock
    from energy.core.units import AssetId

    kind, host, instance, interface, port = place
    node = EchonetNode(interface, port=port, access=access)
    config = EchonetConfig(kind, host, AssetId(kind), instance=instance, commissioned=trusted)
    return KINDS[kind](config, node, clock=SystemClock())


async def _preview(place: Place, order: Order) -> tuple[Aim, dict[int, bytes | None]]:
    """What the order becomes, and what is there now; the device is only read."""
    from devices.transport import Access

    device = _device(place, Access.READ_ONLY, trusted=False)
    await device.node.start()
    try:
        await device.ensure_online()
        aim = device.aim(order)
        device.must_be_settable(aim.values)
        now = await device.node.get(place[1], device.object, set(aim.values) & device.readable)
        return aim, {code: now.get(code) for code in aim.values}
    finally:
        await device.node.close()


def _carry_out(place: Place, order: Order) -> tuple[str, str | None]:
    from devices.echonet.device import echonet_place
    from devices.hold import hold

    with hold([echonet_place(place[1])]):
        return asyncio.run(_apply(place, order))


async def _apply(place: Place, order: Order) -> tuple[str, str | None]:
    """Set and read back; what became of it."""
    from devices.transport import Access
    from energy.core.errors import RefusedError, RegisterError
    from energy.core.outcome import Command, CommandSource, Unconfirmed
    from energy.core.plan import Reason, ReasonCode

    device = _device(place, Access.CONTROL, trusted=True)  # by the person who was asked
    await device.node.start()
    try:
        command = Command(
            asset=device.echonet.asset,
            order=order,
            source=CommandSource.MANUAL,
            reason=Reason(ReasonCode.IDLE),
            issued_at=device.now,
            expires_at=device.now + _LASTS,
            issuer="vpp echonet write",
        )
        outcome = await device.apply(command, 0)
    except (RefusedError, RegisterError) as error:
        return "refused", str(error)
    except DeviceError as error:
        return "unreachable", str(error)
    finally:
        await device.node.close()
    if isinstance(outcome, Unconfirmed):
        return "unconfirmed", outcome.read_back
    return "applied", None
