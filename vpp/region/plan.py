"""A region planned from plain inputs: drawn, coordinated, verified, told."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from dispatch.region.checks import require_region
from dispatch.region.coordinate import Coordinator
from dispatch.region.outcome import CoordinatorSettings, RegionPlan, Trace
from dispatch.region.sites import Block
from dispatch.region.work import WorkSettings
from dispatch.templates import TemplateShelf
from energy.core.errors import ConfigError, DataError
from vpp.region.crew import Executor, cpu_s_of, peak_rss_mb
from vpp.region.draw import DrawnSites, Request
from vpp.region.pools import load_pools
from vpp.region.shared import RegionRules
from vpp.wholefile import whole_file

__all__ = [
    "METHOD",
    "Planned",
    "RegionFile",
    "blocks_of",
    "check_request",
    "coordinator_of",
    "document",
    "plan_region",
    "prepare",
    "read_region",
    "sizes_of_blocks",
    "write_region",
]

METHOD = "column generation, interior-point prices, Lagrange bound"
_LARGEST_BLOCK = 50  # sites
_BLOCKS_PER_WORKER = 4
_MOST_CELLS = 2_500  # convexity rows of the master


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionFile:
    """What ``vpp region make --out`` writes: all that a region follows from.

    Parameters
    ----------
    request : Request
        Which sites are drawn.
    rules : RegionRules
        How the shared limits follow.
    """

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    request: Request
    rules: RegionRules = field(default_factory=RegionRules)


_FILE = TypeAdapter(RegionFile)


def read_region(path: Path) -> RegionFile:
    """A region from its file.

    Raises
    ------
    DataError
        If it cannot be read or is not a region.
    ConfigError
        If no region can be drawn from what it asks for; one without sites is drawn, and empty.
    """
    try:
        region = _FILE.validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            "the region cannot be read", where=str(error), hint="vpp region make --out FILE"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = f"{path.name}: {'.'.join(map(str, first['loc']))}: {first['msg']}"
        raise DataError("this is not a region", where=where, hint="vpp region make --out FILE") from error
    check_request(region.request if region.request.sites else replace(region.request, sites=1))
    return region


def write_region(path: Path, region: RegionFile) -> None:
    """Write a region's file."""
    with whole_file(path) as file:
        file.write(_FILE.dump_json(region, indent=1).decode() + "\n")


def check_request(request: Request) -> Request:
    """Give a request back if a region can be drawn from it.

    Raises
    ------
    ConfigError
        Naming the option.
    """
    wrong = {
        "--sites": (request.sites, 1 <= request.sites <= 100_000, "give 1 to 100000"),
        "--slots": (request.slots, 1 <= request.slots <= 336, "give 1 to 336 half-hours"),
        "--seed": (request.seed, request.seed >= 0, "give 0 or more"),
        "--failures": (request.failures, 0.0 <= request.failures <= 1.0, "give a share, 0 to 1"),
    }
    for option, (value, good, hint) in wrong.items():
        if not good:
            raise ConfigError(f"no region with {option} {value}", where=option, hint=hint)
    if request.data is not None and not request.data.is_dir():
        raise ConfigError(
            "there is no such folder",
            where=f"--data {request.data}",
            hint="leave it out for the shipped series",
        )
    return request


def sizes_of_blocks(sites: int, workers: int) -> list[tuple[int, int]]:
    """First site of each block and the first after it; several blocks for each worker."""
    size = min(_LARGEST_BLOCK, max(1, math.ceil(sites / (_BLOCKS_PER_WORKER * workers))))
    return [(first, min(first + size, sites)) for first in range(0, sites, size)]


def blocks_of(request: Request, workers: int) -> list[Block]:
    """The sites in blocks, several for each worker."""
    digest = hashlib.sha256(repr(request).encode()).hexdigest()[:16]
    blocks = []
    for first, stop in sizes_of_blocks(request.sites, workers):
        key = f"{digest}-{first}-{stop}"
        blocks.append(Block(key, first, stop - first, DrawnSites(request, first, stop)))
    return blocks


