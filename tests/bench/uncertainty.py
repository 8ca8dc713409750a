"""What to do about what nobody knows: medians, room for errors, a tree of scenarios, a guard with a reserve.

    python -m tests.bench.uncertainty --ways margin,margin@0.05,margin@0.1 --seeds 20 --days 2
    python -m tests.bench.uncertainty --ways margin,median,room-1.5,room-2,tree,tree-cvar
    python -m tests.bench.uncertainty --persistence 2026-08-03

A way is a kind of plan, and after an ``@`` what the guard keeps in hand when a window begins, as a
share of what is allowed (nothing unless told); the others are compared with the first one.

Every way plans the same drawn weeks (:mod:`vpp.simulation.variation`) in a closed loop with the same
forecasts and reserves, and is scored as the scoreboard scores: energy, the peak at what twelve months
of it cost, discomfort, missed departures, stored energy. Weeks and seeds (from 1001) are those on which
choices are made; none is scored elsewhere. A seed meets one of the weeks, in turn. What is done is kept in
the folder, and a run that was cut off goes on.

``--persistence`` prints how much of a standardised forecast error is left half an hour later, over five days;
the trees of the comparison are drawn with what it prints for a week that the comparison does not use.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from statistics import mean, stdev

import numpy as np

import vpp.loop.operate
from dispatch.planner import Planner, PlannerOptions
from dispatch.solve import WarmSolver
from dispatch.templates import TemplateCache
from energy.core.series import FloatArray, Grid
from energy.core.slots import jst_midnight
from energy.store import open_store
from tests.bench.reserved_guard import ReservedGuard
from tests.bench.tree_planner import Tree, TreePlanner, standard_errors
from vpp.shelf import FolderShelf, cache_folder
from vpp.simulation.rehearsal import rehearse
from vpp.simulation.review import Reviewer
from vpp.simulation.scenario import load_scenario
from vpp.simulation.scoreboard import BoardWeek
from vpp.simulation.simworld import SimulatedWorld
from vpp.simulation.variation import varied
from vpp.wholefile import whole_file

WEEKS = (date(2026, 2, 2), date(2026, 3, 2), date(2026, 6, 29), date(2026, 7, 13))
FIRST_SEED = 1001
WAYS = ("margin", "margin@0.1", "median", "room-1.5", "room-2", "tree", "tree-cvar")
_AHEAD = 48  # half hours of a path that are looked at


def planner(way: str) -> Planner:
    """The planner of one kind; all else is the same."""
    templates = TemplateCache(shelf=FolderShelf(cache_folder()))
    match way:
        case "median":
            return Planner(PlannerOptions(peak_quantile_share=0.0), solver=WarmSolver(), templates=templates)
        case "margin":
            return Planner(solver=WarmSolver(), templates=templates)
        case "room-1.5" | "room-2":
            share = float(way.removeprefix("room-"))
            return Planner(
                PlannerOptions(peak_quantile_share=share), solver=WarmSolver(), templates=templates
            )
        case "tree":
            return TreePlanner(Tree(), templates=templates)
        case "tree-cvar":
            return TreePlanner(Tree(alpha=0.67), templates=templates)
        case _:
            sys.exit(f"no way {way!r}; known are {', '.join(WAYS)}")


def lived(week: BoardWeek, way: str) -> dict[str, object]:
    """One closed loop; its row of the scoreboard."""
    kind, _, early = way.partition("@")
    # The only place that makes guards.
    vpp.loop.operate.DemandGuard = partial(ReservedGuard, early=float(early or 0))  # type: ignore[attr-defined,assignment]
    with open_store("sqlite://") as store:
        reviewer = Reviewer(week.scenario.site, Grid.between(week.world.start, week.world.end), store)
        row = week.lived("optimal", store, reviewer, planner=planner(kind))
    return row.to_json() | {"way": way}


def seed_rows(seed: int, days: int, state: Path, ways: Sequence[str]) -> list[dict[str, object]]:
    """All ways of one seed; each is written down when it is done."""
    start = WEEKS[seed % len(WEEKS)]
    path = state / f"{start.isoformat()}-{days}d-seed{seed}.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    week: BoardWeek | None = None
    for way in ways:
        if way in known:
            continue
        if week is None:
            plain, folder = load_scenario("kitakata")
            week = BoardWeek(varied(plain, folder, start, days, seed=seed), folder, start, days, seed)
        known[way] = lived(week, way)
        with whole_file(path) as file:
            json.dump(known, file, indent=1)
        print(
            json.dumps({"seed": seed, "way": way, "yen": known[way]["cost_yen"]}), file=sys.stderr, flush=True
        )
    return [known[way] for way in ways]


def persistence(start: date) -> dict[str, float]:
    """Correlation of standardised errors of neighbouring half hours of a path, of load and sun. [-]"""
    scenario, folder = load_scenario("kitakata")
    first, end = jst_midnight(start), jst_midnight(start + timedelta(days=5))
    world = SimulatedWorld(scenario, folder, first, end)
    load, roof, _, _ = world.truth(Grid.between(first, end))
    found: dict[str, list[tuple[FloatArray, FloatArray]]] = {"load": [], "sun": []}
    for at, outlook in rehearse(scenario, world).outlooks.items():
        place = int((at - first) / timedelta(minutes=30))
        ahead = slice(place, min(place + _AHEAD, len(load)))
        count = ahead.stop - place
        for name, actual, bands in (("load", load, outlook.load), ("sun", roof, outlook.pv)):
            if bands is None:
                continue
            p10, p50, p90 = bands.p10[:count], bands.p50[:count], bands.p90[:count]
            errors = standard_errors(np.asarray(actual[ahead]), p10, p50, p90, least=0.5)
            found[name].append((errors[:-1], errors[1:]))
    told = {}
    for name, pairs in found.items():
        before = np.concatenate([one for one, _ in pairs])
        after = np.concatenate([one for _, one in pairs])
        known = np.isfinite(before) & np.isfinite(after)
        told[name] = round(float(np.corrcoef(before[known], after[known])[0, 1]), 2)
    return told


def table(rows: Sequence[dict[str, object]], ways: Sequence[str]) -> dict[str, object]:
    """Means and what each way costs beside the first one, with the standard error over seeds."""
    by: dict[str, dict[int, dict[str, float]]] = {way: {} for way in ways}
    for row in rows:
        by[str(row["way"])][int(str(row["seed"]))] = row  # type: ignore[assignment]
    base = by[ways[0]]
    told: dict[str, object] = {"runs_of_each": len(base)}
    for way, runs in by.items():
        off = [runs[seed]["cost_yen"] - base[seed]["cost_yen"] for seed in sorted(runs)]
        told[way] = {
            "cost_yen": round(mean(one["cost_yen"] for one in runs.values())),
            "energy_yen": round(mean(one["energy_yen"] for one in runs.values())),
            "peak_kw": round(mean(one["peak_kw"] for one in runs.values()), 1),
            "comfort_degc_h": round(mean(one["comfort_degc_h"] for one in runs.values()), 2),
            "departures_missed": sum(one["departures_missed"] for one in runs.values()),
            "fallback_plans": sum(one["fallback_plans"] for one in runs.values()),
            "wall_s": round(mean(one["wall_s"] for one in runs.values()), 1),
            "beside_first_yen": round(mean(off)),
            "standard_error_yen": round(stdev(off) / len(off) ** 0.5) if len(off) > 1 else None,
            "dearer_than_first": sum(one > 0 for one in off),
        }
    return told


def main() -> None:
    """Read the command line, run what is missing, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--days", type=int, default=2)
    parser.add_argument("--state", type=Path, default=Path("out/uncertainty"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--persistence", type=date.fromisoformat, metavar="DAY")
    said = parser.parse_args()
    if said.persistence:
        print(json.dumps(persistence(said.persistence)))
        return
    said.state.mkdir(parents=True, exist_ok=True)
    ways = said.ways.split(",")
    seeds = range(FIRST_SEED, FIRST_SEED + said.seeds)
    with ProcessPoolExecutor(said.workers) as pool:
        done = [pool.submit(seed_rows, seed, said.days, said.state, ways) for seed in seeds]
        rows = [row for one in done for row in one.result()]
    print(json.dumps(table(rows, ways), indent=1))


if __name__ == "__main__":
    main()
