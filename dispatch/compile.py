"""The Pyomo model of a site structure, compiled once to matrices that are affine in the given data.

A *structure* is how many intervals and assets there are; everything else (prices, loads, limits,
efficiencies, promises) is data. Compiling walks the model once: every row becomes coefficients plus their
dependence on the data vector, rows with one unknown become column bounds. From then on a new problem of the
same structure is a few vector operations, and all sites of one structure share one template (docs/adr/0008).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyomo.environ as pyo
from numpy.typing import NDArray
from pyomo.repn.quadratic import QuadraticRepnVisitor
from pyomo.repn.util import OrderedVarRecorder

from dispatch.blocks.columns import GIVEN, LAZY
from dispatch.blocks.site import build_site
from energy.core.errors import PlanError
from energy.core.series import FloatArray

__all__ = ["Affine", "Structure", "Template", "TemplateCache", "compile_template"]

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Structure:
    """How many intervals and assets a model has; what a template is compiled for."""

    intervals: int
    cars: int = 0
    zones: int = 0
    pv: int = 0
    batteries: int = 0


@dataclass(frozen=True, slots=True)
class Affine:
    """A vector that is affine in the data: ``base[i] + sum(coefficient * data[datum])`` over its terms."""

    base: FloatArray
    target: IntArray
    datum: IntArray
    coefficient: FloatArray

    def at(self, data: FloatArray) -> FloatArray:
        """The vector for one set of data."""
        weights = self.coefficient * data[self.datum]
        varying = np.bincount(self.target, weights=weights, minlength=len(self.base))
        return np.asarray(self.base + varying, dtype=float)


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled model: sparse rows, bounds and cost, each affine in the data.

    Parameters
    ----------
    columns, data, rows : dict
        Where the decided quantities, the given ones and the constraints lie, by path such as
        ``car[0].charge_kw``, ``car[0].given.drive_kwh`` and ``car[0].energy``.
    starts, index : ndarray
        Row-wise sparse matrix; ``value`` holds its entries.
    lazy : ndarray of bool
        Rows that are left out until they are needed.
    binary : ndarray of bool
        Columns that are 0 or 1 where it matters.
    """

    structure: Structure
    columns: dict[str, IntArray]
    data: dict[str, IntArray]
    rows: dict[str, IntArray]
    starts: IntArray
    index: IntArray
    value: Affine
    row_lower: Affine
    row_upper: Affine
    column_lower: Affine
    column_upper: Affine
    cost: Affine
    lazy: NDArray[np.bool_]
    binary: NDArray[np.bool_]
    compile_s: float

    def vector(self, values: dict[str, FloatArray | float]) -> FloatArray:
        """The data vector of values by path.

        Raises
        ------
        PlanError
            If a path is missing or unknown: the model and its data do not belong together.
        """
        if values.keys() != self.data.keys():
            odd = sorted(values.keys() ^ self.data.keys())
            raise PlanError("the data do not fit the model", where=f"first of {len(odd)}: {odd[0]}")
        vector = np.empty(sum(len(at) for at in self.data.values()))
        for path, at in self.data.items():
            vector[at] = values[path]
        return vector


@dataclass(slots=True)
class _Terms:
    """Collects the terms of an :class:`Affine`."""

    base: list[float] = field(default_factory=list)
    target: list[int] = field(default_factory=list)
    datum: list[int] = field(default_factory=list)
    coefficient: list[float] = field(default_factory=list)

    def add(self, base: float, data: dict[int, float]) -> None:
        for datum, coefficient in data.items():
            self.depend(len(self.base), datum, coefficient)
        self.base.append(base)

    def depend(self, target: int, datum: int, coefficient: float) -> None:
        self.target.append(target)
        self.datum.append(datum)
        self.coefficient.append(coefficient)

    def close(self) -> Affine:
        return Affine(
            np.array(self.base, dtype=float),
            np.array(self.target, dtype=np.int64),
            np.array(self.datum, dtype=np.int64),
            np.array(self.coefficient, dtype=float),
        )


def _indexed(components: Any) -> tuple[dict[str, IntArray], list[Any]]:
    """Paths and positions of indexed components, and their members in order."""
    places: dict[str, IntArray] = {}
    members: list[Any] = []
    for component in components:
        first = len(members)
        members.extend(component.values())
        places[component.name] = np.arange(first, len(members))
    return places, members


@dataclass(slots=True)
class _Row:
    """A row split into unknowns, data and their products: ``lower <= row <= upper``."""

    constant: float
    unknown: dict[int, float]
    data: dict[int, float]
    products: dict[int, dict[int, float]]  # unknown -> datum -> coefficient


