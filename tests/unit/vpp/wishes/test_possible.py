"""What a car can leave with, by physics."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy.core.slots import parse_jst
from energy.store import open_store
from tests.unit.vpp.wishes.works import CAR, NOW, SITE, TRIPS, WORKS, measure
from vpp.wishes import CarNow, car_now, possible_departure
from vpp.wishes.possible import reachable_soc

VEHICLE = replace(next(car for car in SITE.vehicles if car.id == CAR), capacity_kwh=40.0, soc_max=0.95)
CHARGER = replace(SITE.charger_of(VEHICLE), max_charge_kw=6.0, charge_efficiency=0.9)
PLACE = replace(
    SITE,
    vehicles=tuple(VEHICLE if car.id == CAR else car for car in SITE.vehicles),
    chargers=tuple(CHARGER if one.id == CHARGER.id else one for one in SITE.chargers),
)
HERE = CarNow(soc=0.5, soc_at=NOW, plugged=True)


def test_what_can_be_had_in_time_is_promised() -> None:
    found = possible_departure(PLACE, VEHICLE, HERE, (), now=NOW, ask=(NOW + timedelta(hours=3), 0.9))
    assert found.met
    assert found.charge == 0.9
    # 0.4 x 40 kWh / (0.9 x 6 kW) = 2 h 58 min
    assert found.ready_at == NOW + timedelta(hours=16 / 5.4)


def test_what_cannot_is_answered_with_what_can_and_when_the_rest() -> None:
    found = possible_departure(PLACE, VEHICLE, HERE, (), now=NOW, ask=(NOW + timedelta(hours=1), 0.9))
    assert not found.met
    assert found.charge == pytest.approx(0.5 + 5.4 / 40)
    assert found.ready_at == NOW + timedelta(hours=16 / 5.4)


def test_more_than_the_owner_allows_is_never_ready() -> None:
    found = possible_departure(PLACE, VEHICLE, HERE, (), now=NOW, ask=(NOW + timedelta(hours=24), 1.0))
    assert (found.met, found.charge, found.ready_at) == (False, 0.95, None)


def test_a_trip_before_it_takes_its_energy_and_its_time() -> None:
    ask = (parse_jst("2026-11-25 13:00"), 0.95)
    found = possible_departure(PLACE, VEHICLE, HERE, TRIPS, now=NOW, ask=ask)
    assert found.charge == pytest.approx(0.95 - 8 / 40 + 5.4 / 40)  # full at eight, back at twelve


def test_a_car_on_the_road_is_charged_when_it_is_back() -> None:
    now = parse_jst("2026-11-25 10:00")
    state = CarNow(soc=0.9, soc_at=parse_jst("2026-11-25 08:00"), plugged=False)
    ask = (parse_jst("2026-11-25 13:00"), 0.95)
    found = possible_departure(PLACE, VEHICLE, state, TRIPS, now=now, ask=ask)
    assert found.charge == pytest.approx(0.9 - 8 / 40 + 5.4 / 40)


def test_a_car_of_unknown_charge_is_promised_nothing_by_the_minute() -> None:
    found = possible_departure(PLACE, VEHICLE, CarNow(), (), now=NOW, ask=(NOW + timedelta(hours=1), 0.8))
    assert found.ready_at is None


def test_the_last_measurement_is_read_from_the_store() -> None:
    with open_store("sqlite://") as store:
        assert car_now(store.as_of(NOW), WORKS, CAR) == CarNow()
        measure(store, 0.62, plugged=False)
        assert car_now(store.as_of(NOW), WORKS, CAR) == CarNow(soc=0.62, soc_at=NOW, plugged=False)
    for is_here, found in ((True, CarNow(soc=0.0, soc_at=NOW, plugged=True)), (False, CarNow(plugged=False))):
        with open_store("sqlite://") as store:  # a charger without a car answers 0
            measure(store, 0.0, plugged=is_here)
            assert car_now(store.as_of(NOW), WORKS, CAR) == found


@given(st.floats(0, 1), st.floats(0, 48), st.floats(0, 48))
def test_more_time_never_means_less_charge(soc: float, hours: float, more: float) -> None:
    ends = sorted((hours, hours + more))
    low, high = (
        reachable_soc(VEHICLE, CHARGER, soc, start=NOW, end=NOW + timedelta(hours=end)) for end in ends
    )
    assert soc <= low <= high <= max(soc, VEHICLE.soc_max)
