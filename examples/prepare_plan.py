#!/usr/bin/env python3
"""Write examples/problem.json again: a made-up factory with two cars, a room and a roof over one day."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path

from energy.core.plan import (
    CarProblem,
    Problem,
    Promise,
    PvProblem,
    SiteLimits,
    ZoneProblem,
    problem_to_json,
)
from energy.core.series import Grid
from energy.core.units import AssetId

FOLDER = Path(__file__).resolve().parent
START = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # midnight in Japan
N = 48
HOURS = [k / 2 for k in range(N)]


def series(values: list[float]) -> tuple[float, ...]:
    """Rounded to what a meter shows."""
    return tuple(round(value, 2) for value in values)


def car(
    name: str, capacity: float, soc0: float, *, trip: tuple[float, float, float], promise: float
) -> CarProblem:
    """A car that is away from one hour to another and drives some kWh."""
    leaves, back, drive = trip
    away = [leaves <= hour < back for hour in HOURS]
    return CarProblem(
        id=AssetId(name),
        capacity_kwh=capacity,
        soc0_kwh=soc0,
        floor_kwh=0.3 * capacity,
        ceiling_kwh=0.95 * capacity,
        max_charge_kw=6.0,
        max_discharge_kw=6.0,
        charge_efficiency=0.93,
        discharge_efficiency=0.93,
        wear_yen_per_kwh=5.0,
        plugged=tuple(not out for out in away),
        drive_kwh=series([drive / sum(away) if out else 0.0 for out in away]),
        may_discharge=(True,) * N,
        promises=(Promise(index=away.index(True), soc_kwh=promise),),
        discharge_value_yen_per_kwh=series([20.0 if 17 <= hour < 19 else 0.0 for hour in HOURS]),
        ready_kwh=0.6 * capacity,
        ready_yen_per_kwh_h=1.0,
    )


def main() -> None:
    """Write the file; one line per series."""
    load = [40.0 + 80.0 * math.exp(-(((hour - 13.0) / 4.5) ** 4)) for hour in HOURS]
    sun = [60.0 * max(0.0, math.sin(math.pi * (hour - 6.5) / 10.5)) ** 1.4 for hour in HOURS]
    open_ = [8.0 <= hour < 19.0 for hour in HOURS]
    hall = ZoneProblem(
        id=AssetId("hall"),
        temp0_c=16.0,
        capacitance_kwh_per_k=12.0,
        loss_kw_per_k=1.0,
        max_electric_kw=16.0,
        mode_sign=(1,) * N,
        cop=(3.2,) * N,
        gain_kw=series([8.0 if people else 1.5 for people in open_]),
        low_c=series([19.0 if people else 10.0 for people in open_]),
        high_c=series([23.0 if people else 30.0 for people in open_]),
    )
    problem = Problem(
        site="example",
        made_at=START,
        grid=Grid(START, N),
        load_p10_kw=series([0.93 * value for value in load]),
        load_p50_kw=series(load),
        load_p90_kw=series([1.07 * value for value in load]),
        outdoor_c=series([6.0 + 4.0 * math.sin(2 * math.pi * (hour - 9.0) / 24.0) for hour in HOURS]),
        price_yen_per_kwh=series([24.5 if 8 <= hour < 22 else 18.2 for hour in HOURS]),
        tight=tuple(17 <= hour < 19 for hour in HOURS),
        limits=SiteLimits(
            contract_kw=150.0, peak_memory_kw=118.0, peak_yen_per_kw=20_400.0, import_margin_kw=5.0
        ),
        cars=(
            car("ev-1", 40.0, 22.0, trip=(9.5, 12.0, 6.0), promise=28.0),
            car("ev-2", 40.0, 8.5, trip=(1.0, 5.0, 9.0), promise=32.0),
        ),
        zones=(hall,),
        pv=(
            PvProblem(
                id=AssetId("roof"),
                p10_kw=series([0.5 * v for v in sun]),
                p50_kw=series(sun),
                p90_kw=series([1.2 * v for v in sun]),
            ),
        ),
    )
    text = json.dumps(json.loads(problem_to_json(problem)), indent=1, ensure_ascii=False)
    text = re.sub(
        r"\[\n\s+([^\[\]{}]*?)\n\s+\]", lambda found: "[" + re.sub(r"\s*\n\s*", " ", found[1]) + "]", text
    )
    (FOLDER / "problem.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
