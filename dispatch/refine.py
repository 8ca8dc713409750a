"""A problem of half-hours with some of them divided: what is known stays what it was, energies are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from energy.core.errors import DataError
from energy.core.plan import CarProblem, Problem, Promise, PvProblem, ZoneProblem
from energy.core.plan_parts import Floats, OtherAsset

__all__ = ["refine"]

T = TypeVar("T")


def refine(problem: Problem, divisions: Sequence[int]) -> Problem:
    """Divide the first half-hours of a problem into equal intervals, for instance ``(6, 6, 2)``.

    Powers, prices, temperatures and permissions hold for each part, energies are spread over the parts, and
    departures stay at the same instants.

    Raises
    ------
    DataError
        If the problem is divided already, or a division is not a whole number above 0.
    """
    parts = (*divisions, *(1,) * (problem.grid.count - len(divisions)))
    if problem.divisions or len(parts) != problem.grid.count or any(part < 1 for part in parts):
        raise DataError(
            f"site {problem.site} cannot be divided",
            where=f"divisions {tuple(divisions)} of {problem.grid.count} half-hours",
            hint="divide a problem of half-hours, each into 1 or more",
        )
    split = _Split(parts)
    return replace(
        problem,
        divisions=parts,
        load_p10_kw=split.same(problem.load_p10_kw),
        load_p50_kw=split.same(problem.load_p50_kw),
        load_p90_kw=split.same(problem.load_p90_kw),
        outdoor_c=split.same(problem.outdoor_c),
        price_yen_per_kwh=split.same(problem.price_yen_per_kwh),
        sell_yen_per_kwh=split.same(problem.sell_yen_per_kwh),
        tight=split.same(problem.tight),
        cars=tuple(_car(car, split) for car in problem.cars),
        zones=tuple(_zone(zone, split) for zone in problem.zones),
        pv=tuple(_pv(array, split) for array in problem.pv),
        batteries=tuple(replace(one, planned_kw=split.same(one.planned_kw)) for one in problem.batteries),
        feeders=tuple(replace(feeder, load_kw=split.same(feeder.load_kw)) for feeder in problem.feeders),
        others=tuple(_other(other, split) for other in problem.others),
    )


class _Split:
    """Into how many parts each half-hour goes."""

    def __init__(self, parts: tuple[int, ...]) -> None:
        self._parts = parts

    def same(self, values: tuple[T, ...]) -> tuple[T, ...]:
        """The value of a half-hour for each of its parts."""
        return tuple(value for value, part in zip(values, self._parts, strict=False) for _ in range(part))

    def spread(self, values: Floats) -> Floats:
        """The energy of a half-hour spread over its parts."""
        rows = zip(values, self._parts, strict=False)
        return tuple(value / part for value, part in rows for _ in range(part))

    def first(self, slot: int) -> int:
        """First interval of a half-hour."""
        return sum(self._parts[:slot])


def _car(car: CarProblem, split: _Split) -> CarProblem:
    return replace(
        car,
        plugged=split.same(car.plugged),
        drive_kwh=split.spread(car.drive_kwh),
        may_discharge=split.same(car.may_discharge),
        promises=tuple(
            Promise(index=split.first(promise.index), soc_kwh=promise.soc_kwh) for promise in car.promises
        ),
        discharge_value_yen_per_kwh=split.same(car.discharge_value_yen_per_kwh),
        planned_kw=split.same(car.planned_kw),
    )


def _zone(zone: ZoneProblem, split: _Split) -> ZoneProblem:
    return replace(
        zone,
        mode_sign=split.same(zone.mode_sign),
        cop=split.same(zone.cop),
        gain_kw=split.same(zone.gain_kw),
        low_c=split.same(zone.low_c),
        high_c=split.same(zone.high_c),
        ready_k=split.same(zone.ready_k),
        defrost=split.same(zone.defrost),
        least_kw=split.same(zone.least_kw),
        planned_kw=split.same(zone.planned_kw),
        whole_steps=None if zone.whole_steps is None else split.first(zone.whole_steps),
    )


def _pv(array: PvProblem, split: _Split) -> PvProblem:
    return replace(
        array,
        p10_kw=split.same(array.p10_kw),
        p50_kw=split.same(array.p50_kw),
        p90_kw=split.same(array.p90_kw),
    )


def _other(other: OtherAsset, split: _Split) -> OtherAsset:
    """Series whose name ends in ``_kwh`` are energies, all others hold for each part."""
    series = {
        name: split.spread(values) if name.endswith("_kwh") else split.same(values)
        for name, values in other.series.items()
    }
    return replace(other, series=series)
