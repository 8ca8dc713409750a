"""``vpp market``: plans of balancing groups and what deviating from them costs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

from energy.core.errors import ConfigError
from energy.core.units import plain_number
from vpp.cli.bill import local, warn_unverified
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.keeping import DEFAULT_DATABASE, Actor, Database, keep, noted_refusal
from vpp.cli.market_fip import fip
from vpp.cli.market_plan import app as plan_app
from vpp.cli.market_plan_delivery import acknowledge, deliver
from vpp.cli.market_ppa import app as ppa_app
from vpp.cli.rules import area_named
from vpp.console import Console

if TYPE_CHECKING:
    from datetime import date

    from energy.core.slots import Slot
    from energy.market.imbalance import SlotSettlement
    from energy.market.rule_table import Area, RuleFact
    from vpp.settlement.record import KeptSettlement

__all__ = ["app"]

app = typer.Typer(help="Plans of balancing groups, and what deviating from them costs.", no_args_is_help=True)
plan_app.command()(deliver)
plan_app.command()(acknowledge)
app.add_typer(plan_app, name="plan")
app.add_typer(ppa_app, name="ppa")
app.command()(fip)


@app.command()
def imbalance(
    context: typer.Context,
    plan: Annotated[Path, typer.Option(help="Procurement less sales, sending end: slot_start,kwh.")],
    meter: Annotated[Path, typer.Option(help="Metered use, receiving end: timestamp,kwh (end stamps).")],
    price: Annotated[Path, typer.Option(help="Imbalance price: slot_start,yen_per_kwh[,status].")],
    margin: Annotated[Path, typer.Option(help="Wide-area reserve margin: slot_start,percent.")],
    area: Annotated[str, typer.Option(help="Supply area, such as tohoku.")],
    *,
    loss: Annotated[
        float | None, typer.Option(help="Loss rate, such as 0.05; that of the rules if none.")
    ] = None,
    voltage: Annotated[
        Literal["special_high", "high", "low"],
        typer.Option(help="Voltage whose loss rate of the rules holds."),
    ] = "high",
    spot: Annotated[
        Path | None, typer.Option(help="Area spot price since 7 days before: slot_start,yen_per_kwh.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Add rules and preliminary slots to the JSON.")
    ] = False,
    group: Annotated[
        str | None,
        typer.Option("--keep", metavar="GROUP", help="Keep the settlement of this balancing group."),
    ] = None,
    actor: Actor = "operator",
    database: Database = DEFAULT_DATABASE,
    json: Json = False,
) -> None:
    """Settle every slot of a plan: the deviation at the sending end, the price of its date, the yen.

    Negative kWh is a shortage and is paid; positive is a surplus and is received. Times without an offset are
    Japan's. The price file is the published price before scarcity; a slot may have a preliminary and a final
    row, the final one counts:

        slot_start,kwh                 timestamp,kwh                   slot_start,percent
        2026-10-01T00:00+09:00,500     2026-10-01T00:30+09:00,503.5    2026-10-01T00:00+09:00,5.5

        slot_start,yen_per_kwh,status
        2026-10-01T00:00+09:00,30.00,preliminary

    With --spot the cumulative price threshold is checked: many dear slots cap the scarcity price. Without it
    the earlier rows of the price file stand in for the spot price, and stderr says so if they cap.

    --keep GROUP records it as imbalance/GROUP/AREA-FIRST-DAY-LAST-DAY. Run again with final prices it is the
    next version, which says what changed; the preliminary one stays.

    Example: vpp market imbalance --plan examples/plan.csv --meter examples/meter.csv
    --price examples/imbalance-price.csv --margin examples/margin.csv --area tohoku
    """
    from energy.core.series import Unit
    from energy.market.imbalance import price_rules, settle_slots
    from vpp.settlement.files import decimals, read_meter, read_prices, read_slots

    console = cast("Console", context.obj)
    place = area_named(area)
    files = {"plan": plan, "meter": meter, "price": price, "margin": margin, "spot": spot}
    with noted_refusal(database, group and f"imbalance/{group}/{place.value}", actor, files):
        planned = decimals(read_slots(plan, "kwh", Unit.KWH))
        metered = decimals(read_meter(meter))
        prices, preliminary = read_prices(price)
        days = sorted({slot.local_date for slot in planned})
        rate, loss_facts = _loss(loss, voltage, days, place)
        capped = _capped_by_price(prices, days, place) if spot is None else _capped(spot, days, place)
        margins = decimals(read_slots(margin, "percent", Unit.PERCENT))
        inputs = (planned, metered, prices, margins)
        found = settle_slots(*inputs, loss_rate=rate, area=place, capped=capped)
    rules = [*price_rules(days, place), *loss_facts]
    warn_unverified(console, rules)
    if spot is None:
        console.say(console.text("imbalance.price_as_spot" if capped & set(days) else "imbalance.no_spot"))
    early = [one.slot for one in found if one.slot in preliminary]
    if group is not None:
        told = _to_keep(found, rules, early, rate=rate, subject=(group, place), files=files)
        keep(console, database, told, actor=actor)
    if json:
        print_json(_document(found) | (_explained(rules, early) if explain else {}))
        return
    _show(console, found, len(early))


def _to_keep(
    found: list[SlotSettlement],
    rules: list[RuleFact],
    early: list[Slot],
    *,
    rate: Decimal,
    subject: tuple[str, Area],
    files: dict[str, Path | None],
) -> KeptSettlement:
    from vpp.settlement.record import Evidence, KeptSettlement
    from vpp.settlement.traces import imbalance_trace

    return KeptSettlement(
        what="imbalance",
        subject=subject[0],
        period=f"{subject[1].value}-{found[0].slot.local_date}-{found[-1].slot.local_date}",
        figures=_document(found),
        trace=imbalance_trace(found, rules, loss_rate=rate),
        rules=rules,
        evidence=[Evidence.of(role, path) for role, path in files.items() if path is not None],
        notes=(f"{len(early)} slots have a preliminary price",) if early else (),
    )


def _loss(loss: float | None, voltage: str, days: list[date], area: Area) -> tuple[Decimal, list[RuleFact]]:
    """Loss rate and the rule it comes from."""
    from energy.market.rules import facts_on

    if loss is not None:
        if not 0 <= loss < 1:
            raise ConfigError(f"a loss rate of {loss:g} cannot be", where="--loss", hint="5 % is 0.05")
        return Decimal(repr(loss)), []
    found = [facts_on(f"loss_rates.{voltage}", day, area)[0] for day in days]
    if len({fact.value for fact in found}) > 1:
        raise ConfigError(
            "the loss rate changes inside the plan",
            where=f"{days[0]} to {days[-1]}",
            hint="settle the days before and after the change one by one",
        )
    return Decimal(found[0].value), found[:1]


def _capped_by_price(prices: dict[Slot, Decimal], days: list[date], area: Area) -> frozenset[date]:
    """Days that would be capped if the price file's history were the spot price; a gap counts as cheap."""
    from energy.core.slots import slots_between
    from energy.market.imbalance import capped_days

    first, last = min(prices), max(prices)
    history = {slot: prices.get(slot, Decimal(0)) for slot in slots_between(first.start, last.end)}
    if last.local_date < days[-1] - timedelta(days=1):
        return frozenset()
    return capped_days(history, days[-1], area=area)


