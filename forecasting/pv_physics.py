"""What a photovoltaic array gives under a given sky: geometry, irradiance, temperature, inverter, snow.

The physics is pvlib's; this module chooses the models, keeps the units and works on half-hour grids. The
sun's position is taken in the middle of each interval.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from pvlib import inverter, irradiance, pvsystem, spa, temperature

from energy.core.assets import PvArray
from energy.core.errors import AlignmentError, GapError
from energy.core.series import FloatArray, Grid

__all__ = [
    "PvWeather",
    "SnowState",
    "SunPosition",
    "array_power_kw",
    "decompose",
    "plane_irradiance",
    "pv_power_kw",
    "sun_position",
]

ALBEDO = 0.2  # dry ground: Liu and Jordan (1963), the default of pvlib.irradiance
INVERTER_EFFICIENCY = 0.96  # nominal: Dobos (2014), PVWatts Version 5 Manual, NREL/TP-6A20-62641, table 7
CELL_LOSS_W_PER_M2K = (
    20.0  # heat loss factor of modules close to a roof: PVsyst "semi integrated", as in pvlib
)
LOWEST_SUN_DEG = 0.0  # below the horizon an array gives exactly nothing
_DELTA_T_S = 69.2  # TT - UT1 in 2020-2026: IERS Bulletin A; an error of 10 s moves the sun 0.04 deg
_REFRACTION_DEG = 0.5667  # at sunrise: Reda and Andreas (2004), NREL/TP-560-34302
_PRESSURE_MBAR = 1013.25  # standard atmosphere; only refraction near the horizon depends on it
_STEEPEST_DEG = 87.0  # beam is not estimated closer to the horizon (pvlib.irradiance.erbs, max_zenith)
_COVERING_CM_PER_H = 1.0  # Marion et al. (2013), as pvlib.snow.fully_covered_nrel
_CAN_SLIDE = -80.0  # W/(m2 K): Marion et al. (2013), eq. 1
_SLIDE_PER_HOUR = 0.197  # share of the slant height: Marion et al. (2013), roof mounts


@dataclass(frozen=True, slots=True)
class PvWeather:
    """Weather over a grid, measured or forecast; means over each interval.

    Parameters
    ----------
    grid : Grid
        Intervals of the values.
    ghi, dni, dhi : ndarray, shape (grid.count,)
        Global horizontal, direct normal and diffuse horizontal irradiance, >= 0. [W/m2]
    temp_c : ndarray, shape (grid.count,)
        Air temperature. [degC]
    snowfall_cm : ndarray, shape (grid.count,), optional
        Depth of fresh snow falling in each interval. [cm]
    known_at : datetime, optional
        When the newest part of it became known, UTC.

    Raises
    ------
    AlignmentError
        If an array does not fit the grid.
    """

    grid: Grid
    ghi: FloatArray
    dni: FloatArray
    dhi: FloatArray
    temp_c: FloatArray
    snowfall_cm: FloatArray | None = None
    known_at: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("ghi", "dni", "dhi", "temp_c", "snowfall_cm"):
            given = getattr(self, name)
            if given is None:
                continue
            values = np.array(given, dtype=np.float64)
            if values.shape != (self.grid.count,):
                raise AlignmentError(
                    f"{name} does not fit the weather's grid", values=values.shape, grid=self.grid.count
                )
            values.setflags(write=False)
            object.__setattr__(self, name, values)

    def part(self, grid: Grid) -> PvWeather:
        """The part that lies on ``grid``, missing values included.

        Raises
        ------
        GapError
            If the weather does not cover the grid.
        """
        first, rest = divmod(grid.start - self.grid.start, self.grid.step)
        if rest or grid.step != self.grid.step or first < 0 or first + grid.count > self.grid.count:
            raise GapError(
                "the weather does not cover the grid",
                where=f"wanted {grid.start.isoformat()}..{grid.end.isoformat()} by {grid.step}, "
                f"have {self.grid.start.isoformat()}..{self.grid.end.isoformat()} by {self.grid.step}",
                hint="import a longer weather forecast, or ask for fewer slots",
            )
        cut = slice(first, first + grid.count)
        falling = None if self.snowfall_cm is None else np.nan_to_num(self.snowfall_cm[cut])
        return PvWeather(
            grid, self.ghi[cut], self.dni[cut], self.dhi[cut], self.temp_c[cut], falling, self.known_at
        )

    def over(self, grid: Grid) -> PvWeather:
        """The complete part that lies on ``grid``.

        Raises
        ------
        GapError
            If the weather does not cover the grid, or a value is missing on it.
        """
        part = self.part(grid)
        if any(np.isnan(values).any() for values in (part.ghi, part.dni, part.dhi, part.temp_c)):
            raise GapError(
                "the weather has missing values",
                where=f"between {grid.start.isoformat()} and {grid.end.isoformat()}",
                hint="import the missing weather, or use the named fallback (forecasting.weather)",
            )
        return part

    @classmethod
    def from_ghi(
        cls,
        grid: Grid,
        ghi: FloatArray,
        temp_c: FloatArray,
        *,
        latitude: float,
        longitude: float,
        snowfall_cm: FloatArray | None = None,
    ) -> PvWeather:
        """Weather from global irradiance alone, split by :func:`decompose`."""
        dni, dhi = decompose(ghi, grid, latitude=latitude, longitude=longitude)
        return cls(grid, np.maximum(ghi, 0.0), dni, dhi, temp_c, snowfall_cm)


@dataclass(frozen=True, slots=True)
class SunPosition:
    """Where the sun stands in the middle of each interval.

    Parameters
    ----------
    zenith_deg, azimuth_deg : ndarray
        Apparent zenith angle; azimuth clockwise from north. [deg]
    extra_w_per_m2 : ndarray
        Irradiance above the atmosphere, normal to the beam. [W/m2]
    """

    zenith_deg: FloatArray
    azimuth_deg: FloatArray
    extra_w_per_m2: FloatArray

    @property
    def elevation_sine(self) -> FloatArray:
        """Sine of the elevation, 0 at and below the horizon. [-]"""
        return np.asarray(np.maximum(np.cos(np.radians(self.zenith_deg)), 0.0))


def sun_position(grid: Grid, *, latitude: float, longitude: float) -> SunPosition:
    """Position of the sun in the middle of each interval.

    Parameters
    ----------
    latitude, longitude : float
        North and east positive. [deg]

    References
    ----------
    .. [1] Reda, I.; Andreas, A. (2004). "Solar position algorithm for solar radiation applications". Solar
       Energy 76 (5), 577-589; through :func:`pvlib.spa.solar_position`.
    """
    middle = grid.start + grid.step / 2
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    seconds = (middle - epoch).total_seconds() + np.arange(grid.count) * grid.step.total_seconds()
    if grid.count == 0:
        return SunPosition(np.empty(0), np.empty(0), np.empty(0))
    zenith, _, _, _, azimuth, _ = spa.solar_position(
        seconds, latitude, longitude, 0.0, _PRESSURE_MBAR, 12.0, _DELTA_T_S, _REFRACTION_DEG, numthreads=1
    )
    days = np.array(
        [(middle + k * grid.step).timetuple().tm_yday for k in range(grid.count)], dtype=np.float64
    )
    extra = irradiance.get_extra_radiation(days)
    return SunPosition(np.asarray(zenith), np.asarray(azimuth), np.asarray(extra))


def decompose(
    ghi: FloatArray, grid: Grid, *, latitude: float, longitude: float
) -> tuple[FloatArray, FloatArray]:
    """Direct normal and diffuse horizontal irradiance, estimated from the global one.

    Parameters
    ----------
    ghi : ndarray, shape (grid.count,)
        Global horizontal irradiance. [W/m2]

    Returns
    -------
    (ndarray, ndarray)
        ``dni`` and ``dhi``, with ``ghi = dni * cos(zenith) + dhi``; below 3 deg of elevation all is diffuse.
        [W/m2]

    References
    ----------
    .. [1] Erbs, D. G.; Klein, S. A.; Duffie, J. A. (1982). "Estimation of the diffuse radiation fraction for
       hourly, daily and monthly-average global radiation". Solar Energy 28 (4), 293-302, eq. 1; in the
       continuous form of Driesse et al. (2024), :func:`pvlib.irradiance.erbs_driesse`.
    """
    sun = sun_position(grid, latitude=latitude, longitude=longitude)
    positive = np.maximum(np.nan_to_num(ghi), 0.0)
    share = irradiance.erbs_driesse(positive, sun.zenith_deg, dni_extra=sun.extra_w_per_m2)
    return np.asarray(share["dni"]), np.asarray(share["dhi"])


def plane_irradiance(array: PvArray, weather: PvWeather, sun: SunPosition) -> FloatArray:
    """Irradiance in the plane of an array. [W/m2]

    References
    ----------
    .. [1] Hay, J. E.; Davies, J. A. (1980). "Calculations of the solar radiation incident on an inclined
       surface". Proc. First Canadian Solar Radiation Data Workshop, 59.
    """
    up = sun.zenith_deg < 90.0 - LOWEST_SUN_DEG
    beam = np.where(sun.zenith_deg < _STEEPEST_DEG, np.maximum(weather.dni, 0.0), 0.0)
    parts = irradiance.get_total_irradiance(
        array.tilt_deg,
        array.azimuth_deg,
        sun.zenith_deg,
        sun.azimuth_deg,
        beam,
        np.maximum(weather.ghi, 0.0),
        np.maximum(weather.dhi, 0.0),
        dni_extra=sun.extra_w_per_m2,
        albedo=ALBEDO,
        model="haydavies",
    )
    return np.asarray(np.where(up, np.maximum(np.nan_to_num(parts["poa_global"]), 0.0), 0.0))


def pv_power_kw(array: PvArray, weather: PvWeather, *, latitude: float, longitude: float) -> FloatArray:
    """AC power that an array gives under a sky, without snow, shade or curtailment.

    Parameters
    ----------
    array : PvArray
        Nameplate, inverter, orientation, losses.
    weather : PvWeather
        Irradiances [W/m2] and air temperature [degC], complete.
    latitude, longitude : float
        North and east positive. [deg]

    Returns
    -------
    ndarray, shape (weather.grid.count,)
        Mean power, in [0, ``inverter_kw``]; exactly 0 while the sun is down. [kW]

    Notes
    -----
    ``dc = capacity * poa / 1000 * (1 + gamma * (cell - 25)) * (1 - system_loss)`` with
    ``cell = temp + poa * 0.9 * (1 - 0.1) / 20``; the inverter has PVWatts' part-load curve and clips.

    References
    ----------
    .. [1] Dobos, A. P. (2014). "PVWatts Version 5 Manual". NREL/TP-6A20-62641.
    .. [2] Mermoud, A.; PVsyst SA. Array losses, thermal parameters: NOCT definition and heat loss factor.
    """
    sun = sun_position(weather.grid, latitude=latitude, longitude=longitude)
    return array_power_kw(array, weather, sun)


def array_power_kw(array: PvArray, weather: PvWeather, sun: SunPosition) -> FloatArray:
    """As :func:`pv_power_kw`, with the sun's position at hand; 0 where the weather is missing. [kW]"""
    poa = plane_irradiance(array, weather, sun)
    cell = temperature.pvsyst_cell(poa, weather.temp_c, u_c=CELL_LOSS_W_PER_M2K, u_v=0.0)
    dc = pvsystem.pvwatts_dc(poa, cell, array.capacity_kw, array.temperature_coefficient_per_k)
    dc = np.maximum(np.nan_to_num(dc), 0.0) * (1.0 - array.system_loss)
    ac = inverter.pvwatts(dc, array.inverter_kw / INVERTER_EFFICIENCY, INVERTER_EFFICIENCY)
    return np.asarray(np.where(poa > 0.0, np.clip(ac, 0.0, array.inverter_kw), 0.0))


