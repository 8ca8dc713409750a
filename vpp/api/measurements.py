"""Measured series: read as of an instant, written once."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Final

from fastapi import Path
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from energy.core.measurement import Quality
from energy.core.units import series_id
from energy.store import Point
from vpp.api.common import (
    CSV,
    Answer,
    AssetId,
    Cursor,
    Form,
    FromQuery,
    Instant,
    Limit,
    SiteId,
    ToQuery,
    csv_answer,
    json_answer,
    known_now,
    noun,
    read_cursor,
    stretch,
    wants_csv,
    write_cursor,
)
from vpp.http.access import access_of, guarded
from vpp.http.problems import Problem
from vpp.people.rights import About

__all__ = ["measurements"]

measurements = noun("measurements")

Quantity = Annotated[
    str,
    Path(pattern=r"^[a-z0-9][a-z0-9_]{0,63}$", description="Quantity and unit.", examples=["import_kwh"]),
]
_COLUMNS: Final = ("at", "known_at", "value", "quality", "source")
_DAY: Final = timedelta(days=1)


class Value(Answer):
    """One value, and since when it is known."""

    at: Annotated[datetime, Field(examples=["2026-01-19T00:00:00Z"])]
    known_at: datetime
    value: Annotated[float | None, Field(description="In the unit that the quantity ends with.")]
    quality: Quality
    source: str


class Values(Answer):
    """Values of one series, in order."""

    series: Annotated[str, Field(examples=["kitakata/meter/import_kwh"])]
    items: list[Value]
    next: str | None = None


class NewValue(Answer):
    """A value to keep; a correction has the same instant."""

    at: Instant
    value: Annotated[float | None, Field(allow_inf_nan=False, examples=[41.2])]
    quality: Quality = Quality.GOOD


class NewValues(Answer):
    """Values to keep, all of them or none."""

    items: Annotated[list[NewValue], Field(min_length=1, max_length=20_000)]


class Kept(Answer):
    """What was written, and what stood there already."""

    series: str
    written: int
    unchanged: int
    known_at: datetime


@measurements.get("/measurements/{site}/{asset}/{quantity}", response_model=Values, responses=CSV)
@guarded("measurement", About.ASSET)
def get_values(
    request: Request,
    site: SiteId,
    asset: AssetId,
    quantity: Quantity,
    *,
    start: FromQuery = None,
    end: ToQuery = None,
    as_of: Instant | None = None,
    form: Form = None,
    cursor: Cursor = None,
    limit: Limit = 1_000,
) -> Response:
    """Values of a series; the last day if nothing is said. `as_of` shows what was known then."""
    access = access_of(request)
    known = known_now(access, as_of)
    name = series_id(site, asset, quantity)
    newest = known.known_until
    if start is None and end is None:
        span = known.span(name)
        if span is None:
            raise Problem("not_found")
        newest = span[1] + timedelta(microseconds=1)
    first, last = stretch(start, end, newest=newest, usual=_DAY)
    if cursor is not None:
        first = max(first, _after(cursor))
    found = known.values(name, first, last) if first < last else []
    if not found and known.span(name) is None:
        raise Problem("not_found")
    shown = found[:limit]
    more = write_cursor(shown[-1].at.isoformat()) if len(found) > limit else None
    if wants_csv(request, form):
        rows = [{column: getattr(one, column) for column in _COLUMNS} for one in shown]
        answer = csv_answer(_COLUMNS, rows, name=f"{site}-{asset}-{quantity}")
        if more is not None:
            answer.headers["X-Next-Cursor"] = more
        return answer
    items = [
        Value.model_construct(
            at=one.at, known_at=one.known_at, value=one.value, quality=one.quality, source=one.source
        )
        for one in shown
    ]
    return json_answer(Values.model_construct(series=str(name), items=items, next=more))


def _after(cursor: str) -> datetime:
    try:
        at = datetime.fromisoformat(read_cursor(cursor))
    except ValueError:
        raise Problem("bad_cursor") from None
    if at.tzinfo is None or not 1990 <= at.year <= 2200:
        raise Problem("bad_cursor")
    return at + timedelta(microseconds=1)


@measurements.post("/measurements/{site}/{asset}/{quantity}", status_code=201, response_model=Kept)
@guarded("measurement-write", About.ASSET)
def post_values(
    request: Request, site: SiteId, asset: AssetId, quantity: Quantity, body: NewValues
) -> Response:
    """Keep values of a series. What is known is never changed: a correction is a later version."""
    access = access_of(request)
    now = access.service.clock.now()
    name = series_id(site, asset, quantity)
    points = [
        Point(
            series=name,
            at=one.at,
            known_at=now,
            value=one.value,
            quality=one.quality,
            source=f"api:{access.who.id}",
        )
        for one in body.items
    ]
    with access.service.store.transaction():
        report = access.service.store.append(points)
        access.audit("measurement.written", f"series/{name}", written=report.written)
    kept = Kept(series=str(name), written=report.written, unchanged=report.unchanged, known_at=now)
    return json_answer(kept, status=201)
