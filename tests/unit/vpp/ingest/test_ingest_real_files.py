"""The importers on files as published; VPP_DATA_DIR names their folder, without it these tests skip."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from energy.core.errors import DataError
from energy.core.series import Grid, Unit
from energy.core.slots import Slot, jst_midnight
from energy.core.units import SeriesId
from energy.store import SqlStore, open_store
from vpp.ingest import AreaDemandMapping, ImportKind, import_file, parse_mapping

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOHOKU = SeriesId("jepx/tohoku/spot_yen_per_kwh")


@pytest.fixture(scope="module")
def folder() -> Path:
    named = os.environ.get("VPP_DATA_DIR")
    if not named:
        pytest.skip("VPP_DATA_DIR does not name the folder of published files")
    return Path(named)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = open_store("sqlite://", durability="process")
    yield opened
    opened.close()


def test_the_spot_file_of_2021_has_a_whole_year_and_4320_blank_rows(store: SqlStore, folder: Path) -> None:
    path = folder / "jepx" / "native_cp932" / "spot_summary_2021.csv"
    report = import_file(path, ImportKind.JEPX_SPOT, store=store, known_at=NOW)
    assert (report.rows_read, report.rows_blank, report.duplicates) == (17_520, 4_320, 0)
    assert (report.written, report.gaps) == (35_040, ())
    assert (report.first, report.last) == (jst_midnight(date(2021, 1, 1)), jst_midnight(date(2022, 1, 1)))
    grid = Grid(report.first, 17_520)
    prices = store.as_of(NOW).series(TOHOKU, grid, Unit.YEN_PER_KWH).values
    assert prices[0] == 50.0
    assert prices.max() == 252.0  # the crisis of January 2021
    assert prices.min() == 0.01
    again = import_file(path, ImportKind.JEPX_SPOT, store=store, known_at=NOW + timedelta(days=1))
    assert (again.written, again.corrected, again.unchanged) == (0, 0, 35_040)


@pytest.mark.parametrize(("year", "hours"), [(2016, 6_600), (2020, 8_784), (2021, 8_760), (2022, 6_600)])
def test_area_demand_of_a_year_has_every_hour(store: SqlStore, folder: Path, year: int, hours: int) -> None:
    path = folder / "tepco_area" / f"juyo-{year}.csv"
    report = import_file(path, ImportKind.AREA_DEMAND, store=store, known_at=NOW)
    assert (report.rows_read, report.written, report.gaps, report.duplicates) == (hours, hours, (), 0)
    peak = max(
        stored.value or 0.0
        for stored in store.as_of(NOW).values(SeriesId("area/tokyo/demand_kw"), report.first, report.last)
    )
    assert 45e6 < peak < 65e6  # 45 to 65 GW: the size of that area


def test_area_demand_read_as_utf_8_names_cp932(store: SqlStore, folder: Path) -> None:
    with pytest.raises(DataError) as caught:
        import_file(
            folder / "tepco_area" / "juyo-2016.csv",
            ImportKind.AREA_DEMAND,
            store=store,
            known_at=NOW,
            mapping=AreaDemandMapping(encoding="utf-8"),
        )
    assert caught.value.details["likely"] == "cp932"


def test_a_household_in_parquet_has_nulls_that_become_gaps(store: SqlStore, folder: Path) -> None:
    mapping = parse_mapping(
        ImportKind.TABLE,
        {
            "time_column": "timestamp_utc",
            "zone": "UTC",
            "columns": {
                "load_w": {"series": "home/meter/load_kw", "unit": "kW", "scale": 0.001, "lowest": 0},
                "pv_w": {"series": "home/pv/generation_kw", "unit": "kW", "scale": 0.001},
            },
        },
    )
    path = folder / "household" / "fr_household_30min_20240228_20241130.parquet"
    report = import_file(path, ImportKind.TABLE, store=store, known_at=NOW, mapping=mapping)
    assert report.rows_read == 13_254
    assert report.first == Slot(datetime(2024, 2, 28, 21, 0, tzinfo=UTC)).start
    assert report.written < 2 * report.rows_read
    assert report.gaps  # the inverter sleeps at night


def test_a_year_written_0014_stops_the_file_and_says_so(store: SqlStore, folder: Path) -> None:
    mapping = parse_mapping(
        ImportKind.TABLE,
        {
            "time_column": "created",
            "step_minutes": 1,
            "columns": {"kwhTotal": {"series": "work/ev/session_kwh", "unit": "kWh"}},
        },
    )
    path = folder / "ev" / "asensio_workplace_sessions_part.csv"
    with pytest.raises(DataError, match="year 14 cannot be right") as caught:
        import_file(path, ImportKind.TABLE, store=store, known_at=NOW, mapping=mapping)
    assert caught.value.details["line"] == 2


def test_clouds_above_100_percent_are_named(store: SqlStore, folder: Path) -> None:
    mapping = parse_mapping(
        ImportKind.TABLE,
        {
            "time_column": "index",
            "zone": "UTC",
            "step_minutes": 15,
            "columns": {
                "clouds": {"series": "nl/weather/clouds_percent", "unit": "%", "lowest": 0, "highest": 100}
            },
        },
    )
    path = folder / "load_nwp" / "openstef_pid_287.csv.gz"
    with pytest.raises(DataError, match="above the highest value"):
        import_file(path, ImportKind.TABLE, store=store, known_at=NOW, mapping=mapping)
