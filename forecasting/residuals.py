"""A band around the experts' forecast from the errors that they made in like situations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.core.series import FloatArray
from forecasting.days import BoolArray, IntArray
from forecasting.quantiles import weighted_quantiles

__all__ = ["Residuals"]

# Tuned on the windows before the tests (docs/explanation/forecasts.md).
DAYS = 90  # errors of the last weeks ...
YEAR, SEASON_DAYS = 364, 21  # ... and of this season a year ago, the same weekdays
SEASON_WEIGHT = 0.3
HALF_LIFE = 30.0  # days
OTHER_TYPE = 0.3  # weight of an error from a day of the other type
LEVEL_WIDTH = 0.35  # relative width of the kernel on the square root of the forecast level
SPREAD_WIDTH = 0.6  # width of the kernel on the logarithm of the experts' disagreement
FLOOR = 1e-6  # of the kernel: an error of no like situation is better than none
NEIGHBOURS = (0, -1, 1)  # the slot itself and those next door
NEIGHBOUR_WEIGHTS = np.array([1.0, 0.6, 0.6])


@dataclass(frozen=True, slots=True, kw_only=True)
class Residuals:
    """Out-of-sample forecasts and what became of them.

    Parameters
    ----------
    base : ndarray, shape (n, slots)
        Forecasts; NaN where there is none. [any]
    spread : ndarray, shape (n, slots)
        Standard deviation among the experts, as a share of the mean load. [-]
    actual : ndarray, shape (n, slots)
        What happened; NaN where unknown. [as base]
    rest : ndarray, shape (n,)
        Whether each day is one of rest.
    """

    base: FloatArray
    spread: FloatArray
    actual: FloatArray
    rest: BoolArray

    def quantiles(
        self, rows: IntArray, back: int, levels: tuple[float, ...], *, every: int = 1
    ) -> FloatArray:
        """Quantiles of some days: their forecasts plus the errors of like days, levels and disagreement.

        Parameters
        ----------
        rows : ndarray of int
            The days wanted.
        back : int
            Days from each to the newest whole day known at its issue.
        every : int
            Only every so many slots of each day.

        Returns
        -------
        ndarray, shape (n_rows, slots / every, n_levels)
            NaN where there is no forecast. [as base]

        Notes
        -----
        Weighted quantiles of the errors of the last 90 days (half-life 30 days) and of the 43 days around the
        day a year before; days of the other type 0.3, slots next door 0.6; a Gaussian in the square root of
        the level and one in the logarithm of the experts' disagreement.
        """
        root = np.sqrt(np.maximum(self.base, 0.0))
        doubt = np.log(np.maximum(self.spread, 0.0) + 1e-6)
        error, roots, doubts = (
            _with_neighbours(part, every) for part in (self.actual - self.base, root, doubt)
        )
        out = np.full((len(rows), error.shape[2], len(levels)), np.nan)
        for k, row in enumerate(rows):
            past = self._examples(int(row), back)
            if not past.size:
                continue
            width = LEVEL_WIDTH * np.maximum(root[row, ::every], 0.05 * root[row].max() + 1e-9)
            by_level = (roots[:, past] - root[row, ::every]) / width
            by_doubt = (doubts[:, past] - doubt[row, ::every]) / SPREAD_WIDTH
            like = np.nan_to_num(np.exp(-0.5 * (by_level**2 + by_doubt**2))) + FLOOR
            weight = NEIGHBOUR_WEIGHTS[:, None, None] * self._weights(int(row), past)[:, None] * like
            known = ~np.isnan(error[:, past])
            mass = np.where(known, weight, 0.0).reshape(-1, error.shape[2])
            mass[0] = np.maximum(mass[0], 1e-12)
            values = np.where(known, error[:, past], 0.0).reshape(mass.shape)
            out[k] = (self.base[row, ::every] + weighted_quantiles(values, mass, np.array(levels))).T
        return out

    def _weights(self, row: int, past: IntArray) -> FloatArray:
        """How much the errors of some days count for another, shape (n_past,)."""
        age = row - past
        weight = 0.5 ** (age / HALF_LIFE) + SEASON_WEIGHT * (np.abs(age - YEAR) <= SEASON_DAYS)
        return np.asarray(weight * np.where(self.rest[past] == self.rest[row], 1.0, OTHER_TYPE))

    def _examples(self, row: int, back: int) -> IntArray:
        """Days whose errors count, none later than what was known ``back`` days before ``row``."""
        newest = row - back
        first = max(0, newest + 1 - DAYS)
        before = np.arange(max(0, row - YEAR - SEASON_DAYS), max(0, min(row - YEAR + SEASON_DAYS + 1, first)))
        past = np.concatenate([before, np.arange(first, newest + 1)])
        return np.asarray(past[~np.isnan(self.base[past]).all(axis=1)])


def _with_neighbours(values: FloatArray, every: int) -> FloatArray:
    """Values of every slot wanted and of those next door, shape (3, n, slots / every)."""
    return np.stack([np.roll(values, -shift, axis=1)[:, ::every] for shift in NEIGHBOURS])
