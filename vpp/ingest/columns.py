"""Columns of any CSV or Parquet file in the order of time, read strictly.

Encoding and delimiter are found out. A row that cannot be read stops the reading and is named by line,
column and value; what was mended (rows out of order, rows said twice) is counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from energy.core.errors import DataError
from energy.core.series import FloatArray
from vpp.ingest.layout import Cells, Rows, csv_rows, decode, read_bytes
from vpp.ingest.table import missing_column, parquet_table
from vpp.ingest.times import RowFault, WallClock, number, parse_stamp

__all__ = ["ColumnTable", "Instants", "Question", "bad_cell", "column_names", "read_columns"]

Instants = NDArray[np.datetime64]
_DELIMITERS: Final = (",", ";", "\t", "|")
_ENCODINGS: Final = ("utf-8", "cp932")
_UTF16_BOM: Final = (b"\xff\xfe", b"\xfe\xff")
_HEAD_LINES: Final = 10  # a header stands in one of them
_HEAD_CHARACTERS: Final = 20_000
_SHARE_OF_STEP: Final = 0.5  # the commonest distance of two stamps must be the rule, not one of many


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is wanted of a file.

    Parameters
    ----------
    time : str or None
        Column of the times, or two with a comma between (``DATE,TIME``); None if the rows follow each other
        from ``rows_from``.
    numbers : tuple of str
        Columns of numbers; an empty cell is a missing value.
    loose : tuple of str
        Columns whose cells may be anything; what is no number is missing.
    words : mapping of str to mapping
        Columns of words, and the number that each word stands for; an empty cell is a missing value.
    zone : ZoneInfo
        Zone of times without an offset.
    stamps : str
        Whether a time is the ``start`` or the ``end`` of its interval.
    issued : str or None
        Column of the times at which a forecast was issued.
    lead : str or None
        Column of the hours between issue and time, instead of ``issued``.
    rows_from : datetime or None
        Start of the first row's interval, where the times in the file cannot be used; naive: in ``zone``.
    step : timedelta or None
        Length of an interval; the commonest distance of two times unless given.
    where : tuple of str or None
        A column and what must stand in it; other rows are left out.
    time_format : str or None
        Format of :meth:`datetime.datetime.strptime` if the times are not ISO 8601.
    """

    time: str | None
    numbers: tuple[str, ...]
    loose: tuple[str, ...] = ()
    words: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    zone: ZoneInfo
    stamps: Literal["start", "end"] = "start"
    issued: str | None = None
    lead: str | None = None
    rows_from: datetime | None = None
    step: timedelta | None = None
    where: tuple[str, str] | None = None
    time_format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnTable:
    """A file as columns in the order of time (and of issue).

    Parameters
    ----------
    at : ndarray of datetime64[us]
        Start of each row's interval, UTC.
    issued : ndarray of datetime64[us] or None
        When each row's forecast was issued, UTC.
    values : mapping of str to ndarray
        Columns asked for; NaN where the cell was empty.
    step : timedelta
        Length of an interval.
    duplicates, out_of_order : int
        Rows that repeat another one; rows whose time is before that of the row above.
    """

    at: Instants
    issued: Instants | None
    values: Mapping[str, FloatArray]
    step: timedelta
    duplicates: int = 0
    out_of_order: int = 0


