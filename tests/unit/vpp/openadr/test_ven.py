"""Our OpenADR node against the openleadr server in another process: events, changes, cancels, a lost link."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

pytest.importorskip("openleadr", reason="the extra openadr is not installed")

from energy.core.clock import ManualClock
from energy.core.errors import ConfigError
from energy.core.site import DrTerms
from energy.core.slots import Slot
from energy.ledger import Channel, ConsentRegister
from energy.market.portfolio import Resource
from energy.store import Point, SqlStore, open_store
from tests.unit.vpp.openadr.vtn import HOUR, START, Vtn, key_of, stepping
from tests.unit.vpp.settlement.accounts import SITE
from vpp.consents import DR_TELEMETRY, record_simulated
from vpp.openadr.inbox import Terms
from vpp.openadr.ven import Link, Lost
from vpp.settlement.dr_events import EventBook
from vpp.settlement.dr_life import EventState
from vpp.site.recorder import SiteSeries
from vpp.site.sitebook import keep_site

FACTORY = Resource(site="factory", kw=Decimal(40))


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://") as opened:
        yield opened


@pytest.fixture
def vtn() -> Iterator[Vtn]:
    with Vtn() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START - 6 * HOUR)


@pytest.fixture
def node(store: SqlStore, vtn: Vtn, clock: ManualClock) -> Iterator[stepping]:
    with stepping(store, Link(url=vtn.url, ven_name="aizu"), clock) as made:
        yield made


def acts(store: SqlStore, subject: str) -> list[str]:
    return [one.act for one in store.audit_trail(subject)]


def test_an_event_is_taken_accepted_and_answered_once(store: SqlStore, vtn: Vtn, node: stepping) -> None:
    vtn.event("add", "Evt_1", kw=30.5)
    found = node.heard()
    event = EventBook(store).require(key_of("Evt_1"))
    assert (event.start, event.end, event.target_kw) == (START, START + 3 * HOUR, Decimal("30.5"))
    assert (event.state, event.origin) == (EventState.OPTED_IN, "openadr:VTN-1:Evt_1")
    assert [(one.event, one.opt) for one in found.answers] == [("Evt_1", "optIn")]
    assert vtn.does("answers") == [["Evt_1", "optIn"]]
    assert node.heard().answers == ()


def test_the_same_event_again_changes_nothing_also_after_a_restart(
    store: SqlStore, vtn: Vtn, node: stepping, clock: ManualClock
) -> None:
    vtn.event("add", "Evt_1")
    node.heard()
    before = acts(store, f"dr/{key_of('Evt_1')}")
    vtn.does("repeat")
    assert node.heard().messages == 1
    with stepping(store, Link(url=vtn.url, ven_name="aizu"), clock) as restarted:
        assert restarted.heard().messages == 1
    assert acts(store, f"dr/{key_of('Evt_1')}") == before


def test_a_modification_moves_the_calls_and_is_answered_anew(
    store: SqlStore, vtn: Vtn, node: stepping, clock: ManualClock
) -> None:
    vtn.event("add", "Evt_1")
    node.heard()
    book, key = EventBook(store), key_of("Evt_1")
    book.nominate(key, [FACTORY], at=clock.now(), actor="desk")
    vtn.event("change", "Evt_1", hours=2, kw=20)
    found = node.heard()
    event = book.require(key)
    assert (event.modification, event.target_kw, event.calls[0].end) == (1, 20, START + 2 * HOUR)
    assert [(one.modification, one.opt) for one in found.answers] == [(1, "optIn")]
    assert vtn.does("answers") == [["Evt_1", "optIn"], ["Evt_1", "optIn"]]


def test_a_cancel_in_mid_event_stops_the_calls_and_the_reward_at_once(
    store: SqlStore, vtn: Vtn, node: stepping, clock: ManualClock
) -> None:
    vtn.event("add", "Evt_1")
    node.heard()
    book, key = EventBook(store), key_of("Evt_1")
    book.nominate(key, [FACTORY], at=clock.now(), actor="desk")
    stop = clock.advance(6 * HOUR + timedelta(minutes=70))
    assert book.calls("factory", stop)
    vtn.does("cancel", id="Evt_1")
    node.heard()
    event = book.require(key)
    assert (event.state, event.stopped_at, event.modification) == (EventState.CANCELLED, stop, 1)
    assert book.calls("factory", stop) == []
    assert event.paid_slots("factory") == [Slot(START), Slot(START).shifted(1)]
    assert event.called_kwh("factory") == 40
    assert vtn.does("answers")[-1] == ["Evt_1", "optIn"]


def test_an_event_that_is_left_out_is_cancelled(store: SqlStore, vtn: Vtn, node: stepping) -> None:
    vtn.event("add", "Evt_1")
    vtn.event("add", "Evt_2", start=START + 24 * HOUR)
    node.heard()
    vtn.does("forget", id="Evt_1")
    node.heard()
    states = [one.state for one in EventBook(store).events()]
    assert states == [EventState.CANCELLED, EventState.OPTED_IN]
    assert "openadr.implied_cancel" in acts(store, f"dr/{key_of('Evt_1')}")


def test_a_lost_link_lets_the_event_run_and_what_was_missed_is_asked_for(
    store: SqlStore, vtn: Vtn, node: stepping, clock: ManualClock
) -> None:
    vtn.event("add", "Evt_1")
    node.heard()
    book, key = EventBook(store), key_of("Evt_1")
    book.nominate(key, [FACTORY], at=clock.now(), actor="desk")
    vtn.stop()
    gone = clock.advance(6 * HOUR)
    for _ in range(3):
        found = node.step()
        assert isinstance(found, Lost)
        assert (found.running, found.since) == ((key,), gone)
        assert "127.0.0.1" in found.why
    assert book.calls("factory", clock.now())
    vtn.start()
    vtn.event("add", "Evt_1", hours=2)  # under a new server the event is as it was told first
    clock.advance(timedelta(minutes=10))
    back = node.heard()
    assert back.returned_after == timedelta(minutes=10)
    assert acts(store, "openadr/VTN-1") == ["openadr.lost", "openadr.returned"]
    assert "dr.refused" in acts(
        store, f"dr/{key}"
    )  # the same number with other hours: what stood first stands
    assert book.require(key).end == START + 3 * HOUR


def test_an_upstream_that_lost_its_memory_cancels_nothing(
    store: SqlStore, vtn: Vtn, node: stepping, clock: ManualClock
) -> None:
    vtn.event("add", "Evt_1")
    node.heard()
    vtn.stop()
    node.step()
    vtn.start()
    node.heard()
    assert EventBook(store).require(key_of("Evt_1")).state is EventState.OPTED_IN


def test_what_cannot_be_used_is_declined_by_name(store: SqlStore, vtn: Vtn, node: stepping) -> None:
    vtn.event("add", "off", start=START + timedelta(minutes=10))
    vtn.event("add", "simple", signal="SIMPLE", kw=1)
    vtn.event("add", "nothing", kw=-5)
    node.heard()
    assert sorted(vtn.does("answers")) == [["nothing", "optOut"], ["off", "optOut"], ["simple", "optOut"]]
    said = {
        name: store.audit_trail(f"dr/{key_of(name)}")[0].facts["why"] for name in ("off", "simple", "nothing")
    }
    assert str(said["off"]).startswith("off_slot")
    assert "LOAD_DISPATCH is needed" in str(said["simple"])
    assert str(said["nothing"]).startswith("no_power")
    assert EventBook(store).events() == []


def portfolio(store: SqlStore, clock: ManualClock) -> ConsentRegister:
    """Eleven enrolled sites, ten of which agreed to be part of the sum."""
    for k in range(11):
        keep_site(store, replace(SITE, id=f"s-{k}", dr=DrTerms(reward_yen_per_kwh=20.0)), at=clock.now())
    record_simulated(store, [f"s-{k}" for k in range(10)], at=clock.now(), use=DR_TELEMETRY)
    return ConsentRegister(store)


def read(store: SqlStore, at: datetime, kwh: float, sites: int = 11) -> None:
    """What the sites' meters counted in the half hour that ended at an instant."""
    store.append(
        Point(
            series=SiteSeries(f"s-{k}")["meter", "import_kwh"],
            at=at - HOUR / 2,
            known_at=at,
            value=kwh,
            source="test",
        )
        for k in range(sites)
    )


