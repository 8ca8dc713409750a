"""``vpp region simulate`` and ``report``: a week of a region, and what it came to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from energy.core.errors import ExitStatus
from vpp.cli.forecast_site import Json, print_json
from vpp.cli.region_common import Data, Exchangeable, ExecutorName, Failures, Seed, Sites, Workers, drawn
from vpp.console import DEFAULT_STATE, Console

if TYPE_CHECKING:
    from vpp.region.week.request import Week

__all__ = ["report", "simulate"]

State = Annotated[Path, typer.Option(help="Folder for what the simulation stores.")]


def simulate(
    context: typer.Context,
    sites: Sites = 30,
    days: Annotated[int, typer.Option(help="Days that are compared.")] = 7,
    seed: Seed = 0,
    start: Annotated[str, typer.Option(help="First day, from midnight in Japan.")] = "2026-08-03",
    warm_days: Annotated[
        int, typer.Option("--warm-days", help="Days before, for baselines and feeders; every site alone.")
    ] = 7,
    gap: Annotated[float, typer.Option(help="Relative gap that suffices for each plan. [-]")] = 0.0003,
    dr_share: Annotated[
        float, typer.Option(help="What the tight evening asks for, of what the sites that joined use. [-]")
    ] = 0.06,
    offline: Annotated[int, typer.Option(help="Sites that fall silent for a day.")] = 2,
    derated: Annotated[
        float, typer.Option(help="What a feeder under repair carries, of its highest before. [-]")
    ] = 0.9,
    corrections: Annotated[
        bool, typer.Option(help="Ask sites back to their plans while the tight evening runs.")
    ] = True,
    workers: Workers = 2,
    executor: ExecutorName = "process",
    failures: Failures = 0.01,
    exchangeable: Exchangeable = False,
    data: Data = None,
    state: State = DEFAULT_STATE,
    json: Json = False,
) -> int:
    """Simulate a week of a region: every site for itself, and the region as one plant.

    Each four hours everybody plans again. An interrupted simulation goes on with the same words, a finished
    one is only told again. Exit status 6 says that something shared was not kept, or that it was interrupted.

    Example: vpp region simulate --sites 30 --days 7 --seed 1
    """
    from vpp.region.week.request import Week

    console = cast("Console", context.obj)
    request = drawn(
        sites, seed, 48, day=start, failures=failures, exchangeable=exchangeable, data=data
    ).request
    week = Week(
        region=request,
        days=days,
        warm_days=warm_days,
        gap=gap,
        dr_share=dr_share,
        offline=offline,
        derated=derated,
        corrections=corrections,
    )
    document = _run(console, week, _folder(state, week), executor=executor, workers=workers)
    if document is None:
        console.say(console.text("region_week.interrupted"))
        return int(ExitStatus.PARTIAL)
    if json:
        print_json(document)
    else:
        _say(console, document)
    kept = document["parts"]["together"]
    return int(
        ExitStatus.PARTIAL
        if any(kept[f"feeder_slots_{why}"] for why in ("over", "short", "blind")) or kept["departures_missed"]
        else ExitStatus.OK
    )


def report(
    context: typer.Context,
    sites: Sites = 30,
    days: Annotated[int, typer.Option(help="Days of the simulation.")] = 7,
    seed: Seed = 0,
    start: Annotated[str, typer.Option(help="First day of the simulation.")] = "2026-08-03",
    state: State = DEFAULT_STATE,
    out: Annotated[Path | None, typer.Option(help="Folder of the report; that of the simulation.")] = None,
    json: Json = False,
) -> None:
    """Write what a simulated week of a region came to as a page in Japanese and in English.

    Example: vpp region report --sites 30 --days 7 --seed 1
    """
    from vpp.region.week.report import write_region_report
    from vpp.region.week.request import Week
    from vpp.region.week.results import read_result

    console = cast("Console", context.obj)
    request = drawn(sites, seed, 48, day=start, failures=0.01, exchangeable=False, data=None).request
    folder = _folder(state, Week(region=request, days=days))
    document = read_result(folder)
    pages = write_region_report(document, out or folder)
    if json:
        print_json(document)
    for page in pages:
        console.say(console.text("cli.report_written", path=page))


def _folder(state: Path, week: Week) -> Path:
    """Folder of a simulation."""
    region = week.region
    kind = "-exchangeable" if region.exchangeable else ""
    return state / f"region-{region.sites}{kind}-seed{region.seed}-{region.day.isoformat()}-{week.days}d"


def _run(console: Console, week: Week, folder: Path, *, executor: str, workers: int) -> dict[str, Any] | None:
    """Run and settle; None if it was interrupted."""
    import signal

    from vpp.region.crew import open_executor
    from vpp.region.week.report import write_region_report
    from vpp.region.week.results import week_document
    from vpp.region.week.run import Interrupted, run_week
    from vpp.shelf import FolderShelf, cache_folder
    from vpp.simulation.batch import make_folder

    make_folder(folder)
    asked_to_stop = False

    def note(*_: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a second time ends it at once

    progress = console.progress()
    before = signal.signal(signal.SIGINT, note)
    try:
        with open_executor(executor, workers) as crew:
            run_week(
                week,
                crew,
                folder.resolve(),
                shelf=FolderShelf(cache_folder()),
                progress=lambda part, done, total: progress(
                    console.text(f"region_week.part_{part}"), done, total
                ),
                stop=lambda: asked_to_stop,
            )
            document = week_document(week, folder.resolve(), crew)
    except Interrupted:
        return None
    finally:
        progress.close()
        signal.signal(signal.SIGINT, before)
    pages = write_region_report(document, folder)
    page = next(path for path in pages if path.stem.endswith(console.lang))
    console.say(console.text("cli.report_written", path=page))
    return document


def _say(console: Console, document: dict[str, Any]) -> None:
    """The week in a few sentences."""
    from vpp.i18n import Messages
    from vpp.region.week.words import sentences

    for line in sentences(document, Messages(console.lang)):
        print(line)
