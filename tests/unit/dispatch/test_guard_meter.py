"""The meter's clock and window from stamps and readings as they come: late, twice, out of order, never."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch.guard_meter import MeterClock, WindowMeter

START = datetime(2026, 8, 3, 5, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


def test_a_minute_of_skew_would_move_three_percent_of_a_window_and_is_found() -> None:
    # RULES-JP 2.3: 1 of 30 minutes; the meter shows whole minutes and is 61 s ahead of us
    clock = MeterClock(resolution=MINUTE)
    for k in range(0, 600, 7):
        ours = START + k * SECOND
        shown = (ours + 61 * SECOND).replace(second=0)
        clock.observe(shown, sent=ours, received=ours + SECOND)
    assert clock.ahead == pytest.approx(61 * SECOND, abs=2 * SECOND)
    assert clock.doubt is not None
    assert clock.doubt < 3 * SECOND
    assert clock.meter_time(START) - START == clock.ahead


@given(
    ahead_s=st.floats(-900, 900),
    delays=st.lists(st.tuples(st.floats(0, 5), st.floats(0, 60)), min_size=1, max_size=40),
)
def test_the_truth_stays_between_the_bounds_however_slow_the_line(
    ahead_s: float, delays: list[tuple[float, float]]
) -> None:
    clock, ours = MeterClock(), START
    for there_s, back_s in delays:
        stamp = (ours + timedelta(seconds=there_s + ahead_s)).replace(microsecond=0)
        clock.observe(stamp, sent=ours, received=ours + timedelta(seconds=there_s + back_s))
        ours += timedelta(seconds=there_s + back_s + 10)
    assert clock.doubt is not None
    assert abs(clock.ahead - timedelta(seconds=ahead_s)) <= clock.doubt + timedelta(milliseconds=1)
    assert clock.steps_seen == 0


def test_a_meter_whose_clock_was_set_is_believed_again() -> None:
    clock = MeterClock()
    clock.observe(START, sent=START, received=START + SECOND)
    later = START + timedelta(hours=1)
    clock.observe(later + 90 * SECOND, sent=later, received=later + SECOND)
    assert clock.steps_seen == 1
    assert clock.ahead == pytest.approx(90 * SECOND, abs=2 * SECOND)


def test_an_answer_before_the_question_is_ignored_and_no_stamp_means_no_difference() -> None:
    clock = MeterClock()
    clock.observe(START, sent=START, received=START - SECOND)
    assert clock.doubt is None
    assert clock.ahead == timedelta(0)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_the_window_is_counted_from_its_start_even_if_no_reading_fell_on_it() -> None:
    meter = WindowMeter()
    meter.observe(at(-1), 100.0, 120.0)
    meter.observe(at(1), 104.0, 120.0)  # 2 kWh a minute: 102 at the start
    seen = meter.read(at(1))
    assert seen is not None
    assert (seen.elapsed_min, seen.imported_kwh) == pytest.approx((1.0, 2.0))


def test_between_readings_the_energy_goes_on_with_the_last_power() -> None:
    meter = WindowMeter()
    meter.observe(at(0), 100.0, 120.0)
    meter.observe(at(10), 120.0, 180.0)
    seen = meter.read(at(12))
    assert seen is not None
    assert seen.imported_kwh == pytest.approx(20.0 + 180.0 * 2 / 60)
    assert seen.age_s == pytest.approx(120.0)


def test_the_first_reading_after_a_restart_in_a_window_is_reckoned_back() -> None:
    meter = WindowMeter()
    meter.observe(at(6), 500.0, 200.0)
    seen = meter.read(at(6))
    assert seen is not None
    assert seen.imported_kwh == pytest.approx(20.0)


def test_readings_may_come_in_any_order_and_twice() -> None:
    readings = [(at(k), 100.0 + 2.0 * k, 120.0) for k in range(-3, 9)]
    orderly, messy = WindowMeter(), WindowMeter()
    for one in readings:
        orderly.observe(*one)
    for one in [*reversed(readings), *readings[::2]]:
        messy.observe(*one)
    assert messy.read(at(9)) == orderly.read(at(9))


def test_an_exchanged_meter_starts_anew_and_old_readings_are_nothing() -> None:
    meter = WindowMeter()
    meter.observe(at(1), 9000.0, 120.0)
    meter.observe(at(3), 2.0, 120.0)
    seen = meter.read(at(3))
    assert seen is not None
    assert seen.imported_kwh == pytest.approx(6.0)  # 3 minutes at 120 kW
    assert meter.read(at(40)) is None
    assert WindowMeter().read(START) is None


def test_the_start_of_the_window_is_not_forgotten_under_a_reading_every_second() -> None:
    meter = WindowMeter()
    for second in range(1795):
        meter.observe(START + second * SECOND, 100.0 + second / 30.0, 120.0 if second < 1700 else 20.0)
    seen = meter.read(START + 1794 * SECOND)
    assert seen is not None
    assert seen.imported_kwh == pytest.approx(1794 / 30.0)
