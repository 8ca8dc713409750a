"""Documents, audit trail, journal rows, opening and closing: what every store keeps to."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from energy.core.errors import ConfigError, DataError
from energy.core.measurement import Quality
from energy.core.units import SeriesId
from energy.store import AppendReport, AuditFilter, Document, Erased, JournalRow, SqlStore, Store, open_store
from tests.contract.store_backends import ALL, LATER, LOAD, NOON, SHARED, database, point, row, slot


@pytest.fixture(params=ALL)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    with database(request.param, tmp_path) as url, open_store(url, durability="process") as opened:
        yield opened


@pytest.fixture(params=SHARED)
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as url:
        yield url


# Documents, audit trail, journal


def test_a_document_is_read_in_the_version_of_the_instant(store: Store) -> None:
    assert store.put_document("plan", "kitakata", known_at=slot(0), body='{"v":1}')
    assert store.put_document("plan", "kitakata", known_at=slot(1), body='{"v":2, "名":"喜多方"}')
    assert store.as_of(slot(-1)).document("plan", "kitakata") is None
    assert store.as_of(slot(0)).document("plan", "kitakata") == Document(
        "plan", "kitakata", slot(0), '{"v":1}'
    )
    newest = store.as_of(LATER).document("plan", "kitakata")
    assert newest is not None
    assert newest.body == '{"v":2, "名":"喜多方"}'


def test_a_document_version_is_never_changed(store: Store) -> None:
    assert store.put_document("plan", "a", known_at=NOON, body="one") is True
    assert store.put_document("plan", "a", known_at=NOON, body="one") is False
    with pytest.raises(DataError, match="another text") as caught:
        store.put_document("plan", "a", known_at=NOON, body="two")
    assert "later known_at" in caught.value.hint
    kept = store.as_of(LATER).document("plan", "a")
    assert kept is not None
    assert kept.body == "one"


def test_what_must_be_forgotten_is_gone_and_what_stands_beside_it_stays(store: Store) -> None:
    names = [SeriesId(name) for name in ("home-7/meter/import_kwh", "home-70/meter/import_kwh")]
    store.append(point(series=name) for name in names)
    for known_at in (0, 1):
        store.put_document("person", "p-7", known_at=slot(known_at), body=str(known_at))
    store.put_document("person", "p-70", known_at=slot(0), body="0")
    gone = store.erase(folders=["home-7/"], documents=[("person", "p-7")])
    assert gone == Erased(points=1, documents=2, series=(names[0],))
    assert store.as_of(LATER).ids() == [names[1]]
    assert [one.key for one in store.as_of(LATER).documents("person")] == ["p-70"]
    assert store.erase(folders=["home-7/"], documents=[("person", "p-7")]) == Erased(0, 0, ())
    store.append([point(series=names[0])])
    assert len(store.as_of(LATER).ids()) == 2
    with pytest.raises(DataError, match="whole folders"):
        store.erase(folders=["home-7"])


def test_the_journal_gives_the_entries_whose_key_begins_so(store: Store) -> None:
    for number, key in enumerate(["grant/e-1/a", "grant/e-1/b", "grant/e-10/a", "reverse/grant/e-1/a"], 1):
        store.journal.append(row(number, key, ("a", 1), ("b", -1)))
    assert [one.key for one in store.journal.rows(prefix="grant/e-1/")] == ["grant/e-1/a", "grant/e-1/b"]
    assert len(list(store.journal.rows())) == 4


def test_documents_of_a_kind_come_in_their_newest_versions(store: Store) -> None:
    for key, known_at in [("s_1/b", 0), ("s_1/a", 1), ("s_1/a", 2), ("s_1/a", 9), ("sX1/a", 0)]:
        store.put_document("plan", key, known_at=slot(known_at), body=str(known_at))
    store.put_document("forecast", "s_1/a", known_at=slot(0), body="f")
    found = store.as_of(slot(5)).documents("plan", prefix="s_1/")
    assert [(document.key, document.body) for document in found] == [("s_1/a", "2"), ("s_1/b", "0")]
    assert len(store.as_of(slot(5)).documents("plan")) == 3


def test_the_audit_trail_keeps_order_and_facts(store: Store) -> None:
    store.audit("hanako", "override", "ev-1", at=slot(1), facts={"until": slot(2), "yen": Decimal("12.50")})
    store.audit("system", "expire", "ev-2", at=slot(0), facts={"quality": Quality.STALE, "kw": -6.0})
    store.audit("system", "expire", "ev-1", at=slot(2), facts={})
    assert [(record.number, record.actor) for record in store.audit_trail()] == [
        (1, "hanako"),
        (2, "system"),
        (3, "system"),
    ]
    first, _ = store.audit_trail("ev-1")
    assert (first.at, first.facts) == (slot(1), {"until": slot(2).isoformat(), "yen": "12.50"})
    assert store.audit_trail("ev-2")[0].facts == {"quality": "stale", "kw": -6.0}


def test_journal_rows_are_found_by_key_by_account_and_in_order(store: Store) -> None:
    rows = [
        row(1, "first", ("issue", -5), ("driver/a", 5)),
        row(2, "second", ("issue", -7), ("driver/b", 7)),
        row(3, "third", ("driver/a", -5), ("issue", 5)),
    ]
    for each in rows:
        store.journal.append(each)
    assert list(store.journal.rows()) == rows
    assert list(store.journal.rows(account="driver/a")) == [rows[0], rows[2]]
    assert store.journal.find("second") == rows[1]
    assert store.journal.find("nothing") is None
    assert store.journal.head() == rows[2]
    assert store.journal.balances() == {"driver/a": 0, "driver/b": 7, "issue": -7}
    assert store.journal.balance("driver/b") == 7
    assert store.journal.balance("driver/c") == 0
    assert store.journal.strays() == []


def test_a_journal_longer_than_a_page_is_read_whole(store: Store) -> None:
    rows = [row(n, f"k{n}", (f"driver/{n % 2}", n), ("issue", -n)) for n in range(1, 1102)]
    with store.transaction():
        for each in rows:
            store.journal.append(each)
    assert list(store.journal.rows()) == rows
    assert list(store.journal.rows(account="driver/1")) == rows[::2]
    assert store.journal.balance("driver/1") == sum(range(1, 1102, 2))


@pytest.mark.parametrize(
    "again", [row(1, "other", ("a", 1)), row(2, "first", ("a", 1))], ids=["number", "key"]
)
def test_a_journal_number_and_a_journal_key_are_used_once(store: Store, again: JournalRow) -> None:
    store.journal.append(row(1, "first", ("a", 1), ("b", -1)))
    with pytest.raises(DataError):
        store.journal.append(again)
    assert store.journal.balances() == {"a": 1, "b": -1}


def test_the_audit_trail_is_read_in_pages_newest_first(store: Store) -> None:
    for number in range(6):
        act = "wish.made" if number % 2 else "wish_made"
        store.audit(f"somebody-{number % 3}", act, f"asset/a/{number}", at=slot(number), facts={})

    def numbers(limit: int = 10, before: int | None = None, **filters: object) -> list[int]:
        found = store.audit_page(AuditFilter(**filters), before=before, limit=limit)  # type: ignore[arg-type]
        return [one.number for one in found]

    assert numbers() == [6, 5, 4, 3, 2, 1]
    assert numbers(limit=2) == [6, 5]
    assert numbers(limit=2, before=5) == [4, 3]
    assert numbers(act="wish.") == [6, 4, 2]
    assert numbers(act="wish_") == [5, 3, 1]  # no sign of the text is a wildcard
    assert numbers(act="%") == []
    assert numbers(actor="somebody-1") == [5, 2]
    assert numbers(subject="asset/a/5") == [6]
    assert numbers(start=slot(1), end=slot(3)) == [3, 2]


@pytest.mark.parametrize("table", ["journal", "journal_posting", "audit"])
@pytest.mark.parametrize("change", ["UPDATE {} SET number = number + 10", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_money_and_evidence(
    shared_url: str, table: str, change: str
) -> None:
    with open_store(shared_url) as store:
        store.journal.append(row(1, "first", ("a", 1), ("b", -1)))
        store.audit("system", "start", "vpp", at=NOON, facts={})
    engine = create_engine(shared_url)
    with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
        connection.execute(text(change.format(table)))
    engine.dispose()


def test_the_journal_lock_keeps_a_second_writer_out_until_the_first_is_done(shared_url: str) -> None:
    order: list[str] = []
    with open_store(shared_url) as one, open_store(shared_url) as other:
        started = threading.Event()

        def second() -> None:
            started.set()
            with other.transaction():
                other.journal.lock()
                order.append(f"second sees {other.journal.head()}")

        thread = threading.Thread(target=second)
        with one.transaction():
            one.journal.lock()
            thread.start()
            started.wait()
            one.journal.append(row(1, "first", ("a", 1), ("b", -1)))
            order.append("first is done")
        thread.join()
    assert order == ["first is done", f"second sees {row(1, 'first', ('a', 1), ('b', -1))}"]


# Opening and closing


def test_what_is_written_is_there_after_closing_and_opening(shared_url: str) -> None:
    with open_store(shared_url) as store:
        store.append([point()])
    with open_store(shared_url) as store:
        assert store.as_of(LATER).ids() == [LOAD]
        assert store.append([point()]) == AppendReport(written=0, unchanged=1)


def test_a_store_opened_for_reading_reads_and_refuses_to_write(shared_url: str) -> None:
    with open_store(shared_url) as store:
        store.append([point()])
    with open_store(shared_url, read_only=True) as reader:
        assert reader.as_of(LATER).ids() == [LOAD]
        for write in (
            lambda: reader.append([point(slot(1))]),
            lambda: reader.put_document("plan", "a", known_at=NOON, body=""),
            lambda: reader.audit("a", "b", "c", at=NOON, facts={}),
        ):
            with pytest.raises(ConfigError, match="reading only"):
                write()
        with reader._connections.read() as connection, pytest.raises(DBAPIError, match=r"read.?only"):
            connection.execute(text("DELETE FROM document"))


def test_a_closed_store_says_so(store: SqlStore) -> None:
    store.append([point()])
    store.close()
    with pytest.raises(DataError, match="closed"):
        store.as_of(LATER).ids()
    with pytest.raises(DataError, match="closed"):
        store.append([point()])
