"""What a year ago is worth on the days about public holidays: the area of Tokyo, day-ahead.

    python tests/bench/holiday_weeks.py --data DIR

Reads ``tepco_area/juyo-2016.csv`` to ``juyo-2018.csv`` (hourly demand, TEPCO Power Grid) and forecasts, at
noon of the day before, the days of three seasons that have a factor, with it and without.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

import forecasting.dayahead as dayahead
from energy.core.calendar import SiteCalendar
from energy.core.series import FloatArray
from forecasting.days import DayKinds
from forecasting.holiday_weeks import holiday_factors
from forecasting.panel import Panel

SEASONS = {
    "New Year 2018": (date(2017, 12, 20), date(2018, 1, 12)),
    "Golden Week 2018": (date(2018, 4, 25), date(2018, 5, 10)),
    "Obon 2018": (date(2018, 8, 5), date(2018, 8, 20)),
}


def area(folder: Path) -> Panel:
    """Hourly demand of three years as a panel issued at noon of the day before."""
    parts = [
        pd.read_csv(folder / f"juyo-{year}.csv", encoding="cp932", skiprows=3, header=None)
        for year in (2016, 2017, 2018)
    ]
    table = pd.concat(parts)
    stamps = pd.to_datetime(table[0] + " " + table[1])
    hourly = pd.Series(pd.to_numeric(table[2]).to_numpy(), index=stamps)
    hourly = hourly[~hourly.index.duplicated()].asfreq("1h")
    values = hourly.to_numpy(dtype=np.float64).reshape(-1, 24)
    first = hourly.index[0].date()
    days = DayKinds.of(SiteCalendar(), first, len(values))
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return Panel(kind="load", start=start, actual=values, days=days, issue_slot=12)


def with_a_factor(panel: Panel, first: date, last: date) -> Iterator[tuple[int, float]]:
    """Rows of a season whose factor is not 1."""
    row = (first - panel.start.date()).days
    for target in range(row, row + (last - first) // timedelta(days=1) + 1):
        known = panel.known_at_issue(target).part(target - dayahead.MAX_DAYS, target + 1)
        factor = float(holiday_factors(known.actual, known.days)[-1])
        if factor != 1.0:
            yield target, factor


def errors(panel: Panel, target: int) -> tuple[float, float]:
    """Mean absolute error of the median of one day, with its factor and without. [unit of the panel]"""
    actual = panel.actual[target]

    def error(model: dayahead.DayAheadModel) -> float:
        return float(np.abs(model.quantiles((0.5,))[0] - actual).mean())

    with_it = error(dayahead.learn(panel, target))
    plain = dayahead.learn(replace(panel, days=_without_holidays_near(panel)), target)
    return with_it, error(plain)


def _without_holidays_near(panel: Panel) -> DayKinds:
    """The same calendar, days off taken for weekends, so that no day is near a public holiday."""
    days = panel.days
    weekday = np.where(days.rest & (days.weekday < 5), 6, days.weekday)
    return replace(days, weekday=weekday)


def main() -> None:
    """Print one line a season."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    panel = area(parser.parse_args().data / "tepco_area")
    print(f"{'season':18} {'days':>4} {'factors':>11} {'without':>8} {'with':>6}  nMAE x 100")
    for name, (first, last) in SEASONS.items():
        rows = list(with_a_factor(panel, first, last))
        factors = [factor for _, factor in rows]
        found: FloatArray = np.array([errors(panel, row) for row, _ in rows])
        share = 100.0 * found.mean(axis=0) / float(np.nanmean(panel.actual))
        span = f"{min(factors):.2f}-{max(factors):.2f}"
        print(f"{name:18} {len(rows):4} {span:>11} {share[1]:8.2f} {share[0]:6.2f}")


if __name__ == "__main__":
    main()
