"""Several processes write into one database at once: nothing is lost, nothing is doubled, the chain holds."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from energy.core.series import Grid, Unit
from energy.core.units import SeriesId, series_id
from energy.ledger import Entry, Journal, Posted, Posting
from energy.store import open_store
from tests.contract.store_backends import NOON, SHARED, database, point, slot

WRITERS = 4
ENTRIES = 12  # of each writer, beside those that all of them post
COMMON = 6
SLOTS = 40
SHARED_SERIES = series_id("region", "meter", "import_kwh")


@dataclass(frozen=True)
class Wrote:
    """What one process did."""

    posted: int
    added: int


def own(writer: int) -> SeriesId:
    return series_id(f"site-{writer}", "meter", "import_kwh")


def entry(key: str, account: str) -> Entry:
    return Entry(key=key, at=NOON, postings=(Posting("operator/issue", -3), Posting(account, 3)))


def write(url: str, writer: int) -> Wrote:
    """Readings of one's own, readings that everybody brings, entries of one's own and of everybody."""
    posted = added = 0
    with open_store(url, durability="process") as store:
        journal = Journal(store)
        for k in range(max(ENTRIES, COMMON)):
            if k < ENTRIES:
                told = journal.post(entry(f"e-{writer}-{k}", f"person/{writer}"))
                posted += isinstance(told, Posted)
            if k < COMMON:
                told = journal.post(entry(f"common-{k}", "person/all"))
                posted += isinstance(told, Posted)
            mine = [point(slot(t), float(writer), series=own(writer)) for t in range(k, SLOTS, ENTRIES)]
            theirs = [point(slot(t), 7.5, series=SHARED_SERIES) for t in range(k, SLOTS, ENTRIES)]
            added += store.append([*mine, *theirs]).written
            store.audit(f"writer-{writer}", "wrote", f"part/{k}", at=NOON + timedelta(seconds=k), facts={})
    return Wrote(posted, added)


@pytest.fixture(params=SHARED)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as address:
        with open_store(address, durability="process"):
            pass  # the tables are made once, before anybody writes
        yield address


def test_processes_that_write_at_once_lose_nothing_and_keep_the_chain(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WRITERS, context) as pool:
        wrote = list(pool.map(write, [url] * WRITERS, range(WRITERS)))
    with open_store(url, read_only=True) as store:
        journal = Journal(store)
        report = journal.verify()
        assert report.entries == WRITERS * ENTRIES + COMMON == sum(one.posted for one in wrote)
        balances = journal.balances()
        assert balances == {
            "operator/issue": -3 * report.entries,
            "person/all": 3 * COMMON,
            **{f"person/{writer}": 3 * ENTRIES for writer in range(WRITERS)},
        }
        known, grid = store.as_of(NOON + timedelta(days=2)), Grid(NOON, SLOTS)
        for writer in range(WRITERS):
            assert known.series(own(writer), grid, Unit.KWH).values.tolist() == [float(writer)] * SLOTS
        assert known.series(SHARED_SERIES, grid, Unit.KWH).values.tolist() == [7.5] * SLOTS
        assert sum(one.added for one in wrote) == (WRITERS + 1) * SLOTS
        trail = [one for k in range(ENTRIES) for one in store.audit_trail(f"part/{k}")]
        assert len(trail) == WRITERS * ENTRIES


def test_writers_that_begin_on_an_empty_database_make_its_tables_once(tmp_path: Path) -> None:
    with database("sqlite-file", tmp_path) as address:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(2, context) as pool:
            wrote = list(pool.map(write, [address] * 2, range(2)))
        assert sum(one.posted for one in wrote) == 2 * ENTRIES + COMMON
