"""Opening the database, and the rules under which connections read and write it.

SQLite runs in WAL mode: readers never wait, writers queue. ``full`` durability survives a power cut
(``synchronous=FULL``); ``process`` survives the death of the process and may lose the last transactions of a
power cut, never half of one (``synchronous=NORMAL``) [1]_. PostgreSQL: ``synchronous_commit`` on or off [2]_.

References
----------
.. [1] https://www.sqlite.org/pragma.html#pragma_synchronous
.. [2] https://www.postgresql.org/docs/15/wal-async-commit.html
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import RLock, get_ident
from typing import Any, Final, Literal

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.pool import QueuePool, StaticPool

from energy.core.errors import ConfigError, DataError

__all__ = ["Connections", "Durability", "connect_errors", "is_memory", "make_engine", "shown"]

Durability = Literal["full", "process"]

_BUSY_TIMEOUT_MS: Final = 20_000  # longest wait for another writer; our own transactions take milliseconds
_BUSY_PAUSE_MS: Final = 10
_KEPT_OPEN: Final = 16
"""Connections to a file that stay open, the last one used first: opening one costs more than a reading."""
_WRITES: Final = "vpp_writes"  # execution option of connections that take the write lock at BEGIN


def shown(url: URL) -> str:
    """The address without its password, for messages."""
    return url.render_as_string(hide_password=True)


def is_memory(url: URL) -> bool:
    """Whether this is a SQLite database that lives in memory only."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def make_engine(address: str, *, durability: Durability, read_only: bool) -> tuple[Engine, URL]:
    """Engine of a store's address; nothing is opened yet.

    Raises
    ------
    ConfigError
        If the address names no SQLite or PostgreSQL database, or nothing that can be opened.
    """
    wanted = "sqlite:///path/to/store.db or postgresql+psycopg://user@host/database"
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise ConfigError("this is no address of a store", where=address, hint=f"write {wanted}") from error
    match url.get_backend_name():
        case "sqlite":
            return _sqlite_engine(url, durability, read_only), url
        case "postgresql":
            return _postgres_engine(url, durability, read_only), url
        case other:
            raise ConfigError(
                f"no store on {other}",
                where=shown(url),
                hint=f"supported are SQLite and PostgreSQL: {wanted}",
            )


def _sqlite_engine(url: URL, durability: Durability, read_only: bool) -> Engine:
    in_memory = is_memory(url)
    target = ":memory:" if in_memory else _sqlite_file(Path(url.database or "").absolute(), read_only)

    def connect() -> sqlite3.Connection:
        # isolation_level None: the driver starts no transactions of its own, "begin" below does.
        connection = sqlite3.connect(
            target, uri=True, check_same_thread=False, isolation_level=None, timeout=0
        )
        if not (read_only or in_memory):
            _use_wal(connection)
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA synchronous = {'FULL' if durability == 'full' else 'NORMAL'}")
        return connection

    engine = create_engine(
        "sqlite://",
        creator=connect,
        poolclass=StaticPool if in_memory else QueuePool,
        hide_parameters=True,
        **({} if in_memory else {"pool_size": _KEPT_OPEN, "pool_use_lifo": True}),
    )

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITES, False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
            return
        # Waits for nobody and cannot fail: past the layers that would look after that, for every reading
        # begins with it.
        connection.connection.cursor().execute("BEGIN")

    return engine


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL, waiting for others that write or are about to do the same.

    The waiting is ours, for SQLite's own is not asked where two who read would wait for each other to leave,
    and of the first two who open a store one would be told at once that it is locked [1]_.

    References
    ----------
    .. [1] https://www.sqlite.org/c3ref/busy_handler.html
    """
    for left in reversed(range(_BUSY_TIMEOUT_MS // _BUSY_PAUSE_MS)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not left:
                connection.close()
                raise
            time.sleep(_BUSY_PAUSE_MS / 1000)
        else:
            return


def _sqlite_file(path: Path, read_only: bool) -> str:
    """SQLite's name of a file, after the checks whose answers SQLite would not explain."""
    if path.is_dir():
        raise ConfigError("the store is a directory", where=str(path), hint="name a file inside it")
    if not path.parent.is_dir():
        raise ConfigError(
            "the store's directory does not exist",
            where=str(path.parent),
            hint="create it, or change store.url",
        )
    if not read_only:
        return f"{path.as_uri()}?mode=rwc"
    if not path.exists():
        raise ConfigError(
            "there is no store to read", where=str(path), hint="check store.url, or import data"
        )
    # Reading in WAL mode needs a side file. Where it is neither there nor can be made, nobody is writing.
    sealed = not os.access(path.parent, os.W_OK) and not path.with_name(f"{path.name}-wal").exists()
    return f"{path.as_uri()}?mode=ro{'&immutable=1' if sealed else ''}"


