"""HiGHS for linear programs as arrays: of a site under prices, and of the region's master."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import highspy
import numpy as np
from numpy.typing import NDArray

from energy.core.errors import PlanError
from energy.core.series import FloatArray

__all__ = ["Arrays", "highs", "load", "primal", "run"]


@dataclass(frozen=True, slots=True)
class Arrays:
    """``min cost x, lower <= x <= upper, row_lower <= A x <= row_upper``; ``A`` by rows or by columns."""

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    starts: NDArray[np.int32]
    index: NDArray[np.int32]
    value: FloatArray
    by_row: bool = True


def highs(**options: float | str | bool) -> Any:  # Any: highspy's classes carry no types here
    """A silent HiGHS in one thread; sites are solved side by side in processes."""
    solver = highspy.Highs()
    for name, value in ({"output_flag": False, "threads": 1} | options).items():
        if solver.setOptionValue(name, value) == highspy.HighsStatus.kError:
            raise PlanError("the solver knows no such option", where=f"{name}={value}")
    return solver


def load(solver: Any, program: Arrays, *, cost: FloatArray | None = None) -> None:  # Any: as above
    """Hand a program over.

    Raises
    ------
    PlanError
        If HiGHS refuses it: it was built wrongly.
    """
    form = highspy.MatrixFormat.kRowwise if program.by_row else highspy.MatrixFormat.kColwise
    status = solver.passModel(
        len(program.cost), len(program.row_lower), len(program.value),
        int(form), int(highspy.ObjSense.kMinimize), 0.0,
        program.cost if cost is None else cost, program.lower, program.upper,
        program.row_lower, program.row_upper, program.starts, program.index, program.value,
        np.zeros(len(program.cost), dtype=np.int32),
    )  # fmt: skip
    if status == highspy.HighsStatus.kError:
        raise PlanError("the solver refused the model", where=f"{len(program.cost)} columns")


def run(solver: Any) -> bool:  # Any: as above
    """Solve; whether the optimum was found."""
    solver.run()
    return bool(solver.getModelStatus() == highspy.HighsModelStatus.kOptimal)


def primal(solver: Any) -> FloatArray:  # Any: as above
    """Values of the columns."""
    return np.array(solver.getSolution().col_value)
