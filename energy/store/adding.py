"""Adding points in bulk: one statement that the database runs over all rows, not one question per value.

The values go to the driver as they are. Building each statement's parameters by name, as the general path
does, costs more than the insert itself (tests/bench/service_speed.py prints what is left).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection

__all__ = ["PointRow", "add_points"]

PointRow = tuple[int, int, int, float | None, str, int]
"""Series, at, known_at, value, quality, source; as the columns of ``point`` stand."""

_ONE_BY_ONE: Final = (
    "INSERT INTO point (series_id, at, known_at, value, quality, source_id) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT DO NOTHING"
)
# A column of all rows is one parameter: one round trip for a chunk, however many rows it has.
_AT_ONCE: Final = (
    "INSERT INTO point (series_id, at, known_at, value, quality, source_id)"
    " SELECT * FROM unnest(%s::integer[], %s::bigint[], %s::bigint[], %s::double precision[], %s::text[],"
    " %s::integer[]) ON CONFLICT DO NOTHING"
)
_CHUNK: Final = 20_000  # rows of one statement on a server: some megabytes, whatever is imported


def add_points(connection: Connection, rows: Sequence[PointRow]) -> int:
    """Insert the rows that are not there yet, in their order; how many that were."""
    if not rows:
        return 0
    keep = {"preserve_rowcount": True}
    if connection.dialect.name == "sqlite":
        return connection.exec_driver_sql(_ONE_BY_ONE, list(rows), execution_options=keep).rowcount
    written = 0
    for first in range(0, len(rows), _CHUNK):
        columns = tuple(list(column) for column in zip(*rows[first : first + _CHUNK], strict=True))
        written += connection.exec_driver_sql(_AT_ONCE, columns, execution_options=keep).rowcount
    return written
