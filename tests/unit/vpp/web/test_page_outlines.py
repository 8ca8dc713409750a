"""What stands on the main pages, in both languages, as it was agreed upon.

``VPP_TEST_UPDATE_GOLDEN=1 pytest tests/unit/vpp/web/test_page_outlines.py`` writes the files anew; look at
the difference before you commit it. Style, numbers and drawings are not in them: see ``outline.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.unit.vpp.api.filled import OWN_SITE, filled_town
from tests.unit.vpp.web.outline import outline
from vpp.i18n import LANGUAGES
from vpp.people.roles import Role

GOLDEN = Path(__file__).parents[3] / "golden" / "pages"
PAGES = {
    "account": (Role.DRIVER, "/account"),
    "alerts": (Role.OPERATOR, "/alerts"),
    "audit": (Role.AUDITOR, "/audit"),
    "car": (Role.DRIVER, f"/car/{OWN_SITE}/commuter"),
    "factory": (Role.FACTORY, f"/factory/{OWN_SITE}"),
    "factory-why": (Role.FACTORY, f"/factory/{OWN_SITE}/why/commuter"),
    "jobs": (Role.OPERATOR, "/jobs"),
    "operator": (Role.OPERATOR, "/operator"),
    "operator-consents": (Role.OPERATOR, "/operator/consents"),
    "operator-event": (Role.OPERATOR, "/operator/events/e-1"),
    "operator-ledger": (Role.OPERATOR, "/operator/ledger"),
    "operator-plans": (Role.OPERATOR, "/operator/plans"),
    "people": (Role.ADMINISTRATOR, "/people"),
    "retailer": (Role.RETAILER, "/retailer?day=2026-08-05"),
    "setup": (Role.INSTALLER, f"/setup/{OWN_SITE}"),
}


Pages = dict[tuple[str, str], str]


@pytest.fixture(scope="module")
def pages() -> Pages:
    """Every page in both languages, in the same order in every run: the audit's page shows who was here."""
    town, found = filled_town(), {}
    roles = dict.fromkeys(role for role, _ in PAGES.values())
    browsers = {(role, lang): town.logged_in(role, lang=lang) for role in roles for lang in LANGUAGES}
    for name, (role, path) in PAGES.items():
        for lang in LANGUAGES:
            answer = browsers[role, lang].get(path)
            assert answer.status_code == 200, path
            found[name, lang] = whole = outline(answer.text)
            if name != "account":  # what stands around all pages is looked at once
                found[name, lang] = whole[whole.index("\nmain\n") + 1 : whole.rindex("footer\n")]
    return found


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_holds_what_was_agreed_upon(pages: Pages, name: str, lang: str) -> None:
    text, file = pages[name, lang], GOLDEN / f"{name}.{lang}.txt"
    if os.environ.get("VPP_TEST_UPDATE_GOLDEN") == "1":
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8"), "VPP_TEST_UPDATE_GOLDEN=1 writes it anew"


def test_both_languages_hold_the_same_things(pages: Pages) -> None:
    def bones(text: str) -> list[str]:
        return [
            line.split(" aria-label=")[0] for line in text.splitlines() if not line.lstrip().startswith("|")
        ]

    for name in PAGES:
        assert bones(pages[name, "ja"]) == bones(pages[name, "en"]), name


def test_an_outline_keeps_what_people_meet_and_drops_what_moves() -> None:
    page = """<!doctype html><html lang="en"><head><title>x</title></head><body>
      <main class="a"><h1>At 14:30</h1><svg><text>7</text></svg>
      <form method="post" action="/x/7"><input type="hidden" name="form_key" value="q">
      <label>Power <input name="kw" required></label><button>Do it</button></form>
      <table><tr><td>1 kW</td></tr><tr><td>two</td></tr></table></main>
      <script>no()</script></body></html>"""
    assert outline(page).splitlines() == [
        "main",
        "  h1",
        "    | At 0:0",
        "  svg",
        "  form method=post action=/x/0",
        "    label",
        "      | Power",
        "      input name=kw required=",
        "    button",
        "      | Do it",
        "  table",
        "    tr (and more)",
        "      td",
        "        | 0 kW",
    ]
