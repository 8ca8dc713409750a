"""Files of charging sessions: one row per stay of a car at a plug, CSV or Parquet, under a mapping."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from energy.core.errors import ConfigError, DataError
from forecasting.sessions import CleanSessions, Session, SessionRules, clean_sessions
from vpp.ingest.columns import bad_cell
from vpp.ingest.layout import Cells, Rows, csv_rows, decode, read_bytes
from vpp.ingest.table import missing_column, parquet_table
from vpp.ingest.times import RowFault, WallClock, number, parse_stamp, zone_named

__all__ = ["RejectedRow", "SessionFile", "SessionMapping", "parse_session_mapping", "read_sessions"]

log = logging.getLogger(__name__)

_SHORT_YEAR: Final = re.compile(r"\s*00(?P<rest>[0-9]{2}[-/])")


class SessionMapping(BaseModel):
    """What the columns of a session file mean.

    Parameters
    ----------
    user_column, charger_column : str or None
        Who, and at which plug; at least one of them. Without users each plug is taken as one.
    arrival_column, departure_column : str
        Plugged in and unplugged; an empty departure is a car that is still there.
    energy_column : str or None
        Energy charged, in kWh times ``1 / energy_scale``; an empty cell is unknown.
    energy_scale : float
        What a number is multiplied by to be kWh: 0.001 for Wh.
    zone : str
        Zone of times without an offset. There is no default: times stored in UTC without saying so are
        common, and nine hours of error look like another shift.
    time_format : str or None
        Format of :meth:`datetime.datetime.strptime` if the times are not ISO 8601.
    century : 1900, 2000 or None
        What to add to years written 0014 for 2014. Without it such a row is bad.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    user_column: str | None = None
    charger_column: str | None = None
    arrival_column: str
    departure_column: str
    energy_column: str | None = None
    energy_scale: Annotated[float, Field(gt=0.0)] = 1.0
    zone: str
    time_format: str | None = None
    century: Literal[1900, 2000] | None = None
    encoding: Literal["utf-8", "cp932", "utf-16"] = "utf-8"
    delimiter: Literal[",", ";", "\t"] = ","

    def columns(self) -> list[str]:
        """Names of the columns that are read."""
        named = (
            self.user_column,
            self.charger_column,
            self.arrival_column,
            self.departure_column,
            self.energy_column,
        )
        return [name for name in named if name is not None]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A row that was left out because it cannot be read."""

    line: int
    column: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFile:
    """What a file of sessions held.

    Parameters
    ----------
    clean : CleanSessions
        Sessions that can be used, and those that were refused or mended, by name.
    rows_read, rows_blank : int
        Rows that held something; rows of empty cells.
    years_mended : int
        Times whose year was written without its century.
    without_user : int
        Rows whose cell for the user is empty; the plug stands for the user.
    rejected : tuple of RejectedRow
        Rows left out because a cell cannot be read.
    """

    file: str
    clean: CleanSessions
    rows_read: int
    rows_blank: int
    years_mended: int
    without_user: int
    rejected: tuple[RejectedRow, ...]
    time_zone: str

    @property
    def sessions(self) -> tuple[Session, ...]:
        """The sessions that can be used, in order of arrival."""
        return self.clean.sessions

    def as_json(self) -> dict[str, object]:
        """The report in the types of JSON; no user is named."""
        sessions = self.sessions
        return {
            "file": self.file,
            "time_zone": self.time_zone,
            "rows_read": self.rows_read,
            "rows_blank": self.rows_blank,
            "rows_rejected": len(self.rejected),
            "years_mended": self.years_mended,
            "without_user": self.without_user,
            "refused": {fault.value: count for fault, count in self.clean.faults().items()},
            "mended": {mend.value: count for mend, count in self.clean.mended.items()},
            "sessions": len(sessions),
            "users": len({session.user for session in sessions}),
            "first": sessions[0].arrives.isoformat() if sessions else None,
            "last": sessions[-1].arrives.isoformat() if sessions else None,
        }


def parse_session_mapping(settings: Mapping[str, object]) -> SessionMapping:
    """Mapping from settings as they stand in a YAML file.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, a value impossible, there is no such zone, or neither user nor
        charger has a column.
    """
    try:
        mapping = SessionMapping.model_validate(dict(settings))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "mapping"
        raise ConfigError(
            "the mapping for sessions cannot be used",
            where=f"{where}: {first['msg']}",
            hint="docs/how-to/forecast-cars.md shows a mapping",
        ) from error
    if mapping.user_column is None and mapping.charger_column is None:
        raise ConfigError(
            "the mapping for sessions cannot be used",
            where="neither user_column nor charger_column",
            hint="name the column of the drivers, or of the plugs",
        )
    zone_named(mapping.zone)
    return mapping


def read_sessions(
    path: Path, mapping: SessionMapping, *, rules: SessionRules | None = None, skip_bad: bool = False
) -> SessionFile:
    """Read a file of sessions, clean it, and say what was found.

    Parameters
    ----------
    path : Path
        CSV, or Parquet if its name ends so; ``.gz`` is unpacked.
    skip_bad : bool
        Leave rows out that cannot be read, and list them; otherwise the first one stops the reading.

    Raises
    ------
    DataError
        If the file cannot be read, a column is missing, a row is bad, or no row is left.
    ConfigError
        If the zone does not exist.
    """
    names, rows = _open(path, mapping)
    reader = _Reader(mapping, names)
    sessions: list[Session] = []
    rejected: list[RejectedRow] = []
    read = blank = 0
    for line, cells in rows:
        if all(_is_empty(cell) for cell in cells):
            blank += 1
            continue
        read += 1
        try:
            if len(cells) != len(names):
                raise RowFault("", ",".join(map(str, cells)), f"{len(cells)} cells, not {len(names)}")
            sessions.append(reader.session(cells))
        except RowFault as fault:
            if not skip_bad:
                raise bad_cell(path, line, fault.column, fault.value, fault.reason) from None
            rejected.append(RejectedRow(line, fault.column, str(fault.value)[:80], fault.reason))
    if not sessions:
        raise DataError(
            f"{path.name} holds no usable session",
            where=f"{path}: {blank} blank rows, {len(rejected)} bad rows",
            hint="check the mapping, or read without skipping bad rows to see the first fault",
        )
    found = SessionFile(
        file=path.name,
        clean=clean_sessions(sessions, SessionRules() if rules is None else rules),
        rows_read=read,
        rows_blank=blank,
        years_mended=reader.years_mended,
        without_user=reader.without_user,
        rejected=tuple(rejected),
        time_zone=mapping.zone,
    )
    log.info(
        "sessions.read file=%s rows=%d kept=%d refused=%d rejected=%d years_mended=%d",
        *(found.file, read, len(found.sessions), len(found.clean.refused)),
        *(len(rejected), reader.years_mended),
    )
    return found


def _open(path: Path, mapping: SessionMapping) -> tuple[list[str], Rows]:
    data, wanted = read_bytes(path), mapping.columns()
    if path.suffix in {".parquet", ".pq"}:
        names, rows = parquet_table(path, data, wanted)
    else:
        rows = csv_rows(path, decode(path, data, mapping.encoding), mapping.delimiter)
        names = [str(cell).strip() for _, cells in islice(rows, 1) for cell in cells]
    for name in wanted:
        if name not in names:
            raise missing_column(path, name, names, what="the columns in the mapping")
    return names, rows


def _is_empty(cell: object) -> bool:
    return cell is None or cell != cell or (isinstance(cell, str) and not cell.strip())


class _Reader:
    """What a row means, and what had to be mended."""

    def __init__(self, mapping: SessionMapping, names: Sequence[str]) -> None:
        self._mapping = mapping
        self._zone = zone_named(mapping.zone)
        self._place = {name: names.index(name) for name in mapping.columns()}
        self.years_mended = 0
        self.without_user = 0

    def session(self, cells: Cells) -> Session:
        """The session of a row; raises RowFault."""
        mapping = self._mapping
        clock = WallClock(self._zone)  # per row: rows of many drivers are in no order
        arrives = self._instant(clock, mapping.arrival_column, cells)
        gone = self._cell(mapping.departure_column, cells)
        departs = None if _is_empty(gone) else self._instant(clock, mapping.departure_column, cells)
        charger = self._text(mapping.charger_column, cells)
        user = self._text(mapping.user_column, cells)
        if not user:
            self.without_user += 1
            user = charger
        if not user:
            raise RowFault(mapping.user_column or mapping.charger_column or "", "", "neither user nor plug")
        return Session(
            user=user, arrives=arrives, departs=departs, energy_kwh=self._energy(cells), charger=charger
        )

    def _cell(self, name: str, cells: Cells) -> object:
        return cells[self._place[name]]

    def _text(self, name: str | None, cells: Cells) -> str:
        cell = None if name is None else self._cell(name, cells)
        return "" if _is_empty(cell) else str(cell).strip()

    def _energy(self, cells: Cells) -> float | None:
        name = self._mapping.energy_column
        cell = None if name is None else self._cell(name, cells)
        return None if name is None or _is_empty(cell) else number(name, cell) * self._mapping.energy_scale

    def _instant(self, clock: WallClock, name: str, cells: Cells) -> datetime:
        cell, century = self._cell(name, cells), self._mapping.century
        if century is not None and isinstance(cell, str) and (found := _SHORT_YEAR.match(cell)):
            cell = f"{century // 100}{found['rest']}{cell[found.end() :]}"
            self.years_mended += 1
        return clock.instant(name, parse_stamp(name, cell, self._mapping.time_format))
