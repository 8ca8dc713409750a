"""Real days to draw sites from: loads as multiples of their mean, visits of cars to a workplace.

What the repository ships suffices; a folder of published data that may not be shipped makes the draw richer.
Every pool says where its days come from and whether they are shipped.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from energy.core.errors import DataError
from energy.core.series import FloatArray
from vpp.simulation.scenario import scenarios_root

__all__ = ["DayPool", "Pools", "VisitPool", "load_pools"]

SLOTS: Final = 48
_NEAREST: Final = 12  # days of the same season among which one is drawn
# Stated assumption where no sessions are at hand: commuters of a works with one shift.
_ASSUMED_VISITS: Final = 400
_ARRIVE_H, _ARRIVE_SD_H = 8.3, 0.7
_STAY_H, _STAY_SD_H = 8.7, 1.2
_ENERGY_KWH, _ENERGY_LOG_SD = 8.0, 0.6


@dataclass(frozen=True, slots=True)
class DayPool:
    """Days of one kind of load.

    Parameters
    ----------
    shipped : bool
        Whether the days are in the repository, so that everybody draws the same.
    shapes : ndarray, shape (days, 48)
        Power as a multiple of the mean of the record. [-]
    work : ndarray of bool
        Whether each day is one of Monday to Friday.
    season : ndarray
        Day of the year of each day, 0 to 365.
    """

    name: str
    source: str
    shipped: bool
    shapes: FloatArray
    work: NDArray[np.bool_]
    season: FloatArray

    def draw(self, day: date, rng: np.random.Generator) -> FloatArray:
        """A day of the same season and the same kind of weekday. [-]"""
        apart = np.abs(self.season - day.timetuple().tm_yday)
        apart = np.minimum(apart, 366.0 - apart) + 1000.0 * (self.work != (day.weekday() < 5))
        near = np.argsort(apart, kind="stable")[:_NEAREST]
        shape: FloatArray = self.shapes[int(rng.choice(near))]
        return shape


@dataclass(frozen=True, slots=True)
class VisitPool:
    """Visits of cars to a workplace: hour of arrival, hours of stay, energy. [h, h, kWh]"""

    source: str
    shipped: bool
    arrive_h: FloatArray
    stay_h: FloatArray
    energy_kwh: FloatArray

    def draw(self, rng: np.random.Generator) -> tuple[float, float, float]:
        """One visit."""
        k = int(rng.integers(len(self.arrive_h)))
        return float(self.arrive_h[k]), float(self.stay_h[k]), float(self.energy_kwh[k])


@dataclass(frozen=True, slots=True)
class Pools:
    """All that sites are drawn from."""

    loads: dict[str, DayPool]
    visits: VisitPool

    def sources(self) -> list[dict[str, object]]:
        """Name, origin and whether it is shipped, of every pool."""
        told: list[dict[str, object]] = [
            {"pool": name, "source": pool.source, "shipped": pool.shipped, "days": len(pool.shapes)}
            for name, pool in self.loads.items()
        ]
        visits = self.visits
        return [
            *told,
            {
                "pool": "visits",
                "source": visits.source,
                "shipped": visits.shipped,
                "visits": len(visits.stay_h),
            },
        ]


@lru_cache(maxsize=4)
def load_pools(data: Path | None = None) -> Pools:
    """The shipped pools, each replaced by a richer one where the data folder has it.

    Raises
    ------
    DataError
        If a file of the data folder is there and cannot be read.
    """
    root = scenarios_root()
    works = _pool(
        "works", "UCI 851 steel works, Korea 2018", True, _csv(root / "kitakata/load_15min_2018.csv.gz")
    )
    office = _pool(
        "office",
        "Building Data Genome 2, one office, 2016",
        True,
        _csv(root / "city-hall/load_60min_2016.csv.gz"),
    )
    homes = _pool(
        "home", "CityLearn 2022, twelve households, 2016-17", True, _csv(root / "homes_60min_2016.csv.gz")
    )
    loads = {
        "home": homes,
        "office": office,
        "campus": _renamed(office, "campus", "in its place: "),
        "works": works,
        "quarter": _sum_of(homes),
    }
    visits = _assumed_visits()
    if data is not None:
        loads |= _from_folder(data)
        sessions = data / "ev/acn_jpl_sessions_20181008_20190831.parquet"
        visits = _acn(sessions) if sessions.is_file() else visits
    return Pools(loads, visits)


def _from_folder(data: Path) -> dict[str, DayPool]:
    """Pools that may not be shipped or are larger than what is."""
    import pandas as pd

    found: dict[str, DayPool] = {}
    homes = sorted((data / "household/citylearn2022").glob("Building_*.csv.gz"))
    if homes:
        stamps = [datetime(2016, 8, 1) + k * timedelta(hours=1) for k in range(364 * 24)]  # noqa: DTZ001
        columns = []
        for path in homes:
            values = pd.read_csv(path)["non_shiftable_load"].to_numpy(dtype=float)[1 : 1 + len(stamps)]
            columns.append(values)
        rows = list(zip(stamps, *columns, strict=True))
        found["home"] = _pool("home", "CityLearn 2022, twelve households, every day", False, rows)
    campus = data / "building/chamchuri_cham1_cham3_cham5_hourly_201807_201902.parquet"
    if campus.is_file():
        table = pd.read_parquet(campus)
        stamps = table["Datetime"].dt.to_pydatetime().tolist() if hasattr(table["Datetime"], "dt") else []
        rows = list(
            zip(
                stamps,
                *(table[name].to_numpy(dtype=float) for name in ("CHAM1", "CHAM3", "CHAM5")),
                strict=True,
            )
        )
        found["campus"] = _pool("campus", "Chulalongkorn University, three buildings, 2018-19", False, rows)
    zones = data / "load_weather/tetouan_10min_zone1_zone2_2017_jan_aug.parquet"
    if zones.is_file():
        table = pd.read_parquet(zones).set_index("Date")[["Zone1", "Zone2"]].resample("30min").mean()
        rows = list(
            zip(
                list(pd.DatetimeIndex(table.index).to_pydatetime()),
                *table.to_numpy(dtype=float).T,
                strict=True,
            )
        )
        found["quarter"] = _pool("quarter", "Tetouan, two zones of a city, 2017", False, rows)
    return found


def _acn(path: Path) -> VisitPool:
    """ACN-Data, JPL: times are UTC without a zone; a visit within one local day counts."""
    import pandas as pd

    table = pd.read_parquet(path)
    arrive = table["ConnectionStartDateTime"].dt.tz_localize("UTC").dt.tz_convert("America/Los_Angeles")
    hour = (arrive.dt.hour + arrive.dt.minute / 60.0).to_numpy(dtype=float)
    stay, energy = (table[name].to_numpy(dtype=float) for name in ("ConnectionHours", "Energy"))
    good = (arrive.dt.day_of_week.to_numpy() < 5) & (stay >= 1.0) & (hour + stay <= 23.5) & (energy > 0.5)
    return VisitPool("ACN-Data, JPL, 2018-19", False, hour[good], stay[good], energy[good])


def _assumed_visits() -> VisitPool:
    rng = np.random.default_rng(20261122)
    stay = np.clip(rng.normal(_STAY_H, _STAY_SD_H, _ASSUMED_VISITS), 2.0, 12.0)
    arrive = np.clip(rng.normal(_ARRIVE_H, _ARRIVE_SD_H, _ASSUMED_VISITS), 5.0, 11.0)
    energy = np.minimum(_ENERGY_KWH * np.exp(rng.normal(0.0, _ENERGY_LOG_SD, _ASSUMED_VISITS)), 30.0)
    text = "assumed commuters: arrival 8.3 h (sd 0.7), stay 8.7 h (sd 1.2), median 8 kWh"
    return VisitPool(text, True, arrive, stay, energy)


def _csv(path: Path) -> list[tuple[object, ...]]:
    """Rows of a shipped load: local start, then one energy per column."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            body = list(csv.reader(file))[1:]
    except OSError as error:
        raise DataError("a shipped load is missing", where=str(error), hint="reinstall aizu-vpp") from error
    return [(datetime.fromisoformat(row[0]), *map(float, row[1:])) for row in body]


