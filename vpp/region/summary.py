"""What a drawn region consists of, and about how much it uses in a year."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any, Final

import numpy as np

from dispatch.region.sites import SiteInput
from energy.core.plan import CarProblem, ZoneProblem
from energy.core.series import FloatArray, Grid
from energy.core.slots import jst_midnight
from vpp.region.draw import DrawnSites, Request, mean_load_kw
from vpp.region.pools import load_pools
from vpp.simulation.scenario import scenarios_root
from vpp.simulation.world import StandardYear

__all__ = ["describe"]

_WORKDAYS: Final = 245  # days a year on which a car is charged


def describe(request: Request) -> tuple[dict[str, Any], list[SiteInput]]:
    """Numbers of a region by kind, its sources, and its sites.

    The year is an estimate: mean loads, each car's energy on 245 days, and what holds the rooms at their
    lower (winter) or upper edge (summer) over the standard year while they are used.
    """
    sites = DrawnSites(request, 0, request.sites).sites()
    start = jst_midnight(request.day.replace(month=1, day=1))
    grid = Grid(start, 8760, timedelta(hours=1))
    sky = StandardYear(scenarios_root() / "weather_wakamatsu.csv.gz").sky(grid)
    kinds: Counter[str] = Counter()
    total = 0.0
    for number, site in enumerate(sites):
        kinds[site.problem.site.rsplit("-", 1)[1]] += 1
        total += 8760.0 * mean_load_kw(request, number)
        total += sum(_car_kwh(car) for car in site.problem.cars)
        total += sum(_room_kwh(zone, sky.outdoor_c) for zone in site.problem.zones)
    problems = [site.problem for site in sites]
    told: dict[str, Any] = {
        "sites": request.sites,
        "seed": request.seed,
        "day": request.day.isoformat(),
        "slots": request.slots,
        "kinds": dict(kinds),
        "feeders": request.feeders,
        "cars": sum(len(problem.cars) for problem in problems),
        "both_ways": sum(_gives(car) for problem in problems for car in problem.cars),
        "rooms": sum(len(problem.zones) for problem in problems),
        "batteries": sum(len(problem.batteries) for problem in problems),
        "roofs": sum(len(problem.pv) for problem in problems),
        "year_gwh": round(total / 1e6, 2),
        "coordinated": sum(site.coordinated for site in sites),
        "joins_dr": sum(site.joins_dr for site in sites),
        "without_forecast": sum(bool(np.isnan(problem.load_p50_kw[0])) for problem in problems),
        "sources": load_pools(request.data).sources(),
    }
    return told, sites


def _gives(car: CarProblem) -> bool:
    return any(car.may_discharge) and car.max_discharge_kw > 0.0


def _car_kwh(car: CarProblem) -> float:
    """Energy of a year of days like this one. [kWh]"""
    return _WORKDAYS * float(np.sum(car.drive_kwh)) / car.charge_efficiency


def _room_kwh(zone: ZoneProblem, outdoor: FloatArray) -> float:
    """Electricity that a year of the room's used hours takes. [kWh]"""
    used = (np.asarray(zone.low_c) > 15.0) | (np.asarray(zone.high_c) < 35.0)
    share = float(used.mean()) * _WORKDAYS / 365.0
    low = float(np.max(zone.low_c)) if zone.mode_sign[0] > 0 else 19.0
    high = float(np.min(zone.high_c)) if zone.mode_sign[0] < 0 else 27.0
    gain = float(np.max(zone.gain_kw))
    heat = np.maximum(0.0, zone.loss_kw_per_k * (low - outdoor) - gain)
    cool = np.maximum(0.0, zone.loss_kw_per_k * (outdoor - high) + gain) * (outdoor > 18.0)
    electric = np.minimum(zone.max_electric_kw, heat / 2.9 + cool / 4.0)
    return share * float(electric.sum())
