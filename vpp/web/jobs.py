"""The jobs page: what runs by itself, when it is due, what came of it; and a run that somebody asks for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
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
    "failed": "✕",
    "late": "!",
    "retry": "↻",
    "attention": "!",
    "running": "▶",
    "waiting": "…",
    "new": "·",
    "ok": "✓",
    "done": "✓",
    "idle": "·",
    "skipped": "-",
}
"""Signs of states, the one that needs a look most before the others."""


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
    count: int = 1


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
        when="" if last is None else words.moment(_when(last)),
        next_at=ahead,
        history=_history_path(card.name, card.subject),
    )


def _job(words: Messages, cards: Sequence[Card]) -> _Row:
    """One job for all its sites: the worst state, how many stand how, and when the next one is due."""
    if len(cards) == 1:
        return _card(words, cards[0])
    states = Counter(card.state for card in cards)
    state = min(states, key=list(_SIGNS).index)
    ahead = min((card.next_at for card in cards if card.next_at is not None), default=None)
    newest = max((_when(card.last) for card in cards if card.last is not None), default=None)
    said = " · ".join(
        words.text("jobs.of_state", state=words.text(f"jobs.state.{one.value}"), count=count)
        for one, count in sorted(states.items(), key=lambda pair: list(_SIGNS).index(pair[0]))
    )
    return _Row(
        name=cards[0].name,
        title=name_in_words(words, cards[0].name),
        subject=cards[0].subject,
        state=state.value,
        sign=_SIGNS[state.value],
        due=due_in_words(words, cards[0].about),
        said=said,
        when=_moment(words, newest),
        next_at=words.text("jobs.never") if ahead is None else words.moment(ahead),
        history=_history_path(cards[0].name, ""),
        count=len(cards),
    )


def _when(run: JobRunRow) -> datetime:
    return run.ended_at or run.due_at


def _by_name(card: Card) -> str:
    return card.key


def _look_first(card: Card) -> tuple[bool, str]:
    return card.state not in NEEDS_A_LOOK, card.key


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
    by_job = [list(group) for _, group in groupby(sorted(cards, key=_by_name), key=lambda card: card.name)]
    return render(
        request,
        "jobs.html",
        bad=[_card(words, card) for card in sorted(bad, key=_by_name)],
        rows=[_job(words, group) for group in by_job if len(group) > 1 or group[0].state not in NEEDS_A_LOOK],
        some=bool(cards),
        names=_names(access, [*(card.subject for card in bad), *(group[0].subject for group in by_job)]),
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
        sites=[]
        if subject or len(cards) == 1
        else [_card(words, card) for card in sorted(cards, key=_look_first)],
        rows=[_run(words, row) for row in rows[:_PER_PAGE]],
        names=_names(
            access, [subject or "", *(row.subject for row in rows), *(card.subject for card in cards)]
        ),
        older=older,
        newest=_history_path(job, subject or "") if cursor else "",
        may_ask=_may_ask(access) and any(card.subject == (subject or "") for card in cards),
        may_ask_site=_may_ask(access),
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
