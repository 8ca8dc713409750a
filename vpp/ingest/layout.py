"""A file opened as rows: its bytes, its encoding, and what one row means."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from energy.core.errors import DataError
from energy.core.series import Unit
from energy.core.units import SeriesId

__all__ = ["Layout", "Reading", "Rows", "csv_rows", "decode", "read_bytes", "wrong_encoding"]

Cells = Sequence[object]
Rows = Iterator[tuple[int, Cells]]

_CANDIDATES: Final = ("utf-8", "cp932", "utf-16")
_BOM: Final = {"utf-8": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}


@dataclass(frozen=True, slots=True)
class Reading:
    """What one row says.

    Parameters
    ----------
    at : datetime
        Start of its interval, UTC.
    known_at : datetime
        When its kind publishes it, UTC.
    values : tuple of float or None
        One per series of the layout, in its unit; None where the cell was empty.
    """

    at: datetime
    known_at: datetime
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A file opened under a mapping.

    Parameters
    ----------
    columns : tuple of str
        Names of its columns, in order.
    rows : iterator of (int, cells)
        Line number and cells of every row after the header, blank rows included.
    read : callable
        What a row means; raises RowFault.
    series : dict of SeriesId to Unit
        The series it holds, in the order of ``Reading.values``.
    step : timedelta
        Length of its intervals.
    zone : str
        Zone of its times, for the report.
    whole_days : bool
        Whether its days must be whole (48 slots): a market result is published by the day.
    slack : timedelta or None
        How much earlier than its usual publication a value may be imported; None for anything, such as a
        forecast.
    """

    columns: tuple[str, ...]
    rows: Rows
    read: Callable[[Cells], Reading]
    series: dict[SeriesId, Unit]
    step: timedelta
    zone: str
    whole_days: bool = False
    slack: timedelta | None = timedelta(0)


def read_bytes(path: Path) -> bytes:
    """Bytes of a file, unpacked if its name ends in ``.gz``.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    try:
        data = path.read_bytes()
        return gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(
            f"cannot read {path.name}",
            where=f"{path}: {error}",
            hint="check the path, the permissions, and that the file was copied completely",
        ) from error


def wrong_encoding(path: Path, data: bytes, tried: str, why: str) -> DataError:
    """Error that names the encoding tried and the likely one."""
    likely = next((name for name in _CANDIDATES if name != tried and _reads_as(data, name)), None)
    return DataError(
        f"{path.name} is not in {tried}",
        where=f"{path}: {why}",
        hint=f"it reads as {likely}: set encoding: {likely} in the mapping"
        if likely
        else "save it as UTF-8 and set encoding: utf-8 in the mapping",
        tried=tried,
        likely=likely or "unknown",
    )


def _reads_as(data: bytes, encoding: str) -> bool:
    if encoding == "utf-16" and not data.startswith(_BOM["utf-16"]):
        return False
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return "\x00" not in text


def decode(path: Path, data: bytes, encoding: str) -> str:
    """Text of a file in the encoding of its mapping; a byte-order mark of UTF-8 is dropped.

    Raises
    ------
    DataError
        If the bytes are not in that encoding; names the likely one.
    """
    other_bom = next((name for name, bom in _BOM.items() if name != encoding and data.startswith(bom)), None)
    if other_bom:
        raise wrong_encoding(path, data, encoding, f"it begins with the byte-order mark of {other_bom}")
    try:
        text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        why = f"byte 0x{data[error.start]:02x} in line {line} cannot be read"
        raise wrong_encoding(path, data, encoding, why) from error
    if "\x00" in text:
        raise wrong_encoding(path, data, encoding, "it holds zero bytes")
    return text


def csv_rows(path: Path, text: str, delimiter: str = ",") -> Rows:
    """Rows of a CSV text with the number of the line on which each ends.

    Raises
    ------
    DataError
        If quotes are not closed or a line is no CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"{path.name} is not CSV",
                where=f"{path} line {reader.line_num}: {error}",
                hint="check the quotes of that line; the columns are set apart by the mapping's delimiter",
                line=reader.line_num,
            ) from error
        yield reader.line_num, cells
