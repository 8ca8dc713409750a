"""A short form of ``make soak``: jobs and writes whose processes are killed without warning."""

from __future__ import annotations

from pathlib import Path

import pytest

from energy.core.clock import SystemClock
from energy.store import open_store
from tests.soak.jobs_soak import Report, count, soak


@pytest.mark.e2e
def test_killed_processes_lose_no_value_and_pay_nothing_twice(tmp_path: Path) -> None:
    report = soak(20, 1, tmp_path)
    assert report.kills > 0
    assert report.runs_done >= 20
    assert report.values_acknowledged > 0
    assert report.holds, report
    # and the count would have noticed
    with open_store(f"sqlite:///{tmp_path / 'soak.db'}") as store:
        paid = next(row for row in store.rows.runs.find(state="done") if row.job == "pay")
        store.audit("somebody", "first half", paid.key, at=SystemClock().now(), facts={})
        other = next(row for row in store.rows.runs.find(state="done") if row.key != paid.key)
        store.rows.runs.remove(key=other.key)
    again = Report(1)
    count(f"sqlite:///{tmp_path / 'soak.db'}", [], again)
    assert again.runs_with_effect_twice == 1
    assert again.effects_of_runs_not_done > 0
    assert not again.holds
