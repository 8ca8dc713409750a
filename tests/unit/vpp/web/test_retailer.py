"""The retailer's page: consented sums only, with the number of sites; nothing where it would show one."""

from __future__ import annotations

import re

import pytest

from tests.unit.vpp.api.filled import filled_town
from tests.unit.vpp.web.browser import Town
from vpp.forecasts.sumscore import SumScore
from vpp.people.roles import Role
from vpp.web import retailer


@pytest.fixture
def town() -> Town:
    return filled_town()


def words(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_the_own_page_says_the_sum_and_of_how_many_and_how_near_it_was(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = SumScore(
        days=7, sites=11, ours=0.04, persistence=0.09, same_weekday=0.08, short_kwh=1.0, long_kwh=2.0
    )
    monkeypatch.setattr(retailer, "sum_scores", lambda _store, _order, *, at: {7: score} if at else {})
    page = town.logged_in(Role.RETAILER).get("/retailer?day=2026-08-05")
    assert page.status_code == 200
    assert "Sum of 12 sites" in words(page.text)
    assert "4.0 % ✓" in words(page.text)
    assert "Sums of at least 11 sites" in words(page.text)
    assert "<svg" in page.text
    assert page.text.count('<th scope="row">') >= 48


def test_a_sum_without_enough_sites_is_not_shown(town: Town) -> None:
    page = town.logged_in(Role.OPERATOR).get("/retailer/retailer-b?day=2026-08-05").text
    assert "No sum for" in page or "There is no forecast" in page
    assert "P50" not in page


def test_a_day_without_forecasts_says_so(town: Town) -> None:
    assert "There is no forecast of" in town.logged_in(Role.RETAILER).get("/retailer?day=2026-12-05").text


@pytest.mark.parametrize("query", ["day=2026-99-99", "day=<b>", "target=x", "yen=nan", "yen=-4", "yen=1e99"])
def test_nonsense_in_the_address_is_as_if_it_were_not_there(town: Town, query: str) -> None:
    page = town.logged_in(Role.RETAILER).get(f"/retailer?{query}")
    assert page.status_code == 200
    assert "<b>" not in page.text
    assert 'value="10"' in page.text


def test_another_company_is_not_there(town: Town) -> None:
    assert town.logged_in(Role.RETAILER).get("/retailer/retailer-b").status_code == 404


def test_the_sight_of_a_sum_is_written_down(town: Town) -> None:
    before = len(town.house.store.audit_trail())
    town.logged_in(Role.RETAILER).get("/retailer?day=2026-08-05")
    assert "forecast.read" in [one.act for one in town.house.store.audit_trail()[before:]]


def test_downloads_and_webhooks_are_the_own_ones(town: Town) -> None:
    browser = town.logged_in(Role.RETAILER)
    page = browser.get("/retailer?day=2026-08-05").text
    link = re.search(r'href="(/api/v1/forecast-sums/[^"]+form=csv)"', page)
    assert link is not None
    told = browser.get(link[1].replace("&amp;", "&"))
    assert told.status_code == 200
    assert len(told.text.splitlines()) >= 49
    assert "No webhook yet" in page
