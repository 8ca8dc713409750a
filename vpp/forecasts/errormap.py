"""How far off the region's day-ahead forecasts were by half hour: a document for each day that is over.

A day's document is made of the load of all sites and of their day-ahead issues. It is made anew when a value
or an issue of the day was added since: late, corrected, imported or erased (:mod:`vpp.derived`). Looking at
the map takes as many questions for sixty days as for one.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from energy.core.series import FloatArray, Grid
from energy.core.slots import JST, SLOT_LENGTH, SLOTS_PER_DAY, Slot, jst_midnight
from energy.core.units import SeriesId
from energy.store import Across, Store
from vpp.derived import digest_of, kept_or_made
from vpp.forecasts.issued import ISSUED, LOAD, Horizon, issue_instant_text

__all__ = ["ERROR_DAY", "SHOWN_DAYS", "errors_by_day", "made_within"]

ERROR_DAY: Final = "error-day"
"""Kind of the documents that hold the errors of one day; key is the day."""
SHOWN_DAYS: Final = 14
"""Days of the map."""
_DEMAND: Final = f"/{LOAD}/demand_kw"
_DAY: Final = timedelta(days=1)


def errors_by_day(store: Store, now: datetime, days: int) -> list[tuple[date, FloatArray]]:
    """Forecast less measured load by half hour, of the last days, as a share of the day's mean load.

    Only sites with a forecast of the day count, on both sides. NaN where not all of them measured.
    """
    today = now.astimezone(JST).date()
    over = [today - timedelta(days=back) for back in range(days - 1, 0, -1)]
    look = _Look(store.across(now), now)
    kept = kept_or_made(
        store,
        ERROR_DAY,
        look.made_of(over),
        lambda keys: look.errors([date.fromisoformat(key) for key in keys]),
        at=now,
    )
    told = kept | look.errors([today])
    return [(day, np.array(told[day.isoformat()], dtype=np.float64)) for day in (*over, today)]


class _Look:
    """The region as known at an instant."""

    def __init__(self, across: Across, now: datetime) -> None:
        self._across = across
        self._over = Slot.containing(now).start
        self._names = across.ids(_DEMAND)
        self._issues = [f"{site_of(name)}/{LOAD}/{Horizon.DAY_AHEAD.value}/" for name in self._names]

    def made_of(self, days: Sequence[date]) -> dict[str, str]:
        """Digest of what each of some days in a row is made of."""
        if not days:
            return {}
        counts = self._across.versions(self._names, Grid(jst_midnight(days[0]), len(days), _DAY))
        eves = [issue_instant_text(jst_midnight(day - _DAY)) for day in days]
        issues: list[list[tuple[str, datetime]]] = [[] for _ in days]
        for key, known_at in self._across.keys(ISSUED, self._issues, *made_within(days)):
            issues[bisect_right(eves, key.rsplit("/", 1)[1]) - 1].append((key, known_at))
        return {
            day.isoformat(): digest_of(self._names, counts[:, place].tolist(), issues[place])
            for place, day in enumerate(days)
        }

    def errors(self, days: Sequence[date]) -> dict[str, list[float | None]]:
        """Errors of some days in order, as shares; None where not known. [-]"""
        grid = Grid.between(jst_midnight(days[0]), jst_midnight(days[-1] + _DAY))
        load = self._across.table(self._names, grid)
        made = self._newest(days)
        found = {}
        for day in days:
            first = grid.index(jst_midnight(day))
            part = load[:, first : first + SLOTS_PER_DAY]
            errors = self._of_day(jst_midnight(day), part, made.get(day, {}))
            found[day.isoformat()] = [float(one) if np.isfinite(one) else None for one in errors]
        return found

    def _of_day(self, midnight: datetime, load: FloatArray, made: Mapping[str, FloatArray]) -> FloatArray:
        rows = [row for row, name in enumerate(self._names) if site_of(name) in made]
        if not rows:
            return np.full(SLOTS_PER_DAY, np.nan)
        over = np.array([midnight + k * SLOT_LENGTH < self._over for k in range(SLOTS_PER_DAY)])
        actual = load[rows].sum(axis=0)
        usable = over & np.isfinite(actual)  # one that did not measure makes the sum NaN
        mean = float(actual[usable].mean()) if usable.any() else 0.0
        if mean <= 0.0:
            return np.full(SLOTS_PER_DAY, np.nan)
        forecast = np.sum([made[site_of(self._names[row])] for row in rows], axis=0)
        return np.where(usable, (forecast - actual) / mean, np.nan)

    def _newest(self, days: Sequence[date]) -> dict[date, dict[str, FloatArray]]:
        """P50 of the newest day-ahead issue of each day by site. [kW]"""
        newest: dict[tuple[str, date], str] = {}
        for key, _ in self._across.keys(ISSUED, self._issues, *made_within(days)):  # by the instant of issue
            issued_at = datetime.fromisoformat(key.rsplit("/", 1)[1])
            newest[key.split("/", 1)[0], issued_at.astimezone(JST).date() + _DAY] = key
        documents = self._across.documents(ISSUED, sorted(newest.values()))
        found: dict[date, dict[str, FloatArray]] = {}
        for (site, day), key in newest.items():
            p50 = np.array(json.loads(documents[key].body)["p50"], dtype=np.float64)
            if p50.shape == (SLOTS_PER_DAY,):
                found.setdefault(day, {})[site] = p50
        return found


def site_of(name: SeriesId) -> str:
    """Site of a series."""
    return str(name).split("/", 1)[0]


def made_within(days: Sequence[date]) -> tuple[str, str]:
    """The time in which the day-ahead issues of some days in order are made, as ends of keys."""
    first, last = jst_midnight(days[0] - _DAY), jst_midnight(days[-1])
    return issue_instant_text(first), issue_instant_text(last)
