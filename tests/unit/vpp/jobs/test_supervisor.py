"""What the supervisor runs, in which order, how often, and what it says of what it leaves out."""

from __future__ import annotations

import json
import logging
import threading
from datetime import timedelta

import pytest

from energy.core.errors import ConfigError, DataError
from energy.store import JobRunRow
from tests.unit.vpp.jobs.crew import HALF, MINUTE, Crew
from vpp.jobs.due import Asked, Every
from vpp.jobs.job import Job, Lane, Misfire, NotYetError, Outcome, Run
from vpp.jobs.supervisor import Supervisor

DAY = timedelta(days=1)


@pytest.fixture
def crew() -> Crew:
    return Crew()


def test_a_job_that_is_new_is_counted_from_now_on_and_runs_when_it_is_due(crew: Crew) -> None:
    supervisor = crew.supervisor(crew.job("plan"))
    assert crew.look(supervisor) == []
    crew.clock.set("2026-11-20 08:59:59")
    assert crew.look(supervisor) == []
    crew.clock.set("2026-11-20 09:00")
    assert crew.look(supervisor) == ["plan"]
    assert crew.look(supervisor) == []
    assert [state for state, _, _ in crew.told("plan")] == ["skipped", "done"]


def test_a_service_that_always_sleeps_at_the_hour_makes_up_for_it_when_it_wakes(crew: Crew) -> None:
    crew.look(crew.supervisor(crew.job("backup", due=Every(DAY))))
    crew.clock.move(DAY)
    assert crew.look(crew.supervisor(crew.job("backup", due=Every(DAY)))) == ["backup"]


def test_after_a_day_offline_the_work_is_done_in_its_order_and_what_is_pointless_is_left_out(
    crew: Crew,
) -> None:
    jobs = (
        crew.job("batch", due=Every(DAY), needs=("settlement",)),
        crew.job("settlement", due=Every(DAY), needs=("plan",), misfire=Misfire.LATE, look_back=9 * DAY),
        crew.job("plan", needs=("forecast",), misfire=Misfire.SKIP, useful_for=HALF),
        crew.job("forecast", needs=("measure",), misfire=Misfire.SKIP, useful_for=HALF),
        crew.job("measure"),
    )
    crew.look(crew.supervisor(*jobs))
    crew.clock.move(2 * DAY)
    ran = crew.look(crew.supervisor(*jobs))
    assert ran == ["measure", "forecast", "plan", "settlement", "settlement", "batch"]
    skipped = [one for one in crew.rows("forecast") if one.state == "skipped"]
    said = json.loads(skipped[-1].outcome)
    assert (said["key"], said["facts"]["count"]) == ("no_use", "95")
    stood = json.loads(crew.rows("measure")[-1].outcome)
    assert stood["facts"]["stands_for"] == "95"


def test_what_was_missed_longer_ago_than_the_job_looks_back_is_named_and_not_run(crew: Crew) -> None:
    job = crew.job("settlement", due=Every(DAY), misfire=Misfire.LATE, look_back=2 * DAY)
    crew.look(crew.supervisor(job))
    crew.clock.move(10 * DAY)
    assert crew.look(crew.supervisor(job)) == ["settlement", "settlement"]
    assert ("skipped", "too_long_ago", "") in crew.told("settlement")


def test_one_failing_job_neither_stops_the_others_nor_those_that_come_after_it(crew: Crew) -> None:
    def breaks(run: Run) -> Outcome:
        raise ZeroDivisionError("no sun")

    jobs = (
        Job(name="forecast", due=Every(HALF), function=breaks, retries=()),
        crew.job("plan", needs=("forecast",)),
        crew.job("other"),
    )
    supervisor = crew.supervisor(*jobs)
    crew.look(supervisor)
    crew.clock.move(HALF)
    assert sorted(crew.look(supervisor)) == ["other", "plan"]
    assert crew.told("forecast")[-1] == ("failed", "waits", "ZeroDivisionError: no sun")


