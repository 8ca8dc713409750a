"""What is imported is what the file says; what is exported comes back; order and repeats do not matter."""

from __future__ import annotations

import random
import tempfile
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.series import Grid, Unit
from energy.core.units import SeriesId
from energy.store import SqlStore, open_store
from vpp.ingest import ImportKind, MeterMapping, export_series, import_file, parse_mapping
from vpp.ingest.times import WallClock, parse_stamp

SERIES = SeriesId("kitakata/meter/import_kwh")
NOW = datetime(2026, 11, 22, tzinfo=UTC)
START = datetime(2026, 10, 1, tzinfo=UTC)
HALF = timedelta(minutes=30)
ZONES = ["Asia/Tokyo", "Europe/Berlin", "America/New_York", "Australia/Adelaide", "America/St_Johns"]

energies = st.dictionaries(
    st.integers(min_value=0, max_value=200),
    st.floats(min_value=0, max_value=1e6, allow_nan=False),
    min_size=1,
    max_size=40,
)
fixed = settings(derandomize=True, deadline=None, max_examples=40)


def load(store: SqlStore, folder: str, rows: list[tuple[int, float]], known_at: datetime = NOW) -> object:
    path = Path(folder) / "m.csv"
    lines = [f"{(START + (k + 1) * HALF).isoformat()},{value!r}" for k, value in rows]
    path.write_text("\n".join(["timestamp,kwh", *lines, ""]))
    return import_file(
        path, ImportKind.METER, store=store, known_at=known_at, mapping=MeterMapping(series=SERIES)
    )


def contents(store: SqlStore, at: datetime = NOW) -> dict[int, float | None]:
    values = store.as_of(at).values(SERIES, START, START + 300 * HALF)
    return {(stored.at - START) // HALF: stored.value for stored in values}


@fixed
@given(energies, st.integers())
def test_the_store_holds_what_the_file_says_in_any_order_with_repeats(
    values: dict[int, float], seed: int
) -> None:
    shuffled = list(values.items()) * 2
    random.Random(seed).shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store("sqlite://", durability="process")
        report = load(store, folder, shuffled)
        assert contents(store) == values
        assert (report.written, report.duplicates) == (len(values), len(values))
        missing = sum((end - start) // HALF for start, end in report.gaps)
        assert missing == max(values) - min(values) + 1 - len(values)
        store.close()


few = st.dictionaries(st.integers(0, 4), st.sampled_from([0.0, 1.0, 2.5]), min_size=1, max_size=5)


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.lists(few, min_size=1, max_size=3), st.lists(st.integers(0, 2), min_size=1, max_size=6))
def test_after_any_sequence_of_files_the_newest_word_counts_and_the_past_is_untouched(
    pool: list[dict[int, float]], order: list[int]
) -> None:
    files = [pool[index % len(pool)] for index in order]
    with tempfile.TemporaryDirectory() as folder:
        store = open_store("sqlite://", durability="process")
        expected: dict[int, float] = {}
        history: list[tuple[datetime, dict[int, float]]] = []
        seen: set[str] = set()
        for number, values in enumerate(files):
            at = NOW + number * HALF
            report = load(store, folder, list(values.items()), at)
            if str(values) not in seen:  # a file that comes again must not undo a correction
                expected |= values
            seen.add(str(values))
            total = report.written + report.corrected + report.unchanged + report.superseded
            assert total == len(values)
            history.append((at, dict(expected)))
        # Values that only later files bring count as known since their half hour ended, also in the past.
        for at, then in history:
            assert {k: v for k, v in contents(store, at).items() if k in then} == then
        assert contents(store, NOW + 10 * HALF) == expected
        store.close()


@fixed
@given(energies, st.sampled_from(ZONES))
def test_an_exported_series_comes_back_exactly(values: dict[int, float], zone: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second = (open_store("sqlite://", durability="process") for _ in range(2))
        load(first, folder, list(values.items()))
        out = Path(folder) / "out.csv"
        grid = Grid(START, 201)
        report = export_series(first.as_of(NOW), [SERIES], grid, out, zone=ZoneInfo(zone))
        assert report.missing == 201 - len(values)
        column = {SERIES: {"series": SERIES, "unit": Unit.KWH}}
        mapping = parse_mapping(ImportKind.TABLE, {"time_column": "start", "columns": column})
        import_file(out, ImportKind.TABLE, store=second, known_at=NOW, mapping=mapping)
        assert contents(second) == contents(first) == values
        first.close()
        second.close()


@settings(derandomize=True, deadline=None, max_examples=300)
@given(
    st.sampled_from(ZONES),
    st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2030, 1, 1)),  # noqa: DTZ001
)
def test_local_times_of_a_day_in_order_are_read_back_as_the_same_instants(name: str, naive: datetime) -> None:
    zone = ZoneInfo(name)
    start = naive.replace(tzinfo=UTC, minute=0, second=0, microsecond=0)
    instants = [start + k * HALF for k in range(60)]
    clock = WallClock(zone)
    # One row before, so that the reader knows on which side of a repeated hour it begins.
    clock.instant("time", start - HALF)
    found = [
        clock.instant("time", parse_stamp("time", f"{instant.astimezone(zone):%Y-%m-%d %H:%M}"))
        for instant in instants
    ]
    assert all(later - earlier >= timedelta(0) for earlier, later in pairwise(found))
    assert found == instants
