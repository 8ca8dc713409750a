"""The smallest strokes of a chart: pixels, dashes, patterns, text."""

from __future__ import annotations

from typing import Final
from xml.sax.saxutils import escape

from vpp.report.chart import Dash

__all__ = ["FONT_PX", "box", "dash", "patterns", "px", "segment", "text"]

FONT_PX: Final = 12
_DASHES: Final[dict[Dash, str]] = {
    "solid": "",
    "dashed": "7 3",
    "dotted": "2 3",
    "dashdot": "9 3 2 3",
    "long": "14 5",
}


def px(value: float) -> str:
    """A coordinate with at most one digit, so that the text is short and always the same."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")


def dash(kind: Dash) -> str:
    """Attribute of a dash, with its leading space; nothing for a solid line."""
    return f' stroke-dasharray="{_DASHES[kind]}"' if _DASHES[kind] else ""


def box(left: float, top: float, width: float, height: float) -> str:
    """Attributes of a rectangle."""
    return f'x="{px(left)}" y="{px(top)}" width="{px(width)}" height="{px(height)}"'


def segment(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Attributes of a straight line."""
    return f'x1="{px(start[0])}" y1="{px(start[1])}" x2="{px(end[0])}" y2="{px(end[1])}"'


def text(x: float, y: float, words: str, *, anchor: str = "start", kind: str = "tick") -> str:
    """A line of text; ``anchor`` is start, middle or end, ``kind`` its class."""
    return f'<text class="{kind}" x="{px(x)}" y="{px(y)}" text-anchor="{anchor}">{escape(words)}</text>'


def patterns(name: str) -> str:
    """Definitions of the fill patterns of one picture; ``name`` keeps their ids unique on a page."""
    return (
        "<defs>"
        f'<pattern id="{name}-hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><path class="ink" d="M0 0V6"/></pattern>'
        f'<pattern id="{name}-dots" width="5" height="5" patternUnits="userSpaceOnUse">'
        '<circle class="dot" cx="2.5" cy="2.5" r="1"/></pattern>'
        f'<pattern id="{name}-shade" width="7" height="7" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(-45)"><rect class="wash" width="7" height="7"/>'
        '<path class="rain" d="M0 0V7"/></pattern>'
        "</defs>"
    )
