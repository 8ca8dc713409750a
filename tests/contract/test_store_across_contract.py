"""Reading many sites at once: what every store keeps to, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from energy.core.measurement import Quality
from energy.core.series import Grid
from energy.core.units import series_id
from energy.store import SqlStore, open_store
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
