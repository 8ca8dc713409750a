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
from vpp.explore import Stretch, by_day, read_stretch, thinned

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
        assert by_day(told) == []


def test_four_hundred_days_are_said_by_day_of_japan() -> None:
    values = np.arange(400 * 48, dtype=float)
    told = Stretch(
        START.timestamp() + 1800.0 * np.arange(len(values), dtype=np.float64), values, timedelta(minutes=30)
    )
    lines = by_day(told)
    assert len(lines) == 400
    assert (lines[0].day.isoformat(), lines[0].known, lines[0].high) == ("2026-08-05", 48, 47.0)
    assert lines[1].mean == pytest.approx(71.5)
