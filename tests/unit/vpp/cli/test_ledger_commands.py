"""``vpp ledger``: batch out, receipt in, differences; statements by month; points by class."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energy.ledger import Journal, post_grant
from energy.store import open_store
from tests.unit.energy.ledger.test_batch import grant
from tests.unit.vpp.cli.calling import NOON, vpp

GRANTED = datetime(2026, 11, 25, 0, 0, tzinfo=UTC)


@pytest.fixture
def db(tmp_path: Path) -> list[str]:
    path = tmp_path / "coins.db"
    with open_store(f"sqlite:///{path}") as store:
        for vehicle, points in (("a", 40), ("b", 60)):
            post_grant(Journal(store), grant(vehicle, points), GRANTED)
    return ["--db", str(path)]


def test_a_batch_goes_out_once_and_can_be_written_again(db: list[str], tmp_path: Path) -> None:
    status, out, _ = vpp("ledger", "batch", "-o", str(tmp_path), *db, "--json")
    assert status == 0
    told = json.loads(out)
    assert (told["batch_id"], told["points"], len(told["lines"])) == ("b-000001", 100, 2)
    file = Path(told["file"])
    first = file.read_bytes()
    assert first.startswith(b"\xef\xbb\xbfbatch_id,line,account,points")
    status, out, _ = vpp("ledger", "batch", "-o", str(tmp_path), *db, at=NOON + timedelta(minutes=1))
    assert (status, out) == (0, "Nothing was granted or reversed since the last batch.\n")
    file.unlink()
    assert vpp("ledger", "batch", "--again", "b-000001", "-o", str(tmp_path), *db)[0] == 0
    assert file.read_bytes() == first


def test_a_dry_run_records_nothing(db: list[str], tmp_path: Path) -> None:
    for _ in range(2):
        status, out, err = vpp("ledger", "batch", "--dry-run", "-o", str(tmp_path / "out"), *db)
        assert (status, out) == (0, "Batch b-000001: 2 lines, 100 points.\n")
        assert "--dry-run" in err
    assert not (tmp_path / "out").exists()


def test_differences_end_with_status_6_and_are_listed(db: list[str], tmp_path: Path) -> None:
    vpp("ledger", "batch", "-o", str(tmp_path), *db)
    receipt = tmp_path / "receipt.csv"
    receipt.write_text("batch_id,line,points,status\nb-000001,1,40,accepted\n", encoding="utf-8")
    words = ["ledger", "reconcile", "b-000001", "--receipt", str(receipt), *db]
    status, out, _ = vpp(*words, at=NOON + timedelta(minutes=5))
    assert status == 6
    assert "line 2: 60 points, no answer" in out
    receipt.write_text(
        "batch_id,line,points,status\nb-000001,1,40,accepted\nb-000001,2,60,accepted\n", encoding="utf-8"
    )
    status, out, _ = vpp(*words, "--json", at=NOON + timedelta(minutes=6))
    assert (status, json.loads(out)["differences"]) == (0, [])
    assert "was on record" in vpp(*words, at=NOON + timedelta(minutes=7))[1]


@pytest.mark.parametrize(
    ("rows", "status", "complaint"),
    [
        ("b-000001,1,40,accepted\nb-000001,1,40,accepted\n", 8, "comes twice"),
        ("b-000002,1,40,accepted\n", 8, "speaks of b-000002"),
        ("b-000001,1,40,maybe\n", 3, "neither accepted nor refused"),
        ("b-000001,1,4.5,accepted\n", 3, "not a whole number"),
    ],
)
def test_a_receipt_that_cannot_be_right_is_refused_whole(
    db: list[str], tmp_path: Path, rows: str, status: int, complaint: str
) -> None:
    vpp("ledger", "batch", "-o", str(tmp_path), *db)
    receipt = tmp_path / "receipt.csv"
    receipt.write_text("batch_id,line,points,status\n" + rows, encoding="utf-8")
    ended, out, err = vpp("ledger", "reconcile", "b-000001", "--receipt", str(receipt), *db)
    assert (ended, out) == (status, "")
    assert complaint in err
    trail = json.loads(vpp("audit", "trace", "b-000001", *db, "--json")[1])["acts"]
    assert trail[-1]["act"] == "coin.receipt_refused"
    assert trail[-1]["facts"]["where"] in err


def test_balances_sum_to_zero_and_points_have_a_class_and_a_last_day(db: list[str]) -> None:
    balances = json.loads(vpp("ledger", "balance", *db, "--json")[1])
    assert balances == {"driver/a": 40, "driver/b": 60, "operator/issue": -100}
    rows = json.loads(vpp("ledger", "balance", "--classes", "--on", "2027-05-24", *db, "--json")[1])
    assert {(row["point_class"], row["expires_on"], row["expired"]) for row in rows} == {
        ("local_only", "2027-05-23", True)
    }
    assert "expired" in vpp("ledger", "balance", "--classes", "--on", "2027-05-24", *db)[1]


def test_points_whose_day_is_over_are_booked_away_once_and_stand_on_the_statement(
    db: list[str], tmp_path: Path
) -> None:
    after = datetime(2027, 5, 23, 15, 0, tzinfo=UTC)  # midnight after their last day in Japan
    assert vpp("ledger", "expire", *db, at=after - timedelta(minutes=1))[1].startswith("Nothing has expired")
    status, out, err = vpp("ledger", "expire", "--dry-run", *db, at=after)
    assert (status, out.splitlines()[0]) == (
        0,
        "Before 2027-05-24: 2 entries, 100 points have expired.",
    )
    assert "--dry-run" in err
    told = json.loads(vpp("ledger", "expire", "--json", *db, at=after)[1])
    assert (told["booked"], [one["points"] for one in told["entries"]]) == (True, [40, 60])
    assert vpp("ledger", "expire", *db, at=after)[1].startswith("Nothing has expired")
    balances = json.loads(vpp("ledger", "balance", *db, "--json")[1])
    assert balances == {"driver/a": 0, "driver/b": 0, "operator/expired": 100, "operator/issue": -100}
    assert "2027-05-23" in vpp("ledger", "statement", "driver/a", *db, lang="ja")[1].splitlines()[-1]
    _, out, _ = vpp("ledger", "batch", "-o", str(tmp_path), *db, "--json", at=after)
    assert json.loads(out)["points"] == 100  # the operator was told the last day: it is no instruction
    trail = vpp("audit", "trace", "expire/driver/a/local_only/2027-05-23", *db)[1]
    assert "last day of use was 2027-05-23" in trail


def test_a_day_that_has_not_come_takes_no_points(db: list[str]) -> None:
    status, out, err = vpp("ledger", "expire", "--on", "2027-05-24", *db)
    assert (status, out) == (3, "")
    assert "cannot expire yet" in err
    assert json.loads(vpp("ledger", "balance", *db, "--json")[1])["driver/a"] == 40


def test_a_database_that_is_not_there_is_not_made_by_an_expiry(tmp_path: Path) -> None:
    status, _, err = vpp("ledger", "expire", "--db", str(tmp_path / "none.db"))
    assert status == 2
    assert "no such database" in err
    assert not (tmp_path / "none.db").exists()


def test_a_statement_of_a_month_has_what_came_before_and_after(db: list[str]) -> None:
    status, out, _ = vpp("ledger", "statement", "driver/a", "--month", "2026-11", *db)
    assert status == 0
    assert out.splitlines()[0] == "2026-11: opening balance 0"
    assert out.splitlines()[-1] == "Closing balance 40"
    later = vpp("ledger", "statement", "driver/a", "--month", "2026-12", *db)[1]
    assert later.splitlines()[0] == "2026-12: opening balance 40"
    assert vpp("ledger", "statement", "driver/a", "--month", "soon", *db)[0] == 3


def test_a_journal_that_holds_is_proved_and_a_database_that_is_not_there_is_named(
    db: list[str], tmp_path: Path
) -> None:
    status, out, _ = vpp("ledger", "verify", *db, "--json")
    assert (status, json.loads(out)["entries"]) == (0, 2)
    status, _, err = vpp("ledger", "verify", "--db", str(tmp_path / "none.db"))
    assert status == 2
    assert "no such database" in err
