"""``vpp region offer`` and ``dispatch``: what a region can give, and who gives it when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from energy.core.errors import ConfigError, ExitStatus
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.region_common import (
    Day,
    ExecutorName,
    Gap,
    RegionOption,
    Seed,
    Sites,
    Slots,
    TimeLimit,
    Workers,
    drawn,
    planned_with,
)
from vpp.console import Console

__all__ = ["dispatch", "offer"]

Start = Annotated[str, typer.Option(help="Start of the window, 17:00 or 2026-01-20T17:00 in Japan.")]
Up = Annotated[bool, typer.Option("--up", help="More from the grid instead of less.")]


def offer(
    context: typer.Context,
    sites: Sites = 100,
    seed: Seed = 0,
    slots: Slots = 48,
    start: Start = "17:00",
    hours: Annotated[str, typer.Option(help="Lengths of the window, with commas. [h]")] = "0.5,1,2",
    prices: Annotated[str, typer.Option(help="Prices, with commas. [yen/kWh]")] = "10,30,100",
    confidence: Annotated[float, typer.Option(help="How sure the firm power is. [-]")] = 0.9,
    by_site: Annotated[bool, typer.Option("--by-site", help="Say what each site gives (--json).")] = False,
    region: RegionOption = None,
    day: Day = "2026-01-20",
    gap: Gap = 0.005,
    time_limit: TimeLimit = 600.0,
    workers: Workers = 2,
    executor: ExecutorName = "process",
    json: Json = False,
) -> None:
    """Say how much less and more a region can take, for how long, at what price, and how sure that is.

    Example: vpp region offer --sites 100 --seed 1 --start 17:00 --hours 1,2
    """
    from vpp.region.flex import offer_document
    from vpp.region.plan import read_region

    console = cast("Console", context.obj)
    task = (
        drawn(sites, seed, slots, day=day, failures=0.01, exchangeable=False, data=None)
        if region is None
        else read_region(region)
    )
    first, counts = _first(start, task.request.slots), [_slots(text) for text in hours.split(",")]
    levels = [_number(text, "--prices") for text in prices.split(",")]
    _, told = planned_with(
        task, gap=gap, time_limit=time_limit, workers=workers, executor=executor,
        describe=lambda _task, planned, _crew, **_: offer_document(
            planned, first=first, counts=counts, prices=levels, confidence=confidence, by_site=by_site
        ),
    )  # fmt: skip
    if json:
        print_json(told)
        return
    for point in told["points"]:
        print(console.text(f"region.offer_{point['direction']}", confidence=f"{confidence:.0%}", **point))


def dispatch(
    context: typer.Context,
    kw: Annotated[float, typer.Option(help="Power that is called. [kW]")],
    sites: Sites = 100,
    seed: Seed = 0,
    slots: Slots = 48,
    start: Start = "17:00",
    hours: Annotated[float, typer.Option(help="Length of the call. [h]")] = 1.0,
    up: Up = False,
    price: Annotated[float, typer.Option(help="Paid for each kWh. [yen/kWh]")] = 50.0,
    failing: Annotated[float, typer.Option(help="Part of the sites that fail in the rehearsal. [-]")] = 0.05,
    history: Annotated[
        Path | None, typer.Option(help="File of what sites gave so far; made, and brought up to date.")
    ] = None,
    region: RegionOption = None,
    day: Day = "2026-01-20",
    gap: Gap = 0.005,
    time_limit: TimeLimit = 600.0,
    workers: Workers = 2,
    executor: ExecutorName = "process",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Leave the history as it is.")] = False,
    json: Json = False,
) -> int:
    """Divide a call among the sites fairly, verify their schedules, and rehearse it with sites that fail.

    Exit status 6 says that the sites together cannot give what is called.

    Example: vpp region dispatch --kw 20 --sites 100 --seed 1 --start 17:00 --hours 1
    """
    from vpp.region.flex import Call, call_document, read_burden, write_burden
    from vpp.region.plan import read_region

    console = cast("Console", context.obj)
    task = (
        drawn(sites, seed, slots, day=day, failures=0.01, exchangeable=False, data=None)
        if region is None
        else read_region(region)
    )
    call = Call(
        kw=kw, first=_first(start, task.request.slots), count=_slots(str(hours)), down=not up,
        price_yen_per_kwh=price, failing=failing, seed=task.request.seed,
    )  # fmt: skip
    planned, (told, after) = planned_with(
        task, gap=gap, time_limit=time_limit, workers=workers, executor=executor,
        describe=lambda _task, planned, _crew, **_: call_document(
            planned, call, read_burden(history, [card.site for card in planned.plan.cards])
        ),
    )  # fmt: skip
    if history is not None and not dry_run:
        write_burden(history, [card.site for card in planned.plan.cards], after)
    if json:
        print_json(told)
    else:
        for key in ("call_shared", "call_fair"):
            print(console.text(f"region.{key}", **told))
        for step in told["rehearsal"]:
            print(console.text("region.call_step", **step))
    return int(ExitStatus.PARTIAL if told["missing_kw"] > 0.0 else ExitStatus.OK)


def _first(text: str, slots: int) -> int:
    """Half-hour of the plan at which a window begins; the plan begins at midnight in Japan."""
    clock = text.strip().rsplit("T", 1)[-1]
    hour, _, minute = clock.partition(":")
    if not (hour.isdigit() and minute in ("00", "30") and 2 * int(hour) + (minute == "30") < slots):
        raise ConfigError(
            f"{text!r} is no half-hour of the plan", where="--start", hint="write it like 17:00 or 17:30"
        )
    return 2 * int(hour) + (minute == "30")


def _number(text: str, option: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a number", where=option, hint="write numbers with commas"
        ) from None


def _slots(text: str) -> int:
    """Half-hours of a length. [-]"""
    hours = _number(text, "--hours")
    if not hours > 0.0 or (2.0 * hours) % 1.0:
        raise ConfigError(f"{text} h is not a number of half-hours", where="--hours", hint="0.5, 1, 1.5 ...")
    return round(2.0 * hours)
