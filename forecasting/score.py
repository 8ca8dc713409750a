"""Back-tests of the demand model on a series: day by day, and during the day.

The walk hands a forecaster only what was known at each issue: the series cut at the last whole slot. Whole
days are compared as :mod:`forecasting.backtest` does it for every model; the intraday protocol issues at many
slots and looks at the next hours. Missing values are left out and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.errors import ForecastError
from energy.core.series import FloatArray, Grid, Series
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, Slot, jst_midnight
from forecasting.backtest import (
    NINE_LEVELS,
    DayAhead,
    ModelScore,
    compare,
    last_week,
    latest_known,
    mean_of_four_weeks,
    of_points,
)
from forecasting.baselines import Baseline, baseline
from forecasting.days import DayKinds, local_first_day, to_days
from forecasting.demand import LEVELS, DemandModel, FittedDemand
from forecasting.metrics import coverage, nmae, peak_error, pinball, width
from forecasting.panel import Panel

__all__ = [
    "NINE_LEVELS",
    "Forecaster",
    "ScoreRow",
    "Scored",
    "compare_demand",
    "compare_intraday",
    "demand_forecaster",
    "ends_of_days",
    "score",
    "walk_forward",
]

NOON_BEFORE = timedelta(hours=-12)  # day-ahead: issued at 12:00 of the day before
RECENT_DAYS = 9

Forecaster = Callable[[Series, Grid, datetime], FloatArray]
"""Past series, slots wanted and issue instant -> quantiles, shape (n_levels, n_slots)."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Forecasts of a walk beside what happened.

    Parameters
    ----------
    actual : ndarray, shape (n,)
        In the unit of the series; NaN where missing.
    quantiles : ndarray, shape (n_levels, n)
        As forecast.
    """

    actual: FloatArray
    quantiles: FloatArray


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One line of a comparison. All figures are shares of the mean actual, except the coverage.

    Parameters
    ----------
    nmae : float
        Mean absolute error of P50. [-]
    pinball : float
        Pinball loss averaged over the levels of the walk. [-]
    cover80 : float
        Share of the actuals inside P10 to P90. [-]
    width80 : float
        Mean width of P10 to P90. [-]
    peak_p50, peak_p90 : float
        Mean of highest forecast minus highest actual of a day; NaN where whole days are not forecast. [-]
    slots : int
        Slots scored.
    missing : int
        Slots left out because the actual is unknown.
    """

    model: str
    nmae: float
    pinball: float
    cover80: float
    width80: float
    peak_p50: float
    peak_p90: float
    slots: int
    missing: int


def ends_of_days(first: date, last: date, *, issue: timedelta = NOON_BEFORE) -> list[tuple[datetime, Grid]]:
    """Issue instants and grids of the day-ahead protocol for ``first`` to ``last``, both included."""
    days = (first + timedelta(days=k) for k in range((last - first).days + 1))
    return [(jst_midnight(day) + issue, Grid(jst_midnight(day), SLOTS_PER_DAY)) for day in days]


def walk_forward(actual: Series, forecaster: Forecaster, issues: Iterable[tuple[datetime, Grid]]) -> Scored:
    """Forecast the past again.

    Parameters
    ----------
    actual : Series
        The whole truth, on slots; the forecaster sees it up to each issue instant only.
    forecaster : Forecaster
        What is tested.
    issues : iterable of (datetime, Grid)
        When a forecast is made, and for which slots.

    Raises
    ------
    ForecastError
        If there is nothing to walk over.
    """
    truths, forecasts = [], []
    for issued, grid in issues:
        known = actual.between(actual.grid.start, max(actual.grid.start, Slot.containing(issued).start))
        forecasts.append(forecaster(known, grid, issued))
        truths.append(actual.between(grid.start, grid.end).values)
    if not truths:
        raise ForecastError("nothing to score", hint="choose test days inside the series")
    return Scored(np.concatenate(truths), np.concatenate(forecasts, axis=1))


def score(model: str, scored: Scored, levels: Sequence[float], *, whole_days: bool = True) -> ScoreRow:
    """Figures of a walk; ``levels`` must hold 0.1, 0.5 and 0.9."""
    y, q = scored.actual, scored.quantiles
    p10, p50, p90 = (q[list(levels).index(level)] for level in LEVELS)
    known = ~np.isnan(y)
    return ScoreRow(
        model=model,
        nmae=nmae(y, p50),
        pinball=pinball(y, q, levels),
        cover80=coverage(y, p10, p90),
        width80=width(y, p10, p90),
        peak_p50=peak_error(y, p50) if whole_days else float("nan"),
        peak_p90=peak_error(y, p90) if whole_days else float("nan"),
        slots=int(known.sum()),
        missing=int((~known).sum()),
    )


