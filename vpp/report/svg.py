"""Draw a :class:`~vpp.report.chart.ChartSpec` as SVG: the same text for the same values, no script needed.

Colours are the eight of Okabe and Ito [1]_, chosen per theme so that each keeps 3:1 against its background;
a dash or a pattern says the same as the colour. They live in ``chart.css`` as variables, because a strict
content-security policy forbids styles inside the page; ``standalone=True`` puts the sheet into the picture.

References
----------
.. [1] M. Okabe, K. Ito, "Color Universal Design", 2002, https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import resources
from itertools import pairwise, takewhile
from typing import Final, assert_never
from xml.sax.saxutils import escape

from vpp.i18n import Messages
from vpp.report.axes import text_px, time_ticks, value_ticks
from vpp.report.chart import Band, Bars, ChartSpec, Line, Markers, Reference, Series
from vpp.report.ink import FONT_PX, box, dash, patterns, px, segment, text
from vpp.report.legend import legend, mark

__all__ = ["NARROW_PX", "WIDE_PX", "chart_css", "render_svg"]

WIDE_PX: Final = 920
NARROW_PX: Final = 350  # a phone of 390 px less its margins
_BELOW_PX: Final = 26.0  # room for the time axis
_BAR_GAP: Final = 0.08  # of a bar's slot, on either side


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the plot lies in the picture, and how values and times map to pixels."""

    spec: ChartSpec
    name: str
    left: float
    right: float
    top: float
    bottom: float
    ticks: tuple[float, ...]

    def x(self, at: datetime) -> float:
        share = (at - self.spec.starts[0]) / (self.spec.end - self.spec.starts[0])
        return self.left + min(1.0, max(0.0, share)) * (self.right - self.left)

    def y(self, value: float) -> float:
        low, high = self.ticks[0], self.ticks[-1]
        return self.bottom - (value - low) / (high - low) * (self.bottom - self.top)

    def slot_x(self, number: int) -> tuple[float, float]:
        start = self.spec.starts[number]
        return self.x(start), self.x(start + self.spec.step)


def chart_css() -> str:
    """Style sheet of the charts; include it once per page."""
    return resources.files("vpp.report").joinpath("chart.css").read_text(encoding="utf-8")


def render_svg(
    spec: ChartSpec,
    messages: Messages,
    *,
    width: int = WIDE_PX,
    plot_height: int = 230,
    standalone: bool = False,
) -> str:
    """SVG text of a chart.

    Parameters
    ----------
    width, plot_height : int
        Width of the picture; height of the plot, legend and axis come on top. [px]
    standalone : bool
        Whether the style sheet goes into the picture (for a file of its own).
    """
    name = f"{spec.id}-{width}"
    keys, keys_px = legend(spec, messages, width=width, name=name)
    ticks = value_ticks(*spec.extremes())
    left = 12.0 + max(text_px(_tick_words(spec, messages, tick), FONT_PX) for tick in ticks)
    top = keys_px + 27.0
    frame = _Frame(spec, name, left, width - 20.0, top, top + plot_height, ticks)
    height = round(frame.bottom + _BELOW_PX)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" aria-labelledby="{name}-t {name}-d">'
    )
    parts = [
        opening,
        f'<title id="{name}-t">{escape(spec.title)}</title>',
        f'<desc id="{name}-d">{escape(spec.description)}</desc>',
        f"<style>{escape(chart_css())}</style>" if standalone else "",
        patterns(name),
        *keys,
        *_shades(frame),
        *_grid(frame, messages),
        *(part for series in _back_to_front(spec) for part in _draw(frame, series)),
        *(_reference(frame, reference) for reference in spec.references),
        *_now(frame, messages),
        *_sides(frame, messages),
        "</svg>",
    ]
    return "\n".join(part for part in parts if part)


def _back_to_front(spec: ChartSpec) -> list[Series]:
    order = (Band, Bars, Line, Markers)
    return sorted(spec.series, key=lambda series: order.index(type(series)))


def _draw(frame: _Frame, series: Series) -> Iterator[str]:
    match series:
        case Band():
            yield _band(frame, series)
        case Bars():
            yield from _bars(frame, series)
        case Line():
            yield _line(frame, series)
        case Markers():
            for point in series.points:
                title = f"<title>{escape(point.text)}</title>"
                yield mark(series, frame.x(point.at), frame.y(point.value), title)
        case _:
            assert_never(series)


def _runs(values: tuple[float | None, ...]) -> Iterator[tuple[int, list[float]]]:
    """Stretches of known values, each with the number of its first slot."""
    run: list[float] = []
    for number, value in enumerate((*values, None)):
        if value is not None:
            run.append(value)
        elif run:
            yield number - len(run), run
            run = []


def _line(frame: _Frame, line: Line) -> str:
    draw = _stairs if line.shape == "step" else _polyline
    path = "".join(draw(frame, first, run) for first, run in _runs(line.values))
    return f'<path class="line t{line.tone}"{dash(line.dash)} d="{path}"/>' if path else ""


