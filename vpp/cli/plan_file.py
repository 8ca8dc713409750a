"""``vpp plan make``, ``check``, ``diff`` and ``bench``: plans from problem files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError, DataError, ExitStatus
from vpp.cli.forecast_site import Json, print_json
from vpp.console import Console

if TYPE_CHECKING:
    from datetime import datetime

    from dispatch.checks import Violation
    from dispatch.planner import Planner
    from energy.core.plan import Plan, Problem
    from vpp.i18n import Messages
    from vpp.views.whatif import PlanDiff, WhatIf

__all__ = ["ProblemFile", "TimeLimit", "bench", "check", "diff", "explain_file", "make"]

ProblemFile = Annotated[Path, typer.Option("--problem", help="Problem, a JSON file (examples/problem.json).")]
TimeLimit = Annotated[float, typer.Option(help="Time for one plan. [s]")]


def planner_of(time_limit_s: float) -> Planner:
    """A planner that finds compiled models on disk and gives up after a time.

    Raises
    ------
    ConfigError
        If the time limit is not positive.
    """
    from dispatch.planner import Planner, PlannerOptions
    from dispatch.solve import SolverSettings
    from dispatch.templates import TemplateCache
    from vpp.kinds import load_kinds
    from vpp.shelf import FolderShelf, cache_folder

    load_kinds()
    if not 0.0 <= time_limit_s < float("inf"):
        raise ConfigError(
            f"{time_limit_s} s is no time limit", where="--time-limit", hint="give seconds, >= 0"
        )
    options = PlannerOptions(solver=SolverSettings(time_limit_s=time_limit_s))
    return Planner(options, templates=TemplateCache(shelf=FolderShelf(cache_folder())))


def make(
    context: typer.Context,
    problem: ProblemFile,
    previous: Annotated[
        Path | None, typer.Option(help="Plan in force, moved on if the optimiser has no answer in time.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the plan to this file too.")] = None,
    save: Annotated[
        Path | None,
        typer.Option(help="Write the problem as it was planned: divided, with the plan in force."),
    ] = None,
    change_yen: Annotated[
        float, typer.Option(help="Price of each kWh by which a car or room leaves the plan in force. [yen]")
    ] = 0.0,
    divide: Annotated[
        str, typer.Option(help="Divide the first half-hours, e.g. 6,6,2 for 5, 5 and 15 minutes.")
    ] = "",
    time_limit: TimeLimit = 10.0,
    json: Json = False,
) -> int:
    """Plan a problem and say what is planned, from where the plan came and which promises it softens.

    There is always a plan; exit status 6 says that it is not the optimiser's.

    With --divide or --change-yen the problem differs from its file: --save keeps it for check and explain.

    Example: vpp plan make --problem examples/problem.json
    """
    from json import loads

    from energy.core.plan import PlanSource, plan_to_json, problem_to_json
    from vpp.i18n import Messages
    from vpp.problemfile import read_plan, read_problem, write_json
    from vpp.views.planwords import plan_sentences, softened

    console = cast("Console", context.obj)
    words = Messages(console.lang)
    task = read_problem(problem)
    before = None if previous is None else read_plan(previous)
    task = _shaped(task, before, change_yen=change_yen, divide=divide)
    plan = planner_of(time_limit).plan(task, previous=before)
    if save is not None:
        write_json(save, problem_to_json(task))
    if out is not None:
        write_json(out, plan_to_json(plan))
    told = softened(task, plan, words)
    if json:
        print_json({**loads(plan_to_json(plan)), "softened": [one.to_json() for one in told]})
    else:
        print("\n".join(plan_sentences(task, plan, words)))
        print(words.text("planned.softened" if told else "planned.kept"))
        for one in told:
            print(f"  {one.sentence}")
            if one.remedy:
                print(f"    {one.remedy}")
    return int(ExitStatus.PARTIAL if plan.source in (PlanSource.SHIFTED, PlanSource.RULES) else ExitStatus.OK)


def _shaped(problem: Problem, previous: Plan | None, *, change_yen: float, divide: str) -> Problem:
    """The problem with a price on leaving the plan in force, and its first half-hours divided.

    Raises
    ------
    ConfigError
        If an option cannot be understood, or needs another one.
    """
    from dispatch.refine import refine
    from dispatch.shift import stay_near

    if not 0.0 <= change_yen < float("inf"):
        raise ConfigError(f"{change_yen} is no price", where="--change-yen", hint="give yen per kWh, >= 0")
    if change_yen > 0.0 and previous is None:
        raise ConfigError(
            "--change-yen needs a plan in force", where="--change-yen", hint="name it with --previous"
        )
    try:
        parts = tuple(int(part) for part in divide.split(",") if divide)
    except ValueError:
        raise ConfigError(
            f"{divide!r} does not say how to divide", where="--divide", hint="write it like 6,6,2"
        ) from None
    if parts:
        problem = refine(problem, parts)
    return stay_near(problem, previous, yen_per_kwh=change_yen) if change_yen > 0.0 else problem


def check(
    context: typer.Context,
    problem: ProblemFile,
    plan: Annotated[Path, typer.Option(help="Plan, a JSON file as vpp plan make --out writes it.")],
    json: Json = False,
) -> int:
    """Check a plan against its problem with code that knows nothing of the optimiser; status 4 if it fails.

    Example: vpp plan check --problem examples/problem.json --plan plan.json
    """
    from dispatch.checks import check_plan
    from dispatch.validate import require_sound
    from vpp.i18n import Messages
    from vpp.kinds import load_kinds
    from vpp.problemfile import read_plan, read_problem

    console = cast("Console", context.obj)
    words = Messages(console.lang)
    load_kinds()
    task, given = require_sound(read_problem(problem)), read_plan(plan)
    found = check_plan(task, given)
    if json:
        print_json(
            {
                "valid": not found,
                "source": given.source.value,
                "violations": [_violation(task, one) for one in found],
            }
        )
    elif not found:
        print(words.text("planned.valid"))
    else:
        print(words.text("planned.invalid", count=len(found)))
        for one in found:
            print(_violation_line(task, one, words))
    return int(ExitStatus.INFEASIBLE if found else ExitStatus.OK)


def _violation(problem: Problem, found: Violation) -> dict[str, object]:
    at = problem.time(found.index).isoformat() if found.index >= 0 else None
    return {
        "kind": found.kind,
        "asset": found.asset,
        "index": found.index,
        "at": at,
        "amount": found.amount,
        "text": found.text,
    }


def _violation_line(problem: Problem, found: Violation, words: Messages) -> str:
    if found.index < 0:
        return words.text("planned.violation_whole", asset=found.asset, text=found.text)
    when = words.moment(problem.time(found.index))
    return words.text("planned.violation", asset=found.asset, when=when, text=found.text)


def diff(
    context: typer.Context,
    problem: ProblemFile,
    against: Annotated[Path, typer.Option(help="Plan or another problem to compare with, a JSON file.")],
    time_limit: TimeLimit = 10.0,
    json: Json = False,
) -> None:
    """Say what differs between another plan, or the plan of another problem, and the plan of this one.

    Example: vpp plan diff --problem examples/problem.json --against plan.json
    """
    from vpp.i18n import Messages
    from vpp.problemfile import read_problem
    from vpp.views.whatif import diff_plans

    console = cast("Console", context.obj)
    words, planner = Messages(console.lang), planner_of(time_limit)
    task = read_problem(problem)
    before = _plan_or_planned(against, planner)
    found = diff_plans(before, planner.plan(task))
    if json:
        print_json(found.to_json())
    else:
        print("\n".join(_diff_lines(task, found, words)))


def _plan_or_planned(path: Path, planner: Planner) -> Plan:
    """The plan in a file, or the plan of the problem in it."""
    from json import loads

    from vpp.problemfile import read_plan, read_problem

    try:
        document = loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return read_plan(path)  # says what is wrong with it
    if isinstance(document, dict) and "setpoints" in document:
        return read_plan(path)
    return planner.plan(read_problem(path))


def _diff_lines(problem: Problem, found: PlanDiff, words: Messages) -> list[str]:
    from vpp.i18n import reason_sentence
    from vpp.views.planwords import kinds_of

    before, after = found.before, found.after
    lines = [
        words.text(
            "planned.diff_cost",
            before=words.yen(before.objective_yen),
            after=words.yen(after.objective_yen),
            change=words.yen(after.objective_yen - before.objective_yen),
        ),
        words.text(
            "planned.diff_peak",
            before=words.kw(max(before.trajectory.import_kw)),
            after=words.kw(max(after.trajectory.import_kw)),
            target_before=words.kw(before.target_demand_kw),
            target_after=words.kw(after.target_demand_kw),
        ),
        words.text("planned.diff_softened", before=len(before.shortfalls), after=len(after.shortfalls)),
    ]
    for which, names in (("first", found.only_before), ("second", found.only_after)):
        if names:
            told = words.text(f"planned.diff_{which}")
            lines.append(words.text("planned.diff_only", which=told, names=", ".join(names)))
    if not found.changes:
        return [*lines, words.text("planned.diff_none")]
    lines.append(words.text("planned.diff_count", count=len(found.changes), shared=found.shared))
    kinds = kinds_of(problem)
    for change in found.changes:
        why = reason_sentence(
            words, change.after.reason, kind=kinds[change.after.asset], power_kw=change.after.power_kw
        )
        lines.append(
            words.text(
                "planned.diff_line",
                when=words.day_slot(change.after.slot.start),
                name=change.after.asset,
                before=_flow(change.before.power_kw, words),
                after=_flow(change.after.power_kw, words),
                why=why,
            )
        )
    return lines


def _flow(power_kw: float, words: Messages) -> str:
    """A power with its direction as a word: no bare minus."""
    if abs(power_kw) < 0.05:
        return words.text("planned.off")
    return words.text("planned.into" if power_kw > 0.0 else "planned.out_of", power=words.kw(abs(power_kw)))


def explain_file(
    context: typer.Context,
    problem: Path,
    *,
    plan: Path | None,
    slot: str | None,
    asset: str | None,
    json: bool,
) -> None:
    """Say why each asset does what it does in the plan of a problem; and what more would cost."""
    from vpp.i18n import Messages
    from vpp.problemfile import read_plan, read_problem
    from vpp.views.planwords import kinds_of, setpoint_sentence, softened
    from vpp.views.whatif import what_if

    console = cast("Console", context.obj)
    words, planner = Messages(console.lang), planner_of(10.0)
    task = read_problem(problem)
    kinds = kinds_of(task)
    if asset is not None and asset not in kinds:
        raise ConfigError(
            f"no asset {asset!r}",
            where=f"this problem has {', '.join(sorted(kinds))}",
            hint="give one of these",
        )
    made = planner.plan(task) if plan is None else read_plan(plan)
    index = None if slot is None else _index(task, slot)
    points = [
        point
        for point in made.setpoints
        if point.asset in kinds
        and asset in (None, point.asset)
        and (index is None or point.slot.start == task.grid.time(index))
    ]
    costs = what_if(task, made, planner, index=task.first_of(index or 0))
    told = softened(task, made, words)
    sentences = [setpoint_sentence(point, kinds[point.asset], words) for point in points]
    if json:
        setpoints = [
            {
                "asset": point.asset,
                "slot": point.slot.start.isoformat(),
                "power_kw": point.power_kw,
                "reason": point.reason.code.value,
                "facts": dict(point.reason.facts),
                "sentence": sentence,
            }
            for point, sentence in zip(points, sentences, strict=True)
        ]
        print_json(
            {
                "source": made.source.value,
                "setpoints": setpoints,
                "softened": [one.to_json() for one in told],
                "what_if": [cost.to_json() for cost in costs],
            }
        )
        return
    print("\n".join([*sentences, *(one.sentence for one in told), *_cost_lines(task, costs, words)]))


def _cost_lines(problem: Problem, costs: list[WhatIf], words: Messages) -> list[str]:
    lines = []
    for cost in costs:
        when, yen = words.moment(problem.time(cost.index)), words.yen(cost.cost_yen)
        key = "planned.more_load" if cost.kind == "load" else "planned.more_charge"
        lines.append(words.text(key, when=when, cost=yen, name=cost.asset))
        if cost.within_yen >= 1.0:
            lines.append(words.text("planned.within", within=words.yen(cost.within_yen)))
    return lines


def _index(problem: Problem, text: str) -> int:
    """Half-hour of ``YYYY-MM-DDTHH:MM`` in Japan, or of the first ``HH:MM`` of the horizon."""
    from energy.core.slots import JST, parse_jst

    grid = problem.grid
    try:
        if len(text.strip()) > 5:
            found = _index_at(problem, parse_jst(text))
        else:
            wanted = text.strip().zfill(5)
            starts = (t for t, time in enumerate(grid.times()) if f"{time.astimezone(JST):%H:%M}" == wanted)
            found = next(starts, None)
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a slot", where="SLOT", hint="write it like 2026-08-05T16:30"
        ) from None
    if found is None:
        span = f"{grid.start.astimezone(JST):%Y-%m-%d %H:%M} to {grid.end.astimezone(JST):%Y-%m-%d %H:%M}"
        raise DataError(f"{text} lies outside the plan", where=f"{span} (Japan)", hint="choose a slot inside")
    return found


def _index_at(problem: Problem, moment: datetime) -> int | None:
    index = (moment - problem.grid.start) // problem.grid.step
    return index if 0 <= index < problem.grid.count else None


def bench(
    instance: Annotated[Path, typer.Option(help="Instance, a JSON file (docs/reference/plan-instance.md).")],
    rounds: Annotated[int, typer.Option(min=1, help="Re-solves with other data.")] = 20,
    time_limit: TimeLimit = 60.0,
    json: Json = False,
) -> None:
    """Measure how fast an instance is planned: cold, with a compiled template on disk, and again.

    Example: vpp plan bench --instance examples/instance.json
    """
    from vpp.bench.instance import read_instance
    from vpp.bench.plan import bench_plan

    read_instance(instance)  # faults are named here, not in the measuring processes
    measured = bench_plan(instance, rounds=rounds, time_limit_s=time_limit).to_json()
    if json:
        print_json(measured)
    else:
        for name, value in measured.items():
            print(f"{name:14} {value:.6g}" if isinstance(value, float) else f"{name:14} {value}")
