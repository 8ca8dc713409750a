"""Which inputs moved a forecast: the difference to another day, shared among groups of inputs.

The same model is run with each group of inputs as it is now and as it was in the situation compared with.
A group's effect is its Shapley value [1]_: what it adds, averaged over all orders in which the groups can
change from then to now. Effects add up to the difference exactly, whatever the model, and a group that
changes nothing has none. With at most six groups these are 64 runs, so nothing is sampled.

References
----------
.. [1] Shapley (1953), A value for n-person games, Contributions to the Theory of Games II, 307-317; for
   forecasts: Lundberg and Lee (2017), A unified approach to interpreting model predictions, NeurIPS 30.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from math import factorial
from typing import Final

import numpy as np

from energy.core.errors import AlignmentError, ForecastError
from energy.core.series import FloatArray, Grid

__all__ = ["Cause", "Effect", "Reasons", "mean_of", "shapley"]

MOST_GROUPS: Final = 6  # 64 runs of a model; more would have to be sampled


class Cause(StrEnum):
    """A group of inputs that can move a forecast."""

    DAY_TYPE = "day_type"  # whether the site works, by its calendar
    LAST_DAYS = "last_days"  # what was metered up to the midnight before the issue
    MORNING = "morning"  # errors of the forecast since that midnight
    TEMPERATURE = "temperature"  # forecast outdoor temperature
    SUN = "sun"  # forecast irradiance
    ROOF = "roof"  # what the array's meter showed of late: snow, shade, errors of the morning
    CHANCE = "chance"  # how the day compared with came out against its own inputs


@dataclass(frozen=True, slots=True)
class Effect:
    """What one group of inputs adds.

    Parameters
    ----------
    by_slot_kw : ndarray
        Positive raises the forecast. [kW]
    facts : dict
        The inputs in words and numbers, now and then; for the sentence.
    """

    cause: Cause
    by_slot_kw: FloatArray
    facts: Mapping[str, object] = field(default_factory=dict)

    def mean_kw(self, part: slice = slice(None)) -> float:
        """Mean over some slots. [kW]"""
        return float(np.mean(self.by_slot_kw[part]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reasons:
    """Why a forecast differs from another day.

    Parameters
    ----------
    grid : Grid
        Slots of the forecast.
    forecast_kw : ndarray, shape (grid.count,)
        P50 as the model gives it. [kW]
    compared_kw : ndarray, shape (grid.count,)
        The day compared with. [kW]
    effects : tuple of Effect
        Largest mean first; they add up to ``forecast_kw - compared_kw`` in every slot.
    unused : tuple of Cause
        Groups that the model does not look at.
    unchanged : tuple of Cause
        Groups that are the same now and then.

    Raises
    ------
    AlignmentError
        If an array does not fit the grid.
    ForecastError
        If the effects do not add up: the model is not a function of its inputs.
    """

    grid: Grid
    forecast_kw: FloatArray
    compared_kw: FloatArray
    effects: tuple[Effect, ...]
    unused: tuple[Cause, ...] = ()
    unchanged: tuple[Cause, ...] = ()

    def __post_init__(self) -> None:
        for values in (self.forecast_kw, self.compared_kw, *(one.by_slot_kw for one in self.effects)):
            if values.shape != (self.grid.count,):
                raise AlignmentError(
                    "reasons do not fit their grid", values=values.shape, grid=self.grid.count
                )
        rest = self.forecast_kw - self.compared_kw - sum(one.by_slot_kw for one in self.effects)
        if not np.allclose(rest, 0.0, atol=1e-6):
            raise ForecastError(
                "the reasons do not add up to the difference",
                where=f"up to {float(np.abs(rest).max()):.3g} kW are left",
                hint="the model gave two answers to the same inputs; report it",
            )
        ordered = sorted(self.effects, key=lambda one: -abs(one.mean_kw()))
        object.__setattr__(self, "effects", tuple(ordered))

    def over(self, part: slice) -> tuple[float, float]:
        """Mean of the forecast, and of the day compared with, over some slots. [kW]"""
        return float(np.mean(self.forecast_kw[part])), float(np.mean(self.compared_kw[part]))


def shapley(
    groups: Sequence[Cause], run: Callable[[frozenset[Cause]], FloatArray]
) -> dict[Cause, FloatArray]:
    """Effect of each group on the way from the run with none of them to the run with all.

    Parameters
    ----------
    groups : sequence of Cause
        Groups that differ, at most six.
    run : callable
        The model's answer with these groups as they are now and the others as they were then; called once
        for each subset. [kW]

    Notes
    -----
    ``phi[g] = sum over S without g of |S|! (n - |S| - 1)! / n! * (run(S + g) - run(S))``.

    Raises
    ------
    ForecastError
        If there are too many groups.

    Examples
    --------
    >>> effects = shapley([Cause.SUN, Cause.ROOF], lambda now: np.array([10.0 * len(now)]))
    >>> effects[Cause.SUN]
    array([10.])
    """
    count = len(groups)
    if count > MOST_GROUPS:
        raise ForecastError(
            "too many groups of inputs to explain exactly", where=f"{count}, at most {MOST_GROUPS}"
        )
    said = {
        frozenset(some): run(frozenset(some))
        for size in range(count + 1)
        for some in combinations(groups, size)
    }
    effects = {}
    for group in groups:
        without = [some for some in said if group not in some]
        weights = [factorial(len(s)) * factorial(count - len(s) - 1) / factorial(count) for s in without]
        gains = [said[some | {group}] - said[some] for some in without]
        effects[group] = np.asarray(np.tensordot(weights, np.array(gains), axes=1))
    return effects


def mean_of(several: Sequence[Reasons]) -> Reasons:
    """Reasons against the mean of several days; they still add up, since each of them does.

    Facts are those of the first, whose day is the nearest. A group counts as unchanged only where it is so
    against every day.

    Raises
    ------
    ForecastError
        If there is none to average.
    """
    if not several:
        raise ForecastError("there is no day to compare with", hint="the store must reach a week back")
    first = several[0]
    facts: dict[Cause, Mapping[str, object]] = {}
    totals: dict[Cause, FloatArray] = {}
    for one in several:
        for effect in one.effects:
            facts.setdefault(effect.cause, effect.facts)
            totals[effect.cause] = totals.get(effect.cause, 0.0) + effect.by_slot_kw / len(several)
    return Reasons(
        grid=first.grid,
        forecast_kw=first.forecast_kw,
        compared_kw=np.asarray(np.mean([one.compared_kw for one in several], axis=0)),
        effects=tuple(Effect(cause, total, facts[cause]) for cause, total in totals.items()),
        unused=first.unused,
        unchanged=tuple(cause for cause in first.unchanged if all(cause in one.unchanged for one in several)),
    )
