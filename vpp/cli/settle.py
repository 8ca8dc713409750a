"""``vpp settle``: a month of a site, promised yen against settled yen."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError
from vpp.cli.bill import warn_unverified
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import Actor, open_named
from vpp.console import DEFAULT_STATE, Console, newest_database

if TYPE_CHECKING:
    from vpp.settlement.month import ImbalancePrices, MonthAccount
    from vpp.settlement.month_ppa import PpaTerms

__all__ = ["app"]

app = typer.Typer(help="Settle a month of a site: its readings, its account.", no_args_is_help=True)


@app.command()
def month(
    context: typer.Context,
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, its folder or its YAML file.")],
    wanted: Annotated[str, typer.Argument(metavar="MONTH", help="Month YYYY-MM.")],
    *,
    database: Annotated[
        str | None,
        typer.Option("--db", envvar="VPP_DB", help="Database of the site; that of a simulation if none."),
    ] = None,
    state: Annotated[Path, typer.Option(help="Folder of the simulations.")] = DEFAULT_STATE,
    controller: Annotated[str, typer.Option(help="Whose run: rules, optimal-p50 or optimal.")] = "optimal",
    since: Annotated[str | None, typer.Option("--from", help="First day, if not that of the month.")] = None,
    until: Annotated[str | None, typer.Option(help="Last day, if the month is not over.")] = None,
    dr: Annotated[float, typer.Option(help="What a verified kWh of an event is paid. [yen/kWh]")] = 20.0,
    price: Annotated[
        Path | None, typer.Option(help="Imbalance price: slot_start,yen_per_kwh[,status].")
    ] = None,
    margin: Annotated[Path | None, typer.Option(help="Reserve margin: slot_start,percent.")] = None,
    area: Annotated[str, typer.Option(help="Supply area of the imbalance.")] = "tohoku",
    voltage: Annotated[
        Literal["special_high", "high", "low"], typer.Option(help="Voltage whose loss rate holds.")
    ] = "high",
    supply: Annotated[
        Path | None, typer.Option(help="Purchase agreements of the site, YAML: their invoices are lines.")
    ] = None,
    generation: Annotated[
        list[str] | None,
        typer.Option(help="PLANT=FILE: generation of a plant that is not the site's own array; repeat."),
    ] = None,
    pdf: Annotated[Path | None, typer.Option(help="Folder for the month's report as PDF.")] = None,
    keep_it: Annotated[bool, typer.Option("--keep", help="Keep the account in the same database.")] = False,
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Hold a month's promise against its settlement, line by line; the lines add up to the yen.

    The promise of a day is the plan made at 11:30 of the day before. Each cause has its line: forecast of the
    load, sun, rooms, cars, peak, imbalance, delivery and verification of events, points, purchase agreements,
    rounding. With --supply the bill is that of what the agreements leave, and each invoice is a line: made
    from the plans for the promise, from the meters for the settlement (whole months only).

        slot_start,yen_per_kwh,status           slot_start,percent
        2026-08-01T00:00+09:00,12.5,final       2026-08-01T00:00+09:00,14.0

    Example: vpp simulate kitakata --start 2026-08-01 --days 31 --compare optimal
    then: vpp settle month kitakata 2026-08 --pdf out
    """
    from vpp.paper.factory import factory_pdf
    from vpp.settlement.month import document
    from vpp.wholefile import whole_bytes

    console = cast("Console", context.obj)
    place = database
    if place is None:
        place = str(_newest(state, scenario, wanted, controller))
    prices = _prices(price, margin, area, voltage, wanted)
    terms = (Decimal(repr(dr)), prices, _agreements(supply, generation or []))
    made = _account(scenario, place, wanted, terms, days=(since, until))
    warn_unverified(console, made.rules)
    if keep_it:
        _keep(console, place, made, actor)
    if pdf is not None:
        path = pdf / f"month-{made.site}-{made.month}-{console.lang}.pdf"
        whole_bytes(path, factory_pdf(made, lang=console.lang))
        console.say(console.text("plans.written", path=path))
    if json:
        print_json(document(made))
        return
    _show(console, made)


@app.command()
def readings(
    context: typer.Context,
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, its folder or its YAML file.")],
    wanted: Annotated[str, typer.Argument(metavar="MONTH", help="Month YYYY-MM.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files.")],
    *,
    database: Annotated[
        str | None,
        typer.Option("--db", envvar="VPP_DB", help="Database of the site; that of a simulation if none."),
    ] = None,
    state: Annotated[Path, typer.Option(help="Folder of the simulations.")] = DEFAULT_STATE,
    controller: Annotated[str, typer.Option(help="Whose run: none, rules or optimal.")] = "optimal",
) -> int:
    """Write a month's readings as the files that bills, purchase agreements and events are settled from.

    meter.csv, export.csv and generation-PLANT.csv, timestamp,kwh by end stamps. Status 6: half hours are
    missing; they are left out and counted, never filled in.

    Example: vpp settle readings city-hall 2026-08 -o out/readings
    """
    from datetime import timedelta

    from energy.core.errors import ExitStatus
    from energy.market.demand import first_day, month_shift
    from vpp.settlement.readings import write_readings
    from vpp.simulation.scenario import load_scenario

    console = cast("Console", context.obj)
    site = load_scenario(scenario)[0].site
    first, after = first_day(wanted), first_day(month_shift(wanted, 1))
    place = database or str(_newest(state, scenario, wanted, controller))
    with open_named(place, read_only=True) as store:
        written = write_readings(store, site, first, after - timedelta(days=1), output)
    for path, missing in written:
        print(console.text("plans.written", path=path))
        if missing:
            console.say(console.text("settle.missing", path=path, missing=missing))
    return int(ExitStatus.PARTIAL if any(missing for _, missing in written) else ExitStatus.OK)


