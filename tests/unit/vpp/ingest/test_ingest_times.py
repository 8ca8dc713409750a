"""Times and numbers of files: strict, 24:00, end stamps, nights when clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from vpp.ingest.times import RowFault, WallClock, number, parse_date, parse_stamp, whole_number

JAPAN, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")


def instant(text: str, zone: ZoneInfo = JAPAN) -> str:
    found = WallClock(zone).instant("time", parse_stamp("time", text))
    assert found.tzinfo is UTC
    return f"{found:%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-22 00:00", "2026-11-21T15:00"),
        ("2026/4/1 0:30", "2026-03-31T15:30"),
        ("2026/04/01 00:30:00", "2026-03-31T15:30"),
        ("2026-11-30T24:00", "2026-11-30T15:00"),
        ("2026-12-31 24:00:00", "2026-12-31T15:00"),
        ("2026-11-22T00:00:00Z", "2026-11-22T00:00"),
        ("2026-11-22T00:00:00.000Z", "2026-11-22T00:00"),
        ("2026-11-22T09:00:00+09:00", "2026-11-22T00:00"),
        ("2026-11-22 09:00+0900", "2026-11-22T00:00"),
        ("2026-11-21T19:30:00-04:30", "2026-11-22T00:00"),
        ("  2026-11-22 09:00 ", "2026-11-22T00:00"),
    ],
)
def test_a_time_without_offset_is_japanese_and_24_00_is_next_midnight(text: str, utc: str) -> None:
    assert instant(text) == utc


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-22",
        "2026-13-01 00:00",
        "2026-02-30 00:00",
        "2026-11-22 24:30",
        "2026-11-22 25:00",
        "2026-11-22 12:60",
        "2026-11-22 12:00:61",
        "0014-11-22 12:00",
        "22/11/2026 12:00",
        "2026-11-22 12:00 JST",
        "2026-11-22 12:00+19:00",
        "２０２６-11-22 12:00",
        "2026-11-22 12:00:00.500",
    ],
)
def test_what_is_no_time_is_at_fault(text: str) -> None:
    with pytest.raises(RowFault) as caught:
        parse_stamp("time", text)
    assert caught.value.column == "time"


def test_a_layout_of_ones_own_is_followed() -> None:
    assert parse_stamp("time", "02/01/2018 00:15", "%d/%m/%Y %H:%M") == datetime(2018, 1, 2, 0, 15)  # noqa: DTZ001
    with pytest.raises(RowFault, match="not a time like"):
        parse_stamp("time", "2018-01-02 00:15", "%d/%m/%Y %H:%M")
    with pytest.raises(RowFault, match="cannot be right"):
        parse_stamp("time", "02/01/0018 00:15", "%d/%m/%Y %H:%M")


def test_the_hour_that_comes_twice_is_told_apart_by_the_order_of_rows() -> None:
    clock = WallClock(BERLIN)
    walls = ["01:30", "02:00", "02:30", "02:00", "02:30", "03:00"]
    found = [clock.instant("time", parse_stamp("time", f"2026-10-25 {wall}")) for wall in walls]
    assert found[0] == datetime(2026, 10, 24, 23, 30, tzinfo=UTC)
    assert [after - before for before, after in pairwise(found)] == [timedelta(minutes=30)] * 5


def test_the_hour_that_does_not_come_is_at_fault() -> None:
    assert instant("2026-03-29 01:30", BERLIN) == "2026-03-29T00:30"
    assert instant("2026-03-29 03:00", BERLIN) == "2026-03-29T01:00"
    with pytest.raises(RowFault, match="clocks went forward"):
        instant("2026-03-29 02:30", BERLIN)


@pytest.mark.parametrize(
    ("text", "value"), [("40", 40.0), ("0.01", 0.01), ("-1.5e3", -1500.0), (" 7. ", 7.0), (".5", 0.5)]
)
def test_plain_numbers_are_read(text: str, value: float) -> None:
    assert number("kwh", text) == value


@pytest.mark.parametrize(
    "cell",
    ["", " ", "nan", "NaN", "inf", "-", "1,234", "1_000", "０.５", "12kWh", "0x10", "1e999", None, True, [1]],
)
def test_anything_else_is_no_number(cell: object) -> None:
    with pytest.raises(RowFault):
        number("kwh", cell)


def test_not_a_number_of_a_computed_cell_is_refused_as_well() -> None:
    assert number("kwh", 3) == 3.0
    with pytest.raises(RowFault, match="finite"):
        number("kwh", float("nan"))


@pytest.mark.parametrize("cell", ["1.0", "-1", "x", "", "１"])
def test_a_slot_number_is_a_whole_number(cell: str) -> None:
    assert whole_number("時刻コード", " 48 ") == 48
    with pytest.raises(RowFault):
        whole_number("時刻コード", cell)


def test_a_day_is_a_day() -> None:
    assert parse_date("受渡日", "2021/1/1") == date(2021, 1, 1)
    for bad in ("2021/2/29", "2021/1", "21/1/1", "2021/1/1 0:00"):
        with pytest.raises(RowFault):
            parse_date("受渡日", bad)
