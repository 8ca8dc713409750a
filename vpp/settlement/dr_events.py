"""Events of demand response from announcement to settlement, kept by version.

An event has an id and a modification number, as upstream systems count them: the same number again changes
nothing, a lower one is ignored, a higher one replaces. A cancel is honoured at once and freezes what is paid
at the instant of the stop. Settling the same readings again gives the same figures; other readings make a new
version, and the one before stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field, TypeAdapter, field_validator, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import Identifier, strict
from energy.core.clock import require_aware
from energy.core.errors import DataError
from energy.core.slots import JST, Slot, slots_between
from energy.market.products import Refused, balancing_bid, capacity_call_faults
from energy.market.rule_table import RuleFact
from energy.store import Store, canonical_json

__all__ = [
    "DR_EVENT",
    "DrEvent",
    "EventBook",
    "EventState",
    "Nomination",
    "Product",
    "Resource",
    "SettledSite",
    "Settlement",
    "nominate",
]

DR_EVENT: Final = "dr-event"
"""Kind of the documents: one per event, a version per act."""

DR_SETTLEMENT: Final = "dr-settlement"
_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")


class Product(StrEnum):
    """What an event is sold as."""

    ECONOMIC = "economic"  # a retailer asks its customers (経済DR)
    TIGHT = "tight"  # 注意報, 警報
    UP = "up"  # raise the load in hours of surplus (上げDR)
    CAPACITY = "capacity"  # 発動指令電源
    BALANCING = "balancing"  # 需給調整市場


class EventState(StrEnum):
    """Where an event stands."""

    ANNOUNCED = "announced"
    DISPATCHED = "dispatched"
    CANCELLED = "cancelled"
    SETTLED = "settled"
    CORRECTED = "corrected"


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Resource:
    """A site that may take part: what it can shift, and how sure that is.

    Parameters
    ----------
    kw : Decimal
        What it can give. [kW]
    reliability : Decimal
        Share of it that came in the past. [-]
    """

    site: Identifier
    kw: Annotated[Decimal, Field(gt=0)]
    reliability: Annotated[Decimal, Field(gt=0, le=1)] = Decimal(1)

    @property
    def expected_kw(self) -> Decimal:
        """What it will likely give. [kW]"""
        return self.kw * self.reliability


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class DrEvent:
    """One event as it is known now.

    Parameters
    ----------
    modification : int
        Number of the upstream's last change, from 0.
    start, end : datetime
        On half hours, UTC.
    target_kw : Decimal
        What the portfolio shall shift. [kW]
    announced_at : datetime
        When it reached us.
    stopped_at : datetime or None
        When it was cancelled.
    nominated : tuple of Resource
        Sites that were asked.
    opted_out : tuple of str
        Sites that said no.
    """

    id: Identifier
    product: Product
    modification: Annotated[int, Field(ge=0)]
    start: datetime
    end: datetime
    target_kw: Annotated[Decimal, Field(gt=0)]
    announced_at: datetime
    state: EventState = EventState.ANNOUNCED
    stopped_at: datetime | None = None
    nominated: tuple[Resource, ...] = ()
    opted_out: tuple[Identifier, ...] = ()

    @field_validator("start", "end", "announced_at", "stopped_at")
    @classmethod
    def _in_utc(cls, instant: datetime | None) -> datetime | None:
        return None if instant is None else require_aware(instant)

    @model_validator(mode="after")
    def _has_slots(self) -> DrEvent:
        if not Slot(self.start) < Slot(self.end):
            msg = f"the event ends {self.end.isoformat()}, not after its start {self.start.isoformat()}"
            raise ValueError(msg)
        return self

    @property
    def day(self) -> date:
        """Japanese day on which it starts."""
        return self.start.astimezone(JST).date()

    def paid_slots(self) -> list[Slot]:
        """Slots that count: all of them, or those that had ended when it was stopped."""
        stop = self.stopped_at or self.end
        return [slot for slot in slots_between(self.start, self.end) if slot.end <= stop]

    def taking_part(self) -> tuple[Resource, ...]:
        """Nominated sites that did not say no."""
        return tuple(one for one in self.nominated if one.site not in self.opted_out)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Nomination:
    """Who is asked for a target.

    Parameters
    ----------
    chosen : tuple of Resource
        The surest first.
    expected_kw, needed_kw : Decimal
        What they will likely give, and the target with its reserve. [kW]
    """

    chosen: tuple[Resource, ...]
    expected_kw: Decimal
    needed_kw: Decimal

    @property
    def short_kw(self) -> Decimal:
        """What is missing. [kW]"""
        return max(Decimal(0), self.needed_kw - self.expected_kw)


def nominate(
    resources: Sequence[Resource], target_kw: Decimal, *, reserve: Decimal = Decimal("0.1")
) -> Nomination:
    """Choose resources for a target and a reserve against failures: the surest first, then the largest.

    Parameters
    ----------
    reserve : Decimal
        Share of the target that is asked for on top. [-]

    Raises
    ------
    DataError
        If a site comes twice, or target or reserve cannot be.

    Examples
    --------
    >>> two = [Resource(site="a", kw=Decimal(60)), Resource(site="b", kw=Decimal(60))]
    >>> nominate(two, Decimal(50)).expected_kw
    Decimal('60')
    """
    sites = [one.site for one in resources]
    if len(set(sites)) < len(sites) or target_kw <= 0 or reserve < 0:
        raise DataError(
            "resources cannot be nominated",
            where=f"{len(sites)} rows of {len(set(sites))} sites, target {target_kw} kW, reserve {reserve}",
            hint="each site once; target > 0; reserve such as 0.1",
        )
    needed = target_kw * (1 + reserve)
    chosen: list[Resource] = []
    expected = Decimal(0)
    for one in sorted(resources, key=lambda one: (-one.reliability, -one.kw, one.site)):
        if expected >= needed:
            break
        chosen.append(one)
        expected += one.expected_kw
    return Nomination(chosen=tuple(chosen), expected_kw=expected, needed_kw=needed)


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class SettledSite:
    """What one site delivered.

    Parameters
    ----------
    delivered_kwh : Decimal or None
        Against its baseline, in the direction of the product; None if it could not be measured. [kWh]
    yen : Decimal
        What that is worth; 0 if it could not be measured, never less than 0. [yen]
    why : str
        Empty, or why it could not be measured.
    method : str
        Baseline that was used.
    days_used : tuple of date
        Days whose mean it is.
    meter_sha256 : str
        SHA-256 of the meter file: proves later which readings it was made from.
    """

    site: Identifier
    delivered_kwh: Decimal | None
    yen: Decimal
    why: str = ""
    method: str = ""
    days_used: tuple[date, ...] = ()
    meter_sha256: str = ""


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Settlement:
    """One version of an event's settlement; ``rules`` are the dated rows that its baselines rest on."""

    event: Identifier
    version: Annotated[int, Field(ge=1)]
    yen_per_kwh: Decimal
    sites: tuple[SettledSite, ...]
    rules: tuple[dict[str, str | None], ...] = ()

    @property
    def delivered_kwh(self) -> Decimal:
        """Sum of what was measured. [kWh]"""
        return sum((one.delivered_kwh or Decimal(0) for one in self.sites), Decimal(0))

    @property
    def yen(self) -> Decimal:
        """Sum over the sites. [yen]"""
        return sum((one.yen for one in self.sites), Decimal(0))


