"""Charging sessions: each kind of trouble is mended or refused under its name."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from energy.core.errors import DataError, ForecastError
from forecasting.sessions import (
    Fault,
    Mend,
    Session,
    SessionRules,
    clean_sessions,
    known_sessions,
    require_known,
)

DAY = datetime(2026, 6, 1, tzinfo=UTC)


def stay(
    begins_h: float, ends_h: float | None, *, kwh: float | None = 10.0, user: str = "a", plug: str = ""
) -> Session:
    ends = None if ends_h is None else DAY + timedelta(hours=ends_h)
    return Session(
        user=user, arrives=DAY + timedelta(hours=begins_h), departs=ends, energy_kwh=kwh, charger=plug
    )


def test_a_time_without_a_zone_is_refused_because_it_may_be_hours_off() -> None:
    with pytest.raises(DataError, match="without a zone"):
        Session(user="a", arrives=datetime(2026, 6, 1, 8), departs=None)  # noqa: DTZ001
    with pytest.raises(DataError, match="without a zone"):
        Session(user="a", arrives=DAY, departs=datetime(2026, 6, 1, 8))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("bad", "fault"),
    [
        (stay(9, 8), Fault.BACKWARDS),
        (stay(9, 9.01), Fault.SECONDS),
        (stay(9, 9 + 8 * 24), Fault.FORGOTTEN),
        (stay(9, 17, kwh=-0.1), Fault.NEGATIVE),
        (stay(9, 17, kwh=14_000.0), Fault.ABSURD),  # Wh written as kWh
        (stay(9, 9.1, kwh=60.0), Fault.ABSURD),  # 600 kW through one plug
    ],
)
def test_a_session_that_cannot_be_is_left_out_by_name(bad: Session, fault: Fault) -> None:
    found = clean_sessions([bad, stay(30, 38)])
    assert found.refused == ((bad, fault),)
    assert found.faults() == {fault: 1}
    assert found.sessions == (stay(30, 38),)


def test_rules_of_a_site_replace_the_usual_ones() -> None:
    assert (
        clean_sessions([stay(9, 9.01, kwh=0.1)], SessionRules(shortest=timedelta(seconds=10))).refused == ()
    )


def test_the_same_session_twice_counts_once_and_is_reported() -> None:
    found = clean_sessions([stay(9, 17), stay(9, 17)])
    assert found.sessions == (stay(9, 17),)
    assert found.faults() == {Fault.TWICE: 1}


def test_one_stay_in_two_overlapping_rows_becomes_one_with_the_energies_added() -> None:
    found = clean_sessions([stay(9, 13, kwh=5.0), stay(12, 17, kwh=4.0)])
    assert found.sessions == (stay(9, 17, kwh=9.0),)
    assert found.mended == {Mend.JOINED: 1}


def test_two_sessions_on_one_day_that_do_not_overlap_stay_two() -> None:
    assert len(clean_sessions([stay(9, 12), stay(12, 17)]).sessions) == 2


def test_an_energy_that_is_no_number_is_unknown_and_the_stay_is_kept() -> None:
    found = clean_sessions([stay(9, 17, kwh=float("nan"))])
    assert found.sessions == (stay(9, 17, kwh=None),)
    assert found.mended == {Mend.ENERGY_UNKNOWN: 1}


def test_two_drivers_at_one_plug_at_once_are_kept_and_counted() -> None:
    found = clean_sessions([stay(9, 17, plug="p1"), stay(12, 18, user="b", plug="p1")])
    assert len(found.sessions) == 2
    assert found.mended == {Mend.SHARED_PLUG: 1}


def test_what_was_known_at_noon_has_no_afternoon() -> None:
    noon = DAY + timedelta(hours=12)
    known = known_sessions([stay(8, 11), stay(9, 17), stay(13, 18)], noon)
    assert known == [stay(8, 11), stay(9, None, kwh=None)]
    require_known(known, noon)
    with pytest.raises(ForecastError, match="look into the future"):
        require_known([stay(9, 17)], noon)
