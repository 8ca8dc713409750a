"""Strong methods of others' kind, run beside ours: a ridge per slot, boosted trees, boosted quantiles.

They are what a competent person would do with the same facts: one row per day and slot with lags, weekly
means, the morning known so far, the calendar and the weather, learned anew each week. They serve comparison
only; no forecast of the product comes from here. LightGBM belongs to the dependency group ``bench``.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from energy.core.series import FloatArray
from forecasting.backtest import (
    DayAhead,
    PointRule,
    PointWalk,
    last_week,
    mean_of_four_weeks,
    mean_of_month,
    of_points,
)
from forecasting.panel import Panel

__all__ = ["Features", "day_features", "lightgbm_is_installed", "reference_models"]

FIRST_TRAINING_ROW: Final = 28  # below it the lags of four weeks are missing
LEAST_TRAINING_DAYS: Final = 7
QUANTILE_DAYS: Final = 14  # between two fits of the nine quantile models: they cost the most
RIDGE_PENALTY: Final = 5.0
RIDGE_FADE: Final = 0.995  # weight per day of age

Features = dict[str, FloatArray]
"""Name to values, shape (n_days, slots_per_day); of each day only what was known at its issue."""


def reference_models(panel: Panel, *, boosting: bool = True) -> dict[str, DayAhead]:
    """The references of this kind of panel by name, the cheap ones first.

    Parameters
    ----------
    boosting : bool
        Whether to include those that need LightGBM.
    """
    shared: dict[str, DayAhead] = {
        "naive_week": of_points(last_week, "naive_week"),
        "mean4w": of_points(mean_of_four_weeks, "mean4w"),
    }
    if panel.kind == "pv":
        shared["mean28"] = of_points(mean_of_month, "mean28")
    table = _Table(panel)
    shared["ridge_slot"] = of_points(table.rule(_ridge_per_slot), "ridge_slot")
    if boosting:
        shared["lgbm"] = of_points(table.rule(_boosted("regression", rate=0.05)), "lgbm")
        shared["lgbm_mae"] = of_points(table.rule(_boosted("regression_l1", rate=0.06)), "lgbm_mae")
        shared["lgbm_q"] = _boosted_quantiles(table)
    return shared


def lightgbm_is_installed() -> bool:
    """Whether the boosted references can run (``pip install 'aizu-vpp[bench]'``, and the system's OpenMP)."""
    if importlib.util.find_spec("lightgbm") is None:
        return False
    try:
        importlib.import_module("lightgbm")
    except OSError:  # its library wants libgomp.so.1 of the system
        return False
    return True


def day_features(panel: Panel) -> Features:
    """Facts about every day and slot that were known at the day's issue."""
    facts = {**_lags(panel), **_levels(panel), **_calendar(panel)}
    for name, values in panel.measured_weather.items():
        latest = _latest_known(panel, values)
        facts[f"{name}_last"] = latest
        facts[f"{name}_mean_2"] = _wide(_back(_mean_of_day(values), panel.lead + 1), panel)
        facts[f"{name}_morning"] = _wide(_mean_of_day(_issue_day(panel, values)), panel)
    for name, values in panel.forecast_weather.items():
        facts[name] = values
        facts[f"{name}_mean"] = _wide(_mean_of_day(values), panel)
        if panel.kind == "pv":
            facts[f"{name}_before"] = np.hstack([values[:, :1], values[:, :-1]])
            facts[f"{name}_after"] = np.hstack([values[:, 1:], values[:, -1:]])
        else:
            facts[f"{name}_week"] = values - _back(values, 7)
    return facts


def _lags(panel: Panel) -> Features:
    y, first = panel.actual, panel.lead + 1
    facts = {f"back_{days}": _back(y, days) for days in (first, 7, 14, 21, 28)}
    facts["last"] = _latest_known(panel, y)
    if panel.issue_slot == panel.slots_per_day:
        facts[f"back_{panel.lead}"] = _back(y, panel.lead)
    weeks = np.stack([_back(y, days) for days in (7, 14, 21, 28)])
    week = np.stack([facts["last"], *(_back(y, days) for days in range(first, first + 6))])
    facts["mean_4_weeks"] = _known_mean(weeks)
    facts["mean_7_days"] = _known_mean(week)
    facts["spread_7_days"] = np.sqrt(_known_mean((week - facts["mean_7_days"]) ** 2))
    return facts


def _levels(panel: Panel) -> Features:
    """The last hours known, compared with a week before, and the mean of past days."""
    y, stop = panel.actual, panel.issue_slot
    begin = max(0, stop - panel.slots_per_day // 4)
    morning = _back(_known_mean(y[:, begin:stop].T), panel.lead)
    before = _back(_known_mean(y[:, begin:stop].T), panel.lead + 7)
    tail = _back(y[:, stop - 1], panel.lead) if stop else np.full(panel.count, np.nan)
    means = _mean_of_day(y)
    return {
        "morning": _wide(morning, panel),
        "morning_ratio": _wide(morning / np.where(before == 0.0, np.nan, before), panel),
        "tail": _wide(tail, panel),
        "mean_of_day_2": _wide(_back(means, panel.lead + 1), panel),
        "mean_of_day_7": _wide(_back(means, 7), panel),
    }


def _calendar(panel: Panel) -> Features:
    rest = panel.days.rest.astype(np.float64)
    columns = {
        "weekday": panel.days.weekday.astype(np.float64),
        "rest": rest,
        "rest_before": np.r_[0.0, rest[:-1]],
        "rest_after": np.r_[rest[1:], 0.0],
        "rest_last_week": np.r_[np.zeros(7), rest][: panel.count],
        "season_sine": panel.days.season[:, 0],
        "season_cosine": panel.days.season[:, 1],
    }
    slot = np.repeat(np.arange(panel.slots_per_day, dtype=np.float64)[None], panel.count, axis=0)
    return {"slot": slot, **{name: _wide(values, panel) for name, values in columns.items()}}


def _back(values: FloatArray, days: int) -> FloatArray:
    """The values ``days`` rows earlier."""
    out = np.full(values.shape, np.nan)
    out[days:] = values[: max(0, len(values) - days)]
    return out


def _issue_day(panel: Panel, values: FloatArray) -> FloatArray:
    """Of the day of the issue, the part that was over."""
    out = _back(values, panel.lead)
    out[:, panel.issue_slot :] = np.nan
    return out


def _latest_known(panel: Panel, values: FloatArray) -> FloatArray:
    """The newest known value of the same slot."""
    today = _issue_day(panel, values)
    return np.where(np.isnan(today), _back(values, panel.lead + 1), today)


def _known_mean(values: FloatArray) -> FloatArray:
    """Mean over the first axis of what is known."""
    known = ~np.isnan(values)
    total = np.where(known, values, 0.0).sum(axis=0)
    count = known.sum(axis=0)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), np.nan), dtype=np.float64)


