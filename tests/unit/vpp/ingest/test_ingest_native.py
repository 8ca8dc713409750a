"""JEPX, area demand and meter files in their native layout, and what happens when they are not."""

from __future__ import annotations

import csv
import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from energy.core.errors import ConfigError, DataError, ExitStatus
from energy.core.series import Grid, Unit
from energy.core.slots import Slot, jst_midnight, parse_jst
from energy.core.units import SeriesId
from energy.market.rule_table import Area
from energy.store import SqlStore, open_store
from vpp.ingest import (
    AreaDemandMapping,
    ImportKind,
    ImportReport,
    JepxSpotMapping,
    MeterMapping,
    import_file,
)

NOW = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
METER = SeriesId("kitakata/meter/import_kwh")
TOHOKU = SeriesId("jepx/tohoku/spot_yen_per_kwh")
SYSTEM = SeriesId("jepx/system/spot_yen_per_kwh")
AREAS = ["北海道", "東北", "東京", "中部", "北陸", "関西", "中国", "四国", "九州"]
HEADER = [
    "受渡日",
    "時刻コード",
    "売り入札量(kWh)",
    "買い入札量(kWh)",
    "約定総量(kWh)",
    "システムプライス(円/kWh)",
    *(f"エリアプライス{area}(円/kWh)" for area in AREAS),
]


@pytest.fixture
def store():
    opened = open_store("sqlite://", durability="process")
    yield opened
    opened.close()


def jepx_rows(day: str, slots: int = 48) -> list[list[str]]:
    """Rows as the market writes them; the price of area k in slot s is s + k/10."""
    return [
        [day, str(s), "100", "200", "100", f"{s}.55", *(f"{s}.{k}" for k in range(len(AREAS)))]
        for s in range(1, slots + 1)
    ]


def write_jepx(path: Path, rows: list[list[str]], blank: int = 0, encoding: str = "cp932") -> Path:
    lines = [",".join(row) for row in [HEADER, *rows]] + ["," * (len(HEADER) - 1)] * blank
    path.write_bytes("".join(f"{line}\r\n" for line in lines).encode(encoding))
    return path


def jepx(
    store: SqlStore, path: Path, mapping: JepxSpotMapping | None = None, known_at: datetime = NOW
) -> ImportReport:
    return import_file(path, ImportKind.JEPX_SPOT, store=store, known_at=known_at, mapping=mapping)


def write_meter(path: Path, *lines: str, encoding: str = "utf-8") -> Path:
    path.write_text("\n".join(["timestamp,kwh", *lines, ""]), encoding=encoding)
    return path


def meter(
    store: SqlStore,
    path: Path,
    *,
    skip_bad: bool = False,
    reject_path: Path | None = None,
    known_at: datetime = NOW,
) -> ImportReport:
    return import_file(
        path,
        ImportKind.METER,
        store=store,
        known_at=known_at,
        mapping=MeterMapping(series=METER),
        skip_bad=skip_bad,
        reject_path=reject_path,
    )


def stored(store: SqlStore, series: SeriesId, start: datetime, count: int, unit: Unit) -> list[float]:
    return store.as_of(NOW).series(series, Grid(start, count), unit).values.tolist()


# --- JEPX ---


def test_spot_prices_of_an_area_and_of_the_system_are_read_and_blank_rows_counted(
    store: SqlStore, tmp_path: Path
) -> None:
    path = write_jepx(tmp_path / "spot.csv", jepx_rows("2026/4/1") + jepx_rows("2026/4/2"), blank=7)
    report = jepx(store, path)
    assert (report.rows_read, report.rows_blank, report.written, report.gaps) == (96, 7, 192, ())
    assert report.series == (TOHOKU, SYSTEM)
    assert report.unit == "yen/kWh"
    assert report.first == jst_midnight(date(2026, 4, 1))
    assert report.last == jst_midnight(date(2026, 4, 3))
    prices = stored(store, TOHOKU, report.first, 96, Unit.YEN_PER_KWH)
    assert prices[:3] == [1.1, 2.1, 3.1]
    assert stored(store, SYSTEM, report.first, 96, Unit.YEN_PER_KWH)[95] == 48.55


