"""Sites drawn from real days: sizes, shifts, rooms, cars, roofs, consent and failures, all from one seed.

Site ``k`` of a seed is the same in a region of any size. What is drawn how: docs/explanation/region-sites.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from dispatch.region.sites import SiteInput
from energy.core.plan import CarProblem, Problem, Promise, PvProblem, SiteLimits, StorageProblem, ZoneProblem
from energy.core.series import FloatArray, Grid
from energy.core.slots import jst_midnight
from energy.core.units import AssetId
from vpp.region.pools import SLOTS, Pools, load_pools
from vpp.simulation.scenario import scenarios_root
from vpp.simulation.world import Sky, StandardYear

__all__ = [
    "BASIC_YEN_PER_KW_MONTH",
    "KINDS",
    "DrawnSites",
    "Kind",
    "Request",
    "Size",
    "draw_site",
    "mean_load_kw",
    "size_of",
]

_WINTER, _SUMMER = (11, 12, 1, 2, 3, 4), (6, 7, 8, 9)
BASIC_YEN_PER_KW_MONTH: Final = 1_800.0
"""Basic charge of a high-voltage tariff at a power factor of 85 %: an example. [yen/kW-month]"""
_GOLDEN = 0.6180339887498949  # places of kinds spread evenly over any stretch of sites


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of site.

    Parameters
    ----------
    share : float
        Part of all sites. [-]
    year_mwh : float
        Mean consumption of a year without rooms and cars. [MWh]
    spread : float
        Standard deviation of the logarithm of the size. [-]
    zones, chargers : tuple of int
        Fewest and most rooms and chargers.
    hvac_share : float
        Power of all air conditioners as a multiple of the mean load. [-]
    pv, battery : float
        Part of the sites with an array and with a battery. [-]
    night : bool
        Whether cars are here at night instead of in the day.
    """

    name: str
    share: float
    year_mwh: float
    spread: float
    zones: tuple[int, int]
    chargers: tuple[int, int]
    hvac_share: float
    pv: float
    battery: float
    night: bool = False


