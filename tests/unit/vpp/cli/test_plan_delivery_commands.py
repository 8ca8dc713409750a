"""Drafts reach the parties they concern and nobody else; consent counts at the moment of use."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp

EXAMPLES = ROOT / "examples"
DAY = "2026-11-25"
LATER = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "vpp.db"
    monkeypatch.setenv("VPP_DB", str(path))
    return path


def draft(group: str, area: str, *more: str) -> str:
    status, out, err = vpp(
        *("market", "plan", "draft", "--day", DAY, "--group", group, "--area", area, "--by", "ito", "--json"),
        *("--forecast", f"office={EXAMPLES / 'forecast-office.csv'}"),
        *("--trades", str(EXAMPLES / "trades.csv"), *more),
    )
    assert status == 0, err
    return str(json.loads(out)["key"])


def consent(name: str, purpose: str, data: str, recipient: str) -> None:
    sheet = EXAMPLES / "README.md"
    status, _, err = vpp(
        *("consent", "grant", name, "--subject", "retailer-a", "--to", recipient, "--data", data),
        *("--purpose", purpose, "--evidence", str(sheet)),
    )
    assert status == 0, err


def test_a_counterpart_gets_its_own_trades_with_their_gate_closures_and_nothing_else(
    db: Path, tmp_path: Path
) -> None:
    draft("bg-aizu", "tohoku")
    status, out, _ = vpp(
        "market", "plan", "deliver", DAY, "--to", "bg-x", "-o", str(tmp_path / "out"), "--json"
    )
    assert status == 0
    (told,) = json.loads(out)
    assert told["what"] == "trades"
    text = (tmp_path / "out" / told["file"]).read_text(encoding="utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 48
    assert rows[0] == {
        "slot_start": "2026-11-25T00:00:00+09:00",
        "with": "bg-aizu",
        "your_side": "sell",
        "kwh": "10",
        "gate_closure": "2026-11-24T23:00:00+09:00",
    }
    assert "spot" not in text
    assert "office" not in text


def test_several_groups_and_areas_are_files_of_their_own(db: Path, tmp_path: Path) -> None:
    for group, area in (("bg-aizu", "tohoku"), ("bg-aizu", "tokyo"), ("bg-b", "tohoku")):
        draft(group, area)
    status, out, _ = vpp("market", "plan", "deliver", DAY, "--to", "bg-x", "-o", str(tmp_path), "--json")
    assert status == 0
    assert len({one["file"] for one in json.loads(out)}) == 3
    _, out, _ = vpp("market", "plan", "deliver", DAY, "--to", "bg-aizu", "-o", str(tmp_path), "--json")
    assert [one["what"] for one in json.loads(out)] == ["plan", "plan"]


def test_again_is_the_same_file_and_a_receipt_is_kept_once(db: Path, tmp_path: Path) -> None:
    draft("bg-aizu", "tohoku")
    words = ("market", "plan", "deliver", DAY, "--to", "bg-x", "-o", str(tmp_path), "--json")
    first, again = (json.loads(vpp(*words)[1])[0] for _ in range(2))
    assert (first["new"], again["new"]) == (True, False)
    assert first["sha256"] == again["sha256"]
    key = first["key"]
    assert vpp("market", "plan", "acknowledge", key, "--ref", "mail 1", at=LATER)[0] == 0
    assert vpp("market", "plan", "acknowledge", key, "--ref", "mail 1", at=LATER)[0] == 0
    status, _, err = vpp("market", "plan", "acknowledge", key, "--ref", "mail 2")
    assert (status, "another receipt" in err) == (4, True)
    status, out, _ = vpp("audit", "trace", key, "--json")
    acts = [one["act"] for one in json.loads(out)["acts"]]
    assert (status, acts) == (0, ["plan.delivered", "plan.delivery_acknowledged"])


def test_what_the_principal_did_not_allow_is_not_handed_over_and_the_refusal_is_on_record(
    db: Path, tmp_path: Path
) -> None:
    consent("c-1", "plan-drafting", "demand-forecast", "occto")
    draft("bg-aizu", "tohoku", "--for", "retailer-a")
    words = ("market", "plan", "deliver", DAY, "-o", str(tmp_path), "--json", "--to")
    status, out, _ = vpp(*words, "bg-x")
    (told,) = json.loads(out)
    assert (status, bool(told["refused"]), told["file"]) == (7, True, "")
    assert not list(tmp_path.glob("trades-*"))
    assert vpp(*words, "retailer-a")[0] == 0
    consent("c-2", "plan-sharing", "trades", "bg-x")
    assert vpp(*words, "bg-x", at=LATER)[0] == 0
    vpp("consent", "withdraw", "c-1", at=LATER)
    assert vpp(*words, "retailer-a", at=LATER)[0] == 7
    acts = [one["act"] for one in json.loads(vpp("audit", "trace", told["key"], "--json")[1])["acts"]]
    assert acts == ["plan.delivery_refused", "plan.delivered"]


def test_a_party_that_no_plan_concerns_and_a_delivery_that_never_was_are_named(
    db: Path, tmp_path: Path
) -> None:
    draft("bg-aizu", "tohoku")
    status, _, err = vpp("market", "plan", "deliver", DAY, "--to", "nobody", "-o", str(tmp_path))
    assert (status, "concerns 'nobody'" in err) == (4, True)
    status, _, err = vpp("market", "plan", "acknowledge", "bg-x/nothing", "--ref", "x")
    assert (status, "nothing was delivered" in err) == (4, True)
