"""What people and programs see of jobs: from the store only, whoever runs them, in either language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from energy.core.clock import Clock, ManualClock, SystemClock
from energy.store import JobRow, JobRunRow, Store
from vpp.i18n import Messages
from vpp.jobs.job import RunState

__all__ = [
    "NEEDS_A_LOOK",
    "Card",
    "CardState",
    "board",
    "clock_of",
    "due_in_words",
    "is_shown",
    "mark_shown",
    "name_in_words",
    "run_in_words",
    "silent_since",
]

_SILENT: Final = timedelta(minutes=5)


_SHOWN: Final = ("demo", "clock")
_EVER: Final = datetime(9999, 1, 1, tzinfo=UTC)


def mark_shown(store: Store, *, at: datetime) -> None:
    """Say that a database is that of a demonstration, which has a time of its own."""
    if not is_shown(store):
        store.put_document(*_SHOWN, known_at=at, body="{}")


def is_shown(store: Store) -> bool:
    """Whether a database is that of a demonstration."""
    return store.as_of(_EVER).document(*_SHOWN) is not None


def clock_of(store: Store) -> Clock:
    """The time of the service that runs on a store, for a program beside it.

    That of the machine; for a demonstration, which runs faster than time, the instant at which it last looked
    what is due.
    """
    if is_shown(store):
        seen = [row.seen_at for row in store.rows.jobs.find()]
        if seen:
            return ManualClock(max(seen))
    return SystemClock()


class CardState(StrEnum):
    """How a job stands."""

    OK = "ok"
    NEW = "new"
    RUNNING = "running"
    WAITING = "waiting"
    RETRY = "retry"
    FAILED = "failed"
    LATE = "late"
    ATTENTION = "attention"
    """The job works; what it found needs a look."""


NEEDS_A_LOOK: Final = frozenset({CardState.FAILED, CardState.LATE, CardState.RETRY, CardState.ATTENTION})
"""States that come first, and that a sentence counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One job of one subject.

    Parameters
    ----------
    last : JobRunRow or None
        Its newest run that is over.
    open : JobRunRow or None
        The run that waits or goes on.
    """

    name: str
    subject: str
    about: Mapping[str, Any]
    next_at: datetime | None
    seen_at: datetime
    state: CardState
    last: JobRunRow | None
    open: JobRunRow | None

    @property
    def key(self) -> str:
        """Sorts the board."""
        return f"{self.name} {self.subject}"


def board(store: Store, now: datetime, *, job: str | None = None) -> list[Card]:
    """Every job that a service ever ran on this store, by name and subject."""
    rows = store.rows.jobs.find(**({} if job is None else {"name": job}))
    opened: dict[tuple[str, str], JobRunRow] = {}
    for state in (RunState.WAITING, RunState.RUNNING):
        for run in store.rows.runs.find(state=state.value):
            opened[run.job, run.subject] = run
    return [_card(store, row, opened.get((row.name, row.subject)), now) for row in rows]


def _card(store: Store, row: JobRow, going: JobRunRow | None, now: datetime) -> Card:
    below = going.key if going is not None else None
    found = store.rows.runs.last(below=below, job=row.name, subject=row.subject)
    last = found[0] if found else None
    return Card(
        name=row.name,
        subject=row.subject,
        about=json.loads(row.about),
        next_at=row.next_at,
        seen_at=row.seen_at,
        state=_state(row, going, last, now),
        last=last,
        open=going,
    )


def _state(row: JobRow, going: JobRunRow | None, last: JobRunRow | None, now: datetime) -> CardState:
    if going is not None and going.state == RunState.RUNNING.value:
        return CardState.RUNNING
    if going is not None:
        return CardState.RETRY if going.attempts else CardState.WAITING
    if row.next_at is not None and row.next_at + _SILENT < now:
        return CardState.LATE
    if last is not None and last.state == RunState.FAILED.value:
        return CardState.FAILED
    told = {} if last is None else json.loads(last.outcome)
    if told.get("attention"):
        return CardState.ATTENTION
    return CardState.NEW if last is None or told.get("key") == "begins" else CardState.OK


def silent_since(cards: list[Card], now: datetime) -> datetime | None:
    """Since when nobody has looked what is due; None while somebody does."""
    newest = max((card.seen_at for card in cards), default=None)
    late = any(card.next_at is not None and card.next_at + _SILENT < now for card in cards)
    return newest if newest is not None and late and now - newest > _SILENT else None


def name_in_words(words: Messages, name: str) -> str:
    """What a job is called; one that this version does not know keeps its name."""
    return _called(words, f"jobs.name.{name}", name)


def _called(words: Messages, key: str, name: str) -> str:
    return words.text(key) if words.has(key) else name


def due_in_words(words: Messages, about: Mapping[str, Any]) -> str:
    """When a job is due."""
    told = about.get("due", {})
    key = f"jobs.due.{told.get('key', '')}"
    return _filled(words, key, told) if words.has(key) else ""


def run_in_words(words: Messages, run: JobRunRow) -> str:
    """What a run did or why not, in a sentence or two."""
    told = json.loads(run.outcome)
    facts = {name: _readable(words, name, str(value)) for name, value in told.get("facts", {}).items()}
    key = f"jobs.said.{told.get('key', '')}"
    said = ""
    if told.get("key") == "waits" and run.state != RunState.WAITING.value:
        pass  # it has begun since; what came of it stands in its state and error
    elif words.has(key):
        said = _filled(words, key, facts)
    elif told.get("key"):
        said = " ".join((str(told["key"]), *(f"{name}={value}" for name, value in facts.items())))
    if "stands_for" in facts and told.get("key") != "stands_for":
        also = _filled(words, "jobs.said.stands_for", facts)
        said = f"{said}{words.text('format.sentence_gap')}{also}" if said else also
    return said


def _filled(words: Messages, key: str, values: Mapping[str, object]) -> str:
    """A text; a run of another version may lack a value, which then shows as a dash."""
    needed = words.placeholders(key)
    return words.text(key, **{name: values.get(name, "-") for name in needed})


_KNOWN: Final = {"source": "plan_source", "targets": "target"}
"""Facts whose values are names that the rest of the product has words for."""


def _readable(words: Messages, name: str, value: str) -> str:
    """An instant, a day or the name of a kind of thing as people write it; anything else as it is."""
    if name in _KNOWN:
        return ", ".join(_called(words, f"{_KNOWN[name]}.{one}", one) for one in value.split(", "))
    if len(value) < 10 or value[4:5] != "-":
        return value
    try:
        if len(value) == 10:
            return words.day(date.fromisoformat(value))
        instant = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if instant.tzinfo is None else words.moment(instant)
