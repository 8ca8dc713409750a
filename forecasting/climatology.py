"""PV without a weather forecast: the array's own clear-sky index by slot, on days that began like this one.

The sun above a clear sky is known for years ahead; what clouds take of it is not. Their share at each slot of
the last weeks, weighted towards days after a day as clear as the last one, is an honest forecast that needs
nothing but the meter. It is worse than any weather forecast, and named so that nobody takes it for one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from pvlib import clearsky

from energy.core.assets import PvArray
from energy.core.clock import require_aware
from energy.core.errors import AlignmentError, ForecastError
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, Slot
from forecasting.days import BoolArray, IntArray, require_past, require_slots
from forecasting.pv_physics import PvWeather, array_power_kw, sun_position
from forecasting.quantiles import weighted_quantiles

__all__ = ["PvClimatology", "clear_sky_kw"]

LEVELS = np.array([0.1, 0.5, 0.9])
# Tuned on September to November: 2012 of the two plants of GEFCom2014, 2011 of a roof in Sydney.
DAYS = 60  # back
HALF_LIFE = 30.0  # days
LIKE_INDEX = 0.3  # width of the kernel on the index of the last day
NEXT_SLOT = 0.25  # weight of the slots next door
FEW_SUN = 0.05  # of the inverter, added to the clear sky so that the index is calm near sunrise
STRETCH = 1.1  # of the band: the weather of next month is not that of the last two
SHARE_OF_DAY = 1e-3  # weight of the index of the whole day, for slots that have never seen the sun

FEWEST_DAYS = 3
ASSUMED_INDEX = np.array([0.1, 0.6, 1.0])  # P10, P50, P90 of a new array: assumed, broad on purpose
_AEROSOL, _WATER_CM = 0.1, 1.0  # optical depth at 700 nm, precipitable water: pvlib's defaults
_AIR_C = 15.0  # standard atmosphere; 10 K change the power by some 4 %, which the index learns
_NEVER = 1e-15


def clear_sky_kw(array: PvArray, grid: Grid, *, latitude: float, longitude: float) -> FloatArray:
    """AC power of an array under a clear sky, by the physics of :mod:`forecasting.pv_physics`.

    Parameters
    ----------
    latitude, longitude : float
        North and east positive. [deg]

    Returns
    -------
    ndarray, shape (grid.count,)
        In [0, ``inverter_kw``], exactly 0 while the sun is down. [kW]

    References
    ----------
    .. [1] Ineichen, P. (2008). "A broadband simplified version of the Solis clear sky model". Solar Energy 82
       (8), 758-762; through :func:`pvlib.clearsky.simplified_solis`.
    """
    sun = sun_position(grid, latitude=latitude, longitude=longitude)
    elevation = np.maximum(90.0 - sun.zenith_deg, 0.0)
    sky = clearsky.simplified_solis(elevation, aod700=_AEROSOL, precipitable_water=_WATER_CM)
    ghi, dni, dhi = (np.maximum(np.nan_to_num(np.asarray(sky[name])), 0.0) for name in ("ghi", "dni", "dhi"))
    weather = PvWeather(grid, ghi, dni, dhi, np.full(grid.count, _AIR_C))
    return np.where(sun.elevation_sine > 0.0, array_power_kw(array, weather, sun), 0.0)


class PvClimatology:
    """Makes PV forecasts from the meter alone.

    Parameters
    ----------
    array : PvArray
        The array as built.
    latitude, longitude : float
        North and east positive. [deg]
    """

    def __init__(self, array: PvArray, *, latitude: float, longitude: float) -> None:
        self._array = array
        self._latitude = latitude
        self._longitude = longitude

    def predict(
        self,
        generation_kw: Series | None,
        grid: Grid,
        *,
        issued_at: datetime,
        curtailed: BoolArray | None = None,
    ) -> QuantileForecast:
        """P10, P50 and P90 of the generation if nobody curtails it.

        Parameters
        ----------
        generation_kw : Series or None
            Metered generation on slots, NaN where missing, nothing at or after ``issued_at``; None for a new
            array. [kW]
        grid : Grid
            Slots wanted, from the one in progress on, as far ahead as wanted.
        issued_at : datetime
            Nothing metered later is used.
        curtailed : ndarray of bool, shape (generation_kw.grid.count,), optional
            Slots in which the array was held back; they are left out.

        Returns
        -------
        QuantileForecast
            ``pv-climatology``; ``pv-clear-sky`` with fewer than three days of sun on the meter: then the
            share of the clear sky is assumed. 0 at night, at most ``inverter_kw``. [kW]

        Raises
        ------
        ForecastError
            If a value is not from the past, or ``grid`` begins in the past.
        AlignmentError
            If a grid does not lie on slots, the unit is not kW, or ``curtailed`` does not fit.

        Notes
        -----
        ``index = actual / (clear + 0.05 * inverter)``. The sample for slot ``t`` is that of ``t - k`` days,
        ``k = 1 .. 60``, weighted by ``0.5**(k / 30) * exp(-(K_k - K_0)**2 / (2 * 0.3**2))`` with ``K_k`` the
        energy of the last 24 h before the issue, moved back by ``k`` days, over that of a clear sky.
        """
        issued = require_aware(issued_at)
        require_slots(grid, "the forecast grid")
        now = Slot.containing(issued).start
        if grid.start < now:
            raise ForecastError(
                "a forecast does not look back",
                where=f"grid from {grid.start.isoformat()}, issued at {issued.isoformat()}",
                hint="begin the grid with the slot in progress",
            )
        known = _known(generation_kw, issued, curtailed)
        first = now - timedelta(days=DAYS + 1)
        whole = Grid(first, (grid.end - first) // SLOT_LENGTH)
        clear = clear_sky_kw(self._array, whole, latitude=self._latitude, longitude=self._longitude)
        actual = _laid(known, whole, until=now)
        ahead = np.arange(whole.count - grid.count, whole.count)
        regular = FEW_SUN * self._array.inverter_kw
        index, days, recent = _index(actual, clear, ahead, regular, issue=(now - first) // SLOT_LENGTH)
        values = np.clip(index * (clear[ahead] + regular), 0.0, self._array.inverter_kw)
        values = np.where(clear[ahead] > 0.0, values, 0.0)
        return QuantileForecast(
            target=f"{self._array.id}/generation_kw",
            issued_at=issued,
            grid=grid,
            unit=Unit.KW,
            p10=values[0],
            p50=values[1],
            p90=values[2],
            model="pv-climatology" if days >= FEWEST_DAYS else "pv-clear-sky",
            facts={"learned_days": days, "recent_index": None if recent is None else round(recent, 3)},
        )


def _known(generation: Series | None, issued: datetime, curtailed: BoolArray | None) -> Series | None:
    """The meter's past with curtailed slots blank."""
    if generation is None:
        return None
    require_slots(generation.grid, "the generation")
    if generation.unit is not Unit.KW:
        raise AlignmentError("the generation is not in kW", unit=generation.unit)
    require_past(generation, issued, "the generation")
    if curtailed is None:
        return generation
    if curtailed.shape != generation.values.shape:
        raise AlignmentError("curtailed slots do not fit the generation", curtailed=curtailed.shape)
    return Series(generation.grid, np.where(curtailed, np.nan, generation.values), Unit.KW)


