"""A car at its charger: a storage that drives away with a promise.

Three things are soft, each with a name and a price: ``lacking_kwh`` to a departure promise, ``below_kwh`` to
the owner's floor after driving, and ``road_kwh``, energy that the car must take elsewhere because it would
run empty on its way. With them every car has a plan, whatever its driver asks.
"""

from __future__ import annotations

import pyomo.environ as pyo

from dispatch.blocks.columns import Block, Term, decide, power_limits
from dispatch.blocks.storage import build_storage, soc, soc_before
from dispatch.features import Features

__all__ = ["build_car"]

_SERIES = (
    "drive_kwh",
    "drop_kwh",  # by how much driving alone may take the car below its floor
    "promise_kwh",  # wanted at the end of the interval, 0 where nothing is promised
    "away",  # 1 where an interval goes on with the trip of the one before
    "most_unused_kwh",  # 0 where the next interval does not
    "lacking_yen_per_kwh",
    "road_yen_per_kwh",
)


def _energy(b: Block, t: int) -> Term:
    """soc_kwh[t] = soc[t-1] + h*(eta_c*charge_kw[t] - discharge_kw[t]/eta_d) - drive_kwh[t] + road_kwh[t].

    In kWh; charging and discharging at the AC side.
    """
    moved = b.given.stored_kwh_per_kw[t] * b.charge_kw[t] - b.given.drawn_kwh_per_kw[t] * b.discharge_kw[t]
    if b.features.trips:
        moved += b.road_kwh[t] - b.given.drive_kwh[t]
    return soc(b, t) == soc_before(b, t) + moved


def _promise(b: Block, t: int) -> Term:
    """soc_kwh[t] + lacking_kwh[t] >= promise_kwh[t]; without a promise: never below empty. [kWh]"""
    return soc(b, t) + b.lacking_kwh[t] >= b.given.promise_kwh[t]


def _floor_is_left_by_driving_only(b: Block, t: int) -> Term:
    """below[t] + unused[t] <= below[t-1] + away[t]*unused[t-1] + drop[t] + lacking[t-1]. [kWh]

    Only driving takes a car below its floor, and only as far as it must when it left as promised; what lacked
    at the departure may lack afterwards too, when the trip comes to it: until then it is ``unused``, and lost
    when the trip ends. Giving back never takes a car below its floor.
    """
    if t == 0:
        return pyo.Constraint.Skip
    before = b.below_kwh[t - 1] + b.lacking_kwh[t - 1]
    if not b.features.trips:
        return b.below_kwh[t] <= before
    before += b.given.away[t] * b.unused_kwh[t - 1] + b.given.drop_kwh[t]
    return b.below_kwh[t] + b.unused_kwh[t] <= before


def build_car(block: Block, count: int, features: Features) -> None:
    """Fill a block with the equations of a car.

    The cost of the storage grows by ``sum(lacking_yen*lacking_kwh + road_yen*road_kwh)``.
    """
    build_storage(block, count, features, series=_SERIES)
    decide(block, "lacking_kwh")
    power_limits(block, "lacking_kwh", "promise_kwh")
    cost = sum(block.given.lacking_yen_per_kwh[t] * block.lacking_kwh[t] for t in block.intervals)
    if features.trips:
        decide(block, "road_kwh")
        power_limits(block, "road_kwh", "drive_kwh")
        cost += sum(block.given.road_yen_per_kwh[t] * block.road_kwh[t] for t in block.intervals)
    block.energy = pyo.Constraint(block.intervals, rule=_energy)
    block.promise = pyo.Constraint(block.intervals, rule=_promise)
    if features.floors:
        if features.trips:
            decide(block, "unused_kwh")
            power_limits(block, "unused_kwh", "most_unused_kwh")
        block.floor_is_left_by_driving_only = pyo.Constraint(
            block.intervals, rule=_floor_is_left_by_driving_only
        )
    block.promise_cost = pyo.Expression(expr=cost)
