"""``vpp retention``: what is kept how long, what would go, and letting it go."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from energy.core.errors import ConfigError
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, open_named
from vpp.console import Console

__all__ = ["app"]

app = typer.Typer(help="Retention: what is kept how long, and what goes.", no_args_is_help=True)

Database = Annotated[str, typer.Option("--db", envvar="VPP_DB", help="Database: a file or a URL.")]
Rules = Annotated[Path | None, typer.Option(help="File of rules in place of the shipped ones.")]


@app.command()
def show(
    context: typer.Context, rules: Rules = None, database: Database = DEFAULT_DATABASE, json: Json = False
) -> None:
    """Show exactly what would go now. Nothing is changed."""
    from energy.core.clock import SystemClock
    from vpp.ops.retention import due, load_rules

    console = cast("Console", context.obj)
    read = load_rules(rules)
    with open_named(database, read_only=True) as store:
        found = due(store, read, SystemClock().now())
    if json:
        print_json([one.to_json() for one in found])
        return
    if not found:
        print(console.text("retention.nothing"))
    for one in found:
        print(
            console.text(
                "retention.due",
                rule=one.rule,
                what=console.text(f"retention.what.{one.what}"),
                name=one.name,
                count=f"{one.count:,}",
                first=f"{one.first:%Y-%m-%d}" if one.first else "-",
                last=f"{one.last:%Y-%m-%d}" if one.last else "-",
                days=one.keep_days,
            )
        )


@app.command("apply")
def apply_(
    context: typer.Context,
    rules: Rules = None,
    *,
    by: Annotated[str, typer.Option("--by", help="Who does it, for the audit trail.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Let go what is older than its rule, and write down what went. It cannot be brought back."""
    import sys

    from energy.core.clock import SystemClock
    from vpp.ops.retention import apply_rules, due, load_rules

    console, now = cast("Console", context.obj), SystemClock().now()
    read = load_rules(rules)
    with open_named(database) as store:
        count = sum(one.count for one in due(store, read, now))
        if count and not yes:
            if not sys.stdin.isatty():
                raise ConfigError(
                    "this cannot be taken back",
                    where=f"{count} would go",
                    hint="vpp retention show, then --yes",
                )
            typer.confirm(console.text("retention.sure", count=f"{count:,}"), abort=True, err=True)
        went = apply_rules(store, read, now, actor=by)
    if json:
        print_json([{"rule": w.rule, "name": w.name, "count": w.count, "held": w.held} for w in went])
        return
    if not went:
        print(console.text("retention.nothing"))
    for one in went:
        key = "retention.held" if one.held else "retention.went"
        print(console.text(key, rule=one.rule, name=one.name, count=f"{one.count:,}", why=one.held))


@app.command()
def cuts(context: typer.Context, database: Database = DEFAULT_DATABASE, json: Json = False) -> None:
    """Show what was ever taken out of the audit trail, with the hash of what it said."""
    console = cast("Console", context.obj)
    with open_named(database, read_only=True) as store:
        found = store.pruning.cuts()
    if json:
        print_json(
            [
                {
                    "number": one.number,
                    "at": one.at.isoformat(),
                    "actor": one.actor,
                    "act": one.act,
                    "before": one.before.isoformat(),
                    "first": one.first,
                    "last": one.last,
                    "records": one.records,
                    "digest": one.digest,
                }
                for one in found
            ]
        )
        return
    if not found:
        print(console.text("retention.no_cuts"))
    for one in found:
        print(
            console.text(
                "retention.cut",
                at=f"{one.at:%Y-%m-%d %H:%M}",
                by=one.actor,
                act=one.act,
                count=one.records,
                first=one.first,
                last=one.last,
                digest=one.digest[:12],
            )
        )
