"""``vpp ledger``: balances, statements, and the proof that nothing was changed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from vpp.cli.console import DEFAULT_STATE, Console, newest_database, open_database

__all__ = ["app"]

app = typer.Typer(help="Coins: balances, statements, proof.", no_args_is_help=True)

State = Annotated[Path, typer.Option(help="Folder of a simulation.")]
Run = Annotated[str, typer.Option("--controller", help="Whose run: none, rules, optimal-p50 or optimal.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command()
def verify(
    context: typer.Context, state: State = DEFAULT_STATE, controller: Run = "optimal", json: Json = False
) -> None:
    """Prove the journal: every entry, every sum, every hash. Ends with status 8 if it is broken."""
    from energy.ledger import Journal

    with open_database(newest_database(state, controller)) as store:
        report = Journal(store).verify()
    if json:
        _print_json({"entries": report.entries, "head_hash": report.head, "valid": True})
        return
    console = cast("Console", context.obj)
    print(console.text("cli.ledger_holds", entries=report.entries, head=report.head))


@app.command()
def balance(
    context: typer.Context, state: State = DEFAULT_STATE, controller: Run = "optimal", json: Json = False
) -> None:
    """Show the points of every account; they sum to zero."""
    from energy.ledger import Journal

    with open_database(newest_database(state, controller)) as store:
        balances = Journal(store).balances()
    if json:
        _print_json(balances)
        return
    console = cast("Console", context.obj)
    if not balances:
        print(console.text("cli.ledger_empty"))
    for account, points in balances.items():
        print(f"{account:<28}{points:>10}")


@app.command()
def statement(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Account, for instance driver/driver-1.")],
    state: State = DEFAULT_STATE,
    controller: Run = "optimal",
    json: Json = False,
) -> None:
    """Show the entries of one account, with the energy and the rule they were paid for."""
    from energy.ledger import Journal
    from vpp.i18n import Messages

    with open_database(newest_database(state, controller)) as store:
        lines = Journal(store).statement(account).lines
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
    if not lines:
        print(console.text("cli.ledger_empty"))
    for line in lines:
        facts = line.facts
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


def _print_json(document: object) -> None:
    from json import dumps

    print(dumps(document, ensure_ascii=False, indent=1))
