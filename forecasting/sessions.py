"""Charging sessions as they are and as a forecast may use them: checked, joined, cut at what was known.

A session is one stay of a car at a plug. Files of sessions hold what people and chargers do: a plug pulled
after seconds, the same row twice, two rows for one stay, a clock that stood still. What can be mended is
mended under a name, what cannot is left out under a name, and both are counted.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from energy.core.clock import require_aware
from energy.core.errors import DataError, ForecastError

__all__ = [
    "CleanSessions",
    "Fault",
    "Mend",
    "Session",
    "SessionRules",
    "clean_sessions",
    "known_sessions",
    "require_known",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One stay of a car at a charger, plugged in during ``[arrives, departs)``.

    Parameters
    ----------
    user : str
        Who drives, or the charger's name where drivers are not known.
    arrives : datetime
        Plugged in. UTC.
    departs : datetime or None
        Unplugged, UTC; None while the car is still there.
    energy_kwh : float or None
        Energy charged, None if not measured. [kWh]
    charger : str
        Where; empty if not known.

    Raises
    ------
    DataError
        If a time has no zone: a naive time would be off by hours without anybody noticing.
    """

    user: str
    arrives: datetime
    departs: datetime | None
    energy_kwh: float | None = None
    charger: str = ""

    def __post_init__(self) -> None:
        for name in ("arrives", "departs"):
            value = getattr(self, name)
            if value is None:
                continue
            if value.tzinfo is None:
                raise DataError(
                    f"a session of {self.user} has a time without a zone",
                    where=f"{name} {value.isoformat()}",
                    hint="say the zone of the file's times in its mapping (zone: UTC)",
                )
            object.__setattr__(self, name, require_aware(value))


class Fault(StrEnum):
    """Why a session is left out."""

    BACKWARDS = "ends-before-it-starts"
    SECONDS = "shorter-than-the-shortest-stay"
    FORGOTTEN = "longer-than-the-longest-stay"
    NEGATIVE = "negative-energy"
    ABSURD = "more-energy-than-a-car-or-its-plug-can-take"
    TWICE = "the-same-session-twice"


class Mend(StrEnum):
    """What was changed about sessions that are kept."""

    JOINED = "overlapping-sessions-of-one-user-joined"
    ENERGY_UNKNOWN = "energy-that-is-no-number-taken-as-unknown"
    SHARED_PLUG = "two-users-at-one-plug-at-once"  # counted, nothing changed: which clock is wrong is unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRules:
    """What a session can be.

    Parameters
    ----------
    shortest, longest : timedelta
        A stay below the first charges nothing worth planning; above the second somebody forgot the plug, or
        the end was written when the charger was next used.
    max_kwh : float
        Largest energy of one stay; the largest batteries of passenger cars hold about 120 kWh. [kWh]
    max_kw : float
        Largest mean power over a stay; 150 kW stands for any charger that a car park has. [kW]
    """

    shortest: timedelta = timedelta(minutes=3)
    longest: timedelta = timedelta(days=7)
    max_kwh: float = 120.0
    max_kw: float = 150.0


@dataclass(frozen=True, slots=True)
class CleanSessions:
    """Sessions a forecast may learn from, and what happened to the others.

    Parameters
    ----------
    sessions : tuple of Session
        In order of arrival; of one user none overlaps another.
    refused : tuple of (Session, Fault)
        Left out, in order of arrival.
    mended : dict of Mend to int
        How many were changed, by what.
    """

    sessions: tuple[Session, ...]
    refused: tuple[tuple[Session, Fault], ...] = ()
    mended: dict[Mend, int] = field(default_factory=dict)

    def faults(self) -> dict[Fault, int]:
        """How many were left out, by reason."""
        return dict(sorted(Counter(fault for _, fault in self.refused).items()))


