"""Migrations build exactly the tables that the code works with."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from energy.store import open_store
from energy.store.migrate import upgrade
from energy.store.schema import VERSION_TABLE, metadata
from tests.contract.store_backends import SHARED, database


def statements(connection: Connection) -> dict[str, str]:
    """What SQLite says about tables and indices, without line breaks."""
    rows = connection.execute(
        text("SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql IS NOT NULL")
    )
    return {name: " ".join(sql.split()) for name, sql in rows if name != VERSION_TABLE}


def parts(statement: str) -> tuple[str, set[str], str]:
    """Head, columns and constraints (whose order does not matter), and tail of a CREATE TABLE."""
    head, _, rest = statement.partition("(")
    body, _, tail = rest.rpartition(")")
    pieces, depth, start = set(), 0, 0
    for k, letter in enumerate(body + ","):
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            pieces.add(body[start:k].strip())
            start = k + 1
    return head, pieces, tail


def test_migrations_build_the_tables_of_the_metadata_to_the_letter() -> None:
    migrated, made = create_engine("sqlite://"), create_engine("sqlite://")
    with migrated.connect() as one, made.connect() as other:
        upgrade(one)
        metadata.create_all(other)
        first, second = statements(one), statements(other)
    assert first.keys() == second.keys()
    for name in first:
        assert parts(first[name]) == parts(second[name])
    migrated.dispose()
    made.dispose()


@pytest.mark.parametrize("kind", SHARED)
def test_nothing_is_left_to_migrate(kind: str, tmp_path: Path) -> None:
    with database(kind, tmp_path) as url:
        open_store(url).close()
        engine = create_engine(url)
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
            assert compare_metadata(context, metadata) == []
        engine.dispose()


def test_a_column_that_no_migration_makes_would_be_noticed() -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        upgrade(connection)
        connection.execute(text("ALTER TABLE document DROP COLUMN body"))
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert [change[0] for change in compare_metadata(context, metadata)] == ["add_column"]
    engine.dispose()
