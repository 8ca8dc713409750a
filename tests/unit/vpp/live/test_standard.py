"""The jobs of every service, on a site with three weeks of load and a market that has deadlines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from energy.core.clock import ManualClock
from energy.core.errors import ConfigError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, parse_jst
from energy.core.units import series_id
from energy.ledger import BatchBook, Entry, Journal, Posting
from energy.ledger.caps import ISSUER
from energy.market.dr_products import Product
from energy.market.plans import draft_plan, read_plan
from energy.market.portfolio import Resource
from energy.store import SqlStore, open_store, points_of
from tests.unit.vpp.forecasts.past import SITE, level, level_desk, midnight, noon, put_load
from vpp.forecasts.issued import LOAD, Horizon, latest_issued
from vpp.i18n import Messages
from vpp.jobs.board import board, run_in_words
from vpp.jobs.config import JobSettings
from vpp.jobs.job import Job, Outcome, checked
from vpp.jobs.supervisor import Supervisor
from vpp.live.standard import standard_jobs
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.plan_book import PlanBook

DAYS = 21
METER = series_id(SITE.id, "meter", "import_kwh")


@dataclass
class Shop:
    """A service over a store in memory whose runs are done at once."""

    store: SqlStore
    clock: ManualClock
    jobs: tuple[Job, ...]

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.store, self.clock, self.jobs, spawn=lambda work, _name: work())

    def until(self, instant: datetime, *, times: int = 30) -> None:
        """Go to an instant and do all that can be done."""
        self.clock.advance(instant - self.clock.now())
        for _ in range(times):
            self.supervisor.look()

    def said(self, job: str) -> list[str]:
        """What runs of a job did, oldest first, without the note that it begins."""
        told = [json.loads(one.outcome)["key"] for one in self.store.rows.runs.find(job=job)]
        return [one for one in told if one != "begins"]

    def last(self, job: str, lang: str = "en") -> str:
        """What the newest run of a job says."""
        row = self.store.rows.runs.last(job=job)[0]
        return row.error or run_in_words(Messages("ja" if lang == "ja" else "en"), row)


def shop(settings: JobSettings | None = None, *, start: datetime | None = None, **more: object) -> Shop:
    store = open_store("sqlite://", durability="process")
    put_load(store, level(DAYS))
    meter = Series(Grid(midnight(0), DAYS * 48), np.full(DAYS * 48, 25.0), Unit.KWH)
    store.append(points_of(METER, meter, known_at=lambda at: at + SLOT_LENGTH, source="test"))
    desk = level_desk(store)
    planned = {SITE.id: lambda _run: Outcome("planned", {"source": "optimal"}, idle=True)}
    more = {"planners": planned, **more}
    jobs = standard_jobs(store, [SITE], settings, desks=lambda _site: desk, **more)  # type: ignore[arg-type]
    made = Shop(store, ManualClock(start or noon(17) - timedelta(minutes=10)), jobs)
    made.until(made.clock.now())
    return made


def test_all_jobs_have_words_in_both_languages_and_wait_for_jobs_that_exist() -> None:
    told = JobSettings(folder="x", forecasts=({"recipient": "retailer-a"},))  # type: ignore[arg-type]
    store = open_store("sqlite://", durability="process")
    jobs = checked(standard_jobs(store, [SITE], told))
    for lang in ("ja", "en"):
        words = Messages(lang)
        for name, job in jobs.items():
            assert words.has(f"jobs.name.{name}")
            assert words.has(f"jobs.due.{job.due.words['key']}")
            assert set(job.needs) <= set(jobs)


def test_a_service_without_sites_has_no_jobs_of_sites() -> None:
    store = open_store("sqlite://", durability="process")
    assert all(job.subjects == ("",) for job in standard_jobs(store, []))


def test_a_job_that_is_switched_off_must_exist() -> None:
    store = open_store("sqlite://", durability="process")
    names = {job.name for job in standard_jobs(store, [SITE], JobSettings(off=("plan",)))}
    assert "plan" not in names
    assert "forecast" in names
    with pytest.raises(ConfigError, match="no job 'forcast'") as refused:
        standard_jobs(store, [SITE], JobSettings(off=("forcast",)))
    assert refused.value.hint == "did you mean 'forecast'?"


def test_at_noon_tomorrow_is_forecast_once_whatever_happens_afterwards() -> None:
    made = shop()
    made.until(noon(17))
    issue = latest_issued(made.store.as_of(made.clock.now()), SITE.id, LOAD, Horizon.DAY_AHEAD)
    assert issue is not None
    assert issue.issued_at == noon(17)
    assert "1 forecasts issued (level)." in made.last("forecast-day")
    made.supervisor.book.ask("forecast-day", SITE.id, by="hana")
    made.until(noon(17) + timedelta(minutes=5))
    asked = made.store.rows.runs.last(job="forecast-day")[0]
    assert asked.asked_by == "hana"
    again = latest_issued(made.store.as_of(made.clock.now()), SITE.id, LOAD, Horizon.DAY_AHEAD)
    assert again == issue
    assert run_in_words(Messages("en"), asked) == "The running site had issued it."


def test_after_a_day_offline_yesterdays_forecasts_are_left_out_and_todays_are_made() -> None:
    made = shop()
    made.until(noon(17))
    made.until(noon(18) + timedelta(minutes=12))
    late = Supervisor(made.store, made.clock, made.jobs, spawn=lambda work, _name: work())
    assert late.look() == 0  # nothing is left
    left_out = made.store.rows.runs.last(job="forecast", state="skipped")[0]
    assert run_in_words(Messages("en"), left_out) == (
        "47 from Thu 28 May 12:30 on came too late to be of use and were left out."
    )
    known = made.store.as_of(made.clock.now())
    for horizon in (Horizon.INTRADAY, Horizon.DAY_AHEAD):
        issue = latest_issued(known, SITE.id, LOAD, horizon)
        assert issue is not None
        assert issue.issued_at == made.clock.now()
    ran = {one.job for one in made.store.rows.runs.find() if one.started_at == made.clock.now()}
    assert {"measure", "models", "drift", "forecast", "forecast-day", "plan"} <= ran


def test_missing_readings_are_waited_for_and_then_named() -> None:
    made = shop(start=midnight(DAYS) - timedelta(minutes=10))
    made.until(midnight(DAYS) + timedelta(seconds=1))
    assert made.said("measure")[-1] == "measured"
    made.until(midnight(DAYS) + SLOT_LENGTH + timedelta(seconds=1))
    waits = made.store.rows.runs.last(job="measure")[0]
    assert (waits.state, waits.attempts, waits.error) == ("waiting", 1, "")  # on its way is no fault
    for _ in range(5):
        made.until(made.clock.now() + timedelta(minutes=1))
    assert made.said("measure")[-1] == "gaps"
    assert made.last("measure").startswith("1 half hours of the last day are missing")


def test_the_gate_names_plans_that_are_not_handed_in_before_the_dated_deadline() -> None:
    made = shop(start=parse_jst("2026-05-28 08:00"))
    day = date(2026, 5, 29)
    head = {
        "kind": "demand",
        "day": day,
        "group": "bg-aizu",
        "area": "tohoku",
        "sender": "00002",
        "recipient": "00000",
        "on_behalf_of": "bg-aizu",
        "members": [{"code": "office", "kwh": [0] * 48}],
        "totals_kwh": [0] * 48,
    }
    plan = draft_plan(read_plan(head, name="x"), {"office": [Decimal(10)] * 48}, [])
    PlanBook(made.store).draft(plan, at=made.clock.now(), author="hana")
    due = sorted(
        one.next_at for one in made.store.rows.jobs.find(name="gate-next-day") if one.next_at is not None
    )
    assert due == [parse_jst("2026-05-28 10:55")]  # an hour before our own deadline, 11:55
    made.until(parse_jst("2026-05-28 10:55"))
    assert made.last("gate-next-day").startswith("1 of 1 plans for Fri 29 May are not handed in, first 2026-")
    assert "未提出" in made.last("gate-next-day", "ja")


def test_points_go_out_in_one_batch_and_its_file_comes_back_when_it_is_lost(tmp_path: Path) -> None:
    made = shop(JobSettings(folder=str(tmp_path)), start=parse_jst("2026-05-28 06:00"))
    postings = (Posting(ISSUER, -7), Posting("driver/hana", 7))
    facts = {"event": "e", "point_class": "local"}
    Journal(made.store).post(
        Entry(key="grant/e/x/r@1", at=made.clock.now(), postings=postings, memo="x", facts=facts)
    )
    made.until(parse_jst("2026-05-28 06:30"))
    assert made.last("points-batch") == "Batch b-000001: 1 lines, 7 points."
    path = tmp_path / "points" / "coin-b-000001.csv"
    text = path.read_text(encoding="utf-8-sig")
    path.unlink()
    made.until(parse_jst("2026-05-29 06:30"))
    assert made.last("points-batch").startswith("No new points.")
    assert path.read_text(encoding="utf-8-sig") == text
    assert len(BatchBook(made.store).batches()) == 1


def test_points_whose_last_day_is_over_are_booked_away_in_the_night_once() -> None:
    made = shop(start=parse_jst("2026-05-28 23:30"))
    postings = (Posting(ISSUER, -7), Posting("driver/hana", 7))
    facts = {"event": "e", "point_class": "local_only", "expires_on": "2026-05-28"}
    journal = Journal(made.store)
    journal.post(Entry(key="grant/e/x/r@1", at=made.clock.now(), postings=postings, memo="x", facts=facts))
    made.until(parse_jst("2026-05-29 00:15"))
    assert journal.balance("driver/hana") == 7
    made.until(parse_jst("2026-05-29 00:20"))
    assert made.last("expire-points") == "1 entries, 7 points have expired."
    assert "7ポイントが期限切れ" in made.last("expire-points", "ja")
    assert journal.balances() == {"driver/hana": 0, "operator/expired": 7, "operator/issue": -7}
    made.until(parse_jst("2026-05-30 00:20"))
    assert made.last("expire-points").startswith("No points have expired.")


def an_event(made: Shop, day: int) -> None:
    start = midnight(day) + timedelta(hours=16)
    book, at = EventBook(made.store), made.clock.now()
    event = DrEvent(
        id="e-1",
        product=Product.ECONOMIC,
        modification=0,
        start=start,
        end=start + timedelta(hours=2),
        target_kw=Decimal(10),
        announced_at=at,
    )
    book.announce(event, at=at, actor="upstream")
    book.nominate("e-1", [Resource(site=SITE.id, kw=Decimal(10))], at=at, actor="hana")


def test_an_event_that_is_over_is_settled_once_from_the_readings_in_the_store() -> None:
    made = shop(JobSettings(dr_yen_per_kwh=Decimal(20)), start=noon(16))
    an_event(made, 17)
    made.until(midnight(17) + timedelta(hours=18, minutes=36))
    assert made.last("settle-events").startswith("1 events settled")
    settled = EventBook(made.store).settlement("e-1")
    assert settled is not None
    assert (settled.version, settled.sites[0].delivered_kwh) == (1, Decimal(0))
    made.supervisor.book.ask("settle-events", "", by="hana")
    made.until(made.clock.now() + timedelta(hours=1))
    again = EventBook(made.store).settlement("e-1")
    assert again is not None
    assert again.version == 1
    acts = [one.actor for one in made.store.audit_trail("dr/e-1") if one.act == "dr.settled"]
    assert len(acts) == 1
    assert acts[0].startswith("job 2026")


def test_without_a_price_an_event_waits_for_a_person_and_the_job_says_so() -> None:
    made = shop(start=noon(16))
    an_event(made, 17)
    made.until(midnight(17) + timedelta(hours=18, minutes=36))
    assert made.last("settle-events").startswith("1 events are over and wait for a person, first e-1")
    assert EventBook(made.store).settlement("e-1") is None


def test_a_month_with_gaps_fails_in_words_and_is_tried_again_for_days() -> None:
    made = shop(start=parse_jst("2026-05-31 23:00"))
    for minute in range(5):  # the readings of the last half hour are waited for first
        made.until(parse_jst("2026-06-01 05:00") + timedelta(minutes=minute))
    (row,) = [one for one in made.store.rows.runs.find(job="settle-month") if one.state == "waiting"]
    assert "the meter" in row.error  # the readings of the first and last days of May are not there
    assert row.retry_at is not None
    assert row.started_at is not None
    assert row.retry_at - row.started_at == timedelta(hours=1)


def test_webhooks_are_told_by_the_job_and_an_idle_round_leaves_one_row() -> None:
    sent: list[str] = []

    def send(url: str, body: bytes, headers: dict[str, str]) -> int:
        sent.append(url)
        return 200

    made = shop(send=send)
    for k in range(1, 5):
        made.until(noon(17) + k * timedelta(seconds=15), times=3)
    rows = made.store.rows.runs.find(job="webhooks")
    assert [one.state for one in rows] == ["skipped", "idle"]
    assert sent == []


def test_the_board_shows_every_job_with_its_next_time() -> None:
    made = shop()
    made.until(noon(17))
    cards = {card.name: card for card in board(made.store, made.clock.now())}
    assert set(cards) == {job.name for job in made.jobs}
    assert cards["forecast"].next_at == noon(17) + SLOT_LENGTH
    assert cards["settle-month"].next_at == datetime(2026, 5, 31, 20, 0, tzinfo=UTC)
