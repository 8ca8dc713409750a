"""The planning problem of a site at a moment of the week: a day ahead, from what is known by then."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final, TypeVar

import numpy as np

from dispatch.region.sites import SiteInput
from energy.core.plan import CarProblem, Problem, Promise, PvProblem, SiteLimits, StorageProblem, ZoneProblem
from energy.core.series import FloatArray, Grid
from energy.core.slots import SLOT_LENGTH, jst_midnight
from vpp.region.pools import SLOTS
from vpp.region.week.request import Mode, Week, day_request
from vpp.region.week.truth import (
    PV_HIGH,
    PV_LOW,
    LoadForecast,
    SiteDay,
    forecasts_of,
    ghi_of,
    load_of,
    site_day,
    sun_per_ghi,
    weather_of,
)

__all__ = ["SiteState", "WeekSites", "first_state", "forecast_kw", "read_states", "write_states"]

T = TypeVar("T")

FORGOTTEN: Final = 0.9  # of what a load is beyond its forecast, from one half-hour to the next


@dataclass(slots=True)
class SiteState:
    """What a site carries from one window to the next; it stays with the site.

    Parameters
    ----------
    car_kwh, best_kwh : list of float
        What each car holds, and what it would hold if it had charged at full power since its last trip. [kWh]
    room_c : list of float
        [degC]
    battery_kwh : list of float
        [kWh]
    peak_kw : float
        Highest demand so far. [kW]
    beyond_kw : float
        By how much the load was beyond its forecast of the day before lately. [kW]
    """

    car_kwh: list[float]
    best_kwh: list[float]
    room_c: list[float]
    battery_kwh: list[float]
    peak_kw: float = 0.0
    beyond_kw: float = 0.0


def first_state(week: Week, number: int) -> SiteState:
    """A site as it was drawn."""
    problem = site_day(day_request(week, week.first("warm")), number).site.problem
    return SiteState(
        car_kwh=[car.soc0_kwh for car in problem.cars],
        best_kwh=[car.soc0_kwh for car in problem.cars],
        room_c=[zone.temp0_c for zone in problem.zones],
        battery_kwh=[battery.soc0_kwh for battery in problem.batteries],
        peak_kw=_limits(week, number).peak_memory_kw,
    )


@dataclass(frozen=True, slots=True)
class WeekSites:
    """Sites ``first <= k < stop`` at a step of a week; what they are like by then lies in a folder.

    Parameters
    ----------
    folder : str
        Of the whole simulation; every worker must see it.
    """

    week: Week
    mode: Mode
    step: int
    folder: str
    first: int
    stop: int

    def sites(self) -> list[SiteInput]:
        """The sites with their problems of the next 48 half-hours."""
        day, first = self.week.place(self.mode, self.step)
        states, folder = read_states(self), Path(self.folder)
        told = (
            [
                forecasts_of(self.week, self.first, self.stop, day, folder=folder),
                forecasts_of(self.week, self.first, self.stop, day + timedelta(days=1), folder=folder),
            ]
            if first >= SLOTS // 2
            else [forecasts_of(self.week, self.first, self.stop, day, folder=folder)]
        )
        found = []
        for row, (number, state) in enumerate(zip(range(self.first, self.stop), states, strict=True)):
            here, then = (site_day(day_request(self.week, day + timedelta(days=k)), number) for k in (0, 1))
            problem = _problem(self.week, number, (here, then), first, state=state, told=told, row=row)
            found.append(replace(here.site, problem=problem))
        return found


def _problem(
    week: Week, number: int, days: tuple[SiteDay, SiteDay], first: int, *,
    state: SiteState, told: list[LoadForecast], row: int,
) -> Problem:  # fmt: skip
    """One day ahead: the rest of this day and the beginning of the next."""
    a, b = (one.site.problem for one in days)
    day = (a.grid.start + timedelta(hours=9)).date()
    newest = day + timedelta(days=len(told) - 1)
    beyond = state.beyond_kw * FORGOTTEN ** np.arange(SLOTS)  # what the site saw since the forecast
    load = [np.maximum(0.0, _known(told, kind, row, first) + beyond) for kind in ("p10", "p50", "p90")]
    if np.isnan(a.load_p50_kw[0]):  # a fault of this site: nobody forecasts it
        load = [np.full(SLOTS, np.nan)] * 3
    outdoor, ghi = weather_of(week.region.seed, day, first, SLOTS, issued_for=newest)
    per_ghi = sun_per_ghi(a, ghi_of(day_request(week, day)))
    limits = _limits(week, number)
    return replace(
        a,
        made_at=a.grid.start + first * SLOT_LENGTH,
        grid=Grid(a.grid.start + first * SLOT_LENGTH, SLOTS),
        load_p10_kw=_told(load[0]), load_p50_kw=_told(load[1]), load_p90_kw=_told(load[2]),
        outdoor_c=_told(outdoor),
        price_yen_per_kwh=_joined(a.price_yen_per_kwh, b.price_yen_per_kwh, first),
        sell_yen_per_kwh=_joined(a.sell_yen_per_kwh, b.sell_yen_per_kwh, first),
        limits=replace(limits, peak_memory_kw=max(limits.peak_memory_kw, round(state.peak_kw, 3))),
        cars=tuple(_car(x, y, first, kwh) for x, y, kwh in zip(a.cars, b.cars, state.car_kwh, strict=True)),
        zones=tuple(_zone(x, y, first, at) for x, y, at in zip(a.zones, b.zones, state.room_c, strict=True)),
        pv=tuple(_array(x, ghi, share) for x, share in zip(a.pv, per_ghi, strict=True)),
        batteries=tuple(_battery(x, kwh) for x, kwh in zip(a.batteries, state.battery_kwh, strict=True)),
    )  # fmt: skip


@lru_cache(maxsize=4096)
def _limits(week: Week, number: int) -> SiteLimits:
    """The contract of a site: as drawn for the first day, and room for the four weeks before everything."""
    drawn = site_day(week.region, number).site.problem
    before = [week.first("warm") - timedelta(days=k) for k in range(1, 29)]
    highest = max(float(load_of(day_request(week, day), number).max()) for day in before)
    planned = max((load for load in drawn.load_p50_kw if not math.isnan(load)), default=0.0)
    more = max(0.0, highest - planned)
    limits = drawn.limits
    return replace(
        limits,
        contract_kw=round(limits.contract_kw + 1.2 * more, 1),
        peak_memory_kw=round(limits.peak_memory_kw + more, 1),
    )


def _known(told: list[LoadForecast], kind: str, row: int, first: int) -> FloatArray:
    """Forecast of the next 48 half-hours from the newest issue of each day. [kW]"""
    today: FloatArray = getattr(told[0], kind)[row]
    if len(told) == 1:
        return today[first : first + SLOTS]
    return np.concatenate([today[first:SLOTS], getattr(told[1], kind)[row][:first]])


def _joined(a: tuple[T, ...], b: tuple[T, ...], first: int) -> tuple[T, ...]:
    return a[first:] + b[:first]


def _car(a: CarProblem, b: CarProblem, first: int, soc_kwh: float) -> CarProblem:
    promises = [(one.index - first, one.soc_kwh) for one in a.promises]
    promises += [(one.index + SLOTS - first, one.soc_kwh) for one in b.promises]
    return replace(
        a,
        soc0_kwh=round(min(soc_kwh, a.ceiling_kwh), 6),
        plugged=_joined(a.plugged, b.plugged, first),
        drive_kwh=_joined(a.drive_kwh, b.drive_kwh, first),
        may_discharge=_joined(a.may_discharge, b.may_discharge, first),
        promises=tuple(Promise(index=at, soc_kwh=soc) for at, soc in promises if 0 < at <= SLOTS),
    )


def _zone(a: ZoneProblem, b: ZoneProblem, first: int, temp_c: float) -> ZoneProblem:
    return replace(
        a,
        temp0_c=round(temp_c, 6),
        mode_sign=_joined(a.mode_sign, b.mode_sign, first),
        cop=_joined(a.cop, b.cop, first),
        gain_kw=_joined(a.gain_kw, b.gain_kw, first),
        low_c=_joined(a.low_c, b.low_c, first),
        high_c=_joined(a.high_c, b.high_c, first),
    )


def _array(a: PvProblem, ghi: FloatArray, per_ghi: float) -> PvProblem:
    median = per_ghi * ghi
    return replace(a, p10_kw=_told(PV_LOW * median), p50_kw=_told(median), p90_kw=_told(PV_HIGH * median))


def _battery(a: StorageProblem, soc_kwh: float) -> StorageProblem:
    return replace(a, soc0_kwh=round(min(max(soc_kwh, 0.0), a.capacity_kwh), 6))


def _told(values: FloatArray) -> tuple[float, ...]:
    return tuple(np.round(values, 3).tolist())


def forecast_kw(site: SiteInput, state: SiteState, count: int) -> FloatArray:
    """Load as it was forecast the day before, of the next half-hours. [kW]"""
    planned = np.array(site.problem.load_p50_kw[:count])
    return np.asarray(planned - state.beyond_kw * FORGOTTEN ** np.arange(count))


# -- states on disk ---------------------------------------------------------------------------------------


def _path(source: WeekSites, step: int) -> Path:
    return Path(source.folder) / source.mode / f"sites-{source.first:06d}" / f"{step:05d}.json"


def read_states(source: WeekSites) -> list[SiteState]:
    """What the sites of a block carry at the beginning of a step.

    The first step of the compared days begins where the days before ended; the very first as drawn.
    """
    week, mode, step = source.week, source.mode, source.step
    if step == 0 and mode != "warm" and week.warm_days:
        source = replace(source, mode="warm", step=week.steps("warm"))
        step = source.step
    if step == 0:
        return [first_state(week, number) for number in range(source.first, source.stop)]
    told = json.loads(_path(source, step).read_text(encoding="utf-8"))
    return [SiteState(**one) for one in told]


def write_states(source: WeekSites, states: list[SiteState]) -> None:
    """Keep what the sites carry after a step; of the steps before only one is kept."""
    path = _path(source, source.step + 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_text(json.dumps([asdict(state) for state in states]), encoding="utf-8")
    part.replace(path)
    _path(source, source.step - 1).unlink(missing_ok=True)


def begins(week: Week, mode: Mode, step: int) -> timedelta:
    """From the midnight of the week's first day to a step."""
    day, first = week.place(mode, step)
    return jst_midnight(day) - jst_midnight(week.region.day) + first * SLOT_LENGTH
