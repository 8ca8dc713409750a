"""Print the tables of docs/explanation/forecast-targets.md: region, fleet, net load, daily peak.

python tests/bench/forecast_targets.py --data "$VPP_DATA_DIR" [--tuning] [--only peak]

Everything is issued at noon of the day before for the next day, except the two plants near Canberra: at 00
UTC for the UTC day, as their weather forecasts. Models are learned anew weekly, the steel works' daily.
Days are cut as in Japan; local clocks of other countries are read as if they were Japan's.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from operator import add
from pathlib import Path

import holidays
import numpy as np
import pandas as pd

from energy.core.assets import PvArray
from energy.core.calendar import SiteCalendar
from energy.core.forecast import QuantileForecast
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, jst_midnight
from forecasting.climatology import PvClimatology
from forecasting.demand import LEVELS
from forecasting.fleet import fleet_forecast
from forecasting.metrics import coverage, nmae, pinball, width
from forecasting.netload import net_load
from forecasting.peak import daily_peak
from forecasting.pv import PvModel, PvWeather
from forecasting.region import RegionHistory, RegionMethod, region_forecast
from forecasting.scenarios import ErrorDays
from forecasting.score import demand_forecaster, ends_of_days, walk_forward
from tests.bench.forecast_scores import LATITUDE, LONGITUDE, ZONES, read_gefcom, read_steel

CALENDAR = SiteCalendar(national_holidays=False)
NOON = timedelta(hours=12)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
Window = tuple[date, date]


@dataclass(frozen=True)
class Walk:
    """Forecasts of a run of days beside what came: P10, P50 and P90, shape (3, n, 48), and actuals [kW]."""

    first: date
    quantiles: FloatArray
    actual: FloatArray

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=k) for k in range(len(self.actual))]

    def rows(self, window: Window) -> list[int]:
        return [row for row, day in enumerate(self.days) if window[0] <= day <= window[1]]

    def forecast(self, row: int, target: str = "demand_kw") -> QuantileForecast:
        midnight = jst_midnight(self.days[row])
        p10, p50, p90 = self.quantiles[:, row]
        grid = Grid(midnight, SLOTS_PER_DAY)
        return QuantileForecast(target, midnight - NOON, grid, Unit.KW, p10, p50, p90, "bench")

    def errors(self, row: int) -> ErrorDays:
        """What was known at noon of the day before: whole days until two days before."""
        stop = max(0, row - 1)
        return ErrorDays(
            days=tuple(self.days[:stop]), forecast_kw=self.quantiles[1, :stop], actual_kw=self.actual[:stop]
        )


def series(first: date, values: FloatArray, step: timedelta) -> Series:
    return Series(Grid(jst_midnight(first), len(values), step), values, Unit.KW).to_slots()


def walk_demand(
    load: Series, first: date, last: date, *, refit_days: int = 7, calendar: SiteCalendar = CALENDAR
) -> Walk:
    forecaster = demand_forecaster(calendar, refit_days=refit_days)
    walked = walk_forward(load, forecaster, ends_of_days(first, last))
    count = (last - first).days + 1
    return Walk(
        first, walked.quantiles.reshape(3, count, SLOTS_PER_DAY), walked.actual.reshape(count, SLOTS_PER_DAY)
    )


def line(name: str, y: FloatArray, q: FloatArray, *, scale: float | None = None, more: str = "") -> None:
    print(
        f"  {name:34}{100 * nmae(y, q[1], scale=scale):7.2f}{100 * pinball(y, q, LEVELS, scale=scale):8.2f}"
        f"{coverage(y, q[0], q[2]):8.3f}{width(y, q[0], q[2], scale=scale):8.3f}{more}"
    )


# ------------------------------------------------------------------------------------------------- region
def chamchuri(data: Path, name: str, prefix: str) -> dict[str, Series]:
    table = pd.read_parquet(data / "building" / name)
    chosen = [column for column in table.columns if column.startswith(prefix)]
    return {str(c): series(date(2018, 7, 1), table[c].to_numpy(dtype=float), HOUR) for c in chosen}


def tetouan(data: Path) -> dict[str, Series]:
    table = pd.read_parquet(data / "load_weather" / "tetouan_10min_zone1_zone2_2017_jan_aug.parquet")
    step = timedelta(minutes=10)
    return {z: series(date(2017, 1, 1), table[z].to_numpy(dtype=float), step) for z in ("Zone1", "Zone2")}


def homes(data: Path) -> dict[str, Series]:
    out = {}
    for path in sorted((data / "household" / "citylearn2022").glob("Building_*.csv.gz")):
        load = pd.read_csv(path)["non_shiftable_load"].to_numpy(dtype=float)[1:]  # begins at hour 24
        out[path.name.split(".")[0]] = series(date(2016, 8, 1), load[: len(load) // 24 * 24], HOUR)
    return out


@dataclass(frozen=True)
class Region:
    """A region of the bench: sites, begin of the walk, months of tuning and of the test."""

    title: str
    read: Callable[[Path], dict[str, Series]]
    walk: date
    tuning: Window
    test: Window


CHAM = "chamchuri_cham1_cham3_cham5_hourly_201807_201902.parquet"
FLOORS = "chamchuri5_floors_hourly_201807_201902.parquet"
WINTER = ((date(2018, 11, 1), date(2018, 12, 28)), (date(2019, 1, 7), date(2019, 2, 27)))
REGIONS = (
    Region("campus, 3 buildings", lambda d: chamchuri(d, CHAM, "CHAM"), date(2018, 9, 15), *WINTER),
    Region("building, 7 floors", lambda d: chamchuri(d, FLOORS, "Floor"), date(2018, 9, 15), *WINTER),
    Region(
        "town, 2 zones",
        tetouan,
        date(2017, 3, 1),
        (date(2017, 5, 1), date(2017, 6, 30)),
        (date(2017, 7, 1), date(2017, 8, 30)),
    ),
    Region(
        "homes",
        homes,
        date(2016, 11, 1),
        (date(2017, 1, 15), date(2017, 3, 31)),
        (date(2017, 4, 1), date(2017, 7, 29)),
    ),
)


def show_region(data: Path, *, tuning: bool) -> None:
    print(
        "\nTotal of a region: nMAE, pinball (P10, P50, P90) x 100, inside P10-P90, width; nMAE of the sites"
    )
    for region in REGIONS:
        window = region.tuning if tuning else region.test
        loads = region.read(data)
        first, *others = loads.values()
        total = reduce(add, others, first)
        sites = {name: walk_demand(load, region.walk, window[1]) for name, load in loads.items()}
        print(f"{region.title} ({len(sites)} sites), {window[0]} to {window[1]}")
        score_region(sites, walk_demand(total, region.walk, window[1]), window)


def score_region(sites: Mapping[str, Walk], total: Walk, window: Window) -> None:
    rows = total.rows(window)
    y = total.actual[rows].reshape(-1)
    made: dict[str, list[FloatArray]] = {}
    site_error: dict[str, float] = {}
    for row in rows:
        history = RegionHistory(
            sites={name: walk.errors(row) for name, walk in sites.items()}, total=total.errors(row)
        )
        forecasts = {name: walk.forecast(row) for name, walk in sites.items()}
        top = total.forecast(row)
        found = {"total's own forecast": (forecasts, top)}
        for method in RegionMethod:
            region = region_forecast(forecasts, top, history=history, calendar=CALENDAR, method=method)
            found[method.value] = (dict(region.sites), region.total)
        for name, (parts, whole) in found.items():
            made.setdefault(name, []).append(np.stack([whole.p10, whole.p50, whole.p90]))
            error = sum(np.nansum(np.abs(parts[site].p50 - walk.actual[row])) for site, walk in sites.items())
            site_error[name] = site_error.get(name, 0.0) + float(error)
    use = sum(np.nansum(walk.actual[rows]) for walk in sites.values())
    for name, parts in made.items():
        line(name, y, np.concatenate(parts, axis=1), more=f"{100 * site_error[name] / use:8.2f}")


# --------------------------------------------------------------------------------------------------- peak
def show_peak(data: Path, *, tuning: bool) -> None:
    load = read_steel(data / "factory" / "steel_industry_15min_2018_jan_sep.csv.gz")
    window = (date(2018, 4, 1), date(2018, 6, 30)) if tuning else (date(2018, 7, 1), date(2018, 9, 29))
    closed = frozenset(holidays.country_holidays("KR", years=2018))
    korea = SiteCalendar(national_holidays=False, closed=closed)
    shut = frozenset(date(2018, 8, day) for day in range(1, 6))
    known = SiteCalendar(national_holidays=False, closed=closed | shut)
    calendars = (("weekends only", CALENDAR), ("with Korea's holidays", korea), ("and 1 to 5 August", known))
    for title, calendar in calendars:
        walk = walk_demand(load, date(2018, 2, 1), window[1], refit_days=1, calendar=calendar)
        print(f"\nDaily peak of the steel works, {window[0]} to {window[1]}, {title}, x 100 of the mean load")
        score_peak(walk, window, calendar)


def score_peak(walk: Walk, window: Window, calendar: SiteCalendar) -> None:
    rows = walk.rows(window)
    peaks = [daily_peak(walk.forecast(row), walk.errors(row), calendar=calendar) for row in rows]
    came = walk.actual[rows].max(axis=1)
    scale = float(walk.actual[rows].mean())
    guesses = {f"highest P{level}": walk.quantiles[k, rows].max(axis=1) for k, level in ((1, 50), (2, 90))}
    guesses["peak to expect (P50 of the peak)"] = np.array([peak.p50 for peak in peaks])
    for name, guess in guesses.items():
        error = guess - came
        print(
            f"  {name:34} error {100 * np.abs(error).mean() / scale:6.1f}"
            f"  bias {100 * error.mean() / scale:6.1f}"
        )
    low, high = np.array([peak.p10 for peak in peaks]), np.array([peak.p90 for peak in peaks])
    print(f"  inside P10-P90 of the peak {coverage(came, low, high):.3f}")
    show_targets(peaks, came)


def show_targets(peaks: list, came: FloatArray) -> None:
    """Said and seen shares of days above targets at quantiles of all peaks, and the Brier score."""
    for target in np.quantile(came, [0.5, 0.8]):
        said = np.array([peak.probability_above(float(target)) for peak in peaks])
        above = came > target
        brier, usual = np.mean((said - above) ** 2), above.mean() * (1.0 - above.mean())
        print(
            f"  above {target:.0f} kW: said {said.mean():.2f}, came {above.mean():.2f}; "
            f"Brier score {brier:.3f} (always the share that came: {usual:.3f})"
        )


# ---------------------------------------------------------------------------------------------- sun and net
SYDNEY = (-33.87, 151.21)
SYDNEY_ROOF = PvArray(id="pv", capacity_kw=1.04, inverter_kw=1.04, tilt_deg=25.0, azimuth_deg=0.0)  # assumed
SYDNEY_WINDOWS = ((date(2011, 10, 1), date(2011, 12, 31)), (date(2012, 1, 1), date(2012, 3, 30)))
PV_WINDOWS = (
    (datetime(2012, 9, 1, tzinfo=UTC), datetime(2012, 11, 30, tzinfo=UTC)),
    (datetime(2012, 12, 1, tzinfo=UTC), datetime(2013, 2, 27, tzinfo=UTC)),
)


def stacked(made: QuantileForecast) -> FloatArray:
    return np.stack([made.p10, made.p50, made.p90])


def show_sun(data: Path, *, tuning: bool) -> None:
    print("\nSun, shares of the nameplate: nMAE, pinball (P10, P50, P90) x 100, inside P10-P90 by day, width")
    window = PV_WINDOWS[0 if tuning else 1]
    path = data / "pv_nwp" / "gefcom2014s_zone1_zone2_20120401_20130228.parquet"
    plants = {f"plant {zone}": read_gefcom(path, zone) for zone in ZONES}
    begin = window[0] - timedelta(days=40)
    instants = [begin + timedelta(days=day) for day in range((window[1] - begin).days + 1)]
    for named, walk in (("weather forecast", walk_weather), ("meter alone", walk_meter)):
        issued: dict[datetime, dict[str, QuantileForecast]] = {now: {} for now in instants}
        for (name, (made, weather)), (tilt, azimuth) in zip(plants.items(), ZONES.values(), strict=True):
            array = PvArray(id="pv", capacity_kw=1.0, inverter_kw=1.0, tilt_deg=tilt, azimuth_deg=azimuth)
            for now, found in walk(array, made, weather, instants):
                issued[now][name] = found
        score_sun(named, issued, {name: made for name, (made, _) in plants.items()}, window)


SunWalk = Iterator[tuple[datetime, QuantileForecast]]


def walk_meter(array: PvArray, made: Series, weather: PvWeather, instants: list[datetime]) -> SunWalk:
    model = PvClimatology(array, latitude=LATITUDE, longitude=LONGITUDE)
    for now in instants:
        past = made.between(made.grid.start, now)
        yield now, model.predict(past, Grid(now, SLOTS_PER_DAY), issued_at=now)


def walk_weather(array: PvArray, made: Series, weather: PvWeather, instants: list[datetime]) -> SunWalk:
    model = PvModel(array, latitude=LATITUDE, longitude=LONGITUDE)
    for day, now in enumerate(instants):
        past = made.between(made.grid.start, now)
        if day % 7 == 0:
            learned = model.fit(past, weather, issued_at=now)
        recent = past.between(now - timedelta(days=2), now)
        yield now, learned.predict(weather, recent, Grid(now, SLOTS_PER_DAY), issued_at=now)


def came_after(made: Series, instants: list[datetime]) -> FloatArray:
    """What came in the day after each instant. [kW]"""
    return np.concatenate([np.asarray(made.between(now, now + DAY).values) for now in instants])


def score_sun(
    named: str,
    issued: Mapping[datetime, Mapping[str, QuantileForecast]],
    metered: Mapping[str, Series],
    window: tuple[datetime, datetime],
) -> None:
    instants = [now for now in issued if window[0] <= now <= window[1]]
    for name, made in metered.items():
        found = np.concatenate([stacked(issued[now][name]) for now in instants], axis=1)
        line_sun(f"{name}, {named}", came_after(made, instants), found, 1.0)
    sums: dict[str, list[FloatArray]] = {"joint days": [], "sums of P10 and P90": []}
    for now in instants:
        errors = {name: past_errors(issued, name, made, now) for name, made in metered.items()}
        sums["joint days"].append(stacked(fleet_forecast(issued[now], errors=errors)))
        sums["sums of P10 and P90"].append(np.sum([stacked(f) for f in issued[now].values()], axis=0))
    y = np.sum([came_after(made, instants) for made in metered.values()], axis=0)
    for name, parts in sums.items():
        line_sun(f"both, {named}, {name}", y, np.concatenate(parts, axis=1), 2.0)


def past_errors(
    issued: Mapping[datetime, Mapping[str, QuantileForecast]], name: str, made: Series, now: datetime
) -> ErrorDays:
    """Errors of the UTC days that were over, labelled by their date; slots by Japanese time of day."""
    before = [
        then for then in issued if then + timedelta(days=1) <= now and then.date() < (now + 9 * HOUR).date()
    ]
    shift = int(9 * HOUR / SLOT_LENGTH)

    def row(values: FloatArray) -> FloatArray:
        return np.roll(values, shift)

    return ErrorDays(
        days=tuple(then.date() for then in before),
        forecast_kw=np.array([row(issued[then][name].p50) for then in before]).reshape(-1, SLOTS_PER_DAY),
        actual_kw=np.array(
            [row(np.asarray(made.between(then, then + timedelta(days=1)).values)) for then in before]
        ).reshape(-1, SLOTS_PER_DAY),
    )


def line_sun(name: str, y: FloatArray, q: FloatArray, scale: float) -> None:
    sunny = y > 0.0
    print(
        f"  {name:52}{100 * nmae(y, q[1], scale=scale):7.2f}{100 * pinball(y, q, LEVELS, scale=scale):7.2f}"
        f"{coverage(y[sunny], q[0][sunny], q[2][sunny]):7.3f}{width(y, q[0], q[2], scale=scale):7.3f}"
    )


def show_net(data: Path, *, tuning: bool) -> None:
    table = pd.read_parquet(data / "household" / "ausgrid_customer12_30min_201107_201203.parquet")
    window = SYDNEY_WINDOWS[0 if tuning else 1]
    first = date(2011, 7, 1)
    load = series(first, table["GC"].to_numpy(dtype=float), SLOT_LENGTH)
    made = series(first, table["GG"].to_numpy(dtype=float), SLOT_LENGTH)
    demand = walk_demand(load, date(2011, 8, 1), window[1])
    # The clock of the file is read as Japan's: the same sun stands an hour's turn of the earth further west.
    roof = PvClimatology(SYDNEY_ROOF, latitude=SYDNEY[0], longitude=SYDNEY[1] - 15.0)

    def climatology(known: Series, grid: Grid, issued: datetime) -> FloatArray:
        return stacked(roof.predict(known, grid, issued_at=issued))

    walked = walk_forward(made, climatology, ends_of_days(date(2011, 8, 1), window[1]))
    sun = Walk(
        demand.first,
        walked.quantiles.reshape(3, -1, SLOTS_PER_DAY),
        walked.actual.reshape(-1, SLOTS_PER_DAY),
    )
    score_net(demand, sun, window)


def score_net(demand: Walk, sun: Walk, window: Window) -> None:
    rows = demand.rows(window)
    net = (demand.actual - sun.actual)[rows].reshape(-1)
    scale = float(np.nanmean(demand.actual[rows]))
    print(f"\nNet load of a home with sun in Sydney, {window[0]} to {window[1]}, shares of the mean demand")
    lit, roofs = sun.actual[rows].reshape(-1), sun.quantiles[:, rows].reshape(3, -1)
    line_sun("sun alone, meter alone (of the nameplate)", lit, roofs, SYDNEY_ROOF.capacity_kw)
    joint, alone, naive = [], [], []
    for row in rows:
        load, roof = demand.forecast(row), sun.forecast(row, "generation_kw")
        known, made = demand.errors(row), sun.errors(row)
        together = net_load(load, roof, demand_errors=known, generation_errors=made, calendar=CALENDAR)
        joint.append(stacked(together))
        alone.append(stacked(net_load(load, roof)))
        naive.append(stacked(load) - stacked(roof)[::-1])
    for name, parts in (("joint days", joint), ("independent", alone), ("P90 less P10, P10 less P90", naive)):
        line(name, net, np.concatenate(parts, axis=1), scale=scale)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the public data sets")
    parser.add_argument(
        "--tuning", action="store_true", help="score the months of tuning, not those of the test"
    )
    shows = {"region": show_region, "peak": show_peak, "sun": show_sun, "net": show_net}
    parser.add_argument("--only", choices=sorted(shows))
    options = parser.parse_args()
    for name, show in shows.items():
        if options.only in (None, name):
            show(options.data, tuning=options.tuning)


if __name__ == "__main__":
    main()
