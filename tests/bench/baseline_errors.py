#!/usr/bin/env python3
"""How far off each baseline is on ordinary days of a real works (the load that the kitakata scenario ships).

The load is of 2018; its days are moved by whole weeks so that today's rules hold. Nobody asked this works for
anything, so every difference between a baseline and what was used is an error that would have been paid.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np

from energy.core.calendar import SiteCalendar
from energy.core.series import Grid, Series, Unit
from energy.core.slots import JST, Slot
from energy.market.baseline import Adjustment, BaselineRequest, Method
from energy.market.baseline_checks import baseline_error

FILE = Path(__file__).resolve().parents[2] / "scenarios" / "kitakata" / "load_15min_2018.csv.gz"
MOVED = timedelta(weeks=416)
CALENDAR = SiteCalendar(national_holidays=False)
HOURS = ((18, 24), (26, 32), (32, 38))  # slots of 09:00-12:00, 13:00-16:00, 16:00-19:00
WAYS = {
    "high4of5, added": (Method.HIGH_4_OF_5, Adjustment.ADD),
    "high4of5, ratio": (Method.HIGH_4_OF_5, Adjustment.RATIO),
    "high4of5, none": (Method.HIGH_4_OF_5, Adjustment.NONE),
    "same-day": (Method.SAME_DAY, Adjustment.NONE),
}


def load() -> Series:
    """The works by half hours. [kWh]"""
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    start = datetime.fromisoformat(rows[0]["start"]).replace(tzinfo=JST) + MOVED
    values = np.array([float(row["energy_kwh"]) for row in rows])
    return Series(Grid(start, values.size, timedelta(minutes=15)), values, Unit.KWH).to_slots()


def request(
    hours: tuple[int, int], method: Method, adjustment: Adjustment
) -> Callable[[date], BaselineRequest]:
    """What a day would have been asked for."""

    def of(day: date) -> BaselineRequest:
        first, last = (Slot.of(day, slot + 1) for slot in hours)
        return BaselineRequest(start=first, end=last, calendar=CALENDAR, method=method, adjustment=adjustment)

    return of


def main() -> None:
    """One line per hours and way."""
    meter = load()
    first = meter.grid.start.astimezone(JST).date() + timedelta(days=31)
    days = [first + timedelta(days=k) for k in range(240)]
    working = [day for day in days if day.weekday() < 5]
    print("hours          baseline          error   bias [kWh a slot]  days")
    for hours in HOURS:
        for name, way in WAYS.items():
            found = baseline_error(request(hours, *way), working, meter)
            if found.rrmse is not None and found.bias_kwh is not None:
                span = f"{hours[0] // 2:02d}:00-{hours[1] // 2:02d}:00"
                print(f"{span}    {name:<16}{found.rrmse:>7.1%}{found.bias_kwh:>14.2f}{len(found.days):>12}")


if __name__ == "__main__":
    main()
