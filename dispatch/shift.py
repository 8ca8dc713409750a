"""Moves a plan on: its powers where it still reaches, rules of thumb for the rest of the horizon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dispatch.rules import rules_schedule
from dispatch.schedule import Schedule, room_path, settle, soc_path
from dispatch.terms import assets, storages
from energy.core.plan import CarProblem, Plan, Problem, Promise, PvProblem, ZoneProblem
from energy.core.series import FloatArray, Grid
from energy.core.units import AssetId

__all__ = ["cut", "shifted_schedule"]


def shifted_schedule(problem: Problem, previous: Plan) -> Schedule | None:
    """Powers of an earlier plan for a later problem, trimmed to its hard limits.

    None if the plan is of another site or grid step, has ended, or does not know one of the assets.
    """
    offset, rest = divmod(problem.grid.start - previous.grid.start, previous.grid.step)
    if previous.site != problem.site or previous.grid.step != problem.grid.step or rest or offset < 0:
        return None
    reach = min(problem.grid.count, previous.grid.count - offset)
    if reach <= 0:
        return None
    powers: dict[AssetId, list[float]] = {}
    for point in previous.setpoints:
        powers.setdefault(point.asset, []).append(point.power_kw)
    if any(len(powers.get(part.id, ())) != previous.grid.count for part in assets(problem)):
        return None
    head = _head(
        problem, {asset: np.array(row[offset : offset + reach]) for asset, row in powers.items()}, reach
    )
    if reach == problem.grid.count:
        return head
    tail = rules_schedule(_after(problem, head, reach))
    joined = {
        name: np.hstack([getattr(head, name)[:, :reach], getattr(tail, name)])
        for name in ("car_kw", "hvac_kw", "pv_kw", "battery_kw")
    }
    return settle(problem, Schedule(**joined))


def _head(problem: Problem, powers: dict[AssetId, FloatArray], reach: int) -> Schedule:
    """The moved powers, zero behind their end; the sun is used as far as the connection takes it now."""
    idle = Schedule.idle(problem)
    for rows, ids in (
        (idle.car_kw, [car.id for car in problem.cars]),
        (idle.hvac_kw, [zone.id for zone in problem.zones]),
        (idle.battery_kw, [battery.id for battery in problem.batteries]),
    ):
        for row, asset in zip(rows, ids, strict=True):
            row[:reach] = powers[asset]
    return settle(problem, idle)


def _after(problem: Problem, head: Schedule, first: int) -> Problem:
    """The part of a problem from interval ``first``, in the state where a schedule has brought it."""
    soc = {
        part.id: float(soc_path(problem, part, power)[first - 1])
        for part, power in zip(storages(problem), (*head.car_kw, *head.battery_kw), strict=True)
    }
    rooms = {
        zone.id: float(room_path(problem, zone, power)[first - 1])
        for zone, power in zip(problem.zones, head.hvac_kw, strict=True)
    }
    return cut(problem, first, soc_kwh=soc, room_c=rooms)


def cut(
    problem: Problem, first: int, *, soc_kwh: dict[AssetId, float], room_c: dict[AssetId, float]
) -> Problem:
    """The same problem from interval ``first`` on, with the states that are given."""
    grid = problem.grid
    return replace(
        problem,
        made_at=grid.time(first),
        grid=Grid(grid.time(first), grid.count - first, grid.step),
        load_p10_kw=problem.load_p10_kw[first:],
        load_p50_kw=problem.load_p50_kw[first:],
        load_p90_kw=problem.load_p90_kw[first:],
        outdoor_c=problem.outdoor_c[first:],
        price_yen_per_kwh=problem.price_yen_per_kwh[first:],
        tight=problem.tight[first:],
        limits=replace(problem.limits, demand_so_far_kwh=0.0),
        cars=tuple(_cut_car(car, first, soc_kwh[car.id]) for car in problem.cars),
        zones=tuple(_cut_zone(zone, first, room_c[zone.id]) for zone in problem.zones),
        pv=tuple(_cut_pv(array, first) for array in problem.pv),
        batteries=tuple(replace(battery, soc0_kwh=soc_kwh[battery.id]) for battery in problem.batteries),
    )


def _cut_car(car: CarProblem, first: int, soc0_kwh: float) -> CarProblem:
    return replace(
        car,
        soc0_kwh=soc0_kwh,
        plugged=car.plugged[first:],
        drive_kwh=car.drive_kwh[first:],
        may_discharge=car.may_discharge[first:],
        discharge_value_yen_per_kwh=car.discharge_value_yen_per_kwh[first:],
        promises=tuple(
            Promise(index=promise.index - first, soc_kwh=promise.soc_kwh)
            for promise in car.promises
            if promise.index >= first
        ),
    )


def _cut_zone(zone: ZoneProblem, first: int, temp0_c: float) -> ZoneProblem:
    series = ("mode_sign", "cop", "gain_kw", "low_c", "high_c", "ready_k")
    changes = {name: getattr(zone, name)[first:] for name in series}
    return replace(zone, temp0_c=temp0_c, **changes)


def _cut_pv(array: PvProblem, first: int) -> PvProblem:
    return replace(
        array, p10_kw=array.p10_kw[first:], p50_kw=array.p50_kw[first:], p90_kw=array.p90_kw[first:]
    )
