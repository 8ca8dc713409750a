"""Drivers, retailers, installers, administrators and auditors in a real browser."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.e2e.console.desk import Desk, keep_picture
from tests.e2e.console.served import Console
from tests.unit.vpp.cli.test_device_command import running
from tests.unit.vpp.web.test_setup import FORM, PARTS
from vpp.setup.sitefolder import KeptDevice, SiteFolder
from vpp.web.setup_forms import part_of_form, site_of_form
from vpp.wishes import wishes_at

pytestmark = pytest.mark.e2e

CAR = "/car/kitakata/commuter"


@pytest.mark.parametrize(
    ("who", "path"),
    [
        ("driver", CAR),
        ("retailer", "/retailer"),
        ("administrator", "/people"),
        ("auditor", "/audit"),
        ("installer", "/setup"),
    ],
)
def test_a_page_can_be_used_by_everybody_whom_it_is_for(
    console: Console, desk: Desk, who: str, path: str
) -> None:
    desk.check_page(console, who, path)


def in_force(console: Console) -> list[str]:
    now = console.clock.now()
    held = wishes_at(console.service.store.as_of(now), "kitakata", now)
    return [one.act.kind for one in held]


def test_a_driver_says_no_with_one_tap_and_takes_it_back_with_one(own_console: Console, desk: Desk) -> None:
    page = desk.log_in(own_console, "driver", lang="ja", width=390)
    page.goto(CAR)
    with page.expect_navigation():
        page.get_by_role("button", name="今日は放電しない").click()
    assert "まで放電しません" in page.inner_text("[role=status]")
    assert in_force(own_console) == ["no-discharge"]
    own_console.clock.advance(timedelta(minutes=1))
    with page.expect_navigation():
        page.get_by_role("button", name="放電してもよい").click()
    assert in_force(own_console) == []
    assert desk.faults(page) == []


def test_a_driver_leaves_earlier_without_a_mouse_and_without_a_script(
    own_console: Console, desk: Desk
) -> None:
    page = desk.log_in(own_console, "driver", lang="en", width=390, java_script_enabled=False)
    page.goto(CAR)
    page.fill("#at", "14:40")
    page.select_option("#charge", "95")
    page.focus("#day")
    page.keyboard.press("Tab")
    with page.expect_navigation():
        page.keyboard.press("Enter")
    assert re.search(r"95 % by Thu 6 Aug 14:40 is not possible", page.inner_text("main"))
    assert in_force(own_console) == ["departure"]


def test_why_a_car_does_what_it_does_opens_under_a_finger(console: Console, desk: Desk) -> None:
    page = desk.log_in(console, "driver", lang="en", width=390)
    page.goto(CAR)
    first = page.locator(".steps summary").first
    first.click()
    assert page.locator(".steps details[open] p").first.inner_text().strip().endswith(".")


def test_an_installer_adds_a_device_without_touching_a_file(
    own_console: Console, desk: Desk, tmp_path: Path
) -> None:
    sites = tmp_path / "sites"
    sites.mkdir()
    own_console.service.settings = replace(own_console.service.settings, setup_folder=str(sites))
    folder = SiteFolder(str(sites))
    folder.add(site_of_form(FORM, date(2026, 8, 6)))
    with running("eastron-sdm630") as made:
        page = desk.log_in(own_console, "installer", lang="en", width=1024)
        page.goto("/setup/kitakata")
        page.fill("#id", "main-meter")
        page.select_option("#profile", "eastron-sdm630")
        page.fill("#address", made.host)
        page.fill("#assets", "meter")
        with page.expect_navigation():
            page.get_by_role("button", name="Look at it").click()
        assert "It answers" in page.inner_text("[role=status]")
        with page.expect_navigation():
            page.get_by_role("button", name="Only read it").click()
    assert [one.id for one in folder.devices("kitakata")] == ["main-meter"]
    charger = KeptDevice(id="charger-1", profile="keba-p30", address="192.0.2.8", unit=None, assets=("leaf",))
    folder.keep("kitakata", charger)
    for kind, told in PARTS.items():
        folder.equip("kitakata", part_of_form({"kind": kind, **told}))
    desk.check_page(own_console, "installer", "/setup/kitakata", widths=(390, 1440))
    page.goto("/setup/kitakata")
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    keep_picture(page, "/setup-open", "en", 1024)
    assert desk.axe(page) == []
    taken = page.locator("form[action$='/equipment/store-1/drop']")
    taken.get_by_role("checkbox").check()
    with page.expect_navigation():
        taken.get_by_role("button").click()
    assert page.locator("form[action$='/equipment/store-1/drop']").count() == 0
    left = folder.site("kitakata")
    assert left is not None
    assert left.batteries == ()
