"""The connection point: balance, export, contract and peak; and the whole model put together."""

from __future__ import annotations

import pyomo.environ as pyo

from dispatch.blocks.battery import build_battery
from dispatch.blocks.car import build_car
from dispatch.blocks.columns import LAZY, Block, Term, decide, give
from dispatch.blocks.pv import build_pv
from dispatch.blocks.zone import build_zone
from dispatch.features import Features

__all__ = ["build_site"]

_SERIES = (
    "load_kw",
    "min_within_kw",  # the no-export margin, or the load where that is less
    "max_within_kw",  # what the contract leaves after room for forecast errors
    "min_over_kw",  # the part of the no-export margin that lies above the contract, where one does
    "max_export_kw",
    "within_yen_per_kw",  # h * price
    "over_yen_per_kw",  # h * price and the price of breaking the contract
    "export_yen_per_kw",  # -h * what selling earns
    "share",  # part of the slot that the interval covers: 1 unless the plan is made inside the slot
    "peak_margin_kw",  # room for forecast errors, and what was imported in the slot before
)
_SCALARS = ("peak_memory_kw", "peak_yen_per_kw")
_KINDS = ("car", "zone", "pv", "battery")


def _net_kw(b: Block, t: int) -> Term:
    """Power from the grid: within the contract, over it, less what is exported. [kW]"""
    return b.within_kw[t] + b.over_kw[t] - b.export_kw[t]


def _balance(b: Block, t: int) -> Term:
    """within_kw[t] + over_kw[t] - export_kw[t] = load_kw[t] + sum over assets of power_kw[t]. [kW]"""
    ports = sum(block[k].power_kw[t] for block in _assets(b) for k in block)
    return _net_kw(b, t) == b.given.load_kw[t] + ports


def _least_within(b: Block, t: int) -> Term:
    """within_kw[t] >= min_within_kw[t]: no export; idle cars and a curtailed array always reach it. [kW]"""
    return b.within_kw[t] >= b.given.min_within_kw[t]


def _contract(b: Block, t: int) -> Term:
    """within_kw[t] <= max_within_kw[t]; what is imported beyond is over_kw and dear. [kW]"""
    return b.within_kw[t] <= b.given.max_within_kw[t]


def _least_over(b: Block, t: int) -> Term:
    """over_kw[t] >= min_over_kw[t]. [kW]"""
    return b.over_kw[t] >= b.given.min_over_kw[t]


def _export(b: Block, t: int) -> Term:
    """export_kw[t] <= max_export_kw[t]; 0 where the connection does not allow export. [kW]"""
    return b.export_kw[t] <= b.given.max_export_kw[t]


def _import_one_way(b: Block, t: int) -> Term:
    """within_kw[t] <= max_within_kw[t] * importing[t]; the contract is the big M. [kW]"""
    return b.within_kw[t] <= b.given.max_within_kw[t] * b.importing[t]


def _export_one_way(b: Block, t: int) -> Term:
    """export_kw[t] <= max_export_kw[t] * (1 - importing[t]); what can be exported is the big M. [kW]"""
    return b.export_kw[t] <= b.given.max_export_kw[t] - b.given.max_export_kw[t] * b.importing[t]


def _peak(b: Block, t: int) -> Term:
    """share[t]*(within_kw[t] + over_kw[t] - export_kw[t]) + peak_margin_kw[t] <= peak_memory_kw + excess_kw.

    In kW of demand.
    """
    demand = b.given.share[t] * b.within_kw[t] + b.given.share[t] * b.over_kw[t]
    demand -= b.given.share[t] * b.export_kw[t]
    return demand + b.given.peak_margin_kw[t] <= b.given.peak_memory_kw + b.excess_kw


def _assets(b: Block) -> list[Block]:
    return [getattr(b, kind) for kind in _KINDS if hasattr(b, kind)]


def _build(kind: str, block: Block, count: int, features: Features) -> None:
    """Fill a block with the equations of a kind of asset; the one place that knows them all."""
    match kind:
        case "car":
            build_car(block, count, features)
        case "zone":
            build_zone(block, count)
        case "pv":
            build_pv(block, count)
        case "battery":
            build_battery(block, count, features)


def build_site(
    count: int,
    *,
    cars: int = 0,
    zones: int = 0,
    pv: int = 0,
    batteries: int = 0,
    features: Features | None = None,
) -> Block:
    """The model of a site with so many intervals and assets.

    ``cost = sum(within_yen*within_kw + over_yen*over_kw + export_yen*export_kw) + peak_yen*excess_kw
    + costs of all assets``
    """
    model = pyo.ConcreteModel()
    give(model, count, series=_SERIES, scalars=_SCALARS)
    model.features = features or Features()
    for kind, number in zip(_KINDS, (cars, zones, pv, batteries), strict=True):
        if number:
            model.add_component(kind, pyo.Block(range(number)))
            for k in range(number):
                _build(kind, getattr(model, kind)[k], count, model.features)
    decide(model, "within_kw", "over_kw", "export_kw")
    model.excess_kw = pyo.Var(within=pyo.NonNegativeReals)
    for name, rule in (
        ("balance", _balance),
        ("least_within", _least_within),
        ("contract", _contract),
        ("least_over", _least_over),
        ("export", _export),
        ("peak", _peak),
    ):
        model.add_component(name, pyo.Constraint(model.intervals, rule=rule))
    if model.features.whole:
        model.importing = pyo.Var(model.intervals, within=pyo.Binary)
        lazy = pyo.Block()  # needed only where the linear program would import and export at once
        model.add_component(LAZY, lazy)
        lazy.import_one_way = pyo.Constraint(model.intervals, rule=lambda _, t: _import_one_way(model, t))
        lazy.export_one_way = pyo.Constraint(model.intervals, rule=lambda _, t: _export_one_way(model, t))
    total = sum(
        model.given.within_yen_per_kw[t] * model.within_kw[t]
        + model.given.over_yen_per_kw[t] * model.over_kw[t]
        + model.given.export_yen_per_kw[t] * model.export_kw[t]
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
