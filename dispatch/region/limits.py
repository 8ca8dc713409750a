"""What sites share: for each half-hour a convex cost of the power that a group of sites has together.

Balance to a submitted plan, feeders, demand response, reserve and local use are all of one form: above a
level each kWh costs so much, below it so much. A limit that must be kept is one with a price that outbids the
others, so two limits that contradict each other give a named shortfall and not a plan that does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from energy.core.errors import PlanError
from energy.core.series import FloatArray

__all__ = ["Accounts", "RegionShortfall", "SharedLimit"]

_NOTICED_KW = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLimit:
    """A level of the power that some sites have together.

    Parameters
    ----------
    name : str
        As in ``feeder-003``; names the shortfall.
    kind : str
        ``balance``, ``local``, ``feeder``, ``dr`` or ``reserve``.
    members : ndarray of bool, shape (sites,)
        Sites that count.
    slots : ndarray of int
        Half-hours in which it holds.
    level_kw : ndarray
        The level, one per half-hour of ``slots``. [kW]
    above_yen, below_yen : ndarray
        Price of each kWh above and below it; together not below 0. [yen/kWh]
    droppable : bool
        Whether it is the power that could be dropped at once that counts, not the power itself.
    promise : bool
        Whether missing it is a shortfall and not just a cost.
    """

    name: str
    kind: str
    members: NDArray[np.bool_]
    slots: NDArray[np.int64]
    level_kw: FloatArray
    above_yen: FloatArray
    below_yen: FloatArray
    droppable: bool = False
    promise: bool = True

    def __post_init__(self) -> None:
        if np.any(self.above_yen + self.below_yen < 0.0):
            raise PlanError(
                "a shared limit pays for being off",
                where=f"{self.name}: the prices above and below sum to less than 0",
                hint="mend the imbalance prices",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionShortfall:
    """A shared limit that is not kept: its name, half-hour, and by how much. [kW]"""

    name: str
    kind: str
    slot: int
    amount_kw: float


@dataclass(frozen=True, slots=True)
class _Account:
    """Limits on one group of sites: rows ``first .. first + len(slots)``."""

    members: NDArray[np.bool_]
    droppable: bool
    slots: NDArray[np.int64]
    first: int
    limits: tuple[SharedLimit, ...]

    @property
    def rows(self) -> slice:
        return slice(self.first, self.first + len(self.slots))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(limit.name for limit in self.limits)


class Accounts:
    """All shared limits, gathered by the group of sites that they count.

    Row ``r`` is one group in one half-hour; ``levels[r]`` are its levels, rising, and ``slopes[r]`` what one
    more kW costs below the first, between them, and above the last. [kW, yen/kW]

    Parameters
    ----------
    hours : float
        Length of a half-hour. [h]
    """

    def __init__(self, limits: Sequence[SharedLimit], *, slots: int, hours: float) -> None:
        self.slots, self.hours, self.limits = slots, hours, tuple(limits)
        groups: dict[tuple[bytes, bool], list[SharedLimit]] = {}
        for limit in limits:
            groups.setdefault((limit.members.tobytes(), limit.droppable), []).append(limit)
        self.parts: list[_Account] = []
        self.rows = 0
        for group in groups.values():
            used = np.unique(np.concatenate([limit.slots for limit in group]))
            part = _Account(group[0].members, group[0].droppable, used, self.rows, tuple(group))
            self.parts.append(part)
            self.rows += len(used)
        most = max((len(group) for group in groups.values()), default=1)
        self.levels = np.zeros((self.rows, most))
        self.slopes = np.zeros((self.rows, most + 1))
        for part in self.parts:
            self._fill(part, most)

    def _fill(self, part: _Account, most: int) -> None:
        """Levels and slopes of a group; where a limit does not hold, a level at which nothing changes."""
        n = len(part.slots)
        levels, above, below = np.zeros((n, most)), np.zeros((n, most)), np.zeros((n, most))
        for k, limit in enumerate(part.limits):
            at = np.searchsorted(part.slots, limit.slots)
            levels[at, k], above[at, k], below[at, k] = limit.level_kw, limit.above_yen, limit.below_yen
        order = np.argsort(levels, axis=1, kind="stable")
        levels, above, below = (np.take_along_axis(table, order, axis=1) for table in (levels, above, below))
        start = -below.sum(axis=1, keepdims=True)
        slopes = np.concatenate([start, start + np.cumsum(above + below, axis=1)], axis=1)
        self.levels[part.rows], self.slopes[part.rows] = levels, slopes * self.hours

    def sums(self, power_kw: FloatArray, drop_kw: FloatArray) -> FloatArray:
        """What each group has, from the powers of all sites, shape (rows,). [kW]"""
        total = np.zeros(self.rows)
        for part in self.parts:
            table = drop_kw if part.droppable else power_kw
            total[part.rows] = table[part.members].sum(axis=0)[part.slots]
        return total

    def cost(self, sums: FloatArray) -> FloatArray:
        """What each row costs at these sums. [yen]"""
        over = sums[:, None] - self.levels
        rise = np.diff(self.slopes, axis=1)  # of the slope at each level, >= 0
        # the line left of the first level is 0 at the zero of the sum of its hinges
        left = self.slopes[:, 0] * sums + self._constant()
        cost: FloatArray = left + (rise * np.maximum(0.0, over)).sum(axis=1)
        return cost

    def _constant(self) -> FloatArray:
        """What the line left of all levels is at zero: each limit's price below, times its level. [yen]"""
        constant = np.zeros(self.rows)
        for part in self.parts:
            for limit in part.limits:
                at = part.first + np.searchsorted(part.slots, limit.slots)
                np.add.at(constant, at, self.hours * limit.below_yen * limit.level_kw)
        return constant

    def within(self, prices: FloatArray) -> FloatArray:
        """Prices per row brought between the least and the highest slope. [yen/kW]"""
        return np.clip(prices, self.slopes[:, 0], self.slopes[:, -1])

    def marginal(self, sums: FloatArray) -> FloatArray:
        """What one more kW costs at these sums. [yen/kW]"""
        above = (sums[:, None] > self.levels).sum(axis=1)
        slope: FloatArray = np.take_along_axis(self.slopes, above[:, None], axis=1)[:, 0]
        return slope

    def least(self, prices: FloatArray) -> FloatArray:
        """The least of ``cost(S) - price * S`` over all S: attained at a level, for prices within. [yen]"""
        values = [
            self.cost(self.levels[:, k]) - prices * self.levels[:, k] for k in range(self.levels.shape[1])
        ]
        least: FloatArray = np.min(values, axis=0)
        return least

    def carried(self, before: Accounts | None, prices: FloatArray) -> FloatArray:
        """Prices of other limits, for those that are here too: same group by name, same half-hour; else 0."""
        carried = np.zeros(self.rows)
        known = {} if before is None else {part.names: part for part in before.parts}
        for part in self.parts:
            old = next((known[key] for key in known if key & part.names), None)
            if old is None:
                continue
            row = np.zeros(self.slots)
            row[old.slots] = prices[old.rows]
            carried[part.rows] = row[part.slots]
        return self.within(carried)

    def of_sites(self, prices: FloatArray, sites: int) -> tuple[FloatArray, FloatArray]:
        """Prices of each site: of its power and of what it could drop, shape (sites, slots). [yen/kWh]"""
        power, drop = np.zeros((sites, self.slots)), np.zeros((sites, self.slots))
        for part in self.parts:
            row = np.zeros(self.slots)
            row[part.slots] = prices[part.rows] / self.hours
            if part.droppable:
                drop[part.members] -= row
            else:
                power[part.members] += row
        return power, drop

    def shortfalls(self, sums: FloatArray) -> tuple[RegionShortfall, ...]:
        """Promises that are missed at these sums, by name and half-hour."""
        found = []
        for part in self.parts:
            for limit in part.limits:
                if not limit.promise:
                    continue
                at = part.first + np.searchsorted(part.slots, limit.slots)
                over = sums[at] - limit.level_kw
                missed = np.where(limit.above_yen > 0.0, over, 0.0)
                missed = np.maximum(missed, np.where(limit.below_yen > 0.0, -over, 0.0))
                found += [
                    RegionShortfall(name=limit.name, kind=limit.kind, slot=int(slot), amount_kw=float(amount))
                    for slot, amount in zip(limit.slots, missed, strict=True)
                    if amount > _NOTICED_KW
                ]
        return tuple(found)
