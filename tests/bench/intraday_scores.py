"""Print how much better a forecast of the next six hours is than that of the noon before.

python tests/bench/intraday_scores.py --data FOLDER [--case steel,tetouan] [--tuning]
"""

from __future__ import annotations

import argparse
import math
from datetime import timedelta
from pathlib import Path

import numpy as np

from energy.core.series import Grid, Series, Unit
from energy.core.slots import SLOTS_PER_DAY, jst_midnight
from forecasting.score import compare_intraday
from vpp.backtest.bench import bench_cases
from vpp.backtest.panel import build_panel, calendar_of

NAMES = ("steel", "tetouan", "fr", "vic")  # load in half hours


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the public series")
    parser.add_argument("--case", default=",".join(NAMES))
    parser.add_argument("--tuning", action="store_true", help="the days before the test")
    options = parser.parse_args()
    cases = bench_cases(options.data)
    ratios = []
    for name in options.case.split(","):
        case = cases[name]
        built = build_panel(case, tuning=options.tuning)
        # The product's days are Japanese: the series is read as if its standard time were Japan's.
        begin = jst_midnight(built.first_day)
        grid = Grid(begin, built.panel.count * SLOTS_PER_DAY)
        load = Series(grid, np.maximum(built.panel.actual.reshape(-1), 0.0), Unit.KW)
        first, last = (built.first_day + timedelta(days=row) for row in (built.rows[0], built.rows[-1]))
        now, ahead, _ = compare_intraday(load, calendar_of(case), first=first, last=last)
        ratios.append(now.nmae / ahead.nmae)
        print(
            f"{name:8} now {100 * now.nmae:6.2f} / {100 * now.pinball:5.2f} (inside {now.cover80:.3f})  "
            f"noon before {100 * ahead.nmae:6.2f} / {100 * ahead.pinball:5.2f} (inside {ahead.cover80:.3f})  "
            f"ratio {ratios[-1]:.3f}",
            flush=True,
        )
    print(f"geometric mean of the ratios {math.exp(sum(map(math.log, ratios)) / len(ratios)):.3f}")


if __name__ == "__main__":
    main()
