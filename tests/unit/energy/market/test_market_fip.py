"""The premium of a plant under FIP: worked by hand, floor price, and input that is not enough."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from energy.core.errors import ConfigError, DataError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import jst_midnight
from energy.market.fip import FipTerms, fip_premium
from tests.arch.rules import ROOT
from tests.unit.vpp.cli.calling import vpp
from vpp.config import read_yaml

TERMS = read_yaml(ROOT / "examples/fip-valley.yaml", FipTerms)
GRID = Grid.between(jst_midnight(date(2026, 11, 1)), jst_midnight(date(2026, 12, 1)))
SPOT = dict.fromkeys(GRID.slots(), Decimal("9.50"))
ONE = Series(GRID, np.ones(GRID.count), Unit.KWH)
EXAMPLES = ROOT / "examples"
FILES = ("--generation", str(EXAMPLES / "generation-valley.csv"), "--spot", str(EXAMPLES / "spot.csv"))
TOLD = ("market", "fip", "--terms", str(EXAMPLES / "fip-valley.yaml"), *FILES)
WORDS = (*TOLD, "--month", "2026-11")


def test_a_month_worked_by_hand() -> None:
    # reference 12.10 + (10.60 - 11.40) + 0.60 - 0.85 = 11.05; premium (14.00 - 11.05) x 1.02 = 3.009
    # 1,440 half hours of 1 kWh, ten of them at 0.01 yen: 1,430 x 3.009 = 4,302.87 yen
    at_floor = dict.fromkeys(list(SPOT)[20:30], Decimal("0.01"))
    made = fip_premium(TERMS, "2026-11", ONE, SPOT | at_floor)
    assert (made.reference_yen_per_kwh, made.premium_yen_per_kwh) == (Decimal("11.05"), Decimal("3.0090"))
    assert (made.kwh, made.floor_kwh, made.floor_slots) == (Decimal(1440), Decimal(10), 10)
    assert made.yen == 4302
    assert {fact.rule for fact in made.rules} >= {"fip_floor", "fip.valley.base", "fip.valley.factor"}
    assert all(fact.status == "unverified" for fact in made.rules)


def test_a_reference_above_the_base_pays_nothing_and_costs_nothing() -> None:
    made = fip_premium(replace(TERMS, base_yen_per_kwh=Decimal(11)), "2026-11", ONE, SPOT)
    assert (made.premium_yen_per_kwh, made.yen) == (Decimal(0), 0)


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match="nothing is written for 2026-12"):
        fip_premium(TERMS, "2026-12", ONE, SPOT)
    with pytest.raises(DataError, match="price of a half hour is missing"):
        fip_premium(TERMS, "2026-11", ONE, dict(list(SPOT.items())[1:]))
    with pytest.raises(DataError, match="less than nothing"):
        fip_premium(TERMS, "2026-11", Series(GRID, -ONE.values, Unit.KWH), SPOT)
    with pytest.raises(DataError):
        fip_premium(TERMS, "2026-11", ONE.between(GRID.start, GRID.time(48)), SPOT)


@pytest.mark.parametrize(("lang", "said"), [("en", "base 14.00, reference 11.05"), ("ja", "参照価格 11.05")])
def test_the_command_says_how_the_premium_came_about(lang: str, said: str) -> None:
    status, out, err = vpp(*WORDS, lang=lang)
    assert status == 0, err
    assert said in out
    assert "fip.valley.month" in err  # an unverified number is named


def test_a_kept_premium_is_traced_and_the_same_again_is_that_version(tmp_path: Path) -> None:
    db = ("--db", str(tmp_path / "x.db"))
    told = json.loads(vpp(*WORDS, "--keep", "--json", *db)[1])
    assert "Nothing new" in vpp(*WORDS, "--keep", *db)[2]
    kept = json.loads(vpp("audit", "trace", "fip/valley/2026-11", *db, "--json")[1])["made_from"][
        "settlement"
    ]
    assert kept["figures"]["premium_yen"] == told["premium_yen"]
    assert set(kept["figures"]) - {"plant", "month", "floor_slots"} == set(kept["trace"])
    assert {one["role"] for one in kept["evidence"]} == {"terms", "generation", "spot"}
    status, _, err = vpp(*TOLD, "--month", "2026-12", *db)
    assert (status, "nothing is written for 2026-12" in err) == (2, True)
