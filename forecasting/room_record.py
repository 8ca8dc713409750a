"""What was measured in a room, made ready to learn from: checked, on one grid, with what was set aside.

Nothing is guessed quietly: short gaps of the inputs are bridged, long ones cut the record into stretches, a
sensor that hangs is taken for missing, and each of these is counted. Units that cannot be meant are refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from energy.core.calendar import DayType, SiteCalendar
from energy.core.errors import AlignmentError, DataError
from energy.core.series import FloatArray, Grid

__all__ = ["RoomRecord", "RoomSeries", "ready"]

BoolArray = NDArray[np.bool_]

FIT_STEP: Final = timedelta(minutes=15)  # a room's air answers within the hour; finer steps only cost time
MOST_STEPS: Final = 5_000  # of the grid of a fit; a longer record is learned from on a coarser one
COARSEST: Final = timedelta(minutes=60)
BRIDGE_WEATHER: Final = timedelta(hours=3)  # weather moves slowly
BRIDGE_POWER: Final = timedelta(hours=1)
SHORTEST_STRETCH: Final = timedelta(hours=36)
ROOM_RANGE_C: Final = (-20.0, 50.0)  # beyond it a sensor is broken, not a room uncomfortable
OUTDOOR_RANGE_C: Final = (-50.0, 56.7)  # the highest on record: Death Valley 1913 (WMO)
HIGHEST_GHI: Final = 1500.0  # W/m2; the sun outside of the air gives 1361, clouds at the edge may add to it
STUCK_H: Final = 12.0
STUCK_RUNS: Final = 6.0  # times the longest run that is usual (its 98th percentile)
BROKEN_SHARE: Final = 0.05  # more impossible values than that are no accident


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomRecord:
    """A room's history on its own grid; NaN where nothing is known.

    Parameters
    ----------
    grid : Grid
        Steps of one minute to one hour, labelled by their starts.
    room_c, outdoor_c : ndarray, shape (grid.count,)
        Temperatures. [degC]
    hvac_kw : ndarray, shape (grid.count,)
        Electric power of the air conditioner. [kW]
    mode : ndarray, shape (grid.count,)
        +1 heating, -1 cooling, 0 off.
    ghi_w_m2 : ndarray or None
        Global horizontal irradiance; None if nobody measures it. [W/m2]
    zone : ZoneInfo
        Of the clock that people in the room live by.
    calendar : SiteCalendar
        On which days they work.
    label : float or None
        To which step the inputs of a row belong (:meth:`RoomSeries.shifted`); looked for if nobody knows.
    """

    grid: Grid
    room_c: FloatArray
    outdoor_c: FloatArray
    hvac_kw: FloatArray
    mode: FloatArray
    ghi_w_m2: FloatArray | None = None
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("Asia/Tokyo"))
    calendar: SiteCalendar = field(default_factory=SiteCalendar)
    label: float | None = None

    def __post_init__(self) -> None:
        for name in ("room_c", "outdoor_c", "hvac_kw", "mode", "ghi_w_m2"):
            values = getattr(self, name)
            if values is not None and values.shape != (self.grid.count,):
                raise AlignmentError("values do not fit their grid", **{name: values.shape})
        if not timedelta(minutes=1) <= self.grid.step <= COARSEST:
            raise DataError(
                f"a room cannot be learned from steps of {self.grid.step}",
                where="steps of 1 to 60 minutes can be used",
                hint="resample the file",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomSeries:
    """A record on the grid of a fit.

    Parameters
    ----------
    room_c : ndarray
        At the start of each step; NaN where unknown. [degC]
    outdoor_c, sun_kw_m2, cool_kw, heat_kw : ndarray
        Means over each step, complete inside the stretches. [degC], [kW/m2], [kW]
    hour : ndarray
        Local hour of each step's middle. [h]
    works : ndarray of bool
        Whether it lies on a working day.
    day : ndarray of int
        Local day, counted from that of the first step.
    stretches : tuple of (int, int)
        ``[first, end)`` of the parts without a long gap.
    set_aside : dict
        How many values of the record were not used, and why.
    """

    grid: Grid
    room_c: FloatArray
    outdoor_c: FloatArray
    sun_kw_m2: FloatArray | None
    cool_kw: FloatArray
    heat_kw: FloatArray
    hour: FloatArray
    works: BoolArray
    day: NDArray[np.int64]
    stretches: tuple[tuple[int, int], ...]
    set_aside: dict[str, int]

    @property
    def hours(self) -> float:
        """Length of a step. [h]"""
        return self.grid.hours

    def shifted(self, late: float) -> RoomSeries:
        """The same room if its inputs belong to other steps than its file says.

        Parameters
        ----------
        late : float
            0: a row's temperature is that of its start. 1: rows are labelled by their ends. 0.5: the
            temperature is the mean of its step.
        """

        def moved(values: FloatArray) -> FloatArray:
            return np.asarray((1.0 - late) * values + late * np.r_[values[1:], values[-1:]])

        return replace(
            self,
            outdoor_c=moved(self.outdoor_c),
            sun_kw_m2=None if self.sun_kw_m2 is None else moved(self.sun_kw_m2),
            cool_kw=moved(self.cool_kw),
            heat_kw=moved(self.heat_kw),
        )


def ready(record: RoomRecord) -> RoomSeries:
    """Check a record and bring it to the grid of a fit.

    Raises
    ------
    DataError
        If the units cannot be meant, or a column holds no value at all.
    """
    _check_units(record)
    aside: dict[str, int] = {}
    room = _within(record.room_c, ROOM_RANGE_C, "room_temp_c impossible", aside)
    room = _not_stuck(room, record.grid.hours, "room_temp_c stuck", aside)
    outdoor = _within(record.outdoor_c, OUTDOOR_RANGE_C, "outdoor_temp_c impossible", aside)
    outdoor = _not_stuck(outdoor, record.grid.hours, "outdoor_temp_c stuck", aside, least_h=24.0)
    power = np.clip(record.hvac_kw, 0.0, None)
    power = np.where(np.isnan(record.mode) & ~(power <= 0.0), np.nan, power)
    sun = record.ghi_w_m2
    if sun is not None:
        sun = np.clip(_within(sun, (-50.0, HIGHEST_GHI), "ghi_w_m2 impossible", aside), 0.0, None)
    factor = _steps_together(record.grid)
    grid = Grid(record.grid.start, record.grid.count // factor, record.grid.step * factor)
    if grid.count < 2:
        raise DataError("the record is shorter than two steps", where=f"{record.grid.count} rows")
    bridge = Bridge(grid, factor, aside)
    outdoor = bridge(outdoor, BRIDGE_WEATHER, "outdoor_temp_c")
    sun = None if sun is None else bridge(sun, BRIDGE_WEATHER, "ghi_w_m2")
    mode = np.nan_to_num(record.mode)
    cool = bridge(np.where(mode < 0, power, power * 0.0), BRIDGE_POWER, "hvac_kw")
    heat = bridge(np.where(mode > 0, power, power * 0.0), BRIDGE_POWER, "")
    instants = _instants(room, factor, grid.count)
    inputs = outdoor + cool + heat + (0.0 if sun is None else sun)
    hour, works, day = _clock(record, grid)
    return RoomSeries(
        grid=grid,
        room_c=instants,
        outdoor_c=outdoor,
        sun_kw_m2=None if sun is None else sun / 1000.0,
        cool_kw=cool,
        heat_kw=heat,
        hour=hour,
        works=works,
        day=day,
        stretches=_stretches(np.isnan(inputs), np.isnan(instants), grid),
        set_aside=aside,
    )


def _check_units(record: RoomRecord) -> None:
    """Refuse what can be no degC, kW or W/m2."""
    for name, values in (("room_temp_c", record.room_c), ("outdoor_temp_c", record.outdoor_c)):
        known = _known(values, name)
        middle = float(np.median(known))
        if middle > 45.0:
            guess = "kelvin" if middle > 200.0 else "degrees Fahrenheit"
            raise DataError(
                f"{name} looks like {guess}, not degC",
                where=f"its median is {middle:.1f}",
                hint="convert it: degC = (degF - 32) / 1.8 = K - 273.15",
            )
    room = _known(record.room_c, "room_temp_c")
    lowest, highest = ROOM_RANGE_C
    if float(((room < lowest) | (room > highest)).mean()) > BROKEN_SHARE:
        raise DataError(
            "room_temp_c is impossible too often",
            where=f"from {room.min():.1f} to {room.max():.1f} degC",
            hint="check sensor, unit and column",
        )
    _check_power(_known(record.hvac_kw, "hvac_kw"))
    _known(record.mode, "mode")
    if record.ghi_w_m2 is not None:
        _check_sun(_known(record.ghi_w_m2, "ghi_w_m2"), record.grid)


def _check_power(power: FloatArray) -> None:
    lowest = float(power.min())
    running = power[power > 0.0]
    if lowest < -0.05 * max(float(power.max()), 1.0):
        raise DataError(
            "hvac_kw is negative",
            where=f"lowest {lowest:g}",
            hint="electric power into the air conditioner is positive in cooling and in heating",
        )
    if running.size and float(np.median(running)) > 400.0:
        raise DataError(
            "hvac_kw looks like watts, not kW",
            where=f"its median while running is {float(np.median(running)):g}",
            hint="divide it by 1000; of several rooms on one meter give each its own share",
        )
    if running.size and float(running.max()) < 0.02:
        raise DataError(
            "hvac_kw looks like megawatts, not kW",
            where=f"its highest value is {float(running.max()):g}",
            hint="multiply it by 1000",
        )


def _check_sun(sun: FloatArray, grid: Grid) -> None:
    highest, days = float(np.quantile(sun, 0.999)), sun.size * grid.hours / 24.0
    if days >= 2.0 and 0.0 < highest < 6.0:
        raise DataError(
            "ghi_w_m2 looks like kW/m2 or MJ/m2, not W/m2",
            where=f"its highest value is {highest:g}",
            hint="1 kW/m2 = 1000 W/m2; 1 MJ/m2 in an hour = 277.8 W/m2",
        )
    if highest > 2.0 * HIGHEST_GHI or float(sun.min()) < -100.0:
        raise DataError(
            "ghi_w_m2 cannot be W/m2",
            where=f"from {float(sun.min()):g} to {highest:g}",
            hint="irradiance lies between 0 and 1400 W/m2; energies per interval must be divided by it",
        )


def _known(values: FloatArray, name: str) -> FloatArray:
    known = values[~np.isnan(values)]
    if not known.size:
        raise DataError(
            f"{name} holds no value", where="the column is empty", hint="fill it, or leave it out"
        )
    return known


def _within(values: FloatArray, limits: tuple[float, float], name: str, aside: dict[str, int]) -> FloatArray:
    bad = (values < limits[0]) | (values > limits[1])
    if bad.any():
        aside[name] = int(bad.sum())
    return np.where(bad, np.nan, values)


def _not_stuck(
    values: FloatArray, hours: float, name: str, aside: dict[str, int], *, least_h: float = STUCK_H
) -> FloatArray:
    """Take runs of one value for missing if they are far longer than is usual for this sensor."""
    known = np.flatnonzero(~np.isnan(values))
    if known.size < 3:
        return values
    starts = np.r_[0, np.flatnonzero(np.diff(values[known]) != 0.0) + 1]
    lengths = np.diff(np.r_[starts, known.size])
    usual = float(np.quantile(lengths, 0.98)) if lengths.size > 20 else 1.0
    longest = max(least_h / hours, STUCK_RUNS * usual)
    out, stuck = values.copy(), 0
    if lengths.size > 20:
        for start, length in zip(starts, lengths, strict=True):
            if length > longest:
                out[known[start + 1 : start + length]] = np.nan
                stuck += int(length) - 1
    if stuck:
        aside[name] = stuck
    return out


def _steps_together(grid: Grid) -> int:
    """How many steps of the record make one of the fit."""
    wanted = max(FIT_STEP, grid.step)
    while grid.count * grid.step / wanted > MOST_STEPS and wanted * 2 <= COARSEST:
        wanted *= 2
    return max(1, wanted // grid.step)


@dataclass(frozen=True, slots=True)
class Bridge:
    """Means over the steps of the fit; gaps up to a length are bridged by straight lines."""

    grid: Grid
    factor: int
    aside: dict[str, int]

    def __call__(self, values: FloatArray, longest: timedelta, name: str) -> FloatArray:
        parts = values[: self.grid.count * self.factor].reshape(self.grid.count, self.factor)
        known = (~np.isnan(parts)).sum(axis=1)
        total = np.nansum(parts, axis=1)
        means = np.where(2 * known >= self.factor, total / np.maximum(known, 1), np.nan)
        good = np.flatnonzero(~np.isnan(means))
        if not good.size:
            return means
        filled = np.interp(np.arange(means.size), good, means[good])
        most = max(1, longest // self.grid.step)
        bridged = 0
        for first, end in _runs(np.isnan(means)):
            if end - first > most or first == 0 or end == means.size:
                filled[first:end] = np.nan
            else:
                bridged += end - first
        if bridged and name:
            self.aside[f"{name} bridged"] = bridged * self.factor
        return filled


def _instants(room_c: FloatArray, factor: int, count: int) -> FloatArray:
    """Temperature at the start of each step: of fine records the mean of the minutes around it. [degC]"""
    around = factor // 4
    if not around:
        return np.array(room_c[: count * factor : factor])
    places = np.arange(count)[:, None] * factor + np.arange(-around, around + 1)[None, :]
    found = np.where(places >= 0, room_c[np.clip(places, 0, room_c.size - 1)], np.nan)
    known = (~np.isnan(found)).sum(axis=1)
    return np.where(known > 0, np.nansum(found, axis=1) / np.maximum(known, 1), np.nan)


def _runs(bad: BoolArray) -> list[tuple[int, int]]:
    """``[first, end)`` of each run of True."""
    edges = np.flatnonzero(np.diff(np.r_[False, bad, False].astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _stretches(no_input: BoolArray, no_room: BoolArray, grid: Grid) -> tuple[tuple[int, int], ...]:
    """Parts with all inputs, cut where the room's own temperature is unknown for long."""
    cut = no_input.copy()
    for first, end in _runs(no_room):
        if (end - first) * grid.step > BRIDGE_WEATHER:
            cut[first:end] = True
    shortest = SHORTEST_STRETCH // grid.step
    return tuple((first, end) for first, end in _runs(~cut) if end - first >= shortest)


def _clock(record: RoomRecord, grid: Grid) -> tuple[FloatArray, BoolArray, NDArray[np.int64]]:
    """Local hour, whether people work, and the day of each step's middle."""
    known: dict[date, bool] = {}
    hour, works, day = np.empty(grid.count), np.empty(grid.count, dtype=bool), np.empty(grid.count, np.int64)
    first = grid.start.astimezone(record.zone).date()
    for k in range(grid.count):
        local = (grid.time(k) + grid.step / 2).astimezone(record.zone)
        today = local.date()
        if today not in known:
            known[today] = record.calendar.day_type(today) is DayType.WEEKDAY
        hour[k] = local.hour + local.minute / 60.0
        works[k] = known[today]
        day[k] = (today - first).days
    return hour, works, day
