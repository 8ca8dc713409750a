"""Print the scores of docs/explanation/forecasts.md from the public steel-works series (UCI, CSV).

python tests/bench/forecast_scores.py --steel Steel_industry_data.csv
"""

from __future__ import annotations

import argparse
import csv
import gzip
import statistics
import time
from datetime import date, timedelta
from pathlib import Path

import holidays
import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.series import Grid, Series, Unit
from energy.core.slots import jst_midnight
from forecasting.demand import DemandModel
from forecasting.score import NINE_LEVELS, ScoreRow, compare_demand, compare_intraday

FIRST_DAY = date(2018, 1, 1)
TUNED = (date(2018, 4, 1), date(2018, 6, 30))
TEST = (date(2018, 7, 1), date(2018, 9, 29))


def read_steel(path: Path) -> Series:
    """Load in kW on slots; the file's rows are quarter hours in order, stamped by their ends."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        energy_kwh = [float(row["Usage_kWh"]) for row in csv.DictReader(file)]
    quarter = timedelta(minutes=15)
    grid = Grid(jst_midnight(FIRST_DAY), len(energy_kwh), quarter)
    return Series(grid, np.array(energy_kwh) * 4.0, Unit.KW).to_slots()


def show(title: str, rows: tuple[ScoreRow, ...]) -> None:
    print(f"\n{title}")
    print(f"{'':22}{'nMAE':>7}{'pinball':>9}{'cover':>8}{'width':>8}{'peak P50':>10}{'peak P90':>10}")
    for row in rows:
        print(
            f"{row.model:22}{100 * row.nmae:7.2f}{100 * row.pinball:9.2f}{row.cover80:8.3f}{row.width80:8.2f}"
            f"{row.peak_p50:10.2f}{row.peak_p90:10.2f}"
        )


def show_times(load: Series, calendar: SiteCalendar) -> None:
    fits, predictions = [], []
    for day in range(5):
        issued = jst_midnight(date(2018, 9, 1 + day))
        history = load.between(load.grid.start, issued)
        start = time.perf_counter()
        fitted = DemandModel(calendar).fit(history, issued_at=issued)
        fits.append(time.perf_counter() - start)
        for slot in range(48):
            now = issued + slot * timedelta(minutes=30)
            recent = load.between(now - timedelta(days=9), now)
            start = time.perf_counter()
            fitted.predict(recent, Grid(now, 96), issued_at=now)
            predictions.append(time.perf_counter() - start)
    print(
        f"\nfit on 8 months: {1e3 * statistics.median(fits):.0f} ms; predict 96 slots: "
        f"{1e3 * statistics.median(predictions):.1f} ms, the first of a day {1e3 * max(predictions):.0f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steel", type=Path, required=True, help="Steel_industry_data.csv (or .csv.gz)")
    parser.add_argument(
        "--tuning", action="store_true", help="score the tuning months (Apr-Jun), not the test"
    )
    options = parser.parse_args()
    load = read_steel(options.steel)
    first, last = TUNED if options.tuning else TEST
    weekends = SiteCalendar(national_holidays=False)
    closed = frozenset(holidays.country_holidays("KR", years=2018))
    korea = SiteCalendar(national_holidays=False, closed=closed)
    for title, calendar in (("weekends only", weekends), ("with Korea's law holidays", korea)):
        rows = compare_demand(load, calendar, first=first, last=last, levels=NINE_LEVELS)
        show(f"day-ahead, issued at noon, {first} to {last}, {title} (x 100)", rows)
    show("next 6 hours, issued every 2 hours", compare_intraday(load, weekends, first=first, last=last))
    show_times(load, weekends)


if __name__ == "__main__":
    main()
