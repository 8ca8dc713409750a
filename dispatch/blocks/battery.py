"""A stationary battery: a storage whose floor is the reserve kept for a blackout."""

from __future__ import annotations

import pyomo.environ as pyo

from dispatch.blocks.columns import Block, Term
from dispatch.blocks.storage import build_storage, soc, soc_before
from dispatch.features import Features

__all__ = ["build_battery"]


def _energy(b: Block, t: int) -> Term:
    """soc_kwh[t] = soc_kwh[t-1] + h*(eta_c*charge_kw[t] - discharge_kw[t]/eta_d). [kWh]"""
    return (
        soc(b, t)
        == soc_before(b, t)
        + b.given.stored_kwh_per_kw[t] * b.charge_kw[t]
        - b.given.drawn_kwh_per_kw[t] * b.discharge_kw[t]
    )


def _reserve_is_not_used(b: Block, t: int) -> Term:
    """below_kwh[t] <= below_kwh[t-1]: what misses to the reserve never grows. [kWh]"""
    return pyo.Constraint.Skip if t == 0 else b.below_kwh[t] <= b.below_kwh[t - 1]


def build_battery(block: Block, count: int, features: Features) -> None:
    """Fill a block with the equations of a battery."""
    build_storage(block, count, features)
    block.energy = pyo.Constraint(block.intervals, rule=_energy)
    if features.floors:
        block.reserve_is_not_used = pyo.Constraint(block.intervals, rule=_reserve_is_not_used)
