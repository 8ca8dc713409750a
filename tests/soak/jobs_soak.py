"""Kill -9 at random moments while jobs run and values are written, again and again; then count what is left.

Two processes share one database. Each runs the same jobs and writes values of its own; a value counts as
acknowledged once its process has said so on its output, after the write returned. One of the two is killed
at a random moment (the seed is printed) and started again, until enough runs are done. Then it must hold:

* every acknowledged value is in the database;
* every run that is done had its effect exactly once, every other one not at all: effects are rows of the
  audit trail, which takes anything twice;
* no time at which a job was due is missing;
* the journal verifies, and every entry stands in exactly one batch;
* a process that was killed works again within ten seconds.

Usage: python -m tests.soak.jobs_soak RUNS [SEED]
"""

from __future__ import annotations

import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from energy.core.clock import SystemClock
from energy.core.series import Grid, Unit
from energy.core.units import series_id
from energy.ledger import BatchBook, Entry, Journal, Posting
from energy.ledger.caps import ISSUER
from energy.store import Point, SqlStore, open_store
from vpp.jobs.due import Every
from vpp.jobs.job import Job, Misfire, Outcome, Run
from vpp.jobs.supervisor import Limits, Supervisor

SECOND = timedelta(seconds=1)
SITES = 3
PAY_EVERY, BATCH_EVERY = 3 * SECOND, 6 * SECOND
LEASE_S = 1.5
SLOWEST_RESTART_S = 10.0
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
PER_WRITE = 20
ROOT = Path(__file__).resolve().parents[2]


# -- the process that is killed --------------------------------------------------------------------------


def jobs(rng: random.Random) -> tuple[Job, ...]:
    """Jobs that pay in two steps with a pause between them, and one that makes batches of what was paid."""

    def pay(run: Run) -> Outcome:
        time.sleep(rng.uniform(0.0, 0.4))

        def write() -> Outcome:
            run.store.audit(run.actor, "first half", run.key, at=run.clock.now(), facts={})
            time.sleep(rng.uniform(0.0, 0.3))
            postings = (Posting(ISSUER, -1), Posting(f"driver/{run.subject}", 1))
            facts = {"vehicle": "ev", "event": run.subject, "point_class": "local"}
            Journal(run.store).post(
                Entry(key=f"grant/{run.key}", at=run.due_at, postings=postings, memo="pay", facts=facts)
            )
            run.store.audit(run.actor, "second half", run.key, at=run.clock.now(), facts={})
            return Outcome("done")

        return run.once(write)

    def batch(run: Run) -> Outcome:
        def write() -> Outcome:
            made = BatchBook(run.store).make(at=run.clock.now(), actor=run.actor)
            run.store.audit(run.actor, "batch half", run.key, at=run.clock.now(), facts={})
            return Outcome("batch" if made else "batch_nothing")

        return run.once(write)

    late = {"misfire": Misfire.LATE, "look_back": timedelta(hours=1), "retries": (SECOND, SECOND, SECOND)}
    return (
        Job(
            name="pay",
            subjects=tuple(f"s{k}" for k in range(SITES)),
            due=Every(PAY_EVERY),
            function=pay,
            **late,  # type: ignore[arg-type]
        ),
        Job(name="batch", due=Every(BATCH_EVERY), function=batch, **late),  # type: ignore[arg-type]
    )


def work(address: str, slot: int, life: int, seed: int) -> None:
    """Run jobs and write values until killed."""
    store = open_store(address)
    supervisor = Supervisor(
        store,
        SystemClock(),
        jobs(random.Random(f"{seed}/{slot}/{life}")),
        limits=Limits(look_s=0.1, lease_s=LEASE_S),
    )
    supervisor.start()
    name, written = series(slot), 0
    said_ready = False
    while True:
        points = [
            Point(
                series=name, at=at(life, written + k), known_at=at(life, written + k), value=1.0, source="x"
            )
            for k in range(PER_WRITE)
        ]
        store.append(points)
        written += PER_WRITE
        print(f"ack {life} {written}", flush=True)
        if not said_ready and supervisor.looked_at is not None:
            said_ready = True
            print("ready", flush=True)
        time.sleep(0.01)


def series(slot: int) -> Any:
    """Where a process writes."""
    return series_id("soak", f"writer-{slot}", "import_kwh")


def at(life: int, number: int) -> datetime:
    """Instant of a value: lives do not overlap."""
    return FIRST + life * timedelta(days=7) + number * SECOND


# -- the one who kills -----------------------------------------------------------------------------------


