"""Scores of issued forecasts, against figures worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import numpy as np
import pytest

from energy.core.errors import DataError
from energy.core.forecast import QuantileForecast
from energy.core.series import Unit
from energy.store import SqlStore, open_store
from tests.unit.vpp.forecasts.past import SITE, LevelMethod, midnight, noon, put_load
from vpp.forecasts.accuracy import Accuracy, By, accuracy
from vpp.forecasts.issued import LOAD, Horizon, IssuedForecast, keep, kept_grid

DAYS = 30
LATER = noon(60)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    """A load of 100 kW, but 110 kW on the days from number 20 on."""
    with open_store("sqlite://") as opened:
        put_load(opened, np.where(np.arange(DAYS * 48) < 20 * 48, 100.0, 110.0))
        yield opened


def issue(store: SqlStore, horizon: Horizon, at: datetime, p50_kw: float) -> None:
    grid = kept_grid(horizon, at)
    p50 = np.full(grid.count, p50_kw)
    said = QuantileForecast("demand_kw", at, grid, Unit.KW, p50 - 5.0, p50, p50 + 5.0, "hand")
    keep(store, IssuedForecast.of(said, horizon, site=SITE.id, target=LOAD, card="c", version="1"))


def report(store: SqlStore, first: int, last: int, by: By = By.HORIZON) -> Accuracy:
    known = store.as_of(LATER)
    return accuracy(known, SITE.id, LevelMethod(), start=midnight(first), end=midnight(last), by=by)


def test_a_forecast_four_kilowatts_too_low_scores_what_a_pencil_says(store: SqlStore) -> None:
    issue(store, Horizon.DAY_AHEAD, noon(19), 106.0)  # of day 20, which had 110 kW
    (total,) = report(store, 20, 21).totals
    assert (total.slots, total.mean_kw) == (48, 110.0)
    assert total.nmae == pytest.approx(4.0 / 110.0, abs=1e-4)
    assert total.bias == pytest.approx(-4.0 / 110.0, abs=1e-4)
    # P10 101: 0.1 x 9; P50 106: 0.5 x 4; P90 111: 0.1 x 1
    assert total.pinball == pytest.approx((0.9 + 2.0 + 0.1) / 3.0 / 110.0, abs=1e-4)
    assert total.cover80 == 1.0
    # At noon of day 19 every past value was 100 kW.
    assert total.persistence_nmae == total.weekday_nmae == pytest.approx(10.0 / 110.0, abs=1e-4)


def test_the_rules_of_thumb_see_only_what_was_over_at_the_issue(store: SqlStore) -> None:
    issue(store, Horizon.DAY_AHEAD, noon(20), 110.0)  # of day 21; the morning of day 20 is known
    (total,) = report(store, 21, 22).totals
    assert total.nmae == 0.0
    assert total.persistence_nmae == pytest.approx(0.5 * 10.0 / 110.0, abs=1e-4)
    assert total.weekday_nmae == pytest.approx(10.0 / 110.0, abs=1e-4)


def test_slots_fall_into_leads_by_the_end_of_the_slot(store: SqlStore) -> None:
    issue(store, Horizon.INTRADAY, noon(22), 110.0)
    issue(store, Horizon.DAY_AHEAD, noon(22), 110.0)
    rows = [(row.horizon, row.group, row.slots) for row in report(store, 22, 24).rows]
    assert rows == [
        ("intraday", "0-1 h", 2),
        ("intraday", "1-3 h", 4),
        ("intraday", "3-6 h", 6),
        ("day-ahead", "12-24 h", 24),
        ("day-ahead", "24-36 h", 24),
    ]


def test_issue_times_slots_and_months_are_those_of_japan(store: SqlStore) -> None:
    for hour in (9, 12):
        issue(store, Horizon.DAY_AHEAD, midnight(20) + timedelta(hours=hour), 100.0)
    by_issue = report(store, 21, 22, By.ISSUE).rows
    assert [(row.group, row.slots) for row in by_issue] == [("09:00", 48), ("12:00", 48)]
    by_slot = report(store, 21, 22, By.SLOT).rows
    assert [row.group for row in by_slot][:3] == ["00:00", "00:30", "01:00"]
    assert {row.slots for row in by_slot} == {2}
    assert [row.group for row in report(store, 21, 22, By.MONTH).rows] == ["2026-06"]


def test_slots_outside_the_days_asked_for_do_not_count(store: SqlStore) -> None:
    issue(store, Horizon.WEEK, midnight(20) + timedelta(hours=9), 110.0)
    found = report(store, 22, 24)
    assert found.totals[0].slots == 96
    assert found.models == {"hand": 96}


def test_slots_of_which_nothing_is_known_are_left_out_and_counted(store: SqlStore) -> None:
    issue(store, Horizon.DAY_AHEAD, noon(28), 110.0)
    issue(store, Horizon.DAY_AHEAD, noon(29), 110.0)
    found = report(store, 29, 31)
    assert (found.totals[0].slots, found.unknown, found.issues) == (48, 48, 2)


def test_days_without_a_forecast_or_without_an_actual_are_an_error(store: SqlStore) -> None:
    with pytest.raises(DataError, match="no forecast of load can be scored"):
        report(store, 5, 6)
    issue(store, Horizon.DAY_AHEAD, noon(40), 110.0)
    with pytest.raises(DataError, match="no forecast of load can be scored"):
        report(store, 41, 42)


def test_a_report_tells_everything_in_plain_values(store: SqlStore) -> None:
    issue(store, Horizon.DAY_AHEAD, noon(19), 106.0)
    told = report(store, 20, 21).to_json()
    assert told["by"] == "horizon"
    assert told["start"] == midnight(20).isoformat()
    assert isinstance(told["rows"], tuple)
