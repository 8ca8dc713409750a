"""A supervisor whose runs are done at once, in the order they are started, under a clock that is moved."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from energy.core.clock import require_aware
from energy.core.slots import parse_jst
from energy.store import JobRunRow, SqlStore, open_store
from vpp.jobs.due import Every
from vpp.jobs.job import Job, Outcome, Run
from vpp.jobs.supervisor import Limits, Supervisor

MINUTE = timedelta(minutes=1)
HALF = timedelta(minutes=30)


class Hand:
    """A clock that is set by hand, forward and back."""

    def __init__(self, text: str = "2026-11-20 08:45") -> None:
        self.at = parse_jst(text)

    def now(self) -> datetime:
        return self.at

    def set(self, text: str) -> None:
        self.at = parse_jst(text)

    def move(self, by: timedelta) -> None:
        self.at = require_aware(self.at + by)


@dataclass
class Crew:
    """What ran, in order."""

    clock: Hand = field(default_factory=Hand)
    store: SqlStore = field(default_factory=lambda: open_store("sqlite://", durability="process"))
    ran: list[tuple[str, str]] = field(default_factory=list)
    held: list[Callable[[], None]] = field(default_factory=list)

    def job(self, name: str, **told: Any) -> Job:
        """A job that notes that it ran; every half hour unless said otherwise."""

        def work(run: Run) -> Outcome:
            self.ran.append((name, f"{run.due_at.astimezone(UTC):%d %H:%M}"))
            return Outcome("done")

        return Job(**{"name": name, "due": Every(HALF), "function": work, **told})

    def supervisor(self, *jobs: Job, hold: bool = False, **limits: Any) -> Supervisor:
        """A supervisor whose work is done at once, or held until told."""

        def spawn(work: Callable[[], None], name: str) -> None:
            if hold:
                self.held.append(work)
            else:
                work()

        return Supervisor(self.store, self.clock, jobs, limits=Limits(**limits), spawn=spawn)

    def look(self, supervisor: Supervisor, times: int = 12) -> list[str]:
        """Look until nothing starts any more; names of what ran, in order."""
        before = len(self.ran)
        for _ in range(times):
            supervisor.look()
        return [name for name, _ in self.ran[before:]]

    def rows(self, job: str) -> list[JobRunRow]:
        """Runs of a job, oldest first."""
        return self.store.rows.runs.find(job=job)

    def told(self, job: str) -> list[tuple[str, str, str]]:
        """State, what was said and error of each of them."""
        return [(one.state, json.loads(one.outcome)["key"], one.error) for one in self.rows(job)]
