"""Caps are shared in proportion; a grant is booked once, and nobody is paid twice for one event."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from energy.core.errors import DataError, DuplicateEntryError, LedgerError
from energy.ledger import (
    ISSUER,
    AlreadyPosted,
    CoinRule,
    Grant,
    Journal,
    NoGrant,
    Posted,
    TightLevel,
    WhyNot,
    apply_caps,
    grant_key,
    points_of_day,
    post_grant,
)
from energy.store import open_store

DAY = date(2026, 11, 24)
MORNING = datetime(2026, 11, 25, 0, 0, tzinfo=UTC)


def rule(**changes: Any) -> CoinRule:
    facts: dict[str, Any] = {
        "id": "tight",
        "version": 1,
        "points_per_kwh": Decimal(20),
        "valid_from": date(2026, 4, 1),
        "valid_to": date(2027, 3, 31),
    }
    return CoinRule(**(facts | changes))


def grant(
    vehicle: str, points: int, *, driver: str | None = None, event: str = "evening", day: date = DAY
) -> Grant:
    net = Decimal(points) / 20
    return Grant(
        event=event,
        level=TightLevel.ADVISORY,
        day=day,
        vehicle=vehicle,
        account=f"driver/{driver or vehicle}",
        rule="tight",
        rule_version=1,
        points_per_kwh=Decimal(20),
        discharge_kwh=net,
        charge_kwh=Decimal(0),
        net_kwh=net,
        earned_points=points,
        points=points,
        point_class="local_only",
        expires_on=date(2027, 5, 23),
    )


def capped(grants: list[Grant], booked: dict[str, int] | None = None, **caps: int) -> dict[str, int | WhyNot]:
    found = apply_caps(rule(**caps), grants, booked_points=booked)
    return {each.vehicle: each.points if isinstance(each, Grant) else each.why for each in found}


@pytest.fixture
def journal() -> Iterator[Journal]:
    with open_store("sqlite://") as store:
        yield Journal(store)


# Caps


def test_without_caps_everyone_gets_what_was_earned() -> None:
    assert capped([grant("a", 100), grant("b", 7)]) == {"a": 100, "b": 7}


def test_a_budget_is_shared_in_proportion_whoever_comes_first() -> None:
    grants = [grant("a", 300), grant("b", 100), grant("c", 100)]
    assert capped(grants, event_budget_points=250) == {"a": 150, "b": 50, "c": 50}
    assert capped(grants[::-1], event_budget_points=250) == {"c": 50, "b": 50, "a": 150}


def test_a_budget_is_used_to_the_last_point() -> None:
    grants = [grant("a", 10), grant("b", 10), grant("c", 10)]
    assert capped(grants, event_budget_points=20) == {"a": 7, "b": 7, "c": 6}
    assert capped(grants[::-1], event_budget_points=20) == {"c": 6, "b": 7, "a": 7}


def test_each_event_has_its_own_budget() -> None:
    grants = [grant("a", 60), grant("b", 60, event="noon")]
    assert capped(grants, event_budget_points=50) == {"a": 50, "b": 50}


def test_a_person_has_one_cap_for_all_cars_and_events_of_a_day() -> None:
    grants = [
        grant("a", 80, driver="hanako"),
        grant("b", 40, driver="hanako", event="noon"),
        grant("c", 80, driver="taro"),
        grant("d", 80, driver="hanako", event="tomorrow", day=DAY + timedelta(days=1)),
    ]
    assert capped(grants, max_points_per_person_day=90) == {"a": 60, "b": 30, "c": 80, "d": 80}


def test_points_already_booked_count_against_the_day() -> None:
    grants = [grant("a", 80, driver="hanako"), grant("b", 80, driver="taro")]
    booked = {"driver/hanako": 70, "driver/taro": 100}
    found = capped(grants, booked, max_points_per_person_day=100)
    assert found == {"a": 30, "b": WhyNot.DAY_CAP}


def test_what_a_person_may_not_have_is_left_for_the_others() -> None:
    grants = [grant("a", 900), grant("b", 100)]
    assert capped(grants, max_points_per_person_day=100, event_budget_points=200) == {"a": 100, "b": 100}


def test_a_company_account_is_no_person_but_shares_the_budget() -> None:
    company = replace(grant("leaf", 300), account="company/fleet")
    assert capped([company], max_points_per_person_day=10) == {"leaf": 300}
    assert capped([company, grant("a", 100)], event_budget_points=200) == {"leaf": 150, "a": 50}


def test_an_empty_budget_says_why() -> None:
    found = apply_caps(rule(event_budget_points=0), [grant("a", 5)])
    assert found == [
        NoGrant(event="evening", vehicle="a", why=WhyNot.EVENT_BUDGET, detail="5 points before the cap")
    ]


def test_what_was_earned_stays_visible_beside_what_is_granted() -> None:
    (cut,) = apply_caps(rule(event_budget_points=10), [grant("a", 100)])
    assert isinstance(cut, Grant)
    assert (cut.earned_points, cut.points) == (100, 10)


def test_grants_of_another_rule_are_refused() -> None:
    with pytest.raises(DataError, match="another rule"):
        apply_caps(rule(version=2), [grant("a", 1)])


# Booking


def test_the_same_grant_twice_is_one_entry(journal: Journal) -> None:
    first = post_grant(journal, grant("a", 124), MORNING)
    again = post_grant(journal, grant("a", 124), MORNING + timedelta(days=1))
    assert isinstance(first, Posted)
    assert isinstance(again, AlreadyPosted)
    assert journal.balances() == {"driver/a": 124, ISSUER: -124}
    assert journal.verify().entries == 1


def test_the_same_energy_written_with_more_zeros_is_the_same_grant(journal: Journal) -> None:
    post_grant(journal, grant("a", 124), MORNING)
    longer = replace(grant("a", 124), net_kwh=Decimal("6.200"), discharge_kwh=Decimal("6.2000"))
    assert isinstance(post_grant(journal, longer, MORNING), AlreadyPosted)


def test_the_entry_says_where_the_points_come_from(journal: Journal) -> None:
    post_grant(journal, grant("a", 124), MORNING)
    (entry,) = journal.entries()
    assert entry.key == grant_key(grant("a", 124)) == "grant/evening/a/tight@1"
    assert entry.facts == {
        "event": "evening",
        "level": "注意報",
        "day": "2026-11-24",
        "vehicle": "a",
        "rule": "tight",
        "rule_version": 1,
        "points_per_kwh": "20",
        "discharge_kwh": "6.2",
        "charge_kwh": "0",
        "net_kwh": "6.2",
        "earned_points": 124,
        "point_class": "local_only",
        "expires_on": "2027-05-23",
        "left_out": "",
    }


def test_cars_of_one_name_on_two_sites_are_two_cars(journal: Journal) -> None:
    here, there = (replace(grant("a", 124), site=site) for site in ("works", "office"))
    assert isinstance(post_grant(journal, here, MORNING), Posted)
    assert isinstance(post_grant(journal, there, MORNING), Posted)
    assert isinstance(post_grant(journal, here, MORNING), AlreadyPosted)
    assert [one.facts["site"] for one in journal.entries()] == ["works", "office"]
    assert journal.balance("driver/a") == 248


def test_what_was_booked_before_entries_named_a_site_is_not_booked_again(journal: Journal) -> None:
    post_grant(journal, grant("a", 124), MORNING)
    named = replace(grant("a", 124), site="works")
    assert isinstance(post_grant(journal, named, MORNING), AlreadyPosted)
    with pytest.raises(DuplicateEntryError, match="already paid"):
        post_grant(journal, replace(named, rule_version=2), MORNING)
    journal.reverse(grant_key(grant("a", 124)), "wrong meter", MORNING)
    assert isinstance(post_grant(journal, replace(named, points=100), MORNING, correction=1), Posted)
    assert journal.balance("driver/a") == 100


def test_a_grant_of_unknown_site_is_not_paid_beside_one_that_names_it(journal: Journal) -> None:
    post_grant(journal, replace(grant("a", 124), site="works"), MORNING)
    with pytest.raises(DuplicateEntryError, match="already paid"):
        post_grant(journal, grant("a", 124), MORNING)


def test_another_amount_for_the_same_grant_is_refused(journal: Journal) -> None:
    post_grant(journal, grant("a", 124), MORNING)
    with pytest.raises(DuplicateEntryError):
        post_grant(journal, grant("a", 125), MORNING)
    assert journal.balance("driver/a") == 124


def test_a_car_is_not_paid_again_for_an_event_under_a_new_version_of_the_rule(journal: Journal) -> None:
    post_grant(journal, grant("a", 124), MORNING)
    newer = replace(grant("a", 150), rule_version=2)
    with pytest.raises(DuplicateEntryError, match="already paid") as caught:
        post_grant(journal, newer, MORNING)
    assert "grant/evening/a/tight@1" in caught.value.where
    journal.reverse(grant_key(grant("a", 124)), "rate was wrong", MORNING)
    assert isinstance(post_grant(journal, newer, MORNING), Posted)
    assert journal.balance("driver/a") == 150
    post_grant(journal, grant("a", 10, event="noon"), MORNING)
    assert journal.balance("driver/a") == 160


def test_a_grant_taken_back_on_purpose_is_not_paid_by_the_next_run(journal: Journal) -> None:
    post_grant(journal, grant("a", 124), MORNING)
    journal.reverse(grant_key(grant("a", 124)), "wrong meter", MORNING)
    again = post_grant(journal, grant("a", 124), MORNING)
    assert isinstance(again, AlreadyPosted)
    assert again.reversed
    assert journal.balance("driver/a") == 0


def test_a_correction_follows_a_reversal_and_is_booked_once(journal: Journal) -> None:
    wrong, right = grant("a", 124), grant("a", 100)
    post_grant(journal, wrong, MORNING)
    with pytest.raises(LedgerError, match="nothing to correct"):
        post_grant(journal, right, MORNING, correction=1)
    journal.reverse(grant_key(wrong), "wrong meter", MORNING)
    assert isinstance(post_grant(journal, right, MORNING, correction=1), Posted)
    assert isinstance(post_grant(journal, right, MORNING, correction=1), AlreadyPosted)
    assert journal.balance("driver/a") == 100


def test_a_day_counts_all_events_but_the_one_being_settled_and_no_reversed_ones(journal: Journal) -> None:
    for event, points in (("noon", 30), ("evening", 50), ("mistake", 99)):
        post_grant(journal, grant("a", points, event=event), MORNING)
    post_grant(journal, grant("a", 7, event="other day", day=DAY + timedelta(days=1)), MORNING)
    journal.reverse("grant/mistake/a/tight@1", "mistake", MORNING)
    assert points_of_day(journal, "driver/a", DAY, except_event="evening") == 30
    assert points_of_day(journal, "driver/a", DAY, except_event="") == 80


def test_settling_an_event_again_gives_the_same_caps_and_changes_nothing(journal: Journal) -> None:
    caps = rule(max_points_per_person_day=60)
    post_grant(journal, grant("a", 20, event="noon"), MORNING)
    for _ in range(2):
        booked = {"driver/a": points_of_day(journal, "driver/a", DAY, except_event="evening")}
        (cut,) = apply_caps(caps, [grant("a", 50)], booked_points=booked)
        assert isinstance(cut, Grant)
        post_grant(journal, cut, MORNING)
    assert journal.balance("driver/a") == 60
