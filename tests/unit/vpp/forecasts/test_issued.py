"""What is kept of forecasts: as much as the rule says, as it was said, and never more than was known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from energy.core.errors import AlignmentError
from energy.core.forecast import QuantileForecast
from energy.core.series import Grid, Unit
from energy.store import SqlStore, open_store
from tests.unit.vpp.forecasts.past import FIRST, SITE, level_desk, midnight, noon, put_load, rhythm
from vpp.forecasts.issued import (
    ISSUED,
    LOAD,
    Horizon,
    IssuedForecast,
    day_ahead_for,
    first_values,
    horizons_at,
    issued_forecasts,
    keep,
    kept_grid,
    latest_issued,
    targets_of,
)
from vpp.forecasts.methods import View
from vpp.site.planning import Outlook


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        yield opened


def issue(level_kw: float = 10.0, day: int = 3, horizon: Horizon = Horizon.DAY_AHEAD) -> IssuedForecast:
    grid = kept_grid(horizon, noon(day))
    p50 = level_kw + np.arange(grid.count) / 3.0
    said = QuantileForecast(
        "demand_kw", noon(day), grid, Unit.KW, p50 - 1.0, p50, p50 + 1.0, "demand-pool", {}
    )
    return IssuedForecast.of(said, horizon, site=SITE.id, target=LOAD, card="abc", version="0.1.0")


def test_a_day_keeps_as_many_slots_as_the_rule_says() -> None:
    starts = [midnight(3) + k * timedelta(minutes=30) for k in range(48)]
    kept = [kept_grid(horizon, at).count for at in starts for horizon in horizons_at(at)]
    assert sum(kept) == 48 * 12 + 2 * 48 + 336 == 1008


def test_day_ahead_is_issued_at_nine_and_at_noon_in_japan() -> None:
    hours = [
        k / 2 for k in range(48) if Horizon.DAY_AHEAD in horizons_at(midnight(3) + k * timedelta(minutes=30))
    ]
    assert hours == [9.0, 12.0]
    assert kept_grid(Horizon.DAY_AHEAD, noon(3)) == Grid(midnight(4), 48)


def test_an_issue_comes_back_as_it_was_said(store: SqlStore) -> None:
    one = issue()
    assert keep(store, one)
    assert latest_issued(store.as_of(noon(3)), SITE.id, LOAD, Horizon.DAY_AHEAD) == one
    assert one.p50[1] == 10.333  # to the watt
    np.testing.assert_allclose(one.to_forecast().p90, one.p90)


def test_an_issue_is_not_known_before_it_was_made(store: SqlStore) -> None:
    keep(store, issue())
    assert (
        latest_issued(store.as_of(noon(3) - timedelta(seconds=1)), SITE.id, LOAD, Horizon.DAY_AHEAD) is None
    )
    assert targets_of(store.as_of(noon(3)), SITE.id) == [LOAD]
    assert targets_of(store.as_of(midnight(3)), SITE.id) == []


def test_what_was_issued_stays_issued(store: SqlStore, caplog: pytest.LogCaptureFixture) -> None:
    keep(store, issue())
    assert not keep(store, issue())
    assert "said_twice" not in caplog.text
    assert not keep(store, issue(level_kw=99.0))
    assert "said_twice" in caplog.text
    found = latest_issued(store.as_of(noon(9)), SITE.id, LOAD, Horizon.DAY_AHEAD)
    assert found == issue()


def test_issues_are_found_by_when_they_were_made_and_for_which_day(store: SqlStore) -> None:
    for day in range(12):
        keep(store, issue(level_kw=float(day), day=day))
    keep(store, issue(day=4, horizon=Horizon.WEEK))
    known = store.as_of(noon(30))
    found = issued_forecasts(known, SITE.id, LOAD, Horizon.DAY_AHEAD, start=noon(3), end=noon(6))
    assert [one.p50[0] for one in found] == [3.0, 4.0, 5.0]
    of_day = day_ahead_for(known, SITE.id, LOAD, FIRST + timedelta(days=7))
    assert of_day is not None
    assert of_day.p50[0] == 6.0
    assert day_ahead_for(known, SITE.id, LOAD, FIRST + timedelta(days=13)) is None


def test_a_week_gives_each_of_its_days() -> None:
    week = issue(day=3, horizon=Horizon.WEEK)
    third = week.on(FIRST + timedelta(days=6))
    assert third is not None
    assert third.start == midnight(6)
    assert third.p50 == week.p50[96:144]
    assert week.on(FIRST + timedelta(days=3)) is None
    assert week.on(FIRST + timedelta(days=11)) is None


def test_a_forecast_that_does_not_cover_what_is_kept_is_refused() -> None:
    said = issue().to_forecast()
    with pytest.raises(AlignmentError, match="does not cover"):
        IssuedForecast.of(
            said, Horizon.DAY_AHEAD, site="s", target=LOAD, card="", version="", grid=Grid(midnight(4), 49)
        )
    with pytest.raises(AlignmentError, match="different lengths"):
        replace(issue(), p10=(0.0,))


def test_a_desk_keeps_what_is_due_at_each_slot(store: SqlStore) -> None:
    put_load(store, rhythm(40))
    desk = level_desk(store)
    for hours in (8.5, 9.0, 12.0):
        now = midnight(40) + timedelta(hours=hours)
        known = store.as_of(now)
        desk.prepare(now)
        said = (
            desk.methods[LOAD]
            .fit(View.of(store, midnight(40)))
            .predict(View(known, known, now), Grid(now, 96))
        )
        with store.transaction():
            desk.keep(_outlook(said), now)
    known = store.as_of(noon(41))
    counts = [
        len(issued_forecasts(known, SITE.id, LOAD, h, start=midnight(40), end=midnight(41))) for h in Horizon
    ]
    assert counts == [3, 2, 1]
    assert len(known.documents(ISSUED)) == 6
    week = latest_issued(known, SITE.id, LOAD, Horizon.WEEK)
    assert week is not None
    assert week.model == "level+same-weekday-mean"
    assert week.grid == Grid(midnight(41), 336)
    values = first_values(known, SITE.id, LOAD, Grid(midnight(40), 48))
    assert np.flatnonzero(~np.isnan(values[1])).tolist() == [17, 18, 24]


def _outlook(said: QuantileForecast) -> Outlook:
    zeros = np.zeros(said.grid.count)
    return Outlook(load=said, pv=None, outdoor_c=zeros, ghi_w_m2=zeros)
