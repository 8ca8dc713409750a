"""The panel: what fits together, and what of it was known at an issue."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from energy.core.errors import AlignmentError
from tests.unit.forecasting.small_panels import kinds, load_panel


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"actual": np.zeros(50)}, "days x slots"),
        ({"actual": np.zeros((50, 25))}, "days x slots"),
        ({"days": kinds(49)}, "calendar and values differ"),
        ({"forecast_weather": {"temp_c": np.zeros((50, 12))}}, "weather does not fit"),
        ({"measured_weather": {"temp_c": np.zeros((49, 24))}}, "weather does not fit"),
        ({"clock": np.zeros(3, dtype=np.int64)}, "clock and values differ"),
        ({"issue_slot": 25}, "outside its day"),
        ({"lead": -1}, "outside its day"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(AlignmentError, match=message):
        replace(load_panel(50), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("lead", [0, 1, 3])
def test_at_its_issue_a_day_knows_the_morning_and_the_weather_forecast(lead: int) -> None:
    panel = load_panel(30, lead=lead, measured_weather={"sun": np.ones((30, 24))})
    known = panel.known_at_issue(20)
    last = 20 - lead
    np.testing.assert_array_equal(known.actual[last, :12], panel.actual[last, :12])
    assert np.isnan(known.actual[last, 12:]).all()
    assert np.isnan(known.actual[last + 1 :]).all()
    assert np.isnan(known.measured_weather["sun"][last, 12:]).all()
    assert not np.isnan(known.forecast_weather["temp_c"][20]).any()
    assert np.isnan(known.forecast_weather["temp_c"][21:]).all()
    assert not np.isnan(panel.actual).any()  # the panel itself is as before


def test_a_part_keeps_its_dates_calendar_weather_and_clock() -> None:
    panel = replace(load_panel(30), clock=np.arange(30))
    part = panel.part(7, 21)
    assert part.count == 14
    assert part.slots_per_day == 24
    assert (part.start - panel.start).days == 7
    np.testing.assert_array_equal(part.days.rest, panel.days.rest[7:21])
    np.testing.assert_array_equal(part.forecast_weather["temp_c"], panel.forecast_weather["temp_c"][7:21])
    assert part.clock is not None
    assert part.clock.tolist() == list(range(7, 21))
