"""The scoreboard: several controllers on the same weeks, lived many times with other chances.

Every week is run once per seed (:mod:`vpp.simulation.variation`) by each controller, on the same load,
weather, people and forecasts. A file per week and seed keeps what is done, so that a run that was cut off
goes on.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path

from dispatch.planner import Planner
from dispatch.solve import WarmSolver
from dispatch.templates import TemplateCache
from energy.core.errors import ConfigError
from energy.core.series import Grid
from energy.core.slots import JST, jst_midnight
from energy.market.demand import PeakMemory
from energy.store import Store, open_store
from vpp.loop.operate import Mode
from vpp.shelf import FolderShelf, cache_folder
from vpp.simulation.batch import WORKERS, fingerprint, make_folder
from vpp.simulation.perfect import perfect_foresight
from vpp.simulation.rehearsal import RehearsedDesk, rehearse
from vpp.simulation.results import Controller, RunSummary
from vpp.simulation.review import PENALTIES, Reviewer
from vpp.simulation.scenario import Scenario, load_scenario
from vpp.simulation.simulate import ScenarioRun
from vpp.simulation.simworld import SimulatedWorld
from vpp.simulation.standings import BoardRow
from vpp.simulation.variation import varied
from vpp.site.planning import peak_price_yen_per_kw
from vpp.wholefile import whole_file

__all__ = ["BOARD", "BoardRequest", "BoardWeek", "run_board"]

BOARD: tuple[Controller, ...] = ("none", "valley", "rules", "mpc", "optimal", "perfect")
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRequest:
    """Which weeks, how often, by whom.

    Parameters
    ----------
    scenario : str
        Name, folder or file.
    weeks : tuple of date
        First days.
    days : int
        Length of each.
    seeds : tuple of int
        Chances; 0 is the scenario as it stands.
    state : Path
        Folder of the files of results.
    """

    scenario: str
    weeks: tuple[date, ...]
    days: int
    seeds: tuple[int, ...]
    state: Path
    controllers: tuple[Controller, ...] = BOARD
    workers: int = WORKERS

    def __post_init__(self) -> None:
        if not 1 <= self.days <= 31:
            raise ConfigError("days must be 1 to 31 here", where=f"--days {self.days}", hint="try --days 7")
        if not self.seeds or not self.weeks or not self.controllers:
            raise ConfigError(
                "nothing to run", where="--seeds, --start or --compare is empty", hint="try --seeds 3"
            )


@dataclass(slots=True)
class BoardWeek:
    """One week with one seed: its world, and the forecasts once somebody needs them."""

    scenario: Scenario
    folder: Path
    start: date
    days: int
    seed: int
    world: SimulatedWorld = field(init=False)
    _desk: RehearsedDesk | None = None

    def __post_init__(self) -> None:
        first = jst_midnight(self.start)
        end = jst_midnight(self.start + timedelta(days=self.days))
        self.world = SimulatedWorld(self.scenario, self.folder, first, end)

    def row(self, controller: Controller) -> BoardRow:
        """Live through the week."""
        scenario, world = self.scenario, self.world
        grid = Grid.between(world.start, world.end)
        with open_store("sqlite://") as store:
            reviewer = Reviewer(scenario.site, grid, store)
            if controller == "perfect":
                return self._scored(perfect_foresight(scenario, reviewer, world).summary)
            return self.lived(controller, store, reviewer)

    def lived(
        self, mode: Mode, store: Store, reviewer: Reviewer, *, planner: Planner | None = None
    ) -> BoardRow:
        """Live through the week in a closed loop, with a planner other than the product's if one is given."""
        run = self._run(mode, store, planner)
        asyncio.run(run.run())
        result = reviewer.result(mode, run.score, run.operator.counts, run.wall_s)
        return self._scored(result.summary)

    def _run(self, mode: Mode, store: Store, planner: Planner | None) -> ScenarioRun:
        if self._desk is None and mode != "none":
            self._desk = rehearse(self.scenario, self.world)
        return ScenarioRun(
            self.scenario,
            self.folder,
            mode,
            self.world.start,
            self.world.end,
            store,
            wire=False,
            desk=self._desk or RehearsedDesk({}),
            planner=planner
            or Planner(solver=WarmSolver(), templates=TemplateCache(shelf=FolderShelf(cache_folder()))),
        )

    def _scored(self, run: RunSummary) -> BoardRow:
        site = self.scenario.site
        memory = PeakMemory(dict(site.peak_memory_kw))
        paid_kw = float(memory.peak_kw(f"{self.world.start.astimezone(JST):%Y-%m}"))
        peak_yen = max(0.0, run.peak_kw - paid_kw) * peak_price_yen_per_kw(site, self.world.start)
        penalties = (
            PENALTIES.per_degc_h * run.comfort_degc_h + PENALTIES.per_departure * run.departures_missed
        )
        stored = PENALTIES.stored_yen_per_kwh * run.stored_kwh_change
        return BoardRow(
            controller=run.controller,
            week=self.start,
            seed=self.seed,
            energy_yen=run.energy_yen,
            bill_yen=run.bill_yen,
            peak_kw=run.peak_kw,
            peak_yen=round(peak_yen),
            comfort_degc_h=run.comfort_degc_h,
            departures=run.departures,
            departures_missed=run.departures_missed,
            limits_broken=run.contract_exceeded_slots + run.soc_floor_violations + (run.export_kwh > 0.001),
            stored_kwh_change=run.stored_kwh_change,
            cost_yen=round(run.energy_yen + peak_yen + penalties - stored),
            guard_actions=run.guard_actions,
            fallback_plans=run.fallback_plans,
            wall_s=run.wall_s,
        )


