"""A month of a place under power purchase agreements: invoices, renewable shares, CO2, claims."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final, cast

import numpy as np

from energy.core.calendar import fiscal_year
from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOTS_PER_DAY
from energy.market.claims import Claim, ClaimPurpose, claimed, require_free
from energy.market.co2 import Co2Factors, Emission, emissions
from energy.market.demand import first_day, month_shift
from energy.market.matching import RenewableShare, renewable_share
from energy.market.ppa import (
    Delivery,
    Invoice,
    PpaContract,
    PpaKind,
    Supply,
    deliver,
    invoice,
    months_covered,
    price_facts,
)
from energy.market.prices import MICRO, IntArray, micro
from energy.market.rule_table import RuleFact
from energy.store import Store, canonical_json
from vpp.settlement.record import Derivation
from vpp.settlement.traces import invoice_trace

__all__ = ["CLAIM", "ClaimBook", "NewClaim", "PpaMonth", "claims_of", "half_hours", "ppa_month"]

CLAIM: Final = "value-claim"
"""Kind of the documents; key ``PLANT/FIRST_SLOT/COUNT/CLAIMANT/PURPOSE``."""
_ONE_DAY: Final = timedelta(days=1)
_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
_PURPOSES: Final[Mapping[str, ClaimPurpose]] = {
    "customer": "own_use",
    "supplier": "sold",
    "j_credit": "j_credit",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PpaMonth:
    """What a place took in a month, what it owes, and how green it was.

    Parameters
    ----------
    share : RenewableShare
        Of the month.
    year_share : RenewableShare
        Of all whole months of the fiscal year that the files cover, ``year_months``.
    emissions : tuple of Emission
        By supplier and menu; empty without factors.
    """

    month: str
    delivery: Delivery
    invoices: tuple[Invoice, ...]
    residual_kwh: Decimal
    share: RenewableShare
    year_share: RenewableShare
    year_months: tuple[str, ...]
    emissions: tuple[Emission, ...]
    rules: tuple[RuleFact, ...]
    trace: Mapping[str, Derivation]


def ppa_month(
    supply: Supply,
    month: str,
    meter: Series,
    generation: Mapping[str, Series],
    *,
    export: Series | None = None,
    factors: Co2Factors | None = None,
) -> PpaMonth:
    """Settle a month.

    Parameters
    ----------
    meter : Series
        Imported energy, whole days; the month complete. [kWh]
    generation : mapping of str to Series
        Generation by plant. [kWh]

    Raises
    ------
    DataError
        If a file lacks part of the month, or says what cannot be.
    ConfigError
        If a contract, rule or factor says nothing about the month.
    """
    first, after = first_day(month), first_day(month_shift(month, 1))
    whole = deliver(supply, meter, generation, export_kwh=export)
    covered = [one for one in months_covered(whole) if fiscal_year(first_day(one)) == fiscal_year(first)]
    invoices = tuple(invoice(contract, whole, month) for contract in supply.contracts)
    inside = whole.between(first, after - _ONE_DAY)
    year = _months(whole, covered)
    used = _by_menu(supply, inside)
    found = () if factors is None else tuple(emissions(used, factors, year=fiscal_year(first)))
    trace = {
        name: one
        for contract, made in zip(supply.contracts, invoices, strict=True)
        for name, one in invoice_trace(contract, made).items()
    }
    return PpaMonth(
        month=month,
        delivery=inside,
        invoices=invoices,
        residual_kwh=Decimal(int(inside.residual.sum())) / MICRO,
        share=_share(supply, inside),
        year_share=_share(supply, year),
        year_months=tuple(covered),
        emissions=found,
        rules=tuple(
            dict.fromkeys([*price_facts(supply, month), *(fact for one in invoices for fact in one.rules)])
        ),
        trace=trace | _green_trace(),
    )


def _months(whole: Delivery, months: list[str]) -> Delivery:
    """The days of some months in a row; files of whole days without gaps cover no others."""
    return whole.between(first_day(months[0]), first_day(month_shift(months[-1], 1)) - _ONE_DAY)


def _green(supply: Supply, delivery: Delivery) -> tuple[IntArray, IntArray]:
    """Renewable energy that is the place's own: taken in its slot, and with the surplus. [kWh / 1e6]"""
    taken = np.zeros(delivery.grid.count, dtype=np.int64)
    made = taken.copy()
    for contract in supply.contracts:
        if contract.value_to == "customer":
            taken += delivery.delivered[contract.id]
            made += delivery.delivered[contract.id] + delivery.surplus[contract.id]
    return taken, made


def _share(supply: Supply, delivery: Delivery) -> RenewableShare:
    _, made = _green(supply, delivery)
    load, green = (Series(delivery.grid, values / MICRO, Unit.KWH) for values in (delivery.load, made))
    return renewable_share(load, green)


