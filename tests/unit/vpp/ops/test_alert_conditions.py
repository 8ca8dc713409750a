"""What is looked for in the store, each condition from its first sign to its end."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from energy.core.errors import DataError
from energy.core.slots import parse_jst
from energy.core.units import series_id
from energy.ledger import Entry, Journal, Posting
from energy.store import JobRow, JobRunRow, Point, SqlStore, Store, open_store
from forecasting.drift import Standing
from tests.contract.statements import asked
from tests.contract.store_backends import NOON
from tests.unit.vpp.ops.drafts import hand_in
from vpp.forecasts.watch import STANDING
from vpp.ops import alerts_look
from vpp.ops.alerts import Kind, Level, Trouble
from vpp.ops.alerts_look import check_ledger, look
from vpp.ops.backup import BACKUP
from vpp.simulation.scenario import load_scenario
from vpp.site.minutes import COUNTER, POWER
from vpp.site.recorder import SiteSeries
from vpp.site.sitebook import ASSETS, keep_site
from vpp.views.monitor import demand_now

MINUTE = timedelta(minutes=1)
SITE = load_scenario("kitakata")[0].site


@pytest.fixture
def store() -> SqlStore:
    return open_store("sqlite://")


def found(store: Store, kind: Kind, now: datetime = NOON, disk: object = None) -> list[Trouble]:
    troubles, looked = look(store, now, disk=disk)  # type: ignore[arg-type]
    assert looked == set(Kind) - (set() if disk else {Kind.DISK_LOW})
    return [one for one in troubles if one.kind is kind]


def heard(store: Store, site: str, at: datetime, *, asset: str = "meter", known: timedelta = MINUTE) -> None:
    series = series_id(site, asset, "power_kw")
    store.append([Point(series=series, at=at, known_at=at + known, value=1.0, source="meter")])


def test_a_site_that_is_heard_every_minute_is_stale_after_five_and_silent_after_thirty(
    store: SqlStore,
) -> None:
    store.put_document(ASSETS, "kitakata", known_at=NOON - 90 * MINUTE, body="{}")
    heard(store, "kitakata", NOON, known=timedelta(0))
    ages = {k: found(store, Kind.DATA_STALE, NOON + k * MINUTE) for k in (5, 6, 30, 31)}
    assert [[one.level for one in ages[k]] for k in (5, 6, 30, 31)] == [
        [],
        [Level.WARNING],
        [Level.WARNING],
        [Level.ALARM],
    ]
    assert ages[6][0].facts == {"site": "kitakata", "since": "11-23 12:00"}


def test_a_site_of_half_hours_has_longer_and_one_of_imported_files_is_never_stale(store: SqlStore) -> None:
    for site, known in (("live", timedelta(minutes=30)), ("files", timedelta(days=20))):
        store.put_document(ASSETS, site, known_at=NOON - timedelta(days=60), body="{}")
        at = NOON - timedelta(days=30)
        series = series_id(site, "meter", "import_kwh")
        store.append([Point(series=series, at=at, known_at=at + known, value=1.0, source="x")])
    assert [one.subject for one in found(store, Kind.DATA_STALE)] == ["live"]


def test_a_lost_device_is_named_and_a_silent_site_is_told_once(store: SqlStore) -> None:
    store.put_document(ASSETS, "kitakata", known_at=NOON - 90 * MINUTE, body="{}")
    for asset in ("leaf", "ariya", "meter"):
        heard(store, "kitakata", NOON - 20 * MINUTE, asset=asset)
    assert found(store, Kind.DEVICE_LOST) == []
    for asset in ("ariya", "meter"):
        heard(store, "kitakata", NOON - MINUTE, asset=asset)
    assert [one.subject for one in found(store, Kind.DEVICE_LOST)] == ["kitakata/leaf"]
    assert found(store, Kind.DATA_STALE) == []


def test_a_half_hour_that_will_end_above_the_target_is_told_with_its_numbers(store: SqlStore) -> None:
    start, names = parse_jst("2026-08-05 14:00"), SiteSeries("kitakata")
    keep_site(store, SITE, at=start)
    for minute in range(13):
        at = start + minute * MINUTE
        store.append(
            Point(series=names[name], at=at, known_at=at, value=value, source="meter")
            for name, value in ((COUNTER, 5000.0 + minute * 5.0), (POWER, 300.0))
        )
    (one,) = found(store, Kind.TARGET_AT_RISK, start + 12 * MINUTE)
    assert one.facts == {"site": "kitakata", "projected": "300.0", "target": "230.0", "minutes": "18"}


def test_a_demoted_forecast_is_told_until_the_model_is_back(store: SqlStore) -> None:
    for k, in_use in enumerate((True, False, True)):
        at = NOON + timedelta(days=k)
        body = Standing(model_in_use=in_use, since=at, judged_at=at).to_json()
        store.put_document(STANDING, "kitakata/load", known_at=at, body=body)
    told = [found(store, Kind.FORECAST_DEMOTED, NOON + timedelta(days=k)) for k in range(3)]
    assert [[one.subject for one in day] for day in told] == [[], ["kitakata/load"], []]


def entry(number: int) -> Entry:
    return Entry(key=f"grant/{number}", at=NOON, postings=(Posting("pool", -5), Posting("driver/hana", 5)))


@pytest.mark.parametrize(
    "tampered",
    [
        "UPDATE journal SET body = replace(body, 'hana', 'taro') WHERE number = 2",
        "DELETE FROM journal WHERE number = 3",  # cut off at the end: only the last look knows
    ],
)
def test_a_broken_journal_is_noticed_even_where_it_was_only_cut_off(tmp_path: Path, tampered: str) -> None:
    with open_store(f"sqlite:///{tmp_path / 'a.db'}") as store:
        for k in range(3):
            Journal(store).post(entry(k))
        assert check_ledger(store, NOON) is not None
        assert found(store, Kind.LEDGER_BROKEN) == []
        with sqlite3.connect(tmp_path / "a.db") as connection:
            for act in ("update", "delete"):
                connection.execute(f"DROP TRIGGER journal_refuses_{act}")
                connection.execute(f"DROP TRIGGER journal_posting_refuses_{act}")
            connection.execute(tampered)
            connection.execute("DELETE FROM journal_posting WHERE number NOT IN (SELECT number FROM journal)")
        connection.close()
        for k in (1, 2):  # what was known before is not forgotten by noticing it
            assert check_ledger(store, NOON + k * MINUTE) is None
        (one,) = found(store, Kind.LEDGER_BROKEN, NOON + 2 * MINUTE)
    assert one.level is Level.ALARM


def job(store: Store, state: str, k: int) -> None:
    due = NOON + k * MINUTE
    store.rows.runs.add(
        JobRunRow(
            key=f"{due:%Y%m%dT%H%M%S}/plan/kitakata", job="plan", subject="kitakata", due_at=due, state=state
        )
    )


def test_a_failed_job_is_told_until_it_succeeds_and_a_dead_supervisor_is_an_alarm(store: SqlStore) -> None:
    store.rows.jobs.add(JobRow(name="plan", subject="kitakata", about="{}", next_at=None, seen_at=NOON))
    job(store, "done", 0)
    assert found(store, Kind.JOB_FAILED) == []
    job(store, "failed", 1)
    job(store, "waiting", 2)
    assert [one.subject for one in found(store, Kind.JOB_FAILED)] == ["plan/kitakata"]
    job(store, "done", 3)
    assert found(store, Kind.JOB_FAILED) == []
    assert found(store, Kind.JOBS_STOPPED, NOON + 5 * MINUTE) == []
    assert [one.level for one in found(store, Kind.JOBS_STOPPED, NOON + 6 * MINUTE)] == [Level.ALARM]


def test_backups_grow_old_and_a_new_service_gets_a_day(store: SqlStore) -> None:
    (never,) = found(store, Kind.BACKUP_OLD)
    assert never.raise_after == timedelta(hours=26)
    store.put_document(BACKUP, "store", known_at=NOON, body=json.dumps({"made_at": NOON.isoformat()}))
    ages = [found(store, Kind.BACKUP_OLD, NOON + timedelta(hours=k)) for k in (26, 27, 75)]
    assert [[one.level for one in age] for age in ages] == [[], [Level.WARNING], [Level.ALARM]]


@pytest.mark.parametrize(("free", "levels"), [(11, []), (9, [Level.WARNING]), (2, [Level.ALARM])])
def test_a_disk_fills(store: SqlStore, free: int, levels: list[Level]) -> None:
    assert [one.level for one in found(store, Kind.DISK_LOW, disk=lambda: (free, 100))] == levels


def test_a_condition_that_cannot_be_looked_at_stops_no_other(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_view: object) -> list[Trouble]:
        raise DataError("the store could not be read")

    broken = {**alerts_look.CONDITIONS, Kind.PLAN_LATE: fails}
    monkeypatch.setattr(alerts_look, "CONDITIONS", broken)
    troubles, looked = look(store, NOON)
    assert Kind.PLAN_LATE not in looked
    assert [one.kind for one in troubles] == [Kind.BACKUP_OLD]


def test_an_empty_service_has_nothing_to_tell_but_its_missing_backup(store: SqlStore) -> None:
    troubles, _ = look(store, NOON)
    assert [one.kind for one in troubles] == [Kind.BACKUP_OLD]


def late(store: Store, at: str) -> list[tuple[str, Level, str]]:
    troubles = found(store, Kind.PLAN_LATE, parse_jst(at))
    return [(one.subject, one.level, one.facts["state"]) for one in troubles]


def test_nobody_who_never_hands_in_plans_is_late(store: SqlStore) -> None:
    assert late(store, "2026-11-23 13:00") == []


def test_a_usual_plan_is_late_an_hour_before_our_deadline_and_an_alarm_after_it(store: SqlStore) -> None:
    hand_in(store, date(2026, 11, 23))
    day = hand_in(store, date(2026, 11, 24), until="approved")
    assert late(store, "2026-11-23 10:54") == []
    assert late(store, "2026-11-23 10:55") == [(day, Level.WARNING, "approved")]
    assert late(store, "2026-11-23 12:00") == [(day, Level.ALARM, "approved")]


def test_a_plan_that_nobody_drafted_is_missed_too(store: SqlStore) -> None:
    key = hand_in(store, date(2026, 11, 23))
    (one,) = late(store, "2026-11-23 11:30")
    assert one == (key.replace("11-23", "11-24"), Level.WARNING, "missing")


def test_a_plan_that_is_handed_in_is_not_late(store: SqlStore) -> None:
    for day in (23, 24):
        hand_in(store, date(2026, 11, day))
    assert late(store, "2026-11-23 11:30") == []


def busy(store: Store, sites: int) -> None:
    """Sites with a meter and two devices that speak, a configuration, a job each; one in three in trouble."""
    start, minutes = parse_jst("2026-08-05 14:00"), range(13)
    for number in range(sites):
        site = replace(SITE, id=f"site-{number:03}")
        keep_site(store, site, at=start)
        rate = 5.0 if number % 3 == 0 else 1.0
        told = ((("meter", "counter_kwh"), 5000.0), (POWER, 60.0 * rate), (("leaf", "power_kw"), 0.0))
        store.append(
            Point(
                series=series_id(site.id, *name),
                at=start + k * MINUTE,
                known_at=start + k * MINUTE,
                value=base + (k * rate if name == COUNTER else 0.0),
                source="meter",
            )
            for k in minutes
            for name, base in told
        )
        store.rows.jobs.add(JobRow(name="plan", subject=site.id, about="{}", next_at=None, seen_at=start))
        state = "failed" if number % 3 == 0 else "done"
        run = JobRunRow(key=f"{number:03}", job="plan", subject=site.id, due_at=start, state=state)
        store.rows.runs.add(run)


def test_a_look_at_many_sites_asks_no_more_often_than_at_few() -> None:
    counts, now = [], parse_jst("2026-08-05 14:12")
    for sites in (3, 30):
        with open_store("sqlite://") as store:
            busy(store, sites)
            with asked() as said:
                troubles, _ = look(store, now)
            counts.append(len(said))
            for kind in (Kind.TARGET_AT_RISK, Kind.JOB_FAILED):
                assert len([one for one in troubles if one.kind is kind]) == sites // 3
    assert counts[0] == counts[1]
    assert counts[0] < 60


def test_the_check_of_many_sites_and_the_page_of_one_read_the_same_demand(store: SqlStore) -> None:
    busy(store, 3)
    now = parse_jst("2026-08-05 14:12")
    store.append(
        [
            Point(
                series=SiteSeries("site-000")["guard", "target_kw"],
                at=parse_jst("2026-08-05 14:00"),
                known_at=parse_jst("2026-08-05 14:00"),
                value=211.5,
                source="guard",
            )
        ]
    )
    (one,) = found(store, Kind.TARGET_AT_RISK, now)
    told = demand_now(store.as_of(now), replace(SITE, id="site-000"), now)
    assert (one.facts["projected"], one.facts["target"]) == (f"{told.projected_kw:.1f}", "211.5")
    assert told.target_kw == 211.5
