"""Models are made again from their cards; what spoils a new fit never reaches the plan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest

from energy.core.errors import ForecastError
from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH
from energy.core.units import series_id
from energy.store import Point, SqlStore, open_store, points_of
from forecasting.card import Reason
from tests.unit.vpp.forecasts.past import (
    SERIES,
    SITE,
    LevelMethod,
    at_noon,
    correct,
    level,
    level_desk,
    midnight,
    noon,
    put_load,
)
from vpp.forecasts import registry as registry_module
from vpp.forecasts.desk import ForecastDesk
from vpp.forecasts.issued import LOAD, Horizon
from vpp.forecasts.methods import LoadMethod, View
from vpp.forecasts.registry import ModelRegistry
from vpp.simulation.scenario import load_scenario

BEGINS = 40  # day of the first forecast
SUBJECT = f"{SITE.id}/{LOAD}"


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        put_load(opened, level(70))
        yield opened


def acts(store: SqlStore) -> list[str]:
    return [record.act for record in store.audit_trail(SUBJECT)]


def run(store: SqlStore, desk: ForecastDesk, first: int, last: int) -> None:
    for day in range(first, last):
        at_noon(store, desk, day)


def test_a_model_made_again_from_its_card_forecasts_the_same(store: SqlStore) -> None:
    registry = ModelRegistry(SITE.id, store, {LOAD: LoadMethod(SITE)})
    fitted, card = registry.of_day(LOAD, midnight(BEGINS), noon(BEGINS))
    again = registry.reproduce(card)
    view, grid = View.of(store, noon(BEGINS)), Grid(midnight(BEGINS + 1), 48)
    np.testing.assert_array_equal(fitted.predict(view, grid).p90, again.predict(view, grid).p90)
    assert card.score is not None
    assert card.score.slots == 14 * 48
    assert card.score.rule_pinball_kw is not None
    assert registry.in_use(store.as_of(noon(BEGINS)), LOAD) == card


def test_a_model_whose_data_have_changed_is_refused_by_name(store: SqlStore) -> None:
    registry = ModelRegistry(SITE.id, store, {LOAD: LoadMethod(SITE)})
    _, card = registry.of_day(LOAD, midnight(BEGINS), noon(BEGINS))
    at = midnight(BEGINS) - timedelta(hours=2)
    backdated = Point(
        series=SERIES, at=at, known_at=midnight(BEGINS) - timedelta(minutes=1), value=77.0, source="x"
    )
    store.append([backdated])
    with pytest.raises(ForecastError, match="cannot be made again") as caught:
        registry.reproduce(card)
    assert f"data of {SERIES}" in caught.value.where


def test_other_libraries_are_named_where_the_result_differs(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = LevelMethod()
    registry = ModelRegistry(SITE.id, store, {LOAD: method})
    _, card = registry.of_day(LOAD, midnight(BEGINS), noon(BEGINS))
    monkeypatch.setattr(registry_module, "_versions", lambda: (("numpy", "9.9"),))
    registry.reproduce(card)  # the result is the same: other libraries alone are no reason to refuse
    method.factor = 1.5
    with pytest.raises(ForecastError) as caught:
        registry.reproduce(card)
    assert "-> 9.9" in caught.value.where
    assert "result" in caught.value.where


def test_a_run_that_was_cut_off_goes_on_with_the_same_model(store: SqlStore) -> None:
    first = at_noon(store, level_desk(store), BEGINS)
    again = level_desk(store).issue(first.horizon, noon(BEGINS) + timedelta(hours=1), LOAD)
    assert again.card == first.card
    assert again.p50 == first.p50
    assert acts(store) == ["model.released"]


def test_a_new_fit_every_day_needs_the_gate_only_once_a_week(store: SqlStore) -> None:
    desk = level_desk(store)
    run(store, desk, BEGINS, BEGINS + 15)
    assert acts(store) == ["model.released"] * 3
    cards = desk.registry.cards(store.as_of(noon(BEGINS + 15)), LOAD)
    assert len(cards) == 15
    assert len({card.digest for card in cards}) == 15


def test_a_past_spoiled_by_an_import_does_not_reach_the_forecasts(store: SqlStore) -> None:
    desk = level_desk(store)
    run(store, desk, BEGINS, BEGINS + 10)
    good = at_noon(store, desk, BEGINS + 10)
    spoiled_at = noon(BEGINS + 10) + timedelta(hours=6)
    correct(store, 1000.0, until=midnight(BEGINS - 5), known_at=spoiled_at)

    (due,) = desk.registry.due(noon(BEGINS + 11))
    assert (due.reason, due.gated) == (Reason.CHANGED_DATA, True)
    kept = at_noon(store, desk, BEGINS + 11)
    assert kept.card == good.card
    assert kept.p50 == good.p50
    assert acts(store)[-1] == "model.refused"
    record = store.audit_trail(SUBJECT)[-1]
    assert float(str(record.facts["loss_ratio"])) > 1.15

    assert at_noon(store, desk, BEGINS + 12).card == good.card  # tried again, refused again
    correct(store, 0.001, until=midnight(BEGINS - 5), known_at=spoiled_at + timedelta(days=2))
    mended = at_noon(store, desk, BEGINS + 13)
    assert mended.card != good.card
    assert mended.p50[0] == pytest.approx(good.p50[0], rel=0.05)
    assert acts(store)[-3:] == ["model.refused", "model.refused", "model.released"]


def test_a_worse_program_is_named_when_the_old_model_is_lost(store: SqlStore) -> None:
    run(store, level_desk(store), BEGINS, BEGINS + 8)
    run(store, level_desk(store, LevelMethod(factor=3.0)), BEGINS + 14, BEGINS + 15)  # overdue: gated
    assert acts(store)[-2:] == ["model.lost", "model.without-choice"]


def test_readings_that_come_late_are_no_correction(store: SqlStore) -> None:
    with open_store("sqlite://") as late:
        put_load(late, level(BEGINS)[:-3])
        desk = level_desk(late)
        at_noon(late, desk, BEGINS)
        put_load(late, level(BEGINS)[-3:] + 0.0, start=midnight(BEGINS) - timedelta(minutes=90))
        put_load(late, level(BEGINS + 2)[BEGINS * 48 :], start=midnight(BEGINS))
        (due,) = desk.registry.due(noon(BEGINS + 1))
        assert due.reason is Reason.NEW_DAY


def test_a_roof_whose_weather_comes_late_speaks_when_it_has_come() -> None:
    shipped = load_scenario("kitakata")[0].site
    assert shipped.pv is not None
    past = Grid(midnight(0), 30 * 48)
    sun = np.maximum(np.sin(np.pi * (np.arange(past.count) % 48 - 9) / 30.0), 0.0)
    with open_store("sqlite://") as store:
        put_load(store, level(30))
        roof = series_id(shipped.id, shipped.pv.id, "generation_kwh")
        energy = Series(past, 10.0 * sun, Unit.KWH)
        store.append(points_of(roof, energy, known_at=lambda at: at + SLOT_LENGTH, source="test"))
        late = midnight(30) + timedelta(hours=6)
        ahead = Grid(midnight(30), 96)
        for quantity, values, unit in (
            ("ghi_forecast_w_m2", 800.0 * np.tile(sun[:48], 2), Unit.W_PER_M2),
            ("outdoor_forecast_c", np.full(96, 25.0), Unit.CELSIUS),
        ):
            weather = Series(ahead, values, unit)
            name = series_id(shipped.id, "weather", quantity)
            store.append(points_of(name, weather, known_at=late, source="test"))
        desk = ForecastDesk(shipped, store)
        one = desk.issue(Horizon.DAY_AHEAD, late + timedelta(hours=3), shipped.pv.id)
        card = desk.registry.in_use(store.as_of(noon(30)), shipped.pv.id)
        assert card is not None
        assert (card.model, card.score, one.card) == ("untried", None, card.digest)
        assert max(one.p50) > 10.0
        assert desk.registry.reproduce(card).fitted_at == midnight(30)