def test_the_areas_asked_for_are_read_and_no_others(store: SqlStore, tmp_path: Path) -> None:
    path = write_jepx(tmp_path / "spot.csv", jepx_rows("2026/4/1"))
    mapping = JepxSpotMapping(areas=(Area.TOKYO, Area.KYUSHU), system_price=False)
    jepx(store, path, mapping)
    assert store.as_of(NOW).ids() == ["jepx/kyushu/spot_yen_per_kwh", "jepx/tokyo/spot_yen_per_kwh"]
    assert stored(store, SeriesId("jepx/kyushu/spot_yen_per_kwh"), jst_midnight(date(2026, 4, 1)), 1, Unit.KW)


def test_spot_prices_cannot_be_seen_before_they_were_published(store: SqlStore, tmp_path: Path) -> None:
    jepx(store, write_jepx(tmp_path / "spot.csv", jepx_rows("2026/4/1")))
    assert store.as_of(parse_jst("2026-03-31 10:29")).latest(TOHOKU) is None
    assert store.as_of(parse_jst("2026-03-31 10:30")).latest(TOHOKU) is not None


def test_tomorrows_prices_are_taken_today_and_those_of_the_day_after_are_not(
    store: SqlStore, tmp_path: Path
) -> None:
    early = parse_jst("2026-11-22 10:10")
    report = jepx(store, write_jepx(tmp_path / "a.csv", jepx_rows("2026/11/23")), known_at=early)
    assert report.written == 96
    assert store.as_of(early).latest(TOHOKU) is not None
    with pytest.raises(DataError, match="cannot be known before 2026-11-23 10:30"):
        jepx(store, write_jepx(tmp_path / "b.csv", jepx_rows("2026/11/24")), known_at=early)


@pytest.mark.parametrize("slots", [46, 47])
def test_a_japanese_day_that_has_lost_slots_is_refused(store: SqlStore, tmp_path: Path, slots: int) -> None:
    rows = jepx_rows("2026/3/28") + jepx_rows("2026/3/29", slots) + jepx_rows("2026/3/30")
    with pytest.raises(DataError, match=f"2026-03-29 has {slots} slots") as caught:
        jepx(store, write_jepx(tmp_path / "spot.csv", rows))
    assert "48" in caught.value.where
    assert store.as_of(NOW).ids() == []


def test_a_japanese_day_with_a_49th_slot_is_refused_with_line_column_and_value(
    store: SqlStore, tmp_path: Path
) -> None:
    path = write_jepx(tmp_path / "spot.csv", jepx_rows("2026/10/25", 50))
    with pytest.raises(DataError) as caught:
        jepx(store, path)
    assert caught.value.details["line"] == 50
    assert caught.value.details["column"] == "時刻コード"
    assert caught.value.details["value"] == "49"
    assert caught.value.exit_status is ExitStatus.DATA
    assert store.as_of(NOW).ids() == []


