"""The region's rooms: a plan from draft to receipt, refusals in words, consents, events, the ledger."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from energy.core.slots import jst_midnight, parse_jst
from energy.ledger import ISSUER, Entry, Journal, Posting
from energy.market.plans import BalancingPlan, read_plan
from energy.store import open_store
from tests.unit.vpp.api.filled import FOREIGN_SITE, filled_town
from tests.unit.vpp.web.browser import Town, form_key
from vpp.forecasts.errormap import errors_by_day
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast, keep
from vpp.people.roles import Role
from vpp.settlement.plan_book import PlanBook, PlanState
from vpp.views.areawatch import watch_area

DAY = date(2026, 11, 24)  # the town's noon is 22 November 12:00 in Japan: the next-day plan is open
KEY = f"{DAY}~demand~bg-aizu~tohoku"


@pytest.fixture
def town() -> Town:
    return filled_town()


def plan(**told: Any) -> BalancingPlan:
    header = {
        "kind": "demand", "day": DAY, "group": "bg-aizu", "area": "tohoku", "sender": "00002",
        "recipient": "00000", "on_behalf_of": "retailer-a",
        "members": [{"code": "kitakata", "kwh": [10] * 48}], "totals_kwh": [10] * 48,
        "trades": [{"party": "spot", "side": "buy", "kwh": [9] * 48}],
    }  # fmt: skip
    return read_plan(header | told, name="test")


def draft(town: Town, author: str = "operator") -> None:
    PlanBook(town.house.store).draft(plan(), at=town.house.clock.now(), author=author)


def send(browser: TestClient, path: str, fields: dict[str, str], page: str) -> Any:
    key = form_key(browser.get(page).text)
    state: Any = browser.app.state  # type: ignore[attr-defined]
    state.service.clock.advance(timedelta(seconds=1))
    return browser.post(path, data={"form_key": key, **fields})


def column(name: str, kwh: str) -> dict[str, str]:
    return {"column": name, **{f"k{slot}": kwh for slot in range(48)}}


def test_a_plan_goes_from_draft_to_receipt_through_two_people(town: Town) -> None:
    draft(town)
    one, other = town.logged_in(Role.OPERATOR), town.logged_in(Role.OPERATOR, "second")
    sheet = f"/operator/plans/{KEY}~v1"
    assert "48 half hours do not balance" in one.get(sheet).text
    saved = send(one, sheet, column("buy~spot", "10"), sheet)
    assert saved.headers["location"] == f"/operator/plans/{KEY}~v2?column=buy~spot"
    sheet = f"/operator/plans/{KEY}~v2"
    assert "Every half hour balances" in one.get(sheet).text
    assert send(one, f"{sheet}/acts", {"act": "check"}, sheet).status_code == 303
    refused = send(one, f"{sheet}/acts", {"act": "approve"}, sheet)
    assert (refused.status_code, "Another operator has to" in refused.text) == (409, True)
    assert send(other, f"{sheet}/acts", {"act": "approve"}, sheet).status_code == 303
    preview = one.get(f"{sheet}?step=submit").text
    assert "will be noted as handed in" in preview
    assert PlanBook(town.house.store).version(KEY.replace("~", "/"), 2).state is PlanState.APPROVED
    assert send(one, f"{sheet}/acts", {"act": "submit"}, f"{sheet}?step=submit").status_code == 303
    answered = send(one, f"{sheet}/acts", {"act": "accepted", "receipt": "R-1"}, sheet)
    assert answered.status_code == 303
    assert "Receipt R-1" in one.get(sheet).text


def test_what_changed_since_the_last_version_is_marked(town: Town) -> None:
    draft(town)
    browser = town.logged_in(Role.OPERATOR)
    sheet = f"/operator/plans/{KEY}~v1"
    fields = column("buy~spot", "9") | {"k3": "12"}
    send(browser, sheet, fields, sheet)
    told = browser.get(f"/operator/plans/{KEY}~v2?column=buy~spot").text
    assert told.count("n changed") == 1


@pytest.mark.parametrize("typed", ["-1", "9.5", "x", "", "99999999", "<b>", "１"])
def test_an_impossible_value_is_named_and_nothing_is_saved(town: Town, typed: str) -> None:
    draft(town)
    browser = town.logged_in(Role.OPERATOR)
    sheet = f"/operator/plans/{KEY}~v1"
    answer = send(browser, sheet, column("buy~spot", "9") | {"k4": typed}, sheet)
    assert answer.status_code == 422
    assert "Half hours 5 are no whole numbers" in answer.text
    assert "<b>" not in answer.text
    assert len(PlanBook(town.house.store).versions(KEY.replace("~", "/"))) == 1


def test_a_stale_tab_is_told_so_and_a_double_click_does_it_once(town: Town) -> None:
    draft(town)
    browser = town.logged_in(Role.OPERATOR)
    sheet = f"/operator/plans/{KEY}~v1"
    for _ in range(2):
        saved = send(browser, sheet, column("buy~spot", "10"), sheet)
        assert saved.headers["location"].startswith(f"/operator/plans/{KEY}~v2")
    stale = send(browser, sheet, column("buy~spot", "11"), sheet)
    assert (stale.status_code, "newer version in the meantime" in stale.text) == (409, True)
    assert '<td class="n">11</td>' in stale.text  # what was typed is still to be read
    assert len(PlanBook(town.house.store).versions(KEY.replace("~", "/"))) == 2


def test_an_auditor_reads_and_writes_nothing(town: Town) -> None:
    draft(town)
    browser = town.logged_in(Role.AUDITOR)
    page = browser.get(f"/operator/plans/{KEY}~v1").text
    assert "Save as a new version" not in page
    assert not re.search(r'<input type="text" inputmode', page)
    key = form_key(browser.get("/account").text)
    answer = browser.post(f"/operator/plans/{KEY}~v1", data={"form_key": key})
    assert answer.status_code == 403


def test_the_end_of_a_consent_is_shown_before_it_is_done(town: Town) -> None:
    browser = town.logged_in(Role.OPERATOR)
    page = f"/operator/consents/c-{FOREIGN_SITE}"
    assert "retailer-b gets no" in browser.get(page).text
    unsure = send(browser, f"{page}/withdraw", {}, page)
    assert (unsure.status_code, "Nothing was changed" in unsure.text) == (422, True)
    assert send(browser, f"{page}/withdraw", {"sure": "yes"}, page).status_code == 303
    town.house.clock.advance(timedelta(seconds=1))
    assert ": ended" in browser.get(page).text
    assert "personal.seen" in town.house.acts()


def test_an_event_is_answered_and_a_no_releases_its_sites(town: Town) -> None:
    browser = town.logged_in(Role.OPERATOR)
    page = "/operator/events/e-1"
    assert ">Works<" in browser.get(page).text  # by its name
    assert send(browser, f"{page}/answer", {"answer": "no"}, page).status_code == 303
    assert "not taking part" in browser.get(page).text
    wrong = send(browser, f"{page}/answer", {"answer": "perhaps"}, page)
    assert wrong.status_code == 422


def test_a_batch_is_made_once_however_often_it_is_clicked(town: Town) -> None:
    browser = town.logged_in(Role.OPERATOR)
    assert "b-000001" in browser.get("/operator/ledger").text
    for _ in range(2):
        send(browser, "/operator/ledger/batches", {"batch": "b-000001"}, "/operator/ledger")
    assert "No points wait to go out" in browser.get("/operator/ledger").text
    assert "b-000001" in browser.get("/operator/ledger/batches/b-000001").text


def test_what_is_to_do_and_who_has_points_go_by_names(town: Town) -> None:
    PlanBook(town.house.store).draft(
        plan(day=date(2026, 11, 23)), at=town.house.clock.now() - timedelta(hours=1), author="operator"
    )
    browser = town.logged_in(Role.OPERATOR)
    work = browser.get("/operator").text
    assert "Demand plan of Mon 23 Nov (bg-aizu, v1): draft" in work
    at = town.house.clock.now()
    Journal(town.house.store).post(
        Entry(key="grant/one", at=at, postings=(Posting("driver/hana", 5), Posting(ISSUER, -5)), facts={})
    )
    ledger = re.sub(r"<[^>]+>", " ", browser.get("/operator/ledger").text)
    assert re.search(r"Issued by the operator, in all\s+5\s", ledger)
    assert "Driver hana" in ledger


def test_sums_of_unlike_sites_are_not_to_be_compared(town: Town) -> None:
    now = town.house.clock.now()
    site = watch_area(town.house.store, now).sites[0].site
    issue = IssuedForecast(
        site=site, target=LOAD, horizon=Horizon.DAY_AHEAD, issued_at=now - timedelta(hours=24),
        start=jst_midnight(date(2026, 11, 22)), p10=(1.0,) * 48, p50=(2.0,) * 48, p90=(3.0,) * 48,
        model="demand-pool", card="", version="test",
    )  # fmt: skip
    keep(town.house.store, issue)
    area = watch_area(town.house.store, now)
    told = f"the sum of {area.forecast_sites[0]} of {len(area.sites)} sites"
    assert (told in town.logged_in(Role.OPERATOR).get("/operator").text) == (
        area.forecast_sites[0] < len(area.sites)
    )


def test_the_region_of_an_empty_store_says_what_to_do() -> None:
    town = Town()
    page = town.logged_in(Role.OPERATOR).get("/operator").text
    assert "No site is metered yet" in page


def test_the_region_counts_only_what_is_known_and_over(town: Town) -> None:
    now = town.house.clock.now()
    area = watch_area(town.house.store, now)
    assert area.reserve(area.present) is None  # nobody planned
    assert area.usage(area.present) is None
    assert area.forecast_ends < 48  # no part is passed off as the whole
    told = sum(area.forecast_sites[:1])
    page = town.logged_in(Role.OPERATOR).get("/operator").text
    assert ("Nothing is forecast" if told == 0 else f"{told} of {len(area.sites)} sites have") in page
    with open_store("sqlite://", durability="process") as empty:
        nothing = watch_area(empty, now)
        assert (nothing.sites, nothing.last, nothing.tightest()) == ((), None, None)
        assert len(errors_by_day(empty, now, 3)) == 3


def test_of_a_days_issues_the_newest_counts_whatever_the_second_in_which_it_was_made(town: Town) -> None:
    now, site = town.house.clock.now(), watch_area(town.house.store, town.house.clock.now()).sites[0].site
    for late_s, kw in ((-7300.0, 11.0), (-0.25, 12.0)):
        issue = IssuedForecast(
            site=site, target=LOAD, horizon=Horizon.DAY_AHEAD, issued_at=now + timedelta(seconds=late_s),
            start=jst_midnight(date(2026, 11, 23)), p10=(kw,) * 48, p50=(kw,) * 48, p90=(kw,) * 48,
            model="demand-pool", card="", version="test",
        )  # fmt: skip
        keep(town.house.store, issue)
    area = watch_area(town.house.store, now)
    assert area.forecast_sites[1] == 1
    assert set(area.p50_kw[48:].tolist()) == {12.0}


def test_the_reserve_margin_is_supply_less_demand_over_demand(town: Town) -> None:
    now = parse_jst("2026-11-22 12:00")
    book = PlanBook(town.house.store)
    book.draft(plan(day=date(2026, 11, 22)), at=now - timedelta(days=2), author="operator")
    area = watch_area(town.house.store, now)
    k = int(np.flatnonzero(area.demand_kw > 0)[-1])
    expected = (18.0 + area.up_kw - area.demand_kw[k]) / area.demand_kw[k]  # 9 kWh in half an hour are 18 kW
    assert area.reserve(k) == pytest.approx(expected)
    assert area.usage(k) == pytest.approx(1 / (1 + expected))


def test_the_region_is_sent_anew_when_somebody_acts_and_once_a_minute_but_not_for_every_value(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vpp.web import operator

    keys: list[str] = []

    def listened(request: Any, key: Callable[[], str], fragment: Callable[[], str]) -> PlainTextResponse:
        keys.extend(key() for _ in range(operator._LOOKS - 1))
        town.house.store.audit("meter", "measurement.written", "x", at=town.house.clock.now(), facts={})
        keys.append(key())
        town.house.store.audit("operator", "test.acted", "x", at=town.house.clock.now(), facts={})
        keys.append(key())
        town.house.clock.advance(timedelta(minutes=1))
        keys.extend(key() for _ in range(operator._LOOKS))
        return PlainTextResponse(fragment())

    monkeypatch.setattr(operator, "streamed", listened)
    told = town.logged_in(Role.OPERATOR).get("/operator/live?all=1").text
    assert told.startswith('<div id="now" data-live="/operator/live?all=1">')
    assert len(dict.fromkeys(keys)) == 3
    assert len(dict.fromkeys(keys[: operator._LOOKS])) == 1


def test_who_reads_without_a_script_is_given_a_way_to_the_present_state(town: Town) -> None:
    page = town.logged_in(Role.OPERATOR).get("/operator").text
    assert re.search(
        r'<noscript><p><a href="/operator">Show the region as it is now</a></p></noscript>', page
    )
    assert 'src="/static/live.js"' in page
