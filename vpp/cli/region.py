"""``vpp region``: many sites drawn, planned as one plant, offered, dispatched, and lived with for a week."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from energy.core.errors import ExitStatus
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.region_common import (
    Data,
    Day,
    Exchangeable,
    ExecutorName,
    Failures,
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
from vpp.cli.region_flex import dispatch, offer
from vpp.cli.region_week import report, simulate
from vpp.console import Console

if TYPE_CHECKING:
    from dispatch.region.outcome import RegionPlan
    from vpp.region.plan import Planned

__all__ = ["app"]

app = typer.Typer(help="A region: many sites as one plant.", no_args_is_help=True)
app.command()(offer)
app.command()(dispatch)
app.command()(simulate)
app.command()(report)

_SHOWN = 5


@app.callback()
def _region() -> None:
    """A region: many sites as one plant."""


@app.command()
def make(
    context: typer.Context,
    sites: Sites = 100,
    seed: Seed = 0,
    slots: Slots = 48,
    day: Day = "2026-01-20",
    failures: Failures = 0.01,
    exchangeable: Exchangeable = False,
    data: Data = None,
    out: Annotated[Path | None, typer.Option(help="Write the region to this file.")] = None,
    problems: Annotated[
        Path | None, typer.Option(help="Write every site's problem into this folder, for vpp plan make.")
    ] = None,
    json: Json = False,
) -> None:
    """Draw a region from real series and say what it consists of and where its series come from.

    Example: vpp region make --sites 1000 --seed 1 --out region.json
    """
    from vpp.region.summary import describe

    console = cast("Console", context.obj)
    region = drawn(sites, seed, slots, day=day, failures=failures, exchangeable=exchangeable, data=data)
    told, inputs = describe(region.request)
    if out is not None:
        from vpp.region.plan import write_region

        write_region(out, region)
        console.say(console.text("region.written", path=out))
    if problems is not None:
        from energy.core.plan import problem_to_json
        from vpp.problemfile import write_json
        from vpp.simulation.batch import make_folder

        make_folder(problems)
        for site in inputs:
            write_json(problems / f"{site.problem.site}.json", problem_to_json(site.problem))
    if json:
        print_json(told)
        return
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(told["kinds"].items()))
    print(console.text("region.made", sites=sites, seed=seed, year=told["year_gwh"], kinds=kinds))
    print(
        console.text(
            "region.holds",
            cars=told["cars"],
            gives=told["both_ways"],
            rooms=told["rooms"],
            roofs=told["roofs"],
            batteries=told["batteries"],
            feeders=told["feeders"],
            coordinated=told["coordinated"],
            joins=told["joins_dr"],
            lost=told["without_forecast"],
        )
    )
    for pool in told["sources"]:
        key = "region.source_shipped" if pool["shipped"] else "region.source"
        print(console.text(key, pool=pool["pool"], source=pool["source"]))


@app.command()
def plan(
    context: typer.Context,
    sites: Sites = 100,
    slots: Slots = 48,
    seed: Seed = 0,
    gap: Gap = 0.005,
    time_limit: TimeLimit = 600.0,
    workers: Workers = 2,
    executor: ExecutorName = "process",
    region: RegionOption = None,
    day: Day = "2026-01-20",
    failures: Failures = 0.01,
    exchangeable: Exchangeable = False,
    data: Data = None,
    dr_kw: Annotated[
        float | None,
        typer.Option(help="Reduction in the evening; 4 % of the sites that joined unless said. [kW]"),
    ] = None,
    json: Json = False,
) -> int:
    """Plan all sites of a region together, with a proven gap.

    Interrupt it (Ctrl-C) and it ends with the best plan so far and its gap. Exit status 6 says that a shared
    limit is not kept or the gap was not reached.

    Example: vpp region plan --sites 100 --slots 48 --seed 1 --gap 0.005 --json
    """
    from dataclasses import replace

    from vpp.region.plan import document, read_region

    console = cast("Console", context.obj)
    task = (
        drawn(sites, seed, slots, day=day, failures=failures, exchangeable=exchangeable, data=data)
        if region is None
        else read_region(region)
    )
    if dr_kw is not None:
        task = replace(task, rules=replace(task.rules, dr_kw=dr_kw))
    planned, told = planned_with(
        task, gap=gap, time_limit=time_limit, workers=workers, executor=executor, describe=document
    )
    if json:
        print_json(told)
    else:
        _say_plan(console, planned, told)
    reached = told["gap"] is not None and told["gap"] <= gap
    return int(ExitStatus.OK if reached and not planned.plan.shortfalls else ExitStatus.PARTIAL)


def _say_plan(console: Console, planned: Planned, told: dict[str, Any]) -> None:
    """A plan in words."""
    plan = planned.plan
    if told["gap"] is None:
        print(
            console.text(
                "region.not_proven", sites=told["sites"], slots=told["slots"], upper=f"{plan.upper_yen:,.0f}"
            )
        )
    else:
        print(
            console.text(
                "region.planned",
                sites=told["sites"],
                slots=told["slots"],
                upper=f"{plan.upper_yen:,.0f}",
                gap=f"{told['gap']:.2%}",
                rounds=told["rounds"],
                seconds=told["total_s"],
                workers=told["workers"],
                memory=told["peak_rss_mb"],
            )
        )
    print(
        console.text(
            "region.alone", alone=f"{plan.alone_yen:,.0f}", saved=f"{plan.alone_yen - plan.upper_yen:,.0f}"
        )
    )
    print(console.text("region.checked", violation=told["max_violation"]))
    _say_missed(console, plan)
    if told["workers_lost"]:
        print(console.text("region.lost", count=told["workers_lost"]))


def _say_missed(console: Console, plan: RegionPlan) -> None:
    """What is not kept, by name, and after each sort why and what can be done."""
    missed: dict[tuple[str, str], list[float]] = {}
    for short in plan.shortfalls:
        missed.setdefault((short.kind, short.name), []).append(short.amount_kw)
    for (_, name), amounts in missed.items():
        print(console.text("region.short", name=name, slots=len(amounts), amount=f"{max(amounts):.2f}"))
    for kind in dict.fromkeys(kind for kind, _ in missed):
        print(console.text(f"region.short_{kind}"))
    if not missed:
        print(console.text("region.all_kept"))
    broken = [
        console.text("region.broken", site=site, kinds=", ".join(kinds))
        for site, kinds in plan.broken.items()
    ]
    lost = [console.text("region.left_out", site=site, fault=fault) for site, fault in plan.left_out.items()]
    for lines, hint in ((broken, "region.broken_hint"), (lost, "region.left_out_hint")):
        print("\n".join(lines[:_SHOWN]), end="\n" if lines else "")
        if len(lines) > _SHOWN:
            print(console.text("region.more", count=len(lines) - _SHOWN))
        if lines:
            print(console.text(hint))