def demand_forecaster(
    calendar: SiteCalendar, *, levels: tuple[float, ...] = LEVELS, refit_days: int = 1
) -> Forecaster:
    """Our demand model as a forecaster, learned anew every ``refit_days`` days."""
    model = DemandModel(calendar)
    fitted: list[FittedDemand] = []

    def forecast(known: Series, grid: Grid, issued: datetime) -> FloatArray:
        if not fitted or issued - fitted[0].fitted_at >= timedelta(days=refit_days):
            fitted[:] = [model.fit(known, issued_at=issued)]
        start = max(known.grid.start, known.grid.end - timedelta(days=RECENT_DAYS))
        recent = known.between(start, known.grid.end)
        return fitted[0].quantiles(recent, grid, issued_at=issued, levels=levels)

    return forecast


def compare_demand(
    load_kw: Series,
    calendar: SiteCalendar,
    *,
    first: date,
    last: date,
    levels: tuple[float, ...] = LEVELS,
    refit_days: int = 1,
) -> tuple[ModelScore, ...]:
    """Day-ahead scores of the demand model beside every rule of thumb; see :mod:`forecasting.backtest`."""
    first_day = local_first_day(load_kw) + timedelta(days=1)  # the first may begin late
    count = (last - first_day).days + 1
    panel = Panel(
        kind="load",
        start=jst_midnight(first_day),
        actual=to_days(load_kw, first_day, count),
        days=DayKinds.of(calendar, first_day, count),
        issue_slot=SLOTS_PER_DAY // 2,
    )
    models: dict[str, DayAhead] = {
        "demand-pool": _demand_walk(load_kw, calendar, first_day),
        Baseline.YESTERDAY.value: of_points(latest_known, "the last one known"),
        Baseline.LAST_WEEK.value: of_points(last_week, "the same slot last week"),
        Baseline.FOUR_WEEKS.value: of_points(mean_of_four_weeks, "mean of four same weekdays"),
    }
    rows = range((first - first_day).days, count)
    return compare(panel, rows, models, first_day=first_day, levels=levels, refit_days=refit_days)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walked:
    """A walk of the demand model, in the form of :class:`forecasting.backtest.DayAheadWalk`."""

    values: FloatArray
    peak: FloatArray
    fit_s: float = float("nan")
    predict_ms: float = float("nan")
    model: str = "demand-pool"


def _demand_walk(load_kw: Series, calendar: SiteCalendar, first_day: date) -> DayAhead:
    """The demand model as a method of panels; it reads the series itself, cut at each issue."""

    def walk(panel: Panel, rows: range, *, levels: tuple[float, ...], refit_days: int = 1) -> _Walked:
        forecaster = demand_forecaster(calendar, levels=levels, refit_days=refit_days)
        first, last = (first_day + timedelta(days=row) for row in (rows.start, rows.stop - 1))
        found = walk_forward(load_kw, forecaster, ends_of_days(first, last)).quantiles
        days = found.reshape(len(levels), len(rows), panel.slots_per_day)
        return _Walked(values=days, peak=days[levels.index(0.5)].max(axis=1))

    return walk


def compare_intraday(
    load_kw: Series,
    calendar: SiteCalendar,
    *,
    first: date,
    last: date,
    hours: int = 6,
    every: int = 4,
    levels: tuple[float, ...] = LEVELS,
) -> tuple[ScoreRow, ...]:
    """Scores over the next ``hours``, issued every ``every`` slots: made now, and made the noon before.

    Three rows: ``intraday`` (our forecast made now), ``day-ahead`` (our forecast of the noon before, for the
    same slots) and ``yesterday`` (the same slot of the last day known now; without quantiles of its own, so
    that its pinball loss is that of a point).
    """
    count = int(timedelta(hours=hours) / SLOT_LENGTH)
    midnight, stop = jst_midnight(first), jst_midnight(last + timedelta(days=1))
    starts = np.arange(0, (stop - midnight) // SLOT_LENGTH - count + 1, every)
    issues = [(midnight + int(k) * SLOT_LENGTH, Grid(midnight + int(k) * SLOT_LENGTH, count)) for k in starts]
    now = walk_forward(load_kw, demand_forecaster(calendar, levels=levels), issues)
    ahead = walk_forward(load_kw, demand_forecaster(calendar, levels=levels), ends_of_days(first, last))
    at = (starts[:, None] + np.arange(count)[None, :]).reshape(-1)
    held = Scored(ahead.actual[at], ahead.quantiles[:, at])

    def yesterday(known: Series, grid: Grid, issued: datetime) -> FloatArray:
        return np.repeat(
            baseline(Baseline.YESTERDAY, known, grid, issued_at=issued)[None], len(levels), axis=0
        )

    last_day = walk_forward(load_kw, yesterday, issues)
    named = (("intraday", now), ("day-ahead", held), ("yesterday", last_day))
    return tuple(score(name, scored, levels, whole_days=False) for name, scored in named)
