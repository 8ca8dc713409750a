"""``vpp jobs``: what a service does again and again, what came of it, and a run now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, open_named
from vpp.console import Console

if TYPE_CHECKING:
    from energy.store import JobRunRow, SqlStore
    from vpp.i18n import Messages
    from vpp.jobs.board import Card
    from vpp.jobs.book import RunBook

__all__ = ["app"]

app = typer.Typer(help="Jobs: what runs by itself, what came of it, a run now.", no_args_is_help=True)

Database = Annotated[
    str, typer.Option("--db", envvar="VPP_DB", help="Database of the service: a file or a URL.")
]
Name = Annotated[str, typer.Argument(metavar="JOB", help="Name, as vpp jobs list shows it.")]
OPERATOR = "operator"


def _book(store: SqlStore) -> RunBook:
    from vpp.jobs.board import clock_of
    from vpp.jobs.book import RunBook

    return RunBook(store, clock_of(store), "")


@app.command("list")
def list_(context: typer.Context, database: Database = DEFAULT_DATABASE, json: Json = False) -> int:
    """Show every job: how it stands, its last run, when it is due next. Status 8 if one needs a look.

    vpp jobs list --db vpp.db
    """
    from energy.core.errors import ExitStatus
    from vpp.i18n import Messages
    from vpp.jobs.board import NEEDS_A_LOOK, board, clock_of, is_shown, silent_since

    console = cast("Console", context.obj)
    with open_named(database, read_only=True) as store:
        now, shown = clock_of(store).now(), is_shown(store)
        cards = board(store, now)
    bad = [one for one in cards if one.state in NEEDS_A_LOOK]
    status = int(ExitStatus.UNHEALTHY if bad else ExitStatus.OK)
    words = Messages(console.lang)
    if shown:
        console.say(console.text("jobs.shown", now=words.moment(now)))
    if json:
        print_json([_card_document(words, one) for one in cards])
        return status
    if not cards:
        print(console.text("jobs.none"))
        console.say(console.text("jobs.none_do"))
        return status
    silent = silent_since(cards, now)
    if silent is not None:
        console.say(console.text("jobs.lead_silent", when=words.moment(silent)))
    else:
        console.say(console.text("jobs.lead_some" if bad else "jobs.lead_ok", count=len(cards), bad=len(bad)))
    for one in cards:
        print(_line(words, one))
    return status


def _line(words: Messages, card: Card) -> str:
    from vpp.jobs.board import run_in_words

    last = card.last
    said = words.text("jobs.no_runs")
    if last is not None:
        said = f"{words.moment(last.ended_at or last.due_at)} {last.error or run_in_words(words, last)}"
    return words.text(
        "jobs.line",
        name=card.name,
        subject=card.subject or "-",
        state=words.text(f"jobs.state.{card.state.value}"),
        last=said,
        next=words.text("jobs.never") if card.next_at is None else words.moment(card.next_at),
    )


@app.command()
def history(
    context: typer.Context,
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="Name of a job; all if none.")] = None,
    *,
    subject: Annotated[str | None, typer.Option(help="Site; '' for the whole service; all if none.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="Most runs.")] = 30,
    before: Annotated[str | None, typer.Option(help="Only runs older than this one (its key).")] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show what runs did, newest first, those that were left out among them.

    vpp jobs history forecast --subject kitakata
    """
    from energy.core.errors import DataError
    from vpp.i18n import Messages

    console = cast("Console", context.obj)
    with open_named(database, read_only=True) as store:
        book = _book(store)
        rows = book.history(job=job, subject=subject, below=before, limit=limit)
        known = sorted({one.name for one in store.rows.jobs.find()})
    if not rows and job is not None and job not in known:
        raise DataError(
            f"no job {job!r}",
            where=f"known: {', '.join(known)}" if known else "no service has ever run on this database",
            hint="vpp jobs list shows them",
        )
    words = Messages(console.lang)
    if json:
        print_json([_run_document(words, one) for one in rows])
        return
    if not rows:
        print(console.text("jobs.no_runs"))
    for row in rows:
        print(_run_line(words, row))


def _run_line(words: Messages, row: JobRunRow) -> str:
    from vpp.jobs.board import run_in_words

    said = run_in_words(words, row)
    parts = [
        words.moment(row.due_at),
        row.job,
        row.subject or "-",
        words.text(f"jobs.state.{row.state}"),
        said,
    ]
    if row.attempts > 1:
        parts.append(words.text("jobs.attempts", count=row.attempts))
    if row.error:
        parts.append(row.error)
    if row.asked_by:
        parts.append(words.text("jobs.asked_by", who=row.asked_by))
    return "  ".join(parts)


@app.command()
def run(
    context: typer.Context,
    job: Name,
    subject: Annotated[str, typer.Argument(metavar="[SUBJECT]", help="Site; none: the whole service.")] = "",
    *,
    actor: Annotated[str, typer.Option("--by", help="Who asks, for the audit trail.")] = OPERATOR,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Ask for a run now. The running service does it as soon as its turn comes; asking twice is once.

    vpp jobs run backup
    """
    from vpp.i18n import Messages

    console = cast("Console", context.obj)
    with open_named(database) as store:
        book = _book(store)
        book.require(job, subject)
        row = book.ask(job, subject, by=actor)
    if json:
        print_json(_run_document(Messages(console.lang), row))
        return
    print(console.text("jobs.asked_cli", run=row.key))


def _run_document(words: Messages, row: JobRunRow) -> dict[str, object]:
    from json import loads

    from vpp.jobs.board import run_in_words

    told = loads(row.outcome)
    return {
        "key": row.key,
        "job": row.job,
        "subject": row.subject,
        "due_at": row.due_at.isoformat(),
        "state": row.state,
        "attempts": row.attempts,
        "started_at": None if row.started_at is None else row.started_at.isoformat(),
        "ended_at": None if row.ended_at is None else row.ended_at.isoformat(),
        "said": run_in_words(words, row),
        "outcome": told.get("key", ""),
        "facts": told.get("facts", {}),
        "error": row.error,
        "asked_by": row.asked_by,
    }


def _card_document(words: Messages, card: Card) -> dict[str, object]:
    return {
        "name": card.name,
        "subject": card.subject,
        "state": card.state.value,
        "next_at": None if card.next_at is None else card.next_at.isoformat(),
        "seen_at": card.seen_at.isoformat(),
        "misfire": card.about.get("misfire", ""),
        "needs": card.about.get("needs", []),
        "last": None if card.last is None else _run_document(words, card.last),
    }
