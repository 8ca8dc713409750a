"""From the store to a CSV file that a spreadsheet opens, and a list of what is missing."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from energy.core.errors import ConfigError, DataError
from energy.core.series import Grid
from energy.core.slots import JST, SLOT_LENGTH
from energy.core.units import SeriesId
from energy.store import Snapshot
from vpp.ingest.mapping import unit_of_series
from vpp.wholefile import whole_file

__all__ = ["ExportReport", "SeriesGap", "export_series", "native_grid", "series_gaps"]


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What was written: rows, and values among them that are missing."""

    path: Path
    rows: int
    missing: int


@dataclass(frozen=True, slots=True)
class SeriesGap:
    """A stretch ``[start, end)`` in which a series has no usable value, UTC."""

    series: SeriesId
    start: datetime
    end: datetime


def native_grid(snapshot: Snapshot, series: SeriesId) -> Grid:
    """Grid from the first to the last value of a series, with the step it was stored with.

    The step is the shortest distance of two neighbouring values; a lone value makes one slot.

    Raises
    ------
    DataError
        If nothing is known of the series.
    """
    span = snapshot.span(series)
    if span is None:
        raise DataError(
            f"nothing is known of series {series}",
            where=f"as of {snapshot.known_until.isoformat()}",
            hint="vpp data gaps without a name lists the series that are known",
            series=series,
        )
    first, last = span
    instants = [stored.at for stored in snapshot.values(series, first, last + timedelta(microseconds=1))]
    step = min((after - before for before, after in pairwise(instants)), default=SLOT_LENGTH)
    return Grid(first, (last - first) // step + 1, step)


def series_gaps(snapshot: Snapshot, ids: Sequence[SeriesId], grid: Grid | None = None) -> list[SeriesGap]:
    """Missing stretches of some series, in order of series and time.

    Parameters
    ----------
    grid : Grid or None
        Where values are expected; from the first to the last known value of each series unless given.
    """
    return [
        SeriesGap(series, start, end)
        for series in ids
        for start, end in snapshot.gaps(series, grid or native_grid(snapshot, series))
    ]


def export_series(
    snapshot: Snapshot, ids: Sequence[SeriesId], grid: Grid, path: Path, *, zone: ZoneInfo = JST
) -> ExportReport:
    """Write series to CSV: UTF-8 with byte-order mark, ISO 8601 with offset, missing values empty.

    The first column ``start`` is the start of the interval; each other column is a series, whose name carries
    the unit. The file appears whole or not at all, and an existing file is replaced.

    Raises
    ------
    ConfigError
        If no series is named, one is named twice, or a name carries no unit.
    DataError
        If the file cannot be written.
    AlignmentError
        If a series does not lie on the grid.
    """
    if not ids or len(set(ids)) != len(ids):
        raise ConfigError(
            "name at least one series, each once",
            where=", ".join(ids) or "none given",
            hint="vpp data gaps lists the series that are known",
        )
    columns = [snapshot.series(series, grid, unit_of_series(series)).values.tolist() for series in ids]
    missing = sum(math.isnan(value) for column in columns for value in column)
    with whole_file(path, encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(["start", *ids])
        for start, *values in zip(grid.times(), *columns, strict=True):
            shown = ("" if math.isnan(value) else repr(value) for value in values)
            writer.writerow([start.astimezone(zone).isoformat(), *shown])
    return ExportReport(path, grid.count, missing)
