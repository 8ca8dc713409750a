"""Going through a file row by row: blank, good, twice the same, or at fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

from energy.core.errors import DataError
from energy.core.slots import JST, SLOTS_PER_DAY, Slot
from vpp.ingest.layout import Cells, Layout, Reading
from vpp.ingest.times import RowFault

__all__ = ["Collected", "Reject", "Stretch", "collect"]

Stretch = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Reject:
    """A row that was left out, and why."""

    line: int
    column: str
    value: str
    reason: str
    row: tuple[str, ...]


@dataclass(slots=True)
class Collected:
    """What a file held.

    Parameters
    ----------
    readings : dict of datetime to Reading
        Good rows by the start of their interval.
    rows_read, rows_blank, duplicates, out_of_order : int
        Rows that held something; rows of empty cells only; rows that repeat another one; rows whose time is
        before that of the row above.
    rejects : list of Reject
        Rows left out.
    """

    readings: dict[datetime, Reading] = field(default_factory=dict)
    rows_read: int = 0
    rows_blank: int = 0
    duplicates: int = 0
    out_of_order: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def gaps(self, step: timedelta) -> list[Stretch]:
        """Stretches between the first and the last row in which at least one series has no value."""
        if not self.readings:
            return []
        first, end = min(self.readings), max(self.readings) + step
        width = len(next(iter(self.readings.values())).values)
        missing: list[Stretch] = []
        for place in range(width):
            have = sorted(at for at, reading in self.readings.items() if reading.values[place] is not None)
            edges = zip([first - step, *have], [*have, end], strict=True)
            missing += [(before + step, after) for before, after in edges if after - before > step]
        return _joined(sorted(missing))


def _joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Ordered stretches, those that touch or overlap made one."""
    joined: list[Stretch] = []
    for start, end in stretches:
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def collect(path: Path, layout: Layout, *, known_at: datetime, skip_bad: bool) -> Collected:
    """Read all rows of a file.

    Parameters
    ----------
    known_at : datetime
        When the file is imported; what could not be known then is a bad row.
    skip_bad : bool
        Leave bad rows out and go on instead of stopping at the first.

    Raises
    ------
    DataError
        At the first bad row unless ``skip_bad``; if no row is left; or if a market day is not whole.
    """
    found = Collected()
    lines: dict[datetime, int] = {}
    for line, cells in layout.rows:
        if _is_blank(cells):
            found.rows_blank += 1
            continue
        found.rows_read += 1
        try:
            _take(found, lines, layout, line=line, cells=cells, known_at=known_at)
        except RowFault as fault:
            if not skip_bad:
                raise _bad_row(path, line, fault) from None
            shown = tuple("" if cell is None else str(cell) for cell in cells)
            found.rejects.append(Reject(line, fault.column, _shown(fault.value), fault.reason, shown))
    if not found.readings:
        raise DataError(
            f"{path.name} holds no usable row",
            where=f"{path}: {found.rows_blank} blank rows, {len(found.rejects)} bad rows",
            hint="check the kind of file, or import without skipping bad rows to see the first fault",
        )
    if layout.whole_days and not skip_bad:
        _require_whole_days(path, found)
    return found


def _is_blank(cells: Cells) -> bool:
    return all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells)


def _take(
    found: Collected,
    lines: dict[datetime, int],
    layout: Layout,
    *,
    line: int,
    cells: Cells,
    known_at: datetime,
) -> None:
    """Add a row to what was found, or say what is wrong with it."""
    if len(cells) != len(layout.columns):
        raise RowFault("", ",".join(map(str, cells)), f"{len(cells)} cells, not {len(layout.columns)}")
    reading = layout.read(cells)
    if layout.slack is not None and reading.known_at - layout.slack > known_at:
        known = f"{reading.known_at.astimezone(JST):%Y-%m-%d %H:%M}"
        raise RowFault("", cells[0], f"cannot be known before {known} Japanese time, after this import")
    before = found.readings.get(reading.at)
    if before is None:
        if found.readings and reading.at < next(reversed(found.readings)):
            found.out_of_order += 1
        found.readings[reading.at] = reading
        lines[reading.at] = line
    elif before.values == reading.values:
        found.duplicates += 1
    else:
        raise RowFault("", cells[0], f"says something else than line {lines[reading.at]} about the same time")


def _shown(value: object) -> str:
    return str(value)[:80]


def _bad_row(path: Path, line: int, fault: RowFault) -> DataError:
    place: dict[str, object] = {"line": line}
    if fault.column:
        place["column"] = fault.column
    return DataError(
        f"a row of {path.name} cannot be used; nothing was imported",
        where=f"{path}: {fault.reason}",
        hint="correct the row, or skip bad rows (--skip-bad) and look at the reject file",
        **place,
        value=_shown(fault.value),
    )


def _require_whole_days(path: Path, found: Collected) -> None:
    """Refuse a market day that has not 48 slots."""
    days: Counter[date] = Counter(Slot(at).local_date for at in found.readings)
    for day, count in sorted(days.items()):
        if count != SLOTS_PER_DAY:
            here = {Slot(at).koma for at in found.readings if at.astimezone(JST).date() == day}
            lost = [str(koma) for koma in range(1, SLOTS_PER_DAY + 1) if koma not in here]
            raise DataError(
                f"{day} has {count} slots in {path.name}; nothing was imported",
                where=f"{path}: slots {', '.join(lost[:6])}{' ...' if len(lost) > 6 else ''} are missing",
                hint="a Japanese day has 48 slots and the market publishes whole days: fetch the file again",
                day=day,
                slots=count,
            )
