"""``vpp market plan deliver``, ``acknowledge``: drafts to generators, retailers and counterparts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from energy.core.errors import ExitStatus
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, Actor, Database, open_named
from vpp.cli.rules import day_named
from vpp.console import Console

__all__ = ["acknowledge", "deliver"]


def deliver(
    context: typer.Context,
    day: Annotated[str, typer.Argument(help="Day of delivery, Japan.")],
    party: Annotated[str, typer.Option("--to", help="Code of the generator, retailer or group.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")] = Path(),
    *,
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> int:
    """Hand over the newest drafts of a day: to a principal its plan, to a counterpart the trades with it.

    One file per balancing group and area. Status 7: a principal's consent does not cover it; what is covered
    is handed over. What a counterpart gets, as it reads it:

        slot_start,with,your_side,kwh,gate_closure
        2026-11-25T00:00+09:00,bg-aizu,sell,10,2026-11-24T23:00+09:00
    """
    from dataclasses import asdict

    from energy.core.clock import SystemClock
    from vpp.settlement.plan_delivery import deliver_drafts

    console = cast("Console", context.obj)
    wanted = day_named(day, "DAY")
    with open_named(database) as store:
        found = deliver_drafts(store, party, wanted, output, at=SystemClock().now(), actor=actor)
    if json:
        print_json([asdict(one) | {"key": one.key} for one in found])
    for one in [] if json else found:
        if one.refused:
            print(console.text("plans.not_delivered", plan=one.plan, party=party, why=one.refused))
            continue
        print(console.text("plans.written", path=output / one.file))
        if not one.new:
            console.say(console.text("plans.delivered_before", delivery=one.key, receipt=one.receipt or "-"))
    return int(ExitStatus.CONSENT if any(one.refused for one in found) else ExitStatus.OK)


def acknowledge(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="PARTY/DAY/KIND/GROUP/AREA/vN.")],
    reference: Annotated[str, typer.Option("--ref", help="Number or mail of the receipt.")],
    *,
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Note a party's receipt of a draft that was handed over."""
    from energy.core.clock import SystemClock
    from vpp.settlement.plan_delivery import acknowledge as note

    console = cast("Console", context.obj)
    with open_named(database) as store:
        told = note(store, key, reference, at=SystemClock().now(), actor=actor)
    print(console.text("plans.acknowledged", delivery=told.key, receipt=told.receipt))
