"""The world of a scenario: load, weather, sun on the roof, people, tight evenings.

Nothing here is known to the controller except through the store: measurements after they were read, weather
forecasts after they were issued, events after they were announced.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from energy.core.assets import Trip, expand_trips
from energy.core.errors import DataError, GapError
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import JST, Slot, jst_midnight
from energy.ledger import TightEvent
from vpp.simulation.scenario import ForecastErrors, LoadSource, PeopleErrors, Scenario, TightEvening

__all__ = ["LoadProfile", "StandardYear", "WeatherForecast", "actual_trips", "issues_between", "tight_events"]

_HOUR = timedelta(hours=1)


class LoadProfile:
    """A measured load on other dates: a day shows the source's day of the same ISO week and weekday.

    Parameters
    ----------
    source : LoadSource
        Which file, its step, year and scale.
    folder : Path
        Folder of the scenario.
    """

    def __init__(self, source: LoadSource, folder: Path) -> None:
        self._source = source
        self._path = folder / source.file
        self._per_day = 24 * 60 // source.step_minutes
        self._days = self._read()

    @property
    def step(self) -> timedelta:
        """Length of the source's intervals."""
        return timedelta(minutes=self._source.step_minutes)

    def _read(self) -> dict[date, FloatArray]:
        days: dict[date, FloatArray] = {}
        for number, row in _rows(self._path, ("start", "energy_kwh")):
            try:
                start = datetime.fromisoformat(row[0])
                energy = float(row[1])
            except ValueError as error:
                raise DataError(
                    "a row of the load cannot be read", where=f"{self._path}, line {number}: {error}"
                ) from None
            quarter, rest = divmod(start.hour * 60 + start.minute, self._source.step_minutes)
            if rest or energy < 0 or not math.isfinite(energy):
                raise DataError(
                    "a row of the load is impossible",
                    where=f"{self._path}, line {number}: {','.join(row)}",
                    hint=f"starts lie on {self._source.step_minutes} minutes, energies are >= 0",
                )
            day = days.setdefault(start.date(), np.full(self._per_day, np.nan))
            day[quarter] = energy
        return days

    def first_day(self, year: int) -> date:
        """First day of an ISO year that the source covers completely from there on."""
        return min(self._as_of_year(day, year) for day in self._days)

    def _as_of_year(self, source_day: date, year: int) -> date:
        _, week, weekday = source_day.isocalendar()
        try:
            return date.fromisocalendar(year, week, weekday)
        except ValueError:
            return date.fromisocalendar(year, 52, weekday)

    def power_kw(self, day: date) -> FloatArray:
        """Mean powers of a day, one per step. [kW]

        Raises
        ------
        DataError
            If the source has no such day.
        """
        _, week, weekday = day.isocalendar()
        try:
            source_day = date.fromisocalendar(self._source.source_year, week, weekday)
        except ValueError:
            source_day = date.max
        values = self._days.get(source_day)
        if values is None:
            covered = sorted(self._days)
            raise DataError(
                f"the load of this scenario has no day for {day}",
                where=f"{self._path.name} covers ISO weeks {_week(covered[0])} to {_week(covered[-1])}",
                hint="choose other dates, or a scenario with another load",
            )
        return values * (self._source.scale * 60.0 / self._source.step_minutes)

    def series(self, start: datetime, end: datetime, *, step: timedelta, drawn: bool = False) -> Series:
        """Load on a grid, held within the source's steps; NaN where the source has a gap. [kW]

        Parameters
        ----------
        drawn : bool
            Whether days show the later weeks that the scenario names for them.
        """
        grid = Grid.between(start, end, step)
        values = np.empty(grid.count)
        later = self._source.later_weeks if drawn else {}
        for day, rows in _by_local_day(grid):
            minutes = np.array([_minute_of_day(grid.time(int(k))) for k in rows])
            shown = day + timedelta(weeks=later.get(day, 0))
            values[rows] = self.power_kw(shown)[minutes // self._source.step_minutes]
        return Series(grid, values, Unit.KW)

    def require(self, start: datetime, end: datetime) -> None:
        """See to it that every step of ``[start, end)`` is there.

        Raises
        ------
        GapError
            If the load has a gap in the stretch.
        """
        series = self.series(start, end, step=self.step, drawn=True)
        gaps = series.missing()
        if gaps:
            first, last = gaps[0]
            hours = sum((b - a) / _HOUR for a, b in gaps)
            raise GapError(
                f"the load has {len(gaps)} gap(s), {hours:g} hours in all",
                where=f"{self._path.name}: the first from {first.astimezone(JST):%Y-%m-%d %H:%M} "
                f"to {last.astimezone(JST):%Y-%m-%d %H:%M}",
                hint="choose days without a gap, or mend the file",
            )


def _week(day: date) -> str:
    _, week, weekday = day.isocalendar()
    return f"{week}-{weekday}"


@dataclass(frozen=True, slots=True)
class Sky:
    """Weather on a grid: temperature in degC, irradiances in W/m2."""

    grid: Grid
    outdoor_c: FloatArray
    ghi: FloatArray
    dni: FloatArray
    dhi: FloatArray
    clear_ghi: FloatArray


class StandardYear:
    """A standard weather year (拡張アメダス), the same every year; hourly values, straight lines between."""

    def __init__(self, path: Path, *, shift_days: int = 0) -> None:
        self._shift = timedelta(days=shift_days)
        columns = ("time", "outdoor_c", "dni_w_m2", "dhi_w_m2", "sun_height_deg")
        table = np.array([[float(cell) for cell in row[1:]] for _, row in _rows(path, columns)])
        if table.shape != (8760, 4):
            raise DataError(
                "not a standard year", where=f"{path}: {table.shape[0]} rows", hint="8,760 are needed"
            )
        outdoor, dni, dhi, height = table.T
        # Haurwitz (1945), clear-sky global irradiance from the cosine of the zenith angle.
        cosz = np.clip(np.sin(np.radians(height)), 0.0, 1.0)
        with np.errstate(divide="ignore", over="ignore"):
            clear = np.where(cosz > 0, 1098.0 * cosz * np.exp(-0.057 / np.maximum(cosz, 1e-3)), 0.0)
        self._table = np.stack([outdoor, dhi + dni * cosz, dni, dhi, clear])

    def sky(self, grid: Grid) -> Sky:
        """Weather at the middle of each interval of a grid."""
        middle = [grid.time(k) + grid.step / 2 + self._shift for k in range(grid.count)]
        hours = np.array([_hour_of_year(instant) for instant in middle])
        below = np.floor(hours).astype(int)
        share = hours - below
        # Row k of the file is the value at k+1 o'clock, so hour h lies between rows h-1 and h.
        left, right = self._table[:, (below - 1) % 8760], self._table[:, below % 8760]
        outdoor, ghi, dni, dhi, clear = left * (1 - share) + right * share
        return Sky(grid, outdoor, ghi, dni, dhi, clear)


@dataclass(frozen=True, slots=True)
class WeatherForecast:
    """One issue of the weather forecast, on slots."""

    issued_at: datetime
    outdoor_c: Series
    ghi_w_m2: Series


def issue_forecast(year: StandardYear, errors: ForecastErrors, issued_at: datetime) -> WeatherForecast:
    """Weather forecast of the simulated world: the truth with errors that grow with the lead.

    ``sd(lead) = sd_1d * sqrt(1/9 + 8/9 * lead / 24 h)``; errors are AR(1) along the lead, with correlation
    0.98 per half hour for the temperature and 0.90 for the clouds. The clouds' error is relative to the clear
    sky. Seeded by scenario and issue, so that a repeated run sees the same forecasts.
    """
    grid = Grid(issued_at, errors.horizon_hours * 2)
    sky = year.sky(grid)
    rng = np.random.default_rng([errors.seed, int(issued_at.timestamp()) // 3600])
    lead_h = (np.arange(grid.count) + 0.5) / 2
    growth = np.sqrt(1 / 9 + 8 / 9 * lead_h / 24)
    outdoor = sky.outdoor_c + errors.temperature_sd_c * growth * _ar1(rng, grid.count, 0.98)
    clearness = errors.clearness_sd * growth * _ar1(rng, grid.count, 0.90)
    ghi = np.clip(sky.ghi + clearness * sky.clear_ghi, 0.0, 1.1 * sky.clear_ghi)
    return WeatherForecast(
        issued_at,
        Series(grid, outdoor, Unit.CELSIUS, issued_at),
        Series(grid, ghi, Unit.W_PER_M2, issued_at),
    )


def issues_between(errors: ForecastErrors, start: datetime, end: datetime) -> list[datetime]:
    """Issue times in ``[start, end)``, on the UTC hours the scenario names."""
    hour = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    count = int((end - hour) / _HOUR) + 1
    candidates = (hour + k * _HOUR for k in range(count))
    return [at for at in candidates if start <= at < end and at.hour % errors.every_hours == 0]


def actual_trips(site: Site, people: PeopleErrors, start: datetime, end: datetime) -> tuple[Trip, ...]:
    """What people really do: the calendar's trips with other energies and late returns, seeded per trip."""
    actual = []
    for vehicle, patterns in site.trips.items():
        planned = expand_trips(vehicle, patterns, start - timedelta(days=8), end + timedelta(days=8))
        for trip, following in zip(planned, (*planned[1:], None), strict=True):
            rng = np.random.default_rng([people.seed, _number(vehicle), int(trip.departs.timestamp())])
            energy = trip.energy_kwh * max(0.5, 1.0 + people.energy_sd * float(rng.standard_normal()))
            delay = min(90.0, float(rng.exponential(1.0)) * people.late_return_minutes)
            returns = trip.returns + timedelta(minutes=round(delay))
            if following is not None:
                returns = max(trip.returns, min(returns, following.departs - timedelta(minutes=15)))
            if returns > start and trip.departs < end:
                actual.append(
                    Trip(
                        vehicle=vehicle,
                        departs=trip.departs,
                        returns=returns,
                        energy_kwh=energy,
                        promise_soc=trip.promise_soc,
                    )
                )
    return tuple(sorted(actual, key=lambda trip: (trip.departs, trip.vehicle)))


def tight_events(rule: TightEvening | None, start: datetime, end: datetime) -> tuple[TightEvent, ...]:
    """Tight-supply events that touch ``[start, end)``."""
    if rule is None:
        return ()
    events = []
    first = start.astimezone(JST).date() - timedelta(days=1)
    for offset in range((end - start).days + 3):
        day = first + timedelta(days=offset)
        begins = datetime.combine(day, rule.begins, tzinfo=JST)
        ends = datetime.combine(day, rule.ends, tzinfo=JST)
        if day.weekday() == rule.weekday.number and ends > start and begins < end:
            announced = datetime.combine(day - timedelta(days=1), rule.announced, tzinfo=JST)
            events.append(
                TightEvent(
                    id=f"tight-{day.isoformat()}",
                    start=Slot(begins),
                    end=Slot(ends),
                    level=rule.level,
                    known_at=announced,
                )
            )
    return tuple(events)


def standard_year(scenario: Scenario, folder: Path) -> StandardYear:
    """The scenario's weather."""
    weather = scenario.world.weather
    return StandardYear(folder / weather.file, shift_days=weather.shift_days)


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, list[str]]]:
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except FileNotFoundError:
        raise DataError("a file of the scenario is missing", where=str(path)) from None
    except (OSError, UnicodeDecodeError, EOFError) as error:
        raise DataError(
            "a file of the scenario cannot be read",
            where=f"{path}: {error}",
            hint="it must be gzipped CSV in UTF-8",
        ) from None
    if not rows or tuple(rows[0]) != columns:
        raise DataError(
            "a file of the scenario has other columns",
            where=f"{path}, line 1: {','.join(rows[0]) if rows else '(empty)'}",
            hint=f"expected {','.join(columns)}",
        )
    bad = next((n for n, row in enumerate(rows[1:], start=2) if len(row) != len(columns)), None)
    if bad is not None:
        raise DataError("a row has another number of cells", where=f"{path}, line {bad}")
    return list(enumerate(rows[1:], start=2))


def _by_local_day(grid: Grid) -> list[tuple[date, NDArray[np.int64]]]:
    days = np.array([grid.time(k).astimezone(JST).toordinal() for k in range(grid.count)])
    return [(date.fromordinal(int(day)), np.flatnonzero(days == day)) for day in np.unique(days)]


def _minute_of_day(instant: datetime) -> int:
    return int((instant - jst_midnight(instant.astimezone(JST).date())) / timedelta(minutes=1))


def _hour_of_year(instant: datetime) -> float:
    """Hours since 1 January 00:00 Japanese time, in a year of 365 days (29 February shows the 28th)."""
    local = instant.astimezone(JST)
    day = local.date()
    if (day.month, day.day) == (2, 29):
        day = day.replace(day=28)
    ordinal = day.replace(year=2001).timetuple().tm_yday - 1
    return ordinal * 24 + local.hour + local.minute / 60 + local.second / 3600


def _ar1(rng: np.random.Generator, count: int, correlation: float) -> FloatArray:
    noise = rng.standard_normal(count)
    fresh = math.sqrt(1 - correlation**2)
    out = np.empty(count)
    out[0] = noise[0]
    for k in range(1, count):
        out[k] = correlation * out[k - 1] + fresh * noise[k]
    return out


def _number(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