def clean_sessions(sessions: Iterable[Session], rules: SessionRules = SessionRules()) -> CleanSessions:
    """Check sessions one by one and against each other.

    Parameters
    ----------
    sessions : iterable of Session
        In any order.

    Notes
    -----
    Overlapping sessions of one user become one: from the first arrival to the last departure, the energies
    added, because a charger that restarts writes one stay in pieces. An energy that is not a number is
    unknown; the stay itself is still good.
    """
    kept: list[Session] = []
    refused: list[tuple[Session, Fault]] = []
    mended: Counter[Mend] = Counter()
    seen: set[tuple[str, datetime, datetime | None]] = set()
    for session in sorted(sessions, key=lambda one: (one.arrives, one.user)):
        energy = session.energy_kwh
        if energy is not None and not math.isfinite(energy):
            mended[Mend.ENERGY_UNKNOWN] += 1
            session = replace(session, energy_kwh=None)
        fault = _fault(session, rules)
        key = (session.user, session.arrives, session.departs)
        if fault is None and key in seen:
            fault = Fault.TWICE
        if fault is not None:
            refused.append((session, fault))
            continue
        seen.add(key)
        kept.append(session)
    joined, count = _join(kept)
    if count:
        mended[Mend.JOINED] = count
    if shared := _shared_plugs(joined):
        mended[Mend.SHARED_PLUG] = shared
    return CleanSessions(tuple(joined), tuple(refused), dict(mended))


def _fault(session: Session, rules: SessionRules) -> Fault | None:
    energy = session.energy_kwh
    if energy is not None and energy < 0.0:
        return Fault.NEGATIVE
    if energy is not None and energy > rules.max_kwh:
        return Fault.ABSURD
    if session.departs is None:
        return None
    stay = session.departs - session.arrives
    if stay < timedelta(0):
        return Fault.BACKWARDS
    if stay < rules.shortest:
        return Fault.SECONDS
    if stay > rules.longest:
        return Fault.FORGOTTEN
    if energy is not None and energy > rules.max_kw * (stay / timedelta(hours=1)):
        return Fault.ABSURD
    return None


def _join(sessions: Sequence[Session]) -> tuple[list[Session], int]:
    """Overlapping sessions of a user made one, and how many went into another."""
    by_user: dict[str, list[Session]] = defaultdict(list)
    joined = 0
    for session in sessions:  # in order of arrival
        mine = by_user[session.user]
        before = mine[-1] if mine else None
        if before is None or (before.departs is not None and before.departs <= session.arrives):
            mine.append(session)
            continue
        ends = (
            None
            if before.departs is None or session.departs is None
            else max(before.departs, session.departs)
        )
        mine[-1] = replace(before, departs=ends, energy_kwh=_sum(before.energy_kwh, session.energy_kwh))
        joined += 1
    flat = [session for mine in by_user.values() for session in mine]
    return sorted(flat, key=lambda one: (one.arrives, one.user)), joined


def _sum(a: float | None, b: float | None) -> float | None:
    known = [value for value in (a, b) if value is not None]
    return sum(known) if known else None


def _shared_plugs(sessions: Sequence[Session]) -> int:
    """Sessions that begin at a plug before the one of another user there has ended."""
    by_plug: dict[str, list[Session]] = defaultdict(list)
    for session in sessions:
        if session.charger:
            by_plug[session.charger].append(session)
    return sum(
        before.departs is not None and after.arrives < before.departs
        for stays in by_plug.values()
        for before, after in pairwise(stays)
    )


def known_sessions(sessions: Iterable[Session], instant: datetime) -> list[Session]:
    """Sessions as they were known at an instant: later ones gone, running ones without end and energy."""
    now = require_aware(instant)
    return [
        session
        if session.departs is not None and session.departs <= now
        else replace(session, departs=None, energy_kwh=None)
        for session in sessions
        if session.arrives <= now
    ]


def require_known(sessions: Iterable[Session], issued_at: datetime) -> None:
    """Refuse sessions that hold anything not known when the forecast is issued.

    Raises
    ------
    ForecastError
        If a session begins or ends after ``issued_at``.
    """
    issued = require_aware(issued_at)
    for session in sessions:
        latest = session.arrives if session.departs is None else max(session.arrives, session.departs)
        if latest > issued:
            raise ForecastError(
                "the sessions look into the future",
                where=f"{session.user} at {latest.isoformat()}, forecast issued at {issued.isoformat()}",
                hint="give only what was known then: known_sessions(sessions, issued_at)",
            )
