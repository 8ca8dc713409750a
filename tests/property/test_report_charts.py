"""Any values make a picture: well-formed, finite, inside its frame, with a table of the same size."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from vpp.i18n import Messages
from vpp.report.axes import text_px, value_ticks
from vpp.report.chart import (
    Band,
    Bars,
    ChartSpec,
    Line,
    Marker,
    Markers,
    Reference,
    Series,
    chart_csv,
    chart_table,
)
from vpp.report.svg import render_svg

MESSAGES = Messages("ja")
START = datetime(2027, 1, 17, 15, tzinfo=UTC)
STEP = timedelta(minutes=30)
VALUES = st.one_of(st.none(), st.floats(-1e6, 1e6), st.just(float("nan")))
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Cn")), max_size=20)


@st.composite
def specs(draw: st.DrawFn) -> ChartSpec:
    count = draw(st.integers(1, 120))
    column = st.lists(VALUES, min_size=count, max_size=count).map(tuple)
    band = st.builds(Band, label=WORDS, low=column, high=column)
    line = st.builds(Line, label=WORDS, values=column, shape=st.sampled_from(["step", "line"]))
    bars = st.builds(Bars, label=WORDS, values=column, pattern=st.sampled_from(["plain", "hatch", "dots"]))
    at = st.integers(0, count).map(lambda number: START + number * STEP)
    point = st.builds(Marker, at=at, value=st.floats(-1e6, 1e6), text=WORDS)
    marks = st.builds(Markers, label=WORDS, points=st.lists(point, max_size=3).map(tuple))
    series: st.SearchStrategy[Series] = st.one_of(band, line, bars, marks)
    return ChartSpec(
        id="any",
        title=draw(WORDS),
        description=draw(WORDS),
        starts=tuple(START + number * STEP for number in range(count)),
        unit="kW",
        series=tuple(draw(st.lists(series, max_size=4))),
        references=tuple(
            draw(st.lists(st.builds(Reference, label=WORDS, value=st.floats(-1e6, 1e6)), max_size=2))
        ),
        now=draw(st.one_of(st.none(), at)),
        lower=draw(st.one_of(st.none(), st.just(0.0))),
        signed=draw(st.sampled_from([None, ("充電", "放電")])),
    )


@settings(max_examples=60)
@given(spec=specs(), width=st.sampled_from([350, 920]))
def test_any_values_make_a_finite_picture_inside_its_frame(spec: ChartSpec, width: int) -> None:
    picture = render_svg(spec, MESSAGES, width=width)
    root = ET.fromstring(picture)
    height = float(root.get("height", "0"))
    for node in root.iter():
        numbers = [
            node.get(name) for name in ("x", "y", "width", "height", "x1", "x2", "y1", "y2", "cx", "cy")
        ]
        path = node.get("d", "")
        for text in [number for number in numbers if number] + re.findall(r"-?[\d.]+", path):
            assert -10 <= float(text) <= max(width, height) + 10
        assert re.fullmatch(r"[MLHVZmlhv0-9. -]*", path)
    assert picture == render_svg(spec, MESSAGES, width=width)


@settings(max_examples=60)
@given(spec=specs())
def test_table_and_csv_have_one_row_per_slot(spec: ChartSpec) -> None:
    table = chart_table(spec, MESSAGES)
    assert len(table.rows) == len(spec.starts)
    assert {len(row) for row in table.rows} == {len(table.header)}
    assert chart_csv(spec, MESSAGES).count("+09:00") >= len(spec.starts)


@given(low=st.floats(-1e6, 1e6), span=st.floats(0.0, 1e6))
def test_ticks_cover_what_they_are_asked_for(low: float, span: float) -> None:
    ticks = value_ticks(low, low + span)
    assert 2 <= len(ticks) <= 12
    assert list(ticks) == sorted(set(ticks))
    assert ticks[0] <= low + 1e-6 * max(1.0, abs(low))
    assert ticks[-1] >= low + span - 1e-6 * max(1.0, abs(low + span))


@given(first=WORDS, second=WORDS)
def test_text_is_never_narrower_with_more_of_it(first: str, second: str) -> None:
    assert text_px(first + second, 12) >= text_px(first, 12)
