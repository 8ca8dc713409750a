"""A compiled model: matrices that are affine in the given data, and how one asset becomes many.

All assets of a kind have the same equations, so a model with one of each is compiled
(:mod:`dispatch.compile`) and its part of the matrices repeated for the others (:func:`tile`). What an asset
shares with the site, its power in the balance, is repeated in the site's rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dispatch.features import Features
from dispatch.layout import IntArray, Layout
from energy.core.errors import PlanError
from energy.core.series import FloatArray

__all__ = ["DEMANDS", "Affine", "BoolArray", "Structure", "Template", "tile"]

DEMANDS: Final = ("event", "step")  # kinds without a power of their own: they look at the connection's
BoolArray = NDArray[np.bool_]
Values = Mapping[str, FloatArray | float]


@dataclass(frozen=True, slots=True)
class Structure:
    """How many intervals and assets a model has, and what it may have.

    Parameters
    ----------
    divisions : tuple of int
        How many intervals each half-hour has; empty for one each.
    feeders : int
        Groups of assets with a common limit; of these the number is compiled.
    events, steps : int
        Demand-response events, and further prices of demand.
    others : tuple of (str, int)
        Assets of kinds that were added from outside.
    """

    intervals: int
    cars: int = 0
    zones: int = 0
    pv: int = 0
    batteries: int = 0
    features: Features = field(default_factory=Features)
    divisions: tuple[int, ...] = ()
    feeders: int = 0
    events: int = 0
    steps: int = 0
    others: tuple[tuple[str, int], ...] = ()

    @property
    def parts(self) -> tuple[int, ...]:
        """Intervals of each half-hour."""
        return self.divisions or (1,) * self.intervals

    @property
    def counts(self) -> dict[str, int]:
        """Assets by kind, as the blocks are called."""
        known = {"car": self.cars, "zone": self.zones, "pv": self.pv, "battery": self.batteries}
        return known | dict(self.others) | {"event": self.events, "step": self.steps}

    @property
    def whole(self) -> Structure:
        """The structure with directions that can be made binary."""
        return replace(self, features=replace(self.features, whole=True))

    @property
    def core(self) -> Structure:
        """The structure with one asset of each kind that it has; what is compiled."""
        numbers = ("cars", "zones", "pv", "batteries", "events", "steps")
        one = {name: min(1, getattr(self, name)) for name in numbers}
        return replace(self, **one, others=tuple((kind, 1) for kind, _ in self.others))


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
        vector: FloatArray = self.base + varying
        return vector

    def take(self, index: IntArray) -> Affine:
        """The entries at ``index``, without repeats, in that order."""
        place = np.full(len(self.base), -1, dtype=np.int64)
        place[index] = np.arange(len(index))
        target = place[self.target]
        kept = target >= 0
        return Affine(self.base[index], target[kept], self.datum[kept], self.coefficient[kept])


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled model: sparse rows, bounds and cost, each affine in the data.

    Parameters
    ----------
    columns, data, rows : Layout
        Where the decided quantities, the given ones and the constraints lie, by path such as
        ``car[0].charge_kw``, ``car[0].given.drive_kwh`` and ``car[0].energy``.
    starts, index : ndarray
        Row-wise sparse matrix; ``value`` holds its entries.
    lazy : ndarray of bool
        Rows that are left out until they are needed.
    binary : ndarray of bool
        Columns that are 0 or 1 where it matters.
    compile_s : float
        Time that compiling took; 0 if it was found compiled. [s]
    """

    structure: Structure
    columns: Layout
    data: Layout
    rows: Layout
    starts: IntArray
    index: IntArray
    value: Affine
    row_lower: Affine
    row_upper: Affine
    column_lower: Affine
    column_upper: Affine
    cost: Affine
    lazy: BoolArray
    binary: BoolArray
    compile_s: float = 0.0

    def vector(self, values: Values) -> FloatArray:
        """The data vector of values by path, those of all assets of a kind under ``kind[*]``.

        Each value is a number, a series, a column with one number per asset, or a table of assets by series.

        Raises
        ------
        PlanError
            If a path is missing or unknown: the model and its data do not belong together.
        """
        names = self.data.names()
        if values.keys() != names.keys():
            odd = sorted(values.keys() ^ names.keys())
            raise PlanError("the data do not fit the model", where=f"first of {len(odd)}: {odd[0]}")
        vector = np.empty(self.data.size)
        tables = {
            kind: vector[table.first : table.stop].reshape(table.count, table.width)
            for kind, table in self.data.tables.items()
        }
        for path, (kind, name) in names.items():
            start, stop = self.data.tables[kind].parts[name]
            tables[kind][:, start:stop] = values[path]
        return vector


