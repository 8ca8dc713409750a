"""Forecasts of drivers and of a car park: day types, the chain of methods, and nothing from the future."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from energy.core.assets import OwnerType, Vehicle
from energy.core.calendar import SiteCalendar
from energy.core.errors import DataError, ForecastError
from energy.core.series import Grid
from energy.core.slots import JST
from forecasting.ev import car_availability, planned_trips
from forecasting.session_days import VisitTable, day_classes, wall_time
from forecasting.session_fleet import park_forecast
from forecasting.session_model import FittedSessions, SessionModel
from forecasting.sessions import Session, known_sessions

FIRST = date(2026, 4, 1)  # a Wednesday
CALENDAR = SiteCalendar()
WEEKS = 8
TUESDAY, SATURDAY = date(2026, 6, 2), date(2026, 6, 6)


def at(day: date, hour: float) -> datetime:
    return datetime.combine(day, time(), tzinfo=JST).astimezone(UTC) + timedelta(hours=hour)


def office_drivers(drivers: int, *, seed: int = 3) -> list[Session]:
    """Drivers who come on four of five working days; each has his hour and his energy."""
    rng = np.random.default_rng(seed)
    made = []
    for k in range(drivers):
        hour, kwh = 7.0 + 0.4 * k, 6.0 + k
        for offset in range(7 * WEEKS + 8):
            day = FIRST + timedelta(days=offset)
            if CALENDAR.day_type(day) == "weekday" and rng.random() < 0.8:
                begins = hour + rng.normal(0.0, 0.3)
                made.append(
                    Session(
                        user=f"driver-{k}",
                        arrives=at(day, begins),
                        departs=at(day, begins + 9.0 + rng.normal(0.0, 0.5)),
                        energy_kwh=float(max(1.0, kwh + rng.normal(0.0, 1.0))),
                        charger=f"plug-{k}",
                    )
                )
    return sorted(made, key=lambda one: one.arrives)


def fitted(sessions: list[Session], issued: datetime) -> FittedSessions:
    return SessionModel(CALENDAR).fit(known_sessions(sessions, issued), issued_at=issued)


@pytest.fixture(scope="module")
def park() -> list[Session]:
    return office_drivers(8)


@pytest.fixture(scope="module")
def monday_noon(park: list[Session]) -> FittedSessions:
    return fitted(park, at(date(2026, 6, 1), 12))


def test_drivers_come_on_working_days_and_not_on_saturdays(monday_noon: FittedSessions) -> None:
    works = [one.probability for one in monday_noon.predict(TUESDAY)]
    rests = [one.probability for one in monday_noon.predict(SATURDAY)]
    assert len(works) == 8
    assert 0.65 < np.mean(works) < 0.95
    assert max(rests) < 0.15


def test_a_holiday_in_the_week_is_a_day_of_rest(park: list[Session]) -> None:
    golden = fitted(park, at(date(2026, 4, 28), 12))
    assert max(one.probability for one in golden.predict(date(2026, 4, 29))) < 0.3  # Showa Day, a Wednesday


def test_day_classes_know_holidays_bridges_and_their_neighbours() -> None:
    closed = SiteCalendar(national_holidays=False, closed=frozenset({date(2026, 6, 2), date(2026, 6, 4)}))
    found = day_classes(closed, date(2026, 6, 1), 7)
    # Monday lies between a Sunday and a closed Tuesday, so it is a bridge day too
    assert found.tolist() == [8, 7, 8, 7, 8, 5, 6]
    alone = SiteCalendar(national_holidays=False, closed=frozenset({date(2026, 6, 3)}))
    assert day_classes(alone, date(2026, 6, 1), 7).tolist() == [0, 9, 7, 9, 4, 5, 6]


def test_each_driver_keeps_his_own_hours_and_energy(monday_noon: FittedSessions) -> None:
    early, late = monday_noon.predict(TUESDAY, ["driver-0", "driver-7"])
    assert early.method == late.method == "own-like-days"
    assert early.arrives_min.p50 == pytest.approx(7.0 * 60, abs=15)
    assert late.arrives_min.p50 == pytest.approx(9.8 * 60, abs=15)
    assert early.energy_kwh.p50 == pytest.approx(6.0, abs=1.0)
    assert late.energy_kwh.p50 == pytest.approx(13.0, abs=1.0)
    assert early.departs_min.p10 < early.departs_min.p50 < early.departs_min.p90


def test_slots_of_the_day_follow_the_visit(monday_noon: FittedSessions) -> None:
    one = monday_noon.predict(TUESDAY, ["driver-0"])[0]
    assert len(one.plugged) == 48
    assert max(one.plugged[:12]) < 0.05  # before 06:00
    assert one.plugged[24] == pytest.approx(one.probability, abs=0.05)  # noon
    assert max(one.plugged[40:]) < 0.1


def test_the_chain_of_methods_is_named_from_nothing_to_own_days(park: list[Session]) -> None:
    issued = at(date(2026, 6, 1), 12)
    nobody = fitted([], issued).predict(TUESDAY, ["new"])[0]
    assert nobody.method == "default"
    assert nobody.probability == 0.5
    assert fitted([], issued).predict(SATURDAY, ["new"])[0].probability == 0.05
    stranger = fitted(park, issued).predict(TUESDAY, ["new"])[0]
    assert stranger.method == "group"
    assert stranger.probability > 0.6
    sundays = [
        Session(
            user="sunday", arrives=at(FIRST + timedelta(days=k), 9), departs=at(FIRST + timedelta(days=k), 11)
        )
        for k in range(4, 60, 7)
    ]
    weekday = fitted(sorted([*park, *sundays], key=lambda one: one.arrives), issued).predict(
        TUESDAY, ["sunday"]
    )
    assert weekday[0].method == "own-past"
    assert weekday[0].probability < 0.4


def test_a_driver_with_few_sessions_stands_between_himself_and_the_group(park: list[Session]) -> None:
    night = [
        Session(user="new", arrives=at(day, 13), departs=at(day, 22), energy_kwh=40.0)
        for day in (date(2026, 5, 26), date(2026, 5, 27))
    ]
    model = fitted(sorted([*park, *night], key=lambda one: one.arrives), at(date(2026, 6, 1), 12))
    new, stranger = model.predict(TUESDAY, ["new", "nobody"])
    assert new.method == "group"
    assert stranger.energy_kwh.p50 < new.energy_kwh.p50 <= 41.0
    assert new.energy_kwh.p10 < 20.0  # the group is still in his band


def test_quantiles_are_in_order_and_finite_for_everybody(monday_noon: FittedSessions) -> None:
    for one in monday_noon.predict(TUESDAY, [*monday_noon.table.users, "nobody"]):
        for band in (one.arrives_min, one.departs_min, one.energy_kwh):
            assert 0.0 <= band.p10 <= band.p50 <= band.p90
        assert 0.0 <= min(one.plugged) <= max(one.plugged) <= 1.0
        assert one.departs_min.p50 > one.arrives_min.p50


def test_the_future_is_refused_and_changes_nothing(park: list[Session]) -> None:
    issued = at(date(2026, 6, 1), 12)
    with pytest.raises(ForecastError, match="look into the future"):
        SessionModel(CALENDAR).fit(park, issued_at=issued)
    poisoned = [
        one if one.departs is not None and one.departs <= issued else replace(one, energy_kwh=99.0)
        for one in park
    ]
    assert fitted(poisoned, issued).predict(TUESDAY) == fitted(park, issued).predict(TUESDAY)


def test_days_before_the_issue_or_far_ahead_are_refused(monday_noon: FittedSessions) -> None:
    for day in (date(2026, 5, 31), date(2026, 6, 20)):
        with pytest.raises(ForecastError, match="no forecast of"):
            monday_noon.predict(day)


def test_a_car_that_is_there_now_has_come_and_leaves_later_than_now(park: list[Session]) -> None:
    day = date(2026, 6, 2)
    today = Session(user="driver-0", arrives=at(day, 7.2), departs=None)
    past = [*known_sessions(park, at(day, 0)), today]
    one = SessionModel(CALENDAR).fit(past, issued_at=at(day, 15)).predict(day, ["driver-0"])[0]
    assert one.probability == 1.0
    assert one.arrives_min.p10 == one.arrives_min.p90 == pytest.approx(7.2 * 60)
    assert one.departs_min.p10 >= 15 * 60
    assert one.plugged[20] == 1.0
    gone = replace(today, departs=at(day, 14))
    left = SessionModel(CALENDAR).fit([*past[:-1], gone], issued_at=at(day, 15)).predict(day, ["driver-0"])[0]
    assert left.probability == 0.0
    assert max(left.plugged[31:]) == 0.0


def test_who_has_not_come_by_the_evening_will_hardly_come(park: list[Session]) -> None:
    day = date(2026, 6, 2)
    past = known_sessions(park, at(day, 0))
    model = SessionModel(CALENDAR)
    morning = model.fit(past, issued_at=at(day, 5)).predict(day, ["driver-0"])[0].probability
    evening = model.fit(past, issued_at=at(day, 19)).predict(day, ["driver-0"])[0].probability
    assert morning > 0.6
    assert evening < 0.15


def test_a_car_that_stays_overnight_is_plugged_in_after_midnight() -> None:
    nights = [
        Session(
            user="home",
            arrives=at(FIRST + timedelta(days=k), 18.5),
            departs=at(FIRST + timedelta(days=k + 1), 7.5),
            energy_kwh=8.0,
        )
        for k in range(40)
    ]
    issued = at(FIRST + timedelta(days=40), 12)
    model = fitted(nights, issued)
    one = model.predict(FIRST + timedelta(days=41), ["home"])[0]
    assert one.departs_min.p50 == pytest.approx(31.5 * 60, abs=20)
    assert one.plugged[4] > 0.6
    assert one.plugged[24] < 0.1
    assert one.plugged[44] > 0.6


def test_two_sessions_of_a_day_are_one_visit_with_the_longer_hours_and_both_energies() -> None:
    day = date(2026, 6, 1)
    two = [
        Session(user="a", arrives=at(day, 8), departs=at(day, 9), energy_kwh=3.0),
        Session(user="a", arrives=at(day, 12), departs=at(day, 18), energy_kwh=5.0),
    ]
    table = VisitTable.of(two, JST, now=at(day, 20))
    assert (table.arrival_min[0], table.departure_min[0], table.energy_kwh[0]) == (720.0, 1080.0, 8.0)
    assert table.seen_min[0] == 480.0
    assert table.plugged[0, 16:18].all()
    assert not table.plugged[0, 18:24].any()


def test_days_are_local_days_of_the_zone_even_when_its_clocks_change() -> None:
    zone = ZoneInfo("America/Los_Angeles")
    one = Session(
        user="a", arrives=datetime(2019, 3, 10, 16, tzinfo=UTC), departs=datetime(2019, 3, 11, 0, tzinfo=UTC)
    )
    table = VisitTable.of([one], zone, now=datetime(2019, 3, 12, tzinfo=UTC))
    assert table.first == date(2019, 3, 10)
    assert (table.arrival_min[0], table.departure_min[0]) == (540.0, 1020.0)  # 09:00 and 17:00 on the wall
    assert wall_time(date(2019, 3, 10), 540.0, zone) == one.arrives
    assert wall_time(date(2019, 3, 9), 540.0, zone) == datetime(2019, 3, 9, 17, tzinfo=UTC)


def test_a_car_park_is_the_sum_of_its_drivers_within_its_plugs(monday_noon: FittedSessions) -> None:
    found = park_forecast(monday_noon, TUESDAY, chargers=8)
    noon = 24
    assert 4.0 <= found.plugged.p50[noon] <= 8.0
    assert found.plugged.p10[noon] < found.plugged.p90[noon] <= 8.0
    assert found.plugged.p90[2] < 1.0
    few = park_forecast(monday_noon, TUESDAY, chargers=3)
    assert few.plugged.p90.max() == 3.0
    assert found.day_kwh.p10 <= found.day_kwh.p50 <= found.day_kwh.p90
    assert found.day_kwh.p50 == pytest.approx(0.8 * sum(6.0 + k for k in range(8)), rel=0.25)
    assert found.arriving_kwh.p50.sum() < 1.5 * found.day_kwh.p90


def test_a_car_park_needs_plugs_and_a_week_of_days(park: list[Session]) -> None:
    with pytest.raises(ForecastError, match="needs a charger"):
        park_forecast(fitted(park, at(TUESDAY, 12)), TUESDAY, chargers=0)
    with pytest.raises(ForecastError, match="too few days"):
        park_forecast(fitted(park, at(date(2026, 4, 4), 12)), date(2026, 4, 5), chargers=8)


CAR = Vehicle(
    id="ev-1",
    name_ja="車",
    name_en="car",
    capacity_kwh=20.0,
    charger="c-1",
    owner=OwnerType.COMPANY,
    soc_min=0.3,
    soc_max=0.9,
)


def test_a_plan_counts_on_the_late_arrival_and_the_early_departure(monday_noon: FittedSessions) -> None:
    days = [TUESDAY, TUESDAY + timedelta(days=1)]
    forecasts = tuple(monday_noon.predict(day, ["driver-0"])[0] for day in days)
    grid = Grid(at(TUESDAY, 0), 96)
    found = car_availability(planned_trips(CAR, forecasts, start=grid.start, end=grid.end), grid)
    one = forecasts[0]
    first, left = found.plugged.index(True), found.departures[0][0]
    assert first * 30 >= one.arrives_min.p90
    assert left * 30 <= one.departs_min.p10 < (left + 1) * 30
    assert not any(found.plugged[:first])
    assert all(found.plugged[first:left])
    assert found.departures[0][1] == pytest.approx(0.3 + one.energy_kwh.p90 / 20.0)
    assert len(found.departures) == 2
    assert sum(found.drive_kwh) > 0.0


def test_a_car_that_hardly_ever_comes_is_not_counted_on(monday_noon: FittedSessions) -> None:
    forecasts = monday_noon.predict(SATURDAY, ["driver-0"])
    grid = Grid(at(SATURDAY, 0), 48)
    found = car_availability(planned_trips(CAR, forecasts, start=grid.start, end=grid.end), grid)
    assert not any(found.plugged)
    assert found.departures == ()


def test_no_promise_is_above_what_the_owner_allows(monday_noon: FittedSessions) -> None:
    small = replace(CAR, capacity_kwh=5.0)
    trips = planned_trips(
        small, monday_noon.predict(TUESDAY, ["driver-7"]), start=at(TUESDAY, 0), end=at(TUESDAY, 24)
    )
    assert max(trip.promise_soc for trip in trips) == 0.9


def test_trips_are_planned_for_one_user(monday_noon: FittedSessions) -> None:
    with pytest.raises(DataError, match="one car"):
        planned_trips(CAR, monday_noon.predict(TUESDAY), start=at(TUESDAY, 0), end=at(TUESDAY, 24))
    with pytest.raises(DataError, match="one car"):
        planned_trips(CAR, (), start=at(TUESDAY, 0), end=at(TUESDAY, 24))
