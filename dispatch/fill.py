"""From a problem to the data vector of its template: the only place that knows both."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dispatch.compile import Structure
from dispatch.terms import (
    SlackPrices,
    ceiling_kwh,
    drop_kwh,
    hours,
    least_import_kw,
    peak_margin_kw,
    promised_kwh,
    ready_bands,
    ready_kwh,
    refill_yen_per_kwh,
    room_terms,
    share_of_slot,
    slack_prices,
)
from energy.core.plan import CarProblem, Problem, StorageProblem, ZoneProblem
from energy.core.series import FloatArray

__all__ = ["TieBreaks", "structure_of", "values_of"]

Values = dict[str, FloatArray | float]


@dataclass(frozen=True, slots=True)
class TieBreaks:
    """Prices too small to cost anyone anything, which choose among plans that cost the same.

    Parameters
    ----------
    early_yen_per_kwh : float
        Charging at the end of the horizon against charging now: what is promised is charged early. [yen/kWh]
    smooth_yen_per_kw : float
        A rise of an air conditioner's power: no chattering. [yen/kW]
    """

    early_yen_per_kwh: float = 0.05
    smooth_yen_per_kw: float = 0.5


def structure_of(problem: Problem) -> Structure:
    """What the template of a problem is compiled for."""
    return Structure(
        intervals=problem.grid.count,
        cars=len(problem.cars),
        zones=len(problem.zones),
        pv=len(problem.pv),
        batteries=len(problem.batteries),
    )


def values_of(problem: Problem, *, peak_quantile_share: float, ties: TieBreaks) -> Values:
    """All data of a problem by path.

    Parameters
    ----------
    peak_quantile_share : float
        How much of the way from P50 to P90 the peak leaves room for. [-]
    """
    prices = slack_prices(problem)
    values = _site(problem, peak_quantile_share, prices)
    for k, car in enumerate(problem.cars):
        values |= _under(f"car[{k}]", _car(problem, car, prices, ties))
    for k, zone in enumerate(problem.zones):
        values |= _under(f"zone[{k}]", _zone(problem, zone, ties))
    for k, array in enumerate(problem.pv):
        values[f"pv[{k}].given.available_kw"] = np.asarray(array.p50_kw)
    for k, battery in enumerate(problem.batteries):
        values |= _under(f"battery[{k}]", _battery(problem, battery, prices, ties))
    return values


def _under(owner: str, values: Values) -> Values:
    return {f"{owner}.given.{name}": value for name, value in values.items()}


def _site(problem: Problem, peak_quantile_share: float, prices: SlackPrices) -> Values:
    limits = problem.limits
    margin = peak_margin_kw(problem, peak_quantile_share)
    margin[0] += limits.demand_so_far_kwh / problem.grid.hours
    values: Values = {
        "load_kw": np.asarray(problem.load_p50_kw),
        "min_import_kw": least_import_kw(problem),
        "energy_yen_per_kw": hours(problem) * np.asarray(problem.price_yen_per_kwh),
        "share": share_of_slot(problem),
        "peak_margin_kw": margin,
        "over_yen_per_kw": prices.contract_yen_per_kw,
        "contract_kw": limits.contract_kw,
        "peak_memory_kw": limits.peak_memory_kw,
        "peak_yen_per_kw": limits.peak_yen_per_kw,
    }
    return {f"given.{name}": value for name, value in values.items()}


def _storage(
    problem: Problem, storage: CarProblem | StorageProblem, floor: float, prices: SlackPrices, ties: TieBreaks
) -> Values:
    length = hours(problem)
    lateness = np.arange(problem.grid.count) / problem.grid.count
    return {
        "stored_kwh_per_kw": length * storage.charge_efficiency,
        "drawn_kwh_per_kw": length / storage.discharge_efficiency,
        "floor_kwh": floor,
        "charge_yen_per_kw": length * ties.early_yen_per_kwh * lateness,
        "discharge_yen_per_kw": length * storage.wear_yen_per_kwh,
        "below_yen_per_kwh": length * prices.floor_yen_per_kwh_h,
        "soc0_kwh": storage.soc0_kwh,
        "below0_kwh": max(0.0, floor - storage.soc0_kwh),
        "keep_yen_per_kwh": refill_yen_per_kwh(problem, storage.charge_efficiency),
        "ready_kwh": 0.0,
        "unready_yen_per_kwh": 0.0,
    }


def _car(problem: Problem, car: CarProblem, prices: SlackPrices, ties: TieBreaks) -> Values:
    """Data of a car.

    What giving back earns is paid on the net of an interval: charging where giving back is rewarded costs the
    reward. Otherwise the plan would earn coins by moving the same energy in and out while supply is tight.
    """
    values = _storage(problem, car, car.floor_kwh, prices, ties)
    plugged = np.asarray(car.plugged, dtype=bool)
    gives = plugged & np.asarray(car.may_discharge, dtype=bool)
    reward = hours(problem) * np.asarray(car.discharge_value_yen_per_kwh)
    return values | {
        "max_charge_kw": np.where(plugged, car.max_charge_kw, 0.0),
        "max_discharge_kw": np.where(gives, car.max_discharge_kw, 0.0),
        "ceiling_kwh": ceiling_kwh(car),
        "charge_yen_per_kw": values["charge_yen_per_kw"] + np.maximum(reward, 0.0),
        "discharge_yen_per_kw": values["discharge_yen_per_kw"] - reward,
        "keep_kwh": min(car.soc0_kwh, car.ceiling_kwh),
        "ready_kwh": ready_kwh(car),
        "unready_yen_per_kwh": hours(problem) * car.ready_yen_per_kwh_h,
        "drive_kwh": np.asarray(car.drive_kwh),
        "drop_kwh": drop_kwh(car),
        "promise_kwh": promised_kwh(car),
        "lacking_yen_per_kwh": prices.departure_yen_per_kwh,
        "road_yen_per_kwh": prices.road_yen_per_kwh,
    }


def _battery(problem: Problem, battery: StorageProblem, prices: SlackPrices, ties: TieBreaks) -> Values:
    return _storage(problem, battery, battery.reserve_kwh, prices, ties) | {
        "max_charge_kw": battery.max_charge_kw,
        "max_discharge_kw": battery.max_discharge_kw,
        "ceiling_kwh": battery.capacity_kwh,
        "keep_kwh": battery.soc0_kwh,
    }


def _zone(problem: Problem, zone: ZoneProblem, ties: TieBreaks) -> Values:
    room = room_terms(problem, zone)
    drift = room.drift_c.copy()
    drift[0] += room.decay[0] * zone.temp0_c
    above_low, below_high = ready_bands(problem, zone)
    return {
        "max_kw": room.max_kw,
        "decay": room.decay,
        "kelvin_per_kw": room.kelvin_per_kw,
        "drift_c": drift,
        "low_c": np.asarray(zone.low_c) + above_low,
        "high_c": np.asarray(zone.high_c) - below_high,
        "coast_cold_k": above_low,
        "coast_hot_k": below_high,
        "ready_yen_per_k": hours(problem) * zone.ready_yen_per_degc_h,
        "discomfort_yen_per_k": hours(problem) * problem.discomfort_yen_per_degc_h,
        "smooth_yen_per_kw": ties.smooth_yen_per_kw,
    }
