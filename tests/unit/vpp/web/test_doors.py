"""Coming in through the pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.unit.vpp.web.browser import PASSWORD, Town, form_key
from vpp.people.roles import Objects, Role
from vpp.setup.service import WebSettings


@pytest.fixture
def town() -> Town:
    return Town()


def strict_town() -> Town:
    plain = Town().settings
    return Town(settings=replace(plain, second_factor_for=(Role.OPERATOR,)))


def test_whoever_is_not_in_is_shown_the_door_and_comes_back(town: Town) -> None:
    town.account(Role.AUDITOR)
    browser = town.browser()
    answer = browser.get("/account")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=/account")
    page = browser.get(answer.headers["location"])
    fields = {"form_key": form_key(page.text), "name": "auditor", "password": PASSWORD, "next": "/account"}
    answer = browser.post("/login", data=fields)
    assert answer.headers["location"] == "/account"
    assert "What this service knows" in browser.get("/account").text


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"]
)
def test_a_log_in_never_leads_to_another_site(town: Town, target: str) -> None:
    town.account(Role.AUDITOR)
    browser = town.browser()
    fields = {"form_key": form_key(browser.get("/login").text), "name": "auditor", "password": PASSWORD}
    assert browser.post("/login", data={**fields, "next": target}).headers["location"] == "/"


@pytest.mark.parametrize(
    ("lang", "word"), [("ja", "ログイン"), ("en", "Log in"), ("de", "ログイン"), ("", "ログイン")]
)
def test_the_door_speaks_the_readers_language(town: Town, lang: str, word: str) -> None:
    page = town.browser(lang).get("/login")
    assert word in page.text
    assert f'<html lang="{"en" if lang == "en" else "ja"}">' in page.text


def test_a_chosen_language_stays(town: Town) -> None:
    browser = town.browser("en")
    key = form_key(browser.get("/login").text)
    answer = browser.post(
        "/language", data={"form_key": key, "lang": "ja"}, headers={"Referer": "http://127.0.0.1/login"}
    )
    assert answer.headers["location"] == "/login"
    assert 'lang="ja"' in browser.get("/login").text


def test_a_wrong_password_and_an_unknown_name_get_the_same_page(town: Town) -> None:
    town.account(Role.AUDITOR)
    browser = town.browser()
    wrong, unknown = town.enter(browser, "auditor", "x"), town.enter(browser, "nobodyxx", "x")
    assert (wrong.status_code, unknown.status_code) == (401, 401)
    assert wrong.text.replace("auditor", "") == unknown.text.replace("nobodyxx", "")


def test_a_name_that_no_database_can_look_up_is_refused(town: Town) -> None:
    assert town.enter(town.browser(), "a\0b", "x").status_code == 400
    assert town.browser().get("/account/%00").status_code == 404


def test_html_in_a_typed_name_is_shown_as_text(town: Town) -> None:
    page = town.enter(town.browser(), '"><script>alert(1)</script>', "x")
    assert "<script>alert" not in page.text
    assert "&lt;script&gt;" in page.text


def test_html_in_a_shown_name_is_shown_as_text(town: Town) -> None:
    secret = town.house.people.invite(
        "bob",
        name="<img src=x onerror=alert(1)>",
        role=Role.AUDITOR,
        objects=Objects(),
        lang="en",
        actor="test",
    )
    page = town.browser().get(f"/welcome/{secret}")
    assert "<img" not in page.text
    assert "&lt;img" in page.text


def test_a_one_time_link_leads_in_once(town: Town) -> None:
    secret = town.house.invite(Role.AUDITOR, "hana")
    browser = town.browser()
    page = browser.get(f"/welcome/{secret}")
    assert page.headers["cache-control"] == "no-store"
    fields = {"form_key": form_key(page.text), "password": PASSWORD, "again": PASSWORD}
    weak = browser.post(f"/welcome/{secret}", data={**fields, "password": "short", "again": "short"})
    assert weak.status_code == 422
    differ = browser.post(f"/welcome/{secret}", data={**fields, "again": "something else"})
    assert differ.status_code == 422
    answer = browser.post(f"/welcome/{secret}", data=fields)
    assert answer.headers["location"] == "/"
    assert "Hello, hana" in browser.get("/").text
    assert town.browser().get(f"/welcome/{secret}").status_code == 404


def test_an_operator_sets_up_the_second_factor_before_anything_else() -> None:
    town = strict_town()
    browser = town.logged_in(Role.OPERATOR)
    assert browser.get("/").headers["location"] == "/account/second-factor"
    page = browser.get("/account/second-factor")
    assert "<svg" in page.text
    fields = {"form_key": form_key(page.text), "code": "000000"}
    assert browser.post("/account/second-factor", data=fields).status_code == 422
    done = browser.post("/account/second-factor", data={**fields, "code": town.code("operator")})
    assert done.text.count("<li>") >= 8
    assert browser.get("/").status_code == 200
    town.house.clock.advance(timedelta(minutes=1))
    again = town.browser()
    assert town.enter(again, "operator").headers["location"] == "/login/code"
    assert again.get("/").headers["location"] == "/login/code"
    page = again.get("/login/code")
    assert again.post("/login/code", data={"form_key": form_key(page.text), "code": "1"}).status_code == 401
    answer = again.post("/login/code", data={"form_key": form_key(page.text), "code": town.code("operator")})
    assert answer.headers["location"] == "/"
    assert again.get("/").status_code == 200


def test_leaving_ends_the_session_on_the_server(town: Town) -> None:
    browser = town.logged_in(Role.AUDITOR)
    key, cookie = form_key(browser.get("/").text), browser.cookies["vpp"]
    assert browser.post("/leave", data={"form_key": key}).status_code == 303
    assert town.browser().get("/", headers={"Cookie": f"vpp={cookie}"}).status_code == 303


def test_an_expired_session_is_shown_the_door_and_changes_nothing(town: Town) -> None:
    browser = town.logged_in(Role.AUDITOR)
    key = form_key(browser.get("/").text)
    town.house.clock.advance(timedelta(hours=13))
    fields = {
        "form_key": key,
        "old": PASSWORD,
        "password": "a good new password",
        "again": "a good new password",
    }
    answer = browser.post("/account/password", data=fields)
    assert answer.headers["location"] == "/login"
    assert town.house.logins.by_password("auditor", PASSWORD)


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(town: Town) -> None:
    town.account(Role.AUDITOR)
    said = town.enter(town.browser(), "auditor").headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=lax" in said
    safe = Town(settings=replace(town.settings, public_url="https://vpp.example"))
    safe.account(Role.AUDITOR)
    browser = safe.browser(origin="https://vpp.example")
    said = safe.enter(browser, "auditor").headers["set-cookie"]
    assert said.startswith("__Host-vpp=")
    assert "Secure" in said
    assert "max-age=31536000" in browser.get("/login").headers["strict-transport-security"]


def test_attempts_from_one_address_are_counted() -> None:
    town = Town(settings=WebSettings(logins_per_minute=3, second_factor_for=()))
    browser = town.browser()
    assert [town.enter(browser, "x1", "x").status_code for _ in range(4)] == [401, 401, 401, 429]
    assert int(town.enter(browser, "x1", "x").headers["retry-after"]) > 0


def test_a_changed_password_says_so_and_a_wrong_one_changes_nothing(town: Town) -> None:
    browser = town.logged_in(Role.AUDITOR)
    fields = {
        "form_key": form_key(browser.get("/account").text),
        "old": "wrong",
        "password": "a good new one",
        "again": "a good new one",
    }
    assert "Nothing was changed" in browser.post("/account/password", data=fields).text
    assert "is changed" in browser.post("/account/password", data={**fields, "old": PASSWORD}).text


def test_a_token_is_shown_once_and_can_be_revoked(town: Town) -> None:
    browser = town.logged_in(Role.AUDITOR)
    key = form_key(browser.get("/account").text)
    fields = {"form_key": key, "name": "night job", "scope": ["read:sites"], "days": "30"}
    made = browser.post("/account/tokens", data=fields).text
    secret = made.split('<code class="secret">')[1].split("<")[0]
    assert town.service.tokens.check(secret)
    assert secret not in browser.get("/account").text
    assert (
        browser.post(f"/account/tokens/{secret.split('_')[1]}/revoke", data={"form_key": key}).status_code
        == 303
    )
    assert town.service.tokens.check(secret) is None


@pytest.mark.parametrize(
    "broken",
    [
        {"days": "9999999999999"},
        {"days": "x"},
        {"days": "-1"},
        {"scope": ["write:everything"]},
        {"name": ""},
        {"scope": []},
    ],
)
def test_an_impossible_token_is_refused_in_words(town: Town, broken: dict[str, object]) -> None:
    browser = town.logged_in(Role.AUDITOR)
    fields = {
        "form_key": form_key(browser.get("/account").text),
        "name": "job",
        "scope": ["read:sites"],
        "days": "30",
    }
    answer = browser.post("/account/tokens", data={**fields, **broken})
    assert answer.status_code == 422
    assert "No token was made" in answer.text
    assert town.house.store.rows.tokens.find() == []
