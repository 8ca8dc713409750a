"""Print the scores of docs/explanation/forecast-cars-rooms.md for charging sessions.

python tests/bench/session_scores.py --acn sessions.parquet [--tuning]
python tests/bench/session_scores.py --asensio sessions.csv

Walk-forward: every day is forecast at noon of the day before from what was known then.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import holidays
import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.series import FloatArray
from energy.core.slots import SLOTS_PER_DAY
from forecasting.metrics import coverage, nmae, pinball
from forecasting.session_days import VisitTable
from forecasting.session_fleet import ParkForecast, occupancy, park_forecast
from forecasting.session_model import LEVELS, SessionModel, VisitForecast
from forecasting.sessions import Session, known_sessions
from vpp.ingest.sessions import SessionMapping, read_sessions

ACN = SessionMapping(
    user_column="UserID",
    arrival_column="ConnectionStartDateTime",
    departure_column="ConnectionEndDateTime",
    energy_column="Energy",
    charger_column="ChargingStation",
    zone="UTC",
)
ASENSIO = SessionMapping(
    user_column="userId",
    arrival_column="created",
    departure_column="ended",
    energy_column="kwhTotal",
    charger_column="stationId",
    zone="UTC",
    century=2000,
)
TUNED, TEST = (date(2019, 3, 1), date(2019, 5, 31)), (date(2019, 6, 1), date(2019, 8, 31))
ASENSIO_TEST = (date(2015, 7, 1), date(2015, 9, 30))
QUANTITIES = ("arrival", "departure", "energy")
METHODS = ("ours", "same day last week", "own same weekdays", "group, same weekday")
CERTAIN = 0.01  # a rule of thumb that says 0 or 1 is read as 0.01 or 0.99, or its log loss is infinite


@dataclass(slots=True)
class Walk:
    """Forecasts of all days beside what came, by method."""

    come: list[tuple[float, float]] = field(default_factory=list)
    slots: dict[str, list[FloatArray]] = field(default_factory=lambda: {name: [] for name in METHODS})
    present: list[FloatArray] = field(default_factory=list)
    truth: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in QUANTITIES})
    bands: dict[tuple[str, str], list[FloatArray]] = field(default_factory=dict)
    cars: dict[str, list[FloatArray]] = field(default_factory=lambda: {name: [] for name in METHODS[:3]})
    cars_band: list[FloatArray] = field(default_factory=list)
    cars_came: list[FloatArray] = field(default_factory=list)
    energy_band: list[FloatArray] = field(default_factory=list)
    energy_came: list[FloatArray] = field(default_factory=list)
    day_band: list[FloatArray] = field(default_factory=list)
    methods: dict[str, int] = field(default_factory=dict)

    def keep(self, quantity: str, method: str, quantiles: Sequence[float] | FloatArray) -> None:
        self.bands.setdefault((quantity, method), []).append(np.asarray(quantiles, dtype=np.float64))


class Facts:
    """All that really happened, as arrays that the rules of thumb read up to their issue."""

    def __init__(self, table: VisitTable, days: int) -> None:
        users = len(table.users)
        self.table = table
        self.values = {name: np.full((users, days), np.nan) for name in QUANTITIES}
        for name, column in zip(
            QUANTITIES, (table.arrival_min, table.departure_min, table.energy_kwh), strict=True
        ):
            self.values[name][table.user, table.day] = column
        self.plugged = np.zeros((users, days + 1, SLOTS_PER_DAY), dtype=np.bool_)
        self.plugged[table.user, table.day] |= table.plugged[:, :SLOTS_PER_DAY]
        self.plugged[table.user, table.day + 1] |= table.plugged[:, SLOTS_PER_DAY:]
        self.came, _ = table.matrix(days)
        self.cars, self.energy = occupancy(table, days)
        self.place = {user: k for k, user in enumerate(table.users)}

    def rules(self, walk: Walk, forecasts: Sequence[VisitForecast], day: int) -> None:
        """The rules of thumb for one day, from days that were over at noon of the day before."""
        known = slice(0, day - 1)
        same = np.arange(day % 7, day - 1, 7)
        began = self.came[:, known].argmax(axis=1)
        active = self.came[:, max(0, day - 57) : day - 1].any(axis=1)
        group_slots = self.plugged[active][:, same[-8:]].mean(axis=(0, 1))
        rows = [self.place[one.user] for one in forecasts]
        walk.present.append(self.plugged[rows, day].astype(np.float64))
        walk.slots["ours"].append(np.array([one.plugged for one in forecasts]))
        walk.slots[METHODS[1]].append(self.plugged[rows, day - 7].astype(np.float64))
        own = [self.plugged[row, same[same >= began[row]]] for row in rows]
        shares = [days.mean(axis=0) if len(days) else group_slots for days in own]
        walk.slots[METHODS[2]].append(np.array(shares))
        walk.slots[METHODS[3]].append(np.tile(group_slots, (len(rows), 1)))
        for quantity, values in self.values.items():
            everyone = _band(values[:, same]) or _band(values[:, known])
            for one, row in zip(forecasts, rows, strict=True):
                if not self.came[row, day] or np.isnan(values[row, day]):
                    continue
                mine = _band(values[row, same]) or _band(values[row, known]) or everyone
                assert mine is not None
                assert everyone is not None
                week = values[row, day - 7]
                ahead = {"arrival": one.arrives_min, "departure": one.departs_min, "energy": one.energy_kwh}
                walk.truth[quantity].append(float(values[row, day]))
                walk.keep(
                    quantity,
                    METHODS[0],
                    [ahead[quantity].p10, *[ahead[quantity].p50] * 2, ahead[quantity].p90],
                )
                walk.keep(quantity, METHODS[1], mine if np.isnan(week) else [week] * 4)
                walk.keep(quantity, METHODS[2], mine)
                walk.keep(quantity, METHODS[3], everyone)


def _band(values: FloatArray) -> list[float] | None:
    """P10, mean, P50 and P90 of the known values; None if there is none."""
    known = values[~np.isnan(values)]
    if not known.size:
        return None
    low, middle, high = np.quantile(known, LEVELS)
    return [float(low), float(known.mean()), float(middle), float(high)]


def walk(
    sessions: Sequence[Session], model: SessionModel, first: date, last: date, *, every: int = 1
) -> Walk:
    """Forecast every day from ``first`` to ``last`` at noon of the day before.

    A night in which the clocks change has no 48 half hours; the park is not scored on it.
    """
    end = datetime.combine(last + timedelta(days=2), time(), tzinfo=model.zone)
    table = VisitTable.of(known_sessions(sessions, end), model.zone, now=end)
    facts, out = Facts(table, (last - table.first).days + 3), Walk()
    chargers = len({session.charger for session in sessions})
    day = first
    while day <= last:
        issued = datetime.combine(day - timedelta(days=1), time(12), tzinfo=model.zone)
        fitted = model.fit(known_sessions(sessions, issued), issued_at=issued)
        forecasts = fitted.predict(day)
        place = (day - table.first).days
        facts.rules(out, forecasts, place)
        for one in forecasts:
            out.come.append((one.probability, float(facts.came[facts.place[one.user], place])))
            out.methods[one.method] = out.methods.get(one.method, 0) + 1
        park = park_forecast(fitted, day, chargers=chargers)
        if park.plugged.grid.count == SLOTS_PER_DAY:
            _keep_park(out, park, facts, place)
        day += timedelta(days=every)
    return out


def _keep_park(out: Walk, park: ParkForecast, facts: Facts, place: int) -> None:
    cars, energy, whole = park.plugged, park.arriving_kwh, park.day_kwh
    out.cars_band.append(np.stack([cars.p10, cars.p50, cars.p90]))
    out.energy_band.append(np.stack([energy.p10, energy.p50, energy.p90]))
    out.day_band.append(np.array([whole.p10, whole.p50, whole.p90]))
    out.cars_came.append(facts.cars[place])
    out.energy_came.append(facts.energy[place])
    out.cars["ours"].append(cars.p50)
    out.cars[METHODS[1]].append(facts.cars[place - 7])
    out.cars[METHODS[2]].append(facts.cars[np.arange(place - 28, place - 1, 7)].mean(axis=0))


def presence_scores(found: Walk) -> dict[str, tuple[float, float]]:
    """Brier score and log loss over all half hours and active drivers, by method."""
    y = np.concatenate(found.present)
    scores = {}
    for name in METHODS:
        p = np.concatenate(found.slots[name])
        inside = np.clip(p, CERTAIN, 1.0 - CERTAIN) if name != "ours" else np.clip(p, 1e-4, 1.0 - 1e-4)
        loss = -np.mean(y * np.log(inside) + (1.0 - y) * np.log(1.0 - inside))
        scores[name] = (float(np.mean((p - y) ** 2)), float(loss))
    return scores


@dataclass(frozen=True, slots=True)
class QuantityScore:
    """Mean absolute error of the point [min or kWh], pinball over P10, P50, P90, share inside P10-P90."""

    mae: float
    pinball: float
    cover80: float


def quantity_scores(found: Walk) -> dict[tuple[str, str], QuantityScore]:
    """Scores by quantity and method; the point of a rule of thumb is its mean, ours is the median."""
    scores = {}
    for (quantity, method), rows in found.bands.items():
        y, band = np.array(found.truth[quantity]), np.array(rows).T
        scores[quantity, method] = QuantityScore(
            mae=nmae(y, band[1], scale=1.0),
            pinball=pinball(y, band[[0, 2, 3]], LEVELS, scale=1.0),
            cover80=coverage(y, band[0], band[3]),
        )
    return scores


def show(title: str, found: Walk) -> None:
    p, y = np.array(found.come).T
    print(f"\n{title}: {len(found.cars_came)} days, {len(y)} driver-days, {int(y.sum())} visits")
    print(f"whose past leads: {dict(sorted(found.methods.items()))}")
    print(
        f"comes at all: Brier {np.mean((p - y) ** 2):.4f}, mean forecast {p.mean():.3f}, came {y.mean():.3f}"
    )
    print(f"\n{'plugged in, per half hour':32}{'Brier':>9}{'log loss':>10}")
    for name, (brier, loss) in presence_scores(found).items():
        print(f"{name:32}{brier:9.4f}{loss:10.4f}")
    scores = quantity_scores(found)
    for quantity in QUANTITIES:
        unit = "kWh" if quantity == "energy" else "min"
        print(f"\n{quantity:32}{'MAE ' + unit:>9}{'pinball':>10}{'cover':>8}")
        for name in METHODS:
            one = scores[quantity, name]
            print(f"{name:32}{one.mae:9.2f}{one.pinball:10.3f}{one.cover80:8.3f}")
    cars = np.array(found.cars_came)
    print(f"\n{'cars plugged in, whole park':32}{'nMAE %':>9}")
    for name, rows in found.cars.items():
        print(f"{name:32}{100 * nmae(cars, np.array(rows)):9.2f}")
    band = np.stack(found.cars_band, axis=1)
    open_hours = cars.mean(axis=0) >= 1.0
    inside = coverage(cars[:, open_hours], band[0][:, open_hours], band[2][:, open_hours])
    print(f"inside P10-P90, half hours with at least one car on average: {inside:.3f}")
    energy, ebands = np.array(found.energy_came), np.stack(found.energy_band, axis=1)
    whole, dbands = energy.sum(axis=1), np.stack(found.day_band, axis=1)
    print(
        f"energy by half hour of arrival: nMAE {100 * nmae(energy, ebands[1]):.1f} %, "
        f"of the day: nMAE {100 * nmae(whole, dbands[1]):.1f} %, "
        f"inside {coverage(whole, dbands[0], dbands[2]):.3f}"
    )


def us_calendar(years: Sequence[int]) -> SiteCalendar:
    """Weekends and the law holidays of the United States."""
    closed = frozenset(holidays.country_holidays("US", years=years))
    return SiteCalendar(national_holidays=False, closed=closed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--acn", type=Path, help="sessions of ACN-Data JPL, Parquet")
    parser.add_argument("--asensio", type=Path, help="sessions of Asensio et al., CSV")
    parser.add_argument("--tuning", action="store_true", help="the window on which constants were chosen")
    parser.add_argument("--every", type=int, default=1, help="forecast every n-th day only")
    given = parser.parse_args()
    if given.acn:
        sessions = read_sessions(given.acn, ACN).sessions
        model = SessionModel(us_calendar((2018, 2019)), zone=ZoneInfo("America/Los_Angeles"))
        first, last = TUNED if given.tuning else TEST
        show(f"ACN-Data JPL, {first} to {last}", walk(sessions, model, first, last, every=given.every))
    if given.asensio:
        sessions = read_sessions(given.asensio, ASENSIO).sessions
        model = SessionModel(us_calendar((2014, 2015)), zone=ZoneInfo("America/New_York"))
        first, last = ASENSIO_TEST
        show(f"Asensio et al., {first} to {last}", walk(sessions, model, first, last, every=given.every))


if __name__ == "__main__":
    main()
