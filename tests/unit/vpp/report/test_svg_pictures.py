"""Pictures: the same text for the same values, readable without colour, without script, by a screen reader.

Golden files are written anew with ``VPP_TEST_UPDATE_GOLDEN=1``; look at the difference before you commit it.
"""

from __future__ import annotations

import os
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.unit.vpp.report.synthetic import synthetic_document
from vpp.i18n import LANGUAGES, Messages
from vpp.report import charts
from vpp.report.chart import Bars, ChartSpec, Line
from vpp.report.figures import compare, hardest_day
from vpp.report.svg import NARROW_PX, WIDE_PX, chart_css, render_svg

GOLDEN = Path(__file__).parents[3] / "golden" / "report"
SVG = "{http://www.w3.org/2000/svg}"
JA = Messages("ja")


def every_chart(messages: Messages) -> list[ChartSpec]:
    document = synthetic_document()
    comparison = compare(document)
    found = [charts.demand_chart(document, comparison, messages)]
    found += charts.day_charts(document, comparison, messages, hardest_day(comparison))
    found += charts.car_charts(document, comparison, messages)
    found += charts.room_charts(document, comparison, messages)
    coins = charts.coin_chart(comparison, messages)
    return [*found, coins] if coins else found


def check_golden(name: str, text: str) -> None:
    path = GOLDEN / name
    if os.environ.get("VPP_TEST_UPDATE_GOLDEN") == "1":
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} changed; see the top of this file"


@pytest.mark.parametrize(
    "name", ["demand", "moved", "forecast", "car-ev-commuter", "room-zone-office", "coins"]
)
def test_pictures_are_the_golden_ones(name: str) -> None:
    spec = next(spec for spec in every_chart(JA) if spec.id == name)
    check_golden(f"{name}.ja.svg", render_svg(spec, JA, standalone=True) + "\n")


def test_a_phone_gets_the_golden_narrow_picture() -> None:
    english = Messages("en")
    spec = next(spec for spec in every_chart(english) if spec.id == "moved")
    check_golden("moved.en.narrow.svg", render_svg(spec, english, width=NARROW_PX, standalone=True) + "\n")


@pytest.mark.parametrize("lang", LANGUAGES)
def test_every_picture_has_a_title_a_description_and_no_script(lang: str) -> None:
    for spec in every_chart(Messages(lang)):  # type: ignore[arg-type]
        for width in (WIDE_PX, NARROW_PX):
            root = ET.fromstring(render_svg(spec, Messages(lang), width=width))  # type: ignore[arg-type]
            title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
            assert title is not None
            assert desc is not None
            assert (title.text, desc.text) == (spec.title, spec.description)
            assert root.get("role") == "img"
            assert root.get("aria-labelledby") == f"{title.get('id')} {desc.get('id')}"
            assert not [
                node for node in root.iter() if node.tag.endswith(("script", "style", "foreignObject"))
            ]


def test_every_stroke_stays_inside_the_picture() -> None:
    for spec in every_chart(JA):
        for width in (WIDE_PX, NARROW_PX):
            root = ET.fromstring(render_svg(spec, JA, width=width))
            height = float(root.get("height", "0"))
            for node in root.iter():
                for name, limit in (("x", width), ("x1", width), ("x2", width), ("cx", width)):
                    assert 0 <= float(node.get(name, "0")) <= limit
                for name in ("y", "y1", "y2", "cy"):
                    assert 0 <= float(node.get(name, "0")) <= height


def test_series_of_one_picture_differ_without_their_colour() -> None:
    """Each line has its own dash, or at least no other of its dash and colour; each bar its own pattern."""
    for spec in every_chart(JA):
        lines = [(line.dash, line.tone) for line in spec.series if isinstance(line, Line)]
        bars = [bar.pattern for bar in spec.series if isinstance(bar, Bars)]
        assert len(set(lines)) == len(lines), spec.id
        assert len(set(bars)) == len(bars), spec.id


def test_ids_are_unique_when_all_pictures_share_a_page() -> None:
    ids = [
        node.get("id")
        for spec in every_chart(JA)
        for width in (WIDE_PX, NARROW_PX)
        for node in ET.fromstring(render_svg(spec, JA, width=width)).iter()
        if node.get("id")
    ]
    assert len(ids) == len(set(ids))


def test_the_now_line_is_drawn_only_inside_the_chart() -> None:
    spec = every_chart(JA)[0]
    inside = render_svg(replace(spec, now=spec.starts[5]), JA)
    outside = render_svg(replace(spec, now=spec.end + timedelta(hours=1)), JA)
    assert 'class="now"' in inside
    assert "現在" in inside
    assert 'class="now"' not in outside


def test_a_gap_breaks_the_line_and_a_flat_stretch_is_one_stroke() -> None:
    spec = every_chart(JA)[1]
    values = (5.0, 5.0, 5.0, None, None, 7.0) + (None,) * (len(spec.starts) - 6)
    picture = ET.fromstring(render_svg(replace(spec, series=(Line(label="a", values=values),)), JA))
    path = next(
        node.get("d", "") for node in picture.iter(f"{SVG}path") if node.get("class", "").startswith("line")
    )
    assert path.count("M") == 2
    assert path.count("H") == 2
    assert "V" not in path


def test_names_cannot_break_out_of_the_picture() -> None:
    spec = replace(every_chart(JA)[0], title="<script>&", description="</svg>")
    root = ET.fromstring(render_svg(spec, JA))
    title = root.find(f"{SVG}title")
    assert title is not None
    assert title.text == "<script>&"


def _channel(value: int) -> float:
    share = value / 255
    return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4


def _contrast(one: str, other: str) -> float:
    """WCAG 2.2 contrast ratio of two colours."""
    lights = sorted(
        0.2126 * _channel(int(text[1:3], 16))
        + 0.7152 * _channel(int(text[3:5], 16))
        + 0.0722 * _channel(int(text[5:7], 16))
        for text in (one, other)
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _themes() -> list[dict[str, str]]:
    """Colours of the three blocks of the style sheet: light, dark, print."""
    found: list[dict[str, str]] = []
    for block in chart_css().split("{"):
        pairs = (part.split(":") for part in block.split("}")[0].split(";") if part.strip().startswith("--"))
        colours = {name.strip(): value.strip() for name, value in pairs if value.strip().startswith("#")}
        if "--paper" in colours:
            found.append(colours)
    return found


def test_lines_and_words_keep_the_contrast_that_wcag_asks_for() -> None:
    themes = _themes()
    assert len(themes) == 3
    for colours in themes:
        for tone in range(1, 6):
            assert _contrast(colours[f"--t{tone}"], colours["--paper"]) >= 3.0, (tone, colours)
        for words in ("--ink", "--soft"):
            assert _contrast(colours[words], colours["--paper"]) >= 4.5
