"""From a problem to the best schedule: the linear program first, more only where it cheats.

The linear program may cheat in two ways. It may charge and discharge one battery at once where burning energy
pays (negative prices); then the direction of *those* intervals becomes binary and it is solved again. And a
car that came home below its floor may be charged first and give back later while still below; then giving
back is barred until then. Both are looked for after every solve; the gap is told against the last proven
bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.compile import Template
from dispatch.fill import TieBreaks, values_of
from dispatch.schedule import Schedule, settle
from dispatch.solve import Solution, SolverSettings, SolveStatus, solve
from energy.core.plan import Problem
from energy.core.series import FloatArray

__all__ = ["Answer", "Solver", "optimise"]

BoolArray = NDArray[np.bool_]
Solver = Callable[..., Solution]  # as dispatch.solve.solve; tests put a failing one in its place

_ROUNDS = 4
_BOTH_KW = 1e-4  # charging and discharging together above this is cheating
_BELOW_KWH = 1e-4


@dataclass(frozen=True, slots=True)
class Answer:
    """A schedule that keeps all hard limits, and how good it is known to be.

    Parameters
    ----------
    optimal : bool
        False if time ran out or the cheating was not cured: then it is the best found.
    gap : float
        Relative distance to a proven bound. [-]
    peak_dual : ndarray
        Price of one kW of demand by interval, from the linear program. [yen/kW]
    solve_ms : float
        Time in HiGHS, all rounds. [ms]
    """

    schedule: Schedule
    optimal: bool
    gap: float
    peak_dual: FloatArray
    solve_ms: float
    rounds: int


def optimise(
    problem: Problem,
    template: Template,
    settings: SolverSettings,
    *,
    peak_quantile_share: float,
    ties: TieBreaks,
    solver: Solver = solve,
) -> Answer | None:
    """Solve a sound problem; None if no solution was found in time."""
    data = template.vector(values_of(problem, peak_quantile_share=peak_quantile_share, ties=ties))
    cure = _Cure(problem, template)
    first: Solution | None = None
    best: Solution | None = None
    spent_ms, rounds, honest, bound = 0.0, 0, False, -np.inf
    for rounds in range(1, _ROUNDS + 1):
        solution = solver(template, data, settings, **cure.arguments())
        spent_ms += solution.solve_ms
        if solution.status is SolveStatus.NOTHING:
            break
        first, best = first or solution, solution
        if (
            not cure.forbidden.any()
        ):  # barring giving back is a choice of ours: only before it is a bound proven
            bound = solution.objective_yen - solution.gap * abs(solution.objective_yen)
        honest = not cure.learn(solution.x, everywhere=rounds == _ROUNDS - 1)
        if honest:
            break
    if first is None or best is None:
        return None
    worse = (best.objective_yen - bound) / max(1.0, abs(best.objective_yen))
    return Answer(
        schedule=settle(problem, _schedule(problem, template, best.x)),
        optimal=honest and best.status is SolveStatus.OPTIMAL,
        gap=max(0.0, worse),
        peak_dual=np.abs(first.row_dual[template.rows["peak"]]),
        solve_ms=spent_ms,
        rounds=rounds,
    )


def _schedule(problem: Problem, template: Template, x: FloatArray) -> Schedule:
    n = problem.grid.count

    def rows(kind: str, count: int, *names: str) -> FloatArray:
        read = [[x[template.columns[f"{kind}[{k}].{name}"]] for name in names] for k in range(count)]
        return np.array([row[0] - (row[1] if len(row) > 1 else 0.0) for row in read]).reshape(count, n)

    return Schedule(
        car_kw=rows("car", len(problem.cars), "charge_kw", "discharge_kw"),
        hvac_kw=rows("zone", len(problem.zones), "hvac_kw"),
        pv_kw=rows("pv", len(problem.pv), "used_kw"),
        battery_kw=rows("battery", len(problem.batteries), "charge_kw", "discharge_kw"),
    )


class _Cure:
    """What was learnt about where the linear program cheats."""

    def __init__(self, problem: Problem, template: Template) -> None:
        self.template = template
        self.owners = [f"car[{k}]" for k in range(len(problem.cars))]
        self.owners += [f"battery[{k}]" for k in range(len(problem.batteries))]
        stays = [np.asarray(car.plugged, dtype=bool) for car in problem.cars]
        stays += [np.ones(problem.grid.count, dtype=bool)] * len(problem.batteries)
        self.stays = dict(zip(self.owners, stays, strict=True))
        self.forbidden = np.zeros(len(template.binary), dtype=bool)
        self.integer = np.zeros(len(template.binary), dtype=bool)
        self.lazy = np.zeros(len(template.lazy), dtype=bool)

    def arguments(self) -> dict[str, BoolArray | None]:
        """Arguments of the next solve."""
        mixed = bool(self.integer.any())
        return {
            "forbidden": self.forbidden if self.forbidden.any() else None,
            "integer": self.integer if mixed else None,
            "lazy": self.lazy if mixed else None,
        }

    def learn(self, x: FloatArray, *, everywhere: bool) -> bool:
        """Note where a solution cheats; True if it does. ``everywhere``: leave it no second way."""
        cheats = False
        for owner in self.owners:
            at = {name: self.template.columns[f"{owner}.{name}"] for name in ("charge_kw", "discharge_kw")}
            charge, discharge = x[at["charge_kw"]], x[at["discharge_kw"]]
            below = x[self.template.columns[f"{owner}.below_kwh"]]
            both = np.minimum(charge, discharge) > _BOTH_KW
            if both.any():
                cheats = True
                where = self.stays[owner] if everywhere else both
                self.integer[self.template.columns[f"{owner}.charging"][where]] = True
                for row in ("charge_one_way", "discharge_one_way"):
                    self.lazy[self.template.rows[f"{owner}.lazy.{row}"][where]] = True
            low = (discharge > _BOTH_KW) & (below > _BELOW_KWH)
            if low.any():
                cheats = True
                stays = np.ones(len(low), dtype=bool) if everywhere else _until_last(self.stays[owner], low)
                self.forbidden[at["discharge_kw"][stays]] = True
        return cheats


def _until_last(plugged: BoolArray, marked: BoolArray) -> BoolArray:
    """Of each stay at the charger, the part up to its last marked interval."""
    number = np.cumsum(np.r_[True, np.diff(plugged.astype(np.int8)) != 0])
    barred = np.zeros(len(plugged), dtype=bool)
    for t in np.flatnonzero(marked):
        barred[: t + 1] |= number[: t + 1] == number[t]
    return barred & plugged
