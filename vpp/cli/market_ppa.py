"""``vpp market ppa``: what a place was delivered under its agreements, what it owes, and how green it was."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError
from energy.core.units import plain_number
from vpp.cli.bill import warn_unverified
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, Actor, Database, keep, noted_refusal, open_named
from vpp.console import Console

if TYPE_CHECKING:
    from energy.market.ppa import Supply
    from vpp.settlement.ppa import NewClaim, PpaMonth

__all__ = ["app", "plant_files"]

app = typer.Typer(
    help="Power purchase agreements of a place: invoices, renewable share, CO2.", no_args_is_help=True
)


@app.command()
def settle(
    context: typer.Context,
    supply: Annotated[Path, typer.Option(help="What the place is supplied from, a YAML file.")],
    month: Annotated[str, typer.Option(help="Month of delivery YYYY-MM.")],
    meter: Annotated[Path, typer.Option(help="Meter of the place: timestamp,kwh (end stamps).")],
    generation: Annotated[
        list[str], typer.Option(help="PLANT=FILE: its generation, timestamp,kwh (end stamps); repeat.")
    ],
    *,
    export: Annotated[
        Path | None, typer.Option(help="What the place fed into the grid: timestamp,kwh; nothing if none.")
    ] = None,
    co2: Annotated[Path | None, typer.Option(help="CO2 factors by supplier, menu and year, YAML.")] = None,
    pdf: Annotated[Path | None, typer.Option(help="Folder for the invoices as PDF, one a contract.")] = None,
    keep_it: Annotated[
        bool, typer.Option("--keep", help="Keep the month with all it was made from, and claim its value.")
    ] = False,
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Settle a month: contracted and delivered kWh, invoices with tax, both renewable shares, CO2.

    Files have one row per half hour, stamped by its end, whole days from midnight on:

        timestamp,kwh
        2026-11-01T00:30:00+09:00,31.2

    The share is told twice: over the month (a surplus at noon covers the night) and half hour by half hour.
    --keep records it as ppa/PLACE/MONTH and claims the value of what was delivered: a kWh is claimed once,
    a second claimant is refused (vpp market ppa claims).

    Example: vpp market ppa settle --supply examples/ppa-city-hall.yaml --month 2026-11
    --meter examples/meter.csv --generation roof=examples/generation-roof.csv
    --generation valley=examples/generation-valley.csv --co2 examples/co2-factors.yaml
    """
    from energy.market.co2 import Co2Factors
    from energy.market.ppa import Supply
    from vpp.config import read_yaml
    from vpp.settlement.files import read_meter
    from vpp.settlement.ppa import claims_of, ppa_month
    from vpp.settlement.ppa_record import document, to_keep
    from vpp.settlement.record import Evidence

    console = cast("Console", context.obj)
    told = read_yaml(supply, Supply)
    files: dict[str, Path | None] = {"supply": supply, "meter": meter, "export": export, "co2": co2}
    files |= plant_files(generation)
    key = f"ppa/{told.place}/{month}" if keep_it else None
    with noted_refusal(database, key, actor, files):
        plants = {name: read_meter(path) for name, path in plant_files(generation).items()}
        made = ppa_month(
            told,
            month,
            read_meter(meter),
            plants,
            export=None if export is None else read_meter(export),
            factors=None if co2 is None else read_yaml(co2, Co2Factors),
        )
    warn_unverified(console, made.rules)
    if keep_it:
        with noted_refusal(database, key, actor, files):
            _claim(database, claims_of(told, made, plants), actor)
        evidence = [Evidence.of(role, path) for role, path in files.items() if path is not None]
        keep(console, database, to_keep(told, made, evidence), actor=actor)
    if pdf is not None:
        _write_invoices(console, told, made, pdf)
    if json:
        print_json(document(told, made))
        return
    _show(console, told, made)


def plant_files(told: list[str]) -> dict[str, Path]:
    """Files by plant from words such as ``roof=FILE``; each plant once."""
    plants: dict[str, Path] = {}
    for one in told:
        plant, equals, file = one.partition("=")
        if not equals or plant in plants:
            raise ConfigError(
                f"plant {plant!r} comes twice" if equals else f"{one!r} names no plant",
                where="--generation",
                hint="write PLANT=FILE, each plant once",
            )
        plants[plant] = Path(file)
    return plants


def _claim(database: str, claims: list[NewClaim], actor: str) -> None:
    from energy.core.clock import SystemClock
    from vpp.settlement.ppa import ClaimBook

    with open_named(database) as store, store.transaction():
        for one in claims:
            ClaimBook(store).claim(one, at=SystemClock().now(), actor=actor)