def _newest(state: Path, scenario: str, wanted: str, controller: str) -> Path:
    """Database of the newest simulation of this scenario that began in the month."""
    name = Path(scenario).stem if scenario.endswith((".yaml", ".yml")) else Path(scenario).name
    folders = sorted(
        (path for path in state.glob(f"{name}-{wanted}-*") if (path / f"{controller}.db").is_file()),
        key=lambda path: (path / f"{controller}.db").stat().st_mtime,
    )
    return newest_database(folders[-1] if folders else state / f"{name}-{wanted}", controller)


def _prices(
    price: Path | None, margin: Path | None, area: str, voltage: str, wanted: str
) -> ImbalancePrices | None:
    from energy.core.series import Unit
    from energy.market.demand import first_day
    from energy.market.rules import facts_on
    from vpp.cli.rules import area_named
    from vpp.settlement.files import decimals, read_prices, read_slots
    from vpp.settlement.month import ImbalancePrices

    if price is None and margin is None:
        return None
    if price is None or margin is None:
        raise ConfigError(
            "an imbalance needs prices and margins",
            where="--price and --margin",
            hint="give both files, or neither: then no imbalance is settled",
        )
    place = area_named(area)
    told, preliminary = read_prices(price)
    loss = facts_on(f"loss_rates.{voltage}", first_day(wanted), place)[0]
    return ImbalancePrices(
        price=told,
        margin=decimals(read_slots(margin, "percent", Unit.PERCENT)),
        area=place,
        loss_rate=Decimal(loss.value),
        preliminary=preliminary,
    )


def _agreements(supply: Path | None, generation: list[str]) -> PpaTerms | None:
    from energy.market.ppa import Supply
    from vpp.cli.market_ppa import plant_files
    from vpp.config import read_yaml
    from vpp.settlement.files import read_meter
    from vpp.settlement.month_ppa import PpaTerms
    from vpp.settlement.record import Evidence

    if supply is None:
        if generation:
            raise ConfigError(
                "generation without an agreement",
                where=f"--generation {generation[0]}",
                hint="name the agreements with --supply, or leave --generation out",
            )
        return None
    told, files = read_yaml(supply, Supply), plant_files(generation)
    unknown = files.keys() - {one.plant for one in told.contracts}
    if unknown:
        raise ConfigError(
            f"no agreement is about plant {min(unknown)!r}",
            where=f"{supply}: {', '.join(one.plant for one in told.contracts)}",
            hint="check the name before the equals sign",
        )
    return PpaTerms(
        supply=told,
        generation={name: read_meter(path) for name, path in files.items()},
        evidence=tuple(Evidence.of(role, path) for role, path in {"supply": supply, **files}.items()),
    )


def _account(
    scenario: str,
    place: str,
    wanted: str,
    terms: tuple[Decimal, ImbalancePrices | None, PpaTerms | None],
    *,
    days: tuple[str | None, str | None],
) -> MonthAccount:
    from vpp.cli.rules import day_named
    from vpp.settlement.month import MonthTerms, month_account
    from vpp.settlement.month_events import known_events
    from vpp.simulation.scenario import load_scenario

    told, _ = load_scenario(scenario)
    rate, prices, agreements = terms
    first, last = (
        None if told_day is None else day_named(told_day, option)
        for told_day, option in zip(days, ("--from", "--until"), strict=True)
    )
    with open_named(place, read_only=True) as store:
        return month_account(
            store,
            told.site,
            wanted,
            MonthTerms(dr_yen_per_kwh=rate, coin=told.coin, imbalance=prices, ppa=agreements),
            events=known_events(store),
            from_day=first,
            last_day=last,
        )


def _keep(console: Console, place: str, made: MonthAccount, actor: str) -> None:
    from vpp.cli.keeping import keep
    from vpp.settlement.month import to_keep

    keep(console, place, to_keep(made), actor=actor)


def _show(console: Console, made: MonthAccount) -> None:
    """Sentence first, then the lines."""
    apart = made.settled_yen - made.promised_yen
    print(
        console.text(
            "settle.lead",
            name=made.name_ja if console.lang == "ja" else made.name_en,
            month=made.month,
            promised=f"{made.promised_yen:,}",
            settled=f"{made.settled_yen:,}",
            apart=f"{apart:+,}",
        )
    )
    for line in made.lines:
        what = console.text(f"paper.part_{line.name}")
        print(f"  {line.yen:>+12,}  {what}: {console.text(f'paper.why_{line.name}', **line.facts)}")
    print(f"  {apart:>+12,}  {console.text('settle.sum')}")
    for note in made.notes:
        console.say("  " + console.text(f"settle.note_{note.name}", count=note.count))
