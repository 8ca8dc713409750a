"""A month's account: every yen between promise and settlement has a line, and the lines add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.errors import DataError, GapError
from energy.core.series import Grid, Series, Unit
from energy.core.site import DrTerms
from energy.core.slots import Slot, jst_midnight, slots_of_day
from energy.ledger import TightEvent, TightLevel
from energy.market.bill import period_bill
from energy.market.demand import PeakMemory
from energy.market.rule_table import Area
from tests.unit.vpp.settlement.accounts import FIRST, SITE, day_values, store_of
from vpp.settlement.month import ImbalancePrices, MonthTerms, document, month_account, to_keep
from vpp.settlement.record import SettlementBook
from vpp.settlement.waterfall import whole_yen

TERMS = MonthTerms(dr_yen_per_kwh=Decimal(20))


def bill_of(imported: np.ndarray) -> int:  # type: ignore[type-arg]
    """The bill by the meter alone, as the supplier makes it."""
    grid = Grid(jst_midnight(FIRST), len(imported))
    memory = PeakMemory(dict(SITE.peak_memory_kw))
    return period_bill(SITE.tariff, Series(grid, imported, Unit.KWH), memory).total_yen


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), days=st.integers(1, 3), scale=st.sampled_from([0.5, 1.0, 2.4]))
def test_the_lines_add_up_to_the_two_bills_to_the_yen(seed: int, days: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    planned, metered = day_values(rng, days), day_values(rng, days)
    metered["load"] = (metered["load"] * scale).round(3)
    metered["imported"] = np.maximum(0.0, metered["load"] - metered["pv"]).round(3)
    store = store_of(metered, planned, promised_days=days)
    made = month_account(
        store, SITE, "2026-08", MonthTerms(), last_day=FIRST + timedelta(days=days - 1), from_day=FIRST
    )
    assert made.promised_yen == bill_of(planned["imported"])
    assert made.settled_yen == bill_of(metered["imported"]) == made.bill.total_yen
    assert sum(line.yen for line in made.lines) == made.settled_yen - made.promised_yen
    assert sum(line.exact_yen for line in made.lines) == made.settled_yen - made.promised_yen
    rounding = next(line for line in made.lines if line.name == "rounding")
    assert abs(rounding.exact_yen) < 2  # two roundings down in each bill, nothing hidden in them


def test_each_cause_stands_in_its_own_line() -> None:
    rng = np.random.default_rng(7)
    planned = day_values(rng, 2)
    for name, sign, line in (("load", 1, "load"), ("pv", -1, "pv"), ("charge", 1, "cars")):
        metered = {key: values.copy() for key, values in planned.items()}
        metered[name] = metered[name] + 1.0
        metered["imported"] = metered["imported"] + sign * 1.0
        made = month_account(
            store_of(metered, planned, promised_days=2),
            SITE,
            "2026-08",
            MonthTerms(),
            last_day=FIRST + timedelta(days=1),
            from_day=FIRST,
        )
        price = Decimal("19.00") - Decimal("1.23") + Decimal("4.18")
        yen = {one.name: one.exact_yen for one in made.lines}
        assert yen[line] == sign * 96 * price
        assert all(yen[other] == 0 for other in {"load", "pv", "rooms", "cars", "rest"} - {line})


def test_a_day_without_a_promise_is_taken_as_it_came_and_counted() -> None:
    rng = np.random.default_rng(1)
    planned, metered = day_values(rng, 3), day_values(rng, 3)
    made = month_account(
        store_of(metered, planned, promised_days=1),
        SITE,
        "2026-08",
        MonthTerms(),
        last_day=FIRST + timedelta(days=2),
        from_day=FIRST,
    )
    assert (made.days, made.days_promised) == (3, 1)
    assert ("unpromised", 2) in [(note.name, note.count) for note in made.notes]


def test_a_missing_sub_meter_is_told_and_its_energy_stands_under_rest() -> None:
    rng = np.random.default_rng(2)
    planned = day_values(rng, 1)
    made = month_account(
        store_of(planned, planned, promised_days=1, missing=(5,)),
        SITE,
        "2026-08",
        MonthTerms(),
        last_day=FIRST,
        from_day=FIRST,
    )
    assert made.unmetered_slots == 1
    yen = {one.name: one.exact_yen for one in made.lines}
    assert yen["rest"] != 0
    assert yen["rest"] == -(yen["load"] + yen["pv"] + yen["cars"])
    assert made.settled_yen == made.promised_yen


def test_a_gap_of_the_meter_and_a_month_without_promises_are_refused() -> None:
    rng = np.random.default_rng(3)
    values = day_values(rng, 1)
    with pytest.raises(DataError, match="has promised anything"):
        month_account(
            store_of(values, values, promised_days=0),
            SITE,
            "2026-08",
            TERMS,
            last_day=FIRST,
            from_day=FIRST,
        )
    with pytest.raises(GapError, match="the meter"):
        month_account(
            store_of(values, values, promised_days=1),
            SITE,
            "2026-08",
            TERMS,
            last_day=FIRST + timedelta(days=1),
            from_day=FIRST,
        )


def test_imbalance_and_events_have_lines_and_the_sum_still_holds() -> None:
    rng = np.random.default_rng(4)
    planned, metered = day_values(rng, 8), day_values(rng, 8)
    store = store_of(metered, planned, promised_days=8)
    day = FIRST + timedelta(days=7)
    event = TightEvent(
        id="tight-1",
        start=Slot.of(day, 33),
        end=Slot.of(day, 39),
        level=TightLevel.WARNING,
        known_at=jst_midnight(day),
    )
    slots = [slot for k in range(8) for slot in slots_of_day(FIRST + timedelta(days=k))]
    prices = ImbalancePrices(
        price=dict.fromkeys(slots, Decimal(12)),
        margin=dict.fromkeys(slots, Decimal(14)),
        area=Area.TOHOKU,
        loss_rate=Decimal("0.05"),
    )
    terms = MonthTerms(dr_yen_per_kwh=Decimal(20), imbalance=prices)
    made = month_account(store, SITE, "2026-08", terms, events=[event], last_day=day, from_day=FIRST)
    names = [line.name for line in made.lines]
    assert names[-4:] == ["imbalance", "dr_delivery", "dr_baseline", "points"]
    assert sum(line.yen for line in made.lines) == made.settled_yen - made.promised_yen
    assert any(fact.rule == "imbalance_scarcity_price.c_yen_per_kwh" for fact in made.rules)
    assert document(made)["settled_yen"] == made.settled_yen
    own = replace(SITE, dr=DrTerms(reward_yen_per_kwh=45.0))
    agreed, alike = (
        month_account(store, site, "2026-08", told, events=[event], last_day=day, from_day=FIRST)
        for site, told in ((own, terms), (SITE, replace(terms, dr_yen_per_kwh=Decimal(45))))
    )
    assert (agreed.lines, agreed.settled_yen) == (alike.lines, alike.settled_yen)
    assert agreed.lines != made.lines


def test_the_account_is_kept_once_and_every_line_is_traced() -> None:
    rng = np.random.default_rng(5)
    values = day_values(rng, 1)
    store = store_of(values, day_values(rng, 1), promised_days=1)
    made = month_account(store, SITE, "2026-08", TERMS, last_day=FIRST, from_day=FIRST)
    book, at = SettlementBook(store), jst_midnight(FIRST) + timedelta(days=40)
    first = book.keep(to_keep(made), at=at, actor="ito")
    assert book.keep(to_keep(made), at=at + timedelta(days=1), actor="ito").id == first.id
    kept = book.find("month/kitakata/2026-08")
    assert kept is not None
    assert {f"lines.{line.name}" for line in made.lines} <= kept["trace"].keys()


@given(st.lists(st.integers(-10_000, 10_000), min_size=1, max_size=9))
def test_whole_yen_keep_their_sum_and_move_by_less_than_a_yen(cents: list[int]) -> None:
    exact = [Decimal(one) / 100 for one in cents]
    exact.append(-sum(exact, Decimal(0)) + 7)
    whole = whole_yen(exact)
    assert sum(whole) == 7
    assert all(abs(a - b) < 1 for a, b in zip(whole, exact, strict=True))


def test_amounts_that_are_no_whole_yen_together_are_no_account() -> None:
    with pytest.raises(ValueError, match=r"not to a whole yen"):
        whole_yen([Decimal("0.5")])
