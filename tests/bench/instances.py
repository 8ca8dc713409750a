"""Plain scheduling instances by seed, for `vpp plan bench` (docs/reference/plan-instance.md).

A site with a working day's load, must-run PV, a time-of-use tariff, a limit of the import that leaves some
room, a demand charge, and cars that meet their targets at about a third of their chargers' power. With
``negative`` prices both prices lie below zero for two hours around noon.

    python tests/bench/instances.py --cars 20 --steps 192 --seed 3 > instance.json
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

_MODELS = ((66.0, 6.0), (40.0, 6.0), (20.0, 3.0), (20.0, 3.0))  # kWh, kW


def instance(
    cars: int, steps: int, seed: int, *, minutes: int = 15, negative: bool = False
) -> dict[str, Any]:
    """One instance as plain JSON values."""
    rng = np.random.default_rng([seed, cars, steps, minutes, int(negative)])
    hour = np.arange(steps) * minutes / 60.0 % 24.0
    shape = 0.3 + 0.5 * np.exp(-(((hour - 13.0) / 4.0) ** 2)) + 0.1 * np.exp(-(((hour - 9.0) / 1.5) ** 2))
    load = (60.0 + 4.0 * cars) * shape * (1.0 + 0.06 * rng.standard_normal(steps))
    clouds = np.repeat(rng.uniform(0.3, 1.0, -(-steps // 6)), 6)[:steps]
    sun = np.where((hour >= 6) & (hour <= 18), np.sin(np.pi * (hour - 6.0) / 12.0), 0.0).clip(0.0)
    pv = (40.0 + 3.0 * cars) * sun**1.3 * clouds
    tariff = np.where((hour < 7) | (hour >= 23), 16.0, np.where((hour >= 16) & (hour < 20), 38.0, 27.0))
    buy = tariff + rng.uniform(-1.0, 1.0, steps)
    worth = np.where((hour >= 17) & (hour < 19), 24.0, 11.0) + rng.uniform(-1.0, 1.0, steps)
    sell = np.minimum(buy - 1.0, worth)
    if negative:
        noon = (hour >= 11) & (hour < 13)
        buy = np.where(noon, rng.uniform(-6.0, -3.0, steps), buy)
        sell = np.where(noon, rng.uniform(-12.0, -8.0, steps), sell)
    parked = [_car(k, steps, minutes / 60.0, rng) for k in range(cars)]
    cap = float((load - pv).max()) + 0.4 * sum(car["p_charge_kw"] for car in parked)
    return {
        "step_minutes": minutes,
        "horizon": steps,
        "price_buy": _plain(buy),
        "price_sell": _plain(sell),
        "pv_kw": _plain(pv),
        "load_kw": _plain(load),
        "import_cap_kw": round(cap, 4),
        "demand_charge_per_kw": 60.0,
        "evs": parked,
        "meta": {"seed": seed, "cars": cars, "negative": negative},
    }


def _plain(values: np.ndarray) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


def _car(k: int, steps: int, h: float, rng: np.random.Generator) -> dict[str, Any]:
    capacity, power = _MODELS[k % len(_MODELS)]
    arrival = 0 if rng.random() < 0.25 else int(rng.integers(0, max(1, int(0.35 * steps))))
    departure = min(steps, arrival + int(rng.integers(max(1, int(0.35 * steps)), max(2, int(0.6 * steps)))))
    eff_charge, eff_discharge = (round(float(eta), 4) for eta in rng.uniform(0.9, 0.95, 2))
    soc = capacity * float(rng.uniform(0.25, 0.65))
    reach = soc + 0.35 * power * eff_charge * h * (departure - arrival)
    return {
        "capacity_kwh": capacity,
        "soc_arrival": round(soc, 4),
        "soc_target": round(min(reach, capacity * float(rng.uniform(0.7, 0.95))), 4),
        "arrival": arrival,
        "departure": departure,
        "p_charge_kw": power,
        "p_discharge_kw": power,
        "eff_charge": eff_charge,
        "eff_discharge": eff_discharge,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cars", type=int, default=4)
    parser.add_argument("--steps", type=int, default=192)
    parser.add_argument("--minutes", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--negative", action="store_true")
    given = parser.parse_args()
    made = instance(given.cars, given.steps, given.seed, minutes=given.minutes, negative=given.negative)
    print(json.dumps(made))
