"""The typed client against the running app."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from typing import cast

import httpx2
import pytest

from tests.unit.vpp.api.filled import FOREIGN_SITE, OWN_SITE, filled_town
from tests.unit.vpp.web.browser import ORIGIN, Town
from vpp.client import Client, ProblemError
from vpp.people.roles import Role


@pytest.fixture
def town() -> Town:
    return filled_town()


def client(town: Town, role: Role, lang: str = "en") -> Client:
    program = town.program(role)
    token = program.headers["Authorization"].removeprefix("Bearer ")
    del program.headers["Authorization"]
    return Client(ORIGIN, token=token, lang=lang, http=cast("httpx2.Client", program))


def test_it_reads_sites_series_and_forecasts(town: Town) -> None:
    with client(town, Role.FACTORY) as factory:
        assert factory.sites() == [OWN_SITE]
        assert {one["id"] for one in factory.assets(OWN_SITE)} >= {"commuter", "meter"}
        found = list(factory.measurements(OWN_SITE, "meter", "import_kwh"))
        assert [one.value for one in found] == [3.0, 2.0, 1.0, 0.0]
        assert found[0].at.utcoffset() == timedelta(0)
        forecast = factory.forecast(OWN_SITE)
        assert forecast.p50_kw == (20.0,) * 48
        assert len(forecast.start) == 48


def test_it_writes_once_and_asks_again_only_for_what_changed(town: Town) -> None:
    at = datetime.fromisoformat("2026-11-22T11:15:00+09:00")
    with client(town, Role.INSTALLER) as installer:
        assert len(list(installer.measurements(OWN_SITE, "meter", "import_kwh"))) == 4
        written = [
            installer.write_measurements(OWN_SITE, "meter", "import_kwh", [(at, 1.5)], key="my-own-key")
            for _ in range(2)
        ]
        assert written == [1, 1]  # the answer of the first time
        assert [one.value for one in installer.measurements(OWN_SITE, "meter", "import_kwh")][-1] == 1.5


def test_a_retailer_gets_sums_and_its_own_lists(town: Town) -> None:
    with client(town, Role.RETAILER) as retailer:
        assert retailer.forecast_sum("retailer-a", date(2026, 8, 5)).p50_kw == (120.0,) * 48
        assert {one["subject"] for one in retailer.settlements()} == {"retailer-a"}
        assert all("retailer-a" in one["recipients"] for one in retailer.consents())


def test_it_answers_events(town: Town) -> None:
    with client(town, Role.FACTORY) as factory:
        assert [one["id"] for one in factory.events()] == ["e-1"]
        assert factory.answer_event("e-1", OWN_SITE, takes_part=False)["opted_out"] == [OWN_SITE]


def test_a_driver_asks_for_a_departure_and_hears_what_is_possible(town: Town) -> None:
    with client(town, Role.DRIVER) as driver:
        wish = driver.wish_departure(OWN_SITE, "commuter", time(7, 30), charge=0.8, day=date(2026, 11, 23))
        assert (wish.kind, wish.in_force, wish.possible_charge) == ("departure", True, 0.8)
        assert wish.departs == datetime.fromisoformat("2026-11-23T07:30:00+09:00")
        weekly = driver.wish_departure(OWN_SITE, "commuter", time(8), charge=0.5, days=("mon", "fri"))
        assert weekly.until is None
        assert weekly.what["days"] == ["mon", "fri"]
        too_soon = driver.wish_departure(
            OWN_SITE, "commuter", time(13), charge=0.8, day=date(2026, 11, 22), key="my-departure"
        )
        assert too_soon.possible_charge is not None
        assert too_soon.possible_charge < 0.8
        assert too_soon.ready_at is not None
        assert too_soon.departs is not None
        assert too_soon.ready_at > too_soon.departs


def test_a_driver_says_no_and_takes_it_back(town: Town) -> None:
    with client(town, Role.DRIVER) as driver:
        said_no = driver.wish_no_discharge(OWN_SITE, "commuter")
        assert said_no.until == datetime.fromisoformat("2026-11-23T00:00:00+09:00")
        at_once = driver.wish_charge_now(OWN_SITE, "commuter", charge=0.6)
        assert at_once.what == {"charge": 0.6}
        town.house.clock.advance(timedelta(minutes=1))
        ended = driver.cancel_wish(said_no)
        assert (ended.in_force, ended.ended_why) == (False, "cancelled")
        told = {one.id: one.in_force for one in driver.wishes(OWN_SITE, "commuter")}
        assert (told[said_no.id], told[at_once.id]) == (False, True)


def test_a_wish_that_cannot_be_is_refused_with_the_reason(town: Town) -> None:
    with client(town, Role.DRIVER) as driver:
        with pytest.raises(ProblemError, match="95") as caught:
            driver.wish_departure(OWN_SITE, "commuter", time(7, 30), charge=1.0, day=date(2026, 11, 23))
        assert (caught.value.status, caught.value.code) == (422, "invalid")
        with pytest.raises(ProblemError) as foreign:
            driver.wish_no_discharge(OWN_SITE, "leaf")
        assert foreign.value.status == 404


@pytest.mark.parametrize(("lang", "word"), [("ja", "見つかりません"), ("en", "Nothing here")])
def test_a_refusal_is_an_error_with_code_and_number(town: Town, lang: str, word: str) -> None:
    with client(town, Role.FACTORY, lang) as factory, pytest.raises(ProblemError, match=word) as caught:
        factory.forecast(FOREIGN_SITE)
    assert (caught.value.status, caught.value.code) == (404, "not_found")
    assert caught.value.request_id


def test_an_answer_that_is_not_the_services_is_said_so() -> None:
    wall = httpx2.MockTransport(
        lambda request: httpx2.Response(200, text="<html>sign in to the hotel</html>")
    )
    with (
        Client("http://x", token="t", http=httpx2.Client(transport=wall)) as lost,
        pytest.raises(ProblemError) as caught,
    ):
        lost.sites()
    assert caught.value.code == "not_the_service"


@pytest.fixture(autouse=True)
def _closed(town: Town) -> Iterator[None]:
    yield
    town.house.store.close()
