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
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.types import TypeDecorator

__all__ = [
    "HEAD",
    "VERSION_TABLE",
    "Instant",
    "account",
    "alert",
    "audit",
    "audit_cut",
    "document",
    "from_micros",
    "hook",
    "hook_message",
    "job",
    "job_run",
    "journal",
    "link",
    "metadata",
    "point",
    "posting",
    "remembered_write",
    "series",
    "session",
    "source",
    "to_micros",
    "token",
]

HEAD: Final = "0006"
VERSION_TABLE: Final = "vpp_schema_version"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_micros(instant: datetime) -> int:
    """Microseconds since the epoch of an aware instant."""
    since = instant - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def from_micros(micros: int) -> datetime:
    """Instant of a number of microseconds since the epoch, UTC."""
    return _EPOCH + timedelta(microseconds=micros)


class Instant(TypeDecorator[datetime]):
    """An aware instant, kept as whole microseconds."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else from_micros(value)


# Text that is looked up by its beginning: in the order of its code points on both databases, so that an index
# finds "all that begin with" whatever language a server sorts in.
_Sorted: Final = Text().with_variant(Text(collation="C"), "postgresql")

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
    Column("name", _Sorted, nullable=False, unique=True),
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
    Column("key", _Sorted, primary_key=True),
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

# People and their keys to the service. What is secret stands here as a digest only, except what must be
# read again to work: the seed of a second factor and the key that signs the messages of a webhook.
account = Table(
    "account",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", String(20), nullable=False),
    Column("state", String(10), nullable=False),
    Column("objects", Text, nullable=False),
    Column("lang", String(2), nullable=False),
    Column("password", Text),
    Column("totp_seed", Text),
    Column("totp_step", BigInteger),
    Column("recovery", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Instant),
    Column("created_at", Instant, nullable=False),
)

link = Table(
    "one_time_link",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account", ForeignKey(account.c.id), nullable=False),
    Column("purpose", String(10), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("used_at", Instant),
)

session = Table(
    "session",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("account", ForeignKey(account.c.id), nullable=False, index=True),
    Column("form_key", String(64), nullable=False),
    Column("stage", String(10), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
)

token = Table(
    "api_token",
    metadata,
    Column("id", Text, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("account", ForeignKey(account.c.id), nullable=False, index=True),
    Column("name", Text, nullable=False),
    Column("scopes", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("ends_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)

remembered_write = Table(
    "remembered_write",
    metadata,
    Column("account", ForeignKey(account.c.id), primary_key=True),
    Column("key", Text, primary_key=True),
    Column("request", String(64), nullable=False),
    Column("made_at", Instant, nullable=False),
    Column("status", Integer),
    Column("content_type", Text),
    Column("body", Text),
)

hook = Table(
    "webhook",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account", ForeignKey(account.c.id), nullable=False, index=True),
    Column("url", Text, nullable=False),
    Column("signing_key", Text, nullable=False),
    Column("kinds", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("seen_until", Instant, nullable=False),
    Column("ended_at", Instant),
)

hook_message = Table(
    "webhook_message",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hook", ForeignKey(hook.c.id), nullable=False),
    Column("event", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("due_at", Instant, index=True),
    Column("tries", Integer, nullable=False),
    Column("answer", Integer),
    Column("fault", Text, nullable=False),
    Column("sent_at", Instant),
    UniqueConstraint("hook", "event"),
)

# Work that comes again and again: what a running service said about it last ...
job = Table(
    "job",
    metadata,
    Column("name", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("about", Text, nullable=False),
    Column("next_at", Instant),
    Column("seen_at", Instant, nullable=False),
)

# ... and one row for each time it was due.
job_run = Table(
    "job_run",
    metadata,
    Column("key", Text, primary_key=True),
    Column("job", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("due_at", Instant, nullable=False, index=True),
    Column("state", String(10), nullable=False, index=True),
    Column("attempts", Integer, nullable=False),
    Column("owner", Text, nullable=False),
    Column("lease_until", Instant),
    Column("retry_at", Instant),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("outcome", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Index("ix_job_run_job", "job", "subject", "key"),
)

# What is wrong now: one row for each kind of trouble and what it is about.
alert = Table(
    "alert",
    metadata,
    Column("kind", String(40), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("state", String(10), nullable=False, index=True),
    Column("level", String(10), nullable=False),
    Column("facts", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("gone_since", Instant),
    Column("opened_at", Instant),
    Column("cleared_at", Instant),
    Column("seen_at", Instant),
    Column("seen_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("silent_until", Instant),
    Column("silent_by", Text, nullable=False),
)

# What was taken out of the audit trail by a rule of retention; without a row here nothing can be.
audit_cut = Table(
    "audit_cut",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("before", BigInteger, nullable=False),
    Column("first", Integer, nullable=False),
    Column("last", Integer, nullable=False),
    Column("records", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
)
