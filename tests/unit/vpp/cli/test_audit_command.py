"""``vpp audit trace``: a settled event leads back to its readings, days and rules; a batch to its entries."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest

from energy.ledger import Journal, grant_key, post_grant
from energy.store import open_store
from tests.arch.rules import ROOT
from tests.unit.energy.ledger.test_batch import NOW, grant
from tests.unit.vpp.cli.calling import vpp
from tests.unit.vpp.cli.test_dr_event_commands import AFTER, announced, settle

METER = Path(ROOT) / "examples" / "meter.csv"


@pytest.fixture
def db(tmp_path: Path) -> list[str]:
    return ["--db", str(tmp_path / "all.db")]


def traced(db: list[str], name: str) -> dict[str, dict[str, object]]:
    status, out, err = vpp("audit", "trace", name, *db, "--json")
    assert status == 0, err
    return dict(json.loads(out))


def test_a_settlement_leads_to_its_readings_days_and_rules(db: list[str]) -> None:
    announced(db, f"{ROOT}/examples/resources.csv")
    assert settle(db, "--meter", f"factory={METER}", at=AFTER)[0] == 0
    told = traced(db, "e-1")
    acts = [act["act"] for act in told["acts"]]  # type: ignore[index]
    assert acts == ["dr.announced", "dr.dispatched", "dr.ended", "dr.measured", "dr.settled"]
    settlement = told["made_from"]["dr-settlement"]
    (site,) = settlement["sites"]  # type: ignore[index]
    assert site["meter_sha256"] == sha256(METER.read_bytes()).hexdigest()
    assert len(site["days_used"]) == 4
    rules = {rule["rule"]: rule["status"] for rule in settlement["rules"]}  # type: ignore[index]
    assert rules["dr_baseline_days.lookback_days"] == "verified"
    assert rules["dr_baseline_adjustment.window_from_h"] == "unverified"


def test_a_batch_leads_to_its_entries_and_an_entry_to_its_rule(db: list[str], tmp_path: Path) -> None:
    with open_store(f"sqlite:///{db[1]}") as store:
        post_grant(Journal(store), grant("a", 40), NOW)
    vpp("ledger", "batch", "-o", str(tmp_path), *db)
    batch = traced(db, "b-000001")["made_from"]["coin-batch"]
    assert batch["lines"][0]["entry"] == 1  # type: ignore[index]
    entry = traced(db, grant_key(grant("a", 40)))["made_from"]["journal-entry"]
    assert (entry["facts"]["rule"], entry["facts"]["net_kwh"]) == ("tight", "2")  # type: ignore[index]


@pytest.mark.parametrize("lang", ["ja", "en"])
def test_it_is_readable_and_what_is_not_on_record_is_named(db: list[str], lang: str) -> None:
    announced(db, f"{ROOT}/examples/resources.csv")
    status, out, _ = vpp("audit", "trace", "e-1", *db, lang=lang)
    assert status == 0
    assert "dr.announced" in out
    status, _, err = vpp("audit", "trace", "e-9", *db)
    assert status == 3
    assert "nothing is on record about 'e-9'" in err
