"""A backup is the store of one instant, proved by restoring it; nothing is left half done."""

from __future__ import annotations

import itertools
import json
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from energy.core.clock import ManualClock
from energy.core.errors import BrokenChainError, ConfigError, DataError
from energy.ledger import Entry, Journal, Posting
from energy.store import copy_store, open_store
from tests.contract.store_backends import NOON, POSTGRES, SHARED, database, point
from vpp.ops import backup as backups
from vpp.ops.backup import BACKUP, Rotation, back_up, dated_backup, kept_backups, restore, to_drop, verify

CLOCK = ManualClock(NOON)


def entry(number: int) -> Entry:
    return Entry(key=f"grant/{number}", at=NOON, postings=(Posting("pool", -5), Posting("driver/hana", 5)))


def filled(address: str) -> None:
    with open_store(address) as store:
        store.append(point(NOON + timedelta(minutes=k), float(k)) for k in range(500))
        for k in range(20):
            Journal(store).post(entry(k))


@pytest.fixture(params=SHARED)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as url:
        filled(url)
        yield url


def scratch() -> str:
    return os.environ.get(POSTGRES, "")


def empty_place(address: str, folder: Path) -> str:
    assert address.startswith("sqlite")
    return f"sqlite:///{folder / 'again.db'}"


def test_a_backup_names_what_it_holds_and_restores_to_the_same(address: str, tmp_path: Path) -> None:
    made = back_up(address, tmp_path / "b", clock=CLOCK, scratch=scratch())
    assert (made.rows["point"], made.journal_entries) == (500, 20)
    with open_store(address) as store:
        assert made.journal_head == Journal(store).verify().head
    assert verify(tmp_path / "b", scratch=scratch()) == made
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("store.db")) == [
        "b",
        "b.manifest.json",
    ]


