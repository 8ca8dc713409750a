"""The readings of a site as the small CSV files that bills and settlements are made from."""

from __future__ import annotations

import math
from datetime import date, timedelta
from pathlib import Path

from energy.core.series import Grid, Series, Unit
from energy.core.site import Site
from energy.core.slots import JST, jst_midnight
from energy.store import Store
from vpp.site.recorder import SiteSeries
from vpp.wholefile import whole_file

__all__ = ["Written", "write_readings"]

Written = tuple[Path, int]
"""A file, and how many half hours it lacks."""


def write_readings(store: Store, site: Site, first: date, last: date, folder: Path) -> list[Written]:
    """Write ``meter.csv``, ``export.csv`` and ``generation-PLANT.csv`` of some days, both included.

    Rows are ``timestamp,kwh``, stamped by the end of their half hour. What is not known stays missing.

    Raises
    ------
    DataError
        If a file cannot be written.
    """
    grid = Grid.between(jst_midnight(first), jst_midnight(last + timedelta(days=1)))
    known = store.as_of(grid.end + timedelta(days=400))
    names = SiteSeries(site.id)
    wanted = {
        "meter.csv": names["meter", "import_kwh"],
        "export.csv": names["meter", "export_kwh"],
    }
    if site.pv is not None:
        wanted[f"generation-{site.pv.id}.csv"] = names[site.pv.id, "generation_kwh"]
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(folder / name, known.series(series, grid, Unit.KWH)) for name, series in wanted.items()]


def _write(path: Path, series: Series) -> Written:
    missing = 0
    with whole_file(path) as file:
        file.write("timestamp,kwh\n")
        for k, value in enumerate(series.values.tolist()):
            if math.isnan(value):
                missing += 1
                continue
            end = series.grid.time(k + 1).astimezone(JST)
            file.write(f"{end.isoformat()},{value:.6f}".rstrip("0").rstrip(".") + "\n")
    return path, missing
