"""One site under prices: its compiled linear program, solved again and again from its own last basis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from dispatch.assemble import told
from dispatch.checks import check_told
from dispatch.fill import TieBreaks, structure_of, values_of
from dispatch.optimise import schedule_at
from dispatch.reduce import Shape
from dispatch.region.program import Arrays, highs, load, primal, run
from dispatch.region.sites import SiteInput
from dispatch.schedule import Schedule, import_kw, settle
from dispatch.shortfalls import expect, objective_yen
from dispatch.template import Template
from dispatch.templates import TemplateCache
from dispatch.validate import require_sound
from energy.core.errors import DataError, PlanError
from energy.core.plan import Problem
from energy.core.series import FloatArray

__all__ = ["Offer", "PricedSite", "Settlement", "droppable_kw", "mixed", "site_solver"]

_DEVEX = 1  # as HiGHS numbers its dual edge weights
_LEAST = 1e-3  # what is wrong without an amount, a missing setpoint, counts as this much
_NO_TIES = TieBreaks(early_yen_per_kwh=0.0, smooth_yen_per_kw=0.0)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a site does at some prices; the schedule stays with the site."""

    yen: float
    bound_yen: float
    power_kw: FloatArray
    droppable_kw: FloatArray
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Settlement:
    """A schedule that a site can keep, what it costs, and what of its promises and limits it breaks.

    Parameters
    ----------
    broken : tuple of str
        Kinds of promises that it cannot keep, in order.
    violation : float
        The most by which it breaks a hard limit; above 0 only if something was built wrongly. [kW, kWh, K]
    """

    schedule: Schedule
    yen: float
    broken: tuple[str, ...]
    violation: float


class PricedSite:
    """A sound site, ready to be asked.

    Parameters
    ----------
    share : float
        How far its peak leaves room for forecast errors, as in the planner. [-]
    solver : HiGHS
        One that sites asked one after the other share (:func:`site_solver`).

    Raises
    ------
    DataError
        If the problem cannot be planned, or divides its half-hours.
    """

    def __init__(self, site: SiteInput, templates: TemplateCache, *, share: float, solver: Any) -> None:
        problem = require_sound(site.problem)
        if problem.divisions:
            raise DataError(
                "a region plans half-hours", where=f"site {problem.site}: divisions", hint="leave them out"
            )
        self.problem, self.share = problem, share
        structure = structure_of(problem)
        self._template = templates.of(structure)
        data = self._template.vector(values_of(problem, peak_quantile_share=share, ties=_NO_TIES))
        shape = Shape(self._template, data, used=~self._template.lazy)
        program = shape.program(data)
        if program is None:
            raise PlanError("the data do not fit their own shape", where=f"site {problem.site}")
        self._arrays = Arrays(
            program.cost, program.lower, program.upper, program.row_lower, program.row_upper,
            program.starts, program.index, program.value,
        )  # fmt: skip
        # every column of the template is a constant, or one of the program's columns and a constant
        n = len(program.cost)
        self._base = shape.expand(np.zeros(n), program)
        moved = shape.expand(np.arange(1.0, n + 1.0), program) - self._base
        place = np.rint(moved).astype(np.int32) - 1
        self._moves = np.flatnonzero(place >= 0)
        self._from = place[self._moves]
        self._priced_at = _priced_at(self._template, place, problem.count)
        self._solver = solver
        self._cost = program.full_cost
        self._whole = structure.features.stages > 0 or structure.features.minimum
        self._basis: Any = None  # highspy's classes carry no types
        self._hours = problem.grid.hours

    @property
    def whole(self) -> bool:
        """Whether its schedules cannot be mixed: units with stages, chargers with a least power."""
        return self._whole

    def ask(self, power_yen: FloatArray, droppable_yen: FloatArray) -> Offer:
        """What the site does at prices beside its own. [yen/kWh]

        Raises
        ------
        PlanError
            If the linear program has no optimum; it always has one unless it was built wrongly.
        """
        solver = self._solver
        load(solver, self._arrays, cost=self._arrays.cost + self._priced(power_yen, droppable_yen))
        if self._basis is not None:
            solver.setBasis(self._basis)
        if not run(solver):
            solver.clearSolver()  # from another basis it may be
            if not run(solver):
                raise PlanError("a site found no optimum", where=f"site {self.problem.site}")
        self._basis = solver.getBasis()
        x = self._full(primal(solver))
        schedule = schedule_at(self.problem, self._template, x)
        yen, power = float(np.sum(self._cost * x)), import_kw(self.problem, schedule)
        drop = droppable_kw(schedule)
        bound = yen + self._hours * float(np.sum(power_yen * power) - np.sum(droppable_yen * drop))
        if self._whole:
            schedule = settle(self.problem, schedule)
            yen = objective_yen(self.problem, schedule, peak_quantile_share=self.share)
            power, drop = import_kw(self.problem, schedule), droppable_kw(schedule)
        return Offer(yen, bound, power, drop, schedule)

    def _full(self, x: FloatArray) -> FloatArray:
        full = self._base.copy()
        full[self._moves] += x[self._from]
        return full

    def _priced(self, power_yen: FloatArray, droppable_yen: FloatArray) -> FloatArray:
        """What the prices add to the cost of the program's columns.

        The power of the connection is ``within + over - export``; what can be dropped is what storages take,
        less what they give, and the air conditioners' power.
        """
        column, slot, sign = self._priced_at
        prices = self._hours * np.concatenate([power_yen, -droppable_yen])
        priced = np.bincount(column, weights=sign * prices[slot], minlength=len(self._arrays.cost))
        return np.asarray(priced, dtype=float)

    def settled(self, schedule: Schedule) -> Settlement:
        """What the site can really keep of a schedule.

        It is verified by :mod:`dispatch.checks`, which knows neither the model nor the solver.
        """
        problem = self.problem
        kept = settle(problem, schedule)
        expected = expect(problem, kept)
        said = told(problem, kept, expected)
        found = check_told(problem, said)
        return Settlement(
            schedule=kept,
            yen=objective_yen(problem, kept, peak_quantile_share=self.share, expected=expected),
            broken=tuple(sorted({short.kind for short in said.shortfalls})),
            violation=max((max(_LEAST, violation.amount) for violation in found), default=0.0),
        )


