"""Series to CSV for a spreadsheet, and the list of what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from energy.core.errors import AlignmentError, ConfigError, DataError
from energy.core.series import Grid
from energy.core.slots import parse_jst
from energy.core.units import SeriesId
from energy.store import Point, SqlStore, open_store
from vpp.ingest import SeriesGap, export_series, native_grid, series_gaps

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
START = parse_jst("2026-11-20 00:00")
METER, PRICE, HOURLY = (
    SeriesId(name)
    for name in ("kitakata/meter/import_kwh", "jepx/tohoku/spot_yen_per_kwh", "area/tokyo/demand_kw")
)
GRID = Grid(START, 4)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = open_store("sqlite://", durability="process")
    for series, minutes, values in (
        (METER, 30, [1.0, None, 0.1 + 0.2, 4.0]),
        (PRICE, 30, [10.5, 11.0, 12.25]),
        (HOURLY, 60, [100.0, 200.0]),
    ):
        opened.append(
            Point(series=series, at=at, known_at=at + timedelta(hours=1), value=value, source="test")
            for at, value in ((START + k * timedelta(minutes=minutes), v) for k, v in enumerate(values))
            if value is not None
        )
    yield opened
    opened.close()


def test_a_spreadsheet_gets_offsets_units_in_names_and_empty_cells(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    report = export_series(store.as_of(NOW), [METER, PRICE], GRID, path)
    assert (report.rows, report.missing) == (4, 2)
    data = path.read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    assert data.decode("utf-8-sig").split("\r\n") == [
        f"start,{METER},{PRICE}",
        "2026-11-20T00:00:00+09:00,1.0,10.5",
        "2026-11-20T00:30:00+09:00,,11.0",
        "2026-11-20T01:00:00+09:00,0.30000000000000004,12.25",
        "2026-11-20T01:30:00+09:00,4.0,",
        "",
    ]


def test_an_export_shows_only_what_was_known_then(store: SqlStore, tmp_path: Path) -> None:
    then = store.as_of(START + timedelta(hours=1))
    assert export_series(then, [METER], GRID, tmp_path / "out.csv").missing == 3


def test_an_export_that_cannot_be_made_leaves_the_old_file_alone(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    snapshot = store.as_of(NOW)
    with pytest.raises(AlignmentError):
        export_series(snapshot, [METER], Grid(START, 2, timedelta(hours=1)), path)
    with pytest.raises(ConfigError, match="at least one"):
        export_series(snapshot, [], GRID, path)
    with pytest.raises(ConfigError, match="each once"):
        export_series(snapshot, [METER, METER], GRID, path)
    with pytest.raises(ConfigError, match="does not say its unit"):
        export_series(snapshot, [SeriesId("a/b/strange")], GRID, path)
    with pytest.raises(DataError, match="cannot write"):
        export_series(snapshot, [METER], GRID, tmp_path / "no-folder" / "out.csv")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_native_grid_is_found_from_the_values(store: SqlStore) -> None:
    snapshot = store.as_of(NOW)
    assert native_grid(snapshot, METER) == GRID
    assert native_grid(snapshot, HOURLY) == Grid(START, 2, timedelta(hours=1))
    with pytest.raises(DataError, match="nothing is known"):
        native_grid(snapshot, SeriesId("a/b/c_kw"))


def test_gaps_are_listed_by_series_and_on_the_grid_asked_for(store: SqlStore) -> None:
    snapshot = store.as_of(NOW)
    half = timedelta(minutes=30)
    assert series_gaps(snapshot, [METER, PRICE, HOURLY]) == [SeriesGap(METER, START + half, START + 2 * half)]
    assert series_gaps(snapshot, [PRICE], GRID) == [SeriesGap(PRICE, START + 3 * half, START + 4 * half)]
