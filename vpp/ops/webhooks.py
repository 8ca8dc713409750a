"""Telling others: signed, retried, written down.

Form and signature are those of Standard Webhooks [1]_: the header ``webhook-signature`` holds ``v1,`` and the
base64 of HMAC-SHA256 over ``id.timestamp.body``. A message that does not arrive is tried again after 5 s,
5 min, 30 min, 2 h, 5 h and 10 h; then it is given up, and its log line says so.

References
----------
.. [1] https://www.standardwebhooks.com, version 1.0.0.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import json
import logging
import secrets
import socket
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

import httpx2

from energy.core.clock import Clock
from energy.core.errors import ConfigError
from energy.store import HookMessageRow, HookRow, Snapshot, Store
from vpp.forecasts.delivery import DELIVERY
from vpp.ops.alerts import Act, events_since
from vpp.people.keys import new_id
from vpp.people.roles import Account, Role, account_of
from vpp.settlement.record import SETTLEMENT

__all__ = [
    "KINDS",
    "RETRY_AFTER",
    "Send",
    "check_url",
    "http_send",
    "new_signing_key",
    "signature",
    "tell_all",
]

log = logging.getLogger(__name__)

KINDS: Final = ("forecast.delivered", "settlement.kept", "alert.opened", "alert.cleared")
"""What can be told: a new version of a forecast sum, a new version of a settlement of the company; to people
of the service itself: an alert that began or became worse, and one that is over."""
RETRY_AFTER: Final = tuple(timedelta(seconds=s) for s in (5, 300, 1_800, 7_200, 18_000, 36_000))
_TIMEOUT_S: Final = 10.0
_PER_ROUND: Final = 100
_KEY_PREFIX: Final = "whsec_"
Send = Callable[[str, bytes, dict[str, str]], int]
"""Sends a body with headers to an address and gives the HTTP status; raises OSError if nothing came back."""


def new_signing_key() -> str:
    """A key for signatures, in the form that libraries for Standard Webhooks take."""
    return _KEY_PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def signature(key: str, message: str, at: datetime, body: bytes) -> str:
    """Signature of a message."""
    signed = b".".join((message.encode(), str(int(at.timestamp())).encode(), body))
    mac = hmac.new(base64.b64decode(key.removeprefix(_KEY_PREFIX)), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(mac.digest()).decode()}"


def check_url(url: str, allowed: tuple[str, ...]) -> None:
    """Refuse an address that a webhook must not call: not TLS, or inside a private network.

    Parameters
    ----------
    allowed : tuple of str
        Hosts for which neither holds (``web.webhook_hosts``).

    Raises
    ------
    ConfigError
        With the reason.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
    except ValueError:
        host, port, parts = "", 0, urlsplit("")
    if (
        not host
        or not url.isprintable()
        or parts.username
        or parts.scheme not in {"http", "https"}
        or len(url) > 500
    ):
        raise ConfigError("this is no address to call", where="url", hint="write https://host/path")
    if host in allowed:
        return
    if parts.scheme != "https":
        raise ConfigError("webhooks go over TLS", where=host, hint="write https://…")
    try:
        found = {ipaddress.ip_address(one[4][0]) for one in socket.getaddrinfo(host, port)}
    except (OSError, UnicodeError, ValueError):
        raise ConfigError("nobody knows this host", where=host, hint="check its name") from None
    if not all(address.is_global for address in found):
        raise ConfigError(
            "this host lies inside a private network",
            where=host,
            hint="an administrator can allow it (web.webhook_hosts)",
        )


def http_send(url: str, body: bytes, headers: dict[str, str]) -> int:
    """Send over HTTP; redirects are not followed, what is answered is not read."""
    try:
        with (
            httpx2.Client(timeout=_TIMEOUT_S, follow_redirects=False) as client,
            client.stream("POST", url, content=body, headers=headers) as answer,
        ):
            return int(answer.status_code)
    except httpx2.HTTPError as error:
        raise OSError(type(error).__name__) from error


