"""Baselines: days, shortage, adjustments, gaps, errors, alarms; nothing after the event counts (T26-T32)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.calendar import SiteCalendar
from energy.core.errors import ConfigError, DataError, GapError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOTS_PER_DAY, Slot, jst_midnight
from energy.market.baseline import (
    Adjustment,
    Baseline,
    BaselineRequest,
    BaselineUnavailable,
    Method,
    WhyExcluded,
    baseline,
)
from energy.market.baseline_checks import baseline_error, gaming_flag

WEDNESDAY = date(2026, 8, 19)
FIRST = date(2026, 7, 1)
DAYS = 70
WINDOW = range(22, 28)  # 11:00-14:00
EVENT = range(32, 38)  # 16:00-19:00


def request(day: date = WEDNESDAY, **changes: object) -> BaselineRequest:
    told = BaselineRequest(
        start=Slot.of(day, 33), end=Slot.of(day, 39), event_days=frozenset({date(2026, 8, 17)})
    )
    return replace(told, **changes)  # type: ignore[arg-type]


def meter(
    uses: dict[date, float], *, window: dict[date, float] | None = None, other: float = 100.0
) -> Series:
    """A site that uses ``other`` in every slot but those of the event and of the adjustment window."""
    values = np.full((DAYS, SLOTS_PER_DAY), other)
    for day, kwh in uses.items():
        values[(day - FIRST).days, EVENT] = kwh
    for day, kwh in (window or {}).items():
        values[(day - FIRST).days, WINDOW] = kwh
    return Series(Grid(jst_midnight(FIRST), values.size), values.ravel(), Unit.KWH)


def found(told: BaselineRequest, series: Series) -> Baseline:
    made = baseline(told, series)
    assert isinstance(made, Baseline)
    return made


def test_a_day_with_a_gap_is_left_out_and_named() -> None:
    series = meter({})
    values = series.values.copy()
    values[(date(2026, 8, 18) - FIRST).days * 48 + 33] = np.nan
    made = found(request(), Series(series.grid, values, Unit.KWH))
    assert (date(2026, 8, 18), WhyExcluded.INCOMPLETE) in [(one.day, one.why) for one in made.days_excluded]


@pytest.mark.parametrize(("slot", "what"), [(33, "the event"), (24, "the adjustment window")])
def test_a_gap_on_the_day_itself_is_refused_by_name(slot: int, what: str) -> None:
    series = meter({})
    values = series.values.copy()
    values[(WEDNESDAY - FIRST).days * 48 + slot] = np.nan
    with pytest.raises(GapError, match=f"1 of 6 half hours of {what}"):
        baseline(request(), Series(series.grid, values, Unit.KWH))


def test_with_four_days_all_are_used_and_with_three_the_highest_event_day_completes_them() -> None:
    only = [date(2026, 8, 18), date(2026, 8, 14), date(2026, 8, 13), date(2026, 8, 12)]
    others = {FIRST + timedelta(days=k) for k in range(DAYS)} - {*only, WEDNESDAY}
    closed = frozenset(others)
    told = request(event_days=closed)
    made = found(told, meter({day: 100.0 + k for k, day in enumerate(only)}))
    assert made.days_used == tuple(only)
    assert made.completed_by == ()
    best = date(2026, 8, 6)
    told = request(event_days=closed | {only[3]})
    made = found(told, meter({best: 180.0}))
    assert made.completed_by == (best,)
    assert set(made.days_used) == {best, *only[:3]}
    two = baseline(request(event_days=closed | {only[2], only[3]}), meter({best: 180.0}))
    assert isinstance(two, BaselineUnavailable)
    assert (two.found, two.needed) == (tuple(only[:2]), 4)


def test_ratio_none_and_same_day_are_other_money_than_the_addition() -> None:
    days = [date(2026, 8, day) for day in (18, 14, 13, 12, 10)]
    series = meter(dict.fromkeys(days, 150.0), window={**dict.fromkeys(days, 160.0), WEDNESDAY: 176.0})
    made = {
        name: found(request(**told), series).slots[0].adjusted_kwh
        for name, told in {
            "add": {},
            "ratio": {"adjustment": Adjustment.RATIO},
            "capped": {"adjustment": Adjustment.RATIO, "ratio_cap": Decimal("0.05")},
            "none": {"adjustment": Adjustment.NONE},
            "same-day": {"method": Method.SAME_DAY},
        }.items()
    }
    assert made == {
        "add": Decimal(166),
        "ratio": Decimal("165.0"),
        "capped": Decimal("157.50"),
        "none": Decimal(150),
        "same-day": Decimal(176),
    }


def test_a_baseline_below_zero_is_kept_unless_the_contract_says_otherwise() -> None:
    days = [date(2026, 8, day) for day in (18, 14, 13, 12, 10)]
    series = meter(dict.fromkeys(days, 10.0), window={**dict.fromkeys(days, 160.0), WEDNESDAY: 100.0})
    assert found(request(), series).slots[0].adjusted_kwh == -50
    assert found(request(floor_zero=True), series).slots[0].adjusted_kwh == 0


def test_an_event_past_midnight_compares_the_same_hours_and_skips_both_days_of_past_events() -> None:
    told = BaselineRequest(
        start=Slot.of(WEDNESDAY, 47),
        end=Slot.of(WEDNESDAY + timedelta(days=1), 3),
        event_days=frozenset({date(2026, 8, 14)}),
    )
    made = found(told, meter({}))
    assert len(made.slots) == 4
    why = {one.day: one.why for one in made.days_excluded}
    assert why[date(2026, 8, 14)] is why[date(2026, 8, 13)] is WhyExcluded.EVENT


def test_days_agreed_as_rest_are_no_weekdays() -> None:
    obon = SiteCalendar(closed=frozenset(date(2026, 8, day) for day in (12, 13, 14)))
    made = found(request(calendar=obon), meter({}))
    assert not {date(2026, 8, 12), date(2026, 8, 13), date(2026, 8, 14)} & set(made.days_used)


@pytest.mark.parametrize("window", [(Decimal(2), Decimal(5)), (Decimal("5.2"), Decimal(2))])
def test_a_window_that_is_not_made_of_half_hours_is_refused(window: tuple[Decimal, Decimal]) -> None:
    with pytest.raises(ConfigError):
        baseline(request(window_h=window), meter({}))


def test_an_event_without_slots_and_a_meter_in_kw_are_refused() -> None:
    with pytest.raises(DataError):
        BaselineRequest(start=Slot.of(WEDNESDAY, 33), end=Slot.of(WEDNESDAY, 33))
    with pytest.raises(DataError):
        baseline(request(), Series(Grid(jst_midnight(FIRST), 48), np.ones(48), Unit.KW))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), later=st.integers(0, 10_000), adjustment=st.sampled_from(Adjustment))
def test_nothing_after_the_event_changes_its_baseline(seed: int, later: int, adjustment: Adjustment) -> None:
    told = request(adjustment=adjustment)
    values = np.random.default_rng(seed).uniform(0, 300, DAYS * 48)
    cut = (told.end.start - jst_midnight(FIRST)) // timedelta(minutes=30)
    grid = Grid(jst_midnight(FIRST), DAYS * 48)
    before = baseline(told, Series(grid, values, Unit.KWH))
    changed = values.copy()
    changed[cut:] = np.random.default_rng(later).uniform(0, 300, len(changed) - cut)
    changed[cut + later % 40] = np.nan
    more_events = frozenset({*told.event_days, WEDNESDAY, WEDNESDAY + timedelta(days=1)})
    assert baseline(replace(told, event_days=more_events), Series(grid, changed, Unit.KWH)) == before
    shorter = Series(Grid(grid.start, cut), values[:cut], Unit.KWH)
    assert baseline(told, shorter) == before


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000), share=st.floats(0.05, 0.95))
def test_two_meters_add_up_where_they_use_the_same_days(seed: int, share: float) -> None:
    values = np.round(np.random.default_rng(seed).uniform(50, 60, DAYS * 48), 3)
    part = np.round(values * share, 3)
    grid = Grid(jst_midnight(FIRST), DAYS * 48)
    whole, one, other = (
        baseline(request(), Series(grid, each, Unit.KWH)) for each in (values, part, values - part)
    )
    assert isinstance(whole, Baseline)
    assert isinstance(one, Baseline)
    assert isinstance(other, Baseline)
    if whole.days_used == one.days_used == other.days_used:
        assert abs(one.reduction_kwh + other.reduction_kwh - whole.reduction_kwh) < Decimal("1e-6")


def test_the_error_on_ordinary_days_is_zero_for_a_load_without_chance_and_large_for_one_with() -> None:
    def told(day: date) -> BaselineRequest:
        return request(day, adjustment=Adjustment.NONE, event_days=frozenset())

    days = [date(2026, 8, day) for day in range(10, 29)]
    exact = baseline_error(told, days, meter({}))
    assert exact.rrmse == 0
    assert len(exact.days) == 19
    noisy = np.random.default_rng(1).uniform(0, 200, DAYS * 48)
    rough = baseline_error(told, days, Series(Grid(jst_midnight(FIRST), DAYS * 48), noisy, Unit.KWH))
    assert rough.rrmse is not None
    assert rough.rrmse > 0.4
    none = baseline_error(told, [date(2026, 7, 2)], meter({}))
    assert (none.rrmse, none.unavailable) == (None, (date(2026, 7, 2),))


def test_an_ordinary_adjustment_raises_no_alarm() -> None:
    days = [date(2026, 8, day) for day in (18, 14, 13, 12, 10)]
    series = meter({}, window={**dict.fromkeys(days, 158.0), WEDNESDAY: 162.0})
    assert gaming_flag(found(request(), series), WEDNESDAY) is None
    quiet = found(request(adjustment=Adjustment.NONE), series)
    assert gaming_flag(quiet, WEDNESDAY) is None
