"""What is agreed about the demand of half-hours: further prices of it, and demand-response events.

Both look at the net power of the connection through weights per interval, so that an interval counts for the
half-hour it lies in and for its length. ``net_kw`` is that of the site (:mod:`dispatch.blocks.site`).
"""

from __future__ import annotations

from collections.abc import Callable

import pyomo.environ as pyo

from dispatch.blocks.columns import Block, Term, give, give_over

__all__ = ["build_event", "build_step"]

Net = Callable[[int], Term]


def _within(b: Block, s: int) -> range:
    """Intervals of a half-hour."""
    return range(*b.within[s])


def _step(b: Block, s: int, net: Net) -> Term:
    """Sum over the half-hour of counts[t]*net_kw[t] <= level_kw[s] + excess_kw. [kW]"""
    return sum(b.given.counts[t] * net(t) for t in _within(b, s)) <= b.given.level_kw[s] + b.excess_kw


def build_step(block: Block, count: int, within: list[tuple[int, int]], net: Net) -> None:
    """Fill a block with a further price of demand: ``cost = step_yen*excess_kw``.

    Parameters
    ----------
    within : list of (int, int)
        First and last interval (excluded) of each half-hour.
    """
    give(block, count, series=("counts",), scalars=("step_yen_per_kw",))
    block.within, block.slots = within, pyo.RangeSet(0, len(within) - 1)
    give_over(block, block.slots, "level_kw")
    block.excess_kw = pyo.Var(within=pyo.NonNegativeReals)
    block.step = pyo.Constraint(block.slots, rule=lambda b, s: _step(b, s, net))
    block.cost = pyo.Expression(expr=block.given.step_yen_per_kw * block.excess_kw)


def _earned(b: Block, s: int, net: Net) -> Term:
    """earned_kw[s] + sum over the half-hour of counts[t]*net_kw[t] + inside[s]*lowered_kw <= baseline_kw[s].

    What is paid is what is imported less than the baseline with its highest adjustment, and ``lowered_kw`` is
    by how much the adjustment stays below that. Above the baseline it is negative. In kW of demand.
    """
    drawn = sum(b.given.counts[t] * net(t) for t in _within(b, s))
    return b.earned_kw[s] + drawn + b.given.inside[s] * b.lowered_kw <= b.given.baseline_kw[s]


def _paid_at_most(b: Block, s: int) -> Term:
    """earned_kw[s] <= most_kw[s]; 0 outside of the event. [kW]"""
    return b.earned_kw[s] <= b.given.most_kw[s]


def _lost_at_most(b: Block, s: int) -> Term:
    """earned_kw[s] >= -deepest_kw[s]: far below in the event, 0 outside of it. [kW]"""
    return b.earned_kw[s] >= -b.given.deepest_kw[s]


def _adjustment(b: Block, net: Net) -> Term:
    """lowered_kw + sum over the window of window[t]*net_kw[t] >= window_kw: using less in it costs. [kW]"""
    drawn = sum(b.given.window[t] * net(t) for t in b.intervals)
    return b.lowered_kw + drawn >= b.given.window_kw


def _recovery(b: Block, s: int, net: Net) -> Term:
    """Sum over the half-hour of after[t]*net_kw[t] <= recovery_kw[s] + beyond_kw[s]. [kW]"""
    drawn = sum(b.given.after[t] * net(t) for t in _within(b, s))
    return drawn <= b.given.recovery_kw[s] + b.beyond_kw[s]


def build_event(block: Block, count: int, within: list[tuple[int, int]], net: Net) -> None:
    """Fill a block with an event: ``cost = sum(earned_yen*earned_kw + beyond_yen*beyond_kw)``.

    Parameters
    ----------
    within : list of (int, int)
        First and last interval (excluded) of each half-hour.
    """
    give(
        block,
        count,
        series=("counts", "window", "after"),
        scalars=("window_kw", "earned_yen_per_kw", "beyond_yen_per_kw"),
    )
    block.within, block.slots = within, pyo.RangeSet(0, len(within) - 1)
    give_over(block, block.slots, "inside", "baseline_kw", "most_kw", "deepest_kw", "recovery_kw")
    block.earned_kw = pyo.Var(block.slots)
    block.beyond_kw = pyo.Var(block.slots, within=pyo.NonNegativeReals)
    block.lowered_kw = pyo.Var(within=pyo.NonNegativeReals)
    block.paid_at_most = pyo.Constraint(block.slots, rule=_paid_at_most)
    block.lost_at_most = pyo.Constraint(block.slots, rule=_lost_at_most)
    block.earned = pyo.Constraint(block.slots, rule=lambda b, s: _earned(b, s, net))
    block.adjustment = pyo.Constraint(rule=lambda b: _adjustment(b, net))
    block.recovery = pyo.Constraint(block.slots, rule=lambda b, s: _recovery(b, s, net))
    block.cost = pyo.Expression(
        expr=sum(
            block.given.earned_yen_per_kw * block.earned_kw[s]
            + block.given.beyond_yen_per_kw * block.beyond_kw[s]
            for s in block.slots
        )
    )