def tell_all(
    store: Store, clock: Clock, *, send: Send = http_send, allowed: tuple[str, ...] = ()
) -> tuple[int, int]:
    """Find what is new for each webhook and send what is due.

    Returns
    -------
    tuple of int
        Messages that arrived, and messages that did not in this round.
    """
    for hook in store.rows.hooks.find(ended_at=None):
        _notice(store, hook, clock.now())
    arrived = failed = 0
    for message in store.rows.messages.up_to("due_at", clock.now(), limit=_PER_ROUND):
        if _deliver(store, message, clock.now(), send, allowed):
            arrived += 1
        else:
            failed += 1
    return arrived, failed


def _notice(store: Store, hook: HookRow, now: datetime) -> None:
    """Make a message of everything that became known since the last look; one event, one message."""
    owner = store.rows.accounts.one(id=hook.account)
    if owner is None:
        return
    news = list(_news(store, account_of(owner), hook.seen_until, now))
    kinds = json.loads(hook.kinds)
    with store.transaction():
        for kind, event, at, told in news:
            if kind in kinds and at > hook.seen_until:
                body = json.dumps(
                    {"type": kind, "timestamp": at.isoformat(), "data": told}, ensure_ascii=False
                )
                store.rows.messages.add(
                    HookMessageRow(
                        id=f"msg_{new_id()}",
                        hook=hook.id,
                        event=event,
                        kind=kind,
                        body=body,
                        created_at=now,
                        due_at=now,
                    )
                )
        # Not a look at the clock but at what is known: nothing that is written later is passed over.
        newest = max((at for _, _, at, _ in news), default=hook.seen_until)
        if newest > hook.seen_until:
            store.rows.hooks.change({"id": hook.id}, seen_until=newest)


def _news(
    store: Store, owner: Account, since: datetime, now: datetime
) -> Iterator[tuple[str, str, datetime, dict[str, str]]]:
    known = store.as_of(now)
    if owner.role in {Role.OPERATOR, Role.ADMINISTRATOR}:
        yield from _alerts(known, since)
    party = owner.objects.party
    if not party:
        return
    for document in known.documents(DELIVERY, prefix=f"{party}/"):
        _, target, day, version = document.key.split("/")
        told = {"target": target, "day": day, "version": str(int(version))}
        yield "forecast.delivered", document.key, document.known_at, told
    for document in known.documents(SETTLEMENT):
        what, subject, period, version = document.key.split("/")
        if subject == party:
            told = {"what": what, "period": period, "version": version.removeprefix("v")}
            yield "settlement.kept", document.key, document.known_at, told


def _alerts(known: Snapshot, since: datetime) -> Iterator[tuple[str, str, datetime, dict[str, str]]]:
    for one in events_since(known, since):
        kind = {Act.OPENED: "alert.opened", Act.RAISED: "alert.opened", Act.CLEARED: "alert.cleared"}.get(
            one.act
        )
        if kind is not None:
            told = {"kind": one.kind.value, "subject": one.subject, "level": one.level.value, **one.facts}
            event = f"{one.at.isoformat()}/{one.kind.value}/{one.act.value}/{one.subject}"
            yield kind, event, one.at, told


def _deliver(
    store: Store, message: HookMessageRow, now: datetime, send: Send, allowed: tuple[str, ...]
) -> bool:
    hook = store.rows.hooks.one(id=message.hook)
    if hook is None or hook.ended_at is not None:
        store.rows.messages.change({"id": message.id}, due_at=None, fault="the webhook has ended")
        return False
    body = message.body.encode()
    headers = {
        "content-type": "application/json",
        "user-agent": "aizu-vpp",
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": signature(hook.signing_key, message.id, now, body),
    }
    status, fault = 0, ""
    try:
        check_url(hook.url, allowed)  # again: names can point elsewhere by now
        status = send(hook.url, body, headers)
    except (OSError, ConfigError) as error:
        fault = error.what if isinstance(error, ConfigError) else str(error)
    arrived = 200 <= status < 300
    tries = message.tries + 1
    again = None if arrived or tries > len(RETRY_AFTER) else now + RETRY_AFTER[tries - 1]
    store.rows.messages.change(
        {"id": message.id},
        tries=tries,
        answer=status or None,
        fault=fault[:200] if arrived or again else f"given up: {fault or status}"[:200],
        due_at=again,
        sent_at=now if arrived else None,
    )
    log.info(
        "webhook.sent" if arrived else "webhook.failed", extra={"facts": {"tries": tries, "status": status}}
    )
    return arrived
