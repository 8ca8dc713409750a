"""Plan many varied problems: none may run out of time, and every plan must pass the independent check.

Sites from nothing to seven cars, ten rooms, arrays and batteries; horizons from one slot to two days;
negative prices, export, promises that clash, rooms far outside their bands, contracts that are too small.
Every second one has events, feeders, a submitted plan, stages, minimum times, a plan in force or divided
half-hours (:mod:`tests.bench.elements`). Prints one JSON document; exit status 1 if a plan fails or is not
the optimiser's best. Plans with whole stages or a least power of chargers stop at their own gap or time;
those out of time are counted.

    python tests/bench/soak_plans.py --problems 1000 [--first 0] [--limit 10]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dispatch.checks import check_plan
from dispatch.planner import Planner, PlannerOptions
from dispatch.solve import SolverSettings, WarmSolver
from dispatch.units import stages_kw
from energy.core.plan import CarProblem, Problem, Promise, ZoneProblem
from energy.core.units import AssetId
from tests.bench.elements import with_elements
from tests.unit.dispatch.problems import battery, car, floats, limits, problem, pv, zone


def varied_problem(seed: int) -> Problem:
    """A problem by seed; every plain choice is made at random."""
    rng = np.random.default_rng([7, seed])
    n = int(rng.choice([1, 2, 8, 24, 48, 96], p=[0.03, 0.02, 0.15, 0.2, 0.35, 0.25]))
    hour = (0.5 * np.arange(n) + rng.uniform(0.0, 24.0)) % 24.0
    load = rng.uniform(0.0, 150.0) * (0.3 + 0.7 * np.exp(-(((hour - 13.0) / 4.5) ** 4)))
    load = load * np.maximum(0.0, 1.0 + 0.1 * rng.standard_normal(n))
    sun = rng.uniform(0.0, 250.0) * np.maximum(0.0, np.sin(np.pi * (hour - 6.0) / 12.0)) ** 1.3
    exports = float(rng.choice([0.0, 0.0, 40.0, 400.0]))
    arrays = tuple(
        pv(
            list(sun / 2.0),
            id=AssetId(f"pv-{k}"),
            p10_kw=floats(0.3 * sun),
            p90_kw=floats(0.7 * sun),
            curtailable=bool(exports < 400.0 or rng.random() < 0.5),
        )
        for k in range(int(rng.integers(0, 3)))
    )
    price = rng.choice([12.0, 21.0, 35.0]) + rng.uniform(0.0, 15.0) * rng.standard_normal(n)
    if rng.random() < 0.8:
        price = np.abs(price)
    tight = (hour >= 17.0) & (hour < rng.uniform(17.0, 21.0))
    sells: tuple[float, ...] = (
        floats(price + rng.uniform(-15.0, 3.0)) if exports and rng.random() < 0.8 else ()
    )
    site = problem(
        list(load),
        load_p90_kw=floats(load * rng.uniform(1.0, 1.3)),
        outdoor_c=floats(rng.uniform(-8.0, 33.0) + 4.0 * np.sin(2 * np.pi * (hour - 9.0) / 24.0)),
        price_yen_per_kwh=floats(price),
        sell_yen_per_kwh=sells,
        tight=tuple(bool(flag) for flag in tight),
        limits=limits(
            contract_kw=float(rng.uniform(20.0, 400.0)),
            peak_memory_kw=float(rng.uniform(0.0, 300.0)),
            peak_yen_per_kw=float(rng.choice([0.0, 1_700.0, 20_400.0])),
            import_margin_kw=0.0 if exports else float(rng.choice([0.0, 5.0, 30.0])),
            max_export_kw=exports,
        ),
        cars=tuple(_car(k, n, tight, rng) for k in range(int(rng.integers(0, 8)))),
        zones=tuple(_zone(k, hour, rng) for k in range(int(rng.integers(0, 11)))),
        pv=arrays,
        batteries=(battery(soc0_kwh=float(rng.uniform(0.0, 20.0))),) if rng.random() < 0.3 else (),
        end_value_yen_per_kwh=float(rng.uniform(0.0, 30.0)) if rng.random() < 0.2 else None,
    )
    return with_elements(site, rng) if seed % 2 else site


def _car(k: int, n: int, tight: np.ndarray, rng: np.random.Generator) -> CarProblem:
    capacity = float(rng.choice([20.0, 40.0, 66.0]))
    floor, ceiling = float(rng.uniform(0.0, 0.4)) * capacity, float(rng.uniform(0.6, 1.0)) * capacity
    plugged, drive, promises = [True] * n, [0.0] * n, {}
    for _ in range(int(rng.integers(0, 4))):
        leaves, length = int(rng.integers(0, n)), int(rng.integers(1, 21))
        if all(plugged[leaves : leaves + length]):
            energy = float(rng.uniform(0.0, 0.7)) * capacity
            for t in range(leaves, min(n, leaves + length)):
                plugged[t], drive[t] = False, energy / length
            if rng.random() < 0.8:
                promises[leaves] = Promise(index=leaves, soc_kwh=float(rng.uniform(0.0, ceiling)))
    if rng.random() < 0.4:
        promises[n] = Promise(index=n, soc_kwh=float(rng.uniform(0.0, ceiling)))
    worth = float(rng.choice([0.0, 20.0, 60.0]))
    return car(
        n,
        id=AssetId(f"car-{k}"),
        capacity_kwh=capacity,
        soc0_kwh=float(rng.uniform(0.0, 1.0)) * capacity,
        floor_kwh=floor,
        ceiling_kwh=ceiling,
        max_discharge_kw=float(rng.choice([0.0, 3.0, 6.0])),
        charge_efficiency=float(rng.uniform(0.8, 1.0)),
        discharge_efficiency=float(rng.uniform(0.8, 1.0)),
        wear_yen_per_kwh=float(rng.choice([0.0, 5.0])),
        plugged=tuple(plugged),
        drive_kwh=tuple(drive),
        may_discharge=tuple(bool(flag) for flag in rng.random(n) < 0.9),
        promises=tuple(promises.values()),
        discharge_value_yen_per_kwh=tuple(worth if flag else 0.0 for flag in tight.tolist()),
        ready_kwh=float(rng.choice([0.0, 0.5])) * capacity,
        ready_yen_per_kwh_h=1.0,
    )


def _zone(k: int, hour: np.ndarray, rng: np.random.Generator) -> ZoneProblem:
    n, open_ = len(hour), (hour >= 8.0) & (hour < 19.0)
    sign = int(rng.choice([-1, 0, 1], p=[0.45, 0.1, 0.45]))
    low, width = float(rng.uniform(17.0, 25.0)), float(rng.uniform(0.0, 5.0))
    return zone(
        n,
        id=AssetId(f"zone-{k}"),
        temp0_c=float(rng.uniform(5.0, 38.0)),
        capacitance_kwh_per_k=float(rng.uniform(0.5, 20.0)),
        loss_kw_per_k=float(rng.choice([0.0, 0.3, 1.0, 2.5])),
        max_electric_kw=float(rng.uniform(0.0, 20.0)),
        mode_sign=(sign,) * n,
        cop=floats(rng.uniform(1.5, 5.0, n)),
        gain_kw=floats(rng.uniform(0.0, 10.0) * open_ + rng.uniform(-1.0, 2.0)),
        low_c=floats(np.where(open_, low, 5.0)),
        high_c=floats(np.where(open_, low + width, 40.0)),
        ready_k=floats(np.full(n, rng.uniform(0.0, 1.0))) if rng.random() < 0.5 else (),
        ready_yen_per_degc_h=30.0,
    )


def soak(first: int, count: int, limit_s: float, *, warm: bool = False) -> dict[str, Any]:
    """Plan the problems of the seeds and count what came of them."""
    options = PlannerOptions(solver=SolverSettings(time_limit_s=limit_s))
    planner = Planner(options, solver=WarmSolver()) if warm else Planner(options)
    failed: list[str] = []
    unfinished: list[str] = []
    staged: list[float] = []
    times, gaps, kinds = [], [], Counter[str]()
    for seed in range(first, first + count):
        site = varied_problem(seed)
        begun = time.perf_counter()
        try:
            plan = planner.plan(site)
        except Exception as error:  # noqa: BLE001 - the seed is what we want to know
            failed.append(f"seed {seed}: {type(error).__name__}: {error}")
            continue
        times.append(time.perf_counter() - begun)
        gaps.append(plan.gap or 0.0)
        whole = any(stages_kw(zone) for zone in site.zones) or any(car.min_power_kw for car in site.cars)
        if plan.source == "incumbent" and whole:
            staged.append(plan.gap or 0.0)
        elif plan.source != "optimal":
            unfinished.append(f"seed {seed}: {plan.source}, gap {plan.gap}, {times[-1]:.1f} s")
        kinds.update(short.kind for short in plan.shortfalls)
        failed += [f"seed {seed}: {violation}" for violation in check_plan(site, plan)]
        again = replace(plan, solve_ms=0.0)
        timed = plan.source == "incumbent"  # what a clock stopped may differ
        if (
            not (warm or timed)
            and seed % 50 < 2
            and replace(Planner(options).plan(site), solve_ms=0.0) != again
        ):
            failed.append(f"seed {seed}: another plan the second time")
    return {
        "problems": count,
        "sources": dict(planner.counts),
        "failed": failed,
        "unfinished": unfinished,
        "staged_out_of_time": len(staged),
        "their_largest_gap": max(staged, default=0.0),
        "slowest_s": round(max(times), 3),
        "median_s": round(float(np.median(times)), 4),
        "largest_gap": max(gaps),
        "softened": dict(kinds),
    }


def main() -> int:
    """Soak and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--limit", type=float, default=10.0, help="time for one plan [s]")
    parser.add_argument("--warm", action="store_true", help="each plan from the basis of the one before")
    given = parser.parse_args()
    told = soak(given.first, given.problems, given.limit, warm=given.warm)
    print(json.dumps(told, indent=1))
    late = told["unfinished"] or {"rules", "shifted"} & told["sources"].keys()
    refused = [name for name in told["sources"] if name.startswith("refused")]
    return int(bool(told["failed"] or late or refused))


if __name__ == "__main__":
    sys.exit(main())
