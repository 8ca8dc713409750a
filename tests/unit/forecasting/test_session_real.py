"""Forecasts of real drivers against rules of thumb; VPP_DATA_DIR names the folder of published sessions."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from energy.core.errors import DataError
from forecasting.session_model import SessionModel
from forecasting.sessions import Fault
from tests.bench.session_scores import (
    ACN,
    ASENSIO,
    METHODS,
    QUANTITIES,
    presence_scores,
    quantity_scores,
    us_calendar,
    walk,
)
from vpp.ingest.sessions import read_sessions


@pytest.fixture(scope="module")
def folder() -> Path:
    named = os.environ.get("VPP_DATA_DIR")
    if not named:
        pytest.skip("VPP_DATA_DIR does not name the folder of published files")
    return Path(named) / "ev"


def test_years_written_0014_and_0015_become_2014_and_2015(folder: Path) -> None:
    path = folder / "asensio_workplace_sessions_part.csv"
    with pytest.raises(DataError, match="year 14 cannot be right"):
        read_sessions(path, ASENSIO.model_copy(update={"century": None}))
    found = read_sessions(path, ASENSIO)
    assert (found.rows_read, found.years_mended, found.rejected) == (2_387, 4_774, ())
    assert min(one.arrives for one in found.sessions) == datetime(2014, 12, 18, 17, 53, 19, tzinfo=UTC)
    assert found.clean.faults() == {Fault.SECONDS: 36}


def test_a_year_of_a_car_park_is_read_whole_and_the_one_overlap_is_named(folder: Path) -> None:
    found = read_sessions(folder / "acn_jpl_sessions_20181008_20190831.parquet", ACN)
    assert found.rows_read == 14_149
    assert len(found.sessions) == 14_148
    assert found.clean.faults() == {}
    assert {mend.value: count for mend, count in found.clean.mended.items()} == {
        "overlapping-sessions-of-one-user-joined": 1,
        "two-users-at-one-plug-at-once": 1,
    }


def test_drivers_of_real_car_parks_are_forecast_better_than_by_rules_of_thumb(folder: Path) -> None:
    sessions = read_sessions(folder / "asensio_workplace_sessions_part.csv", ASENSIO).sessions
    model = SessionModel(us_calendar((2014, 2015)), zone=ZoneInfo("America/New_York"))
    found = walk(sessions, model, date(2015, 7, 1), date(2015, 9, 30), every=9)
    brier, loss = zip(*(presence_scores(found)[name] for name in METHODS), strict=True)
    assert brier[0] < 0.9 * min(brier[1:])
    assert loss[0] < 0.85 * min(loss[1:])
    scores = quantity_scores(found)
    for quantity in QUANTITIES:
        ours = scores[quantity, METHODS[0]]
        best_rule = min(scores[quantity, name].pinball for name in METHODS[1:])
        assert ours.pinball < (1.0 if quantity == "energy" else 0.95) * best_rule
        assert 0.65 < ours.cover80 < 0.95
