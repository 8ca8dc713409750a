"""Forecasts in operation: the desk that makes them, the store that keeps them, the scores and the delivery."""

from __future__ import annotations

from vpp.forecasts.desk import ForecastDesk

__all__ = ["ForecastDesk"]
