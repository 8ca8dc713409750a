"""Features of a day: what each group says, from when it may be said, and that nothing later enters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from energy.core.series import FloatArray
from forecasting.features import (
    LOAD_GROUPS,
    Known,
    View,
    build_features,
    load_features,
    similar_days,
)
from forecasting.load_day import view_of
from forecasting.panel import Panel
from tests.unit.forecasting.small_panels import load_panel


def view(panel: Panel) -> View:
    return view_of(panel)


def group(name: str, panel: Panel) -> list[FloatArray]:
    found = [one for one in LOAD_GROUPS if one.name == name]
    assert len(found) == 1
    return found[0].build(view(panel))


def with_weather(panel: Panel) -> Panel:
    return replace(panel, measured_weather={"temp_c": panel.forecast_weather["temp_c"] + 1.0})


def test_every_group_says_from_when_it_is_known_and_none_twice() -> None:
    assert {one.known for one in LOAD_GROUPS} == set(Known)
    assert len({one.name for one in LOAD_GROUPS}) == len(LOAD_GROUPS)
    assert {one.known for one in LOAD_GROUPS if one.of_load} == {Known.WHOLE_DAYS, Known.MORNING}


def test_loads_stand_first_and_follow_the_unit_and_nothing_else_does() -> None:
    panel = with_weather(load_panel(40))
    features, loads, _ = build_features(view(panel))
    bigger, _, _ = build_features(view(replace(panel, actual=10.0 * panel.actual)))
    assert features.shape[:2] == (40, 24)
    assert loads == len(load_features(view(panel)))
    np.testing.assert_allclose(bigger[..., :loads], 10.0 * features[..., :loads])
    np.testing.assert_array_equal(bigger[..., loads:], features[..., loads:])


@pytest.mark.parametrize("lead", [0, 1, 2, 8])
@pytest.mark.parametrize("issue_slot", [0, 9, 24])
def test_a_day_seen_from_its_issue_has_the_same_features(lead: int, issue_slot: int) -> None:
    panel = with_weather(load_panel(40, lead=lead, issue_slot=issue_slot))
    whole, _, _ = build_features(view(panel))
    for row in (15, 39):
        cut, _, _ = build_features(view(panel.known_at_issue(row)))
        np.testing.assert_array_equal(cut[row], whole[row])


def test_levels_begin_with_the_newest_whole_day_and_the_same_weekday() -> None:
    panel = load_panel(40)
    newest, week = group("levels of whole days", panel)[:2]
    np.testing.assert_array_equal(newest[39], panel.actual[37])  # issued at noon of day 38
    np.testing.assert_array_equal(week[39], panel.actual[32])


def test_a_week_ago_that_was_of_the_other_type_is_replaced_by_like_days() -> None:
    panel = load_panel(40)
    rest = panel.days.rest.copy()
    rest[32] = True  # a closed working day
    panel.actual[32] = 20.0
    panel = replace(panel, days=replace(panel.days, rest=rest))
    week = group("levels of whole days", panel)[1]
    assert not rest[39]
    assert week[39, 12] > 80.0


def test_the_morning_is_compared_with_a_usual_one() -> None:
    panel = load_panel(40)
    panel.actual[38, :12] += 30.0
    last, surprise = (group("the morning of the issue day", panel)[k] for k in (3, 5))
    assert last[39, 0] == panel.actual[38, 11]
    assert surprise[39, 0] == pytest.approx(30.0, abs=6.0)
    calm = group("the morning of the issue day", load_panel(40))[5]
    assert abs(calm[39, 0]) < 6.0


def test_the_calendar_knows_the_day_and_its_neighbours() -> None:
    panel = load_panel(40)
    columns = group("day types, weekday, season, time", panel)
    today, yesterday, tomorrow = (columns[k][:, 0].astype(bool) for k in (0, 1, 2))
    np.testing.assert_array_equal(today, panel.days.rest)
    np.testing.assert_array_equal(yesterday[1:], panel.days.rest[:-1])
    np.testing.assert_array_equal(tomorrow[:-1], panel.days.rest[1:])
    weekdays = np.stack([columns[5 + k][:, 0] for k in range(7)])
    np.testing.assert_array_equal(weekdays.sum(axis=0), ~panel.days.rest)  # rest days have no weekday
    assert columns[-2][3].tolist() == pytest.approx([slot / 24 for slot in range(24)])


def test_forecast_weather_becomes_degrees_of_heating_and_cooling() -> None:
    panel = replace(load_panel(10), forecast_weather={"temp_c": np.full((10, 24), 10.0)})
    columns = group("forecast weather", panel)
    assert [column[5, 5] for column in columns[:5]] == [10.0, 2.0, 6.0, 0.0, 0.0]
    warm = replace(panel, forecast_weather={"temp_c": np.full((10, 24), 26.0)})
    assert [column[5, 5] for column in group("forecast weather", warm)[:5]] == [26.0, 0.0, 0.0, 6.0, 2.0]
    assert not columns[-1].any()  # no change on the week


def test_measured_weather_is_no_newer_than_the_issue() -> None:
    temp = np.repeat(np.arange(20.0)[:, None], 24, axis=1)
    panel = load_panel(20, measured_weather={"temp_c": temp}, forecast_weather={})
    columns = group("measured weather", panel)
    newest, morning, whole = columns[0], columns[5], columns[10]
    assert newest[19].tolist() == [18.0] * 12 + [17.0] * 12
    assert set(morning[19]) == {18.0}
    assert set(whole[19]) == {17.0}


def test_similar_days_are_the_last_over_and_usable_then_like_ones_then_any() -> None:
    key = np.array([0, 1, 0, 1, 0, 2, 0])
    usable = np.array([True, True, False, True, True, True, True])
    found = similar_days(key, usable, 2, 2, np.zeros(7, dtype=np.int64))
    assert found[0].tolist() == [-1, -1]  # nothing is over
    assert found[2].tolist() == [0, 0]  # repeated in turn
    assert found[5].tolist() == [1, 3]  # none of its key: any of its fallback
    assert found[6].tolist() == [0, 4]  # day 2 is no example


def test_few_features_for_small_models_are_columns_of_all_of_them() -> None:
    panel = with_weather(load_panel(40))
    features, _, lean = build_features(view(panel))
    count = features.shape[-1]
    assert 0 < lean.size < count
    assert lean.min() >= 0
    assert lean.max() < count
    assert len(set(lean.tolist())) == lean.size
    newest = group("levels of whole days", panel)[0]
    np.testing.assert_array_equal(features[..., lean[0]], newest)
