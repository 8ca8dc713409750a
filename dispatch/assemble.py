"""From a schedule to a :class:`~energy.core.plan.Plan`: setpoints, trajectory, target."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from dispatch.agreed import event_yen, imbalance_yen, step_excess_kw
from dispatch.checks import Told
from dispatch.reasons import other_reasons, pv_reasons, setting, storage_reasons, zone_reasons
from dispatch.schedule import Schedule, curtailed_kw
from dispatch.shortfalls import Expected, expect, objective_yen, shortfalls
from dispatch.terms import by_slot, demand_fall_kw, energy_yen, share_of_slot
from energy.core.plan import Plan, PlanSource, Problem, Reason, Setpoint, Trajectory
from energy.core.series import FloatArray
from energy.core.slots import Slot
from energy.core.units import AssetId

__all__ = ["Origin", "assemble", "told"]

_DAY = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a schedule came from, and what the optimiser knows about it."""

    source: PlanSource
    peak_quantile_share: float
    gap: float | None = None
    solve_ms: float = 0.0
    peak_dual: FloatArray | None = None
    note: str = ""


def assemble(problem: Problem, schedule: Schedule, origin: Origin) -> Plan:
    """The plan of a schedule that keeps all hard limits (:func:`dispatch.schedule.settle`)."""
    clean = replace(
        schedule,
        car_kw=_rounded(schedule.car_kw),
        hvac_kw=_rounded(schedule.hvac_kw),
        pv_kw=_rounded(schedule.pv_kw),
        battery_kw=_rounded(schedule.battery_kw),
        other_kw=_rounded(schedule.other_kw),
    )
    expected = expect(problem, clean)
    return Plan(
        site=problem.site,
        made_at=problem.made_at,
        grid=problem.grid,
        source=origin.source,
        setpoints=tuple(_setpoints(problem, clean, expected, origin)),
        trajectory=_trajectory(problem, clean, expected),
        target_demand_kw=_target(problem, expected),
        objective_yen=objective_yen(
            problem, clean, peak_quantile_share=origin.peak_quantile_share, expected=expected
        ),
        gap=origin.gap,
        solve_ms=origin.solve_ms,
        shortfalls=shortfalls(problem, expected),
        note=origin.note,
    )


def _rounded(power_kw: FloatArray) -> FloatArray:
    """Powers without the solver's dust; never -0.0."""
    return np.round(power_kw, 6) + 0.0


def told(problem: Problem, schedule: Schedule, expected: Expected) -> Told:
    """What the plan of a schedule would say, for :func:`dispatch.checks.check_told`; unrounded."""
    halves = _Halves(problem)
    none = np.full(problem.grid.count, np.nan)
    rows = list(_rows(problem, schedule, expected))
    return Told(
        power_kw={asset: power for asset, power, _ in rows},
        mean_kw={asset: np.asarray(halves.mean(power)) for asset, power, _ in rows},
        expected={
            asset: none if state is None else np.asarray(halves.last(state)) for asset, _, state in rows
        },
        trajectory=_trajectory(problem, schedule, expected),
        target_demand_kw=_target(problem, expected),
        shortfalls=shortfalls(problem, expected),
    )


def _rows(
    problem: Problem, schedule: Schedule, expected: Expected
) -> Iterator[tuple[AssetId, FloatArray, FloatArray | None]]:
    """Power and state of each asset in the order of setpoints. [kW; kWh, degC]"""
    for car, power in zip(problem.cars, schedule.car_kw, strict=True):
        yield car.id, power, expected.soc_kwh[car.id]
    for zone, power in zip(problem.zones, schedule.hvac_kw, strict=True):
        yield zone.id, power, expected.room_c[zone.id]
    for array, used in zip(problem.pv, schedule.pv_kw, strict=True):
        yield array.id, -used + 0.0, None
    for battery, power in zip(problem.batteries, schedule.battery_kw, strict=True):
        yield battery.id, power, expected.soc_kwh[battery.id]
    for other, power in zip(problem.others, schedule.other_kw, strict=True):
        yield other.id, power, expected.other[other.id]


