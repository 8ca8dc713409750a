"""A works with two cars and a hall, and people who want something."""

from __future__ import annotations

from datetime import timedelta

from energy.core.assets import Trip
from energy.core.site import Site
from energy.core.slots import parse_jst
from energy.core.units import series_id
from energy.store import Point, Store
from vpp.simulation.scenario import load_scenario

__all__ = ["CAR", "NOW", "SITE", "TRIPS", "WORKS", "measure"]

SITE: Site = load_scenario("kitakata")[0].site
WORKS = SITE.id
CAR = next(car.id for car in SITE.vehicles)
NOW = parse_jst("2026-11-24 20:00")  # a Tuesday evening
TRIPS = (
    Trip(
        vehicle=CAR,
        departs=parse_jst("2026-11-25 08:00"),
        returns=parse_jst("2026-11-25 12:00"),
        energy_kwh=8.0,
        promise_soc=0.6,
    ),
)


def measure(store: Store, soc: float, *, plugged: bool = True, car: str = CAR) -> None:
    """Let a car be measured half an hour ago."""
    at = NOW - timedelta(minutes=30)
    store.append(
        Point(series=series_id(WORKS, car, name), at=at, known_at=NOW, value=value, source="test")
        for name, value in (("soc", soc), ("plugged", float(plugged)))
    )
