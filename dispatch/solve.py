"""HiGHS: a template and its data in, a solution out. Each solve starts cold: equal problems, equal plans."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from dispatch.compile import Template
from energy.core.errors import PlanError
from energy.core.series import FloatArray

__all__ = ["Solution", "SolveStatus", "SolverSettings", "highs_of", "solve"]

BoolArray = NDArray[np.bool_]


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
    method : str
        HiGHS' ``solver`` for linear programs: ``simplex``, ``ipm`` or ``choose``.
    """

    time_limit_s: float = 10.0
    relative_gap: float = 1e-4
    absolute_gap_yen: float = 1.0
    method: str = "simplex"


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
        Time in HiGHS, with handing over the matrices. [ms]
    """

    status: SolveStatus
    x: FloatArray
    row_dual: FloatArray
    objective_yen: float
    gap: float
    solve_ms: float


def solve(
    template: Template,
    data: FloatArray,
    settings: SolverSettings,
    *,
    forbidden: BoolArray | None = None,
    integer: BoolArray | None = None,
    lazy: BoolArray | None = None,
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

    Raises
    ------
    PlanError
        If HiGHS refuses the model: it was built wrongly.
    """
    begun = time.perf_counter()
    used = ~template.lazy if lazy is None else ~template.lazy | lazy
    highs = highs_of(template, data, settings, forbidden=forbidden, integer=integer, lazy=lazy)
    highs.run()
    info, outcome = highs.getInfo(), highs.getModelStatus()
    feasible = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
    if outcome == highspy.HighsModelStatus.kOptimal:
        found = SolveStatus.OPTIMAL
    else:
        found = SolveStatus.INCUMBENT if feasible and integer is not None else SolveStatus.NOTHING
    row_dual = np.zeros(len(used))
    if found is SolveStatus.NOTHING:
        x = np.empty(0)
    else:
        answer = highs.getSolution()
        x = np.array(answer.col_value)
        if integer is None:
            row_dual[used] = answer.row_dual
    gap = info.mip_gap if integer is not None else 0.0
    return Solution(
        status=found,
        x=x,
        row_dual=row_dual,
        objective_yen=float(info.objective_function_value),
        gap=float(gap),
        solve_ms=(time.perf_counter() - begun) * 1000.0,
    )


def highs_of(
    template: Template,
    data: FloatArray,
    settings: SolverSettings,
    *,
    forbidden: BoolArray | None = None,
    integer: BoolArray | None = None,
    lazy: BoolArray | None = None,
) -> Any:  # Any: highspy's classes carry no types here
    """HiGHS with the model of one set of data, ready to run; parameters as in :func:`solve`.

    Raises
    ------
    PlanError
        If HiGHS refuses the model: it was built wrongly.
    """
    used = ~template.lazy if lazy is None else ~template.lazy | lazy
    highs = _solver(settings)
    status = highs.passModel(_model(template, data, used, forbidden=forbidden, integer=integer))
    if status == highspy.HighsStatus.kError:
        raise PlanError("the solver refused the model", where=f"structure {template.structure}")
    return highs


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


def _model(
    template: Template,
    data: FloatArray,
    used: BoolArray,
    *,
    forbidden: BoolArray | None,
    integer: BoolArray | None,
) -> Any:  # Any: as above
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(template.cost.base), int(used.sum())
    lp.col_cost_ = template.cost.at(data)
    lp.col_lower_ = template.column_lower.at(data)
    upper = template.column_upper.at(data)
    if forbidden is not None:
        upper[forbidden] = 0.0
    lp.col_upper_ = upper
    lp.row_lower_ = template.row_lower.at(data)[used]
    lp.row_upper_ = template.row_upper.at(data)[used]
    lengths = np.diff(template.starts)
    entries = np.repeat(used, lengths)
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_ = np.r_[0, np.cumsum(lengths[used])].astype(np.int32)
    lp.a_matrix_.index_ = template.index[entries].astype(np.int32)
    lp.a_matrix_.value_ = template.value.at(data)[entries]
    if integer is not None:
        whole, real = highspy.HighsVarType.kInteger, highspy.HighsVarType.kContinuous
        lp.integrality_ = [whole if flag else real for flag in integer]
    return lp
