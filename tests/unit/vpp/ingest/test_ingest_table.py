"""Any CSV or Parquet file under a mapping: zones, stamps, scales, empty cells, limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from energy.core.errors import ConfigError, DataError
from energy.core.series import Grid, Unit
from energy.core.slots import parse_jst
from energy.core.units import SeriesId
from energy.store import SqlStore, open_store
from vpp.ingest import ImportKind, ImportReport, import_file, parse_mapping, unit_of_series

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
LOAD = SeriesId("home/meter/load_kw")
OUTDOOR = SeriesId("home/weather/outdoor_c")


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = open_store("sqlite://", durability="process")
    yield opened
    opened.close()


def settings(**changes: object) -> dict[str, object]:
    return {
        "time_column": "time",
        "columns": {
            "load_w": {"series": LOAD, "unit": "kW", "scale": 0.001},
            "temp": {"series": OUTDOOR, "unit": "degC", "lowest": -40, "highest": 50},
        },
        **changes,
    }


def load(store: SqlStore, path: Path, **changes: object) -> ImportReport:
    mapping = parse_mapping(ImportKind.TABLE, settings(**changes))
    return import_file(path, ImportKind.TABLE, store=store, known_at=NOW, mapping=mapping)


def write(path: Path, *lines: str, header: str = "time,load_w,temp") -> Path:
    path.write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return path


def values(store: SqlStore, series: SeriesId, start: datetime, count: int, step_min: int = 30) -> list[float]:
    grid = Grid(start, count, timedelta(minutes=step_min))
    return store.as_of(NOW).series(series, grid, unit_of_series(series)).values.tolist()


def test_columns_become_series_in_their_unit(store: SqlStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "2026-11-20 00:00,1500,3.5", "2026-11-20 00:30,2500,-1")
    report = load(store, path)
    assert report.series == (LOAD, OUTDOOR)
    assert report.unit == "kW, degC"
    assert values(store, LOAD, parse_jst("2026-11-20 00:00"), 2) == [1.5, 2.5]
    assert values(store, OUTDOOR, parse_jst("2026-11-20 00:00"), 2) == [3.5, -1.0]


def test_columns_not_in_the_mapping_are_left_alone(store: SqlStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "x,2026-11-20 00:00,9,1500,1", header="id,time,other,load_w,temp")
    assert load(store, path).written == 2


def test_an_empty_cell_is_a_missing_value_and_shows_as_a_gap(store: SqlStore, tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv", *(f"2026-11-20 0{h}:00,{h},{'' if h in (0, 2) else h}" for h in range(4))
    )
    report = load(store, path, step_minutes=60)
    assert report.written == 6
    assert [f"{start.hour}-{end.hour}" for start, end in report.gaps] == ["15-16", "17-18"]


def test_end_stamps_are_moved_to_the_start(store: SqlStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "2026-11-20 00:15,1,1", "2026-11-20 24:00,2,2")
    report = load(store, path, stamp="end", step_minutes=15)
    assert report.first == parse_jst("2026-11-20 00:00")
    assert report.last == parse_jst("2026-11-21 00:00")


def test_a_value_outside_its_limits_is_a_bad_row(store: SqlStore, tmp_path: Path) -> None:
    for bad, word in (("-40.5", "below"), ("2562", "above")):
        with pytest.raises(DataError, match=f"{word} the") as caught:
            load(store, write(tmp_path / "t.csv", f"2026-11-20 00:00,1,{bad}"))
        assert caught.value.details["column"] == "temp"


def test_text_nan_in_csv_is_a_bad_row(store: SqlStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="not a number"):
        load(store, write(tmp_path / "t.csv", "2026-11-20 00:00,NaN,1"))


def test_a_measurement_of_the_future_is_a_bad_row_but_a_forecast_is_not(
    store: SqlStore, tmp_path: Path
) -> None:
    path = write(tmp_path / "t.csv", "2026-11-25 00:00,1,1")
    with pytest.raises(DataError, match="cannot be known before"):
        load(store, path)
    assert load(store, path, known="imported").written == 2
    assert store.as_of(NOW).latest(LOAD).known_at == NOW


def test_a_lag_says_how_long_after_its_end_a_value_is_known(store: SqlStore, tmp_path: Path) -> None:
    load(store, write(tmp_path / "t.csv", "2026-11-20 00:00,1,1"), lag_minutes=90)
    assert store.as_of(NOW).latest(LOAD).known_at == parse_jst("2026-11-20 02:00")


def test_semicolons_own_formats_and_other_zones(store: SqlStore, tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", "01.07.2026 12:00;1000;20", header="time;load_w;temp")
    load(store, path, delimiter=";", time_format="%d.%m.%Y %H:%M", zone="Europe/Berlin")
    assert store.as_of(NOW).latest(LOAD).at == datetime(2026, 7, 1, 10, 0, tzinfo=UTC)


def autumn_night(fold_rows: bool) -> list[str]:
    walls = ["01:30", "02:00", "02:30", *(["02:00", "02:30"] if fold_rows else []), "03:00"]
    return [f"2025-10-26 {wall},{k},1" for k, wall in enumerate(walls)]


def test_a_day_of_50_slots_keeps_all_of_them(store: SqlStore, tmp_path: Path) -> None:
    report = load(store, write(tmp_path / "t.csv", *autumn_night(fold_rows=True)), zone="Europe/Berlin")
    assert (report.written, report.gaps, report.duplicates) == (12, (), 0)
    assert values(store, LOAD, datetime(2025, 10, 25, 23, 30, tzinfo=UTC), 6) == [k / 1000 for k in range(6)]


def test_a_file_that_hides_the_second_hour_shows_it_as_a_gap(store: SqlStore, tmp_path: Path) -> None:
    report = load(store, write(tmp_path / "t.csv", *autumn_night(fold_rows=False)), zone="Europe/Berlin")
    assert report.gaps == (
        (datetime(2025, 10, 26, 1, 0, tzinfo=UTC), datetime(2025, 10, 26, 2, 0, tzinfo=UTC)),
    )


def test_a_day_of_46_slots_has_no_gap_and_the_lost_hour_is_refused(store: SqlStore, tmp_path: Path) -> None:
    spring = ["2026-03-29 01:00,1,1", "2026-03-29 01:30,2,1", "2026-03-29 03:00,3,1"]
    assert load(store, write(tmp_path / "t.csv", *spring), zone="Europe/Berlin").gaps == ()
    with pytest.raises(DataError, match="clocks went forward"):
        load(store, write(tmp_path / "t.csv", *spring, "2026-03-29 02:00,3,1"), zone="Europe/Berlin")


def test_the_same_night_in_japan_has_an_hour_that_says_two_things(store: SqlStore, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="something else than line 3"):
        load(store, write(tmp_path / "t.csv", *autumn_night(fold_rows=True)))


def parquet(path: Path, times: list[object], kind: pa.DataType) -> Path:
    columns = {
        "time": pa.array(times, type=kind),
        "load_w": pa.array([1000.0, None, 3000.0]),
        "temp": pa.array([1.0, float("nan"), 3.0]),
        "name": pa.array(["a", "b", "c"]),
    }
    pq.write_table(pa.table(columns), path)
    return path


UTC_TIMES = [datetime(2026, 11, 20, 0, 30 * k, tzinfo=UTC) for k in range(2)] + [
    datetime(2026, 11, 20, 1, 0, tzinfo=UTC)
]
JAPANESE_TIMES = [datetime(2026, 11, 20, 9, 0), datetime(2026, 11, 20, 9, 30), datetime(2026, 11, 20, 10, 0)]  # noqa: DTZ001


@pytest.mark.parametrize(
    ("times", "kind"),
    [
        (UTC_TIMES, pa.timestamp("us", tz="UTC")),
        (UTC_TIMES, pa.timestamp("ns", tz="UTC")),
        (JAPANESE_TIMES, pa.timestamp("us")),
        (JAPANESE_TIMES, pa.timestamp("ns")),
        (["2026-11-20T00:00Z", "2026-11-20 09:30", "2026/11/20 10:00"], pa.string()),
    ],
    ids=["utc us", "utc ns", "naive us", "naive ns", "text"],
)
def test_parquet_times_of_every_kind_mean_the_same(
    store: SqlStore, tmp_path: Path, times: list[object], kind: pa.DataType
) -> None:
    report = load(store, parquet(tmp_path / "t.parquet", times, kind))
    assert (report.rows_read, report.written) == (3, 4)
    start = datetime(2026, 11, 20, tzinfo=UTC)
    assert report.gaps == ((start + timedelta(minutes=30), start + timedelta(hours=1)),)
    snapshot = store.as_of(NOW)
    assert [stored.value for stored in snapshot.values(LOAD, start, NOW)] == [1.0, 3.0]


def test_parquet_of_text_values_names_row_and_column(store: SqlStore, tmp_path: Path) -> None:
    table = pa.table({"time": UTC_TIMES[:2], "load_w": ["1", "many"], "temp": [1, 2]})
    pq.write_table(table, tmp_path / "t.parquet")
    with pytest.raises(DataError, match="not a number") as caught:
        load(store, tmp_path / "t.parquet")
    assert (caught.value.details["line"], caught.value.details["column"]) == (2, "load_w")


def test_a_torn_parquet_file_is_a_data_error(store: SqlStore, tmp_path: Path) -> None:
    path = parquet(tmp_path / "t.parquet", UTC_TIMES, pa.timestamp("us", tz="UTC"))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="not Parquet"):
        load(store, path)


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_column_that_is_not_there_is_named_with_those_that_are(
    store: SqlStore, tmp_path: Path, name: str
) -> None:
    if name.endswith("csv"):
        path = write(tmp_path / name, "2026-11-20 00:00,1", header="time,load_w")
    else:
        path = tmp_path / name
        pq.write_table(pa.table({"time": UTC_TIMES, "load_w": [1, 2, 3]}), path)
    with pytest.raises(DataError, match="no column 'temp'") as caught:
        load(store, path)
    assert "time, load_w" in caught.value.where


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"step_minutes": 7}, "does not divide a day"),
        ({"zone": "Asia/Aizu"}, "no time zone"),
        ({"zone": "../etc/passwd"}, "no time zone"),
        ({"columns": {}}, "at least 1"),
        ({"columns": {"a": {"series": "x/y/load_kw", "unit": "kWh"}}}, "named as kW but holds kWh"),
        ({"columns": {"a": {"series": "x/y/load", "unit": "kW"}}}, "does not say its unit"),
        ({"columns": {"a": {"series": "load_kw", "unit": "kW"}}}, "pattern"),
        ({"columns": {"a": {"series": "x/y/load_kw", "unit": "kW", "scale": 0}}}, "scale 0"),
        ({"columns": {"time": {"series": "x/y/load_kw", "unit": "kW"}}}, "both time and value"),
        (
            {
                "columns": {
                    "a": {"series": "x/y/load_kw", "unit": "kW"},
                    "b": {"series": "x/y/load_kw", "unit": "kW"},
                }
            },
            "two columns become",
        ),
        ({"steps": 30}, "steps"),
        ({"stamp": "middle"}, "stamp"),
        ({"encoding": "latin-1"}, "encoding"),
    ],
)
def test_a_mapping_that_cannot_be_right_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_mapping(ImportKind.TABLE, settings(**changes))
    assert complaint in str(caught.value)
    assert "import-data.md" in caught.value.hint


@pytest.mark.parametrize(
    ("series", "unit"),
    [
        ("a/b/import_kwh", Unit.KWH),
        ("a/b/load_kw", Unit.KW),
        ("jepx/tohoku/spot_yen_per_kwh", Unit.YEN_PER_KWH),
        ("a/weather/outdoor_c", Unit.CELSIUS),
        ("a/weather/ghi_w_m2", Unit.W_PER_M2),
        ("a/weather/snow_cm", Unit.CM),
        ("a/car/soc", Unit.RATIO),
        ("a/car/plugged", Unit.RATIO),
        ("a/truth/excursion_k", Unit.CELSIUS),
        ("a/x/reserve_percent", Unit.PERCENT),
    ],
)
def test_the_name_of_a_series_says_its_unit(series: str, unit: Unit) -> None:
    assert unit_of_series(series) is unit
