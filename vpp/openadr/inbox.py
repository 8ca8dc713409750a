"""What becomes of upstream events: taken, changed, cancelled or declined in the event book, and answered.

Everything is idempotent by the upstream's event id and modification number, and kept in the store: a program
that starts anew knows what it took and what it answered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from energy.core.errors import DataError
from energy.market.dr_products import Product
from energy.store import Store, canonical_json
from vpp.openadr.message import Status, Unusable, UpstreamEvent, clock_skew, local_id, read_event
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_life import OPEN, EventState

__all__ = ["ACTOR", "Answer", "Inbox", "Policy", "Terms"]

ACTOR: Final = "openadr"
ANSWERED: Final = "openadr-answered"
"""Kind of the documents: what the upstream was told about an event, a version per answer that arrived."""

_END_OF_TIME: Final = datetime.fromisoformat("9999-01-01T00:00:00+00:00")

Policy = Literal["in", "ask", "out"]
Opt = Literal["optIn", "optOut"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How upstream events are taken.

    Parameters
    ----------
    products : mapping of str to Product
        What an event of a market context is sold as.
    product : Product
        The same for contexts that are not listed.
    policy : str
        ``in``: say yes to what the product allows; ``ask``: an operator answers; ``out``: say no to all.
    most_skew : timedelta
        A clock farther off than this is pointed out.
    telemetry : bool
        Whether the power of the portfolio is offered as a report.
    """

    products: Mapping[str, Product]
    product: Product = Product.ECONOMIC
    policy: Policy = "in"
    most_skew: timedelta = timedelta(seconds=60)
    telemetry: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the upstream is to be told about one event."""

    event: str
    modification: int
    opt: Opt


class Inbox:
    """The events of one upstream (VTN)."""

    def __init__(self, store: Store, vtn: str, terms: Terms) -> None:
        self._store, self.vtn, self._terms = store, vtn, terms
        self._book = EventBook(store)

    def take(self, told: Sequence[Mapping[str, object]], *, at: datetime) -> list[Answer]:
        """Take all events of one oadrDistributeEvent and say what to answer.

        An open event of this upstream that the message no longer holds is cancelled: the profile calls that
        an implied cancel, and a node must honour it.

        Parameters
        ----------
        told : sequence of mapping
            The message's events, all that the upstream knows.
        """
        answers, named = [], set()
        for one in told:
            try:
                event = read_event(one)
            except ValueError as error:
                self._note("unreadable", "", at, {"why": str(error)})
                continue
            named.add(local_id(self.vtn, event.id))
            answer = self._take(event, at)
            if answer is not None:
                answers.append(answer)
        for known in self._open():
            if known.id not in named:
                self._note("implied_cancel", known.id, at, {"upstream_id": self._upstream(known)})
                self._book.cancel(known.id, at=at, actor=ACTOR)
        return answers

    def due(self, *, at: datetime) -> list[Answer]:
        """Answers that changed since they were last told, or never arrived."""
        answers = []
        for known in self._open():
            opt = self._opt(known)
            if opt is None or known.state_at(at) is EventState.ENDED:
                continue
            answer = Answer(event=self._upstream(known), modification=known.modification, opt=opt)
            if self._last(known.id) != {"modification": answer.modification, "opt": opt}:
                answers.append(answer)
        return answers

    def told(self, answer: Answer, *, at: datetime) -> None:
        """Note that an answer arrived."""
        key = local_id(self.vtn, answer.event)
        body = {"modification": answer.modification, "opt": answer.opt}
        if self._last(key) == body:
            return
        before = self._store.as_of(_END_OF_TIME).document(ANSWERED, key)
        known_at = at if before is None else max(at, before.known_at + timedelta(microseconds=1))
        self._store.put_document(ANSWERED, key, known_at=known_at, body=canonical_json(body))
        self._note("answered", key, at, body)

    def running(self, at: datetime) -> list[str]:
        """Our ids of the events that go on by themselves when the upstream is gone."""
        return [one.id for one in self._open() if one.state_at(at) is not EventState.ENDED]

    # -- one event ---------------------------------------------------------------------------------------

    def _take(self, event: UpstreamEvent | Unusable, at: datetime) -> Answer | None:
        key = local_id(self.vtn, event.id)
        known = self._book.find(key)
        if event.status in {Status.CANCELLED, Status.COMPLETED}:
            return self._stop(event, known, at)
        if known is not None and event.modification < known.modification:
            self._note("stale_ignored", key, at, {"modification": event.modification})
            return None
        if isinstance(event, Unusable):
            return self._decline(event, known, at, f"{event.why.value}: {event.detail}")
        if event.test:
            self._note("test_event", key, at, {"modification": event.modification})
            return Answer(event=event.id, modification=event.modification, opt="optIn")
        if known is None and event.end <= at:
            return self._decline(event, known, at, f"it was over at {event.end.isoformat()}")
        try:
            made, changed = self._book.announce(self._wanted(event, key, at), at=at, actor=ACTOR)
        except DataError as error:  # the book wrote the refusal down
            if known is not None and event.modification == known.modification:
                opt = self._opt(known)  # two contents under one number: what was taken first stands
                return opt and Answer(event=event.id, modification=event.modification, opt=opt)
            if known is not None and known.state_at(at) in OPEN:
                self._book.answer(key, takes_part=False, at=at, actor=ACTOR, why=error.what)
            return Answer(event=event.id, modification=event.modification, opt="optOut")
        if changed:
            self._check_clock(event, key, at)
        if made.state is EventState.ANNOUNCED and self._terms.policy != "ask":
            made = self._book.answer(key, takes_part=self._terms.policy == "in", at=at, actor=ACTOR)
        opt = self._opt(made)
        return None if opt is None else Answer(event=event.id, modification=event.modification, opt=opt)

    def _wanted(self, event: UpstreamEvent, key: str, at: datetime) -> DrEvent:
        return DrEvent(
            id=key,
            product=self._terms.products.get(event.context, self._terms.product),
            modification=event.modification,
            start=event.start,
            end=event.end,
            target_kw=event.target_kw,
            announced_at=at,
            origin=self._origin(event.id),
        )

    def _stop(self, event: UpstreamEvent | Unusable, known: DrEvent | None, at: datetime) -> Answer | None:
        """Honour a cancel, or an upstream that says it is over before our clock does."""
        key = local_id(self.vtn, event.id)
        if known is None:
            self._note("cancel_of_unknown", key, at, {"modification": event.modification})
        elif event.modification < known.modification:
            self._note("stale_ignored", key, at, {"modification": event.modification})
            return None
        elif known.state in OPEN:
            self._book.cancel(key, at=at, actor=ACTOR, modification=event.modification)
        if event.status is Status.COMPLETED:
            return None  # nobody waits for an answer about what is over
        return Answer(event=event.id, modification=event.modification, opt="optIn")

    def _decline(
        self, event: UpstreamEvent | Unusable, known: DrEvent | None, at: datetime, why: str
    ) -> Answer:
        key = local_id(self.vtn, event.id)
        self._note("declined", key, at, {"why": why, "modification": event.modification})
        if known is not None and known.state in OPEN and known.state_at(at) is not EventState.ENDED:
            self._book.answer(key, takes_part=False, at=at, actor=ACTOR, why=why)
        return Answer(event=event.id, modification=event.modification, opt="optOut")

    def _check_clock(self, event: UpstreamEvent, key: str, at: datetime) -> None:
        skew = clock_skew(event, at)
        if abs(skew) > self._terms.most_skew:
            self._note("clock_skew", key, at, {"ahead_s": round(skew.total_seconds())})

    # -- what is on record -------------------------------------------------------------------------------

    def _open(self) -> list[DrEvent]:
        mine = self._origin("")
        return [one for one in self._book.events() if one.origin.startswith(mine) and one.state in OPEN]

    def _origin(self, upstream_id: str) -> str:
        return f"openadr:{self.vtn}:{upstream_id}"

    def _upstream(self, known: DrEvent) -> str:
        return known.origin.removeprefix(self._origin(""))

    def _opt(self, known: DrEvent) -> Opt | None:
        """What the state of an event says to the upstream; None while an operator has not answered."""
        if known.state is EventState.ANNOUNCED:
            return None
        return "optOut" if known.state is EventState.OPTED_OUT else "optIn"

    def _last(self, key: str) -> dict[str, object] | None:
        document = self._store.as_of(_END_OF_TIME).document(ANSWERED, key)
        return None if document is None else json.loads(document.body)

    def _note(self, act: str, key: str, at: datetime, facts: Mapping[str, object]) -> None:
        subject = f"dr/{key}" if key else f"openadr/{self.vtn}"
        self._store.audit(ACTOR, f"openadr.{act}", subject, at=at, facts={"vtn": self.vtn, **facts})
