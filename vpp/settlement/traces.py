"""How each figure of a bill, an imbalance settlement and an invoice came about, for ``vpp audit trace``."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np

from energy.core.series import Series
from energy.core.slots import JST, jst_midnight
from energy.market.bill import Bill
from energy.market.demand import first_day, month_shift
from energy.market.imbalance import SlotSettlement
from energy.market.ppa import Invoice, PpaContract
from energy.market.rule_table import RuleFact
from energy.market.tariff_file import TariffFile
from vpp.settlement.record import Derivation

__all__ = ["bill_trace", "imbalance_trace", "invoice_trace"]


def _named(rules: Sequence[RuleFact], *starts: str) -> tuple[str, ...]:
    return tuple(fact.rule for fact in rules if fact.rule.startswith(starts))


def bill_trace(
    bill: Bill, rules: Sequence[RuleFact], file: TariffFile, meter: Series, month: str
) -> dict[str, Derivation]:
    """Every figure of a month's bill: formula, rules, readings."""
    start, end = jst_midnight(first_day(month)), jst_midnight(first_day(month_shift(month, 1)))
    inside = meter.between(start, end)
    k = int(np.argmax(inside.values))
    at = inside.grid.time(k + 1).astimezone(JST).isoformat()
    rows = f"meter: {inside.grid.count} half hours of {month}"
    peak = f"meter: stamp {at}, {inside.values[k]:g} kWh"
    contract = (
        "agreed in the contract file" if file.contract_kw is not None else "highest demand of 12 months"
    )
    memory = tuple(
        f"tariff: peak_memory_kw of {name} is {kw} kW" for name, kw in sorted(file.peak_memory_kw.items())
    )
    factor = "" if bill.power_factor_percent is None else f" x (185 - {bill.power_factor_percent}) / 100"
    daytime = (f"tariff: daytime of {month}",) if month in file.daytime else ()
    return {
        "kwh": Derivation(how=f"sum of the half hours = {bill.kwh}", readings=(rows,)),
        "max_demand_kw": Derivation(how="2 x the highest half hour, rounded half up", readings=(peak,)),
        "contract_kw": Derivation(
            how=contract, rules=_named(rules, "high_voltage_bill"), readings=(peak, *memory)
        ),
        "power_factor": Derivation(
            how="of the month's daytime readings" if daytime else "as the contract file says",
            rules=_named(rules, "bill_practice.idle"),
            readings=daytime,
        ),
        "basic_yen": Derivation(
            how=f"{bill.contract_kw} kW x price{factor} = {bill.basic_yen}",
            rules=_named(rules, "tariff.basic", "bill_practice"),
        ),
        "energy_yen": Derivation(
            how=f"half hours x their price = {bill.energy_yen}",
            rules=_named(rules, "tariff.summer", "tariff.other", "tariff.band", "tariff.step"),
            readings=(rows,),
        ),
        "adjustment_yen": Derivation(
            how=f"{bill.kwh} kWh x (adjustment - support + market) = {bill.adjustment_yen}",
            rules=_named(
                rules, "tariff.adjustment", "tariff.subsidy", "tariff.market", "high_voltage_subsidy"
            ),
            readings=(rows,),
        ),
        "levy_yen": Derivation(
            how=f"rounded down: {bill.kwh} kWh x levy = {bill.levy_yen}",
            rules=_named(rules, "renewable_levy", "tariff.levy"),
            readings=(rows,),
        ),
        "total_yen": Derivation(
            how=f"rounded down: basic + energy + adjustment, plus levy = {bill.total_yen}; {bill.facts[0]}"
        ),
    }


def imbalance_trace(
    found: Sequence[SlotSettlement], rules: Sequence[RuleFact], *, loss_rate: Decimal
) -> dict[str, Derivation]:
    """Every slot of an imbalance settlement, and its total."""
    scarce, loss = _named(rules, "imbalance"), _named(rules, "loss_rates")
    told = {
        f"slots.{number}": Derivation(
            how=f"({one.plan_kwh} - {one.metered_kwh} / (1 - {loss_rate})) x {one.price_yen_per_kwh} "
            f"= {one.yen:.4f}",
            rules=(*scarce, *loss),
            readings=_slot_readings(one),
        )
        for number, one in enumerate(found)
    }
    return told | {"total_yen": Derivation(how=f"sum of {len(found)} slots, nothing rounded")}


def _slot_readings(one: SlotSettlement) -> tuple[str, ...]:
    start, end = (at.astimezone(JST).isoformat() for at in (one.slot.start, one.slot.end))
    return (f"plan: {start}", f"meter: stamp {end}", f"price: {start}", f"margin: {start}")


def invoice_trace(contract: PpaContract, made: Invoice) -> dict[str, Derivation]:
    """Every figure of an invoice."""
    name = contract.id
    readings = (f"generation {contract.plant}: half hours of {made.month}", f"meter: of {made.month}")
    told = {
        f"{name}.delivered_kwh": Derivation(
            how="generation less export"
            if contract.kind.value == "onsite"
            else f"least of generation x {contract.share} x (1 - {contract.loss_rate}) and what was needed",
            readings=readings,
        ),
        f"{name}.contracted_kwh": Derivation(how="as the contract says", readings=(f"supply: {name}",)),
        f"{name}.subtotal_yen": Derivation(how="sum of the lines", rules=("invoice_rounding.subtotal",)),
        f"{name}.tax_yen": Derivation(
            how=f"{made.subtotal_yen} x {made.tax_rate}"
            if contract.tax == "excluded"
            else f"part of {made.total_yen}: x {made.tax_rate} / (1 + {made.tax_rate})",
            rules=("consumption_tax", "invoice_rounding.tax"),
        ),
        f"{name}.total_yen": Derivation(how=f"{made.subtotal_yen} + {made.tax_yen}"),
    }
    for line in made.lines:
        rule = "renewable_levy" if line.what == "levy" else f"ppa.{name}.{line.what}"
        told[f"{name}.{line.what}.{line.first}"] = Derivation(
            how=f"{line.kwh} kWh x {line.yen_per_kwh} = {line.yen}", rules=(rule,), readings=readings
        )
    return told
