"""Load: features and experts of every day, made from its own past only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from energy.core.series import FloatArray
from forecasting.day_experts import (
    LEAN_PENALTIES,
    RIDGE_FIRST,
    RIDGE_PENALTIES,
    analogue,
    combine,
    median_of_similar,
    walk_ridge,
)
from forecasting.features import Features, View, build_features, load_features
from forecasting.forest import ForestOptions
from forecasting.panel import Panel
from forecasting.past import Past, filled_from_past
from forecasting.prepared import Prepared
from forecasting.residuals import Residuals

__all__ = ["LOAD_FOREST", "prepare_load", "view_of"]

LOAD_FOREST = ForestOptions()
DAYS_PER_VALUE = 9  # a long past has more to say of a season: a year and more, and more values of a leaf
ROWS_OF_A_DAY = 24  # a tree is grown on one slot of an hour: its neighbours say nearly the same
ROOT_PENALTIES = (30.0, 100.0)  # of the ridges on the square root of the load


def view_of(panel: Panel) -> View:
    """The panel as features may see it."""
    filled, usable = filled_from_past(panel.actual, panel.days)

    def past(values: FloatArray) -> Past:
        return Past(values, panel.lead, panel.issue_slot, panel.clock)

    measured = {
        name: past(filled_from_past(values, panel.days)[0])
        for name, values in panel.measured_weather.items()
        if not np.isnan(values).all()
    }
    return View(past(filled), panel.days, usable, measured, panel.forecast_weather)


def prepare_load(panel: Panel) -> Prepared:
    """Features and experts of all rows; the last row is the one to be forecast."""
    view = view_of(panel)
    scale = float(np.nanmean(np.abs(panel.actual))) or 1.0
    built = build_features(view)
    features, loads = built.values, built.loads
    experts = _experts(panel, view, built, scale)
    base = combine(panel.actual, experts, panel.days.rest, view.past.newest_whole)
    said = np.moveaxis(np.where(np.isnan(experts), base[None], experts), 0, -1) / scale
    middle = base[..., None] / scale
    features[..., :loads] /= scale
    level = np.concatenate([features, said, middle], axis=-1)
    relative = features.copy()
    relative[..., :loads] -= middle
    spread = said.std(axis=-1)
    surplus = np.concatenate([relative, said - middle, middle, spread[..., None]], axis=-1)
    actual = panel.actual / scale
    return Prepared(
        scale=scale,
        features=(np.nan_to_num(level, copy=False), np.nan_to_num(surplus, copy=False)),
        targets=(actual, actual - middle[..., 0]),
        offsets=(np.zeros_like(base), middle[..., 0]),
        base=base,
        first_row=RIDGE_FIRST + view.past.newest_whole,
        options=_forest_options(panel.slots_per_day, panel.count),
        residuals=Residuals(base=base, spread=spread, actual=panel.actual, rest=panel.days.rest),
    )


def _forest_options(slots: int, days: int) -> ForestOptions:
    every = max(1, slots // ROWS_OF_A_DAY)
    newest = max(LOAD_FOREST.newest, days // DAYS_PER_VALUE)
    return replace(
        LOAD_FOREST, every=every, leaf=max(2, LOAD_FOREST.leaf // every), newest=max(1, newest // every)
    )


def _experts(panel: Panel, view: View, built: Features, scale: float) -> FloatArray:
    """Predictions of all experts, shape (n_experts, n, slots). [unit of the panel]"""
    back, last = view.past.newest_whole, panel.count - 1
    target, features = panel.actual / scale, built.values
    ridges = [walk_ridge(features, target, back, last=last, penalties=RIDGE_PENALTIES) * scale]
    few = features[..., built.lean]
    ridges.append(walk_ridge(few, target, back, last=last, penalties=LEAN_PENALTIES) * scale)
    root = replace(view.past, filled=np.sqrt(np.maximum(view.past.filled, 0.0) / scale))
    rooted = features.copy()
    rooted[..., : built.loads] = np.stack(load_features(replace(view, past=root, means={})), axis=-1)
    roots = walk_ridge(rooted, np.sqrt(np.maximum(target, 0.0)), back, last=last, penalties=ROOT_PENALTIES)
    group = panel.days.rest.astype(np.int64)
    medians = [
        median_of_similar(view, key, count)
        for key, count in ((group, 10), (panel.days.weekday * 2 + group, 8))
    ]
    return np.concatenate(
        [*ridges, np.maximum(roots, 0.0) ** 2 * scale, np.stack([*medians, *analogue(view)])]
    )
