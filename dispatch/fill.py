"""From a problem to the data vector of its template: the only place that knows both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatch.agreed import event_values, feeder_limits_kw, members_of, step_values, submitted_values
from dispatch.features import Features
from dispatch.kinds import kind_of
from dispatch.template import BoolArray, Structure
from dispatch.terms import (
    Asset,
    SlackPrices,
    by_slot,
    drop_kwh,
    hours,
    is_steady,
    lateness_of,
    least_import_kw,
    most_export_kw,
    others_by_kind,
    peak_margin_kw,
    planned_range_kw,
    promised_kwh,
    ready_bands,
    refill_yen_per_kwh,
    room_terms,
    share_of_slot,
    slack_prices,
    slots_of,
)
from dispatch.units import lags_of, stages_kw, unit_values
from energy.core.plan import CarProblem, Problem, StorageProblem, ZoneProblem
from energy.core.series import FloatArray

__all__ = ["TieBreaks", "features_of", "structure_of", "values_of"]

FAR_KW = 1e6  # a demand that nobody reaches
Values = dict[str, Any]  # numbers and arrays, as dispatch.template.Template.vector takes them


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
        intervals=problem.count,
        cars=len(problem.cars),
        zones=len(problem.zones),
        pv=len(problem.pv),
        batteries=len(problem.batteries),
        features=features_of(problem),
        divisions=problem.divisions if any(part != 1 for part in problem.divisions) else (),
        feeders=len(problem.feeders),
        events=len(problem.events),
        steps=len(problem.limits.steps),
        others=tuple(sorted(Counter(other.kind for other in problem.others).items())),
    )


def features_of(problem: Problem) -> Features:
    """What the assets of a problem have; what none has is left out of the model."""
    cars, batteries = problem.cars, problem.batteries
    return Features(
        floors=any(car.floor_kwh > 0.0 for car in cars) or any(one.reserve_kwh > 0.0 for one in batteries),
        trips=any(any(car.drive_kwh) for car in cars),
        ready=any(car.ready_kwh > 0.0 and car.ready_yen_per_kwh_h > 0.0 for car in cars),
        ends=bool(cars or batteries) and refill_yen_per_kwh(problem, 1.0) > 0.0,
        minimum=any(car.min_power_kw > 0.0 for car in cars),
        stages=max((len(stages_kw(zone)) for zone in problem.zones), default=0),
        lags=max((lags_of(problem, zone) for zone in problem.zones), default=0),
        steady=is_steady(problem),
        submitted=problem.submitted is not None,
    )


def values_of(problem: Problem, *, peak_quantile_share: float, ties: TieBreaks) -> Values:
    """All data of a problem by path, one row per asset.

    Parameters
    ----------
    peak_quantile_share : float
        How much of the way from P50 to P90 the peak leaves room for. [-]
    """
    prices, features = slack_prices(problem), features_of(problem)
    values = _under("", _site(problem, peak_quantile_share, prices))
    ports: dict[str, tuple[Values, Sequence[Asset]]] = {}
    if problem.cars:
        ports["car"] = _present(_cars(problem, prices, ties), features), problem.cars
    if problem.zones:
        zones = [_present(_zone(problem, zone, ties, features), features) for zone in problem.zones]
        ports["zone"] = _stacked(zones), problem.zones
    if problem.pv:
        suns = np.array([array.p50_kw for array in problem.pv], dtype=float)
        free = _column([float(not array.curtailable) for array in problem.pv])
        ports["pv"] = {"available_kw": suns, "least_kw": suns * free}, problem.pv
    if problem.batteries:
        ports["battery"] = _present(_batteries(problem, prices, ties), features), problem.batteries
    for name, group in others_by_kind(problem).items():
        ports[name] = _stacked([kind_of(name).values(problem, other) for other in group]), group
    for kind, (data, members) in ports.items():
        if problem.feeders:
            data = data | {"on_feeder": members_of(problem, members)}
        values |= _under(f"{kind}[*].", data)
    if problem.events:
        values |= _under("event[*].", _stacked([event_values(problem, event) for event in problem.events]))
    if problem.limits.steps:
        margin = peak_margin_kw(problem, peak_quantile_share)
        steps = [step_values(problem, step, margin) for step in problem.limits.steps]
        values |= _under("step[*].", _stacked(steps))
    return values


def _present(values: Values, features: Features) -> Values:
    return {name: values[name] for name in features.given(values)}


def _under(owner: str, values: Values) -> Values:
    return {f"{owner}given.{name}": value for name, value in values.items()}


def _column(numbers: list[float]) -> FloatArray:
    """One number per asset, as a column."""
    return np.array(numbers, dtype=float)[:, None]


def _table(series: list[tuple[float, ...]], kind: type = float) -> NDArray[Any]:
    """One row per asset; series that several assets share are converted once."""
    rows = {id(row): row for row in series}
    arrays: dict[int, NDArray[Any]] = {key: np.array(row, dtype=kind) for key, row in rows.items()}
    return np.array([arrays[id(row)] for row in series])


def _stacked(assets: Sequence[Mapping[str, FloatArray | float]]) -> Values:
    """Values of several assets, one row each; a number beside others' series is repeated."""
    stacked: Values = {}
    for name in assets[0]:
        rows = [np.atleast_1d(np.asarray(values[name], dtype=float)) for values in assets]
        width = max(len(row) for row in rows)
        stacked[name] = np.array([np.broadcast_to(row, width) for row in rows])
    return stacked


