"""Administrators and auditors: people come and go by links, and everything that was done is found again."""

from __future__ import annotations

import csv
import io
import re
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from tests.unit.vpp.api.filled import filled_town
from tests.unit.vpp.web.browser import PASSWORD, Town, form_key
from vpp.people.roles import AccountState, Role


@pytest.fixture
def town() -> Town:
    return filled_town()


def send(browser: TestClient, path: str, **fields: str) -> tuple[int, str]:
    key = form_key(browser.get("/people").text)
    answer = browser.post(path, data={"form_key": key, **fields})
    return answer.status_code, answer.text


def invite(browser: TestClient, **changes: str) -> tuple[int, str]:
    fields = {"account": "taro", "name": "太郎", "role": "driver", "own": "kitakata/commuter", "lang": "ja"}
    return send(browser, "/people/invite", **(fields | changes))


def test_somebody_is_invited_by_a_link_that_works_once_and_is_shown_once(town: Town) -> None:
    boss = town.logged_in(Role.ADMINISTRATOR)
    status, page = invite(boss)
    assert status == 200
    link = re.search(r"http://[^<]+(/welcome/[^<]+)<", page)
    assert link is not None
    assert link[1] not in boss.get("/people").text
    newcomer = town.browser()
    key = form_key(newcomer.get(link[1]).text)
    told = newcomer.post(link[1], data={"form_key": key, "password": PASSWORD, "again": PASSWORD})
    assert told.status_code == 303
    assert town.enter(town.browser(), "taro").status_code == 303
    assert town.browser().get(link[1]).status_code == 404


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"account": "T A R O"}, "2 to 64"),
        ({"account": "<script>"}, "2 to 64"),
        ({"role": "king"}, "Choose a role"),
        ({"own": ""}, "site/car"),
        ({"own": "kitakata"}, "site/car"),
        ({"role": "operator"}, "owns nothing"),
        ({"role": "factory", "own": "Kita Kata"}, "ids of sites"),
        ({"name": "x" * 81}, "80 printable"),
        ({"account": "driver"}, "taken"),
    ],
)
def test_an_invitation_that_cannot_be_is_refused_in_words(
    town: Town, changes: dict[str, str], said: str
) -> None:
    boss = town.logged_in(Role.ADMINISTRATOR)
    town.account(Role.DRIVER)
    before = len(town.house.people.all())
    status, page = invite(boss, **changes)
    assert (status, said in page) == (422, True)
    assert "<script>" not in page
    assert len(town.house.people.all()) == before


def test_a_changed_role_ends_sessions_and_tokens(town: Town) -> None:
    boss, driver = town.logged_in(Role.ADMINISTRATOR), town.logged_in(Role.DRIVER)
    program = town.program(Role.DRIVER)
    assert driver.get("/car").status_code == 200
    assert send(boss, "/people/driver/change", role="factory", own="kitakata")[0] == 303
    assert driver.get("/car").status_code == 303
    assert program.get("/api/v1/sites").status_code == 401
    known = town.house.people.require("driver")
    assert (known.role, known.objects.sites) == (Role.FACTORY, ("kitakata",))
    acts = [one.act for one in town.house.store.audit_trail("account/driver")]
    assert acts[-1] == "account.changed"


def test_somebody_is_shut_out_at_once_and_comes_back_by_a_link(town: Town) -> None:
    boss, driver = town.logged_in(Role.ADMINISTRATOR), town.logged_in(Role.DRIVER)
    assert send(boss, "/people/driver/disable")[0] == 303
    assert driver.get("/car").status_code == 303
    assert town.house.people.require("driver").state is AccountState.DISABLED
    status, page = send(boss, "/people/driver/reset", second_factor="yes")
    assert status == 200
    assert "/welcome/" in page


def test_nobody_shuts_himself_out_and_the_last_administrator_stays(town: Town) -> None:
    boss = town.logged_in(Role.ADMINISTRATOR)
    for act in ("disable", "reset", "change"):
        assert send(boss, f"/people/administrator/{act}", role="operator")[0] == 422
    assert town.house.people.require("administrator").state is AccountState.ACTIVE
    assert send(boss, "/people/nobody/disable")[0] == 404


def test_the_trail_is_filtered_and_goes_on_page_by_page(town: Town) -> None:
    for number in range(120):
        at = town.house.clock.now() + timedelta(seconds=number)
        town.house.store.audit("robot", "test.done", f"thing/{number}", at=at, facts={"number": number})
    town.house.store.audit("robot", "other", "<b>bold</b>", at=town.house.clock.now(), facts={"a": "<i>"})
    auditor = town.logged_in(Role.AUDITOR)
    page = auditor.get("/audit?actor=robot&act=test.").text
    assert page.count("<td>robot</td>") == 100
    older = re.search(r'href="(/audit\?[^"]*before=\d+)"', page)
    assert older is not None
    assert auditor.get(older[1].replace("&amp;", "&")).text.count("<td>robot</td>") == 20
    strange = auditor.get("/audit?act=other").text
    assert "<b>bold" not in strange
    assert "&lt;b&gt;bold" in strange
    assert "No record fits" in auditor.get("/audit?actor=nobody-at-all").text


@pytest.mark.parametrize(
    "query", ["first=x", "last=9999-12-31", "before=-1", "before=1e9", "act=%25", "actor=%00"]
)
def test_nonsense_in_the_filter_is_no_error(town: Town, query: str) -> None:
    assert town.logged_in(Role.AUDITOR).get(f"/audit?{query}").status_code == 200


def test_the_export_holds_what_the_filter_lets_through_and_is_written_down(town: Town) -> None:
    town.house.store.audit("robot", "test.done", "=1+1", at=town.house.clock.now(), facts={})
    auditor = town.logged_in(Role.AUDITOR)
    told = auditor.get("/audit/audit.csv?actor=robot")
    rows = list(csv.DictReader(io.StringIO(told.text.lstrip("\ufeff"))))
    assert [one["subject"] for one in rows] == ["'=1+1"]
    assert town.house.store.audit_trail("audit")[-1].act == "audit.exported"


def test_others_do_not_come_in(town: Town) -> None:
    for role in (Role.DRIVER, Role.OPERATOR, Role.AUDITOR):
        assert town.logged_in(role).get("/people").status_code == 403
    assert town.logged_in(Role.OPERATOR).get("/audit").status_code == 403
