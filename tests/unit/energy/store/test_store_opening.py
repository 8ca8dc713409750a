"""Opening a store: what stands in the way is said in three lines, and what is there already is respected."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

from energy.core.errors import ConfigError, DataError
from energy.core.units import SeriesId
from energy.store import Durability, Point, engine, open_store
from energy.store.schema import HEAD, VERSION_TABLE

NOON = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
P = SeriesId("kitakata/meter/import_kwh")


def filled(path: Path) -> str:
    url = f"sqlite:///{path}"
    with open_store(url) as store:
        store.append([Point(series=P, at=NOON, known_at=NOON, value=1.0, source="test")])
    return url


def refused(url: str, *, read_only: bool = False) -> tuple[str, str, str]:
    with pytest.raises(ConfigError) as caught:
        open_store(url, read_only=read_only)
    lines = caught.value.lines()
    assert all(line and "\n" not in line for line in lines)
    return lines


@pytest.mark.parametrize(
    ("url", "what", "hint"),
    [
        ("no address at all", "no address of a store", "sqlite:///path"),
        ("mysql://anna:geheim@localhost/x", "no store on mysql", "SQLite and PostgreSQL"),
        ("sqlite:////no/such/directory/store.db", "directory does not exist", "create it"),
    ],
)
def test_an_unusable_address_is_refused_with_what_to_do(url: str, what: str, hint: str) -> None:
    lines = refused(url)
    assert what in lines[0]
    assert hint in lines[2]
    assert "geheim" not in "".join(lines)


def test_a_directory_is_no_store(tmp_path: Path) -> None:
    assert refused(f"sqlite:///{tmp_path}")[0] == "the store is a directory"


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("these are my notes, not a database\n" * 40)
    what, where, hint = refused(f"sqlite:///{path}")
    assert what == "the store cannot be opened"
    assert "not a database" in where
    assert "something else" in hint
    assert path.read_text().startswith("these are my notes")


def test_the_database_of_another_program_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE states (id INTEGER)")
    connection.close()
    what, where, _ = refused(f"sqlite:///{path}")
    assert "another program" in what
    assert "states" in where
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("states",)]
    connection.close()


def test_a_store_newer_than_the_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    url = filled(path)
    connection = sqlite3.connect(path)
    connection.execute(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    connection.commit()
    connection.close()
    what, where, hint = refused(url)
    assert "newer version" in what
    assert "9999" in where
    assert HEAD in where
    assert "update" in hint


def test_reading_needs_a_store_that_is_there_and_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    assert "no store to read" in refused(f"sqlite:///{path}", read_only=True)[0]
    sqlite3.connect(path).close()
    path.touch()
    assert "needs newer tables" in refused(f"sqlite:///{path}", read_only=True)[0]


def test_a_postgresql_that_does_not_answer_is_named_without_its_password() -> None:
    what, where, hint = refused("postgresql+psycopg://anna:geheim@127.0.0.1:1/none?connect_timeout=2")
    assert what == "the store cannot be opened"
    assert "127.0.0.1" in where
    assert "geheim" not in where
    assert "server runs" in hint


def test_names_with_odd_characters_are_opened_as_written(tmp_path: Path) -> None:
    path = tmp_path / "喜多方 100%#1.db"
    with open_store(f"sqlite:///{path}") as store:
        store.put_document("plan", "a", known_at=NOON, body="x")
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_the_first_opening_by_many_at_once_makes_one_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    failures: list[object] = []
    threads = [opening(url, failures) for _ in range(4)]
    for thread in threads:
        thread.join()
    assert failures == []
    with open_store(url) as store:
        assert store.as_of(NOON).ids() == []


def test_opening_waits_for_one_who_writes_before_the_store_has_its_way_of_writing(tmp_path: Path) -> None:
    url = filled(tmp_path / "store.db")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN IMMEDIATE")  # whoever now asks for WAL is told "locked" at once
    failures: list[object] = []
    thread = opening(url, failures)
    thread.join(0.3)
    assert thread.is_alive()
    other.execute("COMMIT")
    thread.join()
    other.close()
    assert failures == []


def opening(url: str, failures: list[object]) -> threading.Thread:
    """A thread that opens the store, and hands over what goes wrong."""

    def work() -> None:
        try:
            open_store(url).close()
        except ConfigError as error:
            failures.append(error.lines())
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_store_that_another_program_never_lets_go_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_BUSY_TIMEOUT_MS", 50)
    url = filled(tmp_path / "store.db")
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN IMMEDIATE")
    what, where, hint = refused(url)
    other.close()
    assert what == "the store cannot be opened"
    assert "locked" in where
    assert "let it finish" in hint


def test_durability_is_what_was_asked_for(tmp_path: Path) -> None:
    found = {}
    durabilities: tuple[Durability, ...] = ("full", "process")
    for durability in durabilities:
        url = f"sqlite:///{tmp_path / durability}.db"
        with (
            open_store(url, durability=durability) as store,
            store._connections.read() as connection,
        ):
            found[durability] = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
    assert found == {"full": ["wal", 2, 1], "process": ["wal", 1, 1]}  # 2 = FULL, 1 = NORMAL


def test_trouble_while_writing_is_an_error_of_ours(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with open_store(filled(path)) as store:
        connection = sqlite3.connect(path)
        connection.execute("DROP TABLE document")
        connection.close()
        with pytest.raises(DataError, match="could not be read or written") as caught:
            store.put_document("plan", "secret name", known_at=NOON, body="x")
    assert "no such table: document" in caught.value.where
    assert "secret name" not in str(caught.value)


def test_the_head_in_the_code_is_the_head_of_the_migrations() -> None:
    migrations = Path(open_store.__code__.co_filename).parent / "migrations"
    assert ScriptDirectory(str(migrations)).get_heads() == [HEAD]


# Rights: the superuser may write everywhere, so these run as somebody else


def as_nobody(url: str, *, read_only: bool) -> list[str]:
    """What opening a store says in a process without the rights of the superuser."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
            said = try_opening(url, read_only=read_only)
        except BaseException as error:  # noqa: BLE001 - the child must not return into pytest
            said = [repr(error)]
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:  # noqa: PTH123 - a file descriptor
        said = [str(line) for line in json.loads(pipe.read())]
    os.waitpid(child, 0)
    return said


def try_opening(url: str, *, read_only: bool) -> list[str]:
    try:
        with open_store(url, read_only=read_only) as store:
            return ["ids", *store.as_of(NOON).ids()]
    except ConfigError as error:
        return ["refused", *error.lines()]


@pytest.fixture
def sealed() -> Iterator[Path]:
    """A folder with a store that others may read and nobody may write; not below pytest's closed folders."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        filled(folder / "store.db")
        (folder / "store.db").chmod(0o444)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def test_a_store_that_may_not_be_written_is_refused_with_what_to_do(sealed: Path) -> None:
    url = f"sqlite:///{sealed / 'store.db'}"
    said = as_nobody(url, read_only=False)
    assert said[:2] == ["refused", "the store cannot be opened"]
    assert "readonly database" in said[2]
    assert "rights" in said[3]


def test_a_store_cannot_be_made_in_a_directory_without_rights(sealed: Path) -> None:
    said = as_nobody(f"sqlite:///{sealed / 'new.db'}", read_only=False)
    assert said[:2] == ["refused", "the store cannot be opened"]
    assert "unable to open" in said[2]
    assert "rights of the file and of its directory" in said[3]


def test_a_store_on_a_read_only_medium_can_be_read(sealed: Path) -> None:
    assert as_nobody(f"sqlite:///{sealed / 'store.db'}", read_only=True) == ["ids", P]
