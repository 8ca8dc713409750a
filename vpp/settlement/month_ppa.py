"""Power purchase agreements in a month's account: what they were expected to cost, and what they did.

The invoice of an agreement is made twice by the same code: from the planned and from the metered half hours.
What an off-site plant sends takes the place of the retailer's energy, so the bill counts the rest alone; its
basic charge goes by the meter. Nobody plans an off-site plant: its generation is taken as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from energy.core.errors import DataError
from energy.core.series import Grid, Series, Unit
from energy.market.ppa import Invoice, PpaContract, PpaKind, Supply, deliver, invoice, price_facts
from energy.market.prices import MICRO, IntArray, micro
from energy.market.rule_table import RuleFact
from energy.store import Snapshot
from vpp.config import read_yaml
from vpp.settlement.record import Derivation, Evidence
from vpp.settlement.traces import invoice_trace
from vpp.settlement.waterfall import Step
from vpp.site.recorder import SiteSeries

__all__ = ["PpaInvoice", "PpaTerms", "SiteFlow", "arriving", "ppa_invoices", "read_ppa", "with_readings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PpaTerms:
    """What a site is supplied from, beside its retailer.

    Parameters
    ----------
    generation : mapping of str to Series
        Generation by plant; what is not named is read from the store (:func:`with_readings`). [kWh]
    evidence : sequence of Evidence
        The files of both.
    """

    supply: Supply
    generation: Mapping[str, Series] = field(default_factory=dict)
    evidence: tuple[Evidence, ...] = ()


def read_ppa(path: Path) -> PpaTerms:
    """The agreements of a file; what their plants generate is read from the store.

    Raises
    ------
    ConfigError
        If the file cannot be used as written.
    """
    return PpaTerms(supply=read_yaml(path, Supply), evidence=(Evidence.of("supply", path),))


def with_readings(terms: PpaTerms, known: Snapshot, site: str, grid: Grid) -> PpaTerms:
    """The terms with what the store knows of plants that no file is given for: ``SITE/PLANT/plant_kwh``.

    A plant on site that has no readings of its own is the site's array.

    Raises
    ------
    DataError
        If a plant off the site has no readings at all.
    GapError
        If a half hour of a plant is missing: an invoice is not guessed.
    """
    found = dict(terms.generation)
    for contract in terms.supply.contracts:
        name, plant = SiteSeries(site)[contract.plant, "plant_kwh"], contract.plant
        if plant in found:
            continue
        if known.span(name) is not None:
            told = known.series(name, grid, Unit.KWH)
            found[plant] = told.require_complete(f"the generation of plant {plant!r} ({name})")
        elif contract.kind is PpaKind.OFFSITE:
            raise DataError(
                f"the generation of plant {plant!r} is missing",
                where=f"contract {contract.id}: the store knows no {name}, and no file is given",
                hint=f"import its readings as {name}, or settle by hand with --generation {plant}=FILE",
            )
    return replace(terms, generation=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteFlow:
    """Imported, exported and generated energy of a site, as planned or as metered. [kWh / 1e6]"""

    imported: IntArray
    exported: IntArray
    generated: IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class PpaInvoice:
    """One agreement in a month: the invoice, and the one that the plans led to expect."""

    contract: PpaContract
    made: Invoice
    expected: Invoice

    def step(self) -> Step:
        """What it adds to the difference between promised and settled."""
        return Step(
            name="ppa",
            yen=Decimal(self.made.total_yen - self.expected.total_yen),
            facts={
                "contract": self.contract.id,
                "planned": f"{self.expected.delivered_kwh:,.1f}",
                "delivered": f"{self.made.delivered_kwh:,.1f}",
                "invoice": f"{self.made.total_yen:,}",
            },
        )

    def document(self) -> dict[str, Any]:
        """The invoice as plain values."""
        return {
            "contract": self.contract.id,
            "planned_kwh": str(self.expected.delivered_kwh),
            "delivered_kwh": str(self.made.delivered_kwh),
            "planned_yen": self.expected.total_yen,
            "subtotal_yen": self.made.subtotal_yen,
            "tax_yen": self.made.tax_yen,
            "total_yen": self.made.total_yen,
        }

    def trace(self, readings: tuple[str, ...]) -> dict[str, Derivation]:
        """Every figure of the invoice, and the line it makes."""
        line = Derivation(
            how=f"invoice {self.made.total_yen} yen less {self.expected.total_yen} yen expected",
            readings=readings,
        )
        found = {f"lines.ppa.{self.contract.id}": line}
        return found | {f"ppa.{name}": one for name, one in invoice_trace(self.contract, self.made).items()}


def arriving(terms: PpaTerms, grid: Grid) -> IntArray:
    """What off-site plants send to the site, losses taken off. [kWh / 1e6]

    Raises
    ------
    GapError
        If the generation of a plant is incomplete.
    """
    total = np.zeros(grid.count, dtype=np.int64)
    for contract in terms.supply.contracts:
        if contract.kind is PpaKind.OFFSITE and contract.plant in terms.generation:
            name = f"plant {contract.plant}"
            told = terms.generation[contract.plant].between(grid.start, grid.end).require_complete(name)
            factor = contract.share * (1 - contract.loss_rate)
            total += np.array([int(value * factor) for value in micro(told.values).tolist()], dtype=np.int64)
    return total


def ppa_invoices(
    terms: PpaTerms, grid: Grid, month: str, *, planned: SiteFlow, metered: SiteFlow
) -> tuple[list[PpaInvoice], list[RuleFact]]:
    """The invoices of a month, and the rules and prices behind them.

    Raises
    ------
    DataError
        If the stretch is not the whole month, or a plant's generation is missing.
    """
    supply = terms.supply
    # A site's own array that no agreement is about may export: that is nobody's invoice.
    here = any(one.kind is PpaKind.ONSITE for one in supply.contracts)
    made, expected = (
        deliver(
            supply,
            _series(grid, flow.imported),
            _generation(terms, grid, flow),
            export_kwh=_series(grid, flow.exported) if here else None,
        )
        for flow in (metered, planned)
    )
    found = [
        PpaInvoice(
            contract=contract,
            made=invoice(contract, made, month),
            expected=invoice(contract, expected, month),
        )
        for contract in supply.contracts
    ]
    rules = [*price_facts(supply, month), *(fact for one in found for fact in one.made.rules)]
    return found, rules


def _generation(terms: PpaTerms, grid: Grid, flow: SiteFlow) -> dict[str, Series]:
    """Generation by plant: of files, and of the site's own array for the first on-site plant without one."""
    found = {name: one.between(grid.start, grid.end) for name, one in terms.generation.items()}
    own = [one.plant for one in terms.supply.contracts if one.kind is PpaKind.ONSITE]
    for plant in own[:1]:
        found.setdefault(plant, _series(grid, flow.generated))
    return found


def _series(grid: Grid, parts: IntArray) -> Series:
    return Series(grid, parts / MICRO, Unit.KWH)
