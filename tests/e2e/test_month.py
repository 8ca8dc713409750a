"""A short month through plan, control and settlement: what the plans promised against what the meter says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.arch.rules import ROOT
from tests.e2e.days import Day
from tests.unit.vpp.cli.calling import vpp

pytestmark = pytest.mark.e2e
EXAMPLES = ROOT / "examples"


def in_july(folder: Path, name: str) -> Path:
    """An example of prices in August as if July had them."""
    text = (EXAMPLES / f"{name}-2026-08.csv").read_text(encoding="utf-8")
    target = folder / f"{name}-2026-07.csv"
    target.write_text(text.replace("2026-08-", "2026-07-"), encoding="utf-8")
    return target


def test_a_simulated_day_is_settled_and_every_yen_of_the_difference_has_a_line(
    city_day: Day, tmp_path: Path
) -> None:
    shutil.copytree(city_day[0] / "state", tmp_path / "state")
    run = next(one for one in city_day[1]["runs"] if one["controller"] == "optimal")  # type: ignore[attr-defined] # plain JSON
    words = (
        *("settle", "month", "city-hall", "2026-07", "--until", "2026-07-01", "--json", "--keep"),
        *("--price", str(in_july(tmp_path, "imbalance-price"))),
        *("--margin", str(in_july(tmp_path, "margin"))),
        *("--state", str(tmp_path / "state"), "--pdf", str(tmp_path / "out")),
    )
    status, out, err = vpp(*words)
    assert status == 0, err
    told = json.loads(out)
    assert told["bill_yen"] == run["bill_yen"]
    assert told["days_promised"] == 1
    assert sum(line["yen"] for line in told["lines"]) == told["settled_yen"] - told["promised_yen"]
    lines = {line["name"]: line["yen"] for line in told["lines"]}
    assert told["bill_yen"] - told["promised_yen"] == sum(lines.values()) - lines["imbalance"]
    assert abs(lines["rest"]) <= 1
    assert list((tmp_path / "out").glob("month-city-hall-2026-07-*.pdf"))
    _, again, err = vpp(*words)
    assert "month/city-hall/2026-07/v1" in err
    assert json.loads(again) == told
