"""Caps on points, and the booking of what is left: who gets how much when the pot is too small."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Final

from energy.core.errors import DataError, DuplicateEntryError, LedgerError
from energy.core.units import floor_int
from energy.ledger.coin import Grant, NoGrant, RewardTerms, WhyNot
from energy.ledger.journal import AlreadyPosted, Entry, Fact, Journal, Posted, Posting

__all__ = [
    "ISSUER",
    "apply_caps",
    "cap_money",
    "grant_key",
    "points_of_day",
    "points_of_event",
    "points_of_money",
    "points_of_month",
    "post_grant",
]

ISSUER: Final = "operator/issue"  # its balance is minus all points ever granted


def apply_caps(
    rule: RewardTerms,
    grants: Sequence[Grant],
    *,
    booked_points: Mapping[str, int] | None = None,
    booked_month: Mapping[str, int] | None = None,
    money_points: Mapping[str, int] | None = None,
) -> list[Grant | NoGrant]:
    """Grants of one rule cut to its caps, in the order given; pro rata, never first come, first served.

    First the caps per person and day and per person and month, then the budget of each event, then the money
    of each event, so that what a person may not have is left for the others. Whole points are shared by
    largest remainder, ties by the vehicle's id. A grant that is cut to nothing becomes a :class:`NoGrant`. A
    company's account is no person and has no caps of its own.

    Parameters
    ----------
    grants : sequence of Grant
        All grants of the events at hand: a budget can only be shared when everyone is at the table.
    booked_points, booked_month : mapping, optional
        Points each account already got on the day and in the month in question, see :func:`points_of_day` and
        :func:`points_of_month`.
    money_points : mapping, optional
        Points that the settled money of each event covers (:func:`points_of_money`), by event.

    Raises
    ------
    DataError
        If a grant was made by another rule.
    """
    for grant in grants:
        if (grant.rule, grant.rule_version) != (rule.id, rule.version):
            raise DataError(
                "a grant of another rule",
                where=f"{grant.vehicle}: {grant.rule}@{grant.rule_version}, caps of {rule.id}@{rule.version}",
                hint="apply the caps of the rule that made the grant",
            )
    persons = [k for k, grant in enumerate(grants) if grant.personal]
    everyone = list(range(len(grants)))
    day, month = booked_points or {}, booked_month or {}
    points = [grant.points for grant in grants]
    why = [WhyNot.LESS_THAN_ONE_POINT] * len(grants)
    steps: list[tuple[WhyNot, Sequence[int], Callable[[Grant], Hashable], Callable[[Grant], int | None]]] = [
        (
            WhyNot.DAY_CAP,
            persons,
            lambda g: (g.person, g.day),
            lambda g: _left(rule.max_points_per_person_day, day.get(g.account, 0)),
        ),
        (
            WhyNot.MONTH_CAP,
            persons,
            lambda g: (g.person, g.day.year, g.day.month),
            lambda g: _left(rule.max_points_per_person_month, month.get(g.account, 0)),
        ),
        (WhyNot.EVENT_BUDGET, everyone, lambda g: g.event, lambda _: rule.event_budget_points),
        (WhyNot.EVENT_MONEY, everyone, lambda g: g.event, lambda g: (money_points or {}).get(g.event)),
    ]
    for reason, chosen, key, limit in steps:
        left = _cut(grants, points, chosen, key=key, limit=limit)
        why = [reason if was and not now else said for was, now, said in zip(points, left, why, strict=True)]
        points = left
    return [_cut_to(grant, final, reason) for grant, final, reason in zip(grants, points, why, strict=True)]


def cap_money(grants: Sequence[Grant], covered: Mapping[str, int]) -> list[Grant | NoGrant]:
    """Grants of all ways to earn cut to the money of their events together, pro rata, in the order given.

    Each way to earn was cut to its own caps before (:func:`apply_caps`). An event that is not in ``covered``
    covers nothing: points are never worth more than was settled, unless a budget was added to it.

    Parameters
    ----------
    covered : mapping
        Points that the money of each event covers and that no earlier grant took, by event.
    """
    left = _cut(
        grants,
        [grant.points for grant in grants],
        range(len(grants)),
        key=lambda grant: grant.event,
        limit=lambda grant: covered.get(grant.event, 0),
    )
    return [_cut_to(grant, now, WhyNot.EVENT_MONEY) for grant, now in zip(grants, left, strict=True)]


def _cut_to(grant: Grant, points: int, why: WhyNot) -> Grant | NoGrant:
    if points:
        return replace(grant, points=points)
    said = f"{grant.points} points before the cap"
    return NoGrant(event=grant.event, vehicle=grant.vehicle, why=why, detail=said)


def _left(most: int | None, booked: int) -> int | None:
    """What is left of a cap; None without one."""
    return None if most is None else max(0, most - booked)


def _cut(
    grants: Sequence[Grant],
    points: Sequence[int],
    chosen: Sequence[int],
    *,
    key: Callable[[Grant], Hashable],
    limit: Callable[[Grant], int | None],
) -> list[int]:
    """Points after a limit on each group of the chosen grants; without one a group keeps its points."""
    groups: dict[Hashable, list[int]] = {}
    for k in chosen:
        groups.setdefault(key(grants[k]), []).append(k)
    result = list(points)
    for members in groups.values():
        members.sort(key=lambda k: (grants[k].vehicle, grants[k].event))
        most = limit(grants[members[0]])
        if most is None:
            continue
        shares = _share([points[k] for k in members], most)
        for k, share in zip(members, shares, strict=True):
            result[k] = share
    return result


def _share(claims: Sequence[int], limit: int) -> list[int]:
    """Claims cut to a limit in proportion, whole points, by largest remainder."""
    total = sum(claims)
    if total <= limit:
        return list(claims)
    shares, rests = map(list, zip(*(divmod(claim * limit, total) for claim in claims), strict=True))
    for k in sorted(range(len(claims)), key=lambda k: (-rests[k], k))[: limit - sum(shares)]:
        shares[k] += 1
    return shares


def points_of_day(journal: Journal, account: str, day: date, *, except_event: str) -> int:
    """Points a person got for a Japanese day by all ways to earn, reversals taken off, without one event.

    The event that is being settled is left out, so that settling it again gives the same caps. [points]
    """
    return sum(
        line.points
        for one in _accounts(account)
        for line in journal.statement(one).lines
        if line.facts.get("day") == day.isoformat() and line.facts.get("event") != except_event
    )


def _accounts(account: str) -> tuple[str, ...]:
    """All accounts of the person of an account: the one for driving and the one for everything else."""
    kind, _, person = account.partition("/")
    return (f"driver/{person}", f"person/{person}") if kind in {"driver", "person"} else (account,)


def points_of_event(journal: Journal, event: str, *, except_rules: Collection[tuple[str, int]] = ()) -> int:
    """Points granted for an event and not reversed, without those of some rules and versions. [points]"""
    total = 0
    for entry in journal.entries(prefix=f"grant/{event}/"):
        rule = (str(entry.facts.get("rule")), int(str(entry.facts.get("rule_version"))))
        if rule not in except_rules and not journal.reversed(entry.key):
            total += sum(posting.points for posting in entry.postings if posting.points > 0)
    return total


def points_of_month(journal: Journal, account: str, day: date, *, except_event: str) -> int:
    """Points a person got in the Japanese month of a day, as :func:`points_of_day` counts. [points]"""
    return sum(
        line.points
        for one in _accounts(account)
        for line in journal.statement(one).lines
        if str(line.facts.get("day", ""))[:7] == f"{day:%Y-%m}" and line.facts.get("event") != except_event
    )


def points_of_money(settled_yen: Decimal, *, yen_per_point: Decimal, budget_yen: Decimal = Decimal(0)) -> int:
    """Points that the money of an event covers: never more than was settled, unless a budget adds to it.

    ``floor(max(0, settled + budget) / yen per point)``

    Raises
    ------
    DataError
        If a point is worth nothing or the budget is negative.

    Examples
    --------
    >>> points_of_money(Decimal("123.9"), yen_per_point=Decimal(1))
    123
    """
    if yen_per_point <= 0 or budget_yen < 0:
        raise DataError(
            "a point is worth something and a budget is >= 0",
            yen_per_point=yen_per_point,
            budget_yen=budget_yen,
        )
    return floor_int(max(Decimal(0), settled_yen + budget_yen) / yen_per_point)


def grant_key(grant: Grant, *, correction: int = 0) -> str:
    """Idempotency key of a grant: event, site, car, rule and version (RULES-JP 5)."""
    car = f"{grant.site}/{grant.vehicle}" if grant.site else grant.vehicle
    key = f"grant/{grant.event}/{car}/{grant.rule}@{grant.rule_version}"
    return f"{key}#{correction}" if correction else key


def post_grant(
    journal: Journal, grant: Grant, at: datetime, *, correction: int = 0
) -> Posted | AlreadyPosted:
    """Book a grant, once: from ``operator/issue`` to its account.

    Parameters
    ----------
    at : datetime
        When it is booked.
    correction : int
        0, or the number of the correction: 1 books anew what was booked wrongly and reversed, and so on.

    Raises
    ------
    DuplicateEntryError
        If this grant is booked with other points or facts, or the car was paid for this event under another
        rule or version that was not reversed.
    LedgerError
        If the grant has no points, or what a correction corrects was not reversed.
    """
    with journal.writing():
        grant = _as_booked(journal, grant, correction)
        key = grant_key(grant, correction=correction)
        if correction and not journal.reversed(grant_key(grant, correction=correction - 1)):
            raise LedgerError(
                f"correction {correction} has nothing to correct",
                where=f"{grant_key(grant, correction=correction - 1)!r} was not reversed",
                hint="reverse the wrong entry first",
            )
        for line in journal.statement(grant.account).lines:
            same = (line.facts.get("event"), line.facts.get("vehicle")) == (grant.event, grant.vehicle)
            same = same and (not grant.site or line.facts.get("site", grant.site) == grant.site)
            if same and "reverses" not in line.facts and line.key != key and not journal.reversed(line.key):
                raise DuplicateEntryError(
                    f"{grant.vehicle} was already paid for event {grant.event!r}",
                    where=f"entry {line.key!r}: {line.points} points",
                    hint="reverse that entry first",
                )
        return journal.post(
            Entry(
                key=key,
                at=at,
                postings=(Posting(grant.account, grant.points), Posting(ISSUER, -grant.points)),
                memo=f"{grant.event}: {_exact(grant.net_kwh)} kWh",
                facts=_facts(grant),
            )
        )


def _as_booked(journal: Journal, grant: Grant, correction: int) -> Grant:
    """The grant without its site if it was booked when entries named none: it is the same grant."""
    unnamed = replace(grant, site="")
    keys = [grant_key(unnamed, correction=number) for number in range(correction + 1)] if grant.site else []
    before = [entry for key in keys if (entry := journal.find(key)) is not None]
    mine = any(one.account == grant.account for entry in before for one in entry.postings)
    return unnamed if mine else grant


def _facts(grant: Grant) -> dict[str, Fact]:
    return {
        "event": grant.event,
        "level": grant.level.value,
        "day": grant.day.isoformat(),
        "vehicle": grant.vehicle,
        "rule": grant.rule,
        "rule_version": grant.rule_version,
        "points_per_kwh": _exact(grant.points_per_kwh),
        "discharge_kwh": _exact(grant.discharge_kwh),
        "charge_kwh": _exact(grant.charge_kwh),
        "net_kwh": _exact(grant.net_kwh),
        "earned_points": grant.earned_points,
        "point_class": grant.point_class,
        "expires_on": grant.expires_on.isoformat(),
        "left_out": " ".join(slot.start.isoformat() for slot in grant.left_out),
        # Only where there is something to say: what a car earned reads as it always did.
        **({"site": grant.site} if grant.site else {}),
        **({} if grant.way == "car" else {"way": grant.way}),
        **({} if grant.kept_hours is None else {"kept_hours": _exact(grant.kept_hours)}),
    }


def _exact(number: Decimal) -> str:
    """One text per number: 6.2 and 6.200 are the same entry."""
    return f"{number.normalize():f}"
