"""``vpp db``: copies of the database, proved and brought back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, open_named
from vpp.console import Console

if TYPE_CHECKING:
    from vpp.ops.backup import Manifest

__all__ = ["app"]

app = typer.Typer(help="The database: copied while it runs, proved, brought back.", no_args_is_help=True)

Database = Annotated[str, typer.Option("--db", envvar="VPP_DB", help="Database: a file or a URL.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="The backup; its manifest stands beside it.")]
Scratch = Annotated[
    str,
    typer.Option(envvar="VPP_DB_SCRATCH", help="PostgreSQL that may make a database, to prove its dumps."),
]


def _address(database: str) -> str:
    return database if "://" in database else f"sqlite:///{database}"


@app.command()
def backup(
    context: typer.Context,
    file: File,
    *,
    database: Database = DEFAULT_DATABASE,
    scratch: Scratch = "",
    rotate: Annotated[
        bool, typer.Option("--rotate", help="FILE is a folder: dated name, old backups go by the rule.")
    ] = False,
    json: Json = False,
) -> None:
    """Copy the database while it is written to, restore the copy in a place of its own, and compare.

    With --rotate the last backup of each of 7 days, 5 weeks and 12 months stays, the others go.
    """
    from energy.core.clock import SystemClock
    from vpp.ops.backup import back_up, dated_backup, manifest_of, note

    console, clock, address = cast("Console", context.obj), SystemClock(), _address(database)
    if rotate:
        with open_named(database) as store:
            file, dropped = dated_backup(store, address, file, clock=clock, scratch=scratch)
        for old in dropped:
            console.say(console.text("db.dropped", file=old.name))
        manifest = manifest_of(file)
    else:
        manifest = back_up(address, file, clock=clock, scratch=scratch)
        with open_named(database) as store:
            note(store, manifest, file, at=clock.now())
    _told(console, "db.made", file, manifest, json=json)
    if manifest.kind == "postgresql" and not scratch:
        console.say(console.text("db.not_proved"))


@app.command()
def verify(context: typer.Context, file: File, scratch: Scratch = "", json: Json = False) -> None:
    """Restore a backup in a place of its own: file, tables, every row count and the journal's chain."""
    from vpp.ops.backup import verify as prove

    _told(cast("Console", context.obj), "db.proved", file, prove(file, scratch=scratch), json=json)


@app.command()
def restore(
    context: typer.Context, file: File, *, database: Database = DEFAULT_DATABASE, json: Json = False
) -> None:
    """Make a database of a backup. One that exists is never overwritten: move it away first."""
    from vpp.ops.backup import restore as bring_back

    manifest = bring_back(file, _address(database))
    _told(cast("Console", context.obj), "db.restored", file, manifest, json=json)


def _told(console: Console, key: str, file: Path, manifest: Manifest, *, json: bool) -> None:
    if json:
        print_json({"file": str(file), **manifest.to_json()})
        return
    print(
        console.text(
            key,
            file=file.name,
            points=f"{manifest.rows.get('point', 0):,}",
            entries=f"{manifest.journal_entries:,}",
            mb=f"{manifest.size / 1e6:.1f}",
            head=manifest.journal_head[:12],
        )
    )
