"""The same week, lived again otherwise: what a seed of the scoreboard changes in a scenario.

| What | How it is drawn |
|---|---|
| load | each day shows a working or rest day like it, zero to two weeks later; the history stays |
| weather | all of it, the history too, is that of the standard year 10 days earlier to 10 days later |
| weather forecasts | other errors, of the same size |
| people | other delays and energies of trips, of the same size |
| batteries | 15 points more or less at the start |

Later weeks only, because a day that is in the history already would be known to the forecast.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from energy.core.errors import VppError
from energy.core.slots import jst_midnight
from vpp.simulation.scenario import Scenario
from vpp.simulation.world import LoadProfile

__all__ = ["varied"]

LATER_WEEKS = 2
SHIFT_DAYS = 10
SOC = 0.15


def varied(scenario: Scenario, folder: Path, start: date, days: int, *, seed: int) -> Scenario:
    """A scenario with load, weather, forecasts, people and batteries drawn anew for some days.

    Parameters
    ----------
    seed : int
        0 is the scenario as it stands.
    """
    if seed == 0:
        return scenario
    rng = np.random.default_rng([seed, start.toordinal()])
    world, site = scenario.world, scenario.site
    profile = LoadProfile(world.load, folder)
    ahead = [start + timedelta(days=k) for k in range(days)]
    later = {day: int(rng.choice(_choices(scenario, profile, day))) for day in ahead}
    shift = int(rng.integers(-SHIFT_DAYS, SHIFT_DAYS + 1))
    first = rng.uniform(-SOC, SOC, len(site.vehicles))
    vehicles = tuple(
        replace(car, initial_soc=min(car.soc_max, max(car.soc_min, car.initial_soc + float(change))))
        for car, change in zip(site.vehicles, first, strict=True)
    )
    return replace(
        scenario,
        site=replace(site, vehicles=vehicles),
        world=replace(
            world,
            load=replace(world.load, later_weeks=later),
            weather=replace(world.weather, shift_days=shift),
            forecast_errors=replace(world.forecast_errors, seed=1000 * seed + world.forecast_errors.seed),
            people=replace(world.people, seed=1000 * seed + world.people.seed),
        ),
    )


def _choices(scenario: Scenario, profile: LoadProfile, day: date) -> list[int]:
    """Weeks later whose same weekday the source covers without a gap, and which rests or works alike."""
    calendar = scenario.site.calendar.calendar()
    found = []
    for weeks in range(LATER_WEEKS + 1):
        other = day + timedelta(weeks=weeks)
        try:
            profile.require(jst_midnight(other), jst_midnight(other + timedelta(days=1)))
        except VppError:
            continue
        if calendar.day_type(other) is calendar.day_type(day):
            found.append(weeks)
    return found or [0]
