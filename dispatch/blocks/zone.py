"""A room and its air conditioner: first-order physics, solved exactly over each interval.

``C dT/dt = U (T_out - T) + gain + s*cop*(1 - defrost)*p`` with constant inputs gives, with
``a = exp(-U h / C)``::

    T[t] = a T[t-1] + (1 - a) (T_out[t] + (gain[t] + s[t] cop[t] (1 - defrost[t]) p[t]) / U)

The room is ``inside_c + coast_hot_c - coast_cold_c + hot_c - cold_c``: ``inside_c`` stays in the comfort band
less what is kept in hand (a bound, no row), ``coast_*`` use up what is kept in hand at a small price, the
last two are the dearly priced degrees outside of the band.
"""

from __future__ import annotations

import pyomo.environ as pyo

from dispatch.blocks.columns import Block, Term, decide, give, power_limits, stay
from dispatch.blocks.unit import build_unit
from dispatch.features import Features

__all__ = ["build_zone"]

_SERIES = (
    "max_kw",  # 0 where the unit is off
    "least_kw",  # what it takes whatever is wanted: it defrosts, or a person set it
    "decay",  # a
    "kelvin_per_kw",  # (1 - a) / U * s * cop * (1 - defrost), signed
    "drift_c",  # (1 - a) (T_out + gain / U), in interval 0 with a * T0
    "low_c",
    "high_c",
    "coast_hot_k",
    "coast_cold_k",
    "ready_yen_per_k",
    "discomfort_yen_per_k",
    "most_planned_kw",
    "least_planned_kw",
    "change_yen_per_kw",
)


def _parts(b: Block) -> tuple[tuple[float, Term], ...]:
    """What a room's temperature is the sum of."""
    return (
        (1.0, b.inside_c),
        (1.0, b.coast_hot_c),
        (-1.0, b.coast_cold_c),
        (1.0, b.hot_c),
        (-1.0, b.cold_c),
    )


def _room(b: Block, t: int) -> Term:
    """T[t] = decay[t]*T[t-1] + kelvin_per_kw[t]*p[t] + drift_c[t]; T[-1] is inside drift_c[0]. [degC]"""
    kept = sum(sign * b.given.decay[t] * part[t - 1] for sign, part in _parts(b)) if t > 0 else 0.0
    room = sum(sign * part[t] for sign, part in _parts(b))
    return room == kept + b.given.kelvin_per_kw[t] * b.hvac_kw[t] + b.given.drift_c[t]


def _not_too_cold(b: Block, t: int) -> Term:
    """inside_c[t] >= low_c[t]. [degC]"""
    return b.inside_c[t] >= b.given.low_c[t]


def _not_too_hot(b: Block, t: int) -> Term:
    """inside_c[t] <= high_c[t]. [degC]"""
    return b.inside_c[t] <= b.given.high_c[t]


def _takes_anyway(b: Block, t: int) -> Term:
    """p[t] >= least_kw[t]. [kW]"""
    return b.hvac_kw[t] >= b.given.least_kw[t]


def _rise(b: Block, t: int) -> Term:
    """rise_kw[t] >= p[t] - p[t-1]: a very small price on it keeps the unit from chattering. [kW]"""
    return pyo.Constraint.Skip if t == 0 else b.rise_kw[t] >= b.hvac_kw[t] - b.hvac_kw[t - 1]


def build_zone(block: Block, count: int, features: Features) -> None:
    """Fill a block with the equations of a room.

    ``cost = sum(discomfort_yen*(hot_c + cold_c) + ready_yen*(coast_hot_c + coast_cold_c)
    + smooth_yen*rise_kw + change_yen*(more_kw + less_kw))``
    """
    give(block, count, series=features.given(_SERIES), scalars=("smooth_yen_per_kw",))
    decide(block, "hvac_kw", "hot_c", "cold_c", "coast_hot_c", "coast_cold_c", "rise_kw")
    block.inside_c = pyo.Var(block.intervals)
    power_limits(block, "hvac_kw", "max_kw")
    power_limits(block, "coast_hot_c", "coast_hot_k")
    power_limits(block, "coast_cold_c", "coast_cold_k")
    block.takes_anyway = pyo.Constraint(block.intervals, rule=_takes_anyway)
    block.not_too_cold = pyo.Constraint(block.intervals, rule=_not_too_cold)
    block.not_too_hot = pyo.Constraint(block.intervals, rule=_not_too_hot)
    block.room = pyo.Constraint(block.intervals, rule=_room)
    block.rise = pyo.Constraint(block.intervals, rule=_rise)
    block.power_kw = pyo.Expression(block.intervals, rule=lambda b, t: b.hvac_kw[t])
    if features.stages:
        build_unit(block, features)
    changes = stay(block) if features.steady else 0.0
    block.cost = pyo.Expression(
        expr=changes
        + sum(
            block.given.discomfort_yen_per_k[t] * block.hot_c[t]
            + block.given.discomfort_yen_per_k[t] * block.cold_c[t]
            + block.given.ready_yen_per_k[t] * block.coast_hot_c[t]
            + block.given.ready_yen_per_k[t] * block.coast_cold_c[t]
            + block.given.smooth_yen_per_kw * block.rise_kw[t]
            for t in block.intervals
        )
    )
