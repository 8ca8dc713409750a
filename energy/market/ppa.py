"""Power purchase agreements: what a place got, half hour by half hour, and what it owes for it (RULES-JP 6).

A place takes, in this order and per slot,

::

    on site    generation used behind the meter            (no wheeling, no levy)
    off site   min(generation * share * (1 - loss), what is still needed)
    residual   the rest, from the retailer's menu

What an off-site plant sends beyond the need of its slot is surplus: it is neither delivered nor billed. A kWh
whose environmental value belongs to somebody else is delivered and billed, but does not count as renewable
energy of the place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass as checked_dataclass

from energy.core.assets import Identifier, strict
from energy.core.errors import AlignmentError, ConfigError, DataError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOTS_PER_DAY
from energy.market.demand import first_day, month_of, month_shift
from energy.market.prices import MICRO, IntArray, micro
from energy.market.rule_table import Area, RuleFact
from energy.market.rules import ConsumptionTax, InvoiceRounding, facts_on, levy_yen_per_kwh, rule_row

__all__ = [
    "Delivery",
    "Invoice",
    "InvoiceLine",
    "PpaContract",
    "PpaKind",
    "PpaPeriod",
    "Residual",
    "Supply",
    "deliver",
    "invoice",
]

Yen = Annotated[Decimal, Field(ge=0, max_digits=12)]
Kwh = Annotated[Decimal, Field(ge=0)]
_ONE_DAY: Final = timedelta(days=1)
LineKind = Literal["energy", "wheeling", "balancing", "levy"]


class PpaKind(StrEnum):
    """Where the plant stands."""

    ONSITE = "onsite"  # オンサイトPPA
    OFFSITE = "offsite"  # オフサイトフィジカルPPA


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class PpaPeriod:
    """Prices valid from one day to another, both included; without consumption tax unless the contract says.

    Parameters
    ----------
    energy_yen_per_kwh : Decimal
        Price of a delivered kWh. [yen/kWh]
    wheeling_yen_per_kwh, balancing_yen_per_kwh : Decimal
        What the retailer passes on for the grid and for imbalances; off site only. [yen/kWh]
    """

    valid_from: date
    valid_to: date
    energy_yen_per_kwh: Yen
    wheeling_yen_per_kwh: Yen = Decimal(0)
    balancing_yen_per_kwh: Yen = Decimal(0)


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class PpaContract:
    """One agreement.

    Parameters
    ----------
    plant : str
        Code of the plant; its generation file goes by this name.
    contracted_kwh : dict of str to Decimal
        Contracted energy by month ``YYYY-MM``. [kWh]
    share : Decimal
        Share of the plant that this contract has. [-]
    loss_rate : Decimal
        Losses between the plant and the place; 0 on site. [-]
    value_to : str
        Who has the environmental value: the customer, or ``supplier``, ``j_credit``, ``fit``.
    tax : str
        Whether the prices are without consumption tax (``excluded``) or with it.
    invoice_number : str
        Number of the qualified invoice issuer (登録番号); empty if there is none.
    """

    id: Identifier
    kind: PpaKind
    name_ja: str
    name_en: str
    plant: Identifier
    supplier: Identifier
    menu: Identifier
    periods: Annotated[tuple[PpaPeriod, ...], Field(min_length=1)]
    contracted_kwh: dict[str, Kwh] = Field(default_factory=dict)
    share: Annotated[Decimal, Field(gt=0, le=1)] = Decimal(1)
    loss_rate: Annotated[Decimal, Field(ge=0, lt=1)] = Decimal(0)
    value_to: Literal["customer", "supplier", "j_credit", "fit"] = "customer"
    tax: Literal["excluded", "included"] = "excluded"
    invoice_number: Annotated[str, Field(pattern=r"^(T\d{13})?$")] = ""

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> PpaContract:
        if self.kind is PpaKind.ONSITE and (
            self.loss_rate
            or any(one.wheeling_yen_per_kwh or one.balancing_yen_per_kwh for one in self.periods)
        ):
            msg = "energy used behind the meter has no losses, wheeling or balancing"
            raise ValueError(msg)
        for earlier, later in zip(self.periods, self.periods[1:], strict=False):
            if later.valid_from != earlier.valid_to + _ONE_DAY:
                msg = f"periods overlap or leave a gap: {earlier.valid_to} and {later.valid_from}"
                raise ValueError(msg)
        for month in self.contracted_kwh:
            first_day(month)
        return self

    def on(self, day: date) -> PpaPeriod:
        """Prices of a day.

        Raises
        ------
        ConfigError
            If no period covers the day.
        """
        for period in self.periods:
            if period.valid_from <= day <= period.valid_to:
                return period
        raise ConfigError(
            f"contract {self.id} has no prices for {day}",
            where=", ".join(f"{one.valid_from}..{one.valid_to}" for one in self.periods),
            hint="add a period that covers this day",
        )


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Residual:
    """The menu that covers what the contracts do not."""

    supplier: Identifier
    menu: Identifier


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Supply:
    """What a place is supplied from, in order of priority: on-site contracts first.

    Parameters
    ----------
    source, status : str
        Who says these prices, and whether that was seen.
    """

    place: Identifier
    name_ja: str
    name_en: str
    contracts: Annotated[tuple[PpaContract, ...], Field(min_length=1)]
    residual: Residual
    source: Annotated[str, Field(min_length=1)] = "the contract file, which names no source"
    status: Literal["verified", "unverified"] = "unverified"

    @model_validator(mode="after")
    def _on_site_comes_first(self) -> Supply:
        kinds = [one.kind for one in self.contracts]
        if kinds != sorted(kinds, key=lambda kind: kind is PpaKind.OFFSITE):
            msg = "on-site contracts come before off-site ones: their energy never reaches the meter"
            raise ValueError(msg)
        for name in ("id", "plant"):
            if len({getattr(one, name) for one in self.contracts}) < len(self.contracts):
                msg = f"two contracts have the same {name}"
                raise ValueError(msg)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a place took, slot by slot, in whole millionths of a kWh. [kWh / 1e6]

    Parameters
    ----------
    load : ndarray of int
        All it used: metered import and what it used behind the meter.
    delivered, surplus : dict of str to ndarray of int
        By contract: energy delivered, and what its plant sent beyond the need of the slot.
    residual : ndarray of int
        From the retailer's menu.
    """

    grid: Grid
    load: IntArray
    delivered: Mapping[str, IntArray]
    surplus: Mapping[str, IntArray]
    residual: IntArray

    def between(self, first: date, last: date) -> Delivery:
        """The days from one to another, both included; both must lie inside."""
        days = [slot.local_date for slot in self.grid.slots()][::SLOTS_PER_DAY]
        a, b = days.index(first) * SLOTS_PER_DAY, (days.index(last) + 1) * SLOTS_PER_DAY
        return Delivery(
            grid=Grid(self.grid.time(a), b - a),
            load=self.load[a:b],
            delivered={name: values[a:b] for name, values in self.delivered.items()},
            surplus={name: values[a:b] for name, values in self.surplus.items()},
            residual=self.residual[a:b],
        )


