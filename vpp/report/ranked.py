"""Ranked bars: one row per thing, longest first, each beside what it may be or was before; and its table.

Charts over time (:mod:`vpp.report.chart`) show when; these show who. Classes and colours are those of the
charts; a hatch and the words of the legend say the same as the colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from vpp.i18n import Messages
from vpp.report.axes import text_px, value_ticks
from vpp.report.ink import FONT_PX, box, patterns, segment, text
from vpp.table import Table

__all__ = ["Ranked", "RankedRow", "ranked_svg", "ranked_table"]

_ROW_PX: Final = 34.0
_BAR_PX: Final = 11.0
_LEGEND_PX: Final = 26.0
_AXIS_PX: Final = 24.0
_FACES: Final = (("t1", ""), ("t2", "hatch"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedRow:
    """A thing, its values in the order of the series, and a mark that they are held against."""

    label: str
    values: tuple[float, ...]
    mark: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A ranked chart.

    Parameters
    ----------
    id : str
        Unique on a page.
    series : tuple of str
        Names of at most two values of each row.
    mark : str
        Name of the marks; empty for none.
    digits : int
        After the point, in words and table.
    """

    id: str
    title: str
    description: str
    unit: str
    series: tuple[str, ...]
    rows: tuple[RankedRow, ...]
    mark: str = ""
    digits: int = 0


def ranked_table(chart: Ranked, messages: Messages) -> Table:
    """The table behind the bars."""
    named = [f"{name} [{chart.unit}]" for name in (*chart.series, *([chart.mark] if chart.mark else []))]

    def cells(row: RankedRow) -> tuple[str, ...]:
        marks = [
            messages.text("chart.missing") if row.mark is None else messages.number(row.mark, chart.digits)
        ]
        values = [messages.number(value, chart.digits) for value in row.values]
        return (row.label, *values, *(marks if chart.mark else []))

    return Table(chart.title, ("", *named), tuple(cells(row) for row in chart.rows))


def ranked_svg(chart: Ranked, messages: Messages, *, width: int) -> str:
    """SVG text of the bars; zero is where it belongs, so that values below it go to the left."""
    name = f"{chart.id}-{width}"
    values = [0.0, *(value for row in chart.rows for value in (*row.values, row.mark or 0.0))]
    ticks = value_ticks(min(values), max(values), count=4)
    left = 16.0 + max((text_px(row.label, FONT_PX) for row in chart.rows), default=0.0)
    right, bottom = width - 24.0, _LEGEND_PX + _ROW_PX * len(chart.rows)

    def x(value: float) -> float:
        return left + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (right - left)

    height = round(bottom + _AXIS_PX)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" aria-labelledby="{name}-t {name}-d">'
    )
    parts = [
        opening,
        f'<title id="{name}-t">{escape(chart.title)}</title>',
        f'<desc id="{name}-d">{escape(chart.description)}</desc>',
        patterns(name),
        *_legend(chart, name),
    ]
    for tick in ticks:
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" {segment((x(tick), _LEGEND_PX), (x(tick), bottom))}/>')
        parts.append(text(x(tick), bottom + 16, messages.number(tick, 0), anchor="middle"))
    for number, row in enumerate(chart.rows):
        top = _LEGEND_PX + _ROW_PX * number + 4.0
        parts.append(text(left - 8, top + 16, row.label, anchor="end"))
        for k, value in enumerate(row.values):
            begin, end = sorted((x(0.0), x(value)))
            parts += _bar(name, k, box(begin, top + k * (_BAR_PX + 1.0), max(0.5, end - begin), _BAR_PX))
        if row.mark is not None:
            line = segment((x(row.mark), top - 2.0), (x(row.mark), top + _ROW_PX - 8.0))
            parts.append(f'<line class="line t5" {line}/>')
    return "\n".join([*parts, "</svg>"])


def _bar(name: str, k: int, place: str) -> list[str]:
    face, pattern = _FACES[k % len(_FACES)]
    bar = f'<rect class="bar {face}" {place}/>'
    return [bar, f'<rect fill="url(#{name}-{pattern})" {place}/>'] if pattern else [bar]


def _legend(chart: Ranked, name: str) -> list[str]:
    parts, x = [], 4.0
    for k, words in enumerate(chart.series):
        parts += _bar(name, k, box(x, 6.0, 18.0, _BAR_PX))
        parts.append(text(x + 24.0, 16.0, words))
        x += 44.0 + text_px(words, FONT_PX)
    if chart.mark:
        parts.append(f'<line class="line t5" {segment((x + 9.0, 4.0), (x + 9.0, 20.0))}/>')
        parts.append(text(x + 18.0, 16.0, chart.mark))
        x += 38.0 + text_px(chart.mark, FONT_PX)
    return [*parts, text(x, 16.0, f"[{chart.unit}]")]
