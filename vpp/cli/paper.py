"""``vpp paper``: statements and plan sheets as PDF."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from vpp.cli.keeping import DEFAULT_DATABASE, Database, open_named
from vpp.console import Console

if TYPE_CHECKING:
    from vpp.i18n import Lang

__all__ = ["app"]

app = typer.Typer(help="Papers as PDF: a person's statement, the sheet of a plan.", no_args_is_help=True)

Output = Annotated[Path, typer.Option("--output", "-o", help="Folder for the file.")]


@app.command()
def statement(
    context: typer.Context,
    account: Annotated[str, typer.Argument(help="Account, for instance driver/driver-1.")],
    month: Annotated[str, typer.Option(help="Month YYYY-MM.")],
    name: Annotated[str, typer.Option(help="Name on the sheet; it is printed and not kept.")],
    *,
    contact: Annotated[str, typer.Option(help="Whom to ask: telephone, office.")] = "",
    output: Output = Path(),
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Print a person's month in large letters, Japanese and English, for people without a smartphone."""
    from energy.core.slots import jst_midnight
    from energy.ledger import Journal, class_balances
    from energy.market.demand import first_day, month_shift
    from vpp.paper.statement import PersonStatement, statement_pdf
    from vpp.wholefile import whole_bytes

    console = cast("Console", context.obj)
    first, after = first_day(month), first_day(month_shift(month, 1))
    with open_named(database, read_only=True) as store:
        told = Journal(store).statement(account, jst_midnight(first), jst_midnight(after))
        balances = [
            one for one in class_balances(store, after, until=jst_midnight(after)) if one.account == account
        ]
    path = output / f"statement-{account.replace('/', '-')}-{month}.pdf"
    languages: tuple[Lang, Lang] = ("ja", "en") if console.lang == "ja" else ("en", "ja")
    sheet = PersonStatement(name=name, month=month, statement=told, balances=balances, contact=contact)
    whole_bytes(path, statement_pdf(sheet, languages=languages))
    print(console.text("plans.written", path=path))


@app.command()
def plan(
    context: typer.Context,
    key: Annotated[str, typer.Argument(help="DAY/KIND/GROUP/AREA/vN, as vpp market plan list shows it.")],
    *,
    output: Output = Path(),
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Print the sheet to look at before approving a plan: totals, findings, 48 slots, signatures."""
    from energy.market.plans import internal_checks
    from vpp.cli.market_plan import version_named
    from vpp.paper.plan_sheet import plan_sheet_pdf
    from vpp.settlement.plan_book import PlanBook
    from vpp.wholefile import whole_bytes

    console = cast("Console", context.obj)
    name, number = version_named(key)
    with open_named(database, read_only=True) as store:
        told = PlanBook(store).version(name, number)
    path = output / f"plan-{told.key.replace('/', '-')}-{console.lang}.pdf"
    whole_bytes(path, plan_sheet_pdf(told, internal_checks(told.plan), lang=console.lang))
    print(console.text("plans.written", path=path))
