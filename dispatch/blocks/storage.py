"""What a car's battery and a stationary one have in common: energy, floor, ceiling, one direction at a time.

``soc_kwh[t] = kept_kwh[t] - below_kwh[t]`` is the energy stored at the end of interval ``t``: ``kept_kwh``
stays between floor and ceiling, ``below_kwh`` is what is missing to the floor. Written so, floor and ceiling
are bounds of columns and cost no row. What no battery of a problem has (:mod:`dispatch.features`) is not in
its model.
"""

from __future__ import annotations

from collections.abc import Callable

import pyomo.environ as pyo

from dispatch.blocks.columns import LAZY, Block, Term, decide, give, power_limits, stay
from dispatch.features import Features

__all__ = ["build_storage", "soc", "soc_before"]


_SERIES = (
    "max_charge_kw",  # 0 where it may not charge
    "max_discharge_kw",  # 0 where it may not discharge
    "stored_kwh_per_kw",  # h * eta_c
    "drawn_kwh_per_kw",  # h / eta_d
    "floor_kwh",
    "ceiling_kwh",
    "most_below_kwh",  # what may be missing to the floor at most
    "charge_yen_per_kw",
    "discharge_yen_per_kw",
    "below_yen_per_kwh",
    "ready_kwh",
    "unready_yen_per_kwh",
    "min_power_kw",
    "most_planned_kw",
    "least_planned_kw",
    "change_yen_per_kw",
)
_SCALARS = ("soc0_kwh", "keep_kwh", "keep_yen_per_kwh")


def soc(b: Block, t: int) -> Term:
    """Energy stored at the end of interval ``t``. [kWh]"""
    return b.kept_kwh[t] - b.below_kwh[t] if b.features.floors else b.kept_kwh[t]


def soc_before(b: Block, t: int) -> Term:
    """Energy stored at the start of interval ``t``. [kWh]"""
    return soc(b, t - 1) if t > 0 else b.given.soc0_kwh


def _above_floor(b: Block, t: int) -> Term:
    """kept_kwh[t] >= floor_kwh[t]. [kWh]"""
    return b.kept_kwh[t] >= b.given.floor_kwh[t]


def _under_ceiling(b: Block, t: int) -> Term:
    """kept_kwh[t] <= ceiling_kwh[t]. [kWh]"""
    return b.kept_kwh[t] <= b.given.ceiling_kwh[t]


def _charge_one_way(b: Block, t: int) -> Term:
    """charge_kw[t] <= max_charge_kw[t] * charging[t]; the charger's own limit is the big M. [kW]"""
    return b.charge_kw[t] <= b.given.max_charge_kw[t] * b.charging[t]


def _discharge_one_way(b: Block, t: int) -> Term:
    """discharge_kw[t] <= max_discharge_kw[t] * (1 - charging[t]); the charger's limit is the big M. [kW]"""
    return b.discharge_kw[t] <= b.given.max_discharge_kw[t] - b.given.max_discharge_kw[t] * b.charging[t]


def _charge_at_least(b: Block, t: int) -> Term:
    """charge_kw[t] >= min_power_kw[t] * charging[t]: a charger rests below its least power. [kW]"""
    return b.charge_kw[t] >= b.given.min_power_kw[t] * b.charging[t]


def _give_if_giving(b: Block, t: int) -> Term:
    """discharge_kw[t] <= max_discharge_kw[t] * giving[t]. [kW]"""
    return b.discharge_kw[t] <= b.given.max_discharge_kw[t] * b.giving[t]


def _give_at_least(b: Block, t: int) -> Term:
    """discharge_kw[t] >= min_power_kw[t] * giving[t]. [kW]"""
    return b.discharge_kw[t] >= b.given.min_power_kw[t] * b.giving[t]


def _ready(b: Block, t: int) -> Term:
    """soc_kwh[t] + unready_kwh[t] >= ready_kwh[t]: lacking it at an unforeseen peak has a price. [kWh]"""
    return soc(b, t) + b.unready_kwh[t] >= b.given.ready_kwh[t]


def _keep(b: Block) -> Term:
    """soc_kwh[T-1] + lost_kwh >= keep_kwh: what the horizon takes from the battery is paid for. [kWh]"""
    last = b.intervals.last()
    return soc(b, last) + b.lost_kwh >= b.given.keep_kwh


def build_storage(block: Block, count: int, features: Features, *, series: tuple[str, ...] = ()) -> None:
    """Declare a storage: columns, limits, directions, the port ``power_kw`` and the cost; not the energy row.

    ``cost = sum(charge_yen*charge_kw + discharge_yen*discharge_kw + below_yen*below_kwh
    + unready_yen*unready_kwh + change_yen*(more_kw + less_kw)) + keep_yen*lost_kwh``
    """
    block.features = features
    give(block, count, series=features.given(_SERIES + series), scalars=features.given(_SCALARS))
    decide(block, "charge_kw", "discharge_kw", "kept_kwh")
    power_limits(block, "charge_kw", "max_charge_kw")
    power_limits(block, "discharge_kw", "max_discharge_kw")
    block.above_floor = pyo.Constraint(block.intervals, rule=_above_floor)
    block.under_ceiling = pyo.Constraint(block.intervals, rule=_under_ceiling)
    if features.whole:
        block.charging = pyo.Var(block.intervals, within=pyo.Binary)
        lazy = pyo.Block()  # needed only where the linear program would charge and discharge at once
        block.add_component(LAZY, lazy)
        lazy.charge_one_way = _lazily(block, _charge_one_way)
        lazy.discharge_one_way = _lazily(block, _discharge_one_way)
        if features.minimum:
            block.giving = pyo.Var(block.intervals, within=pyo.Binary)
            for name, rule in (
                ("charge_at_least", _charge_at_least),
                ("give_if_giving", _give_if_giving),
                ("give_at_least", _give_at_least),
            ):
                lazy.add_component(name, _lazily(block, rule))
    block.power_kw = pyo.Expression(block.intervals, rule=lambda b, t: b.charge_kw[t] - b.discharge_kw[t])
    block.cost = pyo.Expression(
        expr=sum(
            block.given.charge_yen_per_kw[t] * block.charge_kw[t]
            + block.given.discharge_yen_per_kw[t] * block.discharge_kw[t]
            for t in block.intervals
        )
        + _build_features(block, features)
    )


def _lazily(block: Block, rule: Callable[[Block, int], Term]) -> Term:
    """A constraint of a block that lies in its sub-block of lazy rows."""
    return pyo.Constraint(block.intervals, rule=lambda _, t: rule(block, t))


def _build_features(block: Block, features: Features) -> Term:
    """Declare what belongs to the features, and what it costs."""
    cost: Term = 0.0
    if features.floors:
        decide(block, "below_kwh")
        power_limits(block, "below_kwh", "most_below_kwh")
        cost += sum(block.given.below_yen_per_kwh[t] * block.below_kwh[t] for t in block.intervals)
    if features.ready:
        decide(block, "unready_kwh")
        power_limits(block, "unready_kwh", "ready_kwh")
        block.ready = pyo.Constraint(block.intervals, rule=_ready)
        cost += sum(block.given.unready_yen_per_kwh[t] * block.unready_kwh[t] for t in block.intervals)
    if features.ends:
        block.lost_kwh = pyo.Var(within=pyo.NonNegativeReals)
        block.lost_kwh_limit = pyo.Constraint(expr=block.lost_kwh <= block.given.keep_kwh)
        block.keep = pyo.Constraint(rule=_keep)
        cost += block.given.keep_yen_per_kwh * block.lost_kwh
    if features.steady:
        cost += stay(block)
    return cost
