"""``vpp market plan``: a plan's life from draft to receipt; who may do what, and when."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energy.core.slots import parse_jst
from energy.market.plan_file import plan_of_csv, plan_of_xml
from energy.store import open_store
from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp

EXAMPLES = ROOT / "examples"
DAY = "2026-11-25"
V1, V2 = (f"{DAY}/demand/bg-aizu/tohoku/v{number}" for number in (1, 2))
MORNING = parse_jst("2026-11-24 09:00")


@pytest.fixture
def db(tmp_path: Path) -> list[str]:
    return ["--db", str(tmp_path / "plans.db")]


def draft_words(works: str = "forecast-works.csv", group: str = "bg-aizu") -> list[str]:
    return [
        *("market", "plan", "draft", "--day", DAY, "--group", group, "--area", "tohoku"),
        *("--forecast", f"office={EXAMPLES}/forecast-office.csv", "--forecast", f"works={EXAMPLES}/{works}"),
        *("--trades", f"{EXAMPLES}/trades.csv"),
    ]


def plan(*words: str, at: datetime = MORNING) -> tuple[int, str, str]:
    return vpp("market", "plan", *words, at=at)


def walk(db: list[str], *, until: str = "export", at: datetime = MORNING) -> None:
    """Draft, check, approve: a minute apart."""
    assert vpp(*draft_words(), *db, "--by", "ito", at=at)[0] == 0
    assert plan("check", V1, *db, at=at + timedelta(minutes=1))[0] == 0
    assert plan("approve", V1, "--by", "sato", *db, at=at + timedelta(minutes=2))[0] == 0


def test_a_plan_goes_from_draft_to_receipt_and_every_act_stands_in_the_audit_trail(
    db: list[str], tmp_path: Path
) -> None:
    walk(db)
    status, out, err = plan("export", V1, "-o", str(tmp_path), *db, at=MORNING + timedelta(minutes=3))
    assert status == 0
    assert "hand it in by" in err
    xml, table = (Path(line.removeprefix("Written: ")) for line in out.splitlines())
    assert xml.name == f"draft-for-occto-input-{V1.replace('/', '-')}.xml"
    assert table.read_bytes().startswith(b"\xef\xbb\xbf")
    read, version = plan_of_xml(xml.read_text(encoding="utf-8"))
    assert version == 1
    assert plan_of_csv(table.read_text(encoding="utf-8")) == read
    later = MORNING + timedelta(minutes=20)
    assert plan("receipt", V1, "accepted", "--ref", "mail 17", *db, at=later)[0] == 0
    (row,) = json.loads(plan("list", *db, "--json", at=later)[1])
    assert (row["key"], row["state"], row["author"], row["approver"]) == (V1, "accepted", "ito", "sato")
    assert (row["receipt"], row["window"], row["finish_by"]) == (
        "mail 17",
        "next_day",
        "2026-11-24T02:55:00+00:00",
    )
    with open_store(f"sqlite:///{db[1]}", read_only=True) as store:
        acts = [(record.actor, record.act) for record in store.audit_trail(f"plan/{V1}")]
    assert acts == [
        *(("ito", "plan.drafted"), ("operator", "plan.checked"), ("sato", "plan.approved")),
        *(("operator", "plan.submitted"), ("operator", "plan.accepted")),
    ]


def test_drafting_the_same_again_is_the_same_version_and_another_forecast_the_next(db: list[str]) -> None:
    assert vpp(*draft_words(), *db, at=MORNING)[0] == 0
    again = vpp(*draft_words(), *db, "--json", at=MORNING + timedelta(minutes=1))
    assert json.loads(again[1])["version"] == 1
    other = vpp(*draft_words("forecast-office.csv"), *db, "--json", at=MORNING + timedelta(minutes=2))
    assert json.loads(other[1])["version"] == 2
    changes = json.loads(plan("diff", V1, V2, *db, "--json")[1])
    assert {change["item"] for change in changes} >= {"member works", "total"}
    assert plan("diff", V1, V1, *db)[1] == "The two versions are the same.\n"


def test_an_old_version_can_no_longer_be_approved_or_handed_in(db: list[str], tmp_path: Path) -> None:
    walk(db)
    vpp(*draft_words("forecast-office.csv"), *db, at=MORNING + timedelta(minutes=5))
    for words in (("export", V1, "-o", str(tmp_path)), ("check", V1), ("approve", V1, "--by", "sato")):
        status, _, err = plan(*words, *db, at=MORNING + timedelta(minutes=6))
        assert status == 4
        assert "is an old version" in err
        assert "version 2 (draft) has replaced it" in err
    assert plan("export", V1, "--preview", "-o", str(tmp_path), *db)[0] == 0
    trail = json.loads(vpp("audit", "trace", V1, *db, "--json")[1])["acts"]
    assert [one["act"] for one in trail[-3:]] == ["plan.refused"] * 3


def test_a_receipt_is_taken_for_what_was_handed_in_even_if_a_newer_draft_is_there(
    db: list[str], tmp_path: Path
) -> None:
    walk(db)
    late = MORNING + timedelta(minutes=5)
    assert plan("export", V1, "-o", str(tmp_path), *db, at=late)[0] == 0
    vpp(*draft_words("forecast-office.csv"), *db, at=late)
    words = ("receipt", V1, "accepted", "--ref", "mail 17", *db)
    assert plan(*words, at=late + timedelta(minutes=1))[0] == 0
    assert plan(*words, at=late + timedelta(minutes=2))[0] == 0  # the same again
    status, _, err = plan("receipt", V1, "rejected", "--ref", "mail 18", *db, at=late + timedelta(minutes=3))
    assert status == 4
    assert "version 2 (draft) has replaced it" in err
    with open_store(f"sqlite:///{db[1]}", read_only=True) as store:
        acts = [record.act for record in store.audit_trail(f"plan/{V1}")]
    assert acts[-2:] == ["plan.accepted", "plan.refused"]


def test_nobody_approves_their_own_plan_and_no_step_is_left_out(db: list[str], tmp_path: Path) -> None:
    vpp(*draft_words(), *db, "--by", "ito", at=MORNING)
    assert "it cannot become submitted" in plan("export", V1, "-o", str(tmp_path), *db)[2]
    assert "it cannot become approved" in plan("approve", V1, "--by", "sato", *db)[2]
    assert plan("check", V1, *db, at=MORNING + timedelta(minutes=1))[0] == 0
    assert "cannot be approved by its author" in plan("approve", V1, "--by", "ito", *db)[2]
    assert list(tmp_path.glob("*.xml")) == []


@pytest.mark.parametrize(
    ("at", "taken"),
    [
        ("2026-11-24 11:59", True),
        ("2026-11-24 12:00", False),
        ("2026-11-24 16:59", False),
        ("2026-11-24 17:00", True),
        ("2026-11-25 23:00", False),
    ],
)
def test_plans_are_handed_in_only_while_they_are_taken(
    db: list[str], tmp_path: Path, at: str, taken: bool
) -> None:
    walk(db)
    status, _, err = plan("export", V1, "-o", str(tmp_path), *db, at=parse_jst(at))
    assert (status == 0) is taken
    if not taken:
        assert status == 4
        assert f"no plan of {DAY} is taken now" in err


def test_a_slot_past_its_gate_can_no_longer_be_changed(db: list[str]) -> None:
    walk(db)
    status, _, err = vpp(*draft_words("forecast-office.csv"), *db, at=parse_jst("2026-11-25 13:01"))
    assert status == 4
    assert "slot 1 of 2026-11-25 can no longer be changed" in err


def test_a_short_plan_is_accepted_and_says_what_to_buy(db: list[str]) -> None:
    status, out, _ = vpp(*draft_words(), *db, "--json", at=MORNING)
    assert status == 0
    told = json.loads(out)
    assert {one["class"] for one in told["mismatches"]} == {"B"}
    short = next(one for one in told["mismatches"] if one["buy_kwh"])
    assert short["buy_kwh"] == -short["kwh"]
    status, out, _ = plan("check", V1, *db, at=MORNING + timedelta(minutes=1))
    assert status == 0
    assert "the demand stays as forecast" in out


def test_two_groups_that_say_different_things_are_both_told(db: list[str], tmp_path: Path) -> None:
    vpp(*draft_words(), *db, at=MORNING)
    sale = tmp_path / "sale.csv"
    sale.write_text("slot_start,party,side,kwh\n2026-11-25T09:00+09:00,bg-aizu,sell,12\n", encoding="utf-8")
    words = draft_words(group="bg-x")[:-1]
    vpp(*words, str(sale), *db, at=MORNING)
    found = [
        json.loads(
            plan(
                "check", f"{DAY}/demand/{group}/tohoku/v1", *db, "--json", at=MORNING + timedelta(minutes=1)
            )[1]
        )
        for group in ("bg-aizu", "bg-x")
    ]
    for told in found:
        counterpart = [one for one in told["mismatches"] if one["class"] == "C"]
        assert len(counterpart) == 48  # 10 bought in each slot, 12 sold in slot 19
        assert {one["kwh"] for one in counterpart} == {10, -2}


def test_codes_that_the_master_data_do_not_know_make_class_a_and_status_4(
    db: list[str], tmp_path: Path
) -> None:
    codes = tmp_path / "codes.csv"
    codes.write_text("code\nbg-aizu\noffice\nbg-x\n", encoding="utf-8")
    vpp(*draft_words(), *db, at=MORNING)
    status, out, _ = plan("check", V1, "--codes", str(codes), *db, at=MORNING + timedelta(minutes=1))
    assert status == 4
    assert "A: the master data do not know works" in out
    assert "draft" in plan("list", *db)[1]


def test_drafting_for_somebody_needs_their_consent(db: list[str], tmp_path: Path) -> None:
    status, _, err = vpp(*draft_words(), "--for", "retailer-a", *db, at=MORNING)
    assert status == 7
    assert "no consent of retailer-a" in err
    (tmp_path / "sheet.pdf").write_bytes(b"signed")
    granted = vpp(
        *("consent", "grant", "c-1", "--subject", "retailer-a", "--to", "occto", "--data", "demand-forecast"),
        *("--purpose", "plan-drafting", "--evidence", str(tmp_path / "sheet.pdf"), *db),
        at=MORNING,
    )
    assert granted[0] == 0
    assert vpp(*draft_words(), "--for", "retailer-a", *db, at=MORNING + timedelta(minutes=1))[0] == 0
    with open_store(f"sqlite:///{db[1]}", read_only=True) as store:
        (record,) = store.audit_trail(f"plan/{V1}")
    assert record.facts["for"] == "retailer-a"


@pytest.mark.parametrize(
    ("words", "status", "complaint"),
    [
        (["check", "2026-11-25"], 2, "names no version"),
        (["check", V2], 4, "no version 2"),
        (["diff", V1, V2], 4, "no version 2"),
    ],
)
def test_a_version_that_is_not_there_is_named(
    db: list[str], words: list[str], status: int, complaint: str
) -> None:
    vpp(*draft_words(), *db, at=MORNING)
    ended, _, err = plan(*words, *db)
    assert ended == status
    assert complaint in err


def test_a_forecast_with_a_hole_and_a_trade_of_another_day_are_refused(db: list[str], tmp_path: Path) -> None:
    lines = (EXAMPLES / "forecast-office.csv").read_text(encoding="utf-8").splitlines()
    (tmp_path / "hole.csv").write_text("\n".join(lines[:10] + lines[11:]), encoding="utf-8")
    words = ["market", "plan", "draft", "--day", DAY, "--group", "bg-aizu", "--area", "tohoku", *db]
    status, _, err = vpp(*words, "--forecast", f"office={tmp_path}/hole.csv")
    assert status == 3
    assert "the first is slot 10" in err
    trade = tmp_path / "trade.csv"
    trade.write_text("slot_start,party,side,kwh\n2026-11-26T09:00+09:00,bg-x,buy,12\n", encoding="utf-8")
    status, _, err = vpp(
        *words, "--forecast", f"office={EXAMPLES}/forecast-office.csv", "--trades", str(trade)
    )
    assert status == 3
    assert "not on 2026-11-25" in err
    assert vpp(*words, "--forecast", "office")[0] == 2


def test_without_plans_the_list_says_so(db: list[str]) -> None:
    open_store(f"sqlite:///{db[1]}").close()
    assert plan("list", *db, at=datetime(2026, 1, 1, tzinfo=UTC)) == (0, "No plan is on record.\n", "")
    dry = vpp(*draft_words(), *db, "--dry-run")
    assert dry[0] == 0
    assert plan("list", *db)[1] == "No plan is on record.\n"
