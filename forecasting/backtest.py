"""Walking forward over a panel: models beside rules of thumb, all under one honest protocol.

One forecast per day, issued at the panel's issue slot, with nothing in it that was known later. A point
forecast (a rule of thumb, a plain regression) gets its quantiles from its own errors of the eight weeks
before, so that it is scored as fairly as a model with quantiles of its own. The scores are taken over all
slots of all days; what is missing is left out and counted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final, Protocol

import numpy as np

from energy.core.errors import ForecastError
from energy.core.series import FloatArray
from forecasting.metrics import coverage, nmae, nrmse, peak_distance, pinball, width
from forecasting.panel import Panel

__all__ = [
    "NINE_LEVELS",
    "DayAhead",
    "DayAheadWalk",
    "ModelScore",
    "PointRule",
    "PointWalk",
    "compare",
    "conformal",
    "last_week",
    "latest_known",
    "mean_of_four_weeks",
    "mean_of_month",
    "of_points",
    "score_walk",
]

NINE_LEVELS: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
ERROR_DAYS: Final = 56  # the errors of eight weeks make the quantiles of a point forecast
LEAST_ERRORS: Final = 20  # with fewer there is no quantile worth the name
WEEK: Final = 7
MONTH_DAYS: Final = 28


class DayAheadWalk(Protocol):
    """Day-ahead forecasts of a run of days.

    ``values`` has the shape (n_levels, n_rows, slots_per_day), ``peak`` (the median of each day's highest
    value, for a point forecast its highest) the shape (n_rows,), ``fit_s`` is the mean time of one fit [s],
    ``predict_ms`` that of one day's forecast [ms], ``model`` names the method that really ran.
    """

    @property
    def values(self) -> FloatArray: ...  # noqa: D102 - said above
    @property
    def fit_s(self) -> float: ...  # noqa: D102
    @property
    def predict_ms(self) -> float: ...  # noqa: D102
    @property
    def peak(self) -> FloatArray: ...  # noqa: D102
    @property
    def model(self) -> str: ...  # noqa: D102


class DayAhead(Protocol):
    """A method that forecasts each of some rows of a panel as it stood at that row's issue."""

    def __call__(
        self, panel: Panel, rows: range, *, levels: tuple[float, ...], refit_days: int = 1
    ) -> DayAheadWalk:
        """Forecast ``rows``, fitted anew at least every ``refit_days`` days."""
        ...


