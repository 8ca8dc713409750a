"""The journal books once, sums to zero, takes back by the opposite, and names what was tampered with."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energy.core.errors import BrokenChainError, DuplicateEntryError, ExitStatus, LedgerError
from energy.core.slots import JST
from energy.ledger import AlreadyPosted, Entry, Journal, Posted, Posting, VerifyReport
from energy.store import SqlStore, open_store

NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def entry(
    key: str, points: int = 10, *, account: str = "driver/a", at: datetime = NOON, memo: str = ""
) -> Entry:
    postings = (Posting(account, points), Posting("operator/issue", -points))
    return Entry(key=key, at=at, postings=postings, memo=memo, facts={"rule": "r", "rule_version": 1})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqlStore]:
    with open_store(f"sqlite:///{path}", durability="process") as opened:
        yield opened


@pytest.fixture
def journal(store: SqlStore) -> Journal:
    return Journal(store)


def test_an_entry_is_booked_once_whenever_it_is_posted_again(journal: Journal) -> None:
    first = journal.post(entry("e1"))
    again = journal.post(replace(entry("e1"), at=NOON + timedelta(days=1)))
    assert isinstance(first, Posted)
    assert again == AlreadyPosted(number=1, digest=first.digest, reversed=False)
    assert journal.balances() == {"driver/a": 10, "operator/issue": -10}
    assert [booked.at for booked in journal.entries()] == [NOON]


@pytest.mark.parametrize(
    "other",
    [
        entry("e1", 11),
        entry("e1", account="driver/b"),
        entry("e1", memo="something else"),
        replace(entry("e1"), facts={"rule": "r", "rule_version": True}),
    ],
    ids=["points", "account", "memo", "facts"],
)
def test_a_key_cannot_be_used_for_something_else(journal: Journal, other: Entry) -> None:
    journal.post(entry("e1"))
    with pytest.raises(DuplicateEntryError, match="says something else") as caught:
        journal.post(other)
    assert "reverse" in caught.value.hint
    assert journal.balance("driver/a") == 10
    assert journal.verify().entries == 1


@pytest.mark.parametrize(
    "postings",
    [
        (Posting("a", 5), Posting("b", -4)),
        (Posting("a", 5),),
        (),
    ],
)
def test_an_entry_that_does_not_sum_to_zero_cannot_be_made(postings: tuple[Posting, ...]) -> None:
    with pytest.raises(LedgerError, match="sum to zero"):
        Entry(key="k", at=NOON, postings=postings)


@pytest.mark.parametrize("points", [0, 1.0, True, "5", 2**63])
def test_points_are_whole_numbers(points: object) -> None:
    with pytest.raises(LedgerError, match="whole points"):
        Posting("a", points)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["", "a\nb", "a\x00", "x" * 301])
def test_names_that_cannot_be_read_are_refused(name: str) -> None:
    with pytest.raises(LedgerError, match="bad account"):
        Posting(name, 1)
    with pytest.raises(LedgerError, match="bad key"):
        entry(name)


def test_a_float_is_no_fact() -> None:
    with pytest.raises(LedgerError, match="'kwh' is not exact"):
        Entry(key="k", at=NOON, postings=(Posting("a", 1), Posting("b", -1)), facts={"kwh": 6.2})  # type: ignore[dict-item]


def test_a_reversal_is_the_opposite_entry_and_the_first_one_stays(journal: Journal) -> None:
    journal.post(entry("e1", 10))
    journal.post(entry("e2", 3))
    assert isinstance(journal.reverse("e1", "wrong meter", NOON + timedelta(hours=1)), Posted)
    assert journal.balance("driver/a") == 3
    last = list(journal.entries())[-1]
    assert (last.memo, last.facts["reverses"], last.facts["rule"]) == ("wrong meter", "e1", "r")
    assert journal.find("e1") == entry("e1", 10)
    assert (journal.reversed("e1"), journal.reversed("e2")) == (True, False)
    assert journal.post(entry("e1", 10)) == replace(journal_already(journal, "e1"), reversed=True)
    assert journal.balance("driver/a") == 3


def journal_already(journal: Journal, key: str) -> AlreadyPosted:
    booked = journal.find(key)
    assert booked is not None
    again = journal.post(booked)
    assert isinstance(again, AlreadyPosted)
    return again


def test_a_reversal_is_booked_once(journal: Journal) -> None:
    journal.post(entry("e1"))
    journal.reverse("e1", "wrong meter", NOON)
    assert isinstance(journal.reverse("e1", "wrong meter", NOON + timedelta(hours=1)), AlreadyPosted)
    with pytest.raises(DuplicateEntryError):
        journal.reverse("e1", "another reason", NOON)
    assert journal.balance("driver/a") == 0


def test_only_an_entry_of_the_journal_can_be_reversed_and_no_reversal_can(journal: Journal) -> None:
    with pytest.raises(LedgerError, match="cannot be reversed"):
        journal.reverse("never-booked", "why", NOON)
    journal.post(entry("e1"))
    journal.reverse("e1", "why", NOON)
    with pytest.raises(LedgerError, match="cannot be reversed"):
        journal.reverse("reverse/e1", "why", NOON)
    with pytest.raises(LedgerError, match="kept for reversals"):
        journal.post(entry("reverse/e9"))


def test_a_statement_adds_up_from_opening_to_closing(journal: Journal) -> None:
    days = [NOON + timedelta(days=k) for k in range(4)]
    for k, day in enumerate(days):
        journal.post(entry(f"e{k}", 10 + k, at=day.astimezone(JST)))
        journal.post(entry(f"other{k}", 99, account="driver/b", at=day))
    statement = journal.statement("driver/a", start=days[1], end=days[3])
    assert (statement.opening_points, statement.closing_points) == (10, 10 + 11 + 12)
    assert [(line.key, line.at, line.points, line.balance_points) for line in statement.lines] == [
        ("e1", days[1], 11, 21),
        ("e2", days[2], 12, 33),
    ]
    whole = journal.statement("driver/a")
    assert (whole.opening_points, whole.closing_points) == (0, journal.balance("driver/a"))
    empty = journal.statement("driver/nobody")
    assert (empty.opening_points, empty.lines, empty.closing_points) == (0, (), 0)


def test_a_statement_is_in_order_of_time_even_if_booked_later(journal: Journal) -> None:
    journal.post(entry("late", 1, at=NOON + timedelta(days=2)))
    journal.post(entry("early", 2, at=NOON))
    assert [line.key for line in journal.statement("driver/a").lines] == ["early", "late"]


def test_an_entry_with_two_postings_to_one_account_counts_both(journal: Journal) -> None:
    postings = (Posting("a", 3), Posting("a", 4), Posting("b", -7))
    journal.post(Entry(key="k", at=NOON, postings=postings))
    assert journal.balance("a") == 7
    assert [line.points for line in journal.statement("a").lines] == [7]


def test_postings_are_written_with_the_rest_of_a_transaction_or_not_at_all(
    store: SqlStore, journal: Journal
) -> None:
    def fail() -> None:
        with store.transaction():
            journal.post(entry("e1"))
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        fail()
    assert journal.verify() == VerifyReport(0, "0" * 64)
    journal.post(entry("e2"))
    assert journal.verify().entries == 1


def test_the_hash_is_the_sha256_of_the_canonical_text_with_the_hash_before(
    store: SqlStore, journal: Journal
) -> None:
    journal.post(entry("e1", memo="警報"))
    journal.post(entry("e2"))
    one, two = store.journal.rows()
    assert one.body == (
        '{"at":"2026-11-23T03:00:00+00:00","facts":{"rule":"r","rule_version":1},"key":"e1","memo":"警報",'
        '"number":1,"postings":[["driver/a",10],["operator/issue",-10]],"previous":"' + "0" * 64 + '"}'
    )
    assert one.digest == hashlib.sha256(one.body.encode()).hexdigest()
    assert json.loads(two.body)["previous"] == one.digest
    assert journal.verify() == VerifyReport(2, two.digest)


# Tampering: somebody with the file and SQL in their hands


def tamper(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (trigger,) in triggers:
        connection.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def rehash(path: Path, number: int, old: str, new: str) -> None:
    """Change an entry's text and give it the matching hash, as a careful forger would."""
    connection = sqlite3.connect(path)
    (body,) = connection.execute("SELECT body FROM journal WHERE number = ?", [number]).fetchone()
    connection.close()
    forged = body.replace(old, new)
    assert forged != body
    digest = hashlib.sha256(forged.encode()).hexdigest()
    tamper(path, f"UPDATE journal SET body = '{forged}', digest = '{digest}' WHERE number = {number}")


