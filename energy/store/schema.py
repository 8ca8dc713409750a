"""Tables of the store (docs/adr/0004). Migrations build them; a test holds both to be the same.

Instants are whole microseconds since 1970-01-01T00:00Z: the resolution of :class:`datetime.datetime`,
exact in both databases, and compared as integers.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

__all__ = [
    "HEAD",
    "VERSION_TABLE",
    "audit",
    "document",
    "from_micros",
    "journal",
    "metadata",
    "point",
    "posting",
    "series",
    "source",
    "to_micros",
]

HEAD: Final = "0001"
VERSION_TABLE: Final = "vpp_schema_version"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)

series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

source = Table(
    "source",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
)

# Rows of a series lie side by side, in the order in which they are read.
point = Table(
    "point",
    metadata,
    Column("series_id", ForeignKey(series.c.id), primary_key=True),
    Column("at", BigInteger, primary_key=True),
    Column("known_at", BigInteger, primary_key=True),
    Column("value", Float(53)),
    Column("quality", String(10), nullable=False),
    Column("source_id", ForeignKey(source.c.id), nullable=False),
    sqlite_with_rowid=False,
)

document = Table(
    "document",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("known_at", BigInteger, primary_key=True),
    Column("body", Text, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("subject", Text, nullable=False, index=True),
    Column("facts", Text, nullable=False),
)

journal = Table(
    "journal",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, nullable=False, unique=True),
    Column("body", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    CheckConstraint("number >= 1", name="number_is_positive"),
)

posting = Table(
    "journal_posting",
    metadata,
    Column("number", ForeignKey(journal.c.number), primary_key=True),
    Column("line", Integer, primary_key=True, autoincrement=False),
    Column("account", Text, nullable=False),
    Column("points", BigInteger, nullable=False),
    Index("ix_journal_posting_account", "account", "number", "points"),
)


def to_micros(instant: datetime) -> int:
    """Microseconds since the epoch of an aware instant."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int) -> datetime:
    """Instant of a number of microseconds since the epoch, UTC."""
    return _EPOCH + timedelta(microseconds=micros)
