"""Print the scores of docs/explanation/forecast-cars-rooms.md for the heat need of rooms.

python tests/bench/heat_scores.py --bangkok bangkok_office_hourly_2016.csv [--tuning]
python tests/bench/heat_scores.py --rooms 292.csv [--tuning]

The office is a real meter of a whole building in a hot climate (its load follows the outdoor temperature);
the rooms are simulated with the twins of the kitakata scenario under a standard year. Issued at noon for the
next day. "perfect weather" sees the outdoor temperature that came: an upper bound, never a result.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import holidays
import numpy as np

from devices.twins.rooms import Room, Surroundings
from energy.core.assets import HvacZone
from energy.core.outcome import ClimateMode
from energy.core.series import FloatArray, Grid, Series, Unit
from energy.core.site import CalendarRules, Site
from energy.core.slots import SLOT_LENGTH, SLOTS_PER_DAY, jst_midnight
from forecasting.baselines import Baseline, baseline
from forecasting.heat import HeatModel
from forecasting.metrics import coverage, nmae, pinball
from forecasting.weather import outdoor_forecast_fallback
from vpp.site.climate import thermostat_order

LEVELS = (0.1, 0.5, 0.9)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Case:
    """Power [kW] and outdoor temperature [degC] on slots, and what is known of the site."""

    name: str
    power: Series
    outdoor: Series
    model: HeatModel
    ghi: Series | None = None


def read_bangkok(path: Path) -> Case:
    """The office of 2016; its local time is read as if it were Japan's, so that days are its days."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    grid = Grid(jst_midnight(date(2016, 1, 1)), len(rows), timedelta(hours=1))
    celsius = (np.array([float(row["Outdoor"]) for row in rows]) - 32.0) / 1.8
    power = np.array([float(row["Load"]) for row in rows])
    closed = tuple(sorted(holidays.country_holidays("TH", years=2016)))
    rules = CalendarRules(
        national_holidays=False, closed=closed, cooling_months=tuple(range(1, 13)), heating_months=()
    )
    return Case(
        "Bangkok office",
        Series(grid, power, Unit.KW).to_slots(),
        Series(grid, celsius, Unit.CELSIUS).to_slots(),
        HeatModel(rules=rules, max_kw=float(np.ceil(power.max()))),
    )


def read_standard_year(path: Path) -> tuple[FloatArray, FloatArray]:
    """Hourly outdoor temperature [degC] and global horizontal irradiance [W/m2] of a standard year."""
    with path.open(encoding="cp932") as file:
        table = [row for row in csv.reader(file) if len(row) > 3]
    columns = next(k for k, row in enumerate(table) if any("外気" in cell for cell in row))
    names = table[columns]
    place = next(k for k, cell in enumerate(names) if "外気" in cell)
    direct = next(k for k, cell in enumerate(names) if "法線面" in cell)
    sky = next(k for k, cell in enumerate(names) if "天空" in cell or "水平面" in cell)
    high = next(k for k, cell in enumerate(names) if "高度" in cell)
    rows = [row for row in table[columns + 1 :] if _is_number(row[place])][:8760]
    outdoor = np.array([float(row[place]) for row in rows])
    sine = np.sin(np.radians([float(row[high] or 0.0) for row in rows])).clip(min=0.0)
    joules = np.array([float(row[direct]) for row in rows]) * sine + np.array(
        [float(row[sky]) for row in rows]
    )
    return outdoor, joules / 0.0036  # MJ per m2 and hour to W per m2


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def simulate_rooms(site: Site, outdoor: Series, ghi_w_m2: FloatArray, *, seed: int = 1) -> Series:
    """Metered power of a site's rooms under their thermostats; people bring 70 to 130 % of the usual heat."""
    rng = np.random.default_rng(seed)
    rooms = [Room(zone) for zone in site.zones]
    power = np.zeros(outdoor.grid.count)
    for k, at in enumerate(outdoor.grid.times()):
        if k % SLOTS_PER_DAY == 0:
            people = rng.uniform(0.7, 1.3, len(rooms))
        for room, zone, share in zip(rooms, site.zones, people, strict=True):
            room.zone = _with_people(zone, float(share))
            order = thermostat_order(site, zone, at)
            mode = ClimateMode.OFF if order.mode is ClimateMode.OFF else order.mode
            room.order(mode, order.setpoint_c)
            works = site.calendar.calendar().day_type((at + timedelta(hours=9)).date()) == "weekday"
            local = (at + timedelta(hours=9)).time()
            occupied = works and zone.comfort.opens <= local < zone.comfort.closes
            around = Surroundings(float(outdoor.values[k]), float(ghi_w_m2[k]), occupied)
            power[k] += 2.0 * sum(room.step(60.0, around) for _ in range(30))
    return Series(outdoor.grid, power, Unit.KW)


def _with_people(zone: HvacZone, share: float) -> HvacZone:
    from dataclasses import replace

    return replace(zone, occupied_gain_kw=zone.occupied_gain_kw * share)


def read_rooms(path: Path, *, with_rooms: bool = True) -> Case:
    """The rooms of the kitakata scenario through a standard year, as if it were 2026."""
    from vpp.simulation.scenario import load_scenario

    site = load_scenario("kitakata")[0].site
    hourly, sun = read_standard_year(path)
    grid = Grid(jst_midnight(date(2026, 1, 1)), len(hourly), timedelta(hours=1))
    outdoor = Series(grid, hourly, Unit.CELSIUS).to_slots()
    power = simulate_rooms(site, outdoor, np.repeat(sun, 2))
    largest = sum(zone.max_electric_kw for zone in site.zones)
    model = HeatModel(rules=site.calendar, max_kw=largest, zones=site.zones if with_rooms else ())
    sun_on_slots = Series(outdoor.grid, np.repeat(sun, 2), Unit.W_PER_M2)
    return Case("rooms of kitakata, simulated", power, outdoor, model, sun_on_slots)