def column_names(path: Path) -> list[str]:
    """Names of a file's columns.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    return _open(path, ())[0]


def read_columns(path: Path, question: Question) -> ColumnTable:
    """Read the columns asked for.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, a cell is not what it should be, two rows say
        different things about the same time, or the times have no common step.
    """
    wanted = [
        *dict.fromkeys(
            name
            for name in (
                *_time_columns(question),
                question.issued,
                question.lead,
                question.where[0] if question.where else None,
                *question.numbers,
                *question.words,
                *question.loose,
            )
            if name is not None
        )
    ]
    columns, rows = _open(path, wanted)
    for name in wanted:
        if name not in columns:
            raise missing_column(path, name, columns, what="the name of the column")
    found = _collect(path, question, {name: columns.index(name) for name in wanted}, rows)
    if not found.at:
        raise DataError(f"{path.name} holds no row of data", where=_filter_text(path, question))
    return _in_order(path, question, found)


def _time_columns(question: Question) -> list[str]:
    """The column of times, or those of date and time."""
    if question.rows_from is not None or question.time is None:
        return []
    return [name.strip() for name in question.time.split(",")]


def _filter_text(path: Path, question: Question) -> str:
    return f"{path}: rows with {question.where[0]} = {question.where[1]}" if question.where else str(path)


def _open(path: Path, wanted: Sequence[str]) -> tuple[list[str], Rows]:
    data = read_bytes(path)
    if path.suffix in {".parquet", ".pq"}:
        return parquet_table(path, data, wanted) if wanted else (_parquet_names(path, data), iter(()))
    text = decode(path, data, _encoding(data))
    line = _header_line(text, wanted)
    delimiter = max(_DELIMITERS, key=text.splitlines()[line].count) if text.strip() else ","
    rows = csv_rows(path, text, delimiter)
    named = next((cells for number, cells in rows if number > line), ())
    return [str(cell).strip() for cell in named], rows


def _header_line(text: str, wanted: Sequence[str]) -> int:
    """Which of the first lines names the columns: some files begin with a title or a date of issue."""
    head = text[:_HEAD_CHARACTERS].splitlines()[:_HEAD_LINES]
    return next((number for number, line in enumerate(head) if all(name in line for name in wanted)), 0)


def _parquet_names(path: Path, data: bytes) -> list[str]:
    return parquet_table(path, data, ("\0",))[0]  # a name that no column has: all names come back


def _encoding(data: bytes) -> str:
    """UTF-8 if the bytes are, then the encoding of Japanese spreadsheets."""
    if data.startswith(_UTF16_BOM):
        return "utf-16"
    for encoding in _ENCODINGS:
        try:
            data.decode(encoding)
        except UnicodeDecodeError:
            continue
        return encoding
    return _ENCODINGS[0]


@dataclass(slots=True)
class _Found:
    """Rows as they came."""

    at: list[datetime] = field(default_factory=list)
    issued: list[datetime] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    cells: list[list[float]] = field(default_factory=list)
    twice_lived: list[int] = field(default_factory=list)


def _collect(path: Path, question: Question, places: Mapping[str, int], rows: Rows) -> _Found:
    found = _Found()
    reader = _Stamps(question, places)
    numbers = [(name, places[name]) for name in question.numbers]
    loose = [(name, places[name]) for name in question.loose]
    words = [(name, places[name], known) for name, known in question.words.items()]
    for line, cells in _data_rows(path, rows, max(places.values(), default=0), question, places):
        try:
            at, ambiguous = reader.start(cells)
            if ambiguous:
                found.twice_lived.append(line)
            issued = reader.issued(cells, at)
            found.cells.append(
                [_number(name, cells[place]) for name, place in numbers]
                + [_word(name, cells[place], known) for name, place, known in words]
                + [_number_or_nothing(name, cells[place]) for name, place in loose]
            )
        except RowFault as fault:
            raise bad_cell(path, line, fault.column, fault.value, fault.reason) from None
        found.at.append(at)
        found.lines.append(line)
        if issued is not None:
            found.issued.append(issued)
    return found


def _data_rows(
    path: Path, rows: Rows, widest: int, question: Question, places: Mapping[str, int]
) -> Iterator[tuple[int, Cells]]:
    """Rows that hold something and fit the filter."""
    for line, cells in rows:
        if all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells):
            continue
        if len(cells) <= widest:
            raise bad_cell(path, line, "", "", f"only {len(cells)} cells")
        if question.where is None or _same(cells[places[question.where[0]]], question.where[1]):
            yield line, cells


def _same(cell: object, wanted: str) -> bool:
    return str(cell).strip() == wanted.strip()


def _number(name: str, cell: object) -> float:
    """A cell as a number; NaN if it is empty or says so."""
    if cell is None or cell != cell:  # only NaN differs from itself
        return float("nan")
    if isinstance(cell, str) and cell.strip().lower() in {"", "nan", "null", "na", "n/a"}:
        return float("nan")
    return number(name, cell)


def _word(name: str, cell: object, known: Mapping[str, float]) -> float:
    """What a word stands for; NaN if the cell is empty."""
    text = "" if cell is None or cell != cell else str(cell).strip().lower()
    if text in {"", "nan", "null", "na", "n/a"}:
        return float("nan")
    if text not in known:
        raise RowFault(name, cell, f"none of {', '.join(known)}")
    return known[text]


def _number_or_nothing(name: str, cell: object) -> float:
    try:
        return _number(name, cell)
    except RowFault:
        return float("nan")


class _Stamps:
    """When the intervals of the rows start, and when their forecasts were issued."""

    def __init__(self, question: Question, places: Mapping[str, int]) -> None:
        self._question = question
        self._places = places
        self._clock = WallClock(question.zone)
        self._issue_clock = WallClock(question.zone)
        self._row = 0

    def start(self, cells: Cells) -> tuple[datetime, bool]:
        """The stamp of a row as UTC, and whether its hour is lived twice; the step is taken off later."""
        question = self._question
        if question.rows_from is not None:
            first = question.rows_from
            start = first if first.tzinfo else first.replace(tzinfo=question.zone)
            row, self._row = self._row, self._row + 1
            return start.astimezone(UTC) + row * (question.step or timedelta(minutes=30)), False
        assert question.time is not None
        parts = [cells[self._places[name]] for name in _time_columns(question)]
        cell = parts[0] if len(parts) == 1 else " ".join(str(part).strip() for part in parts)
        stamp = parse_stamp(question.time, cell, question.time_format)
        twice = stamp.tzinfo is None and _lived_twice(stamp, question.zone)
        return self._clock.instant(question.time, stamp), twice

    def issued(self, cells: Cells, at: datetime) -> datetime | None:
        question = self._question
        if question.issued is not None:
            stamp = parse_stamp(question.issued, cells[self._places[question.issued]], question.time_format)
            return self._issue_clock.instant(question.issued, stamp)
        if question.lead is not None:
            return at - timedelta(hours=number(question.lead, cells[self._places[question.lead]]))
        return None


def _lived_twice(stamp: datetime, zone: ZoneInfo) -> bool:
    """Whether the clocks of a zone show this local time twice."""
    early = stamp.replace(tzinfo=zone, fold=0)
    late = stamp.replace(tzinfo=zone, fold=1)
    one, two = early.utcoffset(), late.utcoffset()
    return one is not None and two is not None and one > two


def _in_order(path: Path, question: Question, found: _Found) -> ColumnTable:
    """Sort by time, drop rows said twice, and find the step."""
    at = _micros(found.at)
    issued = _micros(found.issued) if found.issued else None
    late = int((at[1:] < at[:-1]).sum()) if issued is None else 0
    if late and found.twice_lived:
        raise DataError(
            f"{path.name} is not in order and has times that the clocks of {question.zone.key} show twice",
            where=f"{path}: the first in line {found.twice_lived[0]}",
            hint="sort the rows, write times with an offset (+10:00), or give a fixed zone (UTC+10)",
        )
    order = np.lexsort((at,)) if issued is None else np.lexsort((issued, at))
    names = (*question.numbers, *question.words, *question.loose)
    values = np.array(found.cells, dtype=np.float64).reshape(len(found.at), len(names))[order]
    at, lines = at[order], np.array(found.lines)[order]
    issued = None if issued is None else issued[order]
    again = at[1:] == at[:-1]
    if issued is not None:
        again &= issued[1:] == issued[:-1]
    _refuse_contradictions(path, question, values, lines, again)
    keep = np.r_[True, ~again]
    step = question.step or _step_of(path, np.unique(at))
    shift = np.timedelta64(0, "us") if question.stamps == "start" else np.timedelta64(step)
    if question.rows_from is not None:
        shift = np.timedelta64(0, "us")
    return ColumnTable(
        at=at[keep] - shift,
        issued=None if issued is None else issued[keep],
        values={name: values[keep, place] for place, name in enumerate(names)},
        step=step,
        duplicates=int(again.sum()),
        out_of_order=late,
    )


def _refuse_contradictions(
    path: Path, question: Question, values: FloatArray, lines: NDArray[np.int64], again: NDArray[np.bool_]
) -> None:
    """Two rows of one time must say the same."""
    strict = values[:, : len(question.numbers) + len(question.words)]
    differs = again & ~np.isclose(strict[1:], strict[:-1], rtol=0.0, atol=0.0, equal_nan=True).all(axis=1)
    if differs.any():
        first = int(np.flatnonzero(differs)[0])
        raise bad_cell(
            path,
            int(max(lines[first], lines[first + 1])),
            question.time or "",
            "",
            f"says something else than line {min(lines[first], lines[first + 1])} about the same time",
        )


def _step_of(path: Path, at: Instants) -> timedelta:
    """The commonest distance of two neighbouring times."""
    if at.size < 2:
        raise DataError(
            f"{path.name} holds one time only", where=str(path), hint="a series needs several rows"
        )
    distances = Counter((np.diff(at) // np.timedelta64(1, "us")).tolist())
    step, count = distances.most_common(1)[0]
    if count < _SHARE_OF_STEP * (at.size - 1):
        shown = ", ".join(str(timedelta(microseconds=one)) for one, _ in distances.most_common(3))
        raise DataError(
            f"the times of {path.name} have no common step",
            where=f"{path}: the commonest distances are {shown}",
            hint="resample the file to regular intervals, or give the step (--step-minutes)",
        )
    return timedelta(microseconds=int(step))


def _micros(instants: Sequence[datetime]) -> Instants:
    naive: Callable[[datetime], datetime] = lambda instant: instant.replace(tzinfo=None)  # noqa: E731
    return np.array([naive(instant) for instant in instants], dtype="datetime64[us]")


def bad_cell(path: Path, line: int, column: str, value: object, reason: str) -> DataError:
    """Error that names a row, and a cell if it is one."""
    place: dict[str, object] = {"line": line}
    if column:
        place["column"] = column
    if value != "":
        place["value"] = str(value)[:80]
    return DataError(
        f"a row of {path.name} cannot be used",
        where=f"{path}: {reason}",
        hint="correct the row; nothing is guessed",
        **place,
    )
