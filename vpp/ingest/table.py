"""Any CSV or Parquet file, read as its mapping says."""

from __future__ import annotations

import difflib
import io
from collections.abc import Sequence
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from energy.core.errors import DataError
from energy.core.units import SeriesId
from vpp.ingest.layout import Cells, Layout, Reading, Rows, csv_rows, decode
from vpp.ingest.mapping import Column, TableMapping
from vpp.ingest.native import require_grid
from vpp.ingest.times import RowFault, WallClock, number, parse_stamp

__all__ = ["missing_column", "parquet_table", "table_layout"]

_BATCH_ROWS: Final = 10_000


def table_layout(path: Path, data: bytes, mapping: TableMapping) -> Layout:
    """A table under its mapping; a name that ends in ``.parquet`` is Parquet, anything else CSV.

    Raises
    ------
    DataError
        If the file is not of its format or a column is missing.
    """
    wanted = [mapping.time_column, *mapping.columns]
    if path.suffix == ".parquet":
        columns, rows = parquet_table(path, data, wanted)
    else:
        rows = csv_rows(path, decode(path, data, mapping.encoding), mapping.delimiter)
        columns = [str(cell).strip() for _, cells in islice(rows, 1) for cell in cells]
    missing = [name for name in wanted if name not in columns]
    if missing:
        raise missing_column(path, missing[0], columns, what="time_column or columns in the mapping")
    return Layout(
        columns=tuple(columns),
        rows=rows,
        read=_Reader(mapping, [columns.index(name) for name in wanted]).read,
        series={SeriesId(column.series): column.unit for column in mapping.columns.values()},
        step=mapping.step,
        zone=mapping.zone,
        slack=timedelta(0) if mapping.known == "published" else None,
    )


def missing_column(path: Path, name: str, columns: Sequence[str], *, what: str) -> DataError:
    """Error that names the columns there are, the nearest one first."""
    near = difflib.get_close_matches(name, columns, n=1)
    return DataError(
        f"{path.name} has no column {name!r}",
        where=f"{path}: its columns are {', '.join(columns)[:300] or 'none'}",
        hint=(f"did you mean {near[0]!r}? " if near else "") + f"correct {what}, or the delimiter",
    )


class _Reader:
    """What a row of a table means."""

    def __init__(self, mapping: TableMapping, places: Sequence[int]) -> None:
        self._mapping = mapping
        self._zone = ZoneInfo(mapping.zone)
        self._clock = WallClock(self._zone)
        self._time_place = places[0]
        self._columns = list(zip(mapping.columns.items(), places[1:], strict=True))

    def read(self, cells: Cells) -> Reading:
        mapping, name = self._mapping, self._mapping.time_column
        cell = cells[self._time_place]
        stamp = self._clock.instant(name, parse_stamp(name, cell, mapping.time_format))
        start = stamp if mapping.stamp == "start" else stamp - mapping.step
        require_grid(name, cell, stamp, mapping.step, self._zone)
        values = tuple(
            _value(column_name, column, cells[place]) for (column_name, column), place in self._columns
        )
        known_at = start + mapping.step + timedelta(minutes=mapping.lag_minutes)
        return Reading(start, known_at, values)


def _value(name: str, column: Column, cell: object) -> float | None:
    """A cell in the unit of its column; None if it is empty (a NaN inside Parquet is empty)."""
    empty = cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())
    if empty:
        return None
    value = number(name, cell) * column.scale + column.offset
    if column.lowest is not None and value < column.lowest:
        raise RowFault(name, cell, f"below the lowest value {column.lowest} {column.unit}")
    if column.highest is not None and value > column.highest:
        raise RowFault(name, cell, f"above the highest value {column.highest} {column.unit}")
    return value


def parquet_table(path: Path, data: bytes, wanted: Sequence[str]) -> tuple[list[str], Rows]:
    """Names and rows of a Parquet file; only the wanted columns are read, in the order asked for.

    If one of them is not there, the names are those of the file and there are no rows.

    Raises
    ------
    DataError
        If it is no Parquet file.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file: Any = pq.ParquetFile(io.BytesIO(data))  # pyarrow has no types
        names = [str(name) for name in file.schema_arrow.names]
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(path, error) from error
    if not set(wanted) <= set(names):
        return names, iter(())
    return list(wanted), _parquet_rows(path, file, list(wanted))


def _not_parquet(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{path.name} is not Parquet",
        where=f"{path}: {error}",
        hint="check that the file was copied completely, or give a CSV file its own ending",
    )


def _parquet_rows(path: Path, file: Any, names: list[str]) -> Rows:
    import pyarrow as pa

    row = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS, columns=names):
            columns = [_plain(batch.column(name)) for name in names]
            for cells in zip(*columns, strict=True):
                row += 1
                yield row, cells
    except (pa.ArrowException, OSError) as error:
        raise _not_parquet(path, error) from error


def _plain(column: Any) -> list[object]:
    """A column as Python values; instants of nanoseconds as microseconds, which is what Python has."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        column = column.cast(pa.timestamp("us", tz=kind.tz))
    values: list[object] = column.to_pylist()
    return values
