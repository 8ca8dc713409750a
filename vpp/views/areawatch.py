"""The region at an instant, read from the store with a handful of questions however many sites there are.

Demand is the sum of the sites' uncontrolled load. What is bought for it is what the newest half-hour plans of
the day say (procurement less sales). The reserve margin is what the wide-area figure is (RULES-JP): supply
less demand, over demand, with cars that could give back counted as supply and named apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Final

import numpy as np

from energy.core.series import FloatArray, Grid
from energy.core.slots import JST, SLOT_HOURS, SLOT_LENGTH, SLOTS_PER_DAY, jst_midnight
from energy.core.units import SeriesId
from energy.market.plans import PlanKind
from energy.market.products import SupplyLevel, supply_level
from energy.store import Across, Store, StoredValue
from vpp.forecasts.errormap import made_within
from vpp.forecasts.issued import ISSUED, LOAD, Horizon
from vpp.settlement.plan_book import PlanBook
from vpp.site.sitebook import SITE, read_site

__all__ = ["LATE", "Area", "Flex", "SiteLine", "watch_area"]

LATE: Final = timedelta(hours=1)
"""A site whose newest load ended longer ago is late: one half hour to come, one for the way."""
_DEMAND: Final = f"/{LOAD}/demand_kw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flex:
    """What the plugged cars of a site could do now. [kW]

    ``up_kw`` takes load off the grid (give back), ``down_kw`` puts load on it (charge).
    """

    site: str
    cars: int
    up_kw: float
    down_kw: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteLine:
    """One site: its newest load and when that half hour ended."""

    site: str
    demand_kw: float | None
    until: datetime | None
    late: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """The region today and tomorrow, 96 half hours from midnight in Japan; NaN where nothing is known. [kW]

    Parameters
    ----------
    demand_kw, pv_kw : array
        Measured sums, of finished half hours.
    p10_kw, p50_kw, p90_kw : array
        Sums of the sites' day-ahead forecasts. Sums of P10 and P90 are wider than the region's own.
    planned_kw : array
        Procurement less sales of the newest demand plans.
    counted : array
        Sites whose load went into each half hour's sum.
    forecast_sites : tuple of int
        Sites with a forecast of today, and of tomorrow: fewer than all of them, and sums of forecasts say
        nothing about the region.
    """

    now: datetime
    starts: tuple[datetime, ...]
    demand_kw: FloatArray
    pv_kw: FloatArray
    p10_kw: FloatArray
    p50_kw: FloatArray
    p90_kw: FloatArray
    planned_kw: FloatArray
    counted: FloatArray
    flex: tuple[Flex, ...]
    sites: tuple[SiteLine, ...]
    forecast_sites: tuple[int, int]

    @property
    def present(self) -> int:
        """Place of the running half hour."""
        return int((self.now - self.starts[0]) // SLOT_LENGTH)

    @property
    def last(self) -> int | None:
        """Place of the newest half hour with a measured sum."""
        known = np.flatnonzero(np.isfinite(self.demand_kw))
        return int(known[-1]) if known.size else None

    @property
    def up_kw(self) -> float:
        """What cars could give back. [kW]"""
        return sum(one.up_kw for one in self.flex)

    @property
    def down_kw(self) -> float:
        """What cars could take. [kW]"""
        return sum(one.down_kw for one in self.flex)

    def expected_kw(self) -> FloatArray:
        """Measured where it is known, else the forecast. [kW]"""
        return np.where(np.isfinite(self.demand_kw), self.demand_kw, self.p50_kw)

    def reserve(self, place: int) -> float | None:
        """Reserve margin of a half hour, as a share of its demand; None without a plan or a demand."""
        demand, planned = self.expected_kw()[place], self.planned_kw[place]
        if not (np.isfinite(demand) and np.isfinite(planned)) or demand <= 0:
            return None
        return float((planned + self.up_kw - demand) / demand)

    def usage(self, place: int) -> float | None:
        """Demand over supply of a half hour; None without a plan."""
        reserve = self.reserve(place)
        return None if reserve is None else 1.0 / (1.0 + reserve) if reserve > -1.0 else None

    def level(self, place: int) -> SupplyLevel:
        """Level of the reserve margin by the rules of the day."""
        reserve = self.reserve(place)
        if reserve is None:
            return SupplyLevel.NORMAL
        day = self.starts[place].astimezone(JST).date()
        return supply_level(Decimal(str(round(100.0 * reserve, 2))), day)

    @property
    def forecast_ends(self) -> int:
        """Half hours from now on, of 24 hours, that are forecast for every site of the region."""
        ahead = self.p50_kw[self.present : self.present + SLOTS_PER_DAY]
        days = (np.arange(self.present, self.present + ahead.size) // SLOTS_PER_DAY).tolist()
        whole = [self.forecast_sites[day] >= len(self.sites) for day in days]
        missing = np.flatnonzero(~(np.isfinite(ahead) & np.array(whole, dtype=bool)))
        return int(missing[0]) if missing.size else ahead.size

    def tightest(self) -> int | None:
        """Half hour of the next 24 hours with the least reserve, or without a plan the highest demand."""
        ahead = range(self.present, min(self.present + SLOTS_PER_DAY, len(self.starts)))
        margins = {place: margin for place in ahead if (margin := self.reserve(place)) is not None}
        if margins:
            return min(margins, key=lambda place: margins[place])
        known = [place for place in ahead if np.isfinite(self.p50_kw[place])]
        return max(known, key=lambda place: float(self.p50_kw[place])) if known else None


def watch_area(store: Store, now: datetime) -> Area:
    """The region as the store knows it at an instant."""
    across = store.across(now)
    today = now.astimezone(JST).date()
    grid = Grid(jst_midnight(today), 2 * SLOTS_PER_DAY)
    demand, counted = across.totals(_DEMAND, grid)
    pv, _ = across.totals("/generation_kwh", grid)
    newest = across.latest(_DEMAND)
    sites = sorted(str(name).split("/")[0] for name in newest)
    quantiles = np.full((3, grid.count), np.nan)
    told = [0, 0]
    for ahead in (0, 1):
        made = _forecasts(across, sites, today + timedelta(days=ahead))
        told[ahead] = len(made)
        if made:
            part = slice(ahead * SLOTS_PER_DAY, (ahead + 1) * SLOTS_PER_DAY)
            quantiles[:, part] = np.sum(list(made.values()), axis=0)
    return Area(
        now=now,
        starts=tuple(grid.start + k * SLOT_LENGTH for k in range(grid.count)),
        demand_kw=_finished(demand, counted, now, grid),
        pv_kw=pv / SLOT_HOURS,
        p10_kw=quantiles[0],
        p50_kw=quantiles[1],
        p90_kw=quantiles[2],
        planned_kw=_planned(store, today),
        counted=counted,
        flex=tuple(_flex(across, now)),
        sites=tuple(_lines(newest, now)),
        forecast_sites=(told[0], told[1]),
    )


def _finished(demand: FloatArray, counted: FloatArray, now: datetime, grid: Grid) -> FloatArray:
    """Sums of half hours that are over, and to which not much fewer sites spoke than usual."""
    done = int((now - grid.start) // SLOT_LENGTH)
    usual = float(counted[:done].max()) if done else 0.0
    whole = (np.arange(grid.count) < done) & (counted >= 0.9 * usual)
    return np.where(whole, demand, np.nan)


def _lines(newest: Mapping[SeriesId, StoredValue], now: datetime) -> list[SiteLine]:
    found = []
    for name, one in newest.items():
        until = one.at + SLOT_LENGTH
        found.append(
            SiteLine(site=str(name).split("/")[0], demand_kw=one.value, until=until, late=now - until > LATE)
        )
    return sorted(found, key=lambda one: (not one.late, -(one.demand_kw or 0.0), one.site))


def _forecasts(across: Across, sites: Sequence[str], day: date) -> dict[str, FloatArray]:
    """P10, P50 and P90 of a day by site, of the newest day-ahead issue of each site that has one.

    An issue stands under the minute in which it was made, which is seldom that in which it was due.
    """
    beginnings = [f"{site}/{LOAD}/{Horizon.DAY_AHEAD.value}/" for site in sites]
    newest: dict[str, str] = {}
    for key, _ in across.keys(ISSUED, beginnings, *made_within([day])):
        site = key.split("/", 1)[0]
        newest[site] = max(key, newest.get(site, key))  # of one site by the instant of issue
    found = across.documents(ISSUED, sorted(newest.values()))
    read = {site: _quantiles(found[key].body) for site, key in newest.items()}
    return {site: values for site in sites if (values := read.get(site)) is not None}


@lru_cache(maxsize=4096)
def _quantiles(body: str) -> FloatArray | None:
    """P10, P50 and P90 of an issue of one day; its other fields are not looked at.

    An issue is asked for many times on its day, and never changes: what it says is kept by what it is.
    """
    told = json.loads(body)
    values = np.array([told["p10"], told["p50"], told["p90"]], dtype=np.float64)
    values.setflags(write=False)  # everybody gets the same one
    return values if values.shape == (3, SLOTS_PER_DAY) else None


def _planned(store: Store, today: date) -> FloatArray:
    """What the newest demand plans of today and tomorrow have bought. [kW]"""
    out = np.full(2 * SLOTS_PER_DAY, np.nan)
    for ahead in (0, 1):
        day = (today + timedelta(days=ahead)).isoformat()
        plans = [one.plan for one in PlanBook(store).day(day) if one.plan.kind is PlanKind.DEMAND]
        for slot in range(SLOTS_PER_DAY) if plans else ():
            bought = sum(plan.settlement_kwh(slot) for plan in plans)
            out[ahead * SLOTS_PER_DAY + slot] = bought / SLOT_HOURS
    return out


def _flex(across: Across, now: datetime) -> list[Flex]:
    """By site what its plugged cars could give and take, from values that are not late."""
    plugged = {str(name): one for name, one in across.latest("/plugged").items()}
    charge = {str(name): one for name, one in across.latest("/soc").items()}
    here = sorted({name.split("/")[0] for name in plugged})
    found = []
    for site, document in sorted(across.documents(SITE, here).items()):
        cars, up, down = 0, 0.0, 0.0
        told = read_site(document.body)
        chargers = {str(one.id): one for one in told.chargers}
        for car in told.vehicles:
            place, soc = plugged.get(f"{site}/{car.id}/plugged"), charge.get(f"{site}/{car.id}/soc")
            charger = chargers.get(str(car.charger))
            if place is None or soc is None or charger is None or not place.value or soc.value is None:
                continue
            if now - place.at > LATE + SLOT_LENGTH:
                continue
            cars += 1
            up += charger.max_discharge_kw if soc.value > car.soc_min else 0.0
            down += charger.max_charge_kw if soc.value < 1.0 else 0.0
        if cars:
            found.append(Flex(site=site, cars=cars, up_kw=up, down_kw=down))
    return found
