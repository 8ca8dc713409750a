"""``vpp ledger fairness``: who earns what, without showing anybody."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.units import plain_number
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, Database, open_named
from vpp.console import Console

if TYPE_CHECKING:
    from energy.ledger.fairness import Fairness

__all__ = ["fairness"]


def fairness(
    context: typer.Context,
    people: Annotated[Path, typer.Option(help="Who may earn: account,kind,employer,ev.")],
    month: Annotated[str, typer.Option(help="Month YYYY-MM.")],
    *,
    shops: Annotated[
        Path | None, typer.Option(help="Where points were spent, of the coin operator: shop,size,points.")
    ] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show who earned points in a month: by kind, employer and car, and how unequally (Gini coefficient).

    Everybody who may earn is listed, those who earned nothing too. Groups of fewer than ten, or in which one
    has more than half, are put together; what is still too small is withheld (rule minimum_group):

        account,kind,employer,ev                shop,size,points
        driver/driver-1,employee,works-a,yes    shop-001,small,1200
        household/h-17,resident,,no             shop-002,large,300

    Example: vpp ledger fairness --people examples/people.csv --shops examples/shops.csv --month 2026-08
    """
    from energy.core.slots import jst_midnight
    from energy.ledger import Journal
    from energy.ledger.fairness import earned_by_account
    from energy.ledger.fairness import fairness as report
    from energy.market.demand import first_day, month_shift
    from energy.market.rules import MinimumGroup, rule_row
    from vpp.settlement.market_files import read_people, read_shops

    console = cast("Console", context.obj)
    first, after = first_day(month), first_day(month_shift(month, 1))
    start, end = jst_midnight(first), jst_midnight(after)
    with open_named(database, read_only=True) as store:
        entries = [entry for entry in Journal(store).entries() if start <= entry.at < end]
    rule = rule_row(MinimumGroup, first).values
    made = report(
        read_people(people),
        earned_by_account(entries),
        shops=[] if shops is None else read_shops(shops),
        min_members=rule.min_sites,
        max_share=rule.max_site_share,
    )
    if json:
        print_json({"month": month, **_document(made)})
        return
    _show(console, made, month)


def _document(made: Fairness) -> dict[str, object]:
    return {
        "members": made.members,
        "points": made.points,
        "gini": None if made.gini is None else round(float(made.gini), 4),
        "unlisted_points": made.unlisted_points,
        "divisions": [
            {
                "by": one.by,
                "withheld": one.withheld,
                "groups": [
                    {
                        "name": group.name,
                        "members": group.members,
                        "earners": group.earners,
                        "points": group.points,
                        "share": None if group.share is None else round(float(group.share), 4),
                        "mean": plain_number(group.mean),
                        "median": plain_number(group.median),
                        "joined": group.joined,
                    }
                    for group in one.groups
                ],
            }
            for one in made.divisions
        ],
    }


def _show(console: Console, made: Fairness, month: str) -> None:
    """Sentence first, then the divisions."""
    told = "-" if made.gini is None else f"{made.gini:.2f}"
    print(
        console.text(
            "fair.lead",
            month=month,
            members=made.members,
            points="-" if made.points is None else f"{made.points:,}",
            gini=told,
        )
    )
    for one in made.divisions:
        print(console.text(f"fair.by_{one.by}"))
        if one.withheld:
            print("  " + console.text("fair.withheld"))
        for group in one.groups:
            share = Decimal(0) if group.share is None else group.share
            known = f"fair.group_{group.name}"
            name = console.text(known) if group.name in _NAMED else group.name
            print(
                "  "
                + console.text(
                    "fair.group",
                    name=name,
                    members=group.members,
                    earners=group.earners,
                    points=f"{group.points:,}",
                    share=f"{share * 100:.1f}",
                    mean=f"{group.mean:.1f}",
                    median=f"{group.median:.1f}",
                )
            )
    if made.unlisted_points:
        print(console.text("fair.unlisted", points=f"{made.unlisted_points:,}"))


_NAMED = frozenset(
    {"resident", "employee", "company", "ev", "no_ev", "others", "none", "small", "large", "unknown"}
)
