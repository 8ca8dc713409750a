"""From a problem to the best schedule: the linear program first, more only where it cheats.

The linear program may cheat in several ways. It may charge and discharge one battery at once where burning
energy pays (negative prices), and import and export at once where selling earns more than buying costs; then
the direction of *those* intervals becomes binary and it is solved again. And a car that came home below its
floor may be charged first and give back later while still below; then giving back is barred until then. And
it runs units between their stages and chargers below their least power; then those become whole. All are
looked for after every solve; the gap is told against the last proven bound.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dispatch.fill import TieBreaks, values_of
from dispatch.kinds import kind_of
from dispatch.schedule import Schedule, import_kw, settle
from dispatch.shortfalls import objective_yen
from dispatch.solve import Solution, SolverSettings, SolveStatus, solve
from dispatch.template import BoolArray, Structure, Template
from dispatch.terms import demand_kw, others_by_kind, peak_margin_kw, slots_of
from dispatch.units import runs_whole, whole_kw, whole_stages
from energy.core.plan import Problem
from energy.core.series import FloatArray

__all__ = ["Answer", "Found", "Solver", "find", "optimise", "schedule_of"]

Templates = Callable[[Structure], Template]
Solver = Callable[..., Solution]  # as dispatch.solve.solve; tests put a failing one in its place

_ROUNDS = 10
_BAR_ALL = 3  # from this round on a car that gives back below its floor is barred for good
_BOTH_KW = 1e-4  # two directions together above this are cheating
_BELOW_KWH = 1e-4
_WHOLE = 1e-6
_ONE_WAY = ("charge_one_way", "discharge_one_way")
_LAST_S = 0.05  # with less time left no further round is begun


@dataclass(frozen=True, slots=True)
class Found:
    """The best solution of the model, and how good it is known to be.

    Parameters
    ----------
    template : Template
        What it is a solution of: one with binary directions if they were needed.
    x : ndarray
        Values of all columns of the template.
    honest : bool
        Whether it cheats nowhere.
    objective_yen, bound_yen : float
        Of this solution, and what no solution undercuts. [yen]
    gap : float
        Relative distance of the two. [-]
    peak_dual : ndarray
        Price of one kW of demand by interval, from the linear program. [yen/kW]
    solve_ms, run_ms : float
        Time in all solves, and in HiGHS' own runs inside them. [ms]
    """

    template: Template
    x: FloatArray
    status: SolveStatus
    honest: bool
    objective_yen: float
    bound_yen: float
    gap: float
    peak_dual: FloatArray
    solve_ms: float
    run_ms: float
    rounds: int


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
    whole: Templates | None = None,
) -> Answer | None:
    """Solve a sound problem; None if no solution was found in time. Parameters as in :func:`find`."""
    found = _best_joined(
        problem,
        lambda site: find(
            site,
            template,
            settings,
            peak_quantile_share=peak_quantile_share,
            ties=ties,
            solver=solver,
            whole=whole,
        ),
    )
    if found is None:
        return None
    schedule, gap = settle(problem, schedule_of(problem, found)), found.gap
    if not found.honest:  # what was promised cannot be had: the gap is that of what the schedule costs
        yen = objective_yen(problem, schedule, peak_quantile_share=peak_quantile_share)
        gap = max(gap, (yen - found.bound_yen) / max(1.0, abs(yen)))
    return Answer(
        schedule=schedule,
        optimal=found.honest and found.status is SolveStatus.OPTIMAL,
        gap=gap,
        peak_dual=found.peak_dual,
        solve_ms=found.solve_ms,
        rounds=found.rounds,
    )


def _best_joined(problem: Problem, solved: Callable[[Problem], Found | None]) -> Found | None:
    """The best solution, with or without each event that nobody has to join.

    Such an event pays nothing where it would come out negative, which is not linear. So the best plan is the
    better one of that in which it pays whatever comes out, and that in which it pays nothing at all.
    """
    best = solved(problem)
    for k, event in enumerate(problem.events):
        if event.negative_counts or best is None:
            continue
        apart = replace(event, reward_yen_per_kwh=0.0)
        without = replace(problem, events=(*problem.events[:k], apart, *problem.events[k + 1 :]))
        left = solved(without)
        if left is None:
            continue
        bound = min(best.bound_yen, left.bound_yen)
        if left.objective_yen < best.objective_yen:
            problem, best = without, left
        gap = (best.objective_yen - bound) / max(1.0, abs(best.objective_yen))
        best = replace(best, bound_yen=bound, gap=max(0.0, gap))
    return best


def find(
    problem: Problem,
    template: Template,
    settings: SolverSettings,
    *,
    peak_quantile_share: float,
    ties: TieBreaks,
    solver: Solver = solve,
    whole: Templates | None = None,
) -> Found | None:
    """The best solution of the model of a sound problem; None if none was found in time.

    All rounds together have the time limit of the settings.

    Parameters
    ----------
    whole : callable, optional
        Gives the template of a structure, for one whose directions can be binary; compiled unless given.
    """
    values = values_of(problem, peak_quantile_share=peak_quantile_share, ties=ties)
    data, peak = template.vector(values), template.rows["peak"]
    cure = _Cure(problem, template, peak_quantile_share)
    until = time.perf_counter() + settings.time_limit_s
    first: Solution | None = None
    best: Solution | None = None
    of_best: Template | None = None
    spent_ms, run_ms, rounds, honest, bound = 0.0, 0.0, 0, False, -np.inf
    for rounds in range(1, _ROUNDS + 1):
        left = settings if rounds == 1 else replace(settings, time_limit_s=until - time.perf_counter())
        if rounds > 1 and left.time_limit_s < _LAST_S:
            break
        if cure.staged:
            left = left.for_stages()
        solution = solver(cure.template, data, left, **cure.arguments())
        spent_ms, run_ms = spent_ms + solution.solve_ms, run_ms + solution.run_ms
        if solution.status is SolveStatus.NOTHING:
            break
        first, best, of_best = first or solution, solution, cure.template
        if not cure.forbidden.any():  # barring is a choice of ours: only before it is a bound proven
            proven = solution.objective_yen - solution.gap * abs(solution.objective_yen)
            bound = max(bound, proven) if np.isfinite(proven) else bound  # each round asks for more
        honest = not cure.learn(solution.x, bar_all=rounds >= _BAR_ALL, whole_all=rounds >= _ROUNDS - 1)
        if honest:
            break
        if cure.needs_whole:
            other = (whole or _compiled)(template.structure.whole)
            data = other.vector(values)
            cure = cure.moved(other)
            cure.learn(template.columns.moved(solution.x, other.columns), bar_all=False, whole_all=False)
    if first is None or best is None or of_best is None:
        return None
    worse = (best.objective_yen - bound) / max(1.0, abs(best.objective_yen))
    return Found(
        template=of_best,
        x=best.x,
        status=best.status,
        honest=honest,
        objective_yen=best.objective_yen,
        bound_yen=bound,
        gap=max(0.0, worse),
        peak_dual=np.abs(first.row_dual[peak]),
        solve_ms=spent_ms,
        run_ms=run_ms,
        rounds=rounds,
    )


def _compiled(structure: Structure) -> Template:
    """A structure's template where nobody keeps any."""
    from dispatch.compile import compile_template  # loads Pyomo

    return compile_template(structure)


