"""What really comes at the sites of a week, and what was forecast of it a day ahead.

| | calendar, known to everybody | what comes |
|---|---|---|
| load | nothing | a day of the pool, drawn anew each day, and an error that all sites have together |
| sun, air | the weather forecast issued at noon of the day before | the standard year |
| cars | when they come and leave, what they need | up to an hour late, with a trip some 10 % off |
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from dispatch.region.sites import SiteInput
from energy.core.calendar import DayType, SiteCalendar
from energy.core.plan import CarProblem, Problem
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, jst_midnight
from forecasting.fallback import same_weekday_forecast
from vpp.region.draw import Request, draw_site, size_of
from vpp.region.pools import SLOTS, load_pools
from vpp.region.week.request import Week, day_request
from vpp.simulation.scenario import ForecastErrors, scenarios_root
from vpp.simulation.world import StandardYear, WeatherForecast, issue_forecast

__all__ = ["LoadForecast", "SiteDay", "forecasts_of", "load_of", "site_day", "together_of", "weather_issued"]

HISTORY_DAYS: Final = 84  # four weeks for the mean, eight for the band of its errors
TOGETHER_SD: Final = 0.02  # of the logarithm: assumed error that all sites have together
TOGETHER_KEPT: Final = 0.9  # of it from one half-hour to the next
TRIP_SD: Final = 0.1
LATE: Final = (0.6, 0.3, 0.1)  # on time, half an hour, an hour late
PV_LOW, PV_HIGH = 0.45, 1.4  # P10 and P90 of a P50, as sites are drawn


@dataclass(frozen=True, slots=True)
class SiteDay:
    """A site on one day.

    Parameters
    ----------
    site : SiteInput
        As it plans: its calendar, its rooms; sun and air are those that come.
    load_kw : ndarray, shape (48,)
        What comes. [kW]
    plugged : ndarray of bool, shape (cars, 48)
        What comes.
    drive_kwh : ndarray, shape (cars, 48)
        What comes. [kWh]
    """

    site: SiteInput
    load_kw: FloatArray
    plugged: np.ndarray
    drive_kwh: FloatArray


_days: OrderedDict[tuple[Request, int], SiteDay] = OrderedDict()
_KEPT_DAYS: Final = 1024  # some 150 kB each


def site_day(region: Request, number: int) -> SiteDay:
    """Site ``number`` on the day of the request; a process keeps the days that are still wanted."""
    key = region, number
    found = _days.get(key)
    if found is None:
        found = _days[key] = _site_day(region, number)
        _days.pop((replace(region, day=region.day - timedelta(days=2)), number), None)
        while len(_days) > _KEPT_DAYS:
            _days.popitem(last=False)
    _days.move_to_end(key)
    return found


def _site_day(region: Request, number: int) -> SiteDay:
    drawn = draw_site(region, number, load_pools(region.data), _year().sky(region.grid))
    problem = drawn.problem
    at_night = size_of(region, number).kind.night
    rests = SiteCalendar().day_type(region.day) is DayType.REST
    if rests and not at_night:
        problem = replace(problem, cars=tuple(_away(car) for car in problem.cars))
    plugged, drive = _as_it_comes(region, number, problem.cars)
    return SiteDay(replace(drawn, problem=problem), load_of(region, number), plugged, drive)


@lru_cache(maxsize=1)
def _year() -> StandardYear:
    return StandardYear(scenarios_root() / "weather_wakamatsu.csv.gz")


def _away(car: CarProblem) -> CarProblem:
    """A car of a workplace on a day of rest."""
    return replace(car, plugged=(False,) * SLOTS, drive_kwh=(0.0,) * SLOTS, promises=())


def _as_it_comes(region: Request, number: int, cars: Sequence[CarProblem]) -> tuple[np.ndarray, FloatArray]:
    """Cars that come late, and trips that need more or less than the calendar says."""
    rng = np.random.default_rng([region.seed, number, region.day.toordinal(), 3])
    plugged = np.array([car.plugged for car in cars], dtype=bool).reshape(-1, SLOTS)
    drive = np.array([car.drive_kwh for car in cars], dtype=float).reshape(-1, SLOTS)
    late = rng.choice(len(LATE), size=len(cars), p=LATE)
    drive *= np.clip(1.0 + TRIP_SD * rng.standard_normal((len(cars), 1)), 0.7, 1.3)
    for k in range(len(cars)):
        comes = np.flatnonzero(plugged[k, 1:] & ~plugged[k, :-1]) + 1
        for t in comes:
            plugged[k, t : t + int(late[k])] = False
    return plugged, drive


@lru_cache(maxsize=65_536)
def load_of(region: Request, number: int) -> FloatArray:
    """Load that comes on the day of the request. [kW]"""
    size, pools = size_of(region, number), load_pools(region.data)
    rng = np.random.default_rng([region.seed, number, region.day.toordinal(), 1])
    shape = np.roll(pools.loads[size.kind.name].draw(region.day, rng), size.shift)
    noise = np.exp(rng.normal(0.0, 0.03, SLOTS)) * together_of(region.seed, region.day)
    load: FloatArray = np.maximum(0.02 * size.mean_kw, size.mean_kw * shape * noise)
    load.setflags(write=False)
    return load


@lru_cache(maxsize=256)
def together_of(seed: int, day: date) -> FloatArray:
    """What all sites use more or less of on a day, as a factor that lasts for hours. [-]"""
    rng = np.random.default_rng([seed, day.toordinal(), 2])
    error, errors = float(rng.standard_normal()), np.empty(SLOTS)
    for t in range(SLOTS):
        error = TOGETHER_KEPT * error + math.sqrt(1.0 - TOGETHER_KEPT**2) * float(rng.standard_normal())
        errors[t] = error
    factor: FloatArray = np.exp(TOGETHER_SD * errors)
    return factor


# -- what is known the day before -----------------------------------------------------------------------


def issue_time(day: date) -> datetime:
    """Noon of the day before, in Japan: when a day is forecast, and the next one too."""
    return jst_midnight(day) - timedelta(hours=12)


@lru_cache(maxsize=16)
def weather_issued(seed: int, day: date) -> WeatherForecast:
    """Weather forecast of noon of the day before."""
    return issue_forecast(_year(), ForecastErrors(seed=seed), issue_time(day))


@dataclass(frozen=True, slots=True)
class LoadForecast:
    """Load of the sites of a block on a day and the next, each of shape (sites, 96). [kW]"""

    p10: FloatArray
    p50: FloatArray
    p90: FloatArray


def forecasts_of(week: Week, first: int, stop: int, day: date, *, folder: Path) -> LoadForecast:
    """Forecasts of sites ``first <= k < stop`` issued at noon before ``day``, kept in a folder.

    They see the meters of the twelve weeks before their issue and nothing later.
    """
    path = folder / "forecasts" / day.isoformat() / f"{first:06d}.npz"
    if path.exists():
        with np.load(path) as kept:
            return LoadForecast(kept["p10"], kept["p50"], kept["p90"])
    bands = np.array([_forecast(week, number, day) for number in range(first, stop)])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, p10=bands[:, 0], p50=bands[:, 1], p90=bands[:, 2])
    part.replace(path)
    return LoadForecast(bands[:, 0], bands[:, 1], bands[:, 2])


def _forecast(week: Week, number: int, day: date) -> FloatArray:
    """P10, P50 and P90 of one site, shape (3, 96). [kW]"""
    days = [day - timedelta(days=k) for k in range(HISTORY_DAYS, 0, -1)]
    known = np.concatenate([load_of(day_request(week, one), number) for one in days])[: -SLOTS // 2]
    history = Series(Grid(jst_midnight(days[0]), known.size), known, Unit.KW)
    grid = Grid(jst_midnight(day), 2 * SLOTS)
    made = same_weekday_forecast(history, grid, issued_at=issue_time(day), target="load_kw")
    return np.round(np.array([made.p10, made.p50, made.p90]), 3)


def weather_of(
    seed: int, day: date, first: int, count: int, *, issued_for: date
) -> tuple[FloatArray, FloatArray]:
    """Air and sun of some half-hours from ``first`` of a day on, as forecast. [degC, W/m2]"""
    told = weather_issued(seed, issued_for)
    at = (jst_midnight(day) - told.issued_at) // SLOT_LENGTH + first
    rows = slice(at, at + count)
    return told.outdoor_c.values[rows], told.ghi_w_m2.values[rows]


def sun_per_ghi(problem: Problem, ghi: FloatArray) -> list[float]:
    """What each array gives per irradiance. [kW/(W/m2)]"""
    total = float(ghi.sum())
    return [float(np.sum(array.p50_kw)) / total if total > 0.0 else 0.0 for array in problem.pv]


def ghi_of(region: Request) -> FloatArray:
    """Irradiance that comes on the day of the request. [W/m2]"""
    return _ghi(region.day)


@lru_cache(maxsize=64)
def _ghi(day: date) -> FloatArray:
    return _year().sky(Grid(jst_midnight(day), SLOTS)).ghi
