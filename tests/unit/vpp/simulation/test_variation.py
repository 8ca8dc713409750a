"""What a seed changes in a scenario, and what it must not."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np

from energy.core.calendar import DayType
from energy.core.series import Grid
from energy.core.slots import jst_midnight
from vpp.simulation.scenario import Scenario, load_scenario
from vpp.simulation.simworld import SimulatedWorld
from vpp.simulation.variation import LATER_WEEKS, SHIFT_DAYS, varied

SCENARIO, FOLDER = load_scenario("kitakata")
WEEK = date(2026, 7, 20)


def drawn(seed: int) -> Scenario:
    return varied(SCENARIO, FOLDER, WEEK, 5, seed=seed)


def test_seed_zero_is_the_scenario_as_it_stands() -> None:
    assert drawn(0) is SCENARIO


def test_a_seed_gives_the_same_week_again_and_another_seed_another() -> None:
    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_load_weather_forecasts_people_and_batteries_are_all_drawn() -> None:
    seeds = [drawn(seed) for seed in range(1, 9)]
    assert len({tuple(one.world.load.later_weeks.values()) for one in seeds}) > 4
    assert len({one.world.weather.shift_days for one in seeds}) > 4
    assert len({one.world.forecast_errors.seed for one in seeds}) == 8
    assert len({one.world.people.seed for one in seeds}) == 8
    assert len({one.site.vehicles[0].initial_soc for one in seeds}) == 8
    for one in seeds:
        assert abs(one.world.weather.shift_days) <= SHIFT_DAYS
        assert all(0 <= weeks <= LATER_WEEKS for weeks in one.world.load.later_weeks.values())
        assert all(car.soc_min <= car.initial_soc <= car.soc_max for car in one.site.vehicles)


def test_a_working_day_never_shows_a_day_of_rest() -> None:
    calendar = SCENARIO.site.calendar.calendar()
    for seed in range(1, 6):  # the works rest from 29 July to 1 August
        for day, weeks in drawn(seed).world.load.later_weeks.items():
            assert (
                calendar.day_type(day + timedelta(weeks=weeks)) is calendar.day_type(day) is DayType.WEEKDAY
            )


def test_the_world_shows_the_drawn_load_and_the_history_does_not() -> None:
    start, end = jst_midnight(WEEK), jst_midnight(WEEK + timedelta(days=5))
    seed = next(s for s in range(1, 30) if drawn(s).world.load.later_weeks[WEEK] == 1)
    plain, other = (SimulatedWorld(one, FOLDER, start, end) for one in (SCENARIO, drawn(seed)))
    grid = Grid(start, 48)
    assert not np.allclose(plain.truth(grid)[0], other.truth(grid)[0])
    later = SimulatedWorld(SCENARIO, FOLDER, start + timedelta(weeks=1), end + timedelta(weeks=1))
    shown = later.truth(Grid(start + timedelta(weeks=1), 48))[0]
    assert np.allclose(other.truth(grid)[0], shown)
