"""Dated rule tables: strict, without overlap, looked up by the day of delivery."""

from __future__ import annotations

from datetime import date, time
from decimal import Decimal

import pytest

from energy.core.errors import ConfigError, ExitStatus
from energy.core.slots import parse_jst
from energy.core.units import floor_int
from energy.market.rule_table import Area, parse_rule_table, rule_files
from energy.market.rules import (
    RULES,
    Levy,
    bill_rules,
    facts_on,
    levy_yen_per_kwh,
    minimum_group,
    plan_deadlines,
    rule_table,
    spot_published_at,
    subsidy_yen_per_kwh,
)

TABLE = """
rule_id: test_levy
title_ja: 試験
title_en: Test
units: { levy_yen_per_kwh: yen/kWh }
rows:
  - valid_from: 2026-01-01
    valid_to: 2026-03-31
    source: a
    status: verified
    values: { levy_yen_per_kwh: "1.00" }
  - valid_from: 2026-04-01
    valid_to: null
    source: b
    status: verified
    values: { levy_yen_per_kwh: "2.00" }
  - valid_from: 2026-02-01
    valid_to: 2026-02-28
    area: tohoku
    source: c
    status: unverified
    values: { levy_yen_per_kwh: "3.00" }
"""


def test_levy_changes_with_the_may_reading() -> None:
    assert levy_yen_per_kwh(date(2025, 4, 30)) == Decimal("3.49")
    assert levy_yen_per_kwh(date(2025, 5, 1)) == Decimal("3.98")
    assert levy_yen_per_kwh(date(2026, 4, 30)) == Decimal("3.98")
    assert levy_yen_per_kwh(date(2026, 5, 1)) == Decimal("4.18")


def test_april_2027_reading_still_has_the_levy_of_fiscal_2026() -> None:
    assert levy_yen_per_kwh(date(2027, 4, 30)) == Decimal("4.18")
    assert floor_int(31_200 * levy_yen_per_kwh(date(2027, 4, 1))) == 130_416


def test_a_levy_nobody_has_announced_is_an_error_that_names_the_table() -> None:
    with pytest.raises(ConfigError) as caught:
        levy_yen_per_kwh(date(2027, 5, 1))
    assert "2027-05-01" in caught.value.what
    assert "renewable_levy.yaml" in caught.value.hint
    assert caught.value.exit_status is ExitStatus.USAGE


def test_support_of_summer_2026_is_taken_off_by_month_and_ends() -> None:
    days = [date(2026, 6, 30), date(2026, 7, 1), date(2026, 8, 31), date(2026, 9, 30), date(2026, 10, 1)]
    assert [subsidy_yen_per_kwh(day) for day in days] == [
        Decimal(0),
        Decimal("1.8"),
        Decimal("2.3"),
        Decimal("1.8"),
        Decimal(0),
    ]


def test_bill_rules_and_deadlines_are_those_of_the_rule_book() -> None:
    rules = bill_rules(date(2026, 11, 22))
    assert (rules.memory_months, rules.measured_contract_below_kw) == (12, 500)
    deadlines = plan_deadlines(date(2026, 11, 22))
    assert (deadlines.next_day_closes, deadlines.same_day_opens) == (time(12), time(17))


def test_every_shipped_table_is_read_and_names_its_sources() -> None:
    files = rule_files()
    assert set(RULES) == set(files)
    for rule_id in files:
        table = rule_table(rule_id)
        assert table.rule_id == rule_id
        assert all("RULES-JP" in row.source for row in table.rows)


def test_a_number_is_shown_with_unit_source_and_whether_it_was_seen() -> None:
    (levy,) = facts_on("renewable_levy", date(2026, 11, 22))
    assert (levy.rule, levy.value, levy.unit, levy.status) == (
        "renewable_levy",
        "4.18",
        "yen/kWh",
        "verified",
    )
    c, d = facts_on("imbalance_scarcity_price", date(2026, 9, 30))
    assert (c.rule, c.value, d.value) == ("imbalance_scarcity_price.c_yen_per_kwh", "200", "45")
    assert facts_on("imbalance_scarcity_price.c_yen_per_kwh", date(2026, 10, 1))[0].value == "300"
    assert facts_on("loss_rates", date(2026, 10, 1), Area.TOHOKU)[0].status == "unverified"


@pytest.mark.parametrize("rule", ["levy", "renewable_levy.price"])
def test_a_rule_that_does_not_exist_is_refused_by_name(rule: str) -> None:
    with pytest.raises(ConfigError, match=r"^no (rule|number)"):
        facts_on(rule, date(2026, 11, 22))


def test_a_row_of_one_area_beats_the_row_of_all_areas() -> None:
    table = parse_rule_table(TABLE, Levy, name="test")
    assert table.on(date(2026, 2, 10), Area.TOHOKU).values.levy_yen_per_kwh == 3
    assert table.on(date(2026, 2, 10), Area.TOKYO).values.levy_yen_per_kwh == 1
    assert table.on(date(2026, 3, 31), Area.TOHOKU).values.levy_yen_per_kwh == 1
    assert table.on(date(2099, 1, 1)).values.levy_yen_per_kwh == 2


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("valid_from: 2026-04-01", "valid_from: 2026-03-31", "overlap"),
        ("valid_from: 2026-04-01", "valid_from: 2026-04-02", "leave a gap"),
        ("units: { levy_yen_per_kwh: yen/kWh }", "units: { levy: yen/kWh }", "units must name exactly"),
        ("valid_to: 2026-03-31", "valid_to: 2025-12-31", "is after"),
        ("source: a", "source: ''", "source"),
        ("source: a", "source: a\n    remark: b", "remark"),
        ("status: verified", "status: quoted", "status"),
        ("area: tohoku", "area: aizu", "area"),
        ('levy_yen_per_kwh: "1.00"', 'levy: "1.00"', "levy"),
        ('levy_yen_per_kwh: "1.00"', 'levy_yen_per_kwh: "-1"', "greater than or equal"),
        ('levy_yen_per_kwh: "1.00"', 'levy_yen_per_kwh: ".nan"', "levy"),
        ("rule_id: test_levy", "rule_id: [", "YAML"),
        ("rows:", "rows: []\nother:", "rows"),
    ],
)
def test_a_faulty_table_is_refused_by_name(old: str, new: str, complaint: str) -> None:
    assert old in TABLE
    with pytest.raises(ConfigError) as caught:
        parse_rule_table(TABLE.replace(old, new, 1), Levy, name="mine.yaml")
    assert "mine.yaml" in caught.value.what
    assert complaint in str(caught.value)


def test_spot_prices_are_known_after_bidding_closed_on_the_day_before() -> None:
    published = spot_published_at(date(2026, 11, 22))
    assert parse_jst("2026-11-21 10:00") < published < parse_jst("2026-11-21 12:00")


def test_a_sum_is_shown_from_ten_sites_on_and_if_none_has_more_than_half() -> None:
    rule = minimum_group(date(2026, 8, 5))
    assert (rule.min_sites, rule.max_site_share) == (10, Decimal("0.5"))
