"""What is left out of a linear program changes neither its cost nor its solution's meaning."""

from __future__ import annotations

from dataclasses import replace

import highspy
import numpy as np
import pytest

from dispatch.compile import compile_template
from dispatch.fill import TieBreaks, structure_of, values_of
from dispatch.reduce import Shape
from dispatch.solve import SolverSettings, SolveStatus, WarmSolver, solve
from dispatch.template import Template
from dispatch.templates import TemplateCache
from energy.core.plan import Problem
from energy.core.series import FloatArray
from tests.unit.dispatch.problems import battery, car, factory, floats, limits, problem, pv, trip

SETTINGS = SolverSettings()
TEMPLATES = TemplateCache()


def data_of(site: Problem, template: Template) -> FloatArray:
    return template.vector(values_of(site, peak_quantile_share=0.5, ties=TieBreaks()))


def whole_cost(template: Template, data: FloatArray) -> float:
    """The same program handed over with all its columns and rows."""
    used = ~template.lazy
    lengths = np.diff(template.starts)
    entries = np.repeat(used, lengths)
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.passModel(
        len(template.binary),
        int(used.sum()),
        int(entries.sum()),
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        template.cost.at(data),
        template.column_lower.at(data),
        template.column_upper.at(data),
        template.row_lower.at(data)[used],
        template.row_upper.at(data)[used],
        np.r_[0, np.cumsum(lengths[used])].astype(np.int32),
        template.index[entries].astype(np.int32),
        template.value.at(data)[entries],
        np.zeros(len(template.binary), dtype=np.int32),
    )
    highs.run()
    assert highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(highs.getInfo().objective_function_value)


def sites() -> dict[str, Problem]:
    away = trip(car(12, soc0_kwh=20.0), 4, 9, 6.0, 26.0)
    late = replace(car(12), plugged=(False,) * 5 + (True,) * 7)
    gone = replace(car(12), plugged=(True,) * 5 + (False,) * 7)
    low = replace(away, soc0_kwh=4.0)
    sun = pv([80.0] * 12, curtailable=False)
    return {
        "factory": factory(48, zones=3),
        "away in between": problem(100.0, 12, cars=(away,)),
        "comes late": problem(100.0, 12, cars=(late,)),
        "leaves for good": problem(100.0, 12, cars=(gone,), end_value_yen_per_kwh=0.0),
        "below its floor": problem(100.0, 12, cars=(low,)),
        "nothing to decide": problem(100.0, 12),
        "sun that must out": problem(
            20.0,
            12,
            pv=(sun,),
            batteries=(battery(),),
            limits=limits(import_margin_kw=0.0, max_export_kw=100.0),
            sell_yen_per_kwh=(8.0,) * 12,
        ),
    }


@pytest.mark.parametrize("name", list(sites()))
def test_what_is_left_out_costs_nothing_and_keeps_every_row(name: str) -> None:
    site = sites()[name]
    template = compile_template(structure_of(site))
    data = data_of(site, template)
    found = solve(template, data, SETTINGS)
    assert found.status is SolveStatus.OPTIMAL
    assert found.objective_yen == pytest.approx(whole_cost(template, data), rel=1e-9, abs=1e-6)
    row = np.repeat(np.arange(len(template.lazy)), np.diff(template.starts))
    body = np.bincount(
        row, weights=template.value.at(data) * found.x[template.index], minlength=len(template.lazy)
    )
    used = ~template.lazy
    assert (body >= template.row_lower.at(data) - 1e-6)[used].all()
    assert (body <= template.row_upper.at(data) + 1e-6)[used].all()
    assert (found.x >= template.column_lower.at(data) - 1e-7).all()
    assert (found.x <= template.column_upper.at(data) + 1e-7).all()


def test_a_car_that_is_away_leaves_neither_columns_nor_rows() -> None:
    here = problem(100.0, 12, cars=(car(12, floor_kwh=0.0),), end_value_yen_per_kwh=0.0)
    part = replace(here.cars[0], plugged=(False,) * 3 + (True,) * 4 + (False,) * 5)
    away = replace(here, cars=(part,))
    template = compile_template(structure_of(here))
    sizes = {}
    for name, site in (("here", here), ("away", away)):
        shape = Shape(template, data_of(site, template), used=~template.lazy)
        sizes[name] = len(shape.columns), len(shape.rows)
    assert sizes["here"][0] - sizes["away"][0] == 3 * 8  # charge, discharge and energy of eight intervals
    assert sizes["here"][1] - sizes["away"][1] == 8


