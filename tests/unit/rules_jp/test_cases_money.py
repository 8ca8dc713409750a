"""RULES-JP T14 to T32: imbalance, demand, bill and baseline, each with its worked figures."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from dispatch.guard import DemandGuard, GuardInput, allowed_power_kw, projected_demand_kw
from dispatch.rules import charge_on_arrival_plan, rules_plan
from energy.core.plan import Promise
from energy.core.series import Grid, Series, Unit
from energy.core.slots import Slot, jst_midnight, parse_jst, slots_of_day
from energy.core.tariff import Tariff, TariffPeriod
from energy.core.units import AssetId
from energy.market.baseline import Adjustment, Baseline, BaselineRequest, BaselineUnavailable, baseline
from energy.market.baseline_checks import gaming_flag
from energy.market.bill import month_bill
from energy.market.demand import PeakMemory, demand_kw, month_shift, power_factor_percent, shaved_value_yen
from energy.market.imbalance import (
    capped_days,
    imbalance_price,
    scarcity_price,
    sending_end_kwh,
    settle_slots,
)
from energy.market.products import campaign_kwh, contract_kwh
from energy.market.rules import ConsumptionTax, rule_row
from tests.unit.dispatch.problems import car, limits, problem

BEFORE, AFTER = Slot.of(date(2026, 9, 30), 48), Slot.of(date(2026, 10, 1), 1)
FIRST, DAYS = date(2026, 7, 1), 60
EVENT, WINDOW = range(32, 38), range(22, 28)  # 16:00-19:00, 11:00-14:00


def decimals(text: str) -> list[Decimal]:
    return [Decimal(word) for word in text.split()]


def tariff(power_factor: int, *, energy: str = "18.00", fuel: str = "0", levy: str = "0") -> Tariff:
    row = TariffPeriod(
        valid_from=date(2026, 5, 1),
        valid_to=date(2028, 4, 30),
        basic_yen_per_kw_month=Decimal(2000),
        summer_yen_per_kwh=Decimal(energy),
        other_yen_per_kwh=Decimal(energy),
        adjustment_yen_per_kwh=Decimal(fuel),
        levy_yen_per_kwh=Decimal(levy),
    )
    return Tariff(name_ja="例", name_en="example", power_factor_percent=power_factor, periods=(row,))


def meter(
    uses: dict[date, float], *, window: dict[date, float] | None = None, other: float = 100.0
) -> Series:
    """Slots of 16:00-19:00 and of 11:00-14:00 as given, all others alike."""
    values = np.full((DAYS, 48), other)
    for part, told in ((EVENT, uses), (WINDOW, window or {})):
        for day, kwh in told.items():
            values[(day - FIRST).days, part] = kwh
    return Series(Grid(jst_midnight(FIRST), values.size), values.ravel(), Unit.KWH)


def event(
    day: date, *, past: frozenset[date] = frozenset(), adjust: Adjustment = Adjustment.NONE
) -> BaselineRequest:
    return BaselineRequest(start=Slot.of(day, 33), end=Slot.of(day, 39), event_days=past, adjustment=adjust)


def found(request: BaselineRequest, series: Series) -> Baseline:
    made = baseline(request, series)
    assert isinstance(made, Baseline)
    return made


def august(**uses: float) -> dict[date, float]:
    """Uses by day of August 2026, named d18, d14, ..."""
    return {date(2026, 8, int(name[1:])): kwh for name, kwh in uses.items()}


T26 = august(d18=150, d17=1, d14=30, d13=140, d12=160, d10=145, d7=155, d19=120)
WEDNESDAY, PAST = date(2026, 8, 19), frozenset({date(2026, 8, 17)})


def test_t14_the_scarcity_price_changes_with_the_slot_at_midnight_of_japan() -> None:
    prices = [imbalance_price(slot, Decimal(30), Decimal("5.5")) for slot in (BEFORE, AFTER)]
    assert prices == decimals("122.5 175.0")


def test_t15_the_curve_has_its_values_at_every_margin_and_the_base_price_counts_if_higher() -> None:
    margins = decimals("10 9 8 5 3.5 3 2")
    assert [scarcity_price(BEFORE, m) for m in margins] == decimals("0 22.5 45 138 184.5 200 200")
    assert [scarcity_price(AFTER, m) for m in margins] == decimals("0 25 50 200 275 300 300")
    assert [imbalance_price(AFTER, Decimal(30), m) for m in decimals("9 8")] == decimals("30 50")


def test_t16_the_imbalance_is_measured_at_the_sending_end() -> None:
    one = {AFTER: Decimal(500)}, {AFTER: Decimal("503.5")}, {AFTER: Decimal(30)}, {AFTER: Decimal("5.5")}
    (row,) = settle_slots(*one, loss_rate=Decimal("0.05"))
    assert (row.sending_end_kwh, row.imbalance_kwh, row.yen) == (530, -30, -5250)
    assert row.yen * (1 + rule_row(ConsumptionTax, date(2026, 10, 1)).values.rate) == -5775
    assert sending_end_kwh(Decimal(475), Decimal("0.05")) == 500  # not 475 * 1.05 = 498.75


def test_t17_a_surplus_is_paid_out_and_a_price_of_zero_keeps_its_row() -> None:
    slots = [AFTER, AFTER.shifted(1)]
    plan, used = dict.fromkeys(slots, Decimal(120)), dict.fromkeys(slots, Decimal(100))
    prices = dict(zip(slots, decimals("22.5 0"), strict=True))
    rows = settle_slots(plan, used, prices, dict.fromkeys(slots, Decimal(12)), loss_rate=Decimal(0))
    assert [(row.imbalance_kwh, row.yen) for row in rows] == [(20, 450), (20, 0)]


def test_t18_thirty_dear_slots_cap_the_scarcity_price_from_the_next_day_on() -> None:
    last = Slot.of(date(2026, 12, 10), 40)
    slots = [
        slot for offset in range(12) for slot in slots_of_day(date(2026, 12, 1) + timedelta(days=offset))
    ]
    calm = dict.fromkeys(slots, Decimal(12))
    dear = {last.shifted(-k * 10): Decimal(200) for k in range(30)}
    assert capped_days(calm | dear, date(2026, 12, 11)) >= {date(2026, 12, 11)}
    assert date(2026, 12, 10) not in capped_days(calm | dear, date(2026, 12, 12))
    del dear[last]
    assert capped_days(calm | dear, date(2026, 12, 12)) == frozenset()
    first = Slot.of(date(2026, 12, 11), 1)
    assert scarcity_price(first, Decimal(2), capped=True) == 100
    assert imbalance_price(first, Decimal(150), Decimal(2), capped=True) == 150


def test_t19_a_step_across_two_windows_is_demand_of_300_kw() -> None:
    quarters = Series(
        Grid(parse_jst("2026-11-24 14:00"), 4, timedelta(minutes=15)),
        np.array([200.0, 400, 400, 200]),
        Unit.KW,
    )
    assert demand_kw(quarters).values.tolist() == [300.0, 300.0]


def test_t20_the_peak_of_february_leaves_the_contract_in_the_next_february() -> None:
    kw = (310, 325, 340, 330, 300, 280, 290, 320, 318, 305, 285, 300, 300, 310, 305)
    memory = PeakMemory({month_shift("2025-12", k): Decimal(value) for k, value in enumerate(kw)})
    assert [memory.contract_kw(month) for month in ("2026-11", "2027-01", "2027-02")] == [340, 340, 330]


def test_t21_a_power_factor_of_97_makes_580800_yen() -> None:
    percent = power_factor_percent(Decimal(60_000), Decimal(15_000), month="2026-11")
    assert percent == 97
    bills = [month_bill(tariff(pf), "2026-11", contract_kw=330, kwh=Decimal(1)) for pf in (percent, 100)]
    assert [bill.basic_yen for bill in bills] == [580_800, 561_000]


def test_t22_the_whole_bill_is_887640_yen() -> None:
    contract = tariff(95, fuel="-1.23", levy="4.18")
    bill = month_bill(contract, "2026-11", contract_kw=130, kwh=Decimal(31_200))
    parts = (bill.basic_yen, bill.energy_yen, bill.adjustment_yen, bill.levy_yen)
    assert parts == (234_000, 561_600, -38_376, 130_416)
    assert bill.total_yen == 887_640


def test_t23_the_half_hour_is_forecast_from_what_it_used_so_far() -> None:
    assert projected_demand_kw(12, 60, 360) == 336.0
    assert allowed_power_kw(12, 60, 320) == pytest.approx(333.3, abs=0.05)
    assert DemandGuard().decide(GuardInput(12, 60, 360, 320)).reduction_kw == pytest.approx(26.7, abs=0.05)


def test_t24_shaving_below_a_remembered_peak_is_worth_nothing_and_a_binding_one_612000_yen() -> None:
    remembered = PeakMemory({"2026-10": Decimal(340)})
    worth = [
        shaved_value_yen(tariff(100), memory, "2026-12", from_kw=Decimal(a), to_kw=Decimal(b), months=months)
        for memory, a, b, months in ((remembered, 310, 290, 10), (PeakMemory({}), 330, 300, 12))
    ]
    assert worth == [0, 612_000]


def test_t25_cars_that_come_back_from_an_event_are_staggered_below_the_contract() -> None:
    tight = (True,) * 6 + (False,) * 14
    cars = tuple(
        car(20, id=AssetId(f"car-{k}"), promises=(Promise(index=20, soc_kwh=24.0),)) for k in range(4)
    )
    site = problem(290.0, 20, cars=cars, tight=tight, limits=limits(contract_kw=300.0, peak_memory_kw=300.0))
    assert max(rules_plan(site).trajectory.import_kw) <= 300.0 + 1e-6
    low = tuple(
        car(20, id=AssetId(f"car-{k}"), soc0_kwh=12.0, promises=(Promise(index=20, soc_kwh=24.0),))
        for k in range(4)
    )
    naive = charge_on_arrival_plan(problem(290.0, 20, cars=low, limits=limits(contract_kw=300.0)))
    assert max(naive.trajectory.import_kw) == pytest.approx(314.0)


def test_t26_high_4_of_5_skips_events_rest_days_and_low_days() -> None:
    made = found(event(WEDNESDAY, past=PAST), meter(T26))
    assert [day.day for day in made.days_used] == [18, 12, 10, 7]
    assert {slot.baseline_kwh for slot in made.slots} == {Decimal("152.5")}
    left = {one.day.day: one.why.value for one in made.days_excluded}
    assert (left[17], left[14], left[13], left[11]) == (
        "event",
        "below_min_ratio",
        "lowest",
        "other_day_type",
    )


def test_t27_the_adjustment_is_added_and_the_reduction_is_219_kwh() -> None:
    window = {**dict.fromkeys(august(d18=0, d12=0, d10=0, d7=0), 158.0), WEDNESDAY: 162.0}
    made = found(event(WEDNESDAY, past=PAST, adjust=Adjustment.ADD), meter(T26, window=window))
    assert {(slot.adjustment_kwh, slot.adjusted_kwh, slot.reduction_kwh) for slot in made.slots} == {
        (Decimal(4), Decimal("156.5"), Decimal("36.5"))
    }
    assert (made.reduction_kwh, made.mean_kw) == (219, 73)
    ratio = found(event(WEDNESDAY, past=PAST, adjust=Adjustment.RATIO), meter(T26, window=window))
    assert round(ratio.slots[0].adjusted_kwh, 2) == Decimal("156.36")


def test_t28_an_event_on_a_saturday_takes_two_of_three_rest_days_with_the_holiday() -> None:
    made = found(event(date(2026, 8, 22)), meter(august(d16=60, d15=80, d11=70)))
    assert made.method == "high2of3"
    assert [day.day for day in made.days_used] == [15, 11]
    assert {slot.baseline_kwh for slot in made.slots} == {Decimal(75)}


def test_t29_of_two_lowest_days_the_farther_one_is_dropped() -> None:
    uses = august(d18=100, d14=120, d13=130, d12=100, d10=140)
    made = found(event(WEDNESDAY, past=PAST), meter(uses))
    dropped = [one.day.day for one in made.days_excluded if one.why.value == "lowest"]
    assert dropped == [12]


def test_t30_slots_are_summed_before_they_are_cut_and_contracts_keep_the_minus() -> None:
    day = date(2026, 8, 19)
    assert campaign_kwh({day: decimals("10 -4 6")})[day] == 12
    assert campaign_kwh({day: decimals("-5 2 1")})[day] == 0
    assert contract_kwh(decimals("-5 2 1")) == -2
    assert campaign_kwh({day: decimals("3.4567")})[day] == Decimal("3.45")


def test_t31_charging_in_the_window_is_flagged_with_the_36_kwh_it_would_be_paid() -> None:
    window = {**dict.fromkeys(august(d18=0, d12=0, d10=0, d7=0), 158.0), WEDNESDAY: 164.0}
    made = found(event(WEDNESDAY, past=PAST, adjust=Adjustment.ADD), meter(T26, window=window))
    flag = gaming_flag(made, WEDNESDAY)
    assert flag is not None
    assert (flag.raised_kwh, flag.phantom_kwh) == (6, 36)


def test_t32_without_eligible_days_there_is_no_baseline() -> None:
    every_day = frozenset(FIRST + timedelta(days=k) for k in range(DAYS)) - {WEDNESDAY}
    made = baseline(event(WEDNESDAY, past=every_day), meter({}))
    assert isinstance(made, BaselineUnavailable)
    assert made.found == ()
