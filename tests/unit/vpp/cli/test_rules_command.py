"""``vpp rules``: a number with its dates, unit, source and status; faulty tables are refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from energy.market.rule_table import rule_files
from tests.unit.vpp.cli.calling import vpp


def test_a_number_changes_with_the_day_of_delivery_and_not_with_today() -> None:
    values = []
    for day in ("2026-09-30", "2026-10-01"):
        status, out, _ = vpp("rules", "show", "imbalance_scarcity_price.c_yen_per_kwh", "--on", day, "--json")
        assert status == 0
        (row,) = json.loads(out)
        assert set(row) == {"rule", "area", "valid_from", "valid_to", "value", "unit", "source", "status"}
        values.append((row["value"], row["unit"], row["status"]))
    assert values == [("200", "yen/kWh", "verified"), ("300", "yen/kWh", "verified")]


def test_without_a_rule_all_are_shown_and_unverified_ones_are_marked() -> None:
    status, out, _ = vpp("rules", "show", "--on", "2026-11-22")
    assert status == 0
    lines = {line.partition(":")[0]: line for line in out.splitlines()}
    assert "[UNVERIFIED]" in lines["loss_rates.high"]
    assert "[verified]" in lines["renewable_levy"]
    assert {name.partition(".")[0] for name in lines} == set(rule_files())


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("renewable_levy", "--on", "2031-01-01"), "says nothing about 2031-01-01"),
        (("reneweable_levy", "--on", "2026-11-22"), "no rule 'reneweable_levy'"),
        (("renewable_levy", "--on", "tomorrow"), "'tomorrow' is no day"),
        (("renewable_levy", "--on", "2026-11-22", "--area", "aizu"), "no area 'aizu'"),
    ],
)
def test_what_cannot_be_shown_is_a_usage_error_that_says_why(words: tuple[str, ...], complaint: str) -> None:
    status, out, err = vpp("rules", "show", *words)
    assert (status, out) == (2, "")
    assert complaint in err
    assert len(err.splitlines()) == 3


def test_the_shipped_tables_hold() -> None:
    status, out, _ = vpp("rules", "check", "--json")
    assert status == 0
    assert {row["rule"] for row in json.loads(out)} == set(rule_files())


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("valid_to: 2025-04-30", "valid_to: 2025-05-01", "overlap"),
        ("valid_to: 2025-04-30", "valid_to: 2025-04-29", "leave a gap"),
        ("rule_id: renewable_levy", "rule_id: my_levy", "no known rule"),
        ("status: verified", "status: certain", "status"),
        ("rows:", "rows: [", "not YAML"),
    ],
)
def test_a_table_that_overlaps_or_leaves_a_gap_is_refused_by_name(
    tmp_path: Path, old: str, new: str, complaint: str
) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text(rule_files()["renewable_levy"].replace(old, new, 1), encoding="utf-8")
    status, _, err = vpp("rules", "check", str(mine))
    assert status == 2
    assert "mine.yaml" in err
    assert complaint in err


def test_a_table_that_is_not_there_is_a_data_error(tmp_path: Path) -> None:
    assert vpp("rules", "check", str(tmp_path / "none.yaml"))[0] == 3
