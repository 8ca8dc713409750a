"""Imbalance: what a slot's deviation from its plan costs, with the scarcity price of its date (RULES-JP 1.6).

::

    price      = max(base, Z(margin))
    Z(m)       = 0 | D (10 - m) / 2 | D + (C - D) (8 - m) / 5 | C     by reserve margin m, from above to below
    sending    = metered / (1 - loss)
    imbalance  = plan - sending          > 0 surplus, paid to us; < 0 shortage, paid by us

``C``, ``D`` and the margins are dated rules, looked up by the slot. After many dear slots ``Z`` is capped
from the next day on; the base price is not. Nothing is rounded here; prices are without consumption tax.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

from energy.core.errors import DataError, GapError
from energy.core.slots import SLOTS_PER_DAY, Slot
from energy.market.rule_table import Area, RuleFact
from energy.market.rules import (
    PriceThreshold,
    ScarcityMargins,
    ScarcityPrice,
    ThresholdRelease,
    facts_on,
    rule_row,
)

__all__ = [
    "SlotSettlement",
    "capped_days",
    "imbalance_price",
    "price_rules",
    "scarcity_price",
    "sending_end_kwh",
    "settle_slots",
]

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSettlement:
    """One slot of a balancing group.

    Parameters
    ----------
    plan_kwh : Decimal
        Procurement less sales at gate closure: what was announced for the sending end. [kWh]
    metered_kwh, sending_end_kwh : Decimal
        At the receiving end, and with losses. [kWh]
    imbalance_kwh : Decimal
        Plan less sending end: negative is a shortage. [kWh]
    price_yen_per_kwh : Decimal
        Imbalance price, scarcity included. [yen/kWh]
    yen : Decimal
        Received (+) or paid (-). [yen]
    """

    slot: Slot
    plan_kwh: Decimal
    metered_kwh: Decimal
    sending_end_kwh: Decimal
    imbalance_kwh: Decimal
    price_yen_per_kwh: Decimal
    yen: Decimal


def scarcity_price(
    slot: Slot, margin_percent: Decimal, *, area: Area = Area.ALL, capped: bool = False
) -> Decimal:
    """Scarcity price ``Z(m)`` of a slot. [yen/kWh]

    Parameters
    ----------
    margin_percent : Decimal
        Wide-area reserve margin at gate closure, in percent. [%]
    capped : bool
        Whether the cumulative threshold holds on the slot's day (:func:`capped_days`).

    Raises
    ------
    DataError
        If the margin is no number.
    ConfigError
        If no rule is known for the slot's day.

    Examples
    --------
    >>> scarcity_price(Slot.of(date(2026, 10, 1), 1), Decimal("5.5"))
    Decimal('175.0')
    """
    if not margin_percent.is_finite():
        raise DataError("a reserve margin is a number", where=f"{slot.start.isoformat()}: {margin_percent}")
    day = slot.local_date
    prices = rule_row(ScarcityPrice, day, area).values
    at = rule_row(ScarcityMargins, day, area).values
    c, d = prices.c_yen_per_kwh, prices.d_yen_per_kwh
    if margin_percent >= at.zero_percent:
        price = Decimal(0)
    elif margin_percent >= at.knee_percent:
        price = d * (at.zero_percent - margin_percent) / (at.zero_percent - at.knee_percent)
    elif margin_percent > at.cap_percent:
        price = d + (c - d) * (at.knee_percent - margin_percent) / (at.knee_percent - at.cap_percent)
    else:
        price = c
    cap = rule_row(PriceThreshold, day, area).values.cap_yen_per_kwh
    return min(price, cap) if capped and cap is not None else price


def imbalance_price(
    slot: Slot,
    base_yen_per_kwh: Decimal,
    margin_percent: Decimal,
    *,
    area: Area = Area.ALL,
    capped: bool = False,
) -> Decimal:
    """Imbalance price of a slot: the base price or the scarcity price, whichever is higher. [yen/kWh]"""
    return max(base_yen_per_kwh, scarcity_price(slot, margin_percent, area=area, capped=capped))


def capped_days(spot: Mapping[Slot, Decimal], last: date, *, area: Area = Area.ALL) -> frozenset[date]:
    """Days on which the cumulative price threshold caps the scarcity price (累積価格閾値).

    Parameters
    ----------
    spot : mapping of Slot to Decimal
        Day-ahead price of the area, without gaps from its first to its last slot. [yen/kWh]
    last : date
        Last day asked about.

    Notes
    -----
    When within seven days (336 slots, the slot itself included) thirty slots reach the trigger price, the cap
    holds from the next Japanese day on. It ends with the first day before which no slot of seven days reached
    the release price.

    Raises
    ------
    GapError
        If a slot is missing, or the prices end before the day before ``last``.
    """
    ordered = _without_gaps(spot, last)
    if not ordered:
        return frozenset()
    on, found = False, set()
    window: list[bool] = []
    high: list[bool] = []
    pending = False
    for slot in ordered:
        day, price = slot.local_date, spot[slot]
        rule = rule_row(PriceThreshold, day, area).values
        release = rule_row(ThresholdRelease, day, area).values
        if slot.koma == 1:
            on, pending = _next_day(on or pending, high, release), False
            if on:
                found.add(day)
        window.append(rule.cap_yen_per_kwh is not None and price >= rule.trigger_yen_per_kwh)
        high.append(price >= release.below_yen_per_kwh)
        if sum(window[-rule.days * SLOTS_PER_DAY :]) >= rule.slots:
            pending = True
    day, end = ordered[-1].local_date + _ONE_DAY, last
    if day <= end and _next_day(on or pending, high, rule_row(ThresholdRelease, day, area).values):
        found.add(day)
    return frozenset(found)


def _next_day(on: bool, high: Sequence[bool], release: ThresholdRelease) -> bool:
    """Whether the cap holds on a day before which these slots were dear."""
    return on and any(high[-release.days * SLOTS_PER_DAY :])


def _without_gaps(spot: Mapping[Slot, Decimal], last: date) -> list[Slot]:
    ordered = sorted(spot)
    for earlier, later in pairwise(ordered):
        if earlier.shifted(1) != later:
            raise GapError(
                "a spot price is missing for the cumulative threshold",
                where=f"after {earlier.start.isoformat()}",
                hint="pass the area's price of every slot",
            )
    if ordered and ordered[-1].local_date < last - _ONE_DAY:
        raise GapError(
            "the spot prices end too early for the cumulative threshold",
            where=f"they end on {ordered[-1].local_date}, asked is {last}",
            hint="pass the area's prices up to the day before the last slot",
        )
    return ordered


def sending_end_kwh(metered_kwh: Decimal, loss_rate: Decimal) -> Decimal:
    """Energy at the sending end: ``metered / (1 - loss)``. [kWh]

    Raises
    ------
    DataError
        If the rate is not in [0, 1) or the energy is negative.

    Examples
    --------
    >>> sending_end_kwh(Decimal(475), Decimal("0.05"))
    Decimal('5E+2')
    """
    if not 0 <= loss_rate < 1 or metered_kwh < 0:
        raise DataError(
            "a loss rate lies in [0, 1) and metered energy is >= 0",
            loss_rate=loss_rate,
            metered_kwh=metered_kwh,
            hint="5 % is 0.05",
        )
    return metered_kwh / (1 - loss_rate)


def settle_slots(
    plan_kwh: Mapping[Slot, Decimal],
    metered_kwh: Mapping[Slot, Decimal],
    price_yen_per_kwh: Mapping[Slot, Decimal],
    margin_percent: Mapping[Slot, Decimal],
    *,
    loss_rate: Decimal,
    area: Area = Area.ALL,
    capped: frozenset[date] = frozenset(),
) -> list[SlotSettlement]:
    """Settle every slot of a plan; a slot with price zero keeps its row.

    Raises
    ------
    GapError
        If the meter, the price or the margin of a planned slot is missing.
    """
    for name, told in (("meter", metered_kwh), ("price", price_yen_per_kwh), ("margin", margin_percent)):
        missing = sorted(plan_kwh.keys() - told.keys())
        if missing:
            raise GapError(
                f"the {name} lacks {len(missing)} of {len(plan_kwh)} planned slots",
                where=f"the first is {missing[0].start.isoformat()} (slot {missing[0].koma})",
                hint="settle again when the values are known; nothing is guessed",
            )
    found = []
    for slot, plan in sorted(plan_kwh.items()):
        sent = sending_end_kwh(metered_kwh[slot], loss_rate)
        price = imbalance_price(
            slot,
            price_yen_per_kwh[slot],
            margin_percent[slot],
            area=area,
            capped=slot.local_date in capped,
        )
        found.append(
            SlotSettlement(
                slot=slot,
                plan_kwh=plan,
                metered_kwh=metered_kwh[slot],
                sending_end_kwh=sent,
                imbalance_kwh=plan - sent,
                price_yen_per_kwh=price,
                yen=(plan - sent) * price,
            )
        )
    return found


def price_rules(days: Sequence[date], area: Area) -> list[RuleFact]:
    """The dated rules behind the imbalance prices of some days."""
    ids = (
        "imbalance_scarcity_price",
        "imbalance_scarcity_margins",
        "imbalance_threshold",
        "imbalance_threshold_release",
    )
    return list(
        dict.fromkeys(fact for day in sorted(set(days)) for rule in ids for fact in facts_on(rule, day, area))
    )