class _Compiler:
    """Walks a model once; the only place that reads Pyomo expressions."""

    def __init__(self, model: Any) -> None:  # Any: Pyomo's models carry no types
        components = list(model.component_objects(pyo.Var, descend_into=True))
        given = [c for c in components if c.parent_block().local_name == GIVEN]
        decided = [c for c in components if c.parent_block().local_name != GIVEN]
        self.data, given_members = _indexed(given)
        self.columns, self.members = _indexed(decided)
        self.datum_of = {id(v): k for k, v in enumerate(given_members)}
        self.column_of = {id(v): k for k, v in enumerate(self.members)}
        everything = {id(v): v for v in [*given_members, *self.members]}
        order = {key: k for k, key in enumerate(everything)}  # data first: products are (datum, unknown)
        self.visitor = QuadraticRepnVisitor({}, var_recorder=OrderedVarRecorder(everything, order, None))
        self.lower, self.upper = _bound_terms(self.members)
        self.bounded: set[tuple[int, bool]] = set()

    def split(self, expression: Any, name: str) -> _Row:
        """Read one expression; anything but affine rows with data-by-unknown products is refused."""
        repn = self.visitor.walk_expression(expression)
        row = _Row(float(repn.constant), {}, {}, {})
        for key, coefficient in repn.linear.items():
            if key in self.datum_of:
                row.data[self.datum_of[key]] = coefficient
            elif coefficient:
                row.unknown[self.column_of[key]] = coefficient
        for (a, b), coefficient in (repn.quadratic or {}).items():
            datum, unknown = (a, b) if a in self.datum_of else (b, a)
            if datum not in self.datum_of or unknown in self.datum_of:
                raise PlanError("a row multiplies two unknowns or two data", where=name)
            row.products.setdefault(self.column_of[unknown], {})[self.datum_of[datum]] = coefficient
        if repn.nonlinear is not None:
            raise PlanError("a row of the model is not linear", where=name)
        return row

    def as_bound(self, row: _Row, lower: float, upper: float, name: str) -> bool:
        """Take an inequality with one unknown as a bound of its column; whether that was possible."""
        if len(row.unknown) != 1 or row.products or lower == upper:
            return False
        ((column, coefficient),) = row.unknown.items()
        for limit, is_upper in ((upper, coefficient > 0), (lower, coefficient < 0)):
            if not np.isfinite(limit):
                continue
            if (column, is_upper) in self.bounded:
                raise PlanError("a column is bounded twice", where=name)
            self.bounded.add((column, is_upper))
            terms = self.upper if is_upper else self.lower
            terms.base[column] = (limit - row.constant) / coefficient
            for datum, factor in row.data.items():
                terms.depend(column, datum, -factor / coefficient)
        return True


def _bound_terms(members: list[Any]) -> tuple[_Terms, _Terms]:
    lower = [-np.inf if v.lb is None else float(v.lb) for v in members]
    upper = [np.inf if v.ub is None else float(v.ub) for v in members]
    return _Terms(base=lower), _Terms(base=upper)


def compile_template(structure: Structure) -> Template:
    """Build the Pyomo model of a structure and compile it.

    Raises
    ------
    PlanError
        If a row of the model is not affine in the unknowns and in the data.
    """
    begun = time.perf_counter()
    model = build_site(
        structure.intervals,
        cars=structure.cars,
        zones=structure.zones,
        pv=structure.pv,
        batteries=structure.batteries,
    )
    walk = _Compiler(model)
    value, row_lower, row_upper = _Terms(), _Terms(), _Terms()
    rows: dict[str, IntArray] = {}
    starts: list[int] = [0]
    index: list[int] = []
    lazy: list[bool] = []
    for constraint in model.component_objects(pyo.Constraint, descend_into=True):
        first = len(lazy)
        for member in constraint.values():
            low, body, high = member.to_bounded_expression(evaluate_bounds=True)
            low = -np.inf if low is None else float(low)
            high = np.inf if high is None else float(high)
            row = walk.split(body, member.name)
            if walk.as_bound(row, low, high, member.name):
                continue
            for column in sorted(row.unknown.keys() | row.products.keys()):
                value.add(row.unknown.get(column, 0.0), row.products.get(column, {}))
                index.append(column)
            starts.append(len(index))
            _add_limit(row_lower, low - row.constant, row.data)
            _add_limit(row_upper, high - row.constant, row.data)
            lazy.append(constraint.parent_block().local_name == LAZY)
        rows[constraint.name] = np.arange(first, len(lazy))
    goal = walk.split(model.objective.expr, "objective")
    cost = _Terms()
    for column in range(len(walk.members)):
        cost.add(goal.unknown.get(column, 0.0), goal.products.get(column, {}))
    return Template(
        structure=structure,
        columns=walk.columns,
        data=walk.data,
        rows=rows,
        starts=np.array(starts, dtype=np.int64),
        index=np.array(index, dtype=np.int64),
        value=value.close(),
        row_lower=row_lower.close(),
        row_upper=row_upper.close(),
        column_lower=walk.lower.close(),
        column_upper=walk.upper.close(),
        cost=cost.close(),
        lazy=np.array(lazy, dtype=bool),
        binary=np.array([v.is_binary() for v in walk.members], dtype=bool),
        compile_s=time.perf_counter() - begun,
    )


def _add_limit(terms: _Terms, limit: float, data: dict[int, float]) -> None:
    """A row's limit: what the data contribute goes to the other side; an absent limit stays absent."""
    terms.add(limit, {datum: -factor for datum, factor in data.items()} if np.isfinite(limit) else {})


class TemplateCache:
    """Compiled templates by structure, the least recently used dropped first.

    Parameters
    ----------
    limit : int
        How many templates are kept.
    """

    def __init__(self, limit: int = 16) -> None:
        self._limit = limit
        self._templates: OrderedDict[Structure, Template] = OrderedDict()
        self.compiled = 0

    def of(self, structure: Structure) -> Template:
        """The template of a structure, compiled when it is first asked for."""
        template = self._templates.get(structure)
        if template is None:
            template = compile_template(structure)
            self.compiled += 1
            self._templates[structure] = template
        self._templates.move_to_end(structure)
        while len(self._templates) > self._limit:
            self._templates.popitem(last=False)
        return template
