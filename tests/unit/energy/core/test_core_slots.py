"""Slots, Japanese days and times: the rule book's cases T01 to T07."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from energy.core.slots import (
    JST,
    Slot,
    gate_closure,
    jst_midnight,
    parse_jst,
    slots_between,
    slots_of_day,
)

DAY = date(2026, 11, 22)


def test_t01_an_utc_afternoon_is_slot_1_of_the_next_japanese_day() -> None:
    slot = Slot(datetime(2026, 11, 21, 15, 0, tzinfo=UTC))
    assert (slot.local_date, slot.koma) == (DAY, 1)


@pytest.mark.parametrize(
    ("time", "koma"),
    [("00:00", 1), ("00:29:59", 1), ("00:30", 2), ("12:00", 25), ("23:30", 48), ("23:59", 48)],
)
def test_t02_an_instant_lies_in_the_slot_that_its_japanese_time_says(time: str, koma: int) -> None:
    slot = Slot.containing(parse_jst(f"2026-11-22 {time}"))
    assert (slot.local_date, slot.koma) == (DAY, koma)


def test_t02_24_00_closes_slot_48_as_an_end_and_opens_the_next_day_as_an_instant() -> None:
    stamp = parse_jst("2026-11-22 24:00")
    closed, opened = Slot.ending_at(stamp), Slot.containing(stamp)
    assert (closed.local_date, closed.koma) == (DAY, 48)
    assert (opened.local_date, opened.koma) == (date(2026, 11, 23), 1)


def test_t03_the_meter_stamp_at_midnight_of_december_closes_november() -> None:
    slot = Slot.ending_at(parse_jst("2026-12-01 00:00:00"))
    assert (slot.local_date, slot.koma) == (date(2026, 11, 30), 48)
    assert slot.start == parse_jst("2026-11-30 23:30:00")


@pytest.mark.parametrize(
    ("koma", "closes"),
    [
        (29, "2026-11-22 13:00"),
        (1, "2026-11-21 23:00"),
        (2, "2026-11-21 23:30"),
        (3, "2026-11-22 00:00"),
    ],
)
def test_t04_the_gate_of_a_slot_closes_an_hour_before_it(koma: int, closes: str) -> None:
    assert gate_closure(Slot.of(DAY, koma)) == parse_jst(closes)


def test_t06_an_event_over_midnight_touches_two_plan_dates() -> None:
    slots = slots_between(parse_jst("2026-11-22 23:00"), parse_jst("2026-11-23 01:00"))
    assert [(slot.local_date.day, slot.koma) for slot in slots] == [(22, 47), (22, 48), (23, 1), (23, 2)]


@pytest.mark.parametrize("day", [date(2027, 3, 28), date(2027, 10, 31), date(2028, 2, 29)])
def test_t07_no_japanese_day_has_46_or_50_slots(day: date) -> None:
    slots = slots_of_day(day)
    assert len(slots) == 48
    assert slots[-1].end - slots[0].start == timedelta(days=1)


def test_an_event_inside_slots_touches_all_of_them_and_an_empty_one_none() -> None:
    start = parse_jst("2026-11-22 09:10")
    assert [slot.koma for slot in slots_between(start, start + timedelta(minutes=50))] == [19, 20]
    assert [slot.koma for slot in slots_between(start, start + timedelta(minutes=51))] == [19, 20, 21]
    assert slots_between(start, start - timedelta(hours=5)) == []


def test_a_slot_is_kept_in_utc_and_prints_its_japanese_time() -> None:
    slot = Slot(datetime(2026, 11, 22, 14, 30, tzinfo=JST))
    assert slot.start.tzinfo is UTC
    assert slot.label() == "14:30-15:00"
    assert slot == Slot.of(DAY, 30)
    assert slot < slot.shifted(1) == Slot(slot.end)


@pytest.mark.parametrize("minute", [1, 15, 29])
def test_a_slot_cannot_start_between_half_hours(minute: int) -> None:
    with pytest.raises(ValueError, match="does not start a slot"):
        Slot(datetime(2026, 11, 22, 14, minute, tzinfo=UTC))
    with pytest.raises(ValueError, match="does not start a slot"):
        Slot.ending_at(datetime(2026, 11, 22, 14, minute, tzinfo=UTC))


@pytest.mark.parametrize("koma", [0, 49, 50, -1])
def test_there_is_no_slot_outside_1_to_48(koma: int) -> None:
    with pytest.raises(ValueError, match=r"not in 1\.\.48"):
        Slot.of(DAY, koma)


def test_a_time_without_a_zone_is_no_slot() -> None:
    with pytest.raises(ValueError, match="naive"):
        Slot(datetime(2026, 11, 22, 14, 0))  # noqa: DTZ001 - the case


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-22", "2026-11-21T15:00"),
        ("2026/11/22 09:00", "2026-11-22T00:00"),
        ("2026-11-22T09:00:30", "2026-11-22T00:00"),
        ("2026-11-22 09:00+00:00", "2026-11-22T09:00"),
        ("2026-12-31 24:00", "2026-12-31T15:00"),
    ],
)
def test_a_time_as_people_write_it_is_read_in_japan(text: str, utc: str) -> None:
    assert f"{parse_jst(text):%Y-%m-%dT%H:%M}" == utc


def test_what_is_no_time_is_refused() -> None:
    for text in ("", "tomorrow", "2026-11-31 00:00", "2026-11-22 25:00"):
        with pytest.raises(ValueError, match=r".+"):
            parse_jst(text)


def test_a_japanese_day_starts_at_15_00_utc_of_the_day_before() -> None:
    assert jst_midnight(DAY) == datetime(2026, 11, 21, 15, 0, tzinfo=UTC)
