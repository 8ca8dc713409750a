"""Weather forecasts: every run is kept, and an instant sees the newest run that existed then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from energy.core.errors import ConfigError, DataError
from energy.core.series import Grid, Unit
from energy.core.units import SeriesId
from energy.store import SqlStore, open_store
from vpp.ingest import ImportKind, ImportReport, import_file, parse_mapping

NOW = datetime(2026, 11, 22, tzinfo=UTC)
RUN = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
TEMP, SUN = SeriesId("home/weather/outdoor_forecast_c"), SeriesId("home/weather/ghi_forecast_w_m2")


@pytest.fixture
def store() -> Iterator[SqlStore]:
    opened = open_store("sqlite://", durability="process")
    yield opened
    opened.close()


def settings(**changes: object) -> dict[str, object]:
    return {
        "time_column": "valid",
        "issued_column": "run",
        "zone": "UTC",
        "columns": {"t2m": {"series": TEMP, "unit": "degC", "offset": -273.15, "lowest": -40, "highest": 50}},
        **changes,
    }


def load(store: SqlStore, path: Path, **changes: object) -> ImportReport:
    mapping = parse_mapping(ImportKind.WEATHER, settings(**changes))
    return import_file(path, ImportKind.WEATHER, store=store, known_at=NOW, mapping=mapping)


def wide(path: Path, *, runs: int = 3, hours: int = 12, every: int = 6, lost: tuple[int, ...] = ()) -> Path:
    """Runs every six hours; the value tells the run and the hour."""
    lines = ["run,valid,t2m"]
    for run in range(runs):
        issue = RUN + run * every * HOUR
        lines += [
            f"{issue:%Y-%m-%d %H:%M},{issue + hour * HOUR:%Y-%m-%d %H:%M},{273.15 + run + hour / 100}"
            for hour in range(hours - (4 if run in lost else 0))
        ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def seen(store: SqlStore, at: datetime, known: datetime, series: SeriesId = TEMP) -> float:
    (found,) = store.as_of(known).values(series, at, at + HOUR)
    assert found.value is not None
    return found.value


def test_an_instant_sees_the_run_in_force(store: SqlStore, tmp_path: Path) -> None:
    report = load(store, wide(tmp_path / "w.csv"))
    assert (report.written, report.gaps) == (36, ())
    noon = RUN + 12 * HOUR
    assert seen(store, noon - HOUR, RUN) == pytest.approx(0.11)
    assert seen(store, noon - HOUR, RUN + 5 * HOUR) == pytest.approx(0.11)
    assert seen(store, noon - HOUR, RUN + 6 * HOUR) == pytest.approx(1.05)
    assert seen(store, noon + HOUR, RUN + 12 * HOUR) == pytest.approx(2.01)


def test_a_run_that_arrives_late_is_known_late(store: SqlStore, tmp_path: Path) -> None:
    load(store, wide(tmp_path / "w.csv"), lag_minutes=240)
    assert seen(store, RUN + 11 * HOUR, RUN + 9 * HOUR) == pytest.approx(0.11)
    assert seen(store, RUN + 11 * HOUR, RUN + 10 * HOUR) == pytest.approx(1.05)


def test_the_same_file_again_changes_nothing_under_any_name(store: SqlStore, tmp_path: Path) -> None:
    load(store, wide(tmp_path / "w.csv"))
    report = load(store, wide(tmp_path / "other.csv"))
    assert (report.written, report.unchanged) == (0, 36)


def test_a_changed_run_is_refused(store: SqlStore, tmp_path: Path) -> None:
    load(store, path := wide(tmp_path / "w.csv"))
    path.write_text(path.read_text(encoding="utf-8").replace("273.15", "274.15"), encoding="utf-8")
    with pytest.raises(DataError, match="says something else about a run"):
        load(store, path)


def test_a_run_that_ends_early_is_named(store: SqlStore, tmp_path: Path) -> None:
    report = load(store, wide(tmp_path / "w.csv", lost=(1,)))
    assert report.gaps == ((RUN + 14 * HOUR, RUN + 18 * HOUR),)


def test_long_form_and_leads_say_the_same_as_wide_form(store: SqlStore, tmp_path: Path) -> None:
    lines = ["when;lead;what;number"]
    for hour in range(6):
        lines += [
            f"{RUN + hour * HOUR:%Y/%m/%d %H:%M};{hour};temperature;{hour}",
            f"{RUN + hour * HOUR:%Y/%m/%d %H:%M};{hour};irradiance;{100 * hour}",
        ]
    path = tmp_path / "long.csv"
    path.write_text("\n".join(lines), encoding="cp932")
    columns = {
        "temperature": {"series": TEMP, "unit": "degC"},
        "irradiance": {"series": SUN, "unit": "W/m2"},
    }
    how = {"time_column": "when", "issued_column": None, "lead_column": "lead"}
    report = load(store, path, **how, columns=columns, variable_column="what", value_column="number")
    assert report.written == 12
    assert seen(store, RUN + 3 * HOUR, RUN) == 3.0
    assert seen(store, RUN + 3 * HOUR, RUN, SUN) == 300.0


def test_sums_since_the_run_are_undone(store: SqlStore, tmp_path: Path) -> None:
    lines = ["run,valid,ssrd"]
    for hour, total in enumerate((0.0, 3600.0, 10800.0)):
        lines.append(f"{RUN:%Y-%m-%d %H:%M},{RUN + hour * HOUR:%Y-%m-%d %H:%M},{total}")
    path = tmp_path / "sum.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    column = {"series": SUN, "unit": "W/m2", "scale": 1 / 3600}
    load(store, path, columns={"ssrd": column}, summed=["ssrd"])
    assert [seen(store, RUN + hour * HOUR, RUN, SUN) for hour in range(3)] == pytest.approx([0.0, 1.0, 2.0])
    path.write_text("\n".join([*lines[:2], lines[3]]), encoding="utf-8")
    with pytest.raises(DataError, match="cannot be undone"):
        load(store, path, columns={"ssrd": {**column, "series": "home/weather/other_w_m2"}}, summed=["ssrd"])


def test_measurements_do_not_pass_for_forecasts(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("run,valid,t2m\n2026-11-20 06:00,2026-11-20 04:00,280\n", encoding="utf-8")
    with pytest.raises(DataError, match="before their run"):
        load(store, path)
    with pytest.raises(ConfigError, match="weather") as caught:
        load(store, path, issued_column=None)
    assert "measured weather would pass for one" in caught.value.where


def test_a_run_from_the_future_is_refused(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("run,valid,t2m\n2026-12-20 06:00,2026-12-20 07:00,280\n", encoding="utf-8")
    with pytest.raises(DataError, match="from the future"):
        load(store, path)


def test_an_impossible_value_is_named_with_its_limits(store: SqlStore, tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_text("run,valid,t2m\n2026-11-20 06:00,2026-11-20 07:00,12\n", encoding="utf-8")
    with pytest.raises(DataError, match="not possible") as caught:
        load(store, path)
    assert "-261.15" in caught.value.where


def test_the_runs_of_the_solar_competition_are_known_from_midnight_on(store: SqlStore) -> None:
    folder = os.environ.get("VPP_DATA_DIR")
    path = Path(folder or "") / "pv_nwp/gefcom2014s_zone1_zone2_20120401_20130228.parquet"
    if not folder or not path.exists():
        pytest.skip("VPP_DATA_DIR does not name the folder of published files")
    how = {"time_column": "timestamp_utc", "form": "gefcom", "site": "plant", "where": ["ZONEID", "1"]}
    mapping = parse_mapping(ImportKind.WEATHER, how)
    report = import_file(path, ImportKind.WEATHER, store=store, known_at=NOW, mapping=mapping)
    assert (report.gaps, report.time_zone) == ((), "UTC")
    raw = pd.read_parquet(path)
    start = datetime(2012, 7, 1, tzinfo=UTC)
    last = raw[(raw["ZONEID"] == 1) & (raw["timestamp_utc"] == pd.Timestamp("2012-07-01 23:00"))]
    sun = SeriesId("plant/weather/ghi_forecast_w_m2")
    day = store.as_of(start).series(sun, Grid(start, 23, HOUR), Unit.W_PER_M2)
    assert float(sum(day.values)) * 3600.0 == pytest.approx(
        float(last["VAR169"].iloc[0]),
        rel=1e-4,  # tiny steps down of the sum count as nothing
    )
    before = store.as_of(start - timedelta(seconds=1)).series(sun, Grid(start, 24, HOUR), Unit.W_PER_M2)
    assert before.missing() == [(start, start + 24 * HOUR)]
