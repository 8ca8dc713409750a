"""What stands on a site as rows of the set-up page, with what would have to go before each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from energy.core.site import Site
from vpp.i18n import Messages
from vpp.setup.sitefolder import SiteFolder
from vpp.setup.siteparts import named_by

__all__ = ["PartRow", "needed_by", "part_rows"]


@dataclass(frozen=True, slots=True)
class PartRow:
    """One piece of equipment.

    Parameters
    ----------
    figures : str
        What it can do, with units.
    needed : tuple of str
        What names it: it can only be taken out when these are gone.
    """

    id: str
    kind: str
    name: str
    figures: str
    needed: tuple[str, ...]


def needed_by(folder: SiteFolder, site: Site, part: str) -> tuple[str, ...]:
    """Devices, cables and meters that name a part of a site."""
    return (*folder.speak_for(site.id, part), *named_by(site, part))


def part_rows(folder: SiteFolder, site: Site, words: Messages) -> list[PartRow]:
    """The roof, batteries, rooms and cars of a site."""
    return [
        PartRow(one, kind, name, figures, needed_by(folder, site, one))
        for one, kind, name, figures in _parts(site, words)
    ]


def _parts(site: Site, words: Messages) -> Iterator[tuple[str, str, str, str]]:
    """Id, kind, name where it has one, and figures."""
    ja = words.lang == "ja"
    if site.pv is not None:
        yield site.pv.id, "pv", "", words.kw(site.pv.capacity_kw)
    for one in site.batteries:
        both = words.kwh(one.capacity_kwh), words.kw(one.max_charge_kw)
        yield one.id, "battery", "", ", ".join(both)
    for zone in site.zones:
        name = zone.name_ja if ja else zone.name_en
        yield zone.id, "room", name, words.kw(zone.max_electric_kw)
    for car in site.vehicles:
        name = car.name_ja if ja else car.name_en
        able = words.kwh(car.capacity_kwh), words.kw(site.charger_of(car).max_charge_kw)
        yield car.id, "car", name, ", ".join(able)
