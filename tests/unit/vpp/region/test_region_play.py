"""What a site keeps by itself, whatever its plan says: departures, rooms, the contract."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from dispatch.schedule import Schedule
from energy.core.plan import Problem
from vpp.region.draw import Request
from vpp.region.week.horizon import SiteState, WeekSites, first_state
from vpp.region.week.play import Lived, Living
from vpp.region.week.request import Week, day_request
from vpp.region.week.truth import SiteDay, site_day

WEEK = Week(region=Request(sites=40, seed=3, day=date(2026, 1, 21), failures=0.0), days=1, warm_days=0)


def drawn(number: int, tmp_path: Path) -> tuple[Problem, SiteState, tuple[SiteDay, SiteDay]]:
    """A site at midnight: its problem, its state, its days."""
    source = WeekSites(WEEK, "alone", 0, str(tmp_path), number, number + 1)
    (site,) = source.sites()
    days = tuple(site_day(day_request(WEEK, date(2026, 1, 21 + k)), number) for k in (0, 1))
    return site.problem, first_state(WEEK, number), (days[0], days[1])


def with_cars(tmp_path: Path) -> tuple[Problem, SiteState, tuple[SiteDay, SiteDay]]:
    for number in range(40):
        found = drawn(number, tmp_path)
        problem = found[0]
        if problem.cars and problem.zones and any(car.promises for car in problem.cars):
            return found
    raise AssertionError("no site with cars and rooms was drawn")


def played(
    problem: Problem, state: SiteState, days: tuple[SiteDay, SiteDay], schedule: Schedule | None
) -> Lived:
    living = Living(problem, schedule, state, days, first=0, count=48)
    for _ in range(48):
        living.half_hour()
    return living.lived


def test_a_plan_that_forgets_the_cars_and_the_rooms_breaks_no_promise(tmp_path: Path) -> None:
    problem, state, days = with_cars(tmp_path)
    lived = played(problem, state, days, Schedule.idle(problem))
    assert lived.kept > 0
    assert lived.missed == 0
    assert lived.discomfort_kh == pytest.approx(lived.unheld_kh)


def test_a_plan_that_empties_every_car_is_overruled_in_time(tmp_path: Path) -> None:
    problem, state, days = with_cars(tmp_path)
    idle = Schedule.idle(problem)
    lived = played(problem, state, days, replace(idle, car_kw=np.full_like(idle.car_kw, -50.0)))
    assert lived.missed == 0
    for car, kwh in zip(problem.cars, state.car_kwh, strict=True):
        assert kwh <= car.ceiling_kwh + 1e-6


def test_without_a_plan_cars_are_charged_and_rooms_are_held(tmp_path: Path) -> None:
    problem, state, days = with_cars(tmp_path)
    lived = played(problem, state, days, None)
    assert lived.missed == 0
    assert lived.gave_kwh == 0.0
    assert lived.discomfort_kh == pytest.approx(lived.unheld_kh)


def test_a_promise_that_full_power_cannot_keep_is_hopeless_and_not_missed(tmp_path: Path) -> None:
    problem, state, days = with_cars(tmp_path)
    car = problem.cars[0]
    (first, *others) = [one.index for one in days[0].site.problem.cars[0].promises]
    state.car_kwh[0] = state.best_kwh[0] = 0.0
    weak = replace(car, max_charge_kw=0.01)
    lived = played(replace(problem, cars=(weak, *problem.cars[1:])), state, days, Schedule.idle(problem))
    assert first < 48
    assert not others
    assert (lived.missed, lived.hopeless) == (0, 1)


def test_above_the_contract_the_cars_wait_as_long_as_they_can(tmp_path: Path) -> None:
    problem, state, days = with_cars(tmp_path)
    idle = Schedule.idle(problem)
    eager = replace(idle, car_kw=np.full_like(idle.car_kw, 50.0), hvac_kw=np.full_like(idle.hvac_kw, 500.0))
    free = played(problem, first_state(WEEK, int(problem.site.split("-")[1])), days, eager)
    tight = replace(problem, limits=replace(problem.limits, contract_kw=0.9 * float(free.power_kw.max())))
    lived = played(tight, state, days, eager)
    assert lived.missed == 0
    assert lived.power_kw.max() <= tight.limits.contract_kw + lived.over_contract_kw + 1e-9
    assert lived.power_kw.max() < free.power_kw.max()


def test_energy_is_neither_made_nor_lost(tmp_path: Path) -> None:
    problem, state, days = with_cars(tmp_path)
    lived = played(problem, state, days, None)
    np.testing.assert_allclose(lived.load_kw, lived.power_kw + lived.sun_kw)
    assert (lived.load_kw >= days[0].load_kw - 1e-9).all()


def charging(problem: Problem) -> Schedule:
    """A plan that charges every car at full power and heats at half."""
    idle, n = Schedule.idle(problem), problem.count
    full = np.array([[car.max_charge_kw] * n for car in problem.cars])
    half = np.array([[0.5 * zone.max_electric_kw] * n for zone in problem.zones])
    return replace(idle, car_kw=full, hvac_kw=half)


def test_a_site_that_is_asked_back_takes_less_by_that_and_never_less_than_it_said_it_could(
    tmp_path: Path,
) -> None:
    problem, state, days = with_cars(tmp_path)
    plan = charging(problem)
    pairs = []
    for part in (0.0, 0.5, 1.0, 5.0):
        living = Living(problem, plan, deepcopy(state), days, first=0, count=48)
        for _ in range(12):
            living.half_hour()
        room = living.room_kw()
        living.half_hour(part * room)
        pairs.append((part, room, living.lived.power_kw[12]))
    usual = pairs[0][2]
    assert pairs[0][1] > 0.0
    for part, room, power in pairs[1:]:
        assert usual - power == pytest.approx(min(1.0, part) * room, abs=1e-6)


def test_a_site_that_is_asked_back_all_day_misses_no_departure_and_leaves_no_band(tmp_path: Path) -> None:
    problem, state, days = with_cars(tmp_path)
    living = Living(problem, charging(problem), state, days, first=0, count=48)
    asked = 0.0
    for _ in range(48):
        room = living.room_kw()
        asked += room
        living.half_hour(room)
    assert asked > 0.0
    assert living.lived.kept > 0
    assert living.lived.missed == 0
    assert living.lived.discomfort_kh == pytest.approx(living.lived.unheld_kh)
    assert living.room_kw() == 0.0  # the window is over


def test_a_site_without_a_plan_has_nothing_to_give_up(tmp_path: Path) -> None:
    problem, state, days = with_cars(tmp_path)
    assert Living(problem, None, state, days, first=0, count=48).room_kw() == 0.0
