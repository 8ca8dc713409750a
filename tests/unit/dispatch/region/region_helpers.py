"""Small regions for tests, and crews that watch or fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dispatch.region.coordinate import Coordinator
from dispatch.region.limits import SharedLimit
from dispatch.region.messages import Card
from dispatch.region.sites import Block, SiteInput
from dispatch.region.work import WorkSettings
from energy.core.series import FloatArray, Grid
from vpp.region.draw import DrawnSites, Request
from vpp.region.shared import RegionRules
from vpp.shelf import FolderShelf

__all__ = ["Given", "Watched", "coordinator", "no_limits", "region_request"]


# models are compiled once for all runs of all tests
WORK = WorkSettings(shelf=FolderShelf(Path(__file__).parents[4] / ".pytest_cache" / "vpp"))


def region_request(sites: int = 10, **changes: Any) -> Request:
    return Request(**({"sites": sites, "seed": 5, "failures": 0.0} | changes))


@dataclass(frozen=True, slots=True)
class Given:
    """Sites that a test made."""

    given: tuple[SiteInput, ...]

    def sites(self) -> list[SiteInput]:
        return list(self.given)


class Watched:
    """Works in this process and keeps what was said in both directions."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.answers: list[Any] = []

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], *, at: Sequence[int]
    ) -> list[Any]:
        self.calls += [(function.__name__, call) for call in calls]
        answers = [function(*call) for call in calls]
        self.answers += answers
        return answers


def no_limits(cards: tuple[Card, ...], alone: FloatArray, drop: FloatArray) -> list[SharedLimit]:
    return []


def coordinator(
    sites: Sequence[SiteInput],
    grid: Grid,
    *,
    limits: Any = None,
    crew: Any = None,
    size: int = 4,
    key: str = "",
) -> Coordinator:
    chunks = [tuple(sites[k : k + size]) for k in range(0, len(sites), size)]
    blocks = [
        Block(
            f"test-{key}-{id(sites)}-{k}-{np.random.default_rng().integers(1 << 60)}",
            k * size,
            len(chunk),
            Given(chunk),
        )
        for k, chunk in enumerate(chunks)
    ]
    return Coordinator(blocks, grid, limits or RegionRules(seed=1), crew or Watched(), work=WORK)


def drawn(request: Request) -> list[SiteInput]:
    return DrawnSites(request, 0, request.sites).sites()
