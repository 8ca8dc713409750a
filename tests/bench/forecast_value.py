"""What forecasts are worth in the plan: medians only, quantiles, perfect foresight, on the same weeks.

    python tests/bench/forecast_value.py --out results [--weeks 2026-01-12,...] [--controllers optimal]

Runs ``vpp simulate kitakata`` week after week, two controllers at a time, and keeps each week in a file of
the folder ``--out``: started again, it goes on with the weeks that are missing. Then it prints the tables of
docs/explanation/forecast-value.md. Every week begins afresh: with the same peak memory, the same batteries
and the load of all weeks before it as history.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np

from energy.core.slots import JST, jst_midnight
from vpp.report.figures import peak_number
from vpp.simulation.batch import CONTROLLERS, Request, simulate
from vpp.simulation.results import Controller, RunResult
from vpp.simulation.scenario import load_scenario
from vpp.site.planning import peak_price_yen_per_kw

# Neither shown (19 January, 3 August) nor tuned on (2 February, 2 March, 29 June, 13 July), four seasons.
WEEKS = (
    "2026-01-12,2026-01-26,2026-03-16,2026-04-06,2026-05-11,"
    "2026-05-25,2026-07-06,2026-07-20,2026-08-24,2026-09-07"
)
DAYS = 6  # Monday to Saturday; the works rests on Sundays
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
FIGURES = {
    "peak_kw": ("peak, kW", 1),
    "bill_yen": ("bill, yen", 0),
    "score_yen": ("score, yen", 0),
    "year_yen": ("peak above memory over 12 months, yen", 0),
    "comfort_degc_h": ("discomfort, K h", 2),
    "departures_missed": ("missed promises", 1),
    "guard_actions": ("guard actions", 1),
    "discharge_kwh": ("given back by cars, kWh", 1),
}

Run = Mapping[str, float]
Week = Mapping[str, Run]  # by controller


@dataclass(frozen=True, slots=True)
class Paired:
    """Differences of two controllers over the same weeks, second minus first."""

    mean: float
    standard_error: float
    least: float
    most: float
    lower: int
    higher: int

    @classmethod
    def of(cls, first: Sequence[float], second: Sequence[float]) -> Paired:
        """Compare week by week; at least two weeks."""
        differences = np.subtract(second, first)
        return cls(
            mean=float(differences.mean()),
            standard_error=float(differences.std(ddof=1) / np.sqrt(differences.size)),
            least=float(differences.min()),
            most=float(differences.max()),
            lower=int((differences < 0).sum()),
            higher=int((differences > 0).sum()),
        )


def run_week(week: date, days: int, controllers: tuple[Controller, ...], out: Path) -> Week:
    """The runs of one week by controller, from their file if it has them all."""
    file = out / f"{week.isoformat()}-{days}d.json"
    found: dict[str, Run] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    missing = tuple(name for name in controllers if name not in found)
    if missing:
        with tempfile.TemporaryDirectory() as state:
            request = Request("kitakata", week, days, missing, Path(state))
            document = simulate(request, lambda _name, _done, _all: None)
        price = peak_price_yen_per_kw(load_scenario("kitakata")[0].site, jst_midnight(week))
        for run in document.runs:
            figures = asdict(run.summary)
            above_kw = max(0.0, run.summary.peak_kw - document.peak_memory_kw)
            found[run.summary.controller] = {**figures, "year_yen": above_kw * price, **at_peak(run)}
        file.write_text(json.dumps(found, indent=1), encoding="utf-8")
        said = ", ".join(f"{name} {found[name]['wall_s']:.0f} s" for name in missing)
        print(f"{week}: {said}", file=sys.stderr, flush=True)
    return {name: found[name] for name in controllers}


def at_peak(run: RunResult) -> Run:
    """The half hour of the peak: when, the load, and its forecast at its beginning (NaN: none). [kW]"""
    trace, number = run.trace, peak_number(run.trace)
    local = trace.slots[number].astimezone(JST)
    return {
        "peak_day": local.isoweekday(),
        "peak_hour": local.hour + local.minute / 60.0,
        "load_kw": trace.load_kw[number],
        "p50_kw": _or_nan(trace.load_p50_kw[number]),
        "p90_kw": _or_nan(trace.load_p90_kw[number]),
        "target_kw": _or_nan(trace.target_kw[number]),
    }


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def print_peaks(weeks: Mapping[str, Week], controllers: Sequence[str]) -> None:
    """Whether the half hour of the peak was foreseen when it began."""
    print(
        "\nhalf hour of the peak: its demand and target, its load, and the load forecast at its beginning\n"
    )
    print("| week | controller | when | demand, kW | target, kW | load, kW | P50 | P90 |")
    print("|---|---|---|---|---|---|---|---|")
    for name, week in weeks.items():
        for one in controllers:
            run = week[one]
            hour, part = divmod(run["peak_hour"], 1.0)
            when = f"{WEEKDAYS[int(run['peak_day']) - 1]} {hour:02.0f}:{part * 60:02.0f}"
            kw = (f"{run[key]:.0f}" for key in ("peak_kw", "target_kw", "load_kw", "p50_kw", "p90_kw"))
            print(f"| {name} | {one} | {when} | " + " | ".join(kw) + " |")


def print_weeks(weeks: Mapping[str, Week], controllers: Sequence[str]) -> None:
    """Peak, score, discomfort and missed promises of every week."""
    print("\npeak in kW / bill in yen / score in yen / discomfort in K h / missed promises\n")
    print("| week | " + " | ".join(controllers) + " |")
    print("|---" * (len(controllers) + 1) + "|")
    for name, week in weeks.items():
        cells = (
            f"{run['peak_kw']:.1f} / {run['bill_yen']:,.0f} / {run['score_yen']:,.0f} / "
            f"{run['comfort_degc_h']:.2f} / {run['departures_missed']:.0f}"
            for run in (week[one] for one in controllers)
        )
        print(f"| {name} | " + " | ".join(cells) + " |")


def print_means(weeks: Mapping[str, Week], controllers: Sequence[str]) -> None:
    """Mean figures of every controller."""
    print(f"\nmeans over {len(weeks)} weeks\n")
    print("| | " + " | ".join(controllers) + " |")
    print("|---" * (len(controllers) + 1) + "|")
    for key, (words, digits) in FIGURES.items():
        means = (float(np.mean([week[one][key] for week in weeks.values()])) for one in controllers)
        print(f"| {words} | " + " | ".join(f"{mean:,.{digits}f}" for mean in means) + " |")


def print_paired(weeks: Mapping[str, Week], first: str, second: str) -> None:
    """Differences between two controllers, week by week."""
    print(f"\n{second} minus {first}, {len(weeks)} weeks in pairs\n")
    print("| | mean | standard error | least | most | weeks lower / higher |")
    print("|---|---|---|---|---|---|")
    for key, (words, digits) in FIGURES.items():
        columns = ([week[one][key] for week in weeks.values()] for one in (first, second))
        pair = Paired.of(*columns)
        numbers = (pair.mean, pair.standard_error, pair.least, pair.most)
        cells = " | ".join(f"{number:,.{max(1, digits) if digits else 0}f}" for number in numbers)
        print(f"| {words} | {cells} | {pair.lower} / {pair.higher} |")


def main() -> None:
    """Read the command line, run what is missing, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the results, one file per week")
    parser.add_argument("--weeks", default=WEEKS, help="first days, with commas")
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--controllers", default=",".join(CONTROLLERS))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    controllers = cast("tuple[Controller, ...]", tuple(given.controllers.split(",")))
    days = [date.fromisoformat(week) for week in given.weeks.split(",")]
    weeks = {day.isoformat(): run_week(day, given.days, controllers, given.out) for day in days}
    print_weeks(weeks, controllers)
    print_peaks(weeks, [name for name in controllers if name.startswith("optimal")])
    print_means(weeks, controllers)
    order = [name for name in CONTROLLERS if name in controllers and name != "none"]
    if len(weeks) > 1:
        for first, second in pairwise(order):
            print_paired(weeks, first, second)


if __name__ == "__main__":
    main()
