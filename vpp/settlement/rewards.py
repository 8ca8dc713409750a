"""Points of a settled event for people without a car: consent, rules, caps, money, and one booking each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from energy.core.errors import DataError
from energy.core.slots import Slot, slots_between
from energy.ledger import (
    ComfortRule,
    Grant,
    Journal,
    NoGrant,
    Rule,
    SavingRule,
    TightEvent,
    TightLevel,
    WhyNot,
    apply_caps,
    cap_money,
    comfort_grant,
    counted_slots,
    grant_key,
    points_of_day,
    points_of_event,
    points_of_money,
    points_of_month,
    post_grant,
    rule_on,
    saving_grant,
)
from energy.market.dr_products import Product
from energy.market.dr_rules import CoinValue
from energy.market.products import SupplyLevel, supply_level
from energy.market.rules import rule_row
from energy.store import Snapshot, Store
from vpp.consents import COMFORT_REWARDS, HEMS_REWARDS, admitted
from vpp.settlement.comfort import Proof, prove
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_settled import Settlement
from vpp.settlement.reward_file import Claim

__all__ = ["Rewarded", "reward_event", "tight_event"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewarded:
    """What an event gave to whom.

    Parameters
    ----------
    results : tuple
        For each claim what it got, or why nothing.
    proofs : tuple of Proof or None
        For each claim of comfort what the room's readings say, if they were looked at.
    covered_points : int
        Points that the event's money and budget cover. [points]
    new : int
        Grants that were booked now; the others had been booked before.
    """

    results: tuple[tuple[Claim, Grant | NoGrant], ...]
    proofs: tuple[Proof | None, ...]
    covered_points: int
    new: int


def tight_event(event: DrEvent) -> TightEvent:
    """An event as the coin rules see it: its hours up to a stop, and how tight supply was.

    Without a margin on record the lower level is taken: a request says at least that much.

    Raises
    ------
    DataError
        If it is no request for tight supply, or ended before its first half hour did.
    """
    if event.product is not Product.TIGHT:
        raise DataError(
            f"event {event.id!r} earns no points",
            where=f"it is sold as {event.product.value}; points are for tight supply (注意報, 警報)",
            hint="announce such events with --product tight",
        )
    slots = event.paid_slots()
    if not slots:
        raise DataError(
            f"event {event.id!r} earns no points",
            where="it was stopped before its first half hour ended",
            hint="nothing is to be done",
        )
    warning = (
        event.margin_percent is not None
        and supply_level(event.margin_percent, event.day) is SupplyLevel.WARNING
    )
    return TightEvent(
        id=event.id,
        start=slots[0],
        end=slots[-1].shifted(1),
        level=TightLevel.WARNING if warning else TightLevel.ADVISORY,
        known_at=event.announced_at,
    )


def reward_event(
    store: Store,
    event_id: str,
    rules: Sequence[Rule],
    claims: Sequence[Claim],
    *,
    budget_yen: Decimal,
    at: datetime,
    actor: str,
    readings: Store | None = None,
) -> Rewarded:
    """Grant the points of a settled event; doing it again books nothing new.

    Savings are those of the event's settlement, of people's homes only. Comfort is what the room's readings
    prove: a half hour that was not let go, or was not read, earns nothing, and the audit trail counts it.
    First the caps of each rule (person and day, person and month, budget of the event), a person's other ways
    to earn counted in; then the money: what all grants of the event are worth never exceeds what it settled,
    and a budget that is added to it.

    Parameters
    ----------
    readings : Store, optional
        Where temperatures of rooms are kept, if not with the events.

    Raises
    ------
    DataError
        If the event is not settled, or is no request for tight supply.
    DuplicateEntryError
        If a grant is on record with other points: reverse it first.
    """
    book = EventBook(store)
    event, settled = book.require(event_id), book.settlement(event_id)
    if settled is None:
        raise DataError(
            f"event {event_id!r} is not settled",
            where=f"it is {event.state.value}; points never exceed the money that an event settled",
            hint="vpp dr settle first",
        )
    tight = tight_event(event)
    journal = Journal(store)
    known = (readings or store).as_of(at)
    earned, proofs = _earned(store, event, tight, settled, rules, claims, known=known, at=at, actor=actor)
    capped = _capped(journal, rules, earned)
    value = rule_row(CoinValue, event.day).values.yen_per_point
    mine = {(rule.id, rule.version) for rule in rules}
    covered = points_of_money(settled.yen, yen_per_point=value, budget_yen=budget_yen)
    left = max(0, covered - points_of_event(journal, event_id, except_rules=mine))
    grants = [one for one in capped if isinstance(one, Grant)]
    paid = iter(cap_money(grants, {event_id: left}))
    final = [next(paid) if isinstance(one, Grant) else one for one in capped]
    new = 0
    with store.transaction():
        for one in final:
            if isinstance(one, Grant):
                new += journal.find(grant_key(one)) is None
                post_grant(journal, one, at)
        facts = {
            "points": sum(one.points for one in final if isinstance(one, Grant)),
            "covered_points": covered,
            "new": new,
            "nothing": {one.vehicle: one.why for one in final if isinstance(one, NoGrant)},
            **_proved(claims, proofs),
        }
        store.audit(actor, "dr.rewarded", f"dr/{event_id}", at=at, facts=facts)
    return Rewarded(
        results=tuple(zip(claims, final, strict=True)), proofs=proofs, covered_points=covered, new=new
    )


def _proved(claims: Sequence[Claim], proofs: Sequence[Proof | None]) -> dict[str, object]:
    """What readings said about each room, for the audit trail."""
    rooms = {
        f"{claim.site}/{claim.asset}": proof.facts()
        for claim, proof in zip(claims, proofs, strict=True)
        if proof is not None
    }
    return {"rooms": rooms} if rooms else {}


def _earned(
    store: Store,
    event: DrEvent,
    tight: TightEvent,
    settled: Settlement,
    rules: Sequence[Rule],
    claims: Sequence[Claim],
    *,
    known: Snapshot,
    at: datetime,
    actor: str,
) -> tuple[list[Grant | NoGrant], tuple[Proof | None, ...]]:
    """What each claim earns before any cap, and its proof; nobody without consent now earns anything."""
    saved = {one.site: one.delivered_kwh for one in settled.sites}
    companies = {one.site for one in event.calls if one.holder == "company"}
    uses = {"saving": HEMS_REWARDS, "comfort": COMFORT_REWARDS}
    allowed = {
        way: admitted(
            store, sorted({one.person for one in claims if one.way == way}), use, at=at, actor=actor
        )
        for way, use in uses.items()
    }
    results: list[Grant | NoGrant] = []
    proofs: list[Proof | None] = []
    for claim in claims:
        rule = rule_on(rules, SavingRule if claim.way == "saving" else ComfortRule, tight)
        opted_in = not {claim.asset, claim.site} & set(event.opted_out)
        proof = None
        if claim.person not in allowed[claim.way]:
            made: Grant | NoGrant = NoGrant(event=event.id, vehicle=claim.asset, why=WhyNot.NO_CONSENT)
        elif claim.way == "saving" and claim.asset in companies:
            made = NoGrant(event=event.id, vehicle=claim.asset, why=WhyNot.COMPANY_SITE)
        elif isinstance(rule, SavingRule):
            made = saving_grant(
                rule,
                tight,
                person=claim.person,
                site=claim.asset,
                saved_kwh=saved.get(claim.asset),
                opted_in=opted_in,
            )
        elif isinstance(rule, ComfortRule):
            made, proof = _comfort(rule, tight, claim, known=known, opted_in=opted_in)
        else:
            detail = f"no rule for {claim.way} on {tight.start.local_date}"
            made = NoGrant(event=event.id, vehicle=claim.asset, why=WhyNot.RULE_NOT_IN_FORCE, detail=detail)
        results.append(made)
        proofs.append(proof)
    return results, tuple(proofs)


def _comfort(
    rule: ComfortRule, tight: TightEvent, claim: Claim, *, known: Snapshot, opted_in: bool
) -> tuple[Grant | NoGrant, Proof]:
    """What a room earns by the half hours that its readings prove."""
    proof = prove(known, rule, claim.site, claim.asset, counted_slots(tight, _kept(claim)))
    made = comfort_grant(
        rule,
        tight,
        person=claim.person,
        zone=claim.asset,
        site=claim.site,
        kept=proof.let_go,
        opted_in=opted_in,
    )
    if isinstance(made, NoGrant) and made.why is WhyNot.NOT_KEPT and proof.claimed:
        why = WhyNot.NOT_KEPT if proof.held else WhyNot.NOT_PROVED
        detail = f"{proof.series}: {len(proof.held)} half hours held, {len(proof.unread)} without a reading"
        made = replace(made, why=why, detail=detail)
    return made, proof


def _kept(claim: Claim) -> list[Slot]:
    """Whole half hours of a claim."""
    if claim.start is None or claim.end is None:
        return []
    inside = slots_between(claim.start, claim.end)
    return [slot for slot in inside if claim.start <= slot.start and slot.end <= claim.end]


def _capped(
    journal: Journal, rules: Sequence[Rule], earned: Sequence[Grant | NoGrant]
) -> list[Grant | NoGrant]:
    """Grants after the caps of their own rules; what one way gave counts in the next one's caps."""
    results = list(earned)
    here: dict[str, int] = {}
    for rule in rules:
        places = [
            place
            for place, one in enumerate(earned)
            if isinstance(one, Grant) and (one.rule, one.rule_version) == (rule.id, rule.version)
        ]
        grants = [one for place in places if isinstance(one := earned[place], Grant)]
        booked = {
            which: {
                one.account: count(journal, one.account, one.day, except_event=one.event)
                + here.get(one.person, 0)
                for one in grants
            }
            for which, count in (("day", points_of_day), ("month", points_of_month))
        }
        capped = apply_caps(rule, grants, booked_points=booked["day"], booked_month=booked["month"])
        for place, one in zip(places, capped, strict=True):
            results[place] = one
            if isinstance(one, Grant):
                here[one.person] = here.get(one.person, 0) + one.points
    return results