def _write_invoices(console: Console, supply: Supply, made: PpaMonth, folder: Path) -> None:
    from vpp.paper.invoice import invoice_pdf
    from vpp.wholefile import whole_bytes

    for contract, one in zip(supply.contracts, made.invoices, strict=True):
        path = folder / f"invoice-{contract.id}-{made.month}.pdf"
        whole_bytes(path, invoice_pdf(supply, contract, one, made, lang=console.lang))
        print(console.text("plans.written", path=path))


def _percent(value: Decimal | None) -> str:
    return "-" if value is None else f"{value * 100:.1f} %"


def _show(console: Console, supply: Supply, made: PpaMonth) -> None:
    """Sentence first, then contract by contract."""
    ja = console.lang == "ja"
    print(
        console.text(
            "ppa.lead",
            place=supply.name_ja if ja else supply.name_en,
            month=made.month,
            matched=_percent(made.share.matched),
            annual=_percent(made.share.annual),
        )
    )
    for contract, one in zip(supply.contracts, made.invoices, strict=True):
        print(
            console.text(
                "ppa.contract",
                name=contract.name_ja if ja else contract.name_en,
                delivered=f"{one.delivered_kwh:,.1f}",
                contracted="-" if one.contracted_kwh is None else f"{one.contracted_kwh:,.0f}",
                surplus=f"{one.surplus_kwh:,.1f}",
                total=f"{one.total_yen:,}",
                tax=f"{one.tax_yen:,}",
            )
        )
        if contract.value_to != "customer":
            print("  " + console.text("ppa.not_ours", who=console.text(f"ppa.value_{contract.value_to}")))
    print(console.text("ppa.residual", kwh=f"{made.residual_kwh:,.1f}"))
    for emission in made.emissions:
        print(
            console.text(
                "ppa.co2",
                supplier=emission.supplier,
                menu=emission.menu,
                year=emission.reporting_year,
                kwh=f"{emission.kwh:,.1f}",
                factor=f"{emission.kg_per_kwh}",
                kg=f"{emission.kg:,.1f}",
                status=console.text(f"rules.{emission.status}"),
            )
        )


@app.command()
def claims(
    context: typer.Context,
    plant: Annotated[str | None, typer.Argument(help="Code of a plant; all if none.")] = None,
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Show who has claimed the environmental value of which plant."""
    from energy.core.slots import JST
    from energy.market.prices import MICRO
    from vpp.settlement.ppa import ClaimBook

    console = cast("Console", context.obj)
    with open_named(database, read_only=True) as store:
        found = ClaimBook(store).claims(plant or "")
    rows = [
        {
            "plant": one.plant,
            "claimant": one.claimant,
            "purpose": one.purpose,
            "start": one.grid.start.astimezone(JST).isoformat(),
            "end": one.grid.end.astimezone(JST).isoformat(),
            "kwh": plain_number(Decimal(int(one.parts.sum())) / MICRO),
        }
        for one in found
    ]
    if json:
        print_json(rows)
        return
    if not rows:
        print(console.text("ppa.no_claims"))
    for row in rows:
        print(console.text("ppa.claim", **row | {"purpose": console.text(f"ppa.purpose_{row['purpose']}")}))


@app.command()
def claim(
    context: typer.Context,
    plant: Annotated[str, typer.Argument(help="Code of the plant.")],
    claimant: Annotated[str, typer.Option("--for", help="Who claims.")],
    purpose: Annotated[Literal["own_use", "j_credit", "certificate", "sold"], typer.Option(help="What for.")],
    energy: Annotated[Path, typer.Option(help="Claimed energy: timestamp,kwh (end stamps).")],
    generation: Annotated[Path, typer.Option(help="Generation of the plant on those half hours at least.")],
    *,
    fit: Annotated[bool, typer.Option("--fit", help="The plant is under FIT.")] = False,
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
) -> None:
    """Claim the value of a plant's energy, half hour by half hour; what somebody else has is refused."""
    from energy.core.clock import SystemClock
    from energy.market.claims import Claim
    from energy.market.prices import micro
    from vpp.settlement.files import read_meter
    from vpp.settlement.ppa import ClaimBook, NewClaim

    console = cast("Console", context.obj)
    asked = read_meter(energy).require_complete("the claimed energy")
    made = read_meter(generation).between(asked.grid.start, asked.grid.end).require_complete("generation")
    new = Claim(plant=plant, claimant=claimant, purpose=purpose, grid=asked.grid, parts=micro(asked.values))
    with open_named(database) as store:
        told = ClaimBook(store).claim(
            NewClaim(claim=new, generation=micro(made.values)), fit=fit, at=SystemClock().now(), actor=actor
        )
    print(console.text("ppa.claimed" if told else "ppa.claimed_before", plant=plant, claimant=claimant))
