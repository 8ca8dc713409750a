"""``vpp audit``: who did what, and what a figure was made from."""

from __future__ import annotations

import json as jsonlib
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final, cast

import typer

from energy.core.errors import DataError
from vpp.cli.console import Console
from vpp.cli.forecast_site import Json, print_json

if TYPE_CHECKING:
    from energy.store import SqlStore

__all__ = ["app"]

app = typer.Typer(help="Who did what, and what a figure was made from.", no_args_is_help=True)

# Where an id is looked for: subject in the audit trail, and kinds of documents with its content.
PLACES: Final = {
    "plan": ("balancing-plan",),
    "dr": ("dr-event", "dr-settlement"),
    "batch": ("coin-batch", "coin-receipt"),
    "consent": ("consent",),
    "settlement": ("settlement",),
    "delivery": ("plan-delivery",),
    "claim": ("value-claim",),
    "subject": (),
}


@app.callback()
def _group() -> None:
    """Keep ``trace`` a command of its own."""


@app.command()
def trace(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(metavar="ID", help="Plan version, event, batch, consent, or key of a journal entry."),
    ],
    database: Annotated[
        str, typer.Option("--db", envvar="VPP_DB", help="Database: a file or a URL.")
    ] = "vpp.db",
    json: Json = False,
) -> None:
    """Trace a plan, event, batch, consent or journal entry: every act, and what it was made from.

    A settled event names the meter files by their SHA-256, the days of each baseline and the dated
    rules; a batch names its journal entries by their hash; an entry names its event, car, rule and energy.
    """
    from energy.store import open_store

    console = cast("Console", context.obj)
    url = database if "://" in database else f"sqlite:///{database}"
    with open_store(url, read_only=True) as store:
        found = _found(store, name)
    if not found["acts"] and not found["made_from"]:
        raise DataError(
            f"nothing is on record about {name!r}",
            where=database,
            hint="give the id as vpp market plan list, vpp dr event list or vpp consent list show it",
        )
    if json:
        print_json(found)
        return
    for act in cast("list[dict[str, object]]", found["acts"]):
        print(console.text("audit.act", **{key: act[key] for key in ("at", "actor", "act", "subject")}))
        print(f"    {jsonlib.dumps(act['facts'], ensure_ascii=False)}")
    for kind, content in cast("dict[str, object]", found["made_from"]).items():
        print(console.text("audit.made_from", kind=kind))
        print(jsonlib.dumps(content, ensure_ascii=False, indent=1))


def _found(store: SqlStore, name: str) -> dict[str, object]:
    """Acts on a subject, and the newest content of its documents."""
    from energy.ledger import Journal

    snapshot = store.as_of(datetime.fromisoformat("9999-01-01T00:00:00+00:00"))
    acts = [
        {
            "at": record.at.isoformat(),
            "actor": record.actor,
            "act": record.act,
            "subject": record.subject,
            "facts": dict(record.facts),
        }
        for place in PLACES
        for record in store.audit_trail(f"{place}/{name}")
    ]
    made_from: dict[str, object] = {}
    for kinds in PLACES.values():
        for kind in kinds:
            document = snapshot.document(kind, name)
            if document is not None:
                made_from[kind] = jsonlib.loads(document.body)
    entry = Journal(store).find(name)
    if entry is not None:
        made_from["journal-entry"] = {
            "at": entry.at.isoformat(),
            "postings": [[one.account, one.points] for one in entry.postings],
            "memo": entry.memo,
            "facts": dict(entry.facts),
        }
    return {"id": name, "acts": acts, "made_from": made_from}
