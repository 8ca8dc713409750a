"""The tables of :mod:`energy.store.service_rows` in a SQL database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Generic, TypeVar

from sqlalchemy import ColumnElement, Table, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from energy.core.clock import require_aware
from energy.store import schema
from energy.store.engine import Connections
from energy.store.service_rows import (
    AccountRow,
    AlertRow,
    Cell,
    HookMessageRow,
    HookRow,
    JobRow,
    JobRunRow,
    LinkRow,
    ServiceRows,
    SessionRow,
    TokenRow,
    WriteRow,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Row = TypeVar("Row", bound=DataclassInstance)
else:
    Row = TypeVar("Row")

__all__ = ["SqlRowTable", "service_rows"]


class SqlRowTable(Generic[Row]):
    """One table; see :class:`energy.store.service_rows.RowTable`."""

    def __init__(self, connections: Connections, table: Table, kind: type[Row]) -> None:
        self._connections = connections
        self._table = table
        self._kind = kind
        self._names = [field.name for field in fields(kind)]

    def add(self, row: Row) -> bool:
        """Add a row; False if one stands under its key, which is left as it is."""
        insert = sqlite.insert if self._connections.dialect == "sqlite" else postgresql.insert
        with self._connections.write() as connection:
            done = connection.execute(
                insert(self._table).on_conflict_do_nothing(),
                asdict(row),
                execution_options={"preserve_rowcount": True},
            )
            return done.rowcount == 1

    def find(self, **equal: Cell) -> list[Row]:
        """Rows whose columns have these values, by key."""
        query = select(*(self._table.c[name] for name in self._names))
        query = query.where(*self._same(equal)).order_by(*self._table.primary_key.columns)
        with self._connections.read() as connection:
            return [self._kind(**row) for row in connection.execute(query).mappings()]

    def one(self, **equal: Cell) -> Row | None:
        """The first of them."""
        return next(iter(self.find(**equal)), None)

    def change(self, equal: Mapping[str, Cell], **values: Cell) -> int:
        """Set columns of the rows that have the values of ``equal`` now; how many these were."""
        with self._connections.write() as connection:
            done = connection.execute(update(self._table).where(*self._same(equal)).values(**values))
            return done.rowcount

    def remove(self, **equal: Cell) -> int:
        """Take rows away; how many these were."""
        with self._connections.write() as connection:
            return connection.execute(delete(self._table).where(*self._same(equal))).rowcount

    def up_to(self, column: str, instant: datetime, *, limit: int = 1_000) -> list[Row]:
        """Rows whose column holds an instant not later than this one, earliest first."""
        found = self._table.c[column]
        query = select(*(self._table.c[name] for name in self._names))
        query = query.where(found <= require_aware(instant)).order_by(found).limit(limit)
        with self._connections.read() as connection:
            return [self._kind(**row) for row in connection.execute(query).mappings()]

    def last(self, *, below: str | None = None, limit: int = 1, **equal: Cell) -> list[Row]:
        """Rows with these values, largest key first, of keys below one; for tables with one key."""
        (key,) = self._table.primary_key.columns
        query = select(*(self._table.c[name] for name in self._names)).where(*self._same(equal))
        if below is not None:
            query = query.where(key < below)
        with self._connections.read() as connection:
            found = connection.execute(query.order_by(key.desc()).limit(limit)).mappings()
            return [self._kind(**row) for row in found]

    def _same(self, equal: Mapping[str, Cell]) -> list[ColumnElement[bool]]:
        return [self._table.c[name] == value for name, value in equal.items()]


def service_rows(connections: Connections) -> ServiceRows:
    """All tables of the service in one database."""
    return ServiceRows(
        accounts=SqlRowTable(connections, schema.account, AccountRow),
        links=SqlRowTable(connections, schema.link, LinkRow),
        sessions=SqlRowTable(connections, schema.session, SessionRow),
        tokens=SqlRowTable(connections, schema.token, TokenRow),
        writes=SqlRowTable(connections, schema.remembered_write, WriteRow),
        hooks=SqlRowTable(connections, schema.hook, HookRow),
        messages=SqlRowTable(connections, schema.hook_message, HookMessageRow),
        jobs=SqlRowTable(connections, schema.job, JobRow),
        runs=SqlRowTable(connections, schema.job_run, JobRunRow),
        alerts=SqlRowTable(connections, schema.alert, AlertRow),
    )
