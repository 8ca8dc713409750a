"""What is done for a block of sites, in whatever process: opening, bidding, settling.

The functions depend on their arguments alone. A process keeps what it has prepared (:class:`_State`), so that
the next round is quick; one that has not plays the earlier rounds again and comes to the same. So it does not
matter which process works for a block, how many there are, or whether one is lost.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from dispatch.region.messages import Bids, Card, Opened, Prices, Settled, Weights, same_prices
from dispatch.region.priced import Offer, PricedSite, droppable_kw, is_movable, mixed, site_solver
from dispatch.region.sites import Block, SiteInput
from dispatch.schedule import Schedule, import_kw, settle
from dispatch.templates import TemplateCache, TemplateShelf
from energy.core.errors import DataError

__all__ = [
    "WorkSettings",
    "bid_block",
    "forget",
    "open_block",
    "schedules_of_block",
    "settle_block",
]

_KEPT_BLOCKS = 512  # prepared blocks in one process
_KEPT_TEMPLATES = 256
_MIXED_IN = 1e-9  # smaller shares are dust


@dataclass(frozen=True, slots=True)
class WorkSettings:
    """How sites are prepared.

    Parameters
    ----------
    peak_quantile_share : float
        As in the planner. [-]
    shelf : TemplateShelf, optional
        Where compiled models outlive a process.
    """

    peak_quantile_share: float = 0.9
    shelf: TemplateShelf | None = None


class _State:
    """A block that is prepared, and the offers that its sites have made."""

    def __init__(self, block: Block, settings: WorkSettings) -> None:
        self.cards: list[Card] = []
        self.sites: list[PricedSite | None] = []
        self.offers: list[list[Offer | None]] = []
        self._rounds: list[Prices] = []
        begun = time.perf_counter()
        templates = _templates(settings)
        before = templates.compiled
        self.given, solver = block.source.sites(), site_solver()
        for site in self.given:
            fault, ready = "", None
            try:
                ready = PricedSite(site, templates, share=settings.peak_quantile_share, solver=solver)
            except DataError as error:
                fault = _fault(error)
            self.cards.append(_card(site, fault))
            self.sites.append(ready)
        if len(self.sites) != block.count:
            raise DataError("a block has other sites than it was said to have", where=block.key)
        self.template_s = time.perf_counter() - begun if templates.compiled > before else 0.0

    def began_with(self, rounds: tuple[Prices, ...]) -> bool:
        """Whether its offers are answers to these rounds, or to the first of them.

        A block can be asked again by somebody with other limits: its offers are those of other prices then,
        and its sites have other last bases.
        """
        return all(map(same_prices, self._rounds, rounds))

    def play(self, rounds: tuple[Prices, ...]) -> None:
        """Bring the offers up to the last round."""
        self._rounds += rounds[len(self.offers) :]
        for prices in rounds[len(self.offers) :]:
            first = not self.offers
            row: list[Offer | None] = []
            for card, site, group in zip(self.cards, self.sites, prices.group.tolist(), strict=True):
                asked = site is not None and group >= 0 and (first or card.flexible)
                if site is None or not asked:
                    row.append(None)
                else:
                    row.append(site.ask(prices.power_yen[group], prices.droppable_yen[group]))
            self.offers.append(row)


_states: OrderedDict[str, _State] = OrderedDict()
_caches: dict[str, TemplateCache] = {}


def _templates(settings: WorkSettings) -> TemplateCache:
    key = repr(settings.shelf)
    if key not in _caches:
        _caches[key] = TemplateCache(_KEPT_TEMPLATES, shelf=settings.shelf)
    return _caches[key]


def _state(block: Block, settings: WorkSettings, rounds: tuple[Prices, ...]) -> _State:
    """The block with the answers to these rounds."""
    state = _states.get(block.key)
    if state is None or not state.began_with(rounds):
        state = _states[block.key] = _State(block, settings)
    _states.move_to_end(block.key)
    while len(_states) > _KEPT_BLOCKS:
        _states.popitem(last=False)
    state.play(rounds)
    return state


def forget() -> None:
    """Drop everything that this process has prepared; the next call prepares it again."""
    _states.clear()


def _fault(error: DataError) -> str:
    """Which input is wrong, without its value."""
    findings = error.details.get("findings")
    return str(findings[0]).split(":")[0] if isinstance(findings, tuple) and findings else error.code


def _card(site: SiteInput, fault: str) -> Card:
    problem = site.problem
    movable = site.coordinated and is_movable(problem)
    return Card(
        site=problem.site, feeder=site.feeder, joins_dr=site.joins_dr and site.coordinated,
        cars=len(problem.cars), flexible=movable and not fault, fault=fault,
    )  # fmt: skip


def open_block(block: Block, settings: WorkSettings, opening: Prices) -> Opened:
    """Prepare a block and tell who is there and what they do at the opening prices, which are zero."""
    state = _state(block, settings, (opening,))
    return Opened(tuple(state.cards), _bids(state.offers[0], len(opening.power_yen[0])), state.template_s)


def bid_block(block: Block, settings: WorkSettings, rounds: tuple[Prices, ...]) -> Bids:
    """What the sites do at the prices of the last round."""
    state = _state(block, settings, rounds)
    return _bids(state.offers[len(rounds) - 1], len(rounds[0].power_yen[0]))


def _bids(offers: list[Offer | None], slots: int) -> Bids:
    n = len(offers)
    bids = Bids(np.full(n, np.nan), np.full(n, np.nan), np.zeros((n, slots)), np.zeros((n, slots)))
    for k, offer in enumerate(offers):
        if offer is not None:
            bids.yen[k], bids.bound_yen[k] = offer.yen, offer.bound_yen
            bids.power_kw[k], bids.droppable_kw[k] = offer.power_kw, offer.droppable_kw
    return bids


def _chosen(state: _State, weights: Weights, k: int) -> Schedule | None:
    """Schedule of a site that its weights mean."""
    site, share = state.sites[k], weights.share[k]
    if site is None:
        return None
    used = [r for r in np.flatnonzero(share > _MIXED_IN).tolist() if state.offers[r][k] is not None]
    offers = [offer for r in used if (offer := state.offers[r][k]) is not None]
    if not offers:
        opening = state.offers[0][k]
        return None if opening is None else opening.schedule
    if site.whole:
        return offers[int(np.argmax(share[used]))].schedule
    return mixed([offer.schedule for offer in offers], share[used] / share[used].sum())


def _mixed_yen(state: _State, weights: Weights, k: int) -> float:
    """What the offers that make a site's schedule cost, by their shares. [yen]"""
    rows = zip(weights.share[k].tolist(), state.offers, strict=True)
    paid = [(share, offer.yen) for share, row in rows if (offer := row[k]) is not None and share > _MIXED_IN]
    total = sum(share for share, _ in paid)
    return sum(share * yen for share, yen in paid) / total if total > 0.0 else -np.inf


