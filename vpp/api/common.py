"""What all nouns share: ids, instants, pages with cursors, CSV beside JSON, documented errors."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import APIRouter, Path, Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from energy.core.clock import require_aware
from energy.core.errors import DataError
from energy.store import Snapshot
from vpp.http.access import Access, GuardedRoute
from vpp.http.problems import PROBLEM_TYPE, STATUS, Problem

__all__ = [
    "CSV",
    "Answer",
    "AssetId",
    "Cursor",
    "Form",
    "FromQuery",
    "Instant",
    "Limit",
    "ProblemBody",
    "SiteId",
    "ToQuery",
    "csv_answer",
    "json_answer",
    "known_now",
    "noun",
    "page_of",
    "stretch",
    "wants_csv",
]

T = TypeVar("T")
_ID: Final = r"^[a-z0-9][a-z0-9_-]{0,63}$"
LONGEST: Final = timedelta(days=400)


def _aware(instant: datetime) -> datetime:
    """Refuse an instant without offset, and years that no calendar of ours reaches."""
    if not 1990 <= instant.year <= 2200:
        msg = "the year lies outside 1990 to 2200"
        raise ValueError(msg)
    return require_aware(instant)


Instant = Annotated[datetime, AfterValidator(_aware)]
SiteId = Annotated[str, Path(pattern=_ID, description="Id of a site.", examples=["kitakata"])]
AssetId = Annotated[str, Path(pattern=_ID, description="Id of an asset of the site.", examples=["meter"])]
Cursor = Annotated[str | None, Query(max_length=300, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=10_000, description="Most rows of a page.")]
Form = Annotated[Literal["json", "csv"] | None, Query(description="Form; else the Accept header decides.")]
FromQuery = Annotated[
    Instant | None,
    Query(alias="from", description="First instant, with offset.", examples=["2026-01-19T00:00:00+09:00"]),
]
ToQuery = Annotated[Instant | None, Query(alias="to", description="End (not included), with offset.")]


class Answer(BaseModel):
    """Base of all documents of the API."""

    model_config = ConfigDict(extra="forbid")


class ProblemBody(BaseModel):
    """What went wrong (RFC 9457), in the language of the caller."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[str, Field(examples=["urn:aizu-vpp:problem:not_found"])]
    title: str
    status: int
    detail: str
    code: Annotated[str, Field(description="Stable name of the problem.", examples=sorted(STATUS))]
    request_id: str
    said: str = ""
    errors: list[dict[str, str]] = Field(default_factory=list)


def _documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {
        status: {
            "description": ", ".join(sorted(code for code, one in STATUS.items() if one == status)),
            "content": {PROBLEM_TYPE: {"schema": schema}},
        }
        for status in statuses
    }


def noun(name: str, *, prefix: str = "/api/v1") -> APIRouter:
    """A router whose routes ask the table of rights, and document every problem they can have."""
    return APIRouter(
        prefix=prefix,
        tags=[name],
        route_class=GuardedRoute,
        responses=_documented(400, 401, 403, 404, 409, 413, 415, 421, 422, 429, 503),
    )


def known_now(access: Access, as_of: datetime | None = None) -> Snapshot:
    """What is known now, or was at an earlier instant."""
    now = access.service.clock.now()
    return access.service.store.as_of(now if as_of is None else min(as_of, now))


def stretch(
    start: datetime | None,
    end: datetime | None,
    *,
    newest: datetime,
    usual: timedelta,
    longest: timedelta = LONGEST,
) -> tuple[datetime, datetime]:
    """The stretch asked for; the last of the usual length if nothing is said.

    Raises
    ------
    DataError
        If it ends before it begins, or is too long.
    """
    last = end or (newest if start is None else start + usual)
    first = start or last - usual
    if not first < last:
        raise DataError(
            "from lies before to", where=f"{first.isoformat()}, {last.isoformat()}", hint="swap them"
        )
    if last - first > longest:
        raise DataError(
            "too long a stretch", where=f"{(last - first).days} days", hint=f"at most {longest.days} days"
        )
    return first, last


def page_of(
    rows: Sequence[T],
    cursor: str | None,
    limit: int,
    *,
    key: Any,  # Any: gives a text that sorts like the rows
) -> tuple[list[T], str | None]:
    """Rows after a cursor, at most so many, and the cursor of the next page."""
    after = "" if cursor is None else read_cursor(cursor)
    left = [row for row in rows if key(row) > after]
    shown = left[:limit]
    return shown, write_cursor(key(shown[-1])) if len(left) > limit else None


def write_cursor(key: str) -> str:
    """A cursor: where to go on, opaque to the caller."""
    return base64.urlsafe_b64encode(json.dumps({"after": key}).encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> str:
    """Where to go on.

    Raises
    ------
    Problem
        If it is none of ours.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        after = json.loads(base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True))["after"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise Problem("bad_cursor") from None
    if not isinstance(after, str):
        raise Problem("bad_cursor")
    return after


def wants_csv(request: Request, form: str | None) -> bool:
    """Whether the caller wants CSV."""
    return form == "csv" or (form is None and request.headers.get("accept", "").startswith("text/csv"))


def json_answer(answer: Answer, *, status: int = 200) -> Response:
    """A document whose values come from the store, written as it is.

    For what is asked often: what an endpoint returns otherwise is checked once more, in another visit to a
    worker, for which it waits again.
    """
    return Response(answer.model_dump_json(), status, media_type="application/json")


def csv_answer(columns: Sequence[str], rows: Iterable[Mapping[str, object]], *, name: str) -> Response:
    """Rows as CSV: UTF-8 with byte-order mark, so that spreadsheets read Japanese; no cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return Response(
        "\ufeff" + out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text[:1] in {"=", "+", "-", "@", "\t", "\r"} else value


CSV: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}
"""That a route can also answer with CSV."""
