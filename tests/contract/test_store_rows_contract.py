"""Rows of the service: accounts, links, sessions, tokens, remembered writes, webhooks, runs of jobs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from energy.core.errors import DataError
from energy.store import AccountRow, HookMessageRow, HookRow, JobRow, JobRunRow, LinkRow, SqlStore, open_store
from tests.contract.store_backends import ALL, NOON, database, slot


@pytest.fixture(params=ALL)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    with database(request.param, tmp_path) as url, open_store(url, durability="process") as opened:
        yield opened


def account(name: str = "hana") -> AccountRow:
    return AccountRow(
        id=name,
        name="花 O'Brien <b>",
        role="operator",
        state="invited",
        objects="{}",
        lang="ja",
        password=None,
        totp_seed=None,
        totp_step=None,
        recovery="[]",
        failures=0,
        locked_until=None,
        created_at=NOON,
    )


def test_a_row_comes_back_as_it_was_put(store: SqlStore) -> None:
    row = replace(account(), locked_until=slot(1), totp_step=2**40)
    assert store.rows.accounts.add(row)
    assert store.rows.accounts.one(id="hana") == row
    assert store.rows.accounts.one(id="x'; DROP TABLE account; --") is None


def test_a_row_under_a_key_that_is_taken_changes_nothing(store: SqlStore) -> None:
    store.rows.accounts.add(account())
    assert not store.rows.accounts.add(replace(account(), name="somebody else"))
    assert store.rows.accounts.find() == [account()]


def test_of_two_who_use_a_link_one_succeeds(store: SqlStore) -> None:
    store.rows.accounts.add(account())
    store.rows.links.add(
        LinkRow(digest="a" * 64, account="hana", purpose="invite", created_at=NOON, ends_at=slot(9))
    )
    unused = {"digest": "a" * 64, "used_at": None}
    assert [store.rows.links.change(unused, used_at=slot(k)) for k in (1, 2)] == [1, 0]
    used = store.rows.links.one(digest="a" * 64)
    assert used is not None
    assert used.used_at == slot(1)


def test_what_belongs_to_nobody_is_refused(store: SqlStore) -> None:
    with pytest.raises(DataError):
        store.rows.links.add(
            LinkRow(digest="b" * 64, account="nobody", purpose="invite", created_at=NOON, ends_at=NOON)
        )


def test_messages_that_are_due_come_earliest_first_and_one_event_is_told_once(store: SqlStore) -> None:
    store.rows.accounts.add(account())
    hook = HookRow(
        id="h", account="hana", url="u", signing_key="k", kinds="[]", created_at=NOON, seen_until=NOON
    )
    store.rows.hooks.add(hook)
    for name, due in (("late", slot(3)), ("soon", slot(1)), ("next", slot(2)), ("done", None)):
        told = HookMessageRow(id=name, hook="h", event=name, kind="k", body="{}", created_at=NOON, due_at=due)
        assert store.rows.messages.add(told)
        assert not store.rows.messages.add(replace(told, id=f"{name}-again"))
    assert [one.id for one in store.rows.messages.up_to("due_at", slot(2))] == ["soon", "next"]
    assert store.rows.messages.remove(id="done") == 1


def test_rows_and_audit_trail_are_written_together_or_not_at_all(store: SqlStore) -> None:
    def both_then_fail() -> None:
        with store.transaction():
            store.rows.accounts.add(account())
            store.audit("operator", "account.invited", "account/hana", at=NOON, facts={})
            raise KeyError

    with pytest.raises(KeyError):
        both_then_fail()
    assert store.rows.accounts.find() == []
    assert store.audit_trail() == []


def run_of(job: str, k: int, *, state: str = "waiting") -> JobRunRow:
    at = slot(k)
    return JobRunRow(
        key=f"{at:%Y%m%dT%H%M%S%fZ}/{job}/kitakata", job=job, subject="kitakata", due_at=at, state=state
    )


def test_the_newest_runs_come_first_page_by_page_and_only_those_asked_for(store: SqlStore) -> None:
    for k in range(5):
        store.rows.runs.add(run_of("forecast", k))
        store.rows.runs.add(run_of("plan", k, state="done"))
    first = store.rows.runs.last(limit=2, job="forecast")
    rest = store.rows.runs.last(below=first[-1].key, limit=9, job="forecast")
    assert [one.due_at for one in [*first, *rest]] == [slot(k) for k in (4, 3, 2, 1, 0)]
    assert [one.job for one in store.rows.runs.last(limit=3)] == ["plan", "forecast", "plan"]
    assert store.rows.runs.last(job="nobody") == []


def test_of_two_that_claim_a_run_one_gets_it(store: SqlStore) -> None:
    waiting = run_of("plan", 0)
    assert store.rows.runs.add(waiting)
    assert not store.rows.runs.add(waiting)
    seen = {"key": waiting.key, "state": "waiting", "attempts": 0, "owner": ""}
    claims = [
        store.rows.runs.change(seen, state="running", attempts=1, owner=who, lease_until=slot(1))
        for who in ("one", "other")
    ]
    assert claims == [1, 0]
    assert [one.owner for one in store.rows.runs.find(state="running")] == ["one"]


def test_a_job_is_one_row_by_name_and_subject(store: SqlStore) -> None:
    row = JobRow(name="plan", subject="kitakata", about="{}", next_at=slot(1), seen_at=NOON)
    assert store.rows.jobs.add(row)
    assert not store.rows.jobs.add(replace(row, about="other"))
    assert store.rows.jobs.add(replace(row, subject="city-hall", next_at=None))
    assert store.rows.jobs.change({"name": "plan", "subject": "kitakata"}, next_at=slot(2)) == 1
    assert [(one.subject, one.next_at) for one in store.rows.jobs.find()] == [
        ("city-hall", None),
        ("kitakata", slot(2)),
    ]
