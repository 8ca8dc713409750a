"""A month under purchase agreements as it is kept and shown; from files of readings, or from the store."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from energy.core.series import Grid, Unit
from energy.core.site import Site
from energy.core.slots import jst_midnight
from energy.core.units import plain_number
from energy.market.demand import first_day, month_shift
from energy.market.matching import RenewableShare
from energy.market.ppa import Invoice, PpaKind, Supply
from energy.market.prices import MICRO
from energy.store import Store
from vpp.settlement.month_ppa import PpaTerms, with_readings
from vpp.settlement.ppa import PpaMonth, half_hours, ppa_month
from vpp.settlement.record import Evidence, KeptSettlement, SettlementBook
from vpp.site.recorder import SiteSeries

__all__ = ["document", "keep_from_store", "to_keep"]


def keep_from_store(
    store: Store, site: Site, month: str, terms: PpaTerms, *, at: datetime, actor: str
) -> str | None:
    """Keep a month of a site from the readings in its store, so that it can be looked at.

    CO2 factors come with a file and value is claimed by a person alone (``vpp market ppa settle --keep``): a
    month that somebody kept so is left as it stands.

    Returns
    -------
    str or None
        Id of the version; None if a person's stands.

    Raises
    ------
    DataError
        If a plant off the site has no readings.
    GapError
        If a half hour of the meter or of a plant is missing.
    """
    book, key = SettlementBook(store), f"ppa/{terms.supply.place}/{month}"
    standing = book.newest(key)
    if standing is not None and standing["figures"]["co2"]:
        return None
    grid = Grid.between(jst_midnight(first_day(month)), jst_midnight(first_day(month_shift(month, 1))))
    known, names = store.as_of(at), SiteSeries(site.id)
    told = with_readings(terms, known, site.id, grid)
    meter = known.series(names["meter", "import_kwh"], grid, Unit.KWH).require_complete("the meter")
    plants, export = dict(told.generation), None
    if site.pv is not None:
        sent = known.series(names["meter", "export_kwh"], grid, Unit.KWH)
        export = sent.require_complete("exported energy")
        roof = known.series(names[site.pv.id, "generation_kwh"], grid, Unit.KWH)
        own = [one.plant for one in told.supply.contracts if one.kind is PpaKind.ONSITE]
        for plant in own[:1]:  # the first on-site plant without readings of its own is the site's array
            plants.setdefault(plant, roof.require_complete("generation on the site"))
    made = ppa_month(told.supply, month, meter, plants, export=export)
    return book.keep(to_keep(told.supply, made, told.evidence), at=at, actor=actor).id


def to_keep(supply: Supply, made: PpaMonth, evidence: Sequence[Evidence]) -> KeptSettlement:
    """A month as it is kept by version: figures, how each came about, rules and files."""
    figures = document(supply, made)
    return KeptSettlement(
        what="ppa",
        subject=supply.place,
        period=made.month,
        figures={name: value for name, value in figures.items() if name != "rules"},
        trace=made.trace,
        rules=made.rules,
        evidence=tuple(evidence),
    )


def document(supply: Supply, made: PpaMonth) -> dict[str, object]:
    """A month as plain values."""
    return {
        "place": supply.place,
        "month": made.month,
        "contracts": [
            _contract(contract.kind.value, contract.value_to, one)
            for contract, one in zip(supply.contracts, made.invoices, strict=True)
        ],
        "residual_kwh": plain_number(made.residual_kwh),
        "renewable": _share(made.share),
        "renewable_year": {"months": list(made.year_months), **_share(made.year_share)},
        "half_hours": _half_hours(supply, made),
        "co2": [
            {
                "supplier": one.supplier,
                "menu": one.menu,
                "reporting_year": one.reporting_year,
                "kwh": plain_number(one.kwh),
                "kg_per_kwh": plain_number(one.kg_per_kwh),
                "kg": plain_number(one.kg),
                "source": one.source,
                "status": one.status,
            }
            for one in made.emissions
        ],
        "co2_kg": plain_number(sum((one.kg for one in made.emissions), Decimal(0)))
        if made.emissions
        else None,
        "rules": [fact.as_json() for fact in made.rules],
    }


def _half_hours(supply: Supply, made: PpaMonth) -> dict[str, list[int | float]]:
    """By half hour of the day, summed over the month: use, renewable energy, and what of both met. [kWh]"""
    names = ("load_kwh", "renewable_kwh", "matched_kwh")
    return {
        name: [plain_number(Decimal(int(one)) / MICRO) for one in values]
        for name, values in zip(names, half_hours(supply, made), strict=True)
    }


def _contract(kind: str, value_to: str, one: Invoice) -> dict[str, object]:
    contracted = one.contracted_kwh
    return {
        "id": one.contract,
        "kind": kind,
        "value_claimed_by": value_to,
        "contracted_kwh": None if contracted is None else plain_number(contracted),
        "delivered_kwh": plain_number(one.delivered_kwh),
        "difference_kwh": None if contracted is None else plain_number(one.delivered_kwh - contracted),
        "surplus_kwh": plain_number(one.surplus_kwh),
        "lines": [
            {
                "what": line.what,
                "first": line.first.isoformat(),
                "last": line.last.isoformat(),
                "kwh": plain_number(line.kwh),
                "yen_per_kwh": plain_number(line.yen_per_kwh),
                "yen": plain_number(line.yen),
            }
            for line in one.lines
        ],
        "subtotal_yen": one.subtotal_yen,
        "tax_rate": plain_number(one.tax_rate),
        "tax_yen": one.tax_yen,
        "total_yen": one.total_yen,
    }


def _share(share: RenewableShare) -> dict[str, object]:
    return {
        "annual": None if share.annual is None else round(float(share.annual), 4),
        "matched": None if share.matched is None else round(float(share.matched), 4),
        "load_kwh": plain_number(share.load_kwh),
        "renewable_kwh": plain_number(share.renewable_kwh),
        "matched_kwh": plain_number(share.matched_kwh),
    }
