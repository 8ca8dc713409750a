"""Forecasts in operation: made, kept, scored and delivered."""

from __future__ import annotations

from vpp.forecasts.desk import ForecastDesk
from vpp.forecasts.issued import Horizon, IssuedForecast

__all__ = ["ForecastDesk", "Horizon", "IssuedForecast"]