def test_a_market_file_in_another_encoding_names_both_encodings(store: SqlStore, tmp_path: Path) -> None:
    path = write_jepx(tmp_path / "spot.csv", jepx_rows("2026/4/1"), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        jepx(store, path)
    assert caught.value.details["tried"] == "cp932"
    assert caught.value.details["likely"] == "utf-8"
    assert jepx(store, path, JepxSpotMapping(encoding="utf-8")).written == 96


@pytest.mark.parametrize(("encoding", "likely"), [("utf-8-sig", "utf-8"), ("utf-16", "utf-16")])
def test_a_byte_order_mark_gives_the_encoding_away(
    store: SqlStore, tmp_path: Path, encoding: str, likely: str
) -> None:
    path = write_jepx(tmp_path / "spot.csv", jepx_rows("2026/4/1"), encoding=encoding)
    with pytest.raises(DataError) as caught:
        jepx(store, path)
    assert caught.value.details["likely"] == likely
    assert jepx(store, path, JepxSpotMapping.model_validate({"encoding": likely})).written == 96


def test_a_market_file_read_as_utf_8_names_cp932(store: SqlStore, tmp_path: Path) -> None:
    path = write_jepx(tmp_path / "spot.csv", jepx_rows("2026/4/1"))
    with pytest.raises(DataError) as caught:
        jepx(store, path, JepxSpotMapping(encoding="utf-8"))
    assert caught.value.details["likely"] == "cp932"
    assert "line 1" in caught.value.where


def test_an_edition_without_the_area_is_refused_by_the_name_of_the_column(
    store: SqlStore, tmp_path: Path
) -> None:
    path = tmp_path / "spot.csv"
    path.write_text("受渡日,時刻コード,システムプライス(円/kWh)\n2026/4/1,1,5\n", encoding="cp932")
    with pytest.raises(DataError, match="エリアプライス東北"):
        jepx(store, path)


@pytest.mark.parametrize(
    ("slot", "column", "bad", "reason"),
    [
        (5, 7, "abc", "not a number"),
        (5, 7, "NaN", "not a number"),
        (5, 7, "", "no value"),
        (5, 0, "2026/4/31", "no such day"),
        (5, 1, "0", "slots 1 to 48"),
        (5, 1, "5.0", "whole number"),
    ],
)
def test_a_bad_cell_of_the_market_stops_the_file_and_nothing_is_half_imported(
    store: SqlStore, tmp_path: Path, slot: int, column: int, bad: str, reason: str
) -> None:
    rows = jepx_rows("2026/4/1") + jepx_rows("2026/4/2")
    rows[slot][column] = bad
    with pytest.raises(DataError, match=reason) as caught:
        jepx(store, write_jepx(tmp_path / "spot.csv", rows))
    assert caught.value.details["line"] == slot + 2
    assert caught.value.details["column"] == HEADER[column]
    assert store.as_of(NOW).ids() == []


# --- area demand ---


def write_demand(path: Path, *lines: str, second: str = "") -> Path:
    text = "\n".join(["2018/1/1 18:10 UPDATE", second, "DATE,TIME,実績(万kW)", *lines, ""])
    path.write_bytes(text.encode("cp932"))
    return path


def demand(store: SqlStore, path: Path) -> ImportReport:
    return import_file(path, ImportKind.AREA_DEMAND, store=store, known_at=NOW)


@pytest.mark.parametrize("second", ["", ",,"])
def test_area_demand_of_hours_becomes_kw_at_the_start_of_the_hour(
    store: SqlStore, tmp_path: Path, second: str
) -> None:
    path = write_demand(tmp_path / "juyo.csv", "2016/4/1,0:00,2555", "2016/4/1,1:00,2433", second=second)
    report = demand(store, path)
    assert (report.rows_read, report.written, report.unit) == (2, 2, "kW")
    grid = Grid(parse_jst("2016-04-01 00:00"), 2, timedelta(hours=1))
    series = store.as_of(NOW).series(SeriesId("area/tokyo/demand_kw"), grid, Unit.KW)
    assert series.values.tolist() == [25_550_000.0, 24_330_000.0]
    assert series.known_at == parse_jst("2016-04-01 02:00")


def test_a_lost_hour_of_the_area_is_reported_as_a_gap(store: SqlStore, tmp_path: Path) -> None:
    path = write_demand(tmp_path / "juyo.csv", "2016/4/1,0:00,2555", "2016/4/1,3:00,2433")
    assert demand(store, path).gaps == ((parse_jst("2016-04-01 01:00"), parse_jst("2016-04-01 03:00")),)


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("2016/4/1,0:30,1", "TIME"),
        ("2016/4/1,0:00,-1", "実績(万kW)"),
        ("2016/4/1,0:00", ""),
        ("x,0:00,1", "DATE"),
    ],
)
def test_a_bad_row_of_the_area_is_named(store: SqlStore, tmp_path: Path, line: str, column: str) -> None:
    with pytest.raises(DataError) as caught:
        demand(store, write_demand(tmp_path / "juyo.csv", line))
    assert (caught.value.details["line"], caught.value.details.get("column", "")) == (4, column)


def test_a_demand_file_without_its_header_says_what_its_first_line_is(
    store: SqlStore, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="no header DATE") as caught:
        demand(store, write_meter(tmp_path / "x.csv", "2026-11-21 00:30,1"))
    assert "timestamp,kwh" in caught.value.where


