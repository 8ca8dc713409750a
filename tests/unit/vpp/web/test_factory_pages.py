"""The factory's forms and files: what cannot be changes nothing, what is asked twice is done once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from starlette.testclient import TestClient

from energy.core.slots import Slot
from energy.store import Point
from tests.unit.vpp.web.browser import NOON, Town, form_key
from vpp.i18n import Messages
from vpp.people.roles import Role
from vpp.simulation.scenario import load_scenario
from vpp.site.minutes import COUNTER, POWER
from vpp.site.recorder import SiteSeries
from vpp.site.sitebook import keep_site
from vpp.views.factory_month import DayOfMonth, factory_month
from vpp.views.monitor import DemandNow, Level, demand_now
from vpp.web.factory_month import peaks_chart
from vpp.web.factory_view import monitor_words
from vpp.wishes import wishes_at

SITE = load_scenario("kitakata")[0].site
NAMES = SiteSeries("kitakata")
MINUTE = timedelta(minutes=1)
OTHER = "other-works"


@pytest.fixture
def town() -> Town:
    """The factory at noon with a meter that was read until then, and another site."""
    town = Town()
    before = NOON - timedelta(days=1)
    keep_site(town.house.store, SITE, at=before)
    keep_site(town.house.store, replace(SITE, id="other-works"), at=before)
    town.house.store.append(
        Point(
            series=NAMES[name],
            at=NOON - k * MINUTE,
            known_at=NOON - k * MINUTE,
            value=value,
            source="meter",
        )
        for k in range(60)
        for name, value in ((COUNTER, 5000.0 - 2.0 * k), (POWER, 120.0))
    )
    return town


def hold(town: Town, browser: TestClient, asset: str, **fields: str) -> int:
    page = browser.get(f"/factory/kitakata/why/{asset}")
    key = form_key(page.text)
    answer = browser.post(f"/factory/kitakata/hold/{asset}", data={"form_key": key, **fields})
    return int(answer.status_code)


def in_force(town: Town) -> list[str]:
    now = town.house.clock.now()
    return [one.asset for one in wishes_at(town.house.store.as_of(now), "kitakata", now)]


def test_the_monitor_says_how_the_half_hour_ends(town: Town) -> None:
    town.house.clock.advance(MINUTE)
    town.house.store.append(
        Point(series=NAMES[name], at=NOON + MINUTE, known_at=NOON + MINUTE, value=value, source="meter")
        for name, value in ((COUNTER, 5002.0), (POWER, 120.0))
    )
    page = town.logged_in(Role.FACTORY).get("/factory/kitakata").text
    assert "will end at 120.0 kW" in page


def test_a_meter_that_fell_silent_leaves_no_number(town: Town) -> None:
    town.house.clock.advance(timedelta(minutes=7))
    page = town.logged_in(Role.FACTORY).get("/factory/kitakata").text
    assert "has not answered for 7 min" in page
    assert "120.0 kW" not in page
    silent = demand_now(town.house.store.as_of(town.house.clock.now()), SITE, town.house.clock.now())
    told = {one.name: one for one in monitor_words(silent, Messages("en"))}
    assert [told[name].unit for name in ("projected", "shed", "so_far")] == ["", "", ""]


@pytest.mark.parametrize(("room_kw", "shown"), [(69.1, "69"), (400.0, "400"), (1676.0, "> 400")])
def test_room_is_never_more_than_the_contract_allows(room_kw: float, shown: str) -> None:
    now = DemandNow(
        slot=Slot.containing(NOON),
        now=NOON,
        target_kw=230.0,
        contract_kw=400.0,
        level=Level.CALM,
        projected_kw=161.0,
        shed_kw=0.0,
        room_kw=room_kw,
    )
    told = {one.name: one for one in monitor_words(now, Messages("en"))}
    assert (told["shed"].label, told["shed"].value) == ("Can be added now", shown)


def test_the_month_is_drawn_whole_however_few_days_were_metered(town: Town) -> None:
    told = factory_month(town.house.store, SITE, "2026-11", NOON)
    metered = replace(told, days=(DayOfMonth(date(2026, 11, 21), 229.9, 1_000.0, 0),))
    chart = peaks_chart(metered, Messages("ja"))
    assert chart is not None
    assert len(chart.starts) == 30
    page = town.logged_in(Role.FACTORY).get("/factory/kitakata/month/2026-11").text
    assert "/month/2026-10" in page
    assert "/month/2026-12" not in page


@pytest.mark.parametrize(
    ("asset", "fields"),
    [
        ("leaf", {"what": "pause", "hours": "100000"}),
        ("leaf", {"what": "pause", "hours": "-1"}),
        ("leaf", {"what": "explode", "hours": "1"}),
        ("leaf", {"what": "room", "room_c": "22", "hours": "1"}),
        ("office", {"what": "pause", "hours": "1"}),
        ("office", {"what": "room", "room_c": "40", "hours": "1"}),
        ("office", {"what": "room", "room_c": "nan", "hours": "1"}),
        ("office", {"what": "room", "room_c": "<b>", "hours": "1"}),
        ("office", {"hours": "1"}),
    ],
)
def test_a_hold_that_cannot_be_changes_nothing(town: Town, asset: str, fields: dict[str, str]) -> None:
    browser = town.logged_in(Role.FACTORY)
    assert hold(town, browser, asset, sure="yes", **fields) == 422
    assert in_force(town) == []


def test_a_hold_is_shown_first_done_once_and_ended_once(town: Town) -> None:
    browser = town.logged_in(Role.FACTORY)
    assert hold(town, browser, "leaf", what="pause", hours="2") == 200
    assert in_force(town) == []
    for _ in range(2):
        assert hold(town, browser, "leaf", what="pause", hours="2", sure="yes") == 303
    assert in_force(town) == ["leaf"]
    town.house.clock.advance(MINUTE)
    key = form_key(browser.get("/factory/kitakata/why/leaf").text)
    for _ in range(2):
        answer = browser.post("/factory/kitakata/release/leaf", data={"form_key": key})
        assert answer.status_code == 303
    assert in_force(town) == []


def test_without_a_plan_the_page_says_that_the_cost_is_not_known(town: Town) -> None:
    browser = town.logged_in(Role.FACTORY)
    key = form_key(browser.get("/factory/kitakata/why/office").text)
    sent = {"form_key": key, "what": "room", "room_c": "20", "hours": "1"}
    page = browser.post("/factory/kitakata/hold/office", data=sent)
    assert page.status_code == 200
    assert "cost is not known" in page.text


@pytest.mark.parametrize(
    "path",
    [
        "/factory/other-works",
        "/factory/other-works/month/2026-11",
        "/factory/other-works/why/leaf",
        f"/home/{OTHER}",
        "/explore/other-works/meter/power_kw",
        "/explore/other-works/meter/power_kw/series.csv",
    ],
)
def test_what_is_not_yours_is_as_if_it_did_not_exist(town: Town, path: str) -> None:
    assert town.logged_in(Role.FACTORY).get(path).status_code == 404


def test_a_driver_explores_the_own_car_only(town: Town) -> None:
    browser = town.logged_in(Role.DRIVER)
    assert "meter" not in browser.get("/explore").text
    assert browser.get("/explore/kitakata/meter/power_kw").status_code == 404
    assert browser.get("/explore/kitakata/commuter/soc").status_code == 200


def test_the_file_holds_every_value_with_japans_time(town: Town) -> None:
    answer = town.logged_in(Role.FACTORY).get("/explore/kitakata/meter/power_kw/series.csv?days=1")
    lines = answer.text.splitlines()
    assert lines[0] == "at,known_at,power_kw,quality,source"
    assert len(lines) == 61
    assert lines[-1] == "2026-11-22T12:00:00+09:00,2026-11-22T12:00:00+09:00,120,good,meter"


def test_the_picture_gets_its_gaps_as_gaps(town: Town) -> None:
    later = NOON + timedelta(minutes=5)
    town.house.store.append(
        [Point(series=NAMES[POWER], at=later, known_at=later, value=90.0, source="meter")]
    )
    town.house.clock.advance(timedelta(minutes=6))
    told = town.logged_in(Role.FACTORY).get("/explore/kitakata/meter/power_kw/values?days=1").json()
    assert told["values"][-6:] == [120.0, None, None, None, None, 90.0]
    assert not told["thinned"]


def test_a_sight_of_the_page_with_departures_is_written_down(town: Town) -> None:
    town.logged_in(Role.FACTORY).get("/factory/kitakata")
    seen = [one.facts["route"] for one in town.house.store.audit_trail("site/kitakata")]
    assert "/factory/{site}" in seen
