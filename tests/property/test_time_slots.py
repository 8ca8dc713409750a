"""Slots, dates and plan windows over arbitrary instants."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.slots import (
    JST,
    SLOT_LENGTH,
    Slot,
    gate_closure,
    jst_midnight,
    parse_jst,
    slots_between,
    slots_of_day,
)
from energy.market.deadlines import PlanWindow, submission
from vpp.ingest.times import WallClock, parse_stamp

instants = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2060, 1, 1)).map(  # noqa: DTZ001
    lambda naive: naive.replace(tzinfo=UTC)
)
days = st.dates(min_value=date(2017, 1, 1), max_value=date(2060, 1, 1))
fixed = settings(derandomize=True, deadline=None, max_examples=200)


@fixed
@given(instants)
def test_every_instant_lies_in_exactly_one_slot(instant: datetime) -> None:
    slot = Slot.containing(instant)
    assert slot.start <= instant < slot.end
    assert slot.end - slot.start == SLOT_LENGTH
    assert Slot.ending_at(slot.end) == slot


@fixed
@given(instants)
def test_date_and_number_in_japan_name_the_slot(instant: datetime) -> None:
    slot = Slot.containing(instant)
    assert Slot.of(slot.local_date, slot.koma) == slot
    local = instant.astimezone(JST)
    assert slot.local_date == local.date()
    assert slot.koma == 1 + (local.hour * 60 + local.minute) // 30


@fixed
@given(days)
def test_a_japanese_day_has_48_slots_that_fill_it_whatever_the_date(day: date) -> None:
    slots = slots_of_day(day)
    assert [slot.koma for slot in slots] == list(range(1, 49))
    assert slots[0].start == jst_midnight(day)
    assert slots[-1].end == jst_midnight(day + timedelta(days=1))
    assert all(slot.local_date == day for slot in slots)


@fixed
@given(instants, st.integers(min_value=0, max_value=60 * 24 * 3))
def test_slots_between_cover_the_stretch_without_overlap(start: datetime, minutes: int) -> None:
    end = start + timedelta(minutes=minutes)
    slots = slots_between(start, end)
    assert all(later.start == earlier.end for earlier, later in pairwise(slots))
    if minutes:
        assert slots[0].start <= start < slots[0].end
        assert slots[-1].start < end <= slots[-1].end


@fixed
@given(instants)
def test_a_japanese_time_in_a_file_means_the_same_instant_to_both_readers(instant: datetime) -> None:
    whole = instant.replace(microsecond=0)
    text = f"{whole.astimezone(JST):%Y-%m-%d %H:%M:%S}"
    assert parse_jst(text) == whole
    assert WallClock(JST).instant("time", parse_stamp("time", text)) == whole


@fixed
@given(days, st.integers(min_value=-3 * 1440, max_value=2 * 1440))
def test_a_slot_is_open_exactly_until_its_gate_closure_once_same_day_plans_are_taken(
    day: date, minutes: int
) -> None:
    now = jst_midnight(day) + timedelta(minutes=minutes)
    state = submission(day, now)
    if state.window in (PlanWindow.SAME_DAY, PlanWindow.OVER):
        assert list(state.open_slots) == [slot for slot in slots_of_day(day) if now < gate_closure(slot)]
    elif state.window is PlanWindow.NEXT_DAY:
        assert len(state.open_slots) == 48
        assert now < jst_midnight(day) - timedelta(hours=12)
    else:
        assert state.open_slots == ()
    assert state.changes_at is None or state.changes_at > now
