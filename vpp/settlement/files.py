"""The small CSV files of bills and settlements: strict, each fault named by file, line and column.

Meter rows are stamped by the *end* of their half hour, plan, price and margin rows by its start. A time
without an offset is Japan's. Nothing is dropped or doubled: a row that comes twice, is off the half hour or
negative is refused; a row that is missing stays missing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal

import numpy as np
from pydantic import TypeAdapter, ValidationError

from energy.core.errors import DataError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import JST, SLOT_LENGTH, Slot, slots_of_day
from energy.ledger import ReceiptLine
from energy.market.demand import exact
from energy.market.plans import Trade, read_trade
from energy.market.portfolio import Resource
from vpp.ingest.layout import csv_rows, decode, read_bytes
from vpp.ingest.table import missing_column
from vpp.ingest.times import RowFault, number, parse_date, parse_stamp, whole_number

__all__ = [
    "SlotRow",
    "decimals",
    "instant_cell",
    "read_codes",
    "read_days",
    "read_events",
    "read_forecast",
    "read_meter",
    "read_prices",
    "read_receipt",
    "read_resources",
    "read_slot_rows",
    "read_slots",
    "read_trades",
    "receipt_of",
    "row_error",
    "table_rows",
]

METER_COLUMNS: Final = ("timestamp", "kwh")


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One row of a slot file: the slot, its cells by column, and the line."""

    slot: Slot
    cells: dict[str, str]
    line: int


def table_rows(path: Path, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Rows of a CSV file by column; blank ones are skipped."""
    return _rows_of(path, read_bytes(path), needed)


def _rows_of(path: Path, content: bytes, needed: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    rows = csv_rows(path, decode(path, content, "utf-8"))
    _, header = next(rows, (0, ()))
    names = [str(cell).strip() for cell in header]
    for name in needed:
        if name not in names:
            raise missing_column(path, name, names, what=f"the header: {','.join(needed)}")
    for line, cells in rows:
        told = [str(cell).strip() for cell in cells]
        if not any(told):
            continue
        if len(told) != len(names):
            raise DataError(
                f"{path.name} has a row of {len(told)} cells under {len(names)} columns",
                where=f"{path} line {line}",
                hint="one row per half hour, as many cells as the header",
            )
        yield line, dict(zip(names, told, strict=True))


def row_error(path: Path, line: int, fault: RowFault) -> DataError:
    """What is said about a row that cannot be used."""
    return DataError(
        f"{path.name} has a row that cannot be used",
        where=f"{path} line {line}, {fault.column}: {fault.value!r}: {fault.reason}",
        hint="correct the row; nothing of the file was used",
    )


def instant_cell(column: str, cell: str) -> datetime:
    """A time with its offset, or Japan's."""
    stamp = parse_stamp(column, cell)
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=JST)


def _slot(column: str, cell: str, stamp: Literal["start", "end"]) -> Slot:
    at = instant_cell(column, cell)
    try:
        return Slot(at) if stamp == "start" else Slot.ending_at(at)
    except ValueError:
        raise RowFault(
            column, cell, "not on a half hour; if the meter's clock was changed, settle around it by hand"
        ) from None


def read_slot_rows(
    path: Path, columns: Sequence[str], *, stamp: Literal["start", "end"] = "start", once: bool = True
) -> list[SlotRow]:
    """Rows of a file with one row per slot, in order of time.

    Parameters
    ----------
    columns : sequence of str
        Columns the file must have; the first is the time.
    stamp : str
        Whether the time is the start or the end of its half hour.
    once : bool
        Whether a slot may come only once.

    Raises
    ------
    DataError
        If a column is missing, a time cannot be read or is off the half hour, or a slot comes twice.
    """
    found: list[SlotRow] = []
    seen: dict[Slot, int] = {}
    for line, cells in table_rows(path, columns):
        try:
            slot = _slot(columns[0], cells[columns[0]], stamp)
        except RowFault as fault:
            raise row_error(path, line, fault) from None
        if once and slot in seen:
            raise DataError(
                f"{path.name} says a half hour twice",
                where=f"{path} lines {seen[slot]} and {line}: {cells[columns[0]]}",
                hint="keep one of the rows; neither was used",
            )
        seen[slot] = line
        found.append(SlotRow(slot, cells, line))
    if not found:
        raise DataError(
            f"{path.name} has no rows", where=str(path), hint=f"{','.join(columns)} and rows below"
        )
    return sorted(found, key=lambda row: (row.slot, row.line))