def test_it_is_tried_again_after_a_pause_and_what_needs_it_waits_that_long(crew: Crew) -> None:
    tries: list[str] = []

    def second_time(run: Run) -> Outcome:
        tries.append(run.key)
        if len(tries) == 1:
            raise DataError("the meter is silent", where="meter", hint="look at the link")
        return Outcome("done")

    first = Job(name="measure", due=Every(HALF), function=second_time, retries=(MINUTE,))
    supervisor = crew.supervisor(first, crew.job("plan", needs=("measure",)))
    crew.look(supervisor)
    crew.clock.move(HALF)
    assert crew.look(supervisor) == []
    assert crew.rows("measure")[-1].error == "the meter is silent; meter; look at the link"
    crew.clock.move(MINUTE)
    assert crew.look(supervisor) == ["plan"]
    assert len(tries) == 2
    assert tries[0] == tries[1]
    assert crew.rows("measure")[-1].attempts == 2


def test_what_is_still_on_its_way_is_a_fault_only_after_the_last_try(
    crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    def waits(run: Run) -> Outcome:
        raise NotYetError("no reading yet", where="meter")

    supervisor = crew.supervisor(Job(name="measure", due=Every(HALF), function=waits, retries=(MINUTE,)))
    crew.look(supervisor)
    crew.clock.move(HALF)
    crew.look(supervisor)
    assert crew.told("measure")[-1] == ("waiting", "waits", "")
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]
    crew.clock.move(MINUTE)
    crew.look(supervisor)
    assert crew.told("measure")[-1] == ("failed", "waits", "no reading yet; meter")
    assert "jobs.failed" in caplog.text


def test_retries_end_and_a_wrong_set_up_is_not_tried_twice(crew: Crew) -> None:
    def breaks(run: Run) -> Outcome:
        raise DataError("no")

    def is_set_up_wrong(run: Run) -> Outcome:
        raise ConfigError("no folder")

    supervisor = crew.supervisor(
        Job(name="a", due=Every(HALF), function=breaks, retries=(MINUTE, MINUTE)),
        Job(name="b", due=Every(HALF), function=is_set_up_wrong),
    )
    crew.look(supervisor)
    crew.clock.set("2026-11-20 09:00")
    for _ in range(5):
        crew.look(supervisor, 1)
        crew.clock.move(MINUTE)
    assert [(one.state, one.attempts) for one in crew.rows("a")[1:]] == [("failed", 3)]
    assert [(one.state, one.attempts) for one in crew.rows("b")[1:]] == [("failed", 1)]


def test_jobs_in_a_ring_two_of_a_name_and_odd_names_are_refused_in_words(crew: Crew) -> None:
    with pytest.raises(ConfigError, match="wait for each other") as ring:
        crew.supervisor(crew.job("a", needs=("b",)), crew.job("b", needs=("a",)))
    assert ring.value.where == "a -> b -> a"
    with pytest.raises(ConfigError, match="two jobs"):
        crew.supervisor(crew.job("a"), crew.job("a"))
    with pytest.raises(ConfigError, match="cannot name a job"):
        crew.supervisor(crew.job("a/b"))


def test_a_need_that_is_switched_off_is_not_waited_for(crew: Crew) -> None:
    supervisor = crew.supervisor(crew.job("plan", needs=("forecast",)))
    crew.look(supervisor)
    crew.clock.move(HALF)
    assert crew.look(supervisor) == ["plan"]


# -- claims ----------------------------------------------------------------------------------------------


def test_a_run_whose_process_died_is_done_again_when_its_lease_has_ended(crew: Crew) -> None:
    dead = crew.supervisor(crew.job("plan"), hold=True)
    crew.look(dead)
    crew.clock.move(HALF)
    crew.look(dead)
    assert crew.rows("plan")[-1].state == "running"
    alive = crew.supervisor(crew.job("plan"))
    assert crew.look(alive) == []
    crew.clock.move(timedelta(seconds=21))
    assert crew.look(alive) == ["plan"]
    assert crew.rows("plan")[-1].attempts == 2


