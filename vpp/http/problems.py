"""What went wrong, as problem+json (RFC 9457) or a page, in the reader's language.

Nothing of the machine stands in an answer: a fault of ours shows a number under which the log has the rest.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from energy.core.errors import ConfigError, ConsentError, DataError, LedgerError, VppError
from vpp.http.languages import chosen
from vpp.i18n import Messages

__all__ = ["PROBLEM_TYPE", "STATUS", "Problem", "answer", "of_error", "wants_page"]

log = logging.getLogger(__name__)

PROBLEM_TYPE: Final = "application/problem+json"
STATUS: Final[Mapping[str, int]] = {
    "bad_request": 400,
    "key_missing": 400,
    "bad_cursor": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "scope_missing": 403,
    "second_factor_needed": 403,
    "consent": 403,
    "stale_form": 403,
    "foreign_page": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "conflict": 409,
    "key_running": 409,
    "withheld": 409,
    "too_large": 413,
    "unsupported_type": 415,
    "wrong_host": 421,
    "invalid": 422,
    "key_reused": 422,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
}
"""Every problem this service knows, and its HTTP status."""


class Problem(Exception):  # noqa: N818 - the word of RFC 9457
    """Something to tell the caller.

    Parameters
    ----------
    code : str
        One of :data:`STATUS`; title and text come from the messages ``problem.CODE``.
    errors : sequence
        Single faults, for forms.
    **facts : object
        Values for the text.
    """

    def __init__(
        self,
        code: str,
        *,
        said: str = "",
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        **facts: object,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.said = said
        self.errors = tuple(errors)
        self.headers = dict(headers or {})
        self.facts = facts

    @property
    def status(self) -> int:
        """HTTP status."""
        return STATUS[self.code]

    def to_json(self, words: Messages, *, request_id: str) -> dict[str, Any]:
        """The document of RFC 9457, with what to do and the number of the request."""
        body: dict[str, Any] = {
            "type": f"urn:aizu-vpp:problem:{self.code}",
            "title": words.text(f"problem.{self.code}.title"),
            "status": self.status,
            "detail": words.text(f"problem.{self.code}.text", **self.facts),
            "code": self.code,
            "request_id": request_id,
        }
        if self.said:
            body["said"] = self.said
        if self.errors:
            body["errors"] = list(self.errors)
        return body


def of_error(error: Exception) -> Problem:
    """The problem that an exception means to the caller."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return Problem("invalid", errors=_faults(error.errors()))
        case HTTPException():
            return _of_status(error)
        case ConsentError():
            return Problem("consent", said=_said(error))
        case ConfigError():
            return Problem("bad_request", said=_said(error))
        case DataError() if "the store" in error.what:
            log.error("store.failed", exc_info=error)
            return Problem("unavailable", headers={"Retry-After": "5"})
        case DataError():
            return Problem("invalid", said=_said(error))
        case LedgerError() | VppError():
            return Problem("conflict", said=_said(error))
        case _:
            log.error("http.bug", exc_info=error)
            return Problem("internal")


def _of_status(error: HTTPException) -> Problem:
    by_status = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_type"}
    code = by_status.get(error.status_code, "bad_request")
    return Problem(code, headers=dict(error.headers or {}))


def _said(error: VppError) -> str:
    what, where, hint = error.lines()
    return "; ".join(part for part in (what, where, hint) if part)


def _faults(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Place and reason of each fault; what was written is not repeated."""
    return [
        {"place": ".".join(str(part) for part in one["loc"]), "fault": str(one["msg"])} for one in errors[:20]
    ]


def wants_page(request: Request) -> bool:
    """Whether a browser asked for a page."""
    machine = request.url.path.startswith(("/api/", "/ngsi-ld/", "/openapi.json", "/metrics", "/health"))
    return not machine and "text/html" in request.headers.get("accept", "")


def answer(request: Request, problem: Problem) -> Response:
    """The problem as an answer."""
    lang = chosen(request.cookies, request.headers.get("accept-language", ""))
    words = Messages(lang)
    request_id = str(getattr(request.state, "request_id", ""))
    headers = {**problem.headers, "Content-Language": lang, "Cache-Control": "no-store"}
    told = problem.to_json(words, request_id=request_id)
    if wants_page(request):
        page: Response = request.app.state.problem_page(request, told, lang=lang, headers=headers)
        return page
    return Response(
        json.dumps(told, ensure_ascii=False), problem.status, headers=headers, media_type=PROBLEM_TYPE
    )
