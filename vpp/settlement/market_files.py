"""More small CSV files: participants and shops of the fairness report, notified values of FIT and FIP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from energy.core.clock import require_aware
from energy.core.errors import DataError
from energy.core.slots import JST, SLOTS_PER_DAY, Slot
from energy.ledger.fairness import Participant, Shop
from energy.market.plans import Trade, read_trade
from vpp.ingest.layout import csv_rows, decode, read_bytes
from vpp.ingest.table import missing_column
from vpp.ingest.times import RowFault, parse_stamp, whole_number
from vpp.settlement.files import read_slot_rows

__all__ = ["read_notified", "read_people", "read_shops"]

T = TypeVar("T")


def _fault(path: Path, line: int, column: str, value: str, reason: str) -> DataError:
    return DataError(
        f"{path.name} has a row that cannot be used",
        where=f"{path} line {line}, {column}: {value!r}: {reason}",
        hint="correct the row; nothing of the file was used",
    )


def _rows(path: Path, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    rows = csv_rows(path, decode(path, read_bytes(path), "utf-8"))
    _, header = next(rows, (0, ()))
    names = [str(cell).strip() for cell in header]
    for name in needed:
        if name not in names:
            raise missing_column(path, name, names, what=f"the header: {','.join(needed)}")
    for line, cells in rows:
        told = [str(cell).strip() for cell in cells]
        if any(told):
            if len(told) != len(names):
                raise _fault(path, line, names[0], told[0], f"{len(told)} cells under {len(names)} columns")
            yield line, dict(zip(names, told, strict=True))


def _read(path: Path, kind: type[T], needed: tuple[str, ...]) -> list[T]:
    """Rows of a file as values of a kind, each fault named."""
    found = []
    for line, cells in _rows(path, needed):
        told: dict[str, object] = {name: cells[name] for name in needed}
        if "ev" in told:
            if told["ev"] not in ("yes", "no"):
                raise _fault(path, line, "ev", cells["ev"], "neither yes nor no")
            told["ev"] = told["ev"] == "yes"
        try:
            found.append(TypeAdapter(kind).validate_python(told))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            column = str(first["loc"][0]) if first["loc"] else needed[0]
            raise _fault(path, line, column, cells.get(column, ""), str(first["msg"])) from None
    return found


def read_people(path: Path) -> list[Participant]:
    """Participants of a file ``account,kind,employer,ev``; ``ev`` is yes or no.

    Raises
    ------
    DataError
        If the file is not of that form.
    """
    return _read(path, Participant, ("account", "kind", "employer", "ev"))


def read_shops(path: Path) -> list[Shop]:
    """Shops of a file ``shop,size,points``.

    Raises
    ------
    DataError
        If the file is not of that form.
    """
    return _read(path, Shop, ("shop", "size", "points"))


def read_notified(path: Path, party: str, day: date, *, at: datetime) -> Trade:
    """What a grid operator notified for a FIT or FIP plant, as a purchase from ``party`` (RULES-JP 1.7).

    A file ``slot_start,kwh,notified_at``, whole kWh. A slot may come once for every notification; the newest
    one before ``at`` counts. The value is an input: it is copied into the plan, not forecast and not rounded.

    Raises
    ------
    DataError
        If a slot of the day was not notified yet, a value is no whole kWh, or one comes twice.
    """
    newest: dict[Slot, tuple[datetime, int]] = {}
    seen: set[tuple[Slot, datetime]] = set()
    for row in read_slot_rows(path, ("slot_start", "kwh", "notified_at"), once=False):
        try:
            stamp = parse_stamp("notified_at", row.cells["notified_at"])
            notified = require_aware(stamp if stamp.tzinfo else stamp.replace(tzinfo=JST))
            kwh = whole_number("kwh", row.cells["kwh"])
        except RowFault as fault:
            raise _fault(path, row.line, fault.column, str(fault.value), fault.reason) from None
        if (row.slot, notified) in seen:
            raise _fault(path, row.line, "slot_start", row.cells["slot_start"], "notified twice at once")
        seen.add((row.slot, notified))
        known = newest.get(row.slot)
        if notified <= at and row.slot.local_date == day and (known is None or notified > known[0]):
            newest[row.slot] = (notified, kwh)
    slots = [Slot.of(day, koma) for koma in range(1, SLOTS_PER_DAY + 1)]
    missing = [slot for slot in slots if slot not in newest]
    if missing:
        raise DataError(
            f"{path.name} does not notify {len(missing)} of 48 half hours of {day}",
            where=f"{path}: the first is slot {missing[0].koma}",
            hint="wait for the notification, or draft without this plant; nothing is guessed",
        )
    return read_trade(
        {"party": party, "side": "buy", "kwh": [newest[slot][1] for slot in slots]}, name=path.name
    )
