"""Rooms: when their band holds, and which order brings an air conditioner there."""

from __future__ import annotations

from datetime import datetime, timedelta

from energy.core.assets import HvacZone
from energy.core.calendar import DayType
from energy.core.outcome import ClimateMode, RoomClimate
from energy.core.plan import Setpoint
from energy.core.site import Season, Site
from energy.core.slots import JST

__all__ = [
    "THERMOSTAT_K",
    "band_applies",
    "coasting_order",
    "comfort_limits",
    "headroom_k",
    "planned_order",
    "season_at",
    "thermostat_order",
]

# A thermostat holds its setpoint this well; a room is kept that far from the edge of its band. [K]
THERMOSTAT_K = 0.2
# How far an empty room may drift in summer before anyone minds; only its order among the others matters. [K]
EMPTY_ROOM_K = 5.0
# Below this share of its power a unit counts as off in a plan.
OFF_SHARE = 0.02


def season_at(site: Site, at: datetime) -> Season:
    """What the air conditioners of a site do at an instant."""
    return site.calendar.season(at.astimezone(JST).date())


def band_applies(site: Site, zone: HvacZone, at: datetime) -> bool:
    """Whether people are in a zone at an instant, so that its comfort band holds (both ends included)."""
    local = at.astimezone(JST)
    if site.calendar.calendar().day_type(local.date()) is not DayType.WEEKDAY:
        return False
    return zone.comfort.opens <= local.time() <= zone.comfort.closes


def comfort_limits(zone: HvacZone, season: Season) -> tuple[float, float]:
    """Lowest and highest setpoint that keep an occupied room inside its band. [degC]"""
    low, high = zone.comfort.cooling_c if season is Season.COOLING else zone.comfort.heating_c
    return low + THERMOSTAT_K, high - THERMOSTAT_K


def thermostat_order(site: Site, zone: HvacZone, now: datetime) -> RoomClimate:
    """What a room does when nobody plans: it holds its setpoint from a while before people come."""
    season = season_at(site, now)
    soon = now + timedelta(hours=zone.comfort.start_hours)
    if season is not Season.OFF and any(band_applies(site, zone, at) for at in (now, soon)):
        return RoomClimate(_mode(season), _setpoint(zone, season))
    return _empty_order(zone, season)


def planned_order(site: Site, zone: HvacZone, point: Setpoint) -> RoomClimate:
    """Order that brings a room to where the plan expects it at the end of the slot."""
    season = season_at(site, point.slot.start)
    occupied = band_applies(site, zone, point.slot.end)
    running = point.power_kw > OFF_SHARE * zone.max_electric_kw
    if season is Season.OFF or (not running and not occupied):
        return RoomClimate(ClimateMode.OFF, _setpoint(zone, season))
    low, high = comfort_limits(zone, season)
    if not running:
        return RoomClimate(_mode(season), high if season is Season.COOLING else low)
    wanted = point.expected if point.expected is not None else _setpoint(zone, season)
    if occupied:
        wanted = min(high, max(low, wanted))
    return RoomClimate(_mode(season), round(wanted, 1))


def coasting_order(site: Site, zone: HvacZone, now: datetime) -> RoomClimate:
    """Order that lets a room drift to the edge of its band, or of what an empty room may."""
    season = season_at(site, now)
    if not band_applies(site, zone, now):
        return _empty_order(zone, season)
    low, high = comfort_limits(zone, season)
    return RoomClimate(_mode(season), high if season is Season.COOLING else low)


def headroom_k(site: Site, zone: HvacZone, room_c: float, now: datetime) -> float:
    """How far a room may still drift. [K]"""
    season = season_at(site, now)
    if not band_applies(site, zone, now):
        return room_c - zone.comfort.setback_c if season is Season.HEATING else EMPTY_ROOM_K
    low, high = comfort_limits(zone, season)
    return high - room_c if season is Season.COOLING else room_c - low


def _empty_order(zone: HvacZone, season: Season) -> RoomClimate:
    if season is Season.HEATING:
        return RoomClimate(ClimateMode.HEAT, zone.comfort.setback_c)
    return RoomClimate(ClimateMode.OFF, _setpoint(zone, season))


def _setpoint(zone: HvacZone, season: Season) -> float:
    comfort = zone.comfort
    return comfort.heating_setpoint_c if season is Season.HEATING else comfort.cooling_setpoint_c


def _mode(season: Season) -> ClimateMode:
    return ClimateMode.HEAT if season is Season.HEATING else ClimateMode.COOL
