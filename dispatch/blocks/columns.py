"""How a block says what is decided and what is given.

What is decided are the ``Var`` components of a block. What is given (loads, prices, limits) are ``Var``
components of its sub-block ``given``: the compiler recognises them by that name and turns every one into an
entry of the data vector (:mod:`dispatch.compile`). A product of one given and one decided quantity is allowed
in rows and in the cost; a product of two given ones is not: compute it before, in :mod:`dispatch.fill`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pyomo.environ as pyo

__all__ = ["GIVEN", "LAZY", "Block", "Term", "decide", "give", "give_over", "power_limits", "stay"]

Block = Any  # Pyomo's blocks carry no types
Term = Any  # nor do its expressions

GIVEN = "given"
LAZY = "lazy"


def give(block: Block, count: int, *, series: Iterable[str] = (), scalars: Iterable[str] = ()) -> None:
    """Declare what is given to a block: series with one value per interval, and single numbers."""
    block.intervals = pyo.RangeSet(0, count - 1)
    inner = pyo.Block()
    block.add_component(GIVEN, inner)
    for name in series:
        inner.add_component(name, pyo.Var(block.intervals))
    for name in scalars:
        inner.add_component(name, pyo.Var())


def give_over(block: Block, index: Iterable[Any], *names: str) -> None:
    """Declare what is given with one value per member of another set than the intervals."""
    for name in names:
        block.given.add_component(name, pyo.Var(index))


def decide(block: Block, *names: str) -> None:
    """Declare what is decided in every interval, each >= 0."""
    for name in names:
        block.add_component(name, pyo.Var(block.intervals, within=pyo.NonNegativeReals))


def power_limits(block: Block, power: str, limit: str) -> None:
    """Add ``power[t] <= given.limit[t]``; a row with one unknown becomes a bound of its column. [kW, kWh]"""

    def below(b: Block, t: int) -> Term:
        return getattr(b, power)[t] <= getattr(b.given, limit)[t]

    block.add_component(f"{power}_limit", pyo.Constraint(block.intervals, rule=below))


def stay(block: Block) -> Term:
    """Declare the price of leaving the plan in force, and give the cost.

    ``least_planned_kw[t] - less_kw[t] <= power_kw[t] <= most_planned_kw[t] + more_kw[t]``; both limits are
    the planned power, or out of reach where nothing is planned. [kW]
    """
    decide(block, "more_kw", "less_kw")
    given = block.given
    block.not_more = pyo.Constraint(
        block.intervals, rule=lambda b, t: b.power_kw[t] - b.more_kw[t] <= given.most_planned_kw[t]
    )
    block.not_less = pyo.Constraint(
        block.intervals, rule=lambda b, t: b.power_kw[t] + b.less_kw[t] >= given.least_planned_kw[t]
    )
    return sum(
        given.change_yen_per_kw[t] * block.more_kw[t] + given.change_yen_per_kw[t] * block.less_kw[t]
        for t in block.intervals
    )