_EVENT: Final = TypeAdapter(DrEvent)
_SETTLEMENT: Final = TypeAdapter(Settlement)


class EventBook:
    """Events and their settlements in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def announce(self, event: DrEvent, *, at: datetime, actor: str) -> tuple[DrEvent, bool]:
        """Take an announcement or a change; also says whether it changed anything.

        Raises
        ------
        DataError
            If the product does not allow such an event, the same modification says something else, or the
            event was cancelled.
        """
        self._require_eligible(event)
        with self._store.transaction():
            known = self.find(event.id)
            if known is None:
                return self._put(event, at=at, actor=actor, act="announced"), True
            if event.modification < known.modification:
                return known, False
            told = replace(
                event,
                announced_at=known.announced_at,
                state=known.state,
                nominated=known.nominated,
                opted_out=known.opted_out,
                stopped_at=known.stopped_at,
            )
            if event.modification == known.modification and told == known:
                return known, False
            if event.modification == known.modification or known.state not in _OPEN:
                raise DataError(
                    f"event {event.id!r} cannot be changed so",
                    where=f"modification {known.modification} is on record, the event is {known.state.value}",
                    hint="a change has a higher modification number; a cancelled event stays cancelled",
                )
            return self._put(told, at=at, actor=actor, act="modified"), True

    def cancel(self, event_id: str, *, at: datetime, actor: str) -> DrEvent:
        """Stop an event now; what had ended by then is paid. A late or second cancel changes nothing."""
        with self._store.transaction():
            known = self.require(event_id)
            if known.state not in _OPEN or at >= known.end:
                self._store.audit(
                    actor, "dr.cancel_ignored", f"dr/{event_id}", at=at, facts={"state": known.state.value}
                )
                return known
            stopped = replace(known, state=EventState.CANCELLED, stopped_at=at)
            return self._put(stopped, at=at, actor=actor, act="cancelled")

    def nominate(self, event_id: str, chosen: Sequence[Resource], *, at: datetime, actor: str) -> DrEvent:
        """Ask the chosen sites; an open event becomes ``dispatched``."""
        with self._store.transaction():
            known = self._open(event_id)
            told = replace(known, nominated=tuple(chosen), state=EventState.DISPATCHED)
            return known if told == known else self._put(told, at=at, actor=actor, act="dispatched")

    def opt(self, event_id: str, site: str, *, takes_part: bool, at: datetime, actor: str) -> DrEvent:
        """A site says no, or yes after all; declining costs nothing."""
        with self._store.transaction():
            known = self._open(event_id)
            out = {*known.opted_out, site} if not takes_part else {*known.opted_out} - {site}
            told = replace(known, opted_out=tuple(sorted(out)))
            act = "opted_in" if takes_part else "opted_out"
            return known if told == known else self._put(told, at=at, actor=actor, act=act)

    def settle(
        self,
        event_id: str,
        sites: Sequence[SettledSite],
        *,
        yen_per_kwh: Decimal,
        at: datetime,
        actor: str,
        rules: Sequence[RuleFact] = (),
    ) -> tuple[Settlement, bool]:
        """Keep a settlement; the same figures again are the version that stands there.

        Raises
        ------
        DataError
            If the event is not over.
        """
        with self._store.transaction():
            known = self.require(event_id)
            if at < (known.stopped_at or known.end):
                raise DataError(
                    f"event {event_id!r} is not over",
                    where=f"it ends {known.end.astimezone(JST):%Y-%m-%d %H:%M} Japan",
                    hint="settle it when its readings are there",
                )
            before = self.settlement(event_id)
            made = Settlement(
                event=event_id,
                version=1 if before is None else before.version + 1,
                yen_per_kwh=yen_per_kwh,
                sites=tuple(sorted(sites, key=lambda one: one.site)),
                rules=tuple(fact.as_json() for fact in rules),
            )
            if before is not None and replace(made, version=before.version) == before:
                return before, False
            body = canonical_json(_SETTLEMENT.dump_python(made, mode="json"))
            self._store.put_document(DR_SETTLEMENT, event_id, known_at=at, body=body)
            state = EventState.SETTLED if before is None else EventState.CORRECTED
            self._put(replace(known, state=state), at=at, actor=actor, act=state.value)
        return made, True

    def find(self, event_id: str) -> DrEvent | None:
        """An event as it is known now."""
        known = self._store.as_of(_END_OF_TIME).document(DR_EVENT, event_id)
        return None if known is None else _EVENT.validate_json(known.body)

    def require(self, event_id: str) -> DrEvent:
        """An event that must be there.

        Raises
        ------
        DataError
            If there is none.
        """
        known = self.find(event_id)
        if known is None:
            raise DataError(
                f"no event {event_id!r}", where="it was never announced", hint="vpp dr event list"
            )
        return known

    def events(self) -> list[DrEvent]:
        """All events, by their start."""
        found = [
            _EVENT.validate_json(one.body) for one in self._store.as_of(_END_OF_TIME).documents(DR_EVENT)
        ]
        return sorted(found, key=lambda one: (one.start, one.id))

    def settlement(self, event_id: str) -> Settlement | None:
        """Newest version of an event's settlement."""
        known = self._store.as_of(_END_OF_TIME).document(DR_SETTLEMENT, event_id)
        return None if known is None else _SETTLEMENT.validate_json(known.body)

    def event_days(self, site: str, before: DrEvent) -> frozenset[date]:
        """Japanese days on which a site took part in earlier events; they are no baseline days."""
        return frozenset(
            slot.local_date
            for one in self.events()
            if one.start < before.start and any(part.site == site for part in one.taking_part())
            for slot in slots_between(one.start, one.end)
        )

    def _open(self, event_id: str) -> DrEvent:
        known = self.require(event_id)
        if known.state not in _OPEN:
            raise DataError(
                f"event {event_id!r} is {known.state.value}",
                where="nobody can be asked any more",
                hint="vpp dr event list",
            )
        return known

    def _require_eligible(self, event: DrEvent) -> None:
        """What the product's dated rules say against an event."""
        faults: list[str] = []
        if event.product is Product.CAPACITY:
            others = [
                one.start
                for one in self.events()
                if one.product is Product.CAPACITY and one.id != event.id and one.start < event.start
            ]
            found = capacity_call_faults(event.announced_at, event.start, earlier=others)
            faults = [fault.value for fault in found]
        elif event.product is Product.BALANCING:
            bid = balancing_bid(event.target_kw, event.day)
            faults = [bid.why] if isinstance(bid, Refused) else []
        if faults:
            raise DataError(
                f"event {event.id!r} is not valid as {event.product.value}",
                where=", ".join(faults),
                hint="vpp rules show capacity_product, or balancing_products",
            )

    def _put(self, event: DrEvent, *, at: datetime, actor: str, act: str) -> DrEvent:
        told: Mapping[str, object] = _EVENT.dump_python(event, mode="json")
        self._store.put_document(DR_EVENT, event.id, known_at=at, body=canonical_json(told))
        facts = {"state": event.state.value, "modification": event.modification, "target_kw": event.target_kw}
        self._store.audit(actor, f"dr.{act}", f"dr/{event.id}", at=at, facts=facts)
        return event


_OPEN: Final = frozenset({EventState.ANNOUNCED, EventState.DISPATCHED})
