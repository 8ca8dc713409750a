"""From a file to the store: read all of it, compare it with what is known, write once or not at all.

When is an imported value known? A back-test must see a meter's half hour of last June from last June on, not
from the day the file was imported. So ``known_at`` follows from the file (end of the interval, publication of
the market result), and importing the same file twice gives the same points.

A *corrected* file says something else about the same half hours. Then only the changed values are written, as
new versions known since the import; the earlier versions stay. The receipt of each imported file is kept
under its SHA-256, so that importing the old file once more does not undo the correction.
"""

from __future__ import annotations

import csv
import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, assert_never

from energy.core.clock import require_aware
from energy.core.errors import ConfigError, DataError
from energy.core.measurement import Quality
from energy.core.units import SeriesId
from energy.store import Point, Store, StoredValue, canonical_json
from vpp.ingest.collect import Collected, Reject, collect
from vpp.ingest.layout import Layout, read_bytes
from vpp.ingest.mapping import (
    AnyMapping,
    AreaDemandMapping,
    ImportKind,
    JepxSpotMapping,
    MeterMapping,
    TableMapping,
    WeatherMapping,
    parse_mapping,
)
from vpp.ingest.native import area_demand_layout, jepx_spot_layout, meter_layout
from vpp.ingest.report import ImportReport
from vpp.ingest.table import table_layout
from vpp.ingest.weather import import_weather

__all__ = ["ImportReport", "import_file"]

log = logging.getLogger(__name__)

_RECEIPT: Final = "import"


def import_file(
    path: Path,
    kind: ImportKind,
    *,
    store: Store,
    known_at: datetime,
    mapping: AnyMapping | None = None,
    skip_bad: bool = False,
    reject_path: Path | None = None,
    again: bool = False,
) -> ImportReport:
    """Import a file; all of it or nothing.

    Parameters
    ----------
    path : Path
        The file; ``.gz`` is unpacked.
    kind : ImportKind
        Its layout.
    store : Store
        Where the values go, in one transaction.
    known_at : datetime
        The time of the import: corrections are known from here on.
    mapping : mapping of that kind or None
        What the columns mean; the usual one of the kind unless given (:func:`parse_mapping`).
    skip_bad : bool
        Leave bad rows out and write them to a reject file.
    reject_path : Path or None
        The reject file; ``<file>.rejects.csv`` beside the file unless given.
    again : bool
        Let a file that was imported before win over corrections made since.

    Raises
    ------
    DataError
        If the file cannot be read, is in another encoding or layout, or a row is bad; names file, line,
        column and value. Nothing is written then.
    ConfigError
        If the mapping does not fit the kind.
    """
    instant = require_aware(known_at)
    how = parse_mapping(kind) if mapping is None else mapping
    if how.kind is not kind:
        raise ConfigError(
            f"a mapping for {how.kind} cannot read a file of kind {kind}", hint="give one that fits"
        )
    if isinstance(how, WeatherMapping):
        if skip_bad or reject_path is not None:
            raise ConfigError("a weather file is imported whole", where="--skip-bad", hint="correct its rows")
        return import_weather(path, how, store=store, imported_at=instant)
    data = read_bytes(path)
    layout = _open(path, data, how)
    found = collect(path, layout, known_at=instant, skip_bad=skip_bad)
    rejects = _write_rejects(path, reject_path, layout, found.rejects) if found.rejects else None
    digest = hashlib.sha256(data).hexdigest()
    writing = _Writing(
        store=store,
        layout=layout,
        found=found,
        imported_at=instant,
        source=f"{kind}:{path.name}#{digest[:12]}",
        imported_only=how.known == "imported",
    )
    with store.transaction():
        outcome = writing.write(receipt=f"{digest}:{_fingerprint(how)}", again=again)
    report = _report(path.name, how, layout, found=found, outcome=outcome, reject_file=rejects)
    log.info(
        "import.done file=%s kind=%s rows=%d written=%d corrected=%d unchanged=%d rejected=%d gaps=%d",
        *(report.file, kind.value, report.rows_read, report.written),
        *(report.corrected, report.unchanged, report.rows_rejected, len(report.gaps)),
    )
    return report


