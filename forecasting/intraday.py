"""What the last hours say about the next ones: errors go on for a while, and then they do not.

The base forecast of a day is made from whole days. During the day its latest errors are known; this module
learns, by lead and by time of day, how much of them is still there later, and how wide the forecast corrected
by them still has to be. A machine that runs late says much about the next hour and nothing about the time
after the shift: the gate by time of day learns that.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY
from forecasting.days import BoolArray, IntArray
from forecasting.quantiles import (
    around_median,
    kernel_of_levels,
    least_absolute,
    trailing_mean,
    weighted_quantiles,
)

__all__ = ["IntradayCorrection"]

MAX_LEADS = 16  # slots; eight hours: later the correction was never worth its noise (Apr-Jun 2018, steel)
SPANS = (1, 6, 24)  # slots over which the latest errors are averaged: 0.5, 3 and 12 h
WORTH_IT = 0.98  # share of the error left above which the correction stops
HALF_LIFE = 45.0  # days
GATE_DAYS = 10.0  # a time of day counts half by itself after ten days
OTHER_TYPE = 0.3  # weight of a day of the other type
_CLIP = 4.0  # standardised errors are clipped here: one outage must not steer the day
_DAYS = 180  # older days are not looked at
_NEIGHBOURS = ((0, 1.0), (-1, 0.5), (1, 0.5))  # issue slots next door and their weights


@dataclass(frozen=True, slots=True)
class IntradayCorrection:
    """How far the errors of the last hours go on.

    Parameters
    ----------
    gain : ndarray, shape (n_spans, n_leads)
        Share of the mean standardised error of the last 0.5, 3 and 12 h that is still there at a lead. [-]
    gate : ndarray, shape (48, n_leads)
        Factor of the correction by issue slot and lead; near 0 where the day changes its course. [-]
    sigma_kw : ndarray, shape (2, 48)
        Mean absolute error by day type (0 working, 1 rest) and slot. [kW]
    error_kw, level_kw : ndarray, shape (n_days, 48, n_leads)
        Errors that the corrected forecast would have made, and that forecast; NaN where unknown. [kW]
    rest : ndarray, shape (n_days,)
        Whether each of these days is one of rest.
    """

    gain: FloatArray
    gate: FloatArray
    sigma_kw: FloatArray
    error_kw: FloatArray
    level_kw: FloatArray
    rest: BoolArray

    @property
    def leads(self) -> int:
        """Number of slots that are corrected."""
        return int(self.gain.shape[1])

    @classmethod
    def fit(
        cls,
        error_kw: tuple[FloatArray, FloatArray],
        base_kw: tuple[FloatArray, FloatArray],
        rest: BoolArray,
    ) -> IntradayCorrection:
        """Learn from the out-of-sample errors of a base forecast.

        Parameters
        ----------
        error_kw, base_kw : pair of ndarray, each of shape (n, 48)
            Errors and forecasts one day and two days ahead, NaN where unknown. [kW]
        rest : ndarray, shape (n,)
            Whether each day is one of rest.

        Notes
        -----
        ``u[t + h] = sum_j gain[j, h] * mean(u[t - span_j : t])`` by least absolute deviations, with ``u`` the
        error over ``sigma`` and each target weighted by its ``sigma``, so that kilowatts count. The gate of
        an issue slot is the weighted median of (error / correction), drawn towards 1. From the first lead at
        which less than 2 % of the error is removed, the correction stops: what is left is chance.
        """
        kept = slice(max(0, len(rest) - _DAYS), len(rest))
        errors = [part[kept] for part in error_kw]
        bases = [part[kept].reshape(-1) for part in base_kw]
        kinds = rest[kept]
        sigma = _sigma(errors[0], kinds)
        scale = sigma[kinds.astype(np.int64)].reshape(-1)
        u = [np.clip(part.reshape(-1) / scale, -_CLIP, _CLIP) for part in errors]
        features = np.stack([trailing_mean(u[0], span) for span in SPANS], axis=1)
        age = (len(kinds) - 1 - np.arange(len(kinds)))[:, None]
        gains, gates, lefts, levels = [], [], [], []
        for lead in range(MAX_LEADS):
            target = _ahead(u[0], u[1], lead)
            later = _ahead(scale, scale, lead)
            ok = ~np.isnan(target) & ~np.isnan(features).any(axis=1)
            if ok.sum() < 10 * SLOTS_PER_DAY:
                break
            gain, left, _ = least_absolute(features[ok][::2], target[ok][::2], later[ok][::2])
            if left > WORTH_IT:
                break
            add = (features @ gain * later).reshape(-1, SLOTS_PER_DAY)
            error = _ahead(errors[0].reshape(-1), errors[1].reshape(-1), lead).reshape(-1, SLOTS_PER_DAY)
            base = _ahead(bases[0], bases[1], lead).reshape(-1, SLOTS_PER_DAY)
            gate = _gate(error, add, age)
            corrected = np.maximum(base + gate * add, 0.0)
            gains.append(gain)
            gates.append(gate)
            lefts.append(base + error - corrected)
            levels.append(corrected)
        empty = np.empty((len(kinds), SLOTS_PER_DAY, 0))
        return cls(
            gain=np.stack(gains, axis=1) if gains else np.empty((len(SPANS), 0)),
            gate=np.stack(gates, axis=1) if gates else np.empty((SLOTS_PER_DAY, 0)),
            sigma_kw=sigma,
            error_kw=np.stack(lefts, axis=2) if lefts else empty,
            level_kw=np.stack(levels, axis=2) if levels else empty,
            rest=kinds,
        )

    def correction_kw(
        self, recent_error_kw: FloatArray, recent_scale_kw: FloatArray, scale_kw: FloatArray, slot: int
    ) -> FloatArray:
        """What to add to the base of the next ``leads`` slots; empty if the last hour is unknown. [kW]

        Parameters
        ----------
        recent_error_kw, recent_scale_kw : ndarray, shape (m,)
            Latest errors, newest last, NaN where unknown, and ``sigma_kw`` of their slots. [kW]
        scale_kw : ndarray, shape (leads,)
            ``sigma_kw`` of the slots to correct. [kW]
        slot : int
            Number of the issue slot, 0..47.
        """
        u = np.clip(recent_error_kw / recent_scale_kw, -_CLIP, _CLIP)
        if np.isnan(u[-2:]).all():
            return np.empty(0)
        means = np.array([_last_mean(u, span) for span in SPANS])
        return np.asarray(means @ self.gain * self.gate[slot] * scale_kw)

    def offsets_kw(
        self, level_kw: FloatArray, rest: BoolArray, slot: int, levels: tuple[float, ...]
    ) -> FloatArray:
        """Error quantiles around the corrected forecast, shape (n_levels, leads). [kW]

        Parameters
        ----------
        level_kw : ndarray, shape (leads,)
            The corrected forecast. [kW]
        rest : ndarray, shape (leads,)
            Whether the day of each slot is one of rest.
        slot : int
            Number of the issue slot, 0..47.
        """
        age = len(self.rest) - np.arange(len(self.rest))
        values, weights = [], []
        for shift, weight in _NEIGHBOURS:
            near = min(max(slot + shift, 0), SLOTS_PER_DAY - 1)
            error, past = self.error_kw[:, near], self.level_kw[:, near]
            same = self.rest[:, None] == rest[None, :]
            mass = weight * 0.5 ** (age[:, None] / HALF_LIFE) * np.where(same, 1.0, OTHER_TYPE)
            known = ~np.isnan(error)
            values.append(np.where(known, error, 0.0))
            weights.append(np.where(known, mass * kernel_of_levels(past, level_kw), 0.0))
        mass = np.concatenate(weights)
        mass[0] = np.maximum(mass[0], 1e-12)
        return around_median(weighted_quantiles(np.concatenate(values), mass, np.asarray(levels)), levels)


def _ahead(today: FloatArray, tomorrow: FloatArray, lead: int) -> FloatArray:
    """Value ``lead`` slots after each slot: past midnight that of the forecast made two days ahead."""
    at = np.arange(today.size)
    to = np.minimum(at + lead, today.size - 1)
    out = np.where(at % SLOTS_PER_DAY + lead >= SLOTS_PER_DAY, tomorrow[to], today[to])
    return np.where(at + lead < today.size, out, np.nan)


def _gate(error_kw: FloatArray, add_kw: FloatArray, age_days: IntArray) -> FloatArray:
    """Best factor of the correction for each issue slot by least absolute deviations, drawn towards 1. [-]"""
    known = ~np.isnan(error_kw) & ~np.isnan(add_kw) & (np.abs(add_kw) > 1e-6)
    size = np.where(known, np.abs(add_kw), 0.0)
    ratio = np.where(known, error_kw / np.where(known, add_kw, 1.0), 0.0)
    recency = np.broadcast_to(0.5 ** (age_days / HALF_LIFE), ratio.shape)
    mass = size * recency
    seen = np.where(known, recency, 0.0).sum(axis=0)
    mass[0] = np.maximum(mass[0], 1e-12)
    best = weighted_quantiles(ratio, mass, np.array([0.5]))[0]
    return np.asarray(np.clip((seen * best + GATE_DAYS) / (seen + GATE_DAYS), 0.0, 1.5))


def _sigma(error_kw: FloatArray, rest: BoolArray) -> FloatArray:
    """Mean absolute error by day type and slot, recent days first, smoothed over the slots next door. [kW]"""
    size = np.abs(error_kw)
    overall = float(np.nanmean(size)) if not np.isnan(size).all() else 1.0
    out = np.full((2, SLOTS_PER_DAY), max(overall, 1e-3))
    recency = 0.5 ** ((len(rest) - np.arange(len(rest))) / HALF_LIFE)
    for kind in (0, 1):
        rows = rest == bool(kind)
        known = ~np.isnan(size[rows])
        if known.sum() >= 3 * SLOTS_PER_DAY:
            mass = known * recency[rows][:, None]
            mean = np.where(known, size[rows], 0.0) * mass
            smooth = mean.sum(axis=0) / np.maximum(mass.sum(axis=0), 1e-9)
            wide = 0.5 * smooth + 0.25 * (np.roll(smooth, 1) + np.roll(smooth, -1))
            out[kind] = np.maximum(wide, 0.01 * overall + 1e-3)
    return out


def _last_mean(values: FloatArray, span: int) -> float:
    """Mean of the known ones among the last values; 0 (nothing to say) if none is known."""
    last = values[-span:]
    last = last[~np.isnan(last)]
    return float(last.mean()) if last.size else 0.0
