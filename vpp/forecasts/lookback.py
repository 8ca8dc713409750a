"""Day-ahead forecasts of the last days beside what came of them: as issued, by a rule, or made again.

One form for the release gate, the drift watch and the accuracy report, so that they score the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from energy.core.errors import ForecastError, GapError
from energy.core.series import FloatArray, Grid
from energy.core.slots import SLOTS_PER_DAY
from energy.store import Snapshot, Store
from forecasting.card import ScoreOfDays
from forecasting.demand import LEVELS
from forecasting.metrics import coverage, nmae, pinball
from vpp.forecasts.issued import ISSUED, SHADOW, Horizon, IssuedForecast, issued_forecasts
from vpp.forecasts.methods import Method, View

__all__ = [
    "NOON",
    "DayAhead",
    "by_rule",
    "forecast_again",
    "issued_by_model",
    "noon_issues",
    "score_days",
]

NOON = timedelta(hours=-12)  # the day-ahead issue that counts: 12:00 of the day before, from midnight
ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class DayAhead:
    """Forecast of one Japanese day, issued at noon of the day before, and what happened.

    Parameters
    ----------
    grid : Grid
        The 48 slots of the day.
    actual : ndarray, shape (48,)
        NaN where unknown or held back. [kW]
    quantiles : ndarray, shape (3, 48)
        P10, P50, P90; NaN where nothing was said. [kW]
    """

    grid: Grid
    actual: FloatArray
    quantiles: FloatArray

    def loss_kw(self, *, also: DayAhead | None = None) -> float | None:
        """Mean pinball loss over the slots that are known (in another forecast of the day, too). [kW]"""
        usable = ~np.isnan(self.actual) & ~np.isnan(self.quantiles).any(axis=0)
        if also is not None:
            usable &= ~np.isnan(also.quantiles).any(axis=0)
        if not usable.any():
            return None
        return pinball(self.actual[usable], self.quantiles[:, usable], LEVELS, scale=1.0)


def noon_issues(
    known: Snapshot, site: str, target: str, *, start: datetime, end: datetime, kind: str = ISSUED
) -> list[IssuedForecast]:
    """Day-ahead forecasts issued at noon for the Japanese days in ``[start, end)``, in order."""
    found = issued_forecasts(
        known, site, target, Horizon.DAY_AHEAD, start=start - ONE_DAY, end=end, kind=kind
    )
    half_hour = timedelta(minutes=30)
    return [
        one
        for one in found
        if start <= one.start < end and timedelta(0) <= one.issued_at - (one.start + NOON) < half_hour
    ]


def issued_by_model(
    known: Snapshot, site: str, method: Method, *, start: datetime, end: datetime
) -> list[DayAhead]:
    """What the model said at noon for the days in ``[start, end)``, in use or beside the rule that was."""
    found = {
        one.start: one
        for kind in (ISSUED, SHADOW)
        for one in noon_issues(known, site, method.target, start=start, end=end, kind=kind)
        if one.card
    }
    ordered = [found[at] for at in sorted(found)]
    actuals = _actuals(method, known, [one.grid for one in ordered])
    return [DayAhead(one.grid, actual, one.values()) for one, actual in zip(ordered, actuals, strict=True)]


def _actuals(method: Method, known: Snapshot, grids: Sequence[Grid]) -> list[FloatArray]:
    """What was metered on some grids in order, read at once. [kW]"""
    if not grids:
        return []
    whole = Grid.between(grids[0].start, grids[-1].end)
    values = method.actual(known, whole).values
    firsts = [whole.index(grid.start) for grid in grids]
    return [values[first : first + grid.count] for first, grid in zip(firsts, grids, strict=True)]


def by_rule(method: Method, known: Snapshot, views: Sequence[View]) -> list[DayAhead]:
    """What the rule of thumb says at some noons for the days after them; NaN where it knows too little."""
    grids = [Grid(view.at - NOON, SLOTS_PER_DAY) for view in views]
    walked = []
    for view, grid, actual in zip(views, grids, _actuals(method, known, grids), strict=True):
        try:
            said = method.rule(view, grid)
            quantiles = np.stack([said.p10, said.p50, said.p90])
        except ForecastError:  # the rule has nothing to say: the day is not compared
            quantiles = np.full((len(LEVELS), grid.count), np.nan)
        walked.append(DayAhead(grid, actual, quantiles))
    return walked


def forecast_again(
    method: Method, store: Store, midnight: datetime, *, days: int, fits: int
) -> list[DayAhead]:
    """A back-test of today's recipe: the days before a midnight forecast again at their noons.

    Metered values are those known at ``midnight``, cut at each issue; weather forecasts those of the issue.
    The model is learned anew ``fits`` times. Days before which too little is known are left out.
    """
    known = store.as_of(midnight)
    walked: list[DayAhead] = []
    per_fit = days // fits
    for block in range(fits):
        first = midnight - timedelta(days=days - block * per_fit)
        try:
            fitted = method.fit(View.again(store, first + NOON, known=known))
        except ForecastError:  # too little history so long ago: these days are not scored
            continue
        for k in range(per_fit):
            grid = Grid(first + timedelta(days=k), SLOTS_PER_DAY)
            view = View.again(store, grid.start + NOON, known=known)
            try:
                said = fitted.predict(view, grid)
            except (ForecastError, GapError):  # no weather forecast or no load then: the day is not scored
                continue
            quantiles = np.stack([said.p10, said.p50, said.p90])
            walked.append(DayAhead(grid, method.actual(known, grid).values, quantiles))
    return walked


def score_days(walked: list[DayAhead], *, rule: list[DayAhead] | None = None) -> ScoreOfDays | None:
    """Figures of some days; None if nothing of them is known."""
    if not walked:
        return None
    actual = np.concatenate([one.actual for one in walked])
    quantiles = np.concatenate([one.quantiles for one in walked], axis=1)
    usable = ~np.isnan(actual) & ~np.isnan(quantiles).any(axis=0)
    if not usable.any():
        return None
    y, q = actual[usable], quantiles[:, usable]
    mean = float(np.mean(y))
    losses = [loss for loss in (one.loss_kw() for one in rule or ()) if loss is not None]
    return ScoreOfDays(
        first=walked[0].grid.start,
        last=walked[-1].grid.end,
        slots=int(usable.sum()),
        nmae=round(nmae(y, q[1]), 4) if mean > 0.0 else 0.0,
        pinball_kw=round(pinball(y, q, LEVELS, scale=1.0), 4),
        cover80=round(coverage(y, q[0], q[2]), 4),
        rule_pinball_kw=round(float(np.mean(losses)), 4) if losses else None,
    )