def deliver(
    supply: Supply,
    import_kwh: Series,
    generation_kwh: Mapping[str, Series],
    *,
    export_kwh: Series | None = None,
) -> Delivery:
    """Share out the generation of each slot among the contracts of a place.

    Parameters
    ----------
    import_kwh : Series
        Meter of the place, complete. [kWh]
    generation_kwh : mapping of str to Series
        Generation of each plant on the same slots, complete. [kWh]
    export_kwh : Series, optional
        What the place fed into the grid; nothing if not given, as of a contract without export. [kWh]

    Raises
    ------
    AlignmentError
        If a series lies on other slots or is no energy.
    GapError
        If a value is missing: nothing is guessed.
    DataError
        If the generation of a plant is missing, an energy is negative, or more is exported than generated.
    """
    need = _parts(import_kwh, "the meter", import_kwh.grid)
    used_here = np.zeros_like(need)
    left = need.copy()
    out = np.zeros_like(need) if export_kwh is None else _parts(export_kwh, "export", import_kwh.grid)
    delivered, surplus = {}, {}
    for contract in supply.contracts:
        told = generation_kwh.get(contract.plant)
        if told is None:
            raise DataError(
                f"the generation of plant {contract.plant!r} is missing",
                where=f"contract {contract.id} of {supply.place}",
                hint=f"pass --generation {contract.plant}=FILE",
            )
        made = _parts(told, f"plant {contract.plant}", import_kwh.grid)
        if contract.kind is PpaKind.ONSITE:
            sent = np.minimum(made, out)
            out = out - sent
            delivered[contract.id], surplus[contract.id] = made - sent, sent
            used_here = used_here + (made - sent)
            continue
        factor = contract.share * (1 - contract.loss_rate)
        arriving = np.array([int(value * factor) for value in made.tolist()], dtype=np.int64)
        taken = np.minimum(arriving, left)
        left = left - taken
        delivered[contract.id], surplus[contract.id] = taken, arriving - taken
    if out.any():
        raise DataError(
            "more is exported than the plants on site generate",
            where=f"{import_kwh.grid.time(int(np.argmax(out > 0))).isoformat()}",
            hint="check the export and generation files",
        )
    return Delivery(
        grid=import_kwh.grid,
        load=need + used_here,
        delivered=delivered,
        surplus=surplus,
        residual=left,
    )


