"""What the rows of a scoreboard say together: means, standard errors, and how much of a gap is closed.

The weeks are chosen, the seeds are drawn. So a mean is the mean of the weeks' means, and its standard error
comes from the scatter between seeds within each week alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import date

from energy.core.errors import DataError
from vpp.simulation.results import Controller

__all__ = ["FIGURES", "BoardRow", "Estimate", "Gap", "Standings", "standings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRow:
    """One controller in one week with one seed.

    Parameters
    ----------
    energy_yen, bill_yen : int
        Energy part of the bill; the bill, with the basic charge by its share of the month. [yen]
    peak_kw : float
        Highest 30-minute import. [kW]
    peak_yen : int
        What the peak above the demand that is paid anyway costs over the twelve months that remember it.
    comfort_degc_h : float
        Degree-hours outside the comfort bands while people were in. [K h]
    departures, departures_missed : int
        Departures, and those below the promised charge.
    limits_broken : int
        Half hours above the contract, discharging below an owner's floor, or with export of more than 1 Wh.
    stored_kwh_change : float
        Energy in the batteries at the end minus at the start. [kWh]
    cost_yen : int
        Energy, peak over twelve months, and penalties for discomfort and missed departures, less what is
        stored; lower is better. [yen]
    """

    controller: Controller
    week: date
    seed: int
    energy_yen: int
    bill_yen: int
    peak_kw: float
    peak_yen: int
    comfort_degc_h: float
    departures: int
    departures_missed: int
    limits_broken: int
    stored_kwh_change: float
    cost_yen: int
    guard_actions: int
    fallback_plans: int
    wall_s: float

    def to_json(self) -> dict[str, object]:
        """The row as plain values."""
        return asdict(self) | {"week": self.week.isoformat()}


FIGURES: dict[str, Callable[[BoardRow], float]] = {
    "cost_yen": lambda row: row.cost_yen,
    "energy_yen": lambda row: row.energy_yen,
    "peak_yen": lambda row: row.peak_yen,
    "bill_yen": lambda row: row.bill_yen,
    "peak_kw": lambda row: row.peak_kw,
    "comfort_degc_h": lambda row: row.comfort_degc_h,
    "departures_missed": lambda row: row.departures_missed,
    "limits_broken": lambda row: row.limits_broken,
}
"""Figures of a standing, each of one row."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and its standard error; None where a week has one seed only."""

    mean: float
    se: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """How much of the gap between two controllers a third one closes, in cost. [-]

    ``share = (cost of base - cost of ours) / (cost of base - cost of bound)`` of the means over all runs; the
    standard error by leaving out one seed after the other (jackknife). None where it cannot be said.
    """

    base: Controller
    bound: Controller
    ours: Controller
    share: float | None
    se: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Standings:
    """All controllers side by side.

    Parameters
    ----------
    n : int
        Runs of each controller.
    figures : dict
        By controller and figure (:data:`FIGURES`).
    totals : dict
        By controller: departures, missed ones, broken limits and fallback plans over all runs.
    """

    weeks: tuple[date, ...]
    seeds: tuple[int, ...]
    n: int
    figures: dict[Controller, dict[str, Estimate]]
    totals: dict[Controller, dict[str, int]]
    gap: Gap | None
    gap_by_week: dict[date, Gap]

    def to_json(self) -> dict[str, object]:
        """The standings as plain values."""
        return {
            "weeks": [week.isoformat() for week in self.weeks],
            "seeds": list(self.seeds),
            "n": self.n,
            "controllers": {
                name: {figure: asdict(value) for figure, value in figures.items()} | self.totals[name]
                for name, figures in self.figures.items()
            },
            "gap": asdict(self.gap) if self.gap is not None else None,
            "gap_by_week": {week.isoformat(): asdict(gap) for week, gap in self.gap_by_week.items()},
        }


def standings(rows: Sequence[BoardRow]) -> Standings:
    """Put the rows of complete weeks and seeds together.

    Raises
    ------
    DataError
        If a controller lacks a week or a seed that another one has: they could not be compared.
    """
    names = tuple(dict.fromkeys(row.controller for row in rows))
    weeks = tuple(sorted({row.week for row in rows}))
    seeds = tuple(sorted({row.seed for row in rows}))
    have = {(row.controller, row.week, row.seed) for row in rows}
    for name in names:
        for week in weeks:
            for seed in seeds:
                if (name, week, seed) not in have:
                    raise DataError(
                        "the runs of a scoreboard are not complete",
                        where=f"{name} has no week {week} with seed {seed}",
                        hint="start the same command again; what is done is kept",
                    )
    figures = {
        name: {
            figure: _estimate([row for row in rows if row.controller == name], weeks, value)
            for figure, value in FIGURES.items()
        }
        for name in names
    }
    return Standings(
        weeks=weeks,
        seeds=seeds,
        n=len(weeks) * len(seeds),
        figures=figures,
        totals={name: _totals([row for row in rows if row.controller == name]) for name in names},
        gap=_gap(rows, seeds),
        gap_by_week={
            week: gap
            for week in weeks
            if (gap := _gap([row for row in rows if row.week == week], seeds)) is not None
        },
    )


def _totals(rows: Sequence[BoardRow]) -> dict[str, int]:
    return {
        "departures_total": sum(row.departures for row in rows),
        "departures_missed_total": sum(row.departures_missed for row in rows),
        "limits_broken_total": sum(row.limits_broken for row in rows),
        "fallback_plans_total": sum(row.fallback_plans for row in rows),
    }


def _estimate(
    rows: Sequence[BoardRow], weeks: Sequence[date], value: Callable[[BoardRow], float]
) -> Estimate:
    """``mean of week means``; ``se = sqrt(sum of s_w^2 / n_w) / W`` over W weeks of n_w seeds each."""
    by_week = [[float(value(row)) for row in rows if row.week == week] for week in weeks]
    means = [sum(values) / len(values) for values in by_week]
    mean = sum(means) / len(means)
    if any(len(values) < 2 for values in by_week):
        return Estimate(mean, None)
    variances = [
        sum((one - middle) ** 2 for one in values) / (len(values) - 1) / len(values)
        for values, middle in zip(by_week, means, strict=True)
    ]
    return Estimate(mean, math.sqrt(sum(variances)) / len(weeks))


def _gap(rows: Sequence[BoardRow], seeds: Sequence[int]) -> Gap | None:
    """The gap from the optimiser without a guard to perfect foresight, if all three were run."""
    base, bound, ours = "mpc", "perfect", "optimal"
    if {base, bound, ours} - {row.controller for row in rows}:
        return None
    share = _share(rows)
    left_out = [_share([row for row in rows if row.seed != seed]) for seed in seeds] if len(seeds) > 1 else []
    known = [one for one in left_out if one is not None]
    se = None
    if len(known) > 1 and len(known) == len(seeds):
        middle = sum(known) / len(known)
        se = math.sqrt((len(known) - 1) / len(known) * sum((one - middle) ** 2 for one in known))
    return Gap(base="mpc", bound="perfect", ours="optimal", share=share, se=se)


def _share(rows: Sequence[BoardRow]) -> float | None:
    cost = {
        name: sum(row.cost_yen for row in rows if row.controller == name)
        for name in ("mpc", "perfect", "optimal")
    }
    gap = cost["mpc"] - cost["perfect"]
    return (cost["mpc"] - cost["optimal"]) / gap if gap > 0 else None
