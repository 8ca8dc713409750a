"""A PV array that may be held below what the sun offers, because the connection does not allow export."""

from __future__ import annotations

import pyomo.environ as pyo

from dispatch.blocks.columns import Block, decide, give, power_limits

__all__ = ["build_pv"]


def build_pv(block: Block, count: int) -> None:
    """Fill a block with ``least_kw[t] <= used_kw[t] <= available_kw[t]``; the port is ``-used_kw``. [kW]

    ``least_kw`` is 0 for an array that can be held back, else all that there is.
    """
    give(block, count, series=("available_kw", "least_kw"))
    decide(block, "used_kw")
    power_limits(block, "used_kw", "available_kw")
    block.least_used = pyo.Constraint(block.intervals, rule=lambda b, t: b.used_kw[t] >= b.given.least_kw[t])
    block.power_kw = pyo.Expression(block.intervals, rule=lambda b, t: -b.used_kw[t])
