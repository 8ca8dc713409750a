"""Reading many sites at once, for pages about a region: one question instead of one per site."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from sqlalchemy import ColumnElement, and_, func, select

from energy.core.clock import require_aware
from energy.core.measurement import Quality
from energy.core.series import FloatArray, Grid
from energy.core.units import SeriesId
from energy.store import schema
from energy.store.engine import Connections
from energy.store.schema import from_micros, to_micros
from energy.store.service_rows import JobRunRow
from energy.store.values import Document, StoredValue

__all__ = ["SqlAcross"]

_P, _S, _D = schema.point.c, schema.series.c, schema.document.c
_AT_ONCE: Final = 400  # keys of one query; SQLite takes 999 parameters in its oldest versions
_MOST_SERIES: Final = 10_000_000
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
            for first in range(0, len(keys), _AT_ONCE):
                query = (
                    select(schema.document)
                    .where(
                        _D.kind == kind,
                        _D.key.in_(keys[first : first + _AT_ONCE]),
                        _D.known_at <= self._limit,
                    )
                    .order_by(_D.key, _D.known_at)
                )
                for name, key, known_at, body in connection.execute(query):
                    found[key] = Document(name, key, from_micros(known_at), body)
        return found


def _ends_with(column: ColumnElement[str], ending: str) -> ColumnElement[bool]:
    return func.substr(column, func.length(column) - len(ending) + 1) == ending
