"""The region's loop: prices to the sites, bids back, a better mixture, new prices; the gap is always proven.

Column generation (Dantzig and Wolfe 1960) with one convexity row per cell of sites, duals from an interior
point and smoothed towards the best ones so far (Wentges 1997). Each round gives a lower bound, the sites'
least answers to the prices plus the least of the shared costs at them (Lagrange), whatever the master's
accuracy. At any moment there is a mixture that every site can keep.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np

from dispatch.region.limits import Accounts, SharedLimit
from dispatch.region.master import Columns, Mixture, solve_master
from dispatch.region.messages import Bids, Card, Opened, Prices, Settled, Weights
from dispatch.region.outcome import CoordinatorSettings, RegionPlan, Trace
from dispatch.region.sites import Block
from dispatch.region.work import WorkSettings, bid_block, open_block, settle_block
from energy.core.errors import DataError, PlanError
from energy.core.series import FloatArray, Grid

__all__ = ["Coordinator", "Crew", "LimitsOf"]

LimitsOf = Callable[[tuple[Card, ...], FloatArray, FloatArray], Sequence[SharedLimit]]
Stop = Callable[[], bool]

_NEAR = 0.9  # of the gap that is wanted: settling may cost a little
_NEAR_SHORT = 0.2  # as long as a promise is missed, a few rounds more may keep it


class Crew(Protocol):
    """Works for blocks, somewhere; keeps the order of the calls."""

    def run(
        self, function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], *, at: Sequence[int]
    ) -> list[Any]:
        """Results of ``function(*call)``; calls of one number in ``at`` should go to one worker."""


@dataclass(slots=True)
class _Place:
    """A block, where its sites lie in the region, and the rounds it has taken part in.

    Parameters
    ----------
    live : ndarray of bool
        Sites that are still planned here; others were replaced or are lost.
    at : list of int
        Round of the region that each round of the block is.
    """

    block: Block
    rows: np.ndarray
    live: np.ndarray
    rounds: list[Prices]
    at: list[int]


class Coordinator:
    """Plans a region, and plans it again from the last prices and bids.

    Parameters
    ----------
    blocks : sequence of Block
        The sites, in order and without gaps.
    grid : Grid
        Half-hours.
    limits_of : callable
        The shared limits, from the cards of all sites and what they do alone.
    crew : Crew
        Who works for the blocks.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        grid: Grid,
        limits_of: LimitsOf,
        crew: Crew,
        *,
        work: WorkSettings | None = None,
    ) -> None:
        self.grid, self._crew, self._work = grid, crew, work or WorkSettings()
        self._places: list[_Place] = []
        self._cards: list[Card] = []
        self._yen: list[FloatArray] = []
        self._power: list[FloatArray] = []
        self._drop: list[FloatArray] = []
        self._lower, self._best, self._bound = -np.inf, np.empty(0), np.empty(0)
        self._share = np.empty((0, 0))
        self._accounts: Accounts | None = None
        self._template_s = 0.0
        self._begun = time.perf_counter()
        self._open(blocks)
        self.set_limits(limits_of)

    # -- who is there ----------------------------------------------------------------------------------

    @property
    def cards(self) -> tuple[Card, ...]:
        """All sites."""
        return tuple(self._cards)

    @property
    def alone_kw(self) -> FloatArray:
        """What each site does if nobody asks for anything, shape (sites, slots). [kW]"""
        return self._power[0]

    @property
    def alone_droppable_kw(self) -> FloatArray:
        """What of that could be dropped at once. [kW]"""
        return self._drop[0]

    @property
    def alone_yen(self) -> FloatArray:
        """What it costs each site by itself; NaN for one that takes no part. [yen]"""
        return self._yen[0]

    @property
    def prices(self) -> FloatArray:
        """The best prices so far, per row of the limits. [yen/kW]"""
        return self._best

    def _open(self, blocks: Sequence[Block]) -> None:
        """Open blocks; what their sites do alone is round 0."""
        first = 0
        answers = []
        for block, (opening, answer) in zip(blocks, self._opened(blocks), strict=True):
            rows = np.arange(first, first + block.count)
            live = np.ones(block.count, dtype=bool)
            self._places.append(_Place(block, rows, live, [opening], [0]))
            self._cards += answer.cards
            answers.append((rows, answer.bids))
            first += block.count
        self._opening = self._append(first, answers)
        self._bound = np.full(first, np.nan)
        self._usual = self._power[0].copy(), self._drop[0].copy()

    def _opened(self, blocks: Sequence[Block]) -> list[tuple[Prices, Opened]]:
        openings = [_nothing(block.count, self.grid.count) for block in blocks]
        calls = [(block, self._work, opening) for block, opening in zip(blocks, openings, strict=True)]
        first = len(self._places)
        answers: list[Opened] = self._crew.run(open_block, calls, at=range(first, first + len(calls)))
        self._template_s += sum(answer.template_s for answer in answers)
        return list(zip(openings, answers, strict=True))

    def touch(self, blocks: Sequence[Block], sites: Sequence[str]) -> None:
        """Sites that have changed: a car came late, a cloud front, a unit that failed.

        Only they are prepared and asked anew; all other bids, and the prices, stay good. Shared limits stay
        what they were agreed to be.

        Parameters
        ----------
        blocks : sequence of Block
            One for each site, with other keys than before.
        sites : sequence of str
            Their names, in that order.
        """
        rows = self._rows_of(sites)
        for row, block, (opening, answer) in zip(rows, blocks, self._opened(blocks), strict=True):
            self._retire(row)
            place = _Place(block, np.array([row]), np.ones(1, dtype=bool), [opening], [0])
            self._places.append(place)
            self._cards[row] = answer.cards[0]
            self._yen[0][row] = answer.bids.yen[0]
            self._power[0][row], self._drop[0][row] = answer.bids.power_kw[0], answer.bids.droppable_kw[0]
            self._opening[row] = answer.bids.bound_yen[0]

    def lose(self, sites: Sequence[str], *, fault: str = "offline") -> None:
        """Sites that do not answer any more: they take no part, and nothing is expected of them."""
        for row in self._rows_of(sites):
            self._retire(row)
            self._cards[row] = replace(self._cards[row], flexible=False, joins_dr=False, fault=fault)
            self._power[0][row] = self._drop[0][row] = 0.0

    def _rows_of(self, sites: Sequence[str]) -> list[int]:
        names = {card.site: row for row, card in enumerate(self._cards)}
        unknown = [site for site in sites if site not in names]
        if unknown:
            raise DataError(f"the region has no site {unknown[0]}", where=f"first of {len(unknown)}")
        return [names[site] for site in sites]

    def _retire(self, row: int) -> None:
        """Forget what a site has bid."""
        for place in self._places:
            place.live &= place.rows != row
        for table in self._yen:
            table[row] = np.nan
        self._bound[row] = np.nan
        self._lower = -np.inf

    def _append(self, sites: int, answers: list[tuple[np.ndarray, Bids]]) -> FloatArray:
        """Keep a round's bids; their bounds, NaN where nobody was asked."""
        slots = self.grid.count
        yen, bound = np.full(sites, np.nan), np.full(sites, np.nan)
        power, drop = np.zeros((sites, slots)), np.zeros((sites, slots))
        for rows, bids in answers:
            asked = np.isfinite(bids.yen)
            at = rows[asked]
            yen[at], bound[at] = bids.yen[asked], bids.bound_yen[asked]
            power[at], drop[at] = bids.power_kw[asked], bids.droppable_kw[asked]
        self._yen.append(yen)
        self._power.append(power)
        self._drop.append(drop)
        return bound

    def set_limits(self, limits_of: LimitsOf) -> None:
        """Other shared limits; all bids stay good, and prices of limits that go on too."""
        limits = limits_of(self.cards, *self._usual)
        before, prices = self._accounts, self._best
        self._accounts = Accounts(limits, slots=self.grid.count, hours=self.grid.hours)
        self._best = self._accounts.carried(before, prices)
        if before is not None:
            old = before.of_sites(prices, len(self._cards))
            new = self._accounts.of_sites(self._best, len(self._cards))
            same = [np.isclose(a, b).all(axis=1) for a, b in zip(old, new, strict=True)]
            self._bound[~(same[0] & same[1])] = np.nan
        self._lower = -np.inf

    # -- planning --------------------------------------------------------------------------------------

    def plan(self, settings: CoordinatorSettings, *, stop: Stop = lambda: False) -> RegionPlan:
        """Plan until the gap is reached, time is up, or somebody says stop."""
        begun, trace = self._begun, list[Trace]()
        region = _Region(self._cards, self._accounts_known(), self._yen, self._power, self._drop)
        cells = region.cells(settings.cell)
        mixture, upper = region.mixture(cells, settings.tolerance)
        unknown = region.flexible & ~np.isfinite(self._bound)
        if len(self._yen) > 1 and unknown.any():  # what has changed answers to the last prices first
            self._round(region, self._best, unknown)
            cells = region.cells(settings.cell)
            mixture, upper = region.mixture(cells, settings.tolerance)
        self._lower = max(self._lower, region.lower_yen(self._bound, self._best))
        self._free_bound(region)
        for number in range(settings.rounds):
            wanted = settings.gap * (_NEAR if region.kept(mixture, cells) else _NEAR_SHORT)
            if self._gap(upper) <= wanted or stop() or time.perf_counter() - begun > settings.time_limit_s:
                break
            keep = settings.smoothing if cells and np.isfinite(self._lower) else 0.0
            self._round(region, keep * self._best + (1.0 - keep) * mixture.prices, region.flexible)
            mixture, upper = region.mixture(cells, settings.tolerance)
            trace.append(Trace(number + 1, self._lower, upper, time.perf_counter() - begun))
        self._share = region.of_sites(mixture.share, cells)
        plan = self._settle(region, self._share, tuple(trace), begun)
        self._begun = time.perf_counter()  # what comes next is counted from its own beginning
        return plan

    def _free_bound(self, region: _Region) -> None:
        """What sites do alone is their answer to prices of zero: a bound that costs no round."""
        zero = np.zeros(region.accounts.rows)
        if np.array_equal(region.accounts.within(zero), zero):
            lower = region.lower_yen(self._opening, zero)
            if lower > self._lower:
                self._lower, self._best, self._bound = lower, zero, self._opening.copy()

    @property
    def share(self) -> FloatArray:
        """How much of each bid makes each site's schedule in the last plan, shape (sites, rounds). [-]"""
        missing = len(self._yen) - self._share.shape[1]
        return np.pad(self._share, ((0, 0), (0, missing)))

    def probe(self, extra_yen: FloatArray, *, joined: np.ndarray) -> tuple[FloatArray, FloatArray, int]:
        """What sites would do if power had an extra price, beside the last prices of the plan.

        Parameters
        ----------
        extra_yen : ndarray, shape (slots,)
            On each kWh taken. [yen/kWh]
        joined : ndarray of bool, shape (sites,)
            Sites that are asked.

        Returns
        -------
        power_kw, yen, round
            Their powers, what their own bills come to, and the round that these bids are. [kW, yen]
        """
        accounts = self._accounts_known()
        power, drop = accounts.of_sites(self._best, len(self._cards))
        flexible = np.array([card.flexible for card in self._cards], dtype=bool)
        bound = self._ask(power + extra_yen, drop, flexible & joined)
        del bound  # of other prices than those of the limits
        return self._power[-1], self._yen[-1], len(self._yen) - 1

    def settle(self, share: FloatArray) -> RegionPlan:
        """The plan of a mixture of the bids, verified site by site; gap and bound are those of the limits."""
        begun = time.perf_counter()
        region = _Region(self._cards, self._accounts_known(), self._yen, self._power, self._drop)
        return self._settle(region, share, (), begun)

    def hand_out(
        self, function: Callable[..., Any], share: FloatArray, *tables: FloatArray
    ) -> list[tuple[np.ndarray, Any]]:
        """Let the blocks do something with a mixture of their bids, where the sites are.

        Parameters
        ----------
        function : callable
            Of block, settings, rounds and weights, as :func:`~dispatch.region.work.schedules_of_block`, and
            of the block's rows of each table.
        share : ndarray, shape (sites, rounds)
            As :attr:`share`. [-]
        *tables : ndarray
            With a row for each site; a block gets its own rows.

        Returns
        -------
        list of (ndarray, object)
            Rows of the region and what was answered, by block.
        """
        calls = [
            (
                place.block,
                self._work,
                tuple(place.rounds),
                Weights(share[place.rows][:, place.at]),
                *(table[place.rows] for table in tables),
            )
            for place in self._places
        ]
        answers = self._crew.run(function, calls, at=range(len(calls)))
        return [(place.rows, answer) for place, answer in zip(self._places, answers, strict=True)]

    def _accounts_known(self) -> Accounts:
        if self._accounts is None:
            raise PlanError("the region has no limits yet", where="Coordinator", hint="set_limits first")
        return self._accounts

    def _gap(self, upper: float) -> float:
        return (upper - self._lower) / max(1.0, abs(upper))

    def _round(self, region: _Region, prices: FloatArray, asked: np.ndarray) -> None:
        """Ask sites once; keep their bids and the bound that they prove."""
        power, drop = region.accounts.of_sites(prices, len(self._cards))
        bound = self._ask(power, drop, asked)
        again = np.array_equal(prices, self._best)
        bound = np.where(np.isfinite(bound) | (not again), bound, self._bound)
        lower = region.lower_yen(bound, prices)
        if lower > self._lower or again:
            self._lower, self._best, self._bound = max(lower, self._lower), prices, bound

    def _ask(self, power: FloatArray, drop: FloatArray, asked: np.ndarray) -> FloatArray:
        """Ask sites at prices of their own, keep their bids, and give their bounds."""
        number, calls, asked_of = len(self._yen), [], list[int]()
        for k, place in enumerate(self._places):
            wanted = asked[place.rows] & place.live
            if not wanted.any():
                continue
            place.rounds.append(_said(power[place.rows], drop[place.rows], wanted))
            place.at.append(number)
            calls.append((place.block, self._work, tuple(place.rounds)))
            asked_of.append(k)
        answers: list[Bids] = self._crew.run(bid_block, calls, at=asked_of)
        places = [self._places[k].rows for k in asked_of]
        return self._append(len(self._cards), list(zip(places, answers, strict=True)))

    def _settle(
        self, region: _Region, share: FloatArray, trace: tuple[Trace, ...], begun: float
    ) -> RegionPlan:
        answers: list[Settled] = [answer for _, answer in self.hand_out(settle_block, share)]
        sites, slots = len(self._cards), self.grid.count
        yen, power, drop = np.zeros(sites), np.zeros((sites, slots)), np.zeros((sites, slots))
        broken: dict[str, tuple[str, ...]] = {}
        violation = 0.0
        for place, answer in zip(self._places, answers, strict=True):
            rows = place.rows[place.live]
            yen[rows], power[rows] = answer.yen[place.live], answer.power_kw[place.live]
            drop[rows] = answer.droppable_kw[place.live]
            violation = max(violation, float(answer.violation[place.live].max(initial=0.0)))
            for row, live, kinds in zip(place.rows.tolist(), place.live, answer.broken, strict=True):
                if kinds and live:
                    broken[self._cards[row].site] = kinds
        sums = region.accounts.sums(power, drop)
        alone = region.accounts.sums(self._power[0], self._drop[0])
        return RegionPlan(
            cards=self.cards, power_kw=power, droppable_kw=drop, site_yen=yen,
            lower_yen=self._lower,
            upper_yen=float(yen.sum() + region.accounts.cost(sums).sum()),
            alone_yen=float(np.nansum(self._yen[0]) + region.accounts.cost(alone).sum()),
            violation=violation,
            limits=region.accounts.limits,
            shortfalls=region.accounts.shortfalls(sums),
            broken=broken,
            left_out={card.site: card.fault for card in self._cards if card.fault},
            rounds=len(self._yen) - 1,
            total_s=time.perf_counter() - begun,
            template_s=self._template_s,
            trace=trace,
        )  # fmt: skip


