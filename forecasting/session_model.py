"""Who comes to a car park tomorrow, from when to when, and with how much energy to charge.

Whether a driver comes is :mod:`forecasting.session_presence`, when and how much is
:mod:`forecasting.session_spread`; both lean on the group (all drivers of the site) where a driver's own past
is short, and on a stated default where there is no group. Days are local days of a configured zone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.clock import require_aware
from energy.core.errors import ForecastError
from energy.core.series import FloatArray
from energy.core.slots import JST, SLOTS_PER_DAY
from forecasting.days import BoolArray, IntArray
from forecasting.session_days import DAY_MIN, VisitTable, class_rests, day_classes, wall_time
from forecasting.session_presence import Presence, PresenceRule
from forecasting.session_profile import MIDDLES_MIN, Profiles, default_profile, later_visit, still_there
from forecasting.session_spread import ALL_ALIKE, Spread, SpreadShape, VisitValues, likeness
from forecasting.sessions import Session, known_sessions, require_known

__all__ = [
    "FittedSessions",
    "Method",
    "Quantiles",
    "SessionDefault",
    "SessionModel",
    "VisitForecast",
    "usual_profile",
]

Method = Literal["own-like-days", "own-past", "group", "default"]

LEVELS: Final = (0.1, 0.5, 0.9)
HISTORY_DAYS: Final = 240  # four half-lives: what is older weighs less than 7 %
HORIZON_DAYS: Final = 14
ENOUGH_OWN: Final = 3.0  # visits, decayed, from which a driver's own past leads
ENOUGH_GROUP: Final = 10.0
MINUTE_BIN: Final = 10.0  # [min]
ENERGY_BIN: Final = 0.5  # [kWh]
MOST_KWH: Final = 120.0  # the largest batteries of passenger cars
_GAPS: Final = np.array([2, 3, 4, 7])  # working days since the last visit: 1, 2, 3, 4 to 6, more
_GAP_ALIKE: Final = 0.5 ** np.minimum(2.3, np.abs(np.subtract.outer(np.arange(5.0), np.arange(5.0))))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """P10, P50 and P90 of one number."""

    p10: float
    p50: float
    p90: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDefault:
    """What is assumed of a driver before anybody has come: a day's work, a commuter's energy.

    Parameters
    ----------
    probability_work, probability_rest : float
        That a driver comes on a working day and on a day of rest. [-]
    arrival_min, arrival_sd_min, departure_min, departure_sd_min : float
        Minutes after local midnight. [min]
    energy_kwh, energy_sd_kwh : float
        About 40 km each way at 0.15 kWh/km. [kWh]
    """

    probability_work: float = 0.5
    probability_rest: float = 0.05
    arrival_min: float = 510.0
    arrival_sd_min: float = 90.0
    departure_min: float = 1050.0
    departure_sd_min: float = 120.0
    energy_kwh: float = 12.0
    energy_sd_kwh: float = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitForecast:
    """One driver on one local day.

    Parameters
    ----------
    method : str
        Whose past leads: ``own-like-days``, ``own-past``, ``group`` or ``default``.
    probability : float
        That the driver comes on that day at all (1 if already there, 0 if already gone). [-]
    arrives_min, departs_min : Quantiles
        If the driver comes; minutes on the clock on the wall from the day's midnight. [min]
    energy_kwh : Quantiles
        Energy to charge if the driver comes, all sessions of the day together. [kWh]
    plugged : tuple of float
        Probability to be plugged in at the middle of each of the 48 half hours of the local day, cars of
        the evening before included. [-]
    own_visits : float
        Visits of the driver on days of that kind, decayed. [-]
    """

    user: str
    day: date
    zone: ZoneInfo
    issued_at: datetime
    method: Method
    probability: float
    arrives_min: Quantiles
    departs_min: Quantiles
    energy_kwh: Quantiles
    plugged: tuple[float, ...]
    own_visits: float

    def instant(self, minute: float) -> datetime:
        """The instant of a minute of the day, UTC."""
        return wall_time(self.day, minute, self.zone)


@dataclass(frozen=True, slots=True)
class SessionModel:
    """Settings of the forecast of a site's drivers.

    Parameters
    ----------
    calendar : SiteCalendar
        Working days, holidays and shutdowns of the site.
    zone : ZoneInfo
        Where local days begin.
    default : SessionDefault
        What is assumed before anybody has come.
    """

    calendar: SiteCalendar
    zone: ZoneInfo = JST
    default: SessionDefault = field(default_factory=SessionDefault)

    def fit(self, sessions: Sequence[Session], *, issued_at: datetime) -> FittedSessions:
        """Learn from sessions that are clean (:func:`forecasting.sessions.clean_sessions`).

        Raises
        ------
        ForecastError
            If a session begins or ends after ``issued_at``.
        """
        issued = require_aware(issued_at)
        require_known(sessions, issued)
        today = issued.astimezone(self.zone).date()
        recent = [s for s in sessions if (today - s.arrives.astimezone(self.zone).date()).days < HISTORY_DAYS]
        return FittedSessions.of(self, known_sessions(recent, issued), issued)


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedSessions:
    """Everything learned up to an issue; asked for the days from the day of issue on."""

    model: SessionModel
    issued_at: datetime
    table: VisitTable
    today: int
    issue_min: float
    classes: IntArray
    rests: BoolArray
    _presence: Presence
    _arrival: Spread
    _departure: Spread
    _energy: Spread
    _profiles: Profiles
    _rules: dict[int, PresenceRule] = field(default_factory=dict)

    @classmethod
    def of(cls, model: SessionModel, sessions: Sequence[Session], issued: datetime) -> FittedSessions:
        """Learn from sessions as they were known at the issue."""
        zone, given = model.zone, model.default
        table = VisitTable.of(sessions, zone, now=issued)
        local = issued.astimezone(zone)
        today = (local.date() - table.first).days
        issue_min = local.hour * 60.0 + local.minute
        classes = day_classes(model.calendar, table.first, today + HORIZON_DAYS + 1)
        rests = class_rests(model.calendar)
        came, seen = table.matrix(today + 1)
        alike = likeness(rests)
        gaps = _gap_classes(table, classes, rests)

        def learn(shape: SpreadShape, kind: IntArray, value: FloatArray) -> Spread:
            visits = VisitValues.of(table.user, table.day, kind, value)
            return Spread.learn(visits, shape, users=len(table.users), today=today)

        day_kind = classes[table.day]
        return cls(
            model=model,
            issued_at=issued,
            table=table,
            today=today,
            issue_min=issue_min,
            classes=classes,
            rests=rests,
            _presence=Presence.of(came[:, :today], seen, classes, rests=rests, issue_min=issue_min),
            _arrival=learn(
                _minutes(1, given.arrival_min, given.arrival_sd_min, alike), day_kind, table.arrival_min
            ),
            _departure=learn(
                _minutes(2, given.departure_min, given.departure_sd_min, alike), day_kind, table.departure_min
            ),
            _energy=learn(_kilowatt_hours(given), gaps, table.energy_kwh),
            _profiles=Profiles.learn(
                table, table.plugged, day_kind, alike=alike, before=today, default=usual_profile(given)
            ),
        )

    def active(self) -> BoolArray:
        """Who came within the last eight weeks or on the day of issue, per user of the table."""
        seen_today = ~np.isnan(self._presence.seen_min[:, self.today])
        return np.asarray(self._presence.active(self.today) | seen_today, dtype=np.bool_)

    def predict(self, day: date, users: Sequence[str] | None = None) -> tuple[VisitForecast, ...]:
        """Forecast a local day for some users (strangers included), or for all active ones.

        Raises
        ------
        ForecastError
            If the day lies before the issue or more than two weeks after it.
        """
        active = (user for user, counts in zip(self.table.users, self.active(), strict=True) if counts)
        names = tuple(active if users is None else users)
        lead = self.lead(day)
        who = self._places(names)
        kind = np.full(len(who), self.classes[self.today + lead])
        chance = self.probabilities(who, lead)
        here = self._here(who) if lead == 0 else np.full(len(who), np.nan)
        not_before = np.full(len(who), self.issue_min) if lead == 0 else None
        arrival = self._arrival.quantiles(who, kind, LEVELS, above=not_before)
        departure = self._departure.quantiles(who, kind, LEVELS, above=not_before)
        energy = self._energy.quantiles(who, self._gap_ahead(who, lead), LEVELS)
        arrived = ~np.isnan(here)
        arrival[arrived] = here[arrived, None]
        departure = np.maximum(departure, arrival + MINUTE_BIN)
        plugged = self.plugged(who, lead)
        own = self._own(who, lead)
        return tuple(
            VisitForecast(
                user=name,
                day=day,
                zone=self.model.zone,
                issued_at=self.issued_at,
                method=self._method(who[k], own[k]),
                probability=float(chance[k]),
                arrives_min=_quantiles(arrival[k]),
                departs_min=_quantiles(departure[k]),
                energy_kwh=_quantiles(energy[k]),
                plugged=tuple(float(p) for p in plugged[k]),
                own_visits=float(own[k]),
            )
            for k, name in enumerate(names)
        )

    def probabilities(self, who: IntArray, lead: int) -> FloatArray:
        """Probability that users (by place; -1 a stranger) come on the day ``lead`` days ahead. [-]"""
        target = self.today + lead
        if lead not in self._rules:
            self._rules[lead] = self._presence.learn(lead)
        kind = int(self.classes[target])
        rests = bool(self.rests[kind])
        given = self.model.default.probability_rest if rests else self.model.default.probability_work
        group = self._presence.group_shares(self.today, kind)[0] if self._knows_group() else given
        out = np.full(len(who), group)
        known = (who >= 0) & self._presence.known(self.today)[who] if len(self.table.users) else who >= 0
        if known.any():
            fields = self._presence.fields(target, lead)
            out[known] = self._rules[lead].probability(fields[who[known]])
        if lead == 0:
            out = self._so_far(who, out)
        return out

    def plugged(self, who: IntArray, lead: int) -> FloatArray:
        """Probability to be plugged in at the middle of the day's half hours, shape (len(who), 48). [-]"""
        own = self._profile(who, lead)[:, :SLOTS_PER_DAY]
        before = self._profile(who, lead - 1)[:, SLOTS_PER_DAY:] if lead > 0 else self._from_yesterday(who)
        return np.clip(own + before, 0.0, 1.0)

    def chances_then(self, target: int, lead: int) -> FloatArray:
        """Probability of a past day's visit as forecast then, by user; 0 for who was not active. [-]"""
        self.probabilities(np.empty(0, dtype=np.int64), lead)  # learns the rule of this lead
        issue = max(0, target - lead)
        active = self._presence.active(issue)
        chance = self._rules[lead].probability(self._presence.fields(target, target - issue))
        return np.where(active, chance, 0.0)

    def _places(self, names: Sequence[str]) -> IntArray:
        place = {user: k for k, user in enumerate(self.table.users)}
        return np.array([place.get(name, -1) for name in names], dtype=np.int64)

    def lead(self, day: date) -> int:
        """Days from the issue to a local day.

        Raises
        ------
        ForecastError
            If the day lies before the issue or more than two weeks after it.
        """
        lead = (day - self.table.first).days - self.today
        if not 0 <= lead <= HORIZON_DAYS:
            raise ForecastError(
                f"no forecast of {day.isoformat()}",
                where=f"issued at {self.issued_at.isoformat()}, which reaches {HORIZON_DAYS} days",
                hint="fit again with what is known now, or ask for a nearer day",
            )
        return lead

    def _knows_group(self) -> bool:
        return self._arrival.group_visits() >= ENOUGH_GROUP

    def _own(self, who: IntArray, lead: int) -> FloatArray:
        """Own visits on days of the kind of the target."""
        own = np.zeros(len(who))
        known = who >= 0
        if known.any():
            kind = int(self.classes[self.today + lead])
            own[known] = self._presence.own_days(self.today, kind)[who[known]]
        return own

    def _method(self, place: np.int64, own_like: float) -> Method:
        if own_like >= ENOUGH_OWN:
            return "own-like-days"
        if place >= 0 and float(self._arrival.own_visits()[place].sum()) >= ENOUGH_OWN:
            return "own-past"
        return "group" if self._knows_group() else "default"

    def _gap_ahead(self, who: IntArray, lead: int) -> IntArray:
        """Class of the working days since the last visit; not known further ahead than tomorrow."""
        gaps = np.full(len(who), ALL_ALIKE, dtype=np.int64)
        if lead > 1:
            return gaps
        worked = _working_days(self.classes, self.rests)
        last = np.full(len(self.table.users), -1, dtype=np.int64)
        earlier = self.table.day < self.today + lead
        np.maximum.at(last, self.table.user[earlier], self.table.day[earlier])
        for k, place in enumerate(who):
            if place >= 0 and last[place] >= 0:
                gaps[k] = np.searchsorted(_GAPS, worked[self.today + lead] - worked[last[place]], "right")
        return gaps

    def _rows(self, day: int) -> dict[int, int]:
        """Row of the table by user of one day."""
        rows = np.flatnonzero(self.table.day == day)
        return {int(self.table.user[row]): int(row) for row in rows}

    def _here(self, who: IntArray) -> FloatArray:
        """Arrival of those who came today and are still there; NaN for all others. [min]"""
        rows = self._rows(self.today)
        found = np.full(len(who), np.nan)
        for k, place in enumerate(who):
            row = rows.get(int(place))
            if row is not None and self.table.open[row]:
                found[k] = self.table.arrival_min[row]
        return found

    def _so_far(self, who: IntArray, chance: FloatArray) -> FloatArray:
        """Probability of a visit today after what was seen of today; who has left is not expected back."""
        rows = self._rows(self.today)
        kind = np.full(len(who), self.classes[self.today])
        left = 1.0 - np.array(
            [
                np.interp(self.issue_min, self._arrival.shape.edges, row)
                for row in self._arrival.cdf(who, kind)
            ]
        )
        out = chance * left / (1.0 - chance + chance * left)
        for k, place in enumerate(who):
            row = rows.get(int(place))
            if row is not None:
                out[k] = 1.0 if self.table.open[row] else 0.0
        return np.asarray(out, dtype=np.float64)

    def _profile(self, who: IntArray, lead: int) -> FloatArray:
        """Probability of the half hours of a day and of the next to be covered by a visit of that day."""
        kind = int(self.classes[self.today + lead])
        if lead > 0:
            return self.probabilities(who, lead)[:, None] * self._profiles.share(who, kind)
        kinds = np.full(len(who), kind)
        come, gone = self._arrival.cdf(who, kinds), self._departure.cdf(who, kinds)
        edges = (self._arrival.shape.edges, self._departure.shape.edges)
        remaining, later = later_visit(come, gone, edges, self.issue_min)
        chance = self.probabilities(who, 0)
        out = chance[:, None] * later / np.maximum(remaining, 1e-6)[:, None]
        stays = still_there(gone, edges[1], self.issue_min)
        rows = self._rows(self.today)
        for k, place in enumerate(who):
            row = rows.get(int(place))
            if row is not None:
                ahead = stays[k] if self.table.open[row] else np.zeros_like(stays[k])
                out[k] = np.where(self.issue_min >= MIDDLES_MIN, self.table.plugged[row], ahead)
        return out

    def _from_yesterday(self, who: IntArray) -> FloatArray:
        """Probability that a car that came yesterday is still there, over today's half hours."""
        out = np.zeros((len(who), SLOTS_PER_DAY))
        if self.today == 0:
            return out
        kinds = np.full(len(who), self.classes[self.today - 1])
        now = self.issue_min + DAY_MIN  # seen from yesterday's midnight
        stays = still_there(self._departure.cdf(who, kinds), self._departure.shape.edges, now)
        rows = self._rows(self.today - 1)
        for k, place in enumerate(who):
            row = rows.get(int(place))
            if row is not None:
                ahead = stays[k] if self.table.open[row] else np.zeros_like(stays[k])
                day = np.where(now >= MIDDLES_MIN, self.table.plugged[row], ahead)
                out[k] = day[SLOTS_PER_DAY:]
        return out


