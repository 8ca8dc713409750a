"""Writes that are done once, and answers that are sent only when they changed.

``Idempotency-Key``: the first request under a key is done, a second one gets the same answer again. A key
with another request is refused. ``ETag``: the digest of what would be sent; who has it gets 304.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from energy.store import WriteRow
from vpp.http.problems import Problem
from vpp.http.service import Service
from vpp.people.roles import Account

__all__ = ["REMEMBERED", "conditional", "forget_old", "once"]

REMEMBERED: Final = timedelta(days=1)
_KEY: Final = re.compile(r"[A-Za-z0-9_-]{8,80}")
_RUNS_AT_MOST: Final = timedelta(minutes=2)
# Of writes alone: claiming a key does not wait behind everybody who reads. One writes at a time anyway.
_WORKERS: Final = ThreadPoolExecutor(4, thread_name_prefix="vpp-claim")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
T = TypeVar("T")


def conditional(request: Request, response: Response) -> Response:
    """The answer, or 304 if the caller has it already."""
    if request.method != "GET" or response.status_code != 200 or not isinstance(response.body, bytes):
        return response
    tag = f'"{hashlib.sha256(response.body).hexdigest()[:32]}"'
    headers = {
        "ETag": tag,
        "Cache-Control": "private, no-cache",
        "Vary": "Authorization, Cookie, Accept, Accept-Language",
    }
    wanted = [one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")]
    if tag in wanted or "*" in wanted:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return response


async def once(request: Request, inner: Handler, service: Service, account: Account) -> Response:
    """Do a write under its key, or give the answer of the first time."""
    key = request.headers.get("idempotency-key", "")
    if not _KEY.fullmatch(key):
        raise Problem("key_missing")
    body = await request.body()
    said = b"\0".join((request.method.encode(), request.url.path.encode(), request.url.query.encode(), body))
    digest = hashlib.sha256(said).hexdigest()
    known = await _apart(lambda: _claim(service, account.id, key, digest))
    if known is not None:
        return Response(
            known.body,
            known.status or 500,
            media_type=known.content_type,
            headers={"Idempotent-Replay": "true"},
        )
    try:
        response = await inner(request)
    except BaseException:
        await _apart(lambda: service.store.rows.writes.remove(account=account.id, key=key))
        raise
    text = bytes(response.body).decode()
    status, kind = response.status_code, response.media_type
    await _apart(lambda: _remember(service, account.id, key, status, text, kind))
    return response


async def _apart(act: Callable[[], T]) -> T:
    """Do it in a worker that reading does not use."""
    return await asyncio.get_running_loop().run_in_executor(_WORKERS, act)


def _claim(service: Service, account: str, key: str, digest: str) -> WriteRow | None:
    """None if the write is ours to do; else how it ended."""
    now = service.clock.now()
    writes = service.store.rows.writes
    if writes.add(WriteRow(account=account, key=key, request=digest, made_at=now)):
        return None
    known = writes.one(account=account, key=key)
    if known is None:
        raise Problem("key_running", headers={"Retry-After": "1"})
    if known.request != digest:
        raise Problem("key_reused")
    if known.status is not None:
        return known
    # A process that died in the middle leaves its claim. The writes themselves are idempotent, so that
    # doing it again does no harm; only two at the same time must not be.
    gone = abs(now - known.made_at) > _RUNS_AT_MOST
    if gone and writes.change({"account": account, "key": key, "made_at": known.made_at}, made_at=now):
        return None
    raise Problem("key_running", headers={"Retry-After": "1"})


def _remember(
    service: Service, account: str, key: str, status: int, text: str, media_type: str | None
) -> None:
    service.store.rows.writes.change(
        {"account": account, "key": key}, status=status, content_type=media_type, body=text
    )


def forget_old(service: Service) -> int:
    """Take away answers that nobody will ask for again; a job calls it."""
    old = service.store.rows.writes.up_to("made_at", service.clock.now() - REMEMBERED)
    return sum(service.store.rows.writes.remove(account=one.account, key=one.key) for one in old)