def _parts(series: Series, name: str, grid: Grid) -> IntArray:
    if series.grid != grid or series.unit is not Unit.KWH:
        raise AlignmentError(
            f"{name} lies on other slots than the meter or is no energy",
            where=f"{series.grid.start.isoformat()} x {series.grid.count}, "
            f"meter {grid.start.isoformat()} x {grid.count}",
            hint="pass files in kWh that cover the same half hours",
        )
    values = micro(series.require_complete(name).values)
    if (values < 0).any():
        raise DataError(
            f"{name} holds a negative energy",
            where=grid.time(int(np.argmax(values < 0))).isoformat(),
            hint="an energy is 0 or more",
        )
    return values


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceLine:
    """One line: energy, unit price and yen as they stand on the invoice."""

    what: LineKind
    first: date
    last: date
    kwh: Decimal
    yen_per_kwh: Decimal
    yen: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Invoice:
    """What a place owes under one contract for one month.

    Parameters
    ----------
    contracted_kwh : Decimal or None
        What was contracted for the month; None where nothing was. [kWh]
    delivered_kwh, surplus_kwh : Decimal
        Delivered, and sent beyond the need of the slots. [kWh]
    subtotal_yen, tax_yen, total_yen : int
        Without tax, the tax, and both. [yen]
    """

    contract: str
    month: str
    lines: tuple[InvoiceLine, ...]
    contracted_kwh: Decimal | None
    delivered_kwh: Decimal
    surplus_kwh: Decimal
    subtotal_yen: int
    tax_rate: Decimal
    tax_yen: int
    total_yen: int
    rules: tuple[RuleFact, ...]


def invoice(contract: PpaContract, delivery: Delivery, month: str) -> Invoice:
    """The invoice of a month from what was delivered in it.

    Raises
    ------
    ConfigError
        If the contract, the levy, the tax or the rounding says nothing about a day.
    DataError
        If the delivery does not cover the month.
    """
    first = first_day(month)
    last = first_day(month_shift(month, 1)) - _ONE_DAY
    days = [slot.local_date for slot in delivery.grid.slots()][::SLOTS_PER_DAY]
    if first not in days or last not in days:
        raise DataError(
            f"the delivery does not cover {month}",
            where=f"it covers {days[0]} to {days[-1]}" if days else "it is empty",
            hint="pass files of the whole month",
        )
    inside = delivery.between(first, last)
    rounding = rule_row(InvoiceRounding, last).values
    lines, rules = _lines(contract, inside, rounding.line)
    rate = rule_row(ConsumptionTax, last).values.rate
    rules += facts_on("consumption_tax", last) + facts_on("invoice_rounding", last)
    charged = sum((line.yen for line in lines), Decimal(0))
    if contract.tax == "excluded":
        subtotal = _whole(charged, rounding.subtotal)
        tax = _whole(subtotal * rate, rounding.tax)
    else:
        total = _whole(charged, rounding.subtotal)
        tax = _whole(total * rate / (1 + rate), rounding.tax)
        subtotal = total - tax
    return Invoice(
        contract=contract.id,
        month=month,
        lines=tuple(lines),
        contracted_kwh=contract.contracted_kwh.get(month),
        delivered_kwh=_kwh(inside.delivered[contract.id]),
        surplus_kwh=_kwh(inside.surplus[contract.id]),
        subtotal_yen=subtotal,
        tax_rate=rate,
        tax_yen=tax,
        total_yen=subtotal + tax,
        rules=tuple(dict.fromkeys(rules)),
    )


