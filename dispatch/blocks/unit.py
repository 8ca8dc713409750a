"""An air conditioner that knows stages only, or a least power, and neither starts nor stops at will.

Stage ``l`` is reached by the increments ``stage_kw[1..l]``; ``at[l,t]`` is 1 while it runs at it or above, so
``at[0,t]`` says whether it runs. A unit that modulates above its least power slides on from its only stage.
Where the plan need not be whole (later intervals, rooms without stages) ``may_run`` is 0 and all power
slides: then nothing of this is left of the program.
"""

from __future__ import annotations

from itertools import product

import pyomo.environ as pyo

from dispatch.blocks.columns import Block, Term, decide, give_over, power_limits
from dispatch.features import Features

__all__ = ["build_unit"]


def _power(b: Block, t: int) -> Term:
    """p[t] = sum over stages of stage_kw[l]*at[l,t] + slide_kw[t]. [kW]"""
    return b.hvac_kw[t] == sum(b.given.stage_kw[s] * b.at[s, t] for s in b.stages) + b.slide_kw[t]


def _slides_while_running(b: Block, t: int) -> Term:
    """slide_kw[t] <= slide_span_kw[t]*at[0,t] + slide_loose_kw[t]. [kW]"""
    return b.slide_kw[t] <= b.given.slide_span_kw[t] * b.at[0, t] + b.given.slide_loose_kw[t]


def _in_order(b: Block, stage: int, t: int) -> Term:
    """at[l,t] <= at[l-1,t]. [-]"""
    return pyo.Constraint.Skip if stage == 0 else b.at[stage, t] <= b.at[stage - 1, t]


def _may_run(b: Block, stage: int, t: int) -> Term:
    """at[l,t] <= may_run[t]. [-]"""
    return b.at[stage, t] <= b.given.may_run[t]


def _switches(b: Block, t: int) -> Term:
    """started[t] - stopped[t] = at[0,t] - at[0,t-1]. [-]"""
    before = b.at[0, t - 1] if t > 0 else b.given.was_running
    return b.started[t] - b.stopped[t] == b.at[0, t] - before


def _runs_on(b: Block, t: int) -> Term:
    """at[0,t] >= sum over lags k of keeps[t,k]*started[t-k]; keeps: t lies in the minimum time on. [-]"""
    recent = [k for k in b.lags if t - k >= 0]
    return b.at[0, t] >= sum(b.given.keeps[t, k] * b.started[t - k] for k in recent)


def _rests_on(b: Block, t: int) -> Term:
    """at[0,t] + sum over lags k of rests[t,k]*stopped[t-k] <= 1. [-]"""
    recent = [k for k in b.lags if t - k >= 0]
    return b.at[0, t] + sum(b.given.rests[t, k] * b.stopped[t - k] for k in recent) <= 1.0


def _must_run(b: Block, t: int) -> Term:
    """at[0,t] >= must_run[t]: it began to run before the plan begins. [-]"""
    return b.at[0, t] >= b.given.must_run[t]


def build_unit(block: Block, features: Features) -> None:
    """Add stages and minimum times to the block of a room."""
    intervals = list(block.intervals)
    block.stages = pyo.RangeSet(0, features.stages - 1)
    give_over(block, block.stages, "stage_kw")
    give_over(block, block.intervals, "may_run", "slide_most_kw", "slide_loose_kw", "slide_span_kw")
    block.at = pyo.Var(list(product(range(features.stages), intervals)), within=pyo.Binary)
    decide(block, "slide_kw")
    power_limits(block, "slide_kw", "slide_most_kw")
    block.power = pyo.Constraint(block.intervals, rule=_power)
    block.slides = pyo.Constraint(block.intervals, rule=_slides_while_running)
    block.in_order = pyo.Constraint(block.stages, block.intervals, rule=_in_order)
    block.may_run = pyo.Constraint(block.stages, block.intervals, rule=_may_run)
    if features.lags:
        block.lags = pyo.RangeSet(0, features.lags - 1)
        give_over(block, block.intervals, "must_run")
        give_over(block, list(product(intervals, range(features.lags))), "keeps", "rests")
        block.given.was_running = pyo.Var()
        decide(block, "started", "stopped")
        block.switches = pyo.Constraint(block.intervals, rule=_switches)
        block.runs_on = pyo.Constraint(block.intervals, rule=_runs_on)
        block.rests_on = pyo.Constraint(block.intervals, rule=_rests_on)
        block.must_run = pyo.Constraint(block.intervals, rule=_must_run)
