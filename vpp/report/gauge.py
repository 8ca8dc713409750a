"""The picture of the demand monitor: thirty minutes from left to right, demand from below, the target above.

It is the picture of the panels that factories have: the energy used since the half hour began climbs as
demand, dashed goes on what it comes to if nothing changes; the target is a line across.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from xml.sax.saxutils import escape

from dispatch.guard import WINDOW_MIN
from vpp.i18n import Messages
from vpp.report.axes import value_ticks
from vpp.report.ink import box, patterns, px, segment, text
from vpp.views.monitor import DemandNow, Level

__all__ = ["gauge_svg"]

_WIDTH: Final = 520
_HEIGHT: Final = 250
_LEFT: Final = 44.0
_RIGHT: Final = 452.0
_TOP: Final = 18.0
_BOTTOM: Final = 222.0
_Place = Callable[[float], float]


def gauge_svg(told: DemandNow, messages: Messages, *, name: str = "gauge", says: str = "") -> str:
    """SVG text of the monitor; ``says`` is its description."""
    highest = max(
        told.target_kw * 1.25, told.projected_kw or 0.0, *(mark.demand_kw for mark in told.marks), 1.0
    )
    ticks = value_ticks(0.0, highest, count=4)

    def x(minute: float) -> float:
        return _LEFT + minute / WINDOW_MIN * (_RIGHT - _LEFT)

    def y(kw: float) -> float:
        return _BOTTOM - min(1.0, kw / ticks[-1]) * (_BOTTOM - _TOP)

    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart gauge" role="img" '
        f'viewBox="0 0 {_WIDTH} {_HEIGHT}" aria-labelledby="{name}-t {name}-d">'
    )
    parts = [
        opening,
        f'<title id="{name}-t">{escape(messages.text("factory.gauge_title"))}</title>',
        f'<desc id="{name}-d">{escape(says)}</desc>',
        patterns(name),
        f'<rect class="past" {box(x(0), _TOP, x(told.elapsed_min) - x(0), _BOTTOM - _TOP)}/>',
    ]
    for tick in ticks:
        kind = "zero" if tick == 0 else "grid"
        parts.append(f'<line class="{kind}" {segment((_LEFT, y(tick)), (_RIGHT, y(tick)))}/>')
        parts.append(text(_LEFT - 6, y(tick) + 4, messages.number(tick, 0), anchor="end"))
    for minute in (0, 10, 20, 30):
        parts.append(f'<line class="grid" {segment((x(minute), _TOP), (x(minute), _BOTTOM))}/>')
        parts.append(
            text(x(minute), _BOTTOM + 17, messages.text("factory.minute", minute=minute), anchor="middle")
        )
    parts.append(text(2, _TOP + 18, "kW"))
    parts += _target(told, messages, y(told.target_kw))
    parts += _way(told, messages, x, y, name)
    parts.append("</svg>")
    return "\n".join(parts)


def _target(told: DemandNow, messages: Messages, level: float) -> list[str]:
    words = f"{messages.text('factory.target')} {messages.number(told.target_kw, 0)}"
    return [
        f'<line class="line t5" stroke-dasharray="14 5" {segment((_LEFT, level), (_RIGHT, level))}/>',
        text(_RIGHT, level - 6, words, anchor="end", kind="side strong"),
    ]


def _way(told: DemandNow, messages: Messages, x: _Place, y: _Place, name: str) -> list[str]:
    points = [(0.0, 0.0), *((mark.minute, mark.demand_kw) for mark in told.marks)]
    silent = told.level is Level.SILENT
    path = "M" + "L".join(f"{px(x(minute))} {px(y(kw))}" for minute, kw in points)
    under = f"{path}L{px(x(points[-1][0]))} {px(_BOTTOM)}Z"
    parts = [f'<path class="under t1" d="{under}"/>', f'<path class="line way t1" d="{path}"/>']
    if silent:
        left = x(points[-1][0] if told.marks else 0.0)
        parts.append(
            f'<rect fill="url(#{name}-shade)" {box(left, _TOP, x(told.elapsed_min) - left, _BOTTOM - _TOP)}/>'
        )
        return parts
    so_far, ends = told.so_far_kw or 0.0, told.projected_kw or 0.0
    here = (x(told.elapsed_min), y(so_far))
    parts.append(
        f'<line class="line t{2 if ends > told.target_kw else 1}" stroke-dasharray="7 4" '
        f"{segment(here, (x(WINDOW_MIN), y(ends)))}/>"
    )
    parts.append(f'<line class="now" {segment((here[0], _TOP), (here[0], _BOTTOM))}/>')
    parts.append(f'<circle class="mark t1" cx="{px(here[0])}" cy="{px(here[1])}" r="5"/>')
    parts.append(text(_RIGHT + 8, y(ends) + 5, messages.number(ends, 0), kind="ends"))
    return parts
