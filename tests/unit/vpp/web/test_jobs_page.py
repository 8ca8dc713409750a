"""The jobs page and its history, as an operator and others see them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from energy.store import JobRow, JobRunRow
from tests.unit.vpp.people.somebody import NOON
from tests.unit.vpp.web.browser import Town, form_key
from vpp.jobs.book import run_key
from vpp.people.roles import Role

PLANNED = '{"key":"planned","facts":{"source":"optimal"}}'
ABOUT = '{"due":{"key":"daily","times":"03:40"},"misfire":"once","needs":["settle-month","of-old"]}'


@pytest.fixture
def town() -> Town:
    return Town()


def put(town: Town, name: str, state: str, *, subject: str = "", k: int = 0, outcome: str = "{}") -> None:
    rows, due = town.house.store.rows, NOON - timedelta(minutes=k)
    rows.jobs.add(
        JobRow(name=name, subject=subject, about=ABOUT, next_at=NOON + timedelta(hours=1), seen_at=NOON)
    )
    rows.runs.add(
        JobRunRow(
            key=run_key(name, subject, due),
            job=name,
            subject=subject,
            due_at=due,
            state=state,
            attempts=2,
            started_at=due,
            ended_at=due + timedelta(seconds=3),
            outcome=outcome,
            error="<b>disk</b> full" if state == "failed" else "",
        )
    )


def test_before_any_service_ran_the_page_says_how_to_start_one(town: Town) -> None:
    page = town.logged_in(Role.OPERATOR).get("/jobs").text
    assert "No service has ever run on this database." in page
    assert "vpp run --config FILE" in page


@pytest.mark.parametrize(
    ("lang", "lead", "name"),
    [
        ("en", "Jobs to look at: 1 of 2.", "Backup"),
        ("ja", "2件の処理のうち1件に確認が必要です。", "バックアップ"),
    ],
)
def test_the_sentence_comes_first_and_what_failed_before_the_rest(
    town: Town, lang: str, lead: str, name: str
) -> None:
    put(town, "backup", "failed", outcome='{"key":"waits","facts":{}}')
    put(town, "alerts", "done", outcome='{"key":"told","facts":{"arrived":"3","failed":"0"}}')
    browser = town.logged_in(Role.OPERATOR, lang=lang)
    browser.post("/language", data={"form_key": form_key(browser.get("/jobs").text), "lang": lang})
    page = browser.get("/jobs").text
    assert lead in page
    assert page.index(name) < page.index("3件が届き" if lang == "ja" else "3 messages arrived")
    assert "&lt;b&gt;disk&lt;/b&gt; full" in page
    assert "<b>disk</b>" not in page


def test_a_job_of_many_sites_is_one_row_and_its_sites_stand_on_its_page(town: Town) -> None:
    for k, site in enumerate(("aizu-works", "bandai-clinic", "kitakata")):
        put(town, "plan", "failed" if k == 1 else "done", subject=site, k=k, outcome=PLANNED)
    put(town, "backup", "done")
    browser = town.logged_in(Role.OPERATOR)
    page = browser.get("/jobs").text
    assert "Jobs to look at: 1 of 4." in page
    bad, every = page.split(">To look at<")[1].split(">By job<")
    assert ("bandai-clinic" in bad, "aizu-works" in bad) == (True, False)
    assert every.count("<tr>") == 3  # the head, backup, plan
    assert "3 sites · " in every
    assert "1 failed · 2 on time" in every
    assert every.count("/jobs/plan/runs") == 0  # of which of them?
    head, rest = browser.get("/jobs/plan").text.split(">By site<")
    assert "3 sites · " in head
    sites = rest.split(">History<")[0]
    assert sites.index("bandai-clinic") < sites.index("aizu-works") < sites.index("kitakata")
    assert sites.count("There is a plan (plan by the optimiser).") == 3
    assert sites.count('action="/jobs/plan/runs"') == 3
    assert ">By site<" not in browser.get("/jobs/plan?subject=kitakata").text
    assert ">By site<" not in browser.get("/jobs/backup").text


def test_an_operator_asks_for_a_run_and_a_second_click_changes_nothing(town: Town) -> None:
    put(town, "backup", "done")
    browser = town.logged_in(Role.OPERATOR)
    key = form_key(browser.get("/jobs").text)
    for _ in range(2):
        answer = browser.post("/jobs/backup/runs", data={"form_key": key, "subject": ""})
        assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?asked=yes")
    assert "It runs as soon as its turn comes." in browser.get("/jobs?asked=yes").text
    assert len(town.house.store.rows.runs.find(state="waiting")) == 1
    assert town.house.acts().count("job.asked") == 1


def test_who_only_looks_finds_no_button_and_may_not_send_the_form(town: Town) -> None:
    put(town, "backup", "done")
    for role in (Role.AUDITOR, Role.ADMINISTRATOR):
        browser = town.logged_in(role)
        page = browser.get("/jobs").text
        assert "/jobs/backup/runs" not in page
        sent = browser.post("/jobs/backup/runs", data={"form_key": form_key(page), "subject": ""})
        assert sent.status_code == 403
    assert town.logged_in(Role.DRIVER).get("/jobs").status_code == 403


def test_history_goes_back_page_by_page_and_tells_what_this_version_does_not_know(town: Town) -> None:
    for k in range(55):
        put(town, "of-old", "done", k=k, outcome='{"key":"did_so","facts":{"what":"x","at":"2026-11-22"}}')
    browser = town.logged_in(Role.OPERATOR)
    first = browser.get("/jobs/of-old").text
    assert first.count("did_so what=x at=Sun 22 Nov") == 50
    assert "attempt 2" in first
    assert "took 3.0 s" in first
    older = first.split('href="/jobs/of-old?cursor=')[1].split('"')[0]
    second = browser.get(f"/jobs/of-old?cursor={older}").text
    assert second.count("did_so") == 5
    assert "Older" not in second


@pytest.mark.parametrize("path", ["/jobs/nothing", "/jobs/backup?cursor=%3Cb%3E", "/jobs/%00"])
def test_what_is_not_there_is_a_problem_in_words(town: Town, path: str) -> None:
    put(town, "backup", "done")
    assert town.logged_in(Role.OPERATOR).get(path).status_code in {400, 404}


def test_an_unknown_job_or_site_is_not_entered(town: Town) -> None:
    put(town, "backup", "done")
    browser = town.logged_in(Role.OPERATOR)
    key = form_key(browser.get("/jobs").text)
    for path, subject in (("/jobs/bakcup/runs", ""), ("/jobs/backup/runs", "nowhere")):
        assert browser.post(path, data={"form_key": key, "subject": subject}).status_code == 404
    assert town.house.store.rows.runs.find(state="waiting") == []


def test_a_service_that_is_gone_is_said_first(town: Town) -> None:
    put(town, "backup", "done")
    town.house.clock.advance(timedelta(hours=2))
    page = town.logged_in(Role.OPERATOR).get("/jobs").text
    assert "Nobody has looked what is due since Sun 22 Nov 12:00: no service is running." in page
    assert "overdue" in page


def test_the_api_tells_the_same_and_takes_a_wish_once(town: Town) -> None:
    put(town, "backup", "failed", outcome='{"key":"waits","facts":{}}')
    program = town.program(Role.OPERATOR)
    (job,) = program.get("/api/v1/jobs").json()["items"]
    assert (job["state"], job["last"]["error"], job["needs"]) == (
        "failed",
        "<b>disk</b> full",
        ["settle-month", "of-old"],
    )
    headers = {"Idempotency-Key": "again-and-again"}
    first, second = (
        program.post("/api/v1/jobs/backup/runs", json={"subject": ""}, headers=headers) for _ in range(2)
    )
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert first.json()["asked_by"] == "operator"
    runs = program.get("/api/v1/jobs/backup/runs", params={"limit": 1}).json()
    older = program.get("/api/v1/jobs/backup/runs", params={"limit": 1, "cursor": runs["next"]}).json()
    assert [one["state"] for one in (*runs["items"], *older["items"])] == ["waiting", "failed"]
    assert older["next"] is None
    assert program.get("/api/v1/jobs/none/runs").status_code == 404
