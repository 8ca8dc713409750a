"""How one car is charged and gives back without an optimiser: promises first, valleys, tight hours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dispatch.terms import ceiling_kwh, hours, least_import_kw, promised_kwh
from energy.core.plan import CarProblem, Problem
from energy.core.series import FloatArray

__all__ = ["charge_and_give", "fill_valley"]

_KW_PER_YEN = 5.0  # a kWh that is one yen dearer is avoided like a load that is 5 kW higher
_HALVINGS = 60


def charge_and_give(
    problem: Problem, car: CarProblem, net_kw: FloatArray, *, peak_kw: FloatArray, contract_kw: FloatArray
) -> FloatArray:
    """Power of one car, beside a site that already imports ``net_kw``. [kW]

    1. Backwards: the least energy at the end of each interval from which every promise is still met.
    2. Forwards: in tight hours the car gives what it has above that and above its floor, evenly over the rest
       of the event, never more than the site takes.
    3. For each stay the missing energy is charged into the valleys of price and load, first below the peak,
       then, if that is not enough, below the contract.
    """
    room = np.where(car.plugged, np.clip(peak_kw - net_kw, 0.0, car.max_charge_kw), 0.0)
    calm = np.where(problem.tight, 0.0, room)
    needed = _needed_kwh(problem, car, calm)
    power = _give(problem, car, net_kw, needed)
    for first, last in _stays(car.plugged):
        _charge_stay(problem, car, power, net_kw, (first, last), peak_kw=peak_kw, contract_kw=contract_kw)
    return power


def _needed_kwh(problem: Problem, car: CarProblem, charge_kw: FloatArray) -> FloatArray:
    """Least energy at the end of each interval that keeps all later promises within reach. [kWh]"""
    gain = hours(problem) * car.charge_efficiency * charge_kw
    promised, ceiling = promised_kwh(car), ceiling_kwh(car)
    needed = np.zeros(problem.count)
    ahead = 0.0
    for t in range(problem.count - 1, -1, -1):
        needed[t] = min(ceiling[t], max(promised[t], ahead))
        ahead = max(0.0, needed[t] + car.drive_kwh[t] - gain[t])
    return needed


def _give(problem: Problem, car: CarProblem, net_kw: FloatArray, needed_kwh: FloatArray) -> FloatArray:
    """What the car gives back in tight hours, negative. [kW]"""
    length, least = hours(problem), least_import_kw(problem)
    gives = np.asarray(problem.tight) & np.asarray(car.plugged) & np.asarray(car.may_discharge)
    power, soc = np.zeros(problem.count), car.soc0_kwh
    for t in range(problem.count):
        if gives[t]:
            last = t
            while last + 1 < len(gives) and gives[last + 1]:
                last += 1
            keep = max(car.floor_kwh, float(needed_kwh[last]))
            spare = max(0.0, soc - keep) * car.discharge_efficiency / float(length[t : last + 1].sum())
            power[t] = -min(spare, car.max_discharge_kw, max(0.0, net_kw[t] - least[t]))
        soc = max(0.0, soc + length[t] * power[t] / car.discharge_efficiency - car.drive_kwh[t])
        if car.drive_kwh[t] > 0.0:
            soc = max(soc, float(needed_kwh[t]))  # what the charging before it sees to
    return power


def _stays(plugged: tuple[bool, ...]) -> list[tuple[int, int]]:
    """Stretches ``[first, last]`` in which the car is plugged."""
    found, first = [], None
    for t, here in enumerate((*plugged, False)):
        if here and first is None:
            first = t
        elif not here and first is not None:
            found.append((first, t - 1))
            first = None
    return found


def _charge_stay(
    problem: Problem,
    car: CarProblem,
    power: FloatArray,
    net_kw: FloatArray,
    stay: tuple[int, int],
    *,
    peak_kw: FloatArray,
    contract_kw: FloatArray,
) -> None:
    """Charge what this stay owes to its own departure, to later ones and to the floor; changes ``power``."""
    first, last = stay
    length = hours(problem)
    promised, ceiling = promised_kwh(car), ceiling_kwh(car)
    for limit in (peak_kw, contract_kw):
        room = np.where(car.plugged, np.clip(limit - net_kw, 0.0, car.max_charge_kw), 0.0)
        needed = _needed_kwh(problem, car, np.where(problem.tight, 0.0, room))
        for due in [*(t for t in range(first, last) if promised[t] > 0.0), last]:
            soc = _level(problem, car, power, due)
            goal = min(float(ceiling[due]), max(float(needed[due]), car.floor_kwh))
            if goal - soc < 1e-6:
                continue
            given = [t for t in range(first, due + 1) if power[t] < 0.0]
            begin = given[-1] + 1 if given else first
            at = np.arange(begin, due + 1)
            if not at.size:
                continue
            free = room[at] - np.maximum(power[at], 0.0)
            weight = net_kw[at] + power[at] + _KW_PER_YEN * np.asarray(problem.price_yen_per_kwh)[at]
            weight = weight + np.where(np.asarray(problem.tight)[at], 1e3, 0.0)
            share = length[at] * car.charge_efficiency
            power[at] += fill_valley(weight, np.maximum(free, 0.0), share, goal - soc)


def _level(problem: Problem, car: CarProblem, power: FloatArray, t: int) -> float:
    soc, length = car.soc0_kwh, hours(problem)
    for u in range(t + 1):
        gain = power[u] * car.charge_efficiency if power[u] > 0.0 else power[u] / car.discharge_efficiency
        soc = max(0.0, soc + length[u] * gain - car.drive_kwh[u])
    return soc


def fill_valley(
    level_kw: FloatArray, limit_kw: FloatArray, kwh_per_kw: FloatArray, energy_kwh: float
) -> NDArray[np.float64]:
    """Power that pours an energy into the valleys of a level, like water, within limits. [kW]

    ``power = clip(L - level, 0, limit)`` with the water level ``L`` at which the energy is reached; all
    limits if the valleys cannot hold it.

    Examples
    --------
    >>> fill_valley(np.array([0.0, 4.0, 9.0]), np.full(3, 10.0), np.ones(3), 6.0)
    array([5., 1., 0.])
    """
    if float(np.sum(limit_kw * kwh_per_kw)) <= energy_kwh:
        return limit_kw.copy()
    low, high = float(level_kw.min()), float((level_kw + limit_kw).max())
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        poured = float(np.sum(np.clip(middle - level_kw, 0.0, limit_kw) * kwh_per_kw))
        low, high = (middle, high) if poured < energy_kwh else (low, middle)
    power: NDArray[np.float64] = np.clip(high - level_kw, 0.0, limit_kw)
    return np.round(power, 9)
