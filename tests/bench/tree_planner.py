"""A planner over a tree of scenarios, to be compared with the product's room for errors; not part of it.

The horizon is planned for ``K`` paths of load and sun at once. What is carried out until the next plan, the
powers of the first interval, is the same in all of them; what comes later may differ from path to path. The
cost is the mean over the paths; the peak counts with its mean, or with its conditional value at risk
(Rockafellar and Uryasev, Optimization of conditional value-at-risk, Journal of Risk 2, 2000, 21-41):
``peak_yen * (eta + sum(z[k]) / ((1 - alpha) K))`` with ``z[k] >= excess_kw[k] - eta``.

The plan is the mean of the paths' schedules: the model is linear, so the mean keeps every linear limit, and
its first interval is what all paths share.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import highspy
import numpy as np
import scipy.sparse as sp

from dispatch.fill import structure_of, values_of
from dispatch.layout import IntArray
from dispatch.optimise import Answer, schedule_at
from dispatch.planner import Planner, PlannerOptions
from dispatch.reduce import Program, Shape
from dispatch.schedule import settle
from dispatch.template import Template
from dispatch.templates import TemplateCache
from energy.core.plan import Problem
from energy.core.series import FloatArray

__all__ = ["Tree", "TreePlanner", "paths_of", "standard_errors"]

_SIGMAS = 1.2815515655446004  # of a normal distribution, from its median to P90
_SHARED = {
    "car": ("charge_kw", "discharge_kw"),
    "zone": ("hvac_kw",),
    "battery": ("charge_kw", "discharge_kw"),
}


@dataclass(frozen=True, slots=True)
class Tree:
    """How a tree is drawn and what its peak costs.

    Parameters
    ----------
    paths : int
        How many, an even number: each comes with its mirror image, so that medians stay where they are.
    load_persists, sun_persists : float
        Correlation of standardised forecast errors from one half-hour to the next. [-]
    alpha : float
        The peak counts with the mean of its worst ``1 - alpha``; 0 is the mean of all paths. [-]
    """

    paths: int = 6
    load_persists: float = 0.57
    sun_persists: float = 0.79
    alpha: float = 0.0
    seed: int = 1


def standard_errors(
    actual: FloatArray, p10: FloatArray, p50: FloatArray, p90: FloatArray, *, least: float = 1e-6
) -> FloatArray:
    """Errors in standard deviations of a normal distribution whose halves reach P10 and P90. [-]

    Where a half has no width nothing is known: NaN.
    """
    off = np.asarray(actual) - p50
    width = np.where(off > 0.0, p90 - p50, p50 - p10) / _SIGMAS
    return np.where(width > least, off / np.where(width > least, width, 1.0), np.nan)


def paths_of(problem: Problem, tree: Tree) -> list[Problem]:
    """The problem on each path: load and sun as drawn around their medians, by their own quantiles."""
    rng = np.random.default_rng([tree.seed, int(problem.made_at.timestamp())])
    n, half = problem.count, tree.paths // 2
    load = _walks(rng, half, n, tree.load_persists)
    sun = _walks(rng, half, n, tree.sun_persists)
    found = []
    for k in range(tree.paths):
        sign = 1.0 if k < half else -1.0
        moved = _moved(sign * load[k % half], problem.load_p10_kw, problem.load_p50_kw, problem.load_p90_kw)
        arrays = tuple(
            replace(one, p50_kw=tuple(_moved(sign * sun[k % half], one.p10_kw, one.p50_kw, one.p90_kw)))
            for one in problem.pv
        )
        found.append(replace(problem, load_p50_kw=tuple(moved), pv=arrays))
    return found


def _walks(rng: np.random.Generator, count: int, n: int, persists: float) -> FloatArray:
    """Standard normal walks whose neighbours are correlated."""
    out = rng.standard_normal((count, n))
    fresh = np.sqrt(1.0 - persists**2)
    for t in range(1, n):
        out[:, t] = persists * out[:, t - 1] + fresh * out[:, t]
    return out


def _moved(walk: FloatArray, p10: Sequence[float], p50: Sequence[float], p90: Sequence[float]) -> list[float]:
    low, middle, high = (np.asarray(one, dtype=float) for one in (p10, p50, p90))
    width = np.where(walk > 0.0, high - middle, middle - low) / _SIGMAS
    moved: list[float] = np.maximum(0.0, middle + walk * width).tolist()
    return moved


class TreePlanner(Planner):
    """Plans over a tree; reasons, checks and fallbacks are those of the planner that it is compared with."""

    def __init__(self, tree: Tree, *, templates: TemplateCache | None = None) -> None:
        super().__init__(PlannerOptions(), templates=templates)
        self.tree = tree

    def _optimise(self, problem: Problem) -> Answer | None:
        begun = time.perf_counter()
        template = self.templates.of(structure_of(problem))
        paths = paths_of(problem, self.tree)
        reduced = [self._reduced(template, path) for path in paths]
        found = _solved(template, reduced, self.tree, self.options.solver.time_limit_s)
        if found is None:
            return None
        x, peak_dual = found
        whole = [shape.expand(part, program) for (shape, program), part in zip(reduced, x, strict=True)]
        schedules = [schedule_at(path, template, one) for path, one in zip(paths, whole, strict=True)]
        names = ("car_kw", "hvac_kw", "pv_kw", "battery_kw", "other_kw")
        mean = replace(
            schedules[0],
            **{name: np.mean([getattr(one, name) for one in schedules], axis=0) for name in names},
        )
        return Answer(
            schedule=settle(problem, mean),
            optimal=True,
            gap=0.0,
            peak_dual=peak_dual,
            solve_ms=(time.perf_counter() - begun) * 1000.0,
            rounds=1,
        )

    def _reduced(self, template: Template, path: Problem) -> tuple[Shape, Program]:
        data = template.vector(values_of(path, peak_quantile_share=0.0, ties=self.options.ties))
        shape = Shape(template, data, used=~template.lazy, held=None)
        program = shape.program(data)
        assert program is not None  # the data are those that the shape was made of
        return shape, program


class _Joined:
    """What is added to the paths' own programs: rows between them, and columns of the peak's worst paths."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.cost: list[float] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self._entries: list[tuple[int, int, float]] = []

    def column(self, cost: float) -> int:
        """A new column from zero up."""
        self.cost.append(cost)
        return self.columns + len(self.cost) - 1

    def row(self, terms: Sequence[tuple[int, float]], lower: float, upper: float) -> None:
        """A new row over columns of any path."""
        self._entries += [(len(self.lower), column, value) for column, value in terms]
        self.lower.append(lower)
        self.upper.append(upper)

    def matrix(self) -> sp.csr_matrix:
        """The new rows."""
        rows, columns, values = zip(*self._entries, strict=True) if self._entries else ((), (), ())
        return sp.csr_matrix((values, (rows, columns)), (len(self.lower), self.columns + len(self.cost)))


