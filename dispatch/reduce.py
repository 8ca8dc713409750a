"""What is left of a linear program once everything that the data decide is taken out.

Most of a template stands still for given data: a car that is away neither charges nor discharges, its energy
is that of the interval before, and where nothing is promised a promise's row says nothing. Three kinds of
things go, and come back into the solution afterwards:

- columns whose bounds meet, and columns that stand in no row that is left;
- rows that the bounds of their columns fulfil whatever is decided;
- columns that a row ties to another one, ``x = y + constant``: a chain of them becomes one column.

Which ones go is the *shape* of the data. New data of the same shape need arithmetic only; data of another
shape are refused by :meth:`Shape.program`, and a new shape is made.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dispatch.layout import IntArray
from dispatch.template import Affine, BoolArray, Template
from energy.core.series import FloatArray

__all__ = ["Program", "Shape"]

_SLACK = 1e-9  # of a row's limit: what rounding may add to a row that is fulfilled anyway


@dataclass(frozen=True, slots=True)
class Program:
    """A linear program ``lower <= x <= upper, row_lower <= A x <= row_upper``, rows of ``A`` in sequence.

    Parameters
    ----------
    full_cost : ndarray
        Cost of all columns of the template.
    constant : ndarray
        Values of the columns that were left out, what tied ones add to theirs, else 0.
    """

    cost: FloatArray
    lower: FloatArray
    upper: FloatArray
    row_lower: FloatArray
    row_upper: FloatArray
    starts: NDArray[np.int32]
    index: NDArray[np.int32]
    value: FloatArray
    full_cost: FloatArray
    constant: FloatArray


@dataclass(frozen=True, slots=True)
class _Entries:
    """Some entries of a matrix; values only where they are asked for."""

    row: IntArray
    column: IntArray

    def only(self, mask: BoolArray) -> _Entries:
        return _Entries(self.row[mask], self.column[mask])

    def sums(self, value: FloatArray, x: FloatArray, rows: int) -> FloatArray:
        """What the entries add to each row."""
        return np.bincount(self.row, weights=value * x[self.column], minlength=rows).astype(float)

    def fulfil(
        self, value: FloatArray, bounds: tuple[FloatArray, FloatArray], limits: tuple[FloatArray, FloatArray]
    ) -> BoolArray:
        """Rows that hold whatever is decided within the bounds of the columns."""
        lower, upper = bounds[0][self.column], bounds[1][self.column]
        up, still = value > 0.0, value == 0.0
        low, high = np.where(up, lower, upper), np.where(up, upper, lower)
        low[still] = high[still] = 0.0
        rows = len(limits[0])
        least = np.bincount(self.row, weights=value * low, minlength=rows)
        most = np.bincount(self.row, weights=value * high, minlength=rows)
        held: BoolArray = (least >= limits[0] - _SLACK * (1.0 + np.abs(limits[0]))) & (
            most <= limits[1] + _SLACK * (1.0 + np.abs(limits[1]))
        )
        return held


@dataclass(frozen=True, slots=True)
class _Watched:
    """One side of rows that were left out, and how to see that they still hold whatever is decided.

    Parameters
    ----------
    pick : ndarray
        The bound at which each entry comes closest to its row's limit: of a column, or ``columns`` further.
    sign : float
        1 for lower limits, -1 for upper ones.
    signs : ndarray
        Of the values, on which ``pick`` relies.
    """

    row: IntArray
    pick: IntArray
    value: Affine
    limit: Affine
    sign: float
    signs: FloatArray

    def silent(self, data: FloatArray, ends: FloatArray) -> bool:
        """Whether the rows hold for these data and bounds."""
        value, limit = self.value.at(data), self.limit.at(data)
        if self.value.target.size and not np.array_equal(np.sign(value), self.signs):
            return False
        closest = np.bincount(self.row, weights=value * ends[self.pick], minlength=len(limit))
        return bool((self.sign * (closest - limit) >= -_SLACK * (1.0 + np.abs(limit))).all())


@dataclass(frozen=True, slots=True)
class _Ties:
    """Columns that follow others: ``x[child] = x[root] + offset``; children of one root in sequence."""

    child: IntArray
    root: IntArray
    row: IntArray  # the row that ties each child to the one before
    sign: FloatArray  # of the child in its row
    segment: IntArray  # where the children of each root begin

    @classmethod
    def none(cls) -> _Ties:
        empty = np.empty(0, dtype=np.int64)
        return cls(empty, empty, empty, np.empty(0), empty)

    @classmethod
    def found(cls, entries: _Entries, value: FloatArray, rows: IntArray, columns: int) -> _Ties:
        """Ties of the given rows, which have two entries each, of opposite sign and size 1."""
        if not rows.size:
            return cls.none()
        a, b = entries.column[0::2], entries.column[1::2]
        child, parent = np.maximum(a, b), np.minimum(a, b)
        sign = np.where(a > b, value[0::2], value[1::2])
        child, first = np.unique(child, return_index=True)  # a column follows one other
        parent, sign, rows = parent[first], sign[first], rows[first]
        leader = np.arange(columns)
        leader[child] = parent
        root = parent
        while not np.array_equal(leader[root], root):
            root = leader[root]
        order = np.lexsort((child, root))
        child, parent, root, sign, rows = child[order], parent[order], root[order], sign[order], rows[order]
        begins = np.r_[True, root[1:] != root[:-1]]
        chained = parent == np.where(begins, root, np.r_[root[:1], child[:-1]])
        whole = ~np.isin(root, root[~chained])  # only chains, in which each follows the one before
        segment = np.flatnonzero(begins[whole])
        return cls(child[whole], root[whole], rows[whole], sign[whole], segment)

    def offsets(self, limit: FloatArray) -> FloatArray:
        """What each child adds to its root, from the right-hand sides of the tying rows."""
        if not self.child.size:
            return np.empty(0)
        if not limit.any():
            return np.zeros(len(limit))
        total = np.cumsum(limit * self.sign)
        before = np.where(self.segment > 0, total[self.segment - 1], 0.0)
        offset: FloatArray = total - np.repeat(before, np.diff(np.r_[self.segment, len(total)]))
        return offset


class Shape:
    """Which columns and rows of a template are left for some data.

    Parameters
    ----------
    template : Template
        What is reduced.
    data : ndarray
        Data that decide what goes.
    used : ndarray of bool
        Rows that take part.
    held : ndarray of bool, optional
        Columns held at zero.

    Attributes
    ----------
    columns, rows : ndarray
        What is left, by position in the template.
    """

    def __init__(
        self, template: Template, data: FloatArray, *, used: BoolArray, held: BoolArray | None = None
    ) -> None:
        self._template, self._held, self._data = template, held, data
        bounds = self._bounds(data)
        self._fixed = bounds[1] <= bounds[0]
        row_of = np.repeat(np.arange(len(template.lazy)), np.diff(template.starts))
        taken = np.flatnonzero(used[row_of])
        entries, value = _Entries(row_of[taken], template.index[taken]), template.value.at(data)[taken]
        limits = template.row_lower.at(data), template.row_upper.at(data)
        idle = used & entries.fulfil(value, bounds, limits)
        self._remember_idle(np.flatnonzero(idle), entries, taken, value, limits)
        live = ~idle[entries.row]
        entries, taken, value = entries.only(live), taken[live], value[live]
        rows, free = np.flatnonzero(used & ~idle), ~self._fixed[entries.column]
        ties = self._ties_among(entries, free, taken, value, limits)
        wild = ~np.isfinite(bounds[0]) | (~np.isfinite(bounds[1]) & (template.cost.at(data) < 0.0))
        self._number(entries, taken, rows, ties, wild)
        if self._repeats():
            self._number(entries, taken, rows, _Ties.none(), wild)

    def _bounds(self, data: FloatArray) -> tuple[FloatArray, FloatArray]:
        lower, upper = self._template.column_lower.at(data), self._template.column_upper.at(data)
        if self._held is not None:
            upper[self._held] = 0.0
        return lower, upper

    def _remember_idle(
        self,
        rows: IntArray,
        entries: _Entries,
        taken: IntArray,
        value: FloatArray,
        limits: tuple[FloatArray, FloatArray],
    ) -> None:
        """Keep what is needed to see that the rows that are left out still say nothing."""
        rank = _ranks(rows, len(self._template.lazy))
        mine = rank[entries.row] >= 0
        place, column, value = rank[entries.row[mine]], entries.column[mine], value[mine]
        size = len(self._template.binary)
        self._watched: list[_Watched] = []
        for limit, end, sign in zip(
            (self._template.row_lower, self._template.row_upper), limits, (1.0, -1.0), strict=True
        ):
            bound = np.isfinite(end[rows])
            said = bound[place] & (value != 0.0)
            pick = column[said] + size * (sign * value[said] < 0.0)  # lower bounds, then upper ones
            watched_rows = rows[bound]
            self._watched.append(
                _Watched(
                    _ranks(np.flatnonzero(bound), len(rows))[place[said]],
                    pick,
                    self._template.value.take(taken[mine][said]),
                    limit.take(watched_rows),
                    sign,
                    np.sign(value[said]),
                )
            )

    def _ties_among(
        self,
        entries: _Entries,
        free: BoolArray,
        taken: IntArray,
        value: FloatArray,
        limits: tuple[FloatArray, FloatArray],
    ) -> _Ties:
        """Ties among rows ``x - y = constant`` whose coefficients no datum changes."""
        varies = np.zeros(len(self._template.index), dtype=bool)
        varies[self._template.value.target] = True
        plain = free & ~varies[taken] & (np.abs(value) == 1.0)
        rows = len(limits[0])
        pairs = np.bincount(entries.row[free], minlength=rows) == 2
        pairs &= np.bincount(entries.row[plain], minlength=rows) == 2
        pairs &= np.bincount(entries.row[free], weights=value[free], minlength=rows) == 0.0
        pairs &= limits[0] == limits[1]
        mine = free & pairs[entries.row]
        columns = len(self._template.binary)
        return _Ties.found(entries.only(mine), value[mine], np.flatnonzero(pairs), columns)

    def _number(
        self, entries: _Entries, taken: IntArray, rows: IntArray, ties: _Ties, wild: BoolArray
    ) -> None:
        """Number what is left, once it is known which columns follow others."""
        template, size = self._template, len(self._template.binary)
        tying = np.zeros(len(template.lazy), dtype=bool)
        tying[ties.row] = True
        follows = np.zeros(size, dtype=bool)
        follows[ties.child] = True
        in_tie = tying[entries.row]
        stands = wild.copy()
        stands[entries.column[~in_tie]] = True
        stands[ties.root] = True
        self._ties, self.rows = ties, rows[~tying[rows]]
        self.columns = np.flatnonzero(stands & ~self._fixed & ~follows)
        self._loose = np.flatnonzero(~stands & ~self._fixed & ~follows)
        rank, row_rank = _ranks(self.columns, size), _ranks(self.rows, len(tying))
        leader = np.arange(size)
        leader[ties.child] = ties.root
        self._root = rank[ties.root]
        constant = self._fixed[entries.column]
        moving = ~in_tie & ~constant
        self._row, self._index = row_rank[entries.row[moving]], rank[leader[entries.column[moving]]]
        self._index32 = self._index.astype(np.int32)
        self._starts = np.zeros(len(self.rows) + 1, dtype=np.int32)
        np.cumsum(np.bincount(self._row, minlength=len(self.rows)), out=self._starts[1:])
        self._value = template.value.take(taken[moving])
        still = ~in_tie & (constant | follows[entries.column])
        self._still = _Entries(row_rank[entries.row[still]], entries.column[still])
        self._still_value = template.value.take(taken[still])
        tied = in_tie & constant
        self._tied = _Entries(_ranks(ties.row, len(tying))[entries.row[tied]], entries.column[tied])
        self._tied_value = template.value.take(taken[tied])
        self._limits = template.row_lower.take(self.rows), template.row_upper.take(self.rows)
        self._tie_limit = template.row_lower.take(ties.row)

    def _repeats(self) -> bool:
        """Whether columns that became one meet in a row."""
        if not self._ties.child.size:
            return False
        key = np.sort(self._row * len(self.columns) + self._index)
        return bool((key[1:] == key[:-1]).any())

    def program(self, data: FloatArray) -> Program | None:
        """The linear program of data, None if they have another shape."""
        bounds = lower, upper = self._bounds(data)
        if data is not self._data and not self._fits(data, lower, upper):
            return None
        cost, ties = self._template.cost.at(data), self._ties
        constant = np.where(self._fixed, lower, 0.0)
        loose = self._loose
        constant[loose] = np.where(cost[loose] < 0.0, upper[loose], lower[loose])
        if not np.isfinite(constant[loose]).all():
            return None
        tied = self._tied.sums(self._tied_value.at(data), constant, len(ties.row))
        constant[ties.child] = ties.offsets(self._tie_limit.at(data) - tied)
        shift = self._still.sums(self._still_value.at(data), constant, len(self.rows))
        program = Program(
            cost=cost[self.columns],
            lower=lower[self.columns],
            upper=upper[self.columns],
            row_lower=self._limits[0].at(data) - shift,
            row_upper=self._limits[1].at(data) - shift,
            starts=self._starts,
            index=self._index32,
            value=self._value.at(data),
            full_cost=cost,
            constant=constant,
        )
        if ties.child.size:
            self._lead(program, bounds)
        return program

    def _fits(self, data: FloatArray, lower: FloatArray, upper: FloatArray) -> bool:
        """Whether the same columns are fixed, and the rows that were left out still say nothing."""
        if not np.array_equal(upper <= lower, self._fixed):
            return False
        ends = np.concatenate([lower, upper])
        return all(watched.silent(data, ends) for watched in self._watched)

    def _lead(self, program: Program, bounds: tuple[FloatArray, FloatArray]) -> None:
        """Let roots answer for their children: bounds of all of them, sum of the costs."""
        child, segment = self._ties.child, self._ties.segment
        root, offset = self._root[segment], program.constant[child]
        program.cost[root] += np.add.reduceat(program.full_cost[child], segment)
        low = np.maximum.reduceat(bounds[0][child] - offset, segment)
        high = np.minimum.reduceat(bounds[1][child] - offset, segment)
        program.lower[root] = np.maximum(program.lower[root], low)
        program.upper[root] = np.minimum(program.upper[root], high)
        met = (program.lower > program.upper) & (program.lower < program.upper + _SLACK)
        program.lower[met] = program.upper[met]

    def expand(self, x: FloatArray, program: Program) -> FloatArray:
        """Values of all columns of the template from those of the program's."""
        full = program.constant.copy()
        full[self.columns] = x
        full[self._ties.child] += x[self._root]
        return full


def _ranks(positions: IntArray, size: int) -> IntArray:
    """Place of each position among those given, -1 for the others."""
    rank = np.full(size, -1, dtype=np.int64)
    rank[positions] = np.arange(len(positions))
    return rank
