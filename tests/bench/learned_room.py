"""What learning a room is worth in the loop, where the site's file is wrong about it. Not run in CI.

``python -m tests.bench.learned_room --state FOLDER`` lives an office of ``tests/bench/learned-room`` through
four weeks in which its thermostat holds the room and nobody plans, and then through some days with plans,
three times: with what its file says (wrong), learning, and told the truth as far as one capacity can hold it.
The room of the twins is of another kind than the planner's: two capacities, and a crowd that is another one
each day. Scored are the days with plans.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from devices.twins.site import TwinSite
from energy.core.series import FloatArray, Grid, Unit
from energy.core.slots import SLOTS_PER_DAY, jst_midnight, slots_between
from energy.market.prices import slot_prices
from energy.store import Point, Snapshot, open_store
from vpp.simulation.scenario import Scenario, load_scenario
from vpp.simulation.simulate import ScenarioRun, walls_of
from vpp.simulation.simworld import SimulatedWorld
from vpp.site.climate import thermostat_order
from vpp.site.recorder import SiteSeries
from vpp.site.records import SLOT_RECORD, SlotRecord
from vpp.site.rooms import FIT_DAYS, room_history

FOLDER: Final = Path(__file__).parent / "learned-room"
BEGINS: Final = {"summer": date(2026, 8, 3), "winter": date(2027, 2, 8)}
ROOM: Final = "office"


class Score(NamedTuple):
    """What a run came to in its days."""

    bought_kwh: float
    yen: float
    peak_kw: float
    room_kwh: float
    outside_k: float
    miss_kw: float


def told(scenario: Scenario, how: str) -> Scenario:
    """The scenario with its file as it is, learning, or telling the truth of one capacity."""
    site = scenario.site
    zones = scenario.true_zones() if how == "truth" else site.zones
    zones = tuple(replace(zone, learn=how == "learned") for zone in zones)
    told_site = replace(site, zones=zones)
    world = scenario.world
    if how == "truth":  # what the file says now is scaled already
        rooms = {name: replace(one, cop_factor=1.0) for name, one in world.rooms.items()}
        world = replace(world, rooms=rooms)
    return replace(scenario, site=told_site, world=world)


def weeks_before(scenario: Scenario, folder: Path, first: datetime) -> list[Point]:
    """What the room's thermostat left in the store in the weeks before an instant."""
    site, start = scenario.site, first - timedelta(days=FIT_DAYS)
    world = SimulatedWorld(scenario, folder, start, first)
    zone = site.zones[0]
    twins = TwinSite(pv=None, zones=scenario.true_zones(), vehicles=(), chargers=(), walls=walls_of(scenario))
    assert twins.adaptor is not None
    (room,) = twins.adaptor.rooms
    names, points = SiteSeries(site.id), []
    for slot in slots_between(start, first):
        order, before = thermostat_order(site, zone, slot.start), room.electric_kwh
        room.order(order.mode, order.setpoint_c)
        for minute in range(30):
            world.step(twins, slot.start + timedelta(minutes=minute))
        for name, value in (
            ((ROOM, "room_c"), round(room.temp_c, 1)),
            (("hvac", "energy_kwh"), room.electric_kwh - before),
        ):
            points.append(
                Point(series=names[name], at=slot.start, known_at=slot.end, value=value, source="thermostat")
            )
    return points


def live(how: str, first: date, days: int, place: Path) -> Score:
    """The days with plans, and what they came to."""
    scenario, folder = load_scenario(str(FOLDER))
    scenario = told(scenario, how)
    start, end = jst_midnight(first), jst_midnight(first + timedelta(days=days))
    with open_store(f"sqlite:///{place / (how + '.sqlite')}", durability="process") as store:
        store.append(weeks_before(scenario, folder, start))
        run = ScenarioRun(scenario, folder, "optimal", start, end, store, wire=False)
        asyncio.run(run.run())
        known = store.as_of(end + timedelta(days=1))
        for night in room_history(known, scenario.site.id, ROOM):
            errors = (
                "" if night.learned_k is None else f"{night.learned_k:.2f} K, file {night.declared_k:.2f} K"
            )
            print(f"  {night.day} {night.state:8s} {night.why:12s} {errors}")
        return _score(known, scenario, Grid(start, days * SLOTS_PER_DAY))


def _score(known: Snapshot, scenario: Scenario, grid: Grid) -> Score:
    names = SiteSeries(scenario.site.id)
    bought = known.series(names["meter", "import_kwh"], grid, Unit.KWH).values
    room = known.series(names["hvac", "energy_kwh"], grid, Unit.KWH).values
    outside = known.series(names["truth", "excursion_k"], grid, Unit.CELSIUS).values
    price = slot_prices(scenario.site.tariff, grid).values
    return Score(
        bought_kwh=float(bought.sum()),
        yen=float(bought @ price),
        peak_kw=float(2.0 * bought.max()),
        room_kwh=float(room.sum()),
        outside_k=float(np.nanmax(outside)),
        miss_kw=float(np.sqrt(np.mean((_planned(known, scenario, grid) - 2.0 * room) ** 2))),
    )


def _planned(known: Snapshot, scenario: Scenario, grid: Grid) -> FloatArray:
    """What the plan of each half hour expected of the room's unit in it. [kW]"""
    planned = np.zeros(grid.count)
    for document in known.documents(SLOT_RECORD, prefix=f"{scenario.site.id}/"):
        record = SlotRecord.from_json(document.body)
        if grid.start <= record.slot < grid.end:
            power = sum(point.power_kw for point in record.planned if point.asset == ROOM)
            planned[grid.index(record.slot)] = power
    return planned


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--season", choices=sorted(BEGINS), default="summer")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--state", type=Path, required=True, help="folder for the stores of the runs")
    parser.add_argument("--only", choices=("declared", "learned", "truth"))
    asked = parser.parse_args()
    place = asked.state / asked.season
    place.mkdir(parents=True, exist_ok=True)
    print(f"{'':10s} {'bought':>8s} {'yen':>8s} {'peak':>7s} {'room':>7s} {'outside':>8s} {'plan off':>9s}")
    for how in (asked.only,) if asked.only else ("declared", "learned", "truth"):
        one = live(how, BEGINS[asked.season], asked.days, place)
        print(
            f"{how:10s} {one.bought_kwh:8.0f} {one.yen:8.0f} {one.peak_kw:7.1f} {one.room_kwh:7.0f} "
            f"{one.outside_k:8.2f} {one.miss_kw:9.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
