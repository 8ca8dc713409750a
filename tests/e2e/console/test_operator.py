"""The region's pages as the people who run it see them."""

from __future__ import annotations

import pytest

from tests.e2e.console.desk import Desk
from tests.e2e.console.served import Console

pytestmark = pytest.mark.e2e


def test_the_region_can_be_read_by_everybody_who_runs_it(console: Console, desk: Desk) -> None:
    desk.check_page(console, "operator", "/operator")


def test_the_forecast_errors_have_a_page_of_their_own(console: Console, desk: Desk) -> None:
    desk.check_page(console, "operator", "/operator/errors", langs=("ja",), widths=(390, 1440))


def test_the_first_sentence_says_what_is_next_to_watch(console: Console, desk: Desk) -> None:
    page = desk.log_in(console, "operator", lang="en")
    page.goto("/operator")
    assert "reserve margin" in page.inner_text("h1")
    assert "site-08 has sent no reading since" in page.inner_text(".work")
    assert "dr-0807" in page.inner_text(".work")
    page.wait_for_selector("table.heat")
    assert page.locator("table.heat tbody tr").count() == 14
    assert desk.faults(page) == []
