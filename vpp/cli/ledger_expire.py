"""``vpp ledger expire``: points whose last day is over are booked away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, Actor, Database
from vpp.console import Console

__all__ = ["expire"]


def expire(
    context: typer.Context,
    *,
    on: Annotated[
        str | None, typer.Option(help="Book what expired before this day, Japan; today if none.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be booked; book nothing.")
    ] = False,
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Book away the points whose last day of use is over: one entry per account, class and day, once.

    They go from their account to operator/expired and stand on the person's statement. The coin operator was
    told the last day with the grant: an expiry is in no batch. Doing it again books nothing, a day that has
    not come is refused. A service does it every night (job expire-points).

    Example: vpp ledger expire --db vpp.db --dry-run
    """
    from energy.core.clock import SystemClock
    from energy.core.errors import ConfigError
    from energy.core.slots import JST
    from energy.ledger import class_balances, expire_points
    from energy.store import open_store
    from vpp.cli.rules import day_named

    console = cast("Console", context.obj)
    now = SystemClock().now()
    day = now.astimezone(JST).date() if on is None else day_named(on, "--on")
    if "://" not in database and not Path(database).is_file():
        raise ConfigError("no such database", where=database, hint="check the path of --db")
    url = database if "://" in database else f"sqlite:///{database}"
    with open_store(url, read_only=dry_run) as store:
        if dry_run:
            over = [one for one in class_balances(store, day) if one.expired]
        else:
            over = expire_points(store, day, at=now, actor=actor)
    if json:
        rows = [
            {
                "account": one.account,
                "point_class": one.point_class,
                "expires_on": str(one.expires_on),
                "points": one.points,
            }
            for one in over
        ]
        print_json({"before": day.isoformat(), "booked": not dry_run, "entries": rows})
        return
    print(
        console.text(
            "expiry.lead" if over else "expiry.nothing",
            day=day,
            entries=len(over),
            points=f"{sum(one.points for one in over):,}",
        )
    )
    for one in over:
        print(f"  {one.account:<28}{one.points:>10}  {one.point_class:<12}{one.expires_on}")
    if dry_run:
        console.say(console.text("plans.dry"))
