"""One measuring process of :mod:`vpp.bench.plan`: plans an instance once, then again with other data."""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import dispatch.compile  # noqa: F401 - Pyomo is imported before anything is measured
from dispatch.fill import TieBreaks, structure_of
from dispatch.optimise import Found, find, schedule_of
from dispatch.solve import SolverSettings, WarmSolver
from dispatch.template import Template
from dispatch.templates import TemplateCache
from dispatch.validate import require_sound
from energy.core.errors import PlanError
from energy.core.plan import Problem
from vpp.bench.instance import Instance, cost_and_violation, problem_of
from vpp.memory import peak_mb
from vpp.shelf import FolderShelf

__all__ = ["other_data"]

_PLAIN = TieBreaks(early_yen_per_kwh=0.0, smooth_yen_per_kw=0.0)  # an instance has no ties to break


def _solved(problem: Problem, template: Template, settings: SolverSettings, solver: WarmSolver) -> Found:
    found = find(problem, template, settings, peak_quantile_share=0.0, ties=_PLAIN, solver=solver)
    if found is None:
        raise PlanError("no solution in time", where=f"{settings.time_limit_s:g} s", hint="give more time")
    return found


def other_data(instance: Instance, rng: random.Random) -> Instance:
    """The instance as a later forecast might see it: prices, load, sun, arrivals and targets change.

    Prices and load by a standard deviation of 5 %, the sun by 10 %, energies on arrival by 10 %; every target
    stays within what the charger reaches with a fifth of its power to spare.
    """
    buy = [price * (1.0 + 0.05 * rng.gauss(0.0, 1.0)) for price in instance.price_buy]
    sell = [price * (1.0 + 0.05 * rng.gauss(0.0, 1.0)) for price in instance.price_sell]
    cars = []
    for car in instance.evs:
        stay_h = (car.departure - car.arrival) * instance.step_minutes / 60.0
        soc = min(car.capacity_kwh, car.soc_arrival * (1.0 + 0.1 * rng.gauss(0.0, 1.0)))
        reach = soc + 0.8 * stay_h * car.p_charge_kw * car.eff_charge
        cars.append(car.model_copy(update={"soc_arrival": soc, "soc_target": min(car.soc_target, reach)}))
    return instance.model_copy(
        update={
            "price_buy": tuple(buy),
            "price_sell": tuple(min(b, s) for b, s in zip(buy, sell, strict=True)),
            "load_kw": tuple(max(0.0, kw * (1.0 + 0.05 * rng.gauss(0.0, 1.0))) for kw in instance.load_kw),
            "pv_kw": tuple(max(0.0, kw * (1.0 + 0.1 * rng.gauss(0.0, 1.0))) for kw in instance.pv_kw),
            "evs": tuple(cars),
        }
    )


def main(arguments: list[str]) -> None:
    """Measure and print one JSON document; arguments: instance, template folder, re-solves, time limit."""
    document: Any = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))  # Any: checked by Instance
    rounds, settings = int(arguments[2]), SolverSettings(time_limit_s=float(arguments[3]))
    begun = time.perf_counter()
    instance = Instance.model_validate(document)
    problem = problem_of(instance)
    require_sound(problem, any_step=True)
    templates, solver = TemplateCache(shelf=FolderShelf(Path(arguments[1]))), WarmSolver()
    template = templates.of(structure_of(problem))
    found = _solved(problem, template, settings, solver)
    total_s = time.perf_counter() - begun
    yen, violation = cost_and_violation(instance, schedule_of(problem, found).car_kw)
    highest = peak_mb()
    rng, resolve, runs = random.Random(1), [], []  # noqa: S311 - noise, not a secret
    for _ in range(rounds):
        changed = problem_of(other_data(instance, rng))
        begun = time.perf_counter()
        again = _solved(changed, template, settings, solver)
        resolve.append(time.perf_counter() - begun)
        runs.append(again.run_ms / 1000.0)
    measured = {
        "objective": found.objective_yen,
        "recomputed": yen,
        "status": found.status.value,
        "gap": found.gap,
        "compile_s": template.compile_s,
        "total_s": total_s,
        "resolve_s": statistics.median(resolve) if resolve else 0.0,
        "highs_s": statistics.median(runs) if runs else 0.0,
        "warm": solver.warm,
        "peak_rss_mb": highest,
        "max_violation": violation,
        "template": next(iter(templates.counts)),
    }
    print(json.dumps(measured))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main(sys.argv[1:])
