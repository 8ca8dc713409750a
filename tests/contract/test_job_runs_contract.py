"""Runs of jobs on every database: of many that want the same run one does it, its effect is written once."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from energy.core.clock import ManualClock
from energy.store import JobRunRow, Store, open_store
from tests.contract.store_backends import NOON, SHARED, database, slot
from vpp.jobs.book import LostRunError, RunBook, run_key
from vpp.jobs.due import Every
from vpp.jobs.job import Job, Outcome, Run

LEASE = timedelta(seconds=10)
MANY = 12


@pytest.fixture(params=SHARED)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as url:
        yield url


def book(store: Store, clock: ManualClock, owner: str) -> RunBook:
    return RunBook(store, clock, owner, LEASE)


def waiting(store: Store, k: int) -> JobRunRow:
    row = JobRunRow(
        key=run_key("pay", f"s{k}", slot(0)), job="pay", subject=f"s{k}", due_at=slot(0), state="waiting"
    )
    store.rows.runs.add(row)
    return row


def pay(runs: RunBook, row: JobRunRow) -> None:
    """Claim a run and pay, if nobody else does."""
    mine = runs.claim(row)
    if mine is None:
        return

    def write() -> Outcome:
        runs.store.audit("job", "paid", mine.key, at=NOON, facts={})
        return Outcome("done")

    with contextlib.suppress(LostRunError):
        runs.once(mine, write)


def test_of_processes_that_want_the_same_runs_at_once_each_run_is_paid_by_one(address: str) -> None:
    clock = ManualClock(NOON)
    with open_store(address, durability="process") as one, open_store(address, durability="process") as two:
        rows = [waiting(one, k) for k in range(MANY)]
        books = [book(one, clock, "one"), book(two, clock, "two")]
        with ThreadPoolExecutor(6) as pool:
            for _ in pool.map(lambda n: pay(books[n % 2], rows[n // 2 % MANY]), range(4 * MANY)):
                pass
        paid = Counter(record.subject for record in one.audit_trail() if record.act == "paid")
        assert paid == {row.key: 1 for row in rows}
        assert {row.state for row in two.rows.runs.find()} == {"done"}


def test_a_run_that_was_taken_over_pays_once_however_the_two_meet(address: str) -> None:
    clock = ManualClock(NOON)
    with open_store(address, durability="process") as one, open_store(address, durability="process") as two:
        slow, quick = book(one, clock, "slow"), book(two, clock, "quick")
        claimed = [slow.claim(waiting(one, k)) for k in range(MANY)]
        clock.advance(LEASE)

        def go_on(k: int) -> None:
            mine = claimed[k]
            assert mine is not None

            def write() -> Outcome:
                one.audit("job", "paid", mine.key, at=NOON, facts={})
                return Outcome("done")

            with contextlib.suppress(LostRunError):
                slow.once(mine, write)

        def take_over(k: int) -> None:
            mine = claimed[k]
            assert mine is not None
            seen = two.rows.runs.one(key=mine.key)
            if seen is not None and seen.state == "running" and quick.is_lost(seen, clock.now()):
                pay(quick, seen)

        with ThreadPoolExecutor(6) as pool:
            for _ in pool.map(lambda n: (go_on if n % 2 else take_over)(n // 2), range(2 * MANY)):
                pass
        paid = Counter(record.subject for record in one.audit_trail() if record.act == "paid")
        assert set(paid.values()) == {1}
        assert len(paid) == MANY


def test_what_becomes_due_is_entered_once_by_two_that_look_at_the_same_time(address: str) -> None:
    def nothing(run: Run) -> Outcome:
        return Outcome("done")

    job = Job(name="pay", due=Every(timedelta(minutes=1)), function=nothing)
    clock = ManualClock(NOON)
    with open_store(address, durability="process") as one, open_store(address, durability="process") as two:
        books = [book(one, clock, "one"), book(two, clock, "two")]
        for _ in range(4):
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(lambda n: books[n % 2].enter(job, "", clock.now()), range(4)))
            for row in one.rows.runs.find(state="waiting"):
                pay(books[0], row)
            clock.advance(timedelta(minutes=1))
        due = [row.due_at for row in one.rows.runs.find(job="pay")]
        assert due == [NOON + k * timedelta(minutes=1) for k in range(4)]
