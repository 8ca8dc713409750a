"""Killed at any moment: every acknowledged batch is complete, and no batch is half there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energy.core.units import SeriesId
from energy.ledger import Journal
from energy.store import SqlStore, open_store
from tests.contract.store_backends import database

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 1, 1, tzinfo=UTC)
END = START + timedelta(days=3650)
POINTS = 40
SEED = 20261123

# Writes batches for ever, each with points of many series, a document and an entry; says the number of each
# one when it is done.
WRITER = f"""
import sys
from datetime import UTC, datetime, timedelta
from energy.ledger import Entry, Journal, Posting
from energy.store import Point, open_store

START = datetime(2026, 1, 1, tzinfo=UTC)
store = open_store(sys.argv[1], durability=sys.argv[2])
journal = Journal(store)
for batch in range(int(sys.argv[3]), 10**6):
    at = START + timedelta(minutes=30 * batch)
    with store.transaction():
        store.append(
            Point(series=f"a/b{{k}}/x_kw", at=at, known_at=at, value=float(batch), source="writer")
            for k in range({POINTS})
        )
        store.put_document("batch", str(batch), known_at=at, body="x" * 3000)
        journal.post(Entry(key=f"batch/{{batch}}", at=at, postings=(Posting("a", 1), Posting("b", -1))))
    print(batch, flush=True)
"""


def complete_batches(store: SqlStore) -> int:
    """Number of batches 0..n-1 in the store, after checking that each is whole and nothing else is there."""
    snapshot = store.as_of(END)
    documents = {int(document.key) for document in snapshot.documents("batch")}
    count = len(documents)
    assert documents == set(range(count))
    for k in range(POINTS):
        values = snapshot.values(SeriesId(f"a/b{k}/x_kw"), START, END)
        assert [value.value for value in values] == [float(batch) for batch in range(count)]
    journal = Journal(store)
    assert journal.verify().entries == count
    assert journal.balances() == ({"a": count, "b": -count} if count else {})
    return count


@pytest.mark.parametrize("durability", ["full", "process"])
@pytest.mark.parametrize("kind", ["sqlite-file", pytest.param("postgresql", marks=pytest.mark.postgres)])
def test_a_killed_writer_leaves_every_acknowledged_batch_whole_and_no_half_one(
    kind: str, durability: str, tmp_path: Path
) -> None:
    moments = random.Random(SEED)
    print(f"seed {SEED}")
    with database(kind, tmp_path) as url:
        open_store(url).close()
        done = 0
        for _ in range(6):
            acknowledged = kill_while_writing(url, durability, done, moments)
            with open_store(url) as store, store.transaction():
                store.journal.lock()  # a PostgreSQL server may still be finishing the dead writer's commit
                found = complete_batches(store)
            assert found >= acknowledged
            assert found <= acknowledged + 1  # at most the one that was finished but not yet said
            assert acknowledged > done
            done = found


def kill_while_writing(url: str, durability: str, first: int, moments: random.Random) -> int:
    """Start a writer at a batch, kill it a while after some batches; how many it acknowledged in all."""
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, durability, str(first)], stdout=subprocess.PIPE, cwd=ROOT
    )
    assert writer.stdout is not None
    said = [int(writer.stdout.readline()) for _ in range(moments.randint(1, 15))]
    time.sleep(moments.uniform(0.0, 0.012))  # somewhere inside one of the next transactions
    writer.send_signal(signal.SIGKILL)
    rest, _ = writer.communicate()
    # A line that was cut in the pipe was not acknowledged.
    said += [int(line) for line in rest.decode().splitlines(keepends=True) if line.endswith("\n")]
    assert said == list(range(first, first + len(said)))
    return first + len(said)
