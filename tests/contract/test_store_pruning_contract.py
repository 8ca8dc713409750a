"""What a rule of retention may take out, and what the database keeps whatever is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from energy.core.errors import DataError
from energy.core.units import series_id
from energy.store import AlertRow, SqlStore, open_store
from tests.contract.store_backends import ALL, NOON, SHARED, database, point, slot

POWER = series_id("kitakata", "meter", "power_kw")
OTHER = series_id("kitakata", "meter", "xpower_kw")


@pytest.fixture(params=ALL)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    with database(request.param, tmp_path) as url, open_store(url, durability="process") as opened:
        yield opened


def test_old_values_of_the_named_series_go_in_batches_and_nothing_else(store: SqlStore) -> None:
    for name in (POWER, OTHER, series_id("kitakata", "leaf", "power_kw"), point().series):
        store.append(point(slot(k), float(k), series=name) for k in range(10))
    old = store.pruning.points(["/power_kw"], slot(6))
    assert (old.count, old.first, old.last) == (12, slot(0), slot(5))
    batches = [store.pruning.take_points(["/power_kw"], slot(6), limit=5) for _ in range(4)]
    assert sum(batches) == 12
    assert max(batches) <= 5
    assert batches[-1] == 0
    known = store.as_of(slot(100))
    assert known.span(POWER) == (slot(6), slot(9))
    assert known.span(OTHER) == known.span(point().series) == (slot(0), slot(9))


def test_all_versions_of_an_instant_go_together(store: SqlStore) -> None:
    for later in range(4):
        store.append([point(slot(0), float(later), series=POWER, known_at=slot(later))])
    assert store.pruning.take_points(["/power_kw"], slot(1), limit=2) == 4
    assert store.as_of(slot(9)).latest(POWER) is None


def test_endings_that_would_reach_everything_are_refused(store: SqlStore) -> None:
    for endings in ([], [""], ["/"], ["kw"]):
        with pytest.raises(DataError, match="slash"):
            store.pruning.points(endings, NOON)


def test_old_documents_of_one_kind_go(store: SqlStore) -> None:
    for k in range(6):
        store.put_document("slot", f"kitakata/{k}", known_at=slot(k), body="{}")
        store.put_document("settlement", f"kitakata/{k}", known_at=slot(k), body="{}")
    assert store.pruning.documents("slot", slot(4)).count == 4
    assert [store.pruning.take_documents("slot", slot(4), limit=3) for _ in range(3)] == [3, 1, 0]
    known = store.as_of(slot(9))
    assert [one.key for one in known.documents("slot")] == ["kitakata/4", "kitakata/5"]
    assert len(known.documents("settlement")) == 6


def test_records_go_by_a_cut_that_says_which(store: SqlStore) -> None:
    for k in range(6):
        store.audit("hana", "personal.seen", "asset/kitakata/leaf", at=slot(k), facts={})
        store.audit("hana", "consent.withdrawn", "consent/1", at=slot(k), facts={})
    took = [
        store.pruning.cut_records("personal.seen", slot(4), at=slot(9), actor="retention", limit=3)
        for _ in range(3)
    ]
    assert took == [3, 1, 0]
    assert [one.act for one in store.audit_trail()].count("personal.seen") == 2
    assert [one.act for one in store.audit_trail()].count("consent.withdrawn") == 6
    first, second = store.pruning.cuts()
    assert (first.records, first.first, first.last, second.records) == (3, 1, 5, 1)
    assert first.digest != second.digest


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit",
        "DELETE FROM audit WHERE act = 'personal.seen'",
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit_cut",
        "UPDATE audit_cut SET records = 0",
    ],
)
def test_the_database_deletes_no_record_that_no_cut_names(kind: str, statement: str, tmp_path: Path) -> None:
    with database(kind, tmp_path) as url:
        with open_store(url) as store:
            for k in range(4):
                store.audit("hana", "personal.seen", "asset/kitakata/leaf", at=slot(k), facts={})
            store.pruning.cut_records("personal.seen", slot(2), at=slot(9), actor="retention", limit=9)
        engine = create_engine(url)
        with pytest.raises(DBAPIError, match="append-only"), engine.begin() as connection:
            connection.execute(text(statement))
        engine.dispose()
        with open_store(url) as store:
            assert (len(store.audit_trail()), len(store.pruning.cuts())) == (2, 1)


def test_one_alert_for_each_kind_and_subject(store: SqlStore) -> None:
    row = AlertRow(kind="data_stale", subject="kitakata", state="open", level="alarm", facts="{}", since=NOON)
    assert store.rows.alerts.add(row)
    assert not store.rows.alerts.add(row)
    seen = {"kind": "data_stale", "subject": "kitakata", "seen_at": None}
    assert [store.rows.alerts.change(seen, seen_at=slot(1), seen_by=who) for who in ("a", "b")] == [1, 0]
    assert [one.seen_by for one in store.rows.alerts.find(state="open")] == ["a"]
