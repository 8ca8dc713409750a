"""Moves a plan on: its powers where it still reaches, rules of thumb for the rest of the horizon."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dispatch.agreed import called_as_tight
from dispatch.rules import rules_schedule
from dispatch.schedule import Schedule, room_path, settle, soc_path
from dispatch.terms import assets, storages
from energy.core.plan import CarProblem, Plan, Problem, Promise, PvProblem, Setpoint, ZoneProblem
from energy.core.plan_parts import OtherAsset
from energy.core.series import FloatArray, Grid
from energy.core.units import AssetId

__all__ = ["cut", "planned_kw", "shifted_schedule", "stay_near"]


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
    powers = planned_kw(problem, previous, offset)
    if any(part.id not in powers for part in assets(problem)):
        return None
    end = problem.first_of(reach)
    head = _head(problem, powers, end)
    if reach == problem.grid.count:
        return head
    tail = rules_schedule(_after(problem, head, reach))
    joined = {
        name: np.hstack([getattr(head, name)[:, :end], getattr(tail, name)])
        for name in ("car_kw", "hvac_kw", "pv_kw", "battery_kw", "other_kw")
    }
    return settle(problem, Schedule(**joined))


def planned_kw(problem: Problem, previous: Plan, offset: int) -> dict[AssetId, FloatArray]:
    """Powers of an earlier plan in the intervals of a problem, as far as it reaches, by asset. [kW]

    Parameters
    ----------
    offset : int
        Half-hours by which the plan began earlier.
    """
    points: dict[AssetId, list[Setpoint]] = {}
    for point in previous.setpoints:
        points.setdefault(point.asset, []).append(point)
    begun = problem.limits.demand_so_far_kwh > 0.0
    found: dict[AssetId, FloatArray] = {}
    for asset, row in points.items():
        if len(row) != previous.grid.count:
            continue
        moved: list[float] = []
        for slot, (point, part) in enumerate(zip(row[offset:], problem.parts, strict=False)):
            alike = len(point.steps_kw) == part > 1 and not (begun and slot == 0)
            moved += point.steps_kw if alike else (point.power_kw,) * part
        found[asset] = np.array(moved)
    return found


def stay_near(problem: Problem, previous: Plan | None, *, yen_per_kwh: float) -> Problem:
    """The problem with a price on leaving the plan in force; unchanged without one that reaches into it."""
    if previous is None or previous.site != problem.site or previous.grid.step != problem.grid.step:
        return problem
    offset, rest = divmod(problem.grid.start - previous.grid.start, previous.grid.step)
    if rest or not 0 <= offset < previous.grid.count:
        return problem
    powers = planned_kw(problem, previous, offset)

    def known(asset: AssetId) -> tuple[float, ...]:
        return tuple(powers[asset].tolist()) if asset in powers else ()

    return replace(
        problem,
        change_yen_per_kwh=yen_per_kwh,
        cars=tuple(replace(car, planned_kw=known(car.id)) for car in problem.cars),
        zones=tuple(replace(zone, planned_kw=known(zone.id)) for zone in problem.zones),
        batteries=tuple(replace(one, planned_kw=known(one.id)) for one in problem.batteries),
    )


def _head(problem: Problem, powers: dict[AssetId, FloatArray], reach: int) -> Schedule:
    """The moved powers, zero behind their end; the sun is used as far as the connection takes it now."""
    idle = Schedule.idle(problem)
    for rows, ids in (
        (idle.car_kw, [car.id for car in problem.cars]),
        (idle.hvac_kw, [zone.id for zone in problem.zones]),
        (idle.battery_kw, [battery.id for battery in problem.batteries]),
        (idle.other_kw, [other.id for other in problem.others]),
    ):
        for row, asset in zip(rows, ids, strict=True):
            row[:reach] = powers[asset][:reach]
    return settle(problem, idle)


def _after(problem: Problem, head: Schedule, first: int) -> Problem:
    """The part of a problem from half-hour ``first``, in the state where a schedule has brought it."""
    last = problem.first_of(first) - 1
    soc = {
        part.id: float(soc_path(problem, part, power)[last])
        for part, power in zip(storages(problem), (*head.car_kw, *head.battery_kw), strict=True)
    }
    rooms = {
        zone.id: float(room_path(problem, zone, power)[last])
        for zone, power in zip(problem.zones, head.hvac_kw, strict=True)
    }
    return cut(called_as_tight(problem), first, soc_kwh=soc, room_c=rooms)


def cut(
    problem: Problem, slot: int, *, soc_kwh: dict[AssetId, float], room_c: dict[AssetId, float]
) -> Problem:
    """The same problem from half-hour ``slot`` on, with the states that are given.

    What needs the site as a whole (events, feeders, a submitted plan, assets of kinds from outside) is left
    out: the rules do not look at it, but for the hours of events, which they take for tight ones.
    """
    grid, first = problem.grid, problem.first_of(slot)
    return replace(
        problem,
        made_at=grid.time(slot),
        grid=Grid(grid.time(slot), grid.count - slot, grid.step),
        divisions=problem.divisions[slot:],
        load_p10_kw=problem.load_p10_kw[first:],
        load_p50_kw=problem.load_p50_kw[first:],
        load_p90_kw=problem.load_p90_kw[first:],
        outdoor_c=problem.outdoor_c[first:],
        price_yen_per_kwh=problem.price_yen_per_kwh[first:],
        sell_yen_per_kwh=problem.sell_yen_per_kwh[first:],
        tight=problem.tight[first:],
        limits=replace(problem.limits, demand_so_far_kwh=0.0, memory_until=None, steps=()),
        cars=tuple(_cut_car(car, first, soc_kwh[car.id]) for car in problem.cars),
        zones=tuple(_cut_zone(zone, first, room_c[zone.id]) for zone in problem.zones),
        pv=tuple(_cut_pv(array, first) for array in problem.pv),
        batteries=tuple(
            replace(battery, soc0_kwh=soc_kwh[battery.id], planned_kw=()) for battery in problem.batteries
        ),
        events=(),
        feeders=(),
        submitted=None,
        change_yen_per_kwh=0.0,
        others=tuple(_cut_other(other, first) for other in problem.others),
    )


def _cut_car(car: CarProblem, first: int, soc0_kwh: float) -> CarProblem:
    return replace(
        car,
        soc0_kwh=soc0_kwh,
        plugged=car.plugged[first:],
        drive_kwh=car.drive_kwh[first:],
        may_discharge=car.may_discharge[first:],
        discharge_value_yen_per_kwh=car.discharge_value_yen_per_kwh[first:],
        planned_kw=(),
        promises=tuple(
            Promise(index=promise.index - first, soc_kwh=promise.soc_kwh)
            for promise in car.promises
            if promise.index >= first
        ),
    )


def _cut_zone(zone: ZoneProblem, first: int, temp0_c: float) -> ZoneProblem:
    series = ("mode_sign", "cop", "gain_kw", "low_c", "high_c", "ready_k", "defrost", "least_kw")
    changes = {name: getattr(zone, name)[first:] for name in series} | {"planned_kw": ()}
    whole = None if zone.whole_steps is None else max(0, zone.whole_steps - first)
    return replace(zone, temp0_c=temp0_c, whole_steps=whole, **changes)


def _cut_other(other: OtherAsset, first: int) -> OtherAsset:
    return replace(other, series={name: values[first:] for name, values in other.series.items()})


def _cut_pv(array: PvProblem, first: int) -> PvProblem:
    return replace(
        array, p10_kw=array.p10_kw[first:], p50_kw=array.p50_kw[first:], p90_kw=array.p90_kw[first:]
    )
