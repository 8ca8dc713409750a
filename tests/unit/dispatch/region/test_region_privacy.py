"""Between region and site go powers, prices and yen: every message of a whole plan is looked at."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from dispatch.region.messages import Bids, Card, Opened, Prices, Settled, Weights
from dispatch.region.outcome import CoordinatorSettings
from dispatch.region.sites import Block
from dispatch.region.work import WorkSettings
from tests.unit.dispatch.region.region_helpers import Watched, coordinator, drawn, region_request

ALLOWED = {
    Prices: {"power_yen", "droppable_yen", "group"},
    Weights: {"share"},
    Bids: {"yen", "bound_yen", "power_kw", "droppable_kw"},
    Card: {"site", "feeder", "joins_dr", "cars", "flexible", "fault"},
    Opened: {"cards", "bids", "template_s"},
    Settled: {"yen", "power_kw", "droppable_kw", "broken", "violation"},
}
KINDS = {"comfort", "departure", "floor", "contract", "export", "recovery", "target", "supply"}


def inspect(message: Any, sites: int, slots: int) -> None:
    """Only known messages, only known fields, only numbers per site and slot in them."""
    assert type(message) in ALLOWED, f"{type(message).__name__} crosses the border"
    assert {part.name for part in fields(message)} == ALLOWED[type(message)]
    for part in fields(message):
        value = getattr(message, part.name)
        if is_dataclass(value):
            inspect(value, sites, slots)
        elif isinstance(value, np.ndarray):
            assert value.ndim == 1 or part.name == "share" or value.shape[1] == slots
            assert value.shape[0] <= sites
        elif part.name == "broken":
            assert {kind for kinds in value for kind in kinds} <= KINDS
        elif part.name == "cards":
            for card in value:
                inspect(card, sites, slots)
        else:
            assert isinstance(value, str | bool | int | float)


def test_only_powers_prices_and_yen_cross_the_border() -> None:
    request, crew = region_request(8, failures=0.2), Watched()
    sites = drawn(request)
    worked = coordinator(sites, request.grid, crew=crew)
    worked.plan(CoordinatorSettings(gap=5e-3, rounds=4))
    assert len(crew.answers) > 6
    for answer in crew.answers:
        inspect(answer, len(sites), request.slots)
    for _, call in crew.calls:
        block, settings, *messages = call
        assert isinstance(
            block, Block
        )  # says where the sites are; what they hold is opened where they are planned
        assert isinstance(settings, WorkSettings)
        for message in messages:
            for one in message if isinstance(message, tuple) else (message,):
                inspect(one, len(sites), request.slots)


def test_no_message_names_a_car_a_room_or_a_state() -> None:
    request, crew = region_request(8, failures=0.3), Watched()
    sites = drawn(request)
    coordinator(sites, request.grid, crew=crew).plan(CoordinatorSettings(gap=5e-3, rounds=2))
    names = {str(asset.id) for site in sites for asset in (*site.problem.cars, *site.problem.zones)}
    assert names
    told = " ".join(repr(answer) for answer in crew.answers)
    assert not [name for name in names if name in told]
    assert "soc" not in told
    assert "temp" not in told.replace("template_s", "")


def test_a_planted_reading_is_found() -> None:
    planted = Bids(np.zeros(2), np.zeros(2), np.zeros((2, 48)), np.zeros((2, 47)))
    try:
        inspect(planted, 2, 48)
    except AssertionError:
        return
    raise AssertionError("a table of another shape went through")
