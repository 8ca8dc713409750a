"""What holds for every request."""

from __future__ import annotations

import hashlib
import json
import logging
import tomllib
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

import vpp.web
from energy.core.errors import ConfigError
from tests.unit.vpp.web.browser import PASSWORD, Town, form_key
from vpp.http.limits import Buckets
from vpp.people.roles import Role
from vpp.setup.service import ServiceConfig, WebSettings
from vpp.web.app import PAGES, create_app
from vpp.web.middleware import CSP, JsonLines
from vpp.web.pages import Page

WEB = Path(vpp.web.__file__).parent


@pytest.fixture
def town() -> Town:
    return Town()


def test_every_answer_carries_the_policy_without_exceptions(town: Town) -> None:
    browser = town.browser()
    for path in ("/login", "/nowhere", "/static/base.css", "/health/live", "/openapi.json", "/"):
        headers = browser.get(path).headers
        assert headers.get_list("content-security-policy") == [CSP], path
        assert headers["x-content-type-options"] == "nosniff"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-request-id"]


def test_pages_have_nothing_inline_and_nothing_from_elsewhere(town: Town) -> None:
    browser = town.logged_in(Role.AUDITOR)
    for page in PAGES:
        if page.method == "GET" and "{" not in page.path and page.path != "/openapi.json":
            html = browser.get(page.path).text
            for bad in (" style=", "<style", "onclick", " onload", "javascript:", "//cdn", "https://"):
                assert bad not in html, (page.path, bad)


def test_vendored_files_are_what_they_were() -> None:
    listed = tomllib.loads((WEB / "VENDOR.toml").read_text(encoding="utf-8"))["file"]
    for one in listed:
        assert hashlib.sha256((WEB / one["path"]).read_bytes()).hexdigest() == one["sha256"], one["path"]
        assert one["licence"]
    scripts = {path.relative_to(WEB).as_posix() for path in (WEB / "static").rglob("*.js")}
    ours = {"static/explore.js", "static/live.js"}
    assert scripts - ours <= {one["path"] for one in listed}
    for path in ours:  # by hand and small: a page is no application
        assert len((WEB / path).read_text(encoding="utf-8").splitlines()) < 300


def test_a_route_without_a_rule_cannot_be_made(town: Town) -> None:
    async def open_door(request: Request) -> Response:
        return Response("hello")

    with pytest.raises(ConfigError, match="no rule"):
        create_app(town.service, pages=(Page(path="/x", endpoint=open_door, rule="none-of-them"),))
    from vpp.http.access import GuardedRoute

    with pytest.raises(ConfigError, match="nobody says who may call open_door"):
        FastAPI().router.add_api_route("/x", open_door, route_class_override=GuardedRoute)


@pytest.mark.parametrize(
    ("lang", "title"), [("ja", "見つかりません"), ("en", "Nothing here"), ("fr", "見つかりません")]
)
def test_a_problem_is_told_in_the_callers_language(town: Town, lang: str, title: str) -> None:
    answer = town.browser(lang).get("/nowhere", headers={"Accept": "application/json"})
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["title"] == title
    assert told["request_id"] == answer.headers["x-request-id"]


def test_a_browser_gets_a_problem_as_a_page(town: Town) -> None:
    answer = town.browser("ja").get("/nowhere")
    assert answer.status_code == 404
    assert "見つかりません" in answer.text
    assert answer.headers["x-request-id"] in answer.text


def test_a_bug_tells_its_number_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(request: Request) -> Response:
        msg = "secret-table at /srv/vpp.db"
        raise RuntimeError(msg)

    town = Town(
        make=lambda service: create_app(service, pages=(Page(path="/x", endpoint=broken, rule="public"),))
    )
    answer = town.browser().get("/x", headers={"Accept": "application/json", "X-Request-Id": "abcd-1234"})
    assert answer.status_code == 500
    assert answer.json()["request_id"] == "abcd-1234"
    assert "secret-table" not in answer.text
    assert "secret-table" in caplog.text


@pytest.mark.parametrize("given", ["short", "x" * 200, "a b c d e f g", "<script>alert</script>"])
def test_a_request_number_that_is_none_is_replaced(town: Town, given: str) -> None:
    assert town.browser().get("/login", headers={"X-Request-Id": given}).headers["x-request-id"] != given


