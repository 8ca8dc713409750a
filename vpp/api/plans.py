"""Plans: what a site's controller meant to do and why, and the half-hour plans that go to the grid."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Final

from fastapi import Query
from pydantic import Field
from starlette.requests import Request

from energy.core.slots import SLOT_LENGTH, Slot
from energy.store import Snapshot
from vpp.api.common import Answer, AssetId, FromQuery, SiteId, ToQuery, known_now, noun, stretch
from vpp.api.sites import asset_kinds
from vpp.http.access import access_of, guarded
from vpp.http.problems import Problem
from vpp.i18n import AssetKind
from vpp.people.rights import About
from vpp.settlement.plan_book import PlanBook
from vpp.site.records import SLOT_RECORD, SlotRecord
from vpp.views.explain import explain_slot

__all__ = ["plans"]

plans = noun("plans")

_LONGEST: Final = timedelta(days=7)
_DAY: Final = timedelta(days=1)
_KINDS: Final[dict[str, AssetKind]] = {"car": "car", "zone": "zone", "pv": "pv", "battery": "battery"}


class PlannedSlot(Answer):
    """What was planned for an asset in a half hour, what held in the end, and why."""

    slot: datetime
    asset: str
    planned_kw: Annotated[float | None, Field(description="Positive into the asset. [kW]")]
    planned_reason: str | None
    held_reason: str
    why: Annotated[list[str], Field(description="In the language of the caller.")]


class PlannedSlots(Answer):
    """Half hours in order."""

    site: str
    items: list[PlannedSlot]


class SlotSummary(Answer):
    """What a site's controller did in a half hour."""

    slot: datetime
    source: Annotated[str, Field(examples=["optimal"])]
    tight: bool
    target_kw: float | None
    guard_minutes: int
    planned_kw: Annotated[dict[str, float], Field(description="By asset. [kW]")]


class SlotSummaries(Answer):
    """Half hours in order."""

    site: str
    items: list[SlotSummary]


class SubmittedPlan(Answer):
    """A version of a half-hour plan."""

    id: str
    day: date
    kind: str
    group: str
    on_behalf_of: str
    state: str
    version: int
    totals_kwh: list[int]


class SubmittedPlans(Answer):
    """Plans of a day."""

    items: list[SubmittedPlan]


def _records(known: Snapshot, site: str, start: datetime, end: datetime) -> list[SlotRecord]:
    slot, found = Slot.containing(start).start, []
    while slot < end:
        document = known.document(SLOT_RECORD, f"{site}/{slot.isoformat()}")
        if document is not None:
            found.append(SlotRecord.from_json(document.body))
        slot += SLOT_LENGTH
    return found


@plans.get("/plans/{site}")
@guarded("plan-site", About.SITE)
def get_slots(request: Request, site: SiteId, start: FromQuery = None, end: ToQuery = None) -> SlotSummaries:
    """What the controller of a site did; the last day if nothing is said, at most seven."""
    access = access_of(request)
    first, last = stretch(start, end, newest=access.service.clock.now(), usual=_DAY, longest=_LONGEST)
    found = _records(known_now(access), site, first, last)
    items = [
        SlotSummary(
            slot=one.slot,
            source=one.source,
            tight=one.tight,
            target_kw=one.target_kw,
            guard_minutes=one.guard_minutes,
            planned_kw={str(point.asset): point.power_kw for point in one.planned},
        )
        for one in found
    ]
    return SlotSummaries(site=site, items=items)


@plans.get("/plans/{site}/{asset}")
@guarded("plan-asset", About.ASSET)
def get_reasons(
    request: Request, site: SiteId, asset: AssetId, start: FromQuery = None, end: ToQuery = None
) -> PlannedSlots:
    """What was planned for an asset and why, in words; the last day if nothing is said, at most seven."""
    access = access_of(request)
    known = known_now(access)
    named = {
        name: (ja, en, _KINDS[kind])
        for name, (ja, en, kind) in asset_kinds(known, site).items()
        if kind in _KINDS
    }
    if asset not in named:
        raise Problem("not_found")
    first, last = stretch(start, end, newest=access.service.clock.now(), usual=_DAY, longest=_LONGEST)
    items = []
    for record in _records(known, site, first, last):
        why = explain_slot(record, asset, names=named, lang=access.lang)
        planned = why.planned
        items.append(
            PlannedSlot(
                slot=why.slot.start,
                asset=asset,
                planned_kw=None if planned is None else planned.power_kw,
                planned_reason=None if planned is None else planned.reason.code.value,
                held_reason=why.held,
                why=list(why.sentences),
            )
        )
    return PlannedSlots(site=site, items=items)


@plans.get("/grid-plans")
@guarded("plan-party")
def list_plans(
    request: Request,
    day: Annotated[date, Query(description="Day of delivery, Japan.", examples=["2026-11-23"])],
) -> SubmittedPlans:
    """Half-hour plans of a day; a retailer sees those that are made on his behalf."""
    access = access_of(request)
    found = PlanBook(access.service.store).day(day.isoformat())
    mine = [one for one in found if access.everything or one.plan.on_behalf_of == access.who.objects.party]
    items = [
        SubmittedPlan(
            id=one.key,
            day=one.plan.day,
            kind=one.plan.kind.value,
            group=one.plan.group,
            on_behalf_of=one.plan.on_behalf_of,
            state=one.state.value,
            version=one.version,
            totals_kwh=list(one.plan.totals_kwh),
        )
        for one in mine
    ]
    return SubmittedPlans(items=items)