def test_data_of_another_shape_are_refused_by_the_shape() -> None:
    site = problem(100.0, 12, cars=(car(12),))
    template = compile_template(structure_of(site))
    shape = Shape(template, data_of(site, template), used=~template.lazy)
    dearer = replace(site, price_yen_per_kwh=floats(np.linspace(10.0, 40.0, 12)))
    gone = replace(site, cars=(replace(site.cars[0], plugged=(False,) + (True,) * 11),))
    assert shape.program(data_of(dearer, template)) is not None
    assert shape.program(data_of(gone, template)) is None


def test_a_row_that_begins_to_say_something_is_another_shape() -> None:
    site = problem(100.0, 12, cars=(car(12, ready_kwh=1.0, ready_yen_per_kwh_h=1.0),))
    template = compile_template(structure_of(site))
    shape = Shape(template, data_of(site, template), used=~template.lazy)
    eager = replace(site, cars=(replace(site.cars[0], ready_kwh=30.0),))  # above the floor of 12
    assert shape.program(data_of(eager, template)) is None


def test_warm_solver_finds_the_same_cost_and_says_why_it_started_cold() -> None:
    base = factory(48, zones=2)
    template = compile_template(structure_of(base))
    warm = WarmSolver()
    rng = np.random.default_rng(3)
    for k in range(6):
        load = tuple(float(v) for v in np.asarray(base.load_p50_kw) * (1.0 + 0.05 * rng.standard_normal(48)))
        site = replace(base, load_p10_kw=load, load_p50_kw=load, load_p90_kw=load)
        if k == 3:  # one car is plugged an interval less
            first = base.cars[0]
            leaf = replace(first, plugged=(False, *first.plugged[1:]))
            site = replace(site, cars=(leaf, *site.cars[1:]))
        data = data_of(site, template)
        cold = solve(template, data, SETTINGS).objective_yen
        assert warm(template, data, SETTINGS).objective_yen == pytest.approx(cold, rel=1e-9)
    assert warm.rebuilt == {"first": 1, "shape": 2}
    assert warm.warm == 3
    other = factory(24, zones=2)
    smaller = compile_template(structure_of(other))
    warm(smaller, data_of(other, smaller), SETTINGS)
    assert warm.rebuilt["structure"] == 1


def test_a_warm_solver_has_the_whole_time_for_every_solve() -> None:
    site = factory(48, zones=2)
    template = compile_template(structure_of(site))
    data, warm = data_of(site, template), WarmSolver()
    allowed = []
    for _ in range(3):  # HiGHS counts the time of all runs of an object
        warm(template, data, SETTINGS)
        allowed.append(warm._highs.getOptionValue("time_limit")[1])
    assert allowed[0] < allowed[1] < allowed[2]


def test_a_warm_solver_goes_on_after_a_solve_that_ran_out_of_time() -> None:
    site = factory(48, zones=2)
    template = compile_template(structure_of(site))
    data, warm = data_of(site, template), WarmSolver()
    assert warm(template, data, SolverSettings(time_limit_s=0.0)).status is SolveStatus.NOTHING
    found = warm(template, data, SETTINGS)
    assert found.objective_yen == pytest.approx(solve(template, data, SETTINGS).objective_yen, rel=1e-9)


def test_a_warm_solver_takes_a_later_window_of_the_same_days() -> None:
    warm = WarmSolver()
    for hour in (0.0, 0.5, 1.0):
        site = factory(48, zones=2, first_hour=hour)
        template = TEMPLATES.of(structure_of(site))
        data = data_of(site, template)
        assert warm(template, data, SETTINGS).objective_yen == pytest.approx(
            solve(template, data, SETTINGS).objective_yen, rel=1e-9
        )
    assert warm.rebuilt == {"first": 1, "shape": 2}
