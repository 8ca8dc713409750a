"""What the equations need of a problem, as arrays: lengths, room coefficients, limits, slack prices."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from energy.core.plan import CarProblem, Problem, PvProblem, StorageProblem, ZoneProblem
from energy.core.plan_parts import OtherAsset
from energy.core.series import FloatArray

__all__ = [
    "Asset",
    "RoomTerms",
    "SlackPrices",
    "Storage",
    "assets",
    "available_kw",
    "by_slot",
    "ceiling_kwh",
    "demand_fall_kw",
    "demand_kw",
    "drop_kwh",
    "energy_yen",
    "hours",
    "is_steady",
    "lateness_of",
    "least_import_kw",
    "least_net_kw",
    "most_export_kw",
    "others_by_kind",
    "peak_margin_kw",
    "planned_range_kw",
    "promised_kwh",
    "ready_bands",
    "ready_kwh",
    "refill_yen_per_kwh",
    "rise_kw",
    "room_terms",
    "share_of_slot",
    "slack_prices",
    "slots_of",
    "storages",
    "unstoppable_kw",
]


Storage = CarProblem | StorageProblem
Asset = CarProblem | ZoneProblem | PvProblem | StorageProblem | OtherAsset
# Above 0, and less than what any two prices of a tariff differ by. [-]
_BRING_BACK = 0.02
IntArray = NDArray[np.int64]


def assets(problem: Problem) -> list[Asset]:
    """All controllable assets, in the order of their setpoints."""
    return [*problem.cars, *problem.zones, *problem.pv, *problem.batteries, *problem.others]


def storages(problem: Problem) -> list[Storage]:
    """Cars, then batteries."""
    return [*problem.cars, *problem.batteries]


def others_by_kind(problem: Problem) -> dict[str, list[OtherAsset]]:
    """Assets of kinds from outside, by kind in the order of their names."""
    groups: dict[str, list[OtherAsset]] = {}
    for other in sorted(problem.others, key=lambda one: one.kind):
        groups.setdefault(other.kind, []).append(other)
    return groups


def is_steady(problem: Problem) -> bool:
    """Whether leaving a plan in force has a price."""
    parts: list[Storage | ZoneProblem] = [*problem.cars, *problem.zones, *problem.batteries]
    return problem.change_yen_per_kwh > 0.0 and any(part.planned_kw for part in parts)


def planned_range_kw(problem: Problem, asset: Storage | ZoneProblem) -> tuple[FloatArray, FloatArray]:
    """Powers between which an asset stays with the plan in force: the planned one, or any where none is."""
    n = problem.count
    if isinstance(asset, ZoneProblem):
        least, most = np.zeros(n), np.full(n, asset.max_electric_kw)
    else:
        least, most = np.full(n, -asset.max_discharge_kw), np.full(n, asset.max_charge_kw)
    known = len(asset.planned_kw)
    planned = np.clip(asset.planned_kw, least[:known], most[:known])
    least[:known] = most[:known] = planned
    return least, most


def lateness_of(problem: Problem) -> FloatArray:
    """How far into the horizon each interval begins. [-]"""
    length = hours(problem)
    late: FloatArray = (np.cumsum(length) - length) / float(length.sum())
    return late


def share_of_slot(problem: Problem) -> FloatArray:
    """Part of its half-hour that each interval covers; together 1, less in one that has begun. [-]

    A plan is made inside its first slot if it brings what the slot has imported so far
    (``limits.demand_so_far_kwh > 0``); powers of its intervals then hold from ``made_at`` on.
    """
    parts = problem.parts
    share = np.repeat(1.0 / np.asarray(parts), parts) if problem.divisions else np.ones(len(parts))
    if problem.limits.demand_so_far_kwh > 0.0:
        share[: parts[0]] *= 1.0 - (problem.made_at - problem.grid.start) / problem.grid.step
    return share


def slots_of(problem: Problem) -> IntArray:
    """Half-hour of each interval."""
    slots: IntArray = np.repeat(np.arange(problem.grid.count), problem.parts)
    return slots


def by_slot(problem: Problem, values: FloatArray) -> FloatArray:
    """Sum of the values of each half-hour's intervals, along the last axis."""
    if not problem.divisions:
        return values.copy()
    firsts = np.cumsum((0, *problem.parts[:-1]))
    summed: FloatArray = np.add.reduceat(values, firsts, axis=-1)
    return summed


