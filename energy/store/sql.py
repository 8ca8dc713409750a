"""The store on SQLite or PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Final, NoReturn, Self, TypeVar

from sqlalchemy import Connection, Select, Table, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from energy.core.clock import require_aware
from energy.core.errors import DataError
from energy.store import schema
from energy.store.across import SqlAcross
from energy.store.adding import add_points
from energy.store.canonical import canonical_json
from energy.store.engine import Connections, Durability, connect_errors, make_engine
from energy.store.erasing import erase
from energy.store.journal_table import SqlJournal
from energy.store.migrate import prepare
from energy.store.pruning import Pruning
from energy.store.schema import from_micros, to_micros
from energy.store.service_rows import ServiceRows
from energy.store.service_table import service_rows
from energy.store.snapshot import SqlSnapshot
from energy.store.values import AppendReport, AuditFilter, AuditRecord, Erased, Point

__all__ = ["SqlStore", "open_store"]

_PER_QUERY: Final = 500  # far below SQLite's limit of 32766 parameters, large enough to be fast
_T = TypeVar("_T", int, str)
_Key = tuple[str, int, int]  # series, at, known_at
_Content = tuple[float | None, str, str]  # value, quality, source


def open_store(url: str, *, durability: Durability = "full", read_only: bool = False) -> SqlStore:
    """Open a store, and make or update its tables.

    Parameters
    ----------
    url : str
        ``sqlite:///relative.db``, ``sqlite:////absolute/path.db``, ``sqlite://`` (in memory) or
        ``postgresql+psycopg://user:password@host/database``.
    durability : {"full", "process"}
        What a finished transaction survives: a power cut, or only the death of the process (faster; for
        simulations, which can be run again).
    read_only : bool
        Refuse all writes, in the database itself. The tables must be up to date already.

    Raises
    ------
    ConfigError
        If the database cannot be opened or written, is newer than the program, or is not a store.
    """
    engine, address = make_engine(url, durability=durability, read_only=read_only)
    try:
        with connect_errors(address):
            prepare(engine, address, read_only=read_only)
    except BaseException:
        engine.dispose()
        raise
    names = _Names(schema.series), _Names(schema.source)

    def forget() -> None:
        for cache in names:
            cache.forget()

    return SqlStore(Connections(engine, address, read_only=read_only, on_rollback=forget), *names)


class SqlStore:
    """A :class:`energy.store.Store` in a SQL database; made by :func:`open_store`.

    Safe to share between threads: one writes, any number read. Leaving a ``with`` block closes it.
    """

    def __init__(self, connections: Connections, series: _Names, sources: _Names) -> None:
        self._connections = connections
        self._series = series
        self._sources = sources
        self._journal = SqlJournal(connections)
        self._rows = service_rows(connections)
        self._pruning = Pruning(connections)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self._connections.read_only

    @property
    def journal(self) -> SqlJournal:
        """Where the ledger keeps its entries."""
        return self._journal

    @property
    def rows(self) -> ServiceRows:
        """Accounts, sessions, tokens, remembered writes and webhooks."""
        return self._rows

    @property
    def pruning(self) -> Pruning:
        """What a rule of retention may take out."""
        return self._pruning

    def append(self, points: Iterable[Point]) -> AppendReport:
        """Add points; the same point again changes nothing.

        Raises
        ------
        DataError
            If a point stands under the same ``(series, at, known_at)`` with other content; then nothing of
            the call is written.
        """
        wanted, repeated = _by_key(points)
        if not wanted:
            return AppendReport(0, repeated)
        with self._connections.write() as connection:
            series = self._series.ids(connection, {key[0] for key in wanted})
            sources = self._sources.ids(connection, {content[2] for content in wanted.values()})
            # Sorted, so that two writers of the same rows on PostgreSQL wait for each other in one order.
            rows = sorted(
                (series[name], at, known_at, value, quality, sources[source])
                for (name, at, known_at), (value, quality, source) in wanted.items()
            )
            written = add_points(connection, rows)
            if written < len(rows):
                _must_agree(connection, wanted)
        return AppendReport(written, len(rows) - written + repeated)

    def as_of(self, instant: datetime) -> SqlSnapshot:
        """The world as it was known at an instant."""
        return SqlSnapshot(self._connections, instant)

    def across(self, instant: datetime) -> SqlAcross:
        """Many sites at once, as known at an instant."""
        return SqlAcross(self._connections, instant)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written at once, or nothing if an exception leaves the block.

        Blocks nest: an inner block that fails takes only its own writes back. A block belongs to its thread
        and must not be held across an ``await``.
        """
        with self._connections.write():
            yield

    def put_document(self, kind: str, key: str, *, known_at: datetime, body: str) -> bool:
        """Add a version of a document; False if this very version stood there already.

        Raises
        ------
        DataError
            If another text stands under the same ``(kind, key, known_at)``.
        """
        micros, column = to_micros(require_aware(known_at)), schema.document.c
        with self._connections.write() as connection:
            if _add(connection, schema.document, [(kind, key, micros, body)]):
                return True
            stored = connection.scalar(
                select(column.body).where(column.kind == kind, column.key == key, column.known_at == micros)
            )
            if stored != body:
                raise DataError(
                    "another text stands under this version of a document",
                    where=f"{kind} {key!r} known at {known_at.isoformat()}",
                    hint="a document is never changed: write the new text with a later known_at",
                )
        return False

    def erase(self, *, folders: Sequence[str] = (), documents: Sequence[tuple[str, str]] = ()) -> Erased:
        """Delete the values of all series below some folders, and all versions of some documents.

        For personal data that must not be kept; journal and audit trail cannot be deleted from.

        Raises
        ------
        DataError
            If a folder does not end with ``/``.
        """
        with self._connections.write():
            done = erase(self._connections, folders, documents)
            self._series.forget()
        return done

    def audit(self, actor: str, act: str, subject: str, *, at: datetime, facts: Mapping[str, object]) -> None:
        """Record who did what to what; ``facts`` as in :func:`energy.store.canonical_json`."""
        record = {
            "at": to_micros(require_aware(at)),
            "actor": actor,
            "act": act,
            "subject": subject,
            "facts": canonical_json(facts),
        }
        with self._connections.write() as connection:
            connection.execute(insert(schema.audit), record)

    def audit_trail(self, subject: str | None = None) -> list[AuditRecord]:
        """Records in the order they were made, of one subject or of all."""
        query = select(schema.audit).order_by(schema.audit.c.number)
        if subject is not None:
            query = query.where(schema.audit.c.subject == subject)
        return self._audited(query)

    def audit_page(self, filters: AuditFilter, *, before: int | None = None, limit: int) -> list[AuditRecord]:
        """Newest records that a filter lets through, newest first; with ``before`` those of lower number."""
        columns = schema.audit.c
        query = select(schema.audit).order_by(columns.number.desc()).limit(limit)
        if filters.actor:
            query = query.where(columns.actor == filters.actor)
        for column, beginning in ((columns.act, filters.act), (columns.subject, filters.subject)):
            if beginning:
                query = query.where(column.startswith(beginning, autoescape=True))
        if filters.start is not None:
            query = query.where(columns.at >= to_micros(require_aware(filters.start)))
        if filters.end is not None:
            query = query.where(columns.at < to_micros(require_aware(filters.end)))
        if before is not None:
            query = query.where(columns.number < before)
        return self._audited(query)

    def _audited(self, query: Select[Any]) -> list[AuditRecord]:
        with self._connections.read() as connection:
            return [
                AuditRecord(number, from_micros(at), actor, act, about, json.loads(facts))
                for number, at, actor, act, about, facts in connection.execute(query)
            ]

    def close(self) -> None:
        """Let go of the database; the store cannot be used afterwards."""
        self._connections.close()


