"""Runs of jobs."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "job_run",
        sa.Column("key", sa.Text, nullable=False),
        sa.Column("job", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("due_at", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("lease_until", sa.BigInteger),
        sa.Column("retry_at", sa.BigInteger),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("asked_by", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_job_run"),
    )
    op.create_index("ix_job_run_due_at", "job_run", ["due_at"])
    op.create_index("ix_job_run_state", "job_run", ["state"])
    op.create_index("ix_job_run_job", "job_run", ["job", "subject", "key"])