@dataclass(frozen=True, slots=True)
class Row:
    """Scores of one method over all slots, as shares of the mean power."""

    method: str
    nmae: float
    pinball: float
    cover80: float


def _sun(case: Case, issued: datetime, *, perfect: bool) -> Series | None:
    """Irradiance from two days before the issue on: as it came, or as on the mean of the ten days before."""
    if case.ghi is None:
        return None
    past = case.ghi.between(issued - 2 * DAY, issued)
    if perfect:
        return case.ghi.between(issued - 2 * DAY, issued + 1.5 * DAY)
    ten = case.ghi.between(issued - 10 * DAY, issued).values.reshape(10, SLOTS_PER_DAY).mean(axis=0)
    values = np.concatenate([past.values, np.tile(ten, 2)[: 3 * SLOTS_PER_DAY // 2]])
    return Series(Grid(past.grid.start, values.size), values, Unit.W_PER_M2)


def walk(
    case: Case, first: date, last: date, *, history_days: int | None = None, every: int = 1
) -> list[Row]:
    """Forecast every day at noon of the day before; the model is fitted anew each time."""
    names = ("ours, persistent weather", "ours, perfect weather (bound)", "yesterday", "four same weekdays")
    found: dict[str, list[FloatArray]] = {name: [] for name in names}
    truth: list[FloatArray] = []
    methods: set[str] = set()
    day = first
    while day <= last:
        start, issued = jst_midnight(day), jst_midnight(day - DAY) + DAY / 2
        grid = Grid(start, SLOTS_PER_DAY)
        since = case.power.grid.start if history_days is None else issued - timedelta(days=history_days)
        power, outdoor = case.power.between(since, issued), case.outdoor.between(since, issued)
        sun = None if case.ghi is None else case.ghi.between(since, issued)
        fitted = case.model.fit(power, outdoor, issued_at=issued, ghi_w_m2=sun)
        methods.add(fitted.method)
        bridge = Grid(issued, 24 + SLOTS_PER_DAY)
        guess = outdoor_forecast_fallback(outdoor, bridge, issued_at=issued)
        doubt = 0.5 * (guess.p90 - guess.p10)[24:]
        for name, perfect in zip(names, (False, True), strict=False):
            ahead = case.outdoor.between(bridge.start, bridge.end).values if perfect else guess.p50
            joined = np.concatenate([outdoor.values, ahead])
            whole = Series(Grid(outdoor.grid.start, joined.size), joined, Unit.CELSIUS)
            one = fitted.predict(
                whole, grid, ghi_w_m2=_sun(case, issued, perfect=perfect), doubt_k=None if perfect else doubt
            ).electric_kw
            found[name].append(np.stack([one.p10, one.p50, one.p90]))
        for name, rule in zip(names[2:], (Baseline.YESTERDAY, Baseline.FOUR_WEEKS), strict=True):
            before = case.power.between(max(case.power.grid.start, issued - 30 * DAY), issued)
            found[name].append(np.tile(baseline(rule, before, grid, issued_at=issued), (3, 1)))
        truth.append(case.power.between(start, start + SLOTS_PER_DAY * SLOT_LENGTH).values)
        day += every * DAY
    print(f"\n{case.name}, {first} to {last}, method {', '.join(sorted(methods))}")
    y = np.concatenate(truth)
    rows = []
    for name, parts in found.items():
        bands = np.concatenate(parts, axis=1)
        busy = y > 0.05 * case.model.max_kw
        rows.append(
            Row(
                name,
                nmae(y, bands[1]),
                pinball(y, bands, LEVELS),
                coverage(y[busy], bands[0][busy], bands[2][busy]),
            )
        )
    return rows


def show(rows: list[Row]) -> None:
    print(f"{'':32}{'nMAE':>7}{'pinball':>9}{'cover':>8}")
    for row in rows:
        band = f"{row.cover80:8.3f}" if row.method.startswith("ours") else f"{'-':>8}"
        print(f"{row.method:32}{100 * row.nmae:7.2f}{100 * row.pinball:9.2f}{band}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--bangkok", type=Path)
    parser.add_argument("--rooms", type=Path, help="standard year of Wakamatsu (builelib, 292.csv)")
    parser.add_argument("--tuning", action="store_true", help="the window on which constants were chosen")
    parser.add_argument("--every", type=int, default=1, help="forecast every n-th day only")
    given = parser.parse_args()
    if given.bangkok:
        case = read_bangkok(given.bangkok)
        window = (
            (date(2016, 3, 1), date(2016, 6, 30)) if given.tuning else (date(2016, 7, 1), date(2016, 12, 30))
        )
        show(walk(case, *window, every=given.every))
    if given.rooms:
        case = read_rooms(given.rooms)
        summer = (
            (date(2026, 6, 15), date(2026, 7, 14)) if given.tuning else (date(2026, 7, 15), date(2026, 8, 31))
        )
        winter = (
            (date(2026, 2, 15), date(2026, 3, 14))
            if given.tuning
            else (date(2026, 11, 20), date(2026, 12, 26))
        )
        for window in (summer, winter):
            show(walk(case, *window, every=given.every))
        show(walk(case, *summer, history_days=5, every=given.every))


if __name__ == "__main__":
    main()
