"""A few of the varied problems of ``tests/bench/soak_plans.py``, and all elements in one model."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyomo.environ as pyo
import pytest

from dispatch.blocks.site import build_site
from dispatch.checks import check_plan
from dispatch.fill import TieBreaks, structure_of, values_of
from dispatch.optimise import find, schedule_of
from dispatch.planner import Planner
from dispatch.refine import refine
from dispatch.schedule import settle
from dispatch.shortfalls import objective_yen
from dispatch.solve import SolverSettings, solve
from dispatch.templates import TemplateCache, core_from_bytes, core_to_bytes
from energy.core.plan import Problem
from energy.core.plan_parts import Adjustment, DemandStep, DrEvent, Feeder, SubmittedPlan
from tests.bench.soak_plans import varied_problem
from tests.unit.dispatch.test_optimise import random_site

TIES = TieBreaks(early_yen_per_kwh=0.0, smooth_yen_per_kw=0.0)
TEMPLATES = TemplateCache()
PLANNER = Planner(templates=TEMPLATES)


def everything(seed: int) -> Problem:
    """A random site with every element that is linear, made inside its first half-hour."""
    site, n = random_site(seed), 16
    names = [part.id for part in (*site.cars, *site.zones, *site.batteries, *site.pv)]
    event = DrEvent(
        id="dr",
        first=6,
        last=10,
        baseline_kw=(90.0, 80.0, 100.0, 95.0),
        reward_yen_per_kwh=60.0,
        most_kw=25.0,
        adjustment=Adjustment(first=0, last=4, usual_kw=(60.0,) * 4, slots=6, so_far_kw=12.0, most_kw=9.0),
        recovery_kw=(80.0,) * 3,
        negative_counts=True,
    )
    later = replace(event, id="later", first=13, last=15, baseline_kw=(70.0, 70.0), adjustment=None)
    cables = (
        Feeder(id="west", members=tuple(names[:3]), limit_kw=9.0, back_kw=2.0),
        Feeder(id="east", members=tuple(names[2:]), limit_kw=20.0, back_kw=30.0, load_kw=(5.0,) * n),
    )
    steps = (
        DemandStep(level_kw=50.0, yen_per_kw=1000.0, target=True, last=8),
        DemandStep(level_kw=60.0, yen_per_kw=15_000.0, first=12),
    )
    site = replace(
        site,
        made_at=site.grid.start + timedelta(minutes=12),
        events=(event, later),
        feeders=cables,
        submitted=SubmittedPlan(
            import_kw=(70.0,) * n, short_yen_per_kwh=(12.0,) * n, long_yen_per_kwh=(3.0,) * n
        ),
        limits=replace(site.limits, demand_so_far_kwh=8.0, memory_until=12, steps=steps),
        change_yen_per_kwh=4.0,
        cars=tuple(replace(car, planned_kw=(2.0,) * 5) for car in site.cars),
        zones=tuple(replace(zone, planned_kw=(3.0,) * 7, defrost=(0.1,) * n) for zone in site.zones),
    )
    return refine(site, (3, 6, 2))


def cost_by_pyomo(site: Problem) -> float:
    """The whole model with all its assets built by Pyomo and solved by its own way to HiGHS."""
    model = build_site(structure_of(site))
    values = values_of(site, peak_quantile_share=0.3, ties=TIES)
    for component in model.component_objects(pyo.Var, descend_into=True):
        path = re.sub(r"^(\w+)\[\d+\]", r"\1[*]", component.name)
        if path not in values:
            continue
        value = np.asarray(values[path], dtype=float)
        if path != component.name and value.ndim == 2:
            asset = int(component.name.partition("[")[2].partition("]")[0])
            value = value[asset if len(value) > 1 else 0]
        for member, number in zip(component.values(), np.broadcast_to(value, len(component)), strict=True):
            member.fix(float(number))
    pyo.SolverFactory("appsi_highs").solve(model)
    return float(pyo.value(model.objective))


@pytest.mark.parametrize("seed", range(3))
def test_a_model_with_every_element_costs_what_pyomos_own_way_costs(seed: int) -> None:
    site = everything(seed)
    template = TEMPLATES.of(structure_of(site))
    data = template.vector(values_of(site, peak_quantile_share=0.3, ties=TIES))
    assert solve(template, data, SolverSettings()).objective_yen == pytest.approx(
        cost_by_pyomo(site), rel=1e-7
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_model_and_the_arithmetic_beside_it_agree_on_every_element(seed: int) -> None:
    site = everything(seed)
    found = find(site, TEMPLATES.of(structure_of(site)), SolverSettings(), peak_quantile_share=0.3, ties=TIES)
    assert found is not None
    schedule = settle(site, schedule_of(site, found))
    assert objective_yen(site, schedule, peak_quantile_share=0.3) == pytest.approx(
        found.objective_yen, rel=1e-6
    )


def test_a_compiled_model_with_every_element_survives_the_shelf() -> None:
    core = TEMPLATES.of(structure_of(everything(0)).core)
    again = core_from_bytes(core_to_bytes(core))
    assert again is not None
    assert again.structure == core.structure


@pytest.mark.parametrize("seed", range(1, 41, 2))
def test_varied_problems_with_elements_get_the_best_plan_and_pass_the_check(seed: int) -> None:
    site = varied_problem(seed)
    plan = PLANNER.plan(site)
    assert plan.source in {"optimal", "incumbent"}  # a clock may stop whole stages early
    assert check_plan(site, plan) == ()
