"""HiGHS: a template and its data in, a solution out.

:func:`solve` starts cold: equal problems, equal plans. A :class:`WarmSolver` starts from the basis of the
solve before, which is faster and may end at another of several solutions of one cost (docs/adr/0008).
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import highspy
import numpy as np

from dispatch.reduce import Program, Shape
from dispatch.template import BoolArray, Template
from energy.core.errors import PlanError
from energy.core.series import FloatArray

__all__ = ["Solution", "SolveStatus", "SolverSettings", "WarmSolver", "highs_of", "solve"]


class SolveStatus(StrEnum):
    """How a solve ended."""

    OPTIMAL = "optimal"
    INCUMBENT = "incumbent"  # time ran out, with a solution that keeps all rows
    NOTHING = "nothing"  # time ran out without one, or the solver gave up


@dataclass(frozen=True, slots=True)
class SolverSettings:
    """Limits of one solve; there is always a time limit and always a gap.

    Parameters
    ----------
    time_limit_s : float
        Wall time of one run. [s]
    relative_gap, absolute_gap_yen : float
        A mixed-integer solve stops at the first that is reached. [-], [yen]
    stage_gap, stage_time_s : float
        The same for a solve with whole stages of air conditioners, of which there are many and which cost
        little. [-], [s]
    method : str
        HiGHS' ``solver`` for linear programs: ``simplex``, ``ipm`` or ``choose``.
    """

    time_limit_s: float = 10.0
    relative_gap: float = 1e-4
    absolute_gap_yen: float = 1.0
    stage_gap: float = 0.01
    stage_time_s: float = 1.5
    method: str = "simplex"

    def for_stages(self) -> SolverSettings:
        """The settings of a solve with whole stages."""
        return replace(
            self,
            relative_gap=max(self.relative_gap, self.stage_gap),
            time_limit_s=min(self.time_limit_s, self.stage_time_s),
        )


@dataclass(frozen=True, slots=True)
class Solution:
    """What HiGHS found.

    Parameters
    ----------
    x : ndarray
        Values of all columns; empty if there is no solution.
    row_dual : ndarray
        Duals of all rows (0 for rows left out, and everywhere in a mixed-integer solve).
    gap : float
        Relative gap that is proven. [-]
    solve_ms : float
        Time from the data vector to the solution. [ms]
    run_ms : float
        HiGHS' own run time inside that. [ms]
    """

    status: SolveStatus
    x: FloatArray
    row_dual: FloatArray
    objective_yen: float
    gap: float
    solve_ms: float
    run_ms: float = 0.0


def solve(
    template: Template,
    data: FloatArray,
    settings: SolverSettings,
    *,
    forbidden: BoolArray | None = None,
    integer: BoolArray | None = None,
    lazy: BoolArray | None = None,
    start: FloatArray | None = None,
) -> Solution:
    """Solve a template for one set of data.

    Parameters
    ----------
    forbidden : ndarray of bool, optional
        Columns held at zero.
    integer : ndarray of bool, optional
        Columns that must be whole; the others are continuous, binaries too.
    lazy : ndarray of bool, optional
        Lazy rows that are needed this time.
    start : ndarray, optional
        Values of whole columns to begin with; NaN where none is known.

    Raises
    ------
    PlanError
        If HiGHS refuses the model: it was built wrongly.
    """
    begun = time.perf_counter()
    shape, program = _reduced(template, data, forbidden=forbidden, lazy=lazy)
    highs = _solver(settings)
    _hand_over(highs, template, shape, program, integer=integer)
    if start is not None:
        known = np.flatnonzero(np.isfinite(start[shape.columns]))
        highs.setSolution(len(known), known.astype(np.int32), start[shape.columns][known])
    return _run(highs, template, shape, program, begun=begun, mixed=integer is not None)


def highs_of(template: Template, data: FloatArray, settings: SolverSettings) -> Any:  # Any: no types there
    """HiGHS with the linear program of one set of data, ready to run.

    Raises
    ------
    PlanError
        If HiGHS refuses the model: it was built wrongly.
    """
    shape, program = _reduced(template, data)
    highs = _solver(settings)
    _hand_over(highs, template, shape, program)
    return highs


class WarmSolver:
    """Solves one problem after the other on one HiGHS object, each from the basis of the one before.

    A drop-in for :func:`solve`. What needs other rows or columns than the solve before is handed over anew,
    with the basis of those that stayed, and :attr:`rebuilt` says why; what must be whole is solved cold.

    Attributes
    ----------
    warm : int
        Solves in the shape of the one before.
    rebuilt : Counter
        Others by reason: ``first``; ``structure``, another template; ``shape``, the data leave other
        columns or rows (a car is plugged at other times); ``integer``, whole directions or barred giving.
    """

    def __init__(self) -> None:
        self.warm = 0
        self.rebuilt: Counter[str] = Counter()
        self._highs: Any = None
        self._settings: SolverSettings | None = None
        self._template: Template | None = None
        self._shape: Shape | None = None

    def __call__(
        self,
        template: Template,
        data: FloatArray,
        settings: SolverSettings,
        *,
        forbidden: BoolArray | None = None,
        integer: BoolArray | None = None,
        lazy: BoolArray | None = None,
        start: FloatArray | None = None,
    ) -> Solution:
        """As :func:`solve`."""
        if forbidden is not None or integer is not None or lazy is not None:
            self.rebuilt["integer"] += 1
            return solve(
                template, data, settings, forbidden=forbidden, integer=integer, lazy=lazy, start=start
            )
        begun = time.perf_counter()
        if settings != self._settings:
            self._highs, self._settings, self._shape = _solver(settings), settings, None
        basis: Any = None
        program: Program | None = None
        shape = self._shape
        if shape is None:
            self.rebuilt["first"] += 1
        elif template is not self._template:
            self.rebuilt["structure"] += 1
        else:
            basis, program = self._highs.getBasis(), shape.program(data)
            basis = basis if basis.valid else None  # there is none after a solve that ran out of time
        if shape is None or program is None:
            before = shape
            shape, program = _reduced(template, data)
            if before is not None and template is self._template:
                self.rebuilt["shape"] += 1
            if before is not None and basis is not None:
                basis = _carried(basis, before, shape, template)
        else:
            self.warm += 1
        self._shape, self._template = shape, template
        _hand_over(self._highs, template, shape, program)
        if basis is not None:
            self._highs.setBasis(basis)
        # HiGHS counts the time of all runs of an object, not of each
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + settings.time_limit_s)
        return _run(self._highs, template, shape, program, begun=begun, mixed=False)


def _carried(basis: Any, before: Shape, after: Shape, template: Template) -> Any:  # Any: no types there
    """The basis of one shape as far as another has its columns and rows; HiGHS mends the rest.

    What is new starts at its lower bound, or basic if it is a row.
    """
    status = highspy.HighsBasisStatus
    columns = np.full(len(template.binary), status.kLower, dtype=object)
    columns[before.columns] = basis.col_status
    rows = np.full(len(template.lazy), status.kBasic, dtype=object)
    rows[before.rows] = basis.row_status
    carried = highspy.HighsBasis()
    carried.col_status, carried.row_status = columns[after.columns].tolist(), rows[after.rows].tolist()
    carried.valid = carried.alien = True  # alien: it may lack or have too many basic variables
    return carried


def _reduced(
    template: Template,
    data: FloatArray,
    *,
    forbidden: BoolArray | None = None,
    lazy: BoolArray | None = None,
) -> tuple[Shape, Program]:
    used = ~template.lazy if lazy is None else ~template.lazy | lazy
    shape = Shape(template, data, used=used, held=forbidden)
    program = shape.program(data)
    if program is None:
        raise PlanError("the data do not fit their own shape", where=f"structure {template.structure}")
    return shape, program


def _solver(settings: SolverSettings) -> Any:  # Any: highspy's classes carry no types here
    highs = highspy.Highs()
    options = {
        "output_flag": False,
        "threads": 1,  # one plan is small; sites are solved side by side in processes
        "time_limit": settings.time_limit_s,
        "mip_rel_gap": settings.relative_gap,
        "mip_abs_gap": settings.absolute_gap_yen,
        "solver": settings.method,
    }
    for name, value in options.items():
        highs.setOptionValue(name, value)
    return highs


def _hand_over(
    highs: Any,  # Any: as above
    template: Template,
    shape: Shape,
    program: Program,
    *,
    integer: BoolArray | None = None,
) -> None:
    columns = len(program.cost)
    whole = np.zeros(columns, dtype=np.int32) if integer is None else integer[shape.columns].astype(np.int32)
    status = highs.passModel(  # with arrays: as an object of highspy each entry would be converted
        columns,
        len(program.row_lower),
        len(program.value),
        int(highspy.MatrixFormat.kRowwise),
        int(highspy.ObjSense.kMinimize),
        0.0,
        program.cost,
        program.lower,
        program.upper,
        program.row_lower,
        program.row_upper,
        program.starts,
        program.index,
        program.value,
        whole,
    )
    if status == highspy.HighsStatus.kError:
        raise PlanError("the solver refused the model", where=f"structure {template.structure}")


def _run(
    highs: Any,  # Any: as above
    template: Template,
    shape: Shape,
    program: Program,
    *,
    begun: float,
    mixed: bool,
) -> Solution:
    """Run HiGHS and read what it found."""
    started = time.perf_counter()
    highs.run()
    run_s = time.perf_counter() - started
    info, outcome = highs.getInfo(), highs.getModelStatus()
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    if outcome == highspy.HighsModelStatus.kOptimal:
        found = SolveStatus.OPTIMAL
    else:
        found = SolveStatus.INCUMBENT if feasible and mixed else SolveStatus.NOTHING
    row_dual, x = np.zeros(len(template.lazy)), np.empty(0)
    if found is not SolveStatus.NOTHING:
        answer = highs.getSolution()
        x = shape.expand(np.array(answer.col_value), program)
        if not mixed:
            row_dual[shape.rows] = answer.row_dual
    return Solution(
        status=found,
        x=x,
        row_dual=row_dual,
        objective_yen=float(np.sum(program.full_cost * x)) if x.size else 0.0,  # @ would wake BLAS threads
        gap=float(info.mip_gap) if mixed else 0.0,
        solve_ms=(time.perf_counter() - begun) * 1000.0,
        run_ms=run_s * 1000.0,
    )
