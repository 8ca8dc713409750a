"""Alerts: what is wrong now, acknowledged and silenced by name."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from energy.core.errors import ConfigError
from vpp.api.common import Answer, Cursor, Instant, Limit, noun, page_of
from vpp.http.access import Access, access_of, guarded
from vpp.http.alerted import sees
from vpp.http.problems import Problem
from vpp.i18n import Messages
from vpp.ops.alerts import Alert, AlertBook, Kind, Level, State
from vpp.ops.alerts_tell import alert_sentence

__all__ = ["alerts"]

alerts = noun("alerts")

Subject = Annotated[str, Field(max_length=300, description="As in the list.", examples=["kitakata/leaf"])]


class AlertBody(Answer):
    """One alert as it stands."""

    kind: Annotated[Kind, Field(examples=["device_lost"])]
    subject: Annotated[str, Field(description="What it is about; empty: the whole service.")]
    state: State
    level: Level
    said: Annotated[str, Field(description="What is wrong, in the caller's language.")]
    facts: Annotated[dict[str, str], Field(description="Values of that sentence.")]
    since: datetime
    opened_at: datetime | None
    cleared_at: datetime | None
    seen_at: datetime | None
    seen_by: str
    note: str
    silent_until: datetime | None


class AlertPage(Answer):
    """Alerts, by kind and subject."""

    items: list[AlertBody]
    next: str | None = None


class Acknowledgement(Answer):
    """Somebody takes care."""

    kind: Kind
    subject: Subject
    note: Annotated[str, Field(max_length=300)] = ""


class Silence(Answer):
    """Nobody is told until a time."""

    kind: Kind
    subject: Subject
    until: Instant


def _body(access: Access, alert: Alert) -> AlertBody:
    told = {
        name: getattr(alert, name)
        for name in (
            *("kind", "subject", "state", "level", "since", "opened_at", "cleared_at"),
            *("seen_at", "seen_by", "note", "silent_until"),
        )
    }
    said = alert_sentence(Messages(access.lang), alert)
    return AlertBody.model_validate({**told, "facts": dict(alert.facts), "said": said})


@alerts.get("/alerts")
@guarded("alert")
def list_alerts(
    request: Request,
    state: Annotated[State, Query(description="Open ones if nothing is said.")] = State.OPEN,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> AlertPage:
    """Alerts that the caller may see."""
    access = access_of(request)
    found = [one for one in AlertBook(access.service.store).alerts(state) if sees(access.who, one)]
    shown, more = page_of(sorted(found, key=_name), cursor, limit, key=_name)
    return AlertPage(items=[_body(access, one) for one in shown], next=more)


@alerts.post("/alerts/acknowledgements", status_code=201)
@guarded("alert-write")
def acknowledge(request: Request, body: Acknowledgement) -> AlertBody:
    """Acknowledge an open alert; the first who does stays on record."""
    access = access_of(request)
    _mine(access, body.kind, body.subject)
    book, now = AlertBook(access.service.store), access.service.clock.now()
    seen = _done(
        lambda: book.acknowledge(body.kind.value, body.subject, by=access.who.id, note=body.note, at=now)
    )
    return _body(access, seen)


@alerts.post("/alerts/silences", status_code=201)
@guarded("alert-write")
def silence(request: Request, body: Silence) -> AlertBody:
    """Tell nobody about an open alert until a time."""
    access = access_of(request)
    _mine(access, body.kind, body.subject)
    book, now = AlertBook(access.service.store), access.service.clock.now()
    return _body(
        access,
        _done(
            lambda: book.silence(body.kind.value, body.subject, by=access.who.id, until=body.until, at=now)
        ),
    )


def _mine(access: Access, kind: Kind, subject: str) -> None:
    found = AlertBook(access.service.store).alerts()
    if not any(one.kind is kind and one.subject == subject and sees(access.who, one) for one in found):
        raise Problem("not_found")


def _done(act: Callable[[], Alert]) -> Alert:
    try:
        return act()
    except ConfigError as error:
        raise Problem("conflict", said=error.what) from error


def _name(alert: Alert) -> str:
    return f"{alert.kind.value}/{alert.subject}"
