"""Sessions as days: who came on which local day, from when to when, and for how much energy."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from energy.core.calendar import DayType, SiteCalendar
from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import BoolArray, IntArray
from forecasting.sessions import Session

__all__ = [
    "CLASSES",
    "DAY_MIN",
    "PROFILE_SLOTS",
    "SLOT_MIN",
    "VisitTable",
    "class_rests",
    "day_classes",
    "wall_time",
]

CLASSES: Final = (
    10  # Monday..Sunday, a rest day that is usually worked, a bridge day, a day beside an odd rest
)
PROFILE_SLOTS: Final = 2 * SLOTS_PER_DAY  # the day of arrival and the one after: a car may stay overnight
_ODD_REST, _BRIDGE, _BESIDE = 7, 8, 9
SLOT_MIN: Final = 30.0
DAY_MIN: Final = 1440.0


def day_classes(calendar: SiteCalendar, first: date, count: int) -> IntArray:
    """Class of each of ``count`` days from ``first``.

    0..6 the weekday; 7 a day of rest on a weekday that is usually worked (holiday, shutdown); 8 a bridge day;
    9 another working day before or after a day of class 7.
    """
    usual = calendar.rest_weekdays

    def odd(day: date) -> bool:
        return day.weekday() not in usual and calendar.day_type(day) is DayType.REST

    one = timedelta(days=1)
    found = np.empty(count, dtype=np.int64)
    for k in range(count):
        day = first + k * one
        if odd(day):
            found[k] = _ODD_REST
        elif calendar.is_bridge(day):
            found[k] = _BRIDGE
        elif calendar.day_type(day) is DayType.WEEKDAY and (odd(day - one) or odd(day + one)):
            found[k] = _BESIDE
        else:
            found[k] = day.weekday()
    return found


def class_rests(calendar: SiteCalendar) -> BoolArray:
    """Whether the site rests on days of each class, shape (CLASSES,)."""
    rests = np.zeros(CLASSES, dtype=np.bool_)
    rests[list(calendar.rest_weekdays)] = True
    rests[_ODD_REST] = True
    return rests


def wall_time(day: date, minute: float, zone: ZoneInfo) -> datetime:
    """The instant at which the clock on the wall shows a minute of a local day, UTC.

    Above 1440 it is a minute of the next day. A time that is skipped in spring is read an hour later, one
    that comes twice is its first.
    """
    wall = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(minutes=minute)
    return wall.replace(tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitTable:
    """One row per user and local day with a session, in order of day.

    The stay of a day is its longest session: its arrival and departure are those of the day. The energy is
    that of all the day's sessions, because all of it is needed. Minutes count from midnight on the clock on
    the wall, so that a departure after midnight is above 1440.

    Parameters
    ----------
    users : tuple of str
        In order of name.
    first : date
        Local day 0.
    zone : ZoneInfo
        Where the days begin.
    user, day : ndarray of int, shape (n,)
        Index of the user, and of the day of arrival.
    arrival_min, departure_min : ndarray, shape (n,)
        Of the longest session; the departure is NaN while it is not known. [min]
    seen_min : ndarray, shape (n,)
        Arrival of the day's first session. [min]
    energy_kwh : ndarray, shape (n,)
        NaN if any part is unknown. [kWh]
    plugged : ndarray of bool, shape (n, PROFILE_SLOTS)
        Whether the user is plugged in at the middle of each half hour of that day and the next.
    open : ndarray of bool, shape (n,)
        Whether the user is still there.
    """

    users: tuple[str, ...]
    first: date
    zone: ZoneInfo
    user: IntArray
    day: IntArray
    arrival_min: FloatArray
    departure_min: FloatArray
    seen_min: FloatArray
    energy_kwh: FloatArray
    plugged: BoolArray
    open: BoolArray

    @classmethod
    def of(cls, sessions: Sequence[Session], zone: ZoneInfo, *, now: datetime) -> VisitTable:
        """Table of sessions that do not overlap per user; ``now`` is where running ones end so far."""
        users = tuple(sorted({session.user for session in sessions}))
        place = {user: k for k, user in enumerate(users)}
        first = min((s.arrives for s in sessions), default=now).astimezone(zone).date()
        groups: dict[tuple[int, int], list[_Stay]] = defaultdict(list)
        for session in sessions:
            day = session.arrives.astimezone(zone).date()
            groups[(day - first).days, place[session.user]].append(_Stay.of(session, day, zone, now))
        keys = sorted(groups)
        rows = [groups[key] for key in keys]
        longest = [max(stays, key=lambda stay: stay.until - stay.arrival) for stays in rows]
        return cls(
            users=users,
            first=first,
            zone=zone,
            user=np.array([user for _, user in keys], dtype=np.int64),
            day=np.array([day for day, _ in keys], dtype=np.int64),
            arrival_min=np.array([stay.arrival for stay in longest], dtype=np.float64),
            departure_min=np.array([stay.departure for stay in longest], dtype=np.float64),
            seen_min=np.array([min(s.arrival for s in stays) for stays in rows], dtype=np.float64),
            energy_kwh=np.array([sum(s.energy for s in stays) for stays in rows], dtype=np.float64),
            plugged=_profiles(rows),
            open=np.array([any(np.isnan(s.departure) for s in stays) for stays in rows], dtype=np.bool_),
        )

    def matrix(self, days: int) -> tuple[BoolArray, FloatArray]:
        """Who came on which of the first ``days`` days, and when first (NaN if not); both (users, days)."""
        came = np.zeros((len(self.users), days), dtype=np.bool_)
        seen = np.full((len(self.users), days), np.nan)
        inside = self.day < days
        came[self.user[inside], self.day[inside]] = True
        seen[self.user[inside], self.day[inside]] = self.seen_min[inside]
        return came, seen


@dataclass(frozen=True, slots=True)
class _Stay:
    """A session in minutes of its day of arrival."""

    arrival: float
    departure: float  # NaN while not known
    until: float  # the departure, or now
    energy: float

    @classmethod
    def of(cls, session: Session, day: date, zone: ZoneInfo, now: datetime) -> _Stay:
        departs = session.departs
        return cls(
            arrival=_minutes(session.arrives, day, zone),
            departure=np.nan if departs is None else _minutes(departs, day, zone),
            until=_minutes(departs or max(now, session.arrives), day, zone),
            energy=np.nan if session.energy_kwh is None else session.energy_kwh,
        )


def _minutes(instant: datetime, day: date, zone: ZoneInfo) -> float:
    """Minutes on the clock on the wall since the midnight that began a day."""
    local = instant.astimezone(zone)
    of_day = local.hour * 60.0 + local.minute + local.second / 60.0
    return (local.date() - day).days * DAY_MIN + of_day


def _profiles(rows: Sequence[Sequence[_Stay]]) -> BoolArray:
    middle = (np.arange(PROFILE_SLOTS) + 0.5) * SLOT_MIN
    plugged = np.zeros((len(rows), PROFILE_SLOTS), dtype=np.bool_)
    for k, stays in enumerate(rows):
        for stay in stays:
            plugged[k] |= (middle >= stay.arrival) & (middle < stay.until)
    return plugged
