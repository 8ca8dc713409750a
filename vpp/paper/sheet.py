"""A4 sheets: one way to set a heading, large figures, a table, bars and a footer on every paper.

The letters are BIZ UDPGothic (SIL Open Font License), drawn for people with weak sight; they are embedded, so
a paper looks the same everywhere, offline included. A sign that the font lacks is printed as 〓, as printers
in Japan do. The same content gives the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Final, Literal

from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

__all__ = ["Column", "Sheet", "make_pdf", "paper_number"]

REGULAR: Final = "BIZUDPGothic"
BOLD: Final = "BIZUDPGothic-Bold"
INK: Final = HexColor("#1d2430")
SOFT: Final = HexColor("#5b6573")
ACCENT: Final = HexColor("#a32a22")  # the red of Aizu lacquer; 7:1 on white
BAR: Final = HexColor("#3f5f7f")
RULE: Final = HexColor("#c9cfd6")
FIELD: Final = HexColor("#f3f1ec")
MARGIN: Final = 51.0  # 18 mm
_WIDTH, _HEIGHT = A4
_BOTTOM: Final = 62.0  # above the footer
_NO_LINE_START: Final = frozenset(
    "、。，．・：；？！）」』】〕〉》％…ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ.,:;?!)%"
)
_GETA: Final = "〓"
Align = Literal["left", "right"]


@lru_cache(maxsize=1)
def _fonts() -> frozenset[int]:
    """Register both fonts once; gives the signs that they have."""
    folder = resources.files("vpp.paper").joinpath("fonts")
    for name, file in ((REGULAR, "BIZUDPGothic-Regular.ttf"), (BOLD, "BIZUDPGothic-Bold.ttf")):
        with folder.joinpath(file).open("rb") as data:
            pdfmetrics.registerFont(TTFont(name, io.BytesIO(data.read())))
    return frozenset(pdfmetrics.getFont(REGULAR).face.charToGlyph)  # type: ignore[attr-defined] # a TrueType face has it


def _printable(text: str) -> str:
    known = _fonts()
    return "".join(sign if ord(sign) in known else _GETA for sign in text)


def paper_number(value: float) -> str:
    """A whole number as papers show it: ``1,234``, and a true minus sign."""
    return f"{value:,.0f}".replace("-", "−")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    share : float
        Its share of the width; the shares of a table sum to 1. [-]
    """

    title: str
    share: float
    align: Align = "left"


