"""How right the sums for a recipient were, against the two simplest forecasts; nothing of a single site.

A day counts with the sites that consent now and whose noon issue, meter and the days that the simple
forecasts copy are all complete; a day with fewer of them than a sum needs is left out. Errors are those of
the sum: sites that go wrong in opposite directions help each other, which is what a balancing group pays for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

import numpy as np

from energy.core.series import FloatArray, Grid
from energy.core.slots import JST, SLOT_HOURS, SLOTS_PER_DAY, jst_midnight
from energy.market.rules import minimum_group
from energy.store import Store
from vpp.consents import decided, on_record
from vpp.derived import digest_of, kept_or_made
from vpp.forecasts.delivery import Order
from vpp.forecasts.handover import SlotForecast
from vpp.forecasts.manysites import Parts

__all__ = ["SPANS", "SUM_DAY", "SumScore", "expected_miss_kwh", "sum_scores"]

SUM_DAY: Final = "sum-day"
"""Kind of the documents that hold the sums of one day over one set of sites."""
SPANS: Final = (7, 30)
"""Days that are looked back: a week and a month."""
_DAY: Final = timedelta(days=1)
PERSISTENCE_DAYS: Final = 2
"""At noon the day before, the last whole day that is known lies two days before the day of delivery."""
WEEK_DAYS: Final = 7
# Mean absolute error of a normal error per width of its P10-P90 band: sqrt(2/pi) / (2 * 1.28155).
_PER_BAND: Final = 0.311_295


@dataclass(frozen=True, slots=True, kw_only=True)
class SumScore:
    """Mean absolute errors of a sum over days, as shares of its mean.

    Parameters
    ----------
    days : int
        Days that count.
    sites : int
        Fewest sites in the sum of a day.
    ours, persistence, same_weekday : float
        Of the noon forecast; of the last whole day known at noon; of the same day a week before. [-]
    short_kwh, long_kwh : float
        What came above the forecast, and below it. [kWh]
    """

    days: int
    sites: int
    ours: float
    persistence: float
    same_weekday: float
    short_kwh: float
    long_kwh: float


def sum_scores(
    store: Store, order: Order, *, at: datetime, spans: Sequence[int] = SPANS
) -> dict[int, SumScore]:
    """Errors of the sums of the last whole days, by the number of days; spans without a day are left out."""
    across = store.across(at)
    subjects = sorted({one.subject for one in on_record(store, at)})
    permitted, _ = decided(store, subjects, order.use, at=at)
    today = at.astimezone(JST).date()
    parts = Parts.of(across, [one.subject for one in permitted], order.target)
    sums = _Sums(parts, minimum_group(today).min_sites)
    days = [today - timedelta(days=back) for back in range(max(spans), 0, -1)]
    # Who may be in the sum is looked up now and stands in the key: who withdrew is in none that is found.
    name = f"{order.recipient}/{order.target.value}/{digest_of(parts.pairs)}/"
    told = kept_or_made(
        store,
        SUM_DAY,
        {name + day: digest for day, digest in sums.made_of(days).items()},
        lambda keys: {name + day: made for day, made in sums.of_days(_days(keys)).items()},
        at=at,
    )
    by_day = [told[name + day.isoformat()] for day in days]
    scores = {span: _score([one for one in by_day[-span:] if one is not None]) for span in spans}
    return {span: score for span, score in scores.items() if score is not None}


def _days(keys: Sequence[str]) -> list[date]:
    return [date.fromisoformat(key.rsplit("/", 1)[1]) for key in keys]


def _score(days: Sequence[Mapping[str, Any]]) -> SumScore | None:
    if not days:
        return None
    values = np.array([one["kw"] for one in days], dtype=np.float64)
    actual, mean = values[:, 0], float(values[:, 0].mean())
    if mean <= 0.0:
        return None
    ours, persistence, week = (float(np.abs(values[:, k] - actual).mean()) / mean for k in (1, 2, 3))
    miss = actual - values[:, 1]
    return SumScore(
        days=len(days),
        sites=min(int(one["sites"]) for one in days),
        ours=ours,
        persistence=persistence,
        same_weekday=week,
        short_kwh=float(np.maximum(miss, 0.0).sum() * SLOT_HOURS),
        long_kwh=float(np.maximum(-miss, 0.0).sum() * SLOT_HOURS),
    )


@dataclass(frozen=True, slots=True)
class _Sums:
    """Sums of days over the same sites."""

    parts: Parts
    min_sites: int

    def made_of(self, days: Sequence[date]) -> dict[str, str]:
        """Digest of what each of some days in a row is made of."""
        first = days[0] - timedelta(days=WEEK_DAYS)
        counts = self.parts.versions(first, len(days) + WEEK_DAYS)
        issues = self.parts.noon_keys(days)
        found = {}
        for day in days:
            place = (day - first).days
            # The day itself and the two that the simple forecasts copy.
            read = counts[:, [place, place - PERSISTENCE_DAYS, place - WEEK_DAYS]]
            found[day.isoformat()] = digest_of(read.tolist(), issues[day], self.min_sites)
        return found

    def of_days(self, days: Sequence[date]) -> dict[str, dict[str, object] | None]:
        """What came and what three forecasts said, each summed, of some days in order; None if of too few.

        Rows of ``kw``: what came, ours, the last whole day known at noon, the same day a week before. [kW]
        """
        grid = Grid.between(jst_midnight(days[0] - timedelta(days=WEEK_DAYS)), jst_midnight(days[-1] + _DAY))
        actual, issued = self.parts.actual_kw(grid), self.parts.noon_p50_kw(days)
        found: dict[str, dict[str, object] | None] = {}
        for place, day in enumerate(days):
            firsts = [
                grid.index(jst_midnight(day - timedelta(days=back)))
                for back in (0, PERSISTENCE_DAYS, WEEK_DAYS)
            ]
            came, before, week = (actual[:, first : first + SLOTS_PER_DAY] for first in firsts)
            rows = np.stack([came, issued[:, place], before, week], axis=1)
            found[day.isoformat()] = self._sum(rows)
        return found

    def _sum(self, rows: FloatArray) -> dict[str, object] | None:
        """Sum over the sites all of whose parts are whole; rows of shape (parts, 4, 48)."""
        whole = [bool(np.isfinite(one).all()) for one in rows]
        sites = [site for site, _ in self.parts.pairs]
        # An array of which a half hour is missing takes its site with it.
        gone = {site for site, is_whole in zip(sites, whole, strict=True) if not is_whole}
        chosen = [row for row, site in enumerate(sites) if site not in gone]
        counted = len({sites[row] for row in chosen})
        if counted < self.min_sites:
            return None
        return {"sites": counted, "kw": rows[chosen].sum(axis=0).tolist()}


def expected_miss_kwh(slots: tuple[SlotForecast, ...]) -> float:
    """Energy by which a day is expected to miss its P50, from the width of the band. [kWh]

    For a normal error the mean absolute error is ``sqrt(2/pi) sigma`` and the band from P10 to P90 is
    ``2 x 1.2816 sigma`` wide: 0.311 of the band.
    """
    bands = [one.p90_kw - one.p10_kw for one in slots if one.p90_kw is not None and one.p10_kw is not None]
    return _PER_BAND * SLOT_HOURS * sum(bands)