def _solved(
    template: Template, reduced: Sequence[tuple[Shape, Program]], tree: Tree, time_limit_s: float
) -> tuple[list[FloatArray], FloatArray] | None:
    """All paths in one program; the values of each and the price of the peak by half-hour. [yen/kW]"""
    programs = [program for _, program in reduced]
    widths = [len(program.cost) for program in programs]
    first = np.concatenate([[0], np.cumsum(widths)]).astype(int)
    cost = np.concatenate([program.cost for program in programs]) / len(programs)
    joined = _Joined(int(first[-1]))
    _share_first(joined, template, reduced, first)
    if tree.alpha > 0.0:
        _worst_paths(joined, cost, _places(template, reduced, first, "", "excess_kw", 0), tree)
    own = sp.block_diag(
        [
            sp.csr_matrix((one.value, one.index, one.starts), (len(one.row_lower), width))
            for one, width in zip(programs, widths, strict=True)
        ],
        format="csr",
    )
    size = joined.columns + len(joined.cost)
    own.resize((own.shape[0], size))
    matrix = sp.vstack([own, joined.matrix()], format="csr")
    solver = highspy.Highs()
    for name, value in (("output_flag", False), ("threads", 1), ("time_limit", time_limit_s)):
        solver.setOptionValue(name, value)
    bounds = {
        name: np.concatenate([getattr(program, name) for program in programs])
        for name in ("lower", "upper", "row_lower", "row_upper")
    }
    solver.passModel(
        size, matrix.shape[0], matrix.nnz,
        int(highspy.MatrixFormat.kRowwise), int(highspy.ObjSense.kMinimize), 0.0,
        np.concatenate([cost, joined.cost]),
        np.concatenate([bounds["lower"], np.zeros(len(joined.cost))]),
        np.concatenate([bounds["upper"], np.full(len(joined.cost), np.inf)]),
        np.concatenate([bounds["row_lower"], joined.lower]),
        np.concatenate([bounds["row_upper"], joined.upper]),
        matrix.indptr.astype(np.int32), matrix.indices.astype(np.int32), matrix.data,
        np.zeros(size, dtype=np.int32),
    )  # fmt: skip
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        return None
    answer = solver.getSolution()
    x, duals = np.array(answer.col_value), np.array(answer.row_dual)
    peak, row = np.zeros(len(template.lazy)), 0
    for shape, program in reduced:
        peak[shape.rows] += np.abs(duals[row : row + len(program.row_lower)])
        row += len(program.row_lower)
    parts = [x[a:b] for a, b in itertools.pairwise(first)]
    return parts, peak[template.rows["peak"]]


def _places(
    template: Template,
    reduced: Sequence[tuple[Shape, Program]],
    first: IntArray,
    kind: str,
    name: str,
    row: int,
) -> list[int]:
    """Columns of the first value of a quantity in the joined program, of the paths that have it left."""
    column = int(template.columns.block(kind, name)[row][0])
    found = []
    for begin, (shape, _) in zip(first, reduced, strict=False):
        place = int(np.searchsorted(shape.columns, column))
        if place < len(shape.columns) and shape.columns[place] == column:
            found.append(int(begin) + place)
    return found


def _share_first(
    joined: _Joined, template: Template, reduced: Sequence[tuple[Shape, Program]], first: IntArray
) -> None:
    """The powers of the first interval are the same on every path."""
    for kind, names in _SHARED.items():
        table = template.columns.tables.get(kind)
        for name in names if table is not None else ():
            for row in range(table.count if table is not None else 0):
                one, *others = [*_places(template, reduced, first, kind, name, row), -1]
                for other in others[:-1]:
                    joined.row([(one, 1.0), (other, -1.0)], 0.0, 0.0)


def _worst_paths(joined: _Joined, cost: FloatArray, peaks: Sequence[int], tree: Tree) -> None:
    """The peak's price by its conditional value at risk instead of its mean over the paths."""
    if not peaks:  # no path can pass what is paid anyway
        return
    price = float(cost[peaks[0]]) * tree.paths
    cost[list(peaks)] = 0.0
    eta = joined.column(price)
    for peak in peaks:  # z >= excess - eta; a path without a peak has none above eta either
        z = joined.column(price / ((1.0 - tree.alpha) * tree.paths))
        joined.row([(z, 1.0), (peak, -1.0), (eta, 1.0)], 0.0, np.inf)