@pytest.mark.parametrize(
    ("forgery", "number", "fault"),
    [
        (
            ["UPDATE journal SET body = replace(body, '10', '99') WHERE number = 2"],
            2,
            "does not give its hash",
        ),
        (
            ["UPDATE journal SET digest = replace(digest, 'a', 'b') WHERE number = 2"],
            2,
            "does not give its hash",
        ),
        (["UPDATE journal SET key = 'other' WHERE number = 2"], 2, "filed under another key"),
        (["UPDATE journal_posting SET points = 99 WHERE number = 2 AND line = 0"], 2, "postings differ"),
        (["UPDATE journal_posting SET account = 'x' WHERE number = 2 AND line = 1"], 2, "postings differ"),
        (["DELETE FROM journal_posting WHERE number = 2 AND line = 1"], 2, "postings differ"),
        (["DELETE FROM journal WHERE number = 2"], 2, "number 3 stands where 2 should"),
        (["DELETE FROM journal WHERE number = 1"], 1, "number 2 stands where 1 should"),
        (["INSERT INTO journal_posting VALUES (9, 0, 'driver/a', 1000)"], 9, "postings without an entry"),
        (["INSERT INTO journal VALUES (5, 'new', '{}', 'x')"], 5, "does not give its hash"),
        (
            [
                "UPDATE journal SET number = 99 WHERE number = 2",
                "UPDATE journal SET number = 2 WHERE number = 3",
                "UPDATE journal SET number = 3 WHERE number = 99",
            ],
            2,
            "does not follow",
        ),
    ],
    ids=lambda value: value[0][:60] if isinstance(value, list) else None,
)
def test_tampering_is_found_and_the_first_bad_entry_named(
    path: Path, journal: Journal, forgery: list[str], number: int, fault: str
) -> None:
    for key in ("e1", "e2", "e3", "e4"):
        journal.post(entry(key))
    tamper(path, *forgery)
    with pytest.raises(BrokenChainError, match=f"at entry {number}") as caught:
        journal.verify()
    assert fault in caught.value.where
    assert caught.value.exit_status is ExitStatus.UNHEALTHY


