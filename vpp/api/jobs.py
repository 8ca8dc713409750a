"""Jobs: how each stands, what its runs did, and a run that somebody asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import Path, Query
from pydantic import Field
from starlette.requests import Request

from energy.core.errors import DataError
from energy.core.units import series_id
from energy.store import JobRunRow, Snapshot
from vpp.api.common import Answer, Cursor, Limit, known_now, noun, page_of, read_cursor, write_cursor
from vpp.api.sites import site_ids
from vpp.forecasts.issued import Horizon, latest_issued, targets_of
from vpp.http.access import Access, access_of, guarded
from vpp.http.problems import Problem
from vpp.i18n import Messages
from vpp.jobs.board import Card, CardState, board, run_in_words
from vpp.jobs.book import RunBook
from vpp.jobs.job import RunState

__all__ = ["jobs"]

jobs = noun("jobs")

JobName = Annotated[
    str, Path(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9-]{0,63}$", description="Name of a job.", examples=["measure"])
]
Subject = Annotated[
    str | None, Query(max_length=100, description="Site or region; empty for the whole service, all if none.")
]


class JobRun(Answer):
    """One time that a job was due, and what became of it."""

    key: Annotated[str, Field(examples=["20261122T000000.000000Z/measure/kitakata"])]
    job: str
    subject: str
    due_at: datetime
    state: RunState
    attempts: int
    started_at: datetime | None
    ended_at: datetime | None
    said: Annotated[str, Field(description="What it did or why not, in the caller's language.")]
    outcome: Annotated[str, Field(description="Stable name of that.", examples=["measured"])]
    facts: Annotated[dict[str, str], Field(description="Its values.")]
    error: str
    asked_by: str


class Job(Answer):
    """Work that comes again and again."""

    name: Annotated[str, Field(examples=["measure"])]
    subject: Annotated[str, Field(examples=["kitakata"])]
    state: CardState
    next_at: Annotated[datetime | None, Field(description="When it is due next; none: when somebody asks.")]
    seen_at: Annotated[datetime, Field(description="When a service last planned it.")]
    misfire: Annotated[str, Field(description="What becomes of times that were missed: late, once, skip.")]
    needs: list[str]
    last: JobRun | None


class Result(Answer):
    """The newest result of measuring and forecasting, as the store itself shows it, whoever made it."""

    name: Annotated[Literal["measure", "forecast"], Field(examples=["forecast"])]
    subject: Annotated[str, Field(examples=["kitakata/load/day-ahead"])]
    last_at: Annotated[datetime, Field(description="When its newest result became known.")]
    age_s: Annotated[float, Field(description="How long ago that is. [s]")]


class Jobs(Answer):
    """Jobs by name and subject."""

    items: list[Job]
    results: list[Result]
    next: str | None = None


class JobRuns(Answer):
    """Runs, newest first."""

    items: list[JobRun]
    next: str | None = None


class Wanted(Answer):
    """What shall be run."""

    subject: Annotated[str, Field(max_length=100, examples=["kitakata"])] = ""


def _results(known: Snapshot) -> Iterator[tuple[Literal["measure", "forecast"], str, datetime]]:
    for site in site_ids(known):
        measured = known.latest(series_id(site, "meter", "import_kwh"), before=known.known_until)
        if measured is not None:
            yield "measure", f"{site}/meter", measured.known_at
        for target in targets_of(known, site):
            for horizon in Horizon:
                issue = latest_issued(known, site, target, horizon)
                if issue is not None:
                    yield "forecast", f"{site}/{target}/{horizon.value}", issue.issued_at


def _run(access: Access, row: JobRunRow) -> JobRun:
    told = json.loads(row.outcome)
    return JobRun(
        key=row.key,
        job=row.job,
        subject=row.subject,
        due_at=row.due_at,
        state=RunState(row.state),
        attempts=row.attempts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        said=run_in_words(Messages(access.lang), row),
        outcome=told.get("key", ""),
        facts={name: str(value) for name, value in told.get("facts", {}).items()},
        error=row.error,
        asked_by=row.asked_by,
    )


def _job(access: Access, card: Card) -> Job:
    return Job(
        name=card.name,
        subject=card.subject,
        state=card.state,
        next_at=card.next_at,
        seen_at=card.seen_at,
        misfire=card.about.get("misfire", ""),
        needs=card.about.get("needs", []),
        last=None if card.last is None else _run(access, card.last),
    )


@jobs.get("/jobs")
@guarded("job")
def list_jobs(request: Request, cursor: Cursor = None, limit: Limit = 500) -> Jobs:
    """How every job stands and when it is due next; and how old the newest readings and forecasts are."""
    access = access_of(request)
    known = known_now(access)
    cards = sorted(board(access.service.store, access.service.clock.now()), key=lambda one: one.key)
    shown, more = page_of(cards, cursor, limit, key=lambda one: one.key)
    results = [
        Result(name=name, subject=subject, last_at=at, age_s=_age(known.known_until - at))
        for name, subject, at in (_results(known) if cursor is None else ())
    ]
    return Jobs(
        items=[_job(access, one) for one in shown],
        results=sorted(results, key=lambda one: (one.name, one.subject)),
        next=more,
    )


@jobs.get("/jobs/{job}/runs")
@guarded("job")
def list_runs(
    request: Request, job: JobName, subject: Subject = None, cursor: Cursor = None, limit: Limit = 100
) -> JobRuns:
    """What the runs of a job did, newest first."""
    access = access_of(request)
    book = _book(access)
    below = None if cursor is None else read_cursor(cursor)
    rows = book.history(job=job, subject=subject, below=below, limit=limit + 1)
    if not rows and cursor is None and not access.service.store.rows.jobs.find(name=job):
        raise Problem("not_found")
    shown = rows[:limit]
    more = write_cursor(shown[-1].key) if len(rows) > limit else None
    return JobRuns(items=[_run(access, one) for one in shown], next=more)


@jobs.post("/jobs/{job}/runs", status_code=201)
@guarded("job-run")
def ask_for_run(request: Request, job: JobName, body: Wanted) -> JobRun:
    """Run a job as soon as its turn comes; if one that was asked for waits already, this is that one."""
    access = access_of(request)
    book = _book(access)
    try:
        book.require(job, body.subject)
    except DataError:
        raise Problem("not_found") from None
    return _run(access, book.ask(job, body.subject, by=access.who.id))


def _book(access: Access) -> RunBook:
    """The book of one who only looks and asks; he claims nothing."""
    return RunBook(access.service.store, access.service.clock, "")


def _age(since: timedelta) -> float:
    return round(since.total_seconds(), 1)
