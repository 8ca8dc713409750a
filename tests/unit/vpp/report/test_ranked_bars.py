"""Ranked bars: what is drawn stands in the table, and zero is where it belongs."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from vpp.i18n import Messages
from vpp.report.ranked import Ranked, RankedRow, ranked_svg, ranked_table
from vpp.report.svg import NARROW_PX, WIDE_PX

CHART = Ranked(
    id="feeders",
    title="Feeders <fullest first>",
    description="What they carried.",
    unit="kW",
    series=("alone", "together"),
    rows=(
        RankedRow(label="feeder-001", values=(300.0, 250.0), mark=320.0),
        RankedRow(label="feeder-000", values=(-50.0, 0.0)),
    ),
    mark="limit",
)


def bars(svg: str) -> list[tuple[float, float]]:
    """Left edge and width of every bar below the legend."""
    found = re.findall(r'<rect class="bar t\d" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', svg)
    return [(float(x), float(width)) for x, y, width in found if float(y) > 20.0]


def test_every_value_is_in_the_table_with_its_unit() -> None:
    table = ranked_table(CHART, Messages("en"))
    assert table.header == ("", "alone [kW]", "together [kW]", "limit [kW]")
    assert table.rows[0] == ("feeder-001", "300", "250", "320")
    assert table.rows[1][3] == Messages("en").text("chart.missing")


def test_bars_are_as_long_as_their_values_and_begin_at_zero() -> None:
    (alone, wide), (together, narrower), (below, short), _ = bars(
        ranked_svg(CHART, Messages("en"), width=WIDE_PX)
    )
    assert alone == together
    assert abs(wide / narrower - 300.0 / 250.0) < 0.01
    assert abs(below + short - alone) < 0.2  # what is below zero ends where the others begin
    assert abs(short / wide - 50.0 / 300.0) < 0.01


def test_the_picture_is_well_formed_says_what_it_shows_and_fits_a_phone() -> None:
    for width in (WIDE_PX, NARROW_PX):
        root = ET.fromstring(ranked_svg(CHART, Messages("ja"), width=width))
        assert root.attrib["width"] == str(width)
        words = [node.text for node in root.iter() if node.text]
        assert "Feeders <fullest first>" in words
        assert {"alone", "together", "limit"} <= set(words)
    assert ranked_svg(CHART, Messages("ja"), width=WIDE_PX) == ranked_svg(
        CHART, Messages("ja"), width=WIDE_PX
    )


def test_a_chart_of_nothing_is_an_empty_frame() -> None:
    empty = Ranked(id="e", title="t", description="d", unit="kW", series=("a",), rows=())
    assert bars(ranked_svg(empty, Messages("en"), width=WIDE_PX)) == []
