"""Money of a simulated week, by the code that settles real ones: imbalance, the tight evening, points.

Prices and who consents are assumptions of the simulation and are told with the results; the formulas are
those of :mod:`energy.market`, :mod:`vpp.settlement` and :mod:`energy.ledger`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from energy.core.assets import OwnerType, Vehicle
from energy.core.series import FloatArray, Grid
from energy.core.slots import JST, Slot, jst_midnight, slots_between
from energy.ledger import (
    CoinRule,
    Grant,
    Journal,
    SavingRule,
    cap_money,
    grant_for,
    points_of_event,
    points_of_money,
    post_grant,
)
from energy.market.dr_products import Product
from energy.market.dr_rules import CoinValue
from energy.market.imbalance import SlotSettlement, settle_slots
from energy.market.portfolio import Resource
from energy.market.rules import rule_row
from energy.store import SqlStore, open_store
from vpp.consents import DR_PARTICIPATION, HEMS_REWARDS, record_simulated
from vpp.region.crew import Executor
from vpp.region.pools import SLOTS
from vpp.region.week.request import Happenings, Week
from vpp.region.week.truth import TOGETHER_SD, together_of
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_measuring import Measuring
from vpp.settlement.dr_settled import Settlement
from vpp.settlement.dr_settling import settle_sites, settlement_rules
from vpp.settlement.reward_file import Claim
from vpp.settlement.rewards import reward_event, tight_event
from vpp.settlement.settle import energy_of_slot

__all__ = ["DrOutcome", "ImbalanceBill", "Prices", "imbalance_bill", "prices_of", "settle_evening"]

LOSS: Final = Decimal("0.05")  # energy/rules/loss_rates.yaml, high voltage: an example there
DR_YEN_PER_KWH: Final = Decimal(30)  # assumed: what the region pays for a delivered kWh
POINTS_PER_KWH: Final = Decimal(10)  # as in examples/reward-rules.yaml
FLEET_POINTS_PER_KWH: Final = Decimal(20)  # as for cars in examples/reward-rules.yaml
CONSENT_SHARE: Final = 0.9  # assumed: homes that joined and said yes to being measured and rewarded
TIGHT_PERCENT: Final = Decimal(4)  # reserve margin of the tight evening: 注意報, below 5 %
CALM_PERCENT: Final = Decimal(15)
# Assumed day-ahead price by hour of the day: cheap at night, lowest at noon, dear in the evening.
SPOT_YEN: Final = (*(10,) * 7, 13, 14, 12, 10, 9, 9, 9, 10, 13, 17, 21, 21, 18, 15, 13, 11, 10)
AREA_YEN, OTHERS_YEN = 3.0, 2.0  # assumed, see prices_of. [yen/kWh]
ACTOR: Final = "region-simulation"


@dataclass(frozen=True, slots=True)
class Prices:
    """Day-ahead and base imbalance price [yen/kWh] and reserve margin [%] of each half-hour."""

    spot: dict[Slot, Decimal]
    base: dict[Slot, Decimal]
    margin: dict[Slot, Decimal]


def prices_of(week: Week, happen: Happenings) -> Prices:
    """Assumed prices of the week: the imbalance price is high when the whole area uses more than expected.

    The area errs partly as the region does (``AREA_YEN`` for one standard deviation of what all sites have
    together) and partly by itself, for hours at a time.
    """
    rng, error = np.random.default_rng([week.region.seed, 31]), 0.0
    spot, base, margin = {}, {}, {}
    for t, slot in enumerate(week.grid.slots()):
        error = 0.9 * error + math.sqrt(1.0 - 0.81) * float(rng.standard_normal())
        day = week.region.day + timedelta(days=t // SLOTS)
        area = math.log(float(together_of(week.region.seed, day)[t % SLOTS])) / TOGETHER_SD
        spot[slot] = Decimal(SPOT_YEN[t % SLOTS // 2])
        off = Decimal(repr(round(AREA_YEN * area + OTHERS_YEN * error, 2)))
        base[slot] = max(Decimal("0.1"), spot[slot] + off)
        margin[slot] = TIGHT_PERCENT if t in happen.dr else CALM_PERCENT
    return Prices(spot, base, margin)


@dataclass(frozen=True, slots=True)
class ImbalanceBill:
    """What deviations from the plan cost.

    Parameters
    ----------
    yen : float
        Paid (+) or received (-) for the imbalance as a whole. [yen]
    beyond_spot_yen : float
        What it cost more than had the same energy been bought or sold the day before. [yen]
    short_kwh, long_kwh : float
        [kWh]
    """

    yen: float
    beyond_spot_yen: float
    short_kwh: float
    long_kwh: float


def imbalance_bill(plan_kw: FloatArray, power_kw: FloatArray, grid: Grid, prices: Prices) -> ImbalanceBill:
    """Settle each half-hour against the plan that was handed in; feeding out of the region counts as 0.

    Parameters
    ----------
    plan_kw, power_kw : ndarray
        Of the region. [kW]
    """
    slots = list(grid.slots())
    metered = {slot: _kwh(max(0.0, kw)) for slot, kw in zip(slots, power_kw.tolist(), strict=True)}
    plan = {slot: _kwh(max(0.0, kw)) / (1 - LOSS) for slot, kw in zip(slots, plan_kw.tolist(), strict=True)}
    rows: list[SlotSettlement] = settle_slots(plan, metered, prices.base, prices.margin, loss_rate=LOSS)
    beyond = sum(
        ((prices.spot[one.slot] - one.price_yen_per_kwh) * one.imbalance_kwh for one in rows), Decimal(0)
    )
    return ImbalanceBill(
        yen=float(-sum((one.yen for one in rows), Decimal(0))),
        beyond_spot_yen=float(beyond),
        short_kwh=float(-sum((min(Decimal(0), one.imbalance_kwh) for one in rows), Decimal(0))),
        long_kwh=float(sum((max(Decimal(0), one.imbalance_kwh) for one in rows), Decimal(0))),
    )


def _kwh(kw: float) -> Decimal:
    return Decimal(repr(round(kw / 2.0, 6)))


# -- the tight evening ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DrOutcome:
    """What the tight evening came to.

    Parameters
    ----------
    settlement : Settlement, optional
        As kept in the store; None if nobody was called.
    points : dict of str to int
        Of homes, by person.
    fleet_points : dict of str to int
        Of companies, by the site whose chargers gave.
    refused : int
        Homes that were not called because nobody had consented.
    journal_entries : int
        Entries of the journal, whose chain was verified.
    """

    settlement: Settlement | None
    points: dict[str, int]
    fleet_points: dict[str, int]
    refused: int
    journal_entries: int


def settle_evening(
    week: Week, happen: Happenings, folder: Path, crew: Executor, *,
    sites: Sequence[str], called_kw: FloatArray, grid: Grid, power_kw: FloatArray,
    fleet_kw: FloatArray,
) -> DrOutcome:  # fmt: skip
    """Announce, call, measure against High 4 of 5, settle and reward, in ``region.db`` of the folder.

    Parameters
    ----------
    called_kw : ndarray, shape (sites,)
        What each site was asked for; 0 for nobody. [kW]
    grid, power_kw : Grid, ndarray of shape (sites, slots)
        Meters from the days before on. [kW]
    fleet_kw : ndarray, shape (sites, half-hours of the evening)
        Sub-meters of companies' chargers, below zero where cars gave. [kW]
    """
    for name in ("region.db", "region.db-wal", "region.db-shm"):
        (folder / name).unlink(missing_ok=True)
    midnight = jst_midnight(week.region.day)
    start, end = (midnight + timedelta(minutes=30) * t for t in (happen.dr.start, happen.dr.stop))
    told_at = midnight + timedelta(minutes=30) * happen.dr_told
    called = {
        site: round(Decimal(repr(kw)), 3)
        for site, kw in zip(sites, called_kw.tolist(), strict=True)
        if kw >= 0.01
    }
    with open_store(f"sqlite:///{folder / 'region.db'}", durability="process") as store:
        willing = _consents(store, week, sorted(called), at=told_at - timedelta(days=30))
        chosen = [
            Resource(site=site, kw=kw, holder="person" if _is_home(site) else "company")
            for site, kw in called.items()
            if not _is_home(site) or site in willing
        ]
        refused = len(called) - len(chosen)
        if not chosen:
            return DrOutcome(None, {}, {}, refused, 0)
        event = DrEvent(
            id=f"tight-{start.astimezone(JST).date().isoformat()}", product=Product.TIGHT, modification=0,
            start=start, end=end, target_kw=sum((one.kw for one in chosen), Decimal(0)), announced_at=told_at,
            margin_percent=TIGHT_PERCENT,
        )  # fmt: skip
        book = EventBook(store)
        book.announce(event, at=told_at, actor=ACTOR)
        book.nominate(event.id, chosen, at=told_at, actor=ACTOR)
        meters = _meters(folder, {one.site for one in chosen}, sites, grid, power_kw)
        how = Measuring(meters=meters, yen_per_kwh=DR_YEN_PER_KWH)
        later = grid.end + timedelta(hours=1)
        run = partial(_on, crew)
        found = settle_sites(store, book.require(event.id), how, at=later, actor=ACTOR, run=run)
        settlement, _ = book.settle(
            event.id, found, yen_per_kwh=DR_YEN_PER_KWH, at=later, actor=ACTOR, rules=settlement_rules(event)
        )
        points = _rewarded(store, event, [one.site for one in chosen if _is_home(one.site)], at=later)
        called_fleets = {one.site for one in chosen if not _is_home(one.site)}
        fleets = {
            site: kw for site, kw in zip(sites, fleet_kw, strict=True) if site in called_fleets and kw.any()
        }
        fleet_points = _fleets_rewarded(store, event, settlement, fleets, at=later)
        entries = Journal(store).verify().entries
        return DrOutcome(settlement, points, fleet_points, refused, entries)


def _is_home(site: str) -> bool:
    return site.endswith("-home")


def _on(
    crew: Executor, function: Any, calls: Sequence[tuple[Any, ...]]
) -> list[Any]:  # Any: whatever it does
    return crew.run(function, calls, at=range(len(calls)))


def _consents(store: SqlStore, week: Week, sites: Sequence[str], *, at: datetime) -> frozenset[str]:
    """Put the consents of homes on record; who gives them is drawn. The sites that did."""
    willing = [
        site for site in sites if _is_home(site) and _draw(week, int(site.split("-")[1])) < CONSENT_SHARE
    ]
    with store.transaction():
        record_simulated(store, willing, at=at, use=DR_PARTICIPATION)
        record_simulated(store, [_person(site) for site in willing], at=at, use=HEMS_REWARDS)
    return frozenset(willing)


def _draw(week: Week, number: int) -> float:
    return float(np.random.default_rng([week.region.seed, number, 5]).random())


def _person(site: str) -> str:
    return f"person-{site.split('-')[1]}"


def _meters(
    folder: Path, wanted: set[str], sites: Sequence[str], grid: Grid, power_kw: FloatArray
) -> dict[str, Path]:
    """A meter file per site, rows stamped by the end of their half-hour."""
    base = folder / "meters"
    base.mkdir(exist_ok=True)
    stamps = [grid.time(k + 1).astimezone(JST).isoformat() for k in range(grid.count)]
    paths = {}
    for row, site in enumerate(sites):
        if site not in wanted:
            continue
        values = np.maximum(0.0, power_kw[row]) / 2.0
        lines = [f"{stamp},{kwh:.6f}" for stamp, kwh in zip(stamps, values.tolist(), strict=True)]
        paths[site] = base / f"{site}.csv"
        paths[site].write_text("timestamp,kwh\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return paths


def _rewarded(store: SqlStore, event: DrEvent, homes: Sequence[str], *, at: datetime) -> dict[str, int]:
    rule = SavingRule(
        id="home-saving", version=1, points_per_kwh=POINTS_PER_KWH,
        valid_from=event.day - timedelta(days=30), valid_to=event.day + timedelta(days=30),
    )  # fmt: skip
    claims = [Claim(person=_person(site), way="saving", asset=site) for site in homes]
    made = reward_event(store, event.id, [rule], claims, budget_yen=Decimal(0), at=at, actor=ACTOR)
    return {claim.person: one.points for claim, one in made.results if isinstance(one, Grant)}


def _fleets_rewarded(
    store: SqlStore, event: DrEvent, settlement: Settlement, fleets: dict[str, FloatArray], *, at: datetime
) -> dict[str, int]:
    """Points of companies' cars for what they gave, after the homes' from the same money.

    All cars at a company count as its fleet, one car to the rule: what some take others have to give first.
    """
    tight, journal, grants = tight_event(event), Journal(store), list[Grant]()
    slots = slots_between(tight.start.start, tight.end.start)
    for site, kw in sorted(fleets.items()):
        rule = CoinRule(
            id="fleet-evening", version=1, points_per_kwh=FLEET_POINTS_PER_KWH,
            company_cars="company_account", company_account=f"company/{site}",
            valid_from=event.day - timedelta(days=30), valid_to=event.day + timedelta(days=30),
        )  # fmt: skip
        fleet = Vehicle(
            id="fleet", name_ja="社用車", name_en="fleet", capacity_kwh=1.0, charger="all",
            owner=OwnerType.COMPANY,
        )  # fmt: skip
        energies = [
            energy_of_slot(slot, max(0.0, -one) / 2.0, max(0.0, one) / 2.0)
            for slot, one in zip(slots, kw.tolist(), strict=True)
        ]
        made = grant_for(rule, tight, vehicle=fleet, energies=energies, opted_in=True)
        if isinstance(made, Grant):
            grants.append(replace(made, site=site))
    value = rule_row(CoinValue, event.day).values.yen_per_point
    covered = points_of_money(settlement.yen, yen_per_point=value, budget_yen=Decimal(0))
    left = max(0, covered - points_of_event(journal, event.id))
    paid = [one for one in cap_money(grants, {event.id: left}) if isinstance(one, Grant)]
    with store.transaction():
        for one in paid:
            post_grant(journal, one, at)
    return {one.site: one.points for one in paid}


def tight_day(happen: Happenings, week: Week) -> date:
    """Day of the tight evening, in Japan."""
    return week.region.day + timedelta(days=happen.dr.start // SLOTS)