def _polyline(frame: _Frame, first: int, values: list[float]) -> str:
    """Path through states at the ends of slots; a single one is a short stroke."""
    points = [
        f"{px(frame.slot_x(number)[1])} {px(frame.y(value))}"
        for number, value in enumerate(values, start=first)
    ]
    return f"M{points[0]}" + ("".join(f"L{point}" for point in points[1:]) or "h1")


def _stairs(frame: _Frame, first: int, values: list[float]) -> str:
    """Path of means over slots; flat stretches are one stroke."""
    levels = [px(frame.y(value)) for value in values]
    path = f"M{px(frame.slot_x(first)[0])} {levels[0]}"
    for number, (level, following) in enumerate(pairwise([*levels, ""]), start=first):
        if level != following:
            path += f"H{px(frame.slot_x(number)[1])}" + (f"V{following}" if following else "")
    return path


def _band(frame: _Frame, band: Band) -> str:
    """Area between two stairs: there along the high one, back along the low one."""
    pairs = zip(band.low, band.high, strict=True)
    known = tuple(None if low is None or high is None else low for low, high in pairs)
    path = ""
    for first, lows in _runs(known):
        highs = [high for high in band.high[first : first + len(lows)] if high is not None]
        back = [
            f"V{px(frame.y(low))}H{px(frame.slot_x(number)[0])}"
            for number, low in enumerate(lows, start=first)
        ]
        path += _stairs(frame, first, highs) + "".join(reversed(back)) + "Z"
    return f'<path class="band t{band.tone}" d="{path}"/>' if path else ""


def _bars(frame: _Frame, bars: Bars) -> Iterator[str]:
    """Bars, stacked on those of the series before."""
    all_bars = (series for series in frame.spec.series if isinstance(series, Bars))
    before = list(takewhile(lambda series: series is not bars, all_bars))
    for number, value in enumerate(bars.values):
        if not value:
            continue
        others = [series.values[number] or 0.0 for series in before]
        base = sum(other for other in others if (other > 0) == (value > 0))
        left, right = frame.slot_x(number)
        top, bottom = sorted((frame.y(base), frame.y(base + value)))
        inset = _BAR_GAP * (right - left)
        place = box(left + inset, top, right - left - 2 * inset, bottom - top)
        yield f'<rect class="bar t{bars.tone}" {place}/>'
        if bars.pattern != "plain":
            yield f'<rect fill="url(#{frame.name}-{bars.pattern})" {place}/>'


def _reference(frame: _Frame, reference: Reference) -> str:
    y = frame.y(reference.value)
    ends = segment((frame.left, y), (frame.right, y))
    return f'<line class="line ref t{reference.tone}"{dash(reference.dash)} {ends}/>'


def _shades(frame: _Frame) -> Iterator[str]:
    for shade in frame.spec.shades:
        left, right = frame.x(shade.start), frame.x(shade.end)
        if right > left:
            place = box(left, frame.top, right - left, frame.bottom - frame.top)
            yield f'<rect fill="url(#{frame.name}-shade)" {place}/>'


def _now(frame: _Frame, messages: Messages) -> Iterator[str]:
    now = frame.spec.now
    if now is not None and frame.spec.starts[0] <= now <= frame.spec.end:
        x = frame.x(now)
        yield f'<line class="now" {segment((x, frame.top), (x, frame.bottom))}/>'
        yield text(x, frame.top - 5, messages.text("chart.now"), anchor="middle", kind="nowtext")


def _grid(frame: _Frame, messages: Messages) -> Iterator[str]:
    spec = frame.spec
    for tick in frame.ticks:
        y, kind = frame.y(tick), "zero" if tick == 0 else "grid"
        yield f'<line class="{kind}" {segment((frame.left, y), (frame.right, y))}/>'
        yield text(frame.left - 6, y + 4, _tick_words(spec, messages, tick), anchor="end")
    hours = spec.end - spec.starts[0] <= timedelta(days=2)
    widest = text_px("00:00" if hours else messages.axis_day(spec.starts[0].date()), FONT_PX) + 8
    room = max(2, int((frame.right - frame.left) // widest))
    for stamp in time_ticks(spec.starts[0], spec.end, messages, room=room):
        x, kind = frame.x(stamp.at), "grid strong" if stamp.strong else "grid"
        yield f'<line class="{kind}" {segment((x, frame.top), (x, frame.bottom))}/>'
        if stamp.label:
            yield text(frame.x(stamp.label_at), frame.bottom + 17, stamp.label, anchor="middle")
    yield text(2, frame.top - 13, spec.unit)


def _sides(frame: _Frame, messages: Messages) -> Iterator[str]:
    """Words for the two sides of zero."""
    if frame.spec.signed is not None:
        above, below = frame.spec.signed
        yield text(frame.left + 5, frame.top + 14, messages.text("chart.above", word=above), kind="side")
        yield text(frame.left + 5, frame.bottom - 7, messages.text("chart.below", word=below), kind="side")


def _tick_words(spec: ChartSpec, messages: Messages, tick: float) -> str:
    digits = 0 if tick == round(tick) else 1 if round(tick * 10, 6) == round(tick * 10) else 2
    return messages.number(abs(tick) if spec.signed is not None else tick, digits)
