"""One tariff object makes the optimiser's prices and the bill, and they agree to the yen."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from energy.core.errors import ConfigError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import jst_midnight
from energy.core.tariff import Tariff, TariffPeriod
from energy.core.units import floor_int
from energy.market.bill import period_bill
from energy.market.demand import PeakMemory
from energy.market.prices import slot_prices
from energy.market.tariff_file import TariffFile, month_tariff, range_tariff

MENUS: dict[str, dict[str, Any]] = {
    "by season": {},
    "by hours": {
        "bands": (
            {"starts": "22:00", "ends": "08:00", "yen_per_kwh": "12.34"},
            {"starts": "13:00", "ends": "16:00", "yen_per_kwh": "25.01", "days": "weekday"},
        )
    },
    "by the market": {"market": {"base_yen_per_kwh": "12.5", "factor": "0.9"}},
    "by steps": {
        "steps": (
            {"above_kwh": "120", "yen_per_kwh": "36.37"},
            {"above_kwh": "300", "yen_per_kwh": "40.32"},
        )
    },
    "with support": {"subsidy_yen_per_kwh": "1.8", "adjustment_yen_per_kwh": "0.77"},
}


def period(first: str, last: str, **menu: Any) -> TariffPeriod:
    facts: dict[str, Any] = {
        "valid_from": first,
        "valid_to": last,
        "basic_yen_per_kw_month": "2000",
        "summer_yen_per_kwh": "19.03",
        "other_yen_per_kwh": "18.01",
        "adjustment_yen_per_kwh": "-1.23",
        "levy_yen_per_kwh": "4.18",
    }
    return TypeAdapter(TariffPeriod).validate_python(facts | menu)


def tariff(menu: dict[str, Any]) -> Tariff:
    rows = (period("2026-05-01", "2026-06-30", **menu), period("2026-07-01", "2027-04-30", **menu))
    return Tariff(name_ja="例", name_en="example", power_factor_percent=97, periods=rows)


def month_of_use(first: date, days: int, seed: int = 1) -> Series:
    """A month whose slots take tenths of a kWh; steps lie on slot borders."""
    use = np.round(np.random.default_rng(seed).uniform(5, 80, days * 48), 1)
    use[:12] = 10.0
    use[12:30] = 10.0
    return Series(Grid(jst_midnight(first), days * 48), use, Unit.KWH)


def spot_of(grid: Grid) -> Series:
    prices = np.round(np.random.default_rng(7).uniform(0.01, 200, grid.count), 2)
    return Series(grid, prices, Unit.YEN_PER_KWH)


@pytest.mark.parametrize("menu", MENUS)
@pytest.mark.parametrize(
    ("first", "days"), [(date(2026, 6, 1), 30), (date(2026, 9, 1), 30), (date(2026, 10, 1), 31)]
)
def test_the_prices_of_the_plan_add_up_to_the_bill_to_the_yen(menu: str, first: date, days: int) -> None:
    contract, use = tariff(MENUS[menu]), month_of_use(first, days)
    spot = spot_of(use.grid)
    used = Series(use.grid, np.concatenate(([0.0], np.cumsum(use.values)[:-1])), Unit.KWH)
    bill = period_bill(contract, use, PeakMemory({}), spot=spot)
    prices = slot_prices(contract, use.grid, spot=spot, used_kwh=used)
    planned = sum(
        Decimal(repr(round(kwh, 6))) * Decimal(repr(round(price, 9)))
        for kwh, price in zip(use.values.tolist(), prices.values.tolist(), strict=True)
    )
    levy = sum((Decimal(repr(round(kwh, 6))) for kwh in use.values.tolist()), Decimal(0)) * Decimal("4.18")
    assert floor_int(bill.basic_yen + planned - levy) + floor_int(levy) == bill.total_yen


def test_a_market_price_or_the_months_energy_that_is_needed_and_missing_is_named() -> None:
    grid = Grid(jst_midnight(date(2026, 11, 1)), 48)
    with pytest.raises(ConfigError, match="follow the market"):
        slot_prices(tariff(MENUS["by the market"]), grid)
    with pytest.raises(ConfigError, match="depends on the month's energy"):
        slot_prices(tariff(MENUS["by steps"]), grid)
    with pytest.raises(ConfigError, match="cannot be billed from 2026-11-02"):
        period_bill(tariff(MENUS["by steps"]), month_of_use(date(2026, 11, 2), 2), PeakMemory({}))


@settings(max_examples=25, deadline=None)
@given(
    split=st.integers(1, 29),
    menu=st.sampled_from(["by season", "by hours", "by the market", "with support"]),
    seed=st.integers(0, 1000),
)
def test_a_month_billed_in_two_parts_costs_what_it_costs_at_once(split: int, menu: str, seed: int) -> None:
    contract, use = tariff(MENUS[menu]), month_of_use(date(2026, 11, 1), 30, seed)
    spot = spot_of(use.grid)
    cut = use.grid.start + timedelta(days=split)
    memory = PeakMemory({"2026-11": Decimal(200)})
    parts = [
        period_bill(contract, use.between(*ends), memory, spot=spot)
        for ends in ((use.grid.start, cut), (cut, use.grid.end))
    ]
    whole = period_bill(contract, use, memory, spot=spot)
    for name in ("kwh", "basic_yen", "energy_yen", "adjustment_yen"):
        assert abs(sum(getattr(part, name) for part in parts) - getattr(whole, name)) < Decimal("1e-18")
    assert 0 <= whole.total_yen - sum(part.total_yen for part in parts) <= 3  # each part rounds down twice


def test_demand_above_an_agreed_contract_costs_half_as_much_again() -> None:
    agreed = Tariff(
        name_ja="例",
        name_en="example",
        power_factor_percent=85,
        contract_kw=600,
        periods=(period("2026-05-01", "2027-04-30"),),
    )
    use = np.full(30 * 48, 100.0)
    use[100] = 310.0
    bill = period_bill(
        agreed, Series(Grid(jst_midnight(date(2026, 11, 1)), 1440), use, Unit.KWH), PeakMemory({})
    )
    assert (bill.contract_kw, bill.max_demand_kw) == (600, 620)
    assert bill.basic_yen == 600 * 2000 + 20 * 2000 * Decimal("1.5")
    assert "20 kW above" in bill.facts[1]
    assert [(fact.rule, fact.status) for fact in bill.rules] == [
        ("bill_practice.excess_factor", "unverified")
    ]


def contract_file(**changes: Any) -> TariffFile:
    told: dict[str, Any] = {
        "name_ja": "例",
        "name_en": "example",
        "periods": [
            {
                "valid_from": "2026-01-01",
                "valid_to": "2026-12-31",
                "basic_yen_per_kw_month": 2000,
                "summer_yen_per_kwh": 19,
                "other_yen_per_kwh": 18,
            }
        ],
    }
    return TypeAdapter(TariffFile).validate_python(told | changes)


def test_a_contract_that_says_no_levy_has_that_of_each_day() -> None:
    year = range_tariff(contract_file(), date(2026, 4, 30), date(2026, 5, 1))
    assert [period.levy_yen_per_kwh for period in year.periods] == [Decimal("3.98"), Decimal("4.18")]


def test_a_month_names_what_it_rests_on_and_has_its_own_power_factor() -> None:
    file = contract_file(
        subsidy="rules", daytime={"2026-08": {"active_kwh": "60000", "reactive_kvarh": "15000"}}
    )
    tariff, facts = month_tariff(file, "2026-08")
    assert tariff.power_factor_percent == 97
    assert tariff.on(date(2026, 8, 31)).subsidy_yen_per_kwh == Decimal("2.3")
    told = {fact.rule: (fact.value, fact.status) for fact in facts}
    assert told["renewable_levy"] == ("4.18", "verified")
    assert told["high_voltage_subsidy"] == ("2.3", "unverified")
    assert told["tariff.basic_yen_per_kw_month"] == ("2000", "unverified")


def test_a_month_without_a_levy_or_a_support_row_is_refused() -> None:
    late = [
        {
            "valid_from": "2024-01-01",
            "valid_to": "2028-12-31",
            "basic_yen_per_kw_month": 2000,
            "summer_yen_per_kwh": 19,
            "other_yen_per_kwh": 18,
        }
    ]
    with pytest.raises(ConfigError, match="renewable_levy says nothing about 2027-05-01"):
        month_tariff(contract_file(periods=late), "2027-05")
    with pytest.raises(ConfigError, match="high_voltage_subsidy says nothing about 2024-06-01"):
        month_tariff(contract_file(periods=late, subsidy="rules"), "2024-06")


def test_two_answers_to_one_question_are_refused() -> None:
    told = [
        {
            "valid_from": "2026-01-01",
            "valid_to": "2026-12-31",
            "basic_yen_per_kw_month": 2000,
            "summer_yen_per_kwh": 19,
            "other_yen_per_kwh": 18,
            "subsidy_yen_per_kwh": 1,
        }
    ]
    with pytest.raises(ValidationError, match="two answers"):
        contract_file(periods=told, subsidy="rules")
