"""All texts that begin with another, as a stretch of an index."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement

__all__ = ["after", "begins_with"]

_LAST: Final = 0x10FFFF
_SURROGATES: Final = range(0xD800, 0xE000)  # no text on its way to a database holds one


def begins_with(column: ColumnElement[str], prefix: str) -> list[ColumnElement[bool]]:
    """Conditions that hold for the texts of a column which begin with another; none for an empty one.

    For columns in the order of code points: all in SQLite, those with collation C on PostgreSQL. Not LIKE,
    which takes "_" for any letter and, in SQLite, "A" for "a".
    """
    if not prefix:
        return []
    end = after(prefix)
    return [column >= prefix] if end is None else [column >= prefix, column < end]


def after(prefix: str) -> str | None:
    """The first text behind all that begin with a text, in the order of code points; None if there is none.

    Examples
    --------
    >>> after("kitakata/")
    'kitakata0'
    """
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return None
    code = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if code in _SURROGATES else code)
