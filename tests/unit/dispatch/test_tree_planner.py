"""The tree of scenarios that the product's room for errors is compared with (tests/bench/uncertainty.py)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import tests.bench.tree_planner as tree_planner
from dispatch.planner import Planner, PlannerOptions
from dispatch.schedule import Schedule, import_kw
from dispatch.templates import TemplateCache
from energy.core.plan import Problem
from tests.bench.tree_planner import Tree, TreePlanner, paths_of, standard_errors
from tests.unit.dispatch.problems import car, limits, problem

TEMPLATES = TemplateCache(4)


def uncertain() -> Problem:
    """A car that can shave an evening whose height nobody knows."""
    load = [20.0, 20.0, 20.0, 40.0, 60.0, 40.0, 20.0, 20.0]
    return problem(
        load,
        load_p10_kw=tuple(0.7 * kw for kw in load),
        load_p90_kw=tuple(1.5 * kw for kw in load),
        limits=limits(peak_memory_kw=30.0, peak_yen_per_kw=2_000.0),
        cars=(car(len(load), soc0_kwh=20.0),),
    )


def test_paths_come_with_their_mirror_images_and_keep_the_medians() -> None:
    site = uncertain()
    paths = paths_of(site, Tree(paths=4))
    load = np.array([one.load_p50_kw for one in paths])
    medians = np.asarray(site.load_p50_kw)
    assert load.shape == (4, 8)
    assert ((load[:2] > medians) == (load[2:] < medians)).all()
    assert [one.load_p50_kw for one in paths_of(site, Tree(paths=4))] == [one.load_p50_kw for one in paths]


def test_what_is_carried_out_first_is_the_same_on_every_path(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    told = tree_planner.schedule_at
    monkeypatch.setattr(tree_planner, "schedule_at", lambda *said: seen.append(told(*said)) or seen[-1])
    TreePlanner(Tree(paths=6), templates=TEMPLATES).plan(uncertain())
    first = np.array([one.car_kw[:, 0] for one in seen])
    later = np.array([one.car_kw[:, 4] for one in seen])
    assert len(seen) == 6
    assert np.ptp(first) < 1e-6
    assert np.ptp(later) > 0.1


def test_without_doubt_the_tree_is_the_plan_of_the_medians() -> None:
    site = uncertain()
    sure = replace(site, load_p10_kw=site.load_p50_kw, load_p90_kw=site.load_p50_kw)
    plain = Planner(PlannerOptions(peak_quantile_share=0.0), templates=TEMPLATES).plan(sure)
    for alpha in (0.0, 0.67):
        plan = TreePlanner(Tree(alpha=alpha), templates=TEMPLATES).plan(sure)
        assert plan.trajectory.import_kw == pytest.approx(plain.trajectory.import_kw, abs=1e-4)


def test_a_peak_counted_by_its_worst_paths_is_lower_on_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of six paths the worst third are two: their mean peak is what the conditional value at risk lowers."""
    worst = []
    told = tree_planner.schedule_at
    for alpha in (0.0, 2.0 / 3.0):
        seen: list[float] = []

        def remembered(path: Problem, *rest: object, seen: list[float] = seen) -> Schedule:
            found = told(path, *rest)  # type: ignore[arg-type]
            seen.append(float(import_kw(path, found).max()))
            return found

        monkeypatch.setattr(tree_planner, "schedule_at", remembered)
        TreePlanner(Tree(alpha=alpha, load_persists=0.9), templates=TEMPLATES).plan(uncertain())
        worst.append(sum(sorted(seen)[-2:]) / 2.0)
    assert worst[1] <= worst[0] + 1e-6


def test_an_error_at_p90_is_as_many_standard_deviations_as_p90_is() -> None:
    p10, p50, p90 = np.array([5.0, 5.0, 5.0]), np.array([10.0, 10.0, 10.0]), np.array([30.0, 30.0, 10.0])
    found = standard_errors(np.array([30.0, 5.0, 12.0]), p10, p50, p90)
    assert found[:2] == pytest.approx([1.2815515655, -1.2815515655])
    assert np.isnan(found[2])
