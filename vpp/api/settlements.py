"""Settlements: figures with the rules and readings they were made from."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Path
from pydantic import Field
from starlette.requests import Request

from vpp.api.common import Answer, Cursor, Limit, known_now, noun, page_of
from vpp.http.access import Access, access_of, guarded
from vpp.http.problems import Problem
from vpp.settlement.record import SETTLEMENT, SettlementBook

__all__ = ["settlements"]

settlements = noun("settlements")

Part = Annotated[str, Path(min_length=1, max_length=80, pattern=r"^[^/\x00-\x1f]+$")]


class SettlementName(Answer):
    """A settlement that is kept."""

    what: Annotated[str, Field(examples=["bill"])]
    subject: Annotated[str, Field(examples=["kitakata"])]
    period: Annotated[str, Field(examples=["2026-10"])]
    versions: int


class SettlementPage(Answer):
    """Settlements by name."""

    items: list[SettlementName]
    next: str | None = None


class Settlement(Answer):
    """The newest version, as it was kept."""

    what: str
    subject: str
    period: str
    version: int
    content: Annotated[dict[str, Any], Field(description="Figures, their trace, rules, evidence and notes.")]


def _mine(access: Access, subject: str) -> bool:
    own = access.who.objects
    return access.everything or subject in own.sites or (bool(own.party) and subject == own.party)


@settlements.get("/settlements")
@guarded("settlement")
def list_settlements(request: Request, cursor: Cursor = None, limit: Limit = 100) -> SettlementPage:
    """Settlements of the caller's sites or company."""
    access = access_of(request)
    counts: dict[str, int] = {}
    for document in known_now(access).documents(SETTLEMENT):
        name = document.key.rpartition("/v")[0]
        counts[name] = counts.get(name, 0) + 1
    names = [name for name in sorted(counts) if _mine(access, name.split("/")[1])]
    shown, more = page_of(names, cursor, limit, key=str)
    items = []
    for name in shown:
        what, subject, period = name.split("/", 2)
        items.append(SettlementName(what=what, subject=subject, period=period, versions=counts[name]))
    return SettlementPage(items=items, next=more)


@settlements.get("/settlements/{what}/{subject}/{period}")
@guarded("settlement")
def get_settlement(request: Request, what: Part, subject: Part, period: Part) -> Settlement:
    """The newest version of one settlement."""
    access = access_of(request)
    found = SettlementBook(access.service.store).newest(f"{what}/{subject}/{period}")
    if found is None or not _mine(access, subject):
        raise Problem("not_found")
    content = json.loads(json.dumps(found))
    return Settlement(
        what=what, subject=subject, period=period, version=int(content["version"]), content=content
    )
