"""What the plans of the day before tell of the charging of cars, against what is charged.

    python tests/bench/promised_charge.py --site city-hall --weeks 2026-03-02,2026-07-13 --days 7

Prints one JSON line per week. A week of the city hall takes about two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import date, timedelta

import numpy as np

from energy.core.series import Grid, Unit
from energy.core.slots import jst_midnight
from energy.store import open_store
from vpp.settlement.promise import promises
from vpp.simulation.review import Reviewer
from vpp.simulation.scenario import load_scenario
from vpp.simulation.simulate import ScenarioRun
from vpp.site.recorder import SiteSeries


def run(name: str, week: date, days: int) -> dict[str, object]:
    """One closed loop."""
    scenario, folder = load_scenario(name)
    start = jst_midnight(week)
    end = start + timedelta(days=days)
    with open_store("sqlite://", durability="process") as store:
        loop = ScenarioRun(scenario, folder, "optimal", start, end, store, wire=False)
        asyncio.run(loop.run())
        known, names, grid = store.as_of(end), SiteSeries(scenario.site.id), Grid.between(start, end)
        told = promises(known, scenario.site.id, week, week + timedelta(days=days - 1)).values()
        charged = [known.series(names[v.id, "charge_kwh"], grid, Unit.KWH) for v in scenario.site.vehicles]
        reviewer = Reviewer(scenario.site, grid, store)
        summary = reviewer.result("optimal", loop.score, loop.operator.counts, loop.wall_s).summary
    return {
        "site": name,
        "week": week.isoformat(),
        "promised_kwh": round(sum(sum(day.charge_kwh) for day in told), 1),
        "charged_kwh": round(float(sum(np.nansum(one.values) for one in charged)), 1),
        "peak_kw": summary.peak_kw,
        "score_yen": summary.score_yen,
        "departures_missed": summary.departures_missed,
    }


def main() -> None:
    """Read the command line and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--site", default="city-hall")
    parser.add_argument("--weeks", default="2026-03-02,2026-07-13")
    parser.add_argument("--days", type=int, default=7)
    given = parser.parse_args()
    for week in given.weeks.split(","):
        print(json.dumps(run(given.site, date.fromisoformat(week), given.days)), flush=True)


if __name__ == "__main__":
    main()
