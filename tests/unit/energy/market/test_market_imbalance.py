"""Imbalance prices by date and margin, the cumulative threshold, losses, and slots settled (T14-T18)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.core.errors import ConfigError, DataError, GapError
from energy.core.slots import Slot, slots_of_day
from energy.market.imbalance import (
    capped_days,
    imbalance_price,
    price_rules,
    scarcity_price,
    sending_end_kwh,
    settle_slots,
)
from energy.market.rule_table import Area
from energy.market.rules import ConsumptionTax, rule_row

SEPTEMBER = Slot.of(date(2026, 9, 30), 48)
OCTOBER = Slot.of(date(2026, 10, 1), 1)


def prices_of(first: date, days: int, dear: dict[Slot, str] | None = None) -> dict[Slot, Decimal]:
    slots = [slot.shifted(48 * offset) for offset in range(days) for slot in slots_of_day(first)]
    return {slot: Decimal((dear or {}).get(slot, "12.00")) for slot in slots}


def dear_slots(count: int, last: Slot) -> dict[Slot, str]:
    """So many slots at 200 yen, two a morning and the rest before the last one, which is one of them."""
    return {last.shifted(-k * 9): "200.00" for k in range(count)}


@given(st.decimals("0", "20", places=2), st.decimals("0", "20", places=2))
def test_a_smaller_margin_is_never_cheaper_and_the_rise_has_no_jump(one: Decimal, other: Decimal) -> None:
    low, high = sorted((one, other))
    for slot in (SEPTEMBER, OCTOBER):
        assert scarcity_price(slot, low) >= scarcity_price(slot, high)
        near = scarcity_price(slot, low + Decimal("0.001"))
        assert scarcity_price(slot, low) - near <= Decimal("0.06")  # (300 - 50) / 5 yen per percent


def test_a_margin_that_is_no_number_and_a_day_before_the_rules_are_refused() -> None:
    with pytest.raises(DataError):
        scarcity_price(OCTOBER, Decimal("NaN"))
    with pytest.raises(ConfigError, match="says nothing about 2021-10-01"):
        scarcity_price(Slot.of(date(2021, 10, 1), 1), Decimal(5))


def test_the_cap_ends_after_seven_days_without_a_dear_slot() -> None:
    trigger = Slot.of(date(2026, 12, 10), 40)
    spot = prices_of(date(2026, 12, 1), 20, dear_slots(30, trigger))
    held = sorted(capped_days(spot, date(2026, 12, 20)))
    assert held[0] == date(2026, 12, 11)
    assert held[-1] == date(2026, 12, 17)  # on the 18th the seven days before are the 11th to the 17th


def test_thirty_dear_slots_spread_over_more_than_seven_days_cap_nothing() -> None:
    spread = {Slot.of(date(2026, 12, 1 + k), 20 + j): "250" for k in range(10) for j in range(3)}
    assert len(spread) == 30
    assert capped_days(prices_of(date(2026, 12, 1), 12, spread), date(2026, 12, 12)) == frozenset()


def test_there_is_no_threshold_before_october_2026() -> None:
    spot = prices_of(date(2026, 9, 1), 20, dear_slots(40, Slot.of(date(2026, 9, 15), 40)))
    assert capped_days(spot, date(2026, 9, 20)) == frozenset()
    assert capped_days({}, date(2026, 9, 20)) == frozenset()


def test_spot_prices_with_a_hole_or_a_late_end_are_refused() -> None:
    spot = prices_of(date(2026, 12, 1), 3)
    with pytest.raises(GapError, match="end too early"):
        capped_days(spot, date(2026, 12, 5))
    del spot[Slot.of(date(2026, 12, 2), 7)]
    with pytest.raises(GapError, match="missing"):
        capped_days(spot, date(2026, 12, 3))


@pytest.mark.parametrize(("metered", "loss"), [("-1", "0.05"), ("1", "1"), ("1", "-0.1")])
def test_losses_and_energies_that_cannot_be_are_refused(metered: str, loss: str) -> None:
    with pytest.raises(DataError):
        sending_end_kwh(Decimal(metered), Decimal(loss))


def test_settling_needs_every_value_and_names_the_first_that_is_missing() -> None:
    slots = [OCTOBER, OCTOBER.shifted(1)]
    full = dict.fromkeys(slots, Decimal(10))
    for k, name in enumerate(("meter", "price", "margin")):
        told = [full, full, full]
        told[k] = {OCTOBER: Decimal(10)}
        with pytest.raises(GapError, match=f"the {name} lacks 1 of 2"):
            settle_slots(full, *told, loss_rate=Decimal("0.05"))


def test_settling_twice_gives_the_same_and_tax_is_not_in_it() -> None:
    told = [{OCTOBER: Decimal(value)} for value in ("500", "503.5", "0", "5.5")]
    once, twice = (settle_slots(*told, loss_rate=Decimal("0.05")) for _ in range(2))
    assert once == twice
    assert once[0].yen == -5250
    assert once[0].yen * (1 + rule_row(ConsumptionTax, date(2026, 10, 1)).values.rate) == -5775


def test_the_rules_of_a_price_are_named_once_with_their_status() -> None:
    facts = price_rules([date(2026, 10, 1), date(2026, 10, 1)], Area.TOHOKU)
    told = {fact.rule: fact.status for fact in facts}
    assert told["imbalance_scarcity_price.c_yen_per_kwh"] == "verified"
    assert told["imbalance_scarcity_margins.zero_percent"] == "unverified"
    assert len(told) == len(facts)


def test_the_higher_of_base_and_scarcity_price_counts() -> None:
    assert imbalance_price(OCTOBER, Decimal(30), Decimal(9)) == 30
    assert imbalance_price(OCTOBER, Decimal(30), Decimal(8)) == 50