def test_a_slow_process_whose_run_was_taken_over_has_no_effect_any_more(crew: Crew) -> None:
    def writes(run: Run) -> Outcome:
        def effect() -> Outcome:
            crew.store.audit(run.actor, "effect", "x", at=run.clock.now(), facts={})
            return Outcome("done")

        return run.once(effect)

    job = Job(name="pay", due=Every(HALF), function=writes)
    slow, quick = crew.supervisor(job, hold=True), crew.supervisor(job)
    crew.look(slow)
    crew.clock.move(HALF)
    crew.look(slow)
    crew.clock.move(MINUTE)
    crew.look(quick)
    assert len(crew.store.audit_trail("x")) == 1
    crew.held[0]()
    assert len(crew.store.audit_trail("x")) == 1
    assert crew.rows("pay")[-1].state == "done"


def test_an_effect_that_fails_half_way_is_taken_back_together_with_the_word_that_it_is_done(
    crew: Crew,
) -> None:
    def writes(run: Run) -> Outcome:
        def effect() -> Outcome:
            crew.store.audit(run.actor, "effect", "x", at=run.clock.now(), facts={})
            raise DataError("the disk is full")

        return run.once(effect)

    supervisor = crew.supervisor(Job(name="pay", due=Every(HALF), function=writes, retries=()))
    crew.look(supervisor)
    crew.clock.move(HALF)
    crew.look(supervisor)
    assert crew.store.audit_trail("x") == []
    assert crew.told("pay")[-1] == ("failed", "waits", "the disk is full")


def test_a_claim_is_renewed_while_the_run_goes_on(crew: Crew) -> None:
    busy, other = crew.supervisor(crew.job("plan"), hold=True), crew.supervisor(crew.job("plan"))
    crew.look(busy)
    crew.clock.move(HALF)
    crew.look(busy)
    for _ in range(4):
        crew.clock.move(timedelta(seconds=15))
        busy.beat()
        assert crew.look(other) == []
    crew.held[0]()
    assert crew.ran == [("plan", "20 00:00")]


def test_a_job_that_hangs_is_given_up_and_the_others_go_on(crew: Crew) -> None:
    supervisor = crew.supervisor(
        crew.job("hangs", longest=timedelta(0)), crew.job("other"), hold=True, lanes={Lane.QUICK: 1}
    )
    crew.look(supervisor)
    crew.clock.move(HALF)
    crew.look(supervisor)
    assert len(crew.held) == 1
    supervisor.beat()
    assert crew.told("hangs")[-1][::2] == ("failed", "took longer than 0 s; given up")
    crew.look(supervisor)
    assert len(crew.held) == 2
    crew.clock.move(HALF)
    crew.look(supervisor)
    assert [one.state for one in crew.rows("hangs")][-1] == "waiting"
    crew.held[0]()  # it comes back after all: nothing changes, and the next one may start
    assert [one.state for one in crew.rows("hangs")][1] == "failed"
    crew.look(supervisor)
    crew.held[1]()
    assert [one.state for one in crew.rows("hangs")][-1] == "done"


def test_no_more_runs_at_a_time_than_the_lane_is_wide(crew: Crew) -> None:
    jobs = [crew.job(f"job-{k}", lane=Lane.HEAVY if k % 2 else Lane.QUICK) for k in range(8)]
    supervisor = crew.supervisor(*jobs, hold=True, lanes={Lane.QUICK: 2, Lane.HEAVY: 1})
    crew.look(supervisor)
    crew.clock.move(HALF)
    crew.look(supervisor)
    assert len(crew.held) == 3