def _postgres_engine(url: URL, durability: Durability, read_only: bool) -> Engine:
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg"), hide_parameters=True, pool_pre_ping=True
        )
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigError(
            "the PostgreSQL driver is not installed",
            where=shown(url),
            hint="pip install 'aizu-vpp[postgres]'",
        ) from error

    @event.listens_for(engine, "connect")
    def settle(connection: Any, _record: object) -> None:  # Any: a vendor's connection
        with connection.cursor() as cursor:
            cursor.execute(f"SET synchronous_commit TO {'on' if durability == 'full' else 'off'}")
        connection.commit()

    return engine.execution_options(postgresql_readonly=True) if read_only else engine


@contextmanager
def connect_errors(url: URL) -> Iterator[None]:
    """Turn a database that cannot be opened into a :class:`ConfigError` of three lines."""
    try:
        yield
    except DBAPIError as error:
        said = " ".join(str(error.orig).split())
        if "not a database" in said:
            hint = "this file is something else: choose another name"
        elif "database is locked" in said:
            hint = "another program holds the file alone: let it finish, or stop it"
        elif url.get_backend_name() == "sqlite":
            hint = "check the owner and rights of the file and of its directory; SQLite writes into both"
        else:
            hint = "check that the server runs, the name of the database, the user and the password"
        raise ConfigError("the store cannot be opened", where=f"{shown(url)}: {said}", hint=hint) from error


class Connections:
    """One writer at a time, any number of readers.

    A write transaction belongs to the thread that opened it; the same thread then also reads through it, so
    it sees what it has written. Other threads read what is committed.

    Parameters
    ----------
    on_rollback : callable
        Called after writes were taken back: caches of what was written must go.
    """

    def __init__(self, engine: Engine, url: URL, *, read_only: bool, on_rollback: Callable[[], None]) -> None:
        self.dialect = engine.dialect.name
        self._engine = engine
        self._writer = engine.execution_options(**{_WRITES: True})
        self._url = url
        self.read_only = read_only
        self._on_rollback = on_rollback
        self._lock = RLock()
        self._owner: int | None = None
        self._running: Connection | None = None
        self._closed = False

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction, or a savepoint inside the one this thread already has."""
        if self.read_only:
            raise ConfigError(
                "the store is open for reading only", where=shown(self._url), hint="open it without read_only"
            )
        with self._lock, self._translate():
            try:
                if self._running is not None:
                    with self._running.begin_nested():
                        yield self._running
                else:
                    with self._writer.connect() as connection, connection.begin():
                        self._running, self._owner = connection, get_ident()
                        try:
                            yield connection
                        finally:
                            self._running, self._owner = None, None
            except BaseException:
                self._on_rollback()
                raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection to read through: this thread's own transaction if it has one."""
        with self._translate():
            if self._running is not None and self._owner == get_ident():
                yield self._running
            elif is_memory(self._url):
                with self._lock, self._engine.connect() as connection:
                    yield connection
            else:
                with self._engine.connect() as connection:
                    yield connection

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            self._closed = True
            self._engine.dispose()

    @contextmanager
    def _translate(self) -> Iterator[None]:
        if self._closed:
            raise DataError("the store is closed", where=shown(self._url), hint="open it again")
        try:
            yield
        except DBAPIError as error:
            said = " ".join(str(error.orig).split())
            raise DataError(
                "the store could not be read or written",
                where=f"{shown(self._url)}: {said}",
                hint="check free space, rights and other programs that use it; nothing was half written",
            ) from error
