"""The shared limits of a region: submitted plan, feeders, demand response, reserve, local use.

What a real region would read from its balancing group, its grid operator and its contracts is derived here
from what the sites do alone, by stated rules, so that any region can be planned. All prices are assumptions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from dispatch.region.limits import SharedLimit
from dispatch.region.messages import Card
from energy.core.series import FloatArray

__all__ = ["RegionRules"]

DAY: Final = 48
_EVENING: Final = (34, 38)  # 17:00 to 19:00


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionRules:
    """How the shared limits follow from what the sites do alone.

    Parameters
    ----------
    seed : int
        Of the error of the submitted plan.
    error : float
        Standard deviation of the plan's error, which lasts for hours. [-]
    short_yen, evening_yen, long_yen : float
        A kWh above the plan by day, in the evening, and below it, beyond its price. [yen/kWh]
    feeder_share, tight_share : float
        What a feeder carries, of the highest it has alone; every fourth one is tight. [-]
    feeder_yen, dr_yen, reserve_yen, out_yen : float
        Prices of missing a feeder's limit, the demand response, the reserve, and of a kWh that leaves the
        region. [yen/kWh]
    dr_share : float
        Reduction in the evening, of what the sites that joined have alone; 0 for no event. [-]
    dr_kw : float, optional
        The same as a number. [kW]
    reserve_share : float
        What must be droppable in the evening, of what is alone. [-]
    """

    seed: int = 0
    error: float = 0.03
    short_yen: float = 10.0
    evening_yen: float = 25.0
    long_yen: float = 6.0
    feeder_share: float = 1.15
    tight_share: float = 0.97
    feeder_yen: float = 2000.0
    dr_share: float = 0.04
    dr_kw: float | None = None
    dr_yen: float = 150.0
    reserve_share: float = 0.5
    reserve_yen: float = 60.0
    out_yen: float = 6.0

    def __call__(
        self, cards: tuple[Card, ...], alone_kw: FloatArray, droppable_kw: FloatArray
    ) -> list[SharedLimit]:
        """The limits."""
        sites, slots = alone_kw.shape
        everyone, all_slots = np.ones(sites, dtype=bool), np.arange(slots)
        total = alone_kw.sum(axis=0)
        evening = np.isin(all_slots % DAY, np.arange(*_EVENING))
        limits = [
            SharedLimit(
                name="balance", kind="balance", members=everyone, slots=all_slots,
                level_kw=self._submitted_kw(total), promise=False,
                above_yen=np.where(evening, self.evening_yen, self.short_yen),
                below_yen=np.full(slots, self.long_yen),
            ),
            SharedLimit(
                name="local", kind="local", members=everyone, slots=all_slots, level_kw=np.zeros(slots),
                above_yen=np.zeros(slots), below_yen=np.full(slots, self.out_yen), promise=False,
            ),
            *self._feeders(cards, alone_kw),
        ]  # fmt: skip
        called = np.flatnonzero(evening)
        joined = np.array([card.joins_dr and not card.fault for card in cards], dtype=bool)
        if called.size and (self.dr_kw or self.dr_share):
            usual = alone_kw[joined].sum(axis=0)[called]
            level = usual - self.dr_kw if self.dr_kw is not None else (1.0 - self.dr_share) * usual
            limits.append(_one_sided("dr", "dr", joined, called, level_kw=level, above=self.dr_yen))
        ready = np.flatnonzero(np.isin(all_slots % DAY, np.arange(_EVENING[0] - 2, _EVENING[1] + 2)))
        if ready.size and self.reserve_share:
            level = self.reserve_share * np.maximum(0.0, droppable_kw.sum(axis=0)[ready])
            limits.append(
                _one_sided(
                    "reserve",
                    "reserve",
                    everyone,
                    ready,
                    level_kw=level,
                    below=self.reserve_yen,
                    droppable=True,
                )
            )
        return limits

    def _submitted_kw(self, total: FloatArray) -> FloatArray:
        """The plan of the day before: smooth, and wrong for hours at a time. [kW]"""
        smooth = np.convolve(np.pad(total, 1, mode="edge"), np.full(3, 1.0 / 3.0), mode="valid")
        rng, error = np.random.default_rng([self.seed, 7]), 0.0
        errors = np.empty(len(total))
        for t in range(len(total)):
            error = 0.8 * error + 0.6 * float(rng.normal(0.0, self.error))
            errors[t] = error
        submitted: FloatArray = smooth * (1.0 + errors)
        return submitted

    def _feeders(self, cards: tuple[Card, ...], alone_kw: FloatArray) -> list[SharedLimit]:
        limits: list[SharedLimit] = []
        names = np.array([card.feeder for card in cards])
        for number, name in enumerate(sorted(set(names.tolist()))):
            members = names == name
            sums = alone_kw[members].sum(axis=0)
            share = self.tight_share if number % 4 == 0 else self.feeder_share
            slots = np.arange(len(sums))
            top = np.full(len(sums), share * float(sums.max(initial=0.0)))
            bottom = np.full(len(sums), -0.6 * float(np.abs(sums).max(initial=0.0)))
            limits.append(_one_sided(name, "feeder", members, slots, level_kw=top, above=self.feeder_yen))
            limits.append(
                _one_sided(f"{name}-back", "feeder", members, slots, level_kw=bottom, below=self.feeder_yen)
            )
        return limits


def _one_sided(
    name: str,
    kind: str,
    members: np.ndarray,
    slots: np.ndarray,
    *,
    level_kw: FloatArray,
    above: float = 0.0,
    below: float = 0.0,
    droppable: bool = False,
) -> SharedLimit:
    n = len(slots)
    return SharedLimit(
        name=name, kind=kind, members=members, slots=slots, level_kw=level_kw,
        above_yen=np.full(n, above), below_yen=np.full(n, below), droppable=droppable,
    )  # fmt: skip
