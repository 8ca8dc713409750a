"""Bills and settlements are kept, traced to their readings, and what was refused stands beside them."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import NOON, vpp

EXAMPLES = ROOT / "examples"
LATER = NOON + timedelta(days=60)


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "vpp.db"
    monkeypatch.setenv("VPP_DB", str(path))
    return path


def changed(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """A copy of an example with one place changed."""
    text = (EXAMPLES / name).read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / name
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


def bill(meter: Path = EXAMPLES / "meter.csv", *, at: datetime = NOON) -> tuple[int, str]:
    status, _, err = vpp(
        *("bill", "--meter", str(meter), "--tariff", str(EXAMPLES / "tariff-high-voltage.yaml")),
        *("--month", "2026-11", "--keep", "factory", "--json"),
        at=at,
    )
    return status, err


def trace(name: str, *more: str) -> dict[str, Any]:
    status, out, err = vpp("audit", "trace", name, "--json", *more)
    assert status == 0, err
    told: dict[str, Any] = json.loads(out)
    return told


def acts(name: str) -> list[str]:
    return [one["act"] for one in trace(name)["acts"]]


def test_a_bill_is_kept_once_and_a_corrected_reading_makes_the_next_version(db: Path, tmp_path: Path) -> None:
    assert "Kept as bill/factory/2026-11/v1" in bill()[1]
    assert "Nothing new: bill/factory/2026-11/v1" in bill()[1]
    corrected = changed(
        tmp_path, "meter.csv", "2026-11-18T13:30:00+09:00,61.9", "2026-11-18T13:30:00+09:00,71.9"
    )
    status, err = bill(corrected, at=LATER)
    assert status == 0
    assert "Kept as bill/factory/2026-11/v2" in err
    told = trace("bill/factory/2026-11")["made_from"]["settlement"]
    assert told["id"].endswith("/v2")
    assert any(why.startswith("max_demand_kw: 124 -> 144") for why in told["because"])
    assert trace("bill/factory/2026-11/v1")["made_from"]["settlement"]["figures"]["max_demand_kw"] == 124
    assert acts("bill/factory/2026-11") == ["bill.settled", "bill.settled"]


def test_every_figure_of_a_bill_has_a_formula_and_its_rules_are_told(db: Path) -> None:
    bill()
    told = trace("bill/factory/2026-11")["made_from"]["settlement"]
    assert told["trace"].keys() == told["figures"].keys()
    known = {fact["rule"] for fact in told["rules"]}
    for name, one in told["trace"].items():
        assert one["how"], name
        assert set(one["rules"]) <= known, name
    assert "2026-11-18T13:30:00+09:00" in told["trace"]["max_demand_kw"]["readings"][0]
    one = trace("bill/factory/2026-11", "--figure", "levy_yen")["made_from"]["settlement"]
    assert list(one["trace"]) == ["levy_yen"]
    assert [fact["rule"] for fact in one["rules"]] == ["renewable_levy"]


def test_the_files_of_a_version_make_the_same_bill_again(db: Path, tmp_path: Path) -> None:
    bill()
    trace("bill/factory/2026-11", "--files", str(tmp_path / "again"))
    status, err = bill(tmp_path / "again" / "meter-meter.csv", at=LATER)
    assert status == 0
    assert "Nothing new: bill/factory/2026-11/v1" in err


def test_a_figure_that_is_not_there_is_named(db: Path) -> None:
    bill()
    status, _, err = vpp("audit", "trace", "bill/factory/2026-11", "--figure", "fun_yen")
    assert (status, "no figure 'fun_yen'" in err) == (3, True)


def imbalance(price: Path, *, at: datetime) -> str:
    status, _, err = vpp(
        *(
            "market",
            "imbalance",
            "--plan",
            str(EXAMPLES / "plan.csv"),
            "--meter",
            str(EXAMPLES / "meter.csv"),
        ),
        *("--price", str(price), "--margin", str(EXAMPLES / "margin.csv"), "--area", "tohoku"),
        *("--spot", str(EXAMPLES / "spot.csv"), "--keep", "bg-aizu", "--json"),
        at=at,
    )
    assert status == 0, err
    return err


def test_final_prices_make_a_new_version_and_the_preliminary_one_stays(db: Path, tmp_path: Path) -> None:
    text = (EXAMPLES / "imbalance-price.csv").read_text(encoding="utf-8")
    final = tmp_path / "final.csv"
    final.write_text(
        text + "".join(f"2026-11-25T{20 + k // 2}:{k % 2 * 30:02d}:00+09:00,20.00,final\n" for k in range(8)),
        encoding="utf-8",
    )
    imbalance(EXAMPLES / "imbalance-price.csv", at=NOON)
    assert "Nothing new" in imbalance(EXAMPLES / "imbalance-price.csv", at=NOON + timedelta(days=1))
    err = imbalance(final, at=LATER)
    assert "/v2" in err
    key = "imbalance/bg-aizu/tohoku-2026-11-25-2026-11-25"
    first, second = (trace(f"{key}/v{k}")["made_from"]["settlement"] for k in (1, 2))
    assert first["notes"] == ["8 slots have a preliminary price"]
    assert second["notes"] == []
    assert first["figures"]["total_yen"] != second["figures"]["total_yen"]
    assert "/ (1 - 0.05)) x 20.00" in second["trace"]["slots.47"]["how"]


BAD_METERS = [
    ("2026-11-10T09:30:00+09:00,", "# ", "gap"),
    ("2026-11-10T09:30:00+09:00,", "2026-11-10T09:30:00+09:00,-", "below 0"),
    ("2026-11-10T09:30:00+09:00,", "2026-11-10T09:00:00+09:00,", "half hour twice"),
    ("2026-11-10T09:30:00+09:00,", "2026-11-10T09:41:00+09:00,", "clock was changed"),
]


@pytest.mark.parametrize(("old", "new", "why"), BAD_METERS)
def test_a_meter_that_cannot_be_settled_is_refused_by_name_and_the_refusal_is_in_the_audit(
    db: Path, tmp_path: Path, old: str, new: str, why: str
) -> None:
    if new == "# ":
        lines = (EXAMPLES / "meter.csv").read_text(encoding="utf-8").splitlines(keepends=True)
        meter = tmp_path / "meter.csv"
        meter.write_text("".join(line for line in lines if not line.startswith(old)), encoding="utf-8")
    else:
        meter = changed(tmp_path, "meter.csv", old, new)
    status, err = bill(meter)
    assert (status, why in err) == (3, True), err
    (act,) = trace("bill/factory/2026-11")["acts"]
    assert act["act"] == "bill.refused"
    assert act["facts"]["meter"].startswith("meter.csv ")
    assert not list(trace("bill/factory/2026-11")["made_from"])
    assert bill(at=LATER)[0] == 0
    assert acts("bill/factory/2026-11") == ["bill.refused", "bill.settled"]


def test_24_00_is_midnight_and_makes_the_same_figures(db: Path, tmp_path: Path) -> None:
    bill()
    written = changed(tmp_path, "meter.csv", "2026-12-01T00:00:00+09:00,", "2026-11-30T24:00:00+09:00,")
    assert bill(written, at=LATER)[0] == 0
    first, second = (trace(f"bill/factory/2026-11/v{k}")["made_from"]["settlement"] for k in (1, 2))
    assert first["figures"] == second["figures"]
    assert [why.split(":")[0] for why in second["because"]] == ["evidence meter"]


def test_a_resubmitted_old_plan_version_is_refused_and_stands_in_the_audit(db: Path, tmp_path: Path) -> None:
    words = (
        *("market", "plan", "draft", "--day", "2026-11-25", "--group", "bg-aizu", "--area", "tohoku"),
        *("--forecast", f"office={EXAMPLES / 'forecast-office.csv'}", "--json", "--by", "ito"),
    )
    key = json.loads(vpp(*words)[1])["key"]
    vpp("market", "plan", "check", key, at=NOON + timedelta(minutes=1))
    vpp("market", "plan", "approve", key, "--by", "sato", at=NOON + timedelta(minutes=2))
    newer = (*words, "--trades", str(EXAMPLES / "trades.csv"))
    assert json.loads(vpp(*newer, at=NOON + timedelta(minutes=3))[1])["key"].endswith("/v2")
    status, _, err = vpp("market", "plan", "export", key, "-o", str(tmp_path), at=NOON + timedelta(minutes=4))
    assert (status, "is an old version" in err) == (4, True)
    assert acts(key)[-1] == "plan.refused"
    assert not list(tmp_path.glob("draft-*"))


def test_a_rule_table_that_overlaps_is_refused_with_both_rows(tmp_path: Path) -> None:
    text = (ROOT / "energy" / "rules" / "renewable_levy.yaml").read_text(encoding="utf-8")
    path = tmp_path / "renewable_levy.yaml"
    path.write_text(text.replace("valid_from: 2026-05-01", "valid_from: 2026-04-30"), encoding="utf-8")
    status, _, err = vpp("rules", "check", str(path))
    assert status == 2
    assert "rows of area all overlap: 2025-05-01..2026-04-30 and 2026-04-30..2027-04-30" in err


def ppa(*more: str, at: datetime = NOON) -> tuple[int, str, str]:
    return vpp(
        *("market", "ppa", "settle", "--supply", str(EXAMPLES / "ppa-city-hall.yaml"), "--month", "2026-11"),
        *("--meter", str(EXAMPLES / "meter.csv"), "--co2", str(EXAMPLES / "co2-factors.yaml")),
        *("--generation", f"roof={EXAMPLES / 'generation-roof.csv'}"),
        *("--generation", f"valley={EXAMPLES / 'generation-valley.csv'}", *more),
        at=at,
    )


def test_a_month_of_the_city_hall_is_invoiced_matched_counted_and_claimed(db: Path, tmp_path: Path) -> None:
    status, out, err = ppa("--keep", "--json", "--pdf", str(tmp_path))
    assert status == 0, err
    told = json.loads(out[out.index("{\n") :])
    roof, valley = told["contracts"]
    assert roof["delivered_kwh"] == pytest.approx(3950.47)
    assert (roof["total_yen"], valley["total_yen"]) == (67_355, 180_165)
    load = told["renewable"]["load_kwh"]
    assert load == pytest.approx(roof["delivered_kwh"] + valley["delivered_kwh"] + told["residual_kwh"])
    assert told["renewable"]["matched"] < told["renewable"]["annual"] < 1
    assert told["co2_kg"] == pytest.approx(told["residual_kwh"] * 0.457)
    assert len(list(tmp_path.glob("invoice-*.pdf"))) == 2
    assert "Nothing new" in ppa("--keep", at=LATER)[2]
    status, out, _ = vpp("market", "ppa", "claims", "--json")
    assert [(one["plant"], one["claimant"]) for one in json.loads(out)] == [
        ("roof", "city-hall"),
        ("valley", "city-hall"),
    ]


def test_who_claims_after_the_city_hall_is_refused_and_the_month_is_not_kept_for_a_second_claimant(
    db: Path, tmp_path: Path
) -> None:
    assert ppa("--keep")[0] == 0
    generation = str(EXAMPLES / "generation-roof.csv")
    words = (
        "market",
        "ppa",
        "claim",
        "roof",
        "--for",
        "trader",
        "--energy",
        generation,
        "--generation",
        generation,
    )
    status, _, err = vpp(*words, "--purpose", "j_credit")
    assert (status, "claimed twice" in err, "city-hall (own_use)" in err) == (3, True, True)
    status, _, err = vpp(*words, "--purpose", "own_use", "--fit")
    assert (status, "under FIT" in err) == (3, True)
