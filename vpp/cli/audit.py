"""``vpp audit``: who did what, and what a figure was made from."""

from __future__ import annotations

import json as jsonlib
import re
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, cast

import typer

from energy.core.errors import DataError
from vpp.cli.forecast_site import Json, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from energy.store import SqlStore

__all__ = ["app"]

app = typer.Typer(help="Who did what, and what a figure was made from.", no_args_is_help=True)

_VERSION: Final = re.compile(r"/v\d+$")
# Where an id is looked for: subject in the audit trail, and kinds of documents with its content.
PLACES: Final = {
    "plan": ("balancing-plan",),
    "dr": ("dr-event", "dr-settlement"),
    "batch": ("coin-batch", "coin-receipt"),
    "consent": ("consent",),
    "settlement": ("settlement",),
    "delivery": ("plan-delivery",),
    "claim": ("value-claim",),
    "openadr": ("openadr-telemetry",),
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
        typer.Argument(metavar="ID", help="Plan version, settlement, event, batch, consent, journal entry."),
    ],
    *,
    figure: Annotated[
        str | None, typer.Option(help="Only this figure of a settlement, such as total_yen.")
    ] = None,
    files: Annotated[
        Path | None, typer.Option(help="Folder: write the files there that a settlement was made from.")
    ] = None,
    database: Annotated[
        str, typer.Option("--db", envvar="VPP_DB", help="Database: a file or a URL.")
    ] = "vpp.db",
    json: Json = False,
) -> None:
    """Trace a plan, settlement, event, batch, consent or journal entry: every act, and what made it.

    A settlement (bill/SITE/MONTH, imbalance/GROUP/PERIOD, ppa/PLACE/MONTH, month/SITE/MONTH; with /vN that
    version) tells for every figure its formula, its dated rules and its readings; --files writes the files
    it was made from, to settle them again. What was refused stands among the acts.

    A settled event names the meter files by their SHA-256, the days of each baseline and the dated rules; a
    batch names its journal entries by their hash; an entry names its event, car, rule and energy.
    """
    from energy.store import open_store

    console = cast("Console", context.obj)
    url = database if "://" in database else f"sqlite:///{database}"
    with open_store(url, read_only=True) as store:
        found = _found(store, name)
        settled = _settlement(store, name)
        if settled is not None:
            found["made_from"] = {"settlement": _narrowed(settled, figure)}
            if files is not None:
                _write_files(console, store, settled, files)
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
        if kind == "settlement":
            _show_settlement(console, cast("dict[str, Any]", content))
            continue
        print(console.text("audit.made_from", kind=kind))
        print(jsonlib.dumps(content, ensure_ascii=False, indent=1))


def _settlement(store: SqlStore, name: str) -> dict[str, Any] | None:
    from vpp.settlement.record import SettlementBook

    return SettlementBook(store).find(name)


def _narrowed(settled: dict[str, Any], figure: str | None) -> dict[str, Any]:
    """A settlement, or one figure of it with the rules that entered it."""
    if figure is None:
        return settled
    trace = settled["trace"]
    if figure not in trace:
        raise DataError(
            f"{settled['id']} has no figure {figure!r}",
            where=f"it has {', '.join(list(trace)[:12])}{', ...' if len(trace) > 12 else ''}",
            hint="leave --figure out to see them all",
        )
    named = set(trace[figure]["rules"])
    rules = [
        fact for fact in settled["rules"] if fact["rule"] in named or fact["rule"].split(".")[0] in named
    ]
    return settled | {"trace": {figure: trace[figure]}, "rules": rules}


def _write_files(console: Console, store: SqlStore, settled: dict[str, Any], folder: Path) -> None:
    """The files as they were read, under their names."""
    from vpp.settlement.record import SettlementBook
    from vpp.wholefile import whole_bytes

    for one in settled["evidence"]:
        text = SettlementBook(store).evidence(one["sha256"])
        if text is None:
            console.say(console.text("audit.erased_file", name=one["name"], sha256=one["sha256"][:12]))
            continue
        path = folder / f"{one['role']}-{one['name']}"
        whole_bytes(path, text.encode())
        console.say(console.text("plans.written", path=path))


def _show_settlement(console: Console, settled: dict[str, Any]) -> None:
    """Figures with formula, rules and readings; then rules, files, and what changed."""
    print(console.text("audit.version", id=settled["id"]))
    for why in settled["because"]:
        print("  " + console.text("audit.changed", what=why))
    for note in settled["notes"]:
        print("  " + console.text("audit.note", what=note))
    for name, one in settled["trace"].items():
        value = settled["figures"].get(name)
        print(f"  {name}: {one['how']}" if value is None else f"  {name} = {value}: {one['how']}")
        for what, told in (("rules", one["rules"]), ("readings", one["readings"])):
            if told:
                print("      " + console.text(f"audit.{what}", what="; ".join(told)))
    for fact in settled["rules"]:
        status = console.text(f"rules.{fact['status']}")
        unit = "" if fact["unit"] == "1" else f" {fact['unit']}"
        dates = f"{fact['valid_from']}..{fact['valid_to'] or ''}"
        print(f"  {fact['rule']} = {fact['value']}{unit} ({dates}; {status}: {fact['source']})")
    for one in settled["evidence"]:
        print(
            "  "
            + console.text(
                "audit.file", role=one["role"], name=one["name"], rows=one["rows"], hash=one["sha256"]
            )
        )


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
        for record in store.audit_trail(
            f"{place}/{_VERSION.sub('', name) if place == 'settlement' else name}"
        )
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
