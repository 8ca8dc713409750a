"""Plans without an optimiser: the fallback that always answers, and what a site does with no plan at all.

Both come out of the same physics and checks as an optimal plan. :func:`rules_plan` fills valleys, gives back
in tight hours what the next departure can spare, and holds the rooms inside their bands;
:func:`charge_on_arrival_plan` is the site as it was before: cars charge at full power when they are plugged.
"""

from __future__ import annotations

import numpy as np

from dispatch.agreed import called_as_tight, calm_kw
from dispatch.assemble import Origin, assemble
from dispatch.carrules import charge_and_give
from dispatch.kinds import kind_of
from dispatch.roomrules import hold_rooms
from dispatch.schedule import Schedule, settle
from dispatch.terms import available_kw, hours, least_import_kw, rise_kw
from dispatch.validate import require_sound
from energy.core.plan import Plan, PlanSource, Problem, StorageProblem
from energy.core.series import FloatArray

__all__ = ["charge_on_arrival_plan", "rules_plan", "rules_schedule"]

_SHARE = 0.9  # as much room for forecast errors below the peak as the optimiser leaves by default


def rules_plan(problem: Problem, *, peak_quantile_share: float = _SHARE, note: str = "") -> Plan:
    """Plan by rules of thumb, in milliseconds and without a solver.

    Raises
    ------
    DataError
        If no plan can be made for the problem.
    """
    require_sound(problem)
    origin = Origin(source=PlanSource.RULES, peak_quantile_share=peak_quantile_share, note=note)
    return assemble(problem, rules_schedule(problem, peak_quantile_share=peak_quantile_share), origin)


def charge_on_arrival_plan(problem: Problem) -> Plan:
    """What happens when nobody plans: cars charge at full power on arrival, nothing is given back.

    The rooms are held as by rules; nobody looks at the peak or at the contract.

    Raises
    ------
    DataError
        If no plan can be made for the problem.
    """
    require_sound(problem)
    idle = Schedule.idle(problem)
    limits = [np.where(car.plugged, car.max_charge_kw, 0.0) for car in problem.cars]
    full = Schedule(
        car_kw=np.array(limits).reshape(idle.car_kw.shape),
        hvac_kw=hold_rooms(problem, np.full(problem.count, np.inf)),
        pv_kw=idle.pv_kw,
        battery_kw=idle.battery_kw,
        other_kw=_wishes(problem),
    )
    origin = Origin(source=PlanSource.RULES, peak_quantile_share=0.0, note="charge on arrival")
    return assemble(problem, settle(problem, full), origin)


def rules_schedule(problem: Problem, *, peak_quantile_share: float = _SHARE) -> Schedule:
    """Powers by rules of thumb: rooms first, then batteries, then cars in order of their departures.

    The hours of an event are served like tight ones, with rooms at the relaxed edge of their bands. In its
    window no more is drawn than without it, after it no more than was agreed, but for promises.
    """
    calm = calm_kw(problem)
    problem = called_as_tight(problem)
    limits, margin = problem.limits, rise_kw(problem, peak_quantile_share)
    others = _wishes(problem)
    rest = np.asarray(problem.load_p50_kw) - available_kw(problem) + others.sum(axis=0)
    contract = limits.contract_kw - margin
    hvac = hold_rooms(problem, contract - rest, calm_kw=calm - rest)
    net = rest + hvac.sum(axis=0)
    paid = np.minimum(np.minimum(contract, limits.peak_memory_kw - margin), _after(problem, calm))
    battery = []
    for storage in problem.batteries:
        battery.append(_battery(problem, storage, net, paid))
        net = net + battery[-1]
    peak = np.minimum(contract, max(limits.peak_memory_kw, float(np.max(net + margin))) - margin)
    peak = np.minimum(peak, _after(problem, calm))
    cars: dict[int, FloatArray] = {}
    for k in sorted(range(len(problem.cars)), key=lambda k: _first_departure(problem, k)):
        cars[k] = charge_and_give(problem, problem.cars[k], net, peak_kw=peak, contract_kw=contract)
        net = net + cars[k]
    idle = Schedule.idle(problem)
    wanted = Schedule(
        car_kw=np.array([cars[k] for k in range(len(problem.cars))]).reshape(idle.car_kw.shape),
        hvac_kw=hvac,
        pv_kw=idle.pv_kw,
        battery_kw=np.array(battery).reshape(idle.battery_kw.shape),
        other_kw=others,
    )
    return settle(problem, wanted)


def _after(problem: Problem, calm: FloatArray) -> FloatArray:
    """What was agreed for the hours around an event; in it, the hours themselves say what to do. [kW]"""
    return np.where(problem.tight, np.inf, calm)


def _wishes(problem: Problem) -> FloatArray:
    """What assets of kinds from outside take when nobody plans. [kW]"""
    wanted = Schedule.idle(problem).other_kw
    for k, other in enumerate(problem.others):
        kind = kind_of(other.kind)
        wanted[k] = kind.trim(problem, other, kind.wish(problem, other))
    return wanted


def _first_departure(problem: Problem, k: int) -> tuple[int, int]:
    return min((promise.index for promise in problem.cars[k].promises), default=problem.count + 1), k


def _battery(
    problem: Problem, storage: StorageProblem, net_kw: FloatArray, peak_kw: FloatArray
) -> FloatArray:
    """Take the sun that would be wasted, give in tight hours and above the peak, refill below it. [kW]"""
    length, soc = hours(problem), storage.soc0_kwh
    least = least_import_kw(problem)
    power = np.zeros(problem.count)
    for t in range(problem.count):
        room = (storage.capacity_kwh - soc) / (length[t] * storage.charge_efficiency)
        spare = max(0.0, soc - storage.reserve_kwh) * storage.discharge_efficiency / length[t]
        surplus = least[t] - net_kw[t]
        over = net_kw[t] - peak_kw[t]
        if surplus > 0.0:
            power[t] = min(surplus, room, storage.max_charge_kw)
        elif over > 0.0:
            power[t] = -min(over, spare, storage.max_discharge_kw)
        elif problem.tight[t]:
            power[t] = -min(-surplus, spare, storage.max_discharge_kw)
        elif soc < storage.soc0_kwh:
            lacking = (storage.soc0_kwh - soc) / (length[t] * storage.charge_efficiency)
            power[t] = min(-over, lacking, room, storage.max_charge_kw)
        gain = storage.charge_efficiency if power[t] > 0.0 else 1.0 / storage.discharge_efficiency
        soc += length[t] * gain * power[t]
    return power
