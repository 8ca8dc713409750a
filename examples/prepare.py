#!/usr/bin/env python3
"""Write the example CSV files again: made-up figures of a factory of some 130 kW in November 2026."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from energy.core.calendar import DayType, SiteCalendar

FOLDER = Path(__file__).resolve().parent
JST = ZoneInfo("Asia/Tokyo")
FIRST, DAYS = date(2026, 11, 1), 30
EVENT_DAY = date(2026, 11, 25)  # a Wednesday; the load falls from 16:00 to 19:00


def kwh(day: date, slot: int) -> float:
    """Energy of a half hour of the factory. [kWh]"""
    works = SiteCalendar().day_type(day) is DayType.WEEKDAY
    hour = slot / 2
    base = 12.0 + 1.5 * math.sin(2 * math.pi * (day.day + hour) / 9)
    shift = 44.0 * math.exp(-(((hour - 13.0) / 4.2) ** 4)) if works else 3.0
    wave = 1.2 * math.sin(day.toordinal() * 2.3 + slot * 0.7)
    cut = 18.0 if day == EVENT_DAY and 32 <= slot < 38 else 0.0
    peak = 6.0 if day == date(2026, 11, 18) and slot == 26 else 0.0
    return round(max(5.0, base + shift + wave - cut + peak), 1)


def sun(day: date, slot: int, kw: float) -> float:
    """Energy of a half hour of a solar plant. [kWh]"""
    height = max(0.0, math.sin(math.pi * (slot / 2 + 0.25 - 6.6) / 10.0)) if 13 <= slot < 34 else 0.0
    cloud = 0.55 + 0.4 * math.sin(day.toordinal() * 1.7) + 0.05 * math.sin(slot * 1.1)
    return round(max(0.0, 0.5 * kw * 0.75 * height * cloud), 2)


def write(name: str, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    """One CSV file."""
    with (FOLDER / name).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def stamp(day: date, slot: int) -> str:
    """Start of slot 0..47 of a Japanese day; 48 is the next midnight."""
    at = datetime(day.year, day.month, day.day, tzinfo=JST) + timedelta(minutes=30 * slot)
    return at.isoformat()


def main() -> None:
    """All files."""
    month = [FIRST + timedelta(days=offset) for offset in range(DAYS)]
    slots = [(day, slot) for day in month for slot in range(48)]
    write("meter.csv", ("timestamp", "kwh"), ((stamp(day, slot + 1), kwh(day, slot)) for day, slot in slots))
    for plant, kw in (("roof", 50.0), ("valley", 250.0)):
        rows = ((stamp(day, slot + 1), sun(day, slot, kw)) for day, slot in slots)
        write(f"generation-{plant}.csv", ("timestamp", "kwh"), rows)
    spot = [
        (stamp(day, slot), f"{12 + 5 * math.sin((slot - 14) / 48 * 4 * math.pi) + day.weekday() * 0.3:.2f}")
        for day, slot in slots
    ]
    write("spot.csv", ("slot_start", "yen_per_kwh"), spot)
    today = [(EVENT_DAY, slot) for slot in range(48)]
    write(
        "plan.csv",
        ("slot_start", "kwh"),
        ((stamp(day, slot), round(kwh(day - timedelta(days=7), slot) / 0.95)) for day, slot in today),
    )
    write(
        "imbalance-price.csv",
        ("slot_start", "yen_per_kwh", "status"),
        (
            (stamp(day, slot), f"{10 + slot % 7}.00", "preliminary" if slot >= 40 else "final")
            for day, slot in today
        ),
    )
    write(
        "margin.csv",
        ("slot_start", "percent"),
        ((stamp(day, slot), {33: 7.2, 34: 5.5, 35: 4.1, 36: 9.0}.get(slot, 14.0)) for day, slot in today),
    )
    august = [(date(2026, 8, 1) + timedelta(days=k), slot) for k in range(31) for slot in range(48)]
    rows = ((stamp(day, slot + 1), sun(day, slot, 250.0)) for day, slot in august)
    write("generation-valley-2026-08.csv", ("timestamp", "kwh"), rows)
    write(
        "imbalance-price-2026-08.csv",
        ("slot_start", "yen_per_kwh", "status"),
        (
            (stamp(day, slot), f"{10 + 8 * math.exp(-(((slot - 36) / 5) ** 2)) + day.day % 3:.2f}", "final")
            for day, slot in august
        ),
    )
    write(
        "margin-2026-08.csv",
        ("slot_start", "percent"),
        ((stamp(day, slot), 7.5 if day.weekday() == 2 and 33 <= slot < 37 else 14.0) for day, slot in august),
    )
    write(
        "events.csv",
        ("start", "end"),
        [(stamp(date(2026, 11, 20), 32), stamp(date(2026, 11, 20), 38))],
    )
    for name, share in (("office", 0.3), ("works", 0.7)):
        rows = (
            (stamp(day, slot), round(kwh(day - timedelta(days=7), slot) * share / 0.95, 2))
            for day, slot in today
        )
        write(f"forecast-{name}.csv", ("slot_start", "kwh"), rows)
    bought = [(stamp(day, slot), "bg-x", "buy", 10) for day, slot in today]
    spot_bought = [(stamp(day, slot), "spot", "buy", 50) for day, slot in today if 16 <= slot < 38]
    write("trades.csv", ("slot_start", "party", "side", "kwh"), [*bought, *spot_bought])
    people = [("driver/driver-1", "employee", "works-a", "yes")]
    people += [(f"driver/e-{k}", "employee", "works-a" if k % 3 else "works-b", "yes") for k in range(29)]
    people += [(f"household/h-{k}", "resident", "", "no" if k % 4 else "yes") for k in range(40)]
    write("people.csv", ("account", "kind", "employer", "ev"), people)
    shops = [(f"shop-{k:03d}", "large" if k % 6 == 0 else "small", 40 + 13 * k % 90) for k in range(72)]
    write("shops.csv", ("shop", "size", "points"), shops)
    fit = [
        (
            stamp(day, slot),
            round(sun(day, slot, 800.0)) + late,
            stamp(date(2026, 11, 23 + late), 32 - 20 * late),
        )
        for late in (0, 1)
        for day, slot in today
    ]
    write("notified-fit.csv", ("slot_start", "kwh", "notified_at"), fit)
    resources = [("factory", 40, 0.9), ("hall", 20, 0.5), ("school", 10, 0.8)]
    write("resources.csv", ("site", "kw", "reliability"), resources)
    write("holidays.csv", ("date",), [("2026-11-24",)])


if __name__ == "__main__":
    main()
