"""Colours can be read in light and dark; forms say what their fields are; words stand in both languages."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import vpp.web
from tests.unit.vpp.web.browser import Town
from vpp.people.roles import Role

CSS = (Path(vpp.web.__file__).parent / "static" / "base.css").read_text(encoding="utf-8")
AA = 4.5  # WCAG 2.2, 1.4.3, text of usual size


def themes() -> dict[str, dict[str, str]]:
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", part)) for part in CSS.split("@media")[:2])
    return {"light": light, "dark": dark}


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, ground) for text in ("ink", "soft", "accent") for ground in ("paper", "card")),
        ("accent-ink", "accent"),
        *((("ink"), f"{kind}-soft") for kind in ("accent", "bad", "good")),
        ("accent", "accent-soft"),
    ],
)
def test_text_can_be_read_on_its_ground(theme: str, text: str, ground: str) -> None:
    colours = themes()[theme]
    assert contrast(colours[text], colours[ground]) >= AA


class Fields(HTMLParser):
    """Ids of fields, what labels are for, headings, and landmarks."""

    def __init__(self) -> None:
        super().__init__()
        self.fields: set[str] = set()
        self.labels: set[str] = set()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.seen.append(tag)
        if tag == "label" and told.get("for"):
            self.labels.add(str(told["for"]))
        if tag in {"input", "select"} and told.get("type") not in {"hidden", "checkbox"}:
            self.fields.add(str(told.get("id")))


@pytest.mark.parametrize("lang", ["ja", "en"])
@pytest.mark.parametrize("path", ["/login", "/account", "/account/second-factor", "/", "/nowhere"])
def test_every_field_has_a_label_and_every_page_one_heading(path: str, lang: str) -> None:
    town = Town()
    browser = town.browser(lang) if path == "/login" else town.logged_in(Role.FACTORY, lang=lang)
    page = Fields()
    page.feed(browser.get(path).text)
    assert page.fields <= page.labels
    assert page.seen.count("h1") == 1
    assert page.seen.count("main") == 1