def _site(problem: Problem, peak_quantile_share: float, prices: SlackPrices) -> Values:
    """Data of the connection point.

    The contract is a bound of what is imported within it: ``share*within + margin <= contract``, and 0 where
    the margin takes it all. A no-export margin that lies above it is the least of what is imported over it.
    """
    limits, share, slots = problem.limits, share_of_slot(problem), slots_of(problem)
    margin = peak_margin_kw(problem, peak_quantile_share)
    margin[0] += limits.demand_so_far_kwh / problem.grid.hours
    left = np.maximum(0.0, limits.contract_kw - margin)
    within = left[slots] / share
    even = left[slots] / by_slot(problem, share)[slots]  # what all intervals of the half-hour can have
    least = np.maximum(0.0, least_import_kw(problem))
    energy = hours(problem) * np.asarray(problem.price_yen_per_kwh)
    sale = hours(problem) * np.asarray(problem.sell_yen_per_kwh) if problem.sell_yen_per_kwh else 0.0
    if limits.memory_until is not None:
        margin[limits.memory_until :] -= FAR_KW  # another memory counts from here on
    values: Values = {
        "load_kw": np.asarray(problem.load_p50_kw),
        "min_within_kw": np.minimum(least, even),
        "max_within_kw": within,
        "min_over_kw": np.maximum(0.0, least - even),
        "max_export_kw": most_export_kw(problem),
        "within_yen_per_kw": energy,
        "over_yen_per_kw": energy + share * prices.contract_yen_per_kw,
        "export_yen_per_kw": -sale,
        "share": share,
        "peak_margin_kw": margin,
        "contract_kw": left,
        "peak_memory_kw": limits.peak_memory_kw,
        "peak_yen_per_kw": limits.peak_yen_per_kw,
    }
    if problem.submitted is not None:
        values |= submitted_values(problem, problem.submitted)
    if problem.feeders:
        towards, away = feeder_limits_kw(problem)
        values |= {"towards_kw": towards.ravel(), "away_kw": away.ravel()}
    return values


def _storages(
    problem: Problem,
    storages: Sequence[CarProblem | StorageProblem],
    floors: list[float],
    prices: SlackPrices,
    ties: TieBreaks,
) -> Values:
    length = hours(problem)
    lateness = lateness_of(problem)
    refill = _column([refill_yen_per_kwh(problem, one.charge_efficiency) for one in storages])
    soc0 = _column([one.soc0_kwh for one in storages])
    return {
        "stored_kwh_per_kw": length * _column([one.charge_efficiency for one in storages]),
        "drawn_kwh_per_kw": length / _column([one.discharge_efficiency for one in storages]),
        "floor_kwh": _column(floors),
        "most_below_kwh": np.maximum(0.0, _column(floors) - soc0),
        "charge_yen_per_kw": length * ties.early_yen_per_kwh * lateness,
        "discharge_yen_per_kw": length * _column([one.wear_yen_per_kwh for one in storages]),
        "below_yen_per_kwh": length * prices.floor_yen_per_kwh_h,
        "soc0_kwh": soc0,
        "keep_kwh": np.where(refill > 0.0, soc0, 0.0),
        "keep_yen_per_kwh": refill,
        "ready_kwh": 0.0,
        "unready_yen_per_kwh": 0.0,
        "min_power_kw": 0.0,
    } | _planned(problem, storages)


