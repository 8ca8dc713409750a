#!/usr/bin/env python3
"""Make the data files of the scenarios from the original public files; run once, the results are shipped.

    python scenarios/prepare.py steel  Steel_industry_data.csv[.gz]  kitakata/load_15min_2018.csv.gz
    python scenarios/prepare.py weather 292.csv                      weather_wakamatsu.csv.gz
    python scenarios/prepare.py bdg2   bdg2_hourly_sample.csv        city-hall/load_60min_2016.csv.gz
    python scenarios/prepare.py homes  citylearn2022/                homes_60min_2016.csv.gz

Sources, licences and every change are written down in scenarios/README.md.
"""

from __future__ import annotations

import csv
import gzip
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

MJ_PER_HOUR_IN_WATT = 1e6 / 3600.0  # 1 MJ/(m2 h) as W/m2


def rows(path: Path, encoding: str = "utf-8") -> Iterator[list[str]]:
    """Rows of a CSV file, plain or gzipped."""
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding=encoding, newline="") as file:
        yield from csv.reader(file)


def write(path: Path, header: list[str], lines: Iterable[list[str]]) -> None:
    """Write a gzipped CSV whose bytes depend on its content alone."""
    with path.open("wb") as raw, gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed:
        for line in [header, *lines]:
            packed.write((",".join(line) + "\n").encode())


def steel(source: Path, target: Path) -> None:
    """Steel works, UCI: energy per quarter of an hour by start stamp.

    The last row of each day carries 00:00 of the same date instead of the next; the rows are in order, so the
    stamps are rebuilt by counting.
    """
    body = list(rows(source))[1:]
    start = datetime.strptime(body[0][0][:10], "%d/%m/%Y")  # noqa: DTZ007 - wall clock of the source
    write(
        target,
        ["start", "energy_kwh"],
        ([f"{start + k * timedelta(minutes=15):%Y-%m-%dT%H:%M}", row[1]] for k, row in enumerate(body)),
    )


def weather(source: Path, target: Path) -> None:
    """Standard year of Wakamatsu: temperature and irradiance at full hours, row k at k+1 o'clock."""
    body = [row for row in rows(source, "cp932") if row][2:]
    start = datetime(2001, 1, 1, 1)  # noqa: DTZ001 - a standard year has no year
    lines = []
    for k, row in enumerate(body[:8760]):
        direct, diffuse, height = float(row[1]), float(row[2]), float(row[3])
        lines.append(
            [
                f"{start + k * timedelta(hours=1):%m-%dT%H:%M}",
                row[0],
                f"{direct * MJ_PER_HOUR_IN_WATT:.0f}",
                f"{diffuse * MJ_PER_HOUR_IN_WATT:.0f}",
                f"{height:.1f}",
            ]
        )
    write(target, ["time", "outdoor_c", "dni_w_m2", "dhi_w_m2", "sun_height_deg"], lines)


def bdg2(source: Path, target: Path) -> None:
    """An office of the Building Data Genome 2, energy per hour by start stamp."""
    body = list(rows(source))[1:]
    write(
        target,
        ["start", "energy_kwh"],
        ([row[0].replace(" ", "T")[:16], f"{float(row[1]):.3f}"] for row in body),
    )


def homes(source: Path, target: Path) -> None:
    """Households of the CityLearn challenge 2022, every 13th day, so that weekdays and seasons are all there.

    The source has no dates: its first row is the last hour of 31 July 2016, day types count from Monday.
    """
    start = datetime(2016, 8, 1)  # noqa: DTZ001 - wall clock of the source
    files = sorted(
        source.glob("Building_*.csv*"), key=lambda path: int(path.name.split("_")[1].split(".")[0])
    )
    tables = [list(rows(path)) for path in files]
    column = tables[0][0].index("non_shiftable_load")
    lines = []
    for day in range(0, 364, 13):
        for hour in range(24):
            k = 2 + day * 24 + hour  # after the header and the hour before midnight
            stamp = f"{start + timedelta(days=day, hours=hour):%Y-%m-%dT%H:%M}"
            lines.append([stamp, *(f"{float(table[k][column]):.3f}" for table in tables)])
    write(target, ["start", *(path.name.split(".")[0].lower() for path in files)], lines)


if __name__ == "__main__":
    {"steel": steel, "weather": weather, "bdg2": bdg2, "homes": homes}[sys.argv[1]](
        Path(sys.argv[2]), Path(sys.argv[3])
    )
