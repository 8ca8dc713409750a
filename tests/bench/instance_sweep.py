"""Objectives of eighty instances beside the same as arrays straight into HiGHS; and with negative prices.

Seeds 0 to 9, 1, 4, 20 and 100 cars, 48 and 192 steps of 15 minutes. With negative prices the reference has a
direction for each car and step (a linear program would charge and discharge at once there); both stop at the
gap or the time that are given, and what counts is whether our cost lies within our own proven gap of the
reference's proven bound. One line per size: the most by which a seed is away.

    python tests/bench/instance_sweep.py [--seeds 10] [--gap 1e-4] [--time-limit 60] [--negative]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dispatch.fill import TieBreaks, structure_of
from dispatch.optimise import find, schedule_of
from dispatch.solve import SolverSettings
from dispatch.templates import TemplateCache
from tests.bench.arrays import Arrays
from tests.bench.instances import instance
from vpp.bench.instance import Instance, cost_and_violation, problem_of

CARS, STEPS = (1, 4, 20, 100), (48, 192)
PLAIN = TieBreaks(early_yen_per_kwh=0.0, smooth_yen_per_kw=0.0)


def ours(
    raw: dict[str, object], settings: SolverSettings, cache: TemplateCache
) -> tuple[float, float, float]:
    """Cost of our powers, gap that is proven for them, violation of the instance. [yen, -, kW or kWh]"""
    given = Instance.model_validate(raw)
    problem = problem_of(given)
    found = find(problem, cache.of(structure_of(problem)), settings, peak_quantile_share=0.0, ties=PLAIN)
    if found is None:
        raise RuntimeError(f"no plan in {settings.time_limit_s:g} s")
    cost, violation = cost_and_violation(given, schedule_of(problem, found).car_kw)
    return cost, found.gap, violation


def main() -> None:
    """Plan all and print one line per size; status 1 if one is away by more than is allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--gap", type=float, default=1e-4)
    parser.add_argument("--time-limit", type=float, default=60.0)
    parser.add_argument("--negative", action="store_true")
    given = parser.parse_args()
    settings = SolverSettings(time_limit_s=given.time_limit, relative_gap=given.gap)
    cache, wrong = TemplateCache(), 0
    print(
        "cars  steps  seeds  cost away from the bound  our gap  reference's gap  violation  beyond both gaps"
    )
    for cars in CARS:
        for steps in STEPS:
            away, gaps, others, violations, beyond = [0.0], [0.0], [0.0], [0.0], 0
            for seed in range(given.seeds):
                raw = instance(cars, steps, seed, negative=given.negative)
                reference = Arrays(whole=given.negative, gap=given.gap, time_limit_s=given.time_limit)
                best, bound = reference.best_and_bound(raw)
                cost, gap, violation = ours(raw, settings, cache)
                scale = max(1.0, abs(best))
                away.append((cost - bound) / scale if given.negative else abs(cost - best) / scale)
                gaps.append(gap)
                others.append((best - bound) / scale)
                violations.append(violation)
                allowed = gap + others[-1] if given.negative else 1e-6
                beyond += away[-1] > allowed + 1e-6
            wrong += beyond
            print(
                f"{cars:4} {steps:6} {given.seeds:6} {max(away):25.1e} {max(gaps):8.1e} {max(others):16.1e} "
                f"{max(violations):10.1e} {beyond:17}",
                flush=True,
            )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
