"""Webhooks of a company, or of people of the service: made, listed, ended, and the log of what was sent."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import Field
from starlette.requests import Request

from energy.store import HookMessageRow, HookRow
from vpp.api.common import Answer, Cursor, Limit, noun, page_of
from vpp.http.access import Access, access_of, guarded
from vpp.http.problems import Problem
from vpp.ops.webhooks import check_url, new_signing_key
from vpp.people.keys import new_id

__all__ = ["hooks"]

hooks = noun("webhooks")

Kind = Literal["forecast.delivered", "settlement.kept", "alert.opened", "alert.cleared"]
HookId = Annotated[str, Path(pattern=r"^[0-9a-f]{12}$", description="Id of a webhook.")]
_MOST = 10


class NewHook(Answer):
    """An address that wants to be told."""

    url: Annotated[str, Field(max_length=500, examples=["https://retail.example/vpp"])]
    kinds: Annotated[list[Kind], Field(min_length=1, max_length=4)]


class Hook(Answer):
    """A webhook; its key is shown once, when it is made."""

    id: str
    url: str
    kinds: list[Kind]
    created_at: datetime
    signing_key: str | None = None


class Hooks(Answer):
    """Webhooks of the caller."""

    items: list[Hook]


class Message(Answer):
    """One message, and what became of it."""

    id: str
    kind: Kind
    created_at: datetime
    tries: int
    status: int | None
    fault: str
    sent_at: datetime | None
    due_at: Annotated[datetime | None, Field(description="Next try; none once it arrived or was given up.")]


class Messages(Answer):
    """Messages, oldest first."""

    items: list[Message]
    next: str | None = None


def _mine(access: Access, hook: str) -> HookRow:
    found = access.service.store.rows.hooks.one(id=hook, account=access.who.id, ended_at=None)
    if found is None:
        raise Problem("not_found")
    return found


def _shown(row: HookRow, *, key: bool = False) -> Hook:
    return Hook(
        id=row.id,
        url=row.url,
        kinds=json.loads(row.kinds),
        created_at=row.created_at,
        signing_key=row.signing_key if key else None,
    )


@hooks.get("/webhooks")
@guarded("webhook")
def list_hooks(request: Request) -> Hooks:
    """Webhooks of the caller."""
    access = access_of(request)
    rows = access.service.store.rows.hooks.find(account=access.who.id, ended_at=None)
    return Hooks(items=[_shown(row) for row in rows])


@hooks.post("/webhooks", status_code=201)
@guarded("webhook-write")
def make_hook(request: Request, body: NewHook) -> Hook:
    """Make a webhook. It is told of what becomes known from now on; messages are signed with its key."""
    access = access_of(request)
    check_url(body.url, access.service.settings.webhook_hosts)
    rows, now = access.service.store.rows.hooks, access.service.clock.now()
    if len(rows.find(account=access.who.id, ended_at=None)) >= _MOST:
        raise Problem("conflict", said=f"at most {_MOST} webhooks: end one first")
    row = HookRow(
        id=new_id(),
        account=access.who.id,
        url=body.url,
        signing_key=new_signing_key(),
        kinds=json.dumps(sorted(set(body.kinds))),
        created_at=now,
        seen_until=now,
    )
    with access.service.store.transaction():
        rows.add(row)
        access.audit("webhook.made", f"webhook/{row.id}", kinds=sorted(set(body.kinds)))
    return _shown(row, key=True)


@hooks.delete("/webhooks/{hook}")
@guarded("webhook-write")
def end_hook(request: Request, hook: HookId) -> Hook:
    """End a webhook: nothing more is sent."""
    access = access_of(request)
    row = _mine(access, hook)
    with access.service.store.transaction():
        now = access.service.clock.now()
        access.service.store.rows.hooks.change({"id": row.id, "ended_at": None}, ended_at=now)
        access.audit("webhook.ended", f"webhook/{row.id}")
    return _shown(row)


@hooks.get("/webhooks/{hook}/messages")
@guarded("webhook")
def list_messages(request: Request, hook: HookId, cursor: Cursor = None, limit: Limit = 100) -> Messages:
    """The log of a webhook: what was sent, how often, what came back."""
    access = access_of(request)
    row = _mine(access, hook)
    found = sorted(access.service.store.rows.messages.find(hook=row.id), key=_order)
    shown, more = page_of(found, cursor, limit, key=_order)
    items = [
        Message.model_validate(
            {
                "id": one.id,
                "kind": one.kind,
                "created_at": one.created_at,
                "tries": one.tries,
                "status": one.answer,
                "fault": one.fault,
                "sent_at": one.sent_at,
                "due_at": one.due_at,
            }
        )
        for one in shown
    ]
    return Messages(items=items, next=more)


def _order(row: HookMessageRow) -> str:
    return f"{row.created_at.isoformat()} {row.id}"
