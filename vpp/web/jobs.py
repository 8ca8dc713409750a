"""The jobs page: what runs by itself, when it is due, what came of it; and a run that somebody asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import DataError
from energy.core.slots import JST
from energy.store import JobRunRow
from vpp.api.common import read_cursor, write_cursor
from vpp.http.access import Access, access_of
from vpp.http.problems import Problem
from vpp.i18n import Messages
from vpp.jobs.board import (
    NEEDS_A_LOOK,
    Card,
    board,
    due_in_words,
    name_in_words,
    run_in_words,
    silent_since,
)
from vpp.jobs.book import RunBook
from vpp.people.rights import RULES, reach_of
from vpp.site.sitebook import site_names
from vpp.web.doors import fields_of
from vpp.web.pages import Page, go, render

__all__ = ["PAGES"]

_PER_PAGE: Final = 50
_SIGNS: Final = {
    "ok": "✓",
    "done": "✓",
    "idle": "·",
    "new": "·",
    "running": "▶",
    "waiting": "…",
    "retry": "↻",
    "failed": "✕",
    "late": "!",
    "attention": "!",
    "skipped": "-",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    """One job or run as the page shows it."""

    name: str
    title: str
    subject: str
    state: str
    sign: str
    due: str = ""
    said: str = ""
    error: str = ""
    when: str = ""
    more: str = ""
    next_at: str = ""
    history: str = ""


def _names(access: Access, subjects: list[str]) -> dict[str, str]:
    """What the sites of jobs are called."""
    return site_names(access.service.store, access.service.clock.now(), subjects, access.lang)


def _moment(words: Messages, at: datetime | None) -> str:
    return "" if at is None else words.moment(at)


def _card(words: Messages, card: Card) -> _Row:
    last, going = card.last, card.open
    shown = going if going is not None and going.attempts else last
    ahead = words.text("jobs.never") if card.next_at is None else words.moment(card.next_at)
    return _Row(
        name=card.name,
        title=name_in_words(words, card.name),
        subject=card.subject,
        state=card.state.value,
        sign=_SIGNS[card.state.value],
        due=due_in_words(words, card.about),
        said="" if last is None else run_in_words(words, last),
        error="" if shown is None else shown.error,
        when="" if last is None else _moment(words, last.ended_at or last.due_at),
        next_at=ahead,
        history=_history_path(card.name, card.subject),
    )


def _history_path(job: str, subject: str) -> str:
    return f"/jobs/{quote(job)}" + (f"?subject={quote(subject)}" if subject else "")


def _run(words: Messages, run: JobRunRow) -> _Row:
    more = []
    if run.attempts > 1:
        more.append(words.text("jobs.attempts", count=run.attempts))
    if run.started_at is not None and run.ended_at is not None and run.ended_at >= run.started_at:
        took = (run.ended_at - run.started_at).total_seconds()
        more.append(words.text("jobs.took", seconds=words.number(took, 1)))
    if run.asked_by:
        more.append(words.text("jobs.asked_by", who=run.asked_by))
    state = "retry" if run.state == "waiting" and run.attempts else run.state
    return _Row(
        name=run.job,
        title=name_in_words(words, run.job),
        subject=run.subject,
        state=state,
        sign=_SIGNS.get(state, "?"),
        said=run_in_words(words, run),
        error=run.error,
        when=f"{words.day(run.due_at.astimezone(JST).date())} {run.due_at.astimezone(JST):%H:%M:%S}",
        more=" · ".join(more),
    )


def _may_ask(access: Access) -> bool:
    return reach_of(RULES["job-run"], access.who) is not None


def overview(request: Request) -> Response:
    """Every job: the sentence first, what needs a look before the rest."""
    access, words = access_of(request), Messages(access_of(request).lang)
    now = access.service.clock.now()
    cards = board(access.service.store, now)
    bad = [card for card in cards if card.state in NEEDS_A_LOOK]
    silent = silent_since(cards, now)
    ordered = sorted(cards, key=lambda one: (one.state not in NEEDS_A_LOOK, one.key))
    return render(
        request,
        "jobs.html",
        rows=[_card(words, card) for card in ordered],
        names=_names(access, [card.subject for card in ordered]),
        lead=_lead(words, len(cards), len(bad), silent),
        good=not bad and silent is None,
        may_ask=_may_ask(access),
        asked=request.query_params.get("asked") == "yes",
    )


def _lead(words: Messages, count: int, bad: int, silent: datetime | None) -> str:
    if not count:
        return words.text("jobs.none")
    if silent is not None:
        return words.text("jobs.lead_silent", when=words.moment(silent))
    return words.text("jobs.lead_some" if bad else "jobs.lead_ok", count=count, bad=bad)


def history(request: Request) -> Response:
    """What the runs of a job did, newest first."""
    access, words = access_of(request), Messages(access_of(request).lang)
    job, asked = str(request.path_params["job"]), request.query_params
    subject, cursor = asked.get("subject"), asked.get("cursor")
    below = None if cursor is None else read_cursor(cursor)
    store = access.service.store
    rows = _book(access).history(job=job, subject=subject, below=below, limit=_PER_PAGE + 1)
    if not rows and not store.rows.jobs.find(name=job):
        raise Problem("not_found")
    cards = board(store, access.service.clock.now(), job=job)
    about: Mapping[str, object] = cards[0].about if cards else {}
    needs = about.get("needs", [])
    older = ""
    if len(rows) > _PER_PAGE:
        part = f"&subject={quote(subject)}" if subject is not None else ""
        older = f"/jobs/{quote(job)}?cursor={write_cursor(rows[_PER_PAGE - 1].key)}{part}"
    return render(
        request,
        "job_history.html",
        job=job,
        title=name_in_words(words, job),
        subject=subject or "",
        due=due_in_words(words, about),
        misfire=str(about.get("misfire", "")),
        needs=[name_in_words(words, str(one)) for one in needs] if isinstance(needs, list) else [],
        rows=[_run(words, row) for row in rows[:_PER_PAGE]],
        names=_names(access, [subject or "", *(row.subject for row in rows)]),
        older=older,
        newest=_history_path(job, subject or "") if cursor else "",
        may_ask=_may_ask(access) and any(card.subject == (subject or "") for card in cards),
    )


async def ask(request: Request) -> Response:
    """Enter a run; a second click finds the first one waiting."""
    access, fields = access_of(request), await fields_of(request)
    job = str(request.path_params["job"])

    def enter() -> None:
        book, subject = _book(access), fields.get("subject", "")
        try:
            book.require(job, subject)
        except DataError:
            raise Problem("not_found") from None
        book.ask(job, subject, by=access.who.id)

    await run_in_threadpool(enter)
    return go("/jobs?asked=yes")


def _book(access: Access) -> RunBook:
    """The book of one who only looks and asks."""
    return RunBook(access.service.store, access.service.clock, "")


PAGES: Final = (
    Page(path="/jobs", endpoint=overview, rule="job", nav="nav.jobs"),
    Page(path="/jobs/{job}", endpoint=history, rule="job"),
    Page(path="/jobs/{job}/runs", endpoint=ask, rule="job-run", method="POST"),
)