def test_a_hundred_megabytes_are_refused_before_they_are_read(town: Town) -> None:
    read = 0

    def parts() -> object:
        nonlocal read
        for _ in range(100):
            read += 1
            yield b"x" * 1_000_000

    declared = town.browser().post("/login", content=parts(), headers={"Content-Length": "100000000"})
    assert declared.status_code == 413
    assert read <= 1


def test_a_body_without_a_length_is_cut_at_the_limit(town: Town) -> None:
    browser = town.browser()
    key = form_key(browser.get("/login").text)
    body = (b"x" * 1_000_000 for _ in range(100))
    answer = browser.post(
        "/login",
        content=body,
        headers={"Content-Type": "application/x-www-form-urlencoded", "X-Form-Key": key},
    )
    assert answer.status_code == 413


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "user@evil.example"])
def test_a_request_under_another_name_is_refused(town: Town, host: str) -> None:
    assert town.browser().get("/login", headers={"Host": host}).status_code == 421


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null"},
    ],
)
def test_a_form_sent_by_another_site_is_refused(town: Town, headers: dict[str, str]) -> None:
    town.account(Role.AUDITOR)
    browser = town.browser()
    fields = {"form_key": form_key(browser.get("/login").text), "name": "auditor", "password": PASSWORD}
    assert browser.post("/login", data=fields, headers=headers).status_code == 403


def test_a_form_without_its_key_is_refused_and_nothing_changes(town: Town) -> None:
    browser = town.logged_in(Role.AUDITOR)
    for key in ("", "wrong", form_key(town.logged_in(Role.AUDITOR).get("/account").text)):
        fields = {"form_key": key, "old": PASSWORD, "password": "a good new one", "again": "a good new one"}
        assert browser.post("/account/password", data=fields).status_code == 403
    assert town.house.logins.by_password("auditor", PASSWORD)


def test_too_many_requests_wait() -> None:
    town = Town(settings=WebSettings(requests_per_minute=10, second_factor_for=()))
    browser = town.browser()
    codes = [browser.get("/login").status_code for _ in range(11)]
    assert codes == [200] * 10 + [429]


def test_a_bucket_fills_with_time() -> None:
    now = [0.0]
    bucket = Buckets(60, ticks=lambda: now[0])
    assert [bucket.take("a") for _ in range(61)] == [0] * 60 + [1]
    assert bucket.take("b") == 0
    now[0] = 2.5
    assert [bucket.take("a") for _ in range(3)] == [0, 0, 1]


def test_health_is_open_and_figures_are_not(town: Town) -> None:
    browser = town.browser()
    assert browser.get("/health/live").json() == {"status": "ok"}
    assert browser.get("/health/ready").status_code == 200
    assert browser.get("/metrics").status_code == 401
    figures = town.program(Role.AUDITOR).get("/metrics")
    assert 'vpp_http_requests_total{method="GET",route="/health/live",status="200"} 1.0' in figures.text


def test_a_service_that_stops_is_not_ready(town: Town) -> None:
    town.service.stopping = True
    assert town.browser().get("/health/ready").status_code == 503
    assert town.browser().get("/health/live").status_code == 200


def test_a_closed_database_is_told_as_unavailable(town: Town) -> None:
    town.house.store.close()
    answer = town.browser().get("/health/ready", headers={"Accept": "application/json"})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")


def test_logs_hold_the_route_and_no_names(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    secret = town.house.invite(Role.AUDITOR, "hana")
    town.browser().get(f"/welcome/{secret}?x=hana")
    lines = [JsonLines().format(record) for record in caplog.records if record.name.startswith("vpp")]
    told = json.loads(lines[-1])
    assert (told["event"], told["route"], told["status"]) == ("http.request", "/welcome/{secret}", 200)
    assert secret not in "".join(lines)
    assert "hana" not in "".join(lines)


def test_the_service_listens_on_the_loopback_unless_told() -> None:
    assert ServiceConfig().web.host == "127.0.0.1"


def test_every_problem_has_words_in_both_languages() -> None:
    from vpp.http.problems import STATUS
    from vpp.i18n import Messages

    for lang in ("ja", "en"):
        words = Messages(lang)  # type: ignore[arg-type]
        for code in STATUS:
            assert words.text(f"problem.{code}.title")
