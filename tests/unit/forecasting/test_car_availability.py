"""Cars: when they are plugged, what they drive, and what they are promised."""

from __future__ import annotations

from datetime import timedelta

import pytest

from energy.core.assets import Trip
from energy.core.errors import DataError
from energy.core.series import Grid
from energy.core.slots import parse_jst
from forecasting.ev import car_availability

DAY = Grid(parse_jst("2026-06-01 08:00"), 20)  # 08:00 to 18:00


def trip(departs: str, returns: str, *, kwh: float = 6.0, promise: float = 0.8, car: str = "ev-1") -> Trip:
    return Trip(
        vehicle=car,
        departs=parse_jst(f"2026-06-{departs}"),
        returns=parse_jst(f"2026-06-{returns}"),
        energy_kwh=kwh,
        promise_soc=promise,
    )


def test_car_that_stays_is_plugged_all_day() -> None:
    found = car_availability([], DAY)
    assert found.plugged == (True,) * 20
    assert sum(found.drive_kwh) == 0.0
    assert found.departures == ()


def test_trip_on_slot_borders_takes_exactly_its_slots() -> None:
    found = car_availability([trip("01 09:00", "01 11:00")], DAY)
    assert [k for k, here in enumerate(found.plugged) if not here] == [2, 3, 4, 5]
    assert found.drive_kwh[2:6] == pytest.approx((1.5, 1.5, 1.5, 1.5))
    assert found.departures == ((2, 0.8),)


def test_interval_that_a_trip_touches_at_all_is_away() -> None:
    found = car_availability([trip("01 09:10", "01 10:20", kwh=7.0)], DAY)
    assert [k for k, here in enumerate(found.plugged) if not here] == [2, 3, 4]
    assert found.drive_kwh[2:5] == pytest.approx((2.0, 3.0, 2.0))
    assert found.departures == ((2, 0.8),), "the promise holds before the interval in which the car leaves"


def test_trip_under_way_counts_only_its_remaining_share_and_promises_nothing() -> None:
    found = car_availability([trip("01 06:00", "01 10:00", kwh=8.0)], DAY)
    assert not any(found.plugged[:4])
    assert all(found.plugged[4:])
    assert sum(found.drive_kwh) == pytest.approx(4.0)
    assert found.departures == ()


def test_departure_at_the_very_start_is_promised_now() -> None:
    assert car_availability([trip("01 08:00", "01 09:00")], DAY).departures == ((0, 0.8),)


def test_departure_soon_after_the_end_stands_at_the_end() -> None:
    found = car_availability([trip("01 19:00", "01 20:00", promise=0.9)], DAY)
    assert found.departures == ((20, 0.9),)
    assert all(found.plugged)


def test_departure_exactly_at_the_end_stands_at_the_end() -> None:
    assert car_availability([trip("01 18:00", "01 19:00")], DAY).departures == ((20, 0.8),)


def test_departure_long_after_the_end_is_left_to_a_later_plan() -> None:
    assert car_availability([trip("02 07:30", "02 09:00")], DAY).departures == ()
    found = car_availability([trip("02 07:30", "02 09:00")], DAY, beyond=timedelta(hours=14))
    assert found.departures == ((20, 0.8),)


def test_car_that_is_away_at_the_end_has_no_promise_there() -> None:
    found = car_availability([trip("01 17:00", "01 19:00"), trip("01 19:30", "01 20:00")], DAY)
    assert found.departures == ((18, 0.8),)
    assert found.plugged[18:] == (False, False)
    assert sum(found.drive_kwh) == pytest.approx(3.0), "what is driven after the end is not the plan's"


def test_trips_before_the_grid_leave_no_trace_and_order_does_not_matter() -> None:
    trips = [trip("01 13:00", "01 14:00"), trip("01 05:00", "01 08:00"), trip("01 09:00", "01 10:00")]
    found = car_availability(trips, DAY)
    assert found == car_availability(trips[::-1], DAY)
    assert found.departures == ((2, 0.8), (10, 0.8))


def test_trips_of_two_cars_are_refused_by_name() -> None:
    with pytest.raises(DataError, match="ev-1, ev-2"):
        car_availability([trip("01 09:00", "01 10:00"), trip("01 11:00", "01 12:00", car="ev-2")], DAY)


def test_overlapping_trips_are_refused() -> None:
    with pytest.raises(DataError, match="overlap"):
        car_availability([trip("01 09:00", "01 11:00"), trip("01 10:00", "01 12:00")], DAY)
