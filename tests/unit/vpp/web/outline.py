"""A page as an outline: what stands in what, what people operate and read, without style and numbers.

One line per element that means something, indented by where it stands. Text is kept with every run of digits
as ``0``. What repeats is written once, and of rows that are built alike the first. Drawings are one line.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import groupby
from typing import Final

__all__ = ["outline"]

_VOID: Final = {"area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}
_UNSEEN: Final = {"script", "style", "head"}
_MUTE: Final = {*_UNSEEN, "svg"}
# What only carries others is left out, and what stands in it moves up.
_CARRIERS: Final = {"html", "body", "div", "span", "b", "i", "em", "strong", "small", "br", "time", "code"}
_ENDED_BY_THE_NEXT: Final = {"option", "li", "tr", "td", "th", "dt", "dd", "p"}
_TOLD: Final = {
    "a": ("href",),
    "form": ("method", "action"),
    "input": ("type", "name", "required"),
    "select": ("name",),
    "textarea": ("name",),
    "button": ("name",),
    "section": ("id",),
    "main": (),
    "th": ("scope",),
}
_EVERYWHERE: Final = ("role", "aria-label", "aria-live", "aria-current", "hx-get", "hx-post", "hx-trigger")


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._open: list[str] = []
        self._mute = 0

    @property
    def _indent(self) -> str:
        return "  " * sum(tag not in _CARRIERS for tag in self._open)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in _ENDED_BY_THE_NEXT and self._open[-1:] == [tag]:
            self.handle_endtag(tag)
        if not self._mute and given.get("type") != "hidden" and (tag not in _CARRIERS or given.get("role")):
            told = [name for name in (*_TOLD.get(tag, ()), *_EVERYWHERE) if name in given]
            words = [tag, *(f"{name}={_still(given[name] or '')}" for name in told)]
            if tag not in _UNSEEN:
                self.lines.append(self._indent + " ".join(words))
        if tag in _VOID:
            return
        self._open.append(tag)
        self._mute += tag in _MUTE

    def handle_endtag(self, tag: str) -> None:
        while tag in self._open:
            closed = self._open.pop()
            self._mute -= closed in _MUTE
            if closed == tag:
                return

    def handle_data(self, data: str) -> None:
        text = _still(" ".join(data.split()))
        if text and not self._mute:
            self.lines.append(f"{self._indent}| {text}")


def _still(text: str) -> str:
    """Without what changes from day to day, and without the content of a file that stands in a link."""
    text = re.sub(r"^(data:[^,;]*).*", r"\1", text)
    return re.sub(r"\d+", "0", text)


def _blocks(lines: list[str]) -> list[list[str]]:
    """Lines with all that stands deeper below them."""
    blocks: list[list[str]] = []
    for line in lines:
        depth = len(line) - len(line.lstrip(" "))
        if blocks and depth > len(blocks[-1][0]) - len(blocks[-1][0].lstrip(" ")):
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return blocks


def _alike(block: list[str]) -> list[str]:
    """What a block is compared by: all of it, or of a row only how it is built."""
    if block[0].strip().startswith("tr"):
        return [line for line in block if not line.lstrip().startswith("|")]
    return block


def _once(lines: list[str]) -> list[str]:
    """Neighbours that are alike are written once, at every depth."""
    found: list[str] = []
    for _, same in groupby(([line, *_once(inside)] for line, *inside in _blocks(lines)), _alike):
        first, *more = same
        found += [first[0] + (" (and more)" if more else ""), *first[1:]]
    return found


def outline(html: str) -> str:
    """The outline of a page, one line per element or text."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return "\n".join(_once(reader.lines)) + "\n"