@pytest.mark.parametrize(
    ("old", "new", "number", "fault"),
    [
        ('"memo":""', '"memo":"x"', 3, "does not follow"),
        ('["driver/a",10]', '["driver/a",90]', 2, "is no entry"),
        ('"number":2', '"number":7', 2, "rewritten"),
        ('"memo":""', '"memo": ""', 2, "rewritten"),
        ('"memo":"",', "", 2, "is no entry"),
    ],
)
def test_a_forger_who_recomputes_the_hash_is_found_as_well(
    path: Path, journal: Journal, old: str, new: str, number: int, fault: str
) -> None:
    for key in ("e1", "e2", "e3"):
        journal.post(entry(key))
    rehash(path, 2, old, new)
    with pytest.raises(BrokenChainError, match=f"at entry {number}") as caught:
        journal.verify()
    assert fault in caught.value.where


def test_entries_cut_off_at_the_end_are_found_with_an_earlier_report(path: Path, journal: Journal) -> None:
    for key in ("e1", "e2", "e3"):
        journal.post(entry(key))
    report = journal.verify()
    journal.post(entry("e4"))
    assert journal.verify(since=report).entries == 4
    tamper(path, "DELETE FROM journal_posting WHERE number >= 3", "DELETE FROM journal WHERE number >= 3")
    assert journal.verify().entries == 2  # the chain alone cannot know
    with pytest.raises(BrokenChainError, match="at entry 3") as caught:
        journal.verify(since=report)
    assert "3 entries were reported before, 2 are left" in caught.value.where


def test_a_rewritten_end_is_found_with_an_earlier_report(path: Path, journal: Journal) -> None:
    for key in ("e1", "e2"):
        journal.post(entry(key))
    report = journal.verify()
    rehash(path, 2, '"memo":""', '"memo":"x"')
    assert journal.verify().entries == 2
    with pytest.raises(BrokenChainError, match="at entry 2"):
        journal.verify(since=report)
