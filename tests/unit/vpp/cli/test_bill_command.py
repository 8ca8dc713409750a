"""``vpp bill``: the bill as JSON and as lines; each fault of a file is named by line and column."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp

EXAMPLES = ROOT / "examples"
CONTRACT = EXAMPLES / "tariff-high-voltage.yaml"
KEYS = [
    *("contract_kw", "max_demand_kw", "kwh", "power_factor", "basic_yen", "energy_yen", "adjustment_yen"),
    *("levy_yen", "total_yen", "rules"),
]


def meter_file(folder: Path, kwh: float = 21.0, *, slots: int = 1440, peak: float | None = 65.0) -> Path:
    """November 2026 by its end stamps, the last one written 24:00."""
    path = folder / "meter.csv"
    start = datetime.fromisoformat("2026-11-01T00:00")
    lines = ["timestamp,kwh"]
    for k in range(slots):
        day = (start + timedelta(minutes=30 * k)).date()
        end = start + timedelta(minutes=30 * (k + 1))
        stamp = f"{day}T24:00+09:00" if end.date() != day else f"{end.isoformat(timespec='minutes')}+09:00"
        lines.append(f"{stamp},{peak if peak is not None and k == 700 else kwh}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def bill(meter: Path, month: str = "2026-11", *more: str) -> tuple[int, str, str]:
    return vpp("bill", "--meter", str(meter), "--tariff", str(CONTRACT), "--month", month, *more)


def test_the_bill_of_a_month_has_the_keys_that_were_promised_and_names_its_rules(tmp_path: Path) -> None:
    status, out, err = bill(meter_file(tmp_path), "2026-11", "--json")
    assert status == 0
    told = json.loads(out)
    assert list(told) == KEYS
    assert (told["contract_kw"], told["max_demand_kw"], told["power_factor"]) == (130, 130, 95)
    assert (told["kwh"], told["basic_yen"]) == (30_284, 234_000)
    assert told["levy_yen"] == int(30_284 * 4.18)
    assert told["total_yen"] == int(234_000 + 30_284 * (18 - 1.23)) + told["levy_yen"]
    levy = next(rule for rule in told["rules"] if rule["rule"] == "renewable_levy")
    assert (levy["value"], levy["status"]) == ("4.18", "verified")
    assert "UNVERIFIED number: tariff.basic_yen_per_kw_month = 2000" in err


@pytest.mark.parametrize("lang", ["ja", "en"])
@pytest.mark.parametrize("menu", ["high-voltage", "low-voltage", "market-linked"])
def test_the_shipped_examples_make_bills_in_both_languages(menu: str, lang: str) -> None:
    words = ["bill", "--meter", f"{EXAMPLES}/meter.csv", "--tariff", f"{EXAMPLES}/tariff-{menu}.yaml"]
    words += ["--month", "2026-11", "--price", f"{EXAMPLES}/spot.csv"]
    status, out, _ = vpp(*words, lang=lang)
    assert status == 0
    assert out.startswith("2026-11")
    assert len(out.splitlines()) == 10


def test_a_gap_is_named_and_nothing_is_billed(tmp_path: Path) -> None:
    path = meter_file(tmp_path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(lines[:100] + lines[102:]), encoding="utf-8")
    status, out, err = bill(path)
    assert (status, out) == (3, "")
    assert "1 gap(s)" in err
    assert "2026-11-02T16:30" in err  # 03 November 01:30 in Japan


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("2026-11-01T01:00+09:00,21.0", "2026-11-01T01:00+09:00,-21.0", "line 3, kwh: '-21.0': below 0"),
        ("2026-11-01T01:00+09:00", "2026-11-01T00:30+09:00", "lines 2 and 3"),
        ("2026-11-01T01:00+09:00", "2026-11-01T01:07+09:00", "clock was changed"),
        ("2026-11-01T01:00+09:00", "1 November", "not a time"),
        ("2026-11-01T01:00+09:00,21.0", "2026-11-01T01:00+09:00,n/a", "not a number"),
        ("2026-11-01T01:00+09:00,21.0", "2026-11-01T01:00+09:00", "1 cells under 2 columns"),
        ("timestamp,kwh", "time,kwh", "no column 'timestamp'"),
    ],
)
def test_a_bad_row_is_refused_by_file_line_and_column(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    path = meter_file(tmp_path)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    status, out, err = bill(path)
    assert (status, out) == (3, "")
    assert "meter.csv" in err
    assert complaint in err


def test_a_month_that_the_meter_the_contract_or_nobody_knows_is_refused(tmp_path: Path) -> None:
    path = meter_file(tmp_path)
    assert bill(path, "2026-12")[0] == 3
    assert "no prices for 2027-04-01" in bill(path, "2027-04")[2]
    assert "'November' is not a month" in bill(path, "November")[2]
    assert bill(tmp_path / "none.csv")[0] == 3


def test_an_empty_file_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "meter.csv").write_text("timestamp,kwh\n", encoding="utf-8")
    status, _, err = bill(tmp_path / "meter.csv")
    assert status == 3
    assert "has no rows" in err


def test_earlier_months_of_the_meter_count_for_the_contract_power(tmp_path: Path) -> None:
    path = meter_file(tmp_path, peak=40.0)
    more = "".join(f"2026-10-05T{hour:02d}:00+09:00,{80.0 if hour == 9 else 20.0}\n" for hour in range(8, 12))
    path.write_text(path.read_text(encoding="utf-8") + more, encoding="utf-8")
    status, out, err = bill(path, "2026-11", "--json")
    assert status == 0
    assert json.loads(out)["contract_kw"] == 160
    assert "2026-10: the meter file lacks 1484 half hours" in err
