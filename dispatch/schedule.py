"""Powers of all assets over the horizon, what they lead to, and how they are made to keep the hard limits.

Optimiser, shifted plan and rules all end in a :class:`Schedule`; :func:`settle` then plays it forward through
the physics and trims whatever a hard limit forbids, so that every plan is possible, wherever it came from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.cables import Cables
from dispatch.kinds import kind_of
from dispatch.terms import Storage, available_kw, ceiling_kwh, hours, least_net_kw, room_terms, storages
from dispatch.units import snap_kw
from energy.core.plan import CarProblem, Problem, ZoneProblem
from energy.core.series import FloatArray

__all__ = ["Schedule", "curtailed_kw", "import_kw", "room_path", "settle", "soc_path"]

_KW = 1e-6  # what rounding may take off a power


@dataclass(frozen=True, slots=True)
class Schedule:
    """Powers by kind of asset, each of shape (assets, intervals). [kW]

    Parameters
    ----------
    car_kw, battery_kw : ndarray
        Positive when charging.
    hvac_kw, pv_kw : ndarray
        Electric power of the air conditioners and used power of the arrays, >= 0.
    other_kw : ndarray
        Power of assets of kinds from outside, >= 0, in the order of the problem.
    """

    car_kw: FloatArray
    hvac_kw: FloatArray
    pv_kw: FloatArray
    battery_kw: FloatArray
    other_kw: FloatArray

    @classmethod
    def idle(cls, problem: Problem) -> Schedule:
        """Nothing runs, the sun is used fully."""
        n = problem.count
        return cls(
            car_kw=np.zeros((len(problem.cars), n)),
            hvac_kw=np.zeros((len(problem.zones), n)),
            pv_kw=np.array([array.p50_kw for array in problem.pv], dtype=float).reshape(-1, n),
            battery_kw=np.zeros((len(problem.batteries), n)),
            other_kw=np.zeros((len(problem.others), n)),
        )


def import_kw(problem: Problem, schedule: Schedule) -> FloatArray:
    """Import at the connection point, from the balance. [kW]"""
    flexible = schedule.car_kw.sum(axis=0) + schedule.hvac_kw.sum(axis=0) + schedule.battery_kw.sum(axis=0)
    flexible = flexible + schedule.other_kw.sum(axis=0)
    total: FloatArray = np.asarray(problem.load_p50_kw) + flexible - schedule.pv_kw.sum(axis=0)
    return total


def soc_path(problem: Problem, storage: Storage, power_kw: FloatArray) -> FloatArray:
    """Energy stored at the end of each interval. [kWh]

    ``s[t] = s[t-1] + h*(eta_c*max(p, 0) + min(p, 0)/eta_d) - drive[t]``; a car that would run empty while
    driving takes what it lacks on the road and arrives empty.
    """
    gains = np.where(
        power_kw > 0.0, power_kw * storage.charge_efficiency, power_kw / storage.discharge_efficiency
    )
    steps = hours(problem) * gains
    if isinstance(storage, CarProblem):
        steps = steps - np.asarray(storage.drive_kwh)
    path = storage.soc0_kwh + np.cumsum(steps)
    if path.size and path.min() < 0.0:
        level = storage.soc0_kwh
        for t, step in enumerate(steps):
            level = max(0.0, level + step)
            path[t] = level
    return path


def room_path(problem: Problem, zone: ZoneProblem, power_kw: FloatArray) -> FloatArray:
    """Room temperature at the end of each interval. [degC]"""
    room = room_terms(problem, zone)
    inputs = (room.drift_c + room.kelvin_per_kw * power_kw).tolist()
    path = np.empty(len(inputs))
    temperature = zone.temp0_c
    for t, (decay, step) in enumerate(zip(room.decay.tolist(), inputs, strict=True)):
        temperature = decay * temperature + step
        path[t] = temperature
    return path


class _Limits:
    """Hard limits of one storage, as plain lists for the walk through time."""

    def __init__(self, problem: Problem, storage: Storage) -> None:
        n = problem.count
        self.soc = storage.soc0_kwh
        self.eta_c, self.eta_d = storage.charge_efficiency, storage.discharge_efficiency
        if isinstance(storage, CarProblem):
            self.floor, self.least = storage.floor_kwh, storage.min_power_kw
            self.ceiling: list[float] = ceiling_kwh(storage).tolist()
            self.drive = list(storage.drive_kwh)
            self.charge = [storage.max_charge_kw if here else 0.0 for here in storage.plugged]
            gives = zip(storage.plugged, storage.may_discharge, strict=True)
            self.discharge = [storage.max_discharge_kw if here and may else 0.0 for here, may in gives]
        else:
            self.floor, self.least = storage.reserve_kwh, 0.0
            self.ceiling, self.drive = [storage.capacity_kwh] * n, [0.0] * n
            self.charge, self.discharge = [storage.max_charge_kw] * n, [storage.max_discharge_kw] * n

    def trim(self, t: int, power_kw: float, h: float) -> float:
        """The part of a power that interval ``t`` can take or give; none below the least power. [kW]"""
        if h <= 0.0:
            return 0.0
        if power_kw >= 0.0:
            room = max(0.0, self.ceiling[t] + self.drive[t] - self.soc) / (h * self.eta_c)
            power_kw = min(power_kw, self.charge[t], room)
        else:
            spare = max(0.0, self.soc - self.drive[t] - self.floor) * self.eta_d / h
            power_kw = max(power_kw, -self.discharge[t], -spare)
        return power_kw if abs(power_kw) >= self.least - _KW else 0.0

    def move(self, t: int, power_kw: float, h: float) -> None:
        """Step to the end of interval ``t``."""
        gain = power_kw * self.eta_c if power_kw > 0.0 else power_kw / self.eta_d
        self.soc = max(0.0, self.soc + h * gain - self.drive[t])


def settle(problem: Problem, schedule: Schedule) -> Schedule:
    """The schedule trimmed to hard limits: chargers, floors, ceilings, units, feeders, the sun, no export.

    Where the import would fall below the no-export margin, or more be exported than may be, first the sun is
    curtailed, then less is given back. Contract, promises and comfort are not looked at: they are soft and
    show up as shortfalls.
    """
    hvac, others = _units(problem, schedule.hvac_kw), _others(problem, schedule.other_kw)
    suns = np.array([array.p50_kw for array in problem.pv]).reshape(schedule.pv_kw.shape)
    fixed = np.array([not array.curtailable for array in problem.pv], dtype=bool)[:, None]
    pv = np.clip(schedule.pv_kw, np.where(fixed, suns, 0.0), suns)
    cables = Cables(problem)
    limits = [_Limits(problem, storage) for storage in storages(problem)]
    wanted = np.vstack([schedule.car_kw, schedule.battery_kw])
    wanted, hvac, others, pv = cables.fit(wanted, hvac, others, pv)
    if problem.feeders:
        hvac, others = _units(problem, hvac), _others(problem, others)
    settled = np.zeros_like(wanted)
    load = np.asarray(problem.load_p50_kw) + hvac.sum(axis=0) + others.sum(axis=0)
    least, length, base = least_net_kw(problem).tolist(), hours(problem).tolist(), load.tolist()
    sun = pv.sum(axis=0).tolist()
    for t, row in enumerate(wanted.T.tolist()):
        powers = [storage.trim(t, power, length[t]) for storage, power in zip(limits, row, strict=True)]
        missing = least[t] - (base[t] + sum(powers) - sun[t])
        if missing > 0.0 and pv.size:
            used = pv[~fixed[:, 0], t].sum()
            pv[~fixed[:, 0], t] *= max(0.0, 1.0 - missing / used) if used > 0.0 else 0.0
            missing -= used
        given = -sum(power for power in powers if power < 0.0)
        if missing > 0.0 and given > 0.0:
            kept = max(0.0, 1.0 - missing / given)
            powers = [
                storage.trim(t, power * kept, length[t]) if power < 0.0 else power
                for storage, power in zip(limits, powers, strict=True)
            ]
        for k, (storage, power) in enumerate(zip(limits, powers, strict=True)):
            storage.move(t, power, length[t])
            settled[k, t] = power
    cars = len(problem.cars)
    return Schedule(car_kw=settled[:cars], hvac_kw=hvac, pv_kw=pv, battery_kw=settled[cars:], other_kw=others)


def _units(problem: Problem, wanted_kw: FloatArray) -> FloatArray:
    """Powers at which the air conditioners can run. [kW]"""
    hvac = wanted_kw.copy()
    for k, zone in enumerate(problem.zones):
        room = room_terms(problem, zone)
        hvac[k] = snap_kw(problem, zone, np.clip(wanted_kw[k], room.least_kw, room.max_kw))
    return hvac


def _others(problem: Problem, wanted_kw: FloatArray) -> FloatArray:
    """Powers that assets of kinds from outside can take. [kW]"""
    kept = wanted_kw.copy()
    for k, other in enumerate(problem.others):
        kept[k] = kind_of(other.kind).trim(problem, other, wanted_kw[k])
    return kept


def curtailed_kw(problem: Problem, schedule: Schedule) -> FloatArray:
    """Sun that is not used. [kW]"""
    curtailed: FloatArray = np.maximum(0.0, available_kw(problem) - schedule.pv_kw.sum(axis=0))
    return curtailed
