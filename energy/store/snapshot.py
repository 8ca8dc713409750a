"""Reading the store as of one instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NoReturn

import numpy as np
from sqlalchemy import Row, Select, and_, func, select

from energy.core.clock import require_aware
from energy.core.errors import AlignmentError
from energy.core.measurement import Quality
from energy.core.series import Grid, Series, Unit
from energy.core.units import SeriesId
from energy.store import schema
from energy.store.beginnings import begins_with
from energy.store.engine import Connections
from energy.store.schema import from_micros, to_micros
from energy.store.values import Document, Piece, StoredValue

__all__ = ["SqlSnapshot"]

_UNUSABLE = frozenset({Quality.INVALID.value, Quality.STALE.value})
_P, _S, _D = schema.point.c, schema.series.c, schema.document.c


class SqlSnapshot:
    """The world as it was known at one instant; see :class:`energy.store.Snapshot`."""

    def __init__(self, connections: Connections, known_until: datetime) -> None:
        self._connections = connections
        self._known_until = require_aware(known_until)
        self._limit = to_micros(self._known_until)

    @property
    def known_until(self) -> datetime:
        """The instant; only what has ``known_at <= known_until`` is visible. UTC."""
        return self._known_until

    def series(self, series: SeriesId, grid: Grid, unit: Unit) -> Series:
        """For each interval the newest known value; NaN where none is known, or it is invalid or stale.

        Raises
        ------
        AlignmentError
            If a stored point inside the stretch does not stand on the start of an interval.
        """
        values = np.full(grid.count, np.nan)
        with self._connections.read() as connection:
            rows = connection.execute(self._newest(series, grid.start, grid.end)).all()
        if not rows:
            return Series(grid, values, unit)
        start, step = to_micros(grid.start), grid.step // timedelta(microseconds=1)
        at, known, found, quality, _ = zip(*rows, strict=True)
        index, off_grid = np.divmod(np.array(at, dtype=np.int64) - start, step)
        if off_grid.any():
            _refuse_grid(series, grid, from_micros(at[int(np.flatnonzero(off_grid)[0])]))
        usable = np.array([q not in _UNUSABLE for q in quality], dtype=np.bool_)
        numbers = np.array([np.nan if v is None else v for v in found], dtype=np.float64)
        usable &= ~np.isnan(numbers)
        values[index[usable]] = numbers[usable]
        newest = from_micros(int(np.array(known)[usable].max())) if usable.any() else None
        return Series(grid, values, unit, newest)

    def values(self, series: SeriesId, start: datetime, end: datetime) -> list[StoredValue]:
        """The newest known value of each instant in ``[start, end)``, in order, whatever its quality."""
        newest = self._newest(series, start, end).subquery()
        query = (
            select(newest.c.at, newest.c.known_at, newest.c.value, newest.c.quality, schema.source.c.name)
            .join(schema.source, schema.source.c.id == newest.c.source_id)
            .order_by(newest.c.at)
        )
        with self._connections.read() as connection:
            return [_stored(row) for row in connection.execute(query)]

    def pieces(self, series: SeriesId, grid: Grid) -> list[Piece]:
        """What each interval of a grid holds, worked out in the database; empty intervals are left out.

        Unlike with :meth:`series` the values may stand anywhere inside the intervals.
        """
        newest = self._newest(series, grid.start, grid.end).order_by(None).subquery()
        start, step = to_micros(grid.start), grid.step // timedelta(microseconds=1)
        number = ((newest.c.at - start) // step).label("number")
        low, mean, high = (how(newest.c.value) for how in (func.min, func.avg, func.max))
        query = (
            select(number, low, mean, high, func.count(newest.c.value))
            .where(newest.c.value.is_not(None), newest.c.quality.not_in(sorted(_UNUSABLE)))
            .group_by(number)
            .order_by(number)
        )
        with self._connections.read() as connection:
            return [
                Piece(grid.start + int(k) * grid.step, float(least), float(usual), float(most), int(known))
                for k, least, usual, most, known in connection.execute(query)
            ]

    def latest(self, series: SeriesId, *, before: datetime | None = None) -> StoredValue | None:
        """The value with the largest ``at`` (below ``before``), whatever its quality.

        Give ``before`` where much is stored that was not known yet, as in a back-test: the search then starts
        there and not at the end of the series.
        """
        query = self._known_points(series).order_by(_P.at.desc(), _P.known_at.desc()).limit(1)
        if before is not None:
            query = query.where(_P.at < to_micros(require_aware(before)))
        with self._connections.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _stored(row)

    def span(self, series: SeriesId) -> tuple[datetime, datetime] | None:
        """First and last ``at``, None for a series of which nothing is known."""
        first = self._known_points(series).order_by(_P.at).limit(1)
        last = self._known_points(series).order_by(_P.at.desc()).limit(1)
        with self._connections.read() as connection:
            ends = connection.execute(first).first(), connection.execute(last).first()
        if ends[0] is None or ends[1] is None:
            return None
        return from_micros(ends[0].at), from_micros(ends[1].at)

    def gaps(self, series: SeriesId, grid: Grid) -> list[tuple[datetime, datetime]]:
        """Stretches ``[start, end)`` of the grid without a usable value."""
        return self.series(series, grid, Unit.RATIO).missing()

    def ids(self, prefix: str = "") -> list[SeriesId]:
        """Names of the series of which something is known, sorted."""
        something = select(_P.at).where(_P.series_id == _S.id, _P.known_at <= self._limit).exists()
        query = select(_S.name).where(*begins_with(_S.name, prefix), something)
        with self._connections.read() as connection:
            return sorted(SeriesId(name) for name in connection.scalars(query))

    def document(self, kind: str, key: str) -> Document | None:
        """Newest version of a document."""
        query = (
            select(schema.document)
            .where(_D.kind == kind, _D.key == key, _D.known_at <= self._limit)
            .order_by(_D.known_at.desc())
            .limit(1)
        )
        with self._connections.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _document(row)

    def documents(self, kind: str, *, prefix: str = "") -> list[Document]:
        """Newest version of every document of a kind, sorted by key."""
        newest = (
            select(_D.key, func.max(_D.known_at).label("known_at"))
            .where(_D.kind == kind, _D.known_at <= self._limit, *begins_with(_D.key, prefix))
            .group_by(_D.key)
            .subquery()
        )
        query = select(schema.document).join(
            newest, and_(_D.kind == kind, _D.key == newest.c.key, _D.known_at == newest.c.known_at)
        )
        with self._connections.read() as connection:
            return sorted((_document(row) for row in connection.execute(query)), key=lambda d: d.key)

    def _known_points(self, series: SeriesId) -> Select[int, int, float | None, str, str]:
        return (
            select(_P.at, _P.known_at, _P.value, _P.quality, schema.source.c.name)
            .join(schema.series, _S.id == _P.series_id)
            .join(schema.source, schema.source.c.id == _P.source_id)
            .where(_S.name == series, _P.known_at <= self._limit)
        )

    def _newest(
        self, series: SeriesId, start: datetime, end: datetime
    ) -> Select[int, int, float | None, str, int]:
        """Query of the newest known row of each ``at`` in ``[start, end)``, in order.

        A join on the newest ``known_at`` instead of reading all versions: with 20 versions of 9,000 values
        44 ms instead of 160 ms, with one version 15 ms instead of 10 ms (SQLite 3.40).
        """
        newest = (
            select(_P.series_id, _P.at, func.max(_P.known_at).label("known_at"))
            .join(schema.series, _S.id == _P.series_id)
            .where(
                _S.name == series,
                _P.at >= to_micros(require_aware(start)),
                _P.at < to_micros(require_aware(end)),
                _P.known_at <= self._limit,
            )
            .group_by(_P.series_id, _P.at)
            .subquery()
        )
        same = and_(
            _P.series_id == newest.c.series_id, _P.at == newest.c.at, _P.known_at == newest.c.known_at
        )
        return (
            select(_P.at, _P.known_at, _P.value, _P.quality, _P.source_id).join(newest, same).order_by(_P.at)
        )


def _stored(row: Row[int, int, float | None, str, str]) -> StoredValue:
    at, known_at, value, quality, source = row
    return StoredValue(from_micros(at), from_micros(known_at), value, Quality(quality), source)


def _document(row: Row[str, str, int, str]) -> Document:
    kind, key, known_at, body = row
    return Document(kind, key, from_micros(known_at), body)


def _refuse_grid(series: SeriesId, grid: Grid, at: datetime) -> NoReturn:
    raise AlignmentError(
        f"{series} has values between the starts of the grid",
        where=f"at {at.isoformat()}; the grid starts at {grid.start.isoformat()} with steps of {grid.step}",
        hint="read it with the step it was stored with, then Series.to_slots; or read instants (values)",
    )
