"""Taking out what a rule says need not be kept any longer: old minutes, old documents, old records of sights.

The journal cannot be reached from here. Records of the audit trail go only by a cut: what goes is counted and
hashed into a table that only grows, and the database itself refuses to delete a record that no cut names.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Select, and_, delete, func, insert, or_, select, tuple_

from energy.core.clock import require_aware
from energy.core.errors import DataError
from energy.store import schema
from energy.store.engine import Connections
from energy.store.schema import from_micros, to_micros
from energy.store.values import AuditCut, Outdated

__all__ = ["Pruning"]

_P, _S, _D, _A = schema.point.c, schema.series.c, schema.document.c, schema.audit.c


class Pruning:
    """What is outdated in a store, and taking it out; one call takes one batch."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def points(self, endings: Sequence[str], before: datetime) -> Outdated:
        """Values of instants before another, of the series whose names end like this (``/power_kw``)."""
        query = select(func.count(), func.min(_P.at), func.max(_P.at)).where(
            _P.series_id.in_(self._series(endings)), _P.at < to_micros(require_aware(before))
        )
        return self._outdated(query)

    def take_points(self, endings: Sequence[str], before: datetime, *, limit: int) -> int:
        """Delete the first so many of them; how many these were."""
        with self._connections.write() as connection:
            self._overwrite()
            gone = 0
            for number in connection.scalars(self._series(endings)).all():
                mine = and_(_P.series_id == number, _P.at < to_micros(require_aware(before)))
                last = connection.scalar(
                    select(_P.at).where(mine).order_by(_P.at).limit(1).offset(max(0, limit - gone - 1))
                )
                upto = mine if last is None else and_(_P.series_id == number, _P.at <= last)
                done = connection.execute(
                    delete(schema.point).where(upto), execution_options={"preserve_rowcount": True}
                )
                gone += done.rowcount
                if gone >= limit:
                    break
        return gone

    def documents(self, kind: str, before: datetime) -> Outdated:
        """Versions of documents of a kind that became known before an instant."""
        query = select(func.count(), func.min(_D.known_at), func.max(_D.known_at))
        return self._outdated(query.where(_D.kind == kind, _D.known_at < to_micros(require_aware(before))))

    def take_documents(self, kind: str, before: datetime, *, limit: int) -> int:
        """Delete so many of them; how many these were."""
        old = select(_D.key, _D.known_at).where(
            _D.kind == kind, _D.known_at < to_micros(require_aware(before))
        )
        with self._connections.write() as connection:
            self._overwrite()
            chosen = [
                tuple(row) for row in connection.execute(old.order_by(_D.key, _D.known_at).limit(limit))
            ]
            for first in range(0, len(chosen), 500):
                connection.execute(
                    delete(schema.document).where(
                        _D.kind == kind, tuple_(_D.key, _D.known_at).in_(chosen[first : first + 500])
                    )
                )
        return len(chosen)

    def records(self, act: str, before: datetime) -> Outdated:
        """Records of an act in the audit trail made before an instant."""
        return self._outdated(
            select(func.count(), func.min(_A.at), func.max(_A.at)).where(self._of_act(act, before))
        )

    def cut_records(self, act: str, before: datetime, *, at: datetime, actor: str, limit: int) -> int:
        """Take the first so many of them out of the audit trail, with a cut that says which; how many."""
        with self._connections.write() as connection:
            rows = connection.execute(
                select(schema.audit).where(self._of_act(act, before)).order_by(_A.number).limit(limit)
            ).all()
            if not rows:
                return 0
            digest = hashlib.sha256()
            for row in rows:
                digest.update(repr(tuple(row)).encode())
            first, last = int(rows[0].number), int(rows[-1].number)
            cut = {
                "at": to_micros(require_aware(at)),
                "actor": actor,
                "act": act,
                "before": to_micros(require_aware(before)),
                "first": first,
                "last": last,
                "records": len(rows),
                "digest": digest.hexdigest(),
            }
            self._overwrite()
            connection.execute(insert(schema.audit_cut), cut)
            done = connection.execute(
                delete(schema.audit).where(self._of_act(act, before), _A.number.between(first, last)),
                execution_options={"preserve_rowcount": True},
            )
            if done.rowcount != len(rows):
                raise DataError(
                    "the audit trail changed while records were taken out",
                    where=f"{len(rows)} were counted, {done.rowcount} would go",
                    hint="nothing was taken; try again",
                )
        return len(rows)

    def cuts(self) -> list[AuditCut]:
        """All cuts of the audit trail, oldest first."""
        table = schema.audit_cut
        with self._connections.read() as connection:
            return [
                AuditCut(
                    number=row.number,
                    at=from_micros(row.at),
                    actor=row.actor,
                    act=row.act,
                    before=from_micros(row.before),
                    first=row.first,
                    last=row.last,
                    records=row.records,
                    digest=row.digest,
                )
                for row in connection.execute(select(table).order_by(table.c.number))
            ]

    def _outdated(self, query: Select[int, int, int]) -> Outdated:
        with self._connections.read() as connection:
            count, first, last = connection.execute(query).one()
        if not count:
            return Outdated(0, None, None)
        return Outdated(int(count), from_micros(first), from_micros(last))

    def _series(self, endings: Sequence[str]) -> Select[int]:
        if not endings or not all(one.startswith("/") and len(one) > 2 for one in endings):
            raise DataError(
                "an ending of a series' name begins with a slash",
                where=", ".join(endings) or "none",
                hint="write /meter/power_kw or /power_kw",
            )
        return (
            select(_S.id).where(or_(*(_ends_with(_S.name, ending) for ending in endings))).order_by(_S.name)
        )

    def _of_act(self, act: str, before: datetime) -> ColumnElement[bool]:
        return and_(_A.act == act, _A.at < to_micros(require_aware(before)))

    def _overwrite(self) -> None:
        """SQLite overwrites what is deleted with zeros."""
        with self._connections.write() as connection:
            if connection.dialect.name == "sqlite":
                connection.exec_driver_sql("PRAGMA secure_delete = ON")


_LONGEST: Final = 500


def _ends_with(column: ColumnElement[str], ending: str) -> ColumnElement[bool]:
    # Not LIKE, which takes "_" for any letter; not a negative start, which PostgreSQL does not know.
    return and_(
        func.length(column) >= len(ending),
        func.substr(column, func.length(column) - len(ending) + 1, _LONGEST) == ending,
    )
