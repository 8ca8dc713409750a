"""How rooms are learned: intervals that hold the truth, and errors on days kept away. Not run in CI.

``python -m tests.bench.room_scores [seeds] [first seed]``, best with ``OMP_NUM_THREADS=1``, prints a table:
plants with one and two capacities, summers and winters, and the published house of Bacher and Madsen. The
factor that widens intervals was chosen on seeds 0 to 3 of the first three; seeds from 100 score.
"""

from __future__ import annotations

import sys
from collections import defaultdict

import numpy as np

from forecasting.room import Rating, RoomFit, fit_room
from tests.unit.forecasting.room_plants import Plant, flexhouse, heated, history, one_capacity, two_capacities

CASES = (
    ("one capacity, summer", one_capacity(), 1, 0.3, 30),
    ("two capacities, summer", two_capacities(), 1, 0.1, 15),
    ("two capacities, winter", heated(two_capacities()), -1, 0.1, 15),
    ("two capacities, winter, 0.5 K sensor, hourly", heated(two_capacities()), -1, 0.1, 60),
    ("published house (four capacities), winter", flexhouse(), -1, 0.1, 15),
)


def truth(plant: Plant) -> dict[str, float]:
    slow = -1.0 / float(np.max(np.linalg.eigvals(plant.a).real))
    return {
        "time_constant_h": slow,
        "loss_kw_per_k": plant.loss_kw_per_k,
        "capacitance_kwh_per_k": plant.capacity_kwh_per_k,
        "base_gain_kw": plant.base_kw,
        "solar_aperture_m2": plant.aperture_m2,
    }


def main(seeds: int, first: int) -> None:
    everywhere: dict[str, list[bool]] = defaultdict(list)
    print(f"{'plant (28 days)':46s} {'1 h':>5s} {'24 h':>5s} {'stays':>6s}  truth in the 90 % interval")
    for name, plant, sign, people, step in CASES:
        held: dict[str, list[bool]] = defaultdict(list)
        errors = []
        for seed in range(first, first + seeds):
            record = history(
                plant,
                days=28,
                seed=seed,
                sign=sign,
                step_min=step,
                people_sd=people,
                resolution_k=0.5 if step == 60 else 0.1,
            )
            rating = Rating(cooling=plant.cop, heating=max(plant.cop, 0.5), doubt=0.0)
            found: RoomFit = fit_room(record, rating=rating)
            assert found.errors is not None
            errors.append(
                (found.errors.rmse_1h_c, found.errors.rmse_24h_c, found.errors.rmse_24h_persistence_c)
            )
            for key, value in truth(plant).items():
                one = found.parameters.get(key)
                inside = one is not None and one.low <= value <= one.high
                held[key].append(inside)
                everywhere[key].append(inside)
        hour, day, stays = np.mean(errors, axis=0)
        shares = "  ".join(f"{key} {sum(v)}/{len(v)}" for key, v in held.items())
        print(f"{name:46s} {hour:5.2f} {day:5.2f} {stays:6.2f}  {shares}", flush=True)
    total = [one for values in everywhere.values() for one in values]
    print(f"all: {sum(total)}/{len(total)} = {100 * np.mean(total):.0f} %")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5, int(sys.argv[2]) if len(sys.argv) > 2 else 100)
