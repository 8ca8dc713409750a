"""Shops, inns and apartment houses of a demonstration that share their forecasts: nobody controls them.

A retailer only sees sums in which nobody can be made out; these make the sum large enough. Their load is made
up (level, hours and habits of each stand below, with noise of a fixed seed), their forecasts are not: P10,
P50 and P90 of a half hour are quantiles of the same half hour of the days of the same kind (working days, or
those of the weekend) among the three weeks before that were known then.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import JST, SLOT_LENGTH, SLOTS_PER_DAY, jst_midnight
from energy.core.units import series_id
from energy.store import Store, points_of
from vpp.forecasts.issued import DAY_AHEAD_HOURS, LOAD, Horizon, IssuedForecast, keep
from vpp.simulation.scenario import load_scenario
from vpp.site.sitebook import keep_site

__all__ = ["neighbours", "put_neighbours"]

_DAY: Final = timedelta(days=1)
_KNOWN_DAYS: Final = 21  # what a forecast looks back on
_PAST: Final = timedelta(days=_KNOWN_DAYS + 10)  # so that a week of forecasts can be judged on the first day
_QUANTILES: Final = (0.1, 0.5, 0.9)
_NOISE: Final = 0.06  # of a half hour, beside that of the day: share of the level
_DAY_NOISE: Final = 0.05
_LIKE: Final = "city-hall"


@dataclass(frozen=True, slots=True)
class _Neighbour:
    """Who it is, and how it uses electricity.

    Parameters
    ----------
    base_kw, more_kw : float
        What always runs, and what comes on top at the busiest. [kW]
    busy : float
        Busiest hour of the day, Japan. [h]
    wide : float
        How long it is busy: standard deviation around that hour. [h]
    rest : float
        Share of ``more_kw`` on Saturdays and Sundays. [-]
    """

    id: str
    name_ja: str
    name_en: str
    base_kw: float
    more_kw: float
    busy: float
    wide: float
    rest: float


_ALL: Final = (
    _Neighbour("homes-chuo", "中央の集合住宅", "Apartments Chuo", 9.0, 21.0, 19.5, 2.6, 1.1),
    _Neighbour("homes-ekimae", "駅前の集合住宅", "Apartments Ekimae", 12.0, 26.0, 20.0, 2.4, 1.1),
    _Neighbour("homes-kawabe", "川辺の集合住宅", "Apartments Kawabe", 7.0, 16.0, 19.0, 2.8, 1.2),
    _Neighbour("inn-higashi", "東山の旅館", "Inn Higashiyama", 18.0, 24.0, 18.5, 3.5, 1.2),
    _Neighbour("inn-ashi", "芦ノ牧の旅館", "Inn Ashinomaki", 15.0, 18.0, 18.0, 3.6, 1.3),
    _Neighbour("store-nishi", "西の食料品店", "Grocery Nishi", 22.0, 20.0, 15.0, 4.2, 1.1),
    _Neighbour("store-kita", "北の食料品店", "Grocery Kita", 19.0, 17.0, 15.5, 4.0, 1.1),
    _Neighbour("dentist", "歯科医院", "Dentist", 2.0, 14.0, 14.0, 3.4, 0.4),
    _Neighbour("office-otemachi", "大手町の事務所", "Office Otemachi", 6.0, 30.0, 13.5, 3.6, 0.15),
    _Neighbour("office-sakae", "栄町の事務所", "Office Sakae", 5.0, 24.0, 13.0, 3.5, 0.15),
    _Neighbour("lacquer", "漆器工房", "Lacquer workshop", 3.0, 17.0, 13.0, 3.2, 0.3),
    _Neighbour("school", "専門学校", "College", 8.0, 34.0, 12.5, 3.4, 0.2),
)


def neighbours() -> tuple[Site, ...]:
    """The neighbours as sites: a meter each, and nothing that could be controlled."""
    like, _ = load_scenario(_LIKE)
    return tuple(_site(one, like.site) for one in _ALL)


def put_neighbours(store: Store, now: datetime, end: datetime) -> tuple[Site, ...]:
    """Write their loads and forecasts up to an end; they become known half hour by half hour, issue by issue.

    Written again after a start that was cut off, it says the same.

    Returns
    -------
    tuple of Site
        Who they are.
    """
    first = jst_midnight((now - _PAST).astimezone(JST).date())
    days = (end - first) // _DAY
    grid, sites = Grid(first, days * SLOTS_PER_DAY), neighbours()
    for number, (one, site) in enumerate(zip(_ALL, sites, strict=True)):
        load = _load(one, grid, seed=number)
        name = series_id(site.id, LOAD, "demand_kw")
        told = Series(grid, load, Unit.KW)
        with store.transaction():
            keep_site(store, site, at=now)
            store.append(points_of(name, told, known_at=lambda at: at + SLOT_LENGTH, source="demo"))
            for issue in _issues(site.id, grid, load):
                keep(store, issue)
    return sites


def _site(one: _Neighbour, like: Site) -> Site:
    most_kw = one.base_kw + one.more_kw
    return replace(
        like,
        id=one.id,
        name_ja=one.name_ja,
        name_en=one.name_en,
        contract_kw=round(1.4 * most_kw),
        target_demand_kw=round(1.3 * most_kw),
        peak_memory_kw={},
        drivers=(),
        vehicles=(),
        chargers=(),
        trips={},
        zones=(),
        pv=None,
        batteries=(),
        meters=(),
        feeders=(),
    )


def _load(one: _Neighbour, grid: Grid, *, seed: int) -> FloatArray:
    """Load of whole days from a midnight on, made up. [kW]"""
    days, chance = grid.count // SLOTS_PER_DAY, np.random.default_rng(seed)
    hours = (np.arange(SLOTS_PER_DAY) + 0.5) / 2.0
    away = np.abs(hours - one.busy)
    busy = np.exp(-0.5 * (np.minimum(away, 24.0 - away) / one.wide) ** 2)
    share = np.where(_weekend(grid.start, days), one.rest, 1.0) * (
        1.0 + _DAY_NOISE * chance.standard_normal(days)
    )
    level = one.base_kw + one.more_kw * share[:, None] * busy
    made = level * (1.0 + _NOISE * chance.standard_normal((days, SLOTS_PER_DAY)))
    return np.asarray(np.round(np.maximum(made, 0.0), 3).ravel())


def _issues(site: str, grid: Grid, load: FloatArray) -> Iterator[IssuedForecast]:
    """The issues of each morning and noon for the day after, from the whole days that were known then."""
    by_day = load.reshape(-1, SLOTS_PER_DAY)
    weekend = _weekend(grid.start, len(by_day))
    for day in range(_KNOWN_DAYS, len(by_day) - 1):
        before = slice(day - _KNOWN_DAYS, day)
        alike = by_day[before][weekend[before] == weekend[day + 1]]
        p10, p50, p90 = np.quantile(alike, _QUANTILES, axis=0)
        midnight = grid.start + day * _DAY
        for hour in DAY_AHEAD_HOURS:
            yield IssuedForecast(
                site=site,
                target=LOAD,
                horizon=Horizon.DAY_AHEAD,
                issued_at=midnight + timedelta(hours=hour),
                start=midnight + _DAY,
                p10=_kw(p10),
                p50=_kw(p50),
                p90=_kw(p90),
                model="same-half-hours",
                card="",
                version="demo",
            )


def _weekend(first: datetime, days: int) -> NDArray[np.bool_]:
    """Which of some days in a row, from a midnight in Japan, are Saturdays or Sundays."""
    return np.array([(first + k * _DAY).astimezone(JST).weekday() >= 5 for k in range(days)])


def _kw(values: FloatArray) -> tuple[float, ...]:
    return tuple(np.round(values, 3).tolist())
