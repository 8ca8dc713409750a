"""What demand response can be sold as: signals, the capacity product, balancing products, and what is paid.

Every limit is a dated rule; a refusal is a result that says what is missing, not an exception.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from energy.core.calendar import DayType, SiteCalendar, fiscal_year
from energy.core.clock import require_aware
from energy.core.slots import JST
from energy.core.units import floor_int
from energy.market.rules import BalancingProducts, CapacityProduct, TightSupply, rule_row

__all__ = [
    "Bid",
    "CallFault",
    "Refused",
    "StoredResource",
    "SupplyLevel",
    "balancing_bid",
    "campaign_kwh",
    "capacity_call_faults",
    "contract_kwh",
    "supply_level",
    "sustained_kw",
]


class SupplyLevel(StrEnum):
    """How tight supply is, by the wide-area reserve margin (RULES-JP 3.4)."""

    NORMAL = "normal"
    ADVISORY = "注意報"
    WARNING = "警報"


def supply_level(margin_percent: Decimal, day: date) -> SupplyLevel:
    """Level of a reserve margin: *below* a limit, so that exactly 5 % is normal.

    Parameters
    ----------
    margin_percent : Decimal
        Wide-area reserve margin. [%]
    day : date
        Day of delivery.
    """
    rule = rule_row(TightSupply, day).values
    if margin_percent < rule.warning_below_percent:
        return SupplyLevel.WARNING
    return SupplyLevel.ADVISORY if margin_percent < rule.advisory_below_percent else SupplyLevel.NORMAL


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredResource:
    """A battery that can give back.

    Parameters
    ----------
    usable_kwh : Decimal
        Energy above its lowest allowed state of charge. [kWh]
    max_kw : Decimal
        Limit of its charger at the AC side. [kW]
    efficiency : Decimal
        From battery to AC. [-]
    """

    usable_kwh: Decimal
    max_kw: Decimal
    efficiency: Decimal


def sustained_kw(resources: Iterable[StoredResource], hours: Decimal) -> Decimal:
    """Power that some batteries can hold for so long: what may be promised. [kW]

    ``sum(min(max_kw, usable_kwh * efficiency / hours))``

    Examples
    --------
    >>> car = StoredResource(usable_kwh=Decimal(10), max_kw=Decimal(6), efficiency=Decimal("0.9"))
    >>> sustained_kw([car], Decimal(3))
    Decimal('3.0')
    """
    return sum((min(one.max_kw, one.usable_kwh * one.efficiency / hours) for one in resources), Decimal(0))


@dataclass(frozen=True, slots=True)
class Bid:
    """What may be offered, in whole steps. [kW]"""

    kw: int


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing may be offered."""

    why: str


def balancing_bid(aggregate_kw: Decimal, day: date) -> Bid | Refused:
    """Bid of an aggregate in the balancing market: rounded down to its step, refused below its least.

    Parameters
    ----------
    aggregate_kw : Decimal
        What the aggregate can surely deliver. [kW]
    day : date
        Day of delivery.
    """
    rule = rule_row(BalancingProducts, day).values
    kw = floor_int(aggregate_kw / rule.step_kw) * rule.step_kw
    if kw < rule.min_kw:
        return Refused(f"aggregate of >= {rule.min_kw:,} kW needed, {aggregate_kw:f} kW offered")
    return Bid(kw)


class CallFault(StrEnum):
    """Why a call of the capacity product is not valid."""

    SHORT_NOTICE = "short_notice"
    REST_DAY = "rest_day"
    OUTSIDE_HOURS = "outside_hours"
    SECOND_ON_DAY = "second_on_day"
    TOO_MANY = "too_many_in_year"


def capacity_call_faults(
    called_at: datetime,
    start: datetime,
    *,
    earlier: Sequence[datetime] = (),
    calendar: SiteCalendar | None = None,
) -> tuple[CallFault, ...]:
    """What is wrong with a call of the capacity product (発動指令電源); empty if nothing.

    Parameters
    ----------
    called_at, start : datetime
        When it was called and when delivery starts, aware.
    earlier : sequence of datetime
        Starts of earlier calls.
    """
    local = require_aware(start).astimezone(JST)
    rule = rule_row(CapacityProduct, local.date()).values
    end = local + timedelta(hours=float(rule.deliver_hours))
    starts = [require_aware(one).astimezone(JST).date() for one in earlier]
    in_year = [day for day in starts if fiscal_year(day) == fiscal_year(local.date())]
    inside = local.time() >= rule.earliest and end.date() == local.date() and end.time() <= rule.latest
    faults = {
        CallFault.SHORT_NOTICE: require_aware(start) - require_aware(called_at)
        < timedelta(hours=float(rule.notice_hours)),
        CallFault.REST_DAY: (calendar or SiteCalendar()).day_type(local.date()) is DayType.REST,
        CallFault.OUTSIDE_HOURS: not inside,
        CallFault.SECOND_ON_DAY: local.date() in starts,
        CallFault.TOO_MANY: len(in_year) >= rule.activations_per_year,
    }
    return tuple(fault for fault, found in faults.items() if found)


def campaign_kwh(reductions_kwh: Mapping[date, Sequence[Decimal]]) -> dict[date, Decimal]:
    """Reduction of each day in a saving campaign: the sum, cut to 0.01 kWh, never below zero. [kWh]

    Examples
    --------
    >>> campaign_kwh({date(2026, 8, 19): [Decimal("3.4567")]})[date(2026, 8, 19)]
    Decimal('3.45')
    """
    return {
        day: max(Decimal(0), sum(slots, Decimal(0))).quantize(Decimal("0.01"), rounding=ROUND_DOWN)
        for day, slots in reductions_kwh.items()
    }


def contract_kwh(reductions_kwh: Iterable[Decimal]) -> Decimal:
    """Reduction of an event in a contract between companies: slots with more use stay negative. [kWh]"""
    return sum(reductions_kwh, Decimal(0))