def _mean_of_day(values: FloatArray) -> FloatArray:
    return _known_mean(values.T)


def _wide(per_day: FloatArray, panel: Panel) -> FloatArray:
    return np.repeat(np.asarray(per_day, dtype=np.float64)[:, None], panel.slots_per_day, axis=1)


Fit = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
"""Facts and values of the training days, facts of the days wanted -> values of the days wanted.

Facts have the shape (n_days, slots_per_day, n_facts), values (n_days, slots_per_day)."""


class _Table:
    """The facts of a panel, made once for all references."""

    def __init__(self, panel: Panel) -> None:
        self.panel = panel
        facts = day_features(panel)
        self.names = tuple(facts)
        self.facts = np.stack(list(facts.values()), axis=-1)

    def rule(self, make: Callable[[tuple[str, ...]], Fit]) -> PointRule:
        """A point forecast that learns from the days that were over at the first row's issue."""
        fit = make(self.names)

        def predict(panel: Panel, rows: range) -> FloatArray:
            past = slice(FIRST_TRAINING_ROW, rows.start - max(1, panel.lead))
            if not _enough(panel, past):
                return np.full((len(rows), panel.slots_per_day), np.nan)
            return fit(self.facts[past], panel.actual[past], self.facts[rows.start : rows.stop])

        return predict


def _enough(panel: Panel, past: slice) -> bool:
    """Whether some days have passed from which to learn; a reference says nothing before."""
    days = panel.actual[past]
    return len(days) >= LEAST_TRAINING_DAYS and bool((~np.isnan(days)).any(axis=0).all())


