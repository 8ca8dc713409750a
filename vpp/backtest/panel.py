"""From a file to days and slots: in standard time, checked, with what was known at every issue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.errors import ConfigError, DataError
from energy.core.series import FloatArray, Grid, Series, Unit
from forecasting.days import DayKinds, IntArray
from forecasting.panel import Panel
from forecasting.resample import coarser, finer, finer_by_sun
from vpp.backtest.case import Case, CaseWeather
from vpp.backtest.checks import (
    refuse_constant,
    refuse_foresight,
    refuse_late_issue,
    refuse_mixed_units,
    refuse_night_sun,
    refuse_short_history,
    refuse_weather_gaps,
    without_negative,
)
from vpp.ingest.columns import ColumnTable, Instants, Question, column_names, read_columns
from vpp.ingest.gefcom import GEFCOM_FIELDS, gefcom_runs, gefcom_weather
from vpp.ingest.times import standard_offset

__all__ = ["Built", "build_panel", "calendar_of"]

_DAY: Final = timedelta(days=1)
_SUN: Final = "ghi_w_m2"
_MOST_FILLED: Final = 3  # slots of a gap in forecast weather that are filled by a straight line


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A panel and what became of the file on the way.

    Parameters
    ----------
    panel : Panel
        Days and slots.
    first_day : date
        Local date of row 0.
    rows : range
        Rows of the window.
    facts : mapping
        What was found and mended: duplicates, rows out of order, missing slots, step, standard offset.
    """

    panel: Panel
    first_day: date
    rows: range
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class _Frame:
    """Where the days lie: local midnight of row 0 in standard time, days, slots of a day."""

    first_day: date
    offset: timedelta
    count: int
    slot: timedelta

    @property
    def start(self) -> datetime:
        return datetime.combine(self.first_day, time(), UTC) - self.offset

    @property
    def slots(self) -> int:
        return _DAY // self.slot

    def day(self, table_at: Instants) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Row of each instant."""
        begin = np.datetime64(self.start.replace(tzinfo=None), "us")
        return np.asarray((table_at - begin) // np.timedelta64(_DAY), dtype=np.int64)


def build_panel(case: Case, *, tuning: bool = False) -> Built:
    """Read a case's file and make its panel.

    Parameters
    ----------
    case : Case
        What the file is and which days count.
    tuning : bool
        Take the days of tuning instead of those of the test.

    Raises
    ------
    ConfigError
        If the case cannot be meant: empty window, no such zone, holidays of no country.
    DataError, GapError, ForecastError
        If the data cannot be used; see :mod:`vpp.backtest.checks`.
    """
    window = case.tuning if tuning else (case.first, case.last)
    if window is None:
        raise ConfigError(f"{case.file.name} has no days of tuning", hint="leave --tuning out")
    case.require_window()
    zone = case.place()
    issue_slot = case.issue_slot
    table, others = _read(case)
    values = table.values[case.value] * case.unit_factor
    refuse_constant(values, case.value)
    values, negative = without_negative(
        values, case.value, kind=case.kind, policy=case.negative, capacity=case.capacity
    )
    first, last = (one.astype(datetime).replace(tzinfo=UTC) for one in (table.at[0], table.at[-1]))
    offset = standard_offset(zone, first, last)
    frame = _frame(first + offset, last + table.step + offset, offset, case.slot)
    rows = _rows(frame, window)
    actual = _to_days(frame, table, _one_per_instant(table, values, case.value))
    refuse_mixed_units(actual, case.value, frame.first_day, capacity=case.capacity)
    refuse_short_history(actual, rows.start, issue_slot)
    capacity = case.capacity
    if case.kind == "pv":
        known = np.array(actual[: rows.start])
        capacity = capacity if capacity is not None else float(np.nanmax(known))
        place = {"latitude": case.latitude, "longitude": case.longitude}
        refuse_night_sun(actual, case.value, frame.start, capacity=capacity, **place)
    forecast, measured, filled = _weather(case, frame, table, others, rows=rows)
    panel = Panel(
        kind=case.kind,
        start=frame.start,
        actual=actual,
        days=DayKinds.of(calendar_of(case), frame.first_day, frame.count),
        issue_slot=issue_slot,
        forecast_weather=forecast,
        measured_weather=measured,
        capacity=capacity,
        latitude=case.latitude,
        longitude=case.longitude,
        clock=_clock(zone, frame),
    )
    facts = {
        "rows": int(table.at.size),
        "step_minutes": table.step / timedelta(minutes=1),
        "duplicates": table.duplicates,
        "out_of_order": table.out_of_order,
        "negative": negative,
        "missing_slots": int(np.isnan(actual).sum()),
        "missing_days": int(np.isnan(actual[rows.start : rows.stop]).all(axis=1).sum()),
        "weather_filled": filled,
        "utc_offset_h": offset / timedelta(hours=1),
        "capacity": capacity,
        "first_day": frame.first_day.isoformat(),
    }
    return Built(panel=panel, first_day=frame.first_day, rows=rows, facts=facts)


def _clock(zone: tzinfo, frame: _Frame) -> IntArray | None:
    """Slots by which the clock on the wall is ahead of standard time at each noon; None if it never is."""
    noons = (frame.start + day * _DAY + _DAY / 2 for day in range(frame.count))
    offsets = [noon.astimezone(zone).utcoffset() or frame.offset for noon in noons]
    ahead = np.array([(offset - frame.offset) // frame.slot for offset in offsets], dtype=np.int64)
    return ahead if ahead.any() else None


def calendar_of(case: Case) -> SiteCalendar:
    """Days of rest of a case: weekends, and the holidays of its country.

    Raises
    ------
    ConfigError
        If the country or its region is not known.
    """
    code = case.holidays.strip()
    if code.lower() == "none":
        return SiteCalendar(national_holidays=False)
    if code.upper() == "JP" and case.region is None:
        return SiteCalendar(national_holidays=True)
    import holidays

    known = holidays.list_supported_countries()
    if code.upper() not in known:
        raise ConfigError(
            f"no holidays of country {code!r}", where="--holidays", hint="an ISO code such as JP, AU, or none"
        )
    years = range(case.first.year - 5, case.last.year + 2)
    if case.region is not None and case.region not in known[code.upper()]:
        raise ConfigError(
            f"no region {case.region!r} in {code.upper()}",
            where="--region",
            hint=f"choose from {', '.join(known[code.upper()]) or 'none'}",
        )
    closed = holidays.country_holidays(code.upper(), subdiv=case.region, years=years)
    return SiteCalendar(national_holidays=False, closed=frozenset(closed))


def _read(case: Case) -> tuple[ColumnTable, dict[str, FloatArray]]:
    """The columns of a case, and those it does not name, as far as they hold numbers."""
    weather = case.weather
    wanted, loose = [case.value], []
    names = column_names(case.file) if weather is not None else []
    if weather is not None:
        wanted += [name for name in GEFCOM_FIELDS if name in names] if weather.form == "gefcom" else []
        wanted += list(weather.columns)
        special = {case.time, weather.issued, case.where[0] if case.where else None}
        if weather.known == "forecast" and weather.form == "columns":
            loose = [name for name in names if name not in {*wanted, *special}]
        if len(wanted) == 1:
            raise DataError(
                f"{case.file.name} has no column of the GEFCom form",
                where=f"its columns are {', '.join(names)[:300]}",
                hint="it names VAR169, VAR167, ...; for other names use --weather",
            )
    if case.time is None and case.rows_from is None:
        raise ConfigError("no column of times is named", where="--time", hint="name it, or give --rows-from")
    table = read_columns(
        case.file,
        Question(
            time=case.time,
            numbers=tuple(dict.fromkeys(wanted)),
            loose=tuple(loose),
            zone=case.place(),
            stamps=case.time_stamps,
            issued=weather.issued if weather else None,
            rows_from=case.rows_from,
            step=timedelta(minutes=case.step_minutes) if case.step_minutes else None,
            where=case.where,
            time_format=case.time_format,
        ),
    )
    return table, {name: table.values[name] for name in loose}


def _frame(first: datetime, end: datetime, offset: timedelta, slot: timedelta) -> _Frame:
    """Days from the first whole one to the one in which the data end; both arguments in standard time."""
    day = first.date() if first.time() == time() else first.date() + _DAY
    return _Frame(day, offset, max(0, (end - datetime.combine(day, time(), UTC)) // -_DAY * -1), slot)


def _rows(frame: _Frame, window: tuple[date, date]) -> range:
    """Rows of the window.

    Raises
    ------
    DataError
        If it does not lie inside the data.
    """
    rows = range((window[0] - frame.first_day).days, (window[1] - frame.first_day).days + 1)
    if rows.start < 0 or rows.stop > frame.count:
        last = frame.first_day + (frame.count - 1) * _DAY
        raise DataError(
            "the window is not inside the data",
            where=f"window {window[0]} to {window[1]}, whole days {frame.first_day} to {last}",
            hint="choose --from and --to inside, with at least two days before",
        )
    return rows


def _one_per_instant(table: ColumnTable, values: FloatArray, name: str) -> FloatArray:
    """The actual of each row; a file with several weather runs repeats it and must not contradict itself."""
    if table.issued is None:
        return values
    again = table.at[1:] == table.at[:-1]
    both = again & ~np.isnan(values[1:]) & ~np.isnan(values[:-1])
    if (both & (values[1:] != values[:-1])).any():
        at = table.at[1:][both & (values[1:] != values[:-1])][0]
        raise DataError(f"column {name!r} says different things about {at}Z", hint="correct the file")
    return values


def _to_days(
    frame: _Frame, table: ColumnTable, values: FloatArray, *, place: Case | None = None
) -> FloatArray:
    """Values as days x slots, energy kept; with ``place`` irradiance that is made finer follows the sun."""
    step = min(table.step, frame.slot)
    if frame.slot % step or table.step % step or _DAY % table.step:
        raise DataError(
            f"intervals of {table.step} cannot be brought to slots of {frame.slot}",
            hint="--slot-minutes 30 or 60, or another file",
        )
    per_day = _DAY // table.step
    flat = np.full(frame.count * per_day, np.nan)
    begin = np.datetime64(frame.start.replace(tzinfo=None), "us")
    index, rest = np.divmod(table.at - begin, np.timedelta64(table.step))
    if (rest != np.timedelta64(0, "us")).any():
        off = table.at[np.flatnonzero(rest != np.timedelta64(0, "us"))[0]]
        raise DataError(
            f"{off}Z does not lie on a boundary of {table.step}",
            where=f"{int((rest != np.timedelta64(0, 'us')).sum())} rows",
            hint="check --tz and --time-stamps, or resample the file to regular intervals",
        )
    inside = (index >= 0) & (index < flat.size) & ~np.isnan(values)
    flat[index[inside].astype(np.int64)] = values[inside]
    if table.step < frame.slot:
        flat = coarser(flat, frame.slot // table.step)
    elif table.step > frame.slot:
        parts = table.step // frame.slot
        if place is not None and place.latitude is not None and place.longitude is not None:
            series = Series(Grid(frame.start, flat.size, table.step), flat, Unit.W_PER_M2)
            where = {"latitude": place.latitude, "longitude": place.longitude}
            flat = finer_by_sun(series, frame.slot, **where).values
        else:
            flat = finer(flat, parts)
    return np.array(flat).reshape(frame.count, frame.slots)


def _weather(
    case: Case, frame: _Frame, table: ColumnTable, others: Mapping[str, FloatArray], *, rows: range
) -> tuple[dict[str, FloatArray], dict[str, FloatArray], int]:
    """Forecast weather, measured weather, and slots of forecast weather that were filled."""
    if case.weather is None:
        return {}, {}, 0
    weather = case.weather
    fields = _fields(weather, table)
    if weather.known == "none":
        return {}, {name: _to_days(frame, table, values) for name, values in fields.items()}, 0
    if weather.known == "perfect":
        days = {name: _shaped(case, frame, table, name, values) for name, values in fields.items()}
        return days, dict(days), 0
    columns = {name: table.values[name] for name in weather.columns}
    if weather.form == "columns":
        refuse_foresight(columns, others, table.step)
    issued = gefcom_runs(table.at) if weather.form == "gefcom" else table.issued
    if issued is not None:
        fields = _in_force(case, frame, table, issued, fields, rows=rows)
    filled = 0
    found = {}
    for name, values in fields.items():
        found[name], count = _short_gaps_filled(_shaped(case, frame, table, name, values))
        filled += count
    refuse_weather_gaps(found, rows, frame.start, zone_shift=frame.offset)
    return found, {}, filled


def _fields(weather: CaseWeather, table: ColumnTable) -> dict[str, FloatArray]:
    """Weather by our names, in our units, impossible values missing."""
    if weather.form == "gefcom":
        return gefcom_weather(table.at, table.values)
    fields = {}
    for column, what in weather.columns.items():
        values = table.values[column] * what.scale + what.offset
        low = -np.inf if what.lowest is None else what.lowest
        high = np.inf if what.highest is None else what.highest
        fields[what.name] = np.where((values < low) | (values > high), np.nan, values)
    return fields


def _shaped(case: Case, frame: _Frame, table: ColumnTable, name: str, values: FloatArray) -> FloatArray:
    return _to_days(frame, table, values, place=case if name == _SUN else None)


def _in_force(
    case: Case,
    frame: _Frame,
    table: ColumnTable,
    issued: Instants,
    fields: Mapping[str, FloatArray],
    *,
    rows: range,
) -> dict[str, FloatArray]:
    """Fields with every run that was issued after the forecast of its day left out.

    Rows are in the order of time and issue, so that of those left the newest run wins.
    """
    day = frame.day(table.at)
    start = np.datetime64(frame.start.replace(tzinfo=None), "us")
    issue = start + (day - 1) * np.timedelta64(_DAY) + case.issue_slot * np.timedelta64(case.slot)
    late = issued > issue
    wanted = (day >= rows.start) & (day < rows.stop)
    lost = np.setdiff1d(table.at[wanted & late], table.at[wanted & ~late])
    if lost.size:
        place = int(np.searchsorted(table.at, lost[0]))
        when, made = (one.astype(datetime).replace(tzinfo=UTC) for one in (lost[0], issue[place]))
        refuse_late_issue(next(iter(fields)), int(lost.size), when, made)
    return {name: np.where(late, np.nan, values) for name, values in fields.items()}


def _short_gaps_filled(days: FloatArray) -> tuple[FloatArray, int]:
    """Gaps of up to three slots inside a day filled by a straight line, and how many slots.

    Inside a day, because the next day's weather was forecast later.
    """
    flat, slots = np.array(days.reshape(-1)), days.shape[1]
    gap = np.isnan(flat)
    if not gap.any() or gap.all():
        return days, 0
    edges = np.flatnonzero(np.diff(np.r_[False, gap, False].astype(np.int8)))
    known = np.flatnonzero(~gap)
    filled = 0
    for first, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        inside = first % slots > 0 and stop % slots > 0 and first // slots == stop // slots
        if inside and stop - first <= _MOST_FILLED:
            flat[first:stop] = np.interp(np.arange(first, stop), known, flat[known])
            filled += stop - first
    return flat.reshape(days.shape), filled
