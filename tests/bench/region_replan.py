"""A plan, and what changes after it: a demand-response call, a cloud front, sites that fall silent.

    python tests/bench/region_replan.py --sites 100,300 --seed 1

prints for each size the time, processor time of all processes (the first with starting them), rounds and gap
of the first plan and of each new one, which starts from the last prices and bids.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dispatch.region.outcome import CoordinatorSettings, RegionPlan
from dispatch.region.sites import Block, SiteInput
from vpp.region.crew import Executor, cpu_s_of, open_executor
from vpp.region.draw import DrawnSites, Request
from vpp.region.plan import RegionFile, plan_region
from vpp.region.shared import RegionRules
from vpp.shelf import FolderShelf, cache_folder

_CLOUDED = 0.05  # part of the sites under the front
_LOST = 0.01


class Clouded:
    """A drawn site whose roof gives a third of what was foreseen."""

    def __init__(self, drawn: DrawnSites) -> None:
        self._drawn = drawn

    def sites(self) -> list[SiteInput]:
        return [
            replace(site, problem=replace(site.problem, pv=tuple(map(_third, site.problem.pv))))
            for site in self._drawn.sites()
        ]


def _third(array):  # type: ignore[no-untyped-def]
    names = ("p10_kw", "p50_kw", "p90_kw")
    return replace(array, **{name: tuple(kw / 3.0 for kw in getattr(array, name)) for name in names})


def told(sites: int, event: str, plan: RegionPlan, cpu_s: float) -> None:
    row = {
        "sites": sites, "event": event, "s": round(plan.total_s, 2), "cpu_s": round(cpu_s, 2),
        "rounds": len(plan.trace),
        "gap": round(plan.gap, 5), "shortfalls": len(plan.shortfalls), "max_violation": plan.violation,
    }  # fmt: skip
    print(json.dumps(row), flush=True)


def _main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--sites", default="100,300")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--gap", type=float, default=0.005)
    asked.add_argument("--workers", type=int, default=2)
    said = asked.parse_args()
    for size in map(int, said.sites.split(",")):
        with open_executor("process", said.workers) as crew:
            _events(Request(sites=size, seed=said.seed), CoordinatorSettings(gap=said.gap), crew)


def _events(request: Request, settings: CoordinatorSettings, crew: Executor) -> None:
    size, seed = request.sites, request.seed
    quiet = RegionFile(request=request, rules=RegionRules(seed=seed, dr_share=0.0))
    planned = plan_region(quiet, crew, settings, shelf=FolderShelf(cache_folder()))
    worked, spent = planned.coordinator, cpu_s_of(crew)
    told(size, "first plan", planned.plan, spent)

    def again(event: str) -> None:
        nonlocal spent
        plan, before = worked.plan(settings), spent
        spent = cpu_s_of(crew)
        told(size, event, plan, spent - before)

    worked.set_limits(RegionRules(seed=seed, dr_share=0.06))
    again("demand response called")
    count = max(1, int(_CLOUDED * size))
    rows = [int(k * size / count) for k in range(count)]
    blocks = [Block(f"clouded-{size}-{k}", k, 1, Clouded(DrawnSites(request, k, k + 1))) for k in rows]
    worked.touch(blocks, [worked.cards[k].site for k in rows])
    again(f"cloud front over {count} sites")
    lost = [worked.cards[k].site for k in range(3, size, max(1, int(1 / _LOST)))]
    worked.lose(lost)
    again(f"{len(lost)} sites fell silent")


if __name__ == "__main__":
    _main()
