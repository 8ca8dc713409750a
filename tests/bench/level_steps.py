"""What noticing a new machine is worth: a constant load laid over real series from some day on, day-ahead.

    python tests/bench/level_steps.py --data DIR [--case cham1,...] [--share 0.4] [--every 3]

On the tuning days of each case a constant of a share of the mean load is added from some day on, and the days
after it are forecast with the rule and without, and the series as it was. Also: how often the rule believes
in a step on the series as they are.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

import forecasting.dayahead as dayahead
from forecasting.level_steps import level_step
from forecasting.panel import Panel
from vpp.backtest.bench import bench_cases
from vpp.backtest.panel import build_panel
from vpp.threads import one_blas_thread

CASES = "cham1,cham3,cham5,tetouan,vic,steel,fr"
SPANS = ((1, 2), (3, 4), (5, 7), (8, 14), (15, 28))  # days after the first with the machine
WAYS = ("as it was", "without", "with")


@dataclass(frozen=True, slots=True)
class Error:
    """Mean absolute error of one day's median over the mean load. [-]"""

    way: str
    days: int
    nmae: float


def no_step(*_: object) -> None:
    """The rule switched off."""


def error(panel: Panel, row: int, mean: float) -> float:
    median = dayahead.learn(panel, row).quantiles((0.5,))[0]
    return float(np.nanmean(np.abs(median - panel.actual[row]))) / mean


def planted(panel: Panel, rows: range, share: float, every: int) -> Iterator[Error]:
    """Errors after two steps, one in the first and one in the second half of the tuning days."""
    for first in (rows.start + 2, rows.start + len(rows) // 2):
        mean = float(np.nanmean(panel.actual[max(0, first - 60) : first]))
        values = np.array(panel.actual)
        values[first:] += share * mean
        with_machine = replace(panel, actual=values)
        for row in range(first + 1, min(first + 29, rows.stop), every):
            with patch.object(dayahead, "level_step", no_step):
                yield Error("as it was", row - first, error(panel, row, mean))
                yield Error("without", row - first, error(with_machine, row, mean))
            yield Error("with", row - first, error(with_machine, row, mean))


def believed(panel: Panel, rows: range) -> int:
    """Days of the window on which a step is believed in on the series as it is."""
    count = 0
    for row in rows:
        known = panel.known_at_issue(row).part(max(0, row - dayahead.MAX_DAYS), row + 1)
        count += level_step(known.actual, known.days) is not None
    return count


def main() -> None:
    """Print nMAE x 100 by days after the step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--case", default=CASES)
    parser.add_argument("--share", type=float, default=0.4, help="machine over the mean load")
    parser.add_argument("--every", type=int, default=3, help="days between those forecast")
    options = parser.parse_args()
    one_blas_thread()
    heads = "".join(f"{f'{low}-{high} d':>9}" for low, high in SPANS)
    for name, case in bench_cases(options.data, options.case.split(",")).items():
        built = build_panel(case, tuning=True)
        found = list(planted(built.panel, built.rows, options.share, options.every))
        steps = believed(built.panel, built.rows)
        print(
            f"{name:10}{heads}   steps believed in on the series as it is: {steps} of {len(built.rows)} days"
        )
        for way in WAYS:
            cells = (
                [one.nmae for one in found if one.way == way and low <= one.days <= high]
                for low, high in SPANS
            )
            print(
                f"  {way:10}"
                + "".join(f"{100.0 * np.mean(cell):9.1f}" if cell else f"{'-':>9}" for cell in cells),
                flush=True,
            )


if __name__ == "__main__":
    main()