@dataclass
class Report:
    """What was left after all."""

    seed: int
    kills: int = 0
    runs_done: int = 0
    runs_interrupted: int = 0
    runs_with_effect_twice: int = 0
    runs_done_without_effect: int = 0
    effects_of_runs_not_done: int = 0
    due_times_missing: int = 0
    values_acknowledged: int = 0
    values_lost: int = 0
    journal_entries: int = 0
    entries_not_in_one_batch: int = 0
    median_restart_s: float = 0.0
    slowest_restart_s: float = 0.0
    faults: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether everything that must hold does."""
        wrong = (
            self.runs_with_effect_twice,
            self.runs_done_without_effect,
            self.effects_of_runs_not_done,
            self.due_times_missing,
            self.values_lost,
            self.entries_not_in_one_batch,
        )
        return not any(wrong) and not self.faults


class Child:
    """A process that is started again and again."""

    def __init__(self, address: str, slot: int, seed: int) -> None:
        self.address, self.slot, self.seed, self.life = address, slot, seed, -1
        self.acknowledged: dict[int, int] = {}
        self.restarts: list[float] = []
        self.said: list[str] = []
        self.start()

    def start(self) -> None:
        """Begin a life."""
        self.life += 1
        self.began, self.ready = time.monotonic(), threading.Event()
        words = [self.address, str(self.slot), str(self.life), str(self.seed)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.soak.jobs_soak", "--work", *words],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.listeners = [
            threading.Thread(target=self.listen, args=(self.process, self.ready), daemon=True),
            threading.Thread(target=self.complain, args=(self.process,), daemon=True),
        ]
        for one in self.listeners:
            one.start()

    def listen(self, process: subprocess.Popen[str], ready: threading.Event) -> None:
        """Note what was acknowledged; a line that was cut off says nothing."""
        assert process.stdout is not None
        for line in process.stdout:
            if line == "ready\n":
                self.restarts.append(time.monotonic() - self.began)
                ready.set()
            elif line.startswith("ack ") and line.endswith("\n"):
                _, life, written = line.split()
                self.acknowledged[int(life)] = int(written)

    def complain(self, process: subprocess.Popen[str]) -> None:
        """Keep what it said of errors."""
        assert process.stderr is not None
        self.said += [line for line in process.stderr if "Error" in line or "Traceback" in line]

    def kill(self) -> None:
        """End a life without warning."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        for one in self.listeners:
            one.join()
        for pipe in (self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()


def soak(runs: int, seed: int, folder: Path) -> Report:
    """Kill and start again until so many runs are done, then count."""
    rng, report = random.Random(seed), Report(seed)
    address = f"sqlite:///{folder / 'soak.db'}"
    open_store(address).close()
    children = [Child(address, slot, seed) for slot in range(2)]
    try:
        with open_store(address, read_only=True) as store:
            while len(store.rows.runs.find(state="done")) < runs:
                child = rng.choice(children)
                if not child.ready.wait(60.0):
                    report.faults.append("a process did not get ready within a minute")
                    break
                time.sleep(rng.uniform(0.0, 1.0))
                child.kill()
                report.kills += 1
                child.start()
    finally:
        for child in children:
            child.kill()
    _finish(address, seed)
    count(address, children, report)
    return report


def _finish(address: str, seed: int) -> None:
    """One more life, in peace, for what was begun."""
    with open_store(address) as store:
        clock = SystemClock()
        ends = clock.now()
        supervisor = Supervisor(store, clock, jobs(random.Random(seed)), limits=Limits(lease_s=LEASE_S))
        while any(row.due_at <= ends for row in supervisor.book.open_runs()) or supervisor.running:
            supervisor.look()
            supervisor.beat()
            time.sleep(0.05)
        supervisor.stop()


def count(address: str, children: list[Child], report: Report) -> None:
    """Look at what is left, with eyes that know nothing of the supervisor."""
    with open_store(address, read_only=True) as store:
        rows = store.rows.runs.find()
        done = {row.key for row in rows if row.state == "done"}
        report.runs_done = len(done)
        report.runs_interrupted = sum(1 for row in rows if row.attempts > 1)
        effects = Counter((one.subject, one.act) for one in store.audit_trail() if one.act.endswith(" half"))
        halves = {"pay": ("first half", "second half"), "batch": ("batch half",)}
        for row in rows:
            counts = [effects.pop((row.key, act), 0) for act in halves[row.job]]
            if row.key in done:
                report.runs_with_effect_twice += max(counts) > 1
                report.runs_done_without_effect += min(counts) < 1
            else:
                report.effects_of_runs_not_done += max(counts)
        report.effects_of_runs_not_done += sum(effects.values())
        report.due_times_missing = _missing(rows)
        _values(store, children, report)
        report.journal_entries = Journal(store).verify().entries
        batched = Counter(line.entry for one in BatchBook(store).batches() for line in one.lines)
        newest = max(batched, default=0)  # what came after the last batch waits for the next one
        wrong = [n for n in range(1, newest + 1) if batched[n] != 1]
        report.entries_not_in_one_batch = len(wrong)
    restarts = [one for child in children for one in child.restarts] or [0.0]
    report.median_restart_s = round(statistics.median(restarts), 2)
    report.slowest_restart_s = round(max(restarts), 2)
    report.faults += [line.strip() for child in children for line in child.said]


def _missing(rows: list[Any]) -> int:
    """Times at which a job was due between its first and last row and that have no row."""
    missing = 0
    for job, subject in {(row.job, row.subject) for row in rows}:
        mine = sorted(row.due_at for row in rows if (row.job, row.subject) == (job, subject))
        rule = Every(PAY_EVERY if job == "pay" else BATCH_EVERY)
        missing += len(set(rule.between(mine[0], mine[-1])) - set(mine))
    return missing


def _values(store: SqlStore, children: list[Child], report: Report) -> None:
    known = store.as_of(FIRST + timedelta(days=40_000))
    for child in children:
        for life, written in child.acknowledged.items():
            grid = Grid(at(life, 0), written, SECOND)
            values = known.series(series(child.slot), grid, Unit.KWH).values
            report.values_acknowledged += written
            report.values_lost += int((values != 1.0).sum())


def main(words: list[str]) -> int:
    """Print the report as JSON; status 1 if something does not hold."""
    if words[:1] == ["--work"]:
        work(words[1], *(int(one) for one in words[2:]))
    runs, seed = int(words[0]), int(words[1]) if len(words) > 1 else 20261122
    with tempfile.TemporaryDirectory(prefix="jobs-soak-") as folder:
        report = soak(runs, seed, Path(folder))
    print(json.dumps({**asdict(report), "holds": report.holds}, indent=1))
    return 0 if report.holds and report.slowest_restart_s < SLOWEST_RESTART_S else 1


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    sys.exit(main(sys.argv[1:]))
