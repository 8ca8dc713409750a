"""Points of any event: never worth more than its money, within every cap, and the same when granted again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from energy.core.slots import Slot
from energy.ledger import (
    ComfortRule,
    Grant,
    NoGrant,
    SavingRule,
    TightEvent,
    TightLevel,
    apply_caps,
    cap_money,
    comfort_grant,
    points_of_money,
    saving_grant,
)

DAY = date(2026, 11, 25)
TERMS = {"version": 1, "valid_from": DAY, "valid_to": DAY}
EVENT = TightEvent(
    id="e",
    start=Slot.of(DAY, 33),
    end=Slot.of(DAY, 39),
    level=TightLevel.ADVISORY,
    known_at=Slot.of(DAY, 1).start,
)
caps = st.one_of(st.none(), st.integers(0, 200))
kwh = st.decimals(-5, 60, places=3)


@st.composite
def grants_of_two_ways(draw: st.DrawFn) -> tuple[list[Grant], SavingRule, ComfortRule]:
    """What some people earn in an event by saving and by comfort, before caps."""
    saving = SavingRule(
        id="saving",
        points_per_kwh=draw(st.decimals("0.01", 30, places=2)),
        max_points_per_person_day=draw(caps),
        max_points_per_person_month=draw(caps),
        event_budget_points=draw(caps),
        **TERMS,  # type: ignore[arg-type]
    )
    comfort = ComfortRule(
        id="comfort",
        points_per_hour=draw(st.decimals("0.01", 30, places=2)),
        below_c=Decimal(19),
        event_budget_points=draw(caps),
        **TERMS,  # type: ignore[arg-type]
    )
    found: list[Grant | NoGrant] = []
    for number in range(draw(st.integers(0, 5))):
        person = f"p-{draw(st.integers(0, 2))}"
        if draw(st.booleans()):
            saved = draw(kwh)
            found.append(
                saving_grant(saving, EVENT, person=person, site=f"s-{number}", saved_kwh=saved, opted_in=True)
            )
        else:
            kept = [EVENT.start.shifted(k) for k in draw(st.sets(st.integers(-2, 8)))]
            found.append(
                comfort_grant(comfort, EVENT, person=person, zone=f"z-{number}", kept=kept, opted_in=True)
            )
    return [one for one in found if isinstance(one, Grant)], saving, comfort


@given(grants_of_two_ways(), st.decimals(-50, 500, places=2), st.decimals(0, 100, places=2), st.data())
def test_points_keep_to_every_cap_and_to_the_money(
    earned: tuple[list[Grant], SavingRule, ComfortRule],
    settled: Decimal,
    budget: Decimal,
    data: st.DataObject,
) -> None:
    grants, saving, comfort = earned
    value = data.draw(st.decimals("0.5", 2, places=1))
    covered = points_of_money(settled, yen_per_point=value, budget_yen=budget)

    def granted(order: list[Grant]) -> dict[str, int]:
        capped = [
            one
            for rule in (saving, comfort)
            for one in apply_caps(rule, [grant for grant in order if grant.rule == rule.id])
            if isinstance(one, Grant)
        ]
        paid = [one for one in cap_money(capped, {"e": covered}) if isinstance(one, Grant)]
        return {one.vehicle: one.points for one in paid}

    final = granted(grants)
    total = sum(final.values())
    assert all(points > 0 for points in final.values())
    assert total * value <= max(Decimal(0), settled + budget)
    before = {one.vehicle: one for one in grants}
    assert all(points <= before[asset].points for asset, points in final.items())
    by_person: defaultdict[str, int] = defaultdict(int)
    by_rule: defaultdict[str, int] = defaultdict(int)
    for asset, points in final.items():
        by_rule[before[asset].rule] += points
        if before[asset].rule == "saving":
            by_person[before[asset].person] += points
    for most in (saving.max_points_per_person_day, saving.max_points_per_person_month):
        assert most is None or all(points <= most for points in by_person.values())
    for rule in (saving, comfort):
        assert rule.event_budget_points is None or by_rule[rule.id] <= rule.event_budget_points
    assert granted(data.draw(st.permutations(grants))) == final


@given(grants_of_two_ways(), st.integers(0, 300))
def test_money_that_is_short_is_shared_in_proportion(
    earned: tuple[list[Grant], SavingRule, ComfortRule], covered: int
) -> None:
    grants = earned[0]
    asked = sum(one.points for one in grants)
    got = [one.points if isinstance(one, Grant) else 0 for one in cap_money(grants, {"e": covered})]
    assert sum(got) == min(asked, covered)
    for one, points in zip(grants, got, strict=True):
        fair = Decimal(one.points) * min(asked, covered) / asked
        assert abs(points - fair) < 1


@given(kwh)
def test_a_saving_is_cut_to_two_decimals_and_never_below_zero(saved: Decimal) -> None:
    rule = SavingRule(id="saving", points_per_kwh=Decimal(100), **TERMS)  # type: ignore[arg-type]
    found = saving_grant(rule, EVENT, person="p", site="s", saved_kwh=saved, opted_in=True)
    points = found.points if isinstance(found, Grant) else 0
    assert points == max(0, int(saved * 100))
    declined = saving_grant(rule, EVENT, person="p", site="s", saved_kwh=saved, opted_in=False)
    assert isinstance(declined, NoGrant)
    assert not isinstance(found, Grant) or replace(found, points=1).earned_points == points
