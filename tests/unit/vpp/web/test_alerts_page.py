"""The page of alerts, its forms, the count on every page, and webhooks of the people of the service."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from energy.store import HookRow
from tests.unit.vpp.web.browser import NOON, Town, form_key
from vpp.ops.alerts import AlertBook, Kind, Level, Trouble
from vpp.ops.webhooks import new_signing_key, tell_all
from vpp.people.roles import Role

MINUTE = timedelta(minutes=1)
OURS = Trouble(kind=Kind.DATA_STALE, subject="kitakata", facts={"site": "kitakata", "since": "11-22 11:50"})
THEIRS = Trouble(kind=Kind.DATA_STALE, subject="other-works", facts={"site": "other-works", "since": "<b>"})
CHAIN = Trouble(kind=Kind.LEDGER_BROKEN, level=Level.ALARM, facts={"fault": "entry 7"})


@pytest.fixture
def town() -> Town:
    town = Town()
    AlertBook(town.house.store).review([OURS, THEIRS, CHAIN], NOON)
    return town


def test_a_calm_service_says_so() -> None:
    page = Town().logged_in(Role.OPERATOR).get("/alerts").text
    assert "Nothing is wrong now." in page
    assert "alarmed" not in page


def test_the_operator_sees_all_alerts_alarms_first_and_their_count_everywhere(town: Town) -> None:
    browser = town.logged_in(Role.OPERATOR)
    page = browser.get("/alerts").text
    assert page.index("entry 7") < page.index("kitakata since 11-22 11:50")
    assert "Alarms: 1. Warnings: 2. Not acknowledged: 3." in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "</span> Alerts 3</a>" in browser.get("/account").text


def test_a_factory_sees_and_counts_its_own_alerts_only(town: Town) -> None:
    browser = town.logged_in(Role.FACTORY)
    page = browser.get("/alerts").text
    assert "kitakata" in page
    assert "other-works" not in page
    assert "entry 7" not in page
    assert "</span> Alerts 1</a>" in page


def test_a_driver_is_told_nothing(town: Town) -> None:
    browser = town.logged_in(Role.DRIVER)
    assert browser.get("/alerts").status_code == 403
    assert "alarmed" not in browser.get("/account").text


def post(browser: object, act: str, **fields: str) -> object:
    key = form_key(browser.get("/alerts").text)  # type: ignore[attr-defined]
    return browser.post(f"/alerts/{act}", data={"form_key": key, **fields})  # type: ignore[attr-defined]


def test_an_acknowledgement_carries_name_and_note(town: Town) -> None:
    browser = town.logged_in(Role.FACTORY)
    sent = post(browser, "acknowledge", kind="data_stale", subject="kitakata", note="<i>on my way</i>")
    assert sent.status_code == 303  # type: ignore[attr-defined]
    page = browser.get("/alerts").text
    assert "factory has seen it" in page
    assert "&lt;i&gt;on my way&lt;/i&gt;" in page


def test_a_silent_alert_is_not_counted_but_stays_on_the_page(town: Town) -> None:
    browser = town.logged_in(Role.FACTORY)
    post(browser, "silence", kind="data_stale", subject="kitakata", hours="8")
    page = browser.get("/alerts").text
    assert "Nobody is told until Sun 22 Nov 20:00" in page
    assert "alarmed" not in page.partition("<main")[0]


@pytest.mark.parametrize(
    ("act", "fields", "status"),
    [
        ("acknowledge", {"kind": "data_stale", "subject": "other-works"}, 409),  # somebody else's
        ("acknowledge", {"kind": "ledger_broken", "subject": ""}, 409),
        ("acknowledge", {"kind": "data_stale", "subject": "kitakata", "note": "x" * 301}, 422),
        ("acknowledge", {}, 409),
        ("silence", {"kind": "data_stale", "subject": "other-works", "hours": "8"}, 409),
        ("silence", {"kind": "data_stale", "subject": "kitakata", "hours": "9999"}, 422),
        ("silence", {"kind": "data_stale", "subject": "kitakata", "hours": "x"}, 422),
    ],
)
def test_bad_and_foreign_forms_change_nothing(
    town: Town, act: str, fields: dict[str, str], status: int
) -> None:
    browser = town.logged_in(Role.FACTORY)
    assert post(browser, act, **fields).status_code == status  # type: ignore[attr-defined]
    assert all(
        one.seen_at is None and one.silent_until is None for one in AlertBook(town.house.store).alerts()
    )


def test_an_auditor_looks_but_does_not_act(town: Town) -> None:
    browser = town.logged_in(Role.AUDITOR)
    page = browser.get("/alerts").text
    assert "entry 7" in page
    assert "/alerts/acknowledge" not in page
    key = form_key(page)
    data = {"form_key": key, "kind": "ledger_broken", "subject": ""}
    assert browser.post("/alerts/acknowledge", data=data).status_code == 403


def test_a_webhook_of_an_operator_is_told_of_alerts_once_and_one_of_a_retailer_is_not(town: Town) -> None:
    store, clock = town.house.store, town.house.clock
    for role, kinds in (
        (Role.OPERATOR, ["alert.opened", "alert.cleared"]),
        (Role.RETAILER, ["alert.opened"]),
    ):
        row = HookRow(
            id=role.value[:12],
            account=town.account(role).id,
            url="https://hook.example/x",
            signing_key=new_signing_key(),
            kinds=json.dumps(kinds),
            created_at=NOON - MINUTE,
            seen_until=NOON - MINUTE,
        )
        store.rows.hooks.add(row)
    sent: list[dict[str, object]] = []

    def send(_url: str, body: bytes, _headers: dict[str, str]) -> int:
        sent.append(json.loads(body))
        return 204

    for k in range(6):
        if k:
            AlertBook(store).review([OURS, THEIRS], NOON + k * MINUTE)
        tell_all(store, clock, send=send, allowed=("hook.example",))
        clock.advance(MINUTE)
    assert [(one["type"], one["data"]["kind"], one["data"]["subject"]) for one in sent] == [  # type: ignore[index]
        ("alert.opened", "data_stale", "kitakata"),
        ("alert.opened", "data_stale", "other-works"),
        ("alert.opened", "ledger_broken", ""),
        ("alert.cleared", "ledger_broken", ""),
    ]
