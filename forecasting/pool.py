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
    weather_features,
)
from forecasting.intraday import IntradayCorrection
from forecasting.quantiles import (
    RESIDUAL_DAYS,
    around_median,
    combine,
    residual_quantiles,
    small_sample_factor,
)

__all__ = ["LEADS", "DayBase", "DayExperts", "Pool", "Tier", "day_base", "day_experts", "learn"]

Tier = Literal["pool", "day-type", "same-time"]

LEADS = (1, 2, 3)  # today, tomorrow and the day after: 96 slots from now touch no later day
_WEEK = 7
_FEATURE_DAYS = 100  # days of context that one day needs: twelve Saturdays and some holidays


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
class DayExperts:
    """What the experts say of some days, and the ridge's features of them."""

    rows: IntArray
    predictions: FloatArray
    features: FloatArray | None


@dataclass(frozen=True, slots=True)
class DayBase:
    """Forecast of one issue day before the last hours are looked at."""

    base_kw: FloatArray  # (4, 48): yesterday, today, tomorrow, the day after
    offsets_kw: FloatArray  # (3, n_levels, 48): error quantiles of today, tomorrow, the day after


def day_experts(pool: Pool, table: DayTable, tier: Tier, here: int) -> Mapping[int, DayExperts]:
    """What the experts without temperature say of the issue day ``here`` and its neighbours, by lead."""
    wanted = {1: np.array([here - 1, here]), 2: np.array([here + 1]), 3: np.array([here + 2])}
    first = max(0, here - _FEATURE_DAYS)
    context, found = table.part(first), {}
    for lead, rows in wanted.items():
        predictions = _experts(context, tier, lead, rows - first)
        features = None
        if tier == "pool":
            predictions = np.concatenate([predictions, analogue(table, lead, rows)[None]])
            features = ridge_features(context, lead)[rows - first]
            predictions = np.concatenate([predictions, pool.leads[lead].ridges[0].predict(features)[None]])
        found[lead] = DayExperts(rows, predictions, features)
    return found


def day_base(
    pool: Pool, experts: Mapping[int, DayExperts], table: DayTable, here: int, levels: tuple[float, ...]
) -> DayBase:
    """Forecast of the issue day ``here`` and its neighbours, from the whole days before it."""
    rest = table.kinds.rest
    base, offsets = [], []
    for lead, said in experts.items():
        learned, rows, now = pool.leads[lead], said.rows, said.predictions
        if len(learned.ridges) > 1 and said.features is not None and table.outdoor_c is not None:
            air = weather_features(table.outdoor_c[rows], rest[rows])
            warm = learned.ridges[1].predict(np.concatenate([said.features, air], axis=-1))
            now = np.concatenate([now, warm[None]])
        predictions = np.full((len(now), table.count, SLOTS_PER_DAY), np.nan)
        kept = min(table.count, learned.predictions.shape[1], here)
        predictions[:, :kept] = learned.predictions[:, :kept]
        predictions[:, rows] = now
        base.append(combine(table.load_kw, predictions, rest, lead=lead, rows=rows))
        offsets.append(_offsets(pool, lead, base[-1][-1], rest, int(rows[-1]), here, levels))
    return DayBase(np.concatenate(base), np.stack(offsets))


def _offsets(
    pool: Pool,
    lead: int,
    base_kw: FloatArray,
    rest: BoolArray,
    row: int,
    here: int,
    levels: tuple[float, ...],
) -> FloatArray:
    """Error quantiles around the forecast of day ``row``, shape (n_levels, 48). [kW]"""
    learned = pool.leads[lead]
    errors = learned if not np.isnan(learned.residual_kw).all() else pool.leads[1]
    known = min(here, len(errors.residual_kw))
    past = np.arange(max(0, known - RESIDUAL_DAYS), known)
    same = np.asarray(rest[past] == rest[row])
    spread = residual_quantiles(
        base_kw,
        errors.residual_kw[past],
        errors.base_kw[past],
        same,
        row - past,
        levels=np.asarray(levels),
    )
    sample = int((~np.isnan(errors.residual_kw[past]).all(axis=1) & same).sum())
    return around_median(spread, levels) * small_sample_factor(sample)


def _experts(table: DayTable, tier: Tier, lead: int, rows: IntArray) -> FloatArray:
    """Predictions of the experts that look at few days only, shape (n_experts, len(rows), 48)."""
    group = table.kinds.rest.astype(np.int64)
    keys: tuple[tuple[IntArray, int], ...]
    match tier:
        case "same-time":
            return mean_of_last(table, lead, _WEEK, rows)[None]
        case "day-type":
            keys = ((group, 10), (np.zeros_like(group), _WEEK))
        case "pool":
            keys = ((group, 10), (table.kinds.kind, 12), (table.kinds.weekday * 2 + group, 8))
    return np.stack([median_of_similar(table, lead, key, count, rows) for key, count in keys])


def learn(table: DayTable, tier: Tier, past: int) -> tuple[Pool, Pool | None]:
    """Walk every expert forward over the history; a second pool uses temperature, if the table has it."""
    rest, rows = table.kinds.rest, np.arange(table.count)
    weather = table.outdoor_c is not None and tier == "pool"
    plain, warm = {}, {}
    for lead in LEADS:
        predictions = _experts(table, tier, lead, rows)
        ridges: tuple[RidgeCoefficients, ...] = ()
        if tier == "pool":
            predictions = np.concatenate([predictions, analogue(table, lead, rows)[None]])
            features = ridge_features(table, lead)
            walked, ridge = walk_ridge(table, features, lead, past)
            predictions, ridges = np.concatenate([predictions, walked[None]]), (ridge,)
        plain[lead] = _lead_model(table, lead, predictions, ridges)
        if weather and table.outdoor_c is not None:
            features = np.concatenate([features, weather_features(table.outdoor_c, rest)], axis=-1)
            walked, ridge = walk_ridge(table, features, lead, past)
            warm[lead] = _lead_model(
                table, lead, np.concatenate([predictions, walked[None]]), (*ridges, ridge)
            )
    return _pool(plain, rest[:past], past), _pool(warm, rest[:past], past) if weather else None


def _lead_model(
    table: DayTable, lead: int, predictions: FloatArray, ridges: tuple[RidgeCoefficients, ...]
) -> LeadModel:
    rows = np.arange(table.count)
    base = combine(table.load_kw, predictions, table.kinds.rest, lead=lead, rows=rows)
    return LeadModel(predictions, ridges, base, table.load_kw - base)


def _pool(leads: dict[int, LeadModel], rest: BoolArray, past: int) -> Pool:
    errors = (leads[1].residual_kw[:past], leads[2].residual_kw[:past])
    bases = (leads[1].base_kw[:past], leads[2].base_kw[:past])
    return Pool(leads, IntradayCorrection.fit(errors, bases, rest))
