"""A browser with people in front of it, and what is looked at on every page.

``page = desk.log_in(console, "operator")`` opens a browser in which somebody logged in through the form;
``desk.check_page(page, "/operator")`` looks at a page as a careful person with a keyboard, a phone, a screen
reader and no script would. ``VPP_TEST_SCREENS=FOLDER`` keeps a picture of every page that was looked at.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.e2e.console.served import Console
from tests.e2e.console.town import PASSWORD

__all__ = ["AXE", "LANGUAGES", "TABLET", "WIDTHS", "Desk", "chromium", "keep_picture"]

AXE: Final = Path(__file__).parents[2] / "counterparts" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
LANGUAGES: Final = ("ja", "en")
TABLET: Final = 1024
WIDTHS: Final = (390, TABLET, 1440)
_HEIGHTS: Final = {390: 844, TABLET: 768, 1440: 900}
_TIMEOUT_MS: Final = 15_000  # a page that takes longer is broken; nothing waits for it in vain
_AXE_RUN: Final = """async () => {
  const found = await axe.run(document, {
    resultTypes: ["violations"],
    runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
  });
  const where = v => v.nodes.slice(0, 3).map(n => n.html.slice(0, 160)).join(" | ");
  return found.violations.map(v => `${v.id}: ${v.help}: ${where(v)}`);
}"""
# Everything a person can operate with a mouse; of a group of radio buttons Tab reaches one.
_CONTROLS: Final = """() => {
  const kinds = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']";
  const seen = e => e.checkVisibility({visibilityProperty: true}) && !e.closest("[inert]");
  const all = [...document.querySelectorAll(kinds)].filter(e => !e.disabled && e.tabIndex >= 0 && seen(e));
  window.__reached = new Set();
  document.addEventListener("focusin", e => window.__reached.add(e.target));
  window.__wanted = all;
  return all.length;
}"""
_MISSED: Final = """() => {
  const same = e => [...window.__reached].some(r => r.name === e.name && r.form === e.form);
  const got = e => window.__reached.has(e) || (e.type === "radio" && same(e));
  return window.__wanted.filter(e => !got(e)).map(e => e.outerHTML.slice(0, 120));
}"""


def chromium() -> str | None:
    """The browser of this machine."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class _Heard:
    """What a page did that it should not do."""

    home: str
    faults: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("console", lambda told: self._said(told.type, told.text))
        page.on("pageerror", lambda error: self.faults.append(f"script: {error}"))
        page.on("request", lambda request: self._asked(request.url))

    def _said(self, kind: str, text: str) -> None:
        if kind in {"error", "warning"}:
            self.faults.append(f"console {kind}: {text}")

    def _asked(self, url: str) -> None:
        if urlsplit(url).scheme not in {"data", "blob"} and not url.startswith(self.home):
            self.faults.append(f"left the machine: {url}")

    def take(self) -> list[str]:
        faults, self.faults = self.faults, []
        return faults


