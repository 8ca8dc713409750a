"""Series and transactions: what every store keeps to, on SQLite and on PostgreSQL (VPP_TEST_POSTGRES_URL)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from energy.core.errors import AlignmentError, DataError
from energy.core.measurement import Quality
from energy.core.series import Grid, Series, Unit
from energy.core.slots import JST, SLOT_LENGTH
from energy.core.units import SeriesId
from energy.store import (
    AppendReport,
    Point,
    SqlStore,
    Store,
    StoredValue,
    open_store,
    points_of,
)
from tests.contract.store_backends import ALL, LATER, LOAD, NOON, SHARED, database, point, row, slot


@pytest.fixture(params=ALL)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SqlStore]:
    with database(request.param, tmp_path) as url, open_store(url, durability="process") as opened:
        yield opened


@pytest.fixture(params=SHARED)
def shared_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with database(request.param, tmp_path) as url:
        yield url


# Series


def test_a_sql_store_is_a_store(store: Store) -> None:
    assert store.append([]) == AppendReport(0, 0)


def test_what_is_appended_is_read_back_exactly(store: Store) -> None:
    instant = NOON.astimezone(JST) + timedelta(microseconds=123457)
    store.append([point(instant, 0.1 + 0.2, known_at=instant + timedelta(microseconds=1))])
    utc = NOON + timedelta(microseconds=123457)
    assert store.as_of(LATER).values(LOAD, NOON, LATER) == [
        StoredValue(utc, utc + timedelta(microseconds=1), 0.1 + 0.2, Quality.GOOD, "meter:site")
    ]


def test_a_series_is_nan_where_nothing_is_known(store: Store) -> None:
    store.append([point(slot(0), 1.0), point(slot(2), 3.0), point(slot(3), 4.0)])
    series = store.as_of(LATER).series(LOAD, Grid(slot(-1), 5), Unit.KWH)
    np.testing.assert_array_equal(series.values, [np.nan, 1.0, np.nan, 3.0, 4.0])
    assert series.unit is Unit.KWH
    assert series.known_at == slot(3)
    assert store.as_of(LATER).gaps(LOAD, Grid(slot(-1), 5)) == [(slot(-1), slot(0)), (slot(1), slot(2))]


def test_a_series_nobody_has_heard_of_is_all_gap(store: Store) -> None:
    snapshot = store.as_of(LATER)
    series = snapshot.series(SeriesId("no/such/series_kw"), Grid(NOON, 3), Unit.KW)
    assert np.isnan(series.values).all()
    assert series.known_at is None
    assert snapshot.gaps(SeriesId("no/such/series_kw"), Grid(NOON, 3)) == [(slot(0), slot(3))]
    assert snapshot.latest(SeriesId("no/such/series_kw")) is None
    assert snapshot.span(SeriesId("no/such/series_kw")) is None


@pytest.mark.parametrize(
    ("quality", "shows"),
    [
        (Quality.GOOD, True),
        (Quality.ESTIMATED, True),
        (Quality.CLAMPED, True),
        (Quality.STALE, False),
        (Quality.INVALID, False),
    ],
)
def test_stale_and_invalid_values_do_not_enter_a_series(store: Store, quality: Quality, shows: bool) -> None:
    store.append([point(value=7.0, quality=quality)])
    series = store.as_of(LATER).series(LOAD, Grid(NOON, 1), Unit.KWH)
    assert np.isnan(series.values[0]) != shows
    assert series.known_at == (NOON if shows else None)
    latest = store.as_of(LATER).latest(LOAD)
    assert latest == StoredValue(NOON, NOON, 7.0, quality, "meter:site")


def test_a_correction_is_seen_from_the_moment_it_was_known(store: Store) -> None:
    corrected = NOON + timedelta(hours=5)
    store.append([point(value=1.0), point(value=2.0, known_at=corrected)])
    grid = Grid(NOON, 1)
    before = store.as_of(corrected - timedelta(microseconds=1)).series(LOAD, grid, Unit.KWH)
    after = store.as_of(corrected).series(LOAD, grid, Unit.KWH)
    assert (before.values[0], before.known_at) == (1.0, NOON)
    assert (after.values[0], after.known_at) == (2.0, corrected)


def test_a_value_withdrawn_as_invalid_is_gone_and_the_old_one_does_not_come_back(store: Store) -> None:
    store.append([point(value=1.0)])
    store.append([point(value=None, known_at=slot(1), quality=Quality.INVALID)])
    assert np.isnan(store.as_of(LATER).series(LOAD, Grid(NOON, 1), Unit.KWH).values[0])
    assert store.as_of(slot(0)).series(LOAD, Grid(NOON, 1), Unit.KWH).values[0] == 1.0


def test_a_forecast_of_tomorrow_known_today_is_visible_today(store: Store) -> None:
    store.append([point(LATER, 5.0, known_at=NOON)])
    assert store.as_of(NOON).series(LOAD, Grid(LATER, 1), Unit.KWH).values[0] == 5.0


def test_values_between_the_starts_of_a_grid_are_refused_not_dropped(store: Store) -> None:
    store.append([point(NOON + timedelta(minutes=5), 1.0)])
    snapshot = store.as_of(LATER)
    with pytest.raises(AlignmentError, match="between the starts") as caught:
        snapshot.series(LOAD, Grid(NOON, 2), Unit.KWH)
    assert "03:05" in caught.value.where
    five = snapshot.series(LOAD, Grid(NOON, 6, timedelta(minutes=5)), Unit.KWH)
    assert five.values[1] == 1.0


def test_the_latest_value_is_by_time_of_the_value_not_of_learning(store: Store) -> None:
    store.append([point(slot(0), 1.0, known_at=slot(9)), point(slot(1), 2.0, known_at=slot(2))])
    latest, earlier = store.as_of(LATER).latest(LOAD), store.as_of(LATER).latest(LOAD, before=slot(1))
    assert latest is not None
    assert (latest.at, latest.value) == (slot(1), 2.0)
    assert earlier is not None
    assert earlier.at == slot(0)
    assert store.as_of(LATER).latest(LOAD, before=slot(0)) is None


def test_span_covers_only_what_is_known(store: Store) -> None:
    store.append([point(slot(k), 1.0) for k in range(5)])
    assert store.as_of(LATER).span(LOAD) == (slot(0), slot(4))
    assert store.as_of(slot(2)).span(LOAD) == (slot(0), slot(2))


def test_ids_are_those_known_with_the_exact_prefix(store: Store) -> None:
    names = [SeriesId(name) for name in ("a_b/x/p_kw", "aXb/x/p_kw", "A_b/x/p_kw", "a_b/y/p_kw")]
    store.append([point(series=name) for name in names])
    store.append([point(series=SeriesId("a_b/z/p_kw"), known_at=LATER)])
    assert store.as_of(NOON).ids("a_b/") == ["a_b/x/p_kw", "a_b/y/p_kw"]
    assert store.as_of(LATER).ids() == sorted([*names, SeriesId("a_b/z/p_kw")])


def test_a_whole_series_goes_in_and_comes_out(store: Store) -> None:
    grid = Grid(NOON, 3)
    series = Series(grid, np.array([1.0, np.nan, 3.0]), Unit.KWH)
    points = points_of(LOAD, series, known_at=lambda at: at + SLOT_LENGTH, source="import")
    assert store.append(points) == AppendReport(written=2, unchanged=0)
    back = store.as_of(LATER).series(LOAD, grid, Unit.KWH)
    np.testing.assert_array_equal(back.values, series.values)
    assert back.known_at == slot(3)
    assert store.as_of(slot(2)).series(LOAD, grid, Unit.KWH).known_at == slot(1)


# Append-only


def test_the_same_points_again_change_nothing(store: Store) -> None:
    points = [point(slot(k), float(k)) for k in range(1200)]  # more than one query's worth
    assert store.append(points) == AppendReport(written=1200, unchanged=0)
    assert store.append([*points, point(slot(1200))]) == AppendReport(written=1, unchanged=1200)
    assert store.append([points[0], points[0]]) == AppendReport(written=0, unchanged=2)


@pytest.mark.parametrize(
    "other",
    [
        point(slot(1), 9.0),
        point(slot(1), None),
        point(slot(1), 1.5, quality=Quality.ESTIMATED),
        point(slot(1), 1.5, source="import:other.csv"),
    ],
    ids=["value", "no value", "quality", "source"],
)
def test_another_content_under_the_same_key_is_refused_and_nothing_is_written(
    store: Store, other: Point
) -> None:
    store.append([point(slot(1), 1.5)])
    with pytest.raises(DataError, match="two different values") as caught:
        store.append([point(slot(0)), other, point(slot(2), series=SeriesId("new/one/p_kw"))])
    assert LOAD in caught.value.what
    assert store.as_of(LATER).span(LOAD) == (slot(1), slot(1))
    assert store.as_of(LATER).ids() == [LOAD]
    # The name that was taken back with the rest is made again when it is needed.
    assert store.append([point(series=SeriesId("new/one/p_kw"))]).written == 1
    assert store.as_of(LATER).ids("new") == ["new/one/p_kw"]


def test_two_contents_under_one_key_in_one_call_are_refused(store: Store) -> None:
    with pytest.raises(DataError, match="two different values"):
        store.append([point(value=1.0), point(value=2.0)])
    assert store.as_of(LATER).ids() == []


def test_points_that_fail_half_way_leave_nothing(store: Store) -> None:
    def broken() -> Iterator[Point]:
        yield point()
        msg = "the file ends here"
        raise OSError(msg)

    with pytest.raises(OSError, match="ends here"):
        store.append(broken())
    assert store.as_of(LATER).ids() == []


# Transactions


def test_a_transaction_writes_all_kinds_at_once_or_not_at_all(store: Store) -> None:
    def write_everything() -> None:
        store.append([point()])
        store.put_document("plan", "kitakata", known_at=NOON, body="{}")
        store.audit("operator", "plan.approve", "kitakata", at=NOON, facts={})
        store.journal.append(row(1, "k", ("a", 1), ("b", -1)))

    def interrupted() -> None:
        with store.transaction():
            write_everything()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    snapshot = store.as_of(LATER)
    assert (snapshot.ids(), snapshot.document("plan", "kitakata")) == ([], None)
    assert (store.audit_trail(), store.journal.head()) == ([], None)

    with store.transaction():
        write_everything()
    assert snapshot.ids() == [LOAD]
    assert snapshot.document("plan", "kitakata") is not None
    assert (len(store.audit_trail()), store.journal.balance("a")) == (1, 1)


def test_an_inner_transaction_that_fails_takes_only_its_own_writes_back(store: Store) -> None:
    def fail() -> None:
        with store.transaction():
            store.append([point(slot(1))])
            store.append([point(slot(0), 99.0)])

    with store.transaction():
        store.append([point(slot(0))])
        with pytest.raises(DataError, match="two different values"):
            fail()
        store.append([point(slot(2))])
    assert [value.at for value in store.as_of(LATER).values(LOAD, NOON, LATER)] == [slot(0), slot(2)]


def test_a_transaction_sees_its_own_writes(store: Store) -> None:
    with store.transaction():
        store.append([point()])
        assert store.as_of(LATER).span(LOAD) == (NOON, NOON)


def test_other_threads_see_a_transaction_only_when_it_is_over(shared_url: str) -> None:
    seen: list[list[SeriesId]] = []

    with open_store(shared_url) as shared:

        def look() -> None:
            seen.append(shared.as_of(LATER).ids())

        with shared.transaction():
            shared.append([point()])
            in_thread(look)
        in_thread(look)
    assert seen == [[], [LOAD]]


def in_thread(act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act)
    thread.start()
    thread.join()


def test_threads_that_write_together_lose_nothing(store: Store) -> None:
    failures: list[BaseException] = []

    def write(worker: int) -> None:
        try:
            for k in range(10):
                shared = point(slot(k), series=SeriesId("shared/x/p_kw"))
                with store.transaction():
                    store.append([point(slot(k), series=SeriesId(f"own/{worker}/p_kw")), shared])
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    snapshot = store.as_of(LATER)
    assert {name: len(snapshot.values(name, NOON, LATER)) for name in snapshot.ids()} == {
        "shared/x/p_kw": 10,
        **{f"own/{worker}/p_kw": 10 for worker in range(4)},
    }


def test_two_stores_on_one_database_share_it(shared_url: str) -> None:
    with open_store(shared_url) as one, open_store(shared_url) as other:
        one.append([point(slot(0))])
        assert other.append([point(slot(0)), point(slot(1))]) == AppendReport(written=1, unchanged=1)
        assert one.as_of(LATER).span(LOAD) == (slot(0), slot(1))
