"""The combined day-ahead forecast: experts, two quantile forests on their shoulders, a calibrated band.

One model serves one distance: so many days ahead, issued after so many slots of the issue day
(:class:`forecasting.panel.Panel`). Everything is learned from the panel as it stood at one issue, so a model
is a function of the past and nothing else; the same past gives the same forecast.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from energy.core.errors import ForecastError
from energy.core.series import FloatArray
from forecasting.calibration import BAND, band_factor, widened
from forecasting.day_experts import RIDGE_FIRST
from forecasting.forest import QuantileForest
from forecasting.holiday_weeks import holiday_factors
from forecasting.level_steps import LevelStep, level_step
from forecasting.load_day import prepare_load
from forecasting.panel import Panel
from forecasting.past import first_whole_day
from forecasting.peak_day import peak_quantiles
from forecasting.prepared import Prepared
from forecasting.pv_day import prepare_pv

__all__ = ["MAX_DAYS", "DayAheadModel", "Walk", "issue", "learn", "least_days", "walk"]

MAX_DAYS = 430  # a year and two months, so that this season a year ago is whole
CALIBRATION_DAYS = 35  # days whose coverage sets the width of the band
EXPERTS_SHARE = 1 / 3  # weight of the experts' forecast with the band of its own errors, beside two forests
LEAST_EXAMPLES = 3  # days on which forests can be grown at all
LEAST_DAYS = 21  # with fewer there are fewer days than features


@dataclass(frozen=True, slots=True, kw_only=True)
class DayAheadModel:
    """What was learned for one target day.

    Parameters
    ----------
    panel : Panel
        The past it was learned from, as ordinary days at today's level; its last row is the target day.
    holidays : ndarray, shape (n,)
        How many times an ordinary day each day is (:mod:`forecasting.holiday_weeks`). [-]
    factor : float
        By how much the band is wider than the parts say. [-]
    step : LevelStep or None
        The level that the past was brought to (:mod:`forecasting.level_steps`).
    """

    panel: Panel
    prepared: Prepared
    forests: tuple[QuantileForest, ...]
    holidays: FloatArray
    factor: float = 1.0
    step: LevelStep | None = None

    def quantiles(self, levels: tuple[float, ...]) -> FloatArray:
        """Quantiles of the target day, shape (n_levels, slots). [unit of the panel]"""
        panel, last = self.panel, self.panel.count - 1
        found = _raw(panel, self.prepared, self.forests, np.array([last]), (*levels, 0.5))[0]
        out = np.maximum(widened(found[:, :-1], found[:, -1], self.factor, levels), 0.0)
        out *= self.holidays[last]
        if self.panel.capacity is not None:
            out = np.minimum(out, self.panel.capacity)
        dark = self.prepared.dark
        if dark is not None:
            out[dark[-1]] = 0.0
        return np.asarray(out.T)

    def peak(self, levels: tuple[float, ...]) -> FloatArray:
        """Quantiles of the day's highest value, shape (n_levels,). [unit of the panel]"""
        found = peak_quantiles(self.panel.actual, self.prepared, _back(self.panel), levels)
        found *= self.holidays[-1]
        return found if self.panel.capacity is None else np.minimum(found, self.panel.capacity)

    def past_quantiles(self, days: int, levels: tuple[float, ...]) -> FloatArray:
        """What the model would have said of the newest days known, shape (n_levels, days, slots).

        Each day is answered from examples older than its own issue.
        """
        newest = self.panel.count - 1 - _back(self.panel)
        rows = np.arange(newest - days + 1, newest + 1)
        found = _raw(self.panel, self.prepared, self.forests, rows, (*levels, 0.5))
        said = widened(found[..., :-1], found[..., -1], self.factor, levels)
        if self.step is not None:  # as it was then
            said = np.maximum(
                said - np.where(rows < self.step.row, self.step.offset, 0.0)[:, None, None], 0.0
            )
        return np.moveaxis(said * self.holidays[rows, None, None], -1, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """Forecasts of a run of days.

    Parameters
    ----------
    values : ndarray, shape (n_levels, n_rows, slots)
        Quantiles. [unit of the panel]
    peak : ndarray, shape (n_rows,)
        Median of each day's highest value. [unit of the panel]
    fit_s, predict_ms : float
        Mean time of one fit [s] and of one day's forecast [ms].
    model : str
        Name of the method that ran.
    """

    values: FloatArray
    peak: FloatArray
    fit_s: float
    predict_ms: float
    model: str = "vpp"


def least_days(back: int) -> int:
    """Whole days needed to learn a forecast whose newest whole day is ``back`` days before its target. [d]

    The experts need two weeks, and a distance of ``back`` days, before their first prediction; a few days of
    such predictions must be over before forests can learn from them.
    """
    return max(LEAST_DAYS, RIDGE_FIRST + 2 * back + LEAST_EXAMPLES)


def learn(panel: Panel, row: int) -> DayAheadModel:
    """Learn for one target day from what was known at its issue.

    Raises
    ------
    ForecastError
        If fewer days are known than :func:`least_days` says.
    """
    known = panel.known_at_issue(row).part(max(0, row - MAX_DAYS), row + 1)
    whole = int((~np.isnan(known.actual)).mean(axis=1).round().sum())
    needed = least_days(_back(known))
    if whole < needed:
        raise ForecastError(
            "too few days to learn from",
            where=f"{whole} day(s) before the issue",
            hint=f"give at least {needed} days; a shorter history has simpler methods",
            whole_days=whole,
            needed_days=needed,
        )
    holidays, step = np.ones(known.count), None
    if known.kind == "load":
        holidays = holiday_factors(known.actual, known.days)
        ordinary = known.actual / holidays[:, None]
        step = level_step(ordinary, known.days)
        known = replace(known, actual=ordinary if step is None else step.levelled(ordinary))
    prepared = prepare_load(known) if known.kind == "load" else prepare_pv(known)
    forests = _forests(known, prepared)
    model = DayAheadModel(panel=known, prepared=prepared, forests=forests, holidays=holidays, step=step)
    return _calibrated(model)


def issue(panel: Panel, row: int, levels: tuple[float, ...]) -> FloatArray:
    """Learn and forecast one row, shape (n_levels, slots). [unit of the panel]"""
    return learn(panel, row).quantiles(levels)


def walk(
    panel: Panel,
    rows: range,
    *,
    levels: tuple[float, ...],
    refit_days: int = 1,  # noqa: ARG001 - said below
) -> Walk:
    """Forecast each of some rows as it would have been issued, learned anew for each.

    Parameters
    ----------
    refit_days : int
        Kept for the protocol of back-tests; learning is cheap enough to be done for every day.
    """
    values, peaks, fits, asks = [], [], 0.0, 0.0
    for row in rows:
        start = time.perf_counter()
        model = learn(panel, row)
        middle = time.perf_counter()
        values.append(model.quantiles(levels))
        fits += middle - start
        asks += time.perf_counter() - middle
        peaks.append(model.peak((0.5,))[0])
    count = max(1, len(rows))
    return Walk(
        values=np.stack(values, axis=1),
        peak=np.array(peaks),
        fit_s=fits / count,
        predict_ms=1e3 * asks / count,
    )


def _back(panel: Panel) -> int:
    return first_whole_day(panel.lead, panel.issue_slot, panel.slots_per_day)


def _forests(panel: Panel, prepared: Prepared) -> tuple[QuantileForest, ...]:
    """One forest per target of ``prepared``, grown on the newest days that are known."""
    first = prepared.first_row
    rows = np.arange(first, panel.count - _back(panel))
    day = np.repeat(rows, panel.slots_per_day)
    grown = []
    for seed, (features, target) in enumerate(zip(prepared.features, prepared.targets, strict=True)):
        y = target[rows].reshape(-1)
        use = ~np.isnan(y)
        x = features[rows].reshape(len(y), -1)
        grown.append(QuantileForest.grow(x[use], y[use], day[use], options=prepared.options, seed=seed))
    return tuple(grown)


def _raw(
    panel: Panel,
    prepared: Prepared,
    forests: tuple[QuantileForest, ...],
    rows: np.ndarray[tuple[int], np.dtype[np.int64]],
    levels: tuple[float, ...],
    *,
    every: int = 1,
) -> FloatArray:
    """Mean quantiles of forests and experts, shape (n_rows, slots / every, n_levels).

    From examples older than each issue; before the band is widened.
    """
    asked = panel.actual[rows, ::every]
    slots, back = asked.shape[1], _back(panel)
    before = np.repeat(rows - back + 1, slots)
    total = np.zeros((rows.size, slots, len(levels)))
    for forest, features, offset in zip(forests, prepared.features, prepared.offsets, strict=True):
        x = features[rows, ::every].reshape(rows.size * slots, -1)
        found = forest.quantiles(x, np.repeat(rows, slots), before, levels).reshape(
            rows.size, slots, len(levels)
        )
        total += found + offset[rows, ::every][..., None]
    grown = total * (prepared.scale / len(forests))
    if prepared.residuals is None:
        return grown
    errors = prepared.residuals.quantiles(rows, back, levels, every=every)
    return np.asarray((1.0 - EXPERTS_SHARE) * grown + EXPERTS_SHARE * errors)


def _calibrated(model: DayAheadModel) -> DayAheadModel:
    """The model with the width of its band from how it covered the last weeks."""
    panel, prepared = model.panel, model.prepared
    newest = panel.count - 1 - _back(panel)
    first = max(prepared.first_row + LEAST_DAYS, newest - CALIBRATION_DAYS + 1)
    rows = np.arange(first, newest + 1)
    if not rows.size:
        return model
    every = prepared.options.every  # slots of one hour say nearly the same
    found = _raw(panel, prepared, model.forests, rows, (BAND[0], 0.5, BAND[1]), every=every)
    low, middle, high = np.moveaxis(found, -1, 0)
    actual = panel.actual[rows, ::every]
    if prepared.dark is not None:
        actual = np.where(prepared.dark[rows, ::every], np.nan, actual)
    return replace(model, factor=band_factor(actual, low, middle, high))
