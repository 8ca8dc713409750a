"""What a job is, as data: when it is due, what comes before it, what becomes of it when it is late."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from threading import Event
from typing import Final, Protocol

from energy.core.clock import Clock
from energy.core.errors import ConfigError, DataError
from energy.store import Store
from vpp.jobs.due import Due

__all__ = ["WHOLE", "Job", "Lane", "Misfire", "NotYetError", "Outcome", "Run", "RunState", "checked", "ranks"]

WHOLE: Final = ""
"""Subject of a job that is about the whole service."""


class Misfire(StrEnum):
    """What becomes of times that were missed while nothing ran."""

    LATE = "late"
    """Each of them is made up for."""
    ONCE = "once"
    """The newest stands for all."""
    SKIP = "skip"
    """The newest stands for all, unless it is too late to be of use; then it is left out with a note."""


class Lane(StrEnum):
    """Where a job runs: a long one must not keep the short ones waiting."""

    QUICK = "quick"
    HEAVY = "heavy"


class RunState(StrEnum):
    """What became of one time that a job was due."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    IDLE = "idle"
    """Done, and there was nothing to do; only the newest of these is kept."""
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did, in words.

    Parameters
    ----------
    key : str
        Text below ``jobs.said``.
    facts : mapping of str to str
        Its values.
    idle : bool
        Whether there was nothing to do.
    attention : bool
        Whether it found something that a person should look at; the job itself did what it should.
    """

    key: str
    facts: Mapping[str, str] = field(default_factory=dict)
    idle: bool = False
    attention: bool = False


class NotYetError(DataError):
    """What a run looks for may still be on its way: it is tried again, and that is no fault.

    After the last of :attr:`Job.retries` it is one, and the page of jobs says so.
    """


class Run(Protocol):
    """What a job's function works with: one time that the job was due."""

    @property
    def key(self) -> str:
        """Name of this run; everything it writes to the audit trail is signed with it (:attr:`actor`)."""
        ...

    @property
    def actor(self) -> str:
        """Who does it, for the audit trail."""
        ...

    @property
    def subject(self) -> str:
        """Site, region or nothing."""
        ...

    @property
    def due_at(self) -> datetime:
        """When it was due. UTC."""
        ...

    @property
    def store(self) -> Store:
        """Where everything is kept."""
        ...

    @property
    def clock(self) -> Clock:
        """Says what time it is."""
        ...

    @property
    def stopping(self) -> Event:
        """Set when the run should end early: the service stops, or the run takes too long."""
        ...

    def once(self, write: Callable[[], Outcome]) -> Outcome:
        """Write the effect and that the run is done in one transaction: both, or neither.

        Raises
        ------
        LostRunError
            If the run is no longer ours: somebody else does it, and nothing is written.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Work that comes again and again.

    Parameters
    ----------
    name : str
        Unique; letters, digits and hyphens.
    due : Due
        When.
    function : callable
        Does it; may be called again after a crash, and must then have no second effect: what it writes to the
        store goes through :meth:`Run.once`, or changes nothing the second time.
    subjects : tuple of str
        Sites or regions; each has runs of its own.
    needs : tuple of str
        Jobs whose runs come first, if any are due: those of the same subject, and where one of the two is
        about the whole service, all. Order, not success: a plan is made although a forecast failed.
    misfire : Misfire
        What becomes of times that were missed.
    useful_for : timedelta
        With ``SKIP``: a run that is later than this is of no use.
    look_back : timedelta
        How far missed times are looked at; earlier ones are named in a note.
    longest : timedelta
        A run that takes longer hangs: it is given up, and whatever it writes later is refused.
    patience : timedelta
        How long it waits for what it needs.
    retries : sequence of timedelta
        Pauses before it is tried again.
    """

    name: str
    due: Due
    function: Callable[[Run], Outcome]
    subjects: tuple[str, ...] = (WHOLE,)
    needs: tuple[str, ...] = ()
    misfire: Misfire = Misfire.ONCE
    useful_for: timedelta = timedelta(minutes=30)
    look_back: timedelta = timedelta(days=2)
    longest: timedelta = timedelta(minutes=10)
    patience: timedelta = timedelta(minutes=15)
    retries: Sequence[timedelta] = (timedelta(seconds=10), timedelta(minutes=1), timedelta(minutes=5))
    lane: Lane = Lane.QUICK


def checked(jobs: Sequence[Job]) -> dict[str, Job]:
    """Jobs by name.

    Raises
    ------
    ConfigError
        If two have the same name, a name cannot stand in a key, or they wait for each other in a ring.
    """
    found: dict[str, Job] = {}
    for job in jobs:
        if job.name in found:
            raise ConfigError(
                f"two jobs are called {job.name!r}", where="vpp.jobs", hint="name one otherwise"
            )
        if not job.name or not job.name.replace("-", "").isalnum() or not job.name.isascii():
            raise ConfigError(
                f"{job.name!r} cannot name a job", where="vpp.jobs", hint="use a-z, 0-9 and hyphens"
            )
        found[job.name] = job
    ranks(found)
    return found


def ranks(jobs: Mapping[str, Job]) -> dict[str, int]:
    """How many steps of other jobs come before each.

    Raises
    ------
    ConfigError
        If jobs wait for each other in a ring.
    """
    rank: dict[str, int] = {}

    def of(name: str, path: tuple[str, ...]) -> int:
        if name in path:
            ring = " -> ".join((*path[path.index(name) :], name))
            raise ConfigError("jobs wait for each other", where=ring, hint="take one of the needs away")
        if name not in rank:
            needs = [
                need for need in jobs[name].needs if need in jobs
            ]  # what is switched off is not waited for
            rank[name] = 1 + max((of(need, (*path, name)) for need in needs), default=-1)
        return rank[name]

    for name in jobs:
        of(name, ())
    return rank
