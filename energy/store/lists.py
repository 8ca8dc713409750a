"""Lists as one parameter of a statement.

A statement into which the rows of a list are written has another text for every length and is made anew for
each: with 400 rows that takes several times what the database needs to answer it. Here the list is one
parameter, a JSON text, and the statement is made once for each database.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Text, bindparam, cast, column, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

__all__ = ["listed", "told"]


def listed(
    database: str, name: str, kinds: Sequence[type[TypeEngine[Any]]]
) -> tuple[FromClause, tuple[ColumnElement[Any], ...]]:
    """Rows of the parameter ``name`` as something to select from, and its columns.

    Parameters
    ----------
    database : str
        Name of SQLAlchemy's dialect, ``sqlite`` or ``postgresql``.
    kinds : sequence of types
        One for each column.
    """
    if database == "sqlite":
        rows = func.json_each(bindparam(name, type_=Text)).table_valued("value", name=name)
        return rows, tuple(
            func.json_extract(rows.c.value, f"$[{place}]", type_=kind) for place, kind in enumerate(kinds)
        )
    text = cast(bindparam(name, type_=Text), JSONB)
    rows = func.jsonb_array_elements(text).table_valued(column("value", JSONB), name=name).render_derived()
    return rows, tuple(cast(rows.c.value[place].astext, kind) for place, kind in enumerate(kinds))


def told(rows: Iterable[Sequence[str | int]]) -> str:
    """Rows as such a parameter."""
    return json.dumps([list(row) for row in rows], separators=(",", ":"), ensure_ascii=False)