def _setpoints(
    problem: Problem, schedule: Schedule, expected: Expected, origin: Origin
) -> Iterator[Setpoint]:
    """Setpoints of all assets, each with its reason."""
    view = setting(
        problem, schedule, expected,
        peak_quantile_share=origin.peak_quantile_share, peak_dual=origin.peak_dual,
    )  # fmt: skip
    slots = [Slot(moment) for moment in problem.grid.times()]
    halves, soc, room = _Halves(problem), expected.soc_kwh, expected.room_c
    reasons = (
        *(storage_reasons(view, a, p, soc[a.id]) for a, p in zip(problem.cars, schedule.car_kw, strict=True)),
        *(zone_reasons(view, a, p, room[a.id]) for a, p in zip(problem.zones, schedule.hvac_kw, strict=True)),
        *(pv_reasons(view, np.asarray(a.p50_kw), p) for a, p in zip(problem.pv, schedule.pv_kw, strict=True)),
        *(
            storage_reasons(view, a, p, soc[a.id])
            for a, p in zip(problem.batteries, schedule.battery_kw, strict=True)
        ),
        *(other_reasons(view, a, p) for a, p in zip(problem.others, schedule.other_kw, strict=True)),
    )
    for (asset, power, state), why in zip(_rows(problem, schedule, expected), reasons, strict=True):
        states = [None] * len(slots) if state is None else halves.last(np.round(state, 6))
        rows = zip(
            slots, halves.mean(power), halves.strongest(power, why), states, halves.steps(power), strict=True
        )
        for slot, kw, reason, end, steps in rows:
            yield Setpoint(asset=asset, slot=slot, power_kw=kw, reason=reason, expected=end, steps_kw=steps)


class _Halves:
    """From intervals to half-hours, and what is kept of the intervals."""

    def __init__(self, problem: Problem) -> None:
        self._problem, self._parts = problem, problem.parts
        self._ends = np.cumsum(problem.parts)
        self._share = share_of_slot(problem)

    def mean(self, power_kw: FloatArray) -> list[float]:
        """Mean over what lies ahead of each half-hour."""
        if not self._problem.divisions:
            return list(power_kw.tolist())
        whole = by_slot(self._problem, self._share)
        mean = by_slot(self._problem, self._share * power_kw) / whole
        return list((np.round(mean, 9) + 0.0).tolist())

    def last(self, state: FloatArray) -> list[float | None]:
        """State at the end of each half-hour."""
        return list(state[self._ends - 1].tolist())

    def strongest(self, power_kw: FloatArray, reasons: list[Reason]) -> list[Reason]:
        """Of each half-hour's reasons the one for the most power; the first of equals."""
        if not self._problem.divisions:
            return reasons
        spans = zip(self._ends - self._parts, self._ends, strict=True)
        return [reasons[int(first + np.argmax(np.abs(power_kw[first:end])))] for first, end in spans]

    def steps(self, power_kw: FloatArray) -> list[tuple[float, ...]]:
        """Powers of the intervals of divided half-hours."""
        spans = zip(self._ends - self._parts, self._ends, strict=True)
        return [tuple(power_kw[first:end].tolist()) if end - first > 1 else () for first, end in spans]


def _trajectory(problem: Problem, schedule: Schedule, expected: Expected) -> Trajectory:
    """What the plan expects at the medians; the peak is what the expected demand adds to the memory."""
    limits, halves = problem.limits, _Halves(problem)
    counted = expected.demand_kw[: limits.memory_until]
    excess = max(0.0, float(counted.max(initial=0.0)) - limits.peak_memory_kw)
    steps = (step.yen_per_kw * step_excess_kw(problem, step, expected.demand_kw) for step in limits.steps)
    return Trajectory(
        import_kw=tuple(halves.mean(np.round(expected.import_kw, 6))),
        load_kw=tuple(halves.mean(np.asarray(problem.load_p50_kw, dtype=float))),
        pv_kw=tuple(halves.mean(schedule.pv_kw.sum(axis=0))),
        curtailed_kw=tuple(halves.mean(np.round(curtailed_kw(problem, schedule), 6))),
        energy_yen=float(np.sum(energy_yen(problem, expected.import_kw))),
        peak_yen=limits.peak_yen_per_kw * excess + sum(steps),
        event_yen=event_yen(problem, expected.import_kw),
        imbalance_yen=imbalance_yen(problem, expected.import_kw),
    )


def _target(problem: Problem, expected: Expected) -> float:
    """Demand that the guard holds: the peak that is paid anyway, or what is forced within a day. [kW]

    ``max(memory, max over a day of (planned demand - fall))``: the memory is given up only where the planned
    demand would pass it even at P10 of the load and P90 of the sun (ADR 0010). A target raised for a peak
    that may not come lets it come: cars charge up to it. Rounded up to 0.1 kW, never above the contract.
    """
    first = min(problem.grid.count, max(1, _DAY // problem.grid.step))
    forced = (expected.demand_kw - demand_fall_kw(problem))[:first]
    target = max(problem.limits.peak_memory_kw, float(np.ceil(forced.max() * 10.0 - 1e-3)) / 10.0)
    return round(float(min(target, problem.limits.contract_kw)), 1)
