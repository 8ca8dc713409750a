"""The page of alerts: what is wrong now, who takes care, what is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import ConfigError
from vpp.http.access import Access, access_of
from vpp.http.alerted import open_alerts, sees
from vpp.i18n import Messages
from vpp.ops.alerts import Alert, AlertBook, Level, State
from vpp.ops.alerts_tell import alert_sentence
from vpp.people.rights import RULES, reach_of
from vpp.web.doors import fields_of
from vpp.web.pages import Page, go, render

__all__ = ["PAGES"]

_RECENT: Final = timedelta(days=7)
_SILENCES: Final = (1, 8, 24, 168)
"""Choices for a silence. [h]"""
_MOST_OVER: Final = 50


def _shown(words: Messages, alert: Alert, now: datetime) -> dict[str, object]:
    return {
        "kind": alert.kind.value,
        "subject": alert.subject,
        "level": alert.level.value,
        "title": words.text(f"alert.kind.{alert.kind.value}"),
        "sentence": alert_sentence(words, alert),
        "since": words.moment(alert.opened_at or alert.since),
        "seen": ""
        if alert.seen_at is None
        else words.text("alert.seen", by=alert.seen_by, at=words.moment(alert.seen_at)),
        "note": alert.note,
        "over": "" if alert.cleared_at is None else words.moment(alert.cleared_at),
        "silent": ""
        if alert.silent_until is None or not alert.silent(now)
        else words.text("alert.silent", at=words.moment(alert.silent_until)),
    }


def _page(request: Request, *, status: int = 200, said: str = "") -> Response:
    access, words = access_of(request), Messages(access_of(request).lang)
    now = access.service.clock.now()
    found = open_alerts(access.service.store, access.who)
    over = [
        one
        for one in AlertBook(access.service.store).alerts(State.CLEARED)
        if sees(access.who, one) and one.cleared_at is not None and one.cleared_at > now - _RECENT
    ]
    alarms = sum(one.level is Level.ALARM for one in found)
    unseen = sum(one.seen_at is None for one in found)
    lead = words.text("alert.summary", alarms=alarms, warnings=len(found) - alarms, unseen=unseen)
    return render(
        request,
        "alerts.html",
        status=status,
        lead=lead if found else words.text("alert.none"),
        good=not found,
        said=said,
        alerts=[_shown(words, one, now) for one in found],
        over=[_shown(words, one, now) for one in over[:_MOST_OVER]],
        may=reach_of(RULES["alert-write"], access.who) is not None,
        silences=_SILENCES,
    )


def overview(request: Request) -> Response:
    """What is wrong now, and what is over."""
    return _page(request)


async def acknowledge(request: Request) -> Response:
    """Somebody takes care."""
    fields = await fields_of(request)
    return await run_in_threadpool(_acknowledge, request, fields)


def _acknowledge(request: Request, fields: dict[str, str]) -> Response:
    access = access_of(request)
    kind, subject = fields.get("kind", ""), fields.get("subject", "")
    try:
        _mine(access, kind, subject)
        AlertBook(access.service.store).acknowledge(
            kind, subject, by=access.who.id, note=fields.get("note", ""), at=access.service.clock.now()
        )
    except ConfigError as error:
        return _refused(request, error)
    return go("/alerts")


async def silence(request: Request) -> Response:
    """Nobody is told for some hours."""
    fields = await fields_of(request)
    return await run_in_threadpool(_silence, request, fields)


def _silence(request: Request, fields: dict[str, str]) -> Response:
    access, now = access_of(request), access_of(request).service.clock.now()
    kind, subject = fields.get("kind", ""), fields.get("subject", "")
    hours = fields.get("hours", "")
    try:
        if hours not in {str(one) for one in _SILENCES}:
            raise ConfigError("this is none of the choices", where=hours[:20])
        _mine(access, kind, subject)
        until = now + timedelta(hours=int(hours))
        AlertBook(access.service.store).silence(kind, subject, by=access.who.id, until=until, at=now)
    except ConfigError as error:
        return _refused(request, error)
    return go("/alerts")


def _mine(access: Access, kind: str, subject: str) -> None:
    """Refuse an alert that is not open, or is about somebody else's site: whether it is, is not said.

    Raises
    ------
    ConfigError
        In the same words for both.
    """
    if not any(
        one.kind.value == kind and one.subject == subject
        for one in open_alerts(access.service.store, access.who)
    ):
        raise ConfigError("no such alert is open", hint="it may be over already")


def _refused(request: Request, error: ConfigError) -> Response:
    words = Messages(access_of(request).lang)
    over = error.what.startswith("no such alert")
    said = words.text("alert.not_open") if over else words.text("alert.refused", why=error.what)
    return _page(request, status=409 if over else 422, said=said)


PAGES: Final = (
    Page(path="/alerts", endpoint=overview, rule="alert", nav="alert.title"),
    Page(path="/alerts/acknowledge", endpoint=acknowledge, rule="alert-write", method="POST"),
    Page(path="/alerts/silence", endpoint=silence, rule="alert-write", method="POST"),
)
