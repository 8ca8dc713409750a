"""Print which PV method is better with how much history, on days before the test windows of pv1 and pv2.

python tests/bench/pv_choice.py --data FOLDER [--every 6]

Both see the irradiance and the temperature that the product reads. "site sheet" is PvModel with the plant's
true tilt and azimuth, "no sheet" the same with 20 degrees towards the equator, "days" the day-ahead engine of
the back-tests (forecasting/pv_day.py), which learns the orientation from the meter.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from energy.core.assets import PvArray
from energy.core.series import FloatArray, Grid
from forecasting.dayahead import learn
from forecasting.demand import LEVELS
from forecasting.metrics import coverage, nmae, pinball
from forecasting.panel import Panel
from forecasting.pv import PvModel
from tests.bench.forecast_scores import LATITUDE, LONGITUDE, PV_TUNED, ZONES, read_gefcom
from vpp.backtest.bench import bench_cases
from vpp.backtest.panel import build_panel

SHEET_DAYS = (3, 14, 30, 90, 240)  # days of history of PvModel
ENGINE_DAYS = (30, 60, 90, 400)
FIELDS = ("ghi_w_m2", "temp_c")  # what the product stores of a weather forecast


def plant(tilt_deg: float, azimuth_deg: float) -> PvModel:
    array = PvArray(id="pv", capacity_kw=1.0, inverter_kw=1.0, tilt_deg=tilt_deg, azimuth_deg=azimuth_deg)
    return PvModel(array, latitude=LATITUDE, longitude=LONGITUDE)


def by_sheet(path: Path, zone: int, offset: int) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """Name, what came and quantiles of one day, by PvModel."""
    made, weather = read_gefcom(path, zone)
    now = PV_TUNED[0] + timedelta(days=offset)
    came = np.asarray(made.between(now, now + timedelta(days=1)).values)[::2]
    for name, sheet in (("site sheet", ZONES[zone]), ("no sheet", (20.0, 0.0))):
        for days in SHEET_DAYS:
            past = made.between(max(made.grid.start, now - timedelta(days=days)), now)
            fitted = replace(plant(*sheet).fit(past, weather, issued_at=now), ahead=None)  # the physics alone
            recent = past.between(now - timedelta(days=2), now)
            found = fitted.predict(weather, recent, Grid(now, 48), issued_at=now)
            bands = [part.reshape(-1, 2).mean(axis=1) for part in (found.p10, found.p50, found.p90)]
            yield f"{name}, {days} days", came, np.stack(bands)


def by_days(panel: Panel, row: int) -> Iterator[tuple[str, FloatArray, FloatArray]]:
    """The same by the day-ahead engine."""
    for days in ENGINE_DAYS:
        first = max(0, row - days)
        found = learn(panel.part(first, row + 1), row - first).quantiles(LEVELS)
        yield f"days, {days} days", panel.actual[row], found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the public series")
    parser.add_argument("--every", type=int, default=6, help="every so many days")
    options = parser.parse_args()
    for zone in ZONES:
        case = bench_cases(options.data)[f"pv{zone}"]
        built = build_panel(case, tuning=True)
        known = {name: built.panel.forecast_weather[name] for name in FIELDS}
        panel = replace(built.panel, forecast_weather=known)
        found: dict[str, list[tuple[FloatArray, FloatArray]]] = {}
        for offset in range(2, len(built.rows) - 1, options.every):
            for name, came, bands in (
                *by_sheet(case.file, zone, offset),
                *by_days(panel, built.rows.start + offset),
            ):
                found.setdefault(name, []).append((came, bands))
        for name, parts in found.items():
            y, q = (
                np.concatenate([one for one, _ in parts]),
                np.concatenate([two for _, two in parts], axis=1),
            )
            sunny = y > 0.0
            print(
                f"plant {zone}, {name:22} nMAE {100 * nmae(y, q[1], scale=1.0):.2f}  "
                f"pinball {100 * pinball(y, q, LEVELS, scale=1.0):.2f}  "
                f"inside {coverage(y[sunny], q[0][sunny], q[2][sunny]):.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
