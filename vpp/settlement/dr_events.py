"""Events of demand response from announcement to settlement, kept by version.

An event has an id and a modification number, as upstream systems count them: the same number again changes
nothing, a lower one is ignored, a higher one replaces. A cancel is honoured at once and freezes what is paid
at the instant of the stop. Settling the same readings again gives the same figures; other readings make a new
version, and the one before stays. Every act stands in the audit trail with its instant, and so does every act
that was refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from pydantic import TypeAdapter

from energy.core.errors import ConsentError, DataError
from energy.core.slots import JST
from energy.market.dr_products import Offer, Product, product_faults
from energy.market.portfolio import Delivery, Resource
from energy.market.rule_table import RuleFact
from energy.store import Store, canonical_json
from vpp.consents import DR_PARTICIPATION, admitted
from vpp.settlement.dr_event import Call, DrEvent
from vpp.settlement.dr_life import OPEN, OVER, EventState, require_step
from vpp.settlement.dr_settled import SettledSite, Settlement

__all__ = ["DR_EVENT", "DR_SETTLEMENT", "EventBook"]

DR_EVENT: Final = "dr-event"
"""Kind of the documents: one per event, a version per act."""

DR_SETTLEMENT: Final = "dr-settlement"
_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")
_EVENT: Final = TypeAdapter(DrEvent)
_SETTLEMENT: Final = TypeAdapter(Settlement)


class EventBook:
    """Events and their settlements in a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- what comes from upstream ------------------------------------------------------------------------

    def announce(self, event: DrEvent, *, at: datetime, actor: str) -> tuple[DrEvent, bool]:
        """Take an announcement or a change; also says whether it changed anything.

        A change of an event that was answered asks for an answer again; one of an event that is dispatched
        cuts its calls to the new hours.

        Raises
        ------
        DataError
            If the product does not allow such an event, the same modification says something else, the
            event is over, or it has begun and its start would move.
        """
        with self._acting("announce", event.id, at=at, actor=actor):
            known = self._advanced(event.id, at=at, actor=actor)
            if known is None:
                self._require_eligible(event)
                return self._put(event, at=at, actor=actor, act="announced"), True
            if event.modification < known.modification:
                facts = {"modification": event.modification, "on_record": known.modification}
                self._audit("stale_ignored", known, at=at, actor=actor, facts=facts)
                return known, False
            if event.modification == known.modification and _same_request(event, known):
                return known, False
            self._require_change(known, event, at)
            self._require_eligible(replace(event, announced_at=known.announced_at))
            told = replace(
                known.rescheduled(event.start, event.end),
                product=event.product,
                modification=event.modification,
                target_kw=event.target_kw,
                margin_percent=event.margin_percent,
                service=event.service,
                state=known.state if known.state is EventState.DISPATCHED else EventState.ANNOUNCED,
            )
            return self._put(told, at=at, actor=actor, act="modified"), True

    def cancel(self, event_id: str, *, at: datetime, actor: str, modification: int | None = None) -> DrEvent:
        """Stop an event now; what had ended by then is paid. A late or second cancel changes nothing.

        Parameters
        ----------
        modification : int, optional
            Number that the upstream gave the cancel.
        """
        with self._acting("cancel", event_id, at=at, actor=actor):
            known = self._advanced(event_id, at=at, actor=actor) or self.require(event_id)
            if known.state not in OPEN:
                self._audit("cancel_ignored", known, at=at, actor=actor)
                return known
            number = known.modification if modification is None else max(modification, known.modification)
            stopped = replace(known, state=EventState.CANCELLED, stopped_at=at, modification=number)
            return self._put(stopped, at=at, actor=actor, act="cancelled")

    # -- what we answer and whom we call -----------------------------------------------------------------

    def answer(self, event_id: str, *, takes_part: bool, at: datetime, actor: str, why: str = "") -> DrEvent:
        """Say yes or no to an event as a whole; a no releases every site. The same answer changes nothing."""
        wanted = EventState.OPTED_IN if takes_part else EventState.OPTED_OUT
        with self._acting(wanted.value, event_id, at=at, actor=actor):
            known = self._open(event_id, at=at, actor=actor)
            if known.state is wanted or (takes_part and known.state is EventState.DISPATCHED):
                return known
            require_step(event_id, known.state, wanted)
            told = replace(known if takes_part else known.called((), at), state=wanted)
            return self._put(told, at=at, actor=actor, act=wanted.value, facts={"why": why} if why else {})

    def nominate(self, event_id: str, chosen: Sequence[Resource], *, at: datetime, actor: str) -> DrEvent:
        """Call the chosen sites and release the others; an open event becomes ``dispatched``.

        Raises
        ------
        ConsentError
            If a chosen site's readings are a person's and no consent covers their use now.
        """
        persons = [one.site for one in chosen if one.holder == "person"]
        allowed = admitted(self._store, persons, DR_PARTICIPATION, at=at, actor=actor)
        with self._acting("nominate", event_id, at=at, actor=actor):
            known = self._open(event_id, at=at, actor=actor)
            refused = [site for site in persons if site not in allowed]
            if refused:
                raise ConsentError(
                    f"no consent of {refused[0]} covers taking part in events",
                    where=f"{len(refused)} of {len(persons)} persons' sites: {', '.join(refused[:5])}",
                    hint="leave them out, or ask them (vpp consent grant ID --subject "
                    f"{refused[0]} --purpose {DR_PARTICIPATION.purpose} --data "
                    f"{' --data '.join(DR_PARTICIPATION.categories)} --to {DR_PARTICIPATION.recipient})",
                )
            if known.state is not EventState.DISPATCHED:
                require_step(event_id, known.state, EventState.DISPATCHED)
            told = replace(known.called(tuple(chosen), at), state=EventState.DISPATCHED)
            return known if told == known else self._put(told, at=at, actor=actor, act="dispatched")

    def opt(self, event_id: str, site: str, *, takes_part: bool, at: datetime, actor: str) -> DrEvent:
        """A site says no, or yes after all; declining costs nothing, and releases it now."""
        with self._acting("opt", event_id, at=at, actor=actor):
            known = self._open(event_id, at=at, actor=actor)
            out = {*known.opted_out, site} if not takes_part else {*known.opted_out} - {site}
            told = replace(known, opted_out=tuple(sorted(out)))
            if told == known:
                return known
            act = "site_opted_in" if takes_part else "site_opted_out"
            return self._put(
                told.called(told.nominated, at), at=at, actor=actor, act=act, facts={"site": site}
            )

    # -- what came of it ---------------------------------------------------------------------------------

    def measured(self, event_id: str, *, at: datetime, actor: str, facts: Mapping[str, object]) -> DrEvent:
        """Note that every called site's readings were read; only once, and only after the end."""
        with self._acting("measure", event_id, at=at, actor=actor):
            known = self._over(event_id, at=at, actor=actor)
            if known.state in {EventState.MEASURED, EventState.SETTLED, EventState.CORRECTED}:
                return known
            told = replace(known, state=EventState.MEASURED)
            return self._put(told, at=at, actor=actor, act="measured", facts=facts)

    def settle(
        self,
        event_id: str,
        sites: Sequence[SettledSite],
        *,
        yen_per_kwh: Decimal | None,
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
        with self._acting("settle", event_id, at=at, actor=actor):
            before = self.settlement(event_id)
            unread = {one.site: one.why for one in sites if one.delivered_kwh is None}
            known = self.measured(
                event_id, at=at, actor=actor, facts={"sites": len(sites), "unmeasured": len(unread)}
            )
            made = Settlement(
                event=event_id,
                version=1 if before is None else before.version + 1,
                yen_per_kwh=yen_per_kwh,
                sites=tuple(sorted(sites, key=lambda one: one.site)),
                rules=tuple(fact.as_json() for fact in rules),
            )
            if before is not None and replace(made, version=before.version) == before:
                return before, False
            state = EventState.SETTLED if before is None else EventState.CORRECTED
            require_step(event_id, known.state, state)
            body = canonical_json(_SETTLEMENT.dump_python(made, mode="json"))
            known_at = self._after_last(DR_SETTLEMENT, event_id, at)
            self._store.put_document(DR_SETTLEMENT, event_id, known_at=known_at, body=body)
            facts: dict[str, object] = {
                "version": made.version,
                "delivered_kwh": made.delivered_kwh,
                "yen": made.yen,
                "unmeasured": unread,
            }
            self._put(replace(known, state=state), at=at, actor=actor, act=state.value, facts=facts)
        return made, True

    # -- what is on record -------------------------------------------------------------------------------

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

    def events(self, *, known_at: datetime = _END_OF_TIME) -> list[DrEvent]:
        """All events, by their start; as they were known at an instant, or now."""
        found = [_EVENT.validate_json(one.body) for one in self._store.as_of(known_at).documents(DR_EVENT)]
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
            if one.start < before.start and one.began and site in one.taking_part()
            for slot in one.slots()
        )

    def deliveries(self) -> list[Delivery]:
        """What sites were called for and delivered in settled events, oldest first."""
        found = []
        for one in self.events():
            settled = self.settlement(one.id)
            found += [
                Delivery(site=site.site, called_kwh=site.called_kwh, delivered_kwh=site.delivered_kwh)
                for site in (settled.sites if settled else ())
                if site.called_kwh and site.delivered_kwh is not None
            ]
        return found

    def calls(
        self, site: str, at: datetime, *, known_at: datetime = _END_OF_TIME
    ) -> list[tuple[DrEvent, Call]]:
        """What a site has to do from an instant on: calls that stand and are not over, soonest first."""
        return [
            (event, one)
            for event in self.events(known_at=known_at)
            if event.state is EventState.DISPATCHED
            for one in event.calls
            if one.site == site and one.end > at
        ]

    # -- rules of the book -------------------------------------------------------------------------------

    @contextmanager
    def _acting(self, act: str, event_id: str, *, at: datetime, actor: str) -> Iterator[None]:
        """Write all of an act or nothing; a refusal is written down as well."""
        try:
            with self._store.transaction():
                yield
        except (DataError, ConsentError) as error:
            facts = {"act": act, "why": error.what, "where": error.where}
            self._store.audit(actor, "dr.refused", f"dr/{event_id}", at=at, facts=facts)
            raise

    def _advanced(self, event_id: str, *, at: datetime, actor: str) -> DrEvent | None:
        """The event, ended if its hours are over."""
        known = self.find(event_id)
        if known is None or known.state_at(at) is known.state:
            return known
        ended = replace(known, state=EventState.ENDED)
        return self._put(ended, at=at, actor=actor, act="ended", facts={"ended_at": known.end})

    def _open(self, event_id: str, *, at: datetime, actor: str) -> DrEvent:
        known = self._advanced(event_id, at=at, actor=actor) or self.require(event_id)
        if known.state not in OPEN:
            raise DataError(
                f"event {event_id!r} is {known.state.value}",
                where="nobody can be asked any more",
                hint="vpp dr event list",
            )
        return known

    def _over(self, event_id: str, *, at: datetime, actor: str) -> DrEvent:
        known = self._advanced(event_id, at=at, actor=actor) or self.require(event_id)
        if known.state not in OVER:
            raise DataError(
                f"event {event_id!r} is not over",
                where=f"it ends {known.end.astimezone(JST):%Y-%m-%d %H:%M} Japan",
                hint="settle it when its readings are there",
            )
        return known

    def _require_change(self, known: DrEvent, event: DrEvent, at: datetime) -> None:
        """Refuse a change that cannot be."""
        where = ""
        if event.modification == known.modification or known.state not in OPEN:
            where = f"modification {known.modification} is on record, the event is {known.state.value}"
        elif at >= known.start and event.start != known.start:
            where = f"it began {known.start.astimezone(JST):%Y-%m-%d %H:%M} Japan; its start cannot move"
        elif event.end <= at:
            where = f"its new end {event.end.astimezone(JST):%Y-%m-%d %H:%M} Japan is over"
        if where:
            raise DataError(
                f"event {event.id!r} cannot be changed so",
                where=where,
                hint="a change has a higher modification number; what began is cancelled or shortened",
            )

    def _require_eligible(self, event: DrEvent) -> None:
        """What the product's dated rules say against an event."""
        others = [
            one.start
            for one in (self.events() if event.product is Product.CAPACITY else ())
            if one.product is Product.CAPACITY
            and one.id != event.id
            and one.start < event.start
            and one.began
        ]
        offer = Offer(
            announced_at=event.announced_at,
            start=event.start,
            end=event.end,
            target_kw=event.target_kw,
            earlier=others,
            margin_percent=event.margin_percent,
            service=event.service,
        )
        faults = product_faults(event.product, offer)
        if faults:
            raise DataError(
                f"event {event.id!r} is not valid as {event.product.value}",
                where="; ".join(str(fault) for fault in faults),
                hint=f"vpp dr event products --on {event.day} shows the dated rules",
            )

    def _put(
        self,
        event: DrEvent,
        *,
        at: datetime,
        actor: str,
        act: str,
        facts: Mapping[str, object] | None = None,
    ) -> DrEvent:
        """Keep a version of an event, and the act that made it."""
        known_at = self._after_last(DR_EVENT, event.id, at)
        told: Mapping[str, object] = _EVENT.dump_python(event, mode="json")
        self._store.put_document(DR_EVENT, event.id, known_at=known_at, body=canonical_json(told))
        self._audit(act, event, at=at, actor=actor, facts=facts)
        return event

    def _after_last(self, kind: str, event_id: str, at: datetime) -> datetime:
        """An instant after the version that stands there: acts of one instant are versions of their own."""
        before = self._store.as_of(_END_OF_TIME).document(kind, event_id)
        return at if before is None else max(at, before.known_at + timedelta(microseconds=1))

    def _audit(
        self,
        act: str,
        event: DrEvent,
        *,
        at: datetime,
        actor: str,
        facts: Mapping[str, object] | None = None,
    ) -> None:
        told = {"state": event.state.value, "modification": event.modification, "target_kw": event.target_kw}
        if act == "dispatched":
            told["called"] = {one.site: one.kw for one in event.standing()}  # type: ignore[assignment]
        self._store.audit(actor, f"dr.{act}", f"dr/{event.id}", at=at, facts={**told, **(facts or {})})


def _same_request(offered: DrEvent, known: DrEvent) -> bool:
    """Whether two announcements ask for the same."""

    def request(one: DrEvent) -> tuple[object, ...]:
        return one.product, one.start, one.end, one.target_kw, one.margin_percent, one.service, one.origin

    return request(offered) == request(known)
