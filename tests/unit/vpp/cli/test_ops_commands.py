"""``vpp db``, ``vpp alert`` and ``vpp retention`` as a person types them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from energy.core.units import series_id
from energy.store import Point, open_store
from tests.unit.vpp.cli.calling import NOON, vpp
from vpp.ops.alerts import AlertBook, Kind, Trouble


@pytest.fixture
def db(tmp_path: Path) -> str:
    path = tmp_path / "vpp.db"
    with open_store(f"sqlite:///{path}") as store:
        name = series_id("kitakata", "meter", "power_kw")
        store.append(
            Point(series=name, at=at, known_at=at, value=1.0, source="meter")
            for at in (NOON - timedelta(days=k) for k in (1, 500))
        )
        lost = Trouble(kind=Kind.DATA_STALE, subject="kitakata", facts={"site": "kitakata", "since": "11:50"})
        AlertBook(store).review([lost], NOON - timedelta(minutes=5))
    return str(path)


def test_a_backup_is_made_proved_and_brought_back(db: str, tmp_path: Path) -> None:
    copy = str(tmp_path / "copy")
    status, out, _ = vpp("db", "backup", copy, "--db", db)
    assert (status, "2 values" in out) == (0, True)
    assert vpp("db", "verify", copy)[0] == 0
    assert vpp("db", "backup", copy, "--db", db)[0] == 2
    status, out, err = vpp("db", "restore", copy, "--db", db)
    assert (status, out) == (2, "")
    assert "database already" in err
    status, out, _ = vpp("db", "restore", copy, "--db", str(tmp_path / "again.db"), "--json")
    assert (status, json.loads(out)["rows"]["point"]) == (0, 2)
    assert vpp("alert", "list", "--db", str(tmp_path / "again.db"))[1] == vpp("alert", "list", "--db", db)[1]


def test_a_folder_of_backups_is_rotated(db: str, tmp_path: Path) -> None:
    for k in range(9):
        at = NOON + timedelta(hours=k)
        assert vpp("db", "backup", str(tmp_path / "kept"), "--rotate", "--db", db, at=at)[0] == 0
    assert len(list((tmp_path / "kept").glob("*.backup"))) == 1


def test_a_changed_backup_is_refused_with_status_3(db: str, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    vpp("db", "backup", str(copy), "--db", db)
    copy.write_bytes(copy.read_bytes() + b"x")
    status, out, err = vpp("db", "verify", str(copy))
    assert (status, out) == (3, "")
    assert "not the file that was made" in err


def test_alerts_are_listed_acknowledged_and_silenced(db: str) -> None:
    status, out, _ = vpp("alert", "list", "--db", db)
    assert status == 0
    assert "Warning  Nothing has been heard of the meter of kitakata since 11:50." in out
    assert (
        vpp("alert", "ack", "data_stale", "kitakata", "--by", "hana", "--note", "driving there", "--db", db)[
            0
        ]
        == 0
    )
    (one,) = json.loads(vpp("alert", "list", "--json", "--db", db)[1])
    assert (one["seen_by"], one["note"], one["seen_at"]) == ("hana", "driving there", NOON.isoformat())
    assert vpp("alert", "silence", "data_stale", "kitakata", "--by", "hana", "--db", db)[0] == 0
    (one,) = json.loads(vpp("alert", "list", "--json", "--db", db)[1])
    assert one["silent_until"] == (NOON + timedelta(hours=8)).isoformat()
    status, _, err = vpp("alert", "ack", "disk_low", "--by", "hana", "--db", db)
    assert (status, "no such alert is open" in err) == (2, True)


def test_the_service_looks_once_when_asked_and_says_that_no_mail_is_set_up(db: str, tmp_path: Path) -> None:
    config = tmp_path / "service.yaml"
    config.write_text(f"store: {{url: {db}}}\n", encoding="utf-8")
    status, out, err = vpp("alert", "check", "--config", str(config), at=NOON + timedelta(minutes=10))
    assert (status, "0 alerts are new" in err) == (0, True)
    assert "kitakata" in out
    status, _, err = vpp("alert", "test", "--config", str(config))
    assert (status, "No mail is set up" in err) == (2, True)


def test_what_would_go_is_shown_and_goes_only_when_meant(db: str) -> None:
    status, out, _ = vpp("retention", "show", "--db", db)
    assert status == 0
    assert "minutes: values /power_kw, 1 from 2025-07-10" in out
    status, _, err = vpp("retention", "apply", "--by", "hana", "--db", db)
    assert (status, "cannot be taken back" in err) == (2, True)
    assert "1 of /power_kw are gone" in vpp("retention", "apply", "--by", "hana", "--yes", "--db", db)[1]
    assert "Nothing is older" in vpp("retention", "show", "--db", db)[1]
    assert json.loads(vpp("retention", "cuts", "--json", "--db", db)[1]) == []