def site_solver() -> Any:  # Any: highspy's classes carry no types
    """A solver for sites, one after the other.

    It is told to leave out presolve: a site's program was reduced once (:mod:`dispatch.reduce`), and doing
    it again for each solve takes longer than it saves. Devex weights begin at 1, where those of the steepest
    edge are computed anew from a basis that is handed over: 8 % of a solve of some thirty iterations.
    """
    return highs(presolve="off", simplex_dual_edge_weight_strategy=_DEVEX)


def _priced_at(
    template: Template, place: np.ndarray, slots: int
) -> tuple[np.ndarray, np.ndarray, FloatArray]:
    """Columns of the program that are priced, the price of each (power, then droppable), and its sign."""
    columns, found = template.columns, []
    for kind, name, sign, first in (*_POWERS, *_DROPS):
        if columns.tables.get(kind) is not None and columns.tables[kind].count:
            block = columns.block(kind, name).reshape(-1, slots)
            slot = np.broadcast_to(np.arange(slots) + first * slots, block.shape)
            found.append((place[block].ravel(), slot.ravel(), np.full(block.size, sign)))
    column, slot, signs = (np.concatenate(each) for each in zip(*found, strict=True))
    moves = column >= 0
    return column[moves], slot[moves], signs[moves]


# kind, name, sign of what the connection takes; and what could be dropped: what storages take less what
# they give, and air conditioners
_POWERS = (("", "within_kw", 1.0, 0), ("", "over_kw", 1.0, 0), ("", "export_kw", -1.0, 0))
_DROPS = (
    ("car", "charge_kw", 1.0, 1),
    ("car", "discharge_kw", -1.0, 1),
    ("battery", "charge_kw", 1.0, 1),
    ("battery", "discharge_kw", -1.0, 1),
    ("zone", "hvac_kw", 1.0, 1),
)


def droppable_kw(schedule: Schedule) -> FloatArray:
    """Power that stops at once if batteries and air conditioners rest; below zero where they give. [kW]"""
    total: FloatArray = (
        schedule.car_kw.sum(axis=0) + schedule.battery_kw.sum(axis=0) + schedule.hvac_kw.sum(axis=0)
    )
    return total


def mixed(schedules: list[Schedule], share: FloatArray) -> Schedule:
    """Schedules added up by their shares; a site without whole numbers can keep it if it can keep each."""

    def sum_of(name: str) -> FloatArray:
        return np.asarray(sum(w * getattr(one, name) for w, one in zip(share, schedules, strict=True)))

    return Schedule(
        car_kw=sum_of("car_kw"),
        hvac_kw=sum_of("hvac_kw"),
        pv_kw=sum_of("pv_kw"),
        battery_kw=sum_of("battery_kw"),
        other_kw=sum_of("other_kw"),
    )


def is_movable(problem: Problem) -> bool:
    """Whether anything at the site can be moved."""
    arrays = any(array.curtailable for array in problem.pv)
    return bool(problem.cars or problem.zones or problem.batteries or problem.others or arrays)