@dataclass(frozen=True, slots=True)
class SnowState:
    """Snow on an array at an instant.

    Parameters
    ----------
    coverage : float
        Share of the slant height that is covered, in [0, 1]. [-]
    """

    coverage: float = 0.0

    def ahead(self, array: PvArray, weather: PvWeather, *, latitude: float, longitude: float) -> FloatArray:
        """Share covered at the end of each interval, shape (weather.grid.count,). [-]

        Notes
        -----
        Snow of more than 1 cm/h covers everything. Otherwise, while ``temp > -poa / 80`` [degC, W/m2], a
        share of ``0.197 * sin(tilt)`` slides off per hour. Equal to :func:`pvlib.snow.coverage_nrel` (a test
        compares them), which needs pandas series and counts no sliding in the first interval.

        References
        ----------
        .. [1] Marion, B.; Schaefer, R.; Caine, H.; Sanchez, G. (2013). "Measured and modeled photovoltaic
           system energy losses from snow for Colorado and Wisconsin locations". Solar Energy 97, 112-121.
        """
        grid = weather.grid
        falling = np.zeros(grid.count) if weather.snowfall_cm is None else weather.snowfall_cm
        if self.coverage <= 0.0 and not (falling > 0.0).any():
            return np.zeros(grid.count)
        sun = sun_position(grid, latitude=latitude, longitude=longitude)
        poa = plane_irradiance(array, weather, sun)
        slides = weather.temp_c > poa / _CAN_SLIDE
        step = _SLIDE_PER_HOUR * np.sin(np.radians(array.tilt_deg)) * grid.hours
        out, covered = np.empty(grid.count), self.coverage
        for k in range(grid.count):
            if falling[k] / grid.hours > _COVERING_CM_PER_H:
                covered = 1.0
            elif slides[k]:
                covered = max(0.0, covered - step)
            out[k] = covered
        return out