def test_an_operator_may_answer_and_the_upstream_reads_the_power_of_those_who_agreed(
    store: SqlStore, vtn: Vtn, clock: ManualClock
) -> None:
    link = Link(url=vtn.url, ven_name="aizu")
    terms = Terms(products={}, policy="ask", most_skew=timedelta(days=9999), telemetry=True)
    register = portfolio(store, clock)
    with stepping(store, link, clock, terms) as node:
        vtn.event("add", "Evt_1")
        assert node.heard().answers == ()
        book, key = EventBook(store), key_of("Evt_1")
        book.answer(key, takes_part=True, at=clock.now(), actor="desk")
        assert [one.opt for one in node.heard().answers] == ["optIn"]
        book.answer(key, takes_part=False, at=clock.now(), actor="desk", why="works outage")
        assert [one.opt for one in node.heard().answers] == ["optOut"]
        assert node.heard().answers == ()

        offered, first = ["portfolio", "RealPower", "kW", 1800.0], clock.now()
        assert vtn.does("reports") == [offered]  # nothing was read yet, so nothing was told
        told = []
        for minute, kwh, sites in ((30, 2.0, 11), (60, 2.5, 9), (90, 3.0, 11)):
            clock.advance(HOUR / 2)
            read(store, clock.now(), kwh, sites)
            node.heard()
            node.heard()  # the same half hour is told once
            if sites == 11:
                told.append([(first + timedelta(minutes=minute - 30)).isoformat(), 10 * kwh * 2])
            assert vtn.does("reports") == [offered, *told]
        for act, kwh in (("end_report", 4.0), ("want_report", 5.0)):
            clock.advance(HOUR / 2)
            read(store, clock.now(), kwh)
            vtn.does(act)
            node.heard()
        told += [["ended", 200], [(clock.now() - HOUR / 2).isoformat(), 100.0]]
        assert vtn.does("reports") == [offered, *told]
        register.withdraw(
            "simulated-s-3-dr-telemetry",
            withdrawn_at=clock.now(),
            recorded_at=clock.now(),
            actor="desk",
            channel=Channel.APP,
        )
        clock.advance(HOUR / 2)
        read(store, clock.now(), 3.0)
        node.heard()
        assert vtn.does("reports") == [offered, *told]  # nine are no group
    trail = [one for one in store.audit_trail("openadr/VTN-1") if "telemetry" in one.act]
    assert [(one.act, one.facts.get("why"), one.facts.get("sites")) for one in trail] == [
        ("openadr.telemetry_asked", None, None),
        ("openadr.telemetry_silent", "stale", 10),
        ("openadr.telemetry_sent", None, 10),
        ("openadr.telemetry_sent", None, 10),
        ("openadr.telemetry_ended", None, None),
        ("openadr.telemetry_asked", None, None),
        ("openadr.telemetry_sent", None, 10),
        ("openadr.telemetry_silent", "few", 9),
    ]


