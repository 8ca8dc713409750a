"""The journal under any bookings and any tampering: it sums to zero, books once, and breaks on any byte."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from energy.core.errors import BrokenChainError
from energy.ledger import AlreadyPosted, Entry, Journal, Posted, Posting
from energy.store import open_store

NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
ACCOUNTS = ("operator/issue", "driver/hanako", "driver/taro", "company/fleet")


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Balanced entries with different keys, Japanese memos, and facts of every kind."""
    amount = st.integers(-(10**9), 10**9).filter(bool)
    facts = st.dictionaries(
        st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(max_size=8), max_size=3
    )
    made = []
    for number in range(draw(st.integers(1, 8))):
        moves = draw(st.lists(st.tuples(st.sampled_from(ACCOUNTS), amount), min_size=1, max_size=4))
        rest = -sum(points for _, points in moves)
        postings = [Posting(account, points) for account, points in moves]
        if rest:
            postings.append(Posting("operator/rest", rest))
        assume(len(postings) > 1)
        made.append(
            Entry(
                key=f"e{number}",
                at=NOON + timedelta(minutes=draw(st.integers(-(10**5), 10**5))),
                postings=tuple(postings),
                memo=draw(st.text(max_size=12)),
                facts=draw(facts),
            )
        )
    return made


@contextmanager
def journal_file() -> Iterator[tuple[Path, Journal]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.db"
        with open_store(f"sqlite:///{path}", durability="process") as store:
            yield path, Journal(store)


@given(booked=entries(), data=st.data())
@settings(max_examples=60)
def test_the_journal_sums_to_zero_and_its_statements_add_up(booked: list[Entry], data: st.DataObject) -> None:
    with open_store("sqlite://") as store:
        journal = Journal(store)
        for entry in booked:
            assert isinstance(journal.post(entry), Posted)
        for key in data.draw(st.sets(st.sampled_from([entry.key for entry in booked]))):
            journal.reverse(key, "why", NOON)
        balances = journal.balances()
        assert sum(balances.values()) == 0
        kept = [entry for entry in booked if not journal.reversed(entry.key)]
        for account, balance in balances.items():
            by_hand = sum(p.points for entry in kept for p in entry.postings if p.account == account)
            assert balance == by_hand == journal.balance(account)
            cut = NOON + timedelta(minutes=data.draw(st.integers(-(10**5), 10**5)))
            before, after = journal.statement(account, end=cut), journal.statement(account, start=cut)
            assert before.closing_points == after.opening_points
            assert after.closing_points == balance
        assert journal.verify().entries == len(booked) + len(booked) - len(kept)


@given(booked=entries(), data=st.data())
@settings(max_examples=60)
def test_posting_again_in_any_order_changes_nothing(booked: list[Entry], data: st.DataObject) -> None:
    with open_store("sqlite://") as store:
        journal = Journal(store)
        for entry in booked:
            journal.post(entry)
        report, balances = journal.verify(), journal.balances()
        for entry in data.draw(st.lists(st.sampled_from(booked), max_size=12)):
            assert isinstance(journal.post(entry), AlreadyPosted)
        assert journal.verify(since=report) == report
        assert journal.balances() == balances
        assert list(journal.entries()) == booked


@given(booked=entries(), data=st.data())
@settings(max_examples=80)
def test_the_chain_breaks_on_any_changed_byte(booked: list[Entry], data: st.DataObject) -> None:
    with journal_file() as (path, journal):
        for entry in booked:
            journal.post(entry)
        report = journal.verify()
        number = data.draw(st.integers(1, len(booked)), label="entry")
        column = data.draw(st.sampled_from(("key", "body", "digest")), label="column")
        with unprotected(path) as connection:
            query = f"SELECT CAST({column} AS BLOB) FROM journal WHERE number = ?"
            raw = bytearray(connection.execute(query, [number]).fetchone()[0])
            where = data.draw(st.integers(0, len(raw) - 1), label="byte")
            raw[where] ^= data.draw(st.integers(1, 255), label="change")
            assume(bytes(raw) not in {f"e{k}".encode() for k in range(8)})  # the key of another entry
            forgery = f"UPDATE journal SET {column} = CAST(? AS TEXT) WHERE number = ?"
            connection.execute(forgery, [bytes(raw), number])
        with pytest.raises(BrokenChainError) as caught:
            journal.verify(since=report)
        assert caught.value.details["number"] == number


@given(booked=entries(), data=st.data())
@settings(max_examples=60)
def test_the_chain_breaks_on_a_removed_entry_and_on_two_that_changed_places(
    booked: list[Entry], data: st.DataObject
) -> None:
    with journal_file() as (path, journal):
        for entry in booked:
            journal.post(entry)
        report = journal.verify()
        one, other = (data.draw(st.integers(1, len(booked))) for _ in range(2))
        with unprotected(path) as connection:
            if one == other:
                for table in ("journal_posting", "journal"):
                    connection.execute(f"DELETE FROM {table} WHERE number = ?", [one])
            else:
                for table in ("journal", "journal_posting"):
                    for old, new in ((one, 10**6), (other, one), (10**6, other)):
                        connection.execute(f"UPDATE {table} SET number = ? WHERE number = ?", [new, old])
        with pytest.raises(BrokenChainError) as caught:
            journal.verify(since=report)
        assert caught.value.details["number"] == min(one, other)


@contextmanager
def unprotected(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection to the journal without the triggers that guard it."""
    connection = sqlite3.connect(path)
    for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {trigger}")
    try:
        yield connection
        connection.commit()
    finally:
        connection.close()
