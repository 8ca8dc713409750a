"""Imported prices of imbalances are found for a month, whole or not at all."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from energy.core.measurement import Quality
from energy.core.slots import Slot, jst_midnight, slots_of_day
from energy.core.units import SeriesId
from energy.market.rule_table import Area
from energy.store import Point, SqlStore, open_store
from tests.unit.vpp.settlement.accounts import FIRST, SITE, day_values, store_of
from vpp.settlement.month import MonthTerms, month_account
from vpp.settlement.stored_prices import StoredPrices, stored_imbalance

LAST = FIRST + timedelta(days=1)
KNOWN = jst_midnight(FIRST) + timedelta(days=40)


def put(
    store: SqlStore, quantity: str, value: float, *, slots: list[Slot], quality: Quality = Quality.GOOD
) -> None:
    name = SeriesId(f"imbalance/tohoku/{quantity}")
    store.append(
        [
            Point(series=name, at=one.start, known_at=KNOWN, value=value, quality=quality, source="test")
            for one in slots
        ]
    )


def found(store: SqlStore, last: date = LAST, area: Area = Area.TOHOKU) -> StoredPrices:
    known = store.as_of(KNOWN + timedelta(days=1))
    return stored_imbalance(known, FIRST, last, area=area, voltage="high")


def both_days() -> list[Slot]:
    return [*slots_of_day(FIRST), *slots_of_day(LAST)]


def test_a_whole_stretch_settles_the_imbalance_as_files_would() -> None:
    rng = np.random.default_rng(4)
    store = store_of(day_values(rng, 2), day_values(rng, 2), promised_days=2)
    put(store, "price_yen_per_kwh", 12.35, slots=both_days())
    put(store, "margin_percent", 14.0, slots=both_days())
    told = found(store)
    assert told.prices is not None
    assert set(told.prices.price.values()) == {Decimal("12.35")}
    assert told.prices.loss_rate > 0
    assert told.prices.preliminary == frozenset()
    terms = MonthTerms(imbalance=told.prices)
    made = month_account(store, SITE, "2026-08", terms, last_day=LAST, from_day=FIRST)
    assert "imbalance" in {line.name for line in made.lines}
    assert "no_imbalance" not in {note.name for note in made.notes}


def test_one_missing_margin_is_counted_and_nothing_is_guessed() -> None:
    store = open_store("sqlite://", durability="process")
    assert found(store) == StoredPrices(prices=None, missing=96, any=False)
    put(store, "price_yen_per_kwh", 12.0, slots=both_days())
    put(store, "margin_percent", 14.0, slots=both_days()[:-1])
    assert found(store) == StoredPrices(prices=None, missing=1, any=True)
    assert found(store, last=FIRST).prices is not None


@pytest.mark.parametrize("area", [Area.TOKYO, Area.ALL])
def test_prices_of_another_area_do_not_count(area: Area) -> None:
    store = open_store("sqlite://", durability="process")
    put(store, "price_yen_per_kwh", 12.0, slots=both_days())
    put(store, "margin_percent", 14.0, slots=both_days())
    assert not found(store, area=area).any


def test_a_price_that_is_only_estimated_is_preliminary() -> None:
    store = open_store("sqlite://", durability="process")
    put(store, "price_yen_per_kwh", 12.0, slots=both_days()[1:])
    put(store, "price_yen_per_kwh", 12.0, slots=both_days()[:1], quality=Quality.ESTIMATED)
    put(store, "margin_percent", 14.0, slots=both_days())
    told = found(store).prices
    assert told is not None
    assert told.preliminary == frozenset(both_days()[:1])
