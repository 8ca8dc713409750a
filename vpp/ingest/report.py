"""What an import found and did."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from energy.core.units import SeriesId
from vpp.ingest.collect import Stretch
from vpp.ingest.mapping import ImportKind

__all__ = ["ImportReport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What an import found and did.

    Parameters
    ----------
    rows_read, rows_blank, rows_rejected, duplicates, out_of_order : int
        Rows that held something; rows of empty cells; bad rows left out; rows that repeat another one; rows
        whose time lies before that of the row above.
    gaps : tuple of (start, end)
        Stretches between first and last in which at least one series has no value, UTC.
    unit : str
        Unit of the values; several units with commas between.
    time_zone : str
        Zone of the file's times.
    first, last : datetime
        First interval's start and last interval's end, UTC.
    written : int
        Values that were new.
    corrected : int
        Values that differed from what was known; written as new versions.
    unchanged : int
        Values that were known already.
    superseded : int
        Values of a file that was imported before and corrected since; the corrections stand.
    reject_file : Path or None
        Where the bad rows are, with line number and reason.
    """

    file: str
    kind: ImportKind
    rows_read: int
    rows_blank: int
    rows_rejected: int
    duplicates: int
    out_of_order: int
    gaps: tuple[Stretch, ...]
    unit: str
    time_zone: str
    first: datetime
    last: datetime
    series: tuple[SeriesId, ...]
    written: int
    corrected: int
    unchanged: int
    superseded: int
    reject_file: Path | None

    def as_json(self) -> dict[str, object]:
        """The report in the types of JSON, in the order of its fields."""
        plain: dict[str, object] = {name: getattr(self, name) for name in self.__slots__}
        plain["gaps"] = [[start.isoformat(), end.isoformat()] for start, end in self.gaps]
        plain["series"] = list(self.series)
        plain["kind"] = self.kind.value
        plain["first"], plain["last"] = self.first.isoformat(), self.last.isoformat()
        plain["reject_file"] = None if self.reject_file is None else str(self.reject_file)
        return plain
