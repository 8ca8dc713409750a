"""What a chart shows, as values: series over slots, limits, shaded times, and the table behind it.

A :class:`ChartSpec` knows nothing of pixels; :mod:`vpp.report.svg` draws it and this module tables it,
so that the picture and its table cannot disagree.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, assert_never

from energy.core.errors import AlignmentError, DataError
from energy.core.slots import JST, SLOT_LENGTH
from vpp.i18n import Messages

__all__ = [
    "Band",
    "Bars",
    "ChartSpec",
    "ChartTable",
    "Dash",
    "Line",
    "Marker",
    "Markers",
    "Pattern",
    "Reference",
    "Series",
    "Shade",
    "Tone",
    "chart_csv",
    "chart_table",
]

OptionalFloats = tuple[float | None, ...]
Tone = Literal[1, 2, 3, 4, 5]
Dash = Literal["solid", "dashed", "dotted", "dashdot", "long"]
Pattern = Literal["plain", "hatch", "dots"]
_NOTHING: Final = 0.05  # shown as 0.0, so it has no direction


def _known(values: OptionalFloats) -> OptionalFloats:
    """NaN and infinity are missing values here."""
    return tuple(value if value is not None and math.isfinite(value) else None for value in values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One value per slot.

    ``step`` holds a slot's mean over the slot; ``line`` joins states that stand at the *end* of their slots.
    Values may be missing; the line breaks there.
    """

    label: str
    values: OptionalFloats
    tone: Tone = 1
    dash: Dash = "solid"
    shape: Literal["step", "line"] = "step"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _known(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """From a low to a high value per slot: P10 to P90, or what is allowed."""

    label: str
    low: OptionalFloats
    high: OptionalFloats
    tone: Tone = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "low", _known(self.low))
        object.__setattr__(self, "high", _known(self.high))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bars:
    """One bar per slot from zero; several series stack, above and below zero separately."""

    label: str
    values: OptionalFloats
    tone: Tone = 2
    pattern: Pattern = "plain"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _known(self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """One point with a word about it."""

    at: datetime
    value: float
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Markers:
    """Single events, such as departures."""

    label: str
    points: tuple[Marker, ...]
    tone: Tone = 5
    shape: Literal["circle", "cross"] = "circle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A level across the whole chart, such as a target."""

    label: str
    value: float
    tone: Tone = 5
    dash: Dash = "long"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shade:
    """A time that is different, ``[start, end)``; shades with one label share one entry of the legend."""

    label: str
    start: datetime
    end: datetime


Series = Line | Band | Bars | Markers


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSpec:
    """A chart over time.

    Parameters
    ----------
    id : str
        Unique on a page; letters, digits and dashes.
    title, description : str
        What it shows, and what is to be seen, for those who do not see it.
    starts : tuple of datetime
        Starts of the slots, aware, one ``step`` apart.
    unit : str
        Unit of all values, as printed: ``kW``.
    now : datetime or None
        Where the present is drawn.
    lower, upper : float or None
        What the axis shows at least; None leaves it to the values.
    signed : (str, str) or None
        For values around zero: words for what is above and what is below. Numbers carry no sign then.

    Raises
    ------
    AlignmentError
        If the starts are not one step apart or a series does not have one value per slot.
    DataError
        If there is no slot.
    """

    id: str
    title: str
    description: str
    starts: tuple[datetime, ...]
    unit: str
    series: tuple[Series, ...]
    step: timedelta = SLOT_LENGTH
    references: tuple[Reference, ...] = ()
    shades: tuple[Shade, ...] = ()
    now: datetime | None = None
    lower: float | None = 0.0
    upper: float | None = None
    signed: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        if not self.starts:
            raise DataError(
                f"the chart {self.id!r} has no slot", hint="leave the chart out when nothing was run"
            )
        for earlier, later in zip(self.starts, self.starts[1:], strict=False):
            if later - earlier != self.step:
                raise AlignmentError(
                    f"the slots of the chart {self.id!r} are not one step apart",
                    after=earlier.isoformat(),
                    comes=later.isoformat(),
                    step=self.step,
                )
        for series in self.series:
            for values in _columns(series):
                if len(values) != len(self.starts):
                    raise AlignmentError(
                        f"{series.label!r} does not have one value per slot of the chart {self.id!r}",
                        values=len(values),
                        slots=len(self.starts),
                    )

    @property
    def end(self) -> datetime:
        """First instant after the chart."""
        return self.starts[-1] + self.step

    def extremes(self) -> tuple[float, float]:
        """Lowest and highest value to be shown; stacked bars count together."""
        found = [value for value in (self.lower, self.upper) if value is not None]
        found += [reference.value for reference in self.references]
        up, down = [0.0] * len(self.starts), [0.0] * len(self.starts)
        for series in self.series:
            match series:
                case Bars():
                    for number, value in enumerate(series.values):
                        side = up if (value or 0.0) > 0 else down
                        side[number] += value or 0.0
                case Markers():
                    found += [point.value for point in series.points]
                case Line() | Band():
                    found += [value for values in _columns(series) for value in values if value is not None]
                case _:
                    assert_never(series)
        if any(isinstance(series, Bars) for series in self.series):
            found += [max(up), min(down)]
        return (min(found), max(found)) if found else (0.0, 1.0)


@dataclass(frozen=True, slots=True)
class ChartTable:
    """The numbers of a chart as a reader sees them."""

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def _columns(series: Series) -> tuple[OptionalFloats, ...]:
    match series:
        case Line() | Bars():
            return (series.values,)
        case Band():
            return (series.low, series.high)
        case Markers():
            return ()
        case _:
            assert_never(series)


def chart_table(spec: ChartSpec, messages: Messages) -> ChartTable:
    """Table of a chart: one row per slot; every series, event and shade is in it.

    Values around zero are written as a word and a size (``放電 4.5``).
    """

    def write(value: float | None) -> str:
        if value is None:
            return messages.text("chart.missing")
        if spec.signed is None or abs(value) < _NOTHING:
            return messages.number(value)
        return f"{spec.signed[0] if value > 0 else spec.signed[1]} {messages.number(abs(value))}"

    columns = _cells(spec, messages, write)
    whole_days = spec.step >= timedelta(days=1)
    when = [
        messages.day(start.astimezone(JST).date()) if whole_days else messages.day_slot(start, spec.step)
        for start in spec.starts
    ]
    header = (messages.text("chart.day" if whole_days else "chart.slot"), *(name for name, _ in columns))
    return ChartTable(header, tuple(zip(when, *(cells for _, cells in columns), strict=True)))


def chart_csv(spec: ChartSpec, messages: Messages) -> str:
    """CSV of a chart: starts in ISO 8601 with Japan's offset, plain numbers with the sign of the chart."""
    columns = _cells(spec, messages, lambda value: "" if value is None else f"{value:.3f}")
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["start", *(name for name, _ in columns)])
    for number, start in enumerate(spec.starts):
        writer.writerow([start.astimezone(JST).isoformat(), *(cells[number] for _, cells in columns)])
    return out.getvalue()


def _cells(
    spec: ChartSpec, messages: Messages, write: Callable[[float | None], str]
) -> list[tuple[str, list[str]]]:
    """Every column of the table: its heading with the unit, and its written values."""
    columns: list[tuple[str, list[str]]] = []
    for series in spec.series:
        match series:
            case Line() | Bars():
                columns.append((f"{series.label} [{spec.unit}]", [write(value) for value in series.values]))
            case Band():
                for key, values in (("chart.low", series.low), ("chart.high", series.high)):
                    name = messages.text(key, label=series.label)
                    columns.append((f"{name} [{spec.unit}]", [write(value) for value in values]))
            case Markers():
                columns.append((series.label, _marked(spec, series)))
            case _:
                assert_never(series)
    for label in dict.fromkeys(shade.label for shade in spec.shades):
        inside = [
            any(shade.label == label and shade.start <= start < shade.end for shade in spec.shades)
            for start in spec.starts
        ]
        columns.append((label, ["●" if yes else "" for yes in inside]))
    return columns


def _marked(spec: ChartSpec, series: Markers) -> list[str]:
    """Words of the markers, each in the slot that holds it."""
    return [
        ", ".join(point.text for point in series.points if start <= point.at < start + spec.step)
        for start in spec.starts
    ]
