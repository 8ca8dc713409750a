"""What the commands that speak to a device share: how it is named, reached and closed again."""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energy.core.errors import ConfigError, UnreachableError, VppError

if TYPE_CHECKING:
    from devices.address import Address
    from devices.config import DeviceConfig
    from devices.device import Device
    from devices.modbus import ModbusTransport
    from devices.profile import Profile
    from devices.transport import Access, Tls
    from vpp.console import Console

__all__ = [
    "Certificates",
    "Host",
    "Json",
    "Nth",
    "Open",
    "ProfileName",
    "Target",
    "Timeout",
    "UnitId",
    "ask_first",
    "config_of",
    "held",
    "opened",
    "print_json",
    "target_of",
]

ProfileName = Annotated[str, typer.Argument(help="Id of a model, or a YAML file of your own.")]
Host = Annotated[
    str,
    typer.Argument(help="HOST, HOST:PORT, tls://HOST, rtu+tcp://HOST:PORT or rtu:/dev/ttyUSB0."),
]
UnitId = Annotated[
    int | None,
    typer.Option("--unit", help="Unit number; the model's usual one if not given.", min=0, max=255),
]
Nth = Annotated[
    int, typer.Option("--nth", help="Which of several assets behind one adapter, from 1.", min=1, max=64)
]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Deadline of one request in seconds.")]
Certificates = Annotated[
    str | None,
    typer.Option("--certificates", help="Folder with ca.pem, client.pem and client.key, for tls://."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@dataclass(frozen=True, slots=True)
class Target:
    """A device as named on the command line."""

    profile: Profile
    name: str
    address: Address
    unit_id: int
    index: int
    timeout_s: float | None
    tls: Tls | None


def target_of(
    profile: str,
    host: str,
    *,
    unit_id: int | None,
    nth: int = 1,
    timeout_s: float | None = None,
    certificates: str | None = None,
) -> Target:
    """Understand what was asked for.

    Raises
    ------
    ConfigError
        If profile, address, unit or certificates make no sense.
    """
    from devices.address import parse_address
    from devices.profile import load_profile
    from devices.transport import Framing, Tls

    known = load_profile(profile)
    address = parse_address(host, port=known.wire.port)
    if nth > known.units:
        raise ConfigError(
            f"--nth {nth}: {known.title} has at most {known.units} behind it",
            where=known.id,
            hint=f"1 to {known.units}",
        )
    if timeout_s is not None and not 0.0 < timeout_s <= 10.0:
        raise ConfigError(
            f"--timeout {timeout_s:g} is out of range", where=known.id, hint="above 0, at most 10"
        )
    tls = None
    if certificates is not None:
        folder = Path(certificates)
        tls = Tls(folder / "ca.pem", folder / "client.pem", folder / "client.key")
    elif address.framing is Framing.TLS:
        raise ConfigError("tls:// needs certificates", where=host, hint="--certificates FOLDER")
    unit = known.wire.unit_id if unit_id is None else unit_id
    return Target(known, profile, address, unit, nth - 1, timeout_s, tls)


@dataclass(frozen=True, slots=True)
class Open:
    """A device with its link."""

    device: Device
    transport: ModbusTransport


def config_of(target: Target, *, commissioned: bool = False) -> DeviceConfig:
    """A target as the gateway would be told of it."""
    from devices.config import DeviceConfig
    from energy.core.units import AssetId

    where = target.address
    return DeviceConfig(
        id=str(where),
        profile=target.name,
        host=where.host,
        port=where.port,
        unit_id=target.unit_id,
        assets=tuple(AssetId(f"asset-{number}") for number in range(1, target.index + 2)),
        framing=where.framing,
        tls=target.tls,
        commissioned=commissioned,
    )


def ask_first(console: Console, *, yes: bool, where: str) -> None:
    """Ask whether to write; with ``yes`` it was said already.

    Raises
    ------
    ConfigError
        If nobody can be asked.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError(
            "nobody can be asked here, and --yes was not given",
            where=where,
            hint="--dry-run shows the effect, --yes writes",
        )
    typer.confirm(console.text("device.ask"), abort=True, err=True)


def held(*targets: Target) -> AbstractContextManager[None]:
    """Be the only one on this machine who commands the links of these targets.

    Raises
    ------
    RefusedError
        At entry, if another program does.
    """
    from devices.hold import hold, place_of

    return hold(place_of(one.address.host, one.address.port) for one in targets)


@asynccontextmanager
async def opened(
    target: Target,
    access: Access,
    *,
    commissioned: bool = False,
    listen: Callable[[bool, bytes], None] | None = None,
) -> AsyncIterator[Open]:
    """The device behind a target; its link is closed afterwards."""
    from devices.device import Device
    from devices.modbus import ModbusTransport
    from energy.core.clock import SystemClock

    logging.getLogger("devices").addHandler(logging.NullHandler())  # trouble is told once, by the command
    where, wire = target.address, target.profile.wire
    if target.timeout_s is not None:
        wire = wire.model_copy(update={"timeout_s": target.timeout_s})
    config = config_of(target, commissioned=commissioned)
    link = ModbusTransport(
        where.host,
        where.port,
        wire=wire,
        access=access,
        framing=where.framing,
        tls=target.tls,
        listen=listen,
    )
    device = Device(config, target.profile, transport=link, clock=SystemClock(), access=access)
    try:
        yield Open(device, link)
    except VppError as error:
        raise await _with_another_unit(error, target, link) from None
    finally:
        await link.close()


async def _with_another_unit(error: VppError, target: Target, link: ModbusTransport) -> VppError:
    """The same error, with the unit number that does answer where this one does not."""
    from devices.probe import find_unit

    if link.generation == 0 or not isinstance(error, UnreachableError):
        return error
    other = await find_unit(link, target.profile, tried=target.unit_id)
    if other is None:
        return error
    what, where, _ = error.lines()
    return UnreachableError(what, where=where, hint=f"unit {other} does answer: --unit {other}")


def print_json(document: object) -> None:
    """One JSON document on stdout."""
    from json import dumps

    print(dumps(document, ensure_ascii=False, indent=1), flush=True)