def settle_block(
    block: Block, settings: WorkSettings, rounds: tuple[Prices, ...], weights: Weights
) -> Settled:
    """The schedules that the weights mean, as the sites can keep them, each verified."""
    state = _state(block, settings, rounds)
    n, slots = len(state.sites), len(rounds[0].power_yen[0])
    settled = Settled(np.zeros(n), np.zeros((n, slots)), np.zeros((n, slots)), (), np.zeros(n))
    broken: list[tuple[str, ...]] = []
    for k, site in enumerate(state.sites):
        chosen = _chosen(state, weights, k)
        kinds: tuple[str, ...] = ()
        if site is not None and chosen is not None:
            made = site.settled(chosen)
            kept, kinds = made.schedule, made.broken
            settled.yen[k], settled.violation[k] = made.yen, made.violation
            settled.power_kw[k], settled.droppable_kw[k] = import_kw(site.problem, kept), droppable_kw(kept)
            if kinds:  # where promises fail, model and physics may differ: the dearer of the two counts
                settled.yen[k] = max(settled.yen[k], _mixed_yen(state, weights, k))
        broken.append(kinds)
    return Settled(settled.yen, settled.power_kw, settled.droppable_kw, tuple(broken), settled.violation)


def schedules_of_block(
    block: Block, settings: WorkSettings, rounds: tuple[Prices, ...], weights: Weights
) -> list[tuple[SiteInput, Schedule | None]]:
    """The sites and what they will do, as they can keep it; nothing for a site with a fault.

    For the sites, not for the region.
    """
    state = _state(block, settings, rounds)
    chosen = [_chosen(state, weights, k) for k in range(len(state.sites))]
    return [
        (given, None if site is None or one is None else settle(site.problem, one))
        for given, site, one in zip(state.given, state.sites, chosen, strict=True)
    ]
