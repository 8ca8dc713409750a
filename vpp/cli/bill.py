"""``vpp bill``: one month's electricity bill from the meter and the contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.units import plain_number
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, Actor, Database, keep, noted_refusal
from vpp.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterable

    from energy.core.series import Series
    from energy.core.slots import Slot
    from energy.market.rule_table import RuleFact
    from energy.market.tariff_file import TariffFile
    from vpp.settlement.billing import MeteredBill
    from vpp.settlement.record import KeptSettlement

__all__ = ["bill", "local", "warn_unverified"]


def local(slot: Slot) -> str:
    """Start of a slot in Japan, with its offset."""
    from energy.core.slots import JST

    return slot.start.astimezone(JST).isoformat()


def warn_unverified(console: Console, rules: Iterable[RuleFact]) -> None:
    """Name the numbers whose source nobody has seen, on stderr."""
    for fact in rules:
        if fact.status == "unverified":
            unit = "" if fact.unit == "1" else f" {fact.unit}"
            console.say(
                console.text("rules.warning", rule=fact.rule, value=f"{fact.value}{unit}", source=fact.source)
            )


def bill(
    context: typer.Context,
    meter: Annotated[Path, typer.Option(help="Meter file: timestamp,kwh; rows stamped by their end.")],
    tariff: Annotated[Path, typer.Option(help="Contract, a YAML file.")],
    month: Annotated[str, typer.Option(help="Billing month YYYY-MM, which is also that of the reading.")],
    price: Annotated[
        Path | None,
        typer.Option(help="Spot price of the area: slot_start,yen_per_kwh; if the tariff follows it."),
    ] = None,
    *,
    site: Annotated[
        str | None,
        typer.Option("--keep", metavar="SITE", help="Keep the bill of this site with all it was made from."),
    ] = None,
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Make the bill of a month, to the yen, and say which dated rules it rests on.

    The meter file has one row per half hour; earlier months in it count for the contract power:

        timestamp,kwh
        2026-11-01T00:30:00+09:00,31.2
        2026-11-30T24:00:00+09:00,30.8

    --keep SITE records it as bill/SITE/MONTH: the same again changes nothing, anything else is the next
    version and says what changed; vpp audit trace shows where each figure comes from.

    The contract is a YAML file: examples/tariff-high-voltage.yaml, -market-linked.yaml, -low-voltage.yaml.

    Example: vpp bill --meter examples/meter.csv --tariff examples/tariff-high-voltage.yaml --month 2026-11
    """
    from energy.core.series import Unit
    from energy.market.tariff_file import TariffFile
    from vpp.config import read_yaml
    from vpp.settlement.billing import metered_bill
    from vpp.settlement.files import read_meter, read_slots

    console = cast("Console", context.obj)
    evidence = {"meter": meter, "tariff": tariff, "price": price}
    with noted_refusal(database, site and f"bill/{site}/{month}", actor, evidence):
        contract = read_yaml(tariff, TariffFile)
        spot = None if price is None else read_slots(price, "yen_per_kwh", Unit.YEN_PER_KWH)
        series = read_meter(meter)
        made = metered_bill(contract, series, month, spot=spot)
    warn_unverified(console, made.rules)
    for earlier, missing in made.incomplete.items():
        console.say(console.text("bill.incomplete", month=earlier, missing=missing))
    if site is not None:
        told = _to_keep(made, contract, series, subject=(site, month), evidence=evidence)
        keep(console, database, told, actor=actor)
    if json:
        print_json(_document(made))
        return
    _show(console, contract.name_ja if console.lang == "ja" else contract.name_en, month, made)


def _to_keep(
    made: MeteredBill,
    contract: TariffFile,
    meter: Series,
    *,
    subject: tuple[str, str],
    evidence: dict[str, Path | None],
) -> KeptSettlement:
    from vpp.settlement.record import Evidence, KeptSettlement
    from vpp.settlement.traces import bill_trace

    figures = {name: value for name, value in _document(made).items() if name != "rules"}
    return KeptSettlement(
        what="bill",
        subject=subject[0],
        period=subject[1],
        figures=figures,
        trace=bill_trace(made.bill, made.rules, contract, meter, subject[1]),
        rules=made.rules,
        evidence=[Evidence.of(role, path) for role, path in evidence.items() if path is not None],
        notes=tuple(
            f"{earlier}: {missing} half hours missing" for earlier, missing in made.incomplete.items()
        ),
    )


def _document(made: MeteredBill) -> dict[str, object]:
    told = made.bill
    return {
        "contract_kw": told.contract_kw,
        "max_demand_kw": told.max_demand_kw,
        "kwh": plain_number(told.kwh),
        "power_factor": told.power_factor_percent,
        "basic_yen": plain_number(told.basic_yen),
        "energy_yen": plain_number(told.energy_yen),
        "adjustment_yen": plain_number(told.adjustment_yen),
        "levy_yen": told.levy_yen,
        "total_yen": told.total_yen,
        "rules": [fact.as_json() for fact in made.rules],
    }


def _show(console: Console, name: str, month: str, made: MeteredBill) -> None:
    """Sentence first, then the lines of the bill."""
    told = made.bill
    factor = "-" if told.power_factor_percent is None else f"{told.power_factor_percent} %"
    print(console.text("bill.lead", month=month, total=f"{told.total_yen:,}", tariff=name))
    rows = (
        ("contract", f"{told.contract_kw} kW"),
        ("demand", f"{told.max_demand_kw} kW"),
        ("energy_used", f"{told.kwh:,.1f} kWh"),
        ("power_factor", factor),
        ("basic", f"{told.basic_yen:,.2f}"),
        ("energy", f"{told.energy_yen:,.2f}"),
        ("adjustment", f"{told.adjustment_yen:,.2f}"),
        ("levy", f"{told.levy_yen:,}"),
        ("total", f"{told.total_yen:,}"),
    )
    for key, value in rows:
        print(f"  {console.text(f'bill.{key}')}: {value}")
    for fact in told.facts[1:]:
        print(f"  {fact}")
