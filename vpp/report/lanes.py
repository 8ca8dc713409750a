"""Lanes: rows of one page-wide time axis, each an SVG of its own that stretches without its text.

A chart (:mod:`vpp.report.chart`) shows one thing; lanes put many assets under each other on the same hours.
Places are percentages of the width, so that one drawing fits a phone and a wall; what must not be stretched
(text) stands beside the lane in the page. Classes and colours are those of the charts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

from energy.core.slots import JST
from vpp.i18n import Messages
from vpp.report.ink import patterns, px

__all__ = ["Lane", "LaneBar", "LaneLine", "axis_svg", "lane_svg"]

_WIDE: Final = 1000.0  # units of the stretched drawing
Fill = Literal["solid", "hatch", "dots", "outline", "shade", "faint"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneBar:
    """Something that lasts.

    Parameters
    ----------
    height : float
        Share of the room for bars. [-]
    asks : str
        Address of what explains it; a click fetches it where scripts run.
    """

    start: datetime
    end: datetime
    height: float
    fill: Fill
    tone: int
    says: str
    asks: str = ""
    ahead: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLine:
    """Values at the ends of equal steps, or over them; a missing one breaks the line."""

    values: tuple[float | None, ...]
    tone: int
    dashed: bool = False
    stairs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """One row.

    Parameters
    ----------
    says : str
        What is to be seen, for those who do not see it.
    low, high : float
        Values at the bottom and the top of the upper part.
    lines_px, bars_px : int
        Heights of the part with lines and of the part with bars below it. [px]
    band : tuple of (float, float) or None
        By step: where the values should be.
    labels : tuple of (float, str)
        Values with their words, at the left edge.
    points : tuple of (datetime, float)
        Single values, such as promises.
    """

    id: str
    says: str
    starts: tuple[datetime, ...]
    step: timedelta
    now: datetime
    low: float = 0.0
    high: float = 1.0
    lines_px: int = 34
    bars_px: int = 14
    bars: tuple[LaneBar, ...] = ()
    lines: tuple[LaneLine, ...] = ()
    band: tuple[tuple[float, float] | None, ...] = ()
    labels: tuple[tuple[float, str], ...] = ()
    points: tuple[tuple[datetime, float], ...] = field(default=())

    @property
    def height(self) -> int:
        """Of the drawing. [px]"""
        return self.lines_px + self.bars_px + (4 if self.lines_px and self.bars_px else 0)

    def share(self, at: datetime) -> float:
        """Place of an instant on the axis, 0 to 1."""
        whole = self.step * len(self.starts)
        return min(1.0, max(0.0, (at - self.starts[0]) / whole))

    def y(self, value: float) -> float:
        """Height of a value, from the top. [px]"""
        inside = min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))
        return 2.0 + (1.0 - inside) * (self.lines_px - 4.0)


def lane_svg(lane: Lane) -> str:
    """The row as SVG text."""
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart lane" role="img" width="100%" '
        f'height="{lane.height}" aria-label={quoteattr(lane.says)}>'
    )
    box = f'viewBox="0 0 1000 {lane.lines_px}" preserveAspectRatio="none"'
    parts = [
        opening,
        patterns(lane.id),
        *_grid(lane.starts[0], lane.starts[-1] + lane.step, lane.height),
        f'<svg width="100%" height="{lane.lines_px}" {box}>' if lane.lines_px else "",
        *_band(lane),
        *(_line(lane, line) for line in lane.lines),
        "</svg>" if lane.lines_px else "",
        *(bar for one in lane.bars for bar in _bar(lane, one)),
        *_points(lane),
        *_labels(lane),
        *_now(lane),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def axis_svg(start: datetime, end: datetime, now: datetime, messages: Messages) -> str:
    """Hours above the lanes; text keeps its size."""
    svg = '<svg xmlns="http://www.w3.org/2000/svg" class="chart lane axis" aria-hidden="true" width="100%"'
    parts = [f'{svg} height="38">']
    for at in _hours(start, end):
        local = at.astimezone(JST)
        place = _percent((at - start) / (end - start))
        shown = messages.axis_day(local.date()) if local.hour == 0 else f"{local:%H}"
        kind = "tick day" if local.hour == 0 else "tick"
        kind += " few" if local.hour % 12 else ""
        parts.append(f'<text class="{kind}" x="{place}" y="34" text-anchor="middle">{escape(shown)}</text>')
    place = _percent((now - start) / (end - start))
    parts.append(
        f'<text class="nowtext" x="{place}" y="13" text-anchor="middle">'
        f"{escape(messages.text('chart.now'))} {now.astimezone(JST):%H:%M}</text></svg>"
    )
    return "\n".join(parts)


def _percent(share: float) -> str:
    return f"{100.0 * share:.2f}".rstrip("0").rstrip(".") + "%"


def _hours(start: datetime, end: datetime) -> Iterator[datetime]:
    """Every third hour of Japan's clock inside a stretch, its ends left free for their words."""
    at = start.astimezone(JST).replace(hour=0, minute=0)
    while at < end:
        if start + timedelta(hours=1) <= at <= end - timedelta(hours=1):
            yield at
        at += timedelta(hours=3)