def _laid(series: Series | None, grid: Grid, *, until: datetime) -> FloatArray:
    """A series on a grid that reaches further, NaN outside and from an instant on. [kW]"""
    out = np.full(grid.count, np.nan)
    if series is not None:
        offset = (series.grid.start - grid.start) // SLOT_LENGTH
        begin, stop = max(0, offset), min((until - grid.start) // SLOT_LENGTH, offset + series.grid.count)
        if begin < stop:
            out[begin:stop] = np.maximum(series.values[begin - offset : stop - offset], 0.0)
    return out


def _index(
    actual: FloatArray, clear: FloatArray, ahead: IntArray, regular: float, *, issue: int
) -> tuple[FloatArray, int, float | None]:
    """P10, P50, P90 of the index ahead, shape (3, n); days of sun behind them; index of the last day. [-]"""
    sunny = (clear > 0.0) & ~np.isnan(actual)
    index = np.where(sunny, actual / (clear + regular), np.nan)
    last = [_day_index(actual, clear, sunny, issue - back * SLOTS_PER_DAY) for back in range(DAYS + 1)]
    days = sum(value is not None for value in last)
    if days < FEWEST_DAYS:
        return np.repeat(ASSUMED_INDEX[:, None], ahead.size, axis=1), days, last[0]
    values, weights = [], []
    for back in range(1, DAYS + 1):
        then = last[back]
        likeness = 0.0 if then is None or last[0] is None else ((then - last[0]) / LIKE_INDEX) ** 2
        weight = 0.5 ** (back / HALF_LIFE) * np.exp(-0.5 * likeness)
        for shift, near in ((0, 1.0), (-1, NEXT_SLOT), (1, NEXT_SLOT)):
            at = np.clip(ahead - back * SLOTS_PER_DAY + shift, 0, actual.size - 1)
            found = index[at]
            known = ~np.isnan(found)
            values.append(np.where(known, np.nan_to_num(found), then or 0.0))
            weights.append(np.where(known, weight * near, _NEVER))
        if then is not None:
            values.append(np.full(ahead.size, then))
            weights.append(np.full(ahead.size, weight * SHARE_OF_DAY))
    found = weighted_quantiles(np.stack(values), np.stack(weights), LEVELS)
    return np.maximum(found[1] + STRETCH * (found - found[1]), 0.0), days, last[0]


def _day_index(actual: FloatArray, clear: FloatArray, sunny: BoolArray, end: int) -> float | None:
    """Energy of the 24 h before a slot over that of a clear sky; None if the meter saw less than half. [-]"""
    cut = slice(max(0, end - SLOTS_PER_DAY), max(0, end))
    seen, possible = sunny[cut], float(clear[cut].sum())
    at_hand = float(clear[cut][seen].sum())
    if possible <= 0.0 or at_hand < 0.5 * possible:
        return None
    return float(actual[cut][seen].sum()) / at_hand
