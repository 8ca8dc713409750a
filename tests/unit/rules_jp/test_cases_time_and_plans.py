"""RULES-JP T01 to T13: time and plans, each with its worked figures."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pytest

from energy.core.calendar import DayType, SiteCalendar, fiscal_year, reiwa_fiscal_year
from energy.core.series import Grid, Series, Unit
from energy.core.slots import JST, Slot, gate_closure, parse_jst, slots_between, slots_of_day
from energy.core.units import floor_int
from energy.market.deadlines import PlanWindow, submission
from energy.market.demand import monthly_maxima
from energy.market.plans import (
    BalancingPlan,
    MismatchClass,
    cross_check,
    integer_kwh,
    internal_checks,
    read_plan,
    week_cells,
)
from energy.market.rules import levy_yen_per_kwh


def at(text: str) -> datetime:
    return parse_jst(text)


def plan(
    group: str,
    members: dict[str, int],
    *,
    total: int | None = None,
    trades: tuple[tuple[str, str, int], ...] = (),
) -> BalancingPlan:
    """A demand plan whose 48 slots are alike."""
    return read_plan(
        {
            "kind": "demand",
            "day": date(2026, 11, 25),
            "group": group,
            "area": "tohoku",
            "sender": "AB122",
            "recipient": "00000",
            "on_behalf_of": group,
            "members": [{"code": code, "kwh": [kwh] * 48} for code, kwh in members.items()],
            "totals_kwh": [sum(members.values()) if total is None else total] * 48,
            "trades": [{"party": party, "side": side, "kwh": [kwh] * 48} for party, side, kwh in trades],
        }
    )


def test_t01_an_instant_of_the_evening_in_utc_is_slot_1_of_the_next_day_in_japan() -> None:
    slot = Slot.containing(datetime(2026, 11, 21, 15, 0, tzinfo=UTC))
    assert (slot.local_date, slot.koma) == (date(2026, 11, 22), 1)


def test_t02_times_of_day_are_slots_and_24_00_closes_slot_48() -> None:
    times = ("00:00", "00:29:59", "00:30", "12:00", "23:30")
    assert [Slot.containing(at(f"2026-11-22 {time}")).koma for time in times] == [1, 1, 2, 25, 48]
    closed = Slot.ending_at(at("2026-11-22 24:00"))
    assert (closed.local_date, closed.koma) == (date(2026, 11, 22), 48)
    opened = Slot.containing(at("2026-11-22 24:00"))
    assert (opened.local_date, opened.koma) == (date(2026, 11, 23), 1)


def test_t03_the_meter_stamp_of_midnight_closes_the_last_slot_of_november_and_is_billed_there() -> None:
    slot = Slot.ending_at(at("2026-12-01 00:00:00"))
    assert (slot.local_date, slot.koma) == (date(2026, 11, 30), 48)
    demand = Series(Grid(slot.start, 1), np.array([700.0]), Unit.KW)
    assert monthly_maxima(demand) == {"2026-11": Decimal(700)}


def test_t04_gate_closure_is_an_hour_before_each_slot() -> None:
    day = date(2026, 11, 22)
    closes = [gate_closure(Slot.of(day, koma)).astimezone(JST) for koma in (29, 1, 2, 3)]
    assert [f"{one:%m-%d %H:%M}" for one in closes] == [
        "11-22 13:00",
        "11-21 23:00",
        "11-21 23:30",
        "11-22 00:00",
    ]


def test_t05_a_plan_is_taken_until_noon_then_from_17_00_and_then_slot_by_slot() -> None:
    day = date(2026, 11, 22)
    windows = [submission(day, at(f"2026-11-21 {time}")) for time in ("11:59", "12:01", "16:59", "17:00")]
    assert [one.window for one in windows] == [
        PlanWindow.NEXT_DAY,
        PlanWindow.CLOSED,
        PlanWindow.CLOSED,
        PlanWindow.SAME_DAY,
    ]
    assert [len(one.open_slots) for one in windows] == [48, 0, 0, 48]
    later = submission(day, at("2026-11-22 13:01"))
    assert [slot.koma for slot in later.frozen_slots] == list(range(1, 30))
    assert later.open_slots[0].koma == 30
    assert gate_closure(later.open_slots[0]) == at("2026-11-22 13:30")


def test_t06_an_event_past_midnight_has_slots_of_two_plan_dates() -> None:
    slots = slots_between(at("2026-11-22 23:00"), at("2026-11-23 01:00"))
    assert [(slot.local_date.day, slot.koma) for slot in slots] == [(22, 47), (22, 48), (23, 1), (23, 2)]


@pytest.mark.parametrize("day", [date(2027, 3, 28), date(2027, 10, 31)])
def test_t07_a_japanese_day_always_has_48_slots(day: date) -> None:
    slots = slots_of_day(day)
    assert len(slots) == 48
    assert slots[-1].end - slots[0].start == timedelta(hours=24)


def test_t08_the_fiscal_year_ends_in_march_but_the_levy_with_the_april_reading() -> None:
    assert (fiscal_year(date(2027, 3, 31)), reiwa_fiscal_year(date(2027, 3, 31))) == (2026, 8)
    assert fiscal_year(date(2027, 4, 1)) == 2027
    assert levy_yen_per_kwh(date(2027, 4, 1)) == Decimal("4.18")
    assert floor_int(31_200 * levy_yen_per_kwh(date(2027, 4, 1))) == 130_416


def test_t09_sandwiched_and_substitute_holidays_are_days_of_rest() -> None:
    days = [date(2026, 9, 22), date(2026, 5, 6), date(2027, 3, 22), date(2026, 8, 14)]
    assert [SiteCalendar().day_type(day) for day in days] == [*[DayType.REST] * 3, DayType.WEEKDAY]
    shutdown = SiteCalendar(closed=frozenset({date(2026, 8, 14)}))
    assert shutdown.day_type(date(2026, 8, 14)) is DayType.REST


def test_t10_three_equal_members_become_11_10_10_and_sum_to_31() -> None:
    whole = integer_kwh({code: Decimal("10.4") for code in ("a", "b", "c")})
    assert list(whole.values()) == [11, 10, 10]
    assert internal_checks(plan("bg", whole, total=31, trades=(("spot", "buy", 31),))) == []
    naive = internal_checks(plan("bg", {"a": 10, "b": 10, "c": 10}, total=31))
    assert MismatchClass.INSIDE_FILE in {one.kind for one in naive}


def test_t11_a_wrong_total_is_rejected_and_a_short_procurement_accepted_with_50_to_buy() -> None:
    wrong = internal_checks(plan("bg", {"a": 249, "b": 249}, total=500))
    assert {(one.kind, one.what, one.kwh) for one in wrong if one.what == "totals"} == {
        (MismatchClass.INSIDE_FILE, "totals", -2)
    }
    short = plan("bg", {"a": 1000}, trades=(("bg-y", "sell", 200), ("spot", "buy", 1150)))
    found = internal_checks(short)
    assert {(one.kind, one.kwh, one.buy_kwh) for one in found} == {(MismatchClass.INSIDE_PLAN, -50, 50)}
    assert short.totals_kwh == (1000,) * 48


def test_t12_both_parties_are_told_and_one_correction_clears_both() -> None:
    mine = plan("bg-me", {"a": 100}, trades=(("bg-x", "sell", 120),))
    theirs = plan("bg-x", {"b": 100}, trades=(("bg-me", "buy", 100),))
    found = [one for one in cross_check([mine, theirs]) if one.slot == 1]
    assert [one.where.partition(":")[0] for one in found] == ["bg-me", "bg-x"]
    assert {(one.kind, one.kwh) for one in found} == {(MismatchClass.BETWEEN_PARTIES, -20)}
    corrected = plan("bg-x", {"b": 100}, trades=(("bg-me", "buy", 120),))
    assert cross_check([mine, corrected]) == []


def test_t13_a_week_of_rest_days_leaves_the_weekday_cell_blank_and_not_zero() -> None:
    golden_week = [date(2026, 5, day) for day in (2, 3, 4, 5, 6)]
    cells = week_cells(
        golden_week, SiteCalendar(), lambda kind: Decimal(0) if kind is DayType.WEEKDAY else Decimal(5)
    )
    assert cells == {DayType.WEEKDAY: None, DayType.REST: Decimal(5)}
