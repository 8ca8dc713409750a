"""Which soft limits a schedule misses, by name and amount; and what a schedule costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from dispatch.agreed import agreed_yen, recovery_limit_kw
from dispatch.kinds import kind_of
from dispatch.schedule import Schedule, import_kw, room_path, soc_path
from dispatch.terms import (
    by_slot,
    demand_kw,
    energy_yen,
    hours,
    is_steady,
    least_net_kw,
    peak_margin_kw,
    planned_range_kw,
    promised_kwh,
    ready_bands,
    ready_kwh,
    refill_yen_per_kwh,
    share_of_slot,
    slack_prices,
    storages,
)
from energy.core.plan import CarProblem, Problem, Shortfall, StorageProblem, ZoneProblem
from energy.core.series import FloatArray
from energy.core.units import AssetId

__all__ = ["CONNECTION", "Expected", "expect", "objective_yen", "shortfalls"]

CONNECTION = AssetId("site")  # as meters name the connection point
_NOTICED = 1e-3  # a watt-hour, a watt, a thousandth of a degree: what no person would call missing


@dataclass(frozen=True, slots=True)
class Expected:
    """What a schedule leads to.

    Parameters
    ----------
    import_kw, demand_kw : ndarray
        At the connection point, medians; per interval and per half-hour. [kW]
    soc_kwh : dict
        Energy stored at the end of each interval, by car and battery. [kWh]
    room_c : dict
        Temperature at the end of each interval, by zone. [degC]
    other, missing_kwh : dict
        Of assets of kinds from outside: state at the end of each interval, and what they do not give. [kWh]
    """

    import_kw: FloatArray
    demand_kw: FloatArray
    soc_kwh: dict[AssetId, FloatArray]
    room_c: dict[AssetId, FloatArray]
    other: dict[AssetId, FloatArray]
    missing_kwh: dict[AssetId, FloatArray]


def expect(problem: Problem, schedule: Schedule) -> Expected:
    """Play a schedule through the physics."""
    imported = import_kw(problem, schedule)
    powered = zip(storages(problem), (*schedule.car_kw, *schedule.battery_kw), strict=True)
    zones = zip(problem.zones, schedule.hvac_kw, strict=True)
    added = list(zip(problem.others, schedule.other_kw, strict=True))
    return Expected(
        import_kw=imported,
        demand_kw=demand_kw(problem, imported),
        soc_kwh={storage.id: soc_path(problem, storage, power) for storage, power in powered},
        room_c={zone.id: room_path(problem, zone, power) for zone, power in zones},
        other={other.id: kind_of(other.kind).state(problem, other, power) for other, power in added},
        missing_kwh={
            other.id: kind_of(other.kind).missing_kwh(problem, other, power) for other, power in added
        },
    )


def shortfalls(problem: Problem, expected: Expected) -> tuple[Shortfall, ...]:
    """Everything soft that is missed: one entry per departure, and one per stretch at its worst interval."""
    found: list[Shortfall] = []
    for car in problem.cars:
        soc = expected.soc_kwh[car.id]
        for promise in car.promises:
            stored = float(soc[promise.index - 1]) if promise.index > 0 else car.soc0_kwh
            if promise.soc_kwh - stored > _NOTICED:
                found.append(_missing(car.id, "departure", promise.index, promise.soc_kwh - stored))
        found += _stretches(car.id, "floor", car.floor_kwh - soc)
    for battery in problem.batteries:
        found += _stretches(battery.id, "floor", battery.reserve_kwh - expected.soc_kwh[battery.id])
    for zone in problem.zones:
        room = expected.room_c[zone.id]
        outside = np.maximum(np.asarray(zone.low_c) - room, room - np.asarray(zone.high_c))
        found += _stretches(zone.id, "comfort", outside)
    for other in problem.others:
        found += _stretches(other.id, "supply", expected.missing_kwh[other.id])
    found += _of_slots(problem, "contract", expected.demand_kw - problem.limits.contract_kw)
    for event in problem.events:
        found += _of_slots(problem, "recovery", expected.demand_kw - recovery_limit_kw(problem, event))
    for step in problem.limits.steps:
        if step.target:
            counts = np.full(problem.grid.count, -np.inf)
            counts[step.first : step.last] = expected.demand_kw[step.first : step.last] - step.level_kw
            found += _of_slots(problem, "target", counts)
    found += _stretches(CONNECTION, "export", least_net_kw(problem) - expected.import_kw)
    return tuple(found)


def _of_slots(problem: Problem, kind: str, missing: FloatArray) -> list[Shortfall]:
    """Stretches of half-hours of the connection; the index is that of their first interval."""
    found = _stretches(CONNECTION, kind, missing)
    return [replace(short, index=problem.first_of(short.index)) for short in found]


def _missing(asset: AssetId, kind: str, index: int, amount: float) -> Shortfall:
    return Shortfall(asset=asset, kind=kind, index=index, amount=round(float(amount), 4))


def _stretches(asset: AssetId, kind: str, missing: FloatArray) -> list[Shortfall]:
    bad = np.flatnonzero(missing > _NOTICED)
    if not bad.size:
        return []
    parts = np.split(bad, np.flatnonzero(np.diff(bad) > 1) + 1)
    worst = [int(part[np.argmax(missing[part])]) for part in parts]
    return [_missing(asset, kind, index, missing[index]) for index in worst]


def objective_yen(
    problem: Problem, schedule: Schedule, *, peak_quantile_share: float, expected: Expected | None = None
) -> float:
    """What the planner minimises, for any schedule: money, wear, discomfort and slack prices. [yen]

    Equal to the objective of the compiled model, except for its tie-breaks.

    Parameters
    ----------
    expected : Expected, optional
        What the schedule leads to, for who knows it already (:func:`expect`).
    """
    expected = expected or expect(problem, schedule)
    length, prices = hours(problem), slack_prices(problem)
    limits = problem.limits
    guarded = expected.demand_kw + peak_margin_kw(problem, peak_quantile_share)
    planned = by_slot(problem, share_of_slot(problem) * expected.import_kw)
    counted = guarded[: limits.memory_until]
    excess = max(0.0, float(np.max(counted, initial=0.0)) - limits.peak_memory_kw)
    total = float(np.sum(energy_yen(problem, expected.import_kw)))
    total += limits.peak_yen_per_kw * excess + agreed_yen(problem, expected.import_kw, guarded)
    left = np.maximum(
        0.0, limits.contract_kw - (guarded - planned)
    )  # none where room for errors takes it all
    total += prices.contract_yen_per_kw * float(np.sum(np.maximum(0.0, planned - left)))
    for car, power in zip(problem.cars, schedule.car_kw, strict=True):
        soc = expected.soc_kwh[car.id]
        total += _storage_yen(problem, car, power, soc)
        reward = np.asarray(car.discharge_value_yen_per_kwh)
        paid_back = np.where(power < 0.0, reward, np.maximum(reward, 0.0))  # see dispatch.fill on the net
        total += float(np.sum(length * paid_back * power))
        lacking = float(np.sum(np.maximum(0.0, promised_kwh(car) - soc)))
        total += prices.departure_yen_per_kwh * lacking
        total += prices.road_yen_per_kwh * _road_kwh(problem, car, power, soc)
    for battery, power in zip(problem.batteries, schedule.battery_kw, strict=True):
        total += _storage_yen(problem, battery, power, expected.soc_kwh[battery.id])
    for zone in problem.zones:
        room = expected.room_c[zone.id]
        outside = np.maximum(np.asarray(zone.low_c) - room, room - np.asarray(zone.high_c))
        discomfort = float(np.sum(length * np.maximum(0.0, outside)))
        total += problem.discomfort_yen_per_degc_h * discomfort
        total += zone.ready_yen_per_degc_h * _used_up_kelvin_h(problem, zone, room)
    for other, power in zip(problem.others, schedule.other_kw, strict=True):
        total += kind_of(other.kind).yen(problem, other, power)
    return total + _change_yen(problem, schedule)


def _change_yen(problem: Problem, schedule: Schedule) -> float:
    """What leaving the plan in force costs. [yen]"""
    if not is_steady(problem):
        return 0.0
    length, moved = hours(problem), 0.0
    assets = (*storages(problem), *problem.zones)
    powers = (*schedule.car_kw, *schedule.battery_kw, *schedule.hvac_kw)
    for asset, power in zip(assets, powers, strict=True):
        least, most = planned_range_kw(problem, asset)
        moved += float(np.sum(length * (np.maximum(0.0, power - most) + np.maximum(0.0, least - power))))
    return problem.change_yen_per_kwh * moved


def _used_up_kelvin_h(problem: Problem, zone: ZoneProblem, room_c: FloatArray) -> float:
    """How much of the distance kept from the band's edges a room's path uses up. [K h]"""
    above_low, below_high = ready_bands(problem, zone)
    cold = np.clip(np.asarray(zone.low_c) + above_low - room_c, 0.0, above_low)
    hot = np.clip(room_c - np.asarray(zone.high_c) + below_high, 0.0, below_high)
    return float(np.sum(hours(problem) * (cold + hot)))


def _storage_yen(
    problem: Problem, storage: CarProblem | StorageProblem, power_kw: FloatArray, soc_kwh: FloatArray
) -> float:
    """Wear, missing floor, and what the horizon took from the battery."""
    length = hours(problem)
    floor = storage.floor_kwh if isinstance(storage, CarProblem) else storage.reserve_kwh
    below = float(np.sum(length * np.maximum(0.0, floor - soc_kwh)))
    worn = float(np.sum(length * np.maximum(0.0, -power_kw)))
    keep = min(storage.soc0_kwh, storage.ceiling_kwh) if isinstance(storage, CarProblem) else storage.soc0_kwh
    lost = max(0.0, keep - float(soc_kwh[-1]))
    refill = refill_yen_per_kwh(problem, storage.charge_efficiency)
    yen = storage.wear_yen_per_kwh * worn + slack_prices(problem).floor_yen_per_kwh_h * below + refill * lost
    if isinstance(storage, CarProblem):
        missing = np.maximum(0.0, ready_kwh(storage) - soc_kwh)
        yen += storage.ready_yen_per_kwh_h * float(np.sum(length * missing))
    return yen


def _road_kwh(problem: Problem, car: CarProblem, power_kw: FloatArray, soc_kwh: FloatArray) -> float:
    """Energy that a car had to take on the road: what the path holds beyond its own inputs. [kWh]"""
    gains = np.where(power_kw > 0.0, power_kw * car.charge_efficiency, power_kw / car.discharge_efficiency)
    bought = float(np.sum(hours(problem) * gains)) - float(np.sum(car.drive_kwh))
    return max(0.0, float(soc_kwh[-1]) - car.soc0_kwh - bought)
