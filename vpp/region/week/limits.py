"""The shared limits of a moment of the week, from what the region knows by then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from dispatch.region.limits import SharedLimit
from dispatch.region.messages import Card
from energy.core.series import FloatArray
from vpp.region.pools import SLOTS
from vpp.region.shared import RegionRules

__all__ = ["FeederLimits", "Known", "limits_at"]

MARGIN_YEN: Final = 100.0  # of a kWh between a feeder's limit and what forecast errors may add
TIGHT_YEN: Final = 200.0  # of a kWh short in a tight evening: about what imbalance costs then
PEAK_SHARE, PEAK_YEN = 0.95, 20.0  # the highest demand of the day ahead shall be less, and what that is worth
BACK: Final = 0.6  # of a feeder's limit, in the other direction


@dataclass(frozen=True, slots=True, kw_only=True)
class FeederLimits:
    """What feeders carry, and what the errors of their forecasts added in the days before. [kW]"""

    top_kw: dict[str, float]
    margin_kw: dict[str, float]
    derated_feeder: str
    derated_kw: float
    derated_in: range

    def level_kw(self, name: str, slots: Sequence[int]) -> FloatArray:
        """What a feeder carries in half-hours of the week. [kW]"""
        top = self.top_kw.get(name, 0.0)
        carried: FloatArray = np.array(
            [
                min(top, self.derated_kw) if name == self.derated_feeder and t in self.derated_in else top
                for t in slots
            ]
        )
        return carried


@dataclass(slots=True, kw_only=True)
class Known:
    """What the region knows when it plans.

    Parameters
    ----------
    begun : int
        Half-hour of the week at which the plan begins.
    submitted_kw : ndarray
        Plan that was handed in, by half-hour of the week; NaN where none was yet. [kW]
    silent : ndarray of bool
        Sites that do not answer; what they use is forecast, not planned.
    dr : range, optional
        What is left of the tight evening, once it is announced; half-hours of the week.
    dr_level_kw : ndarray
        What the sites that joined shall not exceed in it together. [kW]
    dr_usual_kw : ndarray, shape (sites, slots)
        What each site could have dropped in it as it was planned before the call. [kW]
    """

    begun: int
    submitted_kw: FloatArray
    silent: np.ndarray
    feeders: FeederLimits
    dr: range | None = None
    dr_level_kw: FloatArray = field(default_factory=lambda: np.empty(0))
    dr_usual_kw: FloatArray = field(default_factory=lambda: np.empty(0))


def joined_of(cards: Sequence[Card], silent: np.ndarray) -> np.ndarray:
    """Sites that can be called."""
    joined: np.ndarray = np.array([card.joins_dr and not card.fault for card in cards], dtype=bool)
    return np.asarray(joined & ~silent)


def limits_at(
    known: Known, rules: RegionRules, usual_kw: FloatArray, cards: tuple[Card, ...]
) -> list[SharedLimit]:
    """The limits of the next 48 half-hours.

    Parameters
    ----------
    usual_kw : ndarray, shape (sites, 48)
        What every site would do alone, those that are silent included. [kW]
    """
    sites, slots = usual_kw.shape
    everyone, at = np.ones(sites, dtype=bool), known.begun + np.arange(slots)
    silent_kw = usual_kw[known.silent].sum(axis=0)
    limits = _balance(known, rules, everyone, at, silent_kw)
    names = np.array([card.feeder for card in cards])
    for name in sorted(set(names.tolist())):
        members = names == name
        limits += _feeder(
            known, rules, name, members, at=at, silent_kw=usual_kw[members & known.silent].sum(axis=0)
        )
    peak = PEAK_SHARE * float(usual_kw.sum(axis=0).max())
    top = np.full(slots, peak) - silent_kw
    every = np.arange(slots)
    limits.append(one_sided("peak", "peak", everyone, every, level_kw=top, above=PEAK_YEN, promise=False))
    if known.dr is not None:
        called = np.flatnonzero(np.isin(at, known.dr))
        if called.size:
            level = known.dr_level_kw[[int(t) - known.dr.start for t in at[called]]]
            joined = joined_of(cards, known.silent)
            limits.append(one_sided("dr", "dr", joined, called, level_kw=level, above=rules.dr_yen))
    return limits


def _balance(
    known: Known, rules: RegionRules, everyone: np.ndarray, at: np.ndarray, silent_kw: FloatArray
) -> list[SharedLimit]:
    """Balance to what was submitted, and what leaves the region."""
    slots = np.arange(len(at))
    inside = at < len(known.submitted_kw)
    submitted = np.where(inside, known.submitted_kw[np.minimum(at, len(known.submitted_kw) - 1)], np.nan)
    told = np.flatnonzero(np.isfinite(submitted))
    limits = [
        SharedLimit(
            name="local", kind="local", members=everyone, slots=slots, level_kw=-silent_kw,
            above_yen=np.zeros(len(at)), below_yen=np.full(len(at), rules.out_yen), promise=False,
        )
    ]  # fmt: skip
    if told.size:
        evening = np.isin(at[told] % SLOTS, np.arange(34, 38))
        above = np.where(evening, rules.evening_yen, rules.short_yen)
        if known.dr is not None:
            above = np.where(np.isin(at[told], known.dr), TIGHT_YEN, above)
        level = (submitted - silent_kw)[told]
        limits.append(
            SharedLimit(
                name="balance", kind="balance", members=everyone, slots=told, level_kw=level, promise=False,
                above_yen=above,
                below_yen=np.full(told.size, rules.long_yen),
            )
        )  # fmt: skip
    return limits


def _feeder(
    known: Known, rules: RegionRules, name: str, members: np.ndarray, *, at: np.ndarray, silent_kw: FloatArray
) -> list[SharedLimit]:  # fmt: skip
    slots = np.arange(len(at))
    top = known.feeders.level_kw(name, at.tolist())
    margin = known.feeders.margin_kw.get(name, 0.0)
    return [
        one_sided(name, "feeder", members, slots, level_kw=top - silent_kw, above=rules.feeder_yen),
        one_sided(
            f"{name}-back", "feeder", members, slots, level_kw=-BACK * top - silent_kw, below=rules.feeder_yen
        ),
        one_sided(
            f"{name}-margin", "margin", members, slots,
            level_kw=top - margin - silent_kw, above=MARGIN_YEN, promise=False,
        ),
    ]  # fmt: skip


def one_sided(
    name: str, kind: str, members: np.ndarray, slots: np.ndarray, *,
    level_kw: FloatArray, above: float = 0.0, below: float = 0.0,
    droppable: bool = False, promise: bool = True,
) -> SharedLimit:  # fmt: skip
    """A limit with a price on one side."""
    n = len(slots)
    return SharedLimit(
        name=name, kind=kind, members=members, slots=slots, level_kw=level_kw, promise=promise,
        above_yen=np.full(n, above), below_yen=np.full(n, below), droppable=droppable,
    )  # fmt: skip
