"""How much room a plan should leave below the peak: closed loops on weeks that are shown nowhere else.

    python tests/bench/tune_peak.py --weeks 2026-02-02,2026-06-29 --shares 0.3,0.6,0.9

Prints one JSON line per run. A run of six days takes about a minute.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import date, timedelta

import vpp.loop.operate
from dispatch.planner import Planner, PlannerOptions
from energy.core.series import Grid
from energy.core.slots import jst_midnight
from energy.store import open_store
from vpp.simulation.review import Reviewer
from vpp.simulation.scenario import load_scenario
from vpp.simulation.simulate import ScenarioRun

DAYS = 6


def run(week: date, share: float) -> dict[str, object]:
    """One closed loop with one share."""

    def planner() -> Planner:
        return Planner(PlannerOptions(peak_quantile_share=share))

    vpp.loop.operate.Planner = planner  # type: ignore[assignment,misc] # the only place that makes planners
    scenario, folder = load_scenario("kitakata")
    start = jst_midnight(week)
    end = start + timedelta(days=DAYS)
    with open_store("sqlite://", durability="process") as store:
        loop = ScenarioRun(scenario, folder, "optimal", start, end, store)
        asyncio.run(loop.run())
        reviewer = Reviewer(scenario.site, Grid.between(start, end), store)
        summary = reviewer.result("optimal", loop.score, loop.operator.counts, loop.wall_s).summary
    return {
        "week": week.isoformat(),
        "share": share,
        "peak_kw": summary.peak_kw,
        "energy_yen": summary.energy_yen,
        "score_yen": summary.score_yen,
        "comfort_worst_degc": summary.comfort_worst_degc,
        "departures_missed": summary.departures_missed,
    }


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--weeks", default="2026-02-02,2026-03-02,2026-06-29,2026-07-13")
    parser.add_argument("--shares", default="0.3,0.6,0.9")
    given = parser.parse_args()
    for week in given.weeks.split(","):
        for share in given.shares.split(","):
            print(json.dumps(run(date.fromisoformat(week), float(share))), flush=True)


if __name__ == "__main__":
    main()
