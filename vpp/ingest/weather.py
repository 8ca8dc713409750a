"""Weather forecasts into the store: each value is known since the run that holds it.

The same hour is forecast by many runs. All of them are kept, each known from its issue on, so that
``as_of`` an instant shows for every hour the newest run that existed then, and a back-test sees no later one.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np

from energy.core.errors import DataError
from energy.core.series import FloatArray, Unit
from energy.core.units import SeriesId
from energy.store import Point, Store
from vpp.ingest.collect import Stretch
from vpp.ingest.columns import ColumnTable, Instants, Question, column_names, read_columns
from vpp.ingest.gefcom import GEFCOM_FIELDS, differences, gefcom_runs
from vpp.ingest.layout import read_bytes
from vpp.ingest.mapping import Column, WeatherMapping, unit_of_series
from vpp.ingest.report import ImportReport
from vpp.ingest.times import zone_named

__all__ = ["import_weather"]

log = logging.getLogger(__name__)

# Of the fields of a GEFCom run those that the product stores, by the last part of their series.
_GEFCOM_SERIES: Final = {
    "VAR167": "outdoor_forecast_c",
    "VAR169": "ghi_forecast_w_m2",
    "VAR164": "cloud_forecast_percent",
    "VAR157": "humidity_forecast_percent",
}


@dataclass(frozen=True, slots=True)
class _Field:
    """One series of a file: times, issues and values, in the order of issue and time."""

    series: SeriesId
    unit: Unit
    at: Instants
    issued: Instants
    values: FloatArray

    def runs(self) -> Iterator[tuple[np.datetime64, Instants, FloatArray]]:
        """Issue, times and values of each run, as far as it has values."""
        issues, begins = np.unique(self.issued, return_index=True)
        for issue, begin, end in zip(issues, begins, [*begins[1:], self.issued.size], strict=True):
            known = ~np.isnan(self.values[begin:end])
            if known.any():
                yield issue, self.at[begin:end][known], self.values[begin:end][known]


def import_weather(
    path: Path, mapping: WeatherMapping, *, store: Store, imported_at: datetime
) -> ImportReport:
    """Import weather forecasts; all of the file or nothing. The same file again changes nothing.

    Parameters
    ----------
    path : Path
        CSV or Parquet.
    mapping : WeatherMapping
        What its columns are, and when the runs were issued.
    store : Store
        Where the values go; ``known_at`` is the issue plus ``lag_minutes``.
    imported_at : datetime
        The time of the import; no run may be newer.

    Returns
    -------
    ImportReport
        Its gaps are the stretches of a run without a value, and the end that a run lacks beside the others:
        weather that ends early is named here.

    Raises
    ------
    DataError
        If a row cannot be used, a run lies in the future, a value is for a time before its run, a sum cannot
        be undone, or a run that is stored already says something else.
    """
    fields, counts = _fields(path, mapping)
    lag = timedelta(minutes=mapping.lag_minutes)
    for field in fields:
        _check_times(path, field, imported_at, lag, mapping.step)
    source = f"{mapping.kind}:{path.name}#{hashlib.sha256(read_bytes(path)).hexdigest()[:12]}"
    written = unchanged = 0
    with store.transaction():
        for field in fields:
            points, known = _new_points(path, field, store, source=source, lag=lag)
            store.append(points)
            written, unchanged = written + len(points), unchanged + known
    gaps = sorted({gap for field in fields for gap in _gaps(field, mapping.step)})
    at = np.concatenate([field.at for field in fields])
    log.info("import.done file=%s kind=%s written=%d gaps=%d", path.name, mapping.kind, written, len(gaps))
    return ImportReport(
        file=path.name,
        kind=mapping.kind,
        rows_read=counts.rows + counts.duplicates,
        rows_blank=0,
        rows_rejected=0,
        duplicates=counts.duplicates,
        out_of_order=counts.out_of_order,
        gaps=tuple(gaps),
        unit=", ".join(dict.fromkeys(field.unit.value for field in fields)),
        time_zone="UTC" if mapping.form == "gefcom" else mapping.zone,
        first=_instant(at.min()),
        last=_instant(at.max()) + mapping.step,
        series=tuple(field.series for field in fields),
        written=written,
        corrected=0,
        unchanged=unchanged,
        superseded=0,
        reject_file=None,
    )


@dataclass(slots=True)
class _Counts:
    rows: int = 0
    duplicates: int = 0
    out_of_order: int = 0

    def add(self, table: ColumnTable) -> None:
        self.rows += int(table.at.size)
        self.duplicates += table.duplicates
        self.out_of_order += table.out_of_order


def _fields(path: Path, mapping: WeatherMapping) -> tuple[list[_Field], _Counts]:
    """The series of a file in our units."""
    columns, summed = _columns(path, mapping)
    counts, fields = _Counts(), []
    if mapping.variable_column is not None and mapping.value_column is not None:
        for name, column in columns.items():
            where = (mapping.variable_column, name)
            table = read_columns(path, _question(mapping, (mapping.value_column,), where))
            counts.add(table)
            values = table.values[mapping.value_column]
            fields.append(_field(path, mapping, table, values, column, name in summed))
        return fields, counts
    table = read_columns(path, _question(mapping, tuple(columns), mapping.where))
    counts.add(table)
    for name, column in columns.items():
        fields.append(_field(path, mapping, table, table.values[name], column, name in summed))
    return fields, counts


def _columns(path: Path, mapping: WeatherMapping) -> tuple[Mapping[str, Column], frozenset[str]]:
    """Columns and which of them are sums; those of the GEFCom form are known."""
    if mapping.form != "gefcom":
        return mapping.columns, frozenset(mapping.summed)
    present = set(column_names(path))
    columns = {}
    for name, quantity in _GEFCOM_SERIES.items():
        if name in present:
            series, known = f"{mapping.site}/weather/{quantity}", GEFCOM_FIELDS[name]
            columns[name] = Column(
                series=series, unit=unit_of_series(series), scale=known.scale, offset=known.offset
            )
    if not columns:
        raise DataError(
            f"{path.name} is not in the GEFCom form",
            where=f"{path}: none of the columns {', '.join(_GEFCOM_SERIES)}",
            hint="name the columns in the mapping instead of form: gefcom",
        )
    return columns, frozenset(name for name in columns if GEFCOM_FIELDS[name].summed)


def _question(mapping: WeatherMapping, numbers: tuple[str, ...], where: tuple[str, str] | None) -> Question:
    gefcom = mapping.form == "gefcom"
    return Question(
        time=mapping.time_column,
        numbers=numbers,
        zone=zone_named("UTC" if gefcom else mapping.zone),
        stamps="end" if gefcom else mapping.stamp,
        issued=mapping.issued_column,
        lead=mapping.lead_column,
        step=timedelta(hours=1) if gefcom else mapping.step,
        where=where,
        time_format=mapping.time_format,
    )


def _field(
    path: Path, mapping: WeatherMapping, table: ColumnTable, raw: FloatArray, column: Column, summed: bool
) -> _Field:
    """One series, sums undone, in our unit, checked against its limits."""
    issued = gefcom_runs(table.at) if mapping.form == "gefcom" else table.issued
    assert issued is not None  # the mapping names where the issue stands
    order = np.lexsort((table.at, issued))
    at, issued, raw = table.at[order], issued[order], raw[order]
    step = table.step
    values = (differences(at, issued, raw, step) if summed else raw) * column.scale + column.offset
    lost = np.isnan(values) & ~np.isnan(raw)
    if lost.any():
        raise DataError(
            f"a sum of {path.name} cannot be undone",
            where=f"{column.series}: run of {issued[lost][0]}Z, the step before {at[lost][0]}Z is missing",
            hint="give every step of a run, or a column that is not summed up",
        )
    low = -np.inf if column.lowest is None else column.lowest
    high = np.inf if column.highest is None else column.highest
    bad = (values < low) | (values > high)
    if bad.any():
        raise DataError(
            f"a value of {path.name} is not possible",
            where=f"{column.series}: {values[bad][0]:g} for {at[bad][0]}Z, allowed {low:g} to {high:g}",
            hint="correct the file, its unit (scale, offset) or the limits",
        )
    return _Field(SeriesId(column.series), column.unit, at, issued, values)


def _check_times(path: Path, field: _Field, imported_at: datetime, lag: timedelta, step: timedelta) -> None:
    now = np.datetime64(imported_at.astimezone(UTC).replace(tzinfo=None), "us")
    if (field.issued + np.timedelta64(lag) > now).any():
        raise DataError(
            f"{path.name} holds a run from the future",
            where=f"issued {field.issued.max()}Z, imported {imported_at.isoformat()}",
            hint="check the zone of the times and the column of the issue",
        )
    behind = field.at + np.timedelta64(step) <= field.issued
    if behind.any():
        raise DataError(
            f"{path.name} holds values for times before their run",
            where=f"{field.series}: {field.at[behind][0]}Z in the run of {field.issued[behind][0]}Z",
            hint="those are measurements: import them as a table",
        )


def _new_points(
    path: Path, field: _Field, store: Store, *, source: str, lag: timedelta
) -> tuple[list[Point], int]:
    """Points that are not stored yet, and how many are."""
    points, unchanged = [], 0
    newest = _instant(field.issued.max()) + lag
    fresh = store.as_of(newest).span(field.series) is None  # then no run need be looked up
    for run, times, values in field.runs():
        known_at = _instant(run) + lag
        at = [_instant(one) for one in times]
        stored = {} if fresh else _stored(store, field.series, known_at, at)
        for when, value in zip(at, values.tolist(), strict=True):
            if when not in stored:
                points.append(
                    Point(series=field.series, at=when, known_at=known_at, value=value, source=source)
                )
            elif stored[when] == value:
                unchanged += 1
            else:
                raise DataError(
                    f"{path.name} says something else about a run that is stored",
                    where=f"{field.series} for {when.isoformat()}: {stored[when]}, now {value}",
                    hint="a run is never changed: give the new one its own time of issue",
                )
    return points, unchanged


def _stored(
    store: Store, series: SeriesId, known_at: datetime, at: Sequence[datetime]
) -> dict[datetime, float | None]:
    """What is stored of one run."""
    values = store.as_of(known_at).values(series, at[0], at[-1] + timedelta(microseconds=1))
    return {one.at: one.value for one in values if one.known_at == known_at}


def _gaps(field: _Field, step: timedelta) -> list[Stretch]:
    """Stretches without a value inside a run, and after its end if it is shorter than most."""
    runs = [(run, times) for run, times, _ in field.runs()]
    if not runs:
        return []
    lengths = sorted(times[-1] - run for run, times in runs)
    usual = lengths[len(lengths) // 2]
    found: list[Stretch] = []
    for run, times in runs:
        holes = np.flatnonzero(np.diff(times) > np.timedelta64(step))
        found += [(_instant(times[hole]) + step, _instant(times[hole + 1])) for hole in holes]
        if times[-1] - run < usual:
            found.append((_instant(times[-1]) + step, _instant(run + usual) + step))
    return found


def _instant(at: np.datetime64) -> datetime:
    """An instant of a table as Python's, UTC."""
    plain: datetime = at.astype("datetime64[us]").astype(datetime)
    return plain.replace(tzinfo=UTC)
