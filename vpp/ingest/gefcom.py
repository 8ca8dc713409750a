"""Weather forecasts in the form of the GEFCom2014 solar track: one ECMWF run a day, sums since the run.

Each run is made at 00 UTC and holds the hours that end at 01 to 24 UTC. Radiation and precipitation are
summed up since the run, so an hour is the difference of two rows and the first hour is its row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from energy.core.series import FloatArray
from vpp.ingest.columns import Instants

__all__ = ["GEFCOM_FIELDS", "GefcomField", "differences", "gefcom_runs", "gefcom_weather"]

_PER_SECOND: Final = 1.0 / 3600.0  # J/m2 in an hour -> W/m2
_ZERO_CELSIUS_K: Final = 273.15


@dataclass(frozen=True, slots=True)
class GefcomField:
    """One field of a run: our name, factor and offset to our unit, and whether it is summed up."""

    name: str
    scale: float = 1.0
    offset: float = 0.0
    summed: bool = False


# ECMWF parameter numbers and units: Hong et al. (2016), Int. J. of Forecasting 32, 896-913, table 5.
GEFCOM_FIELDS: Final[Mapping[str, GefcomField]] = {
    "VAR78": GefcomField("cloud_water_kg_m2"),
    "VAR79": GefcomField("cloud_ice_kg_m2"),
    "VAR134": GefcomField("pressure_pa"),
    "VAR157": GefcomField("humidity_percent"),
    "VAR164": GefcomField("cloud_percent", scale=100.0),
    "VAR165": GefcomField("wind_east_m_s"),
    "VAR166": GefcomField("wind_north_m_s"),
    "VAR167": GefcomField("temp_c", offset=-_ZERO_CELSIUS_K),
    "VAR169": GefcomField("ghi_w_m2", scale=_PER_SECOND, summed=True),
    "VAR175": GefcomField("longwave_w_m2", scale=_PER_SECOND, summed=True),
    "VAR178": GefcomField("net_solar_top_w_m2", scale=_PER_SECOND, summed=True),
    "VAR228": GefcomField("rain_mm", scale=1000.0, summed=True),
}


def gefcom_runs(at: Instants) -> Instants:
    """The run that each hour belongs to: 00 UTC of the day in which the hour starts."""
    return at.astype("datetime64[D]").astype("datetime64[us]")


def gefcom_weather(at: Instants, values: Mapping[str, FloatArray]) -> dict[str, FloatArray]:
    """Fields of the runs by our names and in our units.

    Parameters
    ----------
    at : ndarray of datetime64[us]
        Start of each hour, UTC, in order.
    values : mapping of str to ndarray
        Columns as they stand in the file.

    Returns
    -------
    dict of str to ndarray
        NaN in an hour whose sum cannot be undone because the row before it is missing.
    """
    out = {}
    for column, field in GEFCOM_FIELDS.items():
        if column in values:
            raw = values[column]
            per_hour = differences(at, gefcom_runs(at), raw) if field.summed else raw
            out[field.name] = per_hour * field.scale + field.offset
    return out


def differences(
    at: Instants, issued: Instants, summed: FloatArray, step: timedelta = timedelta(hours=1)
) -> FloatArray:
    """What each step added to a sum that begins with its run; small steps down (rounding) count as nothing.

    Rows are in the order of issue and time; a step whose predecessor is missing is missing.

    Examples
    --------
    >>> hours = np.datetime64("2026-01-01T00", "us") + np.arange(3) * np.timedelta64(1, "h")
    >>> differences(hours, gefcom_runs(hours), np.array([2.0, 5.0, 5.0]))
    array([2., 3., 0.])
    """
    first = at == issued
    follows = np.r_[False, (at[1:] - at[:-1] == np.timedelta64(step)) & (issued[1:] == issued[:-1])]
    added = np.where(follows, np.r_[np.nan, np.diff(summed)], np.nan)
    return np.asarray(np.maximum(np.where(first, summed, added), 0.0), dtype=np.float64)