def test_a_thread_that_has_done_its_run_takes_the_next_one_without_waiting_for_a_look(crew: Crew) -> None:
    sites = tuple(f"site-{k}" for k in range(250))
    supervisor = crew.supervisor(crew.job("measure", subjects=sites), hold=True, lanes={Lane.QUICK: 2})
    crew.look(supervisor, 1)
    crew.clock.move(HALF)
    crew.look(supervisor, 1)
    assert len(crew.held) == 2
    crew.held[0]()
    assert len(crew.ran) == 249
    assert len(supervisor.running) == 1
    crew.held[1]()
    assert crew.store.rows.runs.find(state="waiting") == []
    assert len(crew.store.rows.runs.find(state="done")) == 250


def test_a_service_that_stops_does_not_wait_for_what_hangs(crew: Crew) -> None:
    supervisor = crew.supervisor(crew.job("hangs", longest=timedelta(0)), hold=True)
    crew.look(supervisor)
    crew.clock.move(HALF)
    crew.look(supervisor)
    supervisor.beat()
    assert supervisor.stop(grace_s=3600.0) == []


def test_a_service_that_stops_gives_back_what_does_not_end_in_time(crew: Crew) -> None:
    supervisor = crew.supervisor(crew.job("plan"), hold=True)
    crew.look(supervisor)
    crew.clock.move(HALF)
    crew.look(supervisor)
    assert supervisor.stop(grace_s=0.0) == [crew.rows("plan")[-1].key]
    assert crew.look(supervisor) == []
    assert crew.look(crew.supervisor(crew.job("plan"))) == ["plan"]  # at once: no lease to wait for


def test_a_run_that_breaks_off_because_the_service_stops_is_given_back_and_not_failed(crew: Crew) -> None:
    def breaks_off(run: Run) -> Outcome:
        supervisor.stop(grace_s=0.0)
        raise DataError("the store is closed")

    supervisor = crew.supervisor(Job(name="plan", due=Every(HALF), function=breaks_off, retries=()))
    crew.look(supervisor)
    crew.clock.move(HALF)
    crew.look(supervisor)
    assert [one.state for one in crew.rows("plan")] == ["skipped", "waiting"]
    assert crew.look(crew.supervisor(crew.job("plan"))) == ["plan"]


def test_the_beat_of_the_vendor_drives_it_and_a_stop_ends_it() -> None:
    crew, done = Crew(), threading.Event()

    def work(run: Run) -> Outcome:
        done.set()
        return Outcome("done")

    from energy.core.clock import SystemClock
    from vpp.jobs.supervisor import Limits

    job = Job(name="tick", due=Every(timedelta(seconds=1)), function=work)
    supervisor = Supervisor(crew.store, SystemClock(), [job], limits=Limits(look_s=0.05))
    supervisor.start()
    with pytest.raises(ConfigError, match="runs already"):
        supervisor.start()
    assert done.wait(20)
    assert supervisor.stop() == []


# -- clocks that jump ------------------------------------------------------------------------------------


def test_a_clock_that_jumps_forward_is_like_a_time_without_service(crew: Crew) -> None:
    supervisor = crew.supervisor(crew.job("plan", misfire=Misfire.SKIP, useful_for=HALF))
    crew.look(supervisor)
    crew.clock.move(365 * DAY)
    assert crew.look(supervisor) == ["plan"]
    assert {said for _, said, _ in crew.told("plan")} == {"begins", "too_long_ago", "no_use", "done"}


def test_a_clock_that_goes_back_does_nothing_twice_and_does_not_sleep_until_it_is_right_again(
    crew: Crew,
) -> None:
    supervisor = crew.supervisor(crew.job("plan"))
    crew.look(supervisor)
    crew.clock.set("2026-11-20 10:00")
    assert crew.look(supervisor) == ["plan"]
    crew.clock.set("2027-11-20 10:00")  # a year ahead by mistake
    assert crew.look(supervisor) == ["plan"]
    crew.clock.set("2026-11-20 09:55")
    assert crew.look(supervisor) == []
    crew.clock.set("2026-11-20 10:01")
    assert crew.look(supervisor) == []  # ten o'clock was done
    crew.clock.set("2026-11-20 10:30")
    assert crew.look(supervisor) == ["plan"]


