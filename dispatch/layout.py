"""Where the quantities of a model lie in its vectors: those of the site first, then asset after asset.

All assets of a kind are alike, so their part of a vector is a table: one row per asset, one stretch
of each row per quantity. A path such as ``car[3].charge_kw`` names a stretch of one row,
``car[*].charge_kw`` the same stretch of all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from energy.core.series import FloatArray

__all__ = ["IntArray", "Layout", "Table"]

IntArray = NDArray[np.int64]
_ASSET: Final = re.compile(r"(\w+)\[(\d+|\*)\]\.(.+)")


@dataclass(frozen=True, slots=True)
class Table:
    """The part of a vector that belongs to one kind of asset; the site is a table of one row.

    Parameters
    ----------
    first : int
        Position of its first entry.
    count, width : int
        Assets, and entries of each.
    parts : dict
        Stretch ``(start, stop)`` of a row by quantity.
    """

    first: int
    count: int
    width: int
    parts: dict[str, tuple[int, int]]

    @property
    def stop(self) -> int:
        """Position after its last entry."""
        return self.first + self.count * self.width


@dataclass(frozen=True, slots=True)
class Layout(Mapping[str, IntArray]):
    """Positions by path, in a vector of ``size`` entries.

    Parameters
    ----------
    tables : dict
        By kind of asset; ``""`` is the site.
    """

    tables: dict[str, Table]

    @classmethod
    def of(cls, members: Mapping[str, int], kinds: Iterable[str]) -> Layout:
        """Layout of the paths of a model with one asset of each kind, in order, with their lengths."""
        parts: dict[str, dict[str, tuple[int, int]]] = {"": {}, **{kind: {} for kind in kinds}}
        for path, length in members.items():
            kind, _, name = _split(path)
            row = parts[kind]
            begin = next(reversed(row.values()))[1] if row else 0
            row[name] = (begin, begin + length)
        tables: dict[str, Table] = {}
        first = 0
        for kind, row in parts.items():
            width = next(reversed(row.values()))[1] if row else 0
            tables[kind] = Table(first, 1, width, row)
            first += width
        return cls(tables)

    def tiled(self, counts: Mapping[str, int]) -> Layout:
        """The same with ``counts[kind]`` assets of each kind."""
        tables: dict[str, Table] = {}
        first = 0
        for kind, table in self.tables.items():
            count = counts.get(kind, 0) if kind else 1
            tables[kind] = Table(first, count, table.width, table.parts)
            first += count * table.width
        return Layout(tables)

    @property
    def size(self) -> int:
        """Length of the vector."""
        return max((table.stop for table in self.tables.values()), default=0)

    def block(self, kind: str, name: str) -> IntArray:
        """Positions of a quantity of all assets of a kind, shape (assets, length)."""
        table = self.tables.get(kind)
        if table is None:
            return np.empty((0, 0), dtype=np.int64)
        start, stop = table.parts[name]
        rows = table.first + table.width * np.arange(table.count)
        positions: IntArray = rows[:, None] + np.arange(start, stop)
        return positions

    def of_all(self, vector: FloatArray, kind: str, name: str) -> FloatArray:
        """Values of a quantity of all assets of a kind, shape (assets, length); a view of the vector."""
        table = self.tables[kind]
        start, stop = table.parts[name]
        return vector[table.first : table.stop].reshape(table.count, table.width)[:, start:stop]

    def moved(self, vector: NDArray[Any], other: Layout) -> NDArray[Any]:
        """A vector of this layout in another one with the same assets: what is new is zero."""
        moved = np.zeros(other.size, dtype=vector.dtype)
        for kind, name in self.names().values():
            moved[other.block(kind, name)] = self.of_all(vector, kind, name)
        return moved

    def names(self) -> dict[str, tuple[str, str]]:
        """Kind and quantity by path, with ``[*]`` for all assets."""
        return {
            f"{kind}[*].{name}" if kind else name: (kind, name)
            for kind, table in self.tables.items()
            for name in table.parts
            if table.count
        }

    def path_of(self, position: int) -> str:
        """Path of an entry, as in ``car[3].charge_kw[17]``."""
        for kind, table in self.tables.items():
            if table.first <= position < table.stop:
                asset, local = divmod(position - table.first, table.width)
                for name, (start, stop) in table.parts.items():
                    if start <= local < stop:
                        return (
                            f"{kind}[{asset}].{name}[{local - start}]" if kind else f"{name}[{local - start}]"
                        )
        raise KeyError(position)

    def __getitem__(self, path: str) -> IntArray:
        kind, asset, name = _split(path)
        positions = self.block(kind, name)
        return positions.ravel() if asset == "*" else positions[int(asset)]

    def __iter__(self) -> Iterator[str]:
        for kind, table in self.tables.items():
            for asset in range(table.count):
                yield from (f"{kind}[{asset}].{name}" if kind else name for name in table.parts)

    def __len__(self) -> int:
        return sum(table.count * len(table.parts) for table in self.tables.values())


def _split(path: str) -> tuple[str, str, str]:
    """Kind, asset and quantity of a path; the site's have no kind and are asset 0."""
    found = _ASSET.fullmatch(path)
    return (found[1], found[2], found[3]) if found else ("", "0", path)
