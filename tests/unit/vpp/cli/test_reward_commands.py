"""``vpp dr reward``: what a room's readings prove stands beside its points."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from energy.store import open_store
from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp
from tests.unit.vpp.settlement.test_rewards import AFTER, agree, read_room, settled
from vpp.consents import COMFORT_REWARDS, DR_PARTICIPATION

RULES = str(ROOT / "examples/reward-rules.yaml")


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str, str]:
    """Events in one database, rooms in another, and a claim of three half hours."""
    events, rooms = (str(tmp_path / f"{name}.db") for name in ("events", "rooms"))
    with open_store(f"sqlite:///{events}") as store:
        agree(store, "home-7", DR_PARTICIPATION)
        agree(store, "taro", COMFORT_REWARDS)
        settled(store)
    with open_store(f"sqlite:///{rooms}") as store:
        read_room(store, [18.9, 20.0, None])
    claims = tmp_path / "claims.csv"
    claims.write_text(
        "person,way,asset,from,to\ntaro,comfort,works/desk-3,2026-11-25T16:00,2026-11-25T17:30\n",
        encoding="utf-8",
    )
    return events, rooms, str(claims)


def test_a_claim_is_paid_as_far_as_the_rooms_database_proves_it(files: tuple[str, str, str]) -> None:
    events, rooms, claims = files
    told = ("dr", "reward", "e-1", "--rules", RULES, "--claims", claims, "--db", events)
    status, out, _ = vpp(*told, "--readings", rooms, lang="en", at=AFTER)
    assert status == 0
    assert "taro                    comfort   works/desk-3               2" in out
    assert "readings of works/desk-3/room_c: 1 half hours let go, 1 not, 1 without a reading" in out
    _, again, _ = vpp(*told, "--readings", rooms, "--json", at=AFTER)
    document = json.loads(again)
    assert document["new"] == 0
    assert document["results"][0]["proof"] == {
        "series": "works/desk-3/room_c", "let_go": 1, "held": 1, "unread": 1,
    }  # fmt: skip
    _, trail, _ = vpp("audit", "trace", "e-1", "--db", events, lang="en", at=AFTER)
    assert '"held": 1' in trail


def test_a_claim_without_readings_is_refused_in_both_languages(files: tuple[str, str, str]) -> None:
    events, _, claims = files
    told = ("dr", "reward", "e-1", "--rules", RULES, "--claims", claims, "--db", events)
    for lang, said in (("en", "3 without a reading"), ("ja", "測定値なし 3 コマ")):
        status, out, _ = vpp(*told, lang=lang, at=AFTER)
        assert status == 0
        assert "not_proved" in out
        assert said in out
