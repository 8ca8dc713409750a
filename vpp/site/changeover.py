"""Days that need heating in the morning and cooling in the afternoon: which interval is for which.

A linear plan knows one direction of heat per interval. On days of changeover (``changeover_months`` of the
site's calendar) each room is followed with no more heat than its band needs; where it then stands above the
middle its unit may cool, below it may heat. The band is that of both seasons.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from dispatch.terms import room_terms
from energy.core.assets import HvacZone
from energy.core.plan import Problem, ZoneProblem
from energy.core.site import Site
from energy.core.units import AssetId
from vpp.site.climate import changes_over, comfort_band, middle_c

__all__ = ["cooling_now", "with_changeover"]


def with_changeover(problem: Problem, site: Site, *, band_k: float) -> Problem:
    """The problem with band and direction of heat of each room on days of changeover; else as it was.

    Parameters
    ----------
    band_k : float
        How far the plan stays inside a comfort band. [K]
    """
    grid = problem.grid
    days = [changes_over(site, grid.time(k)) for k in range(grid.count)]
    if not any(days):
        return problem
    ends = [grid.time(k + 1) for k in range(grid.count)]
    zones = {AssetId(zone.id): zone for zone in site.zones}
    changed = tuple(
        _changed(problem, one, days, _tops(site, zones[one.id], ends, band_k), zones[one.id])
        for one in problem.zones
    )
    return replace(problem, zones=changed)


def cooling_now(problem: Problem) -> frozenset[AssetId]:
    """Rooms whose unit cools in the first interval."""
    return frozenset(zone.id for zone in problem.zones if zone.mode_sign[0] < 0)


def _tops(site: Site, zone: HvacZone, ends: list[datetime], band_k: float) -> list[float | None]:
    """Upper edge of the band at each end of an interval, None where no band holds. [degC]"""
    bands = (comfort_band(site, zone, end) for end in ends)
    return [None if band is None else band[1] - band_k for band in bands]


def _changed(
    problem: Problem, zone: ZoneProblem, days: list[bool], tops: list[float | None], room: HvacZone
) -> ZoneProblem:
    """Follow the room by the plan's own physics, held at the edges where it would drift out."""
    signs, cops, highs = list(zone.mode_sign), list(zone.cop), list(zone.high_c)
    physics = room_terms(problem, zone)
    temp = zone.temp0_c
    for k, changes in enumerate(days):
        free = float(physics.decay[k]) * temp + float(physics.drift_c[k])
        top = tops[k]
        if changes:
            if top is not None:
                highs[k] = top
            cools = free > middle_c(room)
            signs[k] = -1 if cools else 1
            cops[k] = (room.cooling_cop if cools else room.heating_cop).at(problem.outdoor_c[k])
        # Beyond the edges the unit holds the room, as far as it can; that it may not matters little here.
        temp = min(max(free, zone.low_c[k] if signs[k] > 0 else free), highs[k] if signs[k] < 0 else free)
    return replace(zone, mode_sign=tuple(signs), cop=tuple(cops), high_c=tuple(highs))
