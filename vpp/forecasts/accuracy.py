"""How good the issued forecasts were: by issue time, lead, slot or month, beside two rules of thumb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from energy.core.errors import DataError
from energy.core.series import FloatArray, Grid, Series
from energy.core.slots import JST
from energy.store import Snapshot
from forecasting.baselines import Baseline, baseline
from forecasting.demand import LEVELS
from forecasting.metrics import coverage, nmae, pinball
from vpp.forecasts.issued import Horizon, IssuedForecast, issued_forecasts
from vpp.forecasts.methods import Method

__all__ = ["Accuracy", "AccuracyRow", "By", "accuracy"]

RULES = (Baseline.YESTERDAY, Baseline.FOUR_WEEKS)
RULE_PAST = timedelta(days=63)  # the rules look four weeks back, and eight where a week is missing
LONGEST = timedelta(days=8)  # a week's issue speaks of slots up to eight days after it
LEAD_HOURS = (0.0, 1.0, 3.0, 6.0, 12.0, 24.0, 36.0, 48.0, 72.0, 120.0, 192.0)


class By(StrEnum):
    """What the rows of the report are."""

    ISSUE = "issue"  # time of day at which it was issued
    HORIZON = "horizon"  # hours from the issue to the end of the slot
    SLOT = "slot"  # time of day that was forecast
    MONTH = "month"  # month that was forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyRow:
    """One line of the report; shares of the mean of the actuals, except the coverage.

    Parameters
    ----------
    horizon : str
        ``intraday``, ``day-ahead`` or ``week``.
    group : str
        Issue time, lead, slot or month; ``all`` for all together.
    slots : int
        Forecast slots scored; a slot counts once per issue that speaks of it.
    mean_kw : float
        Mean of the actuals. [kW]
    nmae, pinball : float
        Mean absolute error of P50; mean pinball loss of P10, P50 and P90. [-]
    cover80 : float
        Share inside P10 to P90; 0.8 is right. [-]
    bias : float
        Mean of P50 minus actual. [-]
    persistence_nmae, weekday_nmae : float or None
        Same slot of the last day known at the issue; mean of the four same weekdays. None where unknown. [-]
    """

    horizon: str
    group: str
    slots: int
    mean_kw: float
    nmae: float
    pinball: float
    cover80: float
    bias: float
    persistence_nmae: float | None
    weekday_nmae: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """A report on one target.

    Parameters
    ----------
    start, end : datetime
        Forecast slots looked at. UTC.
    issues : int
        Issues that spoke of them.
    unknown : int
        Forecast slots left out because nobody knows yet, or ever will, what happened (curtailed sun, too).
    models : dict
        Slots by the method that really made the forecast.
    totals, rows : tuple of AccuracyRow
        One line per horizon; one line per group.
    """

    target: str
    start: datetime
    end: datetime
    by: By
    issues: int
    unknown: int
    models: dict[str, int]
    totals: tuple[AccuracyRow, ...]
    rows: tuple[AccuracyRow, ...]

    def to_json(self) -> dict[str, object]:
        """The report under English keys, instants as text."""
        told = asdict(self)
        told["start"], told["end"] = self.start.isoformat(), self.end.isoformat()
        told["by"] = self.by.value
        return told


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Forecast slots of one horizon: what was said and what came, one column per slot and issue."""

    actual: FloatArray
    quantiles: FloatArray
    rules: FloatArray
    groups: NDArray[np.str_]

    def row(self, horizon: Horizon, group: str | None) -> AccuracyRow | None:
        """Figures of one group, or of all."""
        usable = ~np.isnan(self.actual)
        if group is not None:
            usable &= self.groups == group
        if not usable.any():
            return None
        y, q = self.actual[usable], self.quantiles[:, usable]
        # Where nothing flowed (a slot at night) the errors stay in kW: there is no mean to share by.
        mean = float(np.mean(y))
        scale = mean if mean > 0.0 else 1.0
        errors = [_nmae(y, rule[usable], scale) for rule in self.rules]
        return AccuracyRow(
            horizon=horizon.value,
            group="all" if group is None else group,
            slots=int(usable.sum()),
            mean_kw=round(mean, 3),
            nmae=round(nmae(y, q[1], scale=scale), 4),
            pinball=round(pinball(y, q, LEVELS, scale=scale), 4),
            cover80=round(coverage(y, q[0], q[2]), 3),
            bias=round(float(np.mean(q[1] - y)) / scale, 4),
            persistence_nmae=errors[0],
            weekday_nmae=errors[1],
        )


