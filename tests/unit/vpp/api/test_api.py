"""What the nouns say, and how they refuse."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from energy.core.units import series_id
from energy.ledger import EXPIRED, Entry, Journal, Posting
from tests.unit.vpp.api.filled import FOREIGN_SITE, OWN_SITE, filled_town
from tests.unit.vpp.web.browser import Town
from vpp.people.roles import Role

SERIES = f"/api/v1/measurements/{OWN_SITE}/meter/import_kwh"


@pytest.fixture
def town() -> Town:
    return filled_town()


def key(name: str) -> dict[str, str]:
    return {"Idempotency-Key": f"test-{name}"}


def values(*pairs: tuple[str, float | None]) -> dict[str, object]:
    return {"items": [{"at": at, "value": value} for at, value in pairs]}


def test_a_series_comes_in_pages_and_nothing_is_lost_or_doubled(town: Town) -> None:
    program, seen, cursor = town.program(Role.FACTORY), [], None
    while True:
        page = program.get(SERIES, params={"limit": 1, **({"cursor": cursor} if cursor else {})}).json()
        seen += [one["value"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert seen == [3.0, 2.0, 1.0, 0.0]


def test_csv_says_the_same_as_json(town: Town) -> None:
    program = town.program(Role.FACTORY)
    told = program.get(SERIES).json()["items"]
    for asked in ({"params": {"form": "csv"}}, {"headers": {"Accept": "text/csv"}}):
        answer = program.get(SERIES, **asked)  # type: ignore[arg-type]
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.content.startswith(b"\xef\xbb\xbf")
        rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
        assert [float(row["value"]) for row in rows] == [one["value"] for one in told]
        assert [datetime.fromisoformat(row["at"]) for row in rows] == [
            datetime.fromisoformat(one["at"]) for one in told
        ]


def test_what_was_known_earlier_is_shown_as_it_was(town: Town) -> None:
    program, at = town.program(Role.OPERATOR), "2026-11-22T02:00:00+00:00"
    then = town.house.clock.now().isoformat()
    town.house.clock.advance(timedelta(minutes=1))
    assert program.post(SERIES, json=values((at, 99.0)), headers=key("correct")).status_code == 201
    newest = program.get(SERIES, params={"from": at}).json()["items"][0]
    before = program.get(SERIES, params={"from": at, "as_of": then}).json()["items"][0]
    assert (newest["value"], before["value"]) == (99.0, 0.0)
    assert newest["source"] == "api:operator"


def test_who_has_the_answer_gets_304_until_it_changes(town: Town) -> None:
    program = town.program(Role.OPERATOR)
    tag = program.get(SERIES).headers["etag"]
    again = program.get(SERIES, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    town.house.clock.advance(timedelta(minutes=1))
    program.post(SERIES, json=values(("2026-11-22T02:00:00Z", 7.0)), headers=key("change"))
    assert program.get(SERIES, headers={"If-None-Match": tag}).status_code == 200


def test_a_write_sent_twice_is_done_once(town: Town) -> None:
    program, body = town.program(Role.OPERATOR), values(("2026-11-22T01:15:00Z", 7.0))
    first = program.post(SERIES, json=body, headers=key("once"))
    town.house.clock.advance(timedelta(minutes=5))
    second = program.post(SERIES, json=body, headers=key("once"))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert second.headers["idempotent-replay"] == "true"
    acts = [one.act for one in town.house.store.audit_trail(f"series/{OWN_SITE}/meter/import_kwh")]
    assert acts.count("measurement.written") == 1


def test_a_key_is_not_used_for_two_things_and_not_shared_by_two_people(town: Town) -> None:
    program = town.program(Role.OPERATOR)
    program.post(SERIES, json=values(("2026-11-22T01:15:00Z", 7.0)), headers=key("same"))
    other = program.post(SERIES, json=values(("2026-11-22T01:15:00Z", 8.0)), headers=key("same"))
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    somebody = town.program(Role.INSTALLER)
    town.house.clock.advance(timedelta(minutes=5))
    mine = somebody.post(SERIES, json=values(("2026-11-22T01:15:00Z", 7.0)), headers=key("same"))
    assert mine.status_code == 201
    assert "idempotent-replay" not in mine.headers


def test_a_write_that_is_being_done_is_not_done_again(town: Town) -> None:
    from energy.store import WriteRow
    from vpp.people.roles import Objects

    town.account(Role.OPERATOR, objects=Objects())
    body = values(("2026-11-22T01:15:00Z", 7.0))
    program = town.program(Role.OPERATOR)
    program.post(SERIES, json=body, headers=key("crash"))
    done = town.house.store.rows.writes.one(account="operator", key="test-crash")
    assert done is not None
    town.house.store.rows.writes.remove(account="operator", key="test-crash")
    running = WriteRow(
        account="operator", key="test-crash", request=done.request, made_at=town.house.clock.now()
    )
    town.house.store.rows.writes.add(running)
    answer = program.post(SERIES, json=body, headers=key("crash"))
    assert (answer.status_code, answer.json()["code"]) == (409, "key_running")
    town.house.clock.advance(timedelta(minutes=3))  # whoever did it is gone
    assert program.post(SERIES, json=body, headers=key("crash")).status_code == 201


def test_a_refused_write_can_be_sent_again_mended(town: Town) -> None:
    program = town.program(Role.OPERATOR)
    assert program.post(SERIES, json={"items": []}, headers=key("mend")).status_code == 422
    good = program.post(SERIES, json=values(("2026-11-22T01:15:00Z", 7.0)), headers=key("mend"))
    assert good.status_code == 201


@pytest.mark.parametrize(
    "query",
    [
        {"from": "yesterday"},
        {"from": "2026-11-22T00:00:00"},
        {"from": "0001-01-01T00:00:00Z"},
        {"from": "2026-11-22T00:00:00Z", "to": "2026-11-21T00:00:00Z"},
        {"from": "2020-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"limit": "0"},
        {"limit": "99999999999"},
        {"form": "xml"},
    ],
)
def test_an_impossible_question_is_answered_with_what_is_wrong(town: Town, query: dict[str, str]) -> None:
    answer = town.program(Role.FACTORY).get(SERIES, params=query)
    assert answer.status_code == 422
    told = answer.json()
    assert told.get("errors") or told.get("said")


@pytest.mark.parametrize("cursor", ["x", "////", "e30", "eyJhZnRlciI6IDF9", "eyJhZnRlciI6ICJ4In0", "é"])
def test_a_cursor_of_ones_own_making_is_refused(town: Town, cursor: str) -> None:
    answer = town.program(Role.FACTORY).get(SERIES, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"items": [{"at": "2026-11-22T00:00:00Z", "value": NaN}]}',
        b'{"items": [{"at": "2026-11-22T00:00:00Z", "value": 1e999}]}',
        b'{"items": [{"at": "2026-11-22T00:00:00Z", "value": "1; DROP TABLE point"}]}',
        b'{"items": [{"at": "2026-11-22T00:00:00Z", "value": 1, "source": "meter:site"}]}',
        b'{"items": [{"at": "2026-11-22T00:00Z", "value": 1}, {"at": "2026-11-22T00:00Z", "value": 2}]}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_cannot_be_changes_nothing(town: Town, body: bytes) -> None:
    answer = town.program(Role.OPERATOR).post(
        SERIES, content=body, headers={**key("bad-body"), "Content-Type": "application/json"}
    )
    assert answer.status_code in {400, 422}
    known = town.house.store.as_of(town.house.clock.now() + timedelta(days=1))
    assert len(known.values(series_id(OWN_SITE, "meter", "import_kwh"), *_all())) == 4


def _all() -> tuple[datetime, datetime]:
    return datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "site",
    ["'; DROP TABLE point; --", "<script>", "..", "%00", "a" * 300, "喜多方", "kitakata/../other-works"],
)
def test_signs_of_sql_and_html_in_a_name_find_nothing(town: Town, site: str) -> None:
    from urllib.parse import quote

    answer = town.program(Role.OPERATOR).get(f"/api/v1/sites/{quote(site, safe='')}")
    assert answer.status_code in {404, 422}
    assert "<script>" not in answer.text


@pytest.mark.parametrize("given", ["", "short", "with space in it", "x" * 81, "ключ-ключ"])
def test_a_write_needs_a_key_of_its_own(town: Town, given: str) -> None:
    headers = {"Idempotency-Key": given.encode()} if given else {}
    answer = town.program(Role.OPERATOR).post(SERIES, json=values(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "key_missing")


def test_another_method_is_refused_in_words(town: Town) -> None:
    answer = town.program(Role.OPERATOR).delete("/api/v1/sites")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")


def test_a_sum_is_for_the_recipient_of_the_consents_and_withheld_below_the_minimum(town: Town) -> None:
    path = "/api/v1/forecast-sums/retailer-a/demand"
    told = town.program(Role.RETAILER).get(path, params={"day": "2026-08-05"}).json()
    assert told["sites"] == 12
    assert [slot["p50_kw"] for slot in told["slots"]] == [120.0] * 48
    from energy.ledger import Channel, ConsentRegister

    for number in range(3):
        ConsentRegister(town.house.store).withdraw(
            f"site-{number:02d}-1",
            withdrawn_at=town.house.clock.now(),
            recorded_at=town.house.clock.now(),
            actor="test",
            channel=Channel.PAPER,
        )
    answer = town.program(Role.RETAILER).get(path, params={"day": "2026-08-05"})
    assert (answer.status_code, answer.json()["code"]) == (409, "withheld")
    assert "9 sites" in answer.json()["detail"]


def test_a_factory_declines_an_event_for_its_own_site_only(town: Town) -> None:
    program = town.program(Role.FACTORY)
    told = program.post(
        f"/api/v1/events/e-1/answers/{OWN_SITE}", json={"takes_part": False}, headers=key("no-thanks")
    )
    assert told.json()["opted_out"] == [OWN_SITE]
    assert told.json()["target_kw"] is None
    assert {one["site"] for one in town.program(Role.OPERATOR).get("/api/v1/events/e-1").json()["calls"]} == {
        FOREIGN_SITE
    }


def test_a_driver_withdraws_the_consent_of_his_car(town: Town) -> None:
    driver = town.program(Role.DRIVER)
    assert [one["id"] for one in driver.get("/api/v1/consents").json()["items"]] == ["c-commuter"]
    told = driver.post("/api/v1/consents/c-commuter/withdraw", headers=key("withdraw"))
    assert told.json()["withdrawn_at"]


def test_a_car_id_that_two_sites_have_shows_nobody_elses_consents_or_coins(town: Town) -> None:
    from vpp.people.roles import Objects

    town.house.store.put_document(
        "assets", "third-site", known_at=town.house.clock.now(), body='{"commuter": ["車", "Car", "car"]}'
    )
    other = town.program(Role.DRIVER, "stranger", objects=Objects(cars=("third-site/commuter",)))
    assert other.get("/api/v1/consents").json()["items"] == []
    assert other.get("/api/v1/ledger/third-site/commuter").json()["items"] == []


def test_coins_come_with_kwh_and_rule(town: Town) -> None:
    told = town.program(Role.DRIVER).get(f"/api/v1/ledger/{OWN_SITE}/commuter").json()
    assert told["points"] == 5
    assert told["items"][0]["facts"]["kwh"] == "3.2"
    assert told["expiries"] == []


def test_what_lapsed_of_a_drivers_coins_stands_beside_what_the_car_earned(town: Town) -> None:
    journal, now = Journal(town.house.store), town.house.clock.now()
    (booked,) = [one for one in journal.entries() if one.facts.get("vehicle") == "commuter"]
    (mine,) = [one.account for one in booked.postings if one.account.startswith("driver/")]
    for account in (mine, "driver/somebody-else"):
        lapsed = (Posting(account, -2), Posting(EXPIRED, 2))
        journal.post(
            Entry(key=f"expire/{account}/base/2026-11-01", at=now, postings=lapsed, memo="", facts={})
        )
    told = town.program(Role.DRIVER).get(f"/api/v1/ledger/{OWN_SITE}/commuter").json()
    assert told["points"] == 5
    assert [(one["key"], one["points"]) for one in told["expiries"]] == [
        (f"expire/{mine}/base/2026-11-01", -2)
    ]


@pytest.mark.parametrize(("lang", "word"), [("ja", "車"), ("en", "Car")])
def test_reasons_are_told_in_the_callers_language(town: Town, lang: str, word: str) -> None:
    answer = town.program(Role.DRIVER).get(
        f"/api/v1/plans/{OWN_SITE}/commuter", headers={"Accept-Language": lang}
    )
    (slot,) = answer.json()["items"]
    assert slot["planned_kw"] == -3.0
    assert word in " ".join(slot["why"])


def test_jobs_say_how_old_the_newest_result_is(town: Town) -> None:
    told = town.program(Role.OPERATOR).get("/api/v1/jobs").json()["results"]
    found: dict[Any, Any] = {(one["name"], one["subject"]): one["age_s"] for one in told}
    assert found["measure", f"{OWN_SITE}/meter"] == 3600.0


def test_the_city_sees_what_sites_consent_to_and_no_cars(town: Town) -> None:
    program = town.program(Role.RETAILER)
    devices = program.get("/ngsi-ld/v1/entities", params={"type": "Device"})
    assert devices.headers["content-type"] == "application/ld+json"
    assert [one["id"] for one in devices.json()] == [
        f"urn:ngsi-ld:Device:{OWN_SITE}:hall",
        f"urn:ngsi-ld:Device:{OWN_SITE}:pv",
    ]
    assert devices.json()[0]["site"]["object"] == f"urn:ngsi-ld:Site:{OWN_SITE}"
    forecast = program.get(f"/ngsi-ld/v1/entities/urn:ngsi-ld:Forecast:{OWN_SITE}:load:p50").json()
    assert forecast["demand"]["value"] == [20.0] * 48
    assert program.get(f"/ngsi-ld/v1/entities/urn:ngsi-ld:Site:{FOREIGN_SITE}").status_code == 404
    town.program(Role.FACTORY).post("/api/v1/consents/c-kitakata/withdraw", headers=key("end-it"))
    assert program.get("/ngsi-ld/v1/entities", params={"type": "Device"}).json() == []


def test_a_token_ends_in_the_middle_of_the_work(town: Town) -> None:
    program = town.program(Role.FACTORY)
    assert program.get(SERIES).status_code == 200
    town.house.clock.advance(timedelta(days=31))
    answer = program.get(SERIES)
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_browser_session_reads_the_api_and_writes_with_the_key_of_its_pages(town: Town) -> None:
    from tests.unit.vpp.web.browser import form_key

    browser = town.logged_in(Role.FACTORY)
    json = {"Accept": "application/json"}
    assert browser.get("/api/v1/sites", headers=json).status_code == 200
    path, body = f"/api/v1/events/e-1/answers/{OWN_SITE}", {"takes_part": False}
    assert browser.post(path, json=body, headers={**json, **key("by-page")}).status_code == 403
    headers = {**json, **key("by-page"), "X-Form-Key": form_key(browser.get("/account").text)}
    assert browser.post(path, json=body, headers=headers).status_code == 200
