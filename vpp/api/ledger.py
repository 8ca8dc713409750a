"""Coins: what a car earned and why; all accounts for operator and auditor."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field
from starlette.requests import Request

from energy.ledger import Journal
from energy.ledger.journal import Entry
from vpp.api.common import Answer, AssetId, Cursor, Limit, SiteId, known_now, noun, page_of
from vpp.api.sites import only_here
from vpp.people.rights import About
from vpp.web.access import access_of, guarded

__all__ = ["ledger"]

ledger = noun("ledger")


class Balance(Answer):
    """Balance of an account."""

    account: Annotated[str, Field(examples=["driver/yamada"])]
    points: int


class BalancePage(Answer):
    """Accounts by name."""

    items: list[Balance]
    next: str | None = None


class CarEntry(Answer):
    """One booking for a car."""

    key: str
    at: datetime
    points: Annotated[int, Field(description="What was given; a reversal takes it back.")]
    memo: str
    facts: Annotated[dict[str, str | int | None], Field(examples=[{"kwh": "3.2", "rule": "tight-2026"}])]


class CarEntries(Answer):
    """Bookings for a car, oldest first."""

    car: str
    points: int
    items: list[CarEntry]


@ledger.get("/ledger")
@guarded("ledger-all")
def list_balances(request: Request, cursor: Cursor = None, limit: Limit = 100) -> BalancePage:
    """Balances of all accounts."""
    found = list(Journal(access_of(request).service.store).balances().items())
    shown, more = page_of(found, cursor, limit, key=lambda one: one[0])
    return BalancePage(items=[Balance(account=name, points=points) for name, points in shown], next=more)


@ledger.get("/ledger/{site}/{asset}")
@guarded("ledger", About.ASSET)
def get_car(request: Request, site: SiteId, asset: AssetId) -> CarEntries:
    """What a car earned, with the kWh and the rule of each booking."""
    access = access_of(request)
    default = site if only_here(known_now(access), asset) else ""
    journal = Journal(access.service.store)
    entries = [one for one in journal.entries() if _about(one, site, asset, default)]
    items = [
        CarEntry(key=one.key, at=one.at, points=_given(one), memo=one.memo, facts=dict(one.facts))
        for one in entries
    ]
    return CarEntries(car=f"{site}/{asset}", points=sum(one.points for one in items), items=items)


def _about(entry: Entry, site: str, asset: str, default: str) -> bool:
    """Whether a booking is about a car; ``default`` is the site of bookings that name none."""
    return entry.facts.get("vehicle") == asset and entry.facts.get("site", default) == site


def _given(entry: Entry) -> int:
    return sum(posting.points for posting in entry.postings if posting.account.startswith("driver/"))
