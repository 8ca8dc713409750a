"""How wishes change the calendar and the plan."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

import pytest

from dispatch.checks import check_plan
from dispatch.planner import Planner
from energy.core.assets import Weekday
from energy.core.plan import ReasonCode
from energy.core.slots import JST, parse_jst
from energy.core.units import AssetId
from tests.unit.vpp.site import test_planning as planning
from tests.unit.vpp.wishes.works import CAR, NOW, TRIPS, WORKS
from vpp.wishes import (
    Act,
    ChargeNow,
    Departure,
    HoldPower,
    HoldRoom,
    NoDischarge,
    PersonsWish,
    asked_now,
    problem_with_wishes,
    told_why,
    trips_with,
)

WEDNESDAY = date(2026, 11, 25)


def wish(
    act: Act, *, asset: str = CAR, made_at: datetime = NOW, until: datetime | None = None
) -> PersonsWish:
    return PersonsWish(
        id="w", site=WORKS, asset=asset, act=act, made_at=made_at, made_by="hanako", until=until
    )


def departures(*wishes: PersonsWish) -> list[tuple[str, float]]:
    return [
        (f"{one.departs.astimezone(JST):%d %H:%M}", one.promise_soc)
        for one in trips_with(TRIPS, wishes, now=NOW)
    ]


def test_without_wishes_the_calendar_is_what_it_was() -> None:
    assert trips_with(TRIPS, (), now=NOW) == TRIPS


def test_the_trip_of_the_day_leaves_when_its_driver_says_and_is_away_as_long() -> None:
    [trip] = trips_with(TRIPS, [wish(Departure(at=time(7, 30), day=WEDNESDAY, charge=0.8))], now=NOW)
    assert trip.departs == parse_jst("2026-11-25 07:30")
    assert trip.returns - trip.departs == timedelta(hours=4)
    assert (trip.promise_soc, trip.energy_kwh) == (0.8, 8.0)


def test_a_day_without_a_trip_gets_one() -> None:
    found = trips_with(TRIPS, [wish(Departure(at=time(6, 0), day=date(2026, 11, 26), charge=0.5))], now=NOW)
    assert [one.departs for one in found][1] == parse_jst("2026-11-26 06:00")
    assert found[1].energy_kwh == 0.0


def test_one_day_counts_before_every_week_and_newer_before_older() -> None:
    weekly = wish(Departure(at=time(7, 0), days=(Weekday.WED, Weekday.THU), charge=0.5))
    older = wish(Departure(at=time(9, 0), day=WEDNESDAY, charge=0.7))
    newer = wish(Departure(at=time(9, 30), day=WEDNESDAY, charge=0.9), made_at=NOW + timedelta(minutes=1))
    assert departures(weekly, older, newer) == [("25 09:30", 0.9), ("26 07:00", 0.5)]


def test_a_time_that_is_over_or_on_the_road_changes_nothing() -> None:
    over = wish(Departure(at=time(19, 0), day=date(2026, 11, 24), charge=0.9))
    assert trips_with(TRIPS, [over], now=NOW) == TRIPS
    later = parse_jst("2026-11-25 09:00")  # the car left at eight
    on_the_road = wish(Departure(at=time(11, 0), day=WEDNESDAY, charge=0.9), made_at=later)
    assert trips_with(TRIPS, [on_the_road], now=later) == TRIPS


@pytest.mark.parametrize("at", [time(7, 30), time(9, 0)])
def test_a_moved_trip_stays_moved_once_its_time_has_come(at: time) -> None:
    asked = wish(Departure(at=at, day=WEDNESDAY, charge=0.8))
    before, between = (trips_with(TRIPS, [asked], now=one) for one in (NOW, parse_jst("2026-11-25 08:30")))
    assert before == between
    assert len(between) == 1


def test_a_moved_trip_ends_before_the_next_one_begins() -> None:
    late = wish(Departure(at=time(23, 0), day=WEDNESDAY, charge=0.5))
    early = wish(Departure(at=time(1, 0), day=date(2026, 11, 26), charge=0.5))
    first, second = trips_with(TRIPS, [late, early], now=NOW)
    assert first.returns == second.departs


CARS = [car.id for car in planning.SITE.vehicles if car.id != "commuter"]


def plan_of(*wishes: PersonsWish) -> tuple[dict[datetime, float], object]:
    asked = asked_now(wishes)
    problem = problem_with_wishes(planning.problem(opted_out=asked.no_discharge), asked)
    plan = told_why(Planner().plan(problem), asked)
    assert not [one for one in check_plan(problem, plan) if one.kind not in {"gap"}]
    name = AssetId(wishes[0].asset)
    return {point.slot.start: point.power_kw for point in plan.of(name)}, plan.of(name)


def test_a_car_that_charges_at_once_is_planned_at_full_power_until_it_is_full() -> None:
    car = CARS[0]
    until = planning.NOW + timedelta(hours=12)
    powers, points = plan_of(wish(ChargeNow(charge=0.9), asset=car, until=until))
    charger = planning.SITE.charger_of(next(one for one in planning.SITE.vehicles if one.id == car))
    assert powers[planning.NOW] == pytest.approx(charger.max_charge_kw, rel=0.05)
    assert points[0].reason.code is ReasonCode.MANUAL  # type: ignore[index]


def test_a_paused_charger_rests_until_the_end_of_the_pause() -> None:
    until = planning.NOW + timedelta(hours=3)
    powers, _ = plan_of(wish(HoldPower(power_kw=0.0), asset=CARS[0], until=until))
    assert [power for start, power in powers.items() if start < until] == [0.0] * 6


def test_a_held_room_is_planned_at_its_temperature() -> None:
    zone = planning.SITE.zones[0].id
    until = planning.NOW + timedelta(hours=6)
    asked = asked_now([wish(HoldRoom(room_c=23.0), asset=zone, until=until)])
    problem = problem_with_wishes(planning.problem(), asked)
    plan = Planner().plan(problem)
    temperatures = [point.expected for point in plan.of(AssetId(zone))]
    assert temperatures[8] == pytest.approx(23.0, abs=0.6)
    assert temperatures[11] == pytest.approx(23.0, abs=0.6)


def test_wishes_that_ask_for_nothing_leave_the_problem_as_it_is() -> None:
    problem = planning.problem()
    assert problem_with_wishes(problem, asked_now([wish(NoDischarge())])) is problem


def test_of_two_wishes_for_a_charger_the_newer_counts() -> None:
    held = wish(HoldPower(power_kw=0.0), until=NOW + timedelta(hours=2))
    now = wish(ChargeNow(), made_at=NOW + timedelta(minutes=1), until=NOW + timedelta(hours=3))
    asked = asked_now([now, held])
    assert (asked.power_kw, asked.charge) == ({}, {CAR: None})
    assert asked.until == {CAR: NOW + timedelta(hours=3)}
