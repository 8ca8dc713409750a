"""Points by class and last day of use, and the booking of those whose day is over (RULES-JP 5).

The journal knows what was granted, not what was spent: that is the coin operator's. On the day after their
last one points can be used no more, whether they were spent before or not; so a class whose day is over is
booked away whole, from its account to :data:`EXPIRED`, and the account holds what may still be of use. The
operator lets points lapse by the ``expires_on`` of its batch: an expiry is no instruction and stands in none.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from energy.core.clock import require_aware
from energy.core.errors import DataError
from energy.core.slots import JST
from energy.ledger.caps import ISSUER
from energy.ledger.journal import Entry, Journal, Posting
from energy.store import Store

__all__ = ["EXPIRED", "OPERATOR_ACCOUNTS", "ClassBalance", "class_balances", "expire_points", "is_expiry"]

EXPIRED: Final = "operator/expired"
"""Its balance is what expired, less what was given back to be taken back otherwise."""
OPERATOR_ACCOUNTS: Final = frozenset({ISSUER, EXPIRED})
"""Accounts of nobody: all others belong to persons and companies."""
_EXPIRY: Final = "expire/"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassBalance:
    """Points of an account by class and last day of use. [points]"""

    account: str
    point_class: str
    expires_on: date | None
    points: int
    expired: bool


def is_expiry(key: str) -> bool:
    """Whether a key is that of an expiry, or of one that was taken back."""
    return key.removeprefix("reverse/").startswith(_EXPIRY)


def class_balances(store: Store, on: date, *, until: datetime | None = None) -> list[ClassBalance]:
    """Points of each account by class and last day of use; what was reversed or has expired is taken off.

    Parameters
    ----------
    on : date
        Japanese day: points whose last day of use lies before it, and that nobody booked away yet, are marked
        as expired.
    until : datetime, optional
        Only what was booked before this instant.
    """
    end = None if until is None else require_aware(until)
    sums: dict[tuple[str, str, str], int] = {}
    for row in store.journal.rows():
        told = json.loads(row.body)
        if end is not None and datetime.fromisoformat(told["at"]) >= end:
            continue
        facts = told["facts"]
        point_class, expires_on = (str(facts.get(name, "")) for name in ("point_class", "expires_on"))
        for account, points in row.postings:
            if account not in OPERATOR_ACCOUNTS:
                key = (account, point_class, expires_on)
                sums[key] = sums.get(key, 0) + points
    found = []
    for (account, point_class, text), points in sorted(sums.items()):
        last = date.fromisoformat(text) if text else None
        found.append(
            ClassBalance(
                account=account,
                point_class=point_class,
                expires_on=last,
                points=points,
                expired=last is not None and last < on,
            )
        )
    return [one for one in found if one.points]


def expire_points(store: Store, on: date, *, at: datetime, actor: str) -> list[ClassBalance]:
    """Book away all points whose last day of use lies before a day; doing it again books nothing.

    One entry per account, class and last day, under ``expire/ACCOUNT/CLASS/DAY``. What is booked to such a
    class afterwards (a late grant, a reversal) is brought to zero by a numbered entry of the next run: a
    reversal after the expiry takes nothing from anybody a second time.

    Parameters
    ----------
    on : date
        Japanese day; not after that of ``at``.

    Returns
    -------
    list of ClassBalance
        What was booked away; negative points were given back.

    Raises
    ------
    DataError
        If the day has not come yet.
    """
    today = require_aware(at).astimezone(JST).date()
    if on > today:
        raise DataError(
            f"points of before {on} cannot expire yet",
            where=f"today is {today} in Japan",
            hint="points are good until the end of their last day; name a day that has come",
        )
    journal = Journal(store)
    with journal.writing():
        over = [one for one in class_balances(store, on) if one.expired]
        for one in over:
            journal.post(_expiry(journal, one, at))
        if over:
            facts = {
                "before": on.isoformat(),
                "entries": len(over),
                "points": sum(one.points for one in over),
            }
            store.audit(actor, "coin.expired", f"expiry/{on.isoformat()}", at=at, facts=facts)
    return over


def _expiry(journal: Journal, over: ClassBalance, at: datetime) -> Entry:
    key = f"{_EXPIRY}{over.account}/{over.point_class}/{over.expires_on}"
    number = 0
    while journal.find(key if not number else f"{key}#{number}") is not None:
        number += 1
    return Entry(
        key=key if not number else f"{key}#{number}",
        at=at,
        postings=(Posting(over.account, -over.points), Posting(EXPIRED, over.points)),
        memo=f"last day of use was {over.expires_on}",
        facts={"point_class": over.point_class, "expires_on": str(over.expires_on)},
    )