def test_a_clock_that_is_off_is_pointed_out_and_the_hours_stand(
    store: SqlStore, vtn: Vtn, clock: ManualClock
) -> None:
    clock.advance(7 * HOUR)  # by our clock the event runs; the upstream calls it far
    with stepping(store, Link(url=vtn.url, ven_name="aizu"), clock, Terms(products={})) as node:
        vtn.event("add", "Evt_1")
        node.heard()
    (skew,) = [one for one in store.audit_trail(f"dr/{key_of('Evt_1')}") if one.act == "openadr.clock_skew"]
    assert skew.facts["ahead_s"] == -3600
    assert EventBook(store).require(key_of("Evt_1")).start == START


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"url": "ftp://127.0.0.1/x"}, "is no address"),
        ({"url": "http://vtn.example.com/OpenADR2/Simple/2.0b"}, "unprotected"),
        ({"url": "https://vtn.example.com/x", "ca": Path("ca.pem")}, "mutual TLS needs"),
        (
            {"url": "https://vtn.example.com/x", "ca": Path("a"), "cert": Path("b"), "key": Path("c")},
            "no such file",
        ),
    ],
)
def test_a_link_that_cannot_be_safe_is_refused(told: dict[str, object], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Link(ven_name="aizu", **told)  # type: ignore[arg-type]
