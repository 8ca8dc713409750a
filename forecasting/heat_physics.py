"""What a room's air conditioner needs by physics alone: the start before its meter has taught anything."""

from __future__ import annotations

import math
from datetime import time, timedelta

import numpy as np

from energy.core.assets import HvacZone
from energy.core.calendar import DayType
from energy.core.errors import AlignmentError
from energy.core.series import FloatArray, Grid
from energy.core.site import CalendarRules, Season
from energy.core.slots import JST

__all__ = ["OUTDOOR_DOUBT_K", "heat_need_kw", "physics_band_kw"]

OUTDOOR_DOUBT_K = 2.0  # our assumption: a day-ahead temperature is off by less on eight days of ten
GAIN_DOUBT = 0.3  # our assumption: heat of people and machines is known to within 30 %


def heat_need_kw(
    zone: HvacZone,
    rules: CalendarRules,
    grid: Grid,
    *,
    outdoor_c: FloatArray,
    ghi_w_m2: FloatArray,
    gain_factor: float = 1.0,
) -> FloatArray:
    """Electric power that holds a room at its setpoint, as its thermostat would. [kW]

    Parameters
    ----------
    grid : Grid
        Intervals in order, up to an hour long; the room begins at its initial temperature, so give a day
        more at the front than is wanted.
    outdoor_c, ghi_w_m2 : ndarray, shape (grid.count,)
        Weather of each interval. [degC], [W/m2]
    gain_factor : float
        What the heat of people and machines is multiplied by. [-]

    Raises
    ------
    AlignmentError
        If the weather does not fit the grid.

    Notes
    -----
    The room of :class:`energy.core.assets.HvacZone`, exact over an interval with constant inputs
    (``a = exp(-U h / C)``)::

        T[t] = a T[t-1] + (1 - a) (T_out + (gain + s cop p) / U)

    ``p`` is the power in ``[0, max]`` whose ``T[t]`` comes nearest to the setpoint while the thermostat runs:
    from ``start_hours`` before people come until they leave, and below the setback of an empty room.
    """
    if outdoor_c.shape != (grid.count,) or ghi_w_m2.shape != (grid.count,):
        raise AlignmentError(
            "weather does not fit the grid", outdoor=outdoor_c.shape, ghi=ghi_w_m2.shape, grid=grid.count
        )
    decay = math.exp(-zone.loss_kw_per_k * grid.hours / zone.capacitance_kwh_per_k)
    room, comfort = zone.initial_c, zone.comfort
    needed = np.zeros(grid.count)
    early = timedelta(hours=comfort.start_hours)
    calendar = rules.calendar()
    for k in range(grid.count):
        local = grid.time(k).astimezone(JST)
        season = rules.season(local.date())
        works = calendar.day_type(local.date()) is DayType.WEEKDAY
        # the wall clock of Japan never jumps: hours of a day may be added to its midnight
        minute = timedelta(hours=local.hour, minutes=local.minute)
        opens, closes = _of_day(comfort.opens), _of_day(comfort.closes)
        occupied = works and opens <= minute < closes
        gain = zone.base_gain_kw + (zone.occupied_gain_kw if occupied else 0.0)
        gain = gain * gain_factor + zone.solar_aperture_m2 * float(ghi_w_m2[k]) / 1000.0
        outdoor = float(outdoor_c[k])
        drifts_to = decay * room + (1.0 - decay) * (outdoor + gain / zone.loss_kw_per_k)
        target = _target(zone, season, runs=works and opens - early <= minute < closes)
        if target is not None:
            sign, curve = (1.0, zone.heating_cop) if season is Season.HEATING else (-1.0, zone.cooling_cop)
            kelvin_per_kw = (1.0 - decay) / zone.loss_kw_per_k * curve.at(outdoor)
            needed[k] = min(max(sign * (target - drifts_to) / kelvin_per_kw, 0.0), zone.max_electric_kw)
            drifts_to += sign * kelvin_per_kw * needed[k]
        room = drifts_to
    return needed


def _of_day(moment: time) -> timedelta:
    return timedelta(hours=moment.hour, minutes=moment.minute)


def _target(zone: HvacZone, season: Season, *, runs: bool) -> float | None:
    """Temperature that the unit holds, None where it is off. [degC]"""
    match season:
        case Season.COOLING:
            return zone.comfort.cooling_setpoint_c if runs else None
        case Season.HEATING:
            return zone.comfort.heating_setpoint_c if runs else zone.comfort.setback_c
        case Season.OFF:
            return None


def physics_band_kw(
    zone: HvacZone, rules: CalendarRules, grid: Grid, *, outdoor_c: FloatArray, ghi_w_m2: FloatArray
) -> FloatArray:
    """P10, P50 and P90 of the need by physics, shape (3, grid.count). [kW]

    The outer ones are the lowest and highest need if it is 2 K warmer or colder and people and machines give
    30 % more or less heat: our assumption, made broad on purpose.
    """
    middle = heat_need_kw(zone, rules, grid, outdoor_c=outdoor_c, ghi_w_m2=ghi_w_m2)
    others = [
        heat_need_kw(zone, rules, grid, outdoor_c=outdoor_c + step, ghi_w_m2=ghi_w_m2, gain_factor=1.0 + gain)
        for step in (-OUTDOOR_DOUBT_K, OUTDOOR_DOUBT_K)
        for gain in (-GAIN_DOUBT, GAIN_DOUBT)
    ]
    every = np.stack([middle, *others])
    return np.stack([every.min(axis=0), middle, every.max(axis=0)])