def hours(problem: Problem) -> FloatArray:
    """Length of each interval for which its powers hold. [h]"""
    length: FloatArray = problem.grid.hours * share_of_slot(problem)
    return length


def available_kw(problem: Problem) -> FloatArray:
    """Median of what all arrays together could give. [kW]"""
    suns = np.array([array.p50_kw for array in problem.pv], dtype=float).reshape(-1, problem.count)
    total: FloatArray = suns.sum(axis=0)
    return total


def demand_kw(problem: Problem, import_kw: FloatArray) -> FloatArray:
    """Demand (デマンド値) of each half-hour: the imports so far and those planned. [kW]"""
    demand = by_slot(problem, share_of_slot(problem) * import_kw)
    demand[0] += problem.limits.demand_so_far_kwh / problem.grid.hours
    return demand


def peak_margin_kw(problem: Problem, share: float) -> FloatArray:
    """Room for forecast errors below contract and peak: how far a half-hour's demand may rise. [kW]

    ``share * sqrt((load P90 - P50)^2 + (pv P50 - P10)^2)``: errors of load and sun are taken as independent,
    those of the intervals of one half-hour as one. ``share = 1`` reaches up to P90, 0 trusts the median.
    """
    part = share_of_slot(problem)
    load = by_slot(problem, part * np.subtract(problem.load_p90_kw, problem.load_p50_kw))
    low = np.array([array.p10_kw for array in problem.pv], dtype=float).reshape(-1, problem.count)
    sun = by_slot(problem, part * (available_kw(problem) - low.sum(axis=0)))
    room: FloatArray = share * np.hypot(load, sun)
    return room


def demand_fall_kw(problem: Problem) -> FloatArray:
    """How far a half-hour's demand may stay below its median: to P10 of the load and P90 of the sun. [kW]

    ``sqrt((load P50 - P10)^2 + (pv P90 - P50)^2)``, errors as in :func:`peak_margin_kw`.
    """
    part = share_of_slot(problem)
    load = by_slot(problem, part * np.subtract(problem.load_p50_kw, problem.load_p10_kw))
    high = np.array([array.p90_kw for array in problem.pv], dtype=float).reshape(-1, problem.count)
    sun = by_slot(problem, part * (high.sum(axis=0) - available_kw(problem)))
    fall: FloatArray = np.hypot(load, sun)
    return fall


def rise_kw(problem: Problem, share: float) -> FloatArray:
    """The same for each interval by itself: how far its power may rise above the median. [kW]"""
    whole = by_slot(problem, share_of_slot(problem))
    rise: FloatArray = (peak_margin_kw(problem, share) / np.maximum(whole, 1e-9))[slots_of(problem)]
    return rise


def least_import_kw(problem: Problem) -> FloatArray:
    """No export: the import stays above the margin, or above the load if that is less. [kW]

    What an array that nothing can hold back gives more than the load takes has to go out, and may.
    """
    load = np.asarray(problem.load_p50_kw)
    least: FloatArray = np.minimum(problem.limits.import_margin_kw, load)
    if problem.limits.max_export_kw > 0.0:
        least = np.minimum(least, load - unstoppable_kw(problem))
    return least


def least_net_kw(problem: Problem) -> FloatArray:
    """Lowest net power at the connection: the no-export margin, or what may be exported, negative. [kW]"""
    if problem.limits.max_export_kw > 0.0:
        return np.full(problem.count, -problem.limits.max_export_kw)
    return least_import_kw(problem)


