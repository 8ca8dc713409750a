"""``vpp data``: files in, gaps, files out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, cast

import typer

from energy.core.errors import ConfigError, ExitStatus
from vpp.console import Console

__all__ = ["app"]

app = typer.Typer(help="Import files, list gaps, export series.", no_args_is_help=True)

Database = Annotated[
    str,
    typer.Option("--db", envvar="VPP_DB", help="Database: a file, or a URL such as postgresql+psycopg://…"),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
DEFAULT_DATABASE = "vpp.db"


def _url(database: str) -> str:
    return database if "://" in database else f"sqlite:///{database}"


@app.command("import")
def import_(
    context: typer.Context,
    files: Annotated[list[Path], typer.Argument(help="Files, all of the same kind.")],
    kind: Annotated[str, typer.Option(help="jepx-spot, area-demand, meter, table or weather.")],
    mapping: Annotated[
        Path | None,
        typer.Option(help="YAML that says what the columns mean; needed for meter, table and weather."),
    ] = None,
    database: Database = DEFAULT_DATABASE,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave bad rows out and write them to a reject file.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Let a file that was imported before win over later corrections.")
    ] = False,
    json: Json = False,
) -> int:
    """Import files: each one whole or not at all. Importing a file twice changes nothing.

    A meter file has the columns timestamp,kwh, stamped by the end of the half hour:

        timestamp,kwh
        2026-11-30 23:30,41.2
        2026-11-30 24:00,40.8
    """
    from energy.core.clock import SystemClock
    from energy.store import open_store
    from vpp.ingest import ImportKind, import_file, parse_mapping

    console = cast("Console", context.obj)
    try:
        chosen = ImportKind(kind)
    except ValueError:
        known = ", ".join(one.value for one in ImportKind)
        raise ConfigError(f"no kind {kind!r}", where="--kind", hint=f"choose from {known}") from None
    settings = parse_mapping(chosen, _settings(mapping, chosen))
    store = open_store(_url(database))
    rejected = 0
    try:
        reports = []
        for file in files:
            report = import_file(
                file,
                chosen,
                store=store,
                known_at=SystemClock().now(),
                mapping=settings,
                skip_bad=skip_bad,
                again=again,
            )
            rejected += report.rows_rejected
            reports.append(report)
            if not json:
                _tell(console, report)
    finally:
        store.close()
    if json:
        from json import dumps

        print(dumps([report.as_json() for report in reports], ensure_ascii=False, indent=1))
    return int(ExitStatus.PARTIAL) if rejected else int(ExitStatus.OK)


def _settings(path: Path | None, kind: object) -> dict[str, object] | None:
    """Settings of a mapping file; its ``kind``, if it names one, must be the one asked for."""
    if path is None:
        return None
    from vpp.config import read_yaml

    settings = dict(read_yaml(path, dict[str, object]))
    named = settings.pop("kind", kind)
    if named != kind:
        raise ConfigError(
            f"the mapping is for {named}, not for {kind}",
            where=str(path),
            hint="give the kind of the mapping",
        )
    return settings


def _tell(console: Console, report: object) -> None:
    from vpp.i18n import Messages
    from vpp.ingest import ImportReport

    assert isinstance(report, ImportReport)
    words = Messages(console.lang)
    facts = asdict(report)
    print(
        console.text(
            "cli.imported",
            **{name: facts[name] for name in ("file", "rows_read", "rows_blank", "duplicates", "written")},
            **{name: facts[name] for name in ("corrected", "unchanged", "unit", "time_zone")},
            gaps=len(report.gaps),
            first=words.moment(report.first),
            last=words.moment(report.last),
        )
    )
    for start, end in report.gaps[:5]:
        print(
            console.text(
                "cli.gap", series=", ".join(report.series), first=words.moment(start), last=words.moment(end)
            )
        )
    if report.reject_file is not None:
        print(console.text("cli.rejected", rows=report.rows_rejected, path=report.reject_file))


@app.command()
def gaps(
    context: typer.Context,
    series: Annotated[
        list[str] | None, typer.Argument(help="Names of series; all that are stored if none.")
    ] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """List what is missing in stored series."""
    from energy.core.clock import SystemClock
    from energy.core.units import SeriesId
    from energy.store import open_store
    from vpp.i18n import Messages
    from vpp.ingest import series_gaps

    console = cast("Console", context.obj)
    store = open_store(_url(database), read_only=True)
    try:
        known = store.as_of(SystemClock().now())
        names = [SeriesId(name) for name in series] if series else known.ids()
        found = series_gaps(known, names)
    finally:
        store.close()
    if json:
        from json import dumps

        print(dumps([asdict(gap) for gap in found], ensure_ascii=False, indent=1, default=str))
        return
    words = Messages(console.lang)
    for gap in found:
        print(
            console.text(
                "cli.gap", series=gap.series, first=words.moment(gap.start), last=words.moment(gap.end)
            )
        )
    print(console.text("cli.gaps_total", series=len(names), gaps=len(found)))


@app.command()
def export(
    context: typer.Context,
    series: Annotated[list[str], typer.Argument(help="Names of series.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV file to write.")],
    start: Annotated[
        str | None, typer.Option("--from", help="First instant, Japan; the first stored if none.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", help="End, Japan; the last stored if none.")] = None,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Write series to a CSV file that spreadsheets open: UTF-8 with byte-order mark, times with offset."""
    from energy.core.clock import SystemClock
    from energy.core.series import Grid
    from energy.core.slots import parse_jst
    from energy.core.units import SeriesId
    from energy.store import open_store
    from vpp.ingest import export_series, native_grid

    console = cast("Console", context.obj)
    store = open_store(_url(database), read_only=True)
    try:
        known = store.as_of(SystemClock().now())
        names = [SeriesId(name) for name in series]
        grid = native_grid(known, names[0])
        try:
            first = parse_jst(start) if start else grid.start
            last = parse_jst(end) if end else grid.end
        except ValueError as error:
            raise ConfigError(
                f"not an instant: {error}", where="--from/--to", hint="2026-08-03T00:00"
            ) from None
        report = export_series(known, names, Grid.between(first, last, grid.step), output)
    finally:
        store.close()
    print(console.text("cli.exported", rows=report.rows, missing=report.missing, path=report.path))