def _planned(problem: Problem, assets: Sequence[CarProblem | StorageProblem | ZoneProblem]) -> Values:
    """The plan in force: where none is known, both limits are out of reach."""
    if not is_steady(problem):
        return dict.fromkeys(("most_planned_kw", "least_planned_kw", "change_yen_per_kw"), 0.0)
    rows = [planned_range_kw(problem, asset) for asset in assets]
    return {
        "most_planned_kw": np.array([most for _, most in rows]),
        "least_planned_kw": np.array([least for least, _ in rows]),
        "change_yen_per_kw": hours(problem) * problem.change_yen_per_kwh,
    }


def _cars(problem: Problem, prices: SlackPrices, ties: TieBreaks) -> Values:
    """Data of the cars.

    What giving back earns is paid on the net of an interval: charging where giving back is rewarded costs the
    reward. Otherwise the plan would earn coins by moving the same energy in and out while supply is tight.
    """
    cars = problem.cars
    values = _storages(problem, cars, [car.floor_kwh for car in cars], prices, ties)
    plugged = _table([car.plugged for car in cars], bool)
    gives = plugged & _table([car.may_discharge for car in cars], bool)
    reward = hours(problem) * _table([car.discharge_value_yen_per_kwh for car in cars])
    drive = _table([car.drive_kwh for car in cars])
    drop = np.array([drop_kwh(car) for car in cars])
    promise = np.array([promised_kwh(car) for car in cars])
    ceiling = np.maximum(
        _column([car.ceiling_kwh for car in cars]), values["soc0_kwh"] - drive.cumsum(axis=1)
    )
    going_on = np.zeros(plugged.shape)
    going_on[:, 1:] = ~plugged[:, 1:] & ~plugged[:, :-1]
    known = _known(plugged, drive) & (values["most_below_kwh"] == 0.0)
    owed = promise.cumsum(axis=1) - promise
    ready = _column([min(car.ready_kwh, car.ceiling_kwh) for car in cars])
    return values | {
        "max_charge_kw": plugged * _column([car.max_charge_kw for car in cars]),
        "max_discharge_kw": gives * _column([car.max_discharge_kw for car in cars]),
        "floor_kwh": np.where(known, values["soc0_kwh"], values["floor_kwh"]),
        "ceiling_kwh": np.where(known, values["soc0_kwh"], ceiling),
        "most_below_kwh": np.minimum(
            values["floor_kwh"], values["most_below_kwh"] + drop.cumsum(axis=1) + owed
        ),
        "charge_yen_per_kw": values["charge_yen_per_kw"] + np.maximum(reward, 0.0),
        "discharge_yen_per_kw": values["discharge_yen_per_kw"] - reward,
        "keep_kwh": np.minimum(values["keep_kwh"], _column([car.ceiling_kwh for car in cars])),
        "ready_kwh": plugged * ready,
        "unready_yen_per_kwh": hours(problem) * _column([car.ready_yen_per_kwh_h for car in cars]),
        "drive_kwh": drive,
        "drop_kwh": drop,
        "away": going_on,
        "most_unused_kwh": _column([car.floor_kwh for car in cars]) * np.roll(going_on, -1, axis=1),
        "promise_kwh": promise,
        "min_power_kw": _column([car.min_power_kw for car in cars]),
        "lacking_yen_per_kwh": prices.departure_yen_per_kwh,
        "road_yen_per_kwh": prices.road_yen_per_kwh,
    }


def _known(plugged: BoolArray, drive_kwh: FloatArray) -> BoolArray:
    """Where the energy of a car is known because nothing has happened yet: no plug, no driving."""
    known: BoolArray = np.logical_and.accumulate(~plugged & (drive_kwh == 0.0), axis=1)
    return known


def _batteries(problem: Problem, prices: SlackPrices, ties: TieBreaks) -> Values:
    batteries = problem.batteries
    values = _storages(problem, batteries, [one.reserve_kwh for one in batteries], prices, ties)
    return values | {
        "max_charge_kw": _column([one.max_charge_kw for one in batteries]),
        "max_discharge_kw": _column([one.max_discharge_kw for one in batteries]),
        "ceiling_kwh": _column([one.capacity_kwh for one in batteries]),
    }


def _zone(problem: Problem, zone: ZoneProblem, ties: TieBreaks, features: Features) -> Values:
    room = room_terms(problem, zone)
    drift = room.drift_c.copy()
    drift[0] += room.decay[0] * zone.temp0_c
    above_low, below_high = ready_bands(problem, zone)
    return {
        "max_kw": room.max_kw,
        "least_kw": room.least_kw,
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
        **{name: np.ravel(row) for name, row in _planned(problem, [zone]).items()},
        **(unit_values(problem, zone, stages=features.stages, lags=features.lags) if features.stages else {}),
    }