def half_hours(supply: Supply, month: PpaMonth) -> tuple[IntArray, IntArray, IntArray]:
    """Use, renewable energy and what of the two met, by half hour of the day, summed over the month.

    Returns
    -------
    tuple of three ndarray of int, shape (48,)
        ``sum over days of load``, ``of RE`` and ``of min(load, RE)``. [kWh / 1e6]
    """
    _, made = _green(supply, month.delivery)
    load = month.delivery.load
    use, sun, met = (
        values.reshape(-1, SLOTS_PER_DAY).sum(axis=0) for values in (load, made, np.minimum(load, made))
    )
    return use, sun, met


def _by_menu(supply: Supply, delivery: Delivery) -> dict[tuple[str, str], Decimal]:
    """Energy by supplier and menu; a kWh whose value is somebody else's counts as the residual menu's."""
    residual = (supply.residual.supplier, supply.residual.menu)
    found: dict[tuple[str, str], int] = {}
    for contract in supply.contracts:
        menu = (contract.supplier, contract.menu) if contract.value_to == "customer" else residual
        found[menu] = found.get(menu, 0) + int(delivery.delivered[contract.id].sum())
    found[residual] = found.get(residual, 0) + int(delivery.residual.sum())
    return {menu: Decimal(parts) / MICRO for menu, parts in found.items()}


def _green_trace() -> dict[str, Derivation]:
    readings = ("meter: half hours", "generation: half hours")
    return {
        "renewable.matched": Derivation(
            how="sum over slots of min(load, renewable) / sum of load", readings=readings
        ),
        "renewable.annual": Derivation(how="min(1, sum of renewable / sum of load)", readings=readings),
        "co2": Derivation(
            how="kWh x factor of supplier, menu and reporting year", readings=("co2: factors",)
        ),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class NewClaim:
    """A claim with what its plant generated on its slots. [kWh / 1e6]"""

    claim: Claim
    generation: IntArray


def claims_of(supply: Supply, month: PpaMonth, generation: Mapping[str, Series]) -> list[NewClaim]:
    """Claims that a month makes; a plant under FIT has no value to claim.

    Of an off-site plant the claim counts at the plant: what was delivered with its losses, but never more
    than the plant generated.
    """
    grid = month.delivery.grid
    found = []
    for contract in supply.contracts:
        if contract.value_to == "fit":
            continue
        made = micro(generation[contract.plant].between(grid.start, grid.end).values)
        claim = Claim(
            plant=contract.plant,
            claimant=supply.place if contract.value_to == "customer" else contract.supplier,
            purpose=_PURPOSES[contract.value_to],
            grid=grid,
            parts=_at_plant(contract, month.delivery.delivered[contract.id], made),
        )
        found.append(NewClaim(claim=claim, generation=made))
    return found


def _at_plant(contract: PpaContract, delivered: IntArray, made: IntArray) -> IntArray:
    if contract.kind is PpaKind.ONSITE:
        return delivered
    kept = 1 - contract.loss_rate
    parts = np.array([-int(-Decimal(value) // kept) for value in delivered.tolist()], dtype=np.int64)
    return np.minimum(parts, made)


class ClaimBook:
    """Claims in a store; every kWh of a plant is claimed once."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def claim(self, new: NewClaim, *, at: datetime, actor: str, fit: bool = False) -> bool:
        """Record a claim; the same again changes nothing, another amount of the same claimant replaces it.

        Raises
        ------
        DataError
            If energy would be claimed twice, or more than was generated.
        """
        with self._store.transaction():
            claim = new.claim
            require_free(claim, self.claims(claim.plant), new.generation, fit=fit)
            body = canonical_json(
                {
                    "plant": claim.plant,
                    "claimant": claim.claimant,
                    "purpose": claim.purpose,
                    "start": claim.grid.start,
                    "parts": claim.parts.tolist(),
                }
            )
            key = _key(claim)
            before = self._store.as_of(_END_OF_TIME).document(CLAIM, key)
            if before is not None and before.body == body:
                return False
            self._store.put_document(CLAIM, key, known_at=at, body=body)
            self._store.audit(
                actor,
                "value.claimed" if before is None else "value.claim_corrected",
                f"claim/{key}",
                at=at,
                facts={"kwh": str(Decimal(int(claim.parts.sum())) / MICRO), "purpose": claim.purpose},
            )
        return True

    def claims(self, plant: str = "") -> list[Claim]:
        """Claims that stand, of a plant or of all."""
        found = []
        for one in self._store.as_of(_END_OF_TIME).documents(CLAIM, prefix=f"{plant}/" if plant else ""):
            told: dict[str, Any] = json.loads(one.body)
            parts = np.array(told["parts"], dtype=np.int64)
            found.append(
                Claim(
                    plant=told["plant"],
                    claimant=told["claimant"],
                    purpose=cast("ClaimPurpose", told["purpose"]),
                    grid=Grid(datetime.fromisoformat(told["start"]), len(parts)),
                    parts=parts,
                )
            )
        return found

    def left(self, plant: str, grid: Grid, generation: IntArray) -> IntArray:
        """What nobody has claimed of a plant's generation. [kWh / 1e6]"""
        return generation - claimed(self.claims(plant), plant, grid)


def _key(claim: Claim) -> str:
    return f"{claim.plant}/{claim.grid.start.isoformat()}/{claim.grid.count}/{claim.claimant}/{claim.purpose}"
