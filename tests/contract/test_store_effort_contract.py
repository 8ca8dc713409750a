"""How much a store asks its database for a thing: statements are counted and explained, never timed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from energy.core.measurement import Quality
from energy.core.series import Grid
from energy.core.units import series_id
from energy.store import AppendReport, Piece, SqlStore, open_store
from energy.store.beginnings import after
from tests.contract.statements import asked
from tests.contract.store_backends import ALL, LATER, LOAD, NOON, SHARED, database, point, slot

ODD = (
    "plan",
    "plan/",
    "plan/a",
    "plan/_",
    "plan/A",
    "plan/é",
    "plan/計画",
    "plan/\U0010ffff",
    "plan0",
    "Plan/a",
)


@pytest.fixture(params=ALL)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    with database(request.param, tmp_path) as url, open_store(url, durability="process") as opened:
        yield opened


def test_a_thousand_values_are_written_with_as_many_statements_as_one(store: SqlStore) -> None:
    store.append([point(slot(-1))])  # series and source have their numbers
    counts = []
    for points in ([point(slot(0))], [point(slot(k)) for k in range(1, 1001)]):
        with asked() as said:
            assert store.append(points) == AppendReport(len(points), 0)
        counts.append(len(said))
    assert counts == [1, 1]


def test_values_that_stood_there_in_part_are_counted_rightly(store: SqlStore) -> None:
    store.append([point(slot(k), float(k)) for k in range(0, 100, 3)])
    report = store.append([point(slot(k), float(k)) for k in range(100)])
    assert report == AppendReport(100 - 34, 34)
    found = store.as_of(LATER + 60 * (LATER - NOON)).values(point().series, slot(0), slot(100))
    assert [one.value for one in found] == [float(k) for k in range(100)]


def test_more_values_than_a_statement_takes_arrive_once_and_in_full(store: SqlStore) -> None:
    points = [replace(point(slot(k), None if k % 7 == 0 else k / 3)) for k in range(20_003)]
    assert store.append(points) == AppendReport(20_003, 0)
    assert store.append(points[-3:]) == AppendReport(0, 3)
    found = store.as_of(slot(30_000)).values(point().series, slot(0), slot(20_003))
    assert [one.value for one in found] == [one.value for one in points]


def test_pieces_say_what_the_values_that_were_known_and_usable_say_together(store: SqlStore) -> None:
    minutes = [slot(0) + timedelta(minutes=k) for k in range(0, 200, 7)]
    store.append([point(at, float(k)) for k, at in enumerate(minutes)])
    store.append(
        [
            point(minutes[3], 99.0, known_at=LATER),
            point(minutes[4], -5.0, quality=Quality.STALE, known_at=LATER),
        ]
    )
    store.append([point(minutes[5], None, known_at=LATER)])
    grid = Grid(slot(-1), 9)
    for known_until in (slot(20), LATER):
        known = store.as_of(known_until)
        values = known.values(LOAD, grid.start, grid.end)
        wanted = []
        for start in grid.times():
            own = [
                one.value
                for one in values
                if start <= one.at < start + grid.step
                and one.quality is Quality.GOOD
                and one.value is not None
            ]
            if own:
                wanted.append(Piece(start, min(own), pytest.approx(sum(own) / len(own)), max(own), len(own)))
        with asked() as said:
            assert known.pieces(LOAD, grid) == wanted
        assert len(said) == 1


@pytest.mark.parametrize("prefix", [*ODD, "", "p", "plan/\U0010ffff\U0010ffff", "z"])
def test_documents_of_a_beginning_are_those_that_begin_so(store: SqlStore, prefix: str) -> None:
    for key in ODD:
        store.put_document("kind", key, known_at=NOON, body=key)
        store.put_document("other", key, known_at=NOON, body=key)
    found = [one.key for one in store.as_of(LATER).documents("kind", prefix=prefix)]
    assert found == sorted(key for key in ODD if key.startswith(prefix))


def test_series_of_a_beginning_are_those_that_begin_so(store: SqlStore) -> None:
    names = [series_id(site, "meter", "import_kwh") for site in ("home-1", "home-10", "home-2", "home_1")]
    store.append([replace(point(), series=name) for name in names])
    assert store.as_of(LATER).ids("home-1/") == names[:1]
    assert store.as_of(LATER).ids("home-1") == names[:2]


def explained(url: str, kind: str, said: list[tuple[str, Any]]) -> list[str]:  # Any: as the driver gets them
    """How the database goes about the one statement that was asked, line by line."""
    ((statement, parameters),) = said
    engine = create_engine(url)
    with engine.connect() as connection:
        if kind == "postgresql":
            connection.execute(text("SET enable_seqscan = off"))  # on an empty table it always wins
            connection.execute(text("SET enable_bitmapscan = off"))
        explain = "EXPLAIN QUERY PLAN " if kind == "sqlite-file" else "EXPLAIN "
        plan = [str(row) for row in connection.exec_driver_sql(explain + statement, parameters)]
    engine.dispose()
    return plan


@pytest.mark.parametrize("kind", SHARED)
def test_a_beginning_is_looked_up_in_the_index_and_not_by_reading_a_kind(kind: str, tmp_path: Path) -> None:
    with database(kind, tmp_path) as url, open_store(url, durability="process") as store:
        with asked() as said:
            assert store.as_of(LATER).documents("kind", prefix="2026-11-23/") == []
        plan = "\n".join(explained(url, kind, said))
    if kind == "sqlite-file":
        assert "kind=? AND key>? AND key<?" in plan, plan
    else:
        (found,) = [line for line in plan.splitlines() if "key >= " in line]
        assert all(part in found for part in ("Index Cond", "key < ")), plan


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("bounded", [False, True])
def test_the_last_value_is_found_at_the_end_of_a_series_that_is_not_read(
    kind: str, tmp_path: Path, *, bounded: bool
) -> None:
    """PostgreSQL once read and sorted a series to find its end: 375 ms for 400 days of minutes, not 0.6."""
    with database(kind, tmp_path) as url, open_store(url, durability="process") as store:
        known = store.as_of(LATER)
        for ask in (lambda: known.latest(LOAD, before=NOON if bounded else None), lambda: known.span(LOAD)):
            with asked() as said:
                ask()
            plan = "\n".join(explained(url, kind, said))
            assert "Sort" not in plan, plan
            assert "TEMP B-TREE" not in plan, plan
            assert "SCAN point" not in plan, plan


@pytest.mark.parametrize("kind", SHARED)
def test_a_sum_over_sites_reads_the_stretch_of_each_series_and_not_all_points(
    kind: str, tmp_path: Path
) -> None:
    with database(kind, tmp_path) as url, open_store(url, durability="process") as store:
        with asked() as said:
            store.across(LATER).totals("/load/demand_kw", Grid(NOON, 48))
        plan = "\n".join(explained(url, kind, said))
    found = {"sqlite-file": "SEARCH point USING PRIMARY KEY (series_id=? AND at>? AND at<?)"}
    assert found.get(kind, "Index Scan using pk_point on point") in plan, plan
    assert "SCAN point" not in plan, plan


@pytest.mark.parametrize("kind", SHARED)
def test_stretches_of_many_beginnings_are_each_looked_up_and_no_kind_is_read(
    kind: str, tmp_path: Path
) -> None:
    """SQLite once began at the texts and asked each of them about all stretches: minutes, not 0.3 s."""
    beginnings = [f"site-{number}/load/day-ahead/" for number in range(400)]
    with database(kind, tmp_path) as url, open_store(url, durability="process") as store:
        with asked() as said:
            assert store.across(LATER).keys("kind", beginnings, "2026-10-01", "2026-10-31") == []
        plan = "\n".join(explained(url, kind, said))
    if kind == "sqlite-file":
        assert "COVERING INDEX sqlite_autoindex_document_1 (kind=? AND key>? AND key<?)" in plan, plan
    else:
        assert "Index Only Scan using pk_document" in plan, plan


@pytest.mark.parametrize("kind", SHARED)
def test_versions_are_counted_in_the_stretch_of_each_series(kind: str, tmp_path: Path) -> None:
    with database(kind, tmp_path) as url, open_store(url, durability="process") as store:
        with asked() as said:
            store.across(LATER).versions([LOAD], Grid(NOON, 37, timedelta(days=1)))
        plan = "\n".join(explained(url, kind, said))
    if kind == "sqlite-file":
        assert "SEARCH point USING PRIMARY KEY (series_id=? AND at>? AND at<?)" in plan, plan
    else:
        assert any("Index Cond" in line and "at >= " in line for line in plan.splitlines()), plan


@given(prefix=st.text(min_size=1, max_size=4), rest=st.text(max_size=4), other=st.text(max_size=6))
def test_what_comes_behind_a_beginning_is_above_all_that_begin_so_and_below_nothing_else(
    prefix: str, rest: str, other: str
) -> None:
    end = after(prefix)
    if end is None:
        assert set(prefix) == {"\U0010ffff"}
        return
    assert prefix <= prefix + rest < end
    assert (prefix <= other < end) == other.startswith(prefix)
