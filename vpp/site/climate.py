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
    "OFF_SHARE",
    "THERMOSTAT_K",
    "band_applies",
    "changes_over",
    "coasting_order",
    "comfort_band",
    "comfort_limits",
    "headroom_k",
    "middle_c",
    "planned_order",
    "room_season",
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


def changes_over(site: Site, at: datetime) -> bool:
    """Whether the units of a site may heat and cool on the day of an instant."""
    return site.calendar.changes_over(at.astimezone(JST).date())


def middle_c(zone: HvacZone) -> float:
    """Where a unit changes over: half way from the setpoint of heating to that of cooling. [degC]"""
    return (zone.comfort.heating_setpoint_c + zone.comfort.cooling_setpoint_c) / 2.0


def room_season(site: Site, zone: HvacZone, at: datetime, room_c: float | None) -> Season:
    """What a unit does when nobody plans: on days of changeover a warm room cools, a cold one heats."""
    season = season_at(site, at)
    if room_c is None or not changes_over(site, at):
        return season
    return Season.COOLING if room_c > middle_c(zone) else Season.HEATING


def band_applies(site: Site, zone: HvacZone, at: datetime) -> bool:
    """Whether people are in a zone at an instant, so that its comfort band holds (both ends included)."""
    local = at.astimezone(JST)
    if site.calendar.calendar().day_type(local.date()) is not DayType.WEEKDAY:
        return False
    return zone.comfort.opens <= local.time() <= zone.comfort.closes


def comfort_band(site: Site, zone: HvacZone, at: datetime) -> tuple[float, float] | None:
    """Band that an occupied room shall be in; None while nobody is in, or no unit runs in this season. [degC]

    On days of changeover it reaches from the lower edge of heating to the upper edge of cooling: 23 degrees
    are as far as one may heat, not where people in spring clothes begin to suffer.
    """
    season = season_at(site, at)
    if season is Season.OFF or not band_applies(site, zone, at):
        return None
    if changes_over(site, at):
        return zone.comfort.heating_c[0], zone.comfort.cooling_c[1]
    return zone.comfort.heating_c if season is Season.HEATING else zone.comfort.cooling_c


def comfort_limits(zone: HvacZone, season: Season) -> tuple[float, float]:
    """Lowest and highest setpoint that keep an occupied room inside its band. [degC]"""
    low, high = zone.comfort.cooling_c if season is Season.COOLING else zone.comfort.heating_c
    return low + THERMOSTAT_K, high - THERMOSTAT_K


def thermostat_order(
    site: Site, zone: HvacZone, now: datetime, *, season: Season | None = None
) -> RoomClimate:
    """What a room does when nobody plans: it holds its setpoint from a while before people come.

    Parameters
    ----------
    season : Season, optional
        What the room's unit does; what the calendar says unless given.
    """
    season = season_at(site, now) if season is None else season
    soon = now + timedelta(hours=zone.comfort.start_hours)
    if season is not Season.OFF and any(band_applies(site, zone, at) for at in (now, soon)):
        return RoomClimate(_mode(season), _setpoint(zone, season))
    return _empty_order(zone, season)


def planned_order(
    site: Site, zone: HvacZone, point: Setpoint, *, season: Season | None = None
) -> RoomClimate:
    """Order that brings a room to where the plan expects it at the end of the slot."""
    season = season_at(site, point.slot.start) if season is None else season
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


def coasting_order(site: Site, zone: HvacZone, now: datetime, *, season: Season | None = None) -> RoomClimate:
    """Order that lets a room drift to the edge of its band, or of what an empty room may."""
    season = season_at(site, now) if season is None else season
    if not band_applies(site, zone, now):
        return _empty_order(zone, season)
    low, high = comfort_limits(zone, season)
    return RoomClimate(_mode(season), high if season is Season.COOLING else low)


def headroom_k(
    site: Site, zone: HvacZone, room_c: float, now: datetime, *, season: Season | None = None
) -> float:
    """How far a room may still drift. [K]"""
    season = season_at(site, now) if season is None else season
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
