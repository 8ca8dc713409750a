"""Demand response as products: what each is, and whether an event is valid as one, by its dated rules.

A fault is a result with a name, not an exception; whoever takes events decides what follows from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from energy.core.calendar import SiteCalendar
from energy.core.clock import require_aware
from energy.core.slots import JST, SLOT_LENGTH, Slot
from energy.market.dr_rules import AskTerms, BalancingResponse, EconomicTerms, TightTerms, UpTerms
from energy.market.products import (
    Refused,
    SupplyLevel,
    balancing_bid,
    capacity_call_faults,
    supply_level,
)
from energy.market.rule_table import RuleFact
from energy.market.rules import CapacityProduct, facts_on, rule_row

__all__ = [
    "Assessment",
    "BalancingService",
    "Offer",
    "Product",
    "ProductFault",
    "assess_delivery",
    "product_facts",
    "product_faults",
]


class Product(StrEnum):
    """What an event is sold as."""

    ECONOMIC = "economic"  # a retailer asks its customers (経済DR)
    TIGHT = "tight"  # 注意報, 警報
    UP = "up"  # raise the load in hours of surplus (上げDR)
    CAPACITY = "capacity"  # 発動指令電源
    BALANCING = "balancing"  # 需給調整市場


class BalancingService(StrEnum):
    """Products of the balancing market (RULES-JP 3.3)."""

    PRIMARY = "primary"  # 一次
    SECONDARY_1 = "secondary1"  # 二次①
    SECONDARY_2 = "secondary2"  # 二次②
    TERTIARY_1 = "tertiary1"  # 三次①
    TERTIARY_2 = "tertiary2"  # 三次②


@dataclass(frozen=True, slots=True)
class ProductFault:
    """Why an event is not valid: a name for programs, and the numbers for people."""

    name: str
    detail: str

    def __str__(self) -> str:
        """Name and numbers."""
        return f"{self.name}: {self.detail}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """An event as its product looks at it.

    Parameters
    ----------
    announced_at, start, end : datetime
        Aware.
    target_kw : Decimal
        What the portfolio shall shift. [kW]
    earlier : sequence of datetime
        Starts of earlier calls of the capacity product.
    margin_percent : Decimal or None
        Reserve margin on which a request for tight supply rests; None if only its announcement is known. [%]
    service : BalancingService
        Which product of the balancing market.
    calendar : SiteCalendar or None
        Days of rest besides weekends and holidays.
    """

    announced_at: datetime
    start: datetime
    end: datetime
    target_kw: Decimal
    earlier: Sequence[datetime] = ()
    margin_percent: Decimal | None = None
    service: BalancingService = BalancingService.TERTIARY_2
    calendar: SiteCalendar | None = None


_ASKED: Final[dict[Product, type[AskTerms]]] = {
    Product.ECONOMIC: EconomicTerms,
    Product.TIGHT: TightTerms,
    Product.UP: UpTerms,
}
_TABLES: Final = {
    Product.ECONOMIC: ("dr_economic",),
    Product.TIGHT: ("dr_tight", "tight_supply"),
    Product.UP: ("dr_up",),
    Product.CAPACITY: ("capacity_product",),
    Product.BALANCING: ("balancing_products", "balancing_response"),
}


def product_facts(product: Product, start: datetime) -> list[RuleFact]:
    """The dated rows that decide whether an event is valid, with source and status."""
    day = require_aware(start).astimezone(JST).date()
    return [fact for table in _TABLES[product] for fact in facts_on(table, day)]


def product_faults(product: Product, offer: Offer) -> tuple[ProductFault, ...]:
    """What is wrong with an event as a product; empty if it is valid.

    Examples
    --------
    >>> from datetime import UTC
    >>> noon = datetime(2026, 11, 25, 3, tzinfo=UTC)
    >>> offer = Offer(
    ...     announced_at=noon,
    ...     start=noon + timedelta(hours=4),
    ...     end=noon + timedelta(hours=7),
    ...     target_kw=Decimal(18),
    ... )
    >>> product_faults(Product.ECONOMIC, offer)
    ()
    >>> [fault.name for fault in product_faults(Product.BALANCING, offer)]
    ['below_minimum']
    """
    if product is Product.CAPACITY:
        return _capacity(offer)
    if product is Product.BALANCING:
        return _balancing(offer)
    faults = _asked(_ASKED[product], offer)
    if product is Product.TIGHT and offer.margin_percent is not None:
        level = supply_level(offer.margin_percent, Slot(offer.start).local_date)
        if level is SupplyLevel.NORMAL:
            faults.append(
                ProductFault("not_tight", f"a reserve margin of {offer.margin_percent:f} % is no alert")
            )
    return tuple(faults)


def _asked(kind: type[AskTerms], offer: Offer) -> list[ProductFault]:
    local, end = (require_aware(one).astimezone(JST) for one in (offer.start, offer.end))
    terms = rule_row(kind, local.date()).values
    faults = []
    notice = offer.start - offer.announced_at
    if terms.notice_minutes and notice < timedelta(minutes=terms.notice_minutes):
        faults.append(
            ProductFault("short_notice", f"{_minutes(notice)} min of {terms.notice_minutes} min needed")
        )
    if end - local > timedelta(hours=float(terms.max_hours)):
        faults.append(ProductFault("too_long", f"{_hours(end - local)} h of {terms.max_hours:f} h allowed"))
    if offer.target_kw < terms.min_kw:
        faults.append(ProductFault("below_minimum", f"{offer.target_kw:f} kW of {terms.min_kw:f} kW needed"))
    opens = local.replace(hour=terms.earliest.hour, minute=terms.earliest.minute)
    closes = local.replace(hour=terms.latest.hour, minute=terms.latest.minute)
    if closes <= opens:
        closes += timedelta(days=1)
    whole_day = terms.earliest == terms.latest
    if not whole_day and not opens <= local < end <= closes:
        faults.append(
            ProductFault(
                "outside_hours", f"it must lie within {terms.earliest:%H:%M}-{terms.latest:%H:%M} Japan"
            )
        )
    return faults


def _capacity(offer: Offer) -> tuple[ProductFault, ...]:
    day = require_aware(offer.start).astimezone(JST).date()
    terms = rule_row(CapacityProduct, day).values
    said = {
        "short_notice": f"{_hours(offer.start - offer.announced_at)} h of {terms.notice_hours:f} h needed",
        "rest_day": f"{day} is a day of rest",
        "outside_hours": f"it must lie within {terms.earliest:%H:%M}-{terms.latest:%H:%M} Japan",
        "second_on_day": f"there is a call on {day} already",
        "too_many_in_year": f"{terms.activations_per_year} calls in a fiscal year",
    }
    found = capacity_call_faults(
        offer.announced_at, offer.start, earlier=offer.earlier, calendar=offer.calendar
    )
    faults = [ProductFault(one.value, said[one.value]) for one in found]
    if offer.end - offer.start > timedelta(hours=float(terms.deliver_hours)):
        faults.append(
            ProductFault(
                "too_long", f"{_hours(offer.end - offer.start)} h of {terms.deliver_hours:f} h allowed"
            )
        )
    if offer.target_kw < terms.min_kw:
        faults.append(
            ProductFault(
                "below_minimum", f"aggregate of >= {terms.min_kw:,} kW needed, {offer.target_kw:f} kW"
            )
        )
    return tuple(faults)


def _balancing(offer: Offer) -> tuple[ProductFault, ...]:
    day = require_aware(offer.start).astimezone(JST).date()
    terms = rule_row(BalancingResponse, day).values
    faults = []
    bid = balancing_bid(offer.target_kw, day)
    if isinstance(bid, Refused):
        faults.append(ProductFault("below_minimum", bid.why))
    elif offer.target_kw != bid.kw:
        faults.append(ProductFault("off_step", f"{offer.target_kw:f} kW is no whole step; {bid.kw} kW is"))
    response = int(getattr(terms, f"{offer.service.value}_s"))
    notice = offer.start - offer.announced_at
    if notice < timedelta(seconds=response):
        faults.append(
            ProductFault("short_notice", f"{int(notice.total_seconds())} s of {response} s ({offer.service})")
        )
    if (offer.end - offer.start) % timedelta(minutes=terms.block_minutes):
        faults.append(ProductFault("off_block", f"blocks have {terms.block_minutes} min"))
    return tuple(faults)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """Whether delivery followed the award (assessment II of the balancing market).

    Parameters
    ----------
    kept, missed : tuple of Slot
        Slots inside the tolerance, and outside of it or not measured.
    """

    kept: tuple[Slot, ...]
    missed: tuple[Slot, ...]


def assess_delivery(awarded_kw: Decimal, delivered_kwh: Mapping[Slot, Decimal | None]) -> Assessment:
    """Compare what was delivered in each slot with the award: too little and too much both miss.

    ``|delivered / h - awarded| <= tolerance * awarded`` with ``h = 0.5`` h.

    Parameters
    ----------
    awarded_kw : Decimal
        What was awarded. [kW]
    delivered_kwh : mapping of Slot to Decimal
        Delivered energy; None where it could not be measured. [kWh]
    """
    hours = Decimal(int(SLOT_LENGTH.total_seconds())) / 3600
    kept: list[Slot] = []
    missed: list[Slot] = []
    for slot, energy in sorted(delivered_kwh.items()):
        allowed = rule_row(BalancingResponse, slot.local_date).values.tolerance_share * awarded_kw
        inside = energy is not None and abs(energy / hours - awarded_kw) <= allowed
        (kept if inside else missed).append(slot)
    return Assessment(kept=tuple(kept), missed=tuple(missed))


def _minutes(span: timedelta) -> int:
    return int(span.total_seconds() // 60)


def _hours(span: timedelta) -> str:
    return f"{Decimal(int(span.total_seconds())) / 3600:.2f}".rstrip("0").rstrip(".")
