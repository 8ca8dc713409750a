"""``vpp consent enrol``, ``export``, ``erase``: people, what is on record about them, and forgetting them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError
from vpp.cli.forecast_site import Json, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from energy.store import SqlStore

__all__ = ["enrol", "erase", "export"]

Database = Annotated[
    str, typer.Option("--db", envvar="VPP_DB", help="Database with the people: a file or a URL.")
]
Subject = Annotated[str, typer.Argument(help="Id of a person, a site or a driver.")]
Folders = Annotated[
    list[str] | None,
    typer.Option("--series", help="Folder of series that are theirs, such as factory/commuter/; repeatable."),
]
Actor = Annotated[str, typer.Option(help="Who does it, for the audit trail.")]
DEFAULT_DATABASE = "vpp.db"


def _open(database: str, *, read_only: bool = False) -> SqlStore:
    from energy.store import open_store

    return open_store(database if "://" in database else f"sqlite:///{database}", read_only=read_only)


def enrol(
    context: typer.Context,
    name: Annotated[str, typer.Option(help="Name, as the person writes it.")],
    *,
    contact: Annotated[str, typer.Option(help="Address, telephone or mail.")] = "",
    statement: Annotated[
        Literal["paper", "app"], typer.Option(help="How they want their statement of points.")
    ] = "paper",
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Take a person in and draw an id by lot. Everything else knows only the id, never the name.

    Use the id as subject of consents and as person in claims. No smartphone is needed.
    """
    from pydantic import ValidationError

    from energy.core.clock import SystemClock
    from energy.ledger.persons import PersonRegister

    console = cast("Console", context.obj)
    with _open(database) as store:
        try:
            person = PersonRegister(store).enrol(
                name=name, contact=contact, statement=statement, at=SystemClock().now(), actor=actor
            )
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            raise ConfigError(
                "this is no person",
                where=f"{fault['loc'][0]}: {fault['msg']}",
                hint="a name has 1 to 200 letters",
            ) from None
    if json:
        print_json({"id": person.id, "statement": person.statement})
    else:
        print(console.text("consent.enrolled", person=person.id))


def export(
    context: typer.Context,
    subject: Subject,
    *,
    folders: Folders = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write; stdout if none.")
    ] = None,
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Hand out everything on record about a person: name, consents, points, events, measured values, acts."""
    from json import dumps

    from energy.core.clock import SystemClock
    from vpp.privacy import export_person
    from vpp.wholefile import whole_file

    console = cast("Console", context.obj)
    with _open(database, read_only=True) as store:
        found = export_person(store, subject, folders=folders or [], at=SystemClock().now())
    if output is None:
        print_json(found)
        return
    with whole_file(output, encoding="utf-8") as file:
        file.write(dumps(found, ensure_ascii=False, indent=1) + "\n")
    print(console.text("plans.written", path=output))


def erase(
    context: typer.Context,
    subject: Subject,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Really erase; it cannot be taken back.")] = False,
    folders: Folders = None,
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Erase a person: name and measured values go, every consent is withdrawn.

    Meter files kept beside the person's bills go as well, unless another's settlement rests on them too.
    Grants, settled figures and the audit trail stay, as settlement law asks; they hold an id that says
    nothing, and the journal still proves whole. Refused while an event that calls the person is not settled.
    Copies made before, such as backups, are not reached.
    """
    from energy.core.clock import SystemClock
    from vpp.privacy import erase_person

    console = cast("Console", context.obj)
    if not yes:
        raise ConfigError(
            f"{subject} was not erased",
            where="it cannot be taken back",
            hint=f"look at vpp consent export {subject} first, then add --yes",
        )
    with _open(database) as store:
        done = erase_person(store, subject, folders=folders or [], at=SystemClock().now(), actor=actor)
    if json:
        print_json(
            {
                "subject": subject,
                "values": done.deleted.points,
                "documents": done.deleted.documents,
                "meter_files": done.files,
                "meter_files_shared": done.shared_files,
                "series": list(done.deleted.series),
                "consents_withdrawn": list(done.withdrawn),
                "journal_entries_kept": done.kept_entries,
                "done_before": done.done_before,
            }
        )
        return
    print(
        console.text(
            "consent.erased",
            subject=subject,
            values=f"{done.deleted.points:,}",
            consents=len(done.withdrawn),
            files=done.files,
            kept=done.kept_entries,
            shared=done.shared_files,
        )
    )
