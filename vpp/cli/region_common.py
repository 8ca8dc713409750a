"""What the commands of ``vpp region`` share: options, the region that they mean, planning it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from energy.core.errors import ConfigError

if TYPE_CHECKING:
    from vpp.region.plan import Planned, RegionFile

__all__ = [
    "Data",
    "Day",
    "Exchangeable",
    "ExecutorName",
    "Failures",
    "Gap",
    "RegionOption",
    "Seed",
    "Sites",
    "Slots",
    "TimeLimit",
    "Workers",
    "drawn",
    "planned_with",
]

T = TypeVar("T")

Sites = Annotated[int, typer.Option(help="Number of sites.")]
Seed = Annotated[int, typer.Option(help="What everything is drawn from.")]
Slots = Annotated[int, typer.Option(help="Half-hours to plan.")]
Day = Annotated[str, typer.Option(help="First day, from midnight in Japan.")]
Failures = Annotated[float, typer.Option(help="Part of the sites that have a fault. [-]")]
Exchangeable = Annotated[bool, typer.Option("--exchangeable", help="Sites of one kind and no faults.")]
Data = Annotated[Path | None, typer.Option(help="Folder of published series that are not shipped.")]
RegionOption = Annotated[
    Path | None, typer.Option("--region", help="Region written by vpp region make --out.")
]
Workers = Annotated[int, typer.Option(help="Processes that work side by side.")]
ExecutorName = Annotated[
    str, typer.Option("--executor", help="process, inline, local-dask or dask://HOST:PORT.")
]
Gap = Annotated[float, typer.Option(help="Relative gap that suffices. [-]")]
TimeLimit = Annotated[float, typer.Option(help="No round is begun after it. [s]")]


def drawn(
    sites: int, seed: int, slots: int, *,
    day: str, failures: float, exchangeable: bool, data: Path | None,
) -> RegionFile:  # fmt: skip
    """The region that the options mean."""
    from vpp.region.draw import Request
    from vpp.region.plan import RegionFile, check_request
    from vpp.region.shared import RegionRules

    try:
        first = datetime.strptime(day, "%Y-%m-%d").date()  # noqa: DTZ007 - a date has no zone
    except ValueError:
        raise ConfigError(f"{day!r} is not a day", where="--day", hint="write it like 2026-01-20") from None
    request = Request(
        sites=sites,
        seed=seed,
        slots=slots,
        day=first,
        failures=failures,
        exchangeable=exchangeable,
        data=data,
    )
    return RegionFile(request=check_request(request), rules=RegionRules(seed=seed))


def planned_with(
    task: RegionFile,
    *,
    gap: float,
    time_limit: float,
    workers: int,
    executor: str,
    describe: Callable[..., T],
) -> tuple[Planned, T]:
    """Plan, with the interrupt key as the end of the rounds; then describe it while the workers are there."""
    import signal

    from dispatch.region.outcome import CoordinatorSettings
    from vpp.region.crew import open_executor
    from vpp.region.plan import plan_region
    from vpp.shelf import FolderShelf, cache_folder

    if not 0.0 <= gap < 1.0 or not time_limit >= 0.0:
        raise ConfigError(
            f"a gap of {gap} within {time_limit} s cannot be reached", where="--gap, --time-limit",
            hint="give a share like 0.005 and seconds, >= 0",
        )  # fmt: skip
    asked_to_stop = False

    def note(*_: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second time ends it at once

    settings = CoordinatorSettings(gap=gap, time_limit_s=time_limit)
    with open_executor(executor, workers) as crew:
        before = signal.signal(signal.SIGINT, note)
        try:
            planned = plan_region(
                task, crew, settings, shelf=FolderShelf(cache_folder()), stop=lambda: asked_to_stop
            )
        finally:
            signal.signal(signal.SIGINT, before)
        return planned, describe(task, planned, crew, executor=executor)
