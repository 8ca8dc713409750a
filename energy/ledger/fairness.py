"""Who earns what: points by kind of person, employer and car, and how unequally they fall (RULES-JP 5).

Nobody may be recognised in it. A group is shown only if it holds enough persons and none of them has most of
its points; groups that are too small are put together until they may be shown, and if that needs all of them
the division is withheld. Since no small group is left out on its own, none follows from the total less the
others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass as checked_dataclass

from energy.core.assets import strict
from energy.core.errors import DataError
from energy.ledger.classes import OPERATOR_ACCOUNTS, is_expiry
from energy.ledger.journal import Entry

__all__ = [
    "Division",
    "Fairness",
    "Group",
    "Participant",
    "Shop",
    "earned_by_account",
    "fairness",
    "gini",
]

OTHERS: Final = "others"
"""Groups that were put together because each is too small."""


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Participant:
    """One who may earn points, under the account's name; the register holds no names of people.

    Parameters
    ----------
    kind : str
        ``resident``, ``employee`` or ``company``.
    employer : str
        Where an employee works; empty for none.
    ev : bool
        Whether they have an electric car.
    """

    account: Annotated[str, Field(pattern=r"^[a-z]+/[A-Za-z0-9-]+$")]
    kind: Literal["resident", "employee", "company"]
    ev: bool
    employer: str = ""


@checked_dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Shop:
    """A shop where points were spent. [points]"""

    shop: str
    size: Literal["small", "large", "unknown"]
    points: Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """One group of a division.

    Parameters
    ----------
    members, earners : int
        How many there are, and how many of them earned something.
    points, share : int, Decimal or None
        What they earned and their share of all points. [points, -]
    mean, median : Decimal
        By member, those without points included. [points]
    joined : int
        How many groups were put together; 1 for a group of its own.
    """

    name: str
    members: int
    earners: int
    points: int
    share: Decimal | None
    mean: Decimal
    median: Decimal
    joined: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """All members divided by one property; ``groups`` is empty where it is withheld."""

    by: str
    groups: tuple[Group, ...]

    @property
    def withheld(self) -> bool:
        """Whether nothing may be shown."""
        return not self.groups


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """The report.

    Parameters
    ----------
    points : int or None
        What all earned; None where the persons together are too few, or one of them has most. [points]
    gini : Decimal or None
        0: everybody earns the same; near 1: one has all. None as ``points``, and for no points at all. [-]
    unlisted_points : int
        Points of accounts that the register does not know; they are in no division. [points]
    """

    members: int
    points: int | None
    gini: Decimal | None
    divisions: tuple[Division, ...]
    unlisted_points: int


def gini(points: Sequence[int]) -> Decimal | None:
    """Gini coefficient: ``sum((2 i - n - 1) x_i) / (n sum x)`` with ``x`` rising (Sen 1973). [-]

    Raises
    ------
    DataError
        If somebody has less than nothing.

    Examples
    --------
    >>> gini([10, 10, 10, 10])
    Decimal('0')
    >>> gini([0, 0, 0, 40])
    Decimal('0.75')
    """
    if any(one < 0 for one in points):
        raise DataError("a Gini coefficient is of amounts of 0 or more", where=f"{min(points)}")
    total, count = sum(points), len(points)
    if not total:
        return None
    weighted = sum((2 * rank - count - 1) * one for rank, one in enumerate(sorted(points), start=1))
    return Decimal(weighted) / (count * total)


def earned_by_account(entries: Iterable[Entry]) -> dict[str, int]:
    """Points by account from some entries, never below 0; what expired was earned all the same. [points]"""
    found: dict[str, int] = {}
    for entry in entries:
        for posting in () if is_expiry(entry.key) else entry.postings:
            if posting.account not in OPERATOR_ACCOUNTS:
                found[posting.account] = found.get(posting.account, 0) + posting.points
    return {account: max(0, points) for account, points in sorted(found.items())}


def fairness(
    people: Sequence[Participant],
    earned: Mapping[str, int],
    *,
    shops: Sequence[Shop] = (),
    min_members: int,
    max_share: Decimal,
) -> Fairness:
    """The report of a stretch of time.

    Parameters
    ----------
    people : sequence of Participant
        Everybody who may earn, those who earned nothing included.
    earned : mapping of str to int
        Points by account (:func:`earned_by_account`). [points]
    min_members : int
        Smallest group that may be shown.
    max_share : Decimal
        Largest share of a group's points that one member may have. [-]

    Raises
    ------
    DataError
        If an account is listed twice.
    """
    accounts = [one.account for one in people]
    twice = next((account for account in accounts if accounts.count(account) > 1), None)
    if twice is not None:
        raise DataError(f"{twice!r} is listed twice", where="the register of participants", hint="keep one")
    listed = {account: earned.get(account, 0) for account in accounts}
    limits = (min_members, max_share)
    divisions = [
        _divide("kind", {one.account: one.kind for one in people}, listed, limits),
        _divide(
            "employer",
            {one.account: one.employer or "none" for one in people if one.kind == "employee"},
            listed,
            limits,
        ),
        _divide("ev", {one.account: "ev" if one.ev else "no_ev" for one in people}, listed, limits),
    ]
    if shops:
        spent = {one.shop: one.points for one in shops}
        divisions.append(_divide("shop", {one.shop: one.size for one in shops}, spent, limits))
    amounts = list(listed.values())
    shown = bool(amounts) and _may_be_shown(amounts, limits)
    return Fairness(
        members=len(people),
        points=sum(amounts) if shown else None,
        gini=gini(amounts) if shown else None,
        divisions=tuple(divisions),
        unlisted_points=sum(points for account, points in earned.items() if account not in listed),
    )


def _divide(
    by: str, names: Mapping[str, str], points: Mapping[str, int], limits: tuple[int, Decimal]
) -> Division:
    """Divide, and put together what is too small, the smallest first."""
    groups: dict[str, list[int]] = {}
    for member, name in names.items():
        groups.setdefault(name, []).append(points[member])
    joined: list[int] = []
    count = 0
    order = sorted(groups, key=lambda name: (len(groups[name]), name))
    while order and (
        any(not _may_be_shown(groups[name], limits) for name in order)
        or (count and not _may_be_shown(joined, limits))
    ):
        chosen = next((name for name in order if not _may_be_shown(groups[name], limits)), order[0])
        order.remove(chosen)
        joined += groups[chosen]
        count += 1
    if count and not _may_be_shown(joined, limits):
        return Division(by=by, groups=())
    total = sum(points[member] for member in names)
    shown = [_group(name, groups[name], total) for name in sorted(order)]
    if count:
        shown.append(_group(OTHERS, joined, total, count))
    return Division(by=by, groups=tuple(shown) if len(shown) > 1 or not count else ())


def _may_be_shown(points: Sequence[int], limits: tuple[int, Decimal]) -> bool:
    least, most = limits
    return len(points) >= least and max(points) <= most * sum(points)


def _group(name: str, points: Sequence[int], total: int, joined: int = 1) -> Group:
    ordered, half = sorted(points), len(points) // 2
    middle = ordered[half : half + 1] if len(points) % 2 else ordered[half - 1 : half + 1]
    return Group(
        name=name,
        members=len(points),
        earners=sum(1 for one in points if one),
        points=sum(points),
        share=Decimal(sum(points)) / total if total else None,
        mean=Decimal(sum(points)) / len(points),
        median=Decimal(sum(middle)) / len(middle),
        joined=joined,
    )
