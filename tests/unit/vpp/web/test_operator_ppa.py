"""The page of power purchase agreements: figures of the store, empty states, months that are not there."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.unit.vpp.settlement.kept_ppa import keep_ppa
from tests.unit.vpp.web.browser import NOON, Town
from vpp.i18n import Messages
from vpp.people.roles import Role


def cells(page: str) -> list[str]:
    return [re.sub(r"<[^>]+>", "", one).strip() for one in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", page, re.S)]


def test_without_a_kept_month_the_page_says_what_is_needed_and_how_to_get_it() -> None:
    page = Town().logged_in(Role.OPERATOR).get("/operator/ppa").text
    assert "No month of a power purchase agreement has been settled and kept yet" in page
    assert "vpp market ppa settle" in page
    assert "<select" not in page


def test_the_figures_of_the_page_are_those_that_were_kept() -> None:
    town, m = Town(), Messages("en")
    told = keep_ppa(town.house.store, "2026-10", at=NOON - timedelta(days=2))
    page = town.logged_in(Role.OPERATOR).get("/operator/ppa").text
    share = told["renewable"]
    assert m.percent(share["matched"], 1) in page
    assert m.percent(share["annual"], 1) in page
    assert share["matched"] < share["annual"]
    seen = cells(page)
    for contract in told["contracts"]:
        assert m.yen(contract["total_yen"]) in seen
        assert m.quantity(contract["delivered_kwh"], "kWh", 0) in seen
    assert m.yen(sum(one["total_yen"] for one in told["contracts"])) in seen
    for one in told["co2"]:
        assert m.quantity(one["kg"], "kg", 0) in seen
    assert 'download="matching.csv"' in page


def test_half_hours_of_the_day_sum_to_the_month() -> None:
    town = Town()
    told = keep_ppa(town.house.store, "2026-10", at=NOON - timedelta(days=2))
    for name, values in told["half_hours"].items():
        assert len(values) == 48
        assert sum(values) == pytest.approx(told["renewable"][name])


def test_the_newest_version_of_the_newest_month_stands_first_and_others_can_be_chosen() -> None:
    town = Town()
    store, browser = town.house.store, town.logged_in(Role.OPERATOR)
    keep_ppa(store, "2026-09", at=NOON - timedelta(days=3))
    keep_ppa(store, "2026-10", at=NOON - timedelta(days=2), co2=False)
    assert "No CO2 factors were given" in browser.get("/operator/ppa").text
    keep_ppa(store, "2026-10", at=NOON - timedelta(days=1))
    page = browser.get("/operator/ppa").text
    assert "ppa/city-hall/2026-10/v2" in page
    assert "Differs from the version before" in page
    older = browser.get("/operator/ppa?month=city-hall/2026-09").text
    assert "City hall, September 2026:" in older  # names are those of the file it was settled with
    assert "Invoice of On-site PPA of the roof" in older
    assert "Prices and rules it was settled by" in older
    assert "ppa.roof-ppa.energy" in older
    assert 'value="city-hall/2026-09" selected' in older


@pytest.mark.parametrize("asked", ["city-hall/2031-01", "<b>", "../v1"])
def test_a_month_that_is_not_there_is_named_as_such_and_the_newest_is_shown(asked: str) -> None:
    town = Town()
    keep_ppa(town.house.store, "2026-10", at=NOON - timedelta(days=2))
    page = town.logged_in(Role.OPERATOR).get("/operator/ppa", params={"month": asked})
    assert page.status_code == 200
    assert "There is no such month" in page.text
    assert "<b>" not in page.text
    assert "City hall, October 2026:" in page.text
