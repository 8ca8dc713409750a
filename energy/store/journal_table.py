"""The two tables of the journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, TypeVarTuple

from sqlalchemy import Connection, LargeBinary, Row, Select, String, cast, func, insert, select, text

from energy.core.errors import DataError
from energy.store import schema
from energy.store.engine import Connections
from energy.store.values import JournalRow

__all__ = ["SqlJournal"]

_PAGE: Final = 2000  # rows read at once: a long journal is never held in memory
_Ts = TypeVarTuple("_Ts")
_J, _L = schema.journal.c, schema.posting.c


class SqlJournal:
    """Rows of the journal; see :class:`energy.store.JournalTable`."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def lock(self) -> None:
        """Keep other writers of the journal out until the running transaction ends."""
        with self._connections.write() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(text("LOCK TABLE journal IN SHARE ROW EXCLUSIVE MODE"))
            # SQLite: the transaction itself holds the only write lock (BEGIN IMMEDIATE).

    def append(self, row: JournalRow) -> None:
        """Add a row with its postings."""
        with self._connections.write() as connection:
            connection.execute(
                insert(schema.journal),
                {"number": row.number, "key": row.key, "body": row.body, "digest": row.digest},
            )
            connection.execute(
                insert(schema.posting),
                [
                    {"number": row.number, "line": line, "account": account, "points": points}
                    for line, (account, points) in enumerate(row.postings)
                ],
            )

    def head(self) -> JournalRow | None:
        """Last row."""
        with self._connections.read() as connection:
            row = connection.execute(select(schema.journal).order_by(_J.number.desc()).limit(1)).first()
            return None if row is None else _with_postings(connection, [row])[0]

    def find(self, key: str) -> JournalRow | None:
        """Row with this idempotency key."""
        with self._connections.read() as connection:
            row = connection.execute(select(schema.journal).where(_J.key == key)).first()
            return None if row is None else _with_postings(connection, [row])[0]

    def rows(self, *, account: str | None = None, prefix: str = "") -> Iterator[JournalRow]:
        """All rows in order, or those that touch an account, or whose key begins with a text.

        Bytes that are no text any more (a damaged file) are read as U+FFFD, so that whoever checks the hashes
        can name the row.
        """
        wanted = select(schema.journal).order_by(_J.number).limit(_PAGE)
        if account is not None:
            wanted = wanted.where(_J.number.in_(select(_L.number).where(_L.account == account)))
        if prefix:
            wanted = wanted.where(func.substr(_J.key, 1, len(prefix)) == prefix)
            if self._connections.dialect == "sqlite":  # ordered by code points: the index finds them
                wanted = wanted.where(_J.key >= prefix, _J.key < prefix[:-1] + chr(ord(prefix[-1]) + 1))
        last = 0
        while True:
            found = self._page(wanted.where(_J.number > last))
            yield from found
            if len(found) < _PAGE:
                return
            last = found[-1].number

    def _page(self, query: Select[int, str, str, str]) -> list[JournalRow]:
        try:
            with self._connections.read() as connection:
                return _with_postings(connection, connection.execute(query).all())
        except DataError:
            if self._connections.dialect != "sqlite":
                raise
        with self._connections.read() as connection:
            rows = connection.execute(_raw(query)).all()
            return _with_postings(connection, rows, raw=True)

    def balance(self, account: str) -> int:
        """Sum of an account's postings. [points]"""
        with self._connections.read() as connection:
            return int(connection.scalar(select(func.sum(_L.points)).where(_L.account == account)) or 0)

    def balances(self) -> dict[str, int]:
        """Sums of all accounts, sorted by name. [points]"""
        with self._connections.read() as connection:
            sums = connection.execute(select(_L.account, func.sum(_L.points)).group_by(_L.account)).all()
        return {account: int(points) for account, points in sorted((str(a), p) for a, p in sums)}

    def strays(self) -> list[int]:
        """Numbers that have postings but no row; empty unless someone tampered."""
        query = select(_L.number).distinct().where(_L.number.not_in(select(_J.number))).order_by(_L.number)
        with self._connections.read() as connection:
            return [int(number) for number in connection.scalars(query)]


def _with_postings(
    connection: Connection, rows: Sequence[Row[int, str, str, str]], *, raw: bool = False
) -> list[JournalRow]:
    if not rows:
        return []
    numbers = [row[0] for row in rows]
    whole = numbers[-1] - numbers[0] == len(numbers) - 1  # all rows in a stretch: a range is found faster
    chosen = _L.number.between(numbers[0], numbers[-1]) if whole else _L.number.in_(numbers)
    lines = select(_L.number, _L.account, _L.points).where(chosen).order_by(_L.number, _L.line)
    postings: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for number, account, points in connection.execute(_raw(lines) if raw else lines).all():
        postings[number].append((_text(account) if raw else account, points))
    if not raw:
        return [JournalRow(*row, tuple(postings[row[0]])) for row in rows]
    return [
        JournalRow(number, _text(key), _text(body), _text(digest), tuple(postings[number]))
        for number, key, body, digest in rows
    ]


def _raw(query: Select[*_Ts]) -> Select[*_Ts]:
    """The same query with texts as bytes."""
    columns = (
        cast(column, LargeBinary) if isinstance(column.type, String) else column
        for column in query.selected_columns
    )
    return query.with_only_columns(*columns)


def _text(stored: str | bytes) -> str:
    return stored.decode("utf-8", errors="replace") if isinstance(stored, bytes) else stored
