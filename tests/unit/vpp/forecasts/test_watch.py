"""A model that has drifted gives way to a rule of thumb, on the record, and comes back when it is better."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from energy.core.errors import ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import Grid
from energy.store import SqlStore, open_store
from forecasting.drift import Why
from tests.unit.vpp.forecasts.past import (
    SITE,
    LevelMethod,
    at_noon,
    level,
    level_desk,
    midnight,
    noon,
    put_load,
    rhythm,
)
from vpp.forecasts.issued import LOAD, SHADOW, Horizon, latest_issued
from vpp.forecasts.methods import View
from vpp.forecasts.watch import standing_of

BEGINS = 40
SUBJECT = f"{SITE.id}/{LOAD}"


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        yield opened


def watched(store: SqlStore) -> list[str]:
    return [r.act for r in store.audit_trail(SUBJECT) if r.actor == "forecast-watch"]


def test_the_rule_of_thumb_takes_over_and_the_model_goes_on_in_its_shadow(store: SqlStore) -> None:
    put_load(store, rhythm(70))  # a weekly rhythm: the mean level is far worse than the same weekday
    desk = level_desk(store)
    models = [at_noon(store, desk, day).model for day in range(BEGINS, BEGINS + 10)]
    assert models == ["level"] * 8 + ["same-weekday-mean"] * 2
    assert watched(store) == ["model.demoted"]
    record = next(r for r in store.audit_trail(SUBJECT) if r.act == "model.demoted")
    assert float(str(record.facts["loss_ratio"])) > 1.0
    assert record.facts["scored_days"] == 7
    known = store.as_of(noon(BEGINS + 9))
    shadow = latest_issued(known, SITE.id, LOAD, Horizon.DAY_AHEAD, kind=SHADOW)
    assert shadow is not None
    assert shadow.model == "level"
    issued = latest_issued(known, SITE.id, LOAD, Horizon.DAY_AHEAD)
    assert issued is not None
    assert issued.card == ""
    standing = standing_of(known, SITE.id, LOAD)
    assert standing is not None
    assert not standing.model_in_use
    assert standing.since == noon(BEGINS + 8)


def test_the_model_comes_back_when_its_shadow_is_better(store: SqlStore) -> None:
    flat = rhythm(100)
    flat[48 * (BEGINS + 5) :] = 49.0  # the factory stops its shifts: the level it always had on average
    put_load(store, flat)
    desk = level_desk(store)
    models = [at_noon(store, desk, day).model for day in range(BEGINS, BEGINS + 24)]
    assert models[8] == "same-weekday-mean"
    assert models[-1] == "level"
    assert watched(store) == ["model.demoted", "model.back"]


def test_a_good_model_is_never_touched(store: SqlStore) -> None:
    put_load(store, level(70))
    desk = level_desk(store)
    assert {at_noon(store, desk, day).model for day in range(BEGINS, BEGINS + 12)} == {"level"}
    assert watched(store) == []
    standing = standing_of(store.as_of(noon(60)), SITE.id, LOAD)
    assert standing is not None
    assert standing.model_in_use


def test_a_day_is_judged_once(store: SqlStore) -> None:
    put_load(store, rhythm(70))
    desk = level_desk(store)
    for day in range(BEGINS, BEGINS + 9):
        at_noon(store, desk, day)
    again = level_desk(store)
    again.prepare(noon(BEGINS + 8) + timedelta(hours=3))
    assert watched(store) == ["model.demoted"]


def test_days_not_yet_over_are_not_judged(store: SqlStore) -> None:
    put_load(store, rhythm(70))
    desk = level_desk(store)
    for day in range(BEGINS, BEGINS + 4):
        at_noon(store, desk, day)
    standing = desk.watch.of_day(LOAD, midnight(BEGINS + 4), noon(BEGINS + 4))
    assert standing.scored_days == 3  # issued for days 41 to 44, of which three have passed
    assert standing.why is Why.TOO_FEW_DAYS


def test_where_the_rule_knows_too_little_the_model_speaks_after_all(
    store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    put_load(store, rhythm(70))

    class Dumb(LevelMethod):
        def rule(self, view: View, grid: Grid) -> QuantileForecast:
            if view.at > noon(BEGINS + 8):
                raise ForecastError("nothing known")
            return super().rule(view, grid)

    desk = level_desk(store, Dumb())
    said = [at_noon(store, desk, day) for day in range(BEGINS, BEGINS + 10)]
    assert [one.model for one in said[-2:]] == ["same-weekday-mean", "level"]
    assert "forecast.no_rule" in caplog.text
