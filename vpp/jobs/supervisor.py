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
from collections import deque
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
from vpp.jobs.job import Job, Lane, Misfire, NotYetError, Outcome, RunState, checked, ranks
from vpp.jobs.opened import OpenRuns

__all__ = ["Limits", "Supervisor", "start_supervisor"]

log = logging.getLogger(__name__)

Spawn = Callable[[Callable[[], None], str], None]
_STRANGE_FOR: Final = timedelta(days=1)
_AT_ONCE: Final = 100  # subjects entered in one transaction: others want to write, too


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
        self._subjects = {name: frozenset(job.subjects) for name, job in self._jobs.items()}
        self._looking = RLock()
        self._lock = RLock()  # of what follows; never held while the store is asked
        self._ready: dict[Lane, deque[JobRunRow]] = {lane: deque() for lane in Lane}
        self._reserved: dict[tuple[str, str], Lane] = {}
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
        # A look that takes longer than a beat leaves the next one out: that is meant, and no warning.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler = BackgroundScheduler(timezone=UTC, daemon=True)
        every = {"max_instances": 1, "coalesce": True, "misfire_grace_time": None}
        self._scheduler.add_job(self._safely, "interval", [self.look], seconds=self.limits.look_s, **every)
        self._scheduler.add_job(
            self._safely, "interval", [self.beat], seconds=self.limits.lease_s / 4, **every
        )
        self._scheduler.start()
        log.info("jobs.started jobs=%d owner=%s", len(self._jobs), self.book.owner)

    def replace(self, jobs: Sequence[Job]) -> None:
        """Do other jobs, or the same for other sites, from now on; what goes on is finished.

        What waits of a site that is gone is left out with a note, and the board forgets its jobs; their
        history stays.

        Raises
        ------
        ConfigError
            As at the start; then nothing is changed.
        """
        wanted = checked(jobs)
        with self._looking:
            before = {(name, one) for name, ones in self._subjects.items() for one in ones}
            with self._lock:
                self._jobs, self._ranks = wanted, ranks(wanted)
                self._subjects = {name: frozenset(job.subjects) for name, job in wanted.items()}
                self._ready = {lane: deque() for lane in Lane}
            gone = before - {(name, one) for name, ones in self._subjects.items() for one in ones}
            for job, subject in sorted(gone):
                self._ahead.pop((job, subject), None)
                self.book.retire(job, subject)
        log.info("jobs.replaced jobs=%d gone=%d", len(wanted), len(gone))

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
        if self._looking.acquire(timeout=grace_s):  # a look that goes on may be about to start something
            self._looking.release()
        while (left := self._that_work()) and time.monotonic() < ends:
            time.sleep(0.02)
        for one in left:
            self._give_back(one)
        log.info("jobs.stopped left=%d", len(left))
        return [one.key for one in left]

    def _give_back(self, going: _Going) -> None:
        try:
            self.book.release(going.row)
        except VppError as error:  # its lease ends by itself
            log.info("jobs.not_released run=%s %s", going.key, error)

    def _that_work(self) -> list[_Going]:
        """What goes on and was not given up."""
        with self._lock:
            return [one for one in self._going.values() if not one.hangs]

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
        with self._looking:
            if self._stopped:
                return 0
            now = self._clock.now()
            if self._looked is not None and now < self._looked:
                log.warning("jobs.clock_went_back from=%s to=%s", self._looked, now)
                self._ahead.clear()  # what comes next is counted from the new time
            for job in self._jobs.values():
                self._enter(job, now)
            self._looked = now
            return self._start_all(now)

    def _enter(self, job: Job, now: datetime) -> None:
        """Enter what became due of a job, some subjects at a time: one write to the disk, and a short one."""
        due = [subject for subject in job.subjects if self._is_due(job.name, subject, now)]
        for k in range(0, len(due), _AT_ONCE):
            with self.book.store.transaction():
                ahead = {one: self.book.enter(job, one, now) for one in due[k : k + _AT_ONCE]}
            self._ahead.update({(job.name, subject): instant for subject, instant in ahead.items()})

    def _is_due(self, name: str, subject: str, now: datetime) -> bool:
        if (name, subject) not in self._ahead:
            return True
        ahead = self._ahead[name, subject]
        return ahead is not None and ahead <= now

    def _start_all(self, now: datetime) -> int:
        """Start what waits: what others need first, then what was due first.

        What finds no place stands ready: a thread that has done its run takes the next one of its lane.
        """
        rows = self.book.open_runs()
        opened = OpenRuns(rows, self._jobs)
        ready: dict[Lane, deque[JobRunRow]] = {lane: deque() for lane in Lane}
        started = 0
        waiting = [row for row in rows if self._waits(row, now)]
        for row in sorted(waiting, key=lambda one: (self._ranks.get(one.job, 0), one.key)):
            job = self._jobs.get(row.job)
            if job is None or row.subject not in self._subjects[row.job]:
                self._strange(row, now)
            elif job.misfire is Misfire.SKIP and now - row.due_at > job.useful_for and not row.asked_by:
                self.book.skip(row, Outcome("no_use", {"count": "1", "since": row.due_at.isoformat()}))
            elif self._may_start(job, row, opened, now):
                going = self._claim(job, row)
                if going is None:
                    ready[job.lane].append(row)
                else:
                    started += self._begin(going)
        with self._lock:
            self._ready = ready
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

    def _may_start(self, job: Job, row: JobRunRow, opened: OpenRuns, now: datetime) -> bool:
        """Whether nothing comes first, or patience is at its end."""
        if opened.elsewhere(row, lambda other: self.book.is_lost(other, now)):
            return False
        other = opened.first(job, row.subject)
        if other is None:
            return True
        since = self._blocked.setdefault(row.key, time.monotonic())
        if time.monotonic() - since <= job.patience.total_seconds():
            return False
        log.warning("jobs.waited_enough run=%s for=%s", row.key, other.key)
        return True

    # -- places ----------------------------------------------------------------------------------------

    def _reserve(self, job: Job, row: JobRunRow, instead_of: _Going | None) -> bool:
        """Keep a place in a lane; False if there is none, or a run of the same job and subject goes on."""
        with self._lock:
            others = [one for one in self._going.values() if one is not instead_of]
            here = {(one.job.name, one.subject) for one in others} | self._reserved.keys()
            busy = sum(1 for one in others if one.job.lane is job.lane and not one.hangs)
            busy += sum(1 for lane in self._reserved.values() if lane is job.lane)
            if self._stopped or (job.name, row.subject) in here or busy >= self.limits.lanes[job.lane]:
                return False
            self._reserved[job.name, row.subject] = job.lane
            return True

    def _claim(self, job: Job, row: JobRunRow, instead_of: _Going | None = None) -> _Going | None:
        """A run made ours, in a place of its own or in that of one that is over."""
        if not self._reserve(job, row, instead_of):
            return None
        going = None
        try:
            mine = self.book.claim(row)
            if mine is not None:
                going = _Going(mine, job, self.book, time.monotonic())
        finally:
            with self._lock:
                del self._reserved[job.name, row.subject]
                if going is not None:
                    self._going[going.key] = going
                    self._blocked.pop(going.key, None)
                    if instead_of is not None:
                        self._going.pop(instead_of.key, None)
        return going

    def _begin(self, going: _Going) -> int:
        try:
            self._spawn(lambda: self._do(going), f"job {going.job.name}")
        except RuntimeError as error:  # no more threads: it waits for the next look
            log.warning("jobs.no_thread run=%s %s", going.key, error)
            with self._lock:
                self._going.pop(going.key, None)
            self.book.release(going.row)
            return 0
        return 1

    # -- one run ---------------------------------------------------------------------------------------

    def _do(self, going: _Going) -> None:
        """A run, and then the next that stands ready for this lane, in a thread of their own."""
        current: _Going | None = going
        while current is not None:
            self._work(current)
            current = self._next(current)

    def _work(self, going: _Going) -> None:
        """One run; nothing that goes wrong in it reaches another."""
        try:
            outcome = going.job.function(going)
            self.book.finish(going.row, outcome)
            log.info("jobs.done run=%s said=%s", going.key, outcome.key)
        except LostRunError:
            log.warning("jobs.lost run=%s", going.key)
        except Exception as error:  # noqa: BLE001 - whatever a job raises is its outcome
            self._failed(going, error)

    def _next(self, done: _Going) -> _Going | None:
        """The next run in the place of one that is over; None, and it is free, if none stands ready."""
        taken = None
        try:
            while taken is None and not done.hangs:
                with self._lock:
                    ready = self._ready[done.job.lane]
                    row = ready.popleft() if ready else None
                if row is None:
                    break
                job = self._jobs.get(row.job)  # jobs may have been replaced meanwhile
                taken = None if job is None else self._claim(job, row, done)
        except VppError as error:  # the next look finds it again
            log.warning("jobs.not_claimed %s", error)
        finally:
            with self._lock:
                self._going.pop(done.key, None)
        return taken

    def _failed(self, going: _Going, error: Exception) -> None:
        if self._stopped:  # whatever it is, the next start does it again
            log.info("jobs.interrupted run=%s %s", going.key, error)
            self._give_back(going)
            return
        said = "; ".join(part for part in error.lines() if part) if isinstance(error, VppError) else ""
        said = said or f"{type(error).__name__}: {error}"
        pauses, tried = going.job.retries, going.row.attempts
        again = tried <= len(pauses) and not isinstance(error, ConfigError)  # a set-up does not mend itself
        retry_at = self._clock.now() + pauses[tried - 1] if again else None
        if again and isinstance(error, NotYetError):
            log.info("jobs.not_yet run=%s attempt=%d again=%s %s", going.key, tried, retry_at, said)
            said = ""
        else:
            log.warning("jobs.failed run=%s attempt=%d again=%s %s", going.key, tried, retry_at, said)
        if not isinstance(error, VppError):
            log.error("jobs.bug run=%s", going.key, exc_info=error)
        try:
            self.book.fail(going.row, said, retry_at=retry_at)
        except VppError as fault:  # its lease ends, and it is done again
            log.warning("jobs.not_noted run=%s %s", going.key, fault)

    def beat(self) -> None:
        """Renew the claims of what runs; give up what takes too long."""
        for one in self._that_work():
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
        :func:`vpp.live.standard.standard_jobs`, and whatever else a service does again and again.
    """
    supervisor = Supervisor(store, clock, jobs, limits=limits)
    supervisor.start()
    return supervisor
