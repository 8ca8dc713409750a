"""``vpp device probe|read|watch``: what a device says, without writing anything."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, DeviceError, ExitStatus
from vpp.cli.device_link import (
    Certificates,
    Host,
    Json,
    Nth,
    ProfileName,
    Target,
    Timeout,
    UnitId,
    opened,
    print_json,
    target_of,
)
from vpp.console import Console

if TYPE_CHECKING:
    from devices.probe import Look
    from devices.profile import Profile
    from devices.values import Reading

__all__ = ["known_points", "probe", "read", "row_of", "watch"]

Points = Annotated[list[str] | None, typer.Argument(help="Names of points; all if none is named.")]


def row_of(profile: Profile, name: str, reading: Reading | None) -> dict[str, object]:
    """A reading for machines."""
    return {
        "point": name,
        "value": None if reading is None else reading.value,
        "text": None if reading is None else reading.text,
        "unit": profile.points[name].unit,
        "quality": "invalid" if reading is None else reading.quality.value,
        "raw": [] if reading is None else list(reading.raw),
        "read_at": None if reading is None else reading.read_at.isoformat(),
    }


def known_points(profile: Profile, names: list[str] | None, *, among: list[str]) -> list[str]:
    """Points as asked for.

    Raises
    ------
    ConfigError
        If one is not there; the hint names the nearest.
    """
    import difflib

    for name in names or ():
        if name not in among:
            near = difflib.get_close_matches(name, among, n=1)
            raise ConfigError(
                f"{profile.id} has no such point: {name}",
                where=f"known: {', '.join(among)}",
                hint=f"did you mean {near[0]}?" if near else f"vpp device profile show {profile.id}",
            )
    return names or among


def _print_row(console: Console, row: dict[str, object]) -> None:
    value = row["text"] or ("-" if row["value"] is None else f"{row['value']:.6g}")
    unit = "" if row["unit"] == "1" else f" {row['unit']}"
    shown = [] if row["text"] else cast("list[int]", row["raw"])  # a text has been said already
    words = " ".join(f"{word:04x}" for word in shown)
    quality = console.text(f"device.quality_{row['quality']}")
    print(
        console.text("device.value", point=row["point"], value=f"{value}{unit}", quality=quality, raw=words)
    )


def probe(
    context: typer.Context,
    profile: ProfileName,
    host: Host,
    unit: UnitId = None,
    nth: Nth = 1,
    timeout: Timeout = None,
    certificates: Certificates = None,
    json: Json = False,
) -> int:
    """Look at a device: is it the right one, what do its points say, what seems to be set up wrongly.

    Nothing is written. Ends with status 6 if something looks wrong.
    """
    from devices.probe import look_at
    from devices.transport import Access

    console = cast("Console", context.obj)
    target = target_of(profile, host, unit_id=unit, nth=nth, timeout_s=timeout, certificates=certificates)

    async def run() -> Look:
        async with opened(target, Access.READ_ONLY) as link:
            return await look_at(link.device, unit=target.index)

    look = asyncio.run(run())
    rows = [row_of(target.profile, name, reading) for name, reading in look.readings.items()]
    bad = [row["point"] for row in rows if row["quality"] != "good"]
    if json:
        print_json(
            {
                "device": str(target.address),
                "unit": target.unit_id,
                "profile": target.profile.id,
                "latency_ms": round(look.latency_ms, 1),
                "requests": look.requests,
                "sunspec_models": list(look.sunspec),
                "points": rows,
                "found": [{"what": found.what, "instead": found.instead} for found in look.found],
            }
        )
    else:
        print(console.text("device.probed", title=target.profile.title, where=target.address))
        for row in rows:
            _print_row(console, row)
        print(console.text("device.latency", requests=look.requests, milliseconds=f"{look.latency_ms:.1f}"))
        for found in look.found:
            print(console.text("device.found", what=found.what, instead=found.instead))
    return int(ExitStatus.PARTIAL) if bad or look.found else int(ExitStatus.OK)


def read(
    context: typer.Context,
    profile: ProfileName,
    host: Host,
    points: Points = None,
    unit: UnitId = None,
    nth: Nth = 1,
    timeout: Timeout = None,
    certificates: Certificates = None,
    json: Json = False,
) -> int:
    """Read points of a device once. Ends with status 6 if one of them has no value."""
    from devices.probe import readable_points

    console = cast("Console", context.obj)
    target = target_of(profile, host, unit_id=unit, nth=nth, timeout_s=timeout, certificates=certificates)
    names = known_points(target.profile, points, among=readable_points(target.profile))
    rows = asyncio.run(_read_once(target, names))
    if json:
        print_json({"device": str(target.address), "unit": target.unit_id, "points": rows})
    else:
        for row in rows:
            _print_row(console, row)
    return int(ExitStatus.OK if all(row["quality"] == "good" for row in rows) else ExitStatus.PARTIAL)


async def _read_once(target: Target, names: list[str]) -> list[dict[str, object]]:
    from devices.transport import Access

    async with opened(target, Access.READ_ONLY) as link:
        await link.device.ensure_online()
        await link.device.read_points(names, target.index)
        return [row_of(target.profile, name, link.device.reading(name, target.index)) for name in names]


def watch(
    context: typer.Context,
    profile: ProfileName,
    host: Host,
    points: Points = None,
    unit: UnitId = None,
    nth: Nth = 1,
    every: Annotated[float, typer.Option(help="Seconds between readings.", min=0.05, max=3600.0)] = 1.0,
    count: Annotated[
        int | None, typer.Option(help="End after so many readings; runs until Ctrl-C if not given.", min=1)
    ] = None,
    timeout: Timeout = None,
    certificates: Certificates = None,
    json: Json = False,
) -> int:
    """Read again and again and print what changed; a device that goes is named once, and when it is back.

    With --json each reading is one line. Ends with status 5 if the device was gone at the end.
    """
    from devices.probe import readable_points

    console = cast("Console", context.obj)
    target = target_of(profile, host, unit_id=unit, nth=nth, timeout_s=timeout, certificates=certificates)
    names = known_points(target.profile, points, among=readable_points(target.profile))

    async def run() -> bool:
        from devices.transport import Access

        shown: dict[object, object] = {}
        gone, done = False, 0
        async with opened(target, Access.READ_ONLY) as link:
            while count is None or done < count:
                if done:
                    await asyncio.sleep(every)
                done += 1
                try:
                    await link.device.ensure_online()
                    await link.device.read_points(names, target.index)
                except DeviceError as error:
                    if not gone:
                        console.say(console.text("device.gone", why=error))
                    gone = True
                    continue
                if gone:
                    console.say(console.text("device.back", where=target.address))
                gone = False
                rows = [
                    row_of(target.profile, name, link.device.reading(name, target.index)) for name in names
                ]
                shown = _show_changes(console, rows, shown, json=json)
        return gone

    return int(ExitStatus.DEVICE) if asyncio.run(run()) else int(ExitStatus.OK)


def _show_changes(
    console: Console, rows: list[dict[str, object]], shown: dict[object, object], *, json: bool
) -> dict[object, object]:
    """Print a reading, or what is new in it; what is known afterwards."""
    seen = {row["point"]: (row["raw"], row["quality"]) for row in rows}
    if json:
        from json import dumps

        print(dumps({"points": rows}, ensure_ascii=False), flush=True)
        return dict(seen)
    for row in rows:
        if shown.get(row["point"]) != seen[row["point"]]:
            _print_row(console, row)
    return dict(seen)
