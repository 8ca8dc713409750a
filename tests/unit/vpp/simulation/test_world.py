"""The simulated world: real series on other dates, forecasts that err, people who are late."""

from __future__ import annotations

import gzip
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from energy.core.errors import DataError, GapError
from energy.core.series import Grid
from energy.core.slots import JST, jst_midnight, parse_jst
from vpp.simulation.scenario import LoadSource, Scenario, load_scenario
from vpp.simulation.world import (
    LoadProfile,
    actual_trips,
    issue_forecast,
    issues_between,
    standard_year,
    tight_events,
)

HALF = timedelta(minutes=30)


@pytest.fixture(scope="module")
def kitakata() -> tuple[Scenario, Path]:
    return load_scenario("kitakata")


def load_file(folder: Path, lines: list[str]) -> LoadProfile:
    (folder / "load.csv.gz").write_bytes(gzip.compress("\n".join(["start,energy_kwh", *lines]).encode()))
    return LoadProfile(LoadSource(file="load.csv.gz", step_minutes=60, source_year=2018, scale=2.0), folder)


def hours(days: int, *, skip: range = range(0)) -> list[str]:
    """Hours from Monday 1 January 2018 on, the energy is the hour's number."""
    stamps = (date(2018, 1, 1 + k // 24).isoformat() + f"T{k % 24:02}:00,{k}" for k in range(24 * days))
    return [line for k, line in enumerate(stamps) if k not in skip]


def test_a_day_shows_the_sources_day_of_the_same_week_and_weekday(tmp_path: Path) -> None:
    profile = load_file(tmp_path, hours(14))
    # 2026-01-06 is the Tuesday of ISO week 2, in 2018 that is 9 January, the ninth day.
    shown = profile.power_kw(date(2026, 1, 6))
    assert shown[0] == 2.0 * 24 * 8
    assert profile.first_day(2026) == date(2025, 12, 29)


def test_energy_is_kept_on_slots_and_minutes(tmp_path: Path) -> None:
    profile = load_file(tmp_path, hours(7))
    start = jst_midnight(date(2025, 12, 29))
    total = 2.0 * sum(range(24))
    for step in (HALF, timedelta(minutes=1)):
        series = profile.series(start, start + timedelta(days=1), step=step)
        assert series.values.sum() * series.grid.hours == pytest.approx(total)


def test_a_day_that_the_source_does_not_have_names_the_weeks_it_has(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no day for 2026-03-02") as caught:
        load_file(tmp_path, hours(7)).power_kw(date(2026, 3, 2))
    assert "1-1 to 1-7" in caught.value.where


def test_a_gap_of_three_days_is_named_by_its_times(tmp_path: Path) -> None:
    profile = load_file(tmp_path, hours(14, skip=range(48, 120)))
    start = jst_midnight(date(2025, 12, 29))
    with pytest.raises(DataError):  # days that are wholly missing are days the source does not have
        profile.require(start, start + timedelta(days=7))
    partly = load_file(tmp_path, hours(14, skip=range(50, 118)))
    with pytest.raises(GapError, match="1 gap") as caught:
        partly.require(start, start + timedelta(days=3))
    assert "from 2025-12-31 02:00" in caught.value.where


@pytest.mark.parametrize(
    "bad", ["2018-01-01T00:00,many", "yesterday,3", "2018-01-01T00:07,3", "2018-01-01T00:00,-1"]
)
def test_a_row_that_cannot_be_is_named_by_its_line(tmp_path: Path, bad: str) -> None:
    with pytest.raises(DataError) as caught:
        load_file(tmp_path, [*hours(1), bad])
    assert "line 26" in caught.value.where


def test_a_file_in_another_encoding_or_with_other_columns_is_refused(tmp_path: Path) -> None:
    source = LoadSource(file="load.csv.gz", step_minutes=60, source_year=2018, scale=1.0)
    (tmp_path / "load.csv.gz").write_bytes(gzip.compress("開始,電力量\n".encode("cp932")))
    with pytest.raises(DataError, match="cannot be read"):
        LoadProfile(source, tmp_path)
    (tmp_path / "load.csv.gz").write_bytes(gzip.compress(b"time,kwh\n"))
    with pytest.raises(DataError, match="other columns"):
        LoadProfile(source, tmp_path)
    (tmp_path / "load.csv.gz").write_bytes(b"not gzip")
    with pytest.raises(DataError, match="cannot be read"):
        LoadProfile(source, tmp_path)


def test_the_standard_year_is_the_published_one(kitakata: tuple[Scenario, Path]) -> None:
    year = standard_year(*kitakata)
    grid = Grid(parse_jst("2026-01-01 00:30"), 8760, timedelta(hours=1))
    sky = year.sky(grid)  # full hours lie in the middle of these intervals
    assert sky.outdoor_c.min() == pytest.approx(-10.2)
    assert sky.outdoor_c.max() == pytest.approx(34.5)
    assert sky.outdoor_c.mean() == pytest.approx(11.4, abs=0.05)
    assert (sky.ghi >= 0).all()


def test_29_february_shows_the_28th(kitakata: tuple[Scenario, Path]) -> None:
    year = standard_year(*kitakata)
    leap = year.sky(Grid(parse_jst("2028-02-29 12:00"), 4))
    usual = year.sky(Grid(parse_jst("2028-02-28 12:00"), 4))
    assert (leap.outdoor_c == usual.outdoor_c).all()


def test_a_weather_forecast_errs_more_the_further_it_reaches(kitakata: tuple[Scenario, Path]) -> None:
    scenario, folder = kitakata
    year, errors = standard_year(scenario, folder), scenario.world.forecast_errors
    first = parse_jst("2026-05-01 09:00")
    misses = []
    for day in range(120):
        forecast = issue_forecast(year, errors, first + timedelta(days=day))
        misses.append(forecast.outdoor_c.values - year.sky(forecast.outdoor_c.grid).outdoor_c)
    spread = np.std(misses, axis=0)
    assert spread[47] == pytest.approx(errors.temperature_sd_c, rel=0.2)  # one day ahead
    assert spread[0] < 0.6 * spread[47] < spread[95]


def test_a_forecast_is_the_same_in_every_run_and_another_at_every_issue(
    kitakata: tuple[Scenario, Path],
) -> None:
    scenario, folder = kitakata
    year, errors = standard_year(scenario, folder), scenario.world.forecast_errors
    at = parse_jst("2026-08-03 09:00")
    once, again = issue_forecast(year, errors, at), issue_forecast(year, errors, at)
    later = issue_forecast(year, errors, at + timedelta(hours=6))
    assert (once.ghi_w_m2.values == again.ghi_w_m2.values).all()
    assert (once.outdoor_c.values[12:] != later.outdoor_c.values[:-12]).any()
    assert (once.ghi_w_m2.values >= 0).all()


def test_forecasts_are_issued_every_six_hours_utc(kitakata: tuple[Scenario, Path]) -> None:
    start = parse_jst("2026-08-03 00:00")  # 15:00 UTC
    issues = issues_between(kitakata[0].world.forecast_errors, start, start + timedelta(days=1))
    assert [at.hour for at in issues] == [18, 0, 6, 12]


def test_people_come_back_late_but_never_into_their_next_trip(kitakata: tuple[Scenario, Path]) -> None:
    scenario = kitakata[0]
    start = parse_jst("2026-06-01 00:00")
    trips = actual_trips(scenario.site, scenario.world.people, start, start + timedelta(days=28))
    by_car = {car.id: [trip for trip in trips if trip.vehicle == car.id] for car in scenario.site.vehicles}
    for own in by_car.values():
        assert all(before.returns < after.departs for before, after in pairwise(own))
    planned = {"commuter": 3.2, "sakura": 3.0}
    for car, energy in planned.items():
        used = [trip.energy_kwh for trip in by_car[car] if trip.energy_kwh < 4.5]
        assert np.mean(used) == pytest.approx(energy, rel=0.15)
        assert len(set(used)) == len(used)


def test_a_tight_evening_is_announced_the_day_before(kitakata: tuple[Scenario, Path]) -> None:
    start = parse_jst("2026-08-03 00:00")
    (event,) = tight_events(kitakata[0].world.tight, start, start + timedelta(days=7))
    assert event.start.local_date == date(2026, 8, 5)
    assert (event.start.koma, event.end.koma) == (33, 39)
    assert event.known_at.astimezone(JST).isoformat() == "2026-08-04T16:00:00+09:00"
    assert tight_events(None, start, start + timedelta(days=7)) == ()