def _nmae(actual: FloatArray, rule: FloatArray, scale: float) -> float | None:
    """Error of a rule, None unless it spoke of every slot: other slots would be another question."""
    return None if np.isnan(rule).any() else round(nmae(actual, rule, scale=scale), 4)


def accuracy(
    known: Snapshot,
    site: str,
    method: Method,
    *,
    start: datetime,
    end: datetime,
    by: By = By.HORIZON,
) -> Accuracy:
    """Score the issued forecasts of the slots in ``[start, end)`` against what is known to have happened.

    Parameters
    ----------
    known : Snapshot
        Where issues and actuals are read.
    method : Method
        Of the target; says what its actuals are.

    Raises
    ------
    DataError
        If nothing was issued for these slots, or nothing of them is known yet.
    """
    window = Grid.between(start, end)
    past = method.actual(known, Grid.between(start - RULE_PAST - LONGEST, end))
    totals, rows, models = [], [], dict[str, int]()
    issues = unknown = 0
    for horizon in Horizon:
        found = [
            one
            for one in issued_forecasts(known, site, method.target, horizon, start=start - LONGEST, end=end)
            if one.grid.end > start and one.start < end
        ]
        if not found:
            continue
        issues += len(found)
        pairs = _pairs(found, past, window, _GROUPS[by])
        unknown += int(np.isnan(pairs.actual).sum())
        for one in found:
            models[one.model] = models.get(one.model, 0) + _inside(one, window).size
        wanted = sorted(set(pairs.groups.tolist()), key=_order(by))
        totals += [row for row in (pairs.row(horizon, None),) if row is not None]
        rows += [row for row in (pairs.row(horizon, group) for group in wanted) if row is not None]
    if not totals:
        raise DataError(
            f"no forecast of {method.target} can be scored",
            where=f"{issues} issue(s) and {unknown} slot(s) without an actual between {start.isoformat()} "
            f"and {end.isoformat()}",
            hint="choose other days (--from, --to), or let some pass",
        )
    return Accuracy(
        target=method.target,
        start=start,
        end=end,
        by=by,
        issues=issues,
        unknown=unknown,
        models=models,
        totals=tuple(totals),
        rows=tuple(rows),
    )


def _inside(one: IssuedForecast, window: Grid) -> NDArray[np.int64]:
    """Positions of an issue's slots that lie in the window."""
    first = (window.start - one.start) // one.grid.step
    last = first + window.count
    return np.arange(max(0, first), min(one.grid.count, last))


def _pairs(
    found: list[IssuedForecast],
    past: Series,
    window: Grid,
    group_of: Callable[[IssuedForecast, int], str],
) -> _Pairs:
    actual, quantiles, rules, groups = [], [], [], list[str]()
    for one in found:
        at = _inside(one, window)
        offset = (one.start - past.grid.start) // past.grid.step
        actual.append(past.values[offset + at])
        quantiles.append(one.values()[:, at])
        said = [baseline(rule, past, one.grid, issued_at=one.issued_at)[at] for rule in RULES]
        rules.append(np.stack(said))
        groups += [group_of(one, int(k)) for k in at]
    return _Pairs(
        np.concatenate(actual),
        np.concatenate(quantiles, axis=1),
        np.concatenate(rules, axis=1),
        np.array(groups),
    )


# -- groups --------------------------------------------------------------------------------------------


def _issue_time(one: IssuedForecast, _k: int) -> str:
    return f"{one.issued_at.astimezone(JST):%H:%M}"


def _lead(one: IssuedForecast, k: int) -> str:
    """Hours from the issue to the end of the slot, as the stretch they fall in."""
    hours = (one.grid.time(k + 1) - one.issued_at) / timedelta(hours=1)
    return next(
        f"{low:g}-{high:g} h" for low, high in pairwise(LEAD_HOURS) if hours <= high or high == LEAD_HOURS[-1]
    )


def _slot_time(one: IssuedForecast, k: int) -> str:
    return f"{one.grid.time(k).astimezone(JST):%H:%M}"


def _month(one: IssuedForecast, k: int) -> str:
    return f"{one.grid.time(k).astimezone(JST):%Y-%m}"


_GROUPS: dict[By, Callable[[IssuedForecast, int], str]] = {
    By.ISSUE: _issue_time,
    By.HORIZON: _lead,
    By.SLOT: _slot_time,
    By.MONTH: _month,
}


def _order(by: By) -> Callable[[str], tuple[float, str]]:
    """Leads by their hours, everything else as text."""
    if by is By.HORIZON:
        return lambda group: (float(group.split("-")[0]), group)
    return lambda group: (0.0, group)
