"""Batches to the coin operator and receipts back; caps per month and by money."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from energy.core.errors import DataError, LedgerError
from energy.ledger import (
    BatchBook,
    CoinRule,
    Grant,
    Journal,
    NoGrant,
    ReceiptLine,
    TightLevel,
    WhyNot,
    apply_caps,
    batch_csv,
    class_balances,
    grant_key,
    points_of_money,
    points_of_month,
    post_grant,
)
from energy.store import SqlStore, open_store

NOW = datetime(2026, 11, 25, 0, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULE = CoinRule(
    id="tight", version=1, points_per_kwh=Decimal(20), valid_from=date(2026, 4, 1), valid_to=date(2027, 3, 31)
)


def grant(vehicle: str, points: int, *, event: str = "evening", day: date = date(2026, 11, 24)) -> Grant:
    return Grant(
        event=event,
        level=TightLevel.ADVISORY,
        day=day,
        vehicle=vehicle,
        account=f"driver/{vehicle}",
        rule="tight",
        rule_version=1,
        points_per_kwh=Decimal(20),
        discharge_kwh=Decimal(points) / 20,
        charge_kwh=Decimal(0),
        net_kwh=Decimal(points) / 20,
        earned_points=points,
        points=points,
        point_class="local_only",
        expires_on=date(2027, 5, 23),
    )


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        yield opened


def answers(batch_id: str, *points: int, status: str = "accepted") -> list[ReceiptLine]:
    return [
        ReceiptLine(batch_id=batch_id, line=number, points=one, status=status)
        for number, one in enumerate(points, start=1)
    ]


def test_a_batch_holds_what_no_earlier_one_held_and_a_reversal_is_a_line_of_its_own(store: SqlStore) -> None:
    journal, book = Journal(store), BatchBook(store)
    post_grant(journal, grant("a", 40), NOW)
    post_grant(journal, grant("b", 60), NOW)
    first = book.make(at=NOW, actor="desk")
    assert first is not None
    assert [(line.account, line.points) for line in first.lines] == [("driver/a", 40), ("driver/b", 60)]
    assert book.make(at=NOW + MINUTE, actor="desk") is None
    journal.reverse(grant_key(grant("a", 40)), "wrong car", NOW + MINUTE)
    post_grant(journal, replace(grant("a", 20)), NOW + MINUTE, correction=1)
    second = book.make(at=NOW + 2 * MINUTE, actor="desk")
    assert second is not None
    assert (second.id, [line.points for line in second.lines]) == ("b-000002", [-40, 20])
    assert book.find("b-000001") == first
    assert sum(batch.points for batch in book.batches()) == 80 == -journal.balance("operator/issue")


def test_a_batch_written_again_is_the_same_file_and_names_the_entry_by_its_hash(store: SqlStore) -> None:
    posted = post_grant(Journal(store), grant("a", 40), NOW)
    book = BatchBook(store)
    made = book.make(at=NOW, actor="desk")
    assert made is not None
    text = batch_csv(made)
    assert text == batch_csv(book.find(made.id))
    assert text.splitlines()[1] == f"b-000001,1,driver/a,40,local_only,2027-05-23,evening,1,{posted.digest}"


def test_every_difference_between_a_batch_and_its_receipt_is_listed(store: SqlStore) -> None:
    book = BatchBook(store)
    for vehicle, points in (("a", 40), ("b", 60), ("c", 10), ("d", 5)):
        post_grant(Journal(store), grant(vehicle, points), NOW)
    made = book.make(at=NOW, actor="desk")
    assert made is not None
    receipt = [
        *answers(made.id, 40, 50),
        ReceiptLine(batch_id=made.id, line=3, points=10, status="refused"),
        ReceiptLine(batch_id=made.id, line=9, points=7, status="accepted"),
    ]
    found = book.reconcile(made.id, receipt, at=NOW + MINUTE, actor="desk")
    assert [(one.line, one.what, one.ours, one.theirs) for one in found.differences] == [
        (2, "points", 60, 50),
        (3, "refused", 10, 0),
        (4, "missing", 5, 0),
        (9, "unknown", 0, 7),
    ]
    assert not found.known
    again = book.reconcile(made.id, receipt, at=NOW + 2 * MINUTE, actor="desk")
    assert again.known
    assert again.differences == found.differences
    mended = book.reconcile(made.id, answers(made.id, 40, 60, 10, 5), at=NOW + 3 * MINUTE, actor="desk")
    assert (mended.known, mended.differences) == (False, ())
    acts = [record.act for record in store.audit_trail(f"batch/{made.id}")]
    assert acts == ["coin.batch", "coin.reconciled", "coin.receipt_repeated", "coin.reconciled"]


def test_a_receipt_that_says_a_line_twice_or_is_of_another_batch_is_refused_whole(store: SqlStore) -> None:
    book = BatchBook(store)
    post_grant(Journal(store), grant("a", 40), NOW)
    made = book.make(at=NOW, actor="desk")
    assert made is not None
    for wrong, said in (
        (answers(made.id, 40) * 2, "says a line twice"),
        (answers("b-000007", 40), "is not that of batch"),
    ):
        with pytest.raises(LedgerError, match=said):
            book.reconcile(made.id, wrong, at=NOW, actor="desk")
    with pytest.raises(LedgerError, match="no batch"):
        book.reconcile("b-000009", [], at=NOW, actor="desk")
    acts = [record.act for record in store.audit_trail(f"batch/{made.id}")]
    assert acts == ["coin.batch", "coin.receipt_refused", "coin.receipt_refused"]
    (unknown,) = store.audit_trail("batch/b-000009")
    assert unknown.facts["why"] == "no batch 'b-000009'"


def test_points_are_shown_by_class_and_last_day_and_expire_after_it(store: SqlStore) -> None:
    journal = Journal(store)
    post_grant(journal, grant("a", 40), NOW)
    post_grant(journal, replace(grant("a", 30, event="e2"), point_class="all_shops"), NOW)
    post_grant(journal, grant("b", 5), NOW)
    journal.reverse(grant_key(grant("b", 5)), "mistake", NOW)
    told = [
        (one.account, one.point_class, one.points, one.expired)
        for one in class_balances(store, date(2027, 5, 23))
    ]
    assert told == [("driver/a", "all_shops", 30, False), ("driver/a", "local_only", 40, False)]
    assert all(one.expired for one in class_balances(store, date(2027, 5, 24)))


def test_the_cap_of_a_month_counts_what_the_person_got_in_it(store: SqlStore) -> None:
    journal = Journal(store)
    post_grant(journal, grant("a", 90, event="e1", day=date(2026, 11, 2)), NOW)
    post_grant(journal, grant("a", 50, event="e0", day=date(2026, 10, 30)), NOW)
    rule = replace(RULE, max_points_per_person_month=100)
    booked = {"driver/a": points_of_month(journal, "driver/a", date(2026, 11, 24), except_event="evening")}
    assert booked == {"driver/a": 90}
    (cut,) = apply_caps(rule, [grant("a", 40)], booked_month=booked)
    assert isinstance(cut, Grant)
    assert cut.points == 10
    (none,) = apply_caps(rule, [grant("a", 40)], booked_month={"driver/a": 120})
    assert isinstance(none, NoGrant)
    assert none.why is WhyNot.MONTH_CAP


def test_points_are_never_worth_more_than_the_event_settled_unless_a_budget_adds_to_it() -> None:
    grants = [grant("a", 40), grant("b", 60)]
    covered = points_of_money(Decimal("50.9"), yen_per_point=Decimal(1))
    cut = apply_caps(RULE, grants, money_points={"evening": covered})
    assert [one.points for one in cut if isinstance(one, Grant)] == [20, 30]
    more = points_of_money(Decimal("50.9"), yen_per_point=Decimal(1), budget_yen=Decimal(1000))
    assert apply_caps(RULE, grants, money_points={"evening": more}) == grants
    loss = apply_caps(
        RULE, grants, money_points={"evening": points_of_money(Decimal(-7), yen_per_point=Decimal(1))}
    )
    assert {one.why for one in loss if isinstance(one, NoGrant)} == {WhyNot.EVENT_MONEY}
    with pytest.raises(DataError):
        points_of_money(Decimal(1), yen_per_point=Decimal(0))