def _capped(spot: Path, days: list[date], area: Area) -> frozenset[date]:
    """Days on which the scarcity price is capped."""
    from energy.core.errors import GapError
    from energy.core.series import Unit
    from energy.market.imbalance import capped_days
    from energy.market.rules import PriceThreshold, rule_row
    from vpp.settlement.files import decimals, read_slots

    history = decimals(read_slots(spot, "yen_per_kwh", Unit.YEN_PER_KWH))
    needed = days[0] - timedelta(days=rule_row(PriceThreshold, days[0], area).values.days)
    first = min(history).local_date
    if first > needed:
        raise GapError(
            "the spot prices begin too late for the cumulative threshold",
            where=f"they begin on {first}, needed from {needed}",
            hint="add the area's prices of the seven days before the plan",
        )
    return capped_days(history, days[-1], area=area)


def _document(found: list[SlotSettlement]) -> dict[str, object]:
    return {
        "slots": [
            {
                "start": local(one.slot),
                "plan_kwh": plain_number(one.plan_kwh),
                "metered_kwh": plain_number(one.metered_kwh),
                "sending_end_kwh": plain_number(one.sending_end_kwh),
                "imbalance_kwh": plain_number(one.imbalance_kwh),
                "price_yen_per_kwh": plain_number(one.price_yen_per_kwh),
                "yen": plain_number(one.yen),
            }
            for one in found
        ],
        "total_yen": plain_number(sum((one.yen for one in found), Decimal(0))),
    }


def _explained(rules: list[RuleFact], early: list[Slot]) -> dict[str, object]:
    return {
        "rules": [fact.as_json() for fact in rules],
        "preliminary": [local(slot) for slot in early],
    }


def _show(console: Console, found: list[SlotSettlement], early: int) -> None:
    """Sentence first, then the slots."""
    total = sum((one.yen for one in found), Decimal(0))
    short = -sum((one.imbalance_kwh for one in found if one.imbalance_kwh < 0), Decimal(0))
    over = sum((one.imbalance_kwh for one in found if one.imbalance_kwh > 0), Decimal(0))
    print(
        console.text(
            "imbalance.paid" if total < 0 else "imbalance.received",
            yen=f"{abs(total):,.0f}",
            slots=len(found),
            short=f"{short:,.1f}",
            over=f"{over:,.1f}",
        )
    )
    if early:
        print(console.text("imbalance.preliminary", slots=early))
    print(console.text("imbalance.head"))
    for one in found:
        numbers = (one.plan_kwh, one.sending_end_kwh, one.imbalance_kwh, one.price_yen_per_kwh, one.yen)
        print(
            f"  {one.slot.local_date} {one.slot.koma:>2}" + "".join(f"{number:>12.2f}" for number in numbers)
        )