def _lines(
    contract: PpaContract, inside: Delivery, way: Literal["none", "down", "half_up"]
) -> tuple[list[InvoiceLine], list[RuleFact]]:
    """Lines by stretch of days with the same price, and the rules behind them."""
    taken = inside.delivered[contract.id].reshape(-1, SLOTS_PER_DAY).sum(axis=1).tolist()
    days = [slot.local_date for slot in inside.grid.slots()][::SLOTS_PER_DAY]
    facts: list[RuleFact] = []
    runs: dict[str, list[InvoiceLine]] = {}
    for day, parts in zip(days, taken, strict=True):
        for what, price in _prices(contract, day).items():
            kwh, run = Decimal(parts) / MICRO, runs.setdefault(what, [])
            if run and run[-1].yen_per_kwh == price:
                run[-1] = replace(run[-1], last=day, kwh=run[-1].kwh + kwh)
            else:
                run.append(
                    InvoiceLine(what=what, first=day, last=day, kwh=kwh, yen_per_kwh=price, yen=Decimal(0))
                )
        if contract.kind is PpaKind.OFFSITE:
            facts += facts_on("renewable_levy", day)
    lines = []
    for line in (line for run in runs.values() for line in run):
        yen = line.kwh * line.yen_per_kwh
        if line.what == "levy":  # rounded down as on every bill (RULES-JP 2.2)
            yen = yen.to_integral_value(rounding=ROUND_FLOOR)
        elif way != "none":
            yen = Decimal(_whole(yen, way))
        if line.what == "energy" or line.yen_per_kwh:
            lines.append(replace(line, yen=yen))
    return lines, facts


def _prices(contract: PpaContract, day: date) -> dict[LineKind, Decimal]:
    """Unit prices of a day by line. [yen/kWh]"""
    period = contract.on(day)
    if contract.kind is PpaKind.ONSITE:
        return {"energy": period.energy_yen_per_kwh}
    return {
        "energy": period.energy_yen_per_kwh,
        "wheeling": period.wheeling_yen_per_kwh,
        "balancing": period.balancing_yen_per_kwh,
        "levy": levy_yen_per_kwh(day),
    }


def _whole(value: Decimal, way: str) -> int:
    return int(value.quantize(Decimal(1), rounding=ROUND_FLOOR if way == "down" else ROUND_HALF_UP))


def _kwh(parts: IntArray) -> Decimal:
    return Decimal(int(parts.sum())) / MICRO


def price_facts(supply: Supply, month: str) -> list[RuleFact]:
    """Prices of the contracts of a month as facts with their source."""
    day = first_day(month)
    found = []
    for contract in supply.contracts:
        period = contract.on(day)
        for name in ("energy_yen_per_kwh", "wheeling_yen_per_kwh", "balancing_yen_per_kwh"):
            value = getattr(period, name)
            if value:
                found.append(
                    RuleFact(
                        rule=f"ppa.{contract.id}.{name.removesuffix('_yen_per_kwh')}",
                        area=Area.ALL,
                        valid_from=period.valid_from,
                        valid_to=period.valid_to,
                        value=str(value),
                        unit="yen/kWh",
                        source=supply.source,
                        status=supply.status,
                    )
                )
    return found


def months_covered(delivery: Delivery) -> list[str]:
    """Months that a delivery covers wholly, in order."""
    days = [slot.local_date for slot in delivery.grid.slots()][::SLOTS_PER_DAY]
    found = []
    for month in dict.fromkeys(month_of(day) for day in days):
        first, last = first_day(month), first_day(month_shift(month, 1)) - _ONE_DAY
        if first in days and last in days:
            found.append(month)
    return found
