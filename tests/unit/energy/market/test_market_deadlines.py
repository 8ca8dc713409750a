"""Plan windows: next-day until noon, nothing until 17:00, then same-day slot by slot (RULES-JP T05)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest

from energy.core.slots import JST, gate_closure, parse_jst
from energy.market.deadlines import PlanWindow, submission

DAY = date(2026, 11, 22)


def at(text: str) -> datetime:
    return parse_jst(text)


@pytest.mark.parametrize(
    ("now", "window", "open_count"),
    [
        ("2026-11-01 09:00", PlanWindow.NEXT_DAY, 48),
        ("2026-11-21 11:59", PlanWindow.NEXT_DAY, 48),
        ("2026-11-21 12:00", PlanWindow.CLOSED, 0),
        ("2026-11-21 12:01", PlanWindow.CLOSED, 0),
        ("2026-11-21 16:59", PlanWindow.CLOSED, 0),
        ("2026-11-21 17:00", PlanWindow.SAME_DAY, 48),
        ("2026-11-21 22:59", PlanWindow.SAME_DAY, 48),
        ("2026-11-21 23:00", PlanWindow.SAME_DAY, 47),
        ("2026-11-22 13:01", PlanWindow.SAME_DAY, 19),
        ("2026-11-22 22:29", PlanWindow.SAME_DAY, 1),
        ("2026-11-22 22:30", PlanWindow.OVER, 0),
        ("2026-12-01 00:00", PlanWindow.OVER, 0),
    ],
)
def test_window_and_open_slots_follow_the_clock(now: str, window: PlanWindow, open_count: int) -> None:
    state = submission(DAY, at(now))
    assert state.window is window
    assert len(state.open_slots) == open_count


def test_at_1301_slots_1_to_29_are_frozen_and_slot_30_closes_at_1330() -> None:
    state = submission(DAY, at("2026-11-22 13:01"))
    assert [slot.koma for slot in state.frozen_slots] == list(range(1, 30))
    assert state.open_slots[0].koma == 30
    assert state.changes_at == at("2026-11-22 13:30") == gate_closure(state.open_slots[0])


def test_open_and_frozen_slots_together_are_the_day_once_same_day_plans_are_taken() -> None:
    for minutes in range(0, 32 * 60, 7):
        state = submission(DAY, at("2026-11-21 17:00") + timedelta(minutes=minutes))
        assert [slot.koma for slot in (*state.frozen_slots, *state.open_slots)] == list(range(1, 49))


def test_own_deadline_lies_five_minutes_before_noon_and_there_is_none_while_closed() -> None:
    assert submission(DAY, at("2026-11-21 09:00")).finish_by == at("2026-11-21 11:55")
    closed = submission(DAY, at("2026-11-21 12:30"))
    assert closed.finish_by is None
    assert closed.changes_at == at("2026-11-21 17:00")
    over = submission(DAY, at("2026-11-23 00:00"))
    assert (over.changes_at, over.finish_by) == (None, None)


def test_each_change_really_changes_something() -> None:
    now, seen = at("2026-11-20 00:00"), 0
    state = submission(DAY, now)
    while state.changes_at is not None:
        later = submission(DAY, state.changes_at)
        before = submission(DAY, state.changes_at - timedelta(microseconds=1))
        assert (before.window, before.open_slots) == (state.window, state.open_slots)
        assert (later.window, later.open_slots) != (state.window, state.open_slots)
        state, seen = later, seen + 1
    assert seen == 50  # noon, 17:00 and 48 gate closures


def test_an_instant_without_a_time_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="naive"):
        submission(DAY, datetime(2026, 11, 21, 11, 0, tzinfo=JST).replace(tzinfo=None))