def _quantiles(values: FloatArray) -> Quantiles:
    return Quantiles(*(float(value) for value in values))


def _minutes(days: int, usual: float, usual_sd: float, alike: FloatArray) -> SpreadShape:
    edges = np.arange(0.0, days * 1440.0 + 1.0, MINUTE_BIN)
    return SpreadShape(edges=edges, bell=MINUTE_BIN, usual=usual, usual_sd=usual_sd, alike=alike)


def _kilowatt_hours(given: SessionDefault) -> SpreadShape:
    edges = np.arange(0.0, MOST_KWH + ENERGY_BIN / 2.0, ENERGY_BIN)
    return SpreadShape(
        edges=edges, bell=ENERGY_BIN, usual=given.energy_kwh, usual_sd=given.energy_sd_kwh, alike=_GAP_ALIKE
    )


def usual_profile(given: SessionDefault) -> FloatArray:
    """Share plugged in at each half hour of two days under the stated default. [-]"""
    return default_profile(
        (given.arrival_min, given.arrival_sd_min), (given.departure_min, given.departure_sd_min)
    )


def _working_days(classes: IntArray, rests: BoolArray) -> IntArray:
    return np.cumsum(~rests[classes])


def _gap_classes(table: VisitTable, classes: IntArray, rests: BoolArray) -> IntArray:
    """Class of each visit by the working days since the user's last one; the first has none to compare."""
    worked = _working_days(classes, rests)
    last: dict[int, int] = {}
    gaps = np.full(len(table.day), len(_GAPS), dtype=np.int64)
    for row, (user, day) in enumerate(zip(table.user.tolist(), table.day.tolist(), strict=True)):
        if user in last:
            gaps[row] = np.searchsorted(_GAPS, worked[day] - worked[last[user]], "right")
        last[user] = day
    return gaps
