"""``vpp jobs``."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from energy.core.clock import ManualClock
from energy.core.errors import DataError
from energy.store import open_store
from tests.unit.vpp.cli.calling import NOON, vpp
from vpp.jobs.board import mark_shown
from vpp.jobs.due import Every
from vpp.jobs.job import Job, Outcome, Run
from vpp.jobs.supervisor import Supervisor

HALF = timedelta(minutes=30)


@pytest.fixture
def db(tmp_path: Path) -> str:
    """Two jobs half an hour before noon, run once: one of them fails for good."""
    path = tmp_path / "vpp.db"

    def works(run: Run) -> Outcome:
        return Outcome("gaps", {"count": "2", "since": "2026-11-22T01:00:00+00:00"})

    def breaks(run: Run) -> Outcome:
        raise DataError("the disk is full", where="backup", hint="make room")

    jobs = (
        Job(name="measure", subjects=("kitakata",), due=Every(HALF), function=works),
        Job(name="backup", due=Every(HALF), function=breaks, retries=()),
    )
    clock = ManualClock(NOON - timedelta(minutes=1))
    with open_store(f"sqlite:///{path}") as store:
        supervisor = Supervisor(store, clock, jobs, spawn=lambda work, _name: work())
        supervisor.look()
        clock.advance(timedelta(minutes=1))
        supervisor.look()
    return str(path)


def test_the_list_says_what_needs_a_look_and_ends_with_status_8(db: str) -> None:
    status, out, err = vpp("jobs", "list", "--db", db)
    assert status == 8
    assert "Jobs to look at: 1 of 2." in err
    failed, good = out.splitlines()
    assert failed.startswith("backup")
    assert "the disk is full" in failed
    assert "2 half hours of the last day are missing, the first at Sun 22 Nov 10:00." in good
    assert "next: Sun 22 Nov 12:30" in good


def test_the_list_as_json_and_in_japanese(db: str) -> None:
    told = json.loads(vpp("jobs", "list", "--json", "--db", db)[1])
    assert [(one["name"], one["state"]) for one in told] == [("backup", "failed"), ("measure", "ok")]
    assert told[1]["last"]["facts"]["count"] == "2"
    _, out, err = vpp("jobs", "list", "--db", db, lang="ja")
    assert "2件の処理のうち1件に確認が必要です。" in err
    assert "2コマが欠けています" in out


def test_history_comes_newest_first_page_by_page(db: str) -> None:
    first = json.loads(vpp("jobs", "history", "--json", "--limit", "3", "--db", db)[1])
    rest = json.loads(vpp("jobs", "history", "--json", "--before", first[-1]["key"], "--db", db)[1])
    assert [len(first), len(rest)] == [3, 1]
    due = [one["due_at"] for one in first + rest]
    assert due == sorted(due, reverse=True)
    assert "left out" in vpp("jobs", "history", "measure", "--subject", "kitakata", "--db", db)[1]


def test_a_run_that_is_asked_for_waits_for_the_service_and_is_one_however_often_it_is_asked(
    db: str,
) -> None:
    first, second = (vpp("jobs", "run", "backup", "--by", "hana", "--db", db) for _ in range(2))
    assert first == second
    assert first[0] == 0
    assert "running service" in first[1]
    told = json.loads(vpp("jobs", "list", "--json", "--db", db)[1])
    assert told[0]["state"] == "waiting"


@pytest.mark.parametrize(
    "words", [("run", "bakcup"), ("run", "measure"), ("run", "measure", "nowhere"), ("history", "bakcup")]
)
def test_an_unknown_job_is_refused_with_the_names_of_those_that_are(db: str, words: tuple[str, ...]) -> None:
    status, _, err = vpp("jobs", *words, "--db", db)
    assert status == 3
    assert "known: backup, measure" in err


def test_a_database_that_no_service_ran_on_says_so(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    open_store(f"sqlite:///{path}").close()
    status, out, err = vpp("jobs", "list", "--db", str(path))
    assert (status, out) == (0, "No service has ever run on this database.\n")
    assert "vpp run --config" in err
    assert vpp("jobs", "run", "backup", "--db", str(path))[0] == 3
    assert vpp("jobs", "list", "--db", str(tmp_path / "none.db"))[0] == 2


def test_a_service_that_is_gone_is_named(db: str) -> None:
    _, _, err = vpp("jobs", "list", "--db", db, at=NOON + timedelta(hours=5))
    assert "Nobody has looked what is due since Sun 22 Nov 12:00" in err


def test_a_demonstration_is_judged_by_its_own_time(db: str) -> None:
    with open_store(f"sqlite:///{db}") as store:
        mark_shown(store, at=NOON - timedelta(hours=1))
    months_on = NOON + timedelta(days=100)
    _, out, err = vpp("jobs", "list", "--db", db, at=months_on)
    assert "Nobody has looked" not in err
    assert "it last looked on Sun 22 Nov 12:00" in err
    assert "2 half hours of the last day are missing" in out
    status, out, _ = vpp("jobs", "run", "backup", "--db", db, at=months_on)
    assert status == 0
    with open_store(f"sqlite:///{db}") as store:
        (asked,) = [one for one in store.rows.runs.find(job="backup") if one.asked_by]
    assert asked.due_at < NOON + timedelta(seconds=1)
