"""The tables of :mod:`energy.store.service_rows` in a SQL database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Integer, Select, Table, bindparam, delete, select, update
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

_Shape = tuple[str, tuple[tuple[str, bool], ...], tuple[str, ...]]
"""What a statement does, which columns it compares (and which of them with nothing), and which it sets."""


class SqlRowTable(Generic[Row]):
    """One table; see :class:`energy.store.service_rows.RowTable`."""

    def __init__(self, connections: Connections, table: Table, kind: type[Row]) -> None:
        insert = sqlite.insert if connections.dialect == "sqlite" else postgresql.insert
        self._connections = connections
        self._table = table
        self._kind = kind
        self._names = [field.name for field in fields(kind)]
        self._adding = insert(table).on_conflict_do_nothing()
        self._made: dict[_Shape, Any] = {}  # Any: a statement; its kind goes with the first part of its key

    def add(self, row: Row) -> bool:
        """Add a row; False if one stands under its key, which is left as it is."""
        with self._connections.write() as connection:
            done = connection.execute(
                self._adding,
                {name: getattr(row, name) for name in self._names},
                execution_options={"preserve_rowcount": True},
            )
            return done.rowcount == 1

    def find(self, **equal: Cell) -> list[Row]:
        """Rows whose columns have these values, by key."""
        query = self._once(("find", _shape(equal), ()), lambda: self._finding(equal))
        with self._connections.read() as connection:
            return [self._kind(**row) for row in connection.execute(query, _given(equal)).mappings()]

    def one(self, **equal: Cell) -> Row | None:
        """The first of them."""
        return next(iter(self.find(**equal)), None)

    def change(self, equal: Mapping[str, Cell], **values: Cell) -> int:
        """Set columns of the rows that have the values of ``equal`` now; how many these were."""
        query = self._once(
            ("change", _shape(equal), tuple(values)),
            lambda: (
                update(self._table)
                .where(*self._same(equal))
                .values({name: bindparam(f"new_{name}", type_=self._table.c[name].type) for name in values})
            ),
        )
        given = _given(equal) | {f"new_{name}": value for name, value in values.items()}
        with self._connections.write() as connection:
            return connection.execute(query, given).rowcount

    def remove(self, **equal: Cell) -> int:
        """Take rows away; how many these were."""
        query = self._once(
            ("remove", _shape(equal), ()), lambda: delete(self._table).where(*self._same(equal))
        )
        with self._connections.write() as connection:
            return connection.execute(query, _given(equal)).rowcount

    def up_to(self, column: str, instant: datetime, *, limit: int = 1_000) -> list[Row]:
        """Rows whose column holds an instant not later than this one, earliest first."""
        found = self._table.c[column]
        query = select(*(self._table.c[name] for name in self._names))
        query = query.where(found <= require_aware(instant)).order_by(found).limit(limit)
        with self._connections.read() as connection:
            return [self._kind(**row) for row in connection.execute(query).mappings()]

    def last(self, *, below: str | None = None, limit: int = 1, **equal: Cell) -> list[Row]:
        """Rows with these values, largest key first, of keys below one; for tables with one key."""
        what = "last" if below is None else "last below"
        query = self._once((what, _shape(equal), ()), lambda: self._last(equal, below is not None))
        given = _given(equal) | {"below": below, "limit": limit}
        with self._connections.read() as connection:
            return [self._kind(**row) for row in connection.execute(query, given).mappings()]

    def _last(self, equal: Mapping[str, Cell], below: bool) -> Select[Any]:  # Any: the columns of this table
        (key,) = self._table.primary_key.columns
        query = select(*(self._table.c[name] for name in self._names)).where(*self._same(equal))
        if below:
            query = query.where(key < bindparam("below", type_=key.type))
        return query.order_by(key.desc()).limit(bindparam("limit", type_=Integer))

    def _once(self, shape: _Shape, make: Callable[[], Any]) -> Any:  # Any: a statement of this shape
        """A statement, made when first asked; making one costs more than the database needs for it."""
        if shape not in self._made:
            self._made[shape] = make()
        return self._made[shape]

    def _finding(self, equal: Mapping[str, Cell]) -> Select[Any]:  # Any: the columns of this table
        query = select(*(self._table.c[name] for name in self._names))
        return query.where(*self._same(equal)).order_by(*self._table.primary_key.columns)

    def _same(self, equal: Mapping[str, Cell]) -> list[ColumnElement[bool]]:
        columns = self._table.c
        return [
            columns[name].is_(None)
            if value is None
            else columns[name] == bindparam(f"old_{name}", type_=columns[name].type)
            for name, value in equal.items()
        ]


def _shape(equal: Mapping[str, Cell]) -> tuple[tuple[str, bool], ...]:
    """Which columns are compared, and whether with nothing: that is another question."""
    return tuple((name, value is None) for name, value in equal.items())


def _given(equal: Mapping[str, Cell]) -> dict[str, Cell]:
    return {f"old_{name}": value for name, value in equal.items() if value is not None}


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
