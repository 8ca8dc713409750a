"""Ticks of axes and the width of text, without a font at hand."""

from __future__ import annotations

import math
import unicodedata
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from energy.core.slots import JST
from vpp.i18n import Messages

__all__ = ["TimeTick", "display_width", "text_px", "time_ticks", "value_ticks"]

_DAY = timedelta(days=1)
_FLAT = 1e-6  # values closer together than this, relatively, are one level
_NARROW_EM = 0.58  # generous for Latin letters and digits of sans-serif fonts: legends must not overlap


@dataclass(frozen=True, slots=True)
class TimeTick:
    """A mark on the time axis: a line at ``at``, and words that start or are centred at ``label_at``."""

    at: datetime
    label_at: datetime
    label: str
    strong: bool


def display_width(text: str) -> int:
    """Columns that a text takes in a terminal: two for wide East Asian characters, none for accents."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def text_px(text: str, size_px: float) -> float:
    """Estimated width of a text; wide characters are one em. [px]."""
    wide = sum(unicodedata.east_asian_width(char) in "WFA" for char in text)
    return size_px * (wide + _NARROW_EM * (len(text) - wide))


def value_ticks(low: float, high: float, *, count: int = 5) -> tuple[float, ...]:
    """Round values that cover ``[low, high]`` in about ``count`` steps of 1, 2, 2.5 or 5 (times 10^n).

    Examples
    --------
    >>> value_ticks(0.0, 93.0)
    (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
    """
    span = high - low
    if span < _FLAT * max(1.0, abs(low), abs(high)):
        low, span = low - 0.5, 1.0
    power = 10.0 ** math.floor(math.log10(span / count))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power * count >= span * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil((low + span) / step - 1e-9)
    return tuple(round(number * step, 9) + 0.0 for number in range(first, last + 1))


def time_ticks(start: datetime, end: datetime, messages: Messages, *, room: int) -> tuple[TimeTick, ...]:
    """Marks for a time axis in Japan's time.

    Parameters
    ----------
    room : int
        How many labels fit side by side.

    Notes
    -----
    Up to two days: hours, and the date at midnight if there is more than one day. Longer: days, named in
    their middle.
    """
    days = (end - start) / _DAY
    return _hours(start, end, messages, room=room) if days <= 2 else _days(start, end, messages, room=room)


def _hours(start: datetime, end: datetime, messages: Messages, *, room: int) -> tuple[TimeTick, ...]:
    span_h = (end - start) / timedelta(hours=1)
    every = next((hours for hours in (1, 2, 3, 6, 12) if span_h / hours <= room), 12)
    midnight = datetime.combine(start.astimezone(JST).date(), time(), tzinfo=JST)
    ticks = []
    for number in range(math.ceil((end - midnight) / timedelta(hours=every)) + 1):
        at = midnight + timedelta(hours=every * number)
        if start <= at <= end:
            label = "24:00" if at == end and at.hour == 0 else f"{at:%H:%M}"
            if at.hour == 0 and at != end and span_h > 24:
                label = messages.axis_day(at.date())
            ticks.append(TimeTick(at, at, label, strong=at.hour == 0))
    return tuple(ticks)


def _days(start: datetime, end: datetime, messages: Messages, *, room: int) -> tuple[TimeTick, ...]:
    first = datetime.combine(start.astimezone(JST).date(), time(), tzinfo=JST)
    count = math.ceil((end - first) / _DAY)
    every = next((n for n in (1, 2, 7, 14, 28) if count / n <= room), 28)
    ticks = []
    for number in range(0, count, every):
        at = first + number * _DAY
        shown, closes = max(at, start.astimezone(JST)), min(at + _DAY, end.astimezone(JST))
        label = messages.axis_day(at.date()) if (closes - shown) * 2 >= _DAY else ""
        ticks.append(TimeTick(shown, shown + (closes - shown) / 2, label, strong=True))
    return tuple(ticks)
