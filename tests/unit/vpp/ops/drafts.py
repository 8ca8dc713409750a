"""A plan that is drafted, checked, approved and handed in, as far as wanted."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from energy.core.slots import JST
from energy.market.plans import BalancingPlan, Member, PlanKind, Trade
from energy.market.rule_table import Area
from energy.store import Store
from vpp.settlement.plan_book import PlanBook

__all__ = ["hand_in"]


def hand_in(store: Store, day: date, *, until: str = "submitted") -> str:
    """Key of the plan of a day; it is drafted at 9 of the day before."""
    at = datetime.combine(day - timedelta(days=1), time(9), tzinfo=JST)
    plan = BalancingPlan(
        kind=PlanKind.DEMAND,
        day=day,
        group="bg-aizu",
        area=Area.TOHOKU,
        sender="00002",
        recipient="00000",
        on_behalf_of="retailer-a",
        members=(Member(code="office", kwh=(20,) * 48),),
        totals_kwh=(20,) * 48,
        trades=(Trade(party="spot", side="buy", kwh=(20,) * 48),),
    )
    book = PlanBook(store)
    book.draft(plan, at=at, author="ito")
    steps = [
        lambda when: book.check(plan.key, 1, at=when, actor="ito"),
        lambda when: book.approve(plan.key, 1, at=when, approver="sato"),
        lambda when: book.submit(plan.key, 1, at=when, actor="sato"),
    ]
    wanted = ("draft", "checked", "approved", "submitted").index(until)
    for k, step in enumerate(steps[:wanted], start=1):
        step(at + timedelta(minutes=k))
    return plan.key
