"""Copies of a whole store while it is written to, and their way back.

SQLite is copied page by page through its backup interface [1]_ under one read transaction: writers go on, and
the copy is the database of one instant. PostgreSQL is dumped by ``pg_dump`` in the transaction snapshot that
the rows were counted in [2]_. A copy takes its name when it is whole; until then it has another.

References
----------
.. [1] https://www.sqlite.org/backup.html
.. [2] https://www.postgresql.org/docs/15/app-pgdump.html, option ``--snapshot``.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

from sqlalchemy import URL, Connection, create_engine, inspect, make_url, text
from sqlalchemy.pool import NullPool

from energy.core.errors import ConfigError, DataError
from energy.store.engine import connect_errors, is_memory, make_engine, shown
from energy.store.schema import VERSION_TABLE

__all__ = ["Copy", "StoreKind", "copy_store", "count_store", "kind_of", "restore_store", "scratch_store"]

StoreKind = Literal["sqlite", "postgresql"]
_PAGES: Final = 4_096  # of 4 kB: a step of 16 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """What a copy holds.

    Parameters
    ----------
    kind : {"sqlite", "postgresql"}
        A SQLite file, or an archive of ``pg_dump``.
    version : str
        Version of the tables.
    rows : mapping of str to int
        Number of rows by table.
    journal_head : str
        Hash of the journal's last entry; empty if it has none.
    schema : str
        Schema of PostgreSQL that the tables stand in; empty for SQLite.
    """

    kind: StoreKind
    version: str
    rows: Mapping[str, int]
    journal_head: str
    schema: str = ""


def kind_of(address: str) -> StoreKind:
    """Which database an address names.

    Raises
    ------
    ConfigError
        If it names none that can be copied.
    """
    engine, url = make_engine(address, durability="full", read_only=False)
    engine.dispose()
    if is_memory(url):
        raise ConfigError("a database in memory cannot be copied", where=shown(url), hint="name a file")
    return "postgresql" if url.get_backend_name() == "postgresql" else "sqlite"


def copy_store(address: str, target: Path) -> Copy:
    """Copy a store into a new file while others go on writing to it.

    The file appears when the copy is whole; if anything fails nothing is left behind.

    Raises
    ------
    ConfigError
        If the file exists already, the database cannot be opened, or a tool is missing.
    DataError
        If the copy cannot be written or is not sound.
    """
    kind = kind_of(address)
    if target.exists():
        raise ConfigError("there is a file already", where=str(target), hint="choose another name")
    part = target.with_name(f".{target.name}.part")
    part.unlink(missing_ok=True)  # of a copy that was killed
    try:
        made = _copy_sqlite(address, part) if kind == "sqlite" else _dump(address, part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        raise DataError(
            "the copy could not be written",
            where=f"{target}: {error}",
            hint="check free space and rights; nothing was left behind",
        ) from error
    finally:
        for name in (part, *(part.with_name(part.name + end) for end in ("-wal", "-shm", "-journal"))):
            with suppress(OSError):
                name.unlink()
    return made


def restore_store(file: Path, kind: StoreKind, address: str) -> None:
    """Make a new store of a copy; what exists is never overwritten.

    Raises
    ------
    ConfigError
        If there is something at the address already, or it is of another kind than the copy.
    DataError
        If the copy cannot be read.
    """
    if kind_of(address) != kind:
        raise ConfigError(
            "the copy is of another kind of database",
            where=f"{file.name}: {kind}",
            hint=f"name one of {kind}",
        )
    if kind == "postgresql":
        _restore_postgres(file, make_url(address))
        return
    target = Path(make_url(address).database or "").absolute()
    if any(target.with_name(target.name + end).exists() for end in ("", "-wal", "-shm")):
        raise ConfigError(
            "there is a database already", where=str(target), hint="move it away first, or name another file"
        )
    part = target.with_name(f".{target.name}.part")
    try:
        with file.open("rb") as source, part.open("wb") as copy:
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        part.replace(target)
    except OSError as error:
        raise DataError(
            "the copy could not be restored", where=f"{target}: {error}", hint="check free space and rights"
        ) from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def scratch_store(file: Path, kind: StoreKind, folder: Path, *, server: str = "") -> Iterator[str]:
    """Address of a copy restored into a place that goes away afterwards.

    Parameters
    ----------
    folder : Path
        Where a SQLite file may be put.
    server : str
        PostgreSQL on which a database may be made and dropped; needed for its dumps only.

    Raises
    ------
    ConfigError
        If a dump is to be restored and no server is named.
    """
    if kind == "sqlite":
        address = f"sqlite:///{folder / 'restored.db'}"
        restore_store(file, kind, address)
        yield address
        return
    if not server:
        raise ConfigError(
            "a dump of PostgreSQL is proved on a server",
            where=file.name,
            hint="name one on which a database may be made: --scratch postgresql+psycopg://user@host/postgres",
        )
    name, url = f"vpp_proof_{uuid4().hex}", make_url(server)
    inside = url.set(database=name).difference_update_query(["options"])
    with _administering(url) as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    try:
        _restore_postgres(file, inside)
        yield inside.update_query_dict({"options": f"-csearch_path={_schema_of(file)}"}).render_as_string(
            hide_password=False
        )
    finally:
        with _administering(url) as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


def count_store(address: str) -> Copy:
    """What a store holds, counted in one read transaction; the pages of SQLite are checked.

    Raises
    ------
    ConfigError
        If there is no store at the address.
    DataError
        If its pages are not sound.
    """
    if kind_of(address) == "sqlite":
        with _reading(address) as reading:
            return _counted_sqlite(reading)
    engine, url = make_engine(address, durability="full", read_only=True)
    try:
        with connect_errors(url), engine.connect() as connection:
            return _counted(connection, url)
    finally:
        engine.dispose()


@contextmanager
def _reading(address: str) -> Iterator[sqlite3.Connection]:
    source = Path(make_url(address).database or "").absolute()
    if not source.is_file():
        raise ConfigError("there is no database to copy", where=str(source), hint="check store.url or --db")
    with closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True, isolation_level=None)) as reading:
        # One read transaction around all steps: without it a copy begins anew after every write.
        reading.execute("BEGIN")
        try:
            reading.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - our constant
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                "this is no database of aizu-vpp", where=f"{source}: {error}", hint="check store.url or --db"
            ) from error
        yield reading
        reading.execute("ROLLBACK")


def _copy_sqlite(address: str, part: Path) -> Copy:
    with _reading(address) as reading, closing(sqlite3.connect(part, isolation_level=None)) as copy:
        reading.backup(copy, pages=_PAGES)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without companions
        return _counted_sqlite(copy)


def _counted_sqlite(connection: sqlite3.Connection) -> Copy:
    (sound,) = connection.execute("PRAGMA integrity_check").fetchone()
    if sound != "ok":
        raise DataError("the database is not sound", where=str(sound), hint="look at the disk")
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY 1"
    ).fetchall()
    rows = {
        str(name): int(connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0])  # noqa: S608 - a table's name
        for (name,) in names
    }
    (version,) = connection.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchone()  # noqa: S608 - our constant
    head = connection.execute("SELECT digest FROM journal ORDER BY number DESC LIMIT 1").fetchone()
    return Copy(kind="sqlite", version=str(version), rows=rows, journal_head=str(head[0]) if head else "")


def _dump(address: str, part: Path) -> Copy:
    engine, url = make_engine(address, durability="full", read_only=True)
    try:
        with (
            connect_errors(url),
            engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection,
        ):
            snapshot = str(connection.scalar(text("SELECT pg_export_snapshot()")))
            found = _counted(connection, url)
            # The transaction stays open: the dump sees what was counted, whatever is written meanwhile.
            _tool(
                "pg_dump",
                [
                    *("--format=custom", "--no-owner", "--no-privileges"),
                    *(f"--snapshot={snapshot}", f"--schema={found.schema}", f"--file={part}"),
                ],
                url,
            )
            return found
    finally:
        engine.dispose()


def _counted(connection: Connection, url: URL) -> Copy:
    schema = str(connection.scalar(text("SELECT current_schema()")))
    tables = sorted(inspect(connection).get_table_names(schema=schema))
    if VERSION_TABLE not in tables:
        raise ConfigError("this is no database of aizu-vpp", where=shown(url), hint="check store.url or --db")
    rows = {
        name: int(connection.scalar(text(f'SELECT count(*) FROM "{schema}"."{name}"')) or 0)  # noqa: S608
        for name in tables
    }
    version = str(connection.scalar(text(f'SELECT version_num FROM "{schema}"."{VERSION_TABLE}"')))  # noqa: S608
    newest = f'SELECT digest FROM "{schema}".journal ORDER BY number DESC LIMIT 1'  # noqa: S608
    head = str(connection.scalar(text(newest)) or "")
    return Copy(kind="postgresql", version=version, rows=rows, journal_head=head, schema=schema)


def _restore_postgres(file: Path, url: URL) -> None:
    schema = _schema_of(file)
    with _administering(url) as connection:
        if inspect(connection).get_table_names(schema=schema):
            raise ConfigError(
                "there are tables already",
                where=f"{shown(url)}, schema {schema}",
                hint="name an empty database",
            )
        connection.execute(text(f'DROP SCHEMA IF EXISTS "{schema}"'))  # empty; the dump makes it
    _tool("pg_restore", ["--no-owner", "--exit-on-error", "--single-transaction", str(file)], url)


def _schema_of(file: Path) -> str:
    """Schema in an archive, from its table of contents: ``12; 2615 16385 SCHEMA - public owner``."""
    listed = _tool("pg_restore", ["--list", str(file)], None)
    for line in listed.splitlines():
        words = line.split()
        if len(words) > 5 and words[3] == "SCHEMA":
            return words[5]
    raise DataError("the dump holds no schema", where=file.name, hint="take another copy")


@contextmanager
def _administering(url: URL) -> Iterator[Connection]:
    """A connection that commits every statement at once, as making databases needs it."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"), poolclass=NullPool, isolation_level="AUTOCOMMIT"
    )
    with connect_errors(url), engine.connect() as connection:
        yield connection


def _tool(name: str, arguments: Sequence[str], url: URL | None) -> str:
    """Run a tool of PostgreSQL; a password goes through the environment, no list of processes shows it."""
    program = shutil.which(name)
    if program is None:
        raise ConfigError(
            f"{name} is not installed", where="PATH", hint="install postgresql-client of the server's version"
        )
    environment = dict(os.environ)
    where: list[str] = []
    if url is not None:
        if url.password is not None:
            environment["PGPASSWORD"] = str(url.password)
        plain = URL.create(
            "postgresql", username=url.username, host=url.host, port=url.port, database=url.database
        )
        where = [f"--dbname={plain.render_as_string()}"]
    done = subprocess.run(  # noqa: S603 - our tool, arguments as a list, no shell
        [program, *where, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        said = " ".join(done.stderr.split())[:300]
        raise DataError(f"{name} failed", where=said, hint="see its message; nothing was left behind")
    return done.stdout
