"""Whatever sessions come in, forecasts of drivers are ordered, finite, and blind to the future."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.assets import OwnerType, Vehicle
from energy.core.calendar import SiteCalendar
from energy.core.series import Grid
from forecasting.ev import car_availability, planned_trips
from forecasting.session_fleet import park_forecast
from forecasting.session_model import SessionModel
from forecasting.sessions import Session, SessionRules, clean_sessions, known_sessions

START = datetime(2026, 4, 1, tzinfo=UTC)
ISSUED = START + timedelta(days=21, hours=3)
TOMORROW = date(2026, 4, 23)
CAR = Vehicle(
    id="ev-1", name_ja="車", name_en="car", capacity_kwh=30.0, charger="c-1", owner=OwnerType.COMPANY
)

sessions = st.lists(
    st.builds(
        lambda user, begin, length, energy: Session(
            user=user,
            arrives=START + timedelta(minutes=begin),
            departs=None if length is None else START + timedelta(minutes=begin + length),
            energy_kwh=energy,
        ),
        st.sampled_from(["a", "b", "c", "d"]),
        st.integers(0, 25 * 1440),
        st.one_of(st.none(), st.integers(-60, 3 * 1440)),
        st.one_of(st.none(), st.floats(-5.0, 150.0), st.just(float("nan"))),
    ),
    max_size=40,
)


@given(sessions)
def test_clean_sessions_are_possible_and_nothing_is_lost_without_a_name(raw: list[Session]) -> None:
    rules, found = SessionRules(), clean_sessions(raw)
    joined = sum(found.mended.get(mend, 0) for mend in found.mended if "joined" in mend)
    assert len(found.sessions) + len(found.refused) + joined == len(raw)
    last: dict[str, datetime | None] = {}
    for one in found.sessions:
        if one.user in last:
            before = last[one.user]
            assert before is not None
            assert before <= one.arrives
        last[one.user] = one.departs
        if one.departs is not None:
            assert one.departs - one.arrives >= rules.shortest


@settings(max_examples=25)
@given(sessions)
def test_forecasts_are_ordered_finite_and_within_reason(raw: list[Session]) -> None:
    known = known_sessions(clean_sessions(raw).sessions, ISSUED)
    fitted = SessionModel(SiteCalendar()).fit(known, issued_at=ISSUED)
    for day in (TOMORROW - timedelta(days=1), TOMORROW, TOMORROW + timedelta(days=5)):
        for one in fitted.predict(day, ["a", "b", "stranger"]):
            assert 0.0 <= one.probability <= 1.0
            assert all(0.0 <= chance <= 1.0 for chance in one.plugged)
            for band in (one.arrives_min, one.departs_min, one.energy_kwh):
                assert 0.0 <= band.p10 <= band.p50 <= band.p90 < 1e5
    if fitted.today >= 7:
        park = park_forecast(fitted, TOMORROW, chargers=2)
        assert park.plugged.p90.max() <= 2.0


@settings(max_examples=25)
@given(sessions, st.integers(0, 2**32 - 1))
def test_sessions_after_the_issue_change_nothing(raw: list[Session], shift_min: int) -> None:
    clean = clean_sessions(raw).sessions
    poisoned = [
        one
        if one.departs is not None and one.departs <= ISSUED
        else replace(
            one,
            departs=max(one.arrives, ISSUED) + timedelta(minutes=1 + shift_min % 1440),
            energy_kwh=77.0,
        )
        for one in clean
    ]
    model = SessionModel(SiteCalendar())
    here = model.fit(known_sessions(clean, ISSUED), issued_at=ISSUED).predict(TOMORROW)
    there = model.fit(known_sessions(poisoned, ISSUED), issued_at=ISSUED).predict(TOMORROW)
    assert here == there


@settings(max_examples=25)
@given(sessions)
def test_planned_trips_always_make_a_plan_that_keeps_the_owners_limits(raw: list[Session]) -> None:
    known = known_sessions(clean_sessions(raw).sessions, ISSUED)
    fitted = SessionModel(SiteCalendar()).fit(known, issued_at=ISSUED)
    days = [TOMORROW + timedelta(days=k) for k in range(-1, 3)]
    forecasts = [fitted.predict(day, ["a"])[0] for day in days]
    grid = Grid(ISSUED.replace(minute=0), 96)
    trips = planned_trips(CAR, forecasts, start=grid.start, end=grid.end)
    found = car_availability(trips, grid)
    assert all(CAR.soc_min <= promise <= CAR.soc_max for _, promise in found.departures)
    assert all(energy >= 0.0 for energy in found.drive_kwh)
