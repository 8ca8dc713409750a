"""Runs on record: what is due is entered, claimed by one process, done once, and told.

Everything goes by compare-and-set on the row of the run: of two processes that claim it one succeeds, and the
effect is written in the same transaction as the word that it is done. A claim is a lease: it is renewed while
the run goes on, and ends by itself when its process dies.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from energy.core.clock import Clock
from energy.core.errors import DataError
from energy.store import JobRow, JobRunRow, Store, canonical_json
from vpp.jobs.job import Job, Misfire, Outcome, RunState

__all__ = ["LostRunError", "RunBook", "run_key"]

_OPEN: Final = (RunState.WAITING, RunState.RUNNING)
_TICK: Final = timedelta(microseconds=1)
_LONGEST_ERROR: Final = 500
_PUT_BACK: Final = timedelta(hours=1)  # a correction; what lies further ahead was a mistake


class LostRunError(Exception):
    """A run is no longer ours: its lease ended, or it was given up; nothing was written.

    Only the supervisor catches it: it is no trouble of the job, so it is no :class:`VppError`.
    """


def run_key(job: str, subject: str, due_at: datetime) -> str:
    """Name of a run; names sort by the instant."""
    return f"{due_at:%Y%m%dT%H%M%S.%fZ}/{job}/{subject}"


@dataclass(frozen=True, slots=True)
class RunBook:
    """Runs in a store.

    Parameters
    ----------
    owner : str
        Name of this process among all that ever claim runs.
    lease : timedelta
        How long a claim holds if it is not renewed.
    """

    store: Store
    clock: Clock
    owner: str
    lease: timedelta = timedelta(seconds=20)

    # -- what is due -----------------------------------------------------------------------------------

    def watermark(self, job: str, subject: str, now: datetime) -> datetime | None:
        """The newest time for which a run was entered by schedule.

        A clock that was put back a little comes to these times again: they were done. Times further ahead are
        of a clock that was wrong; they say nothing.
        """
        below = run_key("", "", now + _PUT_BACK)
        found = self.store.rows.runs.last(below=below, job=job, subject=subject, asked_by="")
        return found[0].due_at if found else None

    def enter(self, job: Job, subject: str, now: datetime) -> datetime | None:
        """Enter what became due of a job, by its misfire rule; when it is due next.

        A job that is seen for the first time is counted from now on.
        """
        since = self.watermark(job.name, subject, now)
        with self.store.transaction():
            if since is None:
                self._add(job, subject, now, RunState.SKIPPED, Outcome("begins"))
            elif job.misfire is Misfire.LATE or not self._unstarted(job.name, subject):
                self._enter_since(job, subject, since, now)
            ahead = job.due.following(now)
            self._announce(job, subject, ahead, now)
        return ahead

    def _enter_since(self, job: Job, subject: str, since: datetime, now: datetime) -> None:
        begin = max(since, now - job.look_back)
        if begin >= now:
            return
        missed = job.due.between(begin, now)
        if begin > since:
            lost = job.due.following(since)
            if lost is not None and lost <= begin:
                facts = {"since": lost.isoformat(), "until": begin.isoformat()}
                self._add(job, subject, begin, RunState.SKIPPED, Outcome("too_long_ago", facts))
        match job.misfire:
            case Misfire.LATE:
                for at in missed:
                    self._add(job, subject, at, RunState.WAITING)
                return
            case Misfire.SKIP:
                useful = [at for at in missed if now - at <= job.useful_for]
                gone = missed[: len(missed) - len(useful)]
                if gone:
                    facts = {"count": str(len(gone)), "since": gone[0].isoformat()}
                    self._add(job, subject, gone[-1], RunState.SKIPPED, Outcome("no_use", facts))
            case Misfire.ONCE:
                useful = missed
        if useful:
            before = {"stands_for": str(len(useful) - 1), "since": useful[0].isoformat()}
            facts = before if len(useful) > 1 else {}
            self._add(job, subject, useful[-1], RunState.WAITING, Outcome("waits", facts))

    def _unstarted(self, job: str, subject: str) -> bool:
        """Whether an earlier time still waits for its first start: the next one need not wait, too."""
        waiting = self.store.rows.runs.find(job=job, subject=subject, state=RunState.WAITING.value)
        return any(one.attempts == 0 and not one.asked_by for one in waiting)

    def _add(
        self, job: Job, subject: str, at: datetime, state: RunState, outcome: Outcome | None = None
    ) -> None:
        ended = self.clock.now() if state is RunState.SKIPPED else None
        self.store.rows.runs.add(
            JobRunRow(
                key=run_key(job.name, subject, at),
                job=job.name,
                subject=subject,
                due_at=at,
                state=state.value,
                ended_at=ended,
                outcome=_told(outcome or Outcome("waits")),
            )
        )

    def _announce(self, job: Job, subject: str, ahead: datetime | None, now: datetime) -> None:
        about = canonical_json(
            {
                "due": job.due.words,
                "misfire": job.misfire.value,
                "needs": list(job.needs),
                "longest_s": int(job.longest.total_seconds()),
            }
        )
        mine = {"name": job.name, "subject": subject}
        row = JobRow(name=job.name, subject=subject, about=about, next_at=ahead, seen_at=now)
        if not self.store.rows.jobs.add(row):
            self.store.rows.jobs.change(mine, about=about, next_at=ahead, seen_at=now)

    def ask(self, job: str, subject: str, *, by: str) -> JobRunRow:
        """Enter a run that somebody asks for now; one that was asked for and is not over is that one."""
        now = self.clock.now()
        with self.store.transaction():
            for state in _OPEN:
                found = self.store.rows.runs.find(job=job, subject=subject, state=state.value)
                asked = [one for one in found if one.asked_by]
                if asked:
                    return asked[0]
            row = JobRunRow(
                key=run_key(job, subject, now),
                job=job,
                subject=subject,
                due_at=now,
                state=RunState.WAITING.value,
                outcome=_told(Outcome("waits")),
                asked_by=by,
            )
            while not self.store.rows.runs.add(row):  # a scheduled run of this very instant
                later = row.due_at + _TICK
                row = replace(row, due_at=later, key=run_key(job, subject, later))
            self.store.audit(by, "job.asked", f"job/{job}/{subject}", at=now, facts={"run": row.key})
        return row

    def retire(self, job: str, subject: str) -> None:
        """Forget that a job is due; what waits of it is left out with a note. Its history stays."""
        with self.store.transaction():
            self.store.rows.jobs.remove(name=job, subject=subject)
            for row in self.store.rows.runs.find(job=job, subject=subject, state=RunState.WAITING.value):
                self.skip(row, Outcome("site_gone", {"site": subject}))

    # -- one run ---------------------------------------------------------------------------------------

    def open_runs(self) -> list[JobRunRow]:
        """Runs that wait or are being done, by the instant they were due."""
        found = [one for state in _OPEN for one in self.store.rows.runs.find(state=state.value)]
        return sorted(found, key=lambda one: one.key)

    def is_lost(self, row: JobRunRow, now: datetime) -> bool:
        """Whether the process that did a run is gone: its lease ended, or ends later than any lease could."""
        until = row.lease_until
        return until is None or until <= now or until > now + 2 * self.lease

    def claim(self, row: JobRunRow) -> JobRunRow | None:
        """Take a run that waits or whose process is gone; None if somebody else was faster."""
        now = self.clock.now()
        seen: dict[str, str | int | datetime | None] = {
            "key": row.key,
            "state": row.state,
            "owner": row.owner,
            "attempts": row.attempts,
            "lease_until": row.lease_until,
        }
        mine = replace(
            row,
            state=RunState.RUNNING.value,
            owner=self.owner,
            attempts=row.attempts + 1,
            lease_until=now + self.lease,
            retry_at=None,
            started_at=now,
        )
        won = self.store.rows.runs.change(
            seen,
            state=mine.state,
            owner=mine.owner,
            attempts=mine.attempts,
            lease_until=mine.lease_until,
            retry_at=None,
            started_at=now,
        )
        return mine if won else None

    def renew(self, row: JobRunRow) -> bool:
        """Keep a claim; False if it is lost."""
        return bool(self.store.rows.runs.change(self._ours(row), lease_until=self.clock.now() + self.lease))

    def once(self, row: JobRunRow, write: Callable[[], Outcome]) -> Outcome:
        """Write an effect and that the run is done, both or neither.

        Raises
        ------
        LostRunError
            If the run is no longer ours.
        """
        with self.store.transaction():
            if not self.renew(row):  # the row is ours alone until this transaction ends
                raise LostRunError(row.key)
            outcome = write()
            self.finish(row, outcome)
        return outcome

    def finish(self, row: JobRunRow, outcome: Outcome) -> bool:
        """Note what a run did; False if it is no longer ours or was finished before."""
        idle = outcome.idle and not outcome.attention and not row.asked_by
        state = RunState.IDLE if idle else RunState.DONE
        waited = json.loads(row.outcome).get("facts", {})
        told = replace(outcome, facts={**waited, **outcome.facts})
        with self.store.transaction():
            if not self._end(row, state, outcome=told):
                return False
            if state is RunState.IDLE:
                earlier = self.store.rows.runs.find(job=row.job, subject=row.subject, state=state.value)
                for one in earlier:
                    if one.key < row.key:
                        self.store.rows.runs.remove(key=one.key, state=state.value)
        return True

    def fail(self, row: JobRunRow, error: str, *, retry_at: datetime | None = None) -> bool:
        """Note that an attempt failed: to be tried again, or for good."""
        if retry_at is None:
            return self._end(row, RunState.FAILED, error=error[:_LONGEST_ERROR])
        return bool(
            self.store.rows.runs.change(
                self._ours(row),
                state=RunState.WAITING.value,
                owner="",
                lease_until=None,
                retry_at=retry_at,
                error=error[:_LONGEST_ERROR],
            )
        )

    def release(self, row: JobRunRow) -> bool:
        """Give a run back because the service stops; what its thread writes from now on is refused."""
        return bool(
            self.store.rows.runs.change(
                self._ours(row), state=RunState.WAITING.value, owner="", lease_until=None
            )
        )

    def skip(self, row: JobRunRow, outcome: Outcome) -> bool:
        """Leave a waiting run out, with a note."""
        seen: dict[str, str | int] = {
            "key": row.key,
            "state": row.state,
            "owner": row.owner,
            "attempts": row.attempts,
        }
        return bool(
            self.store.rows.runs.change(
                seen,
                state=RunState.SKIPPED.value,
                ended_at=self.clock.now(),
                owner="",
                lease_until=None,
                outcome=_told(outcome),
            )
        )

    def _ours(self, row: JobRunRow) -> dict[str, str | int]:
        return {
            "key": row.key,
            "state": RunState.RUNNING.value,
            "owner": self.owner,
            "attempts": row.attempts,
        }

    def _end(
        self, row: JobRunRow, state: RunState, *, outcome: Outcome | None = None, error: str = ""
    ) -> bool:
        told = row.outcome if outcome is None else _told(outcome)
        return bool(
            self.store.rows.runs.change(
                self._ours(row),
                state=state.value,
                ended_at=self.clock.now(),
                lease_until=None,
                outcome=told,
                error=error,
            )
        )

    # -- what was --------------------------------------------------------------------------------------

    def history(
        self, *, job: str | None = None, subject: str | None = None, below: str | None = None, limit: int = 50
    ) -> list[JobRunRow]:
        """Runs, newest first."""
        wanted = {name: value for name, value in (("job", job), ("subject", subject)) if value is not None}
        return self.store.rows.runs.last(below=below, limit=limit, **wanted)

    def forget(self, before: datetime) -> int:
        """Take away runs that were due long ago and are over; the newest of each job stays."""
        removed = 0
        for row in self.store.rows.runs.up_to("due_at", before):
            newest = self.store.rows.runs.last(job=row.job, subject=row.subject, asked_by="")
            if row.state not in _OPEN and not (newest and newest[0].key == row.key):
                removed += self.store.rows.runs.remove(key=row.key, state=row.state)
        return removed

    def require(self, job: str, subject: str, known: Sequence[JobRow] | None = None) -> JobRow:
        """A job that the service knows.

        Raises
        ------
        DataError
            If there is none of that name and subject.
        """
        rows = self.store.rows.jobs.find() if known is None else known
        for row in rows:
            if (row.name, row.subject) == (job, subject):
                return row
        names = sorted({f"{row.name} {row.subject}".strip() for row in rows})
        raise DataError(
            f"no job {job!r}" + (f" of {subject!r}" if subject else ""),
            where=f"known: {', '.join(names)}" if names else "no service has ever run on this database",
            hint="vpp jobs list shows them" if names else "start one: vpp run --config FILE",
        )


def _told(outcome: Outcome) -> str:
    told = {"key": outcome.key, "facts": dict(outcome.facts)}
    return canonical_json({**told, "attention": True} if outcome.attention else told)
