"""``vpp market fip``: the premium of a plant under FIP for a month."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.units import plain_number
from vpp.cli.bill import warn_unverified
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, Actor, Database, keep, noted_refusal
from vpp.console import Console

if TYPE_CHECKING:
    from energy.market.fip import FipPremium, FipTerms
    from vpp.settlement.record import KeptSettlement

__all__ = ["fip"]


def fip(
    context: typer.Context,
    terms: Annotated[Path, typer.Option(help="Base price and published figures of the plant, YAML.")],
    month: Annotated[str, typer.Option(help="Month of delivery YYYY-MM.")],
    generation: Annotated[Path, typer.Option(help="What it sold: timestamp,kwh (end stamps).")],
    spot: Annotated[Path, typer.Option(help="Day-ahead price of its area: slot_start,yen_per_kwh.")],
    *,
    keep_it: Annotated[bool, typer.Option("--keep", help="Keep it with all it was made from.")] = False,
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Compute the premium: base price less reference price, none in half hours at the floor price.

    Averages, non-fossil value, balancing cost and factor are figures of the whole area: the file holds what
    was published for the month. --keep records it as fip/PLANT/MONTH.

    Example: vpp market fip --terms examples/fip-valley.yaml --month 2026-11
    --generation examples/generation-valley.csv --spot examples/spot.csv
    """
    from energy.core.series import Unit
    from energy.market.fip import FipTerms, fip_premium
    from vpp.config import read_yaml
    from vpp.settlement.files import decimals, read_meter, read_slots

    console = cast("Console", context.obj)
    told = read_yaml(terms, FipTerms)
    files: dict[str, Path | None] = {"terms": terms, "generation": generation, "spot": spot}
    with noted_refusal(database, f"fip/{told.plant}/{month}" if keep_it else None, actor, files):
        prices = decimals(read_slots(spot, "yen_per_kwh", Unit.YEN_PER_KWH))
        made = fip_premium(told, month, read_meter(generation), prices)
    warn_unverified(console, made.rules)
    if keep_it:
        keep(console, database, _to_keep(told, made, files), actor=actor)
    if json:
        print_json(_document(made) | {"rules": [fact.as_json() for fact in made.rules]})
        return
    print(
        console.text(
            "fip.lead",
            plant=made.plant,
            month=made.month,
            yen=f"{made.yen:,}",
            kwh=f"{made.kwh - made.floor_kwh:,.1f}",
            premium=f"{made.premium_yen_per_kwh.normalize():f}",
            base=f"{told.base_yen_per_kwh:.2f}",
            reference=f"{made.reference_yen_per_kwh:.2f}",
        )
    )
    if made.floor_slots:
        print(console.text("fip.floor", slots=made.floor_slots, kwh=f"{made.floor_kwh:,.1f}"))


def _document(made: FipPremium) -> dict[str, object]:
    return {
        "plant": made.plant,
        "month": made.month,
        "kwh": plain_number(made.kwh),
        "floor_kwh": plain_number(made.floor_kwh),
        "floor_slots": made.floor_slots,
        "reference_yen_per_kwh": plain_number(made.reference_yen_per_kwh),
        "premium_yen_per_kwh": plain_number(made.premium_yen_per_kwh),
        "premium_yen": made.yen,
    }


def _to_keep(told: FipTerms, made: FipPremium, files: dict[str, Path | None]) -> KeptSettlement:
    from vpp.settlement.record import Derivation, Evidence, KeptSettlement

    name, paid = f"fip.{told.plant}", made.kwh - made.floor_kwh
    parts = ("year_before", "month", "month_before", "non_fossil", "balancing")
    trace = {
        "kwh": Derivation(how="sum of the half hours", readings=("generation: half hours of the month",)),
        "floor_kwh": Derivation(
            how="generated in half hours at the floor price",
            rules=("fip_floor",),
            readings=("spot: half hours of the month",),
        ),
        "reference_yen_per_kwh": Derivation(
            how="year before + (month - month a year before) + non-fossil value - balancing cost",
            rules=tuple(f"{name}.{part}" for part in parts),
        ),
        "premium_yen_per_kwh": Derivation(
            how=f"max(0, {told.base_yen_per_kwh} - {made.reference_yen_per_kwh}) x factor",
            rules=(f"{name}.base", f"{name}.factor"),
        ),
        "premium_yen": Derivation(how=f"rounded down: {paid} kWh x {made.premium_yen_per_kwh}"),
    }
    return KeptSettlement(
        what="fip",
        subject=made.plant,
        period=made.month,
        figures=_document(made),
        trace=trace,
        rules=made.rules,
        evidence=[Evidence.of(role, path) for role, path in files.items() if path is not None],
    )
