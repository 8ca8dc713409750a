"""Inputs of the heat regression: degrees beyond the balance temperatures, inertia, and like days before.

Everything is laid out as days x slots, so that each half hour has its own line and borrows from its
neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from energy.core.series import FloatArray
from energy.core.slots import SLOT_HOURS, SLOTS_PER_DAY
from forecasting.days import BoolArray, IntArray

__all__ = ["Balance", "find_balance", "hinges", "inert", "like_days_mean", "solve_slots"]

# All constants were chosen on January to June 2016 of the Bangkok office and on simulated rooms.
COOLING_FROM: Final = np.arange(14.0, 30.1, 1.0)  # candidates of the balance temperatures [degC]
HEATING_TO: Final = np.arange(4.0, 20.1, 1.0)
LIKE_HALF_LIFE: Final = 6.0  # days, of the mean of like days before
NEIGHBOURS: Final = ((0, 1.0), (-1, 0.5), (1, 0.5), (-2, 0.25), (2, 0.25))  # half hours that lend their days
FIT_HALF_LIFE: Final = 90.0  # days
PENALTY: Final = 3.0  # of the ridge, on inputs of unit spread


@dataclass(frozen=True, slots=True)
class Balance:
    """Outdoor temperatures below which nothing is cooled and above which nothing is heated. [degC]

    Either is None where the history shows no such need.
    """

    cooling_c: float | None
    heating_c: float | None


def inert(outdoor_c: FloatArray, hours: float) -> FloatArray:
    """Outdoor temperature as a building feels it: an exponential mean over the past. [degC]

    ``m[t] = m[t-1] + (1 - exp(-h / tau)) (T[t] - m[t-1])``; a missing value leaves it where it was.
    """
    share = 1.0 - np.exp(-SLOT_HOURS / hours)
    known = outdoor_c[~np.isnan(outdoor_c)]
    level = float(known[: 2 * SLOTS_PER_DAY].mean()) if known.size else np.nan
    felt = np.empty_like(outdoor_c)
    for k, value in enumerate(outdoor_c):
        if not np.isnan(value):
            level += share * (float(value) - level)
        felt[k] = level
    return felt


def find_balance(energy_kwh: FloatArray, outdoor_c: FloatArray, rest: BoolArray) -> Balance:
    """Balance temperatures under which the energy of the days is a straight line of degree hours.

    Parameters
    ----------
    energy_kwh : ndarray, shape (n_days,)
        Of whole days; NaN where any part is missing. [kWh]
    outdoor_c : ndarray, shape (n_days, 48)
        As the building feels it. [degC]
    rest : ndarray of bool, shape (n_days,)
        Days of rest, which have their own level and slope.

    Notes
    -----
    The change-point model ``E = b + c CDH(T_c) + h HDH(T_h)`` of [1]_, least squares over a lattice of
    ``T_h <= T_c``; a side whose slope is not positive is left out.

    References
    ----------
    .. [1] ASHRAE Guideline 14-2014, annex D; Kissock, Haberl, Claridge (2003), "Inverse modeling toolkit:
       numerical algorithms", ASHRAE Transactions 109 (2), 425-434.
    """
    good = ~np.isnan(energy_kwh) & ~np.isnan(outdoor_c).any(axis=1)
    y, felt, works = energy_kwh[good], outdoor_c[good], (~rest[good]).astype(np.float64)
    if len(y) < 7:
        return Balance(None, None)
    cooling = {float(t): np.maximum(felt - t, 0.0).mean(axis=1) for t in COOLING_FROM}
    heating = {float(t): np.maximum(t - felt, 0.0).mean(axis=1) for t in HEATING_TO}
    best: tuple[float, Balance] = (np.inf, Balance(None, None))
    choices: list[tuple[float | None, float | None]] = [
        (c, h) for c in (None, *cooling) for h in (None, *heating) if c is None or h is None or h <= c
    ]
    for warm, cold in choices:
        columns = [np.ones(len(y)), works]
        sides = [] if warm is None else [cooling[warm]]
        sides += [] if cold is None else [heating[cold]]
        columns += [part for side in sides for part in (side * works, side * (1.0 - works))]
        x = np.column_stack(columns)
        ridge = 1e-6 * len(y) * np.eye(x.shape[1])
        slope = np.linalg.solve(x.T @ x + ridge, x.T @ y)
        if any(slope[2 + 2 * k] < 0.0 for k in range(len(sides))):
            continue
        error = float(((y - x @ slope) ** 2).sum()) * (1.0 + 0.02 * len(sides))  # a side must earn its place
        if error < best[0]:
            best = (error, Balance(warm, cold))
    return best[1]


def hinges(outdoor_c: FloatArray, felt_c: FloatArray, balance: Balance) -> list[FloatArray]:
    """Degrees beyond the balance temperatures, now and as the building feels them, each as the input. [K]"""
    found = []
    if balance.cooling_c is not None:
        found += [np.maximum(outdoor_c - balance.cooling_c, 0.0), np.maximum(felt_c - balance.cooling_c, 0.0)]
    if balance.heating_c is not None:
        found += [np.maximum(balance.heating_c - outdoor_c, 0.0), np.maximum(balance.heating_c - felt_c, 0.0)]
    return found


def like_days_mean(values: FloatArray, kind: IntArray, rest: BoolArray, *, last: IntArray) -> FloatArray:
    """Mean over earlier days: the same kind counts 1, the same rest or work 0.3, all others 0.02.

    Parameters
    ----------
    values : ndarray, shape (n_days, 48)
        NaN where missing.
    last : ndarray of int, shape (n_days,)
        For each day the last one that was over when it was forecast.
    """
    age = np.arange(len(kind))[:, None] - np.arange(len(kind))[None, :]
    like = np.where(kind[:, None] == kind[None, :], 1.0, np.where(rest[:, None] == rest[None, :], 0.3, 0.02))
    known = np.arange(len(kind))[None, :] <= last[:, None]
    weight = np.where(known, like * 0.5 ** (np.maximum(age, 0) / LIKE_HALF_LIFE), 0.0)
    there = ~np.isnan(values)
    mass = weight @ there.astype(np.float64)
    mean = weight @ np.nan_to_num(values)
    return np.asarray(np.where(mass > 1e-9, mean / np.maximum(mass, 1e-9), np.nan), dtype=np.float64)


def solve_slots(inputs: FloatArray, power_kw: FloatArray, age_days: FloatArray) -> FloatArray:
    """Coefficients per slot, shape (48, n_inputs): a ridge whose sums borrow from the neighbouring slots.

    Parameters
    ----------
    inputs : ndarray, shape (n_days, 48, n_inputs)
        NaN where missing.
    power_kw : ndarray, shape (n_days, 48)
        What is explained. [kW]
    age_days : ndarray, shape (n_days,)
        Days fade with a half-life of 90 days.
    """
    good = ~np.isnan(power_kw) & ~np.isnan(inputs).any(axis=2)
    x = np.where(good[:, :, None], inputs, 0.0)
    y = np.where(good, power_kw, 0.0)
    weight = np.where(good, 0.5 ** (age_days / FIT_HALF_LIFE)[:, None], 0.0)
    spread = np.sqrt((weight[:, :, None] * x**2).sum(axis=(0, 1)) / max(float(weight.sum()), 1e-9))
    spread = np.where(spread > 1e-9, spread, 1.0)
    x = x / spread
    gram = np.einsum("dsi,dsj,ds->sij", x, x, weight)
    moment = np.einsum("dsi,ds->si", x, y * weight)
    shared_gram = sum(w * np.roll(gram, shift, axis=0) for shift, w in NEIGHBOURS)
    shared_moment = sum(w * np.roll(moment, shift, axis=0) for shift, w in NEIGHBOURS)
    ridge = PENALTY * np.eye(x.shape[2])
    solved = np.linalg.solve(shared_gram + ridge, np.asarray(shared_moment)[:, :, None])[:, :, 0]
    return np.asarray(solved / spread, dtype=np.float64)
