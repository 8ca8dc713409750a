"""Charts as values: what does not fit is refused, and the table says what the picture says."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import pytest

from energy.core.errors import AlignmentError, DataError
from vpp.i18n import Messages
from vpp.report.axes import display_width, time_ticks, value_ticks
from vpp.report.chart import (
    Band,
    Bars,
    ChartSpec,
    Line,
    Marker,
    Markers,
    Reference,
    Series,
    Shade,
    chart_csv,
    chart_table,
)

JA, EN = Messages("ja"), Messages("en")
MIDNIGHT = datetime(2027, 1, 17, 15, tzinfo=UTC)  # Monday 18 January in Japan
HALF = timedelta(minutes=30)


def chart(*series: Series, count: int = 3, **more: object) -> ChartSpec:
    starts = tuple(MIDNIGHT + number * HALF for number in range(count))
    return ChartSpec(id="c", title="T", description="D", starts=starts, unit="kW", series=series, **more)  # type: ignore[arg-type]


def test_a_series_of_another_length_is_refused_by_name() -> None:
    with pytest.raises(AlignmentError, match="'load' does not have one value per slot"):
        chart(Line(label="load", values=(1.0, 2.0)))


def test_slots_with_a_hole_are_refused() -> None:
    with pytest.raises(AlignmentError, match="not one step apart"):
        ChartSpec(
            id="c", title="", description="", unit="kW", series=(), starts=(MIDNIGHT, MIDNIGHT + 2 * HALF)
        )


def test_a_chart_without_slots_is_refused() -> None:
    with pytest.raises(DataError, match="no slot"):
        chart(count=0)


def test_stacked_bars_count_together_on_either_side_of_zero() -> None:
    spec = chart(
        Bars(label="a", values=(3.0, -1.0, None)),
        Bars(label="b", values=(4.0, -2.0, 1.0)),
        references=(Reference(label="limit", value=6.5),),
    )
    assert spec.extremes() == (-3.0, 7.0)


def test_what_is_not_a_number_is_missing() -> None:
    spec = chart(Line(label="a", values=(1.0, float("nan"), float("inf"))))
    assert spec.extremes() == (0.0, 1.0)
    assert [row[1] for row in chart_table(spec, EN).rows] == ["1.0", "none", "none"]


def test_the_table_names_slots_words_and_units() -> None:
    spec = chart(
        Band(label="予測", low=(1.0, 2.0, None), high=(3.0, 4.0, None)),
        Markers(label="出発", points=(Marker(at=MIDNIGHT + HALF, value=1.0, text="約束80 %"),)),
        shades=(Shade(label="ひっ迫", start=MIDNIGHT + HALF, end=MIDNIGHT + 3 * HALF),),
    )
    table = chart_table(spec, JA)
    assert table.header == ("時間帯", "予測 下限 [kW]", "予測 上限 [kW]", "出発", "ひっ迫")
    assert table.rows == (
        ("1月18日(月) 00:00-00:30", "1.0", "3.0", "", ""),
        ("1月18日(月) 00:30-01:00", "2.0", "4.0", "約束80 %", "●"),
        ("1月18日(月) 01:00-01:30", "なし", "なし", "", "●"),
    )


def test_directions_are_words_in_the_table_and_signs_in_the_csv() -> None:
    spec = chart(Bars(label="car", values=(4.5, -3.0, 0.01)), signed=("充電", "放電"))
    assert [row[1] for row in chart_table(spec, JA).rows] == ["充電 4.5", "放電 3.0", "0.0"]
    rows = list(csv.reader(io.StringIO(chart_csv(spec, JA))))
    assert rows == [
        ["start", "car [kW]"],
        ["2027-01-18T00:00:00+09:00", "4.500"],
        ["2027-01-18T00:30:00+09:00", "-3.000"],
        ["2027-01-18T01:00:00+09:00", "0.010"],
    ]


def test_labels_with_commas_survive_the_csv() -> None:
    spec = chart(Line(label='a, "b"', values=(None, 1.0, 2.0)))
    rows = list(csv.reader(io.StringIO(chart_csv(spec, EN))))
    assert rows[0] == ["start", 'a, "b" [kW]']
    assert rows[1][1] == ""


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 93.0, (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)),
        (0.0, 118.0, (0.0, 25.0, 50.0, 75.0, 100.0, 125.0)),
        (-12.0, 28.0, (-20.0, -10.0, 0.0, 10.0, 20.0, 30.0)),
        (16.6, 23.0, (16.0, 18.0, 20.0, 22.0, 24.0)),
        (0.0, 0.0, (-0.6, -0.4, -0.2, 0.0, 0.2, 0.4, 0.6)),
        (0.0, 0.004, (0.0, 0.001, 0.002, 0.003, 0.004)),
    ],
)
def test_ticks_are_round_and_cover_the_values(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert value_ticks(low, high) == pytest.approx(ticks)


def test_a_day_is_marked_by_hours_and_ends_at_24() -> None:
    marks = time_ticks(MIDNIGHT, MIDNIGHT + timedelta(days=1), JA, room=10)
    assert [mark.label for mark in marks] == [
        "00:00",
        "03:00",
        "06:00",
        "09:00",
        "12:00",
        "15:00",
        "18:00",
        "21:00",
        "24:00",
    ]


def test_two_days_are_told_apart_at_midnight() -> None:
    marks = time_ticks(MIDNIGHT, MIDNIGHT + timedelta(days=2), JA, room=4)
    assert [mark.label for mark in marks] == ["18(月)", "12:00", "19(火)", "12:00", "24:00"]


def test_a_week_is_marked_by_days_in_their_middle() -> None:
    marks = time_ticks(MIDNIGHT, MIDNIGHT + timedelta(days=7), JA, room=7)
    assert [mark.label for mark in marks] == [
        "18(月)",
        "19(火)",
        "20(水)",
        "21(木)",
        "22(金)",
        "23(土)",
        "24(日)",
    ]
    assert marks[0].label_at == MIDNIGHT + timedelta(hours=12)
    narrow = time_ticks(MIDNIGHT, MIDNIGHT + timedelta(days=7), EN, room=4)
    assert [mark.label for mark in narrow] == ["Mon 18", "Wed 20", "Fri 22", "Sun 24"]


def test_a_window_that_starts_in_the_evening_is_still_marked_at_midnight() -> None:
    start = MIDNIGHT + timedelta(hours=18)
    marks = time_ticks(start, start + timedelta(days=1), JA, room=5)
    assert [(mark.label, mark.strong) for mark in marks] == [
        ("18:00", False), ("00:00", True), ("06:00", False), ("12:00", False), ("18:00", False),
    ]  # fmt: skip


def test_wide_characters_take_two_columns_and_accents_none() -> None:
    assert display_width("車 EV") == 5
    assert display_width("e\u0301") == 1
