"""The driver's page: what is asked by form is answered on the page; nothing that needs a glossary."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from starlette.testclient import TestClient

from energy.core.assets import Driver, OwnerType
from energy.core.plan import Reason, ReasonCode
from energy.core.slots import parse_jst
from energy.core.units import series_id
from energy.ledger import ISSUER, Entry, Journal, Posting, expire_points
from energy.store import Point
from tests.unit.vpp.api.filled import FOREIGN_SITE, OWN_SITE, filled_town
from tests.unit.vpp.web.browser import NOON, Town, form_key
from vpp.i18n import Messages
from vpp.people.roles import Role
from vpp.site.sitebook import keep_site, site_of
from vpp.views.drivercard import Stretch, driver_card
from vpp.web.driver_view import card_words
from vpp.wishes import Departure, wishes_at, wishes_of

CAR = f"/car/{OWN_SITE}/commuter"
HANA = Driver(id="hana", name_ja="花", name_en="Hana")


@pytest.fixture
def town() -> Town:
    one = filled_town()
    values = (("soc", 0.5), ("plugged", 1.0))
    one.house.store.append(
        Point(
            series=series_id(OWN_SITE, "commuter", name),
            at=NOON - timedelta(minutes=30),
            known_at=NOON,
            value=value,
            source="test",
        )
        for name, value in values
    )
    return one


def send(browser: TestClient, path: str = f"{CAR}/wish", **fields: str) -> tuple[int, str]:
    key = form_key(browser.get(CAR).text)
    answer = browser.post(path, data={"form_key": key, **fields})
    return answer.status_code, answer.text


def in_force(town: Town) -> list[str]:
    now = town.house.clock.now()
    held = wishes_at(town.house.store.as_of(now), OWN_SITE, now)
    return [one.act.kind for one in held if one.id != "w-1"]


def test_a_wished_departure_is_promised_on_the_page(town: Town) -> None:
    driver = town.logged_in(Role.DRIVER)
    status, page = send(driver, kind="departure", at="07:30", day="2026-11-23", charge="80")
    assert status == 200
    assert "You can leave Mon 23 Nov 07:30 with 80 %" in re.sub(r"<[^>]+>", "", page)
    assert in_force(town) == ["departure"]


def test_what_cannot_be_is_answered_with_what_can_and_when(town: Town) -> None:
    status, page = send(
        town.logged_in(Role.DRIVER), kind="departure", at="13:00", day="2026-11-22", charge="90"
    )
    assert status == 200
    # 0.5 + 0.92 x 6 kW x 1 h / 40 kWh
    assert "90 % by Sun 22 Nov 13:00 is not possible. The car should have 64 % then" in page


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "departure", "at": "25:99", "day": "2026-11-23", "charge": "80"},
        {"kind": "departure", "at": "07:30", "day": "<script>", "charge": "80"},
        {"kind": "departure", "at": "07:30", "day": "2026-11-23", "charge": "8e9"},
        {"kind": "departure", "at": "07:30", "day": "2026-11-21", "charge": "80"},
        {"kind": "departure", "at": "07:30", "day": "2026-11-23", "charge": "100"},
        {"kind": "hold-power", "power_kw": "0"},
        {"kind": ""},
    ],
)
def test_what_makes_no_sense_changes_nothing(town: Town, fields: dict[str, str]) -> None:
    status, page = send(town.logged_in(Role.DRIVER), **fields)
    assert status == 422
    assert 'role="alert"' in page
    assert "<script>" not in page
    assert in_force(town) == []


def test_no_discharge_is_one_tap_and_so_is_taking_it_back(town: Town) -> None:
    driver = town.logged_in(Role.DRIVER)
    status, page = send(driver, kind="no-discharge")
    assert status == 200
    assert in_force(town) == ["no-discharge"]
    action = re.search(r'action="([^"]+/cancel)"', page)
    assert action is not None
    town.house.clock.advance(timedelta(minutes=1))
    assert send(driver, action[1])[0] == 303
    assert in_force(town) == []
    assert send(driver, action[1])[0] == 303  # a second tap
    acts = [one.act for one in town.house.store.audit_trail(f"asset/{OWN_SITE}/commuter")]
    assert [act for act in acts if act.startswith("wish.")][-2:] == ["wish.made", "wish.cancelled"]


def test_every_working_day_is_one_choice(town: Town) -> None:
    send(town.logged_in(Role.DRIVER), kind="departure", at="07:30", day="workdays", charge="80")
    known = town.house.store.as_of(NOON)
    [weekly] = [one.act for one in wishes_of(known, OWN_SITE, "commuter") if isinstance(one.act, Departure)]
    assert len(weekly.days) == 5


def test_a_page_of_yesterday_is_refused_in_words(town: Town) -> None:
    driver = town.logged_in(Role.DRIVER)
    answer = driver.post(f"{CAR}/wish", data={"form_key": "of another session", "kind": "no-discharge"})
    assert answer.status_code == 403
    assert in_force(town) == []


def test_somebody_elses_car_is_not_there(town: Town) -> None:
    driver = town.logged_in(Role.DRIVER)
    assert driver.get(f"/car/{FOREIGN_SITE}/foreign-car").status_code == 404
    assert send(driver, f"/car/{FOREIGN_SITE}/foreign-car/wish", kind="no-discharge")[0] == 404


def test_an_old_measurement_is_not_shown_as_the_present_one(town: Town) -> None:
    driver = town.logged_in(Role.DRIVER)
    assert 'class="battery"' in driver.get(CAR).text
    town.house.clock.advance(timedelta(minutes=50))
    driver.get(CAR)
    town.house.clock.advance(timedelta(minutes=50))
    page = driver.get(CAR).text
    assert 'class="battery stale"' in page
    assert "1 h 40 min ago" in page


def test_coins_that_have_expired_stand_on_the_page_and_explain_the_balance(town: Town) -> None:
    store = town.house.store
    site = site_of(store.as_of(NOON), OWN_SITE)
    assert site is not None
    cars = tuple(replace(one, owner=OwnerType.EMPLOYEE, driver="hana") for one in site.vehicles)
    keep_site(store, replace(site, vehicles=cars, drivers=(HANA,)), at=NOON - timedelta(minutes=1))
    account = "driver/hana"
    journal, before = Journal(store), Journal(store).balance(account)
    facts = {
        "event": "old",
        "vehicle": "commuter",
        "site": OWN_SITE,
        "net_kwh": "1.5",
        "point_class": "local_only",
        "expires_on": "2026-11-20",
    }
    postings = (Posting(account, 30), Posting(ISSUER, -30))
    journal.post(
        Entry(key="grant/old/commuter/r@1", at=NOON - timedelta(hours=2), postings=postings, facts=facts)
    )
    expire_points(store, NOON.date(), at=NOON - timedelta(hours=1), actor="night")
    page = re.sub(r"<[^>]+>", "", town.logged_in(Role.DRIVER).get(CAR).text)
    assert "30 coins have expired (last day 2026-11-20)" in page
    assert journal.balance(account) == before
    page = town.logged_in(Role.DRIVER, lang="ja").get(CAR).text
    assert "30コイン期限切れ（最終利用日 2026-11-20）" in page


def test_the_manager_of_the_site_sees_the_car_but_not_its_drivers_coins(town: Town) -> None:
    page = town.logged_in(Role.FACTORY).get(CAR).text
    assert "Leaving" in page
    assert 'id="coins"' not in page


def test_nothing_on_the_page_needs_a_glossary(town: Town) -> None:
    for lang in ("ja", "en"):
        page = town.logged_in(Role.DRIVER, lang=lang).get(CAR).text
        for word in ("kVA", "dual", "slot", "コマ", "MILP"):
            assert word not in re.sub(r"<[^>]+>", "", page)


def test_a_car_that_is_out_and_says_nothing_is_not_called_never_measured(town: Town) -> None:
    store, now = town.house.store, town.house.clock.now()
    site = site_of(store.as_of(now), OWN_SITE)
    assert site is not None
    card = driver_card(store.as_of(now), site, site.vehicles[0], now)
    silent = replace(card.state, soc=None, soc_at=None)
    for plugged, said in (
        (False, "when it is plugged in"),
        (True, "Never measured"),
        (None, "Never measured"),
    ):
        told = card_words(replace(card, state=replace(silent, plugged=plugged)), Messages("en"))
        assert said in told.heard
        assert told.range == ""  # none of an unknown charge


def test_a_stretch_that_ends_on_another_day_says_so(town: Town) -> None:
    store, now = town.house.store, town.house.clock.now()
    site = site_of(store.as_of(now), OWN_SITE)
    assert site is not None
    card = driver_card(store.as_of(now), site, site.vehicles[0], now)
    start = parse_jst("2026-11-22 17:30")
    one = Stretch(
        doing="wait", start=start, end=start, kw=0.0, kwh=0.0, share=1.0, reason=Reason(ReasonCode.COMFORT)
    )
    for until, said in (
        ("22 21:00", "17:30-21:00"),
        ("23 00:00", "17:30-24:00"),
        ("23 08:00", "17:30-翌日08:00"),
    ):
        late = replace(card, stretches=(replace(one, end=parse_jst(f"2026-11-{until}")),))
        assert card_words(late, Messages("ja")).steps[0].when == said
