"""The life of an event: every step dated, steps that cannot be refused by name, calls that follow it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from energy.core.errors import ConsentError, DataError
from energy.core.slots import Slot, parse_jst
from energy.ledger import Channel, Consent, ConsentRegister
from energy.market.dr_products import Product
from energy.market.portfolio import Resource
from energy.store import SqlStore, open_store
from vpp.consents import DR_PARTICIPATION
from vpp.settlement.dr_event import DrEvent
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_life import NEXT, OPEN, OVER, EventState, require_step
from vpp.settlement.dr_settled import SettledSite

MORNING = parse_jst("2026-11-25 10:00")
START, END = parse_jst("2026-11-25 16:00"), parse_jst("2026-11-25 19:00")
EVENT = DrEvent(
    id="e-1",
    product=Product.ECONOMIC,
    modification=0,
    start=START,
    end=END,
    target_kw=Decimal(30),
    announced_at=MORNING,
)
FACTORY = Resource(site="factory", kw=Decimal(40))
HALL = Resource(site="hall", kw=Decimal(20))
HOME = Resource(site="home-7", kw=Decimal(2), holder="person")


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        yield opened


@pytest.fixture
def book(store: SqlStore) -> EventBook:
    made = EventBook(store)
    made.announce(EVENT, at=MORNING, actor="upstream")
    return made


def acts(store: SqlStore) -> list[str]:
    return [one.act.removeprefix("dr.") for one in store.audit_trail("dr/e-1")]


def settled(kwh: int) -> list[SettledSite]:
    return [
        SettledSite(site="factory", delivered_kwh=Decimal(kwh), called_kwh=Decimal(120), yen=Decimal(kwh))
    ]


def test_an_event_goes_from_announcement_to_correction_and_every_step_is_dated(
    store: SqlStore, book: EventBook
) -> None:
    book.answer("e-1", takes_part=True, at=MORNING, actor="desk")
    book.nominate("e-1", [FACTORY], at=MORNING + timedelta(minutes=1), actor="desk")
    first = END + timedelta(hours=1)
    book.settle("e-1", settled(100), yen_per_kwh=Decimal(1), at=first, actor="desk")
    later = END + timedelta(days=1)
    book.settle("e-1", settled(101), yen_per_kwh=Decimal(1), at=later, actor="desk")
    assert acts(store) == [
        "announced",
        "opted_in",
        "dispatched",
        "ended",
        "measured",
        "settled",
        "corrected",
    ]
    told = {one.act: one.at for one in store.audit_trail("dr/e-1")}
    assert (told["dr.settled"], told["dr.corrected"]) == (first, later)
    assert book.require("e-1").state is EventState.CORRECTED


def test_no_step_leads_back_and_every_state_can_be_left_or_corrected() -> None:
    order = list(EventState)
    for state, following in NEXT.items():
        assert following
        for then in following:
            backward = order.index(then) <= order.index(state)
            assert not backward or (state, then) in {
                (EventState.OPTED_OUT, EventState.OPTED_IN),
                (EventState.DISPATCHED, EventState.OPTED_OUT),
                (EventState.CORRECTED, EventState.CORRECTED),
            }
    assert set(EventState) == OPEN | OVER
    assert not OPEN & OVER


@pytest.mark.parametrize("state", list(EventState))
@pytest.mark.parametrize("then", list(EventState))
def test_a_step_that_life_does_not_have_is_refused_by_name(state: EventState, then: EventState) -> None:
    if then in NEXT[state]:
        require_step("e-1", state, then)
        return
    with pytest.raises(DataError) as refused:
        require_step("e-1", state, then)
    assert f"from {state.value} to {then.value}" in str(refused.value)


def test_a_declined_event_calls_nobody_until_somebody_says_yes(store: SqlStore, book: EventBook) -> None:
    book.nominate("e-1", [FACTORY], at=MORNING, actor="desk")
    book.answer("e-1", takes_part=False, at=MORNING, actor="desk", why="works outage")
    assert book.require("e-1").taking_part() == ()
    with pytest.raises(DataError, match="from opted_out to dispatched"):
        book.nominate("e-1", [FACTORY], at=MORNING, actor="desk")
    book.answer("e-1", takes_part=True, at=MORNING, actor="desk")
    book.nominate("e-1", [FACTORY], at=MORNING, actor="desk")
    assert book.require("e-1").taking_part() == ("factory",)
    assert acts(store)[-3:] == ["refused", "opted_in", "dispatched"]
    assert store.audit_trail("dr/e-1")[2].facts["why"] == "works outage"


def test_a_change_cuts_the_calls_and_asks_again_who_was_not_called_yet(book: EventBook) -> None:
    book.answer("e-1", takes_part=True, at=MORNING, actor="desk")
    longer = replace(EVENT, modification=1, end=END + timedelta(hours=1))
    assert book.announce(longer, at=MORNING, actor="upstream")[0].state is EventState.ANNOUNCED
    book.nominate("e-1", [FACTORY], at=MORNING, actor="desk")
    shorter = replace(EVENT, modification=2, end=END - timedelta(hours=1))
    changed, _ = book.announce(shorter, at=START + timedelta(minutes=40), actor="upstream")
    assert (changed.state, changed.calls[0].end) == (EventState.DISPATCHED, shorter.end)
    assert changed.calls[0].sequence == 2
    assert changed.announced_at == MORNING


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"start": START + timedelta(minutes=30)}, "its start cannot move"),
        ({"end": START + timedelta(minutes=30)}, "is over"),
        ({"modification": 0, "target_kw": Decimal(99)}, "modification 0 is on record"),
    ],
)
def test_what_cannot_be_changed_any_more_is_refused_and_written_down(
    store: SqlStore, book: EventBook, change: dict[str, object], complaint: str
) -> None:
    wanted = replace(EVENT, **({"modification": 1} | change))  # type: ignore[arg-type]
    with pytest.raises(DataError, match=complaint):
        book.announce(wanted, at=START + timedelta(minutes=40), actor="upstream")
    assert acts(store) == ["announced", "refused"]
    assert complaint in str(store.audit_trail("dr/e-1")[-1].facts["where"])


def test_a_cancel_stops_at_once_and_what_had_ended_is_still_paid(store: SqlStore, book: EventBook) -> None:
    book.nominate("e-1", [FACTORY], at=MORNING, actor="desk")
    stop = START + timedelta(minutes=70)
    stopped = book.cancel("e-1", at=stop, actor="upstream", modification=3)
    assert (stopped.stopped_at, stopped.modification) == (stop, 3)
    assert stopped.paid_slots("factory") == [Slot(START), Slot(START).shifted(1)]
    assert stopped.called_kwh("factory") == 40
    assert book.cancel("e-1", at=stop + timedelta(minutes=1), actor="upstream") == stopped
    assert acts(store)[-2:] == ["cancelled", "cancel_ignored"]


def test_an_event_cancelled_before_its_start_is_no_baseline_day_later(book: EventBook) -> None:
    book.nominate("e-1", [FACTORY], at=MORNING, actor="desk")
    tomorrow = replace(EVENT, id="e-2", start=START + timedelta(days=1), end=END + timedelta(days=1))
    assert book.event_days("factory", tomorrow) == {EVENT.day}
    book.cancel("e-1", at=START - timedelta(minutes=1), actor="upstream")
    assert book.event_days("factory", tomorrow) == set()


def test_a_site_that_says_no_in_mid_event_keeps_what_had_ended(book: EventBook) -> None:
    book.nominate("e-1", [FACTORY, HALL], at=MORNING, actor="desk")
    event = book.opt("e-1", "hall", takes_part=False, at=START + timedelta(minutes=40), actor="hall")
    assert event.paid_slots("hall") == [Slot(START)]
    assert len(event.paid_slots("factory")) == 6
    assert [call.site for _, call in book.calls("hall", START + timedelta(minutes=41))] == []


def test_who_is_called_late_is_called_from_the_next_half_hour_on(book: EventBook) -> None:
    book.nominate("e-1", [FACTORY], at=MORNING, actor="desk")
    event = book.nominate("e-1", [FACTORY, HALL], at=START + timedelta(minutes=40), actor="desk")
    calls = {one.site: one for one in event.calls}
    assert calls["factory"].sequence == 1
    assert (calls["hall"].start, calls["hall"].sequence) == (START + timedelta(hours=1), 2)
    assert len(event.paid_slots("hall")) == 4


def test_two_acts_at_one_instant_are_both_kept(store: SqlStore, book: EventBook) -> None:
    book.answer("e-1", takes_part=True, at=MORNING, actor="desk")
    book.nominate("e-1", [FACTORY], at=MORNING, actor="desk")
    assert book.require("e-1").state is EventState.DISPATCHED
    assert {one.at for one in store.audit_trail("dr/e-1")} == {MORNING}


def agree(store: SqlStore, given: datetime) -> None:
    consent = Consent(
        id="c-home",
        subject="home-7",
        controller=DR_PARTICIPATION.controller,
        purpose=DR_PARTICIPATION.purpose,
        purpose_version=1,
        categories=DR_PARTICIPATION.categories,
        recipients=(DR_PARTICIPATION.recipient,),
        granted_at=given,
        channel=Channel.PAPER,
        evidence_sha256="0" * 64,
    )
    ConsentRegister(store).grant(consent, recorded_at=given, actor="desk")


def test_a_household_is_called_only_with_consent_at_that_moment(store: SqlStore, book: EventBook) -> None:
    with pytest.raises(ConsentError, match="home-7"):
        book.nominate("e-1", [HOME], at=MORNING, actor="desk")
    assert acts(store)[-1] == "refused"
    assert store.audit_trail("subject/home-7")[0].act == "consent.denied"
    agree(store, MORNING)
    event = book.nominate("e-1", [HOME], at=MORNING + timedelta(minutes=1), actor="desk")
    assert event.taking_part() == ("home-7",)