class _Axis:
    """How the positions along one axis of a core move when its assets are repeated."""

    def __init__(self, core: Layout, many: Layout) -> None:
        self.core = list(core.tables.values())
        self.many = list(many.tables.values())
        self.owner = np.repeat(np.arange(len(self.core)), [table.width for table in self.core])
        self.counts = np.array([table.count for table in self.many])
        self._shift = np.array([m.first - c.first for c, m in zip(self.core, self.many, strict=True)])
        self._width = np.array([table.width for table in self.core])

    def move(self, positions: IntArray, copy: IntArray | int) -> IntArray:
        """Positions of a copy; the site's have only one."""
        owner = self.owner[positions]
        moved: IntArray = positions + self._shift[owner] + np.where(owner > 0, copy, 0) * self._width[owner]
        return moved

    def repeat(self, values: NDArray[np.generic]) -> NDArray[np.generic]:
        """One value per position of the core, repeated for every asset."""
        parts = [
            np.tile(values[table.first : table.stop], count)
            for table, count in zip(self.core, self.counts.tolist(), strict=True)
        ]
        return np.concatenate(parts)


def tile(core: Template, structure: Structure) -> Template:
    """Repeat the assets of a core for a structure with more of them.

    Raises
    ------
    PlanError
        If two kinds of assets meet in one equation: assets meet at the connection point only.
    """
    columns, data = core.columns.tiled(structure.counts), core.data.tiled(structure.counts)
    rows = core.rows.tiled(structure.counts)
    col_axis, datum_axis, row_axis = (
        _Axis(core.columns, columns),
        _Axis(core.data, data),
        _Axis(core.rows, rows),
    )
    lengths = np.diff(core.starts)
    row_of = np.repeat(np.arange(len(lengths)), lengths)
    entry_owner = _one_owner(row_axis.owner[row_of], col_axis.owner[core.index])
    entry, copy = _copies(entry_owner, row_axis.counts)
    new_row = row_axis.move(row_of[entry], copy)
    order = np.argsort(new_row, kind="stable")
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    sources = _Sources(entry_owner, row_axis.counts, entry, copy, place)
    starts = np.zeros(rows.size + 1, dtype=np.int64)
    np.cumsum(np.bincount(new_row, minlength=rows.size), out=starts[1:])

    def spread(vector: Affine, axis: _Axis) -> Affine:
        owner = _one_owner(axis.owner[vector.target], datum_axis.owner[vector.datum])
        term, number = _copies(owner, axis.counts)
        return Affine(
            np.asarray(axis.repeat(vector.base), dtype=float),
            axis.move(vector.target[term], number),
            datum_axis.move(vector.datum[term], number),
            vector.coefficient[term],
        )

    return Template(
        structure=structure,
        columns=columns,
        data=data,
        rows=rows,
        starts=starts,
        index=col_axis.move(core.index[entry], copy)[order],
        value=sources.spread(core.value, datum_axis, order),
        row_lower=spread(core.row_lower, row_axis),
        row_upper=spread(core.row_upper, row_axis),
        column_lower=spread(core.column_lower, col_axis),
        column_upper=spread(core.column_upper, col_axis),
        cost=spread(core.cost, col_axis),
        lazy=np.asarray(row_axis.repeat(core.lazy), dtype=bool),
        binary=np.asarray(col_axis.repeat(core.binary), dtype=bool),
        compile_s=core.compile_s,
    )


def _one_owner(first: IntArray, second: IntArray) -> IntArray:
    """The kind that two positions belong to, 0 for the site.

    Raises
    ------
    PlanError
        If they are of two kinds of assets.
    """
    owner = np.maximum(first, second)
    if ((first > 0) & (second > 0) & (first != second)).any():
        raise PlanError("two kinds of assets meet in one equation", where="assets meet at the site only")
    return owner


def _copies(owner: IntArray, counts: IntArray) -> tuple[IntArray, IntArray]:
    """Every position once per asset of its owner: positions and copies, asset after asset."""
    found, number = [], []
    for kind, count in enumerate(counts.tolist()):
        mine = np.flatnonzero(owner == kind)
        found.append(np.tile(mine, count))
        number.append(np.repeat(np.arange(count), len(mine)))
    return np.concatenate(found), np.concatenate(number)


@dataclass(frozen=True, slots=True)
class _Sources:
    """Where the entries of a core's matrix went."""

    owner: IntArray
    counts: IntArray
    entry: IntArray
    copy: IntArray
    place: IntArray

    def spread(self, value: Affine, data: _Axis, order: IntArray) -> Affine:
        """The entries of the repeated matrix, in their new order."""
        begin = np.zeros(len(self.counts), dtype=np.int64)  # of each owner's copies
        sizes = np.bincount(self.owner, minlength=len(self.counts))
        np.cumsum((sizes * self.counts)[:-1], out=begin[1:])
        rank = np.empty(len(self.owner), dtype=np.int64)  # of an entry among its owner's
        for number in range(len(self.counts)):
            mine = np.flatnonzero(self.owner == number)
            rank[mine] = np.arange(len(mine))
        owner = _one_owner(self.owner[value.target], data.owner[value.datum])
        if (owner != self.owner[value.target]).any():
            raise PlanError("an entry of the site depends on an asset's data", where="the site's rows")
        term, copy = _copies(owner, self.counts)
        target, kind = value.target[term], owner[term]
        return Affine(
            np.asarray(value.base[self.entry][order], dtype=float),
            self.place[begin[kind] + copy * sizes[kind] + rank[target]],
            data.move(value.datum[term], copy),
            value.coefficient[term],
        )
