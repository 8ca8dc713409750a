"""Alerts: what is wrong now, told once, until it is over (docs/adr/0027).

There is one alert for each kind of trouble and what it is about. Trouble becomes an alert when it has lasted
for a while, and the alert ends when the trouble has been gone for a while: what flickers is told once. The
level of an open alert only rises; it falls by ending. Everything that becomes of an alert is also a document
that is never changed, so that mail, webhooks and pages tell the same story.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from energy.core.errors import ConfigError
from energy.store import AlertRow, Snapshot, Store, canonical_json

__all__ = [
    "ALERT_EVENT",
    "PATIENCE",
    "Act",
    "Alert",
    "AlertBook",
    "AlertEvent",
    "Kind",
    "Level",
    "State",
    "Trouble",
    "events_since",
]

log = logging.getLogger(__name__)

ALERT_EVENT: Final = "alert-event"
"""Kind of the documents that say what became of an alert; their keys begin with the instant."""
_LONGEST_NOTE: Final = 300
_LONGEST_SILENCE: Final = timedelta(days=31)
_STAMP: Final = "%Y%m%dT%H%M%S%fZ"


class Level(StrEnum):
    """How urgent it is (注意, 警報)."""

    WARNING = "warning"
    ALARM = "alarm"


class Kind(StrEnum):
    """What can be wrong."""

    DATA_STALE = "data_stale"
    DEVICE_LOST = "device_lost"
    TARGET_AT_RISK = "target_at_risk"
    PLAN_LATE = "plan_late"
    FORECAST_DEMOTED = "forecast_demoted"
    LEDGER_BROKEN = "ledger_broken"
    JOB_FAILED = "job_failed"
    JOBS_STOPPED = "jobs_stopped"
    BACKUP_OLD = "backup_old"
    DISK_LOW = "disk_low"

    @property
    def of_site(self) -> bool:
        """Whether the subject is a site, or a part of one (``site/asset``)."""
        return self in {
            Kind.DATA_STALE,
            Kind.DEVICE_LOST,
            Kind.TARGET_AT_RISK,
            Kind.FORECAST_DEMOTED,
        }


class State(StrEnum):
    """What an alert is."""

    WAITING = "waiting"
    """Seen, but not for long enough to be told."""
    OPEN = "open"
    CLEARED = "cleared"


class Act(StrEnum):
    """What became of an alert."""

    OPENED = "opened"
    RAISED = "raised"
    SEEN = "acknowledged"
    SILENCED = "silenced"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Something that is wrong at the moment of looking.

    Parameters
    ----------
    subject : str
        What it is about: a site, ``site/asset``, a plan, a job; empty for the whole service.
    facts : mapping of str to str
        Values of the sentence ``alert.said.KIND``; no personal data.
    raise_after : timedelta or None
        How long it must last to be told, where it differs from the kind's.
    """

    kind: Kind
    subject: str = ""
    level: Level = Level.WARNING
    facts: Mapping[str, str] = field(default_factory=dict)
    raise_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How long trouble must last before it is told, and be gone before it is over."""

    raise_after: timedelta
    clear_after: timedelta


def _minutes(before: float, after: float) -> Patience:
    return Patience(timedelta(minutes=before), timedelta(minutes=after))


# Ours; each is a few times what the trouble itself needs to show and to go.
PATIENCE: Final[Mapping[Kind, Patience]] = MappingProxyType(
    {
        Kind.DATA_STALE: _minutes(0, 3),  # the age that counts as stale is patience enough
        Kind.DEVICE_LOST: _minutes(2, 3),
        Kind.TARGET_AT_RISK: _minutes(2, 5),  # the guard acts within a minute: what is left after two is news
        Kind.PLAN_LATE: _minutes(0, 0),
        Kind.FORECAST_DEMOTED: _minutes(0, 0),  # judged once a day, with a hysteresis of its own
        Kind.LEDGER_BROKEN: _minutes(0, 0),
        Kind.JOB_FAILED: _minutes(0, 0),
        Kind.JOBS_STOPPED: _minutes(2, 2),
        Kind.BACKUP_OLD: _minutes(0, 0),
        Kind.DISK_LOW: _minutes(5, 30),
    }
)


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """What became of an alert, when; ``by`` is who did it, empty for the service itself."""

    at: datetime
    kind: Kind
    subject: str
    act: Act
    level: Level
    facts: Mapping[str, str]
    by: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as it stands.

    Parameters
    ----------
    since : datetime
        Since when the trouble lasts.
    seen_at, seen_by, note : datetime or None, str, str
        Who acknowledged it, and what they said.
    silent_until : datetime or None
        Nobody is told before then.
    """

    kind: Kind
    subject: str
    state: State
    level: Level
    facts: Mapping[str, str]
    since: datetime
    opened_at: datetime | None
    cleared_at: datetime | None
    seen_at: datetime | None
    seen_by: str
    note: str
    silent_until: datetime | None
    silent_by: str

    def silent(self, now: datetime) -> bool:
        """Whether nobody is told now."""
        return self.silent_until is not None and now < self.silent_until

    @property
    def site(self) -> str:
        """Site that it is about, empty if none."""
        return self.subject.split("/")[0] if self.kind.of_site else ""


