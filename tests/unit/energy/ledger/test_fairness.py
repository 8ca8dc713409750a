"""Who earns what is shown by group, and nobody can be recognised in it."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.errors import DataError
from energy.ledger import ISSUER, Entry, Posting
from energy.ledger.fairness import (
    Division,
    Fairness,
    Participant,
    Shop,
    earned_by_account,
    fairness,
    gini,
)

LIMITS: dict[str, Any] = {"min_members": 10, "max_share": Decimal("0.5")}


def people(**groups: int) -> list[Participant]:
    """So many employees of each employer, and residents under the name ``resident``."""
    return [
        Participant(
            account=f"person/{name}-{k}",
            kind="resident" if name == "resident" else "employee",
            ev=k % 2 == 0,
            employer="" if name == "resident" else name,
        )
        for name, count in groups.items()
        for k in range(count)
    ]


def division(made: Fairness, by: str) -> Division:
    return next(one for one in made.divisions if one.by == by)


def test_every_group_tells_members_earners_points_mean_and_median() -> None:
    told = people(resident=20, works=20)
    earned = {one.account: 10 if one.kind == "employee" else 0 for one in told}
    earned |= {f"person/resident-{k}": 4 for k in range(3)}
    made = fairness(told, earned | {"person/stranger": 7}, **LIMITS)
    employee, resident = division(made, "kind").groups
    assert (employee.name, employee.points, employee.mean, employee.median) == ("employee", 200, 10, 10)
    assert division(made, "ev").groups[0].members == 20
    assert (resident.members, resident.earners, resident.points) == (20, 3, 12)
    assert (made.points, made.unlisted_points) == (212, 7)


def test_a_group_in_which_one_has_most_points_is_not_shown_alone() -> None:
    told = people(resident=20, works=20, mill=20)
    earned = {one.account: 10 for one in told if one.employer == "mill"} | {"person/works-3": 1000}
    made = fairness(told, earned, **LIMITS)
    assert division(made, "employer").withheld
    assert made.points is None  # one person has most of all points
    assert made.gini is None


def test_small_employers_are_put_together_and_none_follows_from_the_rest() -> None:
    told = people(works=20, mill=12, shop=4, farm=3)
    made = fairness(told, {one.account: 5 for one in told}, **LIMITS)
    groups = {group.name: group for group in division(made, "employer").groups}
    assert set(groups) == {"works", "others"}  # 4 and 3 are not ten: the next smallest joins them
    assert (groups["others"].members, groups["others"].joined) == (19, 3)


def test_too_few_people_are_told_nothing_about() -> None:
    made = fairness(people(resident=9), {"person/resident-1": 3}, **LIMITS)
    assert all(one.withheld for one in made.divisions)
    assert (made.gini, made.points) == (None, None)


def test_nobody_and_no_points_are_no_errors() -> None:
    assert fairness([], {}, **LIMITS).members == 0
    made = fairness(people(resident=12), {}, **LIMITS)
    assert (made.points, made.gini) == (0, None)


def test_an_account_that_is_listed_twice_is_refused() -> None:
    with pytest.raises(DataError, match="listed twice"):
        fairness(people(works=1) * 2, {}, **LIMITS)


def test_shops_are_divided_by_size() -> None:
    shops = [Shop(shop=f"s-{k}", size="small" if k % 2 else "large", points=10 + k) for k in range(24)]
    made = fairness(people(resident=12), {}, shops=shops, **LIMITS)
    assert [group.name for group in division(made, "shop").groups] == ["large", "small"]


def test_what_was_taken_back_counts_against_its_account_and_the_issuer_earns_nothing() -> None:
    at = datetime(2026, 8, 1, tzinfo=UTC)

    def entry(key: str, points: int) -> Entry:
        return Entry(key=key, at=at, postings=(Posting("person/a", points), Posting(ISSUER, -points)))

    assert earned_by_account([entry("1", 30), entry("2", -10)]) == {"person/a": 20}
    assert earned_by_account([entry("2", -10)]) == {"person/a": 0}


@settings(max_examples=150, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 25), min_size=1, max_size=6),
    draw=st.randoms(use_true_random=False),
)
def test_no_group_below_the_limits_is_ever_shown(sizes: list[int], draw: Any) -> None:
    told = people(**{f"works-{k}": size for k, size in enumerate(sizes)})
    earned = {one.account: draw.choice([0, 0, 1, 5, 400]) for one in told}
    made = fairness(told, earned, **LIMITS)
    for one in made.divisions:
        assert len(one.groups) != 1 or one.groups[0].joined == 1
        for group in one.groups:
            assert group.members >= 10
        if one.groups:
            assert sum(group.members for group in one.groups) == len(told)
            assert sum(group.points for group in one.groups) == sum(earned.values())


@given(st.lists(st.integers(0, 1000), min_size=1, max_size=40))
def test_gini_lies_between_equal_and_one_has_all(points: list[int]) -> None:
    found = gini(points)
    if found is None:
        assert not any(points)
    else:
        assert 0 <= found <= 1 - Decimal(1) / len(points) + Decimal("1e-20")
        assert abs(found - (gini([3 * one for one in points]) or 0)) < Decimal("1e-20")


def test_less_than_nothing_has_no_gini() -> None:
    with pytest.raises(DataError, match="0 or more"):
        gini([-1, 2])
