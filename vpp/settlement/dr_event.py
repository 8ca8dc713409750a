"""One event of demand response as it is known now: hours, target, who was called from when to when."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from energy.core.assets import Identifier, strict
from energy.core.clock import require_aware
from energy.core.slots import JST, SLOT_LENGTH, Slot, slots_between
from energy.market.dr_products import BalancingService, Product
from energy.market.portfolio import Resource
from vpp.settlement.dr_life import OPEN, EventState

__all__ = ["Call", "DrEvent"]


@dataclass(frozen=True, slots=True, config=strict, kw_only=True)
class Call:
    """What one site is called for, and in which half hours.

    Parameters
    ----------
    kw : Decimal
        In the direction of the product. [kW]
    start, end : datetime
        First half hour of the call, and first after it, UTC.
    sequence : int
        Raised with every change of the event's calls: a site ignores what is not newer than what it has.
    holder : str
        Whose data the site's readings are, see :class:`~energy.market.portfolio.Resource`.
    """

    site: Identifier
    kw: Annotated[Decimal, Field(gt=0)]
    start: datetime
    end: datetime
    sequence: Annotated[int, Field(ge=1)]
    holder: Literal["company", "person"] = "company"

    @property
    def hours(self) -> Decimal:
        """Length. [h]"""
        return Decimal(int((self.end - self.start).total_seconds())) / 3600


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
    calls : tuple of Call
        What sites were called for; a site that was released and called again has two.
    origin : str
        Id of the event where it came from, as written there; empty for one of our own.
    margin_percent : Decimal or None
        Reserve margin on which a request for tight supply rests. [%]
    service : BalancingService
        Which product of the balancing market, for events of that market.
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
    calls: tuple[Call, ...] = ()
    origin: Annotated[str, Field(max_length=200)] = ""
    margin_percent: Decimal | None = None
    service: BalancingService = BalancingService.TERTIARY_2

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

    @property
    def began(self) -> bool:
        """Whether it was not cancelled before its start: its days are then no baseline days."""
        return self.stopped_at is None or self.stopped_at > self.start

    def state_at(self, now: datetime) -> EventState:
        """Its state at an instant: an open event whose hours are over has ended."""
        return EventState.ENDED if self.state in OPEN and now >= self.end else self.state

    def slots(self) -> list[Slot]:
        """Its half hours."""
        return slots_between(self.start, self.end)

    def paid_slots(self, site: str | None = None) -> list[Slot]:
        """Slots that count: those that had ended when it was stopped and, of a site, lie inside its calls."""
        stop = self.stopped_at or self.end
        spans = [(one.start, one.end) for one in self.calls if one.site == site]
        return [
            slot
            for slot in self.slots()
            if slot.end <= stop
            and (site is None or any(start <= slot.start and slot.end <= end for start, end in spans))
        ]

    def taking_part(self) -> tuple[str, ...]:
        """Sites that were called, in the order of their first call."""
        return tuple(dict.fromkeys(one.site for one in self.calls))

    def standing(self) -> tuple[Call, ...]:
        """Calls that were not released."""
        return tuple(one for one in self.calls if one.end == self.end)

    def called_kwh(self, site: str) -> Decimal:
        """What a site was called for in the half hours that count. [kWh]"""
        slots = self.paid_slots(site)
        half = Decimal(int(SLOT_LENGTH.total_seconds())) / 3600
        calls = [one for one in self.calls if one.site == site]
        return sum(
            (one.kw * half for one in calls for slot in slots if one.start <= slot.start < one.end),
            Decimal(0),
        )

    def called(self, chosen: tuple[Resource, ...], at: datetime) -> DrEvent:
        """The event with calls to the chosen sites from the next half hour on; others are released now.

        A released site keeps the half hours that had ended.
        """
        wanted = {one.site: one for one in chosen if one.site not in self.opted_out}
        here = Slot.containing(max(at, self.start))
        opens = here.start if here.start >= at else here.end
        calls = []
        for one in self.standing():
            if one.site in wanted:
                calls.append(replace(one, kw=wanted.pop(one.site).kw))
            elif one.start < here.start:
                calls.append(replace(one, end=here.start))
        past = tuple(one for one in self.calls if one.end != self.end)
        number = 1 + max((one.sequence for one in self.calls), default=0)
        calls += [
            Call(site=site, kw=one.kw, start=opens, end=self.end, sequence=number, holder=one.holder)
            for site, one in wanted.items()
            if opens < self.end
        ]
        made = (*past, *calls)
        if made == self.calls:
            return replace(self, nominated=chosen)
        before = set(self.calls)
        told = tuple(one if one in before else replace(one, sequence=number) for one in made)
        return replace(self, nominated=chosen, calls=told)

    def rescheduled(self, start: datetime, end: datetime) -> DrEvent:
        """The event in other hours, with its calls cut to them."""
        number = 1 + max((one.sequence for one in self.calls), default=0)
        calls = []
        for one in self.calls:
            begins = start if one.start == self.start else max(start, one.start)
            ends = end if one.end == self.end else min(end, one.end)
            if begins < ends:
                same = (begins, ends) == (one.start, one.end)
                calls.append(one if same else replace(one, start=begins, end=ends, sequence=number))
        return replace(self, start=start, end=end, calls=tuple(calls))