def schedule_of(problem: Problem, found: Found) -> Schedule:
    """Powers of all assets in the solution that was found. [kW]"""
    return schedule_at(problem, found.template, found.x)


def schedule_at(problem: Problem, template: Template, x: FloatArray) -> Schedule:
    """Powers of all assets in a solution. [kW]"""
    n, columns = problem.count, template.columns

    def table(kind: str, *names: str) -> FloatArray:
        read = [columns.of_all(x, kind, name) for name in names if kind in columns.tables]
        if not read:
            return np.empty((0, n))
        return read[0] - read[1] if len(read) > 1 else read[0]

    return Schedule(
        car_kw=table("car", "charge_kw", "discharge_kw"),
        hvac_kw=table("zone", "hvac_kw"),
        pv_kw=table("pv", "used_kw"),
        battery_kw=table("battery", "charge_kw", "discharge_kw"),
        other_kw=_others_kw(problem, template, x),
    )


def _others_kw(problem: Problem, template: Template, x: FloatArray) -> FloatArray:
    """Powers of assets of kinds from outside, in the order of the problem. [kW]"""
    power = np.zeros((len(problem.others), problem.count))
    place = {other.id: k for k, other in enumerate(problem.others)}
    for name, group in others_by_kind(problem).items():
        rows = template.columns.of_all(x, name, kind_of(name).power)
        power[[place[other.id] for other in group]] = rows
    return power


