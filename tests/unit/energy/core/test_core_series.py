"""Series combine on one grid and in one unit, or say why not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from energy.core.errors import AlignmentError, GapError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import Slot

START = datetime(2026, 11, 22, 0, 0, tzinfo=UTC)
NAN = float("nan")


def make(
    values: list[float], *, unit: Unit = Unit.KWH, step_min: int = 30, start: datetime = START
) -> Series:
    return Series(Grid(start, len(values), timedelta(minutes=step_min)), np.array(values), unit)


def test_series_on_one_grid_add_and_subtract() -> None:
    assert (make([1, 2]) + make([3, 4])).values.tolist() == [4, 6]
    assert (make([1, 2]) - make([3, 4])).values.tolist() == [-2, -2]
    assert (-make([1, 2])).scaled(2).values.tolist() == [-2, -4]


@pytest.mark.parametrize(
    "other",
    [
        make([1, 2, 3]),
        make([1, 2], step_min=60),
        make([1, 2], start=START + timedelta(minutes=30)),
        make([1, 2], unit=Unit.KW),
    ],
    ids=["length", "step", "start", "unit"],
)
def test_series_that_do_not_match_are_never_aligned_silently(other: Series) -> None:
    with pytest.raises(AlignmentError):
        make([1, 2]) + other
    with pytest.raises(AlignmentError):
        make([1, 2]) - other


def test_a_sum_is_known_when_its_later_part_is_and_unknown_if_one_part_is() -> None:
    early, late = START + timedelta(hours=1), START + timedelta(hours=2)
    one, two = (Series(Grid(START, 1), np.ones(1), Unit.KW, known) for known in (early, late))
    assert (one + two).known_at == late
    assert (one + make([1], unit=Unit.KW)).known_at is None


def test_values_cannot_be_changed_and_are_copied() -> None:
    source = np.array([1.0, 2.0])
    series = Series(Grid(START, 2), source, Unit.KW)
    source[0] = 9.0
    assert series.values[0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        series.values[0] = 9.0


def test_values_must_fit_their_grid() -> None:
    with pytest.raises(AlignmentError, match="do not fit"):
        Series(Grid(START, 3), np.ones(2), Unit.KW)


def test_a_stretch_is_cut_on_whole_intervals_only() -> None:
    series = make([1, 2, 3, 4])
    cut = series.between(START + timedelta(minutes=30), START + timedelta(minutes=90))
    assert (cut.values.tolist(), cut.grid.start) == ([2, 3], START + timedelta(minutes=30))
    for start, end in ((10, 60), (0, 70), (-30, 60), (0, 150), (60, 30)):
        with pytest.raises(AlignmentError):
            series.between(START + timedelta(minutes=start), START + timedelta(minutes=end))


def test_gaps_are_named_as_stretches_and_a_complete_series_is_given_back() -> None:
    series = make([NAN, 1, NAN, NAN, 1, NAN])
    minutes = [
        ((start - START) // timedelta(minutes=1), (end - START) // timedelta(minutes=1))
        for start, end in series.missing()
    ]
    assert minutes == [(0, 30), (60, 120), (150, 180)]
    with pytest.raises(GapError, match=r"load has 3 gap\(s\)") as caught:
        series.require_complete("load")
    assert caught.value.details["missing"] == 4
    whole = make([1, 2])
    assert whole.missing() == []
    assert whole.require_complete("load") is whole


@pytest.mark.parametrize(
    ("series", "expected"),
    [
        (make([1, 2, 3, 4], step_min=15), [3, 7]),
        (make([1, 2, 3, 4], step_min=15, unit=Unit.KW), [1.5, 3.5]),
        (make([1, NAN, 3, 4], step_min=15), [NAN, 7]),
        (make([6], step_min=60), [3, 3]),
        (make([6], step_min=60, unit=Unit.KW), [6, 6]),
        (make([1, 2]), [1, 2]),
        (make([1, 2, 3], step_min=15), [3]),
    ],
    ids=["kWh summed", "kW averaged", "gap kept", "kWh shared", "kW held", "slots", "tail dropped"],
)
def test_resampling_to_slots_keeps_the_energy(series: Series, expected: list[float]) -> None:
    slots = series.to_slots()
    np.testing.assert_array_equal(slots.values, expected)
    assert slots.grid.step == timedelta(minutes=30)


def test_a_grid_that_cuts_slots_cannot_become_slots() -> None:
    with pytest.raises(AlignmentError):
        make([1], step_min=20).to_slots()
    with pytest.raises(AlignmentError):
        make([1, 2], step_min=15, start=START + timedelta(minutes=15)).to_slots()


def test_a_grid_knows_its_intervals() -> None:
    grid = Grid(START, 3, timedelta(minutes=15))
    assert (grid.end, grid.hours) == (START + timedelta(minutes=45), 0.25)
    assert grid.times() == [START, START + timedelta(minutes=15), START + timedelta(minutes=30)]
    assert grid.index(START + timedelta(minutes=29)) == 1
    for outside in (START - timedelta(seconds=1), grid.end):
        with pytest.raises(IndexError):
            grid.index(outside)
    with pytest.raises(AlignmentError, match="not a grid of slots"):
        grid.slots()
    assert list(Grid(START, 2).slots()) == [Slot(START), Slot(START).shifted(1)]


def test_a_grid_between_two_instants_has_the_whole_intervals() -> None:
    assert Grid.between(START, START + timedelta(minutes=89)).count == 2
    assert Grid.between(START, START - timedelta(hours=1)).count == 0
    for count, step in ((-1, timedelta(minutes=30)), (1, timedelta(0))):
        with pytest.raises(ValueError, match="a grid needs"):
            Grid(START, count, step)
    with pytest.raises(ValueError, match="naive"):
        Grid(START.replace(tzinfo=None), 1)
