"""A forecast as it travels between forecasting, planning and people: three quantiles per slot."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from energy.core.clock import require_aware
from energy.core.errors import AlignmentError, ForecastError
from energy.core.series import FloatArray, Grid, Unit

__all__ = ["QuantileForecast"]


@dataclass(frozen=True, slots=True)
class QuantileForecast:
    """P10, P50 and P90 of one target.

    Parameters
    ----------
    target : str
        Name of the series that is forecast.
    issued_at : datetime
        When it was made; nothing known later went into it. UTC.
    grid : Grid
        Intervals of the values.
    p10, p50, p90 : ndarray, shape (grid.count,)
        Quantiles, monotone, without NaN.
    model : str
        Name of the method that really made it, a fallback's name included.
    facts : dict
        What the method wants to tell: data span, weights, reasons.

    Raises
    ------
    AlignmentError
        If the arrays do not fit the grid.
    ForecastError
        If a value is missing or the quantiles cross.
    """

    target: str
    issued_at: datetime
    grid: Grid
    unit: Unit
    p10: FloatArray
    p50: FloatArray
    p90: FloatArray
    model: str
    facts: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "issued_at", require_aware(self.issued_at))
        for name in ("p10", "p50", "p90"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape != (self.grid.count,):
                raise AlignmentError(
                    f"{name} does not fit the grid", values=values.shape, grid=self.grid.count
                )
            if np.isnan(values).any():
                raise ForecastError(
                    f"the forecast of {self.target} has missing values",
                    where=f"{name} by model {self.model}",
                    hint="a forecast is never silently NaN: use the next method of the chain",
                )
            values.setflags(write=False)
            object.__setattr__(self, name, values)
        if (self.p10 > self.p50 + 1e-9).any() or (self.p50 > self.p90 + 1e-9).any():
            raise ForecastError(f"quantiles of {self.target} cross", where=f"model {self.model}")

    def median_only(self) -> QuantileForecast:
        """The same forecast without its spread: P10 and P90 lie on P50, and ``model`` says so.

        What a planner knows that takes a forecast at its word.
        """
        return replace(self, p10=self.p50, p90=self.p50, model=f"{self.model}, median only")
