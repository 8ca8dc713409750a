"""Impossible batteries, trips and comfort bands cannot be made; trips repeat by the Japanese week."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time

import pytest
from pydantic import TypeAdapter, ValidationError

from energy.core.assets import (
    Battery,
    Charger,
    ComfortBand,
    CopCurve,
    HvacZone,
    OwnerType,
    PvArray,
    Trip,
    TripPattern,
    Vehicle,
    Weekday,
    expand_trips,
)
from energy.core.slots import parse_jst


def car(**changes: object) -> Vehicle:
    facts: dict[str, object] = {
        "id": "leaf",
        "name_ja": "リーフ",
        "name_en": "Leaf",
        "capacity_kwh": 40.0,
        "charger": "cp-1",
        "owner": "company",
    }
    return TypeAdapter(Vehicle).validate_python({**facts, **changes})


def pattern(*days: Weekday, departs: str = "09:00", hours: float = 2.0) -> TripPattern:
    return TripPattern(
        days=days, departs=time.fromisoformat(departs), hours_away=hours, energy_kwh=3.0, promise_soc=0.6
    )


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"capacity_kwh": 0}, "greater than 0"),
        ({"capacity_kwh": float("inf")}, "finite"),
        ({"capacity_kwh": float("nan")}, "finite"),
        ({"soc_min": 0.9, "soc_max": 0.9}, "must be below"),
        ({"soc_min": -0.1}, "greater than or equal"),
        ({"initial_soc": 1.2}, "less than or equal"),
        ({"owner": "employee"}, "needs its driver"),
        ({"owner": "neighbour"}, "company"),
        ({"id": "Leaf 1"}, "pattern"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_an_impossible_car_cannot_be_made(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        car(**changes)


def test_an_employees_car_has_its_driver() -> None:
    assert car(owner="employee", driver="driver-1").owner is OwnerType.EMPLOYEE


@pytest.mark.parametrize(
    "make",
    [
        lambda: Charger(id="cp-1", max_charge_kw=0, max_discharge_kw=6),
        lambda: Charger(id="cp-1", max_charge_kw=6, max_discharge_kw=-1),
        lambda: Charger(id="cp-1", max_charge_kw=6, max_discharge_kw=6, charge_efficiency=1.01),
        lambda: Charger(id="cp-1", max_charge_kw=6, max_discharge_kw=6, discharge_efficiency=0),
        lambda: Battery(id="b", capacity_kwh=10, max_charge_kw=5, max_discharge_kw=5, reserve_soc=1.1),
        lambda: PvArray(id="pv", capacity_kw=10, inverter_kw=8, tilt_deg=91, azimuth_deg=180),
        lambda: PvArray(id="pv", capacity_kw=10, inverter_kw=8, tilt_deg=10, azimuth_deg=360),
        lambda: PvArray(
            id="pv",
            capacity_kw=10,
            inverter_kw=8,
            tilt_deg=10,
            azimuth_deg=0,
            temperature_coefficient_per_k=0.004,
        ),
        lambda: ComfortBand(cooling_c=(28.0, 24.0)),
        lambda: ComfortBand(cooling_setpoint_c=29.0),
        lambda: ComfortBand(opens=time(18), closes=time(8)),
        lambda: TripPattern(days=(), departs=time(9), hours_away=1, energy_kwh=1, promise_soc=0.5),
        lambda: pattern(Weekday.MON, hours=169),
    ],
)
def test_other_impossible_things_cannot_be_made_either(make: Callable[[], object]) -> None:
    with pytest.raises(ValidationError):
        make()


def test_a_one_way_charger_is_possible() -> None:
    assert Charger(id="cp-1", max_charge_kw=3, max_discharge_kw=0).max_discharge_kw == 0


def test_a_trip_needs_zones_and_must_leave_before_it_returns() -> None:
    nine, ten = parse_jst("2026-11-24 09:00"), parse_jst("2026-11-24 10:00")
    facts = {"vehicle": "leaf", "energy_kwh": 1.0, "promise_soc": 0.5}
    assert Trip(departs=nine, returns=ten, **facts).departs == nine
    for departs, returns in ((ten, nine), (nine, nine), (nine.replace(tzinfo=None), ten)):
        with pytest.raises(ValidationError):
            Trip(departs=departs, returns=returns, **facts)


def test_weekly_trips_are_laid_out_in_japanese_time() -> None:
    start, end = parse_jst("2026-11-23 00:00"), parse_jst("2026-11-30 00:00")  # Monday to Sunday
    trips = expand_trips("leaf", (pattern(Weekday.MON, Weekday.FRI, departs="07:30"),), start, end)
    assert [trip.departs.astimezone(UTC) for trip in trips] == [
        datetime(2026, 11, 22, 22, 30, tzinfo=UTC),
        datetime(2026, 11, 26, 22, 30, tzinfo=UTC),
    ]


def test_a_trip_that_began_before_the_stretch_is_in_it_while_the_car_is_away() -> None:
    weekend = pattern(Weekday.FRI, departs="17:30", hours=62.5)
    monday = parse_jst("2026-11-23 00:00")
    trips = expand_trips("leaf", (weekend,), monday, parse_jst("2026-11-24 00:00"))
    assert [trip.departs for trip in trips] == [parse_jst("2026-11-20 17:30")]
    after = expand_trips("leaf", (weekend,), parse_jst("2026-11-23 08:00"), parse_jst("2026-11-24 00:00"))
    assert after == ()


def test_a_car_cannot_be_on_two_trips_at_once() -> None:
    both = (pattern(Weekday.TUE, hours=3), pattern(Weekday.TUE, departs="11:00"))
    with pytest.raises(ValueError, match="leaf overlap"):
        expand_trips("leaf", both, parse_jst("2026-11-23 00:00"), parse_jst("2026-11-30 00:00"))


def test_cop_is_a_line_within_limits() -> None:
    curve = CopCurve(rated=3.3, rated_at_c=35.0, slope_per_k=-0.08, lowest=1.5, highest=6.0)
    assert curve.at(35.0) == 3.3
    assert curve.at(25.0) == pytest.approx(4.1)
    assert (curve.at(-40.0), curve.at(90.0)) == (6.0, 1.5)


def test_a_room_has_curves_of_its_own_that_others_do_not_share() -> None:
    one, two = (
        HvacZone(
            id="hall",
            name_ja="工場",
            name_en="Hall",
            max_electric_kw=16,
            capacitance_kwh_per_k=12,
            loss_kw_per_k=1,
        )
        for _ in range(2)
    )
    assert one == two
    assert one.cooling_cop is not two.cooling_cop


def test_weekdays_are_numbered_from_monday() -> None:
    assert [day.number for day in Weekday] == list(range(7))
