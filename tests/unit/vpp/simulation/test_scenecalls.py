"""Demand-response events that a scenario declares: what is refused, when they come, that twice is once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import numpy as np
import pytest
from pydantic import ValidationError

from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH
from energy.store import open_store, points_of
from vpp.settlement.dr_events import EventBook
from vpp.simulation.callreview import reviewed_calls
from vpp.simulation.scenario import DrCall, load_scenario
from vpp.simulation.scenecalls import announce_calls, settle_calls
from vpp.site.recorder import SiteSeries

SCENARIO = load_scenario("tight-evening")[0]
CALL = SCENARIO.world.calls[1]


def declared(**changes: object) -> DrCall:
    given = {
        "id": "one",
        "day": "2026-07-14",
        "begins": "16:00",
        "ends": "18:00",
        "kw": 15,
        "announced": "2026-07-13 16:00",
    }
    return DrCall(**(given | changes))  # type: ignore[arg-type] # as a YAML file would give it


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"begins": "16:10"}, "not on a full or half hour"),
        ({"ends": "15:00"}, "is not before"),
        ({"announced": "2026-07-14 17:00"}, "not in the three days before"),
        ({"announced": "2026-07-01 12:00"}, "not in the three days before"),
        ({"kw": 0}, "greater than 0"),
    ],
)
def test_a_call_that_cannot_be_is_refused_by_name(changes: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        declared(**changes)


def test_calls_need_a_price_and_ids_of_their_own() -> None:
    with pytest.raises(ValidationError, match="needs the site's dr"):
        replace(SCENARIO, site=replace(SCENARIO.site, dr=None))
    with pytest.raises(ValidationError, match="two calls have the id"):
        replace(SCENARIO.world, calls=(CALL, CALL))


def test_a_call_is_known_from_its_announcement_on_and_stands_once() -> None:
    with open_store("sqlite://") as store:
        book = EventBook(store)
        announce_calls(store, SCENARIO, CALL.known_at - SLOT_LENGTH)
        assert book.find(CALL.id) is None
        for _ in range(2):
            announce_calls(store, SCENARIO, CALL.known_at)
        event = book.require(CALL.id)
        assert [(one.site, one.kw, one.start, one.end) for one in event.calls] == [
            ("tight-evening", Decimal(15), CALL.start, CALL.end)
        ]


@pytest.mark.parametrize(("cut_kwh", "yen"), [(5.0, 1_200), (7.5, 1_800), (12.0, 1_800)])
def test_no_more_is_paid_than_was_called_for(cut_kwh: float, yen: int) -> None:
    grid = Grid.between(CALL.start - timedelta(days=50), CALL.end)
    drawn = np.full(grid.count, 20.0)
    drawn[grid.index(CALL.start) :] -= cut_kwh
    with open_store("sqlite://") as store:
        name = SiteSeries("tight-evening")["meter", "import_kwh"]
        meter = Series(grid, drawn, Unit.KWH)
        store.append(points_of(name, meter, known_at=lambda at: at + SLOT_LENGTH, source="test"))
        announce_calls(store, SCENARIO, CALL.known_at)
        settle_calls(store, SCENARIO, CALL.end)
        (call,) = reviewed_calls(store, SCENARIO.site, CALL.end)
    assert call.delivered_kwh == 4 * cut_kwh
    assert call.yen == yen
    assert call.rebound_kwh is None  # nobody saw the hours after it


def test_the_settlement_takes_the_baseline_of_the_sites_enrolment() -> None:
    dr = replace(SCENARIO.site.dr, baseline="same-day")  # type: ignore[type-var]
    scenario = replace(SCENARIO, site=replace(SCENARIO.site, dr=dr))
    grid = Grid.between(CALL.start - timedelta(days=50), CALL.end + 4 * SLOT_LENGTH)
    drawn = np.full(grid.count, 20.0)
    drawn[grid.index(CALL.start) - 10 :] = 16.0  # the window of the day itself
    drawn[grid.index(CALL.start) : grid.index(CALL.end)] = 15.0
    with open_store("sqlite://") as store:
        name = SiteSeries("tight-evening")["meter", "import_kwh"]
        meter = Series(grid, drawn, Unit.KWH)
        store.append(points_of(name, meter, known_at=lambda at: at + SLOT_LENGTH, source="test"))
        announce_calls(store, scenario, CALL.known_at)
        settle_calls(store, scenario, CALL.end)
        (call,) = reviewed_calls(store, scenario.site, CALL.end + 4 * SLOT_LENGTH)
    assert (call.method, call.baseline_kw) == ("same-day", (32.0,) * 4)
    assert (call.delivered_kwh, call.yen) == (4.0, 240)
    assert call.rebound_kwh == 0.0


def test_an_event_is_settled_from_the_meter_once() -> None:
    grid = Grid.between(CALL.start - timedelta(days=50), CALL.end)
    drawn = np.full(grid.count, 20.0)
    drawn[grid.index(CALL.start) :] = 15.0  # four half hours of 5 kWh less
    with open_store("sqlite://") as store:
        name = SiteSeries("tight-evening")["meter", "import_kwh"]
        meter = Series(grid, drawn, Unit.KWH)
        store.append(points_of(name, meter, known_at=lambda at: at + SLOT_LENGTH, source="test"))
        announce_calls(store, SCENARIO, CALL.known_at)
        settle_calls(store, SCENARIO, CALL.end - SLOT_LENGTH)
        assert EventBook(store).settlement(CALL.id) is None
        for _ in range(2):
            settle_calls(store, SCENARIO, CALL.end)
        settled = EventBook(store).settlement(CALL.id)
        assert settled is not None
        assert settled.version == 1
        assert settled.delivered_kwh == 20
        assert settled.yen == 1_200
