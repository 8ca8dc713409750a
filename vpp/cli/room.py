"""``vpp room``: a room learned from its own history, from a file or while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError, DataError, ExitStatus
from vpp.cli.room_show import show
from vpp.console import Console

if TYPE_CHECKING:
    from energy.core.assets import HvacZone
    from energy.core.calendar import SiteCalendar
    from forecasting.room import RoomFit

__all__ = ["app"]

app = typer.Typer(help="Rooms: learn one from its own history.", no_args_is_help=True)
app.command()(show)


@app.callback()
def _room() -> None:
    """Rooms: learn one from its own history."""


@app.command()
def fit(
    context: typer.Context,
    file: Annotated[
        Path, typer.Option(help="time,room_temp_c,outdoor_temp_c,ghi_w_m2,hvac_kw,mode; CSV or Parquet.")
    ],
    zone: Annotated[str, typer.Option(help="Zone of times without an offset, and of people.")] = "Asia/Tokyo",
    stamps: Annotated[
        Literal["start", "end"], typer.Option(help="Whether a time is the start or the end of its step.")
    ] = "start",
    cooling_cop: Annotated[float, typer.Option(help="COP at 35 degC outdoors, from the name plate.")] = 3.3,
    heating_cop: Annotated[float, typer.Option(help="COP at 7 degC outdoors, from the name plate.")] = 3.4,
    site: Annotated[
        str | None, typer.Option(help="Scenario or site file with the room: its calendar and comfort band.")
    ] = None,
    room: Annotated[str | None, typer.Option(help="Id of the room in that site.")] = None,
    write: Annotated[
        Path | None, typer.Option(help="Write the room for the site file (YAML); needs --site and --room.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> int:
    """Learn walls, air conditioner, sun and people of a room; errors are those of days kept away from it."""
    from forecasting.room import Rating, fit_room
    from vpp.ingest.rooms import read_room
    from vpp.ingest.times import zone_named

    console = cast("Console", context.obj)
    known, calendar = _site_room(site, room, write, zone)
    record = read_room(file, zone=zone_named(zone), calendar=calendar, stamps=stamps)
    learned = fit_room(record, rating=Rating(cooling=cooling_cop, heating=heating_cop))
    if json:
        from json import dumps

        print(dumps(_as_json(learned), ensure_ascii=False, indent=1))
    else:
        _show(console, learned)
    if not learned.identified:
        raise DataError(
            "the room cannot be planned with what this file shows",
            where="; ".join(f"{one.name}: {one.why}" for one in learned.not_identified),
            hint="record a week or more in which the unit runs, rests, and the room drifts",
        )
    if write is not None and known is not None:
        write.write_text(_yaml(learned.zone(known)), encoding="utf-8")
        console.say(console.text("room.written", file=str(write), room=known.id))
    return int(ExitStatus.OK)


def _site_room(
    site: str | None, room: str | None, write: Path | None, zone: str
) -> tuple[HvacZone | None, SiteCalendar]:
    """The room of a site if one is named, and on which days its people work."""
    from energy.core.calendar import SiteCalendar

    if site is None:
        if room is not None or write is not None:
            raise ConfigError(
                "a room belongs to a site", where="--room, --write", hint="name the site: --site kitakata"
            )
        return None, SiteCalendar(national_holidays=zone == "Asia/Tokyo")
    from vpp.simulation.scenario import load_scenario

    found = load_scenario(site)[0].site
    rooms = {one.id: one for one in found.zones}
    if room is None or room not in rooms:
        raise ConfigError(
            f"{site} has no room {room}" if room else "which room is it?",
            where=f"its rooms are {', '.join(rooms) or 'none'}",
            hint="name one with --room",
        )
    return rooms[room], found.calendar.calendar()


def _as_json(learned: RoomFit) -> dict[str, object]:
    from dataclasses import asdict

    errors = learned.errors

    def known(value: float | None) -> float | None:
        return None if value is None or value != value else round(value, 4)

    return {
        "parameters": {
            name: {"value": one.value, "low": one.low, "high": one.high, "unit": one.unit}
            for name, one in learned.parameters.items()
        },
        "identifiable": learned.identified,
        "not_identified": [asdict(one) for one in learned.not_identified],
        "rmse_1h_c": known(errors.rmse_1h_c if errors else None),
        "rmse_24h_c": known(errors.rmse_24h_c if errors else None),
        "rmse_24h_persistence_c": known(errors.rmse_24h_persistence_c if errors else None),
        "days_used": learned.days_used,
        "days_held_out": learned.days_held_out,
        "model": learned.kind or None,
        "interval_level": 0.9,
        "gains_kw_by_hour": learned.gains_kw,
        "odd_days": len(learned.odd_days),
        "set_aside": learned.set_aside,
    }


def _show(console: Console, learned: RoomFit) -> None:
    """Parameters with their intervals, then the errors, then what is not known."""
    for name, one in learned.parameters.items():
        print(f"{name:28s} {one.value:9.3f}  ({one.low:.3f} .. {one.high:.3f}) {one.unit}")
    errors = learned.errors
    if errors is not None and errors.forecasts:
        print(
            console.text(
                "room.errors",
                hour=f"{errors.rmse_1h_c:.2f}",
                day=f"{errors.rmse_24h_c:.2f}",
                stays=f"{errors.rmse_24h_persistence_c:.2f}",
                used=learned.days_used,
                apart=learned.days_held_out,
            )
        )
    for missing in learned.not_identified:
        print(console.text("room.unknown", name=missing.name, why=missing.why))
    for what, count in learned.set_aside.items():
        print(console.text("room.set_aside", what=what, count=count))


def _yaml(zone: HvacZone) -> str:
    """A room as it stands in a site file."""
    import yaml
    from pydantic import TypeAdapter

    from energy.core.assets import HvacZone as Zone

    document = TypeAdapter(Zone).dump_python(zone, mode="json")
    return yaml.safe_dump([_rounded(document)], allow_unicode=True, sort_keys=False)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list) else value