class AlertBook:
    """Alerts in a store. One process looks; any number read and acknowledge."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def review(
        self, troubles: Iterable[Trouble], now: datetime, *, looked_for: Collection[Kind] = tuple(Kind)
    ) -> list[AlertEvent]:
        """Take note of what is wrong now, and of what no longer is.

        Parameters
        ----------
        looked_for : collection of Kind
            Kinds that were really looked for: alerts of others stay as they are.
        """
        found = {(one.kind, one.subject): one for one in troubles}
        events: list[AlertEvent] = []
        with self._store.transaction():
            for row in self._store.rows.alerts.find():
                key = _known_kind(row.kind), row.subject
                if key[0] is None:
                    continue  # of another version of the program
                trouble = found.pop((key[0], key[1]), None)
                if trouble is not None:
                    events += self._lasts(row, trouble, now)
                elif key[0] in looked_for:
                    events += self._gone(row, key[0], now)
            for trouble in found.values():
                row = _fresh(trouble, now)
                self._store.rows.alerts.add(row)
                events += self._lasts(row, trouble, now)
            for event in events:
                self._tell(event)
        return events

    def _lasts(self, row: AlertRow, trouble: Trouble, now: datetime) -> list[AlertEvent]:
        facts = canonical_json(dict(trouble.facts))
        if row.state == State.CLEARED:
            fresh = _fresh(trouble, now)
            values = {
                name: getattr(fresh, name)
                for name in ("state", "level", "facts", "since", "opened_at", "cleared_at", "seen_at")
            }
            self._change(row, **values, seen_by="", note="", gone_since=None)
            row = fresh
        level = Level(row.level)
        higher = trouble.level is Level.ALARM and level is Level.WARNING
        level = trouble.level if higher or row.state == State.WAITING else level
        if row.state == State.WAITING:
            wait = PATIENCE[trouble.kind].raise_after if trouble.raise_after is None else trouble.raise_after
            since = min(row.since, now)  # a clock that was put back must not make it wait for ever
            if now - since < wait:
                self._change(row, level=level.value, facts=facts, since=since, gone_since=None)
                return []
            self._change(
                row, state=State.OPEN.value, level=level.value, facts=facts, opened_at=now, gone_since=None
            )
            return [_event(Act.OPENED, trouble, level, now)]
        if higher:  # worse than what was acknowledged: it is to be looked at again
            self._change(
                row, level=level.value, facts=facts, gone_since=None, seen_at=None, seen_by="", note=""
            )
            return [_event(Act.RAISED, trouble, level, now)]
        if facts != row.facts or row.gone_since is not None:
            self._change(row, facts=facts, gone_since=None)
        return []

    def _gone(self, row: AlertRow, kind: Kind, now: datetime) -> list[AlertEvent]:
        if row.state == State.WAITING:
            self._store.rows.alerts.remove(kind=row.kind, subject=row.subject)
            return []
        if row.state == State.CLEARED:
            return []
        gone_since = now if row.gone_since is None else min(row.gone_since, now)
        if now - gone_since < PATIENCE[kind].clear_after:
            if gone_since != row.gone_since:
                self._change(row, gone_since=gone_since)
            return []
        self._change(row, state=State.CLEARED.value, cleared_at=now, gone_since=None, silent_until=None)
        trouble = Trouble(kind=kind, subject=row.subject, facts=json.loads(row.facts))
        return [_event(Act.CLEARED, trouble, Level(row.level), now)]

    def acknowledge(self, kind: str, subject: str, *, by: str, note: str, at: datetime) -> Alert:
        """Somebody has seen an open alert and takes care; the first one stays on record.

        Raises
        ------
        ConfigError
            If no such alert is open, or the note is too long.
        """
        note = _sound_note(note)
        with self._store.transaction():
            alert = self._open(kind, subject)
            if alert.seen_at is None:
                self._change(_key(alert), seen_at=at, seen_by=by, note=note)
                self._acted(alert, Act.SEEN, by=by, note=note, at=at)
            return self._open(kind, subject)

    def silence(self, kind: str, subject: str, *, by: str, until: datetime, at: datetime) -> Alert:
        """Tell nobody about an open alert until a time; it stays on the page.

        Raises
        ------
        ConfigError
            If no such alert is open, or the time is past or more than 31 days ahead.
        """
        if not at < until <= at + _LONGEST_SILENCE:
            raise ConfigError(
                "an alert is silent until a time within the next 31 days",
                where=until.isoformat(),
                hint="choose a nearer time; what is meant to stay is no alert",
            )
        with self._store.transaction():
            alert = self._open(kind, subject)
            self._change(_key(alert), silent_until=until, silent_by=by)
            self._acted(alert, Act.SILENCED, by=by, note=until.isoformat(), at=at)
            return self._open(kind, subject)

    def alerts(self, state: State = State.OPEN) -> list[Alert]:
        """Alerts of a state: alarms first, then those not seen, then the newest."""
        found = [
            _read(row)
            for row in self._store.rows.alerts.find(state=state.value)
            if _known_kind(row.kind) is not None
        ]
        return sorted(
            found,
            key=lambda one: (
                one.level is not Level.ALARM,
                one.seen_at is not None,
                -(one.cleared_at or one.opened_at or one.since).timestamp(),
            ),
        )

    def _open(self, kind: str, subject: str) -> Alert:
        row = self._store.rows.alerts.one(kind=kind, subject=subject, state=State.OPEN.value)
        if row is None or _known_kind(kind) is None:
            raise ConfigError(
                "no such alert is open",
                where=f"{kind} {subject}".strip()[:120],
                hint="it may be over already: vpp alert list",
            )
        return _read(row)

    def _change(self, row: AlertRow | tuple[str, str], **values: str | int | datetime | None) -> None:
        kind, subject = row if isinstance(row, tuple) else (row.kind, row.subject)
        self._store.rows.alerts.change({"kind": kind, "subject": subject}, **values)

    def _acted(self, alert: Alert, act: Act, *, by: str, note: str, at: datetime) -> None:
        self._tell(AlertEvent(at, alert.kind, alert.subject, act, alert.level, alert.facts, by, note))
        facts = {"level": alert.level.value, "note": note}
        self._store.audit(by, f"alert.{act.value}", f"alert/{alert.kind}/{alert.subject}", at=at, facts=facts)

    def _tell(self, event: AlertEvent) -> None:
        told = {
            "act": event.act.value,
            "level": event.level.value,
            "facts": dict(event.facts),
            "by": event.by,
            "note": event.note,
        }
        key = f"{event.at.strftime(_STAMP)}/{event.kind.value}/{event.act.value}/{event.subject}"
        self._store.put_document(ALERT_EVENT, key, known_at=event.at, body=canonical_json(told))
        facts = {"kind": event.kind.value, "subject": event.subject, "level": event.level.value}
        log.warning(f"alert.{event.act.value}", extra={"facts": facts})  # noqa: G004 - an event's name


def events_since(known: Snapshot, since: datetime) -> Iterator[AlertEvent]:
    """What became of alerts after an instant, oldest first."""
    day, last = since.date(), known.known_until.date()
    if last - day > timedelta(days=31):
        day = last - timedelta(days=31)  # what is older is no news
    while day <= last:
        yield from (one for one in _events_of(known, day) if one.at > since)
        day += timedelta(days=1)


def _events_of(known: Snapshot, day: date) -> Iterator[AlertEvent]:
    for document in known.documents(ALERT_EVENT, prefix=f"{day:%Y%m%d}"):
        _, kind, act, subject = document.key.split("/", 3)
        if _known_kind(kind) is not None:
            told = json.loads(document.body)
            yield AlertEvent(
                document.known_at,
                Kind(kind),
                subject,
                Act(act),
                Level(told["level"]),
                told["facts"],
                told["by"],
                told["note"],
            )


_KINDS: Final = MappingProxyType({kind.value: kind for kind in Kind})


def _known_kind(kind: str) -> Kind | None:
    return _KINDS.get(kind)


def _key(alert: Alert) -> tuple[str, str]:
    return alert.kind.value, alert.subject


def _fresh(trouble: Trouble, now: datetime) -> AlertRow:
    return AlertRow(
        kind=trouble.kind.value,
        subject=trouble.subject,
        state=State.WAITING.value,
        level=trouble.level.value,
        facts=canonical_json(dict(trouble.facts)),
        since=now,
    )


def _event(act: Act, trouble: Trouble, level: Level, now: datetime) -> AlertEvent:
    return AlertEvent(now, trouble.kind, trouble.subject, act, level, dict(trouble.facts))


def _read(row: AlertRow) -> Alert:
    return Alert(
        kind=Kind(row.kind),
        subject=row.subject,
        state=State(row.state),
        level=Level(row.level),
        facts=json.loads(row.facts),
        since=row.since,
        opened_at=row.opened_at,
        cleared_at=row.cleared_at,
        seen_at=row.seen_at,
        seen_by=row.seen_by,
        note=row.note,
        silent_until=row.silent_until,
        silent_by=row.silent_by,
    )


def _sound_note(note: str) -> str:
    note = " ".join(note.split())
    if len(note) > _LONGEST_NOTE or not note.isprintable():
        raise ConfigError(
            f"a note has at most {_LONGEST_NOTE} characters",
            where=f"{len(note)} characters",
            hint="shorten it",
        )
    return note
