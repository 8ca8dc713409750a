"""Expiry under any grants, reversals and nights: balances, statements, batches and fairness agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.slots import JST
from energy.ledger import (
    EXPIRED,
    ISSUER,
    BatchBook,
    Entry,
    Journal,
    Posting,
    class_balances,
    expire_points,
    is_expiry,
)
from energy.ledger.fairness import earned_by_account
from energy.store import Store, open_store

FIRST = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)  # 01:00 in Japan
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Step:
    """What happens on a day: ``grant``, ``reverse`` (which entry), or ``expire``."""

    what: str
    day: int
    account: str = "person/a"
    points: int = 1
    lasts: int = 0
    point_class: str = "local_only"
    which: int = 0


@st.composite
def histories(draw: st.DrawFn) -> list[Step]:
    """Grants that last some days, reversals of any of them, and nights on which expiry runs."""
    day, steps = 0, []
    for _ in range(draw(st.integers(1, 10))):
        day += draw(st.integers(0, 2))
        steps.append(
            Step(
                what=draw(st.sampled_from(("grant", "grant", "grant", "reverse", "expire", "expire"))),
                day=day,
                account=draw(st.sampled_from(("person/a", "driver/b", "company/fleet"))),
                points=draw(st.integers(1, 500)),
                lasts=draw(st.integers(-1, 4)),  # a late grant may be over before it is booked
                point_class=draw(st.sampled_from(("local_only", "all_shops"))),
                which=draw(st.integers(0, 9)),
            )
        )
    return steps


def live(store: Store, steps: Sequence[Step], *, nights: bool) -> None:
    """Book a history; without nights nothing expires in it."""
    journal, granted = Journal(store), list[str]()
    for number, step in enumerate(steps):
        at = FIRST + step.day * DAY + timedelta(minutes=number)
        if step.what == "grant":
            last = at.astimezone(JST).date() + step.lasts * DAY
            granted.append(f"grant/e{number}/x/r@1")
            postings = (Posting(step.account, step.points), Posting(ISSUER, -step.points))
            facts = {"event": f"e{number}", "point_class": step.point_class, "expires_on": str(last)}
            journal.post(Entry(key=granted[-1], at=at, postings=postings, facts=facts))
        elif step.what == "reverse" and granted:
            journal.reverse(granted[step.which % len(granted)], "mistake", at)
        elif step.what == "expire" and nights:
            expire_points(store, at.astimezone(JST).date(), at=at, actor="desk")


def end_of(steps: Sequence[Step]) -> tuple[datetime, date]:
    at = FIRST + (steps[-1].day + 1) * DAY
    return at, at.astimezone(JST).date()


@given(histories())
@settings(max_examples=15)
def test_whenever_expiry_runs_the_same_points_are_left(steps: list[Step]) -> None:
    at, today = end_of(steps)
    with open_store("sqlite://") as nightly, open_store("sqlite://") as late:
        live(nightly, steps, nights=True)
        live(late, steps, nights=False)
        for store in (nightly, late):
            expire_points(store, today, at=at, actor="desk")
            entries = Journal(store).verify().entries
            assert expire_points(store, today, at=at + DAY, actor="desk") == []
            assert Journal(store).verify().entries == entries
        some, once = Journal(nightly).balances(), Journal(late).balances()
        assert {k: v for k, v in some.items() if v} == {k: v for k, v in once.items() if v}
        assert class_balances(nightly, today) == class_balances(late, today)


@given(histories())
@settings(max_examples=15)
def test_balance_classes_statement_batch_and_fairness_agree(steps: list[Step]) -> None:
    at, today = end_of(steps)
    with open_store("sqlite://") as store, open_store("sqlite://") as never:
        live(store, steps, nights=True)
        live(never, steps, nights=False)
        over = expire_points(store, today, at=at, actor="desk")
        journal = Journal(store)
        balances, left = journal.balances(), class_balances(store, today)
        assert sum(balances.values()) == 0
        assert not any(one.expired for one in left)
        by_class = Counter[str]()
        for one in left:
            by_class[one.account] += one.points
        people = [account for account in balances if account not in {ISSUER, EXPIRED}]
        assert all(balances[account] == by_class[account] for account in people)
        assert all(balances[account] >= 0 for account in people)
        for account in people:
            told = journal.statement(account)
            assert told.closing_points == balances[account]
            booked = {line.key for line in told.lines if is_expiry(line.key)}
            mine = {f"{one.point_class}/{one.expires_on}" for one in over if one.account == account}
            assert all(any(name in key for key in booked) for name in mine)
        expired = sum(one.points for one in journal.statement(EXPIRED).lines)
        assert balances.get(EXPIRED, 0) == expired
        # What goes to the operator, and who earned what, is as if nothing had expired.
        told_store, told_never = (BatchBook(one).make(at=at, actor="desk") for one in (store, never))
        lines = [
            [] if one is None else [(line.account, line.points, line.expires_on) for line in one.lines]
            for one in (told_store, told_never)
        ]
        assert lines[0] == lines[1]
        assert earned_by_account(journal.entries()) == earned_by_account(Journal(never).entries())
