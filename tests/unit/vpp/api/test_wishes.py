"""Wishes over the API: asked, answered with what can be, undone; of the own car only."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from starlette.testclient import TestClient

from energy.core.slots import parse_jst
from tests.unit.vpp.api.filled import FOREIGN_SITE, OWN_SITE, filled_town
from tests.unit.vpp.web.browser import NOON, Town
from vpp.people.roles import Role

CAR = f"/api/v1/wishes/{OWN_SITE}/commuter"


@pytest.fixture
def town() -> Town:
    return filled_town()


def post(program: TestClient, path: str, key: str, **body: object) -> Any:
    return program.post(path, json=body, headers={"Idempotency-Key": key.ljust(12, "0")})


def test_a_departure_that_can_be_met_is_kept(town: Town) -> None:
    # 3.0 kW... the fixture's newest charge is 0 of 1: 19.5 hours at 6 kW fill it.
    told = post(
        town.program(Role.DRIVER), CAR, "a", kind="departure", at="07:30", day="2026-11-23", charge=0.8
    )
    assert told.status_code == 200, told.text
    wish = told.json()
    assert wish["in_force"]
    assert wish["what"]["charge"] == 0.8
    assert wish["possible_charge"] == 0.8
    assert wish["departs"] == "2026-11-22T22:30:00Z"


def test_one_that_cannot_is_answered_with_what_can(town: Town) -> None:
    wish = post(
        town.program(Role.DRIVER), CAR, "a", kind="departure", at="13:00", day="2026-11-22", charge=0.8
    ).json()
    assert wish["possible_charge"] < 0.8
    assert wish["ready_at"] > wish["departs"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"kind": "departure", "at": "11:00", "day": "2026-11-22", "charge": 0.8}, "gone"),
        ({"kind": "departure", "at": "11:00", "day": "2026-12-24", "charge": 0.8}, "too-far"),
        ({"kind": "departure", "at": "11:00", "day": "9999-12-31", "charge": 0.8}, "too-far"),
        ({"kind": "departure", "at": "07:30", "day": "2026-11-23", "charge": 1.0}, "above"),
        ({"kind": "departure", "at": "07:30", "day": "2026-11-23", "charge": 0.05}, "below"),
        ({"kind": "no-discharge", "until": "2026-11-22T00:00:00Z"}, "bad-end"),
        ({"kind": "no-discharge", "until": "2027-11-22T00:00:00Z"}, "bad-end"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(town: Town, body: dict[str, object], fault: str) -> None:
    told = post(town.program(Role.DRIVER), CAR, "a", **body)
    assert told.status_code == 422
    assert told.json()["errors"] == [{"place": "body", "fault": fault}]
    assert told.json()["said"]


def test_fields_of_another_kind_are_not_enough(town: Town) -> None:
    told = post(town.program(Role.DRIVER), CAR, "a", kind="departure", charge=0.8)
    assert told.status_code == 422
    assert post(town.program(Role.DRIVER), CAR, "b", kind="fly").status_code == 422


def test_a_driver_holds_no_charger_and_no_room(town: Town) -> None:
    assert post(town.program(Role.DRIVER), CAR, "a", kind="hold-power", power_kw=0).status_code == 403
    until = (NOON + timedelta(hours=2)).isoformat()
    told = post(town.program(Role.FACTORY), CAR, "b", kind="hold-power", power_kw=0, until=until)
    assert told.status_code == 200, told.text
    strong = post(town.program(Role.FACTORY), CAR, "c", kind="hold-power", power_kw=7, until=until)
    assert strong.json()["errors"][0]["fault"] == "too-strong"


def test_undone_with_one_call_and_twice_is_once(town: Town) -> None:
    driver = town.program(Role.DRIVER)
    wish = post(driver, CAR, "a", kind="no-discharge").json()
    assert wish["until"] == parse_jst("2026-11-23 00:00").isoformat().replace("+00:00", "Z")
    town.house.clock.advance(timedelta(minutes=1))
    for key in ("b", "c"):
        told = post(driver, f"{CAR}/{wish['id']}/cancel", key)
        assert (told.status_code, told.json()["in_force"], told.json()["ended_by"]) == (200, False, "driver")
    listed = driver.get(CAR).json()["items"]
    assert [one["in_force"] for one in listed if one["id"] == wish["id"]] == [False]


def test_the_same_request_under_one_key_asks_once(town: Town) -> None:
    driver = town.program(Role.DRIVER)
    first, second = (post(driver, CAR, "a", kind="charge-now") for _ in range(2))
    assert first.json() == second.json()
    assert second.headers["idempotent-replay"] == "true"


def test_somebody_elses_car_does_not_exist(town: Town) -> None:
    path = f"/api/v1/wishes/{FOREIGN_SITE}/foreign-car"
    assert post(town.program(Role.DRIVER), path, "a", kind="no-discharge").status_code == 404
    assert post(town.program(Role.DRIVER), f"{path}/w-1/cancel", "b").status_code == 404
    assert town.program(Role.DRIVER).get(path).status_code == 404