def most_export_kw(problem: Problem) -> FloatArray:
    """What can and may be exported: all sun and everything that batteries can give, or the limit. [kW]"""
    gives = sum(storage.max_discharge_kw for storage in storages(problem))
    could: FloatArray = np.minimum(problem.limits.max_export_kw, available_kw(problem) + gives)
    return could


def unstoppable_kw(problem: Problem) -> FloatArray:
    """Median of what the arrays give that nothing can hold back. [kW]"""
    suns = [array.p50_kw for array in problem.pv if not array.curtailable]
    total: FloatArray = np.array(suns, dtype=float).reshape(-1, problem.count).sum(axis=0)
    return total


def energy_yen(problem: Problem, net_kw: FloatArray) -> FloatArray:
    """What the energy of each interval costs: bought at its price, or sold at its own. [yen]"""
    price = np.where(net_kw < 0.0, problem.sell_yen_per_kwh or 0.0, problem.price_yen_per_kwh)
    cost: FloatArray = hours(problem) * price * net_kw
    return cost


def ceiling_kwh(car: CarProblem) -> FloatArray:
    """Highest energy at the end of each interval; a car that came fuller may stay so. [kWh]"""
    return np.maximum(car.ceiling_kwh, car.soc0_kwh - np.cumsum(car.drive_kwh))


def promised_kwh(car: CarProblem) -> FloatArray:
    """What must be stored at the end of each interval for the departures right after it. [kWh]

    A departure at index 0 lies before everything that a plan can do and is not in here.
    """
    promised = np.zeros(len(car.plugged))
    for promise in car.promises:
        if promise.index > 0:
            promised[promise.index - 1] = max(promised[promise.index - 1], promise.soc_kwh)
    return promised


def drop_kwh(car: CarProblem) -> FloatArray:
    """By how much the driving of each interval may take a car below its floor if it left as promised. [kWh]

    Of a trip that uses ``D`` and leaves with ``P`` above the floor, the part ``max(0, D - P)``, at its end; a
    trip without a promise may do so with all it uses, one that begins at interval 0 leaves with ``soc0_kwh``.
    """
    drop = np.zeros(len(car.plugged))
    if not any(car.drive_kwh):
        return drop
    wanted = {promise.index: promise.soc_kwh for promise in car.promises}
    spare = max(0.0, car.soc0_kwh - car.floor_kwh)
    for t, drive in enumerate(car.drive_kwh):
        if t > 0 and (car.plugged[t] or car.plugged[t - 1]):
            spare = max(0.0, wanted.get(t, 0.0) - car.floor_kwh)
        drop[t] = max(0.0, drive - spare)
        spare = max(0.0, spare - drive)
    return drop


def ready_bands(problem: Problem, zone: ZoneProblem) -> tuple[FloatArray, FloatArray]:
    """Degrees kept from the band's lower (heating) and upper edge (cooling), never past its middle. [K]"""
    ready = np.asarray(zone.ready_k) if zone.ready_k else np.zeros(problem.count)
    sign = np.asarray(zone.mode_sign)
    ready = np.clip(ready, 0.0, (np.asarray(zone.high_c) - np.asarray(zone.low_c)) / 2.0)
    return np.where(sign > 0, ready, 0.0), np.where(sign < 0, ready, 0.0)


def ready_kwh(car: CarProblem) -> FloatArray:
    """Energy that a car shall hold against an unforeseen peak, per interval; 0 while away. [kWh]"""
    wanted = min(car.ready_kwh, car.ceiling_kwh)
    return np.where(np.asarray(car.plugged, dtype=bool), wanted, 0.0)


