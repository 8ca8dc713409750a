"""``vpp ledger``: balances, statements, batches to the coin operator, proof that nothing was changed."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, DataError, ExitStatus
from vpp.cli.ledger_expire import expire
from vpp.cli.ledger_fairness import fairness
from vpp.console import DEFAULT_STATE, Console, newest_database, open_database

if TYPE_CHECKING:
    from energy.ledger import Batch, Reconciliation
    from energy.store import SqlStore

__all__ = ["app"]

app = typer.Typer(help="Coins: balances, statements, batches, proof.", no_args_is_help=True)
app.command()(fairness)
app.command()(expire)

Database = Annotated[
    str | None,
    typer.Option("--db", envvar="VPP_DB", help="Database with the journal; that of a simulation if none."),
]
Actor = Annotated[str, typer.Option("--by", help="Who does it, for the audit trail.")]

State = Annotated[Path, typer.Option(help="Folder of a simulation.")]
Run = Annotated[str, typer.Option("--controller", help="Whose run: none, rules, optimal-p50 or optimal.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


def _open(database: str | None, state: Path, controller: str, *, write: bool = False) -> SqlStore:
    """The journal's database: the one named, or that of a simulation."""
    from energy.store import open_store

    if database is None:
        path = newest_database(state, controller)
        return open_store(f"sqlite:///{path}") if write else open_database(path)
    if "://" not in database and not Path(database).is_file():
        raise ConfigError("no such database", where=database, hint="check the path, or leave --db out")
    return open_store(database if "://" in database else f"sqlite:///{database}", read_only=not write)


@app.command()
def verify(
    context: typer.Context,
    *,
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Run = "optimal",
    json: Json = False,
) -> None:
    """Prove the journal: every entry, every sum, every hash. Ends with status 8 if it is broken."""
    from energy.ledger import Journal

    with _open(database, state, controller) as store:
        report = Journal(store).verify()
    if json:
        _print_json({"entries": report.entries, "head_hash": report.head, "valid": True})
        return
    console = cast("Console", context.obj)
    print(console.text("cli.ledger_holds", entries=report.entries, head=report.head))


@app.command()
def balance(
    context: typer.Context,
    *,
    classes: Annotated[
        bool, typer.Option("--classes", help="By class of points and last day of use.")
    ] = False,
    on: Annotated[str | None, typer.Option(help="Day by which points have expired; today if none.")] = None,
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Run = "optimal",
    json: Json = False,
) -> None:
    """Show the points of every account; they sum to zero. --classes: what was granted, and until when."""
    from energy.core.clock import SystemClock
    from energy.core.slots import JST
    from energy.ledger import Journal, class_balances
    from vpp.cli.rules import day_named

    console = cast("Console", context.obj)
    day = SystemClock().now().astimezone(JST).date() if on is None else day_named(on, "--on")
    with _open(database, state, controller) as store:
        balances = Journal(store).balances()
        by_class = class_balances(store, day) if classes else []
    if json:
        rows = [
            {
                "account": one.account,
                "point_class": one.point_class,
                "expires_on": None if one.expires_on is None else one.expires_on.isoformat(),
                "points": one.points,
                "expired": one.expired,
            }
            for one in by_class
        ]
        _print_json(rows if classes else balances)
        return
    if not balances:
        print(console.text("cli.ledger_empty"))
    if classes:
        for one in by_class:
            mark = console.text("coinops.expired") if one.expired else ""
            line = f"{one.account:<28}{one.points:>10}  {one.point_class:<12}{one.expires_on or '-'}  {mark}"
            print(line.rstrip())
        return
    for account, points in balances.items():
        print(f"{account:<28}{points:>10}")


@app.command()
def statement(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Account, for instance driver/driver-1.")],
    *,
    month: Annotated[str | None, typer.Option(help="Only this month, YYYY-MM in Japan.")] = None,
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Run = "optimal",
    json: Json = False,
) -> None:
    """Show the entries of one account, with the energy and the rule they were paid for."""
    from energy.ledger import Journal, is_expiry
    from vpp.i18n import Messages

    start, end = _month(month)
    with _open(database, state, controller) as store:
        told = Journal(store).statement(account, start, end)
    lines = told.lines
    console = cast("Console", context.obj)
    if json:
        _print_json(
            [
                {"at": line.at.isoformat(), "key": line.key, "points": line.points, "facts": dict(line.facts)}
                for line in lines
            ]
        )
        return
    words = Messages(console.lang)
    if month is not None:
        print(console.text("coinops.opening", month=month, points=told.opening_points))
    if not lines:
        print(console.text("cli.ledger_empty"))
    for line in lines:
        facts = line.facts
        if is_expiry(line.key):
            told_day, day = words.moment(line.at), facts.get("expires_on", "")
            print(console.text("expiry.line", when=told_day, points=line.points, day=day))
            continue
        print(
            console.text(
                "cli.statement_line",
                when=words.moment(line.at),
                points=line.points,
                energy=words.kwh(float(str(facts.get("net_kwh", 0)))),
                vehicle=facts.get("vehicle", ""),
                rule=f"{facts.get('rule', '')} v{facts.get('rule_version', '')}",
                expires=facts.get("expires_on", ""),
            )
        )
    if month is not None:
        print(console.text("coinops.closing", points=told.closing_points))


