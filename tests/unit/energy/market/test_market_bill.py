"""The bill to the yen (T08, T21, T22), by month and by any number of days."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from energy.core.errors import AlignmentError, ConfigError, DataError, GapError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import jst_midnight
from energy.core.tariff import Tariff, TariffPeriod
from energy.market.bill import Bill, bills_by_month, month_bill, period_bill
from energy.market.demand import PeakMemory
from energy.market.prices import slot_prices


def period(first: date, last: date, levy: str = "4.18", basic: int = 2000) -> TariffPeriod:
    return TariffPeriod(
        valid_from=first,
        valid_to=last,
        basic_yen_per_kw_month=Decimal(basic),
        summer_yen_per_kwh=Decimal("19.00"),
        other_yen_per_kwh=Decimal("18.00"),
        adjustment_yen_per_kwh=Decimal("-1.23"),
        levy_yen_per_kwh=Decimal(levy),
    )


def tariff(*periods: TariffPeriod, power_factor: int = 95) -> Tariff:
    rows = periods or (period(date(2026, 5, 1), date(2027, 4, 30)),)
    return Tariff(name_ja="例", name_en="example", power_factor_percent=power_factor, periods=rows)


def use(first: date, days: int, kwh: float = 10.0, *, peak_at: int | None = None) -> Series:
    values = np.full(days * 48, kwh)
    if peak_at is not None:
        values[peak_at] = 65.0
    return Series(Grid(jst_midnight(first), days * 48), values, Unit.KWH)


def test_month_of_130_kw_and_31200_kwh_costs_887640_yen() -> None:
    bill = month_bill(tariff(), "2026-11", contract_kw=130, kwh=Decimal(31_200))
    assert bill.basic_yen == 234_000
    assert bill.energy_yen == 561_600
    assert bill.adjustment_yen == -38_376
    assert bill.levy_yen == 130_416
    assert bill.total_yen == 887_640
    assert "887640 yen" in bill.facts[0]


def test_power_factor_of_97_makes_the_basic_charge_580800_yen() -> None:
    measured = month_bill(tariff(), "2026-11", contract_kw=330, kwh=Decimal(1), power_factor_percent=97)
    assert measured.basic_yen == 580_800
    full = month_bill(tariff(), "2026-11", contract_kw=330, kwh=Decimal(1), power_factor_percent=100)
    assert full.basic_yen == 561_000


def test_both_floors_round_down_once() -> None:
    # basic 1 kW = 1,800; energy 0.7 x 18 = 12.6; adjustment -0.861; levy 2.926 -> floor(1811.739) + 2
    bill = month_bill(tariff(), "2026-11", contract_kw=1, kwh=Decimal("0.7"))
    assert (bill.levy_yen, bill.total_yen) == (2, 1811 + 2)


def test_summer_prices_hold_from_july_to_september() -> None:
    prices = [
        month_bill(tariff(), f"2026-{month:02d}", contract_kw=0, kwh=Decimal(100)).energy_yen
        for month in range(6, 11)
    ]
    assert prices == [1800, 1900, 1900, 1900, 1800]


def test_a_month_without_use_costs_half_the_basic_charge() -> None:
    bill = month_bill(tariff(), "2026-11", contract_kw=130, kwh=Decimal(0))
    assert bill.basic_yen == bill.total_yen == 117_000
    assert "nothing was used" in bill.facts[1]


def test_a_whole_month_of_slots_gives_the_same_bill_as_its_figures() -> None:
    # 30 days x 48 x 10 kWh, one slot of 65 kWh = 130 kW
    bill = period_bill(tariff(), use(date(2026, 11, 1), 30, peak_at=700), PeakMemory({}))
    kwh = Decimal(30 * 48 * 10 + 55)
    assert bill == month_bill(tariff(), "2026-11", contract_kw=130, kwh=kwh)
    assert bill.max_demand_kw == bill.contract_kw == 130


def test_three_days_carry_three_thirtieths_of_the_basic_charge_and_all_their_energy() -> None:
    bill = period_bill(tariff(), use(date(2026, 11, 10), 3, peak_at=5), PeakMemory({}))
    assert bill.basic_yen == Decimal(130 * 1800) * 3 / 30
    assert bill.kwh == 3 * 48 * 10 + 55
    assert bill.energy_yen == bill.kwh * 18


def test_a_remembered_peak_is_billed_until_it_is_twelve_months_old() -> None:
    memory = PeakMemory({"2025-12": Decimal(200), "2026-01": Decimal(150)})
    days = use(date(2026, 11, 30), 2, peak_at=5)
    november, december = bills_by_month(tariff(), days, memory)
    assert (november.contract_kw, november.max_demand_kw) == (200, 130)
    assert (december.contract_kw, december.max_demand_kw) == (150, 20)


def test_a_new_peak_counts_for_its_own_month_and_the_next() -> None:
    days = use(date(2026, 11, 30), 2, peak_at=5)
    november, december = bills_by_month(tariff(), days, PeakMemory({"2026-10": Decimal(100)}))
    assert (november.contract_kw, december.contract_kw) == (130, 130)


def test_the_bill_of_two_months_is_the_sum_of_its_months() -> None:
    days = use(date(2026, 6, 20), 30, kwh=7.3, peak_at=1000)
    parts = bills_by_month(tariff(), days, PeakMemory({"2026-05": Decimal(90)}))
    whole = period_bill(tariff(), days, PeakMemory({"2026-05": Decimal(90)}))
    assert len(parts) == 2
    assert whole.total_yen == sum(part.total_yen for part in parts)
    assert whole.basic_yen == sum(part.basic_yen for part in parts)
    assert whole.kwh == Decimal("10569.7")  # 1439 x 7.3 + 65, without float dust
    assert whole.facts == parts[0].facts + parts[1].facts


def test_energy_adjustment_and_levy_are_exact_by_day_when_prices_change_inside_a_month() -> None:
    changing = tariff(
        period(date(2026, 5, 1), date(2026, 11, 10), levy="4.18", basic=2000),
        period(date(2026, 11, 11), date(2027, 4, 30), levy="5.00", basic=2300),
    )
    bill = period_bill(changing, use(date(2026, 11, 1), 30, peak_at=5), PeakMemory({}))
    assert bill.basic_yen == Decimal(130) * Decimal("0.9") * (2000 * 10 + 2300 * 20) / 30
    assert bill.levy_yen == int(Decimal("4.18") * (4800 + 55) + 5 * 9600)
    with pytest.raises(ConfigError, match="change inside 2026-11"):
        month_bill(changing, "2026-11", contract_kw=1, kwh=Decimal(1))


def test_a_partly_billed_month_without_use_keeps_its_full_daily_basic_charge() -> None:
    memory = PeakMemory({"2026-11": Decimal(130)})
    part = period_bill(tariff(), use(date(2026, 11, 1), 29, kwh=0.0), memory)
    assert part.basic_yen == Decimal(130 * 1800) * 29 / 30
    whole = period_bill(tariff(), use(date(2026, 11, 1), 30, kwh=0.0), memory)
    assert whole.basic_yen == 117_000


def test_a_contract_that_would_be_negotiated_is_said_to_be_so() -> None:
    bill = month_bill(tariff(), "2026-11", contract_kw=500, kwh=Decimal(1))
    assert "negotiated" in bill.facts[1]


@pytest.mark.parametrize(
    ("series", "error"),
    [
        (Series(Grid(jst_midnight(date(2026, 11, 1)), 47), np.ones(47), Unit.KWH), AlignmentError),
        (
            Series(Grid(jst_midnight(date(2026, 11, 1)) + timedelta(hours=9), 48), np.ones(48), Unit.KWH),
            AlignmentError,
        ),
        (Series(Grid(jst_midnight(date(2026, 11, 1)), 0), np.ones(0), Unit.KWH), AlignmentError),
        (Series(Grid(jst_midnight(date(2026, 11, 1)), 48), np.ones(48), Unit.KW), AlignmentError),
        (
            Series(Grid(jst_midnight(date(2026, 11, 1)), 24, timedelta(hours=1)), np.ones(24), Unit.KWH),
            AlignmentError,
        ),
        (Series(Grid(jst_midnight(date(2026, 11, 1)), 48), np.full(48, np.nan), Unit.KWH), GapError),
        (Series(Grid(jst_midnight(date(2026, 11, 1)), 48), np.full(48, -1.0), Unit.KWH), DataError),
        (Series(Grid(jst_midnight(date(2027, 5, 1)), 48), np.ones(48), Unit.KWH), ConfigError),
    ],
    ids=["47 slots", "from 09:00", "no day", "kW", "hourly", "gap", "negative", "no prices"],
)
def test_a_series_that_cannot_be_billed_is_refused(series: Series, error: type[Exception]) -> None:
    with pytest.raises(error):
        period_bill(tariff(), series, PeakMemory({}))


def test_negative_figures_are_refused() -> None:
    with pytest.raises(DataError):
        month_bill(tariff(), "2026-11", contract_kw=1, kwh=Decimal(-1))


def test_marginal_price_changes_with_the_japanese_date() -> None:
    grid = Grid(jst_midnight(date(2026, 7, 1)) - timedelta(minutes=30), 2)
    price = slot_prices(tariff(), grid)
    assert price.unit is Unit.YEN_PER_KWH
    np.testing.assert_allclose(price.values, [18 - 1.23 + 4.18, 19 - 1.23 + 4.18])


def test_one_more_kwh_costs_the_slot_prices() -> None:
    one, two = (
        period_bill(tariff(), use(date(2026, 11, 1), 30, kwh=kwh, peak_at=5), PeakMemory({}))
        for kwh in (10.0, 11.0)
    )
    more = Decimal(30 * 48 - 1)
    price = Decimal("18") + Decimal("-1.23") + Decimal("4.18")
    assert abs((two.total_yen - one.total_yen) - more * price) < 2


def test_a_bill_cannot_be_changed() -> None:
    bill: Bill = month_bill(tariff(), "2026-11", contract_kw=1, kwh=Decimal(1))
    with pytest.raises(AttributeError):
        bill.total_yen = 0  # type: ignore[misc]
