"""The two tables of the journal."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

from sqlalchemy import Connection, Row, func, insert, select, text

from energy.store import schema
from energy.store.engine import Connections
from energy.store.values import JournalRow

__all__ = ["SqlJournal"]

_PAGE: Final = 500  # rows read at once: a long journal is never held in memory
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

    def rows(self, *, account: str | None = None) -> Iterator[JournalRow]:
        """All rows in order, or those that touch an account."""
        page = select(schema.journal).order_by(_J.number).limit(_PAGE)
        if account is not None:
            page = page.where(_J.number.in_(select(_L.number).where(_L.account == account)))
        last = 0
        while True:
            with self._connections.read() as connection:
                found = connection.execute(page.where(_J.number > last)).all()
                rows = _with_postings(connection, found)
            yield from rows
            if len(rows) < _PAGE:
                return
            last = rows[-1].number

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


def _with_postings(connection: Connection, rows: Sequence[Row[int, str, str, str]]) -> list[JournalRow]:
    if not rows:
        return []
    lines = (
        select(_L.number, _L.account, _L.points)
        .where(_L.number >= rows[0].number, _L.number <= rows[-1].number)
        .order_by(_L.number, _L.line)
    )
    if len(rows) <= rows[-1].number - rows[0].number:  # not neighbours: one account's entries
        lines = lines.where(_L.number.in_([row.number for row in rows]))
    postings: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for number, account, points in connection.execute(lines):
        postings[number].append((account, points))
    return [
        JournalRow(number, key, body, digest, tuple(postings[number])) for number, key, body, digest in rows
    ]