def run_board(request: BoardRequest, progress: Progress) -> tuple[BoardRow, ...]:
    """Run what is not done yet, and give all rows, by week, seed and controller.

    Raises
    ------
    VppError
        The first error of a week; what was finished stays on disk.
    """
    load_scenario(request.scenario)  # refused here, not in a worker
    make_folder(request.state)
    jobs = [(week, seed) for seed in request.seeds for week in request.weeks]
    total = len(jobs) * len(request.controllers)
    found: dict[tuple[date, int], list[BoardRow]] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(request.workers, len(jobs)), context) as pool:
        futures = {pool.submit(_week_rows, request, week, seed): (week, seed) for week, seed in jobs}
        try:
            for done in as_completed(futures):
                found[futures[done]] = done.result()
                progress("seeds", sum(len(rows) for rows in found.values()), total)
        except BaseException:
            for future in futures:
                future.cancel()
            raise
    return tuple(row for week, seed in sorted(jobs) for row in found[week, seed])


def _week_rows(request: BoardRequest, start: date, seed: int) -> list[BoardRow]:
    """All controllers of one week and seed; each is written down when it is done."""
    plain, folder = load_scenario(request.scenario)
    scenario = varied(plain, folder, start, request.days, seed=seed)
    mark = fingerprint(scenario, folder)
    path = request.state / f"{start.isoformat()}-{request.days}d-seed{seed}.json"
    known = _read(path, mark)
    week: BoardWeek | None = None
    for controller in request.controllers:
        if controller in known:
            continue
        week = week or BoardWeek(scenario, folder, start, request.days, seed)
        known[controller] = week.row(controller)
        rows = [row.to_json() for row in known.values()]
        with whole_file(path) as file:
            json.dump({"fingerprint": mark, "rows": rows}, file, indent=1)
    return [known[controller] for controller in request.controllers]


def _read(path: Path, mark: str) -> dict[Controller, BoardRow]:
    """Rows that were written before for the same scenario and program; none if anything is different."""
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        if said["fingerprint"] != mark:
            return {}
        rows = [BoardRow(**(row | {"week": date.fromisoformat(row["week"])})) for row in said["rows"]]
    except (OSError, ValueError, KeyError, TypeError):  # missing or damaged: it is made again
        return {}
    return {row.controller: row for row in rows}