def _value(path: Path, row: SlotRow, column: str, least: float | None) -> float:
    try:
        value = number(column, row.cells[column])
        if least is not None and value < least:
            raise RowFault(column, row.cells[column], f"below {least:g}")
    except RowFault as fault:
        raise row_error(path, row.line, fault) from None
    return value


def _series(values: dict[Slot, float], unit: Unit) -> Series:
    first, last = min(values), max(values)
    grid = Grid(first.start, (last.start - first.start) // SLOT_LENGTH + 1)
    filled = np.full(grid.count, np.nan)
    for slot, value in values.items():
        filled[grid.index(slot.start)] = value
    return Series(grid, filled, unit)


def read_meter(path: Path) -> Series:
    """Imported energy of a meter file ``timestamp,kwh``; NaN where rows are missing. [kWh]

    Raises
    ------
    DataError
        If the file is not of that form, or holds a negative energy or a half hour twice.
    """
    rows = read_slot_rows(path, METER_COLUMNS, stamp="end")
    return _series({row.slot: _value(path, row, "kwh", 0.0) for row in rows}, Unit.KWH)


def decimals(series: Series) -> dict[Slot, Decimal]:
    """Known values of a series of slots, exact to a millionth."""
    told = zip(series.grid.slots(), series.values.tolist(), strict=True)
    return {slot: exact(value) for slot, value in told if not math.isnan(value)}


def read_slots(path: Path, column: str, unit: Unit, *, least: float | None = None) -> Series:
    """Values of a file ``slot_start,<column>``; NaN where rows are missing.

    Raises
    ------
    DataError
        If the file is not of that form, holds a half hour twice or a value below ``least``.
    """
    rows = read_slot_rows(path, ("slot_start", column))
    return _series({row.slot: _value(path, row, column, least) for row in rows}, unit)


def read_prices(path: Path) -> tuple[dict[Slot, Decimal], frozenset[Slot]]:
    """Prices of a file ``slot_start,yen_per_kwh[,status]`` and the slots with a preliminary one. [yen/kWh]

    A slot may have a ``preliminary`` and a ``final`` row; the final one counts. Without the column prices are
    final.

    Raises
    ------
    DataError
        If the file is not of that form, a status is unknown or said twice for a slot.
    """
    by_status: dict[str, dict[Slot, Decimal]] = {"preliminary": {}, "final": {}}
    for row in read_slot_rows(path, ("slot_start", "yen_per_kwh"), once=False):
        status = row.cells.get("status", "final")
        said = by_status.get(status)
        if said is None or row.slot in said:
            reason = "neither preliminary nor final" if said is None else "said twice"
            raise row_error(path, row.line, RowFault("status", f"{row.cells['slot_start']} {status}", reason))
        _value(path, row, "yen_per_kwh", None)
        said[row.slot] = Decimal(row.cells["yen_per_kwh"])
    final = by_status["final"]
    return {**by_status["preliminary"], **final}, frozenset(by_status["preliminary"]) - frozenset(final)


def read_forecast(path: Path, day: date) -> list[Decimal]:
    """Energy of the 48 slots of a day: ``slot_start,kwh``, or a file of ``vpp forecast export``. [kWh]

    Raises
    ------
    DataError
        If a slot of the day is missing, suppressed, or comes twice.
    """
    header = next(csv_rows(path, decode(path, read_bytes(path), "utf-8")), (0, ()))[1]
    delivered = "p50_kwh" in [str(cell).strip() for cell in header]
    columns = ("start", "p50_kwh") if delivered else ("slot_start", "kwh")
    told = {row.slot: row for row in read_slot_rows(path, columns)}
    missing = [slot for slot in slots_of_day(day) if slot not in told]
    if missing:
        raise DataError(
            f"{path.name} lacks {len(missing)} of 48 half hours of {day}",
            where=f"{path}: the first is slot {missing[0].koma}",
            hint="a plan is made of whole days; nothing is filled in",
        )
    rows = [told[slot] for slot in slots_of_day(day)]
    return [Decimal(repr(round(_value(path, row, columns[1], 0.0), 6))) for row in rows]


def read_trades(path: Path, day: date) -> list[Trade]:
    """Trades of a day: ``slot_start,party,side,kwh``; slots that are not named are 0. [kWh]

    Raises
    ------
    DataError
        If a row is of another day, no whole kWh, or a slot of a party and side comes twice.
    """
    found: dict[tuple[str, str], dict[int, int]] = {}
    for row in read_slot_rows(path, ("slot_start", "party", "side", "kwh"), once=False):
        party, side = row.cells["party"], row.cells["side"]
        slots = found.setdefault((party, side), {})
        try:
            if row.slot.local_date != day:
                raise RowFault("slot_start", row.cells["slot_start"], f"not on {day}")
            if row.slot.koma in slots:
                raise RowFault("slot_start", row.cells["slot_start"], f"{party} {side} comes twice")
            slots[row.slot.koma] = whole_number("kwh", row.cells["kwh"])
        except RowFault as fault:
            raise row_error(path, row.line, fault) from None
    return [
        read_trade(
            {"party": party, "side": side, "kwh": [slots.get(k, 0) for k in range(1, 49)]}, name=path.name
        )
        for (party, side), slots in found.items()
    ]


def read_events(path: Path) -> list[tuple[datetime, datetime]]:
    """Past events of a file ``start,end``, in order.

    Raises
    ------
    DataError
        If the file is not of that form or an event ends before it starts.
    """
    found = []
    for line, cells in table_rows(path, ("start", "end")):
        try:
            start, end = (instant_cell(name, cells[name]) for name in ("start", "end"))
            if end <= start:
                raise RowFault("end", cells["end"], f"not after the start {cells['start']}")
        except RowFault as fault:
            raise row_error(path, line, fault) from None
        found.append((start, end))
    return sorted(found)


def read_days(path: Path) -> frozenset[date]:
    """Days of a file ``date``.

    Raises
    ------
    DataError
        If the file is not of that form.
    """
    found = set()
    for line, cells in table_rows(path, ("date",)):
        try:
            found.add(parse_date("date", cells["date"]))
        except RowFault as fault:
            raise row_error(path, line, fault) from None
    return frozenset(found)


def read_codes(path: Path) -> frozenset[str]:
    """Codes of a file ``code``.

    Raises
    ------
    DataError
        If the file is not of that form.
    """
    return frozenset(cells["code"] for _, cells in table_rows(path, ("code",)))


def read_receipt(path: Path) -> list[ReceiptLine]:
    """Rows of the coin operator's receipt ``batch_id,line,points,status``.

    Raises
    ------
    DataError
        If the file is not of that form, holds no line, or a status is unknown.
    """
    return receipt_of(path, read_bytes(path))


def receipt_of(path: Path, content: bytes) -> list[ReceiptLine]:
    """The same of a file that somebody sent; its name is for what is said about it.

    Raises
    ------
    DataError
        As :func:`read_receipt`.
    """
    found = []
    for line, cells in _rows_of(path, content, ("batch_id", "line", "points", "status")):
        try:
            number_of_line = whole_number("line", cells["line"])
            points = cells["points"]
            whole = whole_number("points", points.removeprefix("-")) * (-1 if points.startswith("-") else 1)
            if cells["status"] not in ("accepted", "refused"):
                raise RowFault("status", cells["status"], "neither accepted nor refused")
        except RowFault as fault:
            raise row_error(path, line, fault) from None
        found.append(
            ReceiptLine(batch_id=cells["batch_id"], line=number_of_line, points=whole, status=cells["status"])
        )
    if not found:
        raise DataError(
            f"{path.name} holds no line of a receipt",
            where=str(path),
            hint="a receipt has one row per line of its batch; ask the operator for it again",
        )
    return found


def read_resources(path: Path) -> list[Resource]:
    """Sites of a file ``site,kw[,reliability][,holder]``.

    Raises
    ------
    DataError
        If the file is not of that form, or a number cannot be.
    """
    found = []
    for line, cells in table_rows(path, ("site", "kw")):
        told = {"site": cells["site"], "kw": cells["kw"]}
        told |= {name: cells[name] for name in ("reliability", "holder") if cells.get(name)}
        try:
            found.append(TypeAdapter(Resource).validate_python(told))
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            column = str(fault["loc"][0]) if fault["loc"] else ""
            raise row_error(path, line, RowFault(column, told.get(column, ""), str(fault["msg"]))) from None
    return found