def test_a_pause_and_a_lease_of_a_clock_that_was_wrong_do_not_last(crew: Crew) -> None:
    crew.clock.set("2027-11-20 10:00")
    key = "20261120T010000.000000Z/plan/"
    at = crew.clock.at - 365 * DAY
    for name, more in (("plan", {"retry_at": crew.clock.at}), ("other", {"lease_until": crew.clock.at})):
        state = "waiting" if name == "plan" else "running"
        row = JobRunRow(
            key=key.replace("plan", name), job=name, subject="", due_at=at, state=state, attempts=1, **more
        )
        crew.store.rows.runs.add(row)
    crew.clock.set("2026-11-20 10:01")
    assert sorted(crew.look(crew.supervisor(crew.job("plan"), crew.job("other")))) == ["other", "plan"]


# -- what others left ------------------------------------------------------------------------------------


def test_a_run_of_a_job_that_this_version_does_not_know_waits_a_day_for_one_that_does(crew: Crew) -> None:
    row = JobRunRow(
        key="20261119T230000.000000Z/old-job/x",
        job="old-job",
        subject="x",
        due_at=crew.clock.at - HALF,
        state="waiting",
        outcome='{"facts":{},"key":"waits"}',
    )
    crew.store.rows.runs.add(row)
    supervisor = crew.supervisor(crew.job("plan", needs=("old-job",)))
    crew.look(supervisor)
    assert [one.state for one in crew.rows("old-job")] == ["waiting"]
    crew.clock.move(HALF)
    assert crew.look(supervisor) == ["plan"]
    crew.clock.move(2 * DAY)
    crew.look(supervisor)
    assert crew.told("old-job") == [("skipped", "unknown_job", "")]


def test_somebody_who_asks_gets_one_run_however_often_he_clicks(crew: Crew) -> None:
    supervisor = crew.supervisor(crew.job("backup", due=Asked()))
    crew.look(supervisor)
    first, second = (supervisor.book.ask("backup", "", by="hana") for _ in range(2))
    assert first == second
    assert crew.look(supervisor) == ["backup"]
    assert [(one.act, one.actor) for one in crew.store.audit_trail()] == [("job.asked", "hana")]
    crew.clock.move(MINUTE)
    assert supervisor.book.ask("backup", "", by="hana").key != first.key


def test_asking_does_not_hide_a_time_that_was_missed(crew: Crew) -> None:
    crew.look(crew.supervisor(crew.job("plan")))
    crew.clock.set("2026-11-20 09:05")
    fresh = crew.supervisor(crew.job("plan"))
    fresh.book.ask("plan", "", by="hana")
    assert crew.look(fresh) == ["plan", "plan"]


def test_runs_with_nothing_to_do_leave_only_the_newest_of_them(crew: Crew) -> None:
    def idle(run: Run) -> Outcome:
        return Outcome("nothing", idle=True)

    supervisor = crew.supervisor(Job(name="hooks", due=Every(MINUTE), function=idle))
    for _ in range(20):
        crew.look(supervisor, 2)
        crew.clock.move(MINUTE)
    assert [state for state, _, _ in crew.told("hooks")] == ["skipped", "idle"]


def test_old_history_is_forgotten_but_never_the_newest_run_of_a_job(crew: Crew) -> None:
    supervisor = crew.supervisor(crew.job("monthly", due=Every(30 * DAY)), crew.job("plan"))
    crew.look(supervisor)
    for _ in range(6):
        crew.clock.move(HALF)
        crew.look(supervisor)
    crew.clock.move(60 * DAY)
    assert supervisor.book.forget(crew.clock.now() - DAY) == 6
    assert len(crew.rows("monthly")) == 1
    assert len(crew.rows("plan")) == 1