def _ridge_per_slot(names: tuple[str, ...]) -> Fit:
    """One ridge regression per slot on standardised facts, newer days weighing more."""
    weekday = names.index("weekday")
    used = [place for place, name in enumerate(names) if name not in {"slot", "morning_ratio"}]

    def rows(facts: FloatArray) -> FloatArray:
        days = np.eye(7)[facts[:, weekday].astype(np.int64)]
        return np.hstack([facts[:, used], days])

    def fit(facts: FloatArray, values: FloatArray, wanted: FloatArray) -> FloatArray:
        out = np.full(wanted.shape[:2], np.nan)
        for slot in range(values.shape[1]):
            past, target = rows(facts[:, slot]), values[:, slot]
            count = np.maximum((~np.isnan(past)).sum(axis=0), 1)
            centre = np.where(np.isnan(past), 0.0, past).sum(axis=0) / count
            spread = np.sqrt(np.where(np.isnan(past), 0.0, (past - centre) ** 2).sum(axis=0) / count) + 1e-9
            known = ~np.isnan(target)
            past, ahead = (
                np.nan_to_num((one - centre) / spread) for one in (past[known], rows(wanted[:, slot]))
            )
            out[:, slot] = _ridge(past, target[known], ahead)
        return out

    return fit


def _ridge(past: FloatArray, target: FloatArray, ahead: FloatArray) -> FloatArray:
    """``b = (X'WX + 5 I)^-1 X'Wy`` on weighted-centred data, ``W`` fading by 0.995 a day."""
    weight = RIDGE_FADE ** np.arange(len(target))[::-1]
    centre = weight @ past / weight.sum()
    middle = float(weight @ target / weight.sum())
    left = (past - centre) * weight[:, None]
    gram = left.T @ (past - centre) + RIDGE_PENALTY * np.eye(past.shape[1])
    slope = np.linalg.solve(gram, left.T @ (target - middle))
    return np.asarray(middle + (ahead - centre) @ slope, dtype=np.float64)


def _long(facts: FloatArray, values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """One row per day and slot that has a value."""
    flat, target = facts.reshape(-1, facts.shape[2]), values.reshape(-1)
    known = ~np.isnan(target)
    return flat[known], target[known]


def _boosted(objective: str, *, rate: float) -> Callable[[tuple[str, ...]], Fit]:
    """400 boosted trees of 31 leaves on samples of rows and columns."""

    def make(names: tuple[str, ...]) -> Fit:
        del names
        settings = {"subsample": 0.8, "subsample_freq": 1, "colsample_bytree": 0.8}

        def fit(facts: FloatArray, values: FloatArray, wanted: FloatArray) -> FloatArray:
            past, target = _long(facts, values)
            trees = _trees(objective=objective, n_estimators=400, learning_rate=rate, **settings)
            ahead = wanted.reshape(-1, wanted.shape[2])
            return np.asarray(trees.fit(past, target).predict(ahead), dtype=np.float64).reshape(
                wanted.shape[:2]
            )

        return fit

    return make


def _boosted_quantiles(table: _Table) -> DayAhead:
    """One boosted model per level, sorted so that no quantile crosses another; learned anew every 14 days."""

    def walk(panel: Panel, rows: range, *, levels: tuple[float, ...], refit_days: int = 1) -> PointWalk:
        del refit_days
        values = np.full((len(levels), len(rows), panel.slots_per_day), np.nan)
        starts = range(rows.start, rows.stop, QUANTILE_DAYS)
        began = time.perf_counter()
        for at in starts:
            block = slice(at, min(at + QUANTILE_DAYS, rows.stop))
            past = slice(FIRST_TRAINING_ROW, at - max(1, panel.lead))
            if not _enough(panel, past):
                continue
            x, y = _long(table.facts[past], panel.actual[past])
            ahead = table.facts[block].reshape(-1, table.facts.shape[2])
            found = [
                _trees(objective="quantile", alpha=level, n_estimators=300, learning_rate=0.06)
                .fit(x, y)
                .predict(ahead)
                for level in levels
            ]
            shape = (len(levels), block.stop - block.start, panel.slots_per_day)
            place = slice(block.start - rows.start, block.stop - rows.start)
            values[:, place] = np.sort(np.asarray(found), axis=0).reshape(shape)
        if panel.kind == "pv":
            values = np.clip(values, 0.0, panel.capacity)
        took_s = time.perf_counter() - began
        return PointWalk(
            point=values[levels.index(0.5)],
            values=values,
            fit_s=took_s / len(starts),
            predict_ms=1e3 * took_s / len(rows),
            model="lgbm_q",
        )

    return walk


def _trees(**settings: Any) -> Any:  # LightGBM has no types
    """A LightGBM regressor with what all references share; one thread, so that runs side by side are fair."""
    import lightgbm

    shared: Mapping[str, Any] = {"num_leaves": 31, "min_child_samples": 40, "random_state": 0, "verbose": -1}
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    return lightgbm.LGBMRegressor(**shared, n_jobs=threads, **settings)
