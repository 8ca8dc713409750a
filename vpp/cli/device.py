"""``vpp device``: what models are known, and what equipment on the wire says and does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError
from vpp.cli.device_commission import commission
from vpp.cli.device_link import print_json
from vpp.cli.device_record import record, replay, scan
from vpp.cli.device_serve import serve
from vpp.cli.device_wire import probe, read, watch
from vpp.cli.device_write import write
from vpp.console import Console

if TYPE_CHECKING:
    from devices.profile import Profile
    from devices.protocols import ProtocolModel

__all__ = ["app"]

app = typer.Typer(help="Equipment: models, probing, reading, writing, twins.", no_args_is_help=True)
profile_app = typer.Typer(help="Device profiles: check your own, show one.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command("list")
def list_models(context: typer.Context, json: Json = False) -> None:
    """List the models that are known: what they are, how well proved, whether they take orders."""
    from devices.profile import load_profile, profile_names
    from devices.protocols import PROTOCOL_MODELS
    from devices.quality import quality

    console = cast("Console", context.obj)
    mapped = [load_profile(name) for name in profile_names()]
    proved = {profile.id: quality(profile.id) for profile in mapped}
    proved |= {model.id: model.quality for model in PROTOCOL_MODELS}
    shipped: list[Profile | ProtocolModel] = [*mapped, *PROTOCOL_MODELS]
    if json:
        print_json(
            {
                "profiles": [
                    {
                        "id": profile.id,
                        "kind": profile.nature.value,
                        "maker": profile.maker,
                        "models": list(profile.models),
                        "quality": proved[profile.id],
                        "control": profile.control,
                    }
                    for profile in shipped
                ]
            }
        )
        return
    wide = max(len(profile.id) for profile in shipped)
    for profile in shipped:
        print(
            console.text(
                "device.model",
                id=profile.id.ljust(wide),
                kind=console.text(f"device.kind_{profile.nature.value}"),
                quality=proved[profile.id],
                control=console.text(f"device.control_{profile.control}"),
                title=profile.title,
            )
        )


@profile_app.command("check")
def check_profiles(
    context: typer.Context,
    profiles: Annotated[
        list[str] | None,
        typer.Argument(help="Ids, or YAML files of your own; all shipped ones if none is named."),
    ] = None,
    one_line: Annotated[
        bool, typer.Option("--one-line", help="Also whether they can share one serial line.")
    ] = False,
    json: Json = False,
) -> None:
    """Check profiles: unknown keys, overlapping points, impossible clamps, missing points, weak sources.

    The first contradiction is named with file and key, and ends the command.
    """
    from devices.config import check_one_line
    from devices.profile import load_profile, profile_names

    console = cast("Console", context.obj)
    checked = [load_profile(name) for name in (profiles or profile_names())]
    if one_line:
        check_one_line(checked, where="--one-line")
    if json:
        print_json({"checked": [profile.id for profile in checked], "one_line": one_line})
        return
    for profile in checked:
        print(
            console.text(
                "device.checked",
                id=profile.id,
                points=len(profile.points),
                control=console.text(f"device.control_{profile.control}"),
            )
        )


@profile_app.command("show")
def show_profile(
    context: typer.Context,
    profile: Annotated[str, typer.Argument(help="Id, or a YAML file of your own.")],
    json: Json = False,
) -> None:
    """Show a profile: its points, what it allows, its fail-safe, and where each fact comes from."""
    from devices.profile import load_profile

    console, known = cast("Console", context.obj), load_profile(profile)
    if json:
        print_json({**known.model_dump(mode="json"), "points": _points(known)})
        return
    print(f"{known.id}: {known.title}")
    for line in _facts(console, known):
        print(line)
    print()
    for point in _points(known):
        print(console.text("device.point", **point))
    for note in known.notes:
        print(f"- {note}")


def _facts(console: Console, known: Profile) -> list[str]:
    from devices.quality import evidence_of, quality

    proof = ", ".join(sorted(evidence_of(known.id))) or "-"
    lines = [
        console.text("device.quality", quality=quality(known.id), proof=proof),
        console.text("device.control", control=console.text(f"device.control_{known.control}")),
    ]
    lines += [
        console.text("device.source", confidence=source.confidence, title=source.title)
        for source in known.sources
    ]
    if known.failsafe is None:
        lines.append(console.text("device.no_failsafe"))
    else:
        lines.append(
            console.text(
                "device.failsafe", seconds=f"{known.failsafe.value_s:g}", what=known.failsafe.behaviour
            )
        )
    return lines


def _points(known: Profile) -> list[dict[str, object]]:
    """Points as rows."""
    rows: list[dict[str, object]] = []
    for name, point in known.points.items():
        place = point.at
        at = (
            f"sunspec:{place.model}/{place.base}"
            if place.model is not None
            else f"{place.space}:{place.base}"
        )
        rows.append(
            {
                "name": name,
                "at": at + (f"+{place.stride}n" if place.stride else ""),
                "type": point.type.value,
                "unit": point.unit,
                "access": ("r" if known.shown_by(name) == name else "") + ("w" if point.write else ""),
                "confidence": known.confidence(name),
            }
        )
    return rows


@app.command()
def twin(
    context: typer.Context,
    profile: Annotated[str, typer.Argument(help="Id of a model.")],
    port: Annotated[int, typer.Option(help="TCP port; 0 takes a free one.", min=0, max=65535)] = 0,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    seconds: Annotated[
        float | None,
        typer.Option(help="End by itself after so many seconds; runs until Ctrl-C if not given."),
    ] = None,
    json: Json = False,
) -> None:
    """Serve a twin of a model over Modbus TCP, with the limits of the device, until Ctrl-C.

    It has no password, like the device: keep it on the loopback address.
    """
    import asyncio

    from devices.twins.stands import stand_for

    console, stand = cast("Console", context.obj), stand_for(profile)

    async def serve() -> None:
        loop = asyncio.get_running_loop()
        taken = await stand.twin.start(host, port)
        facts = {"profile": profile, "host": host, "port": taken, "unit_id": stand.twin.unit_id}
        if json:
            print_json(facts)
        else:
            print(console.text("device.twin_up", **facts), flush=True)
        begun = last = loop.time()
        try:
            while seconds is None or loop.time() - begun < seconds:
                await asyncio.sleep(0.2)
                now = loop.time()
                stand.step(now - last)
                last = now
        finally:
            await stand.twin.stop()

    if seconds is not None and seconds <= 0.0:
        raise ConfigError(f"--seconds {seconds:g} is not a time", where="vpp device twin", hint="> 0")
    asyncio.run(serve())


app.add_typer(profile_app, name="profile")
app.command()(probe)
app.command()(read)
app.command()(write)
app.command()(commission)
app.command()(serve)
app.command()(watch)
app.command()(scan)
app.command()(record)
app.command()(replay)