def _grid(start: datetime, end: datetime, height: int) -> Iterator[str]:
    for at in _hours(start, end):
        place = _percent((at - start) / (end - start))
        kind = "grid strong" if at.astimezone(JST).hour == 0 else "grid"
        yield f'<line class="{kind}" x1="{place}" x2="{place}" y1="0" y2="{height}"/>'


def _bar(lane: Lane, bar: LaneBar) -> Iterator[str]:
    left, right = lane.share(bar.start), lane.share(bar.end)
    if right <= left:
        return
    height = max(3.0, bar.height * lane.bars_px)
    place = (
        f'x="{_percent(left)}" width="{_percent(right - left)}" '
        f'y="{px(lane.height - height)}" height="{px(height)}"'
    )
    asks = (
        f' hx-get={quoteattr(bar.asks)} hx-target="#why" hx-swap="outerHTML show:#why:top"'
        if bar.asks
        else ""
    )
    later = " later" if bar.ahead else ""
    yield f'<g class="span{later}"{asks}><title>{escape(bar.says)}</title>'
    across = f'x="{_percent(left)}" width="{_percent(right - left)}"'
    yield f'<rect class="hit" {across} y="0" height="{lane.height}"/>'
    match bar.fill:
        case "shade":
            yield f'<rect fill="url(#{lane.id}-shade)" {place}/>'
        case "outline" | "faint":
            yield f'<rect class="{bar.fill} t{bar.tone}" {place}/>'
        case "solid" | "hatch" | "dots":
            yield f'<rect class="bar t{bar.tone}" {place}/>'
            if bar.fill != "solid":
                yield f'<rect fill="url(#{lane.id}-{bar.fill})" {place}/>'
    yield "</g>"


def _steps(lane: Lane) -> float:
    return _WIDE / len(lane.starts)


def _runs(values: Sequence[float | None]) -> Iterator[tuple[int, list[float]]]:
    run: list[float] = []
    for number, value in enumerate((*values, None)):
        if value is not None:
            run.append(value)
        elif run:
            yield number - len(run), run
            run = []


def _line(lane: Lane, line: LaneLine) -> str:
    width, path = _steps(lane), ""
    for first, run in _runs(line.values):
        if line.stairs:
            path += f"M{px(first * width)} {px(lane.y(run[0]))}"
            path += "".join(
                f"V{px(lane.y(value))}H{px((first + k + 1) * width)}" for k, value in enumerate(run)
            )
        else:
            points = [f"{px((first + k + 1) * width)} {px(lane.y(value))}" for k, value in enumerate(run)]
            path += f"M{points[0]}" + ("".join(f"L{point}" for point in points[1:]) or "h2")
    dashes = ' stroke-dasharray="5 3"' if line.dashed else ""
    return f'<path class="line still t{line.tone}"{dashes} d="{path}"/>' if path else ""


def _labels(lane: Lane) -> Iterator[str]:
    for value, words in lane.labels:
        yield f'<text class="side" x="3" y="{px(lane.y(value) + 14)}">{escape(words)}</text>'


def _band(lane: Lane) -> Iterator[str]:
    width, first = _steps(lane), 0
    for number in range(1, len(lane.band) + 1):
        if number == len(lane.band) or lane.band[number] != lane.band[first]:
            held = lane.band[first]
            if held is not None:
                top, bottom = lane.y(held[1]), lane.y(held[0])
                yield (
                    f'<rect class="room" x="{px(first * width)}" width="{px((number - first) * width)}" '
                    f'y="{px(top)}" height="{px(bottom - top)}"/>'
                )
            first = number


def _points(lane: Lane) -> Iterator[str]:
    for at, value in lane.points:
        yield f'<circle class="mark t5" cx="{_percent(lane.share(at))}" cy="{px(lane.y(value))}" r="3.5"/>'


def _now(lane: Lane) -> Iterator[str]:
    place = _percent(lane.share(lane.now))
    yield f'<line class="now" x1="{place}" x2="{place}" y1="0" y2="{lane.height}"/>'
