"""What stands on a site, put there and taken away; the rest of the site stays as it is."""

from __future__ import annotations

from dataclasses import replace

from energy.core.assets import Battery, HvacZone, PvArray
from energy.core.errors import ConfigError
from energy.core.site import Site

__all__ = ["drivers_of", "named_by", "with_part", "without_part"]


def with_part(site: Site, part: Battery | HvacZone | PvArray) -> Site:
    """A site with one part more, or another one of the same id.

    Raises
    ------
    ConfigError
        If the roof would be a second one.
    ValueError
        If the site as a whole would contradict itself.
    """
    match part:
        case PvArray():
            if site.pv is not None and site.pv.id != part.id:
                raise ConfigError(
                    f"{site.id} has a roof already",
                    where=f"pv: {site.pv.id}",
                    hint="a site has one; keep its id",
                )
            return replace(site, pv=part)
        case Battery():
            return replace(site, batteries=(*(one for one in site.batteries if one.id != part.id), part))
        case HvacZone():
            return replace(site, zones=(*(one for one in site.zones if one.id != part.id), part))


def named_by(site: Site, part: str) -> tuple[str, ...]:
    """Ids of the cables and meters of a site's file that name a part: without it they would mean nothing."""
    feeders = (one.id for one in site.feeders if part in one.members)
    return (*feeders, *(one.id for one in site.meters if one.measures == part))


def drivers_of(site: Site, part: str) -> tuple[str, ...]:
    """Ids of the drivers who have no car left on a site once this one is gone."""
    driven = {one.driver for one in site.vehicles if one.id != part}
    mine = {one.driver for one in site.vehicles if one.id == part}
    return tuple(one.id for one in site.drivers if one.id in mine - driven)


def without_part(site: Site, part: str) -> Site:
    """A site without a car, a battery, a room or the roof.

    A car takes its charger, its trips and its driver with it, unless he drives another one, too.

    Raises
    ------
    ConfigError
        If it is not there.
    ValueError
        If the site as a whole would contradict itself.
    """
    car = next((one for one in site.vehicles if one.id == part), None)
    gone = drivers_of(site, part)
    left = replace(
        site,
        vehicles=tuple(one for one in site.vehicles if one.id != part),
        drivers=tuple(one for one in site.drivers if one.id not in gone),
        chargers=tuple(one for one in site.chargers if car is None or one.id != car.charger),
        trips={name: trips for name, trips in site.trips.items() if name != part},
        zones=tuple(one for one in site.zones if one.id != part),
        batteries=tuple(one for one in site.batteries if one.id != part),
        pv=None if site.pv is None or site.pv.id == part else site.pv,
    )
    if left == site:
        raise ConfigError(
            f"{part[:40]!r} does not stand on {site.id}", where="id", hint="look at the list of what does"
        )
    return left
