"""The Pyomo model of a site structure, compiled once to matrices that are affine in the given data.

A *structure* is how many intervals and assets there are; everything else (prices, loads, limits,
efficiencies, promises) is data. Compiling walks the model once: every row becomes coefficients plus their
dependence on the data vector, rows with one unknown become column bounds. From then on a new problem of the
same structure is a few vector operations, and all sites of one structure share one template (docs/adr/0008).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyomo.environ as pyo
from pyomo.core.expr.relational_expr import InequalityExpression
from pyomo.repn.quadratic import QuadraticRepnVisitor
from pyomo.repn.util import OrderedVarRecorder

from dispatch.blocks.columns import GIVEN, LAZY
from dispatch.blocks.site import build_site
from dispatch.layout import Layout
from dispatch.template import Affine, Structure, Template, tile
from energy.core.errors import PlanError

__all__ = ["compile_core", "compile_template"]


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


@dataclass(slots=True)
class _Row:
    """A row split into unknowns, data and their products: ``lower <= row <= upper``."""

    constant: float
    unknown: dict[int, float]
    data: dict[int, float]
    products: dict[int, dict[int, float]]  # unknown -> datum -> coefficient


def _by_kind(components: list[Any], kinds: list[str]) -> list[Any]:
    """Components of the site first, then those of each kind of asset, in the order of the model."""

    def kind(component: Any) -> int:
        head, mark, _ = component.name.partition("[")
        return 1 + kinds.index(head) if mark else 0

    return sorted(components, key=kind)


class _Compiler:
    """Walks a model once; the only place that reads Pyomo expressions."""

    def __init__(self, model: Any, kinds: list[str]) -> None:  # Any: Pyomo's models carry no types
        components = _by_kind(list(model.component_objects(pyo.Var, descend_into=True)), kinds)
        given = [c for c in components if c.parent_block().local_name == GIVEN]
        decided = [c for c in components if c.parent_block().local_name != GIVEN]
        self.data = Layout.of({c.name: len(c) for c in given}, kinds)
        self.columns = Layout.of({c.name: len(c) for c in decided}, kinds)
        self.members = [member for component in decided for member in component.values()]
        given_members = [member for component in given for member in component.values()]
        self.datum_of = {id(v): k for k, v in enumerate(given_members)}
        self.column_of = {id(v): k for k, v in enumerate(self.members)}
        everything = {id(v): v for v in [*given_members, *self.members]}
        order = {key: k for k, key in enumerate(everything)}  # data first: products are (datum, unknown)
        self.visitor = QuadraticRepnVisitor({}, var_recorder=OrderedVarRecorder(everything, order, None))
        self.lower = _Terms(base=[-np.inf if v.lb is None else float(v.lb) for v in self.members])
        self.upper = _Terms(base=[np.inf if v.ub is None else float(v.ub) for v in self.members])
        self.bounded: set[tuple[int, bool]] = set()

    def limit(self, member: Any) -> tuple[_Row, float, float] | None:
        """A row ``decided <= given`` or the other way round; most are such, and need no walk."""
        expression = member.expr
        if type(expression) is not InequalityExpression:
            return None
        small, large = (id(side) for side in expression.args)
        if small in self.column_of and large in self.datum_of:
            return _Row(0.0, {self.column_of[small]: 1.0}, {self.datum_of[large]: -1.0}, {}), -np.inf, 0.0
        if large in self.column_of and small in self.datum_of:
            return _Row(0.0, {self.column_of[large]: 1.0}, {self.datum_of[small]: -1.0}, {}), 0.0, np.inf
        return None

    def read(self, member: Any) -> tuple[_Row, float, float]:
        """Any other row, with its limits."""
        low, body, high = member.to_bounded_expression(evaluate_bounds=True)
        row = self.split(body, member)
        return row, -np.inf if low is None else float(low), np.inf if high is None else float(high)

    def split(self, expression: Any, owner: Any) -> _Row:
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
                raise PlanError("a row multiplies two unknowns or two data", where=owner.name)
            row.products.setdefault(self.column_of[unknown], {})[self.datum_of[datum]] = coefficient
        if repn.nonlinear is not None:
            raise PlanError("a row of the model is not linear", where=owner.name)
        return row

    def as_bound(self, row: _Row, lower: float, upper: float, owner: Any) -> bool:
        """Take an inequality with one unknown as a bound of its column; whether that was possible."""
        if len(row.unknown) != 1 or row.products or lower == upper:
            return False
        ((column, coefficient),) = row.unknown.items()
        for limit, is_upper in ((upper, coefficient > 0), (lower, coefficient < 0)):
            if not np.isfinite(limit):
                continue
            if (column, is_upper) in self.bounded:
                raise PlanError("a column is bounded twice", where=owner.name)
            self.bounded.add((column, is_upper))
            terms = self.upper if is_upper else self.lower
            terms.base[column] = (limit - row.constant) / coefficient
            for datum, factor in row.data.items():
                terms.depend(column, datum, -factor / coefficient)
        return True


@dataclass(slots=True)
class _Matrix:
    """The rows of a model as they are collected."""

    value: _Terms = field(default_factory=_Terms)
    lower: _Terms = field(default_factory=_Terms)
    upper: _Terms = field(default_factory=_Terms)
    starts: list[int] = field(default_factory=lambda: [0])
    index: list[int] = field(default_factory=list)
    lazy: list[bool] = field(default_factory=list)

    def add(self, row: _Row, low: float, high: float, *, lazy: bool) -> None:
        columns = sorted(row.unknown.keys() | row.products.keys()) if row.products else sorted(row.unknown)
        for column in columns:
            self.value.add(row.unknown.get(column, 0.0), row.products.get(column, {}))
        self.index.extend(columns)
        self.starts.append(len(self.index))
        for terms, limit in ((self.lower, low), (self.upper, high)):
            # what the data contribute goes to the other side; an absent limit stays absent
            other = {datum: -factor for datum, factor in row.data.items()} if np.isfinite(limit) else {}
            terms.add(limit - row.constant, other)
        self.lazy.append(lazy)


def compile_template(structure: Structure) -> Template:
    """Compile a structure; see :func:`compile_core` and :func:`dispatch.template.tile`."""
    return tile(compile_core(structure), structure)


def compile_core(structure: Structure) -> Template:
    """Build the Pyomo model with one asset of each kind of a structure, and compile it.

    Raises
    ------
    PlanError
        If a row of the model is not affine in the unknowns and in the data.
    """
    begun = time.perf_counter()
    core = structure.core
    model = build_site(core)
    kinds = [kind for kind, count in core.counts.items() if count]
    walk, matrix = _Compiler(model, kinds), _Matrix()
    rows: dict[str, int] = {}
    for constraint in _by_kind(list(model.component_objects(pyo.Constraint, descend_into=True)), kinds):
        first, lazy = len(matrix.lazy), constraint.parent_block().local_name == LAZY
        for member in constraint.values():
            row, low, high = walk.limit(member) or walk.read(member)
            if not walk.as_bound(row, low, high, member):
                matrix.add(row, low, high, lazy=lazy)
        rows[constraint.name] = len(matrix.lazy) - first
    goal = walk.split(model.objective.expr, model.objective)
    cost = _Terms()
    for column in range(len(walk.members)):
        cost.add(goal.unknown.get(column, 0.0), goal.products.get(column, {}))
    return Template(
        structure=core,
        columns=walk.columns,
        data=walk.data,
        rows=Layout.of(rows, kinds),
        starts=np.array(matrix.starts, dtype=np.int64),
        index=np.array(matrix.index, dtype=np.int64),
        value=matrix.value.close(),
        row_lower=matrix.lower.close(),
        row_upper=matrix.upper.close(),
        column_lower=walk.lower.close(),
        column_upper=walk.upper.close(),
        cost=cost.close(),
        lazy=np.array(matrix.lazy, dtype=bool),
        binary=np.array([v.is_binary() for v in walk.members], dtype=bool),
        compile_s=time.perf_counter() - begun,
    )
