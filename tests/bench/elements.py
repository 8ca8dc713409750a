"""Varied problems with what was agreed and what units can do: events, feeders, a submitted plan, stages."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np

from dispatch.refine import refine
from energy.core.plan import CarProblem, Problem, StorageProblem, ZoneProblem
from energy.core.plan_parts import Adjustment, DemandStep, DrEvent, Feeder, SubmittedPlan
from tests.unit.dispatch.problems import floats

__all__ = ["with_elements"]

_DIVISIONS = ((6, 6), (3, 2), (5,), (2, 1, 2))


def with_elements(site: Problem, rng: np.random.Generator) -> Problem:
    """The problem with some of the elements; which ones, and all their numbers, at random."""
    bundle = int(rng.integers(0, 6))
    if bundle in (0, 1):
        site = _agreed(site, rng)
    if bundle in (1, 2):
        site = replace(site, zones=tuple(_unit(zone, rng) for zone in site.zones))
    if bundle in (1, 3):
        site = _steady(site, rng)
    if bundle == 4:
        least = float(rng.choice([1.0, 2.5]))
        cars = (replace(car, min_power_kw=least) if car.max_discharge_kw else car for car in site.cars)
        site = replace(site, cars=tuple(cars))
    if bundle in (0, 2, 5):
        site = _begun(site, rng)
        site = refine(site, _DIVISIONS[int(rng.integers(0, 4))][: site.grid.count])
    return site


def _agreed(site: Problem, rng: np.random.Generator) -> Problem:
    n, load = site.grid.count, np.asarray(site.load_p50_kw)
    first = int(rng.integers(0, n))
    last = int(rng.integers(first + 1, n + 1))
    begin = int(rng.integers(0, first + 1))
    window = Adjustment(
        first=begin,
        last=first,
        usual_kw=floats(load[begin:first] * rng.uniform(0.5, 1.5)),
        slots=first - begin + int(rng.integers(1, 4)),
        so_far_kw=float(rng.uniform(-30.0, 30.0)),
        most_kw=float(rng.uniform(-20.0, 20.0)),
    )
    event = DrEvent(
        id="event",
        first=first,
        last=last,
        baseline_kw=floats(load[first:last] * rng.uniform(0.5, 1.5) + rng.uniform(-10.0, 40.0)),
        reward_yen_per_kwh=float(rng.choice([5.0, 40.0, 150.0])),
        most_kw=float(rng.uniform(0.0, 60.0)),
        adjustment=window if rng.random() < 0.7 else None,
        recovery_kw=floats(np.full(int(rng.integers(0, 5)), load.mean() + rng.uniform(-20.0, 60.0))),
    )
    names = [part.id for part in (*site.cars, *site.zones, *site.pv, *site.batteries)]
    feeders = tuple(
        Feeder(
            id=f"feeder-{k}",
            members=tuple(name for name in names if rng.random() < 0.5),
            limit_kw=float(rng.uniform(0.0, 40.0)),
            back_kw=float(rng.uniform(0.0, 20.0)),
            load_kw=floats(rng.uniform(0.0, 20.0, n)) if rng.random() < 0.5 else (),
        )
        for k in range(2)
    )
    price = rng.uniform(-5.0, 40.0, n)
    submitted = SubmittedPlan(
        import_kw=floats(load + rng.uniform(-20.0, 20.0, n)),
        short_yen_per_kwh=floats(price),
        long_yen_per_kwh=floats(rng.uniform(0.0, 10.0, n) - np.minimum(price, 0.0)),
    )
    steps = (
        DemandStep(
            level_kw=float(rng.uniform(0.0, 200.0)), yen_per_kw=float(rng.uniform(0.0, 5000.0)), target=True
        ),
        DemandStep(level_kw=float(rng.uniform(0.0, 200.0)), yen_per_kw=1700.0, first=n // 2),
    )
    changed = replace(site.limits, steps=steps, memory_until=int(rng.integers(1, n + 1)))
    return replace(site, events=(event,), feeders=feeders, submitted=submitted, limits=changed)


def _unit(zone: ZoneProblem, rng: np.random.Generator) -> ZoneProblem:
    n, most = len(zone.cop), zone.max_electric_kw
    choice = int(rng.integers(0, 4))
    if most < 1.0 or choice == 0:
        return zone
    held = floats(np.where(np.arange(n) < int(rng.integers(0, 2)), most, 0.0))
    unit = replace(
        zone,
        min_on_h=float(rng.choice([0.0, 0.25])),
        min_off_h=float(rng.choice([0.0, 0.25])),
        was_on=bool(rng.random() < 0.5),
        in_state_h=float(rng.uniform(0.0, 0.5)),
        whole_steps=int(rng.integers(0, 13)),
        defrost=floats(rng.uniform(0.0, 0.4, n)),
        least_kw=held if any(zone.mode_sign) else (),
    )
    if choice == 1:
        return replace(unit, min_power_kw=0.4 * most)
    return replace(unit, stages_kw=(0.4 * most, 0.7 * most, most))


def _steady(site: Problem, rng: np.random.Generator) -> Problem:
    def planned(asset: CarProblem | StorageProblem | ZoneProblem) -> tuple[float, ...]:
        least = 0.0 if isinstance(asset, ZoneProblem) else -6.0
        return floats(rng.uniform(least, 10.0, int(rng.integers(0, site.grid.count + 1))))

    return replace(
        site,
        change_yen_per_kwh=float(rng.choice([0.5, 5.0])),
        cars=tuple(replace(car, planned_kw=planned(car)) for car in site.cars),
        zones=tuple(replace(zone, planned_kw=planned(zone)) for zone in site.zones),
        batteries=tuple(replace(one, planned_kw=planned(one)) for one in site.batteries),
    )


def _begun(site: Problem, rng: np.random.Generator) -> Problem:
    if rng.random() < 0.5:
        return site
    made = site.grid.start + timedelta(minutes=float(rng.uniform(1.0, 28.0)))
    return replace(
        site, made_at=made, limits=replace(site.limits, demand_so_far_kwh=float(rng.uniform(0.1, 60.0)))
    )
