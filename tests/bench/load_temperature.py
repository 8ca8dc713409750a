"""Print which loads follow the outdoor temperature, and what a temperature forecast is worth where one does.

python tests/bench/load_temperature.py --data FOLDER [--every 8]

The gain is that of forecasting/load_weather.py on the days before each test window. For Victoria, whose file
holds measured temperatures only, the day-ahead forecast is scored without temperature and with the measured
one plus an error like that of a weather forecast for the next day (1.5 K, lasting for hours), from all of the
past and from 100 days; the days before the test window. The two grid points of OpenSTEF have real weather
forecasts.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from energy.core.series import FloatArray
from forecasting.dayahead import issue
from forecasting.demand import LEVELS
from forecasting.load_weather import temperature_gain
from forecasting.metrics import nmae, pinball
from forecasting.panel import Panel
from vpp.backtest.bench import bench_cases
from vpp.backtest.panel import build_panel

CASES = ("vic", "tetouan_pw", "cham1", "cham3", "cham5")
POINTS = ("287", "307")
SHORT_DAYS = 100
ERROR_K, LASTING = 1.5, 0.97  # of a half hour on the next: half of it is left after 11 hours


def unsure(temp_c: FloatArray) -> FloatArray:
    """Temperatures as a forecast might have said them."""
    rng = np.random.default_rng(1)
    error = np.zeros(temp_c.size)
    for k in range(1, error.size):
        error[k] = LASTING * error[k - 1] + rng.normal(0.0, ERROR_K * np.sqrt(1.0 - LASTING**2))
    return np.asarray(temp_c + error.reshape(temp_c.shape))


def show_score(name: str, panel: Panel, rows: range, days: int | None) -> None:
    said = []
    for row in rows:
        first = 0 if days is None else row - days
        said.append(issue(panel.part(first, row + 1), row - first, LEVELS))
    found = np.concatenate(said, axis=1)
    actual = panel.actual[list(rows)].ravel()
    print(
        f"vic, {name:32} nMAE {100 * nmae(actual, found[1]):.2f}  "
        f"pinball {100 * pinball(actual, found, LEVELS):.2f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the public series")
    parser.add_argument("--every", type=int, default=8, help="every so many days of Victoria")
    options = parser.parse_args()
    cases = bench_cases(options.data)
    for name in CASES:
        built = build_panel(cases[name], tuning=True)
        panel = built.panel.part(0, built.rows.stop)
        temp_c = {**panel.forecast_weather, **panel.measured_weather}["temp_c"]
        gain = temperature_gain(panel.actual.mean(axis=1), temp_c.mean(axis=1), panel.days.rest)
        print(f"{name:12} gain {gain:+.3f}", flush=True)
    for point in POINTS:
        table = pd.read_csv(options.data / f"load_nwp/openstef_pid_{point}.csv.gz", index_col=0)
        table.index = pd.to_datetime(table.index, utc=True)
        days = table[["load", "temp"]].resample("1D").mean().iloc[:-2]  # the last two have no load
        rest = np.asarray(days.index.day_of_week >= 5)
        gain = temperature_gain(days["load"].to_numpy(), days["temp"].to_numpy(), rest)
        print(f"openstef {point} gain {gain:+.3f}", flush=True)
    built = build_panel(cases["vic_pw"], tuning=True)
    rows = range(built.rows.start, built.rows.stop, options.every)
    told = unsure(built.panel.forecast_weather["temp_c"])
    for name, weather in (("no temperature", {}), ("temperature 1.5 K off", {"temp_c": told})):
        panel = replace(built.panel, forecast_weather=weather)
        for days in (None, SHORT_DAYS):
            show_score(f"{name}, {days or 'all'} days", panel, rows, days)


if __name__ == "__main__":
    main()
