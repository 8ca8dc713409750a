"""What a back-test does with data as people have them: mended and counted, or refused by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from energy.core.errors import ConfigError, DataError, ForecastError, GapError, VppError
from vpp.backtest.case import Case, CaseWeather, weather_column
from vpp.backtest.panel import Built, build_panel

START = datetime(2026, 4, 6)  # noqa: DTZ001 - local time of a file
DAYS = 30


def load_kw(count: int, per_day: int = 48) -> list[float]:
    """A load with days and noise, never the same twice."""
    rng = np.random.default_rng(5)
    slot = np.arange(count) % per_day
    values = 40.0 + 30.0 * (slot > per_day / 3) + rng.uniform(0.0, 5.0, count)
    return [float(value) for value in np.round(values, 3)]


def write(
    path: Path,
    values: Sequence[object],
    *,
    minutes: int = 30,
    start: datetime = START,
    edit: Callable[[list[str]], list[str]] = lambda rows: rows,
    encoding: str = "utf-8",
    separator: str = ",",
    header: str = "time,load",
) -> Path:
    rows = [
        f"{start + k * timedelta(minutes=minutes):%Y-%m-%d %H:%M},{value}" for k, value in enumerate(values)
    ]
    text = "\n".join([header, *edit(rows), ""]).replace(",", separator)
    path.write_bytes(text.encode(encoding))
    return path


def case(path: Path, **changes: Any) -> Case:
    settings: dict[str, Any] = {
        "file": path,
        "time": "time",
        "value": "load",
        "first": date(2026, 4, 26),
        "last": date(2026, 5, 2),
        **changes,
    }
    return Case(**settings)


def built(path: Path, **changes: Any) -> Built:
    return build_panel(case(path, **changes))


@pytest.fixture
def usual(tmp_path: Path) -> Path:
    return write(tmp_path / "load.csv", load_kw(48 * DAYS))


def test_a_usual_file_becomes_days_and_slots(usual: Path) -> None:
    found = built(usual)
    assert found.first_day == date(2026, 4, 6)
    assert found.panel.actual.shape == (DAYS, 48)
    assert found.panel.issue_slot == 24
    assert found.rows == range(20, 27)
    assert found.panel.actual.reshape(-1).tolist() == load_kw(48 * DAYS)
    assert found.panel.start.isoformat() == "2026-04-05T15:00:00+00:00"


@pytest.mark.parametrize(("encoding", "separator"), [("cp932", ";"), ("utf-16", "\t"), ("utf-8-sig", ",")])
def test_encoding_and_separator_are_found_out(tmp_path: Path, encoding: str, separator: str) -> None:
    path = write(
        tmp_path / "x.csv", load_kw(48 * DAYS), encoding=encoding, separator=separator, header="時刻,需要"
    )
    assert built(path, time="時刻", value="需要").facts["missing_slots"] == 0


def test_a_title_above_the_header_and_a_date_beside_the_time_are_read(tmp_path: Path, usual: Path) -> None:
    rows = [line.replace(" ", ",") for line in usual.read_text(encoding="utf-8").splitlines()[1:]]
    path = tmp_path / "area.csv"
    text = "\n".join(["2026/6/1 18:10 UPDATE", "", "DATE,TIME,実績(万kW)", *rows, ""])
    path.write_bytes(text.encode("cp932"))
    found = built(path, time="DATE,TIME", value="実績(万kW)")
    assert found.panel.actual.tolist() == built(usual).panel.actual.tolist()


def test_parquet_says_the_same_as_csv(tmp_path: Path, usual: Path) -> None:
    times = [START + k * timedelta(minutes=30) for k in range(48 * DAYS)]
    path = tmp_path / "load.parquet"
    pq.write_table(pa.table({"time": times, "load": load_kw(48 * DAYS)}), path)
    assert built(path).panel.actual.tolist() == built(usual).panel.actual.tolist()


def test_a_stamp_at_the_end_belongs_to_the_slot_before(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", load_kw(48 * DAYS), start=START + timedelta(minutes=30))
    assert built(path, time_stamps="end").panel.actual.reshape(-1).tolist() == load_kw(48 * DAYS)


def test_unsorted_rows_and_rows_said_twice_are_counted(tmp_path: Path, usual: Path) -> None:
    def shuffle(rows: list[str]) -> list[str]:
        return [*rows[100:], *rows[:100], rows[7]]

    found = built(write(tmp_path / "x.csv", load_kw(48 * DAYS), edit=shuffle))
    assert found.panel.actual.tolist() == built(usual).panel.actual.tolist()
    assert (found.facts["duplicates"], found.facts["out_of_order"]) == (1, 2)


def test_two_rows_that_disagree_are_refused_by_line(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", load_kw(48 * DAYS), edit=lambda rows: [*rows, "2026-04-06 01:00,99"])
    with pytest.raises(DataError, match="cannot be used") as caught:
        built(path)
    assert caught.value.details["line"] == 48 * DAYS + 2
    assert "something else than line 4" in caught.value.where


def test_text_among_numbers_is_refused_by_line_column_and_value(tmp_path: Path) -> None:
    values: list[object] = [*load_kw(48 * DAYS)]
    values[10] = "12 kW"
    with pytest.raises(DataError, match="cannot be used") as caught:
        built(write(tmp_path / "x.csv", values))
    assert caught.value.details == {"line": 12, "column": "load", "value": "12 kW"}


def test_an_empty_cell_is_a_missing_slot_and_a_missing_quarter_makes_one(tmp_path: Path) -> None:
    values: list[object] = [*load_kw(96 * DAYS, 96)]
    values[21 * 96 + 4] = ""
    path = write(
        tmp_path / "x.csv", values, minutes=15, edit=lambda rows: rows[: 22 * 96] + rows[22 * 96 + 1 :]
    )
    found = built(path)
    assert found.facts["missing_slots"] == 2
    assert np.argwhere(np.isnan(found.panel.actual)).tolist() == [[21, 2], [22, 0]]
    whole = np.array(load_kw(96 * DAYS, 96)).reshape(-1, 2).mean(axis=1)
    known = ~np.isnan(found.panel.actual.reshape(-1))
    assert found.panel.actual.reshape(-1)[known] == pytest.approx(whole[known])


def test_missing_days_are_counted(tmp_path: Path) -> None:
    def drop(rows: list[str]) -> list[str]:
        return rows[: 22 * 48] + rows[24 * 48 :]

    found = built(write(tmp_path / "x.csv", load_kw(48 * DAYS), edit=drop))
    assert found.facts["missing_days"] == 2


def test_hours_are_held_over_half_hours(tmp_path: Path) -> None:
    found = built(write(tmp_path / "x.csv", load_kw(24 * DAYS, 24), minutes=60))
    halves = found.panel.actual.reshape(-1)
    assert halves[::2].tolist() == halves[1::2].tolist() == load_kw(24 * DAYS, 24)


def sun(count: int) -> list[float]:
    """Irradiance or PV power of hours, dark at night."""
    hour = np.arange(count) % 24
    return np.round(np.maximum(0.0, np.sin((hour - 6.0) * np.pi / 12.0)), 3).tolist()


Edit = Callable[[list[str]], list[str]]
EVERY_OTHER_MONTH = {"first": date(2026, 4, 6), "last": date(2026, 4, 7)}


@pytest.mark.parametrize(
    ("values", "changes", "error", "says"),
    [
        ([7.0] * 48 * DAYS, {}, DataError, "never changes"),
        ([""] * 48 * DAYS, {}, DataError, "holds no value"),
        ([-value for value in load_kw(48 * DAYS)], {}, DataError, "negative load"),
        (load_kw(48 * DAYS), EVERY_OTHER_MONTH, ForecastError, "fewer than 48 hours"),
        (load_kw(48 * DAYS), {"first": date(2027, 1, 1), "last": date(2027, 1, 9)}, DataError, "not inside"),
        (load_kw(48 * DAYS), {"first": date(2026, 5, 2), "last": date(2026, 5, 1)}, ConfigError, "empty"),
        (load_kw(48 * DAYS), {"zone": "Asia/Tokio"}, ConfigError, "no time zone"),
        (load_kw(48 * DAYS), {"value": "laod"}, DataError, "no column 'laod'"),
        (load_kw(48 * DAYS), {"issue": "12:10"}, ConfigError, "no issue"),
        (load_kw(48 * DAYS), {"holidays": "XX"}, ConfigError, "no holidays"),
        (load_kw(48 * DAYS), {"holidays": "AU", "region": "XX"}, ConfigError, "no region"),
        (load_kw(48 * DAYS), {"kind": "pv"}, DataError, "generates at night"),
        (load_kw(48 * DAYS), {"capacity": 0.07}, DataError, "factor of 1000"),
        (load_kw(48 * 2), {"first": date(2026, 4, 7), "last": date(2026, 4, 7)}, ForecastError, "48 hours"),
    ],
)
def test_data_that_cannot_be_meant_are_refused_by_name(
    tmp_path: Path, values: list[object], changes: dict[str, Any], error: type[VppError], says: str
) -> None:
    with pytest.raises(error, match=says) as caught:
        built(write(tmp_path / "x.csv", values), **changes)
    assert caught.value.hint or caught.value.where


def test_the_nearest_column_and_zone_are_offered(usual: Path) -> None:
    with pytest.raises(DataError) as column:
        built(usual, value="laod")
    assert "did you mean 'load'?" in column.value.hint
    with pytest.raises(ConfigError) as zone:
        built(usual, zone="Asia/Tokio")
    assert "Asia/Tokyo" in zone.value.hint


@pytest.mark.parametrize(("policy", "left"), [("missing", None), ("zero", 0.0)])
def test_negative_values_may_be_said_to_mean_something(
    tmp_path: Path, policy: str, left: float | None
) -> None:
    values = load_kw(48 * DAYS)
    values[5] = -3.0
    found = built(write(tmp_path / "x.csv", values), negative=policy)
    got = float(found.panel.actual[0, 5])
    assert found.facts["negative"] == 1
    assert np.isnan(got) if left is None else got == left


def test_a_day_in_other_units_is_named(tmp_path: Path) -> None:
    values = load_kw(48 * DAYS)
    values[48 * 12 : 48 * 14] = [1000.0 * value for value in values[48 * 12 : 48 * 14]]
    with pytest.raises(DataError, match="changes its unit") as caught:
        built(write(tmp_path / "x.csv", values))
    assert "2026-04-18" in caught.value.where
    assert "2 days" in caught.value.where


def test_a_factory_that_rests_is_not_a_change_of_units(tmp_path: Path) -> None:
    values = np.array(load_kw(48 * DAYS)).reshape(DAYS, 48)
    values[5::7] *= 0.01
    built(write(tmp_path / "x.csv", values.reshape(-1).tolist()))


def test_pv_at_night_is_found_by_the_height_of_the_sun(tmp_path: Path) -> None:
    path = write(tmp_path / "pv.csv", sun(24 * DAYS), minutes=60)
    place = {"kind": "pv", "slot_minutes": 60, "latitude": 37.5, "longitude": 139.9, "capacity": 1.0}
    assert built(path, **place).panel.capacity == 1.0
    with pytest.raises(DataError, match="at night") as caught:
        built(path, **{**place, "zone": "UTC"})
    assert "--tz" in caught.value.hint


def test_a_sleeping_inverter_draws_a_little(tmp_path: Path) -> None:
    values = [value if value > 0.0 else -0.004 for value in sun(24 * DAYS)]
    found = built(write(tmp_path / "pv.csv", values, minutes=60), kind="pv", slot_minutes=60)
    assert found.panel.actual.min() == 0.0


def test_the_nameplate_comes_from_the_history_only(tmp_path: Path) -> None:
    values = sun(24 * DAYS)
    values[24 * 22 + 12] = 1.4
    found = built(write(tmp_path / "pv.csv", values, minutes=60), kind="pv", slot_minutes=60)
    assert found.panel.capacity == 1.0


# ---------------------------------------------------------------- zones whose clocks change
# Melbourne: 5 April 2026 has 25 hours, 4 October 2026 has 23.


def melbourne(path: Path, first: datetime, hours: int, *, edit: Edit = lambda rows: rows) -> Path:
    """Wall-clock rows of a zone with daylight saving, in the order in which they were lived."""
    from zoneinfo import ZoneInfo

    zone, rows = ZoneInfo("Australia/Melbourne"), []
    start = first.replace(tzinfo=zone)
    values = load_kw(hours, 24)
    for hour in range(hours):
        wall = datetime.fromtimestamp(start.timestamp() + 3600 * hour, tz=zone)
        rows.append(f"{wall:%Y-%m-%d %H:%M},{values[hour]}")
    path.write_text("\n".join(["time,load", *edit(rows), ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize("first", [datetime(2026, 3, 20), datetime(2026, 9, 20)])  # noqa: DTZ001 - local
def test_days_have_24_hours_of_standard_time_when_clocks_change(tmp_path: Path, first: datetime) -> None:
    path = melbourne(tmp_path / "x.csv", first, 24 * 25)
    window = {"first": date(first.year, first.month + 1, 2), "last": date(first.year, first.month + 1, 10)}
    found = built(path, zone="Australia/Melbourne", slot_minutes=60, **window)
    rows = found.panel.actual[found.rows.start : found.rows.stop]
    assert rows.shape == (9, 24)
    assert not np.isnan(rows).any()
    assert found.facts["utc_offset_h"] == 10.0


def test_an_hour_that_was_never_lived_is_refused_with_the_zone_to_give(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.csv",
        load_kw(24 * 25, 24),
        minutes=60,
        start=datetime(2026, 9, 20),  # noqa: DTZ001 - local
    )
    window = {"first": date(2026, 10, 2), "last": date(2026, 10, 5), "slot_minutes": 60}
    with pytest.raises(DataError, match="cannot be used") as caught:
        built(path, zone="Australia/Melbourne", **window)
    assert "clocks went forward" in caught.value.where
    assert built(path, zone="UTC+10", **window).facts["missing_slots"] == 0  # a meter without daylight saving


def test_the_hour_lived_twice_cannot_be_told_apart_in_unsorted_rows(tmp_path: Path) -> None:
    path = melbourne(
        tmp_path / "x.csv",
        datetime(2026, 3, 20),  # noqa: DTZ001 - local
        24 * 25,
        edit=lambda rows: rows[::-1],
    )
    with pytest.raises(DataError, match="show twice"):
        built(path, zone="Australia/Melbourne", slot_minutes=60)


# ---------------------------------------------------------------- weather


def weather_file(path: Path, rows: Sequence[str], header: str) -> Path:
    path.write_text("\n".join([header, *rows, ""]), encoding="utf-8")
    return path


def with_weather(
    path: Path, *, hours: int = 24 * DAYS, blank_after: int | None = None, issue_h: int = -14, other: str = ""
) -> Path:
    """Hours of load with a temperature forecast that was issued ``issue_h`` hours before its day."""
    rng = np.random.default_rng(8)
    values, temps = load_kw(hours, 24), np.round(rng.normal(15.0, 5.0, hours + 24), 2)
    rows = []
    for hour in range(hours):
        at = START + timedelta(hours=hour)
        made = at.replace(hour=0) + timedelta(hours=issue_h)
        temp = "" if blank_after is not None and hour >= blank_after else temps[hour]
        measured = {"same": temps[hour - 6 if hour >= 6 else 0], "": temps[-hour % 24]}[other]
        rows.append(f"{at:%Y-%m-%d %H:%M},{values[hour]},{temp},{made:%Y-%m-%d %H:%M},{measured}")
    return weather_file(path, rows, "time,load,t_forecast,issued,t_outside")


def forecast_weather(**changes: Any) -> CaseWeather:
    settings: dict[str, Any] = {
        "columns": {"t_forecast": weather_column("t_forecast=temp_c")},
        "known": "forecast",
        "issued": "issued",
        **changes,
    }
    return CaseWeather(**settings)


def test_forecast_weather_that_was_known_is_used(tmp_path: Path) -> None:
    found = built(with_weather(tmp_path / "x.csv"), weather=forecast_weather(), slot_minutes=60)
    assert set(found.panel.forecast_weather) == {"temp_c"}
    assert not found.panel.measured_weather


def test_weather_issued_after_the_forecast_is_refused_by_name(tmp_path: Path) -> None:
    path = with_weather(
        tmp_path / "x.csv", issue_h=-6
    )  # 18:00 of the day before; the forecast is made at 12:00
    with pytest.raises(DataError, match="did not exist yet") as caught:
        built(path, weather=forecast_weather(), slot_minutes=60)
    assert "temp_c" in caught.value.where
    later = built(path, weather=forecast_weather(), slot_minutes=60, issue="18:00")
    assert later.panel.issue_slot == 18


def test_of_several_runs_the_newest_that_existed_is_taken(tmp_path: Path) -> None:
    values, rows = load_kw(24 * DAYS, 24), []
    for hour in range(24 * DAYS):
        at = START + timedelta(hours=hour)
        for lead_h, temp in ((-30, 1.0), (-14, 2.0), (-2, 3.0)):
            made = at.replace(hour=0) + timedelta(hours=lead_h)
            rows.append(
                f"{at:%Y-%m-%d %H:%M},{values[hour]},{temp + hour % 7 / 10},{made:%Y-%m-%d %H:%M},{hour % 5}"
            )
    path = weather_file(tmp_path / "x.csv", rows, "time,load,t_forecast,issued,t_outside")
    found = built(path, weather=forecast_weather(), slot_minutes=60)
    day = found.panel.forecast_weather["temp_c"][found.rows.start]
    assert ((day >= 2.0) & (day < 3.0)).all()
    assert found.panel.actual.reshape(-1).tolist() == values


def test_weather_that_ends_early_is_named_with_its_end(tmp_path: Path) -> None:
    path = with_weather(tmp_path / "x.csv", blank_after=24 * 23)
    with pytest.raises(GapError, match="ends early") as caught:
        built(path, weather=forecast_weather(), slot_minutes=60)
    assert "2026-04-29 00:00" in caught.value.where


def test_a_short_gap_of_forecast_weather_is_filled_and_counted(tmp_path: Path) -> None:
    path = with_weather(tmp_path / "x.csv")
    lines = path.read_text(encoding="utf-8").splitlines()
    cells = lines[1 + 24 * 22 + 10].split(",")
    lines[1 + 24 * 22 + 10] = ",".join([*cells[:2], "", *cells[3:]])
    path.write_text("\n".join(lines), encoding="utf-8")
    found = built(path, weather=forecast_weather(), slot_minutes=60)
    near = found.panel.forecast_weather["temp_c"][22, 9:12]
    assert near[1] == pytest.approx((near[0] + near[2]) / 2)
    assert found.facts["weather_filled"] == 1


def test_a_measured_column_moved_by_hours_does_not_pass_for_a_forecast(tmp_path: Path) -> None:
    path = with_weather(tmp_path / "x.csv", other="same")  # the forecast is what is measured six hours later
    with pytest.raises(DataError, match="is no forecast") as caught:
        built(path, weather=forecast_weather(issued=None), slot_minutes=60)
    assert "6 h later" in caught.value.what
    assert "t_outside" in caught.value.what


def test_measured_weather_is_only_ever_a_measurement(tmp_path: Path) -> None:
    path = with_weather(tmp_path / "x.csv")
    found = built(path, weather=forecast_weather(known="none", issued=None), slot_minutes=60)
    assert set(found.panel.measured_weather) == {"temp_c"}
    assert not found.panel.forecast_weather


def test_perfect_weather_marks_the_case_as_a_bound(tmp_path: Path) -> None:
    weather = forecast_weather(known="perfect", issued=None)
    asked = case(with_weather(tmp_path / "x.csv"), weather=weather, slot_minutes=60)
    assert asked.bound
    assert set(build_panel(asked).panel.forecast_weather) == {"temp_c"}


def test_hourly_irradiance_follows_the_sun_and_keeps_its_energy(tmp_path: Path) -> None:
    rows = [
        f"{START + timedelta(hours=hour):%Y-%m-%d %H:%M},{value},{800.0 * value + hour % 3}"
        for hour, value in enumerate(sun(24 * DAYS))
    ]
    path = weather_file(tmp_path / "x.csv", rows, "time,load,ghi")
    weather = CaseWeather(columns={"ghi": weather_column("ghi")}, known="perfect")
    found = built(path, kind="pv", capacity=1.0, latitude=37.5, longitude=139.9, weather=weather)
    halves = found.panel.forecast_weather["ghi_w_m2"].reshape(-1, 2)
    hours = np.array([800.0 * value + hour % 3 for hour, value in enumerate(sun(24 * DAYS))])
    assert halves.mean(axis=1) == pytest.approx(hours)
    seven = halves[7::24]
    assert (seven[:, 1] > seven[:, 0]).all()  # the sun rises