def prepare() -> bool:
    """Let a worker import what it needs, so that the first block finds it there."""
    load_pools()
    return True


def coordinator_of(region: RegionFile, crew: Executor, *, shelf: TemplateShelf | None = None) -> Coordinator:
    """A coordinator with all blocks open."""
    request = region.request
    return Coordinator(
        blocks_of(request, crew.workers), request.grid, region.rules, crew, work=WorkSettings(shelf=shelf)
    )


@dataclass(frozen=True, slots=True)
class Planned:
    """A plan, and the coordinator that can go on from it."""

    plan: RegionPlan
    coordinator: Coordinator
    total_s: float
    cpu_s: float  # of all processes, each since it was started
    peak_rss_mb: float


def plan_region(
    region: RegionFile,
    crew: Executor,
    settings: CoordinatorSettings,
    *,
    shelf: TemplateShelf | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Planned:
    """Draw, coordinate and verify.

    Raises
    ------
    InvalidPlanError
        If the independent check refuses the plan.
    """
    begun = time.perf_counter()
    coordinator = coordinator_of(region, crew, shelf=shelf)
    spent = time.perf_counter() - begun
    cell = max(settings.cell, math.ceil(region.request.sites / _MOST_CELLS))
    settings = replace(settings, cell=cell, time_limit_s=max(0.0, settings.time_limit_s - spent))
    plan = coordinator.plan(settings, stop=stop)
    require_region(plan, hours=region.request.grid.hours)
    total = time.perf_counter() - begun
    peaks = dict([peak_rss_mb(), *crew.run(peak_rss_mb, [()] * crew.workers, at=range(crew.workers))])
    return Planned(plan, coordinator, total, cpu_s_of(crew), sum(peaks.values()))


def document(region: RegionFile, planned: Planned, crew: Executor, *, executor: str) -> dict[str, Any]:
    """What ``vpp region plan --json`` prints."""
    plan, request = planned.plan, region.request
    feeders = [short.amount_kw for short in plan.shortfalls if short.kind == "feeder"]
    return {
        "sites": request.sites,
        "slots": request.slots,
        "cars": sum(card.cars for card in plan.cards),
        "method": METHOD,
        "total_s": round(planned.total_s, 2),
        "cpu_s": round(planned.cpu_s, 2),
        "template_s": round(plan.template_s, 2),
        "lower_bound_yen": _yen(plan.lower_yen),
        "upper_bound_yen": _yen(plan.upper_yen),
        "gap": round(plan.gap, 6) if math.isfinite(plan.gap) else None,
        "max_violation": round(max(plan.violation, *feeders, 0.0), 6),
        "peak_rss_mb": round(planned.peak_rss_mb, 1),
        "workers": crew.workers,
        "workers_lost": crew.lost,
        "executor": executor,
        "seed": request.seed,
        "day": request.day.isoformat(),
        "exchangeable": request.exchangeable,
        "rounds": plan.rounds,
        "alone_yen": _yen(plan.alone_yen),
        "gap_of_benefit": _share(plan.upper_yen - plan.lower_yen, plan.alone_yen - plan.lower_yen),
        "shortfalls": [asdict(short) | {"amount_kw": round(short.amount_kw, 3)} for short in plan.shortfalls],
        "broken_promises": {site: list(kinds) for site, kinds in plan.broken.items()},
        "left_out": plan.left_out,
        "trace": [_told(step) for step in plan.trace],
    }  # fmt: skip


def _told(step: Trace) -> dict[str, Any]:
    return {
        "round": step.round,
        "lower_bound_yen": _yen(step.lower_yen),
        "upper_bound_yen": _yen(step.upper_yen),
        "elapsed_s": round(step.elapsed_s, 2),
    }


def _yen(amount: float) -> float | None:
    return round(amount, 2) if math.isfinite(amount) else None


def _share(part: float, whole: float) -> float | None:
    """Part of what coordination can save that is not proven to be saved; None where there is nothing to."""
    return round(part / whole, 4) if math.isfinite(whole) and whole > 0.0 else None
