"""``vpp demo``, ``vpp simulate``, ``vpp doctor``."""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import Annotated, cast

import typer

from energy.core.errors import ConfigError
from vpp.cli.console import DEFAULT_STATE, Console

__all__ = ["demo", "doctor", "simulate"]

FIRST_DAY = "2026-08-03"  # the first whole week of an August: heat, sun, and a peak worth cutting

Start = Annotated[str, typer.Option(help="First day, YYYY-MM-DD in Japan.")]
Days = Annotated[int, typer.Option(help="Number of days.")]
State = Annotated[Path, typer.Option(help="Folder for what the runs store.")]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{text!r} is not a day", where="--start", hint="write it like 2026-08-03"
        ) from None


def _open_in_browser(path: Path) -> None:
    """Show a page if there is a screen; nothing happens without one."""
    screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if screen and sys.stdout.isatty():
        import webbrowser

        webbrowser.open(path.resolve().as_uri())


def demo(
    context: typer.Context,
    scenario: Annotated[str, typer.Option(help="Scenario to show.")] = "kitakata",
    days: Days = 7,
    start: Start = FIRST_DAY,
    state: State = DEFAULT_STATE,
    browser: Annotated[bool, typer.Option(help="Open the report if there is a screen.")] = True,
) -> None:
    """Show a week of a factory: forecasts, plans, Modbus, coins, and a report of what it saved and why."""
    from vpp.batch import Request, state_folder
    from vpp.batch import simulate as run
    from vpp.report.html import write_report
    from vpp.report.terminal import render_summary

    console = cast("Console", context.obj)
    first = _day(start)
    folder = state_folder(state, scenario, first, days)
    console.say(console.text("cli.demo_begins", scenario=scenario, days=days, start=start))
    progress = console.progress()
    document = run(Request(scenario, first, days, ("none", "rules", "optimal", "perfect"), folder), progress)
    progress.close()
    print(render_summary(document, console.lang))
    pages = write_report(document, folder)
    page = next(path for path in pages if path.stem.endswith(console.lang))
    print(console.text("cli.report_written", path=page))
    if browser:
        _open_in_browser(page)


def simulate(
    context: typer.Context,
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, its folder or its YAML file.")],
    days: Days = 7,
    start: Start = FIRST_DAY,
    compare: Annotated[
        str, typer.Option(help="Controllers, with commas: none, rules, optimal-p50, optimal, perfect.")
    ] = "none,rules,optimal",
    state: State = DEFAULT_STATE,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run controllers over the same days of a scenario and compare what they cost and kept."""
    from vpp.batch import CONTROLLERS, Request, state_folder
    from vpp.batch import simulate as run
    from vpp.results import Controller

    console = cast("Console", context.obj)
    first = _day(start)
    names = [name.strip() for name in compare.split(",") if name.strip()]
    unknown = [name for name in names if name not in CONTROLLERS]
    if unknown:
        raise ConfigError(
            f"no controller {unknown[0]!r}", where="--compare", hint=f"choose from {', '.join(CONTROLLERS)}"
        )
    controllers = cast("tuple[Controller, ...]", tuple(dict.fromkeys(names)))
    progress = console.progress()
    folder = state_folder(state, scenario, first, days)
    document = run(Request(scenario, first, days, controllers, folder), progress)
    progress.close()
    if json:
        from json import dumps

        print(dumps(document.to_json(), ensure_ascii=False, indent=1))
        return
    from vpp.report.terminal import render_summary

    print(render_summary(document, console.lang))


def doctor(
    context: typer.Context,
    state: State = DEFAULT_STATE,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> int:
    """Say whether this machine can run the program, and what to do if not."""
    from energy.core.clock import SystemClock
    from vpp.cli.doctor import Status, examine, exit_status, solve_probe
    from vpp.scenario import scenario_names

    console = cast("Console", context.obj)
    findings = examine(
        clock=SystemClock(), state=state, scenario_names=scenario_names, solve_probe=solve_probe
    )
    if json:
        from json import dumps

        print(dumps([finding.to_json() for finding in findings], ensure_ascii=False, indent=1))
    else:
        for finding in findings:
            print(f"{finding.status.value:4}  {finding.name}: {finding.detail}")
            if finding.status is not Status.OK and finding.fix is not None:
                print(f"      {finding.fix.text(console.lang)}")
    return int(exit_status(findings))
