"""What a feature may look at: whole days that are over, the morning of the issue day, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from energy.core.errors import ForecastError
from energy.core.series import FloatArray
from forecasting.past import Past, filled_from_past, first_whole_day
from tests.unit.forecasting.small_panels import kinds

NAN = float("nan")


def numbered(days: int = 10, slots: int = 4) -> FloatArray:
    """Tens are the day, units the slot."""
    return np.asarray(10.0 * np.arange(days)[:, None] + np.arange(slots)[None])


@pytest.mark.parametrize(
    ("lead", "issue_slot", "newest"), [(1, 2, 2), (1, 4, 1), (1, 0, 2), (3, 4, 3), (3, 1, 4), (0, 2, 1)]
)
def test_newest_whole_day_is_the_last_that_is_over_at_the_issue(
    lead: int, issue_slot: int, newest: int
) -> None:
    assert first_whole_day(lead, issue_slot, 4) == newest
    past = Past(numbered(), lead, issue_slot)
    assert past.ago(newest)[9].tolist() == numbered()[9 - newest].tolist()
    with pytest.raises(ForecastError, match="looks ahead") as caught:
        past.ago(newest - 1)
    assert f"the newest whole day is {newest} back" in caught.value.where


def test_days_before_the_first_repeat_the_first() -> None:
    np.testing.assert_array_equal(Past(numbered(), 1, 2).ago(5)[2], numbered()[0])


def test_latest_is_the_morning_of_the_issue_day_and_the_afternoon_before_it() -> None:
    past = Past(numbered(), 1, 2)
    assert past.latest()[9].tolist() == [80.0, 81.0, 72.0, 73.0]
    assert past.morning()[9].tolist() == [80.0, 81.0]


def test_an_issue_at_the_end_of_a_day_knows_it_all() -> None:
    past = Past(numbered(), 1, 4)
    assert past.latest()[9].tolist() == past.morning()[9].tolist() == [80.0, 81.0, 82.0, 83.0]


def test_an_example_that_is_not_over_is_refused() -> None:
    past = Past(numbered(), 1, 2)
    rows = np.arange(10)
    np.testing.assert_array_equal(past.examples((rows - 2)[:, None])[9, 0], numbered()[7])
    with pytest.raises(ForecastError, match="example looks ahead"):
        past.examples((rows - 1)[:, None])


def test_days_that_do_not_exist_stand_for_the_first() -> None:
    found = Past(numbered(), 1, 2).examples(np.full((10, 2), -1))
    assert (found == numbered()[0]).all()


def test_past_days_are_read_at_the_same_time_on_the_wall() -> None:
    clock = np.where(np.arange(12) < 6, 0, 1)  # from day 6 on the clocks are one slot ahead
    wall = np.arange(24)[None] + clock[:, None] + 0.0 * np.arange(12)[:, None]
    past = Past(wall.astype(float), 1, 24, clock)
    # day 6 looks back at day 5, one slot later; the slot after the last known one is not read
    np.testing.assert_array_equal(past.ago(1)[6, :23], wall[6, :23])
    assert past.ago(1)[6, 23] == wall[5, 23]
    np.testing.assert_array_equal(past.ago(3)[7, :23], wall[7, :23])
    np.testing.assert_array_equal(past.ago(1)[9], wall[9])  # both days in summer: nothing moves
    np.testing.assert_array_equal(Past(wall.astype(float), 1, 24).ago(1)[6], wall[5])


def test_reading_by_the_wall_never_goes_beyond_the_issue() -> None:
    clock = np.where(np.arange(12) < 11, 0, 1)
    values = numbered(12, 24)
    values[10, 12:] = 1e9
    values[11] = 1e9
    past = Past(values, 1, 12, clock)
    assert past.latest()[11].max() < 1e9
    assert past.ago(2)[11].max() < 1e9


def test_a_short_gap_follows_the_usual_course_from_the_last_value() -> None:
    values = np.tile(np.array([10.0, 20.0, 40.0, 30.0, 10.0, 10.0]), (4, 1))
    values[3] = [15.0, NAN, NAN, 30.0, 10.0, 10.0]
    filled, usable = filled_from_past(values, kinds(4))
    assert filled[3].tolist() == [15.0, 25.0, 45.0, 30.0, 10.0, 10.0]
    assert usable.tolist() == [True, True, True, False]  # 4 of 6 readings


def test_a_long_gap_is_the_mean_of_the_last_days_of_the_same_kind() -> None:
    values = np.repeat(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 90.0, 95.0, 0.0]), 6).reshape(8, 6)  # Monday first
    values[7] = NAN
    filled, usable = filled_from_past(values, kinds(8))
    assert filled[7].tolist() == [3.5] * 6  # Tuesday to Friday; the weekend is another kind
    assert not usable[7]


def test_filling_never_looks_at_what_came_later() -> None:
    rng = np.random.default_rng(0)
    values = rng.uniform(1.0, 9.0, (30, 6))
    values[rng.random(values.shape) < 0.3] = NAN
    later = values.copy()
    later[20:] = 1e6
    clean, dirty = filled_from_past(values, kinds(30))[0], filled_from_past(later, kinds(30))[0]
    np.testing.assert_array_equal(clean[:20], dirty[:20])
    assert not np.isnan(clean).any()


def test_a_panel_without_any_value_is_filled_with_zeros_and_has_no_examples() -> None:
    filled, usable = filled_from_past(np.full((3, 4), NAN), kinds(3))
    assert not filled.any()
    assert not usable.any()