PointRule = Callable[[Panel, range], FloatArray]
"""Panel and rows -> one value per row and slot, fitted on what was known at the first row's issue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointWalk:
    """A walk of a point forecast, with quantiles from its own past errors.

    Parameters
    ----------
    point : ndarray, shape (n_rows, slots_per_day)
        The forecast itself. [unit of the panel]
    values : ndarray, shape (n_levels, n_rows, slots_per_day)
        Its quantiles. [unit of the panel]
    fit_s, predict_ms : float
        Time of one fit with its forecast [s], and per day [ms].
    model : str
        Name of the method.
    """

    point: FloatArray
    values: FloatArray
    fit_s: float
    predict_ms: float
    model: str

    @property
    def peak(self) -> FloatArray:
        """The highest value of each day's point forecast, NaN for a day without one."""
        filled = np.where(np.isnan(self.point), -np.inf, self.point).max(axis=1)
        return np.where(np.isfinite(filled), filled, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelScore:
    """One model's line. Errors are shares of the mean actual, for PV of the nameplate.

    Parameters
    ----------
    model : str
        Name in the comparison.
    method : str
        What really ran.
    bound : bool
        Whether the weather was perfect: a limit, never a result.
    nmae, nrmse : float
        Mean absolute error and root mean square error. [-]
    pinball : float
        Pinball loss averaged over the levels. [-]
    cover80, width80 : float
        Share inside P10 to P90, and its mean width. [-]
    peak_err : float
        Mean absolute error of a day's highest value. [-]
    fit_s, predict_ms : float
        Time of one fit [s] and of one day's forecast [ms].
    days : int
        Days walked over.
    missing : int
        Slots left out because the actual is unknown.
    unforecast : int
        Slots with an actual for which the method had nothing to say.
    cover80_by_month : dict of str to float
        Share inside P10 to P90 by month ``YYYY-MM``. [-]
    cover80_sun : float
        The same over the slots with a positive actual: the night is no art. [-]
    """

    model: str
    method: str
    bound: bool
    nmae: float
    nrmse: float
    pinball: float
    cover80: float
    width80: float
    peak_err: float
    fit_s: float
    predict_ms: float
    days: int
    missing: int
    unforecast: int
    cover80_by_month: Mapping[str, float] = field(default_factory=dict)
    cover80_sun: float = float("nan")


def compare(
    panel: Panel,
    rows: range,
    models: Mapping[str, DayAhead],
    *,
    first_day: date,
    bound: bool = False,
    levels: tuple[float, ...] = NINE_LEVELS,
    refit_days: int = 1,
) -> tuple[ModelScore, ...]:
    """Walk every model over the same days and score it.

    Parameters
    ----------
    panel : Panel
        The whole truth; a model sees of it what was known at each issue.
    rows : range
        Days to forecast.
    models : mapping of str to DayAhead
        By the names under which they appear.
    first_day : date
        Local date of row 0 of the panel.
    bound : bool
        Whether the panel's forecast weather is perfect; marks every line.
    levels : tuple of float
        Quantile levels; must hold 0.1, 0.5 and 0.9. [-]
    refit_days : int
        How often a model is fitted anew. [d]

    Raises
    ------
    ForecastError
        If there is no day to score, no actual in them, or a model with quantiles of its own leaves a value
        out: a gap in a product is never scored away.
    """
    if not rows or rows.start < 0 or rows.stop > panel.count:
        raise ForecastError(
            "nothing to score", where=f"rows {rows.start}..{rows.stop} of {panel.count}", hint="other days"
        )
    truth = panel.actual[rows.start : rows.stop]
    if np.isnan(truth).all():
        raise ForecastError("nothing happened that could be scored", hint="choose days that have values")
    found = []
    for name, model in models.items():
        walk = model(panel, rows, levels=levels, refit_days=refit_days)
        if not isinstance(walk, PointWalk) and not np.isfinite(walk.values).all():
            raise ForecastError(
                f"{name} left {int((~np.isfinite(walk.values)).sum())} values of its forecasts out",
                where=f"method {walk.model}",
                hint="report it: a forecast is whole or refused",
            )
        found.append(score_walk(name, walk, panel, rows, first_day=first_day, levels=levels, bound=bound))
    return tuple(found)


def score_walk(
    name: str,
    walk: DayAheadWalk,
    panel: Panel,
    rows: range,
    *,
    first_day: date,
    levels: tuple[float, ...] = NINE_LEVELS,
    bound: bool = False,
) -> ModelScore:
    """Figures of one walk; see :class:`ModelScore`."""
    y, q = panel.actual[rows.start : rows.stop], walk.values
    at = {level: index for index, level in enumerate(levels)}
    point = walk.point if isinstance(walk, PointWalk) else q[at[0.5]]
    p10, p90 = q[at[0.1]], q[at[0.9]]
    known = ~np.isnan(y)
    scale = panel_scale(panel, y, point)
    months = np.array([f"{first_day + timedelta(days=row):%Y-%m}" for row in rows])
    return ModelScore(
        model=name,
        method=walk.model,
        bound=bound,
        nmae=nmae(y, point, scale=scale),
        nrmse=nrmse(y, point, scale=scale),
        pinball=pinball(y, q, levels, scale=scale),
        cover80=coverage(y, p10, p90),
        width80=width(y, p10, p90, scale=scale),
        peak_err=peak_distance(y, walk.peak, scale=scale),
        fit_s=walk.fit_s,
        predict_ms=walk.predict_ms,
        days=len(rows),
        missing=int((~known).sum()),
        unforecast=int((known & (np.isnan(point) | np.isnan(q).any(axis=0))).sum()),
        cover80_by_month={
            str(month): coverage(y[months == month], p10[months == month], p90[months == month])
            for month in np.unique(months)
        },
        cover80_sun=coverage(np.where(y > 0.0, y, np.nan), p10, p90),
    )


def panel_scale(panel: Panel, actual: FloatArray, point: FloatArray) -> float:
    """What errors are divided by: the nameplate of a PV plant, otherwise the mean of the scored actuals."""
    if panel.kind == "pv":
        return 1.0 if panel.capacity is None else panel.capacity
    return float(np.mean(actual[~(np.isnan(actual) | np.isnan(point))]))


def of_points(rule: PointRule, name: str, *, every: int = WEEK) -> DayAhead:
    """A point forecast as a model: made anew every ``every`` days, quantiles from its own past errors.

    The walk begins 56 days before the first row wanted, so that there are errors to take quantiles of.
    """

    def walk(panel: Panel, rows: range, *, levels: tuple[float, ...], refit_days: int = 1) -> PointWalk:
        del refit_days  # the protocol of a reference is its own
        start = max(0, rows.start - ERROR_DAYS)
        points = np.full(panel.actual.shape, np.nan)
        blocks = [range(at, min(at + every, rows.stop)) for at in range(start, rows.stop, every)]
        began = time.perf_counter()
        for block in blocks:
            points[block.start : block.stop] = _within(panel, rule(panel, block))
        took_s = time.perf_counter() - began
        return PointWalk(
            point=points[rows.start : rows.stop],
            values=conformal(panel, points, rows, levels),
            fit_s=took_s / len(blocks),
            predict_ms=1e3 * took_s / (rows.stop - start),
            model=name,
        )

    return walk


def conformal(panel: Panel, points: FloatArray, rows: range, levels: Sequence[float]) -> FloatArray:
    """Quantiles of a point forecast: itself plus quantiles of its errors in this slot and its neighbours.

    Parameters
    ----------
    points : ndarray, shape (n_days, slots_per_day)
        The point forecasts of the whole panel, NaN where none was made.
    rows : range
        Days wanted.

    Returns
    -------
    ndarray, shape (n_levels, n_rows, slots_per_day)
        NaN where fewer than 21 errors are known.

    Notes
    -----
    The errors are those of the 56 days up to two days before the day that is forecast: the day between is not
    over at the issue.

    References
    ----------
    .. [1] Lei, J.; G'Sell, M.; Rinaldo, A.; Tibshirani, R.; Wasserman, L. (2018). "Distribution-free
       predictive inference for regression". J. Am. Stat. Assoc. 113 (523), 1094-1111 (split conformal bands).
    """
    slots = panel.slots_per_day
    errors = panel.actual - points
    out = np.full((len(levels), len(rows), slots), np.nan)
    for place, row in enumerate(rows):
        past = errors[max(0, row - 1 - ERROR_DAYS) : max(0, row - max(1, panel.lead))]
        for slot in range(slots):
            near = past[:, max(0, slot - 1) : slot + 2].ravel()
            near = near[~np.isnan(near)]
            if near.size > LEAST_ERRORS:
                out[:, place, slot] = points[row, slot] + np.quantile(near, levels)
    return _within(panel, out)


def last_week(panel: Panel, rows: range) -> FloatArray:
    """The same slot a week before (the last one known, for forecasts made a week ahead)."""
    return _week_before(panel, rows, 1)


def latest_known(panel: Panel, rows: range) -> FloatArray:
    """The same slot of the day of the issue if it was over then, otherwise of the day before that."""
    out = np.full((len(rows), panel.slots_per_day), np.nan)
    for place, row in enumerate(rows):
        if (day := row - panel.lead) >= 1:
            over = np.arange(panel.slots_per_day) < panel.issue_slot
            today = panel.actual[day]
            out[place] = np.where(over & ~np.isnan(today), today, panel.actual[day - 1])
    return out


def mean_of_four_weeks(panel: Panel, rows: range) -> FloatArray:
    """Mean of the same slot one to four weeks before; of those known."""
    return _mean(np.stack([_week_before(panel, rows, weeks) for weeks in (1, 2, 3, 4)]))


def mean_of_month(panel: Panel, rows: range) -> FloatArray:
    """Mean of the same slot over the last 28 days that were whole at the issue of the first row."""
    stop = max(0, rows.start - max(1, panel.lead))
    past = panel.actual[max(0, stop - MONTH_DAYS) : stop]
    return np.repeat(_mean(past)[None], len(rows), axis=0)


def _week_before(panel: Panel, rows: range, weeks: int) -> FloatArray:
    back = WEEK * (weeks + panel.lead // WEEK)  # of a week ahead, this day last week is not over
    out = np.full((len(rows), panel.slots_per_day), np.nan)
    for place, row in enumerate(rows):
        if row >= back:
            out[place] = panel.actual[row - back]
    return out


def _mean(values: FloatArray) -> FloatArray:
    """Mean over the first axis of what is known; NaN where nothing is."""
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), dtype=np.float64)


def _within(panel: Panel, values: FloatArray) -> FloatArray:
    """PV stays between 0 and its nameplate; a load is left as the method gives it."""
    if panel.kind != "pv":
        return values
    return np.clip(values, 0.0, panel.capacity)
