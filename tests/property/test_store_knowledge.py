"""Whatever is appended in whatever order: the store equals a dictionary that obeys time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.measurement import Quality
from energy.core.series import Grid, Unit
from energy.core.slots import SLOT_LENGTH
from energy.core.units import SeriesId
from energy.store import AppendReport, Point, open_store

START = datetime(2026, 1, 1, tzinfo=UTC)
GRID = Grid(START, 8)
NAMES = (SeriesId("a/b/x_kw"), SeriesId("a/b/y_kw"))
instants = st.integers(-3, 12).map(lambda k: START + k * SLOT_LENGTH)


@st.composite
def points(draw: st.DrawFn) -> list[Point]:
    """Points with different keys."""
    keys = draw(st.sets(st.tuples(st.sampled_from(NAMES), st.integers(0, 7), instants), max_size=30))
    return [
        Point(
            series=series,
            at=GRID.time(k),
            known_at=known_at,
            value=draw(st.none() | st.floats(-1e6, 1e6)),
            quality=draw(st.sampled_from(Quality)),
            source=draw(st.sampled_from(("meter", "import"))),
        )
        for series, k, known_at in sorted(keys)
    ]


def expected(
    known: Sequence[Point], series: SeriesId, instant: datetime
) -> tuple[list[float], datetime | None]:
    """Values of the grid and the time of the newest, by the definition and without a database."""
    values, newest = [], None
    for at in GRID.times():
        versions = [p for p in known if p.series == series and p.at == at and p.known_at <= instant]
        last = max(versions, key=lambda p: p.known_at, default=None)
        usable = last is not None and last.quality not in (Quality.STALE, Quality.INVALID)
        if last is None or last.value is None or not usable:
            values.append(np.nan)
        else:
            values.append(last.value)
            newest = last.known_at if newest is None else max(newest, last.known_at)
    return values, newest


@given(known=points(), instant=instants)
@settings(max_examples=60)
def test_as_of_is_the_newest_version_known_then(known: list[Point], instant: datetime) -> None:
    with open_store("sqlite://") as store:
        store.append(known)
        for series in NAMES:
            values, newest = expected(known, series, instant)
            found = store.as_of(instant).series(series, GRID, Unit.KW)
            np.testing.assert_array_equal(found.values, values)
            assert found.known_at == newest


@given(known=points(), instant=instants)
@settings(max_examples=60)
def test_nothing_learned_later_changes_any_answer(known: list[Point], instant: datetime) -> None:
    past = [point for point in known if point.known_at <= instant]
    with open_store("sqlite://") as knows_all, open_store("sqlite://") as knows_past:
        knows_all.append(known)
        knows_past.append(past)
        one, other = knows_all.as_of(instant), knows_past.as_of(instant)
        assert one.ids() == other.ids()
        for series in NAMES:
            assert one.latest(series) == other.latest(series)
            assert one.span(series) == other.span(series)
            assert one.gaps(series, GRID) == other.gaps(series, GRID)
            stretch = GRID.start, GRID.end
            assert one.values(series, *stretch) == other.values(series, *stretch)
            assert all(value.known_at <= instant for value in one.values(series, *stretch))


@given(known=points(), data=st.data())
@settings(max_examples=60)
def test_neither_order_nor_repetition_of_appends_matters(known: list[Point], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(known))
    cut = data.draw(st.integers(0, len(known)))
    again = data.draw(st.lists(st.sampled_from(known), max_size=10)) if known else []
    with open_store("sqlite://") as once, open_store("sqlite://") as often:
        assert once.append(known) == AppendReport(len(known), 0)
        written = often.append(shuffled[:cut]).written + often.append([*shuffled[cut:], *again]).written
        assert written == len(known)
        assert often.append(known) == AppendReport(0, len(known))
        end = START + timedelta(days=9)
        for series in NAMES:
            assert once.as_of(end).values(series, START, end) == often.as_of(end).values(series, START, end)
