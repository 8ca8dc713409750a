"""Demand of clock-aligned windows, its memory, power factor, the worth of a kW (RULES-JP T19-T21, T24)."""

from __future__ import annotations

import pickle
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from energy.core.errors import AlignmentError, DataError, GapError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import jst_midnight, parse_jst
from energy.core.tariff import Tariff, TariffPeriod
from energy.market.demand import (
    PeakMemory,
    demand_kw,
    exact,
    month_shift,
    monthly_maxima,
    power_factor_percent,
    shaved_value_yen,
    yen_per_kw_month,
)

TWELVE = (310, 325, 340, 330, 300, 280, 290, 320, 318, 305, 285, 300)  # Dec-25 .. Nov-26, RULES-JP T20


def memory_of_t20() -> PeakMemory:
    months = [month_shift("2025-12", k) for k in range(12)]
    memory = PeakMemory({month: Decimal(kw) for month, kw in zip(months, TWELVE, strict=True)})
    for month, kw in (("2026-12", 300), ("2027-01", 310), ("2027-02", 305)):
        memory = memory.with_peak(month, Decimal(kw))
    return memory


def tariff(power_factor: int = 100) -> Tariff:
    return Tariff(
        name_ja="例",
        name_en="example",
        power_factor_percent=power_factor,
        periods=(
            TariffPeriod(
                valid_from=date(2026, 1, 1),
                valid_to=date(2028, 12, 31),
                basic_yen_per_kw_month=Decimal(2000),
                summer_yen_per_kwh=Decimal(19),
                other_yen_per_kwh=Decimal(18),
            ),
        ),
    )


def series(values: list[float], step_min: int, unit: Unit, start: str = "2026-11-24 14:00") -> Series:
    return Series(
        Grid(parse_jst(start), len(values), timedelta(minutes=step_min)), np.array(values, dtype=float), unit
    )


@pytest.mark.parametrize(
    "imported",
    [
        series([50, 100, 100, 50], 15, Unit.KWH),
        series([200, 400, 400, 200], 15, Unit.KW),
        series([200 / 60] * 15 + [400 / 60] * 30 + [200 / 60] * 15, 1, Unit.KWH),
    ],
    ids=["kWh per 15 min", "kW per 15 min", "kWh per minute"],
)
def test_demand_belongs_to_clock_windows_and_not_to_a_rolling_mean(imported: Series) -> None:
    demand = demand_kw(imported)
    assert demand.unit is Unit.KW
    assert demand.grid.count == 2
    np.testing.assert_allclose(demand.values, [300.0, 300.0])


def test_an_hourly_series_cannot_tell_the_demand() -> None:
    with pytest.raises(AlignmentError, match="thirty minutes"):
        demand_kw(series([300.0], 60, Unit.KWH))


def test_exported_energy_is_not_demand() -> None:
    with pytest.raises(DataError, match=r"-1\.5 kWh"):
        demand_kw(series([10.0, -1.5], 30, Unit.KWH))
    with pytest.raises(DataError, match="energy or power"):
        demand_kw(series([10.0], 30, Unit.CELSIUS))


def test_a_gap_in_a_window_leaves_the_demand_unknown_and_the_months_peak_refused() -> None:
    demand = demand_kw(series([10.0, np.nan, 10.0, 10.0], 15, Unit.KWH))
    assert np.isnan(demand.values).tolist() == [True, False]
    with pytest.raises(GapError):
        monthly_maxima(demand)


def test_the_meter_stamp_at_midnight_makes_the_peak_of_november_and_not_of_december() -> None:
    demand = series([700.0, 100.0], 30, Unit.KW, start="2026-11-30 23:30")
    assert monthly_maxima(demand) == {"2026-11": Decimal(700), "2026-12": Decimal(100)}


@pytest.mark.parametrize(
    ("month", "contract"), [("2026-11", 340), ("2026-12", 340), ("2027-01", 340), ("2027-02", 330)]
)
def test_the_peak_of_february_leaves_the_contract_in_the_next_february(month: str, contract: int) -> None:
    assert memory_of_t20().contract_kw(month) == contract


