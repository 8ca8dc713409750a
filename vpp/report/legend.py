"""The legend of a chart: a sample of each stroke or pattern with its words, in as many rows as it needs."""

from __future__ import annotations

from typing import assert_never

from vpp.i18n import Messages
from vpp.report.axes import text_px
from vpp.report.chart import Band, Bars, ChartSpec, Line, Markers, Reference, Series, Shade
from vpp.report.ink import FONT_PX, box, dash, segment, text

__all__ = ["ROW_PX", "legend"]

ROW_PX = 20
_SAMPLE_PX = 28
_GAP_PX = 18.0


def legend(spec: ChartSpec, messages: Messages, *, width: int, name: str) -> tuple[list[str], int]:
    """Strokes of the legend, and its height. [px].

    Parameters
    ----------
    width : int
        Width of the picture. [px]
    name : str
        Prefix of the pattern ids of the picture.
    """
    parts: list[str] = []
    x, row = 2.0, 0
    for entry in _entries(spec):
        words = _words(entry, spec, messages)
        needs = _SAMPLE_PX + 6 + text_px(words, FONT_PX)
        if x > 2.0 and x + needs > width - 2:
            x, row = 2.0, row + 1
        y = row * ROW_PX + 10.0
        parts += [_sample(entry, x, y, name=name), text(x + _SAMPLE_PX + 6, y + 4, words, kind="key")]
        x += needs + _GAP_PX
    return parts, (row + 1) * ROW_PX if parts else 0


def _entries(spec: ChartSpec) -> list[Series | Reference | Shade]:
    shades = {shade.label: shade for shade in reversed(spec.shades)}
    return [*spec.series, *spec.references, *reversed(shades.values())]


def _words(entry: Series | Reference | Shade, spec: ChartSpec, messages: Messages) -> str:
    if isinstance(entry, Reference):
        return f"{entry.label} {messages.quantity(entry.value, spec.unit)}"
    return entry.label


def _sample(entry: Series | Reference | Shade, x: float, y: float, *, name: str) -> str:
    square = box(x + 3, y - 6, _SAMPLE_PX - 6, 12)
    across = segment((x, y), (x + _SAMPLE_PX, y))
    match entry:
        case Line():
            return f'<line class="line t{entry.tone}"{dash(entry.dash)} {across}/>'
        case Reference():
            return f'<line class="line ref t{entry.tone}"{dash(entry.dash)} {across}/>'
        case Band():
            return f'<rect class="band t{entry.tone}" {square}/>'
        case Bars():
            over = f'<rect fill="url(#{name}-{entry.pattern})" {square}/>' if entry.pattern != "plain" else ""
            return f'<rect class="bar t{entry.tone}" {square}/>{over}'
        case Markers():
            return mark(entry, x + _SAMPLE_PX / 2, y)
        case Shade():
            return f'<rect class="edge" fill="url(#{name}-shade)" {square}/>'
        case _:
            assert_never(entry)


def mark(markers: Markers, x: float, y: float, title: str = "") -> str:
    """One marker, with words that appear when the pointer rests on it."""
    shape = (
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4"/>'
        if markers.shape == "circle"
        else f'<path d="M{x:.1f} {y:.1f}m-4 -4l8 8m0 -8l-8 8"/>'
    )
    return f'<g class="mark t{markers.tone}">{title}{shape}</g>'