class _Cure:
    """What was learnt about where the linear program cheats."""

    def __init__(self, problem: Problem, template: Template, share: float) -> None:
        self.problem, self.template, self.share = problem, template, share
        self.forbidden = np.zeros(len(template.binary), dtype=bool)
        self.integer = np.zeros(len(template.binary), dtype=bool)
        self.lazy = np.zeros(len(template.lazy), dtype=bool)
        self.needs_whole = False
        self.start: FloatArray | None = None
        self.least = False

    @property
    def staged(self) -> bool:
        """Whether units run at whole stages, or chargers at a least power: many binaries for little money."""
        return self.least or self.start is not None

    def moved(self, template: Template) -> _Cure:
        """The same for a template whose directions can be binary."""
        cure = _Cure(self.problem, template, self.share)
        cure.forbidden = self.template.columns.moved(self.forbidden, template.columns)
        cure.least = self.least
        cure.integer = self.template.columns.moved(self.integer, template.columns)
        if self.start is not None:
            known = self.template.columns.moved(np.nan_to_num(self.start), template.columns)
            cure.start = np.where(cure.integer, known, np.nan)
        return cure

    def arguments(self) -> dict[str, NDArray[Any] | None]:
        """Arguments of the next solve."""
        mixed = bool(self.integer.any())
        return {
            "forbidden": self.forbidden if self.forbidden.any() else None,
            "integer": self.integer if mixed else None,
            "lazy": self.lazy if mixed else None,
            "start": self.start if mixed else None,
        }

    def learn(self, x: FloatArray, *, bar_all: bool, whole_all: bool) -> bool:
        """Note where a solution cheats; True if it does.

        Parameters
        ----------
        bar_all : bool
            Bar giving back over the whole horizon for those that do so below their floor.
        whole_all : bool
            Make directions whole wherever they could matter: there is no second way then.
        """
        cheats = self._two_ways(x, everywhere=whole_all) | self._between_stages(x)
        for kind in ("car", "battery"):
            if kind in self.template.columns.tables:
                cheats |= self._both_directions(x, kind, everywhere=whole_all)
                cheats |= self._too_little(x, kind, everywhere=whole_all)
                cheats |= self._below_floor(x, kind, everywhere=bar_all)
        return cheats

    def _whole(self, choice: str, rows: tuple[str, ...], where: BoolArray, kind: str = "") -> None:
        """Make a direction binary in some intervals, or note that the template has none."""
        if not self.template.structure.features.whole:
            self.needs_whole = True
            return
        self.integer[self.template.columns.block(kind, choice)[where]] = True
        for row in rows:
            self.lazy[self.template.rows.block(kind, f"lazy.{row}")[where]] = True

    def _two_ways(self, x: FloatArray, *, everywhere: bool) -> bool:
        """Importing and exporting at once."""
        if self.problem.limits.max_export_kw <= 0.0:
            return False
        columns = self.template.columns
        both = np.minimum(columns.of_all(x, "", "within_kw"), columns.of_all(x, "", "export_kw")) > _BOTH_KW
        if not both.any():
            return False
        pays = np.subtract(self.problem.sell_yen_per_kwh or 0.0, self.problem.price_yen_per_kwh) > 0.0
        where = np.ones_like(both) if everywhere else both | pays
        self._whole("importing", ("import_one_way", "export_one_way"), where)
        return True

    def _both_directions(self, x: FloatArray, kind: str, *, everywhere: bool) -> bool:
        """Charging and discharging a battery at once."""
        columns = self.template.columns
        charge, discharge = (columns.of_all(x, kind, name) for name in ("charge_kw", "discharge_kw"))
        both = np.minimum(charge, discharge) > _BOTH_KW
        if not both.any():
            return False
        if everywhere:
            both = self._stays(kind)  # of all batteries: another one may cheat once this one cannot
        self._whole("charging", _ONE_WAY, both, kind)
        return True

    def _too_little(self, x: FloatArray, kind: str, *, everywhere: bool) -> bool:
        """Charging or giving back at less than the charger's least power."""
        least = self.problem.cars if kind == "car" else ()
        if not any(car.min_power_kw > 0.0 for car in least):
            return False
        columns = self.template.columns
        limit = np.array([[car.min_power_kw] for car in least])
        powers = [columns.of_all(x, kind, name) for name in ("charge_kw", "discharge_kw")]
        little = np.any([(power > _BOTH_KW) & (power < limit - _BOTH_KW) for power in powers], axis=0)
        if not little.any():
            return False
        # of the whole stay: what may not trickle in one interval trickles in the next
        stays = self._stays(kind) & (limit > 0.0)
        where = stays if everywhere else stays & little.any(axis=1)[:, None]
        self.least = True
        self._whole("charging", (*_ONE_WAY, "charge_at_least"), where, kind)
        self._whole("giving", ("give_if_giving", "give_at_least"), where, kind)
        if not self.needs_whole:
            start = np.full(len(x), np.nan) if self.start is None else self.start
            for choice, power in zip(("charging", "giving"), powers, strict=True):
                start[columns.block(kind, choice)[where]] = (power >= limit / 2.0)[where]
            self.start = start
        return True

    def _rooms_kw(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Powers of all rooms, and what they may take together without a new peak. [kW]"""
        schedule = schedule_at(self.problem, self.template, x)
        demand = demand_kw(self.problem, import_kw(self.problem, schedule))
        guarded = demand + peak_margin_kw(self.problem, self.share)
        limit = min(
            max(self.problem.limits.peak_memory_kw, float(guarded.max())), self.problem.limits.contract_kw
        )
        room = np.maximum(0.0, limit - guarded)[slots_of(self.problem)]
        return schedule.hvac_kw, schedule.hvac_kw.sum(axis=0) + room

    def _between_stages(self, x: FloatArray) -> bool:
        """Air conditioners between two stages, or running shorter than they may."""
        zones = self.problem.zones
        if not self.template.structure.features.stages:
            return False
        at = self.template.columns.block("zone", "at")
        whole = np.array([runs_whole(zone) for zone in zones])
        part = np.abs(x[at] - np.round(x[at])) > _WHOLE
        stages = self.template.structure.features.stages
        staged = np.tile(whole, (1, stages)) & ~self.integer[at]
        if not (part & staged).any():
            return False
        self.integer[at[staged]] = True
        self.start = np.full(len(x), np.nan) if self.start is None else self.start
        near = whole_kw(self.problem, *self._rooms_kw(x))
        for zone, row, power in zip(zones, at, near, strict=True):
            self.start[row] = whole_stages(zone, power, stages=stages)
        return True

    def _below_floor(self, x: FloatArray, kind: str, *, everywhere: bool) -> bool:
        """Giving back while still below the floor."""
        columns = self.template.columns
        if not self.template.structure.features.floors:
            return False
        below = columns.of_all(x, kind, "below_kwh") > _BELOW_KWH
        low = np.asarray(below & (columns.of_all(x, kind, "discharge_kw") > _BOTH_KW), dtype=bool)
        discharge = columns.block(kind, "discharge_kw")
        owners = np.flatnonzero(low.any(axis=1))
        stays = self._stays(kind) if owners.size else low
        for k in owners:
            barred = np.ones(low.shape[1], dtype=bool) if everywhere else _until_last(stays[k], low[k])
            self.forbidden[discharge[k][barred]] = True
        return bool(owners.size)

    def _stays(self, kind: str) -> BoolArray:
        """Where each battery is plugged; a stationary one always."""
        if kind == "car":
            return np.array([car.plugged for car in self.problem.cars], dtype=bool)
        return np.ones((len(self.problem.batteries), self.problem.count), dtype=bool)


def _until_last(plugged: BoolArray, marked: BoolArray) -> BoolArray:
    """Of each stay at the charger, the part up to its last marked interval."""
    number = np.cumsum(np.r_[True, np.diff(plugged.astype(np.int8)) != 0])
    barred = np.zeros(len(plugged), dtype=bool)
    for t in np.flatnonzero(marked):
        barred[: t + 1] |= number[: t + 1] == number[t]
    return barred & plugged
