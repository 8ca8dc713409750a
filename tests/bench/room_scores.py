"""How rooms are learned: intervals that hold the truth, and errors on days kept away. Not run in CI.

``python -m tests.bench.room_scores --choose --seeds 8`` chooses the factor that widens intervals: the least
that holds nine truths of ten in the rooms of :data:`TRAINED`, on seeds 0 to 7.
``python -m tests.bench.room_scores --seeds 6`` scores what is built in on seeds from 100: the same rooms, and
rooms of other kinds that had no part in the choice. Best with ``OMP_NUM_THREADS=1``; a room and seed take
about seven seconds.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from forecasting.room import Rating, RoomFit, fit_widths
from forecasting.room_doubt import LEVEL, WIDER
from tests.unit.forecasting.room_plants import (
    Plant,
    crowd,
    flexhouse,
    glass,
    heated,
    history,
    one_capacity,
    two_capacities,
)


class Case(NamedTuple):
    """A room, its season (+1 cooling, -1 heating), how people vary, and its record."""

    name: str
    plant: Plant
    sign: int
    people_sd: float
    step_min: int
    resolution_k: float = 0.1


TRAINED: Final = (
    Case("one capacity, summer", one_capacity(), 1, 0.3, 30),
    Case("two capacities, summer", two_capacities(), 1, 0.1, 15),
    Case("two capacities, winter", heated(two_capacities()), -1, 0.1, 15),
)
OTHERS: Final = (
    Case("two capacities, winter, 0.5 K sensor, hourly", heated(two_capacities()), -1, 0.1, 60, 0.5),
    Case("three capacities, four times the sun, summer", glass(), 1, 0.2, 15),
    Case("crowd, twice as many on some days, summer", crowd(), 1, 0.5, 15),
    Case("published house (four capacities), winter", flexhouse(), -1, 0.1, 15),
)
WIDTHS: Final = tuple(round(1.0 + 0.2 * k, 1) for k in range(16))
DAYS: Final = 28
FRESH: Final = 100
"""First seed of the scores; the choice looks at those from 0."""


def truth(plant: Plant) -> dict[str, float]:
    """What a fit should find, by the names of its parameters."""
    slow = -1.0 / float(np.max(np.linalg.eigvals(plant.a).real))
    return {
        "time_constant_h": slow,
        "loss_kw_per_k": plant.loss_kw_per_k,
        "capacitance_kwh_per_k": plant.capacity_kwh_per_k,
        "base_gain_kw": plant.base_kw,
        "solar_aperture_m2": plant.aperture_m2,
    }


def fits(case: Case, seeds: Sequence[int], widths: Sequence[float]) -> Iterator[list[RoomFit]]:
    """One room lived through with each seed, learned once and told with each width."""
    plant = case.plant
    for seed in seeds:
        record = history(
            plant,
            days=DAYS,
            seed=seed,
            sign=case.sign,
            step_min=case.step_min,
            people_sd=case.people_sd,
            resolution_k=case.resolution_k,
        )
        rating = Rating(cooling=plant.cop, heating=max(plant.cop, 0.5), doubt=0.0)
        yield fit_widths(record, widths, rating=rating)


def holds(fit: RoomFit, name: str, value: float) -> bool | None:
    """Whether an interval holds the truth; None if nothing was told, which is no wrong statement."""
    one = fit.parameters.get(name)
    return None if one is None else one.low <= value <= one.high


def choose(seeds: int) -> None:
    """The least width that holds nine truths of ten in the rooms that are for choosing."""
    held: dict[float, list[bool]] = defaultdict(list)
    for case in TRAINED:
        for told in fits(case, range(seeds), WIDTHS):
            for width, fit in zip(WIDTHS, told, strict=True):
                stated = (holds(fit, name, value) for name, value in truth(case.plant).items())
                held[width] += [one for one in stated if one is not None]
    for width in WIDTHS:
        print(f"{width:4.1f}  {sum(held[width])}/{len(held[width])} = {100 * np.mean(held[width]):.0f} %")
    enough = [width for width in WIDTHS if np.mean(held[width]) >= LEVEL]
    print(f"least that holds {LEVEL:.0%}: {enough[0] if enough else 'none'}; built in: {WIDER}")


def score(seeds: int, first: int, wanted: str) -> None:
    """A table of errors and of how often the truth lies inside, by room; sums by kind of room."""
    print(f"{'room (28 days)':46s} {'1 h':>5s} {'24 h':>5s} {'stays':>6s}  truth inside, of statements made")
    for title, cases in (("rooms of the choice, fresh seeds", TRAINED), ("rooms of other kinds", OTHERS)):
        everywhere: list[bool] = []
        for case in (one for one in cases if wanted in one.name):
            held: dict[str, list[bool]] = defaultdict(list)
            errors, found = [], defaultdict[str, list[float]](list)
            for (fit,) in fits(case, range(first, first + seeds), (WIDER,)):
                assert fit.errors is not None
                errors.append(
                    (fit.errors.rmse_1h_c, fit.errors.rmse_24h_c, fit.errors.rmse_24h_persistence_c)
                )
                for name, value in truth(case.plant).items():
                    if (inside := holds(fit, name, value)) is not None:
                        held[name].append(inside)
                        found[name].append(fit.parameters[name].value)
            everywhere += [one for stated in held.values() for one in stated]
            hour, day, stays = np.mean(errors, axis=0)
            shares = "  ".join(f"{name} {sum(v)}/{len(v)}" for name, v in held.items())
            print(f"{case.name:46s} {hour:5.2f} {day:5.2f} {stays:6.2f}  {shares}", flush=True)
            if wanted:
                for name, values in found.items():
                    told = f"{truth(case.plant)[name]:.3f}, found {min(values):.3f} to {max(values):.3f}"
                    print(f"    {name} is {told}")
        if everywhere:
            print(
                f"{title}: {sum(everywhere)}/{len(everywhere)} = {100 * np.mean(everywhere):.0f} %",
                flush=True,
            )


def main() -> None:
    """Choose the width, or score what is built in."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8, help="how many lives of each room")
    parser.add_argument("--first", type=int, default=FRESH, help="first seed of a score")
    parser.add_argument("--room", default="", help="only rooms with this in their name")
    parser.add_argument("--choose", action="store_true", help="choose the width on seeds from 0")
    told = parser.parse_args()
    if told.choose:
        choose(told.seeds)
    else:
        score(told.seeds, told.first, told.room)


if __name__ == "__main__":
    main()
