"""A series on a screen: no peak is lost, gaps stay gaps, a long stretch is said by day."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from energy.core.slots import parse_jst
from energy.core.units import series_id
from energy.store import Point, Store, open_store
from vpp.views.explore import _READ_AT_ONCE, Stretch, read_days, read_stretch, read_thinned, thinned

START = parse_jst("2026-08-05")
NAME = series_id("kitakata", "meter", "power_kw")
MINUTE = timedelta(minutes=1)


def stretch(values: np.ndarray) -> Stretch:
    since = START.timestamp()
    return Stretch(since + 60.0 * np.arange(len(values), dtype=np.float64), values.astype(float), MINUTE)


@given(
    values=arrays(
        np.float64, st.integers(1, 400), elements=st.one_of(st.floats(-1e6, 1e6), st.just(float("nan")))
    ),
    most=st.integers(4, 60),
)
def test_thinning_keeps_the_lowest_and_the_highest_in_order(values: np.ndarray, most: int) -> None:
    small = thinned(stretch(values), most)
    assert np.all(np.diff(small.seconds) > 0)
    assert len(small.values) <= max(most + 2, len(values) if len(values) <= most else 0)
    known = values[np.isfinite(values)]
    if len(known):
        assert np.nanmax(small.values) == known.max()
        assert np.nanmin(small.values) == known.min()
    else:
        assert not np.isfinite(small.values).any()


def test_a_long_gap_is_still_a_gap_when_it_is_thinned() -> None:
    values = np.ones(1000)
    values[300:700] = np.nan
    small = thinned(stretch(values), 50)
    inside = (small.seconds > stretch(values).seconds[330]) & (small.seconds < stretch(values).seconds[670])
    assert inside.any()
    assert np.isnan(small.values[inside]).all()


def written(store: Store, minutes: list[int], step_s: int = 60) -> None:
    store.append(
        Point(
            series=NAME,
            at=START + timedelta(seconds=step_s * k),
            known_at=START + timedelta(seconds=step_s * k),
            value=float(k),
            source="meter",
        )
        for k in minutes
    )


def test_minutes_are_read_as_minutes_with_their_gaps() -> None:
    with open_store("sqlite://") as store:
        written(store, [*range(60), *range(90, 120)])
        told = read_stretch(
            store.as_of(START + timedelta(days=1)), NAME, START, START + 2 * timedelta(hours=1)
        )
    assert told.step == MINUTE
    assert (told.count, told.missing) == (90, 30)
    assert told.values[119] == 119.0


def test_values_that_keep_no_step_are_shown_as_they_came() -> None:
    with open_store("sqlite://") as store:
        written(store, [0, 60, 120, 180, 190, 240], step_s=1)
        told = read_stretch(store.as_of(START + timedelta(days=1)), NAME, START, START + timedelta(hours=1))
    assert told.values.tolist() == [0.0, 60.0, 120.0, 180.0, 190.0, 240.0]


def test_nothing_measured_is_an_empty_stretch() -> None:
    with open_store("sqlite://") as store:
        told = read_stretch(store.as_of(START), NAME, START, START)
        assert (told.count, len(told.values)) == (0, 0)
        assert read_days(store.as_of(START), NAME, START, START) == []


def test_days_of_japan_are_said_in_a_line_each_with_what_is_missing() -> None:
    with open_store("sqlite://", durability="process") as store:
        written(store, [k for k in range(4 * 48) if not 50 <= k < 60 and not 96 <= k < 144], step_s=1800)
        known = store.as_of(START + timedelta(days=9))
        lines = read_days(known, NAME, START, START + timedelta(days=4, hours=1))
    assert [(one.day.isoformat(), one.known, one.missing) for one in lines] == [
        ("2026-08-05", 48, 0),
        ("2026-08-06", 38, 10),
        ("2026-08-07", 0, 48),
        ("2026-08-08", 48, 0),
        ("2026-08-09", 0, 2),
    ]
    assert (lines[0].low, lines[0].mean, lines[0].high) == (0.0, pytest.approx(23.5), 47.0)
    assert (lines[2].low, lines[2].mean, lines[2].high) == (None, None, None)


def test_a_long_stretch_keeps_its_peak_and_its_gaps_and_little_is_read() -> None:
    last = _READ_AT_ONCE + 10_000
    with open_store("sqlite://", durability="process") as store:
        written(store, [k for k in range(last) if not 5_000 <= k < 9_000])
        peak = Point(
            series=NAME,
            at=START + 12_345 * MINUTE,
            known_at=START + 12_346 * MINUTE,
            value=1e6,
            source="correction",
        )
        store.append([peak])
        known = store.as_of(START + timedelta(days=99))
        small = read_thinned(known, NAME, START, START + last * MINUTE, 400)
        zoomed = read_thinned(known, NAME, START, START + 300 * MINUTE, 400)
    assert len(small.values) <= 402
    assert (np.nanmin(small.values), np.nanmax(small.values)) == (0.0, 1e6)
    assert np.all(np.diff(small.seconds) > 0)
    minute = (small.seconds - START.timestamp()) / 60.0
    assert np.isnan(small.values[(minute > 5_200) & (minute < 8_800)]).all()
    assert np.isfinite(small.values[(minute < 4_800) | (minute > 9_200)]).all()
    assert zoomed.values.tolist() == [float(k) for k in range(300)]
