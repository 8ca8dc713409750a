"""What the forecast commands share: which site, which database, how an instant is written."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from energy.core.errors import ConfigError
from vpp.console import DEFAULT_STATE, newest_database

if TYPE_CHECKING:
    from energy.core.site import Site
    from energy.store import SqlStore

__all__ = [
    "DEFAULT_STATE",
    "END_OF_TIME",
    "Controller",
    "Database",
    "Json",
    "SiteName",
    "State",
    "instant",
    "open_site",
    "print_json",
]

DEFAULT_SITE = "kitakata"
END_OF_TIME = datetime.fromisoformat("9999-01-01T00:00:00+00:00")

SiteName = Annotated[str, typer.Option("--site", help="Scenario with the site: name, folder or YAML file.")]
Database = Annotated[
    str | None,
    typer.Option("--db", envvar="VPP_DB", help="Database of the site; that of a simulation if none."),
]
State = Annotated[Path, typer.Option(help="Folder of a simulation.")]
Controller = Annotated[str, typer.Option(help="Whose simulated run: rules, optimal-p50 or optimal.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def open_site(
    name: str, database: str | None, state: Path, controller: str, *, write: bool = False
) -> tuple[Site, SqlStore]:
    """The site of a scenario and the database that knows it.

    Raises
    ------
    ConfigError
        If there is no such scenario or database.
    """
    from energy.store import open_store
    from vpp.simulation.scenario import load_scenario

    site = load_scenario(name)[0].site
    if database is None:
        url = f"sqlite:///{newest_database(state, controller)}"
    elif "://" in database:
        url = database
    else:
        if not Path(database).is_file():
            raise ConfigError("no such database", where=database, hint="vpp data import makes one")
        url = f"sqlite:///{database}"
    return site, open_store(url, read_only=not write)


def instant(text: str, option: str) -> datetime:
    """An instant as a person writes it, Japan's time unless it says otherwise; a day is its midnight.

    Raises
    ------
    ConfigError
        If it is none.
    """
    from energy.core.slots import parse_jst

    try:
        return parse_jst(text if len(text.strip()) > 10 else f"{text.strip()} 00:00")
    except ValueError:
        raise ConfigError(
            f"{text!r} is not an instant", where=option, hint="write it like 2026-08-05T12:00 or 2026-08-05"
        ) from None


def print_json(document: object) -> None:
    """One document on stdout."""
    from json import dumps

    print(dumps(document, ensure_ascii=False, indent=1))
