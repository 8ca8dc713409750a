"""The region's pages as the people who run it see them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.e2e.console.desk import LANGUAGES, TABLET, Desk, keep_picture
from tests.e2e.console.served import Console
from tests.e2e.console.town import PASSWORD

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


@pytest.mark.parametrize("lang", LANGUAGES)
def test_a_tablet_on_the_wall_shows_the_region_without_a_touch(
    console: Console, desk: Desk, lang: str
) -> None:
    page = desk.log_in(console, "operator", lang=lang, width=TABLET)
    page.goto("/operator?wall=1")
    page.wait_for_selector("table.heat")
    keep_picture(page, "/operator-wall", lang, TABLET, whole=False)
    assert desk.out_of_view(page, "#now h1, #now .tile") == []
    assert desk.faults(page) == []


@pytest.mark.parametrize(
    "path",
    [
        "/operator/plans",
        "/operator/plans/2026-08-07~demand~bg-aizu~tohoku~v1",
        "/operator/events/dr-0807",
        "/operator/consents",
        "/operator/consents/share-site-03",
        "/operator/ledger",
    ],
)
def test_every_room_can_be_used_on_a_phone_and_at_a_desk(console: Console, desk: Desk, path: str) -> None:
    desk.check_page(console, "operator", path, widths=(390, 1440))


def test_a_plan_is_mended_by_one_person_and_approved_by_another(own_console: Console, desk: Desk) -> None:
    sheet = "/operator/plans/2026-08-07~demand~bg-aizu~tohoku~v1"
    page = desk.log_in(own_console, "operator-2", lang="en", java_script_enabled=False)
    page.goto(sheet)
    page.fill("[name=k20]", "-5")
    page.click("text=Save as a new version")
    assert "Half hours 21 are no whole numbers" in page.inner_text("[role=alert]")
    page.fill("[name=k20]", "400")
    page.click("text=Save as a new version")
    assert "v2: draft" in page.inner_text("h1")
    assert page.locator("td.changed").count() == 1
    own_console.clock.advance(timedelta(minutes=1))
    page.click("button:has-text('Check')")
    assert "v2: checked" in page.inner_text("h1")
    own_console.clock.advance(timedelta(minutes=1))
    page.click("button:has-text('Approve')")
    assert "Another operator has to" in page.inner_text("[role=alert]")
    other = desk.log_in(own_console, "operator", lang="en")
    other.goto(sheet.replace("~v1", "~v2"))
    other.click("button:has-text('Approve')")
    assert "v2: approved" in other.inner_text("h1")
    other.click("text=Go on to handing in")
    own_console.clock.advance(timedelta(minutes=1))
    other.click("button:has-text('Note as handed in')")
    assert "No plan is taken at this time of day" in other.inner_text("[role=alert]")
    own_console.clock.advance(timedelta(hours=3))
    other.goto(sheet.replace("~v1", "~v2"))  # three hours later the session is over: in again, and back here
    other.fill("#name", "operator")
    other.fill("#password", PASSWORD)
    other.press("#password", "Enter")
    other.click("text=Go on to handing in")
    other.click("button:has-text('Note as handed in')")
    assert "v2: handed in" in other.inner_text("h1")
