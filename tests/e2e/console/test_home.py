"""What everybody sees: the door, the start page, one's own account; and that the harness would notice."""

from __future__ import annotations

import pytest

from tests.e2e.console.desk import Desk
from tests.e2e.console.served import Console

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize("path", ["/", "/account"])
def test_a_page_that_everybody_has_can_be_used_by_everybody(console: Console, desk: Desk, path: str) -> None:
    desk.check_page(console, "factory", path)


def test_the_door_needs_no_mouse(own_console: Console, desk: Desk) -> None:
    page = desk.visit(own_console, lang="en")
    page.goto("/login")
    page.keyboard.type("driver")
    page.keyboard.press("Tab")
    page.keyboard.type("correct horse battery")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{own_console.url}/")
    assert "Driver" in page.inner_text("h1")
    assert desk.faults(page) == []


def test_the_harness_notices_what_is_wrong(own_console: Console, desk: Desk) -> None:
    page = desk.log_in(own_console, "factory")
    page.evaluate(
        """() => {
          document.querySelector("main").innerHTML = "<h1>x</h1><img src='https://example.org/a.png'>"
            + "<button tabindex='-1'></button><div style='width:4000px'>.</div>";
          console.error("shouted");
        }"""
    )
    page.wait_for_timeout(50)
    heard = "\n".join(desk.faults(page))
    assert "left the machine: https://example.org/a.png" in heard
    assert "shouted" in heard
    found = "\n".join(desk.axe(page))
    assert "image-alt" in found
    assert "button-name" in found