def _nothing(sites: int, slots: int) -> Prices:
    return Prices(np.zeros((1, slots)), np.zeros((1, slots)), np.zeros(sites, dtype=np.int32))


def _said(power: FloatArray, drop: FloatArray, asked: np.ndarray) -> Prices:
    """The prices of a block's sites, each different one once."""
    both = np.concatenate([power, drop], axis=1)
    rows, group = np.unique(both, axis=0, return_inverse=True)
    slots = power.shape[1]
    where = np.where(asked, group.ravel(), -1).astype(np.int32)
    return Prices(rows[:, :slots], rows[:, slots:], where)


class _Region:
    """All bids and limits, as the master needs them."""

    def __init__(
        self,
        cards: Sequence[Card],
        accounts: Accounts,
        yen: list[FloatArray],
        power: list[FloatArray],
        drop: list[FloatArray],
    ) -> None:
        self.accounts, self._yen, self._power, self._drop = accounts, yen, power, drop
        self.flexible = np.array([card.flexible for card in cards], dtype=bool)
        still = ~self.flexible[:, None]
        self.fixed = accounts.sums(np.where(still, power[0], 0.0), np.where(still, drop[0], 0.0))
        self.fixed_yen = float(np.nansum(np.where(self.flexible, 0.0, yen[0])))

    def cells(self, size: int) -> list[np.ndarray]:
        """Flexible sites in cells: those of one count in the same limits and have bid in the same rounds."""
        sites = np.flatnonzero(self.flexible)
        signs = [part.members for part in self.accounts.parts] + [np.isfinite(yen) for yen in self._yen]
        if not sites.size:
            return []
        signature = np.array(signs)[:, sites].T
        _, group = np.unique(signature, axis=0, return_inverse=True)
        cells: list[np.ndarray] = []
        for number in range(int(group.max()) + 1):
            mine = sites[group.ravel() == number]
            cells += [mine[k : k + size] for k in range(0, len(mine), size)]
        return cells

    def mixture(self, cells: list[np.ndarray], tolerance: float) -> tuple[Mixture, float]:
        """The best mixture of the bids so far, and what it costs. [yen]"""
        if not cells or not self.accounts.rows:
            share = np.zeros((len(self._yen), len(cells)))
            share[-1] = 1.0
            mixture = Mixture(share, self.accounts.marginal(self.fixed))
        else:
            mixture = solve_master(self._columns(cells), self.accounts, self.fixed, tolerance=tolerance)
        weight = self.of_sites(mixture.share, cells)
        yen = sum(float(np.nansum(w * y)) for w, y in zip(weight.T, self._yen, strict=True))
        cost = self.accounts.cost(self.sums(weight))
        return mixture, yen + self.fixed_yen + float(cost.sum())

    def sums(self, weight: FloatArray) -> FloatArray:
        """What each row comes to in a mixture. [kW]"""
        power = np.einsum("nr,rnt->nt", weight, np.array(self._power))
        drop = np.einsum("nr,rnt->nt", weight, np.array(self._drop))
        return self.accounts.sums(power, drop) + self.fixed

    def kept(self, mixture: Mixture, cells: list[np.ndarray]) -> bool:
        """Whether a mixture keeps all promises."""
        return not self.accounts.shortfalls(self.sums(self.of_sites(mixture.share, cells)))

    def _columns(self, cells: list[np.ndarray]) -> Columns:
        first = np.concatenate([[0], np.cumsum([len(cell) for cell in cells])[:-1]]).astype(np.int64)
        order = np.concatenate(cells)
        heads = [cell[0] for cell in cells]
        return Columns(
            np.array([np.add.reduceat(yen[order], first) for yen in self._yen]),
            np.array([np.add.reduceat(power[order], first, axis=0) for power in self._power]),
            np.array([np.add.reduceat(drop[order], first, axis=0) for drop in self._drop]),
            np.array([part.members[heads] for part in self.accounts.parts]),
        )

    def of_sites(self, share: FloatArray, cells: list[np.ndarray]) -> FloatArray:
        """Shares of the bids by site, shape (sites, rounds); none for sites that nobody moves."""
        weight = np.zeros((len(self.flexible), share.shape[0]))
        for cell, row in zip(cells, share.T, strict=True):
            weight[cell] = row
        return weight

    def lower_yen(self, bound: FloatArray, prices: FloatArray) -> float:
        """What no plan undercuts: Lagrange's bound at these prices. [yen]"""
        sites = float(bound[self.flexible].sum())  # NaN if one of them did not answer: then nothing is proven
        shared = float(np.sum(prices * self.fixed + self.accounts.least(prices)))
        lower = sites + shared + self.fixed_yen
        return lower if np.isfinite(lower) else -np.inf
