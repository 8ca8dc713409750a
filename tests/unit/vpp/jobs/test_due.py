"""When jobs are due: the same instants in every zone, however a stretch is cut."""

from __future__ import annotations

import time as clock_of_the_machine
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from energy.core.slots import parse_jst
from vpp.jobs.due import Asked, Due, Every, at_hours, each_month
from vpp.jobs.market import next_day_gate_due, same_day_gate_due

RULES: dict[str, Due] = {
    "half hours": Every(timedelta(minutes=30), offset=timedelta(minutes=5)),
    "hours of a day": at_hours(time(0, 5), time(9), time(12)),
    "first of a month": each_month(1, time(5)),
    "next-day gate": next_day_gate_due(timedelta(hours=1)),
    "same-day gate": same_day_gate_due(),
}
INSTANTS = st.timedeltas(timedelta(0), timedelta(days=90)).map(datetime(2026, 10, 1, tzinfo=UTC).__add__)
LENGTHS = st.timedeltas(timedelta(0), timedelta(days=3))


@pytest.fixture(params=["Asia/Tokyo", "America/New_York", "Pacific/Chatham"])
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine that stands somewhere else; New York put its clocks back on 1 November 2026."""
    monkeypatch.setenv("TZ", request.param)
    clock_of_the_machine.tzset()
    yield
    monkeypatch.undo()
    clock_of_the_machine.tzset()


@pytest.mark.usefixtures("_zone")
def test_a_machine_in_another_zone_does_the_same_at_the_same_instants() -> None:
    begin, end = parse_jst("2026-10-31 23:00"), parse_jst("2026-11-01 12:30")
    shown = {
        name: [f"{at + timedelta(hours=9):%d %H:%M}" for at in RULES[name].between(begin, end)]
        for name in ("hours of a day", "first of a month", "next-day gate")
    }
    assert shown == {
        "hours of a day": ["01 00:05", "01 09:00", "01 12:00"],
        "first of a month": ["01 05:00"],
        "next-day gate": ["01 10:55", "01 11:55"],
    }
    closures = RULES["same-day gate"].between(begin, end)
    assert len(closures) == 27
    assert closures[0] == parse_jst("2026-10-31 23:25")  # of the half hour from 00:30, an hour and the margin


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@settings(max_examples=25, deadline=None)
@given(first=INSTANTS, one=LENGTHS, other=LENGTHS)
def test_a_stretch_that_is_cut_in_two_has_the_same_times(
    rule: Due, first: datetime, one: timedelta, other: timedelta
) -> None:
    middle, last = first + one, first + one + other
    whole = rule.between(first, last)
    assert rule.between(first, middle) + rule.between(middle, last) == whole
    assert whole == sorted(set(whole))
    assert all(first < at <= last for at in whole)
    ahead = rule.following(first)
    assert ahead is not None
    assert ahead > first
    assert (whole[0] == ahead) if whole else (ahead > last)


def test_what_is_only_asked_for_is_never_due() -> None:
    now = parse_jst("2026-11-22 12:00")
    assert Asked().between(now, now + timedelta(days=400)) == []
    assert Asked().following(now) is None
