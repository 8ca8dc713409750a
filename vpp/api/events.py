"""Events of demand response, and a site's answer to them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Path
from pydantic import Field
from starlette.requests import Request

from vpp.api.common import Answer, Cursor, Limit, SiteId, noun, page_of
from vpp.http.access import Access, access_of, guarded
from vpp.http.problems import Problem
from vpp.people.rights import About
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook

__all__ = ["events"]

events = noun("events")

EventId = Annotated[str, Path(pattern=r"^[a-z][a-z0-9-]{0,39}$", description="Id of an event.")]


class SiteCall(Answer):
    """What a site is called for."""

    site: str
    kw: Annotated[float, Field(description="In the direction of the product. [kW]")]
    start: datetime
    end: datetime


class Event(Answer):
    """An event, with the calls that the caller may see."""

    id: str
    product: str
    state: str
    modification: int
    start: datetime
    end: datetime
    announced_at: datetime
    target_kw: Annotated[float | None, Field(description="Of the whole portfolio; for the operator. [kW]")]
    calls: list[SiteCall]
    opted_out: list[str]


class EventPage(Answer):
    """Events by their start."""

    items: list[Event]
    next: str | None = None


class SiteAnswer(Answer):
    """Whether a site takes part. Declining costs nothing."""

    takes_part: bool


def _sites(event: DrEvent) -> set[str]:
    return {one.site for one in event.nominated} | {one.site for one in event.calls} | set(event.opted_out)


def _shown(access: Access, event: DrEvent) -> Event:
    return Event(
        id=event.id,
        product=event.product.value,
        state=event.state.value,
        modification=event.modification,
        start=event.start,
        end=event.end,
        announced_at=event.announced_at,
        target_kw=float(event.target_kw) if access.everything else None,
        calls=[
            SiteCall(site=one.site, kw=float(one.kw), start=one.start, end=one.end)
            for one in event.calls
            if access.sees_site(one.site)
        ],
        opted_out=[site for site in event.opted_out if access.sees_site(site)],
    )


def _seen(access: Access, event: DrEvent) -> bool:
    return access.everything or any(access.sees_site(site) for site in _sites(event))


@events.get("/events")
@guarded("event")
def list_events(request: Request, cursor: Cursor = None, limit: Limit = 100) -> EventPage:
    """Events that concern the caller, by their start."""
    access = access_of(request)
    found = [one for one in EventBook(access.service.store).events() if _seen(access, one)]
    shown, more = page_of(found, cursor, limit, key=lambda one: f"{one.start.isoformat()} {one.id}")
    return EventPage(items=[_shown(access, one) for one in shown], next=more)


@events.get("/events/{event}")
@guarded("event")
def get_event(request: Request, event: EventId) -> Event:
    """One event that concerns the caller."""
    access = access_of(request)
    found = EventBook(access.service.store).find(event)
    if found is None or not _seen(access, found):
        raise Problem("not_found")
    return _shown(access, found)


@events.post("/events/{event}/answers/{site}")
@guarded("event-answer", About.SITE)
def answer_event(request: Request, event: EventId, site: SiteId, body: SiteAnswer) -> Event:
    """A site says no, or yes after all. An event that is over is not changed."""
    access = access_of(request)
    book = EventBook(access.service.store)
    found = book.find(event)
    if found is None or site not in _sites(found):
        raise Problem("not_found")
    now = access.service.clock.now()
    told = book.opt(event, site, takes_part=body.takes_part, at=now, actor=access.who.id)
    return _shown(access, told)
