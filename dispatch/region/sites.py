"""What a region consists of: sites with their own planning problems, drawn or read block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from energy.core.plan import Problem

__all__ = ["Block", "SiteInput", "SiteSource"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteInput:
    """A site of a region; what its problem holds stays where the site is planned.

    Parameters
    ----------
    problem : Problem
        Its own planning problem, in half-hours.
    feeder : str
        Line of the grid that it hangs on.
    joins_dr : bool
        Whether it has joined demand response.
    coordinated : bool
        Whether it lets the region move it; else it plans for itself and is only counted.
    """

    problem: Problem
    feeder: str
    joins_dr: bool = True
    coordinated: bool = True


class SiteSource(Protocol):
    """Gives the sites of a block; must survive the way to another process and always give the same."""

    def sites(self) -> list[SiteInput]:
        """The sites, in order."""


@dataclass(frozen=True, slots=True)
class Block:
    """Sites that are worked on together.

    Parameters
    ----------
    key : str
        Names the block and the state of its inputs: other inputs, another key.
    first, count : int
        Places of its sites in the region.
    """

    key: str
    first: int
    count: int
    source: SiteSource
