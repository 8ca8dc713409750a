"""Plans: whole kWh, the three classes of mismatch, and files that read back exactly (T10-T13)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.errors import DataError
from energy.market.plan_file import PLAN_FORMAT, csv_of_plan, plan_of_csv, plan_of_xml, xml_of_plan
from energy.market.plans import (
    BalancingPlan,
    MismatchClass,
    cross_check,
    draft_plan,
    integer_kwh,
    internal_checks,
    lots,
    read_plan,
    read_trade,
)

DAY = date(2026, 11, 25)


def plan(
    group: str = "bg-aizu",
    *,
    kind: str = "demand",
    members: dict[str, int] | None = None,
    trades: tuple[tuple[str, str, int], ...] = (),
    total: int | None = None,
) -> BalancingPlan:
    """A plan whose slots are all alike."""
    parts = members or {"office": 400, "works": 600}
    return read_plan(
        {
            "kind": kind,
            "day": DAY,
            "group": group,
            "area": "tohoku",
            "sender": "AB122",
            "recipient": "00000",
            "on_behalf_of": group,
            "members": [{"code": code, "kwh": [kwh] * 48} for code, kwh in parts.items()],
            "totals_kwh": [sum(parts.values()) if total is None else total] * 48,
            "trades": [{"party": party, "side": side, "kwh": [kwh] * 48} for party, side, kwh in trades],
        }
    )


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.decimals(0, 5000, places=4), min_size=1))
def test_rounding_never_breaks_a_total_nor_moves_a_part_by_a_whole_kwh(parts: dict[str, Decimal]) -> None:
    whole = integer_kwh(parts)
    assert sum(whole.values()) == int((sum(parts.values()) + Decimal("0.5")) // 1)
    assert all(abs(whole[code] - kwh) < 1 for code, kwh in parts.items())
    assert whole == integer_kwh(dict(reversed(parts.items())))


@pytest.mark.parametrize("wrong", ["-0.1", "NaN"])
def test_an_energy_that_cannot_be_planned_is_refused_by_member(wrong: str) -> None:
    with pytest.raises(DataError, match="0 or more"):
        integer_kwh({"a": Decimal(wrong)})


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999))
def test_a_draft_is_never_rejected_and_its_demand_is_the_forecast(seed: int) -> None:
    chance = random.Random(seed)
    parts = {code: [Decimal(chance.randrange(100_000)) / 1000 for _ in range(48)] for code in ("a", "b", "c")}
    bought = read_trade({"party": "spot", "side": "buy", "kwh": [50] * 48}, name="trade")
    made = draft_plan(plan(), parts, [bought])
    assert not [one for one in internal_checks(made) if one.kind is MismatchClass.INSIDE_FILE]
    for slot in range(48):
        exact = sum((kwh[slot] for kwh in parts.values()), Decimal(0))
        assert abs(made.totals_kwh[slot] - exact) <= Decimal("0.5")
        assert made.surplus_kwh(slot) == 50 - made.totals_kwh[slot]
    assert plan_of_xml(xml_of_plan(made, version=3)) == (made, 3)
    assert plan_of_csv(csv_of_plan(made)) == made


def test_a_generation_plan_balances_generation_and_purchases_with_sales() -> None:
    solar = plan(kind="generation", trades=(("bg-x", "sell", 1100), ("spot", "buy", 100)))
    assert internal_checks(solar) == []
    short = replace(solar, trades=solar.trades[:1])
    assert {(one.kind, one.kwh, one.buy_kwh) for one in internal_checks(short)} == {
        (MismatchClass.INSIDE_PLAN, -100, 100)
    }


def test_codes_that_the_master_data_do_not_know_and_a_day_that_is_over_are_class_a() -> None:
    bought = plan(trades=(("bg-x", "buy", 900), ("spot", "buy", 100)))
    assert internal_checks(bought, codes=["bg-aizu", "bg-x", "office", "works"]) == []
    found = internal_checks(bought, codes=["bg-aizu", "office"], may_be_sent=False)
    assert [(one.what, one.where) for one in found] == [
        ("window", "2026-11-25"),
        ("unknown_code", "works"),
        ("unknown_code", "bg-x"),
    ]


def test_a_party_without_a_plan_and_the_markets_are_not_compared() -> None:
    assert cross_check([plan(trades=(("bg-x", "sell", 5), ("spot", "buy", 7)))]) == []


def test_what_comes_twice_or_is_of_no_area_is_no_plan() -> None:
    with pytest.raises(DataError, match="no plan"):
        plan(trades=(("bg-x", "buy", 1), ("bg-x", "buy", 2)))
    with pytest.raises(DataError, match="no plan"):
        read_plan({"kind": "demand"})


def test_lots_cover_what_is_needed() -> None:
    assert [lots(kwh, DAY) for kwh in (0, 1, 50, 51)] == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("<PLAN-DRAFT", '<!DOCTYPE x [<!ENTITY a "b">]><PLAN-DRAFT', "document type"),
        ("</PLAN-DRAFT>", "", "not XML"),
        ("draft for OCCTO input", "official", "expected PLAN-DRAFT"),
        ("<JP06110>AB122</JP06110>", "", "missing, or not in its place"),
        ("<JP06110>AB122<", "<JP06110>AB12<", "is not like"),
        ('<X-SLOT no="7">', '<X-SLOT no="8">', "not 1 to 48"),
        (">400<", ">400.5<", "is not like"),
        ("<X-TOTAL>", "<X-SUM>", "not XML"),
        ("<X-DAY>20261125", "<X-DAY>20261131", "is no day"),
        ("<JP00002>0000", "<JP00002>9999", "no known kind"),
    ],
)
def test_a_file_that_breaks_the_schema_is_refused_by_element(old: str, new: str, complaint: str) -> None:
    text = xml_of_plan(plan(), version=1)
    assert old in text
    with pytest.raises(DataError) as caught:
        plan_of_xml(text.replace(old, new, 1))
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("day,slot,start", "day,koma,start", "expected day,slot"),
        ("2026-11-25,7,", "2026-11-25,8,", "does not begin"),
        ("2026-11-25,7,", "2026-11-26,7,", "another day"),
        ("members,office,400", "members,office,4e2", "no whole number"),
        (",sender,AB122,", ",sender,AB1,", "no plan"),
    ],
)
def test_a_table_that_breaks_the_form_is_refused_by_line(old: str, new: str, complaint: str) -> None:
    text = csv_of_plan(plan())
    assert old in text
    with pytest.raises(DataError) as caught:
        plan_of_csv(text.replace(old, new, 1))
    assert complaint in str(caught.value)


def test_the_file_says_that_it_is_a_draft_and_every_public_tag_has_a_source() -> None:
    assert PLAN_FORMAT.format == "draft for OCCTO input"
    assert 'format="draft for OCCTO input"' in xml_of_plan(plan(), version=1)
    assert all("RULES-JP" in field.source for field in PLAN_FORMAT.header if field.tag.startswith("JP"))
