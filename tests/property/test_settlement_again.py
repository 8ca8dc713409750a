"""An event settled again from the same readings is the version that stands; other readings make the next."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from itertools import count

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from energy.core.series import Grid, Series, Unit
from energy.core.slots import parse_jst
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import SqlStore, open_store
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import Measuring
from vpp.settlement.dr_settling import settle_from_readings

START = parse_jst("2026-11-25 16:00")
END, TOLD, AFTER = START + timedelta(hours=2), START - timedelta(hours=6), START + timedelta(hours=4)
GRID = Grid.between(START - timedelta(days=36), END)
IDS = count(1)
Half = st.floats(0.0, 60.0).map(lambda value: round(value, 3))


@pytest.fixture(scope="module")
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://", durability="process") as opened:
        yield opened


def called(store: SqlStore) -> DrEvent:
    """A new event that the site is called for."""
    event = DrEvent(
        id=f"e-{next(IDS)}",
        product=Product.ECONOMIC,
        modification=0,
        start=START,
        end=END,
        target_kw=Decimal(10),
        announced_at=TOLD,
    )
    book = EventBook(store)
    book.announce(event, at=TOLD, actor="desk")
    return book.nominate(event.id, [Resource(site="works", kw=Decimal(10))], at=TOLD, actor="desk")


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    used=st.lists(Half, min_size=4, max_size=4),
    seed=st.integers(0, 1000),
    capped=st.booleans(),
    other=st.integers(0, 3),
)
def test_settling_again_changes_nothing_and_other_readings_make_the_next_version(
    store: SqlStore, used: list[float], seed: int, capped: bool, other: int
) -> None:
    event, book = called(store), EventBook(store)
    how = Measuring(yen_per_kwh=Decimal(30), up_to_call=capped)
    values = np.random.default_rng(seed).uniform(20.0, 30.0, GRID.count).round(3)
    values[-4:] = used

    def settled(minute: int) -> tuple[int, bool, Decimal]:
        meter = Series(GRID, values, Unit.KWH)
        site = settle_from_readings(store, event, "works", meter, how)
        assert site.delivered_kwh is not None, site.why
        assert not capped or site.yen <= 30 * 20  # 10 kW over two hours
        at = AFTER + timedelta(minutes=minute)
        made, new = book.settle(event.id, [site], yen_per_kwh=Decimal(30), at=at, actor="desk")
        return made.version, new, made.yen

    first = settled(0)
    assert first[:2] == (1, True)
    assert settled(1) == (1, False, first[2])
    values[len(values) - 1 - other] += 1.0
    version, new, _ = settled(2)
    assert (version, new) == (2, True)
    acts = [one.act for one in store.audit_trail(f"dr/{event.id}")]
    assert acts[-2:] == ["dr.settled", "dr.corrected"]
