"""Reading many sites at once: what every store keeps to, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from energy.core.measurement import Quality
from energy.core.series import Grid, Unit
from energy.core.units import series_id
from energy.store import JobRow, JobRunRow, SqlStore, open_store
from tests.contract.store_backends import ALL, LATER, NOON, database, point, slot

ENDING = "/meter/import_kwh"
ONE, TWO, OTHER = (
    series_id("one", "meter", "import_kwh"),
    series_id("two", "meter", "import_kwh"),
    series_id("one", "submeter", "import_kwh"),
)


@pytest.fixture(params=ALL)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    with database(request.param, tmp_path) as url, open_store(url, durability="process") as opened:
        yield opened


def test_totals_are_sums_of_the_newest_known_values_of_all_sites(store: SqlStore) -> None:
    store.append(
        [
            replace(point(slot(0), 1.0), series=ONE),
            replace(point(slot(0), 5.0, known_at=slot(4)), series=ONE),
            replace(point(slot(0), 2.0), series=TWO),
            replace(point(slot(1), 3.0), series=TWO),
            replace(point(slot(0), 100.0), series=OTHER),
        ]
    )
    sums, counts = store.across(LATER).totals(ENDING, Grid(slot(0), 3))
    np.testing.assert_array_equal(sums, [7.0, 3.0, np.nan])
    assert counts.tolist() == [2, 1, 0]
    earlier, _ = store.across(slot(2)).totals(ENDING, Grid(slot(0), 3))
    assert earlier[0] == 3.0


def test_totals_leave_out_what_cannot_be_used(store: SqlStore) -> None:
    store.append(
        [
            replace(point(slot(0), 1.0), series=ONE),
            replace(point(slot(0), 9.0), series=TWO, quality=Quality.INVALID),
        ]
    )
    sums, counts = store.across(LATER).totals(ENDING, Grid(slot(0), 1))
    assert (sums[0], counts[0]) == (1.0, 1)


def test_the_latest_value_of_every_site_is_the_one_that_was_known(store: SqlStore) -> None:
    store.append(
        [
            replace(point(slot(0), 1.0), series=ONE),
            replace(point(slot(1), 2.0), series=ONE),
            replace(point(slot(1), 4.0, known_at=slot(4)), series=ONE),
            replace(point(slot(0), 3.0), series=TWO),
            replace(point(slot(5), 8.0), series=OTHER),
        ]
    )
    now = store.across(LATER).latest(ENDING)
    assert {str(name): (one.at, one.value) for name, one in now.items()} == {
        str(ONE): (slot(1), 4.0),
        str(TWO): (slot(0), 3.0),
    }
    assert store.across(slot(3)).latest(ENDING)[ONE].value == 2.0
    assert store.across(NOON.replace(year=2000)).latest(ENDING) == {}


def test_documents_are_found_by_many_keys_at_once(store: SqlStore) -> None:
    for number in range(900):
        store.put_document("kind", f"key-{number}", known_at=NOON, body="old")
    store.put_document("kind", "key-7", known_at=slot(3), body="new")
    wanted = [f"key-{number}" for number in range(1000)]
    found = store.across(LATER).documents("kind", wanted)
    assert len(found) == 900
    assert found["key-7"].body == "new"
    assert store.across(slot(2)).documents("kind", wanted)["key-7"].body == "old"
    assert store.across(LATER).documents("other", wanted) == {}


def test_the_values_of_all_sites_are_those_that_were_known_in_order(store: SqlStore) -> None:
    store.append(
        [
            replace(point(slot(1), 2.0), series=ONE),
            replace(point(slot(0), 1.0), series=ONE),
            replace(point(slot(0), 5.0, known_at=slot(4)), series=ONE),
            replace(point(slot(2), 9.0), series=ONE),
            replace(point(slot(1), None, quality=Quality.INVALID), series=TWO),
            replace(point(slot(0), 100.0), series=OTHER),
        ]
    )
    found = store.across(LATER).values(ENDING, slot(0), slot(2))
    assert {name: [one.value for one in values] for name, values in found.items()} == {
        ONE: [5.0, 2.0],
        TWO: [None],
    }
    assert found[ONE] == store.as_of(LATER).values(ONE, slot(0), slot(2))
    assert store.across(slot(3)).values(ENDING, slot(0), slot(1))[ONE][0].value == 1.0


def test_of_every_job_the_last_run_in_a_state_is_found_at_once(store: SqlStore) -> None:
    for name in ("plan", "bill", "idle"):
        about = JobRow(name=name, subject="s", about="{}", next_at=None, seen_at=NOON)
        store.rows.jobs.add(about)
    states = {"plan": ("failed", "done", "waiting"), "bill": ("done", "failed"), "idle": ("waiting",)}
    for name, told in states.items():
        for k, state in enumerate(told):
            run = JobRunRow(key=f"{k}/{name}", job=name, subject="s", due_at=slot(k), state=state)
            store.rows.runs.add(run)
    ended = store.across(LATER).last_runs({"done", "failed"})
    assert [(one.job, one.state, one.due_at) for one in ended] == [
        ("bill", "failed", slot(1)),
        ("plan", "done", slot(1)),
    ]
    every = store.across(LATER).last_runs({"done", "failed", "waiting"})
    assert [one.state for one in every] == ["failed", "waiting", "waiting"]
    assert store.across(LATER).last_runs(set()) == []


def test_series_with_an_ending_are_those_of_which_something_is_known(store: SqlStore) -> None:
    for name, at in ((TWO, slot(0)), (ONE, slot(4)), (OTHER, slot(0))):
        store.append([replace(point(at, 1.0), series=name)])
    assert store.across(slot(1)).ids(ENDING) == [TWO]
    assert store.across(LATER).ids(ENDING) == [ONE, TWO]
    assert store.across(LATER).ids("/nothing") == []


def test_a_table_holds_what_each_series_alone_would_say(store: SqlStore) -> None:
    store.append(
        [
            replace(point(slot(0), 1.0), series=ONE),
            replace(point(slot(2), 2.0), series=ONE),
            replace(point(slot(2), 9.0, known_at=slot(5), quality=Quality.STALE), series=ONE),
            replace(point(slot(1), 3.0), series=TWO),
            replace(point(slot(1), 4.0, known_at=slot(5)), series=TWO),
            replace(point(slot(1), 100.0), series=OTHER),
        ]
    )
    grid, nobody = Grid(slot(0), 3), series_id("nobody", "meter", "import_kwh")
    for instant in (slot(2), LATER):
        table = store.across(instant).table([TWO, nobody, ONE], grid)
        for row, name in zip(table, (TWO, nobody, ONE), strict=True):
            np.testing.assert_array_equal(row, store.as_of(instant).series(name, grid, Unit.KWH).values)
    store.append([replace(point(slot(0) + timedelta(minutes=7), 8.0), series=ONE)])
    assert np.nanmax(store.across(LATER).table([ONE], grid)) == 1.0  # between two starts: left out


def test_versions_count_whatever_was_added(store: SqlStore) -> None:
    grid, nobody = Grid(slot(0), 2, timedelta(hours=2)), series_id("nobody", "meter", "import_kwh")
    store.append([replace(point(slot(k), 1.0), series=ONE) for k in range(6)])
    assert store.across(LATER).versions([nobody, ONE], grid).tolist() == [[0, 0], [4, 2]]
    store.append([replace(point(slot(1), 2.0, known_at=slot(8)), series=ONE)])
    assert store.across(slot(7)).versions([ONE], grid).tolist() == [[4, 2]]
    assert store.across(slot(8)).versions([ONE], grid).tolist() == [[5, 2]]


def test_versions_between_ends_of_keys_are_found_for_many_beginnings(store: SqlStore) -> None:
    for site in (0, 7, 400):
        for day in ("01", "02", "03", "04"):
            store.put_document("kind", f"s-{site}/a/{day}", known_at=NOON, body="old")
    store.put_document("kind", "s-7/a/02", known_at=slot(3), body="new")
    store.put_document("other", "s-7/a/02", known_at=NOON, body="other")
    wanted = [f"s-{site}/a/" for site in range(401)]
    across = store.across(LATER)
    keys = across.keys("kind", wanted, "02", "04")
    assert (len(keys), keys) == (7, sorted(keys))
    assert [at for key, at in keys if key == "s-7/a/02"] == [NOON, slot(3)]
    assert [key for key, _ in store.across(NOON).keys("kind", wanted[7:8], "02", "04")] == [
        "s-7/a/02",
        "s-7/a/03",
    ]
    assert across.keys("kind", [], "02", "04") == across.keys("kind", wanted, "05", "06") == []
