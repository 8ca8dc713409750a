"""A small typed client of API v1: for programs of retailers, factories and the city."""

from vpp.client.client import Client, Forecast, Measurement, ProblemError, Wish

__all__ = ["Client", "Forecast", "Measurement", "ProblemError", "Wish"]