def _report(
    file: str,
    mapping: AnyMapping,
    layout: Layout,
    *,
    found: Collected,
    outcome: _Outcome,
    reject_file: Path | None,
) -> ImportReport:
    return ImportReport(
        file=file,
        kind=mapping.kind,
        rows_read=found.rows_read,
        rows_blank=found.rows_blank,
        rows_rejected=len(found.rejects),
        duplicates=found.duplicates,
        out_of_order=found.out_of_order,
        gaps=tuple(found.gaps(layout.step)),
        unit=", ".join(dict.fromkeys(unit.value for unit in layout.series.values())),
        time_zone=layout.zone,
        first=min(found.readings),
        last=max(found.readings) + layout.step,
        series=tuple(layout.series),
        written=outcome.written,
        corrected=outcome.corrected,
        unchanged=outcome.unchanged,
        superseded=outcome.superseded,
        reject_file=reject_file,
    )


def _open(
    path: Path, data: bytes, mapping: JepxSpotMapping | AreaDemandMapping | MeterMapping | TableMapping
) -> Layout:
    match mapping:
        case JepxSpotMapping():
            return jepx_spot_layout(path, data, mapping)
        case AreaDemandMapping():
            return area_demand_layout(path, data, mapping)
        case MeterMapping():
            return meter_layout(path, data, mapping)
        case TableMapping():
            return table_layout(path, data, mapping)
        case _:
            assert_never(mapping)


def _fingerprint(mapping: AnyMapping) -> str:
    return hashlib.sha256(mapping.model_dump_json().encode()).hexdigest()[:12]


@dataclass(slots=True)
class _Outcome:
    written: int = 0
    corrected: int = 0
    unchanged: int = 0
    superseded: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Writing:
    """Compares what a file says with what is known, and appends the difference."""

    store: Store
    layout: Layout
    found: Collected
    imported_at: datetime
    source: str
    imported_only: bool

    def write(self, *, receipt: str, again: bool) -> _Outcome:
        """Append new and changed values and keep the receipt; runs inside a transaction."""
        outcome = _Outcome()
        seen = self.store.as_of(self.imported_at).document(_RECEIPT, receipt) is not None
        points: list[Point] = []
        for place, series in enumerate(self.layout.series):
            points += self._points(series, place, outcome, keep_corrections=seen and not again)
        self.store.append(points)
        if not seen:
            body = canonical_json({"source": self.source, "series": list(self.layout.series)})
            self.store.put_document(_RECEIPT, receipt, known_at=self.imported_at, body=body)
        return outcome

    def _points(
        self, series: SeriesId, place: int, outcome: _Outcome, *, keep_corrections: bool
    ) -> list[Point]:
        readings = self.found.readings
        first, end = min(readings), max(readings) + self.layout.step
        snapshot = self.store.as_of(self.imported_at)
        known = {stored.at: stored for stored in snapshot.values(series, first, end)}
        points = []
        for at in sorted(readings):
            value = readings[at].values[place]
            if value is None:
                continue
            before = known.get(at)
            if before is None:
                outcome.written += 1
                usual = self.imported_at if self.imported_only else readings[at].known_at
                points.append(self._point(series, at, value, min(usual, self.imported_at)))
            elif before.value == value and before.quality is Quality.GOOD:
                outcome.unchanged += 1
            elif keep_corrections:
                outcome.superseded += 1
            else:
                outcome.corrected += 1
                points.append(self._correction(series, at, value, before))
        return points

    def _point(self, series: SeriesId, at: datetime, value: float, known_at: datetime) -> Point:
        return Point(series=series, at=at, known_at=known_at, value=value, source=self.source)

    def _correction(self, series: SeriesId, at: datetime, value: float, before: StoredValue) -> Point:
        if before.known_at >= self.imported_at:
            raise DataError(
                f"{series} was changed at the very instant of this import; nothing was imported",
                where=f"value of {at.isoformat()}: {before.value} from {before.source}, now {value}",
                hint="import the corrected file once more, a moment later",
            )
        return self._point(series, at, value, self.imported_at)


def _write_rejects(path: Path, wanted: Path | None, layout: Layout, rejects: list[Reject]) -> Path:
    """Write the bad rows beside the file, with line number and reason."""
    target = wanted or path.with_name(f"{path.name}.rejects.csv")
    try:
        with target.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["line", "column", "value", "reason", *layout.columns])
            for reject in rejects:
                writer.writerow([reject.line, reject.column, reject.value, reject.reason, *reject.row])
    except OSError as error:
        raise DataError(
            f"the reject file of {path.name} cannot be written; nothing was imported",
            where=f"{target}: {error}",
            hint="copy the file to a folder that you may write to, or correct its bad rows",
        ) from error
    return target
