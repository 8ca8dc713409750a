"""Points only for drivers whose consent holds when the event is settled; the settled past stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256

import pytest

from energy.ledger import Channel, Consent, ConsentRegister, Journal
from energy.store import SqlStore, open_store
from tests.unit.vpp.settlement.test_settle import AT, EVENT, SCENARIO, SITE, meter
from vpp.consents import REWARDS
from vpp.settlement.settle import settle_event

MINUTE = timedelta(minutes=1)
GRANTED = EVENT.known_at - timedelta(days=1)


@pytest.fixture
def store() -> Iterator[SqlStore]:
    with open_store("sqlite://", durability="process") as opened:
        meter(opened, "commuter", [1.0, 1.0, 0.0])
        yield opened


def agreed(store: SqlStore) -> ConsentRegister:
    register = ConsentRegister(store)
    register.grant(
        Consent(
            id="c-1",
            subject="driver-1",
            controller=REWARDS.controller,
            purpose=REWARDS.purpose,
            purpose_version=REWARDS.purpose_version,
            categories=REWARDS.categories,
            recipients=(REWARDS.recipient,),
            granted_at=GRANTED,
            channel=Channel.PAPER,
            evidence_sha256=sha256(b"signed").hexdigest(),
        ),
        recorded_at=GRANTED,
        actor="desk",
    )
    return register


def settle(store: SqlStore, *, later: timedelta = timedelta(0)) -> int:
    assert SCENARIO.coin is not None
    grants = settle_event(
        Journal(store),
        store.as_of(AT),
        SITE,
        SCENARIO.coin,
        EVENT,
        opted_out=set(),
        at=AT + later,
        store=store,
    )
    return sum(grant.points for grant in grants)


def test_without_a_consent_nothing_is_granted_and_the_refusal_is_on_record(store: SqlStore) -> None:
    assert settle(store) == 0
    assert Journal(store).balances() == {}
    (record,) = store.audit_trail("subject/driver-1")
    assert (record.act, record.facts["why"]) == ("consent.denied", "never_asked")


def test_a_driver_who_withdrew_gets_no_grant(store: SqlStore) -> None:
    register = agreed(store)
    register.withdraw(
        "c-1", withdrawn_at=AT - MINUTE, recorded_at=AT - MINUTE, actor="desk", channel=Channel.APP
    )
    assert settle(store) == 0
    assert store.audit_trail("subject/driver-1")[0].facts["why"] == "withdrawn"


def test_what_was_granted_before_a_withdrawal_stays(store: SqlStore) -> None:
    register = agreed(store)
    assert settle(store) == 40
    register.withdraw(
        "c-1", withdrawn_at=AT + MINUTE, recorded_at=AT + MINUTE, actor="desk", channel=Channel.APP
    )
    assert settle(store, later=2 * MINUTE) == 0
    assert Journal(store).balance("driver/driver-1") == 40
