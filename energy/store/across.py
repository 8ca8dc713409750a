"""Reading many sites at once, for pages about a region: one question instead of one per site."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CursorResult,
    Integer,
    Select,
    Text,
    and_,
    bindparam,
    case,
    func,
    select,
    true,
)

from energy.core.clock import require_aware
from energy.core.measurement import Quality
from energy.core.series import FloatArray, Grid
from energy.core.units import SeriesId
from energy.store import schema
from energy.store.engine import Connections
from energy.store.lists import listed, told
from energy.store.schema import from_micros, to_micros
from energy.store.service_rows import JobRunRow
from energy.store.values import Document, StoredValue

__all__ = ["SqlAcross"]

_P, _S, _D = schema.point.c, schema.series.c, schema.document.c
_AT_ONCE: Final = 400  # keys of one query; SQLite takes 999 parameters in its oldest versions
_LIMIT: Final = bindparam("limit", type_=BigInteger)
_MOST_SERIES: Final = 10_000_000
_T = TypeVar("_T")
_UNUSABLE: Final = (Quality.INVALID.value, Quality.STALE.value)


class SqlAcross:
    """Many series and documents as known at one instant; see :class:`energy.store.Across`."""

    def __init__(self, connections: Connections, known_until: datetime) -> None:
        self._connections = connections
        self._limit = to_micros(require_aware(known_until))

    def totals(self, ending: str, grid: Grid) -> tuple[FloatArray, FloatArray]:
        """Sum over all series whose name has an ending, and how many of them went into it, per interval."""
        # The series come first, as a list of their own: left to itself, SQLite reads every point there is.
        named = select(_S.id).where(_ends_with(_S.name, ending)).limit(_MOST_SERIES).subquery()
        later = schema.point.alias("later")
        corrected = (
            select(later.c.at)
            .where(
                later.c.series_id == _P.series_id,
                later.c.at == _P.at,
                later.c.known_at > _P.known_at,
                later.c.known_at <= self._limit,
            )
            .exists()
        )
        query = (
            select(_P.at, func.sum(_P.value), func.count(_P.value))
            .select_from(named)
            .join(schema.point, _P.series_id == named.c.id)
            .where(
                _P.at >= to_micros(grid.start),
                _P.at < to_micros(grid.end),
                _P.known_at <= self._limit,
                _P.value.is_not(None),
                _P.quality.not_in(_UNUSABLE),
                ~corrected,
            )
            .group_by(_P.at)
        )
        sums, counts = np.full(grid.count, np.nan), np.zeros(grid.count)
        step = grid.step // timedelta(microseconds=1)
        with self._connections.read() as connection:
            for at, total, count in connection.execute(query):
                index, off = divmod(at - to_micros(grid.start), step)
                if not off:
                    sums[index], counts[index] = float(total), int(count)
        return sums, counts

    def latest(self, ending: str) -> dict[SeriesId, StoredValue]:
        """The newest value of every series whose name has an ending, whatever its quality."""
        newest = schema.point.alias("newest")
        last_at = (
            select(newest.c.at)
            .where(newest.c.series_id == _S.id, newest.c.known_at <= self._limit)
            .order_by(newest.c.at.desc())
            .limit(1)
            .correlate(schema.series)
            .scalar_subquery()
        )
        # The limit lets nothing through less; it keeps SQLite from asking the inner question per point.
        last = (
            select(_S.id, _S.name, last_at.label("at"))
            .where(_ends_with(_S.name, ending))
            .limit(_MOST_SERIES)
            .subquery()
        )
        query = (
            select(
                last.c.name, _P.at, _P.known_at, _P.value, _P.quality, schema.source.c.name.label("source")
            )
            .select_from(last)
            .join(schema.point, and_(_P.series_id == last.c.id, _P.at == last.c.at))
            .join(schema.source, schema.source.c.id == _P.source_id)
            .where(_P.known_at <= self._limit)
            .order_by(_P.known_at)  # of several versions the newest comes last and stays
        )
        with self._connections.read() as connection:
            return {
                SeriesId(name): StoredValue(
                    from_micros(at), from_micros(known), value, Quality(quality), source
                )
                for name, at, known, value, quality, source in connection.execute(query)
            }

    def values(self, ending: str, start: datetime, end: datetime) -> dict[SeriesId, list[StoredValue]]:
        """The newest known values of ``[start, end)`` of every series whose name has an ending, in order."""
        query = (
            select(_S.name, _P.at, _P.known_at, _P.value, _P.quality, schema.source.c.name.label("source"))
            .join(schema.point, _P.series_id == _S.id)
            .join(schema.source, schema.source.c.id == _P.source_id)
            .where(
                _ends_with(_S.name, ending),
                _P.at >= to_micros(require_aware(start)),
                _P.at < to_micros(require_aware(end)),
                _P.known_at <= self._limit,
            )
            .order_by(_S.name, _P.at, _P.known_at)  # of several versions the newest comes last and stays
        )
        found: dict[SeriesId, dict[int, StoredValue]] = {}
        with self._connections.read() as connection:
            for name, at, known, value, quality, source in connection.execute(query):
                found.setdefault(SeriesId(name), {})[at] = StoredValue(
                    from_micros(at), from_micros(known), value, Quality(quality), source
                )
        return {name: list(by_time.values()) for name, by_time in found.items()}

    def last_runs(self, states: Collection[str]) -> list[JobRunRow]:
        """Of every job the newest run that is in one of these states; jobs without one are left out."""
        run, job = schema.job_run, schema.job.c
        newest = (
            select(run.c.key)
            .where(
                run.c.job == job.name,
                run.c.subject == job.subject,
                run.c.state.in_([str(one) for one in sorted(states)]),
            )
            .order_by(run.c.key.desc())
            .limit(1)
            .correlate(schema.job)
            .scalar_subquery()
        )
        keys = select(newest.label("key")).select_from(schema.job).limit(_MOST_SERIES).subquery()
        query = select(run).join(keys, keys.c.key == run.c.key).order_by(run.c.job, run.c.subject)
        with self._connections.read() as connection:
            return [JobRunRow(**row) for row in connection.execute(query).mappings()]

    def documents(self, kind: str, keys: Sequence[str]) -> dict[str, Document]:
        """Newest version of the documents with these keys; keys without one are left out."""
        found: dict[str, Document] = {}
        with self._connections.read() as connection:
            for some in _chunks(keys):
                query = (
                    select(schema.document)
                    .where(_D.kind == kind, _D.key.in_(some), _D.known_at <= self._limit)
                    .order_by(_D.key, _D.known_at)
                )
                for name, key, known_at, body in connection.execute(query):
                    found[key] = Document(name, key, from_micros(known_at), body)
        return found

    def ids(self, ending: str) -> list[SeriesId]:
        """Names of the series that have an ending and of which something is known, sorted."""
        something = select(_P.at).where(_P.series_id == _S.id, _P.known_at <= self._limit).exists()
        query = select(_S.name).where(_ends_with(_S.name, ending), something)
        with self._connections.read() as connection:
            return sorted(SeriesId(name) for name in connection.scalars(query))

    def table(self, names: Sequence[SeriesId], grid: Grid) -> FloatArray:
        """The newest known values of some series on a grid, a row for each name; NaN where none can be used.

        Values that stand between the starts of intervals are left out, as in :meth:`totals`.
        """
        table = np.full((len(names), grid.count), np.nan)
        row_of = {name: row for row, name in enumerate(names)}
        start, step = to_micros(grid.start), grid.step // timedelta(microseconds=1)
        usable = case((_P.quality.in_(_UNUSABLE), None), else_=_P.value)
        with self._connections.read() as connection:
            for some in _chunks(names):
                numbers = connection.execute(select(_S.id, _S.name).where(_S.name.in_(some))).all()
                if not numbers:
                    continue
                # In the order in which the values lie: of several versions the newest comes last and stays.
                query = (
                    select(_P.series_id, _P.at, usable)
                    .where(
                        _P.series_id.in_([number for number, _ in numbers]),
                        _P.at >= start,
                        _P.at < to_micros(grid.end),
                        _P.known_at <= self._limit,
                    )
                    .order_by(_P.series_id, _P.at, _P.known_at)
                )
                found = _numbers(connection.execute(query))
                rows = np.zeros(max(number for number, _ in numbers) + 1, dtype=np.int64)
                for number, name in numbers:
                    rows[number] = row_of[SeriesId(name)]
                series, at = found[:, 0].astype(np.int64), found[:, 1].astype(np.int64)
                place, off = np.divmod(at - start, step)
                on = off == 0
                table[rows[series][on], place[on]] = found[on, 2]
        return table

    def versions(self, names: Sequence[SeriesId], grid: Grid) -> NDArray[np.int64]:
        """How many versions of values stand in each interval, a row for each name.

        Values are added and never changed, so what is made of them is as good as new while these counts stay.
        """
        counts = np.zeros((len(names), grid.count), dtype=np.int64)
        row_of = {name: row for row, name in enumerate(names)}
        edges = [to_micros(grid.start + k * grid.step) for k in range(grid.count + 1)]
        wanted = {
            "names": told((name,) for name in names),
            "stretches": told((k, edges[k], edges[k + 1]) for k in range(grid.count)),
            "limit": self._limit,
        }
        with self._connections.read() as connection:
            query = _versions(connection.dialect.name)
            for name, number, counted in connection.execute(query, wanted):
                counts[row_of[SeriesId(name)], number] = counted
        return counts

    def keys(self, kind: str, beginnings: Sequence[str], first: str, end: str) -> list[tuple[str, datetime]]:
        """Key and ``known_at`` of all versions in ``[beginning + first, beginning + end)``, sorted."""
        stretches = told((one + first, one + end) for one in beginnings)
        wanted = {"kind": kind, "stretches": stretches, "limit": self._limit}
        with self._connections.read() as connection:
            rows = connection.execute(_keys(connection.dialect.name), wanted)
            return [(key, from_micros(at)) for key, at in sorted((key, at) for key, at in rows if key)]


@lru_cache(maxsize=2)
def _versions(database: str) -> Select[str, int, int]:
    """How many versions each of the ``names`` has in each of the ``stretches``."""
    names, (name,) = listed(database, "names", [Text])
    stretches, (number, first, end) = listed(database, "stretches", [Integer, BigInteger, BigInteger])
    series = select(_S.id, _S.name).where(_S.name.in_(select(name).select_from(names))).cte("named")
    stretch = select(number.label("number"), first.label("first"), end.label("end")).select_from(stretches)
    part = stretch.cte("stretch")
    count = (
        select(func.count())
        .select_from(schema.point)
        .where(_P.series_id == series.c.id, _P.at >= part.c.first, _P.at < part.c.end, _P.known_at <= _LIMIT)
        .scalar_subquery()
    )
    return select(series.c.name, part.c.number, count).select_from(series.join(part, true()))


@lru_cache(maxsize=2)
def _keys(database: str) -> Select[str, int]:
    """Key and ``known_at`` of all versions in the ``stretches`` of keys; None for a stretch without one."""
    stretches, (first, end) = listed(database, "stretches", [Text, Text])
    inside = and_(_D.kind == bindparam("kind"), _D.key >= first, _D.key < end, _D.known_at <= _LIMIT)
    # An outer join begins at the list; else SQLite reads all of a kind and looks into the list for each.
    return select(_D.key, _D.known_at).select_from(stretches.outerjoin(schema.document, inside))


def _chunks(names: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for first in range(0, len(names), _AT_ONCE):
        yield names[first : first + _AT_ONCE]


def _numbers(result: CursorResult[int, int, float | None]) -> FloatArray:
    """Rows of numbers as the driver hands them over; shape (rows, 3), NaN for NULL.

    Millions of rows pass here, and SQLAlchemy's own object for each takes longer than the database does. A
    time in microseconds is below 2^53, so that a float keeps it whole.
    """
    told = result.cursor.fetchall()
    result.close()
    return np.array(told, dtype=np.float64).reshape(-1, 3)


def _ends_with(column: ColumnElement[str], ending: str) -> ColumnElement[bool]:
    return func.substr(column, func.length(column) - len(ending) + 1) == ending
