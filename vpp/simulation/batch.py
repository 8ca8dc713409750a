"""Several controllers on the same days, side by side in processes, into one document.

An interrupted simulation goes on when it is started again with the same words; a finished one starts anew.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, timedelta
from importlib.metadata import version
from pathlib import Path
from queue import Queue

import numpy as np

from energy.core.errors import ConfigError
from energy.core.series import FloatArray, Grid
from energy.core.slots import JST, jst_midnight
from energy.market.demand import PeakMemory
from energy.store import SqlStore, open_store
from vpp.loop.operate import Mode
from vpp.simulation.perfect import perfect_foresight
from vpp.simulation.results import Controller, Note, RunResult, SimulationDocument
from vpp.simulation.review import Reviewer
from vpp.simulation.scenario import Scenario, load_scenario
from vpp.simulation.simulate import ScenarioRun
from vpp.simulation.simworld import SimulatedWorld
from vpp.site.sitebook import named_assets

__all__ = ["CONTROLLERS", "Request", "fingerprint", "make_folder", "simulate", "state_folder"]

CONTROLLERS: tuple[Controller, ...] = (
    "none",
    "valley",
    "rules",
    "mpc",
    "optimal-p50",
    "optimal",
    "perfect",
)
WORKERS = 2
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Request:
    """What to simulate.

    Parameters
    ----------
    scenario : str
        Name, folder or file.
    state : Path
        Folder for the runs' databases; one file per controller.
    """

    scenario: str
    start: date
    days: int
    controllers: tuple[Controller, ...]
    state: Path

    def __post_init__(self) -> None:
        if not 1 <= self.days <= 366:
            raise ConfigError("days must be 1 to 366", where=f"--days {self.days}", hint="try --days 7")
        unknown = [name for name in self.controllers if name not in CONTROLLERS]
        if unknown or not self.controllers:
            raise ConfigError(
                f"no controller {unknown[0]!r}" if unknown else "no controller is named",
                where="--compare",
                hint=f"choose from {', '.join(CONTROLLERS)}",
            )


@dataclass(frozen=True, slots=True)
class _Finished:
    """What a worker hands back."""

    result: RunResult
    excursions: FloatArray | None


def state_folder(base: Path, scenario: str, start: date, days: int) -> Path:
    """Folder of one simulation below a base folder."""
    name = Path(scenario).stem if scenario.endswith((".yaml", ".yml")) else Path(scenario).name
    return base / f"{name}-{start.isoformat()}-{days}d"


def simulate(request: Request, progress: Progress) -> SimulationDocument:
    """Run all controllers of a request and put their results together; a single one needs no other process.

    Raises
    ------
    ConfigError
        If the tariff has no prices for one of the days, before anything runs.
    VppError
        The first error of a run; the other runs keep their checkpoints.
    """
    scenario, _ = load_scenario(request.scenario)
    for day in range(request.days):
        scenario.site.tariff.on(request.start + timedelta(days=day))
    make_folder(request.state)
    if len(request.controllers) == 1:
        (name,) = request.controllers
        return _document(scenario, request, {name: _run_one(request, name, progress)})
    return _document(scenario, request, _side_by_side(request, progress))


def _side_by_side(request: Request, progress: Progress) -> dict[Controller, _Finished]:
    """Each controller in a process of its own, two at a time."""
    context = multiprocessing.get_context("spawn")
    # The longest run first, so that the two workers finish at about the same time.
    order = sorted(request.controllers, key=lambda name: -CONTROLLERS.index(name) if name != "perfect" else 1)
    with context.Manager() as manager, ProcessPoolExecutor(min(WORKERS, len(order)), context) as pool:
        messages: Queue[tuple[str, int, int] | None] = manager.Queue()
        listener = threading.Thread(target=_listen, args=(messages, progress), daemon=True)
        listener.start()
        futures: dict[Controller, Future[_Finished]] = {
            name: pool.submit(_run_there, request, name, messages) for name in order
        }
        try:
            return {name: futures[name].result() for name in order}
        except BaseException:
            for future in futures.values():
                future.cancel()
            raise
        finally:
            messages.put(None)
            listener.join()


def _listen(messages: Queue[tuple[str, int, int] | None], progress: Progress) -> None:
    while (message := messages.get()) is not None:
        progress(*message)


def _run_there(request: Request, name: Controller, messages: Queue[tuple[str, int, int] | None]) -> _Finished:
    """One controller, in a process of its own."""
    return _run_one(request, name, lambda mode, done, total: messages.put((mode, done, total)))


def _run_one(request: Request, name: Controller, progress: Progress) -> _Finished:
    """One controller, from start to end or from where it was cut off."""
    scenario, folder = load_scenario(request.scenario)
    start = jst_midnight(request.start)
    end = start + timedelta(days=request.days)
    site = scenario.site
    if name == "perfect":
        world = SimulatedWorld(scenario, folder, start, end)
        store = open_store("sqlite:///:memory:", durability="process")
        reviewer = Reviewer(site, Grid.between(start, end), store)
        result = perfect_foresight(scenario, reviewer, world)
        store.close()
        progress(name, 1, 1)
        return _Finished(result, None)
    store = _open_run(request, name, fingerprint(scenario, folder))
    try:
        mode: Mode = name
        run = ScenarioRun(
            scenario,
            folder,
            mode,
            start,
            end,
            store,
            lambda done, total: progress(name, done, total),
            minutes=True,
        )
        asyncio.run(run.run())
        reviewer = Reviewer(site, Grid.between(start, end), store)
        result = reviewer.result(name, run.score, run.operator.counts, run.wall_s)
        excursions = reviewer.excursions()
        _mark(request, name, fingerprint(scenario, folder), finished=True)
        return _Finished(result, excursions)
    finally:
        store.close()


# -- state on disk -------------------------------------------------------------------------------------


def fingerprint(scenario: Scenario, folder: Path) -> str:
    """What a run depends on: the scenario as read, its data files, and the version of the program."""
    digest = hashlib.sha256(repr(scenario).encode() + version("aizu-vpp").encode())
    for file in (scenario.world.load.file, scenario.world.weather.file):
        path = folder / file
        digest.update(path.read_bytes() if path.is_file() else b"missing")
    return digest.hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder for results and see that it can be written to; :class:`ConfigError` if not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigError(
            "cannot write to the state folder",
            where=f"{folder}: {error.strerror}",
            hint="choose another folder with --state, or change its rights",
        ) from None


def _mark(request: Request, name: Controller, print_: str, *, finished: bool) -> None:
    text = json.dumps({"fingerprint": print_, "finished": finished})
    target = request.state / f"{name}.json"
    partial = target.with_suffix(".part")
    partial.write_text(text, encoding="utf-8")
    partial.replace(target)


def _open_run(request: Request, name: Controller, print_: str) -> SqlStore:
    """The database of a run: continued if it was cut off and nothing it depends on has changed."""
    mark = request.state / f"{name}.json"
    unfinished = False
    if mark.is_file():
        said = json.loads(mark.read_text(encoding="utf-8"))
        unfinished = said == {"fingerprint": print_, "finished": False}
    database = request.state / f"{name}.db"
    if not unfinished:
        for path in (database, Path(f"{database}-wal"), Path(f"{database}-shm")):
            path.unlink(missing_ok=True)
        _mark(request, name, print_, finished=False)
    return open_store(f"sqlite:///{database}", durability="process")


# -- the document --------------------------------------------------------------------------------------


def _document(
    scenario: Scenario, request: Request, finished: dict[Controller, _Finished]
) -> SimulationDocument:
    site = scenario.site
    start = jst_midnight(request.start)
    month = f"{start.astimezone(JST):%Y-%m}"
    nobody = finished.get("none")
    runs = []
    for name in request.controllers:
        one = finished[name]
        summary = one.result.summary
        if nobody is not None and nobody.excursions is not None and one.excursions is not None:
            worse = float(np.max(one.excursions - nobody.excursions, initial=0.0))
            summary = replace(summary, comfort_vs_none_degc=round(worse, 3))
        runs.append(replace(one.result, summary=summary))
    names = {asset: (ja, en) for asset, (ja, en, _) in named_assets(site).items()}
    return SimulationDocument(
        scenario=scenario.scenario,
        title_ja=scenario.title_ja,
        title_en=scenario.title_en,
        start=request.start,
        days=request.days,
        peak_memory_kw=float(PeakMemory(dict(site.peak_memory_kw)).peak_kw(month)),
        contract_kw=site.contract_kw,
        target_demand_kw=site.target_demand_kw,
        basic_yen_per_kw_month=float(site.tariff.on(request.start).basic_yen_per_kw_month),
        basic_factor=float(site.tariff.basic_factor()),
        names=names,
        runs=tuple(runs),
        assumptions=_assumptions(scenario),
        command=_command(request),
    )


def _command(request: Request) -> str:
    """What to type to get the same figures again."""
    names = ",".join(request.controllers)
    return f"vpp simulate {request.scenario} --days {request.days} --start {request.start} --compare {names}"


def _assumptions(scenario: Scenario) -> tuple[Note, ...]:
    return tuple(Note(ja=note.ja, en=note.en) for note in scenario.assumptions)