def test_a_restored_store_answers_like_the_first(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    filled(address)
    back_up(address, tmp_path / "b", clock=CLOCK)
    restore(tmp_path / "b", empty_place(address, tmp_path))
    with open_store(address) as first, open_store(empty_place(address, tmp_path)) as second:
        known = (NOON + timedelta(days=1), point().series)
        spans = [(s.as_of(known[0]).span(known[1]), s.journal.balances()) for s in (first, second)]
    assert spans[0] == spans[1]


def test_a_restore_overwrites_nothing(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    filled(address)
    back_up(address, tmp_path / "b", clock=CLOCK)
    before = (tmp_path / "store.db").read_bytes()
    with pytest.raises(ConfigError, match="database already"):
        restore(tmp_path / "b", address)
    assert (tmp_path / "store.db").read_bytes() == before


@pytest.mark.postgres
def test_a_dump_is_not_restored_over_tables(tmp_path: Path) -> None:
    with database("postgresql", tmp_path) as address:
        filled(address)
        back_up(address, tmp_path / "b", clock=CLOCK, scratch=scratch())
        with pytest.raises(ConfigError, match="tables already"):
            restore(tmp_path / "b", address)


def test_a_dump_needs_a_server_to_be_proved(tmp_path: Path) -> None:
    with database("postgresql", tmp_path) as address:
        filled(address)
        back_up(address, tmp_path / "b", clock=CLOCK)
        with pytest.raises(ConfigError, match="proved on a server"):
            verify(tmp_path / "b")


def test_a_backup_made_while_a_thousand_values_a_second_are_written_is_of_one_instant(
    address: str, tmp_path: Path
) -> None:
    # Every transaction adds 100 values and one entry; a copy of one instant holds both or none of each.
    stop, began, acknowledged = Event(), Event(), []

    def write() -> None:
        with open_store(address) as store:
            for k in itertools.count(1):
                if stop.is_set():
                    return
                with store.transaction():
                    store.append(
                        point(NOON + timedelta(days=k, seconds=s), float(s), known_at=NOON)
                        for s in range(100)
                    )
                    Journal(store).post(entry(1_000 + k))
                acknowledged.append(k)
                if k == 5:
                    began.set()

    writer = Thread(target=write)
    writer.start()
    try:
        assert began.wait(30)
        least = len(acknowledged)
        made = [back_up(address, tmp_path / f"b{k}", clock=CLOCK, scratch=scratch()) for k in range(2)]
    finally:
        stop.set()
        writer.join()
    for one in made:
        rounds = one.journal_entries - 20
        assert one.rows["point"] == 500 + 100 * rounds
        assert least <= rounds <= len(acknowledged)
    assert made[1].journal_entries > made[0].journal_entries  # it really was written to meanwhile


def test_a_changed_backup_is_refused_by_its_digest(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    filled(address)
    back_up(address, tmp_path / "b", clock=CLOCK)
    with (tmp_path / "b").open("r+b") as file:
        file.seek(8_192)
        file.write(b"changed")
    with pytest.raises(DataError, match="not the file that was made"):
        verify(tmp_path / "b")
    with pytest.raises(DataError, match="not the file that was made"):
        restore(tmp_path / "b", empty_place(address, tmp_path))


def _forged(tmp_path: Path, statement: str) -> None:
    """A backup whose content was changed, with a manifest made to fit the file."""
    address = f"sqlite:///{tmp_path / 'store.db'}"
    filled(address)
    back_up(address, tmp_path / "b", clock=CLOCK)
    with sqlite3.connect(tmp_path / "b") as connection:
        connection.execute("DROP TRIGGER journal_refuses_update")
        connection.execute(statement)
    connection.close()
    told = json.loads((tmp_path / "b.manifest.json").read_text())
    told["sha256"], told["size"] = backups._digest(tmp_path / "b")
    (tmp_path / "b.manifest.json").write_text(json.dumps(told))


def test_a_journal_that_was_rewritten_inside_a_backup_is_noticed(tmp_path: Path) -> None:
    _forged(tmp_path, "UPDATE journal SET body = replace(body, 'hana', 'taro') WHERE number = 7")
    with pytest.raises(BrokenChainError, match="entry 7"):
        verify(tmp_path / "b")


def test_rows_that_went_missing_inside_a_backup_are_noticed(tmp_path: Path) -> None:
    _forged(tmp_path, "DELETE FROM point WHERE at = (SELECT max(at) FROM point)")
    with pytest.raises(DataError, match="another rows of point"):
        verify(tmp_path / "b")


def test_a_backup_without_its_manifest_is_no_backup(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    filled(address)
    copy_store(address, tmp_path / "b")
    with pytest.raises(DataError, match="manifest"):
        verify(tmp_path / "b")


def test_a_backup_that_fails_half_way_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    filled(address)

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(backups, "_prove", cut)
    with pytest.raises(KeyboardInterrupt):
        back_up(address, tmp_path / "b", clock=CLOCK)
    assert not [path.name for path in tmp_path.iterdir() if not path.name.startswith("store.db")]


def test_what_a_killed_backup_left_does_not_stop_the_next(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    filled(address)
    for name in (".b.copy", "..b.copy.part"):
        (tmp_path / name).write_bytes(b"half")
    back_up(address, tmp_path / "b", clock=CLOCK)
    assert verify(tmp_path / "b").rows["point"] == 500


@pytest.mark.parametrize("there", ["b", "missing/b"])
def test_a_backup_neither_overwrites_nor_makes_folders(tmp_path: Path, there: str) -> None:
    address = f"sqlite:///{tmp_path / 'store.db'}"
    filled(address)
    (tmp_path / "b").write_text("mine")
    with pytest.raises(ConfigError):
        back_up(address, tmp_path / there, clock=CLOCK)
    assert (tmp_path / "b").read_text() == "mine"


def test_a_file_of_another_program_is_no_store(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "other.db") as connection:
        connection.execute("CREATE TABLE films (name)")
    connection.close()
    with pytest.raises(ConfigError, match="no database of aizu-vpp"):
        back_up(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "b", clock=CLOCK)
    with pytest.raises(ConfigError, match="no database to copy"):
        back_up(f"sqlite:///{tmp_path / 'none.db'}", tmp_path / "b", clock=CLOCK)
    with pytest.raises(ConfigError, match="memory"):
        back_up("sqlite://", tmp_path / "b", clock=CLOCK)


def test_the_rule_keeps_seven_days_five_weeks_and_twelve_months(tmp_path: Path) -> None:
    first = datetime(2025, 1, 1, 18, 0, tzinfo=UTC)  # 3:00 in Japan
    made = {tmp_path / f"{k:04}": first + timedelta(days=k) for k in range(700)}  # to 2026-12-01 in Japan
    dropped = to_drop(made, Rotation())
    kept = sorted(f"{made[path] + timedelta(hours=9):%m-%d}" for path in made if path not in dropped)
    # By hand: 7 days to 2 Dec 2026 (Wed), Sundays 1, 8, 15, 22, 29 Nov besides, and the ends of months.
    days = ["11-26", "11-27", "11-28", "11-29", "11-30", "12-01", "12-02"]
    weeks = ["11-08", "11-15", "11-22"]
    months = ["01-31", "02-28", "03-31", "04-30", "05-31", "06-30", "07-31", "08-31", "09-30", "10-31"]
    assert kept == sorted([*days, *weeks, *months])
    assert first + timedelta(days=699) == datetime(2026, 12, 1, 18, tzinfo=UTC)


def test_the_newest_backup_stays_whatever_the_rule() -> None:
    made = {Path(str(k)): NOON + timedelta(days=k) for k in range(3)}
    assert to_drop(made, Rotation(daily=0, weekly=0, monthly=0)) == (Path("0"), Path("1"))


def test_the_routine_writes_down_what_it_made_and_drops_only_its_own_files(tmp_path: Path) -> None:
    address, folder, clock = f"sqlite:///{tmp_path / 'store.db'}", tmp_path / "kept", ManualClock(NOON)
    filled(address)
    folder.mkdir()
    (folder / "vpp-notes.backup").write_text("somebody's notes")
    with open_store(address) as store:
        for _ in range(4):
            file, _ = dated_backup(
                store, address, folder, clock=clock, rotation=Rotation(daily=2, weekly=0, monthly=0)
            )
            clock.advance(timedelta(days=1))
        noted = store.as_of(clock.now()).document(BACKUP, "store")
    assert noted is not None
    assert json.loads(noted.body)["file"] == file.name == "vpp-20261126T030000Z.backup"
    assert [path.name for path in kept_backups(folder)] == [
        "vpp-20261125T030000Z.backup",
        "vpp-20261126T030000Z.backup",
    ]
    assert len(list(folder.iterdir())) == 5  # two files each, and the notes
