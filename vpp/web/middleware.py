"""Around every request: a number, limits, headers, one line of log, figures for Prometheus."""

from __future__ import annotations

import json
import logging
import re
import time
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vpp.http.problems import Problem, answer, of_error
from vpp.http.service import Service
from vpp.people.keys import new_id

__all__ = ["CSP", "Around", "JsonLines"]

log = logging.getLogger(__name__)

CSP: Final = (
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)
"""One policy for every answer: nothing inline, nothing from elsewhere, no frames."""

_HEADERS: Final = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_HSTS: Final = "max-age=31536000; includeSubDomains"
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9-]{8,64}")


class Around:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp, *, service: Service) -> None:
        self._app = app
        self._service = service
        self._largest = service.settings.body_mb * 1_000_000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        offered = request.headers.get("x-request-id", "")
        request.state.request_id = offered if _REQUEST_ID.fullmatch(offered) else new_id()
        seen = _Seen(send, self._headers(request.state.request_id))
        began = time.perf_counter()
        self._service.metrics.running.inc()
        try:
            await self._guarded(request, seen)
        finally:
            self._service.metrics.running.dec()
            self._told(scope, seen.status, time.perf_counter() - began, request.state.request_id)

    async def _guarded(self, request: Request, seen: _Seen) -> None:
        try:
            self._admit(request)
            await self._app(request.scope, _Limited(request.receive, self._largest), seen)
        except Exception as error:  # noqa: BLE001 - the last line: a fault becomes an answer, and is logged
            problem = of_error(error)
            if not seen.status:  # else the answer is on its way: only the end of the connection can tell
                await answer(request, problem)(request.scope, request.receive, seen)

    def _admit(self, request: Request) -> None:
        settings = self._service.settings
        host = request.headers.get("host", "").rsplit("@", 1)[-1]
        name = (
            host[: host.index("]")].strip("[") if host.startswith("[") and "]" in host else host.split(":")[0]
        )
        if name not in settings.hosts:
            raise Problem("wrong_host")
        if "\0" in request.scope["path"]:  # no name holds it, and PostgreSQL refuses to look it up
            raise Problem("not_found")
        declared = request.headers.get("content-length", "0")
        if not declared.isascii() or not declared.isdecimal() or int(declared) > self._largest:
            raise Problem("too_large", headers={"Connection": "close"})
        wait = self._service.requests.take(f"address {request.client.host if request.client else ''}")
        if wait:
            raise Problem("rate_limited", headers={"Retry-After": str(wait)}, seconds=wait)

    def _headers(self, request_id: str) -> dict[str, str]:
        headers = {**_HEADERS, "x-request-id": request_id}
        return {**headers, "strict-transport-security": _HSTS} if self._service.settings.secure else headers

    def _told(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        """One line and three figures: the route as it is written, never the address with its names."""
        route = str(getattr(scope.get("route"), "path", "")) or "other"
        method = (
            scope["method"]
            if scope["method"] in {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"}
            else "other"
        )
        self._service.metrics.requests.labels(route, method, str(status)).inc()
        self._service.metrics.seconds.labels(route).observe(seconds)
        facts = {"route": route, "method": method, "status": status, "ms": round(seconds * 1000, 1)}
        log.info("http.request", extra={"facts": {**facts, "request_id": request_id}})


class _Seen:
    """Adds the headers on the way out and remembers the status."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = int(message["status"])
            present = [(name, value) for name, value in message.get("headers", ()) if name != b"server"]
            ours = [(name.encode(), value.encode()) for name, value in self._headers.items()]
            message = {**message, "headers": [*present, *ours]}
        await self._send(message)


class _Limited:
    """Counts what comes in where no length was declared."""

    def __init__(self, receive: Receive, largest: int) -> None:
        self._receive = receive
        self._left = largest

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise HTTPException(413)
        return message


class JsonLines(logging.Formatter):
    """One JSON object per line: when, how bad, what, and the facts; no text of ours holds personal data."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told: dict[str, object] = {
            "at": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        told.update(getattr(record, "facts", {}))
        if record.exc_info:
            told["trace"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False, default=str)
