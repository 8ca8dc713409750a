"""The supervisor: looks what is due, starts it in order, keeps its claims, tries again, stops cleanly.

APScheduler gives the beat [1]_ and is imported here only; which run is due, and whose it is, stands in the
store (:mod:`vpp.jobs.book`), so that nothing is lost with the process. Runs are daemon threads, a limited
number at a time: one that hangs can neither block the others nor keep the process from ending.

References
----------
.. [1] https://apscheduler.readthedocs.io/en/3.x/modules/schedulers/background.html
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_hex
from threading import Event, RLock, Thread
from types import MappingProxyType
from typing import Any, Final

from apscheduler.schedulers.background import BackgroundScheduler

from energy.core.clock import Clock
from energy.core.errors import ConfigError, VppError
from energy.store import JobRunRow, Store
from vpp.jobs.book import LostRunError, RunBook
from vpp.jobs.job import WHOLE, Job, Lane, Misfire, Outcome, RunState, checked, ranks

__all__ = ["Limits", "Supervisor", "start_supervisor"]

log = logging.getLogger(__name__)

Spawn = Callable[[Callable[[], None], str], None]
_STRANGE_FOR: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How a supervisor works.

    Parameters
    ----------
    look_s : float
        Real time between two looks at what is due. [s]
    lease_s : float
        How long a claim holds when its process dies; it is renewed four times in that time. [s]
    lanes : mapping of Lane to int
        Most runs at the same time.
    """

    look_s: float = 1.0
    lease_s: float = 20.0
    lanes: Mapping[Lane, int] = field(
        default_factory=lambda: MappingProxyType({Lane.QUICK: 4, Lane.HEAVY: 1})
    )


@dataclass(slots=True)
class _Going:
    """A run that a thread of ours is doing; see :class:`vpp.jobs.job.Run`."""

    row: JobRunRow
    job: Job
    book: RunBook
    began: float
    stopping: Event = field(default_factory=Event)
    hangs: bool = False

    @property
    def key(self) -> str:
        return self.row.key

    @property
    def actor(self) -> str:
        return f"job {self.row.key}"

    @property
    def subject(self) -> str:
        return self.row.subject

    @property
    def due_at(self) -> datetime:
        return self.row.due_at

    @property
    def store(self) -> Store:
        return self.book.store

    @property
    def clock(self) -> Clock:
        return self.book.clock

    def once(self, write: Callable[[], Outcome]) -> Outcome:
        return self.book.once(self.row, write)


def _thread(work: Callable[[], None], name: str) -> None:
    Thread(target=work, name=name, daemon=True).start()


