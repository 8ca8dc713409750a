"""Re-solve the full Kitakata problem: four cars, eight rooms, PV, peak memory, a DR event, coins, 48 hours.

From 09:00 on, the next hour in 5-minute steps, then 10 and 15 minutes, then half-hours. Each re-solve has
another load and other prices and includes everything from the problem to the solution. Prints best and median
of the linear program, cold and from the basis before, and of the program with whole stages of all eight units
where intervals are shorter than half an hour, over six hours and over the whole horizon, with the gap that is
proven in the time that whole stages are given.

    python tests/bench/bench_kitakata.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dispatch.fill import TieBreaks, structure_of
from dispatch.optimise import Found, Solver, find
from dispatch.refine import refine
from dispatch.solve import SolverSettings, WarmSolver, solve
from dispatch.templates import TemplateCache
from energy.core.plan import Problem
from energy.core.plan_parts import Adjustment, DrEvent, Feeder
from tests.unit.dispatch.problems import factory, floats, limits

SHARE, TIES, SETTINGS = 0.9, TieBreaks(), SolverSettings()
DIVISIONS = (6, 6, 3, 2)


def kitakata(*, sign: int, memory_kw: float, whole_steps: int | None = 0) -> Problem:
    """The problem; rooms of ``whole_steps`` intervals run at 40, 70 or 100 %, 5 minutes at least."""
    site = replace(factory(96, seed=1, sign=sign, first_hour=9.0), limits=limits(peak_memory_kw=memory_kw))
    load = np.asarray(site.load_p50_kw)
    event = DrEvent(
        id="dr",
        first=14,
        last=20,
        baseline_kw=floats(load[14:20] + 20.0),
        reward_yen_per_kwh=40.0,
        most_kw=40.0,
        adjustment=Adjustment(first=4, last=10, usual_kw=floats(load[4:10]), slots=6, most_kw=10.0),
        recovery_kw=(190.0,) * 4,
        negative_counts=True,
    )
    chargers = Feeder(id="chargers", members=tuple(car.id for car in site.cars), limit_kw=18.0, back_kw=18.0)
    site = replace(site, events=(event,), feeders=(chargers,))
    if whole_steps != 0:
        zones = tuple(
            replace(
                zone,
                stages_kw=tuple(share * zone.max_electric_kw for share in (0.4, 0.7, 1.0)),
                min_on_h=1.0 / 12.0,
                min_off_h=1.0 / 12.0,
            )
            for zone in site.zones
        )
        site = replace(site, zones=zones)
    site = refine(site, DIVISIONS)
    return replace(site, zones=tuple(replace(zone, whole_steps=whole_steps) for zone in site.zones))


def perturbed(site: Problem, k: int) -> Problem:
    """Another load and other prices."""
    rng = np.random.default_rng(k)
    load = np.asarray(site.load_p50_kw) * rng.uniform(0.98, 1.02, site.count)
    price = np.asarray(site.price_yen_per_kwh) * rng.uniform(0.95, 1.05, site.count)
    return replace(
        site,
        load_p50_kw=floats(load),
        load_p10_kw=floats(0.94 * load),
        load_p90_kw=floats(1.06 * load),
        price_yen_per_kwh=floats(price),
    )


def resolved(site: Problem, templates: TemplateCache, solver: Solver, rounds: int) -> tuple[str, Found]:
    """Best and median time of re-solves, and the last solution."""
    template, times = templates.of(structure_of(site)), []
    found: Found | None = None
    for k in range(rounds + 1):
        other = perturbed(site, k)
        begun = time.perf_counter()
        found = find(
            other,
            template,
            SETTINGS,
            peak_quantile_share=SHARE,
            ties=TIES,
            solver=solver,
            whole=templates.of,
        )
        times.append(time.perf_counter() - begun)
    assert found is not None
    best, median = min(times[1:]), statistics.median(times[1:])  # the first one has no basis
    return f"best {1000.0 * best:7.1f} ms, median {1000.0 * median:7.1f} ms", found


def main() -> None:
    """Measure two seasons, with a peak that is slack and one that binds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    templates = TemplateCache()
    for name, sign, memory_kw in (
        ("winter, peak slack", 1, 230.0),
        ("winter, peak binds", 1, 100.0),
        ("summer, peak slack", -1, 230.0),
        ("summer, peak binds", -1, 100.0),
    ):
        site = kitakata(sign=sign, memory_kw=memory_kw)
        size = templates.of(structure_of(site)).columns.size
        print(f"\n{name}: {site.count} intervals, {size} columns")
        print("  LP, warm          ", resolved(site, templates, WarmSolver(), rounds)[0])
        print("  LP, cold          ", resolved(site, templates, solve, rounds)[0])
        fine = sum(DIVISIONS)
        for told, whole_steps in ((f"first {fine}", fine), ("6 hours", fine + 8), ("all", None)):
            staged = kitakata(sign=sign, memory_kw=memory_kw, whole_steps=whole_steps)
            times, found = resolved(staged, templates, solve, max(1, rounds // 3))
            gap = f"gap {100.0 * found.gap:.2f} %, {found.gap * abs(found.objective_yen):,.0f} yen"
            print(f"  stages, {told:10}", times, f"({gap} of {found.objective_yen:,.0f})")


if __name__ == "__main__":
    main()