class Sheet:
    """A paper that is being set, from top to bottom; a new page begins where one is full."""

    def __init__(self, canvas: Canvas, *, footer: str, pages: int, page_word: str) -> None:
        self._canvas = canvas
        self._footer, self._pages, self._page_word = footer, pages, page_word
        self.page = 0
        self.y = 0.0
        self._next_page()

    @property
    def width(self) -> float:
        """Width between the margins. [pt]"""
        return _WIDTH - 2 * MARGIN

    # -- pages -----------------------------------------------------------------------------------------

    def _next_page(self) -> None:
        if self.page:
            self._canvas.showPage()
        self.page += 1
        self.y = _HEIGHT - MARGIN
        self._canvas.setStrokeColor(RULE)
        self._canvas.setLineWidth(0.5)
        self._canvas.line(MARGIN, 46, _WIDTH - MARGIN, 46)
        self._put(MARGIN, 33, self._footer, 8, color=SOFT)
        number = f"{self._page_word} {self.page} / {self._pages}"
        self._put(_WIDTH - MARGIN, 33, number, 8, color=SOFT, align="right")

    def new_page(self) -> None:
        """Go on at the top of a new page."""
        self._next_page()

    def need(self, height: float) -> None:
        """Begin a new page if less than this is left on the page. [pt]"""
        if self.y - height < _BOTTOM:
            self._next_page()

    # -- words -----------------------------------------------------------------------------------------

    def _put(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        bold: bool = False,
        color: Color = INK,
        align: Align = "left",
    ) -> None:
        self._canvas.setFont(BOLD if bold else REGULAR, size)
        self._canvas.setFillColor(color)
        draw = self._canvas.drawString if align == "left" else self._canvas.drawRightString
        draw(x, y, _printable(text))

    @staticmethod
    def _long(text: str, size: float, *, bold: bool = False) -> float:
        return float(pdfmetrics.stringWidth(_printable(text), BOLD if bold else REGULAR, size))

    def _wrapped(self, text: str, size: float, width: float, *, bold: bool = False) -> list[str]:
        """Lines of a text; Latin words stay whole, no line begins with a closing mark."""
        lines, line = [], ""
        for piece in _pieces(text):
            if line and self._long(line + piece, size, bold=bold) > width and piece not in _NO_LINE_START:
                lines.append(line.rstrip())
                line = ""
            line += piece if line else piece.lstrip()
        return [*lines, line.rstrip()] if line.strip() or not lines else lines

    def heading(self, title: str, *, over: str, under: str = "") -> None:
        """Head of the paper: who sends it, what it is, for whom and when."""
        self._put(MARGIN, self.y - 9, over, 10, color=SOFT)
        self.y -= 22
        self._canvas.setFillColor(ACCENT)
        self._canvas.rect(MARGIN, self.y - 30, 5, 32, stroke=0, fill=1)
        size = 26.0
        while self._long(title, size, bold=True) > self.width - 18 and size > 14:
            size -= 1
        self._put(MARGIN + 16, self.y - 24, title, size, bold=True)
        self.y -= 48
        if under:
            self.paragraph(under, size=13, color=SOFT)

    def section(self, title: str, *, then: float = 40) -> None:
        """A heading inside the paper, on the page where so much more fits below it. [pt]"""
        self.need(34 + then)
        self.y -= 8
        self._put(MARGIN, self.y - 13, title, 15, bold=True, color=ACCENT)
        self.y -= 26

    def paragraph(self, text: str, *, size: float = 12, color: Color = INK, bold: bool = False) -> None:
        """Running text."""
        for line in self._wrapped(text, size, self.width, bold=bold):
            self.need(size * 1.5)
            self.y -= size * 1.5
            self._put(MARGIN, self.y + size * 0.35, line, size, color=color, bold=bold)
        self.y -= size * 0.35

    def figures(self, told: Sequence[tuple[str, str, str]], *, size: float = 30) -> None:
        """Large figures side by side: label, number, unit."""
        self.need(size + 52)
        gap = 12.0
        wide = (self.width - gap * (len(told) - 1)) / len(told)
        height, large = size + 40, size
        while large > 12 and any(
            self._long(number, large, bold=True) + self._long(unit, 13) > wide - 30
            for _, number, unit in told
        ):
            large -= 1
        for k, (label, number, unit) in enumerate(told):
            x = MARGIN + k * (wide + gap)
            self._canvas.setFillColor(FIELD)
            self._canvas.roundRect(x, self.y - height, wide, height, 6, stroke=0, fill=1)
            fits = 12.0
            while self._long(label, fits) > wide - 24 and fits > 8:
                fits -= 0.5
            self._put(x + 12, self.y - 22, label, fits, color=SOFT)
            self._put(x + 12, self.y - height + 15, number, large, bold=True)
            self._put(x + 18 + self._long(number, large, bold=True), self.y - height + 15, unit, 13)
        self.y -= height + 12

    def table(
        self,
        columns: Sequence[Column],
        rows: Sequence[Sequence[str]],
        *,
        size: float = 12,
        last_is_total: bool = False,
        dense: bool = False,
    ) -> None:
        """A table; its head is set again on every page, long cells take several lines."""
        self._table_head(columns, size)
        for number, row in enumerate(rows):
            total = last_is_total and number == len(rows) - 1
            cells = [
                self._wrapped(cell, size, column.share * self.width - 8, bold=total)
                for cell, column in zip(row, columns, strict=True)
            ]
            height = max(len(lines) for lines in cells) * size * 1.45 + size * (0.2 if dense else 0.55)
            if self.y - height < _BOTTOM:
                self._next_page()
                self._table_head(columns, size)
            x = MARGIN
            for lines, column in zip(cells, columns, strict=True):
                wide = column.share * self.width
                at = x + 4 if column.align == "left" else x + wide - 4
                for k, line in enumerate(lines):
                    baseline = self.y - size * ((1.15 if dense else 1.22) + 1.45 * k)
                    self._put(at, baseline, line, size, bold=total, align=column.align)
                x += wide
            self.y -= height
            self._canvas.setStrokeColor(INK if total else RULE)
            self._canvas.setLineWidth(1.0 if total else 0.5)
            self._canvas.line(MARGIN, self.y, MARGIN + self.width, self.y)
        self.y -= 10

    def _table_head(self, columns: Sequence[Column], size: float) -> None:
        heads = [
            self._wrapped(column.title, size * 0.85, column.share * self.width - 8) for column in columns
        ]
        height = max(len(lines) for lines in heads) * size * 1.2 + 8
        self.need(height + size * 3)
        x = MARGIN
        for lines, column in zip(heads, columns, strict=True):
            wide = column.share * self.width
            at = x + 4 if column.align == "left" else x + wide - 4
            for k, line in enumerate(lines):
                baseline = self.y - size * (1.0 + 1.2 * k)
                self._put(at, baseline, line, size * 0.85, color=SOFT, align=column.align)
            x += wide
        self.y -= height
        self._canvas.setStrokeColor(INK)
        self._canvas.setLineWidth(1.0)
        self._canvas.line(MARGIN, self.y, MARGIN + self.width, self.y)

    def bars(self, values: Sequence[float], labels: Sequence[str], *, unit: str, height: float = 110) -> None:
        """Bars on a common base, one a value; every label that is not empty is set below its bar."""
        self.need(height + 34)
        top = max([*values, 0.0]) or 1.0
        low = min([*values, 0.0])
        scale = (height - 14) / (top - low)
        base = self.y - height - low * scale
        self._put(MARGIN, self.y - 8, f"{top:,.4g} {unit}", 9, color=SOFT)
        step = self.width / max(1, len(values))
        for k, value in enumerate(values):
            x = MARGIN + k * step
            self._canvas.setFillColor(BAR if value >= 0 else ACCENT)
            self._canvas.rect(x + step * 0.12, base, step * 0.76, value * scale, stroke=0, fill=1)
            if labels[k]:
                self._put(x + step * 0.12, self.y - height - 12, labels[k], 9, color=SOFT)
        self._canvas.setStrokeColor(INK)
        self._canvas.setLineWidth(0.8)
        self._canvas.line(MARGIN, base, MARGIN + self.width, base)
        self.y -= height + 26

    def space(self, height: float) -> None:
        """Leave some room. [pt]"""
        self.y -= height


def _pieces(text: str) -> list[str]:
    """A text cut where a line may end: after each Japanese sign, after each Latin word."""
    found: list[str] = []
    for sign in text:
        latin = ord(sign) < 0x2E80 and sign != " "
        if found and latin and found[-1] and ord(found[-1][-1]) < 0x2E80 and found[-1][-1] != " ":
            found[-1] += sign
        else:
            found.append(sign)
    return found


def make_pdf(draw: Callable[[Sheet], None], *, title: str, lang: str, footer: str, page_word: str) -> bytes:
    """Set a paper twice, the second time with the number of its pages; the same content, the same bytes."""
    _fonts()
    pages, content = 1, b""
    for _ in range(2):
        buffer = io.BytesIO()
        canvas = Canvas(buffer, pagesize=A4, invariant=1, pageCompression=1, lang=lang)
        canvas.setTitle(title)
        canvas.setAuthor("aizu-vpp")
        sheet = Sheet(canvas, footer=footer, pages=pages, page_word=page_word)
        draw(sheet)
        canvas.save()
        pages, content = sheet.page, buffer.getvalue()
    return content
