"""How right the sums for a recipient were, against the two simplest forecasts; nothing of a single site.

A day counts with the sites that consent now and whose noon issue, meter and the days that the simple
forecasts copy are all complete; a day with fewer of them than a sum needs is left out. Errors are those of
the sum: sites that go wrong in opposite directions help each other, which is what a balancing group pays for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import numpy as np

from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import JST, SLOT_HOURS, SLOTS_PER_DAY, jst_midnight
from energy.market.rules import minimum_group
from energy.store import Snapshot, Store
from vpp.consents import decided, on_record
from vpp.forecasts.delivery import Order
from vpp.forecasts.handover import DeliveryTarget, SlotForecast
from vpp.forecasts.issued import LOAD, targets_of
from vpp.forecasts.lookback import noon_issues
from vpp.forecasts.methods import free_generation
from vpp.recorder import SiteSeries

__all__ = ["SumScore", "expected_miss_kwh", "sum_score"]

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


@dataclass(frozen=True, slots=True)
class _Day:
    """A day's sum: what came, and what three forecasts said; shape (4, 48). [kW]"""

    values: FloatArray
    sites: int


def sum_score(store: Store, order: Order, *, at: datetime, days: int) -> SumScore | None:
    """Errors of the sums of the last whole days; None if no day counts."""
    known = store.as_of(at)
    today = at.astimezone(JST).date()
    subjects = sorted({one.subject for one in on_record(store, at)})
    permitted, _ = decided(store, subjects, order.use, at=at)
    parts = [_site(known, one.subject, order.target, today, days) for one in permitted]
    found = [
        day
        for back in range(1, days + 1)
        if (day := _sum([one.get(today - timedelta(days=back)) for one in parts], today)) is not None
    ]
    if not found:
        return None
    values = np.stack([one.values for one in found])
    actual, mean = values[:, 0], float(values[:, 0].mean())
    if mean <= 0.0:
        return None
    ours, persistence, week = (float(np.abs(values[:, k] - actual).mean()) / mean for k in (1, 2, 3))
    miss = actual - values[:, 1]
    return SumScore(
        days=len(found),
        sites=min(one.sites for one in found),
        ours=ours,
        persistence=persistence,
        same_weekday=week,
        short_kwh=float(np.maximum(miss, 0.0).sum() * SLOT_HOURS),
        long_kwh=float(np.maximum(-miss, 0.0).sum() * SLOT_HOURS),
    )


def _sum(parts: list[FloatArray | None], today: date) -> _Day | None:
    whole = [one for one in parts if one is not None]
    if len(whole) < minimum_group(today).min_sites:
        return None
    return _Day(np.sum(whole, axis=0), len(whole))


def _site(
    known: Snapshot, site: str, target: DeliveryTarget, today: date, days: int
) -> Mapping[date, FloatArray]:
    """One site's days that are complete, each shape (4, 48). [kW]"""
    names = [LOAD] if target is DeliveryTarget.DEMAND else [n for n in targets_of(known, site) if n != LOAD]
    whole: dict[date, FloatArray] = {}
    for number, name in enumerate(names):
        one = _target(known, site, name, today, days)
        # An array of which a day is missing takes the whole day of its site with it.
        whole = one if number == 0 else {day: whole[day] + one[day] for day in whole.keys() & one.keys()}
    return whole


def _target(known: Snapshot, site: str, name: str, today: date, days: int) -> dict[date, FloatArray]:
    first, end = today - timedelta(days=days), jst_midnight(today)
    grid = Grid.between(jst_midnight(first - timedelta(days=WEEK_DAYS)), end)
    if name == LOAD:
        actual = known.series(SiteSeries(site)[LOAD, "demand_kw"], grid, Unit.KW).values
    else:
        actual = free_generation(known, site, name, grid).values
    by_day = {
        grid.time(k * SLOTS_PER_DAY).astimezone(JST).date(): actual[
            k * SLOTS_PER_DAY : (k + 1) * SLOTS_PER_DAY
        ]
        for k in range(grid.count // SLOTS_PER_DAY)
    }
    found = {}
    for issue in noon_issues(known, site, name, start=jst_midnight(first), end=end):
        day = issue.start.astimezone(JST).date()
        rows = [
            by_day.get(day),
            np.array(issue.p50),
            by_day.get(day - timedelta(days=PERSISTENCE_DAYS)),
            by_day.get(day - timedelta(days=WEEK_DAYS)),
        ]
        if all(row is not None and len(row) == SLOTS_PER_DAY and not np.isnan(row).any() for row in rows):
            found[day] = np.stack([row for row in rows if row is not None])
    return found


def expected_miss_kwh(slots: tuple[SlotForecast, ...]) -> float:
    """Energy by which a day is expected to miss its P50, from the width of the band. [kWh]

    For a normal error the mean absolute error is ``sqrt(2/pi) sigma`` and the band from P10 to P90 is
    ``2 x 1.2816 sigma`` wide: 0.311 of the band.
    """
    bands = [one.p90_kw - one.p10_kw for one in slots if one.p90_kw is not None and one.p10_kw is not None]
    return _PER_BAND * SLOT_HOURS * sum(bands)
