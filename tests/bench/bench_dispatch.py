"""Print how a plan's time is spent, as ratios to the solver's own run; nothing else should run beside it.

python tests/bench/bench_dispatch.py [--rounds 9]
"""

from __future__ import annotations

import argparse
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyomo.environ as pyo

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dispatch.assemble import Origin, assemble
from dispatch.blocks.site import build_site
from dispatch.checks import check_plan
from dispatch.compile import compile_template
from dispatch.fill import TieBreaks, structure_of, values_of
from dispatch.optimise import optimise
from dispatch.planner import Planner
from dispatch.rules import rules_plan
from dispatch.solve import SolverSettings, WarmSolver, highs_of, solve
from dispatch.template import Template
from dispatch.templates import TemplateCache
from energy.core.plan import PlanSource, Problem
from tests.unit.dispatch.problems import factory, limits

SHARE, TIES, SETTINGS = 0.3, TieBreaks(), SolverSettings()


def timed(work: Callable[[], object], rounds: int) -> float:
    """Median time of a piece of work. [ms]"""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        work()
        times.append((time.perf_counter() - begun) * 1000.0)
    return statistics.median(times)


def data_of(template: Template, site: Problem) -> np.ndarray:
    return template.vector(values_of(site, peak_quantile_share=SHARE, ties=TIES))


def pyomo_every_time(site: Problem) -> float:
    """The same model built anew and handed to HiGHS by Pyomo itself; its objective. [yen]"""
    model = build_site(structure_of(site))
    values = values_of(site, peak_quantile_share=SHARE, ties=TIES)
    for component in model.component_objects(pyo.Var, descend_into=True):
        path = re.sub(r"^(\w+)\[\d+\]", r"\1[*]", component.name)
        if path in values:
            asset = int(component.name.partition("[")[2].partition("]")[0] or 0)
            value = np.asarray(values[path], dtype=float)
            row = value[asset if len(value) > 1 else 0] if value.ndim == 2 else value
            row = np.broadcast_to(row, len(component))
            for member, value in zip(component.values(), row.tolist(), strict=True):
                member.fix(value)
        elif component.local_name in ("charging", "importing"):
            for member in component.values():
                member.fix(0)
    for block in model.component_objects(pyo.Block, descend_into=True):
        if block.local_name == "lazy":
            block.deactivate()
    pyo.SolverFactory("appsi_highs").solve(model)
    return float(pyo.value(model.objective))


def warm_and_cold(
    template: Template, first: np.ndarray, second: np.ndarray, rounds: int
) -> tuple[float, float, bool]:
    """Time of a second problem with and without the first one's basis [ms]; whether both solutions agree."""
    warm = WarmSolver()
    times, x = [], np.empty(0)
    for _ in range(rounds):
        warm(template, first, SETTINGS)
        begun = time.perf_counter()
        x = warm(template, second, SETTINGS).x
        times.append((time.perf_counter() - begun) * 1000.0)
    same = np.allclose(x, solve(template, second, SETTINGS).x, rtol=0.0, atol=1e-6)
    return statistics.median(times), timed(lambda: solve(template, second, SETTINGS), rounds), bool(same)


def show(name: str, site: Problem, later: Problem, rounds: int) -> None:
    """Print one table."""
    cache, planner = TemplateCache(), Planner()
    template = cache.of(structure_of(site))
    planner.plan(site)
    data = data_of(template, site)
    answer = optimise(site, template, SETTINGS, peak_quantile_share=SHARE, ties=TIES)
    assert answer is not None
    origin = Origin(source=PlanSource.OPTIMAL, peak_quantile_share=SHARE, gap=0.0, peak_dual=answer.peak_dual)
    plan = assemble(site, answer.schedule, origin)
    highs = timed(lambda: highs_of(template, data, SETTINGS).run(), rounds)
    warm, cold, same = warm_and_cold(template, data, data_of(template, later), rounds)
    rows = {
        "HiGHS, matrices handed over": highs,
        "data vector from the problem": timed(lambda: data_of(template, site), rounds),
        "re-solve: data, matrices, HiGHS": timed(
            lambda: solve(template, data_of(template, site), SETTINGS), rounds
        ),
        "interior point instead of simplex": timed(
            lambda: solve(template, data, SolverSettings(method="ipm")), rounds
        ),
        "plan from schedule, with reasons": timed(lambda: assemble(site, answer.schedule, origin), rounds),
        "independent check": timed(lambda: check_plan(site, plan), rounds),
        "whole plan": timed(lambda: planner.plan(site), rounds),
        "plan by rules": timed(lambda: rules_plan(site), rounds),
        "compiling the structure, once": timed(
            lambda: compile_template(structure_of(site)), max(1, rounds // 4)
        ),
        "Pyomo's own way, every time": timed(lambda: pyomo_every_time(site), max(1, rounds // 4)),
        "next half-hour, warm basis": warm,
        "next half-hour, cold": cold,
    }
    size = f"{len(template.cost.base)} columns, {len(template.starts) - 1} rows"
    told = "one solution" if same else "different solutions of one cost"
    print(f"\n{name}: {size}; HiGHS {highs:.1f} ms; warm and cold give {told}")
    for label, ms in rows.items():
        print(f"  {label:36} {ms / highs:8.2f} x HiGHS")
    away = pyomo_every_time(site) - solve(template, data, SETTINGS).objective_yen
    print(f"  objective against Pyomo's own: {away:+.5f} yen")


def main() -> None:
    """Measure the factory in two seasons, easy and with a peak that binds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    for name, sign, memory in (
        ("winter, slack", 1, 230.0),
        ("winter, peak binds", 1, 100.0),
        ("summer, peak binds", -1, 100.0),
    ):
        site = replace(factory(96, seed=1, sign=sign), limits=limits(peak_memory_kw=memory))
        later = replace(factory(96, seed=1, sign=sign, first_hour=0.5), limits=limits(peak_memory_kw=memory))
        show(name, site, later, rounds)


if __name__ == "__main__":
    main()