def test_demand_in_the_name_of_an_energy_is_refused() -> None:
    with pytest.raises(ValueError, match="named as kWh but holds kW"):
        AreaDemandMapping(series="area/tokyo/demand_kwh")


# --- meter ---


def test_the_stamp_at_24_00_closes_slot_48_of_its_day(store: SqlStore, tmp_path: Path) -> None:
    path = write_meter(
        tmp_path / "m.csv", "2026-11-20 23:30,10", "2026-11-20 24:00,11", "2026-11-21 00:30,12"
    )
    report = meter(store, path)
    first = Slot.of(date(2026, 11, 20), 47)
    assert report.first == first.start
    assert stored(store, METER, first.start, 3, Unit.KWH) == [10.0, 11.0, 12.0]
    assert store.as_of(NOW).latest(METER, before=first.shifted(2).start).known_at == first.shifted(2).start


def test_the_stamp_at_midnight_of_december_is_energy_of_november(store: SqlStore, tmp_path: Path) -> None:
    path = write_meter(tmp_path / "m.csv", "2025-12-01 00:00:00,7.5")
    assert meter(store, path).first == Slot.of(date(2025, 11, 30), 48).start


def test_offsets_and_japanese_times_mean_the_same(store: SqlStore, tmp_path: Path) -> None:
    one = meter(store, write_meter(tmp_path / "a.csv", "2026-11-21T00:30:00+09:00,1", "2026-11-21 01:00,2"))
    two = meter(store, write_meter(tmp_path / "b.csv", "2026-11-20T15:30:00Z,1", "2026/11/21 1:00,2"))
    assert (one.written, two.written, two.unchanged) == (2, 0, 2)


@pytest.mark.parametrize("name", ["m.csv", "m.csv.gz"])
def test_a_packed_meter_file_with_a_byte_order_mark_is_read(
    store: SqlStore, tmp_path: Path, name: str
) -> None:
    data = "timestamp,kwh\r\n2026-11-21 00:30,1\r\n".encode("utf-8-sig")
    path = tmp_path / name
    path.write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert meter(store, path).written == 1


