"""How rooms are held without an optimiser: in the middle of the band, ready when people come."""

from __future__ import annotations

import numpy as np

from dispatch.terms import RoomTerms, room_terms
from energy.core.plan import Problem, ZoneProblem
from energy.core.series import FloatArray

__all__ = ["hold_rooms"]

_OCCUPIED_K = 8.0  # a band wider than this is one where nobody is in; bands of people span 3 to 6 K


def hold_rooms(problem: Problem, room_kw: FloatArray, *, calm_kw: FloatArray | None = None) -> FloatArray:
    """Power of all air conditioners by a thermostat that looks ahead. [kW]

    Where people are, each room is held in the middle of its band; else it may drift to the edge of the band,
    but no further than from where full power brings it back in time. Where the units together would need
    more than ``room_kw``, all are held down by the same share.

    Parameters
    ----------
    room_kw : ndarray, shape (n,)
        What the connection leaves for all units together. [kW]
    calm_kw : ndarray, shape (n,), optional
        What they should keep to where the relaxed edge of the band allows it: of what holds the middle, each
        gives the same share of what it could do without. Infinite where nothing is asked. [kW]
    """
    rooms = [room_terms(problem, zone) for zone in problem.zones]
    targets = [_targets(zone, room) for zone, room in zip(problem.zones, rooms, strict=True)]
    level = [zone.temp0_c for zone in problem.zones]
    power = np.zeros((len(rooms), problem.count))
    for t in range(problem.count):
        for k, room in enumerate(rooms):
            drift = room.decay[t] * level[k] + room.drift_c[t]
            if room.max_kw[t] > 0.0:
                power[k, t] = np.clip((targets[k][t] - drift) / room.kelvin_per_kw[t], 0.0, room.max_kw[t])
        if calm_kw is not None and power[:, t].sum() > max(0.0, calm_kw[t]):
            power[:, t] = _relaxed(problem, rooms, (t, level), power[:, t], float(calm_kw[t]))
        total = power[:, t].sum()
        if total > max(0.0, room_kw[t]):
            power[:, t] *= max(0.0, room_kw[t]) / total
        for k, room in enumerate(rooms):
            level[k] = room.decay[t] * level[k] + room.drift_c[t] + room.kelvin_per_kw[t] * power[k, t]
    return power


def _relaxed(
    problem: Problem,
    rooms: list[RoomTerms],
    now: tuple[int, list[float]],
    wanted_kw: FloatArray,
    calm_kw: float,
) -> FloatArray:
    """The powers of an interval, nearer to those that hold the relaxed edge of each band. [kW]"""
    t, level = now
    least = np.zeros(len(rooms))
    for k, (zone, room) in enumerate(zip(problem.zones, rooms, strict=True)):
        edge = zone.high_c[t] if zone.mode_sign[t] < 0 else zone.low_c[t]
        if room.max_kw[t] > 0.0:
            drift = room.decay[t] * level[k] + room.drift_c[t]
            least[k] = np.clip((edge - drift) / room.kelvin_per_kw[t], 0.0, wanted_kw[k])
    spare = float((wanted_kw - least).sum())
    share = np.clip((calm_kw - least.sum()) / spare, 0.0, 1.0) if spare > 0.0 else 1.0
    return least + share * (wanted_kw - least)


def _targets(zone: ZoneProblem, room: RoomTerms) -> FloatArray:
    """Temperature that the thermostat holds at the end of each interval. [degC]

    Backwards in time: the edge from which full power still reaches the next target, or the band's own edge.
    """
    low, high = np.asarray(zone.low_c), np.asarray(zone.high_c)
    occupied = high - low <= _OCCUPIED_K
    cools = np.asarray(zone.mode_sign) < 0
    edge = np.where(cools, high, low)
    target = np.where(occupied, (low + high) / 2.0, edge)
    for t in range(len(target) - 2, -1, -1):
        if room.max_kw[t + 1] <= 0.0:
            continue
        reach = room.drift_c[t + 1] + room.kelvin_per_kw[t + 1] * room.max_kw[t + 1]
        needed = (target[t + 1] - reach) / room.decay[t + 1]
        if not occupied[t]:
            target[t] = min(target[t], needed) if cools[t + 1] else max(target[t], needed)
    return target
