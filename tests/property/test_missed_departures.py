"""A car that cannot leave as promised costs the model what it costs in the books, drives and floors too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dispatch.checks import check_plan
from dispatch.fill import TieBreaks, structure_of, values_of
from dispatch.optimise import optimise
from dispatch.planner import Planner
from dispatch.shortfalls import objective_yen
from dispatch.solve import SolverSettings, solve
from dispatch.templates import TemplateCache
from energy.core.plan import Problem
from tests.unit.dispatch.problems import car, problem, trip

COUNT = 24
TEMPLATES = TemplateCache(4)
NO_TIES = TieBreaks(early_yen_per_kwh=0.0, smooth_yen_per_kw=0.0)
SHARE = 0.3


@st.composite
def late_cars(draw: st.DrawFn) -> Problem:
    """A car that comes with little, is promised much, and drives once or twice."""
    energy = st.floats(2.0, 16.0)
    leaves = draw(st.integers(1, 8))
    returns = leaves + draw(st.integers(1, 8))
    one = car(COUNT, soc0_kwh=draw(st.floats(10.0, 20.0)), may_discharge=(False,) * COUNT)
    one = trip(one, leaves, returns, draw(energy), draw(st.floats(20.0, 38.0)))
    if draw(st.booleans()):
        again = returns + draw(st.integers(1, 4))
        one = trip(one, again, again + draw(st.integers(1, 4)), draw(energy), draw(st.floats(15.0, 38.0)))
    loads = draw(st.lists(st.floats(80.0, 250.0), min_size=COUNT, max_size=COUNT))
    return replace(problem(loads), cars=(one,))


@given(late_cars())
@settings(max_examples=60, deadline=None)
def test_a_missed_departure_with_a_drive_after_it_costs_the_model_what_it_costs_in_the_books(
    site: Problem,
) -> None:
    template = TEMPLATES.of(structure_of(site))
    data = template.vector(values_of(site, peak_quantile_share=SHARE, ties=NO_TIES))
    model_yen = solve(template, data, SolverSettings()).objective_yen
    answer = optimise(
        site,
        template,
        SolverSettings(),
        peak_quantile_share=SHARE,
        ties=NO_TIES,
        solver=solve,
        whole=TEMPLATES.of,
    )
    assert answer is not None
    told_yen = objective_yen(site, answer.schedule, peak_quantile_share=SHARE)
    assert told_yen == pytest.approx(model_yen, rel=1e-6, abs=1e-3)
    assert check_plan(site, Planner(templates=TEMPLATES).plan(site)) == ()
