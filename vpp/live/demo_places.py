"""The places of a demonstration: the reference factory, the city hall, and a small region around them.

The region's sites are offices and works like those two, smaller, with loads, roofs and batteries of their
own; nothing about them is measured there (the scenarios say where their loads come from).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from energy.core.assets import Battery, Meter
from energy.core.errors import ConfigError
from energy.core.site import Site
from vpp.simulation.scenario import Scenario, load_scenario

__all__ = ["CITY_HALL", "FACTORY", "Place", "places", "region_ids"]

FACTORY: Final = "kitakata"
CITY_HALL: Final = "city-hall"
_SUPPLY: Final = Path(__file__).parent / "demo_supply.yaml"


@dataclass(frozen=True, slots=True)
class Place:
    """A site of a demonstration.

    Parameters
    ----------
    mode : str
        How it is planned: the region's sites by rules, which takes a thousandth of the optimiser's time.
    lived : bool
        Whether its days before the start are simulated; else it has a measured past and begins then.
    supply : Path or None
        File of its purchase agreements.
    """

    scenario: Scenario
    folder: Path
    mode: Literal["optimal", "rules"]
    lived: bool
    supply: Path | None = None

    @property
    def id(self) -> str:
        """Id of the site."""
        return self.scenario.site.id


@dataclass(frozen=True, slots=True)
class _Small:
    """What a site of the region has of the site that it is like."""

    id: str
    name_ja: str
    name_en: str
    like: str
    share: float
    roof: float
    cars: int
    battery_kwh: float = 0.0
    seed: int = 0


_REGION: Final = (
    _Small("region-library", "市立図書館", "Library", CITY_HALL, 0.35, 0.4, 1, seed=1),
    _Small("region-clinic", "診療所", "Clinic", CITY_HALL, 0.2, 0.3, 0, battery_kwh=20.0, seed=2),
    _Small("region-brewery", "酒蔵", "Brewery", FACTORY, 0.25, 0.2, 0, seed=3),
    _Small("region-woodwork", "木工所", "Woodworking shop", FACTORY, 0.15, 0.1, 0, battery_kwh=30.0, seed=4),
)


def region_ids() -> tuple[str, ...]:
    """Ids of the region's sites."""
    return tuple(one.id for one in _REGION)


def places(names: Sequence[str] = ()) -> tuple[Place, ...]:
    """All places, or those of these names.

    Parameters
    ----------
    names : sequence of str
        Ids; all if empty.

    Raises
    ------
    ConfigError
        If there is none of a name.
    """
    factory, city_hall = (load_scenario(name) for name in (FACTORY, CITY_HALL))
    known = {FACTORY: factory, CITY_HALL: city_hall}
    made = [
        Place(*factory, mode="optimal", lived=True),
        Place(*city_hall, mode="optimal", lived=False, supply=_SUPPLY),
        *(
            Place(_small(one, *known[one.like]), known[one.like][1], mode="rules", lived=False)
            for one in _REGION
        ),
    ]
    strange = sorted(set(names) - {one.id for one in made})
    if strange:
        raise ConfigError(
            f"no site {strange[0]!r} in the demonstration",
            where=f"--site: known are {', '.join(one.id for one in made)}",
            hint="name one of them, or none for all",
        )
    return tuple(one for one in made if not names or one.id in names)


def _small(one: _Small, like: Scenario, _folder: Path) -> Scenario:
    site, world = like.site, like.world
    load = replace(world.load, scale=world.load.scale * one.share)
    people, errors = replace(world.people, seed=one.seed), replace(world.forecast_errors, seed=one.seed)
    changed = replace(world, load=load, people=people, forecast_errors=errors, tight=None, rooms={}, calls=())
    return replace(
        like,
        scenario=one.id,
        title_ja=one.name_ja,
        title_en=one.name_en,
        site=_site(one, site),
        world=changed,
    )


def _site(one: _Small, like: Site) -> Site:
    """A smaller site of the same kind, without rooms; its meter and those of its cars."""
    cars = like.vehicles[: one.cars]
    chargers = tuple(like.charger_of(car) for car in cars)
    roof = None
    if like.pv is not None:
        roof = replace(
            like.pv, capacity_kw=like.pv.capacity_kw * one.roof, inverter_kw=like.pv.inverter_kw * one.roof
        )
    battery = Battery(
        id="battery", capacity_kwh=one.battery_kwh or 1.0, max_charge_kw=10.0, max_discharge_kw=10.0
    )
    return replace(
        like,
        id=one.id,
        name_ja=one.name_ja,
        name_en=one.name_en,
        contract_kw=round(like.contract_kw * one.share + 10.0),
        target_demand_kw=round(like.target_demand_kw * one.share + 5.0),
        peak_memory_kw={},
        drivers=(),
        vehicles=tuple(replace(car, driver=None) for car in cars),
        chargers=chargers,
        trips={car.id: like.trips[car.id] for car in cars if car.id in like.trips},
        zones=(),
        pv=roof,
        batteries=(battery,) if one.battery_kwh else (),
        meters=(Meter(id="meter", measures="site"),),
        feeders=(),
    )
