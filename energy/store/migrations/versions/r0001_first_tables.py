"""Series, documents, audit trail and journal."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

# Money and evidence: the database itself refuses to change or remove these rows.
_APPEND_ONLY = ("audit", "journal", "journal_posting")


def upgrade() -> None:
    for name in ("series", "source"):
        op.create_table(
            name,
            sa.Column("id", sa.Integer, nullable=False),
            sa.Column("name", sa.Text, nullable=False),
            sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
            sa.UniqueConstraint("name", name=f"uq_{name}_name"),
        )
    op.create_table(
        "point",
        sa.Column("series_id", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("known_at", sa.BigInteger, nullable=False),
        sa.Column("value", sa.Float(53)),
        sa.Column("quality", sa.String(10), nullable=False),
        sa.Column("source_id", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("series_id", "at", "known_at", name="pk_point"),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name="fk_point_series_id"),
        sa.ForeignKeyConstraint(["source_id"], ["source.id"], name="fk_point_source_id"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "document",
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("known_at", sa.BigInteger, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "key", "known_at", name="pk_document"),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit"),
    )
    op.create_index("ix_audit_subject", "audit", ["subject"])
    op.create_table(
        "journal",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_journal"),
        sa.CheckConstraint("number >= 1", name=op.f("ck_journal_number_is_positive")),
        sa.UniqueConstraint("key", name="uq_journal_key"),
    )
    op.create_table(
        "journal_posting",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("line", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("points", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("number", "line", name="pk_journal_posting"),
        sa.ForeignKeyConstraint(["number"], ["journal.number"], name="fk_journal_posting_number"),
    )
    op.create_index("ix_journal_posting_account", "journal_posting", ["account", "number", "points"])
    _refuse_changes()


def _refuse_changes() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for table in _APPEND_ONLY:
            for act in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_refuses_{act.lower()} BEFORE {act} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        return
    op.execute(
        "CREATE FUNCTION vpp_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$"
    )
    for table in _APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION vpp_append_only()"
        )