class Supervisor:
    """Runs jobs.

    Parameters
    ----------
    jobs : sequence of Job
        What this process can do.
    spawn : callable
        Starts a piece of work; a thread unless a test says otherwise.

    Raises
    ------
    ConfigError
        If two jobs have the same name, or jobs wait for each other in a ring.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        jobs: Sequence[Job],
        *,
        limits: Limits | None = None,
        spawn: Spawn = _thread,
    ) -> None:
        self.limits = limits or Limits()
        self._jobs = checked(jobs)
        self._ranks = ranks(self._jobs)
        self._clock = clock
        self._spawn = spawn
        owner = f"{socket.gethostname()}/{os.getpid()}/{token_hex(4)}"
        self.book = RunBook(store, clock, owner, timedelta(seconds=self.limits.lease_s))
        self._lock = RLock()
        self._going: dict[str, _Going] = {}
        self._ahead: dict[tuple[str, str], datetime | None] = {}
        self._blocked: dict[str, float] = {}
        self._looked: datetime | None = None
        self._stopped = False
        self._scheduler: Any = None  # Any: the vendor has no types

    # -- life ------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to look, in the background."""
        if self._scheduler is not None:
            raise ConfigError("the supervisor runs already", where="vpp.jobs", hint="start it once")
        self._scheduler = BackgroundScheduler(timezone=UTC, daemon=True)
        every = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        self._scheduler.add_job(self._safely, "interval", [self.look], seconds=self.limits.look_s, **every)
        self._scheduler.add_job(
            self._safely, "interval", [self.beat], seconds=self.limits.lease_s / 4, **every
        )
        self._scheduler.start()
        log.info("jobs.started jobs=%d owner=%s", len(self._jobs), self.book.owner)

    def stop(self, *, grace_s: float = 20.0) -> list[str]:
        """End: nothing new is started, what runs is asked to end, what does not is given back.

        Returns
        -------
        list of str
            Runs that did not end in time; another process, or the next start, does them again.
        """
        with self._lock:
            self._stopped = True
            for one in self._going.values():
                one.stopping.set()
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
        ends = time.monotonic() + grace_s
        while self._going and time.monotonic() < ends:
            time.sleep(0.02)
        with self._lock:
            left = [one for one in self._going.values() if not one.hangs]
        for one in left:
            try:
                self.book.release(one.row)
            except VppError as error:  # its lease ends by itself
                log.warning("jobs.not_released run=%s %s", one.key, error)
        log.info("jobs.stopped left=%d", len(left))
        return [one.key for one in left]

    @property
    def running(self) -> list[str]:
        """Runs that threads of this process are doing, those that hang among them."""
        with self._lock:
            return sorted(self._going)

    @property
    def looked_at(self) -> datetime | None:
        """When it last looked; None before the first time. UTC."""
        return self._looked

    def _safely(self, chore: Callable[[], object]) -> None:
        """A look that fails is done again at the next beat."""
        try:
            chore()
        except VppError as error:
            log.warning("jobs.look_failed %s", error)
        except Exception:
            log.exception("jobs.look_failed")

    # -- looking ---------------------------------------------------------------------------------------

    def look(self) -> int:
        """Enter what became due and start what may start; how many were started."""
        with self._lock:
            if self._stopped:
                return 0
            now = self._clock.now()
            if self._looked is not None and now < self._looked:
                log.warning("jobs.clock_went_back from=%s to=%s", self._looked, now)
                self._ahead.clear()  # what comes next is counted from the new time
            for job in self._jobs.values():
                for subject in job.subjects:
                    self._enter(job, subject, now)
            self._looked = now
            return self._start_all(now)

    def _enter(self, job: Job, subject: str, now: datetime) -> None:
        known = (job.name, subject) in self._ahead
        ahead = self._ahead.get((job.name, subject))
        if known and (ahead is None or now < ahead):
            return
        self._ahead[job.name, subject] = self.book.enter(job, subject, now)

    def _start_all(self, now: datetime) -> int:
        """Start what waits: what others need first, then what was due first."""
        rows = self.book.open_runs()
        waiting = [row for row in rows if self._waits(row, now)]
        started = 0
        for row in sorted(waiting, key=lambda one: (self._ranks.get(one.job, 0), one.key)):
            job = self._jobs.get(row.job)
            if job is None or (row.subject not in job.subjects):
                self._strange(row, now)
            elif job.misfire is Misfire.SKIP and now - row.due_at > job.useful_for and not row.asked_by:
                self.book.skip(row, Outcome("no_use", {"count": "1", "since": row.due_at.isoformat()}))
            elif self._may_start(job, row, rows, now):
                started += self._begin(job, row)
        return started

    def _waits(self, row: JobRunRow, now: datetime) -> bool:
        if row.key in self._going:
            return False
        if row.state == RunState.RUNNING.value:
            return self.book.is_lost(row, now)
        longest = max(self._jobs[row.job].retries, default=timedelta(0)) if row.job in self._jobs else None
        # A pause that is longer than any of ours was reckoned by a clock that has gone back since.
        return (
            row.retry_at is None
            or row.retry_at <= now
            or (longest is not None and row.retry_at > now + longest)
        )

    def _strange(self, row: JobRunRow, now: datetime) -> None:
        """A run of a job or subject that this process does not know: another one may; after a day nobody."""
        if now - row.due_at > _STRANGE_FOR:
            self.book.skip(row, Outcome("unknown_job", {"job": row.job}))

    def _may_start(self, job: Job, row: JobRunRow, rows: Sequence[JobRunRow], now: datetime) -> bool:
        here = [
            one for one in self._going.values() if one.job.name == job.name and one.subject == row.subject
        ]
        busy = sum(1 for one in self._going.values() if one.job.lane is job.lane and not one.hangs)
        if here or busy >= self.limits.lanes[job.lane]:
            return False
        for other in rows:
            if other.key == row.key:
                continue
            same = (other.job, other.subject) == (row.job, row.subject)
            if same and other.state == RunState.RUNNING.value and not self.book.is_lost(other, now):
                return False  # another process is at it
            if self._still_waits_for(job, row, other):
                return False
        return True

    def _still_waits_for(self, job: Job, row: JobRunRow, other: JobRunRow) -> bool:
        """Whether a run waits for another one, whenever that was due, and has not lost its patience."""
        needed = other.job in job.needs and other.job in self._jobs
        if not needed or not (WHOLE in {other.subject, row.subject} or other.subject == row.subject):
            return False
        since = self._blocked.setdefault(row.key, time.monotonic())
        if time.monotonic() - since <= job.patience.total_seconds():
            return True
        log.warning("jobs.waited_enough run=%s for=%s", row.key, other.key)
        return False

    def _begin(self, job: Job, row: JobRunRow) -> int:
        mine = self.book.claim(row)
        if mine is None:
            return 0
        going = _Going(mine, job, self.book, time.monotonic())
        self._going[mine.key] = going
        self._blocked.pop(mine.key, None)
        try:
            self._spawn(lambda: self._do(going), f"job {job.name}")
        except RuntimeError as error:  # no more threads: it waits for the next look
            log.warning("jobs.no_thread run=%s %s", mine.key, error)
            self._going.pop(mine.key, None)
            self.book.release(mine)
            return 0
        return 1

    # -- one run ---------------------------------------------------------------------------------------

    def _do(self, going: _Going) -> None:
        """One run, in a thread of its own; nothing that goes wrong in it reaches another."""
        try:
            outcome = going.job.function(going)
            self.book.finish(going.row, outcome)
            log.info("jobs.done run=%s said=%s", going.key, outcome.key)
        except LostRunError:
            log.warning("jobs.lost run=%s", going.key)
        except Exception as error:  # noqa: BLE001 - whatever a job raises is its outcome
            self._failed(going, error)
        finally:
            with self._lock:
                self._going.pop(going.key, None)

    def _failed(self, going: _Going, error: Exception) -> None:
        said = "; ".join(part for part in error.lines() if part) if isinstance(error, VppError) else ""
        said = said or f"{type(error).__name__}: {error}"
        pauses, tried = going.job.retries, going.row.attempts
        again = tried <= len(pauses) and not isinstance(error, ConfigError)  # a set-up does not mend itself
        retry_at = self._clock.now() + pauses[tried - 1] if again else None
        log.warning("jobs.failed run=%s attempt=%d again=%s %s", going.key, tried, retry_at, said)
        if not isinstance(error, VppError):
            log.error("jobs.bug run=%s", going.key, exc_info=error)
        try:
            self.book.fail(going.row, said, retry_at=retry_at)
        except VppError as fault:  # its lease ends, and it is done again
            log.warning("jobs.not_noted run=%s %s", going.key, fault)

    def beat(self) -> None:
        """Renew the claims of what runs; give up what takes too long."""
        with self._lock:
            going = [one for one in self._going.values() if not one.hangs]
        for one in going:
            took = time.monotonic() - one.began
            if took > one.job.longest.total_seconds():
                one.hangs = True
                one.stopping.set()
                limit = int(one.job.longest.total_seconds())
                log.error("jobs.hangs run=%s longest_s=%d", one.key, limit)
                self.book.fail(one.row, f"took longer than {limit} s; given up")
            elif not self.book.renew(one.row) and one.key in self._going:
                one.stopping.set()


def start_supervisor(
    store: Store, clock: Clock, jobs: Sequence[Job], *, limits: Limits | None = None
) -> Supervisor:
    """Run jobs in the background until :meth:`Supervisor.stop`.

    Parameters
    ----------
    jobs : sequence of Job
        :func:`vpp.jobs.standard.standard_jobs`, and whatever else a service does again and again.
    """
    supervisor = Supervisor(store, clock, jobs, limits=limits)
    supervisor.start()
    return supervisor
