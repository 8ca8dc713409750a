"""Coins: what a car earned and why; all accounts for operator and auditor."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final

from pydantic import Field
from starlette.requests import Request

from energy.ledger import Journal, is_expiry
from energy.ledger.journal import Entry
from vpp.api.common import Answer, AssetId, Cursor, Limit, SiteId, known_now, noun, page_of
from vpp.api.sites import only_here
from vpp.http.access import access_of, guarded
from vpp.people.rights import About

__all__ = ["ledger"]

ledger = noun("ledger")

_PEOPLE: Final = "driver/"
"""What accounts of people begin with."""


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
    points: Annotated[int, Field(description="What the car earned; what lapsed since is not taken off.")]
    items: list[CarEntry]
    expiries: Annotated[
        list[CarEntry],
        Field(
            description="What lapsed of the account that the car's newest booking went to, with points below "
            "zero, and what was given back of it. An account may hold what other cars earned, too."
        ),
    ]


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
    items = [_told(one) for one in entries]
    return CarEntries(
        car=f"{site}/{asset}",
        points=sum(one.points for one in items),
        items=items,
        expiries=[_told(one) for one in _expiries(journal, _account(entries))],
    )


def _told(entry: Entry) -> CarEntry:
    given = sum(one.points for one in entry.postings if one.account.startswith(_PEOPLE))
    return CarEntry(key=entry.key, at=entry.at, points=given, memo=entry.memo, facts=dict(entry.facts))


def _account(entries: Sequence[Entry]) -> str:
    """Whose the newest booking of a car was; empty if it never brought anybody anything."""
    found = [one.account for entry in entries for one in entry.postings if one.account.startswith(_PEOPLE)]
    return found[-1] if found else ""


def _expiries(journal: Journal, account: str) -> list[Entry]:
    """What lapsed of an account, oldest first."""
    return [
        one
        for one in (journal.entries() if account else ())
        if is_expiry(one.key) and any(posting.account == account for posting in one.postings)
    ]


def _about(entry: Entry, site: str, asset: str, default: str) -> bool:
    """Whether a booking is about a car; ``default`` is the site of bookings that name none."""
    return entry.facts.get("vehicle") == asset and entry.facts.get("site", default) == site