def refill_yen_per_kwh(problem: Problem, charge_efficiency: float) -> float:
    """Value of a stored kWh at the end of the horizon: what it costs to buy it back. [yen/kWh]

    The lower quartile of the horizon's prices, through the charger, and 2 % more: what the horizon takes is
    brought back within it. Only what the battery held at the start is valued, so nothing is filled for
    nothing. Less than the price would put charging off: each plan would end with what the last promise
    leaves, the next one charge for a departure that has just come into sight, and no plan would ever have
    told of it (docs/adr/0031). A problem may say otherwise.
    """
    if problem.end_value_yen_per_kwh is not None:
        return problem.end_value_yen_per_kwh
    price = max(0.0, _lower_quartile(problem.price_yen_per_kwh))
    return (1.0 + _BRING_BACK) * price / charge_efficiency


@lru_cache(maxsize=256)
def _lower_quartile(prices: tuple[float, ...]) -> float:
    """Of a horizon's prices; every storage of a site asks for the same. [yen/kWh]"""
    return float(np.quantile(prices, 0.25))


@dataclass(frozen=True, slots=True)
class RoomTerms:
    """``T[t] = decay[t]*T[t-1] + drift_c[t] + kelvin_per_kw[t]*p[t]``, exact for inputs constant in ``t``."""

    decay: FloatArray
    drift_c: FloatArray
    kelvin_per_kw: FloatArray
    max_kw: FloatArray
    least_kw: FloatArray


def room_terms(problem: Problem, zone: ZoneProblem) -> RoomTerms:
    """Coefficients of a room: ``a = exp(-U h / C)``; heat enters with ``(1 - a) / U`` (U = 0: ``h / C``)."""
    length = hours(problem)
    capacity, loss = zone.capacitance_kwh_per_k, zone.loss_kw_per_k
    heats = 1.0 - np.asarray(zone.defrost) if zone.defrost else 1.0
    decay = np.exp(-loss * length / capacity)
    kelvin_per_heat = -np.expm1(-loss * length / capacity) / loss if loss > 0.0 else length / capacity
    sign = np.asarray(zone.mode_sign, dtype=float)
    most = np.where(sign != 0.0, zone.max_electric_kw, 0.0)
    return RoomTerms(
        decay=decay,
        drift_c=(1.0 - decay) * np.asarray(problem.outdoor_c) + kelvin_per_heat * np.asarray(zone.gain_kw),
        kelvin_per_kw=kelvin_per_heat * sign * np.asarray(zone.cop) * heats,
        max_kw=most,
        least_kw=np.minimum(zone.least_kw, most) if zone.least_kw else np.zeros_like(most),
    )


@dataclass(frozen=True, slots=True)
class SlackPrices:
    """What it costs in the plan to miss a soft limit; each outbids everything below it.

    Contract, then departure, then money and comfort: a car may leave short only if the contract would be
    broken otherwise, and neither for the sake of the peak.
    """

    contract_yen_per_kw: float
    departure_yen_per_kwh: float
    road_yen_per_kwh: float
    floor_yen_per_kwh_h: float


def slack_prices(problem: Problem) -> SlackPrices:
    """Prices of the soft limits, derived from what else is at stake.

    A kWh of a promise may have to be charged in a single interval, through a charger of half efficiency at
    worst, and set the peak: ``2 / h`` kW of it. One kW above the contract gives promises at most ``h`` kWh.
    """
    length = problem.grid.hours
    dearest = max(1.0, float(np.max(np.abs(problem.price_yen_per_kwh))))
    for event in problem.events:
        dearest += event.reward_yen_per_kwh * (2.0 if event.adjustment else 1.0) + event.recovery_yen_per_kwh
    if problem.submitted is not None:
        beside = (problem.submitted.short_yen_per_kwh, problem.submitted.long_yen_per_kwh)
        dearest += float(np.max(np.abs(beside)))
    peak = problem.limits.peak_yen_per_kw + sum(step.yen_per_kw for step in problem.limits.steps)
    departure = 3.0 * peak / length + 20.0 * dearest + 1000.0
    return SlackPrices(
        contract_yen_per_kw=4.0 * length * departure,
        departure_yen_per_kwh=departure,
        road_yen_per_kwh=2.0 * departure,
        floor_yen_per_kwh_h=100.0,  # dearer than any hour's energy, cheaper than a new peak
    )
