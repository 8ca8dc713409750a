"""Alerts, and cuts of the audit trail: records go only by a cut that is on record and cannot go itself."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "alert",
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("level", sa.String(10), nullable=False),
        sa.Column("facts", sa.Text, nullable=False),
        sa.Column("since", sa.BigInteger, nullable=False),
        sa.Column("gone_since", sa.BigInteger),
        sa.Column("opened_at", sa.BigInteger),
        sa.Column("cleared_at", sa.BigInteger),
        sa.Column("seen_at", sa.BigInteger),
        sa.Column("seen_by", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("silent_until", sa.BigInteger),
        sa.Column("silent_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", name="pk_alert"),
    )
    op.create_index("ix_alert_state", "alert", ["state"])
    op.create_table(
        "audit_cut",
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("act", sa.Text, nullable=False),
        sa.Column("before", sa.BigInteger, nullable=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("last", sa.Integer, nullable=False),
        sa.Column("records", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_audit_cut"),
    )
    if op.get_bind().dialect.name == "sqlite":
        _sqlite()
    else:
        _postgres()


def _sqlite() -> None:
    for act in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_cut_refuses_{act.lower()} BEFORE {act} ON audit_cut "
            "BEGIN SELECT RAISE(ABORT, 'audit_cut is append-only'); END"
        )
    op.execute("DROP TRIGGER audit_refuses_delete")
    op.execute(
        "CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit WHEN NOT EXISTS "
        '(SELECT 1 FROM audit_cut WHERE act = OLD.act AND OLD.at < "before" '
        'AND OLD.number BETWEEN "first" AND "last") '
        "BEGIN SELECT RAISE(ABORT, 'audit is append-only'); END"
    )


def _postgres() -> None:
    op.execute(
        "CREATE TRIGGER audit_cut_refuses_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_cut "
        "FOR EACH STATEMENT EXECUTE FUNCTION vpp_append_only()"
    )
    op.execute("DROP TRIGGER audit_refuses_change ON audit")
    op.execute(
        "CREATE TRIGGER audit_refuses_change BEFORE UPDATE OR TRUNCATE ON audit "
        "FOR EACH STATEMENT EXECUTE FUNCTION vpp_append_only()"
    )
    op.execute(
        "CREATE FUNCTION vpp_audit_cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        'IF NOT EXISTS (SELECT 1 FROM audit_cut WHERE act = OLD.act AND OLD.at < "before" '
        'AND OLD.number BETWEEN "first" AND "last") THEN '
        "RAISE EXCEPTION 'audit is append-only'; END IF; RETURN OLD; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_refuses_delete BEFORE DELETE ON audit "
        "FOR EACH ROW EXECUTE FUNCTION vpp_audit_cut()"
    )