def _month(month: str | None) -> tuple[datetime | None, datetime | None]:
    """First instant of a month in Japan, and of the one after it."""
    if month is None:
        return None, None
    from energy.core.slots import jst_midnight
    from energy.market.demand import first_day, month_shift

    return jst_midnight(first_day(month)), jst_midnight(first_day(month_shift(month, 1)))


@app.command()
def batch(
    context: typer.Context,
    *,
    batch_id: Annotated[
        str | None, typer.Option("--again", help="Write an earlier batch once more, unchanged.")
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the file.")] = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the batch; record and write nothing.")
    ] = False,
    actor: Actor = "operator",
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Run = "optimal",
    json: Json = False,
) -> None:
    """Write the next batch for the coin operator: everything granted or reversed that no batch held before.

    A batch is recorded, never changed, and the same file when written again. UTF-8 with byte-order mark:

        batch_id,line,account,points,point_class,expires_on,event,entry,entry_hash
        b-000001,1,driver/driver-1,124,local_only,2027-05-23,evening,1,9f86d0...
    """
    from energy.core.clock import SystemClock
    from energy.ledger import BatchBook

    console = cast("Console", context.obj)
    now = SystemClock().now()
    with _open(database, state, controller, write=not dry_run) as store:
        book = BatchBook(store)
        if batch_id is not None:
            made: Batch | None = book.find(batch_id)
        else:
            made = book.preview(at=now) if dry_run else book.make(at=now, actor=actor)
    if made is None:
        if json:
            _print_json(None)
        else:
            print(console.text("coinops.nothing_new"))
        return
    path = None if dry_run else _write(made, output)
    if json:
        _print_json(_batch_document(made, path))
        return
    print(console.text("coinops.batch", batch=made.id, lines=len(made.lines), points=f"{made.points:,}"))
    if path is None:
        console.say(console.text("plans.dry"))
    else:
        print(console.text("plans.written", path=path))


def _write(made: Batch, folder: Path) -> Path:
    from energy.ledger import batch_csv
    from vpp.wholefile import whole_file

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"coin-{made.id}.csv"
    with whole_file(path, encoding="utf-8-sig") as file:
        file.write(batch_csv(made))
    return path


def _batch_document(made: Batch, path: Path | None) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "batch_id": made.id,
        "lines": [asdict(line) for line in made.lines],
        "points": made.points,
        "file": None if path is None else str(path),
    }


@app.command()
def reconcile(
    context: typer.Context,
    batch_id: Annotated[str, typer.Argument(metavar="BATCH", help="Id of the batch.")],
    receipt: Annotated[Path, typer.Option(help="The operator's file: batch_id,line,points,status.")],
    *,
    actor: Actor = "operator",
    database: Database = None,
    state: State = DEFAULT_STATE,
    controller: Run = "optimal",
    json: Json = False,
) -> int:
    """Compare the coin operator's receipt with a batch and list every difference. Status 6 if there is one.

    A receipt has one row per line of the batch, accepted or refused. The same receipt again changes nothing;
    one that says a line twice or speaks of another batch is refused as a whole:

        batch_id,line,points,status
        b-000001,1,124,accepted
    """
    from energy.core.clock import SystemClock
    from energy.ledger import BatchBook
    from vpp.settlement.files import read_receipt

    console, now = cast("Console", context.obj), SystemClock().now()
    with _open(database, state, controller, write=True) as store:
        book = BatchBook(store)
        try:
            rows = read_receipt(receipt)
        except DataError as error:
            book.refuse(batch_id, error, at=now, actor=actor)
            raise
        found = book.reconcile(batch_id, rows, at=now, actor=actor)
    if json:
        _print_json(_reconciled(found))
    else:
        print(
            console.text(
                "coinops.reconciled_known" if found.known else "coinops.reconciled",
                batch=batch_id,
                lines=len(found.batch.lines),
                differences=len(found.differences),
            )
        )
        for one in found.differences:
            print(
                "  "
                + console.text(f"coinops.diff_{one.what}", line=one.line, ours=one.ours, theirs=one.theirs)
            )
    return int(ExitStatus.PARTIAL if found.differences else ExitStatus.OK)


def _reconciled(found: Reconciliation) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "batch_id": found.batch.id,
        "known": found.known,
        "differences": [asdict(one) for one in found.differences],
    }


def _print_json(document: object) -> None:
    from json import dumps

    print(dumps(document, ensure_ascii=False, indent=1))
