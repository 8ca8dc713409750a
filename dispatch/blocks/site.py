"""The connection point: balance, no export, contract and peak; and the whole model put together."""

from __future__ import annotations

import pyomo.environ as pyo

from dispatch.blocks.battery import build_battery
from dispatch.blocks.car import build_car
from dispatch.blocks.columns import Block, Term, decide, give
from dispatch.blocks.pv import build_pv
from dispatch.blocks.zone import build_zone

__all__ = ["build_site"]

_SERIES = (
    "load_kw",
    "min_import_kw",  # the no-export margin, or the load where that is less
    "energy_yen_per_kw",  # h * price
    "share",  # part of the slot that the interval covers: 1 unless the plan is made inside the slot
    "peak_margin_kw",  # room for forecast errors, and what was imported in the slot before
    "over_yen_per_kw",
)
_SCALARS = ("contract_kw", "peak_memory_kw", "peak_yen_per_kw")
_BUILDERS = {"car": build_car, "zone": build_zone, "pv": build_pv, "battery": build_battery}


def _balance(b: Block, t: int) -> Term:
    """import_kw[t] = load_kw[t] + sum over assets of power_kw[t]. [kW]"""
    ports = sum(block[k].power_kw[t] for block in _assets(b) for k in block)
    return b.import_kw[t] == b.given.load_kw[t] + ports


def _no_export(b: Block, t: int) -> Term:
    """import_kw[t] >= min_import_kw[t]; idle cars and a curtailed array always reach it. [kW]"""
    return b.import_kw[t] >= b.given.min_import_kw[t]


def _contract(b: Block, t: int) -> Term:
    """share[t]*import_kw[t] + peak_margin_kw[t] <= contract_kw + over_kw[t]. [kW]"""
    return b.given.share[t] * b.import_kw[t] + b.given.peak_margin_kw[t] <= b.given.contract_kw + b.over_kw[t]


def _peak(b: Block, t: int) -> Term:
    """share[t]*import_kw[t] + peak_margin_kw[t] <= peak_memory_kw + excess_kw. [kW]"""
    return (
        b.given.share[t] * b.import_kw[t] + b.given.peak_margin_kw[t] <= b.given.peak_memory_kw + b.excess_kw
    )


def _assets(b: Block) -> list[Block]:
    return [getattr(b, kind) for kind in _BUILDERS if hasattr(b, kind)]


def build_site(count: int, *, cars: int = 0, zones: int = 0, pv: int = 0, batteries: int = 0) -> Block:
    """The model of a site with so many intervals and assets.

    ``cost = sum(energy_yen*import_kw + over_yen*over_kw) + peak_yen*excess_kw + costs of all assets``
    """
    model = pyo.ConcreteModel()
    give(model, count, series=_SERIES, scalars=_SCALARS)
    for (kind, build), number in zip(_BUILDERS.items(), (cars, zones, pv, batteries), strict=True):
        if number:
            model.add_component(kind, pyo.Block(range(number)))
            for k in range(number):
                build(getattr(model, kind)[k], count)
    decide(model, "import_kw", "over_kw")
    model.excess_kw = pyo.Var(within=pyo.NonNegativeReals)
    model.balance = pyo.Constraint(model.intervals, rule=_balance)
    model.no_export = pyo.Constraint(model.intervals, rule=_no_export)
    model.contract = pyo.Constraint(model.intervals, rule=_contract)
    model.peak = pyo.Constraint(model.intervals, rule=_peak)
    total = sum(
        model.given.energy_yen_per_kw[t] * model.import_kw[t]
        + model.given.over_yen_per_kw[t] * model.over_kw[t]
        for t in model.intervals
    )
    total += model.given.peak_yen_per_kw * model.excess_kw
    for block in _assets(model):
        for k in block:
            total += sum(
                getattr(block[k], name) for name in ("cost", "promise_cost") if hasattr(block[k], name)
            )
    model.objective = pyo.Objective(expr=total)
    return model
