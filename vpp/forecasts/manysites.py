"""Issues and readings of many sites at once: questions by the hundred sites, not by site and day."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from energy.core.series import FloatArray, Grid
from energy.core.slots import SLOT_HOURS, SLOTS_PER_DAY, jst_midnight
from energy.core.units import SeriesId, series_id
from energy.store import Across
from vpp.forecasts.handover import DeliveryTarget
from vpp.forecasts.issued import ISSUED, LOAD, Horizon, IssuedForecast, issue_instant_text
from vpp.forecasts.lookback import NOON

__all__ = ["Parts", "targets_of_sites"]

_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(days=8)  # a week's issue of this age still covers the day
_HALF_HOUR: Final = timedelta(minutes=30)


def targets_of_sites(across: Across, sites: Sequence[str], target: DeliveryTarget) -> dict[str, list[str]]:
    """Names of the forecasts that belong to a target by site; none where a site has no array."""
    if target is DeliveryTarget.DEMAND:
        return {site: [LOAD] for site in sites}
    found: dict[str, list[str]] = {site: [] for site in sites}
    for name in across.ids("/generation_kwh"):
        site, array, _ = str(name).split("/")
        if site in found:
            found[site].append(array)
    return found


@dataclass(frozen=True, slots=True)
class Parts:
    """What a sum is made of: targets of sites, in order.

    Parameters
    ----------
    across : Across
        Where they are read, as known at an instant.
    pairs : tuple of (str, str)
        Site and target: the load, or an array.
    """

    across: Across
    pairs: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, across: Across, sites: Sequence[str], target: DeliveryTarget) -> Parts:
        """All targets of some sites."""
        told = targets_of_sites(across, sites, target)
        return cls(across, tuple((site, name) for site in sites for name in told[site]))

    @property
    def series(self) -> list[SeriesId]:
        """Series that tell what came, and where an array was held back."""
        found = []
        for site, target in self.pairs:
            if target == LOAD:
                found.append(series_id(site, LOAD, "demand_kw"))
            else:
                found += [series_id(site, target, name) for name in ("generation_kwh", "limited")]
        return found

    def versions(self, first: date, days: int) -> NDArray[np.int64]:
        """Versions of values of each series, by day; shape (series, days)."""
        return self.across.versions(self.series, Grid(jst_midnight(first), days, _DAY))

    def actual_kw(self, grid: Grid) -> FloatArray:
        """What came, NaN where unknown or held back; a row for each part. [kW]"""
        names = self.series
        table = dict(zip(names, self.across.table(names, grid), strict=True))
        rows = np.full((len(self.pairs), grid.count), np.nan)
        for row, (site, target) in enumerate(self.pairs):
            if target == LOAD:
                rows[row] = table[series_id(site, LOAD, "demand_kw")]
            else:
                free = np.nan_to_num(table[series_id(site, target, "limited")]) <= 0.0
                energy = table[series_id(site, target, "generation_kwh")]
                rows[row] = np.where(free, energy / SLOT_HOURS, np.nan)
        return rows

    # -- day-ahead issues of noon ----------------------------------------------------------------------

    def noon_keys(self, days: Sequence[date]) -> dict[date, list[tuple[str, datetime]]]:
        """Keys of the noon issues of some days in order, with the instants at which they became known."""
        noons = [jst_midnight(day) + NOON for day in days]
        firsts = [issue_instant_text(noon) for noon in noons]
        ends = [issue_instant_text(noon + _HALF_HOUR) for noon in noons]
        found: dict[date, list[tuple[str, datetime]]] = {day: [] for day in days}
        # One stretch for all days: the few other issues between noons cost less than a look for each noon.
        for key, known_at in self.across.keys(ISSUED, self._day_ahead(), firsts[0], ends[-1]):
            issued_at = key.rsplit("/", 1)[1]
            place = bisect_right(firsts, issued_at) - 1
            if issued_at < ends[place]:
                found[days[place]].append((key, known_at))
        return found

    def noon_p50_kw(self, days: Sequence[date]) -> FloatArray:
        """P50 of the noon issues of some days in order, NaN where there was none; (parts, days, 48). [kW]"""
        found = np.full((len(self.pairs), len(days), SLOTS_PER_DAY), np.nan)
        rows = {pair: row for row, pair in enumerate(self.pairs)}
        for place, keys in enumerate(self.noon_keys(days).values()):
            starts = jst_midnight(days[place])
            documents = self.across.documents(ISSUED, sorted({key for key, _ in keys}))
            for key in sorted(documents):  # of two of the same noon the later one
                told = json.loads(documents[key].body)
                if datetime.fromisoformat(told["start"]) == starts and len(told["p50"]) == SLOTS_PER_DAY:
                    site, target, *_ = key.split("/")
                    found[rows[site, target], place] = told["p50"]
        return found

    def _day_ahead(self) -> list[str]:
        return [f"{site}/{target}/{Horizon.DAY_AHEAD.value}/" for site, target in self.pairs]

    # -- the newest issue of a day ---------------------------------------------------------------------

    def newest_issues(self, day: date) -> dict[tuple[str, str], IssuedForecast]:
        """The newest day-ahead or week's issue of each part that covers a whole day, cut to it."""
        left = self._candidates(day)
        found: dict[tuple[str, str], IssuedForecast] = {}
        while left:
            keys = {pair: waiting.pop() for pair, waiting in left.items()}
            documents = self.across.documents(ISSUED, list(keys.values()))
            for pair, key in keys.items():
                part = IssuedForecast.from_json(documents[key].body).on(day)
                if part is not None:
                    found[pair] = part
            left = {pair: waiting for pair, waiting in left.items() if waiting and pair not in found}
        return found

    def _candidates(self, day: date) -> dict[tuple[str, str], list[str]]:
        """Keys of the issues that may cover a day, by part, the best last."""
        midnight = jst_midnight(day)
        spans = {Horizon.DAY_AHEAD: (midnight - _DAY, midnight), Horizon.WEEK: (midnight - _WEEK, midnight)}
        found: dict[tuple[str, str], set[tuple[str, str]]] = {}
        for horizon, (first, end) in spans.items():
            beginnings = [f"{site}/{target}/{horizon.value}/" for site, target in self.pairs]
            made = issue_instant_text(first), issue_instant_text(end)
            for key, _ in self.across.keys(ISSUED, beginnings, *made):
                site, target, _, issued_at = key.split("/")
                # Of two of the same instant the week's comes last: "week" is behind "day-ahead".
                found.setdefault((site, target), set()).add((f"{issued_at} {horizon.value}", key))
        return {pair: [key for _, key in sorted(told)] for pair, told in found.items()}
