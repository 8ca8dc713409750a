"""``vpp cars``: files of charging sessions checked, and the drivers of a car park forecast from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError, ExitStatus
from vpp.console import Console

if TYPE_CHECKING:
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from forecasting.session_fleet import ParkForecast
    from forecasting.session_model import VisitForecast
    from vpp.ingest.sessions import SessionFile

__all__ = ["app"]

app = typer.Typer(help="Charging sessions: check files, forecast drivers.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="Sessions, CSV or Parquet, one row per stay at a plug.")]
MappingFile = Annotated[Path, typer.Option("--mapping", help="YAML that says what the columns mean.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave rows out that cannot be read.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def check(
    context: typer.Context, file: File, mapping: MappingFile, skip_bad: SkipBad = False, json: Json = False
) -> int:
    """Read a file of sessions and say what can be used, what was mended and what was refused."""
    console = cast("Console", context.obj)
    found = _read(file, mapping, skip_bad)
    if json:
        from json import dumps

        print(dumps(found.as_json(), ensure_ascii=False, indent=1))
    else:
        report = found.as_json()
        print(console.text("cars.read", **{key: report[key] for key in _COUNTS}))
        for kind in ("refused", "mended"):
            for reason, count in cast("dict[str, int]", report[kind]).items():
                words = console.text(f"cars.reason_{reason.replace('-', '_')}")
                print(console.text(f"cars.{kind}", count=count, reason=words))
        for row in found.rejected[:5]:
            print(console.text("cars.rejected", line=row.line, column=row.column, reason=row.reason))
    return int(ExitStatus.PARTIAL) if found.rejected else int(ExitStatus.OK)


_COUNTS = ("file", "rows_read", "sessions", "users", "rows_rejected", "years_mended", "time_zone")


@app.command()
def forecast(
    context: typer.Context,
    file: File,
    mapping: MappingFile,
    day: Annotated[str, typer.Option(help="Local day to forecast, YYYY-MM-DD.")],
    issued: Annotated[
        str | None, typer.Option(help="Local time of the forecast; noon of the day before unless given.")
    ] = None,
    zone: Annotated[str, typer.Option(help="Zone of the local days.")] = "Asia/Tokyo",
    closed: Annotated[
        list[str] | None, typer.Option(help="A day on which the site rests, YYYY-MM-DD; may be repeated.")
    ] = None,
    holidays: Annotated[
        Literal["JP", "none"], typer.Option(help="National holidays on which the site rests.")
    ] = "JP",
    chargers: Annotated[
        int | None, typer.Option(help="Number of plugs; those in the file unless given.")
    ] = None,
    skip_bad: SkipBad = False,
    json: Json = False,
) -> None:
    """Forecast the drivers of a car park: whether they come, when, and with how much energy to charge.

    Only what was known at the time of the forecast is used, so a past day is a fair test.
    """
    from datetime import date, datetime, time, timedelta

    from energy.core.calendar import SiteCalendar
    from forecasting.session_fleet import park_forecast
    from forecasting.session_model import SessionModel
    from forecasting.sessions import known_sessions
    from vpp.ingest.times import zone_named

    console, local = cast("Console", context.obj), zone_named(zone)
    try:
        target = date.fromisoformat(day)
        rests = frozenset(date.fromisoformat(one) for one in closed or ())
        wall = datetime.fromisoformat(issued) if issued else None
    except ValueError as error:
        raise ConfigError(
            f"not a day or a time: {error}", where="--day, --closed, --issued", hint="2026-06-02"
        ) from None
    if wall is None:
        wall = datetime.combine(target - timedelta(days=1), time(12))
    made = wall if wall.tzinfo else wall.replace(tzinfo=local)
    sessions = _read(file, mapping, skip_bad).sessions
    model = SessionModel(SiteCalendar(national_holidays=holidays == "JP", closed=rests), zone=local)
    fitted = model.fit(known_sessions(sessions, made), issued_at=made)
    drivers = fitted.predict(target)
    plugs = chargers or len(
        {one.charger for one in sessions if one.charger} or {one.user for one in sessions}
    )
    park = park_forecast(fitted, target, chargers=plugs)
    if json:
        from json import dumps

        print(dumps(_as_json(target, fitted.issued_at, drivers, park), ensure_ascii=False, indent=1))
    else:
        _show(console, drivers, park, local)


def _read(file: Path, mapping: Path, skip_bad: bool) -> SessionFile:
    from vpp.config import read_yaml
    from vpp.ingest.sessions import parse_session_mapping, read_sessions

    return read_sessions(
        file, parse_session_mapping(read_yaml(mapping, dict[str, object])), skip_bad=skip_bad
    )


def _as_json(
    day: date, issued_at: datetime, drivers: tuple[VisitForecast, ...], park: ParkForecast
) -> dict[str, object]:
    from dataclasses import asdict

    def band(name: str) -> dict[str, list[float]]:
        one = getattr(park, name)
        return {level: [round(float(x), 2) for x in getattr(one, level)] for level in ("p10", "p50", "p90")}

    return {
        "day": day.isoformat(),
        "issued_at": issued_at.isoformat(),
        "start": park.plugged.grid.start.isoformat(),
        "drivers": [
            {
                "user": one.user,
                "method": one.method,
                "probability": round(one.probability, 4),
                "arrives_min": asdict(one.arrives_min),
                "departs_min": asdict(one.departs_min),
                "energy_kwh": asdict(one.energy_kwh),
                "plugged": [round(chance, 4) for chance in one.plugged],
            }
            for one in drivers
        ],
        "park": {
            "plugged": band("plugged"),
            "arriving_kwh": band("arriving_kwh"),
            "day_kwh": asdict(park.day_kwh),
        },
    }


def _show(console: Console, drivers: tuple[VisitForecast, ...], park: ParkForecast, zone: ZoneInfo) -> None:
    """The likeliest drivers first, then the park."""

    def clock(minute: float) -> str:
        return f"{int(minute) // 60 % 24:02d}:{int(minute) % 60:02d}"

    for one in sorted(drivers, key=lambda driver: -driver.probability):
        print(
            console.text(
                "cars.driver",
                user=one.user,
                percent=f"{100 * one.probability:.0f}",
                arrives=clock(one.arrives_min.p50),
                early=clock(one.departs_min.p10),
                departs=clock(one.departs_min.p50),
                usual=f"{one.energy_kwh.p50:.1f}",
                much=f"{one.energy_kwh.p90:.1f}",
                method=console.text(f"cars.method_{one.method.replace('-', '_')}"),
            )
        )
    fullest = int(park.plugged.p50.argmax())
    print(
        console.text(
            "cars.park",
            at=f"{park.plugged.grid.time(fullest).astimezone(zone):%H:%M}",
            low=f"{park.plugged.p10[fullest]:.0f}",
            usual=f"{park.plugged.p50[fullest]:.0f}",
            high=f"{park.plugged.p90[fullest]:.0f}",
            kwh_low=f"{park.day_kwh.p10:.0f}",
            kwh=f"{park.day_kwh.p50:.0f}",
            kwh_high=f"{park.day_kwh.p90:.0f}",
        )
    )