def test_demand_is_rounded_half_up_after_float_dust_is_gone() -> None:
    assert PeakMemory({"2026-11": exact(2 * 150.24999999999997)}).contract_kw("2026-11") == 301
    assert PeakMemory({"2026-11": exact(300.4999)}).contract_kw("2026-11") == 300
    assert PeakMemory({}).with_peak("2026-11", 0.1 + 0.2).maxima["2026-11"] == Decimal("0.3")


def test_a_lower_demand_does_not_lower_the_month() -> None:
    memory = PeakMemory({"2026-11": Decimal(300)})
    assert memory.with_peak("2026-11", 250.0) == memory
    assert memory.with_peak("2026-11", 310.0).contract_kw("2026-11") == 310
    assert memory.contract_kw("2026-11") == 300


def test_without_any_known_month_there_is_no_contract_power_to_bill() -> None:
    memory = PeakMemory({"2025-11": Decimal(340)})
    assert memory.peak_kw("2026-11") == 0
    with pytest.raises(DataError) as caught:
        memory.contract_kw("2026-11")
    assert "2025-12 to 2026-11" in caught.value.where


@pytest.mark.parametrize("month", ["2026-13", "2026-7", "July", "2026-07-01"])
def test_a_text_that_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(DataError, match="is not a month"):
        PeakMemory({month: Decimal(1)})


def test_a_negative_month_is_refused() -> None:
    with pytest.raises(DataError, match="negative"):
        PeakMemory({"2026-07": Decimal(-1)})


def test_the_memory_survives_the_way_to_a_worker_process() -> None:
    memory = memory_of_t20()
    assert pickle.loads(pickle.dumps(memory)) == memory


def test_power_factor_is_rounded_to_whole_percent_and_leading_counts_as_full() -> None:
    p, q = Decimal(60_000), Decimal(15_000)
    assert power_factor_percent(p, q, month="2026-11") == 97
    assert power_factor_percent(p, q, month="2026-11", leading=True) == 100
    assert power_factor_percent(p, Decimal(0), month="2026-11") == 100
    assert power_factor_percent(Decimal(0), q, month="2026-11") == 85
    with pytest.raises(DataError):
        power_factor_percent(-p, q, month="2026-11")


def test_a_kw_costs_its_unit_price_less_the_power_factor_discount() -> None:
    assert yen_per_kw_month(tariff(), "2026-11") == 1700
    assert yen_per_kw_month(tariff(97), "2026-11") * 330 == 580_800


def test_shaving_below_a_remembered_peak_is_worth_nothing_while_it_is_remembered() -> None:
    memory = PeakMemory({"2026-10": Decimal(340)})
    prices, month = tariff(), "2026-12"
    for months in range(1, 11):
        value = shaved_value_yen(
            prices, memory, month, from_kw=Decimal(310), to_kw=Decimal(290), months=months
        )
        assert value == 0
    # 2026-10 is remembered up to 2027-09; in the last two of the twelve months the new peak would bind
    assert shaved_value_yen(prices, memory, month, from_kw=Decimal(310), to_kw=Decimal(290)) == 20 * 1700 * 2


def test_thirty_kw_of_a_binding_peak_are_worth_612_000_yen_a_year() -> None:
    value = shaved_value_yen(
        tariff(), PeakMemory({}), "2026-12", from_kw=Decimal(330), to_kw=Decimal(300), months=12
    )
    assert value == 612_000
    longer = shaved_value_yen(
        tariff(), PeakMemory({}), "2026-12", from_kw=Decimal(330), to_kw=Decimal(300), months=20
    )
    assert longer == value


def test_shaving_upwards_is_refused() -> None:
    with pytest.raises(DataError):
        shaved_value_yen(tariff(), PeakMemory({}), "2026-12", from_kw=Decimal(300), to_kw=Decimal(301))


def test_maxima_follow_the_japanese_month_across_utc_midnight() -> None:
    grid = Grid(jst_midnight(date(2026, 12, 1)) - timedelta(minutes=30), 2)
    assert list(monthly_maxima(Series(grid, np.array([5.0, 9.0]), Unit.KW))) == ["2026-11", "2026-12"]