@dataclass
class Desk:
    """One browser; every person gets a fresh profile of it."""

    browser: Browser
    _axe: str = field(default_factory=lambda: AXE.read_text(encoding="utf-8"))
    _open: list[BrowserContext] = field(default_factory=list)
    _heard: dict[Page, _Heard] = field(default_factory=dict)
    _keys: dict[tuple[str, str], Any] = field(default_factory=dict)

    @classmethod
    @contextlib.contextmanager
    def opened(cls) -> Iterator[Desk]:
        """A browser while it is needed."""
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=["--disable-gpu"])
            try:
                yield cls(browser)
            finally:
                browser.close()

    def visit(self, console: Console, *, lang: str = "ja", width: int = 1440, **options: Any) -> Page:
        """A browser that nobody used yet, with nothing opened."""
        context = self.browser.new_context(
            base_url=console.url,
            locale="ja-JP" if lang == "ja" else "en-GB",
            timezone_id="Asia/Tokyo",
            viewport={"width": width, "height": _HEIGHTS.get(width, 900)},
            reduced_motion="reduce",
            **options,
        )
        context.set_default_timeout(_TIMEOUT_MS)
        page = context.new_page()
        self._heard[page] = _Heard(console.url)
        self._heard[page].listen(page)
        return page

    def log_in(
        self, console: Console, who: str, *, lang: str = "ja", width: int = 1440, **options: Any
    ) -> Page:
        """A browser in which somebody logged in; ``who`` is a role or another account of the town."""
        known = self._keys.get((console.url, who))
        if known is not None:
            return self.visit(console, lang=lang, width=width, storage_state=known, **options)
        page = self.visit(console, lang=lang, width=width, **options)
        page.goto("/login")
        page.fill("#name", who)
        page.fill("#password", PASSWORD)
        page.press("#password", "Enter")
        page.wait_for_url(f"{console.url}/")
        self._keys[console.url, who] = page.context.storage_state()
        return page

    def faults(self, page: Page) -> list[str]:
        """What the page did that it should not do since the last time somebody asked."""
        return self._heard[page].take()

    def check_page(
        self, console: Console, who: str, path: str, *, langs: Sequence[str] = LANGUAGES,
        widths: Sequence[int] = WIDTHS,
    ) -> None:  # fmt: skip
        """Look at a page in every language and width; all that is wrong is said at once."""
        wrong: list[str] = []
        for lang in langs:
            for width in widths:
                page = self.log_in(console, who, lang=lang, width=width)
                wrong += [f"{path} {lang} {width}: {fault}" for fault in self._look(page, path, lang, width)]
                page.context.close()
            wrong += [
                f"{path} {lang} without script: {fault}" for fault in self._plain(console, who, path, lang)
            ]
        assert not wrong, "\n".join(wrong)

    def _look(self, page: Page, path: str, lang: str, width: int) -> list[str]:
        answer = page.goto(path, wait_until="load")
        if answer is None or answer.status != 200:
            return [f"answered {None if answer is None else answer.status}"]
        # What a page fetches when it opens takes the place of a link: looked at before, that link is missed.
        expect(page.locator(".htmx-request, .htmx-swapping, .htmx-settling")).to_have_count(0)
        wrong = self._heading(page)
        if page.evaluate("document.documentElement.lang") != lang:
            wrong.append("is in another language")
        wrong += self._overflow(page)
        keep_picture(page, path, lang, width)
        wrong += self.axe(page)
        if width == WIDTHS[-1]:  # colours do not depend on the width
            page.emulate_media(color_scheme="dark")
            keep_picture(page, path, f"{lang}-dark", width)
            wrong += [f"dark: {fault}" for fault in self.axe(page)]
            page.emulate_media(color_scheme="light")
        wrong += self._keyboard(page)
        if width == WIDTHS[-1]:
            wrong += self._tablet(page, path, lang)
        return wrong + self.faults(page)

    def out_of_view(self, page: Page, selector: str) -> list[str]:
        """Which of some elements nobody sees who does not scroll, or sees cut off."""
        found = page.locator(selector)
        assert found.count() > 0, selector
        wrong = found.evaluate_all(
            """elements => elements.filter(e => {
              const box = e.getBoundingClientRect();
              const across = box.left >= 0 && box.right <= innerWidth;
              const down = box.top >= 0 && box.bottom <= innerHeight;
              return !across || !down || e.scrollWidth > e.clientWidth + 1;
            }).map(e => e.innerText.trim().slice(0, 60))"""
        )
        return [f"{selector}: {text}" for text in wrong]

    def _tablet(self, page: Page, path: str, lang: str) -> list[str]:
        """The page that is open, made as narrow as a tablet: costs no load."""
        page.set_viewport_size({"width": TABLET, "height": _HEIGHTS[TABLET]})
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        keep_picture(page, path, lang, TABLET)
        return [f"made narrower to {TABLET} px: {fault}" for fault in self._overflow(page)]

    def _overflow(self, page: Page) -> list[str]:
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        return [f"overflows by {wide} px"] if wide > 0 else []

    def _heading(self, page: Page) -> list[str]:
        headings = page.locator("h1").all_inner_texts()
        return [] if len(headings) == 1 and headings[0].strip() else [f"headings: {headings}"]

    def axe(self, page: Page) -> list[str]:
        """What axe-core finds on a page as it stands."""
        if not page.evaluate("typeof axe !== 'undefined'"):
            page.evaluate(self._axe)
        return [f"axe {found}" for found in page.evaluate(_AXE_RUN)]

    def _keyboard(self, page: Page) -> list[str]:
        count = page.evaluate(_CONTROLS)
        page.evaluate("() => { document.activeElement?.blur(); window.scrollTo(0, 0); }")
        for _ in range(count + 3):
            page.keyboard.press("Tab")
            if page.evaluate("window.__reached.size") >= count:
                break
        return [f"no key leads to {control}" for control in page.evaluate(_MISSED)]

    def _plain(self, console: Console, who: str, path: str, lang: str) -> list[str]:
        """The page without scripts still says what it is about."""
        page = self.log_in(console, who, lang=lang, java_script_enabled=False)
        answer = page.goto(path)
        wrong = [] if answer is not None and answer.status == 200 else ["does not answer"]
        wrong += self._heading(page)
        if len(page.locator("main").inner_text().strip()) < 20:
            wrong.append("is empty")
        page.context.close()
        return wrong


def keep_picture(page: Page, path: str, lang: str, width: int, *, whole: bool = True) -> None:
    """A picture of the whole page or of what is in view, if somebody asked for pictures."""
    folder = os.environ.get("VPP_TEST_SCREENS")
    if folder:
        name = re.sub(r"[^a-z0-9]+", "-", path.lower()).strip("-") or "home"
        page.screenshot(path=Path(folder) / f"{name}-{lang}-{width}.png", full_page=whole)