def test_a_file_packed_only_by_name_is_a_data_error(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "m.csv.gz"
    path.write_bytes(b"timestamp,kwh\n")
    with pytest.raises(DataError, match="cannot read"):
        meter(store, path)
    with pytest.raises(DataError, match="cannot read"):
        meter(store, tmp_path / "absent.csv")


BAD_METER_ROWS = [
    ("2026-11-21 01:00,-0.1", "kwh", "negative"),
    ("2026-11-21 01:00,nan", "kwh", "not a number"),
    ('2026-11-21 01:00,"1,5"', "kwh", "not a number"),
    ("2026-11-21 01:00,", "kwh", "no value"),
    ("2026-11-21 01:10,1", "timestamp", "boundary of 30 minutes"),
    ("2026-11-21 24:30,1", "timestamp", "24:00"),
    ("2026-11-21 01:00", "", "1 cells, not 2"),
    ("2026-11-21 01:00,1,2", "", "3 cells, not 2"),
    ("2026-11-21 00:30,2", "", "something else than line 2"),
    ("2026-11-22 15:30,1", "", "cannot be known before 2026-11-22 15:30"),
]


@pytest.mark.parametrize(("bad", "column", "reason"), BAD_METER_ROWS)
def test_a_bad_meter_row_stops_the_file_with_line_column_value_and_reason(
    store: SqlStore, tmp_path: Path, bad: str, column: str, reason: str
) -> None:
    path = write_meter(tmp_path / "m.csv", "2026-11-21 00:30,1", bad, "2026-11-21 01:30,1")
    with pytest.raises(DataError) as caught:
        meter(store, path)
    details = caught.value.details
    assert (details["line"], details.get("column", "")) == (3, column)
    assert str(path) in caught.value.where
    assert reason in caught.value.where
    assert store.as_of(NOW).ids() == []
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(("bad", "column", "reason"), BAD_METER_ROWS)
def test_skipping_bad_rows_imports_the_rest_and_keeps_them_with_line_and_reason(
    store: SqlStore, tmp_path: Path, bad: str, column: str, reason: str
) -> None:
    path = write_meter(tmp_path / "m.csv", "2026-11-21 00:30,1", bad, "2026-11-21 01:30,3")
    report = meter(store, path, skip_bad=True)
    assert (report.rows_read, report.rows_rejected, report.written) == (3, 1, 2)
    assert report.gaps == ((parse_jst("2026-11-21 00:30"), parse_jst("2026-11-21 01:00")),)
    assert report.reject_file == tmp_path / "m.csv.rejects.csv"
    with report.reject_file.open(encoding="utf-8-sig", newline="") as file:
        (row,) = list(csv.DictReader(file))
    assert (row["line"], row["column"]) == ("3", column)
    assert reason in row["reason"]
    assert row["timestamp"] in bad


def test_the_reject_file_goes_where_it_is_told(store: SqlStore, tmp_path: Path) -> None:
    path = write_meter(tmp_path / "m.csv", "2026-11-21 00:30,1", "x,1")
    wanted = tmp_path / "bad.csv"
    assert meter(store, path, skip_bad=True, reject_path=wanted).reject_file == wanted
    assert wanted.exists()
    with pytest.raises(DataError, match="reject file"):
        meter(store, path, skip_bad=True, reject_path=tmp_path / "no-folder" / "bad.csv")


def test_a_repeated_row_is_counted_and_changes_nothing(store: SqlStore, tmp_path: Path) -> None:
    path = write_meter(tmp_path / "m.csv", "2026-11-21 00:30,1", "2026-11-21 00:30,1.0", "2026-11-21 01:00,2")
    report = meter(store, path)
    assert (report.rows_read, report.duplicates, report.written) == (3, 1, 2)


def test_rows_that_step_back_in_time_are_counted(store: SqlStore, tmp_path: Path) -> None:
    path = write_meter(tmp_path / "m.csv", "2026-11-21 01:00,1", "2026-11-21 00:30,2", "2026-11-21 01:30,2")
    report = meter(store, path)
    assert (report.out_of_order, report.written, report.gaps) == (1, 3, ())


def test_an_outage_of_the_meter_is_reported_and_not_filled(store: SqlStore, tmp_path: Path) -> None:
    path = write_meter(
        tmp_path / "m.csv", "2026-11-21 00:30,1", "", "2026-11-21 03:30,2", "2026-11-21 05:00,2"
    )
    report = meter(store, path)
    assert [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in report.gaps] == [("15:30", "18:00"), ("18:30", "19:30")]
    assert report.rows_blank == 1


@pytest.mark.parametrize("text", ["", "timestamp,kwh\n", "timestamp,kwh\n,\n\n"])
def test_a_file_without_a_usable_row_is_an_error(store: SqlStore, tmp_path: Path, text: str) -> None:
    path = tmp_path / "m.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=r"no usable row|no header"):
        meter(store, path)


def test_quotes_that_never_close_are_an_error_with_a_line(store: SqlStore, tmp_path: Path) -> None:
    path = write_meter(tmp_path / "m.csv", "2026-11-21 00:30,1", '2026-11-21 01:00,"2')
    with pytest.raises(DataError, match="not CSV"):
        meter(store, path)


def test_a_mapping_of_another_kind_is_a_usage_error(store: SqlStore, tmp_path: Path) -> None:
    path = write_meter(tmp_path / "m.csv", "2026-11-21 00:30,1")
    with pytest.raises(ConfigError, match="meter"):
        import_file(path, ImportKind.JEPX_SPOT, store=store, known_at=NOW, mapping=MeterMapping(series=METER))
    with pytest.raises(ConfigError, match="series"):
        import_file(path, ImportKind.METER, store=store, known_at=NOW)


def test_the_report_speaks_json(store: SqlStore, tmp_path: Path) -> None:
    path = write_meter(tmp_path / "m.csv", "2026-11-21 00:30,1", "2026-11-21 01:30,2")
    told = meter(store, path).as_json()
    assert told["gaps"] == [["2026-11-20T15:30:00+00:00", "2026-11-20T16:00:00+00:00"]]
    assert told["kind"] == "meter"
    assert told["series"] == [METER]
    assert told["reject_file"] is None
