"""Names and keys in the order of their code points, so that beginnings are found in an index."""

from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    if op.get_bind().dialect.name != "postgresql":
        return  # SQLite compares so already
    op.execute('ALTER TABLE series ALTER COLUMN name TYPE text COLLATE "C"')
    op.execute('ALTER TABLE document ALTER COLUMN key TYPE text COLLATE "C"')
