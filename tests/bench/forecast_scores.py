"""Print what `vpp forecast bench` does not: what a holiday calendar is worth, and PV with a site sheet.

python tests/bench/forecast_scores.py --steel steel_industry_15min_2018_jan_sep.csv.gz [--tuning]
python tests/bench/forecast_scores.py --gefcom gefcom2014s_zone1_zone2_20120401_20130228.parquet [--tuning]

The steel works' file is the series of the UCI repository. The next hours have a script of their own
(intraday_scores.py).
"""

from __future__ import annotations

import argparse
import csv
import gzip
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import holidays
import numpy as np
import pandas as pd

from energy.core.assets import PvArray
from energy.core.calendar import SiteCalendar
from energy.core.series import Grid, Series, Unit
from energy.core.slots import jst_midnight
from forecasting.demand import LEVELS
from forecasting.metrics import coverage, nmae, pinball
from forecasting.pv import PvModel, PvWeather
from forecasting.resample import finer_by_sun
from forecasting.score import NINE_LEVELS, compare_demand
from vpp.ingest.gefcom import gefcom_weather

FIRST_DAY = date(2018, 1, 1)
TUNED = (date(2018, 4, 16), date(2018, 6, 30))
TEST = (date(2018, 7, 1), date(2018, 9, 29))


def read_steel(path: Path) -> Series:
    """Load in kW on slots; the file's rows are quarter hours in order, stamped by their ends."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        energy_kwh = [float(row["Usage_kWh"]) for row in csv.DictReader(file)]
    quarter = timedelta(minutes=15)
    grid = Grid(jst_midnight(FIRST_DAY), len(energy_kwh), quarter)
    return Series(grid, np.array(energy_kwh) * 4.0, Unit.KW).to_slots()


# Place and orientation of the solar track's plants: Hong et al. (2016), Int. J. of Forecasting 32, 896-913.
LATITUDE, LONGITUDE = -35.275, 149.1135
ZONES = {1: (36.0, 38.0), 2: (35.0, 327.0)}  # tilt, azimuth [deg]
PV_TUNED = (datetime(2012, 9, 1, tzinfo=UTC), datetime(2012, 11, 30, tzinfo=UTC))
PV_TEST = (datetime(2012, 12, 1, tzinfo=UTC), datetime(2013, 2, 27, tzinfo=UTC))


def read_gefcom(path: Path, zone: int) -> tuple[Series, PvWeather]:
    """Power per kW of nameplate and the weather forecasts, on slots; hourly sums follow the sun's height."""
    table = pd.read_parquet(path).reset_index()
    table = table[table["ZONEID"] == zone].drop_duplicates("timestamp_utc").sort_values("timestamp_utc")
    at = table["timestamp_utc"].to_numpy(dtype="datetime64[us]") - np.timedelta64(1, "h")
    fields = gefcom_weather(at, {name: table[name].to_numpy(dtype=float) for name in ("VAR167", "VAR169")})
    hours = Grid(at[0].astype(datetime).replace(tzinfo=UTC), len(table), timedelta(hours=1))
    hourly = Series(hours, np.nan_to_num(fields["ghi_w_m2"]), Unit.W_PER_M2)
    ghi = finer_by_sun(hourly, timedelta(minutes=30), latitude=LATITUDE, longitude=LONGITUDE)
    grid, temp = ghi.grid, np.repeat(fields["temp_c"], 2)
    weather = PvWeather.from_ghi(grid, ghi.values, temp, latitude=LATITUDE, longitude=LONGITUDE)
    power = np.repeat(table["POWER"].to_numpy(dtype=float), 2)
    return Series(grid, power, Unit.KW), weather


def show_pv(path: Path, zone: int, first: datetime, last: datetime) -> None:
    """Scores of the UTC days from the run at 00 UTC, over hours; coverage over hours with sun."""
    tilt, azimuth = ZONES[zone]
    array = PvArray(id="pv", capacity_kw=1.0, inverter_kw=1.0, tilt_deg=tilt, azimuth_deg=azimuth)
    model = PvModel(array, latitude=LATITUDE, longitude=LONGITUDE)
    made, weather = read_gefcom(path, zone)
    for name in ("pv-physics", "pv-learned"):
        truths, bands = [], []
        for day in range((last - first).days + 1):
            now = first + timedelta(days=day)
            past = made.between(made.grid.start, now)
            if name == "pv-physics":
                fitted, recent = model.fit(None, None, issued_at=now), None
            elif day % 7 == 0:
                fitted = model.fit(past, weather, issued_at=now)
            recent = None if name == "pv-physics" else past.between(now - timedelta(days=2), now)
            found = fitted.predict(weather, recent, Grid(now, 48), issued_at=now)
            came = made.between(now, now + timedelta(days=1))
            truths.append(np.asarray(came.values)[::2])
            bands.append([values.reshape(-1, 2).mean(axis=1) for values in (found.p10, found.p50, found.p90)])
        y, q = np.concatenate(truths), np.concatenate(bands, axis=1)
        sunny = y > 0.0
        loss = 100 * pinball(y, q, LEVELS, scale=1.0)
        inside = coverage(y[sunny], q[0][sunny], q[2][sunny])
        error = 100 * nmae(y, q[1], scale=1.0)
        print(f"zone {zone}, {name:11} nMAE {error:.2f}  pinball {loss:.2f}  cover {inside:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steel", type=Path, help="Steel_industry_data.csv (or .csv.gz)")
    parser.add_argument("--gefcom", type=Path, help="parquet with the columns named above")
    parser.add_argument(
        "--tuning", action="store_true", help="score the months of tuning, not those of the test"
    )
    options = parser.parse_args()
    if options.gefcom:
        for zone in ZONES:
            show_pv(options.gefcom, zone, *(PV_TUNED if options.tuning else PV_TEST))
    if options.steel:
        show_load(read_steel(options.steel), tuning=options.tuning)


def show_load(load: Series, *, tuning: bool) -> None:
    """Our day-ahead scores with weekends only and with Korea's law holidays."""
    first, last = TUNED if tuning else TEST
    closed = frozenset(holidays.country_holidays("KR", years=2018))
    for name, days in (("weekends only", frozenset[date]()), ("with law holidays", closed)):
        calendar = SiteCalendar(national_holidays=False, closed=days)
        row = compare_demand(load, calendar, first=first, last=last, levels=NINE_LEVELS)[0]
        print(
            f"steel works, {name:18} nMAE {100 * row.nmae:.2f}  pinball {100 * row.pinball:.2f}  "
            f"cover {row.cover80:.3f}"
        )


if __name__ == "__main__":
    main()
