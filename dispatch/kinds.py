"""Kinds of assets that are added from outside: one class each, registered under a name.

Cars, rooms, arrays and batteries are known to every part of the planner. Anything else that draws power is a
:class:`Kind`: its equations, its data, and how its power is followed without the optimiser. The planner,
the checker and the files know no more of it (``docs/how-to/add-an-asset.md``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from energy.core.errors import DataError
from energy.core.plan import Problem
from energy.core.plan_parts import OtherAsset
from energy.core.series import FloatArray

__all__ = ["Kind", "kind_of", "known_kinds", "register"]


class Kind(ABC):
    """A kind of asset.

    Attributes
    ----------
    name : str
        Under which problems name it.
    power : str
        Column of the block that is the electric power, >= 0. [kW]
    numbers, series : tuple of str
        Data that each asset must bring, all finite and >= 0.
    """

    name: ClassVar[str]
    power: ClassVar[str]
    numbers: ClassVar[tuple[str, ...]] = ()
    series: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def build(self, block: Any, count: int) -> None:  # Any: Pyomo's blocks carry no types
        """Fill a block with equations, with a port ``power_kw`` and a ``cost``."""

    @abstractmethod
    def values(self, problem: Problem, asset: OtherAsset) -> dict[str, FloatArray | float]:
        """What is given to the block, by name."""

    @abstractmethod
    def trim(self, problem: Problem, asset: OtherAsset, power_kw: FloatArray) -> FloatArray:
        """The part of a power that the asset can take, whoever wishes it. [kW]"""

    @abstractmethod
    def state(self, problem: Problem, asset: OtherAsset, power_kw: FloatArray) -> FloatArray:
        """What the power leads to at the end of each interval; what setpoints say is expected."""

    def missing_kwh(self, problem: Problem, asset: OtherAsset, power_kw: FloatArray) -> FloatArray:  # noqa: ARG002
        """What the asset promised and does not give, per interval; listed as a shortfall. [kWh]"""
        return np.zeros(problem.count)

    def yen(self, problem: Problem, asset: OtherAsset, power_kw: FloatArray) -> float:  # noqa: ARG002
        """What the asset adds to the objective. [yen]"""
        return 0.0

    def wish(self, problem: Problem, asset: OtherAsset) -> FloatArray:  # noqa: ARG002
        """Power without an optimiser, trimmed afterwards; none unless said. [kW]"""
        return np.zeros(problem.count)

    def faults(self, asset: OtherAsset) -> Iterator[str]:  # noqa: ARG002
        """What is wrong with an asset beyond missing or unsound data."""
        yield from ()


_OWN = ("car", "zone", "pv", "battery", "event", "step")
_KINDS: dict[str, Kind] = {}


def register(kind: Kind) -> Kind:
    """Make a kind known; the same name again replaces it.

    Raises
    ------
    DataError
        If the name is taken by a kind that the planner knows itself, or is not a plain word.
    """
    if kind.name in _OWN or not kind.name.isidentifier():
        raise DataError(
            f"a kind cannot be called {kind.name!r}", where=", ".join(_OWN), hint="choose another plain word"
        )
    _KINDS[kind.name] = kind
    return kind


def known_kinds() -> tuple[str, ...]:
    """Names of all registered kinds."""
    return tuple(sorted(_KINDS))


def kind_of(name: str) -> Kind:
    """The kind of a name.

    Raises
    ------
    DataError
        If nobody registered it.
    """
    if name not in _KINDS:
        raise DataError(
            f"no kind of asset is called {name!r}",
            where=f"known: {', '.join(known_kinds()) or 'none'}",
            hint="register it before planning (docs/how-to/add-an-asset.md)",
        )
    return _KINDS[name]
