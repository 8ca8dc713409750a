"""A short month through plan, control and settlement: what the plans promised against what the meter says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.arch.rules import ROOT
from tests.e2e.test_simulation import simulate, vpp

pytestmark = pytest.mark.e2e
EXAMPLES = ROOT / "examples"


def test_a_simulated_day_is_settled_and_every_yen_of_the_difference_has_a_line(tmp_path: Path) -> None:
    document = simulate(tmp_path, "city-hall", "--start", "2026-08-01", "--days", "1", "--compare", "optimal")
    words = (
        *("settle", "month", "city-hall", "2026-08", "--until", "2026-08-01", "--state", "state", "--json"),
        *("--price", str(EXAMPLES / "imbalance-price-2026-08.csv")),
        *("--margin", str(EXAMPLES / "margin-2026-08.csv"), "--keep", "--pdf", "out"),
    )
    done = vpp(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    (run,) = document["runs"]  # type: ignore[misc]
    assert told["bill_yen"] == run["bill_yen"]
    assert told["days_promised"] == 1
    assert sum(line["yen"] for line in told["lines"]) == told["settled_yen"] - told["promised_yen"]
    lines = {line["name"]: line["yen"] for line in told["lines"]}
    assert told["bill_yen"] - told["promised_yen"] == sum(lines.values()) - lines["imbalance"]
    assert abs(lines["rest"]) <= 1
    assert list((tmp_path / "out").glob("month-city-hall-2026-08-*.pdf"))
    again = vpp(*words, cwd=tmp_path)
    assert "month/city-hall/2026-08/v1" in again.stderr
    assert json.loads(again.stdout) == told
