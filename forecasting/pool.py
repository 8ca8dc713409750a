"""The pool of experts behind a demand forecast: learned once, asked once per issue day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import BoolArray, IntArray
from forecasting.experts import (
    DayTable,
    RidgeCoefficients,
    analogue,
    mean_of_last,
    median_of_similar,
    ridge_features,
    walk_ridge,
)
from forecasting.intraday import IntradayCorrection
from forecasting.quantiles import (
    RESIDUAL_DAYS,
    around_median,
    combine,
    residual_quantiles,
    small_sample_factor,
)

__all__ = ["LEADS", "DayBase", "Pool", "Tier", "day_base", "learn"]

Tier = Literal["pool", "day-type", "same-time"]

LEADS = (1, 2, 3)  # today, tomorrow and the day after: 96 slots from now touch no later day
_WEEK = 7
_FEATURE_DAYS = 70  # days of context that the features of one day need: ten days of rest and some holidays


@dataclass(frozen=True, slots=True)
class LeadModel:
    """What was learned for one lead: the experts' honest predictions, the ridges and the errors."""

    predictions: FloatArray
    ridges: tuple[RidgeCoefficients, ...]
    base_kw: FloatArray
    residual_kw: FloatArray


@dataclass(frozen=True, slots=True)
class Pool:
    """A complete model, either with or without temperature."""

    leads: Mapping[int, LeadModel]
    intraday: IntradayCorrection


@dataclass(frozen=True, slots=True)
class DayBase:
    """Forecast of one issue day before the last hours are looked at."""

    base_kw: FloatArray  # (4, 48): yesterday, today, tomorrow, the day after
    offsets_kw: FloatArray  # (3, n_levels, 48): error quantiles of today, tomorrow, the day after


def day_base(pool: Pool, table: DayTable, tier: Tier, here: int, levels: tuple[float, ...]) -> DayBase:
    """Forecast of the issue day ``here`` and its neighbours, from the whole days before it."""
    rest = table.kinds.rest
    wanted = {1: np.array([here - 1, here]), 2: np.array([here + 1]), 3: np.array([here + 2])}
    base, offsets = [], []
    for lead, rows in wanted.items():
        learned = pool.leads[lead]
        now = _experts(table, tier, lead, rows, learned.ridges)
        predictions = np.full((len(now), table.count, SLOTS_PER_DAY), np.nan)
        kept = min(table.count, learned.predictions.shape[1], here)
        predictions[:, :kept] = learned.predictions[:, :kept]
        predictions[:, rows] = now
        base.append(combine(table.load_kw, predictions, rest, lead=lead, rows=rows))
        errors = learned if not np.isnan(learned.residual_kw).all() else pool.leads[1]
        known = min(here, len(errors.residual_kw))
        past = np.arange(max(0, known - RESIDUAL_DAYS), known)
        same = np.asarray(rest[past] == rest[rows[-1]])
        spread = residual_quantiles(
            base[-1][-1],
            errors.residual_kw[past],
            errors.base_kw[past],
            same,
            rows[-1] - past,
            levels=np.asarray(levels),
        )
        sample = int((~np.isnan(errors.residual_kw[past]).all(axis=1) & same).sum())
        offsets.append(around_median(spread, levels) * small_sample_factor(sample))
    return DayBase(np.concatenate(base), np.stack(offsets))


def _experts(
    table: DayTable, tier: Tier, lead: int, rows: IntArray, ridges: tuple[RidgeCoefficients, ...]
) -> FloatArray:
    """Predictions of every expert of a tier for some days, shape (n_experts, len(rows), 48)."""
    group = table.kinds.rest.astype(np.int64)
    if tier == "same-time":
        return mean_of_last(table, lead, _WEEK, rows)[None]
    found = [median_of_similar(table, lead, group, 10, rows)]
    if tier == "day-type":
        found.append(median_of_similar(table, lead, np.zeros_like(group), _WEEK, rows))
        return np.stack(found)
    found.append(median_of_similar(table, lead, table.kinds.kind, 12, rows))
    found.append(median_of_similar(table, lead, table.kinds.weekday * 2 + group, 8, rows))
    found.append(analogue(table, lead, rows))
    first = max(0, int(rows[0]) - _FEATURE_DAYS)
    context = table.part(first)
    for ridge in ridges:
        outdoor = context.outdoor_c if ridge.uses_outdoor else None
        features = ridge_features(context.with_outdoor(outdoor), lead)[rows - first]
        found.append(ridge.predict(features))
    return np.stack(found)


def learn(table: DayTable, tier: Tier, past: int) -> tuple[Pool, Pool | None]:
    """Walk every expert forward over the history; a second pool uses temperature, if the table has it."""
    plain, rows = table.with_outdoor(None), np.arange(table.count)
    found: dict[bool, dict[int, LeadModel]] = {False: {}, True: {}}
    weather = table.outdoor_c is not None and tier == "pool"
    for lead in LEADS:
        predictions = _experts(plain, tier, lead, rows, ())
        ridges: tuple[RidgeCoefficients, ...] = ()
        for outdoor in (False, True) if weather else (False,):
            if tier == "pool":
                used = table if outdoor else plain
                walked, ridge = walk_ridge(used, ridge_features(used, lead), lead, past)
                predictions, ridges = np.concatenate([predictions, walked[None]]), (*ridges, ridge)
            base = combine(table.load_kw, predictions, table.kinds.rest, lead=lead, rows=rows)
            found[outdoor][lead] = LeadModel(predictions, ridges, base, table.load_kw - base)
    rest = table.kinds.rest[:past]
    return _pool(found[False], rest, past), _pool(found[True], rest, past) if weather else None


def _pool(leads: dict[int, LeadModel], rest: BoolArray, past: int) -> Pool:
    errors = (leads[1].residual_kw[:past], leads[2].residual_kw[:past])
    bases = (leads[1].base_kw[:past], leads[2].base_kw[:past])
    return Pool(leads, IntradayCorrection.fit(errors, bases, rest))
