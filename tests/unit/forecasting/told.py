"""A stand-in for a model with quantiles of its own, for tests of what is around it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from energy.core.series import FloatArray
from forecasting.backtest import last_week
from forecasting.panel import Panel


@dataclass(frozen=True)
class Told:
    """A walk with given quantiles."""

    values: FloatArray
    fit_s: float = 0.1
    predict_ms: float = 3.0
    model: str = "told"

    @property
    def peak(self) -> FloatArray:
        """The highest middle value of each day."""
        return np.asarray(self.values[len(self.values) // 2].max(axis=1))


def told(panel: Panel, rows: range, *, levels: tuple[float, ...], refit_days: int = 1) -> Told:
    """Last week with a fixed band, whole by construction."""
    point = np.nan_to_num(last_week(panel, rows), nan=1.0)
    return Told(np.stack([point * (0.6 + 0.8 * level) for level in levels]))
