"""Plan drafts to the parties they concern: the principal gets its plan, a counterpart the trades with it.

One file per balancing group and area. Consent is asked at the moment of the delivery: that of the principal
to draft for it (its own plan goes back to it), and, for its trades to reach a counterpart, that it may be
told. A group that plans for itself needs none. The same version again is the same file; a receipt closes it.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

from energy.core.errors import PlanError
from energy.core.slots import JST, Slot, gate_closure
from energy.ledger import DataUse
from energy.market.plan_file import csv_of_plan
from energy.market.plans import BalancingPlan, PlanKind
from energy.store import Store, canonical_json
from vpp.consents import decided
from vpp.settlement.plan_book import PlanBook, PlanVersion
from vpp.wholefile import whole_bytes

__all__ = [
    "PLAN_DELIVERY",
    "DraftDelivery",
    "acknowledge",
    "deliver_drafts",
    "deliveries",
    "drafting_use",
    "sharing_use",
]

PLAN_DELIVERY: Final = "plan-delivery"
"""Kind of the documents; key ``PARTY/DAY/KIND/GROUP/AREA/vN``."""
_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
_BOM: Final = "\ufeff"


def drafting_use(kind: PlanKind) -> DataUse:
    """What a principal agrees to so that we may draft its plan."""
    return DataUse(
        controller="aizu-spc",
        purpose="plan-drafting",
        purpose_version=1,
        categories=("pv-forecast" if kind is PlanKind.GENERATION else "demand-forecast",),
        recipient="occto",
    )


def sharing_use(recipient: str) -> DataUse:
    """What a principal agrees to so that a counterpart may be told of the trades between them."""
    return DataUse(
        controller="aizu-spc",
        purpose="plan-sharing",
        purpose_version=1,
        categories=("trades",),
        recipient=recipient,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftDelivery:
    """One file for one party.

    Parameters
    ----------
    what : str
        ``plan``: the party's own plan; ``trades``: what another group trades with it.
    refused : str
        Why nothing was handed over; empty if it was.
    file : str
        Name of the file; empty if nothing was handed over.
    new : bool
        Whether this version had not been handed over before.
    receipt : str
        What the party said when it took it; empty until then.
    """

    party: str
    plan: str
    what: Literal["plan", "trades"]
    file: str
    sha256: str
    new: bool = True
    refused: str = ""
    receipt: str = ""

    @property
    def key(self) -> str:
        """Name of the delivery."""
        return f"{self.party}/{self.plan}"


def deliver_drafts(
    store: Store, party: str, day: date, folder: Path, *, at: datetime, actor: str
) -> list[DraftDelivery]:
    """Hand over the newest drafts of a day that concern a party.

    Raises
    ------
    PlanError
        If no plan of the day concerns the party.
    """
    found = []
    for version in PlanBook(store).day(day.isoformat()):
        plan = version.plan
        if party in (plan.on_behalf_of, plan.group):
            found.append(_deliver(store, party, version, "plan", folder, at=at, actor=actor))
        elif any(trade.party == party for trade in plan.trades):
            found.append(_deliver(store, party, version, "trades", folder, at=at, actor=actor))
    if not found:
        raise PlanError(
            f"no plan of {day} concerns {party!r}",
            where="it is neither a principal, nor a group, nor a party of a trade",
            hint="vpp market plan list shows the plans of the day",
        )
    return found


def _deliver(
    store: Store,
    party: str,
    version: PlanVersion,
    what: Literal["plan", "trades"],
    folder: Path,
    *,
    at: datetime,
    actor: str,
) -> DraftDelivery:
    plan = version.plan
    content = (_BOM + (csv_of_plan(plan) if what == "plan" else _trades_csv(plan, party))).encode()
    made = DraftDelivery(
        party=party,
        plan=version.key,
        what=what,
        file=f"{what}-for-{party}-{version.key.replace('/', '-')}.csv",
        sha256=sha256(content).hexdigest(),
    )
    why = _refused(store, plan, what, party, at)
    if why:
        facts = {"why": why, "what": what}
        store.audit(actor, "plan.delivery_refused", f"delivery/{made.key}", at=at, facts=facts)
        return replace(made, file="", sha256="", new=False, refused=why)
    before = _find(store, made.key)
    if before is None:
        with store.transaction():
            _put(store, made, at)
            facts = {"file": made.file, "sha256": made.sha256, "state": version.state.value}
            store.audit(actor, "plan.delivered", f"delivery/{made.key}", at=at, facts=facts)
    else:
        made = replace(before, new=False)
    whole_bytes(folder / made.file, content)
    return made


def _refused(store: Store, plan: BalancingPlan, what: str, party: str, at: datetime) -> str:
    """Why the principal's consent does not cover this; empty if it does or none is needed."""
    if plan.on_behalf_of == plan.group:
        return ""
    use = drafting_use(plan.kind) if what == "plan" else sharing_use(party)
    _, denied = decided(store, [plan.on_behalf_of], use, at=at)
    return denied[0].why.value if denied else ""


def _trades_csv(plan: BalancingPlan, party: str) -> str:
    """Trades with one party as that party reads them, and until when each slot may be changed."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("slot_start", "with", "your_side", "kwh", "gate_closure"))
    for trade in plan.trades:
        if trade.party != party:
            continue
        side = "sell" if trade.side == "buy" else "buy"
        for number, kwh in enumerate(trade.kwh, start=1):
            slot = Slot.of(plan.day, number)
            closes = gate_closure(slot).astimezone(JST).isoformat()
            writer.writerow((slot.start.astimezone(JST).isoformat(), plan.group, side, kwh, closes))
    return text.getvalue()


def acknowledge(store: Store, key: str, receipt: str, *, at: datetime, actor: str) -> DraftDelivery:
    """Note what a party said when it took a delivery; the same again changes nothing.

    Raises
    ------
    PlanError
        If nothing was delivered under this name, or another receipt is on record.
    """
    known = _find(store, key)
    if known is None:
        raise PlanError(
            f"nothing was delivered as {key!r}",
            where="PARTY/DAY/KIND/GROUP/AREA/vN",
            hint="vpp market plan deliver first",
        )
    if known.receipt and known.receipt != receipt:
        raise PlanError(
            f"{key} has another receipt",
            where=f"on record {known.receipt!r}, offered {receipt!r}",
            hint="a new version of the plan is delivered and acknowledged on its own",
        )
    told = replace(known, receipt=receipt)
    if told != known:
        with store.transaction():
            _put(store, told, at)
            facts = {"receipt": receipt}
            store.audit(actor, "plan.delivery_acknowledged", f"delivery/{key}", at=at, facts=facts)
    return told


def deliveries(store: Store, party: str = "") -> Sequence[DraftDelivery]:
    """What was handed over, to a party or to all."""
    prefix = f"{party}/" if party else ""
    found = store.as_of(_END_OF_TIME).documents(PLAN_DELIVERY, prefix=prefix)
    return [DraftDelivery(**json.loads(one.body)) for one in found]


def _find(store: Store, key: str) -> DraftDelivery | None:
    known = store.as_of(_END_OF_TIME).document(PLAN_DELIVERY, key)
    return None if known is None else DraftDelivery(**json.loads(known.body))


def _put(store: Store, told: DraftDelivery, at: datetime) -> None:
    body = {name: getattr(told, name) for name in ("party", "plan", "what", "file", "sha256", "receipt")}
    store.put_document(PLAN_DELIVERY, told.key, known_at=at, body=canonical_json(body))