def _pool(name: str, source: str, shipped: bool, rows: Iterable[tuple[object, ...]]) -> DayPool:
    """Whole days of all columns of a table, each column by its own mean."""
    days: dict[date, list[list[float]]] = {}
    for stamp, *values in rows:
        assert isinstance(stamp, datetime)
        days.setdefault(stamp.date(), []).append([float(value) for value in values])  # type: ignore[arg-type]
    most = max(len(table) for table in days.values())
    kept = {day: np.array(table) for day, table in days.items() if len(table) == most}
    stacked = np.array(list(kept.values()))  # days, steps, columns
    mean = np.nanmean(stacked, axis=(0, 1))
    scaled = np.moveaxis(stacked / mean, 2, 1).reshape(-1, most)
    owner = [day for day in kept for _ in range(stacked.shape[2])]
    slots = (
        np.repeat(scaled, SLOTS // most, axis=1)
        if most < SLOTS
        else scaled.reshape(-1, SLOTS, most // SLOTS).mean(axis=2)
    )
    good = np.isfinite(slots).all(axis=1) & (slots.min(axis=1) >= 0.0) & (slots.mean(axis=1) > 0.05)
    work = np.array([day.weekday() < 5 for day in owner])
    season = np.array([day.timetuple().tm_yday for day in owner], dtype=float)
    return DayPool(name, source, shipped, slots[good], work[good], season[good])


def _renamed(pool: DayPool, name: str, why: str) -> DayPool:
    return DayPool(name, why + pool.source, pool.shipped, pool.shapes, pool.work, pool.season)


def _sum_of(homes: DayPool, members: int = 12) -> DayPool:
    """A quarter of houses: sums of neighbouring rows of the pool."""
    whole = len(homes.shapes) // members * members
    shapes = homes.shapes[:whole].reshape(-1, members, SLOTS).mean(axis=1)
    return DayPool(
        "quarter", f"sums of {members} of: {homes.source}", homes.shipped, shapes,
        homes.work[:whole:members], homes.season[:whole:members],
    )  # fmt: skip
