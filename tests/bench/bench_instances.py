"""Print how fast instances are planned beside the same instances as arrays straight into HiGHS, as ratios.

Both are measured in turns, several times, and the least of each counts: what else runs on the machine only
adds. The reference's total is from the instance to the objective, its warm re-solve the same with other data
and the basis at hand. Nothing else should run beside it.

    python tests/bench/bench_instances.py [--repeats 5] [--steps 192] [--cars 4 20 100]
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.arrays import Arrays
from tests.bench.instances import instance
from vpp.bench.child import other_data
from vpp.bench.instance import Instance
from vpp.bench.plan import PlanBench, bench_plan

# What the parts may cost, as multiples of the reference: cold, cached, re-solve of HiGHS' own run.
LIMITS = {4: (15.0, 3.0, 2.0), 20: (10.0, 2.0, 1.3), 100: (6.0, 1.5, 1.3)}
WARM_LIMIT = 2.0  # re-solve of the reference's warm re-solve, at 100 cars
IMPORT_LIMIT_S, PEAK_LIMIT_MB = 1.5, 250.0


def reference(raw: dict[str, Any], rounds: int) -> tuple[float, float, float]:
    """Objective, time from the instance to it, median time of a warm re-solve. [yen, s, s]"""
    given, rng = Instance.model_validate(raw), random.Random(1)
    model = Arrays()
    objective, total_s, _ = model.solve(raw)
    again = [
        model.solve(other_data(given, rng).model_dump(mode="python"), warm=True)[1] for _ in range(rounds)
    ]
    return objective, total_s, statistics.median(again)


def measured(raw: dict[str, Any], repeats: int, rounds: int) -> tuple[dict[str, float], list[PlanBench]]:
    """Least reference times, and all measurements of ours, taken in turns."""
    least: dict[str, float] = {}
    ours = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instance.json"
        path.write_text(json.dumps(raw), encoding="utf-8")
        for _ in range(repeats):
            objective, total_s, warm_s = reference(raw, rounds)
            least["objective"] = objective
            least["total_s"] = min(total_s, least.get("total_s", total_s))
            least["warm_s"] = min(warm_s, least.get("warm_s", warm_s))
            ours.append(bench_plan(path, rounds=rounds))
    return least, ours


def import_s() -> float:
    """Importing the planner in a new process, the least of five. [s]"""
    code = "import time; t = time.perf_counter(); import dispatch.planner; print(time.perf_counter() - t)"
    runs = [subprocess.run([sys.executable, "-c", code], check=True, capture_output=True) for _ in range(5)]
    return min(float(run.stdout) for run in runs)


def main() -> None:
    """Measure and print one line per size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=192)
    parser.add_argument("--cars", type=int, nargs="*", default=[4, 20, 100])
    given = parser.parse_args()
    print(
        "cars  objective away  cold/ref (limit)  cached/ref (limit)  "
        "re-solve/HiGHS (limit)  re-solve/ref warm  peak MiB"
    )
    for cars in given.cars:
        least, ours = measured(instance(cars, given.steps, 0), given.repeats, given.rounds)
        cold, cached, again = LIMITS.get(cars, (float("nan"),) * 3)
        away = max(abs(one.objective / least["objective"] - 1.0) for one in ours)
        # within one measurement the re-solves and HiGHS' runs inside them share the machine's mood
        solver = min(one.resolve_s / one.highs_s for one in ours)
        warm = min(one.resolve_s for one in ours) / least["warm_s"]
        print(
            f"{cars:4} {away:16.1e} "
            f"{min(one.cold_s for one in ours) / least['total_s']:10.2f} ({cold:4.1f}) "
            f"{min(one.cached_s for one in ours) / least['total_s']:13.2f} ({cached:3.1f}) "
            f"{solver:16.2f} ({again:3.1f}) {warm:18.2f} {max(one.peak_rss_mb for one in ours):12.0f}"
        )
        reference_ms = 1000.0 * least["total_s"], 1000.0 * least["warm_s"]
        print(f"     reference {reference_ms[0]:.1f} ms, warm {reference_ms[1]:.1f} ms")
    print(f"limits: warm {WARM_LIMIT} at 100 cars, peak {PEAK_LIMIT_MB:.0f} MiB")
    print(f"import of the planner: {import_s():.2f} s (limit {IMPORT_LIMIT_S})")


if __name__ == "__main__":
    main()