# Shares and sizes give about 44 GWh a year at 1,000 sites with rooms and cars (the leading area's figure).
KINDS: Final = (
    Kind("home", 0.60, 3.6, 0.35, (0, 1), (0, 2), 2.2, 0.55, 0.30, night=True),
    Kind("quarter", 0.06, 60.0, 0.4, (0, 0), (0, 6), 0.0, 0.3, 0.1, night=True),
    Kind("office", 0.20, 45.0, 0.6, (1, 3), (0, 6), 0.9, 0.35, 0.10),
    Kind("campus", 0.07, 120.0, 0.5, (1, 4), (1, 8), 0.9, 0.6, 0.25),
    Kind("works", 0.07, 185.0, 0.6, (1, 4), (0, 8), 0.5, 0.5, 0.20),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Which region to draw.

    Parameters
    ----------
    sites, seed, slots : int
        Number of sites, what everything is drawn from, and half-hours to plan.
    day : date
        First day, from midnight in Japan.
    failures : float
        Part of the sites that have a fault: no forecast, or a promise that nobody can keep. [-]
    exchangeable : bool
        Draw offices only, of one distribution of sizes and without faults.
    data : Path, optional
        Folder of published data that may not be shipped.
    """

    sites: int
    seed: int
    slots: int = SLOTS
    day: date = date(2026, 1, 20)
    failures: float = 0.01
    exchangeable: bool = False
    data: Path | None = None

    @property
    def feeders(self) -> int:
        """Number of feeders: fifty sites on each, at least two."""
        return max(2, self.sites // 50)

    @property
    def grid(self) -> Grid:
        """The half-hours."""
        return Grid(jst_midnight(self.day), self.slots)


@dataclass(frozen=True, slots=True)
class DrawnSites:
    """Sites ``first <= k < stop`` of a request, drawn where they are planned."""

    request: Request
    first: int
    stop: int

    def sites(self) -> list[SiteInput]:
        """The sites."""
        pools, sky = load_pools(self.request.data), _sky(self.request.grid)
        return [draw_site(self.request, k, pools, sky) for k in range(self.first, self.stop)]


@lru_cache(maxsize=4)
def _sky(grid: Grid) -> Sky:
    return StandardYear(scenarios_root() / "weather_wakamatsu.csv.gz").sky(grid)


def draw_site(request: Request, number: int, pools: Pools, sky: Sky) -> SiteInput:
    """Draw one site."""
    rng = np.random.default_rng([request.seed, number])
    kind = _kind(request, number)
    draw = _Draw(request, kind, rng, pools, sky)
    problem = draw.problem(f"site-{number:05d}-{kind.name}")
    spoilt = rng.random() < request.failures and not request.exchangeable
    if spoilt:
        problem = _spoil(problem, rng)
    return SiteInput(
        problem=problem,
        feeder=f"feeder-{int(rng.random() * request.feeders):03d}",
        joins_dr=bool(rng.random() < 0.7),
        coordinated=bool(request.exchangeable or rng.random() < 0.92),
    )


def _kind(request: Request, number: int) -> Kind:
    if request.exchangeable:
        return replace(KINDS[2], spread=0.2, zones=(2, 2), chargers=(4, 4), pv=1.0, battery=0.0)
    place = (number * _GOLDEN + 0.137 * request.seed) % 1.0
    bounds = np.cumsum([kind.share for kind in KINDS])
    return KINDS[min(int(np.searchsorted(bounds, place, side="right")), len(KINDS) - 1)]


def _spoil(problem: Problem, rng: np.random.Generator) -> Problem:
    """A site with a fault: a driver who was promised too much, or a forecast that did not come."""
    if problem.cars and rng.random() < 0.5:
        car = problem.cars[0]
        trip = tuple(max(car.drive_kwh) if t == 2 else 0.0 for t in range(problem.count))
        hurried = replace(
            car,
            soc0_kwh=car.floor_kwh,
            promises=(Promise(index=2, soc_kwh=car.ceiling_kwh),),
            plugged=tuple(t < 2 for t in range(problem.count)),
            drive_kwh=trip,
        )
        return replace(problem, cars=(hurried, *problem.cars[1:]))
    lost = (math.nan,) * problem.count
    return replace(problem, load_p50_kw=lost)


@dataclass(frozen=True, slots=True)
class Size:
    """The first that is drawn of a site: its kind, its mean load [kW], half-hours by which it is late."""

    kind: Kind
    mean_kw: float
    shift: int


def size_of(request: Request, number: int) -> Size:
    """What a site is on every day."""
    return _size(request, _kind(request, number), np.random.default_rng([request.seed, number]))


def mean_load_kw(request: Request, number: int) -> float:
    """Mean load over a year of a site, without rooms and cars. [kW]"""
    return size_of(request, number).mean_kw


def _size(request: Request, kind: Kind, rng: np.random.Generator) -> Size:
    """Sizes have mean 1."""
    size = math.exp(rng.normal(0.0, kind.spread) - kind.spread**2 / 2.0)
    shift = 0 if request.exchangeable else int(rng.integers(-2, 3))
    return Size(kind, kind.year_mwh * size * 1000.0 / 8760.0, shift)


class _Draw:
    """One site being drawn; everything in the order of the random numbers."""

    def __init__(
        self, request: Request, kind: Kind, rng: np.random.Generator, pools: Pools, sky: Sky
    ) -> None:
        self.request, self.kind, self.rng, self.pools, self.sky = request, kind, rng, pools, sky
        self.n = request.slots
        size = _size(request, kind, rng)
        self.mean_kw, self.shift = size.mean_kw, size.shift

    def problem(self, name: str) -> Problem:
        """The whole site."""
        request, rng = self.request, self.rng
        load = self._load_kw()
        wide = rng.uniform(0.04, 0.15)
        zones, cars, batteries = self._zones(), self._cars(), self._batteries()
        pv = self._pv()
        hvac_kw = sum(zone.max_electric_kw for zone in zones)
        cars_kw = sum(car.max_charge_kw for car in cars)
        home = self.kind.name == "home"
        highest = float(load.max()) * (1.0 + wide) + 0.55 * hvac_kw + (0.8 if home else 0.35) * cars_kw
        contract = highest * rng.uniform(1.1, 1.35) + (2.0 if home else 0.0)
        price, sell = self._prices()
        return Problem(
            site=name,
            made_at=request.grid.start,
            grid=request.grid,
            load_p10_kw=_told(load * (1.0 - wide)),
            load_p50_kw=_told(load),
            load_p90_kw=_told(load * (1.0 + wide)),
            outdoor_c=_told(self.sky.outdoor_c),
            price_yen_per_kwh=_told(price),
            sell_yen_per_kwh=_told(sell) if pv else (),
            tight=(False,) * self.n,
            limits=SiteLimits(
                contract_kw=round(contract, 1),
                peak_memory_kw=round(contract * (1.0 if home else rng.uniform(0.8, 0.95)), 1),
                peak_yen_per_kw=0.0 if home else BASIC_YEN_PER_KW_MONTH * int(rng.integers(2, 11)),
                import_margin_kw=0.0,
                max_export_kw=round(max((max(array.p90_kw) for array in pv), default=0.0) * 1.3, 1),
            ),
            cars=cars, zones=zones, pv=pv, batteries=batteries,
        )  # fmt: skip

    def _load_kw(self) -> FloatArray:
        pool, whole = self.pools.loads[self.kind.name], -(-self.n // SLOTS)
        days = [pool.draw(self.request.day + timedelta(days=k), self.rng) for k in range(whole)]
        shape = np.roll(np.concatenate(days), self.shift)[: self.n]
        noise = np.exp(self.rng.normal(0.0, 0.03, self.n))
        return np.maximum(0.02 * self.mean_kw, self.mean_kw * shape * noise)

    def _prices(self) -> tuple[FloatArray, FloatArray]:
        """Prices of energy bought and sold: flat, two or three steps, each supplier a little different."""
        hour = (np.arange(self.n) % SLOTS) / 2.0
        low, middle, high = 17.0, 22.0, 28.0
        if self.kind.name == "home":
            low, middle, high = 21.0, 29.0, 36.0
        style = int(self.rng.integers(3))
        price = np.full(self.n, middle)
        if style >= 1:
            price[(hour < 7.0) | (hour >= 23.0)] = low
        if style == 2:
            price[(hour >= 16.0) & (hour < 20.0)] = high
        price = price + self.rng.uniform(-1.0, 1.0)
        sold = 16.0 if self.rng.random() < 0.3 else 9.0  # feed-in tariff, or what comes after it
        return price, np.minimum(np.full(self.n, sold), price - 0.5)

    def _pv(self) -> tuple[PvProblem, ...]:
        if self.rng.random() >= self.kind.pv:
            return ()
        peak_kw = (
            self.rng.uniform(3.0, 8.0)
            if self.kind.name == "home"
            else self.mean_kw * self.rng.uniform(0.6, 2.5)
        )
        # 0.8 of the nameplate at 1 kW/m2 on the ground: a flat roof, all losses together
        median = 0.8 * peak_kw * self.sky.ghi / 1000.0 * self.rng.uniform(0.85, 1.0)
        most = np.minimum(peak_kw, median * 1.4)
        return (
            PvProblem(
                id=AssetId("roof"), p10_kw=_told(0.45 * median), p50_kw=_told(median), p90_kw=_told(most)
            ),
        )

    def _batteries(self) -> tuple[StorageProblem, ...]:
        if self.rng.random() >= self.kind.battery:
            return ()
        kwh = (
            self.rng.uniform(5.0, 13.0)
            if self.kind.name == "home"
            else self.mean_kw * self.rng.uniform(1.0, 4.0)
        )
        power = kwh * self.rng.uniform(0.25, 0.5)
        return (
            StorageProblem(
                id=AssetId("battery"), capacity_kwh=kwh, soc0_kwh=kwh * self.rng.uniform(0.3, 0.7),
                reserve_kwh=0.2 * kwh, max_charge_kw=power, max_discharge_kw=power,
                charge_efficiency=0.95, discharge_efficiency=0.95, wear_yen_per_kwh=4.0,
            ),
        )  # fmt: skip

    def _zones(self) -> tuple[ZoneProblem, ...]:
        number = int(self.rng.integers(self.kind.zones[0], self.kind.zones[1] + 1))
        month = self.request.day.month
        sign = 1 if month in _WINTER else -1 if month in _SUMMER else 0
        return tuple(self._zone(k, number, sign) for k in range(number))

    def _zone(self, k: int, number: int, sign: int) -> ZoneProblem:
        """A room in the reference factory's proportions: per kW of its unit 0.75 kWh/K and 0.06 kW/K."""
        rng, outdoor = self.rng, self.sky.outdoor_c
        most = max(0.6, self.kind.hvac_share * self.mean_kw / number * rng.uniform(0.7, 1.4))
        hour = (np.arange(self.n) % SLOTS) / 2.0
        weekday = np.array(
            [(self.request.day + timedelta(days=t // SLOTS)).weekday() < 5 for t in range(self.n)]
        )
        opens, closes = rng.uniform(6.5, 9.5), rng.uniform(17.0, 22.0)
        busy = (hour >= opens) & (hour < closes) & weekday
        if self.kind.name == "home":
            busy = (
                (hour >= 6.0) & (hour < opens)
                | (hour >= 16.5) & (hour < 23.0)
                | ~weekday & (hour >= 7.0) & (hour < 23.0)
            )
        wanted = rng.uniform(19.0, 21.5) if sign > 0 else rng.uniform(24.0, 26.0)
        low, high = wanted - rng.uniform(0.5, 1.5), wanted + rng.uniform(1.0, 3.0)
        back = rng.uniform(10.0, 14.0)
        cop = (
            np.clip(2.9 + 0.06 * outdoor, 1.8, 4.5)
            if sign >= 0
            else np.clip(4.4 - 0.06 * (outdoor - 25.0), 2.5, 5.0)
        )
        still, begins = (
            sign == 0,
            wanted + rng.uniform(-2.0, 1.0),
        )  # drawn in every season: a site stays itself
        return ZoneProblem(
            id=AssetId(f"room-{k + 1}"),
            temp0_c=20.0 if still else begins,
            capacitance_kwh_per_k=0.75 * most * rng.uniform(0.6, 1.5),
            loss_kw_per_k=0.06 * most * rng.uniform(0.6, 1.2),
            max_electric_kw=round(most, 2),
            mode_sign=(sign,) * self.n,
            cop=_told(cop),
            gain_kw=_told(np.where(busy, 0.3, 0.08) * most),
            low_c=(-20.0,) * self.n if still else _told(np.where(busy, low, back)),
            high_c=(60.0,) * self.n if still else _told(np.where(busy, high, 40.0)),
        )  # fmt: skip

    def _cars(self) -> tuple[CarProblem, ...]:
        least, most = self.kind.chargers
        number = int(self.rng.integers(least, most + 1))
        if self.kind.name == "home" and self.rng.random() < 0.4:
            number = 0
        both_ways = self.rng.random() < 0.45  # the site has bidirectional chargers
        make = self._night_car if self.kind.night else self._day_car
        return tuple(make(k, both_ways) for k in range(number))

    def _battery_of_car(self) -> tuple[float, float]:
        capacity = float(self.rng.choice([20.0, 40.0, 60.0, 66.0]))
        return capacity, 3.0 if capacity == 20.0 and self.rng.random() < 0.6 else 6.0

    def _day_car(self, k: int, both_ways: bool) -> CarProblem:
        """A visit to the workplace, each day another one: it comes, is charged, and leaves as promised."""
        arrive, stay, energy = self.pools.visits.draw(self.rng)
        first = min(SLOTS - 3, max(1, math.ceil(2.0 * arrive) + self.shift))
        last = min(SLOTS - 1, max(first + 2, math.floor(2.0 * (arrive + stay)) + self.shift))
        plugged = np.array([first <= t % SLOTS < last for t in range(self.n)])
        capacity, power = self._battery_of_car()
        energy = min(energy, 0.85 * 0.93 * power * (last - first) / 2.0, 0.55 * capacity)
        soc0 = capacity * self.rng.uniform(0.25, 0.4)
        wanted = soc0 + energy
        drive = np.zeros(self.n)
        promises, stays = (
            [],
            [t for t in range(1, self.n + 1) if plugged[t - 1] and (t == self.n or not plugged[t])],
        )
        for leaves in stays:
            if leaves < self.n:
                promises.append(Promise(index=leaves, soc_kwh=round(wanted, 3)))
                drive[leaves] = energy
        return self._car(
            k, capacity, power, both_ways, soc0=soc0, plugged=plugged, drive=drive, promises=promises
        )

    def _night_car(self, k: int, both_ways: bool) -> CarProblem:
        """A commuter's or a family's car at home: away in the day, charged over night."""
        leaves, returns = int(self.rng.integers(13, 18)), int(self.rng.integers(33, 42))
        capacity, power = self._battery_of_car()
        plugged = np.array([not leaves <= t % SLOTS < returns for t in range(self.n)])
        soc0 = capacity * self.rng.uniform(0.35, 0.6)
        wanted = min(
            0.9 * capacity, soc0 + 0.8 * 0.93 * power * leaves / 2.0, capacity * self.rng.uniform(0.6, 0.85)
        )
        wanted = max(wanted, soc0)
        trip = min(capacity * self.rng.uniform(0.1, 0.3), wanted - 0.2 * capacity)
        drive = np.zeros(self.n)
        promises = []
        for t in range(1, self.n):
            if t % SLOTS == leaves:
                promises.append(Promise(index=t, soc_kwh=round(wanted, 3)))
                drive[t] = trip
        return self._car(
            k, capacity, power, both_ways, soc0=soc0, plugged=plugged, drive=drive, promises=promises
        )

    def _car(
        self, k: int, capacity: float, power: float, both_ways: bool, *,
        soc0: float, plugged: np.ndarray, drive: FloatArray, promises: Sequence[Promise],
    ) -> CarProblem:  # fmt: skip
        consents = both_ways and self.rng.random() < 0.7  # the driver said yes to giving back
        efficiency = round(float(self.rng.uniform(0.9, 0.95)), 3)
        return CarProblem(
            id=AssetId(f"car-{k + 1}"), capacity_kwh=capacity, soc0_kwh=round(soc0, 3),
            floor_kwh=round(0.2 * capacity, 3), ceiling_kwh=round(0.95 * capacity, 3),
            max_charge_kw=power, max_discharge_kw=power if both_ways else 0.0,
            charge_efficiency=efficiency, discharge_efficiency=efficiency, wear_yen_per_kwh=5.0,
            plugged=tuple(bool(here) for here in plugged), drive_kwh=_told(drive),
            may_discharge=(bool(consents),) * self.n, promises=tuple(promises),
            discharge_value_yen_per_kwh=(0.0,) * self.n,
        )  # fmt: skip


def _told(values: FloatArray) -> tuple[float, ...]:
    """Values as a problem holds them: thousandths."""
    return tuple(np.round(values, 3).tolist())
