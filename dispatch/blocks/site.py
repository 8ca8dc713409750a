"""The connection point: balance, export, contract and peak; and the whole model put together."""

from __future__ import annotations

from itertools import accumulate

import pyomo.environ as pyo

from dispatch.blocks.battery import build_battery
from dispatch.blocks.car import build_car
from dispatch.blocks.columns import LAZY, Block, Term, decide, give, give_over
from dispatch.blocks.demand import build_event, build_step
from dispatch.blocks.pv import build_pv
from dispatch.blocks.zone import build_zone
from dispatch.kinds import kind_of
from dispatch.template import DEMANDS, Structure

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
    "share",  # part of its half-hour that the interval covers: 1 unless divided or begun
)
_SLOT_SERIES = (
    "peak_margin_kw",  # room for forecast errors, and what the half-hour has imported before
    "contract_kw",  # what the contract leaves of the half-hour
)
_SCALARS = ("peak_memory_kw", "peak_yen_per_kw")
_SUBMITTED = ("submitted_kw", "short_yen_per_kw", "long_yen_per_kw")


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


def _contract_of_slot(b: Block, s: int) -> Term:
    """Sum over a divided half-hour of share[t]*within_kw[t] <= contract_kw[s]. [kW]"""
    first, last = b.within[s]
    if last - first == 1:
        return pyo.Constraint.Skip  # the bound of its only interval says so
    return sum(b.given.share[t] * b.within_kw[t] for t in range(first, last)) <= b.given.contract_kw[s]


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


def _drawn_kw(b: Block, s: int) -> Term:
    """Sum over the half-hour of share[t]*(within_kw[t] + over_kw[t] - export_kw[t]). [kW]"""
    share = b.given.share
    return sum(
        share[t] * b.within_kw[t] + share[t] * b.over_kw[t] - share[t] * b.export_kw[t]
        for t in range(*b.within[s])
    )


def _peak(b: Block, s: int) -> Term:
    """drawn_kw[s] + peak_margin_kw[s] <= peak_memory_kw + excess_kw, in kW of demand."""
    return _drawn_kw(b, s) + b.given.peak_margin_kw[s] <= b.given.peak_memory_kw + b.excess_kw


def _as_submitted(b: Block, s: int) -> Term:
    """drawn_kw[s] - short_kw[s] + long_kw[s] = submitted_kw[s]. [kW]"""
    return _drawn_kw(b, s) - b.short_kw[s] + b.long_kw[s] == b.given.submitted_kw[s]


def _towards(b: Block, f: int, t: int) -> Term:
    """Sum over assets of on_feeder[f]*power_kw[t] <= towards_kw[f,t]. [kW]"""
    return _through(b, f, t) <= b.given.towards_kw[f, t]


def _away(b: Block, f: int, t: int) -> Term:
    """Sum over assets of on_feeder[f]*power_kw[t] >= -away_kw[f,t]. [kW]"""
    return _through(b, f, t) + b.given.away_kw[f, t] >= 0.0


def _through(b: Block, f: int, t: int) -> Term:
    """Power through a feeder to its assets. [kW]"""
    return sum(part.given.on_feeder[f] * part.power_kw[t] for block in _assets(b) for part in block.values())


def _assets(b: Block) -> list[Block]:
    return [getattr(b, kind) for kind in b.ports]


def _build(kind: str, block: Block, structure: Structure) -> None:
    """Fill a block with the equations of a kind of asset; the one place that knows them all."""
    count, features = structure.intervals, structure.features
    match kind:
        case "car":
            build_car(block, count, features)
        case "zone":
            build_zone(block, count, features)
        case "pv":
            build_pv(block, count)
        case "battery":
            build_battery(block, count, features)
        case other:
            kind_of(other).build(block, count)
    if structure.feeders:
        give_over(block, pyo.RangeSet(0, structure.feeders - 1), "on_feeder")


def build_site(structure: Structure) -> Block:
    """The model of a site with so many intervals and assets.

    ``cost = sum(within_yen*within_kw + over_yen*over_kw + export_yen*export_kw) + peak_yen*excess_kw
    + sum(short_yen*short_kw + long_yen*long_kw) + costs of all assets, events and prices of demand``
    """
    model = pyo.ConcreteModel()
    features = model.features = structure.features
    give(model, structure.intervals, series=_SERIES, scalars=_SCALARS)
    ends = list(accumulate(structure.parts))
    model.within = list(zip([0, *ends[:-1]], ends, strict=True))
    model.slots = pyo.RangeSet(0, len(ends) - 1)
    give_over(model, model.slots, *_SLOT_SERIES)
    decide(model, "within_kw", "over_kw", "export_kw")
    model.excess_kw = pyo.Var(within=pyo.NonNegativeReals)
    model.ports = []
    for kind, number in structure.counts.items():
        if number:
            model.add_component(kind, pyo.Block(range(number)))
            for k in range(number):
                part = getattr(model, kind)[k]
                if kind in DEMANDS:
                    _DEMANDS[kind](part, structure.intervals, model.within, lambda t: _net_kw(model, t))
                else:
                    _build(kind, part, structure)
            if kind not in DEMANDS:
                model.ports.append(kind)
    for name, rule in (
        ("balance", _balance),
        ("least_within", _least_within),
        ("contract", _contract),
        ("least_over", _least_over),
        ("export", _export),
    ):
        model.add_component(name, pyo.Constraint(model.intervals, rule=rule))
    model.contract_of_slot = pyo.Constraint(model.slots, rule=_contract_of_slot)
    model.peak = pyo.Constraint(model.slots, rule=_peak)
    if structure.feeders:
        pairs = [(f, t) for f in range(structure.feeders) for t in model.intervals]
        give_over(model, pairs, "towards_kw", "away_kw")
        model.towards = pyo.Constraint(pairs, rule=_towards)
        model.away = pyo.Constraint(pairs, rule=_away)
    if features.whole:
        model.importing = pyo.Var(model.intervals, within=pyo.Binary)
        lazy = pyo.Block()  # needed only where the linear program would import and export at once
        model.add_component(LAZY, lazy)
        lazy.import_one_way = pyo.Constraint(model.intervals, rule=lambda _, t: _import_one_way(model, t))
        lazy.export_one_way = pyo.Constraint(model.intervals, rule=lambda _, t: _export_one_way(model, t))
    model.objective = pyo.Objective(expr=_cost(model))
    return model


def _cost(model: Block) -> Term:
    """Cost of the connection and of everything on it; see :func:`build_site`."""
    given = model.given
    total = sum(
        given.within_yen_per_kw[t] * model.within_kw[t]
        + given.over_yen_per_kw[t] * model.over_kw[t]
        + given.export_yen_per_kw[t] * model.export_kw[t]
        for t in model.intervals
    )
    total += given.peak_yen_per_kw * model.excess_kw
    if model.features.submitted:
        give_over(model, model.slots, *_SUBMITTED)
        model.short_kw = pyo.Var(model.slots, within=pyo.NonNegativeReals)
        model.long_kw = pyo.Var(model.slots, within=pyo.NonNegativeReals)
        model.as_submitted = pyo.Constraint(model.slots, rule=_as_submitted)
        total += sum(
            given.short_yen_per_kw[s] * model.short_kw[s] + given.long_yen_per_kw[s] * model.long_kw[s]
            for s in model.slots
        )
    for block in [*_assets(model), *(getattr(model, kind) for kind in DEMANDS if hasattr(model, kind))]:
        for part in block.values():
            total += sum(getattr(part, name) for name in ("cost", "promise_cost") if hasattr(part, name))
    return total


_DEMANDS = {"event": build_event, "step": build_step}
