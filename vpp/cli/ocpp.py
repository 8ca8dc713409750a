"""``vpp ocpp``: a central system to try a station with, and a station to try a central system with."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from devices.extras import require_extra
from energy.core.errors import ConfigError
from vpp.cli.device_link import Json
from vpp.console import Console

if TYPE_CHECKING:
    from devices.guests import MixedGateway
    from devices.ocpp.config import CentralConfig, ServerTls
    from devices.ocpp.twin import StationTwin
    from energy.core.measurement import Measurement

__all__ = ["app", "require_extra", "shown_changes"]

app = typer.Typer(help="Charging stations that speak OCPP.", no_args_is_help=True)

Seconds = Annotated[
    float | None, typer.Option(help="End by itself after so many seconds; runs until Ctrl-C if not given.")
]


@app.command()
def serve(
    context: typer.Context,
    stations: Annotated[
        list[str],
        typer.Option(
            "--station", help="Identity of a station that may call; ID:N for one with N connectors."
        ),
    ],
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.", min=0, max=65535)] = 9000,
    host: Annotated[
        str, typer.Option(help="Address to listen on; any but loopback needs TLS.")
    ] = "127.0.0.1",
    certificate: Annotated[Path | None, typer.Option(help="Our certificate (PEM), for TLS.")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="Authority of the stations' certificates; then each must show one.")
    ] = None,
    password: Annotated[
        str | None, typer.Option("--password-env", help="Environment variable with the stations' password.")
    ] = None,
    power: Annotated[
        float | None,
        typer.Option(help="Order this power to every connector that charges, in kW; below 0 gives back."),
    ] = None,
    most: Annotated[float, typer.Option("--max-kw", help="Limit of a connector, both ways.", min=0.1)] = 7.0,
    yes: Annotated[bool, typer.Option("--yes", help="I watch the car: allow the order.")] = False,
    seconds: Seconds = None,
    json: Json = False,
) -> None:
    """Wait for charging stations and print what they say; without --power nothing is ordered.

    With --power stations are given a safe profile of 0 kW first, so that they stop when this command does.
    """
    require_extra("ocpp", "ocpp")
    require_extra("ocpp", "websockets")
    from devices.ocpp.config import CentralConfig, ServerTls

    if power is not None and not yes:
        raise ConfigError(
            "an order needs --yes", where=f"--power {power:g}", hint="watch the car and add --yes"
        )
    tls: ServerTls | None = None
    if certificate is not None and key is not None:
        tls = ServerTls(certificate, key, client_ca)
    elif certificate is not None or key is not None or client_ca is not None:
        raise ConfigError("TLS needs a certificate and its key", where="--certificate, --key")
    secret = None if password is None else _secret(password)
    made = [_station(text, secret, most) for text in stations]
    config = CentralConfig(made, host=host, port=port, tls=tls)
    asyncio.run(_serve(cast("Console", context.obj), config, power=power, seconds=seconds, json=json))


def _secret(variable: str) -> str:
    value = os.environ.get(variable)
    if not value:
        raise ConfigError(
            f"the environment has no {variable}", where="--password-env", hint=f"export {variable}=..."
        )
    return value


def _station(text: str, password: str | None, most: float) -> Any:  # Any: its class needs the extra
    from devices.ocpp.config import Connector, StationConfig
    from energy.core.units import AssetId

    name, _, count = text.partition(":")
    if count and (not count.isdigit() or not int(count)):
        raise ConfigError(f"not a number of connectors: {count!r}", where=f"--station {text}", hint="ID:2")
    connectors = {
        number: Connector(AssetId(f"{name}-{number}"), max_charge_kw=most, max_discharge_kw=most)
        for number in range(1, int(count or 1) + 1)
    }
    return StationConfig(name, connectors, password=password)


async def _serve(
    console: Console, config: CentralConfig, *, power: float | None, seconds: float | None, json: bool
) -> None:
    from devices.guests import MixedGateway
    from devices.ocpp.central import CentralSystem
    from devices.transport import Access
    from energy.core.clock import SystemClock

    access = Access.READ_ONLY if power is None else Access.CONTROL
    clock = SystemClock()
    central, gateway = (
        CentralSystem(config, clock=clock, access=access),
        MixedGateway([], clock=clock, access=access),
    )
    gateway.attach(central)
    await gateway.connect()
    scheme = "ws" if config.tls is None else "wss"
    console.say(console.text("ocpp.listening", where=f"{scheme}://{config.host}:{central.port}"))
    shown: dict[tuple[str, str], object] = {}
    loop = asyncio.get_running_loop()
    end = None if seconds is None else loop.time() + seconds
    try:
        while end is None or loop.time() < end:
            readings = await gateway.read()
            for asset, points in readings.items():
                shown_changes(asset, points, shown, json=json)
            if power is not None:
                await _order(console, gateway, power, shown)
            await asyncio.sleep(0.2)
    finally:
        await gateway.close()


async def _order(
    console: Console, gateway: MixedGateway, power: float, shown: dict[tuple[str, str], object]
) -> None:
    from energy.core.clock import SystemClock
    from energy.core.outcome import ChargerPower, Command, CommandSource
    from energy.core.plan import Reason, ReasonCode

    now = SystemClock().now()
    for asset in gateway.assets:
        outcome = await gateway.apply(
            Command(
                asset=asset,
                order=ChargerPower(power),
                source=CommandSource.MANUAL,
                reason=Reason(ReasonCode.IDLE),
                issued_at=now,
                expires_at=now + timedelta(minutes=1),
                issuer="vpp ocpp serve",
            )
        )
        kind = type(outcome).__name__.lower()
        why = (
            getattr(outcome, "why", None)
            or getattr(outcome, "limit", None)
            or getattr(outcome, "read_back", "")
        )
        if shown.get((asset, "order")) != (kind, why):
            shown[asset, "order"] = (kind, why)
            console.say(console.text("ocpp.outcome", asset=asset, outcome=kind, why=why))
    await gateway.refresh()


def shown_changes(
    asset: str, points: dict[str, Measurement], shown: dict[tuple[str, str], object], *, json: bool
) -> None:
    """Print the points that are not as they were."""
    from json import dumps

    for name, measured in points.items():
        said = (measured.value, measured.quality)
        if shown.get((asset, name)) == said:
            continue
        shown[asset, name] = said
        if json:
            row = {
                "asset": asset,
                "point": name,
                "value": measured.value,
                "unit": measured.unit.value,
                "quality": measured.quality.value,
                "read_at": measured.read_at.isoformat(),
            }
            print(dumps(row), flush=True)
        else:
            value = "-" if measured.value is None else f"{measured.value:g}"
            unit = "" if measured.unit.value == "1" else f" {measured.unit.value}"
            print(f"{asset} {name}: {value}{unit} ({measured.quality.value})", flush=True)


@app.command()
def twin(
    context: typer.Context,
    identity: Annotated[str, typer.Argument(help="Name of the station at the central system.")],
    url: Annotated[str, typer.Option(help="Where the central system is.")] = "ws://127.0.0.1:9000",
    version: Annotated[Literal["1.6", "2.0.1", "2.1"], typer.Option(help="Version of OCPP.")] = "1.6",
    password: Annotated[
        str | None, typer.Option("--password-env", help="Environment variable with the password.")
    ] = None,
    seconds: Seconds = None,
) -> None:
    """Be a charging station with a car that is plugged and charges, until Ctrl-C."""
    require_extra("ocpp", "websockets")
    from devices.ocpp.twin import StationTwin
    from energy.core.clock import SystemClock

    secret = None if password is None else _secret(password)
    station = StationTwin(url, identity, version=version, clock=SystemClock(), password=secret)
    asyncio.run(_drive(cast("Console", context.obj), station, seconds))


async def _drive(console: Console, station: StationTwin, seconds: float | None) -> None:
    from devices.ocpp.twin import DIAL_ERRORS

    try:
        await station.dial()
    except DIAL_ERRORS as error:
        raise ConfigError(
            "the central system lets nobody in",
            where=f"{station.url}/{station.identity}: {error}",
            hint="is it running, and does it know this station and its password?",
        ) from None
    console.say(
        console.text("ocpp.dialled", where=f"{station.url}/{station.identity}", version=station.version)
    )
    await station.plug(modes=("DC_BPT",) if station.version == "2.1" else ())
    await station.start()
    loop = asyncio.get_running_loop()
    end = None if seconds is None else loop.time() + seconds
    try:
        while end is None or loop.time() < end:
            await asyncio.sleep(1.0)
            station.flow(1.0)
            await station.meter()
            await station.status()
    except DIAL_ERRORS:
        console.say(console.text("ocpp.hung_up"))
    except asyncio.CancelledError:  # the central system closed while an answer was awaited
        console.say(console.text("ocpp.hung_up"))
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise
    finally:
        with suppress(*DIAL_ERRORS):
            await station.hang_up()
