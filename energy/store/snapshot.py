"""Reading the store as of one instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NoReturn

import numpy as np
from sqlalchemy import BigInteger, Row, Select, Text, and_, bindparam, func, select

from energy.core.clock import require_aware
from energy.core.errors import AlignmentError
from energy.core.measurement import Quality
from energy.core.series import Grid, Series, Unit
from energy.core.units import SeriesId
from energy.store import schema
from energy.store.beginnings import after, begins_with
from energy.store.engine import Connections
from energy.store.schema import from_micros, to_micros
from energy.store.values import Document, Piece, StoredValue

__all__ = ["SqlSnapshot"]

_UNUSABLE = frozenset({Quality.INVALID.value, Quality.STALE.value})
_P, _S, _D = schema.point.c, schema.series.c, schema.document.c
_SERIES: Final = bindparam("series", type_=Text)
_LIMIT: Final = bindparam("limit", type_=BigInteger)
# Asked for first and once: joined instead, PostgreSQL reads and sorts a whole series to find its last value.
_OF_SERIES: Final = _P.series_id == select(_S.id).where(_S.name == _SERIES).scalar_subquery()


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
            rows = connection.execute(_newest(), self._within(series, grid.start, grid.end)).all()
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
        with self._connections.read() as connection:
            found = connection.execute(_newest_told(), self._within(series, start, end))
            return [_stored(row) for row in found]

    def pieces(self, series: SeriesId, grid: Grid) -> list[Piece]:
        """What each interval of a grid holds, worked out in the database; empty intervals are left out.

        Unlike with :meth:`series` the values may stand anywhere inside the intervals.
        """
        newest = _newest().order_by(None).subquery()
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
                for k, least, usual, most, known in connection.execute(
                    query, self._within(series, grid.start, grid.end)
                )
            ]

    def latest(self, series: SeriesId, *, before: datetime | None = None) -> StoredValue | None:
        """The value with the largest ``at`` (below ``before``), whatever its quality.

        Give ``before`` where much is stored that was not known yet, as in a back-test: the search then starts
        there and not at the end of the series.
        """
        wanted: dict[str, Any] = {"series": series, "limit": self._limit}
        if before is not None:
            wanted["before"] = to_micros(require_aware(before))
        with self._connections.read() as connection:
            row = connection.execute(_latest(bounded=before is not None), wanted).first()
        return None if row is None else _stored(row)

    def span(self, series: SeriesId) -> tuple[datetime, datetime] | None:
        """First and last ``at``, None for a series of which nothing is known."""
        with self._connections.read() as connection:
            first, last = connection.execute(_span(), {"series": series, "limit": self._limit}).one()
        return None if first is None or last is None else (from_micros(first), from_micros(last))

    def gaps(self, series: SeriesId, grid: Grid) -> list[tuple[datetime, datetime]]:
        """Stretches ``[start, end)`` of the grid without a usable value."""
        return self.series(series, grid, Unit.RATIO).missing()

    def ids(self, prefix: str = "") -> list[SeriesId]:
        """Names of the series of which something is known, sorted."""
        end = after(prefix) if prefix else None
        wanted = {"limit": self._limit, "prefix": prefix, "end": end}
        with self._connections.read() as connection:
            return sorted(
                SeriesId(name)
                for name in connection.scalars(_named(bounded=end is not None), wanted)
                if name.startswith(prefix)
            )

    def document(self, kind: str, key: str) -> Document | None:
        """Newest version of a document."""
        with self._connections.read() as connection:
            row = connection.execute(_document_of(), {"kind": kind, "key": key, "limit": self._limit}).first()
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

    def _within(self, series: SeriesId, start: datetime, end: datetime) -> dict[str, str | int]:
        return {
            "series": series,
            "start": to_micros(require_aware(start)),
            "end": to_micros(require_aware(end)),
            "limit": self._limit,
        }


# Statements that every request asks are made once: making one costs several times what the database needs
# to answer it (tests/bench/service_speed.py prints the whole).


@lru_cache(maxsize=1)
def _newest() -> Select[int, int, float | None, str, int]:
    """The newest known row of each ``at`` in ``[start, end)``, in order.

    A row is the newest if the next of the primary key has another ``at``: the stretch is read once, in the
    order in which it lies. Joined to the newest ``known_at`` of each ``at`` instead, a year of minutes took
    2.5 s and not 0.4 s on PostgreSQL 15, which then sorts them.
    """
    in_order = (_P.series_id, _P.at, _P.known_at)
    following = func.lead(_P.at).over(order_by=in_order).label("following")
    known = (
        select(_P.at, _P.known_at, _P.value, _P.quality, _P.source_id, following)
        .where(
            _OF_SERIES,
            _P.at >= bindparam("start"),
            _P.at < bindparam("end"),
            _P.known_at <= _LIMIT,
        )
        .subquery()
    )
    own = known.c
    return (
        select(own.at, own.known_at, own.value, own.quality, own.source_id)
        .where(own.following.is_distinct_from(own.at))
        .order_by(own.at)
    )


@lru_cache(maxsize=1)
def _newest_told() -> Select[int, int, float | None, str, str]:
    """The same, with the name of the source."""
    newest = _newest().order_by(None).subquery()
    return (
        select(newest.c.at, newest.c.known_at, newest.c.value, newest.c.quality, schema.source.c.name)
        .join(schema.source, schema.source.c.id == newest.c.source_id)
        .order_by(newest.c.at)
    )


@lru_cache(maxsize=2)
def _latest(*, bounded: bool) -> Select[int, int, float | None, str, str]:
    """The newest version of the largest ``at``, below ``before`` if bounded."""
    last = (
        select(_P.at, _P.known_at, _P.value, _P.quality, _P.source_id)
        .where(_OF_SERIES, _P.known_at <= _LIMIT)
        .order_by(_P.at.desc(), _P.known_at.desc())
        .limit(1)
    )
    own = (last.where(_P.at < bindparam("before")) if bounded else last).subquery().c
    return select(own.at, own.known_at, own.value, own.quality, schema.source.c.name).join(
        schema.source, schema.source.c.id == own.source_id
    )


@lru_cache(maxsize=1)
def _span() -> Select[int | None, int | None]:
    """The smallest and the largest ``at``."""
    known = select(_P.at).where(_OF_SERIES, _P.known_at <= _LIMIT)
    ends = (known.order_by(order).limit(1).scalar_subquery() for order in (_P.at, _P.at.desc()))
    return select(*ends)


@lru_cache(maxsize=2)
def _named(*, bounded: bool) -> Select[str]:
    """Names of series of which something is known, from ``prefix`` on, up to ``end`` if bounded."""
    something = select(_P.at).where(_P.series_id == _S.id, _P.known_at <= _LIMIT).exists()
    query = select(_S.name).where(_S.name >= bindparam("prefix"), something)
    return query.where(_S.name < bindparam("end")) if bounded else query


@lru_cache(maxsize=1)
def _document_of() -> Select[str, str, int, str]:
    """The newest known version of a document."""
    return (
        select(schema.document)
        .where(_D.kind == bindparam("kind"), _D.key == bindparam("key"), _D.known_at <= _LIMIT)
        .order_by(_D.known_at.desc())
        .limit(1)
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
