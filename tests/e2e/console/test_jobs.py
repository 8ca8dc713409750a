"""The jobs page after half an hour of work and a day without service, on the data of the town."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.e2e.console.desk import Desk
from tests.e2e.console.served import Console
from tests.e2e.console.town import FACTORY
from vpp.jobs.job import Job, Outcome, Run
from vpp.jobs.supervisor import Supervisor
from vpp.live.standard import standard_jobs
from vpp.site.sitebook import site_of

pytestmark = pytest.mark.e2e


def no_disk(run: Run) -> Outcome:
    """A backup that cannot be written."""
    from energy.core.errors import DataError

    raise DataError(
        "cannot write the backup", where="/srv/backup: No space left on device", hint="make room on the disk"
    )


def served(console: Console) -> Supervisor:
    """A service that ran for half an hour, was away for a day, and caught up."""
    store, clock = console.service.store, console.clock
    site = site_of(store.as_of(clock.now()), FACTORY)
    assert site is not None
    backup = [
        Job(name=one.name, due=one.due, function=no_disk, retries=())
        for one in standard_jobs(store, [])
        if one.name == "history"
    ]
    jobs = (*(one for one in standard_jobs(store, [site]) if one.name != "history"), *backup)
    supervisor = Supervisor(store, clock, jobs, spawn=lambda work, _name: work())
    for by in (timedelta(0), timedelta(minutes=26), timedelta(minutes=4), timedelta(hours=20)):
        clock.advance(by)
        for _ in range(12):
            supervisor.look()
    return supervisor


def test_the_jobs_page_can_be_used_by_everybody_and_runs_a_job_on_request(
    own_console: Console, desk: Desk
) -> None:
    supervisor = served(own_console)
    desk.check_page(own_console, "operator", "/jobs", widths=(390, 1440))
    desk.check_page(
        own_console, "auditor", f"/jobs/forecast?subject={FACTORY}", langs=("ja",), widths=(390, 1440)
    )
    page = desk.log_in(own_console, "operator", lang="en", width=390)
    page.goto("/jobs")
    failed = page.locator("tr", has_text="No space left on device").inner_text()
    assert "It has not run yet" not in failed
    page.get_by_role("button", name=f"Run now: Readings looked at {FACTORY}").click()
    page.wait_for_url("**/jobs?asked=yes")
    assert "It runs as soon as its turn comes." in page.inner_text("main")
    for _ in range(3):
        supervisor.look()
    assert own_console.service.store.rows.runs.last(job="measure")[0].asked_by == "operator"
    assert desk.faults(page) == []
