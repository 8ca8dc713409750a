"""Files of charging sessions: zones are said, years mended by name, bad rows named or listed."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from energy.core.errors import ConfigError, DataError
from forecasting.sessions import Fault
from vpp.ingest.sessions import SessionMapping, parse_session_mapping, read_sessions

HEAD = "user,plug,from,to,kwh\n"
MAPPING = SessionMapping(
    user_column="user",
    charger_column="plug",
    arrival_column="from",
    departure_column="to",
    energy_column="kwh",
    zone="Asia/Tokyo",
)


def write(folder: Path, *rows: str, head: str = HEAD) -> Path:
    path = folder / "sessions.csv"
    path.write_text(head + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def test_local_times_become_instants_and_the_report_counts(tmp_path: Path) -> None:
    path = write(tmp_path, "a,p1,2026-06-01 08:30,2026-06-01 17:30,9.5", ",,,,", "b,p2,2026-06-01 09:00,,")
    found = read_sessions(path, MAPPING)
    first, second = found.sessions
    assert first.arrives == datetime(2026, 5, 31, 23, 30, tzinfo=UTC)
    assert (first.user, first.charger, first.energy_kwh) == ("a", "p1", 9.5)
    assert (second.departs, second.energy_kwh) == (None, None)
    assert (found.rows_read, found.rows_blank) == (2, 1)


def test_times_stored_in_utc_without_saying_so_are_read_as_the_mapping_says(tmp_path: Path) -> None:
    path = write(tmp_path, "a,p1,2026-06-01 08:30,2026-06-01 17:30,9.5")
    found = read_sessions(path, MAPPING.model_copy(update={"zone": "UTC"}))
    assert found.sessions[0].arrives == datetime(2026, 6, 1, 8, 30, tzinfo=UTC)


def test_a_mapping_must_say_the_zone_and_a_user_or_a_plug() -> None:
    settings = {"arrival_column": "from", "departure_column": "to", "user_column": "user"}
    with pytest.raises(ConfigError, match="cannot be used") as missing:
        parse_session_mapping(settings)
    assert "zone" in missing.value.where
    with pytest.raises(ConfigError, match="no time zone"):
        parse_session_mapping({**settings, "zone": "Asia/Tokio"})
    with pytest.raises(ConfigError) as nobody:
        parse_session_mapping({"arrival_column": "from", "departure_column": "to", "zone": "UTC"})
    assert "neither" in nobody.value.where
    assert parse_session_mapping({**settings, "zone": "UTC"}).energy_column is None


def test_years_without_their_century_are_refused_unless_the_mapping_mends_them(tmp_path: Path) -> None:
    path = write(tmp_path, "a,p1,0014-12-18 17:53:19,0014-12-18 20:04:04,5.8")
    with pytest.raises(DataError, match=r"year 14 cannot be right"):
        read_sessions(path, MAPPING)
    found = read_sessions(path, MAPPING.model_copy(update={"century": 2000}))
    assert found.years_mended == 2
    assert found.sessions[0].arrives == datetime(2014, 12, 18, 8, 53, 19, tzinfo=UTC)
    assert found.as_json()["years_mended"] == 2


def test_a_bad_row_is_named_by_line_and_column_or_listed(tmp_path: Path) -> None:
    path = write(
        tmp_path, "a,p1,2026-06-01 08:30,2026-06-01 17:30,9.5", "a,p1,yesterday,2026-06-02 17:30,9.5"
    )
    with pytest.raises(DataError) as bad:
        read_sessions(path, MAPPING)
    assert (bad.value.details["line"], bad.value.details["column"]) == (3, "from")
    found = read_sessions(path, MAPPING, skip_bad=True)
    assert len(found.sessions) == 1
    assert (found.rejected[0].line, found.rejected[0].value) == (3, "yesterday")


def test_sessions_that_cannot_be_are_counted_by_reason_in_the_report(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a,p1,2026-06-01 08:30,2026-06-01 17:30,9.5",
        "a,p1,2026-06-02 08:30,2026-06-02 08:30:20,0.0",
        "a,p1,2026-06-03 08:30,2026-06-03 17:30,-1",
    )
    found = read_sessions(path, MAPPING)
    assert found.clean.faults() == {Fault.NEGATIVE: 1, Fault.SECONDS: 1}
    assert found.as_json()["refused"] == {Fault.NEGATIVE.value: 1, Fault.SECONDS.value: 1}


def test_without_a_user_the_plug_stands_for_him(tmp_path: Path) -> None:
    path = write(tmp_path, ",p1,2026-06-01 08:30,2026-06-01 17:30,9.5")
    found = read_sessions(path, MAPPING)
    assert (found.sessions[0].user, found.without_user) == ("p1", 1)
    empty = write(tmp_path, ",,2026-06-01 08:30,2026-06-01 17:30,9.5")
    with pytest.raises(DataError, match="neither user nor plug"):
        read_sessions(empty, MAPPING)


def test_watt_hours_are_scaled_and_a_missing_column_names_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "a,p1,2026-06-01 08:30,2026-06-01 17:30,9500")
    assert read_sessions(path, MAPPING).clean.faults() == {Fault.ABSURD: 1}
    scaled = read_sessions(path, MAPPING.model_copy(update={"energy_scale": 0.001}))
    assert scaled.sessions[0].energy_kwh == pytest.approx(9.5)
    with pytest.raises(DataError, match="no column 'kwhh'") as missing:
        read_sessions(path, MAPPING.model_copy(update={"energy_column": "kwhh"}))
    assert "'kwh'" in missing.value.hint


def test_parquet_and_csv_say_the_same(tmp_path: Path) -> None:
    import pandas as pd

    path = write(tmp_path, "a,p1,2026-06-01 08:30:00,2026-06-01 17:30:00,9.5")
    table = pd.read_csv(path, parse_dates=["from", "to"])
    table.to_parquet(tmp_path / "sessions.parquet")
    assert (
        read_sessions(tmp_path / "sessions.parquet", MAPPING).sessions
        == read_sessions(path, MAPPING).sessions
    )


def test_a_file_without_a_usable_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no usable session"):
        read_sessions(write(tmp_path), MAPPING)