class _Names:
    """Numbers of names (series, sources), made when first used and remembered."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._known: dict[str, int] = {}

    def ids(self, connection: Connection, names: set[str]) -> dict[str, int]:
        missing = sorted(names - self._known.keys())
        if missing:
            found = self._find(connection, missing)
            new = [name for name in missing if name not in found]
            if new:
                _add(connection, self._table, [(name,) for name in new], columns=("name",))
                found |= self._find(connection, new)
            self._known |= found
        return self._known

    def _find(self, connection: Connection, names: list[str]) -> dict[str, int]:
        column, found = self._table.c, {}
        for chunk in _chunks(set(names)):
            rows = connection.execute(select(column.name, column.id).where(column.name.in_(chunk)))
            found.update({str(name): int(number) for name, number in rows})
        return found

    def forget(self) -> None:
        """Drop what is remembered: some of it may just have been rolled back."""
        self._known = {}


def _add(
    connection: Connection,
    table: Table,
    rows: list[tuple[Any, ...]],  # Any: column values, checked by the database
    *,
    columns: tuple[str, ...] = (),
) -> int:
    """Insert the rows that are not there yet; how many that were."""
    kind = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    names = columns or tuple(table.c.keys())
    result = connection.execute(
        kind(table).on_conflict_do_nothing(),
        [dict(zip(names, row, strict=True)) for row in rows],
        execution_options={"preserve_rowcount": True},
    )
    return result.rowcount


def _by_key(points: Iterable[Point]) -> tuple[dict[_Key, _Content], int]:
    """Points by key, and how many of them were said twice."""
    wanted: dict[_Key, _Content] = {}
    repeated = 0
    for point in points:
        key = (point.series, to_micros(point.at), to_micros(point.known_at))
        content = (point.value, point.quality.value, point.source)
        if key not in wanted:
            wanted[key] = content
        elif wanted[key] == content:
            repeated += 1
        else:
            _refuse(key, wanted[key], content)
    return wanted, repeated


def _must_agree(connection: Connection, wanted: Mapping[_Key, _Content]) -> None:
    """Compare the points with what stands under their keys."""
    column = schema.point.c
    query = (
        select(
            schema.series.c.name,
            column.at,
            column.known_at,
            column.value,
            column.quality,
            schema.source.c.name.label("source"),
        )
        .join(schema.series, schema.series.c.id == column.series_id)
        .join(schema.source, schema.source.c.id == column.source_id)
    )
    for names in _chunks({key[0] for key in wanted}):
        for instants in _chunks({key[1] for key in wanted}):
            both = schema.series.c.name.in_(names), column.at.in_(instants)
            for name, at, known_at, value, quality, source in connection.execute(query.where(*both)):
                key, stored = (name, at, known_at), (value, quality, source)
                if wanted.get(key, stored) != stored:
                    _refuse(key, stored, wanted[key])


def _chunks(items: set[_T]) -> Iterator[list[_T]]:
    """The items in order, a query's worth at a time."""
    ordered = sorted(items)
    for first in range(0, len(ordered), _PER_QUERY):
        yield ordered[first : first + _PER_QUERY]


def _refuse(key: _Key, stored: _Content, offered: _Content) -> NoReturn:
    name, at, known_at = key
    raise DataError(
        f"two different values for one instant of {name}",
        where=f"at {from_micros(at).isoformat()}, known at {from_micros(known_at).isoformat()}: "
        f"there is {stored[0]} ({stored[1]}, from {stored[2]}), "
        f"offered was {offered[0]} ({offered[1]}, from {offered[2]})",
        hint="values are never changed: append a correction with a later known_at",
    )
