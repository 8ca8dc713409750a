"""``vpp forecast backtest``: the past forecast again, day by day, on any file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from vpp.console import Console

if TYPE_CHECKING:
    from vpp.backtest.case import Case, CaseWeather
    from vpp.backtest.run import CaseResult

__all__ = ["backtest"]

File = Annotated[Path, typer.Option(help="CSV (any separator, UTF-8 or CP932, .gz) or Parquet.")]
Value = Annotated[str, typer.Option(help="Column of the series.")]
First = Annotated[str, typer.Option("--from", help="First day that is scored.")]
Last = Annotated[str, typer.Option("--to", help="Last day that is scored.")]
Time = Annotated[str | None, typer.Option(help="Column of times, or two: DATE,TIME.")]
Kind = Annotated[Literal["load", "pv"], typer.Option(help="What the series is.")]
Zone = Annotated[
    str, typer.Option("--tz", help="Zone of times without an offset (UTC+9 too); makes the days.")
]
Minutes = Annotated[Literal["15", "30", "60"], typer.Option(help="Length of a slot.")]
Issue = Annotated[str, typer.Option(help="When a forecast is made, the day before, standard time; to 24:00.")]
Weather = Annotated[
    str | None, typer.Option(help="Columns of weather, with commas; COLUMN=name says what one is.")
]
Known = Annotated[
    Literal["forecast", "none", "perfect"] | None,
    typer.Option(
        help="forecast: known at the issue. none: measured. perfect: measured, used as forecast: a bound."
    ),
]
Issued = Annotated[str | None, typer.Option(help="Column of the times at which the weather was forecast.")]
Form = Annotated[
    Literal["columns", "gefcom"], typer.Option(help="gefcom: ECMWF fields summed up since 00 UTC.")
]
Holidays = Annotated[str, typer.Option(help="Country of holidays (JP, AU, ...) or none.")]
Region = Annotated[str | None, typer.Option(help="Province or state of the holidays.")]
Capacity = Annotated[float | None, typer.Option(help="Nameplate of a PV plant, contract power of a load.")]
Latitude = Annotated[float | None, typer.Option(help="Degrees north, for PV.")]
Longitude = Annotated[float | None, typer.Option(help="Degrees east, for PV.")]
Stamps = Annotated[Literal["start", "end"], typer.Option(help="What a time stands for in its interval.")]
Format = Annotated[str | None, typer.Option(help="Format of the times, for instance %d/%m/%Y %H:%M.")]
Factor = Annotated[float, typer.Option(help="Factor on the values.")]
Negative = Annotated[Literal["refuse", "missing", "zero"], typer.Option(help="What a negative value means.")]
Where = Annotated[str | None, typer.Option(help="COLUMN=VALUE: only these rows.")]
RowsFrom = Annotated[
    str | None,
    typer.Option(help="Start of the first row, if the times cannot be used (with --step-minutes)."),
]
Step = Annotated[int | None, typer.Option(help="Interval of the file; found out if none.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def backtest(
    context: typer.Context,
    file: File,
    value: Value,
    first: First,
    last: Last,
    *,
    time: Time = None,
    kind: Kind = "load",
    zone: Zone = "Asia/Tokyo",
    slot_minutes: Minutes = "30",
    issue: Issue = "12:00",
    weather: Weather = None,
    weather_known: Known = None,
    weather_issued: Issued = None,
    weather_form: Form = "columns",
    holidays: Holidays = "none",
    region: Region = None,
    capacity: Capacity = None,
    latitude: Latitude = None,
    longitude: Longitude = None,
    time_stamps: Stamps = "start",
    time_format: Format = None,
    unit_factor: Factor = 1.0,
    negative: Negative = "refuse",
    where: Where = None,
    rows_from: RowsFrom = None,
    step_minutes: Step = None,
    json: Json = False,
) -> None:
    """Forecast every day of a window again, as it stood the day before, and score it.

    Beside our model (vpp) stand persistence and the mean of four same weekdays. Nothing from after an issue
    is used; weather of the day itself only if it was a forecast, or as a bound that every line admits.
    """
    from vpp.backtest.run import our_model, rules_of_thumb, run_case

    spec: dict[str, object] = {"file": file, "time": time, "value": value, "first": first, "last": last}
    spec |= {"kind": kind, "zone": zone, "slot_minutes": int(slot_minutes), "issue": issue}
    spec |= {"weather": _weather(weather, weather_known, weather_issued, weather_form)}
    spec |= {"holidays": holidays, "region": region, "capacity": capacity}
    spec |= {"latitude": latitude, "longitude": longitude, "time_stamps": time_stamps}
    spec |= {"time_format": time_format, "unit_factor": unit_factor, "negative": negative}
    spec |= {"where": None if where is None else where.partition("=")[::2]}
    spec |= {"rows_from": rows_from, "step_minutes": step_minutes}
    result = run_case(file.name, _case(spec), {**rules_of_thumb(kind), "vpp": our_model()})
    if json:
        from json import dumps

        print(dumps(result.as_json(), ensure_ascii=False, indent=1))
        return
    _show(cast("Console", context.obj), result)


def _case(spec: dict[str, object]) -> Case:
    """The case that the options mean; the first that cannot be is named."""
    from pydantic import TypeAdapter, ValidationError

    from energy.core.errors import ConfigError
    from vpp.backtest.case import Case

    try:
        return TypeAdapter(Case).validate_python(spec)
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        option = str(fault["loc"][0]) if fault["loc"] else ""
        named = {"first": "from", "last": "to", "zone": "tz"}.get(option, option.replace("_", "-"))
        raise ConfigError(
            f"--{named} cannot be used: {fault['msg']}",
            where=f"{fault['input']!r}"[:80],
            hint="vpp forecast backtest --help; a day is written 2026-04-01",
        ) from None


def _weather(columns: str | None, known: str | None, issued: str | None, form: str) -> CaseWeather | None:
    """Weather of a case from the options; what the columns are must be said, never assumed."""
    from energy.core.errors import ConfigError

    if columns is None and form == "columns":
        if known is not None or issued is not None:
            raise ConfigError("no columns of weather are named", where="--weather", hint="--weather TEMP,GHI")
        return None
    if known is None:
        raise ConfigError(
            "the weather may be forecast or measured: nothing in the file says which",
            where="--weather-known",
            hint="forecast (known at the issue), none (measured), or perfect (measured, as a bound)",
        )
    from vpp.backtest.case import CaseWeather, weather_column

    named = [one.strip() for one in (columns or "").split(",") if one.strip()]
    return CaseWeather(
        columns={one.partition("=")[0].strip(): weather_column(one) for one in named},
        known=known,  # type: ignore[arg-type] # the command line has checked the choice
        issued=issued,
        form=form,  # type: ignore[arg-type]
    )


def _show(console: Console, result: CaseResult) -> None:
    """Sentence first, then a table."""
    from vpp.cli.forecast_bench import table_lines

    found = result.as_json()
    split = cast("dict[str, object]", found["split"])
    print(
        console.text(
            "backtest.case",
            case=result.name,
            days=len(result.built.rows),
            first=split["from"],
            last=split["to"],
            missing=found["missing"],
            issue=result.case.issue,
            zone=result.case.zone,
        )
    )
    if result.case.bound:
        print(console.text("backtest.bound"))
    print(console.text("backtest.scale_pv" if result.case.kind == "pv" else "backtest.scale_load"))
    for line in table_lines(console, cast("list[dict[str, object]]", found["models"])):
        print(line)
