"""Bringing a database to the tables that this version of the program knows."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL, Connection, Engine, Inspector, inspect, text

from energy.core.errors import ConfigError
from energy.store.engine import shown
from energy.store.schema import HEAD, VERSION_TABLE

__all__ = ["prepare", "upgrade"]

_SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x0A12_0004  # PostgreSQL advisory lock: one process migrates, the others wait


def prepare(engine: Engine, url: URL, *, read_only: bool) -> None:
    """Check the version of the tables and bring them up to date, in one transaction.

    Raises
    ------
    ConfigError
        If the database is newer than the program, belongs to another program, or would have to be changed
        while it is open for reading only.
    """
    with engine.connect().execution_options(vpp_writes=not read_only) as connection, connection.begin():
        if connection.dialect.name == "postgresql" and not read_only:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        version = _version(connection, url)
        if version == HEAD:
            return
        if read_only:
            raise ConfigError(
                "the store needs newer tables and is open for reading only",
                where=f"{shown(url)} has version {version or 'none'}, this program {HEAD}",
                hint="open it once for writing (vpp doctor)",
            )
        if version is not None and version not in _known_versions():
            raise ConfigError(
                "the store was written by a newer version of this program",
                where=f"{shown(url)} has version {version}, this program knows up to {HEAD}",
                hint="update aizu-vpp, or use another store",
            )
        upgrade(connection)


def _version(connection: Connection, url: URL) -> str | None:
    """Version of the tables, None for an empty database."""
    inspector: Inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    if VERSION_TABLE in tables:
        found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - our constant
        return None if found is None else str(found)
    if tables:
        raise ConfigError(
            "the database belongs to another program",
            where=f"{shown(url)} has the tables {', '.join(sorted(tables)[:5])}",
            hint="give the store a database or schema of its own",
        )
    return None


def _known_versions() -> set[str]:
    from alembic.script import ScriptDirectory

    return {script.revision for script in ScriptDirectory(str(_SCRIPTS)).walk_revisions()}


def upgrade(connection: Connection) -> None:
    """Run all missing migrations inside the running transaction."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
