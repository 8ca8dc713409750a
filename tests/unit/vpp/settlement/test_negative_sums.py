"""An event that comes out below nothing: what plan, settlement and month make of it, worked by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest

from dispatch.agreed import reduction_kw
from energy.core.plan_parts import DrEvent as EventProblem
from energy.core.series import Grid, Series, Unit
from energy.core.site import DrTerms
from energy.core.slots import parse_jst
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import open_store
from tests.unit.vpp.settlement.accounts import SITE
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import Measuring, enrolled
from vpp.settlement.dr_settling import settle_from_readings

HALF = timedelta(minutes=30)
START = parse_jst("2026-11-25 16:00")
END, TOLD = START + 3 * HALF, START - timedelta(hours=6)
# RULES-JP T30: half hours of -5, +2 and +1 kWh. Every half hour draws 10 kWh, those of the event these.
DRAWN = (15.0, 8.0, 9.0)


def agreement(*, counts: bool) -> Measuring:
    terms = DrTerms(reward_yen_per_kwh=60.0, adjustment="none", negative_counts=counts)
    return enrolled(replace(SITE, dr=terms))


@pytest.mark.parametrize(
    ("called_kw", "counts", "yen"),
    [
        (20, False, 0),  # a campaign: -2 kWh are nothing
        (20, True, -120),  # between businesses: -2 kWh x 60 yen
        (3, False, 0),
        (3, True, -150),  # 3 kW are 1.5 kWh at most: -5 + 1.5 + 1 = -2.5 kWh x 60 yen
    ],
)
def test_a_sum_below_nothing_costs_only_where_that_is_agreed(called_kw: int, counts: bool, yen: int) -> None:
    grid = Grid.between(START - timedelta(days=31), END)
    meter = Series(grid, np.array([10.0] * (grid.count - 3) + [*DRAWN]), Unit.KWH)
    event = DrEvent(
        id="e-1",
        product=Product.ECONOMIC,
        modification=0,
        start=START,
        end=END,
        target_kw=Decimal(called_kw),
        announced_at=TOLD,
    )
    with open_store("sqlite://") as store:
        book = EventBook(store)
        book.announce(event, at=TOLD, actor="desk")
        book.nominate("e-1", [Resource(site="site", kw=Decimal(called_kw))], at=TOLD, actor="desk")
        how = agreement(counts=counts)
        found = settle_from_readings(store, book.require("e-1"), "site", meter, how)
    assert found.delivered_kwh == -2
    assert found.yen == yen
    planned = EventProblem(
        id="e-1",
        first=0,
        last=3,
        baseline_kw=(20.0,) * 3,
        reward_yen_per_kwh=60.0,
        most_kw=float(called_kw),
        negative_counts=counts,
    )
    counted = float(reduction_kw(planned, 2.0 * np.array(DRAWN)).sum()) / 2.0
    assert how.worth(Decimal(str(counted))) == yen  # a plan counts the same kWh


def test_a_sum_above_nothing_is_paid_alike_either_way() -> None:
    assert agreement(counts=True).worth(Decimal(12)) == agreement(counts=False).worth(Decimal(12)) == 720
