"""``vpp demo``, ``vpp simulate``, ``vpp doctor``."""

from __future__ import annotations

import os
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from energy.core.errors import ConfigError
from vpp.console import DEFAULT_STATE, Console

if TYPE_CHECKING:
    from vpp.cli.doctor import Finding
    from vpp.simulation.results import Controller

__all__ = ["demo", "doctor", "simulate"]

FIRST_DAY = "2026-08-03"  # the first whole week of an August: heat, sun, and a peak worth cutting

Start = Annotated[str, typer.Option(help="First day, YYYY-MM-DD in Japan.")]
Starts = Annotated[
    str, typer.Option(help="First day, YYYY-MM-DD in Japan; with --seeds several, with commas.")
]
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
    from vpp.report.html import write_report
    from vpp.report.terminal import render_summary
    from vpp.simulation.batch import Request, state_folder
    from vpp.simulation.batch import simulate as run

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
    start: Starts = FIRST_DAY,
    compare: Annotated[
        str,
        typer.Option(
            help="Controllers, with commas: none, valley, rules, mpc, optimal-p50, optimal, perfect. "
            "Without it none, rules, optimal; with --seeds all but optimal-p50."
        ),
    ] = "",
    seeds: Annotated[
        int,
        typer.Option(help="Run the days so often with other chances, and give means and standard errors."),
    ] = 0,
    state: State = DEFAULT_STATE,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Run controllers over the same days of a scenario and compare what they cost and kept."""
    from vpp.simulation.batch import CONTROLLERS, Request, state_folder
    from vpp.simulation.batch import simulate as run

    console = cast("Console", context.obj)
    standard = "none,rules,optimal" if seeds == 0 else "none,valley,rules,mpc,optimal,perfect"
    controllers = _controllers(compare or standard, CONTROLLERS)
    if seeds != 0:
        _scoreboard(console, scenario, _days(start), days, controllers, seeds=seeds, state=state, json=json)
        return
    first = _day(start)
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


def _controllers(compare: str, known: tuple[Controller, ...]) -> tuple[Controller, ...]:
    names = [name.strip() for name in compare.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(
            f"no controller {unknown[0]!r}", where="--compare", hint=f"choose from {', '.join(known)}"
        )
    return cast("tuple[Controller, ...]", tuple(dict.fromkeys(names)))


def _days(text: str) -> tuple[date, ...]:
    return tuple(dict.fromkeys(_day(one.strip()) for one in text.split(",") if one.strip()))


def _scoreboard(
    console: Console,
    scenario: str,
    weeks: tuple[date, ...],
    days: int,
    controllers: tuple[Controller, ...],
    *,
    seeds: int,
    state: Path,
    json: bool,
) -> None:
    """Many weeks and seeds; what is done is kept below the state folder."""
    from vpp.simulation.scoreboard import BoardRequest, run_board
    from vpp.simulation.standings import standings

    if not 1 <= seeds <= 1000:
        raise ConfigError("seeds must be 1 to 1000", where=f"--seeds {seeds}", hint="try --seeds 3")
    request = BoardRequest(
        scenario=scenario,
        weeks=weeks,
        days=days,
        seeds=tuple(range(1, seeds + 1)),
        state=state / f"seeds-{Path(scenario).stem}",
        controllers=controllers,
    )
    progress = console.progress()
    rows = run_board(request, progress)
    progress.close()
    board = standings(rows)
    if json:
        from json import dumps

        document = {"scenario": scenario, "days": days, **board.to_json()}
        document["rows"] = [row.to_json() for row in rows]
        print(dumps(document, ensure_ascii=False, indent=1))
        return
    from vpp.report.terminal import render_standings

    print(render_standings(board, console.lang))


def doctor(
    context: typer.Context,
    state: State = DEFAULT_STATE,
    service: Annotated[
        str | None, typer.Option(help="Address of a running service, looked at from outside.")
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="YAML of a service, looked at from inside: store, data, jobs, backup.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    sbom: Annotated[
        bool,
        typer.Option("--sbom", help="Only list the installed packages: a CycloneDX document on stdout."),
    ] = False,
) -> int:
    """Say whether this machine can run the program, or how a running service does, and what to do if not."""
    from energy.core.clock import SystemClock
    from vpp.cli.doctor import Status, examine, exit_status, solve_probe
    from vpp.simulation.scenario import scenario_names

    if sbom:
        print(_bill_of_materials())
        return 0
    console = cast("Console", context.obj)
    if service is None and config is None:
        findings = examine(
            clock=SystemClock(), state=state, scenario_names=scenario_names, solve_probe=solve_probe
        )
    else:
        findings = _of_service(console, service, config)
    if json:
        from json import dumps

        print(dumps([finding.to_json() for finding in findings], ensure_ascii=False, indent=1))
    else:
        for finding in findings:
            print(f"{finding.status.value:4}  {finding.name}: {finding.detail}")
            if finding.status is not Status.OK and finding.fix is not None:
                print(f"      {finding.fix.text(console.lang)}")
    return int(exit_status(findings))


def _bill_of_materials() -> str:
    from importlib.metadata import distributions
    from json import dumps

    from vpp.ops.sbom import bill_of_materials

    return dumps(bill_of_materials(distributions()), ensure_ascii=False, indent=1)


def _of_service(console: Console, service: str | None, config: Path | None) -> list[Finding]:
    """A running service from outside, from inside, or both; and whether its packages are ours."""
    from energy.core.clock import SystemClock
    from vpp.cli.doctor import foreign_packages
    from vpp.cli.doctor_service import examine_address, examine_config
    from vpp.config import read_yaml
    from vpp.setup.service import ServiceConfig

    clock = SystemClock()
    findings = [] if service is None else examine_address(service, clock=clock)
    if config is not None:
        findings += examine_config(read_yaml(config, ServiceConfig), clock=clock, lang=console.lang)
        findings += foreign_packages(sys.path)
    return findings
