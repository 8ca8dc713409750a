"""Deleting what the law asks to delete: values and documents, never journal or audit trail."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, delete, select

from energy.core.errors import DataError
from energy.core.units import SeriesId
from energy.store import schema
from energy.store.beginnings import begins_with
from energy.store.engine import Connections
from energy.store.values import Erased

__all__ = ["erase"]


def erase(connections: Connections, folders: Sequence[str], documents: Sequence[tuple[str, str]]) -> Erased:
    """Delete every value of the series below some folders, and every version of some documents.

    SQLite overwrites what is deleted with zeros; copies made before (backups, replicas) are not reached.

    Parameters
    ----------
    folders : sequence of str
        Beginnings of series names that end with ``/``, such as ``home-7/``.
    documents : sequence of (kind, key)
        Documents by kind and key.

    Raises
    ------
    DataError
        If a folder does not end with ``/``: it would reach into others' series.
    """
    for folder in folders:
        if len(folder) < 2 or not folder.endswith("/"):
            raise DataError("only whole folders are erased", where=repr(folder), hint="write home-7/")
    points = versions = 0
    names: list[str] = []
    series, point, document = schema.series.c, schema.point.c, schema.document.c
    with connections.write() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        for folder in folders:
            chosen = and_(*begins_with(series.name, folder))
            names += connection.scalars(select(series.name).where(chosen)).all()
            inside = select(series.id).where(chosen)
            points += connection.execute(
                delete(schema.point).where(point.series_id.in_(inside)),
                execution_options={"preserve_rowcount": True},
            ).rowcount
            connection.execute(delete(schema.series).where(chosen))
        for kind, key in documents:
            versions += connection.execute(
                delete(schema.document).where(document.kind == kind, document.key == key),
                execution_options={"preserve_rowcount": True},
            ).rowcount
    return Erased(points, versions, tuple(SeriesId(name) for name in sorted(names)))
